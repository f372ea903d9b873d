"""What trees can tell apart is drawn less often; where they cannot, nothing is changed."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from synthkit.expression.refinement import CANDIDATES, Refinement
from synthkit.random import RandomSource

N = 800
LABELS = np.arange(N) % 2


def cells(seed: int, n: int, *, alike: bool) -> sparse.csr_matrix:
    """Counts of five genes; in half of the cells the first two are high together or, if not `alike`, one of them is."""
    rng = np.random.default_rng(seed)
    values = rng.poisson(20.0, (n, 5))
    first, second = rng.random((2, n)) < 0.5
    values[:, 0] += 40 * first
    values[:, 1] += 40 * np.where(alike, first, second)
    return sparse.csr_matrix(values)


def learned(alike: bool) -> tuple[Refinement | None, float]:
    real, drawn = cells(0, N, alike=True), cells(1, 2 * N, alike=alike)
    return Refinement.of("counts", real, LABELS, drawn, np.tile(LABELS, 2), RandomSource(0))


def together(values: sparse.csr_matrix) -> float:
    """Share of the cells whose first two genes are high or low together."""
    high = values[:, :2].toarray() > 40
    return float((high[:, 0] == high[:, 1]).mean())


def test_the_same_law_is_left_alone() -> None:
    found, told = learned(alike=True)
    assert found is None
    assert told < 0.55


def test_candidates_that_real_cells_are_like_are_chosen() -> None:
    found, told = learned(alike=False)
    assert found is not None
    assert told > 0.65
    candidates = cells(2, CANDIDATES * N, alike=False)
    rows = found.chosen(candidates, np.tile(LABELS, CANDIDATES), np.random.default_rng(0))
    np.testing.assert_array_equal(rows % N, np.arange(N))  # each from its own candidates
    assert together(candidates) < 0.6
    assert together(candidates[rows]) > 0.8


def test_what_a_file_keeps_chooses_the_same() -> None:
    found, _ = learned(alike=False)
    assert found is not None
    again = Refinement.from_state(*found.state())
    candidates, labels = cells(3, CANDIDATES * 50, alike=False), np.zeros(CANDIDATES * 50, int)
    one, two = (each.chosen(candidates, labels, np.random.default_rng(1)) for each in (found, again))
    np.testing.assert_array_equal(one, two)
