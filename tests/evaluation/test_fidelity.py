"""Shape and trend against definitions written with pandas, slowly and plainly."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.fidelity import shape_errors, shape_score, trend_score
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def make(seed: int, rows: int) -> pd.DataFrame:
    """A table of numbers with ties and gaps, labels with gaps, and flags."""
    random = np.random.default_rng(seed)
    size = np.round(random.normal(size=rows), 1)
    frame = pd.DataFrame(
        {
            "size": np.where(random.random(rows) < 0.1, np.nan, size),
            "weight": np.round(2 * size + random.normal(size=rows), 2),
            "count": random.poisson(2, rows),
            "town": random.choice(["Bern", "Basel", "Thun", "Chur"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "flag": random.random(rows) < 0.3,
        }
    )
    return frame.assign(town=frame["town"].mask(random.random(rows) < 0.1))


def slow_shape(real: pd.Series, synthetic: pd.Series, number: bool) -> float:
    if number:
        first, second = real.dropna(), synthetic.dropna()
        return max(abs((first <= value).mean() - (second <= value).mean()) for value in {*first, *second})
    labels = {*real.astype(str), *synthetic.astype(str)}
    shares = ((table.astype(str) == label).mean() for label in labels for table in (real, synthetic))
    return sum(abs(next(shares) - next(shares)) for _ in labels) / 2


def slow_trend(real: pd.DataFrame, synthetic: pd.DataFrame, numbers: tuple[str, ...]) -> float:
    errors = []
    binned = real.copy(), synthetic.copy()
    for name in numbers:
        edges = np.unique(np.quantile(real[name].dropna(), np.linspace(0, 1, 11)))[1:-1]
        for table, source in zip(binned, (real, synthetic), strict=True):
            table[name] = np.digitize(source[name], edges)
    for first, second in combinations(real.columns, 2):
        if first in numbers and second in numbers:
            pair = [table[first].corr(table[second]) for table in (real, synthetic)]
            errors.append(abs(pair[0] - pair[1]) / 2)
        else:
            shares = [
                (table[first].astype(str) + "|" + table[second].astype(str)).value_counts(normalize=True)
                for table in binned
            ]
            errors.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    return float(np.mean(errors))


@pytest.mark.parametrize("seed", range(3))
def test_shape_is_what_it_says(seed: int) -> None:
    real, synthetic = make(seed, 120), make(seed + 100, 90)
    view = TableView(real)
    found = shape_errors(view, view.code(real), view.code(synthetic))
    expected = {name: slow_shape(real[name], synthetic[name], name in view.numeric) for name in real}
    assert found == pytest.approx(expected)
    score = shape_score(view, view.code(real), view.code(synthetic), scoring_generator(0))
    assert score.value == pytest.approx(np.mean(list(expected.values())))
    assert score.low <= score.value <= score.high


@pytest.mark.parametrize("seed", range(3))
def test_trend_is_what_it_says(seed: int) -> None:
    real, synthetic = make(seed, 120), make(seed + 100, 90)
    view = TableView(real)
    score = trend_score(view, view.code(real), view.code(synthetic), scoring_generator(0))
    assert score.value == pytest.approx(slow_trend(real, synthetic, view.numeric))
    assert score.low <= score.value <= score.high


def test_large_tables_of_cells_are_counted_without_a_dense_table() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (
        pd.DataFrame({name: [f"label {code}" for code in random.integers(0, 80, 60)] for name in "ab"})
        for _ in range(2)
    )
    view = TableView(real)
    score = trend_score(view, view.code(real), view.code(synthetic), scoring_generator(0))
    assert score.value == pytest.approx(slow_trend(real, synthetic, ()))


def test_sdmetrics_agrees_on_shape() -> None:
    from sdmetrics.single_column import KSComplement, TVComplement

    real, synthetic = make(1, 200), make(2, 150)
    view = TableView(real)
    found = shape_errors(view, view.code(real), view.code(synthetic))
    for name in ("weight", "count", "size"):
        assert found[name] == pytest.approx(1 - KSComplement.compute(real[name].dropna(), synthetic[name].dropna()))
    for name in ("flag",):
        assert found[name] == pytest.approx(1 - TVComplement.compute(real[name], synthetic[name]))


@given(seed=st.integers(0, 50), rows=st.integers(10, 60))
def test_a_table_does_not_differ_from_itself_in_any_order(seed: int, rows: int) -> None:
    real = make(seed, rows)
    view = TableView(real)
    coded, shuffled = view.code(real), view.code(real.sample(frac=1, random_state=seed))
    assert set(shape_errors(view, coded, shuffled).values()) == {0}
    assert trend_score(view, coded, shuffled, scoring_generator(0)).value == pytest.approx(0, abs=1e-12)


@given(seed=st.integers(0, 50))
def test_errors_lie_between_none_and_one(seed: int) -> None:
    real, synthetic = make(seed, 30), make(seed + 1, 20)
    synthetic = synthetic.assign(size=np.nan, town="Zug")
    view = TableView(real)
    errors = shape_errors(view, view.code(real), view.code(synthetic))
    assert all(0 <= error <= 1 for error in errors.values())
    assert errors["size"] == errors["town"] == 1
    assert 0 <= trend_score(view, view.code(real), view.code(synthetic), scoring_generator(0)).value <= 1


def test_a_single_column_has_no_pairs() -> None:
    frame = pd.DataFrame({"town": ["Bern", "Basel"] * 10})
    view = TableView(frame)
    score = trend_score(view, view.code(frame), view.code(frame), scoring_generator(0))
    assert not score.applies
    assert score.note
