"""Conditions of cells: drawn as in training, whole numbers whole, and told when they are no fair sample of a class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated_cells import simulated_cells

from synthkit.expression.space import ExpressionSpace
from synthkit.io.expression_set import ExpressionSet


@pytest.fixture(scope="module")
def cells() -> ExpressionSet:
    return simulated_cells(0, 120, donors=6)


def test_whole_covariates_are_drawn_whole_and_stay_so_in_the_file(cells: ExpressionSet) -> None:
    rng = np.random.default_rng(0)
    known = cells.cells.assign(age=rng.integers(20, 80, len(cells)), dose=rng.random(len(cells)))
    space, _ = ExpressionSpace.of(replace(cells, cells=known), ["type"], None, ["age", "dose"])
    for one in (space, ExpressionSpace.from_dict(space.to_dict())):
        drawn = one.cells(one.drawn(500, None, np.random.default_rng(1)))
        assert drawn["age"].dtype == np.int64
        assert drawn["age"].between(20, 79).all()
        assert drawn["age"].nunique() > 40
        assert drawn["dose"].dtype == np.float64
    older = {name: value for name, value in space.to_dict().items() if name != "whole"}
    assert ExpressionSpace.from_dict(older).whole == (False, False)


def test_cells_of_some_batches_are_no_fair_sample_of_their_class(cells: ExpressionSet) -> None:
    space, _ = ExpressionSpace.of(cells, ["type"], "batch", [])
    rng = np.random.default_rng(0)
    batch = cells.cells["batch"].iloc[0]
    assert space.drawn(10, None, rng).representative
    assert space.drawn(10, {"type": "a", "library_size": 500}, rng).take(slice(3)).representative
    assert not space.drawn(10, {"batch": batch}, rng).representative
