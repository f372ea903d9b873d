"""The contract of a table generator, on tables of every kind and with every way to fit."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from synthkit.privacy.budget import PrivacyBudget
from synthkit.schema import Schema
from synthkit.tables.gan import TableGAN
from synthkit.testing import check_synthesizer, synthesizer_checks

QUICK = {"n_codes": 6, "random_state": 0, "verbose": False, "adversary": "off", "time_budget": None}


def mixed(rows: int = 90) -> pd.DataFrame:
    """A column of every kind, many with missing cells, related to each other."""
    random = np.random.default_rng(1)
    group = random.choice(3, rows, p=[0.6, 0.3, 0.1])
    moment = pd.Timestamp("2021-03-20", tz="Europe/Paris") + pd.to_timedelta(random.integers(0, 400, rows), unit="h")
    frame = pd.DataFrame(
        {
            "number": np.arange(500, 500 + 3 * rows, 3),
            "code": [f"K-{place:04d}" for place in random.permutation(rows)],
            "amount": np.round(random.gamma(2.0, 10.0, rows) + 40 * group, 2),
            "count": pd.array(random.poisson(3 + 4 * group), dtype="Int64"),
            "spike": np.where(random.random(rows) < 0.4, 0.0, random.normal(size=rows)),
            "label": np.array(["red", "green", "blue"])[group],
            "level": pd.Categorical(
                np.array(["low", "mid", "high"])[group], categories=["low", "mid", "high", "top"], ordered=True
            ),
            "text": pd.array(random.choice(["p", "q"], rows), dtype="string"),
            "flag": random.random(rows) < 0.3,
            "maybe": pd.array(random.random(rows) < 0.5, dtype="boolean"),
            "moment": moment,
            "day": [
                datetime.date(2020, 2, 27) + datetime.timedelta(days=int(day)) for day in random.integers(0, 60, rows)
            ],
            "constant": 7,
            "empty": None,
            "city": [f"city {place * place % 61}" for place in range(rows)],
        }
    )
    for column, every in {"amount": 9, "count": 7, "label": 11, "text": 8, "maybe": 6, "moment": 10, "day": 13}.items():
        frame.loc[frame.index[::every], column] = None
    return frame.set_index(pd.Index(range(rows, 0, -1)))  # what the index is must not matter


def dates() -> pd.DataFrame:
    random = np.random.default_rng(2)
    start = pd.Timestamp("2022-01-01")
    return pd.DataFrame(
        {
            "zone": (start + pd.to_timedelta(random.integers(0, 10**6, 80), unit="s")).tz_localize("UTC"),
            "day": start + pd.to_timedelta(random.integers(0, 40, 80), unit="D"),
            "fine": start + pd.to_timedelta(random.integers(0, 10**15, 80), unit="ns"),
        }
    )


def wide() -> pd.DataFrame:
    """300 columns of 60 rows."""
    random = np.random.default_rng(3)
    columns = {f"n{place}": random.normal(size=60) for place in range(150)}
    columns |= {f"c{place}": random.choice(["a", "b", "c"], 60) for place in range(150)}
    return pd.DataFrame(columns)


def many_labels() -> pd.DataFrame:
    random = np.random.default_rng(4)
    return pd.DataFrame(
        {"many": [f"v{value}" for value in random.zipf(1.3, 400) % 350], "few": random.choice(["x", "y"], 400)}
    )


def with_text() -> pd.DataFrame:
    words = ["storm", "calm", "sun", "the", "sea", "was", "and", "grey", "blue", "today", "we", "saw", "nothing"]
    random = np.random.default_rng(6)
    said = [" ".join(random.choice(words, 9)) + "." for _ in range(90)]
    return mixed()[["label", "amount"]].fillna({"label": "red"}).assign(said=said)


FRAMES: dict[str, tuple[Callable[[], pd.DataFrame], str | None]] = {
    "mixed": (mixed, "flag"),
    "dates": (dates, None),
    "fifty rows": (lambda: mixed(50), "level"),
    "two columns": (lambda: mixed()[["spike", "label"]].fillna({"label": "red"}), "label"),
    "only labels": (lambda: mixed()[["label", "level", "text"]], None),
    "only numbers": (lambda: mixed()[["amount", "count", "spike"]], None),
    "identifiers and constants": (lambda: mixed()[["number", "code", "constant", "empty"]], None),
    "nothing to model": (lambda: mixed()[["code", "constant", "empty"]], None),
    "many labels": (many_labels, "few"),
    "one label column": (lambda: mixed()[["flag"]], "flag"),
    "free text": (with_text, "label"),
}


@cache
def checks_of(name: str) -> dict[str, Callable[[], None]]:
    frame, target = FRAMES[name]
    return dict(synthesizer_checks(lambda: TableGAN(**QUICK), frame(), target=target))


NAMES = [name for name, _ in synthesizer_checks(TableGAN, pd.DataFrame())]


@pytest.mark.filterwarnings("ignore:free text is not modelled:UserWarning")
@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("name", FRAMES)
def test_every_kind_of_table(name: str, check: str) -> None:
    checks_of(name)[check]()


@pytest.mark.filterwarnings("ignore:free text is not modelled:UserWarning")
def test_a_schema_decides_and_not_what_would_be_inferred() -> None:
    frame = with_text()
    schema = Schema.infer(
        frame, target="label", overrides={"said": {"type": "categorical"}, "amount": {"type": "text"}}
    )
    fitted = TableGAN(**QUICK).fit(frame, schema=schema)
    assert list(fitted.sample(5)) == ["label", "said"]
    check_synthesizer(lambda: TableGAN(**QUICK), frame, schema, target="label")


# A fit that its time budget cuts short is not the same twice.
CUT_SHORT = [name for name in NAMES if name not in ("same fit again", "leaves the table alone")]


@cache
def checks_of_wide() -> dict[str, Callable[[], None]]:
    settings = {**QUICK, "time_budget": "4s"}
    return dict(synthesizer_checks(lambda: TableGAN(**settings), wide(), target="c3"))


@pytest.mark.parametrize("check", [name for name in CUT_SHORT if name != "conditions hold"])
def test_more_columns_than_rows(check: str) -> None:
    checks_of_wide()[check]()


def test_conditions_with_more_columns_than_rows() -> None:
    fitted = TableGAN(**{**QUICK, "time_budget": "4s"}).fit(wide())
    rows = fitted.sample(20, where={"n7": (0.5, None), "c3": ["a", "b"], "c9": "c"}, random_state=0)
    assert len(rows) == 20
    assert (rows["n7"] >= 0.5).all()
    assert rows["c3"].isin(["a", "b"]).all()
    assert (rows["c9"] == "c").all()


def related(rows: int = 400) -> pd.DataFrame:
    """Small, and with enough rows for a critic and for refinement."""
    random = np.random.default_rng(5)
    x = random.normal(size=rows)
    y = np.where(random.random(rows) < 0.05, np.nan, np.round(x**2 + 0.2 * random.normal(size=rows), 2))
    return pd.DataFrame(
        {"x": x, "y": y, "sign": np.where(x > 0, "plus", "minus"), "rare": np.where(x > 2.2, "yes", "no")}
    )


# without a budget: on a machine that does other things beside, it would end a fit elsewhere the second time
WAYS = {
    "refined": {"adversary": "off", "n_codes": 8, "time_budget": None},
    "raw": {"adversary": "off", "n_codes": 8, "refine": False},
    "chosen codes": {"adversary": "off", "n_codes": "auto", "refine": False},
    "critic": {"adversary": "auto", "n_codes": 8, "refine": False, "time_budget": "4s"},
}


@cache
def checks_of_way(way: str) -> dict[str, Callable[[], None]]:
    settings = {"random_state": 0, "verbose": False, **WAYS[way]}
    return dict(synthesizer_checks(lambda: TableGAN(**settings), related(), target="rare"))


@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_fit(way: str, check: str) -> None:
    checks_of_way(way)[check]()


def test_refinement_was_among_the_ways() -> None:
    fitted = TableGAN(random_state=0, verbose=False, **WAYS["refined"]).fit(related())
    assert fitted.report_["two_sample_auc_refined"] > 0
    assert (
        not TableGAN(random_state=0, verbose=False, **WAYS["raw"]).fit(related()).report_.get("two_sample_auc_refined")
    )


@cache
def checks_of_network(loss: str) -> dict[str, Callable[[], None]]:
    settings = {"generator": "network", "loss": loss, "random_state": 0, "verbose": False, "time_budget": "1s"}
    return dict(synthesizer_checks(lambda: TableGAN(**settings), related(200), target="rare"))


@pytest.mark.parametrize("check", CUT_SHORT)
@pytest.mark.parametrize("loss", ["relativistic", "wgan-gp", "wgan", "vanilla"])
def test_the_classical_network_with_every_loss(loss: str, check: str) -> None:
    checks_of_network(loss)[check]()


@cache
def checks_under_a_budget(engine: str) -> dict[str, Callable[[], None]]:
    frame = mixed(300) if engine == "anchor" else related(300)
    # what a person would write down from public knowledge, taken from the table for the test's sake
    schema = dataclasses.replace(Schema.infer(frame), domain="declared", records=1_000)
    settings = {
        "privacy": PrivacyBudget(50.0, 1e-5), "privacy_engine": engine, "reproducible_noise": 1, "n_codes": 8,
        "random_state": 0, "verbose": False, "time_budget": None,
    }  # fmt: skip
    target = "label" if engine == "anchor" else "rare"
    return dict(synthesizer_checks(lambda: TableGAN(**settings), frame, schema, target=target))


@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("engine", ["anchor", "dp-sgd", "hybrid"])
def test_every_engine_under_a_budget(engine: str, check: str) -> None:
    checks_under_a_budget(engine)[check]()
