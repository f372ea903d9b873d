"""What notebooks show: hostile names stay text, one line is one line, and a browser has nothing to complain about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chromium import look
from markup import read
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import synthkit
from synthkit import PrivacyBudget, Schema, TableGAN
from synthkit.evaluation import Comparison, Evaluation
from synthkit.schema_constraints import Range, Unique
from synthkit.tables.outlook import outlook
from synthkit.tables.plan import FitPlan
from synthkit.tables.private import plan_for

HOSTILE = "<script>alert(1)</script>"
VALUE = "\"><img src=x onerror='alert(2)'>"
QUICK = {"n_codes": 8, "refine": False, "adversary": "off", "random_state": 0, "verbose": False, "time_budget": None}
FORBIDDEN = re.compile(r"\b(safe|safely|anonymous|anonymi[sz]ed|compliant)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": random.integers(18, 80, 280),
            HOSTILE: random.choice([VALUE, "b & c", "d"], 280),
            "weight": np.round(random.normal(70, 9, 280), 1),
        }
    )


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> TableGAN:
    return TableGAN(**QUICK).fit(frame.head(160), target=HOSTILE)  # type: ignore[arg-type]


class Shown(dict[str, Any]):
    """What is shown, each thing made when it is first asked for."""

    def __init__(self, frame: pd.DataFrame, model: TableGAN) -> None:
        train, test, rows = frame.head(160), frame.tail(120), model.sample(150, random_state=1)
        declared = Schema(model.schema_.columns, domain="declared", records=10_000)
        quick: dict[str, Any] = {"test": test, "target": HOSTILE, "suite": "quick"}
        asked: dict[str, Any] = {"holdout": test, "sensitive": [HOSTILE], "policy": "public-release"}
        self._makers: dict[str, Callable[[], Any]] = {
            "unfitted": lambda: TableGAN(log=VALUE, refine=False),
            "fitted": lambda: model,
            "schema": lambda: model.schema_,
            "evaluation": lambda: synthkit.evaluate(train, rows, **quick),
            "copies": lambda: synthkit.evaluate(train, train.head(150), **quick),
            "comparison": lambda: synthkit.compare(train, {HOSTILE: rows, "copies": train}, **quick),
            "audit": lambda: synthkit.audit(train, rows, **asked),
            "findings": lambda: synthkit.audit(train, train.head(150), holdout=test),
            "plan": lambda: plan_for(declared, PrivacyBudget(1.0, 1e-6)),
            "outlook": lambda: outlook(declared, self["plan"]),
            "fit plan": lambda: FitPlan(refine=False, device=VALUE),
            "scores": lambda: model.anomaly_scores(test),
            "balanced": lambda: synthkit.balance_table(train, HOSTILE, model=model, smallest=10, random_state=0),
            "experiment": lambda: synthkit.augment(
                train, HOSTILE, repeats=2, models=["linear"], treatments=["weights"], random_state=0
            ),
        }

    def __missing__(self, name: str) -> Any:
        return self.setdefault(name, self._makers[name]())


@pytest.fixture(scope="module")
def shown(frame: pd.DataFrame, model: TableGAN) -> Shown:
    return Shown(frame, model)


NAMES = (
    *("unfitted", "fitted", "schema", "evaluation", "copies", "comparison"),
    *("audit", "findings", "plan", "outlook", "fit plan", "scores", "balanced", "experiment"),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_and_values_stay_text_and_one_line_is_one_line(shown: Shown, name: str) -> None:
    markup = shown[name]._repr_html_()
    reader = read(markup)
    assert "alert(1)</" not in markup
    assert VALUE not in markup
    assert not FORBIDDEN.search(reader.text)
    assert len(markup) < 100_000
    if name not in ("plan", "findings", "copies", "unfitted"):
        assert (HOSTILE if name != "fit plan" else repr(VALUE)) in reader.text
    line = repr(shown[name])
    assert "\n" not in line or name in ("unfitted", "fitted")  # scikit-learn breaks long lines
    assert len(line) < 400 or name == "plan"


def test_a_model_tells_its_figures_and_its_settings(model: TableGAN) -> None:
    text = read(model._repr_html_()).text
    assert text.startswith("TableGAN, fitted to 160 rows of 3 columns")
    assert f"target {HOSTILE}" in text
    assert f"{model.report_['held_out_log_likelihood']:.4g} nats a row" in text
    for name in model.get_params():
        assert f" {name} " in text
    assert "n_codes 8 usually 'auto'" in text
    assert read(TableGAN()._repr_html_()).text.startswith("TableGAN, not fitted yet All settings are the usual ones.")


def test_a_model_stays_an_estimator(model: TableGAN) -> None:
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert repr(copy) == repr(model)
    assert read(copy._repr_html_()).text.startswith("TableGAN, not fitted yet")
    assert model._repr_mimebundle_()["text/html"] == model._repr_html_()
    pipeline = Pipeline([("as it is", FunctionTransformer()), ("model", model)])
    diagram = pipeline._repr_html_()
    assert "TableGAN" in diagram
    assert "alert(1)</" not in diagram


def test_noise_from_a_seed_is_told(model: TableGAN) -> None:
    private = clone(model).set_params(privacy=PrivacyBudget(1.0, 1e-6), reproducible_noise=1)
    private._fitted = model._fitted
    text = read(private._repr_html_()).text
    assert "fitted to about 160 rows" in text
    assert "✗ NOT PRIVATE: its noise comes from a seed, for tests." in text
    assert "epsilon 1, delta 1e-06, unit row" in text


def test_an_interrupted_fit_is_told(model: TableGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model.report_, "interrupted", True)
    assert "✗ The fit was interrupted" in read(model._repr_html_()).text


def test_every_score_gate_and_sentence_of_an_evaluation_is_there(shown: Shown) -> None:
    for name in ("evaluation", "copies"):
        found: Evaluation = shown[name]
        text = read(found._repr_html_()).text
        for verdict in found.verdicts:
            assert " ".join(verdict.sentence.split()) in text
        assert f"{len(found.scores)} scores" in text
        assert f"✗ suite 'quick': {len(found.failed)} of 3 gates not met" in text or not found.failed
        assert "✓ suite 'quick': all of 3 gates met, or not applicable" in text or found.failed
    assert shown["copies"].failed
    without = synthkit.evaluation.Evaluation({}, {}, {"real": 1, "held-out": 0, "synthetic": 1}, None, 0)
    assert "without a verdict" in read(without._repr_html_()).text


def test_a_comparison_has_a_column_for_each_table(shown: Shown) -> None:
    found: Comparison = shown["comparison"]
    text = read(found._repr_html_()).text
    assert f"score real rows {HOSTILE} copies independent columns" in text
    assert all(" ".join(line.split()) in text for line in found.summary())


def test_an_audit_tells_every_attack_and_gate_and_shows_no_record(shown: Shown) -> None:
    found = shown["audit"]
    text = read(found._repr_html_()).text
    for verdict in found.verdicts:
        assert f"{verdict.status} {verdict.gate} {verdict.sentence}" in text
    for risk in shown["findings"].disclosures:
        assert "✗ DISCLOSURE" in read(shown["findings"]._repr_html_()).text, risk.name
    assert shown["findings"].disclosures
    assert "✓ none found" not in text
    assert found.exposure is not None
    record = {"score": 0.9, "age": 71, HOSTILE: "Ada Lovelace"}
    asked = replace(found, exposure=replace(found.exposure, records=(record,)))
    assert read(asked._repr_html_()).text == text


def test_a_schema_names_constraints_roles_and_declared_domains(frame: pd.DataFrame) -> None:
    schema = Schema.infer(frame, target="age")
    text = read(schema._repr_html_()).text
    assert text.startswith("Schema of 3 columns column type values role why age integer")
    assert repr(schema) == f"Schema(3 columns: age, {HOSTILE}, weight; target 'age')"
    ruled = schema.with_constraints(Range(column="age", minimum=18), Unique(columns=("age", "weight")))
    shown = read(ruled._repr_html_()).text
    assert "2 constraints that every row satisfies" in shown
    assert all(rule.describe() in shown for rule in ruled.constraints)
    assert repr(ruled).endswith("target 'age'; 2 constraints)")
    wide = Schema.infer(pd.DataFrame({f"c{i}": [1, 2, 3] for i in range(100)}))
    assert repr(wide) == "Schema(100 columns: c0, c1, c2, c3, ...)"
    assert "and 40 more" in read(wide._repr_html_()).text


def test_scores_tell_the_most_unusual_rows_first(shown: Shown) -> None:
    scores = shown["scores"]
    first = int(scores.total.argmax())
    text = read(scores._repr_html_()).text
    assert text.startswith(
        "The 10 most unusual of 120 rows row score synthetic rows because of "
        f"{first} {scores.total[first]:.2f} {scores.rarity(first)} {scores.explain(first)[0].column}"
    )
    nothing = replace(scores, total=scores.total[:0], one_in=scores.one_in[:0])
    assert read(nothing._repr_html_()).text.startswith("Anomaly scores of no row")
    assert repr(nothing).startswith("AnomalyScores(0 rows;")


def test_a_balanced_table_tells_every_group(shown: Shown) -> None:
    balanced = shown["balanced"]
    text = read(balanced._repr_html_()).text
    assert text.startswith(f"Balanced table: 160 real and {len(balanced.frame) - 160} synthetic rows {HOSTILE} real")
    for group in balanced.report["groups"]:
        assert f"{group['name']} {group['rows']} {group['added']} {group['source']}" in text
        assert (f"{group['unlike']} unlike their class" in text) or not group["unlike"]


PROBE = """<script>addEventListener("load", () => {
  document.documentElement.dataset.seen = JSON.stringify({
    needed: document.documentElement.scrollWidth,
    tables: document.querySelectorAll("table").length,
    loaded: performance.getEntriesByType("resource").length
  });
});</script>"""


def test_a_browser_shows_all_of_them_in_a_narrow_notebook(shown: Shown, tmp_path: Path) -> None:
    pages = "<hr>".join(shown[name]._repr_html_().replace("<details>", "<details open>") for name in NAMES)
    place = tmp_path / "notebook.html"
    place.write_text(f"<!DOCTYPE html><meta charset=utf-8><title>all</title>{PROBE}{pages}", encoding="utf-8")
    seen, written = look(place, tmp_path / "profile", "--window-size=900,3000", "--virtual-time-budget=5000")
    assert written == []
    assert seen["needed"] <= 900
    assert seen["tables"] > len(NAMES)
    assert seen["loaded"] == 0
