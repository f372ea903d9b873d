"""Which rows are held out: exact shares, whole persons, and under a budget each record by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from synthkit.pipelines.data_stages import held_each, held_persons, held_rows
from synthkit.random import RandomSource

shares = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**31)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=80), shares, seeds)
def test_classes_keep_their_shares(labels: list[str | None], share: float, seed: int) -> None:
    classes = pd.Series(labels, dtype=object)
    held = held_rows(len(labels), share, RandomSource(seed), classes)
    assert held.sum() <= round(share * len(labels))
    sizes = classes.value_counts(dropna=False)
    for label, size in sizes.items():
        own = classes.isna() if pd.isna(label) else classes == label
        if size == 1:
            assert not held[own].any() or share * len(labels) > (sizes > 1) @ sizes  # only when nothing else is left
        else:
            assert abs(held[own].sum() - share * size) <= 0.5 * len(sizes) + 1


@given(st.integers(2, 200), shares, seeds)
def test_without_classes_the_share_is_exact_and_the_seed_decides(rows: int, share: float, seed: int) -> None:
    held = held_rows(rows, share, RandomSource(seed))
    assert held.sum() == round(share * rows)
    assert (held == held_rows(rows, share, RandomSource(seed))).all()


def test_every_row_is_held_out_about_as_often() -> None:
    times = np.mean([held_rows(40, 0.25, RandomSource(seed)) for seed in range(400)], axis=0)
    assert times.min() > 0.25 - 5 * np.sqrt(0.25 * 0.75 / 400)
    assert times.max() < 0.25 + 5 * np.sqrt(0.25 * 0.75 / 400)


@given(st.lists(st.sampled_from(["p", "q", "r", "s", None]), min_size=2, max_size=60), shares, seeds)
def test_a_person_is_on_one_side_only(names: list[str | None], share: float, seed: int) -> None:
    persons = pd.Series(names, dtype=object)
    held = held_persons(persons, share, RandomSource(seed))
    for name in persons.dropna().unique():
        assert held[persons == name].all() or not held[persons == name].any()


tables = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["x", "y"])), min_size=1, max_size=40)


@given(tables, st.tuples(st.integers(0, 3), st.sampled_from(["x", "y"])), shares, seeds)
def test_under_a_budget_one_more_record_changes_the_rows_that_are_left_by_one_at_most(
    rows: list[tuple[int, str]], more: tuple[int, str], share: float, seed: int
) -> None:
    """Otherwise neighbouring tables would not be neighbouring after the split, and the budget would mean nothing."""

    def left(table: list[tuple[int, str]]) -> list[tuple[int, str]]:
        frame = pd.DataFrame(table, columns=["number", "label"])
        held = held_each(frame, share, RandomSource(seed))
        return sorted(row for row, gone in zip(table, held, strict=True) if not gone)

    before, after = left(rows), left([*rows, more])
    assert after in (before, sorted([*before, more]))
    assert left([more, *rows]) == after  # wherever it stands


def test_under_a_budget_the_share_is_kept_on_average() -> None:
    frame = pd.DataFrame({"x": np.arange(20_000)})
    held = held_each(frame, 0.2, RandomSource(3))
    assert abs(held.mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 20_000)
    repeated = held_each(pd.DataFrame({"x": np.zeros(20_000)}), 0.2, RandomSource(3))
    assert abs(repeated.mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 20_000)


@given(st.lists(st.sampled_from(["p", "q", "r"]), min_size=1, max_size=40), seeds)
def test_under_a_budget_for_persons_their_rows_share_their_fate(names: list[str], seed: int) -> None:
    persons = pd.Series(names)
    held = held_each(persons, 0.5, RandomSource(seed), by_value=True)
    assert (pd.Series(held).groupby(persons).nunique() == 1).all()
