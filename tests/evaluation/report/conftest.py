from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from synthkit.evaluation import Comparison, Evaluation, compare, evaluate
from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.records import Verdict
from synthkit.evaluation.suite import Suite
from synthkit.random import scoring_generator

METRICS = ("shape_err", "c2st_tree", "tstr", "trtr", "dcr_share", "copied")
# Names that end a script, an attribute, a table cell or a line where they are not escaped.
HOSTILE = ("</script><script>alert(1)</script>", "\"><img src=x onerror='alert(2)'>", "a|b\n# `c` *d* & <br>")


VOID = {"meta", "br", "wbr", "circle", "rect", "path"}


class Page(HTMLParser):
    """The elements of a page, the text of each, and whether all of them are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inner: list[list[str]] = []
        self._open: list[int] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inner.append([])
        if tag not in VOID:
            self._open.append(len(self.found) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inner.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.found[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.inner[place].append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def texts(self, tag: str) -> list[str]:
        return [
            "".join(parts).replace("\u00a0", " ").strip()
            for (name, _), parts in zip(self.found, self.inner, strict=True)
            if name == tag
        ]


@pytest.fixture(scope="session")
def parse() -> type[Page]:
    """What reads a page."""
    return Page


def hostile_table(seed: int, rows: int = 240) -> pd.DataFrame:
    """A table of every kind of column, with names and values that a page could take for markup."""
    random = np.random.default_rng(seed)
    size = random.normal(size=rows)
    return pd.DataFrame(
        {
            HOSTILE[0]: np.where(random.random(rows) < 0.1, np.nan, size),
            HOSTILE[1]: random.choice([*HOSTILE, "plain"], rows),
            HOSTILE[2]: random.integers(0, 5, rows),
            "income": np.round(np.exp(3 * size)),
            "moment": pd.date_range("2024-01-01", periods=rows, freq="7h")[random.permutation(rows)],
            "town": random.choice([f"town {number}" for number in range(30)], rows),
            "empty": np.nan,
            "same": "x",
            "answer": np.where(size + random.normal(size=rows) > 0, "yes", "</script> no"),
        }
    )


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """Every kind of column, verdict and note, with hostile names everywhere."""
    found = evaluate(
        hostile_table(0),
        hostile_table(1).assign(town=lambda frame: frame["town"].replace("town 3", "elsewhere")),
        test=hostile_table(2),
        target="answer",
        suite=Suite(name="<b>small</b>", metrics=METRICS),
    )
    verdicts = (
        Verdict("c2st_tree", "pass", "boosted AUC 0.5: at most 0.6 is asked for.", "Nobody can tell.", 0.5, 0.6),
        Verdict("shape_err", "borderline", "shape error 0.1 <i>: at most 0.1 is asked for.", HOSTILE[0], 0.1, 0.1),
        Verdict("copied", "fail", "copied rows 0.2: at most 0.1 is asked for.", "No row is repeated.", 0.2, 0.1),
        Verdict("tstr", "not applicable", "trained on synthetic rows needs a target.", HOSTILE[1]),
    )
    provenance = {"command": f"synthkit evaluate '{HOSTILE[0]}'", "inputs": {"real": {"sha256": "0" * 64}}, "seed": 0}
    return replace(found, verdicts=verdicts, provenance=provenance, notes=(*found.notes, HOSTILE[2]))


@pytest.fixture(scope="session")
def wide() -> Evaluation:
    """A table of 120 columns."""
    random = np.random.default_rng(0)
    real, synthetic = (
        pd.DataFrame(random.normal(size=(80, 100)))
        .add_prefix("number ")
        .join(pd.DataFrame(random.integers(0, 30, (80, 20)).astype(str)).add_prefix("label "))
        for _ in range(2)
    )
    return evaluate(real, synthetic, test=real.head(40), suite=Suite(name="small", metrics=("shape_err", "copied")))


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    """A good table, independent columns and a copy of the training rows, with hostile names; each gate fails one."""
    train = hostile_table(0)
    suite = Suite.model_validate(
        {
            "name": "<b>small</b>",
            "metrics": METRICS,
            "gates": [
                {"metric": "shape_err", "comparison": "<=", "threshold": 0.9},
                {"metric": "copied", "comparison": "<=", "threshold": 0.01, "relative_to": "ceiling", "reason": "<i>"},
                {"metric": "copied", "comparison": ">=", "threshold": 0.5, "bound": "high"},
                {"metric": "precision", "comparison": ">=", "threshold": 0.5, "relative_to": "floor", "unit": "ratio"},
            ],
        }
    )
    tables = {
        HOSTILE[0]: hostile_table(1),
        HOSTILE[1]: independent_columns(train, 240, scoring_generator(1)),
        HOSTILE[2]: train.sample(frac=1, random_state=0),
    }
    found = compare(train, tables, test=hostile_table(2), target="answer", suite=suite)
    return replace(found, provenance={"command": f"synthkit compare '{HOSTILE[1]}'", "inputs": {"real": {"bytes": 7}}})
