from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.balance.filling import Filler
from synthkit.balance.groups import Group
from synthkit.balance.rejection import FOLDS, ClassModel, RealRows
from synthkit.errors import DataError
from synthkit.evaluation.view import TableView
from synthkit.random import RandomSource


def two_classes(distance: float, own: int = 120, others: int = 600) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of a rare class and of the rest, whose first column differs in the mean."""
    random = np.random.default_rng(5)
    rare = np.arange(own + others) < own
    x = random.normal(size=own + others) + distance * rare
    return pd.DataFrame({"x": x, "z": random.normal(size=own + others)}), np.flatnonzero(rare)


# ---------- unlike their class


@pytest.mark.parametrize("distance", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_limit_lies_above_the_stated_share_of_real_rows(distance: float, share: float) -> None:
    """Also where the classes cannot be told apart at all: the limit is no verdict about a class."""
    frame, rows = two_classes(distance)
    model = ClassModel(frame.to_numpy(), rows, share, RandomSource(0))
    assert (model.scores < model.limit).mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("distance", [0.5, 2.0])
def test_new_rows_of_the_class_itself_are_rejected_as_often_as_real_ones(distance: float) -> None:
    frame, rows = two_classes(distance, own=400, others=2_000)
    model = ClassModel(frame.to_numpy(), rows, 0.2, RandomSource(0))
    fresh = np.random.default_rng(9).normal([distance, 0], size=(4_000, 2))
    rejected = np.mean([(model.score(fresh, fold) < model.limit).mean() for fold in range(FOLDS)])
    assert rejected == pytest.approx(0.2, abs=0.06)


def test_rows_of_another_class_are_rejected() -> None:
    frame, rows = two_classes(5.0)
    model = ClassModel(frame.to_numpy(), rows, 0.1, RandomSource(0))
    planted = frame.drop(index=rows).to_numpy()[:200]
    assert np.mean([(model.score(planted, fold) < model.limit).mean() for fold in range(FOLDS)]) > 0.98


def test_real_rows_are_scored_by_trees_that_did_not_learn_from_them() -> None:
    """Trees that know the rows of noise tell them apart; those that do not cannot."""
    frame, rows = two_classes(0.0)
    model = ClassModel(frame.to_numpy(), rows, 0.1, RandomSource(0))
    known = np.concatenate(
        [model.score(frame.to_numpy()[rows[model.fold == fold]], (fold + 1) % FOLDS) for fold in range(FOLDS)]
    )
    assert known.mean() > model.scores.mean() + 0.3


def test_folds_have_equal_sizes() -> None:
    frame, rows = two_classes(1.0)
    sizes = np.bincount(ClassModel(frame.to_numpy(), rows, 0.1, RandomSource(0)).fold)
    assert len(sizes) == FOLDS
    assert np.ptp(sizes) <= 1


def test_without_rejection_there_is_no_limit() -> None:
    frame, rows = two_classes(1.0)
    assert ClassModel(frame.to_numpy(), rows, 0.0, RandomSource(0)).limit == -np.inf


# ---------- copies


def copied(real: pd.DataFrame, made: pd.DataFrame) -> list[bool]:
    view = TableView(real)
    return RealRows(view, real).copied(view.code(made)).tolist()


def test_copies_are_found_whatever_their_rounding() -> None:
    real = pd.DataFrame({"a": [0.1, 0.2, 0.3, 1.5], "t": ["x", "y", "x", None], "n": [1, 2, 3, 4]})
    made = real.copy()
    made["a"] += 1e-12
    assert copied(real, made) == [True] * 4
    assert copied(real, made.assign(a=made["a"] + 0.1)) == [False] * 4
    assert copied(real, made.assign(t="y")) == [False, True, False, False]


def test_missing_cells_are_equal_to_each_other() -> None:
    real = pd.DataFrame({"a": [0.5, np.nan, 2.5, 3.5], "b": [1.0, 2.0, 3.0, 4.0]})
    made = pd.DataFrame({"a": [np.nan, np.nan], "b": [2.0, 3.0]})
    assert copied(real, made) == [True, False]


@given(
    values=st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.sampled_from("xyz")), min_size=3, max_size=30, unique_by=lambda row: row[0]
    )
)
def test_every_real_row_is_a_copy_of_itself(values: list[tuple[float, str]]) -> None:
    real = pd.DataFrame(values, columns=["a", "t"])
    assert all(copied(real, real.sample(frac=1, random_state=0)))


@given(start=st.integers(0, 10**6), step=st.integers(1, 9))
def test_whole_numbers_a_step_away_are_no_copies(start: int, step: int) -> None:
    real = pd.DataFrame({"a": start + 10 * np.arange(5), "b": [1.5, 2.5, 3.5, 4.5, 5.5]})
    assert copied(real, real.assign(a=real["a"] + step)) == [False] * 5


# ---------- drawing until there are enough


class Planted:
    """A source that gives rows of the rest, copies, or good rows, in turn."""

    title = "planted"

    def __init__(self, kinds: list[pd.DataFrame]) -> None:
        self.kinds, self.calls = kinds, 0

    def draw(self, places: np.ndarray) -> pd.DataFrame:
        self.calls += 1
        parts = [kind.sample(len(places), replace=True, random_state=self.calls) for kind in self.kinds]
        taken = [part.iloc[place :: len(parts)] for place, part in enumerate(parts)]
        return pd.concat(taken, ignore_index=True)


def planted(*kinds: str) -> tuple[Filler, Group, Planted]:
    frame, rows = two_classes(5.0)
    good = pd.DataFrame(np.random.default_rng(3).normal([5, 0], size=(5_000, 2)), columns=["x", "z"])
    known = {"good": good, "other": good - [5, 0], "copy": frame.iloc[rows]}
    filler = Filler(frame, ["x", "z"], 0.1, RandomSource(0))
    return filler, Group("rare", "rare", rows, 300), Planted([known[kind] for kind in kinds])


def test_planted_mislabelled_rows_and_copies_are_rejected() -> None:
    filler, group, source = planted("good", "other", "copy")
    made, report = filler.fill(group, source)
    assert len(made) == 300
    assert (made["x"] > 1.5).all()
    assert report.unlike > 0.25 * report.drawn
    assert report.copies > 0.25 * report.drawn
    assert (report.kept_unlike, report.kept_copies) == (0, 0)
    assert not made.merge(source.kinds[2], how="inner").shape[0]


def test_when_nothing_better_comes_the_likeliest_are_taken_and_it_is_said() -> None:
    filler, group, source = planted("other")
    with pytest.warns(UserWarning, match="unlike their class: .* were drawn"):
        made, report = filler.fill(group, source)
    assert len(made) == 300
    assert report.kept_unlike + report.kept_copies == 300 - (report.drawn - report.unlike - report.copies)
    assert report.drawn <= 10 * 300 + 32 * 12


def test_where_every_row_is_a_copy_copies_are_taken_and_it_is_said() -> None:
    filler, group, source = planted("copy")
    with pytest.warns(UserWarning, match="copies of real rows"):
        made, report = filler.fill(group, source)
    assert len(made) == report.kept_copies == 300


def test_a_source_that_runs_dry_is_an_error() -> None:
    filler, group, source = planted("good")
    source.draw = lambda places: source.kinds[0].head(1)  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"only .* of the 300 rows wanted of 'rare'"):
        filler.fill(group, source)
