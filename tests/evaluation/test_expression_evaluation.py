"""Laws of every score of gene expression, on cells whose quality is known, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from simulated_cells import simulated_cells

from synthkit.errors import DataError, InputError
from synthkit.evaluation.expression.camda import CAMDA
from synthkit.evaluation.expression.evaluate import evaluate_expression
from synthkit.evaluation.expression.metrics import METRICS, NEEDED, QUESTIONS
from synthkit.evaluation.expression.permuted import permuted_within
from synthkit.evaluation.expression.records import ExpressionEvaluation
from synthkit.evaluation.expression.suite import SUITES, ExpressionSuite, load_expression_suite
from synthkit.io.expression_set import ExpressionSet

REAL, HELD_OUT, FRESH = simulated_cells(0), simulated_cells(1), simulated_cells(2)
EVERYTHING = {"label": "type", "batch": "batch"}


def judged(synthetic: ExpressionSet, *, real: ExpressionSet = REAL, **options: Any) -> ExpressionEvaluation:
    return evaluate_expression(real, synthetic, HELD_OUT, **({"suite": "quick"} | EVERYTHING | options))


def only(*names: str) -> ExpressionSuite:
    return ExpressionSuite(name="only", metrics=names)


def permuted(cells: ExpressionSet) -> ExpressionSet:
    codes = pd.factorize(cells.cells["type"])[0]
    return permuted_within(cells, codes, np.random.default_rng(0))


def values_of(evaluation: ExpressionEvaluation) -> dict[str, float]:
    return {name: score.value for name, score in evaluation.scores.items()}


@pytest.fixture(scope="module")
def fresh() -> ExpressionEvaluation:
    """Cells from the same source: as good as can be."""
    return judged(FRESH, suite="standard")


@pytest.fixture(scope="module")
def broken() -> ExpressionEvaluation:
    """Cells with perfect margins by type, and no relation between genes."""
    return judged(permuted(FRESH), suite="quick")


@pytest.mark.parametrize("name", METRICS)
class TestEveryScore:
    def test_says_what_it_is(self, name: str) -> None:
        metric = METRICS[name]
        for field in ("title", "source", "meaning", "reading", "lies", "good", "rows"):
            text = getattr(metric, field)
            assert text
            assert text == text.strip()
        assert all(getattr(metric, field).endswith(".") for field in ("meaning", "reading", "lies", "good"))
        assert set(metric.needs) <= set(NEEDED)
        assert metric.theme in QUESTIONS

    def test_keeps_its_bounds(self, name: str, fresh: ExpressionEvaluation, broken: ExpressionEvaluation) -> None:
        low, high = METRICS[name].bounds
        for score in (evaluation.scores[name] for evaluation in (fresh, broken) if name in evaluation.scores):
            assert low <= score.low <= score.value <= score.high <= high
            assert score.direction == METRICS[name].direction
            assert score.n > 0
            assert not math.isnan(score.ceiling)
            assert math.isnan(score.floor) == (not METRICS[name].floor)

    def test_of_fresh_cells_lies_near_the_ceiling(self, name: str, fresh: ExpressionEvaluation) -> None:
        score = fresh[name]
        # Twice the interval: the ceiling has one too, which is not printed.
        near = 2 * max(score.high - score.value, score.value - score.low) + 0.02
        assert abs(score.value - score.ceiling) <= near

    def test_has_a_ceiling_no_worse_than_its_floor(self, name: str, fresh: ExpressionEvaluation) -> None:
        score, metric = fresh[name], METRICS[name]
        if not metric.floor or metric.theme not in ("joint", "distribution"):
            return  # permuting keeps the rest as it is
        noise = score.high - score.low
        match metric.direction:
            case "higher":
                assert score.ceiling >= score.floor - noise
            case "lower":
                assert score.ceiling <= score.floor + noise
            case "half":
                assert abs(score.ceiling - 0.5) <= abs(score.floor - 0.5) + noise


class TestKnownCells:
    def test_fresh_ones_pass_every_suite(self, fresh: ExpressionEvaluation) -> None:
        assert fresh.passed
        assert judged(FRESH, suite="quick").passed

    def test_independent_genes_keep_margins_and_lose_relations(self, broken: ExpressionEvaluation) -> None:
        assert broken["gene_mean_r"].value > 0.98
        assert broken["fold_change_r"].value > 0.95
        assert broken["correlation_r_within"].value < 0.3
        assert broken["correlation_r_within"].ceiling > 0.9
        gates = tuple(gate for gate in load_expression_suite("standard").gates if gate.metric == "correlation_r_within")
        relations = ExpressionSuite(name="relations", metrics=("correlation_r_within",), gates=gates)
        assert "correlation_r_within" in {verdict.metric for verdict in judged(permuted(FRESH), suite=relations).failed}

    def test_copies_are_caught(self) -> None:
        found = judged(REAL, suite=only("equal_cells", "nearest_training"))
        assert found["equal_cells"].value == 1.0
        assert found["equal_cells"].ceiling == 0.0
        assert found["nearest_training"].value == 0.0
        assert found["nearest_training"].details["share of cells nearer to training"] == 1.0
        assert {verdict.metric for verdict in judged(REAL).failed} >= {"equal_cells"}

    def test_faded_types_are_seen_in_the_slope(self) -> None:
        logs = simulated_cells(2, measure="log")
        real, held_out = simulated_cells(0, measure="log"), simulated_cells(1, measure="log")
        faded = dataclasses.replace(logs, values=(logs.values + logs.values.mean(axis=0)) / 2)
        found = evaluate_expression(real, faded, held_out, label="type", suite=only("fold_change_slope_error"))
        assert found["fold_change_slope_error"].details["slope"] == pytest.approx(0.5, abs=0.08)
        assert "half" not in found.to_text()

    def test_collapsed_cells_have_no_recall(self) -> None:
        places = np.random.default_rng(0).choice(np.arange(10), 240)
        found = judged(FRESH.take(places), suite=only("recall"))
        assert found["recall"].value < 0.2 * found["recall"].ceiling

    def test_smoothed_counts_are_told(self) -> None:
        smooth = dataclasses.replace(FRESH, values=np.round(FRESH.dense() * 0.5 + FRESH.dense().mean(axis=0) * 0.5))
        found = judged(smooth, suite=only("auc_boosted_components", "zero_share_error"))
        assert found["auc_boosted_components"].value > 0.9
        assert found["zero_share_error"].low > found["zero_share_error"].ceiling


class TestSameCells:
    def test_in_another_order_give_the_same_scores(self) -> None:
        order = np.random.default_rng(0).permutation(len(FRESH))
        suite = load_expression_suite("quick")
        known = judged(FRESH, suite=suite)
        sets = [cells.take(order) for cells in (REAL, FRESH, HELD_OUT)]
        found = evaluate_expression(*sets, suite=suite, **EVERYTHING)
        assert values_of(found) == values_of(known)

    def test_stored_densely_give_the_same_scores(self) -> None:
        dense = [dataclasses.replace(cells, values=cells.dense()) for cells in (REAL, FRESH, HELD_OUT)]
        found = evaluate_expression(*dense, suite="quick", **EVERYTHING)
        assert values_of(found) == pytest.approx(values_of(judged(FRESH)), abs=1e-5)

    def test_and_seed_give_the_same_text_and_another_seed_another(self) -> None:
        suite = only("auc_forest_quality", "tstr_linear_f1", "precision")
        texts = [judged(FRESH, suite=suite, seed=seed).to_json() for seed in (0, 0, 1)]
        assert texts[0] == texts[1]
        assert texts[0] != texts[2]

    def test_with_genes_in_another_order_give_the_same_scores(self) -> None:
        found = judged(FRESH.of_genes(np.arange(60)[::-1]))
        assert values_of(found) == values_of(judged(FRESH))


class TestWhatIsGiven:
    def test_without_columns_scores_that_need_them_are_left_out(self) -> None:
        found = judged(FRESH, label=None, batch=None, suite="quick")
        assert set(found.left_out.values()) == {"label"}
        assert found.types == {}
        assert {verdict.status for verdict in found.verdicts if verdict.metric == "fold_change_slope_error"} == {
            "not applicable"
        }

    @pytest.mark.parametrize("measure", ["log", "intensities", "rates"])
    def test_other_measures_are_judged_too(self, measure: str) -> None:
        made = "intensities" if measure == "intensities" else "log"
        sets = [simulated_cells(seed, measure=made) for seed in (0, 2, 1)]
        sets = [dataclasses.replace(cells, measure=measure) for cells in sets]  # type: ignore[arg-type]
        found = evaluate_expression(*sets, label="type", suite="quick")
        assert found.passed
        assert all(score.applies for score in found.scores.values() if score.note == "")

    def test_a_fifth_is_held_out_of_whole_donors(self) -> None:
        cells = simulated_cells(0, 400, donors=10)
        found = evaluate_expression(cells, FRESH, donor="donor", suite=only("mmd"))
        assert found.cells["real"] + found.cells["held-out"] == 400
        assert found.cells["held-out"] == cells.cells["donor"].isin(_held_out_donors(cells, found)).sum()
        assert any("split off" in note for note in found.notes)

    def test_genes_that_are_not_common_are_told(self) -> None:
        found = judged(FRESH.of_genes(np.arange(40)), suite=only("gene_mean_r"))
        assert found.form["genes"] == 40
        assert any("40 genes" in note for note in found.notes)

    def test_a_type_with_few_cells_is_no_error(self) -> None:
        few = FRESH.take(FRESH.cells["type"] != "c")
        found = judged(few, suite=only("tstr_linear_f1", "marker_overlap", "type_share_error"))
        assert any("no synthetic cell of 'c'" in note for note in found.notes)
        assert found.types["c"]["synthetic cells"] == 0
        one = judged(FRESH.take(FRESH.cells["type"] == "a"), suite=only("tstr_f1", "marker_overlap"))
        assert not one["marker_overlap"].applies
        assert one["marker_overlap"].note

    def test_cells_without_any_count_are_no_error(self) -> None:
        empty = FRESH.dense().copy()
        empty[:30] = 0
        assert judged(dataclasses.replace(FRESH, values=sparse.csr_matrix(empty))).scores


class TestRefusals:
    @pytest.mark.parametrize(
        ("synthetic", "options", "said"),
        [
            (FRESH.take(slice(0, 5)), {}, "there are 5 synthetic cells"),
            (dataclasses.replace(FRESH, measure="rates"), {}, "the values of the synthetic cells are rates"),
            (dataclasses.replace(FRESH, values=FRESH.values * np.nan), {}, "no finite number"),
            (dataclasses.replace(FRESH, values=-FRESH.values), {}, "counts below 0"),
            (FRESH, {"label": "tipe"}, "did you mean 'type'"),
            (FRESH, {"suite": "standart"}, "standart"),
            (FRESH, {"most_genes": 1}, "most_genes is 1"),
            (dataclasses.replace(FRESH, cells=FRESH.cells.assign(type="d")), {}, "unknown type 'd'"),
            (dataclasses.replace(FRESH, genes=FRESH.genes.rename(index=lambda name: name + "x")), {}, "0 genes"),
        ],
    )
    def test_say_what_is_wrong(self, synthetic: ExpressionSet, options: dict[str, Any], said: str) -> None:
        with pytest.raises((InputError, DataError), match=said):
            judged(synthetic, **options)


class TestForms:
    def test_json_holds_everything_but_pictures(self, fresh: ExpressionEvaluation) -> None:
        content = json.loads(fresh.to_json())
        assert content["format"] == "synthkit-expression-evaluation"
        assert set(content["scores"]) == set(METRICS)
        assert content["camda"]["coexpression_recall"]["score"] == "edge_recall"
        assert content["types"]["a"]["real cells"] == (REAL.cells["type"] == "a").sum()

    def test_names_of_the_challenge_are_those_of_scores(self, fresh: ExpressionEvaluation) -> None:
        assert {column.score for column in CAMDA.values()} <= set(METRICS)
        found = fresh.to_camda()
        assert set(found) == set(CAMDA)
        assert found["f1_relative"]["value"] == pytest.approx(
            found["f1_synthetic"]["value"] / found["f1_real"]["value"]
        )

    def test_text_tells_controls_verdict_and_notes(self, fresh: ExpressionEvaluation) -> None:
        text = fresh.to_text(width=100)
        assert max(map(len, text.splitlines())) <= 100
        for said in ("independent", "real\ncells"[:4], "Suite 'standard'", "Type by type", "marker genes in common"):
            assert said in text
        assert "gates met" in repr(fresh)
        assert "<table" in fresh._repr_html_()

    @pytest.mark.parametrize("name", SUITES)
    def test_suites_name_known_scores(self, name: str) -> None:
        suite = load_expression_suite(name)
        assert suite.name == name
        assert {gate.metric for gate in suite.gates} <= set(suite.metrics or METRICS)


def _held_out_donors(cells: ExpressionSet, found: ExpressionEvaluation) -> set[str]:
    """Return the only two donors whose cells add up to what was held out."""
    counts = cells.cells["donor"].value_counts()
    names = list(counts.index)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            if counts[first] + counts[second] == found.cells["held-out"]:
                return {first, second}
    return set()
