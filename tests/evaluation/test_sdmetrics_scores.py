"""The scores of SDMetrics' reports against SDMetrics itself."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.evaluation import sdmetrics_scores, validity
from synthkit.evaluation.case import Case, Limits
from synthkit.evaluation.intervals import jackknife_interval
from synthkit.evaluation.learned import selection_half_width
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score

METRICS = {metric.name: metric for metric in (*sdmetrics_scores.METRICS, *validity.METRICS)}
NAMES = ("column_shapes", "column_pair_trends", "column_pair_trends_all", "data_validity", "data_structure")


def make(seed: int, rows: int, *, gaps: bool = True) -> pd.DataFrame:
    """Columns of every kind that depend on each other, with and without missing cells."""
    random = np.random.default_rng(seed)
    size = random.normal(size=rows)
    missing = random.random((8, rows)) < (0.15 if gaps else 0)
    day = pd.Series(pd.Timestamp("2021-03-01") + pd.to_timedelta(random.integers(0, 400, rows), unit="D"))
    town = pd.Series(np.where(size > 0.5, "Bern", np.where(random.random(rows) < 0.3, "Basel", "Thun")))
    return pd.DataFrame(
        {
            "size": np.where(missing[0], np.nan, size),
            "weight": np.round(2 * size + random.normal(size=rows) / 2, 1),
            "count": random.poisson(3, rows) + (size > 0),
            "score": np.where(missing[1] | (size < -1), np.nan, size**2),
            "day": day.mask(missing[2]),
            "moment": day + pd.to_timedelta(random.integers(0, 86_400, rows), unit="s"),
            "town": town.mask(missing[3]),
            "street": pd.Series([f"street {code}" for code in random.geometric(0.1, rows)]).mask(missing[4]),
            "flag": size + random.normal(size=rows) / 3 > 0,
            "digit": np.where(missing[5], np.nan, random.integers(0, 2, rows)),
            "constant": "same",
            "empty": np.full(rows, np.nan),
        }
    )


def spoil(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Do to a synthetic table what SDMetrics treats in a way of its own."""
    random = np.random.default_rng(seed)
    changes = {
        "constant number": lambda: frame.assign(count=4),
        "no number": lambda: frame.assign(score=np.nan),
        "absent label": lambda: frame.assign(town=frame["town"].replace("Bern", "Basel")),
        "new label": lambda: frame.assign(town=frame["town"].replace("Thun", "Zug")),
        "outlier": lambda: frame.assign(weight=frame["weight"].where(frame.index > 0, 500.0)),
        "new gaps": lambda: frame.assign(weight=frame["weight"].mask(random.random(len(frame)) < 0.2)),
        "filled": lambda: frame.assign(empty=3.0, constant=None),
        "none": lambda: frame,
    }
    return list(changes.values())[seed % len(changes)]()


def case_of(real: pd.DataFrame, synthetic: pd.DataFrame) -> Case:
    return read_case(real, synthetic, real, Options())[0]


def theirs(case: Case, *, thresholds: bool = True) -> dict[str, float]:
    """Return the four properties as SDMetrics computes them on the tables of a case."""
    from sdmetrics.reports import DiagnosticReport, QualityReport

    train, view = case.train.frame, case.view
    kinds = {name: "categorical" for name in view.categorical} | {name: "numerical" for name in view.numeric}
    kinds |= {name: "datetime" for name in view.numeric if pd.api.types.is_datetime64_any_dtype(train[name].dtype)}
    metadata = {"tables": {"table": {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}}}
    found: dict[str, float] = {}
    for report in (QualityReport(), DiagnosticReport()):
        if isinstance(report, QualityReport) and not thresholds:
            report.real_correlation_threshold = report.real_association_threshold = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report.generate({"table": train}, {"table": case.synthetic.frame}, metadata, verbose=False)
            properties = report.get_properties()
        found |= dict(zip(properties["Property"], properties["Score"], strict=True))
    return found


def check(case: Case) -> None:
    expected = theirs(case)
    everything = theirs(case, thresholds=False)
    equal = {
        "column_shapes": expected["Column Shapes"],
        "column_pair_trends": expected["Column Pair Trends"],
        "column_pair_trends_all": everything["Column Pair Trends"],
        "data_validity": expected["Data Validity"],
        "data_structure": expected["Data Structure"],
    }
    for name, value in equal.items():
        assert METRICS[name].compute(case).value == pytest.approx(value, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("seed", range(8))
def test_all_five_equal_sdmetrics(seed: int) -> None:
    check(case_of(make(seed, 130, gaps=seed % 3 > 0), spoil(make(seed + 50, 90, gaps=seed % 2 > 0), seed)))


@settings(max_examples=4)
@given(seed=st.integers(0, 1000), rows=st.integers(10, 40), change=st.integers(0, 7))
def test_small_tables_equal_sdmetrics(seed: int, rows: int, change: int) -> None:
    columns = ["size", "weight", "day", "town", "flag"]
    real, synthetic = make(seed, rows)[columns], make(seed + 1, 25)[columns]
    names = ["town", "weight", "size"]
    synthetic = synthetic.assign(**{names[change % 3]: make(seed + 2, 25)[names[change % 3]].mask(synthetic["flag"])})
    check(case_of(real, synthetic))


def test_a_pair_whose_outlier_lies_where_the_other_is_missing_keeps_its_digits() -> None:
    random = np.random.default_rng(3)
    tables = []
    for _ in range(2):
        x = random.normal(size=80)
        y = x + random.normal(size=80) / 3
        x[0], y[0] = 1e9, np.nan
        tables.append(pd.DataFrame({"x": x, "y": y}))
    check(case_of(tables[0], tables[1]))


def test_the_interval_holds_the_value_and_controls_have_none() -> None:
    case = case_of(make(1, 200), make(2, 150))
    for name in NAMES:
        score = METRICS[name].score(case)
        assert 0 <= score.low <= score.value <= score.high <= 1
        assert not np.isnan(score.ceiling)
        assert not np.isnan(score.floor)


def test_the_worst_column_and_pair_come_first() -> None:
    real = make(1, 300, gaps=False)[["size", "weight", "flag", "town"]]
    synthetic = real.assign(town=np.where(real["town"] == "Bern", "Thun", "Bern"))
    case = case_of(real, synthetic)
    assert next(iter(METRICS["column_shapes"].compute(case).details["columns"])) == "town"
    details = METRICS["column_pair_trends"].compute(case).details
    assert "town" in next(iter(details["pairs"]))
    assert list(details["pairs"].values()) == sorted(details["pairs"].values())


def test_columns_that_are_not_computable_are_named() -> None:
    score = METRICS["column_shapes"].compute(case_of(make(1, 60), make(2, 60)))
    assert score.details["left out"] == ["empty"]


def test_of_more_pairs_than_the_limit_the_same_are_drawn_for_every_case() -> None:
    case = replace(case_of(make(1, 100), make(2, 100)), limits=Limits(pairs=10))
    score = METRICS["column_pair_trends_all"].compute(case)
    assert score.note == "10 of 66 pairs were drawn"
    same = METRICS["column_pair_trends_all"].compute(case.floor())
    assert set(same.details["pairs"]) == set(score.details["pairs"])


def test_where_nothing_is_related_or_paired_a_clause_says_so() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (pd.DataFrame({"x": random.normal(size=50), "y": random.normal(size=50)}) for _ in range(2))
    related = METRICS["column_pair_trends"].compute(case_of(real, synthetic))
    assert not related.applies
    assert "related strongly enough" in related.note
    single = METRICS["column_pair_trends"].compute(case_of(real[["x"]], synthetic[["x"]]))
    assert not single.applies
    assert single.note == "a single column has no pairs"
    empty = pd.DataFrame({"x": np.full(50, np.nan)})
    assert not METRICS["column_shapes"].compute(case_of(empty, empty)).applies


def test_large_tables_of_cells_are_counted_by_their_occupied_cells() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (
        pd.DataFrame({name: [f"label {code}" for code in random.integers(0, 60, 70)] for name in "ab"})
        for _ in range(2)
    )
    check(case_of(real, synthetic))


def test_data_structure_names_the_columns_of_another_type() -> None:
    real = make(1, 40)[["count", "town"]]
    score: Score = METRICS["data_structure"].compute(case_of(real, real.assign(count=real["count"].astype(float))))
    assert score.value == score.low == score.high == pytest.approx(1 / 3)
    assert score.details["columns"] == {"count": "int64 in the real table, float64 in the synthetic one"}


@pytest.mark.parametrize("seed", range(3))
def test_cramers_v_of_every_table_is_that_of_scipy(seed: int) -> None:
    from scipy.stats.contingency import association

    random = np.random.default_rng(seed)
    tables = random.integers(1, 30, (4, 3, 5)) * random.integers(0, 2, (4, 3, 5)) + np.eye(3, 5, dtype=int)
    tables[:, 0] += 1
    cells = np.arange(15)
    found = sdmetrics_scores.cramers_v(tables.reshape(4, 15).astype(float), cells // 5, cells % 5)
    assert found == pytest.approx([association(table, method="cramer") for table in tables], abs=1e-12)
    single = np.array([[3.0, 4.0, 0.0, 0.0]])
    assert np.isnan(sdmetrics_scores.cramers_v(single, cells[:4] // 2, cells[:4] % 2)).all()


def test_the_strength_of_a_pair_without_a_group_is_that_of_the_other_rows() -> None:
    case = case_of(make(4, 200), make(5, 150))
    real, synthetic = sdmetrics_scores.sides_of(case)
    pairs = [("size", "weight"), ("score", "day"), ("town", "flag"), ("town", "street")]
    _, strengths = sdmetrics_scores.pair_trends(real, synthetic, pairs)
    assert strengths.shape == (real.n_groups + 1, len(pairs))
    for group in (0, 7):
        left = real.groups != group
        for place, (first, second) in enumerate(pairs[:2]):
            columns = pd.DataFrame({name: real.numbers(name)[left] for name in (first, second)})
            assert strengths[group + 1, place] == pytest.approx(abs(columns.corr().iloc[0, 1]) / 0.5)
        for place, names in enumerate(pairs[2:], start=2):
            codes = [np.unique(real.labels(name)[left], return_inverse=True)[1] for name in names]
            table = pd.crosstab(*codes).to_numpy(float)
            rows, columns_found = np.divmod(np.arange(table.size), table.shape[1])
            alone = sdmetrics_scores.cramers_v(table.reshape(1, -1), rows, columns_found)[0]
            assert strengths[group + 1, place] == pytest.approx(alone / 0.3)


def test_pairs_near_the_threshold_widen_the_interval_and_clear_ones_do_not() -> None:
    random = np.random.default_rng(0)
    values, noise = np.array([0.9, 0.8, 0.5, np.nan]), random.normal(size=(20, 4)) / 1000
    clear = np.vstack([np.full((1, 4), 2.0), 2 + noise])
    near = clear - np.array([0, 0, 1, 1])
    assert selection_half_width(values, clear, np.random.default_rng(0)) == pytest.approx(0, abs=1e-12)
    # The third counts in half of the tables: the mean is 0.85 or 0.733.
    found = selection_half_width(values, near, np.random.default_rng(0))
    assert found == pytest.approx(1.96 * (0.85 - 2.2 / 3) / 2, rel=0.02)
    assert selection_half_width(values, clear[:1], np.random.default_rng(0)) == 0


def test_the_interval_is_never_shorter_than_with_the_pairs_held_fixed() -> None:
    case = case_of(make(1, 100), make(2, 100))
    score = METRICS["column_pair_trends"].compute(case)
    pairs = sdmetrics_scores._drawn_pairs(case)[0]
    scores, strengths = sdmetrics_scores.pair_trends(*sdmetrics_scores.sides_of(case), pairs)
    kept = scores[:, (strengths[0] > 1) & ~np.isnan(scores[0])]
    fixed = jackknife_interval(score.value, np.where(np.isnan(kept), kept[0], kept).mean(axis=1)[1:])
    assert score.low <= max(0, fixed[0])
    assert score.high >= min(1, fixed[1])


@pytest.mark.parametrize("seed", range(3))
def test_a_date_that_is_always_the_same_is_left_out_of_the_pairs_as_in_sdmetrics(seed: int) -> None:
    random = np.random.default_rng(seed)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 30, 60), unit="D")
    real = pd.DataFrame({"a": random.random(60), "b": random.choice(list("xyz"), 60), "day": days})
    same = real.sample(frac=1, random_state=seed, ignore_index=True)
    same["day"] = pd.Series(pd.Timestamp("2024-01-05"), index=same.index).astype("datetime64[ns]")
    case, _ = read_case(real, same, real, Options())
    found = {name: METRICS[name].compute(case).value for name in NAMES}
    kinds = {"a": "numerical", "b": "categorical", "day": "datetime"}
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sdmetrics.reports.single_table import QualityReport

        report = QualityReport()
        report.real_correlation_threshold = report.real_association_threshold = 0
        report.generate(real, same, metadata, verbose=False)
    expected = dict(report.get_properties().itertuples(index=False))
    assert found["column_shapes"] == pytest.approx(expected["Column Shapes"], abs=1e-9)
    assert found["column_pair_trends_all"] == pytest.approx(expected["Column Pair Trends"], abs=1e-9)
