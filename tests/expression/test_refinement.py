"""Refinement finds what drawn cells lack, chooses among candidates, and leaves alone what nobody can tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from synthkit.expression.refinement import CANDIDATES, Refinement, comparable
from synthkit.random import RandomSource

GENES = 40


def cells(n, shift, seed, together=0.0):
    """Counts with a library size; the first ten genes rise and fall together by `together`, all shifted by `shift`."""
    rng = RandomSource(seed).numpy("cells")
    logs = np.full((n, GENES), 1.0)
    logs[:, :10] += shift + together * rng.standard_normal((n, 1))
    return sparse.csr_matrix(rng.poisson(np.exp(logs)))


def refined(real, drawn, seed=0):
    zeros = np.zeros(real.shape[0], np.int64), np.zeros(drawn.shape[0], np.int64)
    return Refinement.of("counts", real, zeros[0], drawn, zeros[1], RandomSource(seed))


def test_cells_of_the_same_law_are_left_alone():
    found, told = refined(cells(500, 0.0, 1), cells(1000, 0.0, 2))
    assert found is None
    assert told < 0.55


def test_what_is_told_apart_is_drawn_less_often():
    real, drawn = cells(600, 0.0, 1, together=0.2), cells(1200, 0.0, 2, together=0.7)
    found, told = refined(real, drawn)
    assert found is not None
    assert told > 0.6
    candidates = cells(CANDIDATES * 800, 0.0, 3, together=0.7)
    chosen = found.chosen(candidates, np.zeros(candidates.shape[0], np.int64), RandomSource(4).numpy("choice"))

    def spread(values):
        return float(comparable(values, "counts")[:, :10].mean(1).std())

    wanted, before, after = spread(real), spread(candidates[:800]), spread(candidates[chosen])
    assert abs(after - wanted) < 0.6 * abs(before - wanted)


def test_one_of_the_candidates_of_each_cell_is_chosen():
    found, _ = refined(cells(600, 0.0, 1), cells(1200, 0.6, 2))
    candidates = cells(CANDIDATES * 50, 0.3, 3)
    chosen = found.chosen(candidates, np.zeros(candidates.shape[0], np.int64), RandomSource(4).numpy("choice"))
    assert (chosen % 50 == np.arange(50)).all()


def test_a_ratio_comes_back_from_its_state_and_damaged_trees_are_told():
    found, _ = refined(cells(600, 0.0, 1), cells(1200, 0.6, 2))
    values, arrays = found.state()
    again = Refinement.from_state(values, arrays)
    candidates = cells(CANDIDATES * 50, 0.3, 3)
    labels = np.zeros(candidates.shape[0], np.int64)
    choices = [one.chosen(candidates, labels, RandomSource(4).numpy("choice")) for one in (found, again)]
    assert np.array_equal(*choices)
    with pytest.raises(ValueError, match="damaged trees"):
        Refinement.from_state({**values, "trees": "no trees"}, arrays)


def test_library_sizes_do_not_stand_between_cells():
    one = cells(5, 0.0, 1)
    assert comparable(one * 3, "counts") == pytest.approx(comparable(one, "counts"))
    assert comparable(one * 3, "intensities") == pytest.approx(3 * comparable(one, "intensities"))
