"""Patterns of missing values against counting with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.missingness import METRICS, missing_patterns, missing_score
from synthkit.evaluation.reading import Options, read_case
from synthkit.random import scoring_generator


def make(seed: int, rows: int, share: float = 0.2) -> pd.DataFrame:
    """Numbers, dates and labels; the first two are missing together, the third on its own, the last never."""
    random = np.random.default_rng(seed)
    together, alone = random.random(rows) < share, random.random(rows) < share
    frame = pd.DataFrame(
        {
            "size": random.normal(size=rows),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, rows), unit="D"),
            "town": random.choice(["Bern", "Basel"], rows),
            "count": random.integers(0, 9, rows),
        }
    )
    return frame.assign(
        size=frame["size"].mask(together), since=frame["since"].mask(together), town=frame["town"].mask(alone)
    )


def slow(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    shares = [frame.isna().apply(tuple, axis=1).value_counts(normalize=True).to_dict() for frame in (real, synthetic)]
    return sum(abs(shares[0].get(key, 0) - shares[1].get(key, 0)) for key in {**shares[0], **shares[1]}) / 2


@given(seed=st.integers(0, 1000), real=st.integers(10, 60), synthetic=st.integers(10, 60))
def test_the_distance_is_half_the_difference_of_shares_of_patterns(seed: int, real: int, synthetic: int) -> None:
    first, second = make(seed, real), make(seed + 1, synthetic, share=0.4)
    score = missing_score(first, second, scoring_generator(0))
    if not score.applies:
        assert not first.isna().any(axis=None)
        assert not second.isna().any(axis=None)
        return
    assert score.value == pytest.approx(slow(first, second))
    assert 0 <= score.low <= score.value <= score.high <= 1


@given(seed=st.integers(0, 1000), columns=st.integers(1, 150))
def test_rows_have_the_same_pattern_where_the_same_cells_are_missing(seed: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    missing = (random.random((12, columns)) < 0.5)[random.integers(0, 12, 40)]
    missing[5, columns - 1] ^= True
    found = missing_patterns(missing)
    expected = np.unique(missing, axis=0, return_inverse=True)[1]
    assert ((found[:, None] == found) == (expected[:, None] == expected)).all()
    assert set(found) == set(range(found.max() + 1))


def test_independent_gaps_are_found_though_every_column_has_the_right_share() -> None:
    case, _ = read_case(make(0, 2000), make(1, 2000), make(2, 1000), Options())
    score = METRICS[0].score(case)
    assert score.ceiling < 0.06
    assert score.value < 0.06
    assert score.floor > 0.2


def test_columns_and_patterns_that_differ_most_come_first() -> None:
    real = make(0, 300)
    score = missing_score(real, real.assign(count=np.nan), scoring_generator(0))
    columns = score.details["columns"]
    assert next(iter(columns)) == "count"
    assert columns["count"] == [0, 1]
    assert columns["town"] == [pytest.approx(real["town"].isna().mean())] * 2
    assert score.value == 1
    worst = score.details["patterns"][0]
    full = real.notna().all(axis=1).mean()
    assert worst in ([[], pytest.approx(full), 0], [["count"], 0, pytest.approx(full)])


def test_gaps_in_one_table_only_are_counted_and_none_at_all_is_not_applicable() -> None:
    filled = make(0, 100, share=0)
    assert missing_score(filled, make(1, 100), scoring_generator(0)).value > 0.2
    assert missing_score(make(1, 100), filled, scoring_generator(0)).value > 0.2
    score = missing_score(filled, filled, scoring_generator(0))
    assert not score.applies
    assert score.note


def test_a_cell_that_cannot_be_read_is_missing() -> None:
    real, synthetic = make(0, 100, share=0), make(1, 100, share=0)
    broken = synthetic["size"].astype(object)
    broken[:5] = "unknown"
    case, _ = read_case(real, synthetic.assign(size=broken), make(2, 50), Options())
    assert METRICS[0].compute(case).details["columns"] == {"size": [0, 0.05]}


def test_the_interval_covers_the_mean_over_tables_from_the_same_sources() -> None:
    scores = [missing_score(make(seed, 150), make(seed + 1000, 200, 0.3), scoring_generator(0)) for seed in range(80)]
    mean = np.mean([score.value for score in scores])
    assert np.mean([score.low <= mean <= score.high for score in scores]) >= 0.88
