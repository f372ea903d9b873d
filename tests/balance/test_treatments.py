"""Every treatment keeps the real rows, first and unchanged, and the types and labels of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTENC

from synthkit import TableGAN
from synthkit.balance.features import FeatureMap, TrainingRows
from synthkit.balance.smote_chunks import ChunkedSMOTENC
from synthkit.balance.treatments import TREATMENTS, Material, NotApplicable, target_values
from synthkit.random import RandomSource

QUICK = TableGAN(time_budget=None, refine=False, adversary="off", n_codes=16, verbose=False)
CLASSES = ("rare", "usual", "well")


def patients(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Three classes, of which one is rare, with numbers, labels, dates and missing cells."""
    random = np.random.default_rng(seed)
    kind = random.choice(CLASSES, rows, p=[0.14, 0.64, 0.22])
    dose = pd.Series(random.integers(0, 50, rows)).astype("Int64")
    return pd.DataFrame(
        {
            "size": pd.Series(np.round(random.normal(2.0 * (kind == "rare")), 2)).mask(random.random(rows) < 0.2),
            "dose": dose.mask(random.random(rows) < 0.1),
            "ward": pd.Series(random.choice(["a", "b", "c"], rows)).mask(random.random(rows) < 0.1),
            "smoker": random.random(rows) < 0.3,
            "came": pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 400, rows), unit="D"),
            "kind": kind,
        }
    )


def material(frame: pd.DataFrame, target: str = "kind", seed: int = 0) -> Material:
    columns = [name for name in frame.columns if name != target]
    classes = tuple(sorted(frame[target].unique()))
    features = FeatureMap(frame, columns)
    rows = TrainingRows(features.code(frame), target_values(frame[target], classes))
    return Material(frame, target, classes, rows, features, RandomSource(seed), generator=QUICK)


@pytest.fixture(scope="module")
def given() -> Material:
    return material(patients())


@pytest.mark.parametrize("name", list(TREATMENTS))
def test_the_contract(given: Material, name: str) -> None:
    before, counts = given.frame.copy(), given.counts
    treated = TREATMENTS[name].make(given)
    pd.testing.assert_frame_equal(given.frame, before)
    n = len(given.rows)
    assert treated.table.numbers.dtype == np.float64
    assert treated.table.codes.dtype == treated.target.dtype == np.int64
    assert np.isfinite(treated.table.numbers).all()
    np.testing.assert_array_equal(treated.table.numbers[:n], given.rows.table.numbers)
    np.testing.assert_array_equal(treated.table.codes[:n], given.rows.table.codes)
    np.testing.assert_array_equal(treated.target[:n], given.rows.target)
    labels = np.array(given.features.view.n_labels)
    assert ((treated.table.codes >= 0) & (treated.table.codes < labels)).all()
    now = np.bincount(treated.target, minlength=3)
    if name in ("none", "weights"):
        assert len(treated) == n
    elif name == "tablegan-augment":
        assert len(treated) == 2 * n
        assert (now > counts).all()
    elif name == "adasyn":  # aims at the largest class, to within rounding
        assert np.abs(now - counts.max()).max() <= 0.2 * counts.max()
    else:
        assert (now == counts.max()).all()


def test_weights_make_every_class_count_the_same(given: Material) -> None:
    treated = TREATMENTS["weights"].make(given)
    assert treated.weights is not None
    totals = np.bincount(treated.target, weights=treated.weights)
    assert totals == pytest.approx(np.full(3, len(given.rows) / 3))


def test_over_sampling_repeats_rows_of_the_same_class(given: Material) -> None:
    treated = TREATMENTS["oversampling"].make(given)
    known = {
        (code, *numbers, *codes)
        for code, numbers, codes in zip(
            given.rows.target, given.rows.table.numbers, given.rows.table.codes, strict=True
        )
    }
    for code, numbers, codes in zip(treated.target, treated.table.numbers, treated.table.codes, strict=True):
        assert (code, *numbers, *codes) in known


def test_the_same_seed_gives_the_same_rows() -> None:
    materials = [material(patients(150), seed=seed) for seed in (0, 0, 1)]
    for name in ("oversampling", "smote-nc", "adasyn", "tablegan-balance", "tablegan-augment"):
        first, again, other = (TREATMENTS[name].make(given) for given in materials)
        np.testing.assert_array_equal(first.table.numbers, again.table.numbers, err_msg=name)
        np.testing.assert_array_equal(first.table.codes, again.table.codes, err_msg=name)
        assert not np.array_equal(first.table.numbers, other.table.numbers), name


@pytest.mark.parametrize("columns", [["size", "dose"], ["ward", "smoker"]], ids=["numbers only", "labels only"])
@pytest.mark.parametrize("name", ["smote-nc", "adasyn"])
def test_one_kind_of_column_is_enough(name: str, columns: list[str]) -> None:
    frame = patients()[[*columns, "kind"]].dropna()
    given = material(frame)
    treated = TREATMENTS[name].make(given)
    assert len(treated) > len(given.rows)
    assert treated.table.numbers.shape[1] == (2 if "size" in columns else 0)


def test_small_classes_are_interpolated_with_fewer_neighbours_and_single_rows_are_not() -> None:
    frame = patients()
    rare = frame.index[frame["kind"] == "rare"]
    few = material(frame.drop(rare[3:]))
    assert np.bincount(TREATMENTS["smote-nc"].make(few).target).min() == few.counts.max()
    with pytest.raises(NotApplicable, match="single training row"):
        TREATMENTS["smote-nc"].make(material(frame.drop(rare[1:])))


def test_adasyn_says_why_it_cannot_be_used() -> None:
    """Without a row of another class nearby there is nothing to adapt to."""
    frame = pd.DataFrame({"x": [*np.linspace(0, 1, 40), *np.linspace(99, 100, 20)], "kind": ["a"] * 40 + ["b"] * 20})
    with pytest.raises(NotApplicable, match="neighbours of another"):
        TREATMENTS["adasyn"].make(material(frame))
    frame = pd.DataFrame({"x": np.linspace(0, 1, 100), "kind": ["a", "b"] * 49 + ["a", "a"]})
    with pytest.raises(NotApplicable, match="so few rows"):
        TREATMENTS["adasyn"].make(material(frame))


def test_chunks_are_the_rows_of_imbalanced_learn() -> None:
    random = np.random.default_rng(0)
    table = np.column_stack([random.normal(size=(120, 2)), random.integers(0, 4, (120, 2))])
    target = np.repeat([0, 1], [90, 30])
    whole, _ = SMOTENC([2, 3], random_state=5).fit_resample(table, target)
    single, _ = ChunkedSMOTENC([2, 3], chunk_rows=1000, random_state=5).fit_resample(table, target)
    np.testing.assert_array_equal(whole, single)
    parts, _ = ChunkedSMOTENC([2, 3], chunk_rows=7, random_state=5).fit_resample(table, target)
    np.testing.assert_array_equal(whole[:, :2], parts[:, :2])
    assert (whole[:, 2:] == parts[:, 2:]).mean() > 0.9  # but for ties
    again, _ = ChunkedSMOTENC([2, 3], chunk_rows=7, random_state=5).fit_resample(table, target)
    np.testing.assert_array_equal(parts, again)


# ------------------------------------------------------------ features


def test_missing_cells_are_filled_from_the_training_rows_alone() -> None:
    train = pd.DataFrame({"x": [1.0, 2.0, np.nan, 6.0], "town": ["a", None, "b", "a"]})
    features = FeatureMap(train, ["x", "town"])
    other = pd.DataFrame({"x": [np.nan, 100.0], "town": ["c", None]})
    coded = features.code(other)
    assert coded.numbers[:, 0].tolist() == [2.0, 100.0]
    assert features.view.categorical == ("x is missing", "town")
    linear = features.linear(coded).toarray()
    assert linear.shape == (2, 1 + 2 + 3)
    assert linear[0, 3:].tolist() == [0, 0, 0]  # a town that the training rows lack
    assert linear[1, 3:].sum() == 1  # a missing one, which they have
    assert features.tree(coded)[0, -1] == -1
    np.testing.assert_allclose(features.restored(features.standardised(coded)), coded.numbers)


def test_classes_are_found_whatever_the_type_of_their_column() -> None:
    assert target_values(pd.Series([0.0, 1.0]), (0, 1)).tolist() == [0, 1]
    assert target_values(pd.Series(["b", "a", "z"], dtype="category"), ("a", "b")).tolist() == [1, 0, -1]
    assert target_values(pd.Series([True, False]), (False, True)).tolist() == [1, 0]


def test_the_budget_of_a_fit_reaches_the_generator() -> None:
    with pytest.raises(Exception, match="not a duration"):
        TREATMENTS["tablegan-augment"].make(replace(material(patients(60)), generator=None, time_budget="soon"))
