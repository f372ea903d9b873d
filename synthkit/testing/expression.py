"""Contract checks for generators of gene expression.

Whoever writes a generator with the interface of `synthkit.expression.gan.ExpressionGAN` can run all of them on some
cells:

>>> from synthkit.testing import check_expression_synthesizer
>>> make = lambda: ExpressionGAN(steps=5, random_state=0)  # doctest: +SKIP
>>> check_expression_synthesizer(make, cells, label="cell_type")  # doctest: +SKIP
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import ConditionError, DataError, InputError
from synthkit.io.expression_set import ExpressionSet
from synthkit.testing.checks import Check, require, run_checks
from synthkit.testing.estimators import (
    keeps_its_arguments,
    nothing_before_fit,
    odd_numbers_are_refused,
    refused,
    saved_and_loaded,
)

Make = Callable[[], Any]
_CELLS = 12
_MANY = 300
_SIZE = "library_size"


def check_expression_synthesizer(make: Make, cells: ExpressionSet, **fit: Any) -> None:
    """Run all contract checks.

    Parameters
    ----------
    make
        Returns a new generator, not fitted, with a fixed seed and settings that suit a few cells.
    cells
        Some 50 to 500 cells with few genes.
    fit
        Further arguments of ``fit``: ``label``, ``batch``, ``donor``, ``covariates``.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected.
    """
    run_checks(expression_synthesizer_checks(make, cells, **fit))


def expression_synthesizer_checks(make: Make, cells: ExpressionSet, **fit: Any) -> Iterator[Check]:
    """Name and function of each check; parameters as for `check_expression_synthesizer`. They share one fit."""
    case = _Case(make, cells, fit)
    checks = (
        _keeps_its_arguments,
        _refuses_before_fit,
        _leaves_the_cells_alone,
        _drawn_cells_look_like_the_cells,
        _any_number_of_cells,
        _seeds_decide,
        _same_fit_again,
        _stream_of_batches,
        _conditions_hold,
        _library_sizes_shift_totals,
        _unknown_conditions_are_refused,
        _model_file_keeps_everything,
        _balance_keeps_real_cells,
    )
    for check in checks:
        yield check.__name__.strip("_").replace("_", " "), partial(check, case)


def check_drawn_cells(real: ExpressionSet, drawn: ExpressionSet, n: int, columns: tuple[str, ...] = ()) -> None:
    """Hold drawn cells against the form of real ones: number, genes, measure, values, annotations.

    Parameters
    ----------
    real
        What the generator was fitted to, with the genes that it draws.
    drawn
        What it drew.
    n
        How many were asked for.
    columns
        The labels and the batch, whose dtypes and values have to be those of the real cells.

    Raises
    ------
    AssertionError
        Naming what differs.
    """
    require(len(drawn) == n, f"{len(drawn)} cells, expected {n}")
    require(drawn.measure == real.measure, f"the measure is {drawn.measure}, expected {real.measure}")
    try:
        pd.testing.assert_frame_equal(drawn.genes, real.genes, check_column_type=False)
    except AssertionError as error:
        raise AssertionError(f"the genes are not those of the cells: {error}") from error
    require(drawn.cells.index.is_unique, "cells have the same names")
    require(not set(drawn.cells.index) & set(real.cells.index), "synthetic cells have the names of real ones")
    stored = drawn.values.data if drawn.is_sparse else np.asarray(drawn.values)
    require(np.isfinite(stored).all(), "there are values that are no numbers")
    if real.measure == "counts":
        require(isinstance(drawn.values, sparse.csr_matrix), f"counts are a {type(drawn.values).__name__}, not CSR")
        require(np.issubdtype(stored.dtype, np.integer), f"the dtype of counts is {stored.dtype}")
    if real.measure != "intensities":
        require(stored.size == 0 or stored.min() >= 0, f"values fall to {stored.min() if stored.size else 0}")
    for name in columns:
        require(name in drawn.cells, f"the column {name!r} is lost")
        own, its = real.cells[name], drawn.cells[name]
        require(its.dtype == own.dtype, f"the dtype of {name!r} is {its.dtype}, expected {own.dtype}")
        require(set(its) <= set(own), f"{name!r} has values that real cells do not have: {set(its) - set(own)}")


@dataclass
class _Case:
    """What the checks share: how to make a generator, the cells, and one generator fitted to them."""

    make: Make
    cells: ExpressionSet
    more: dict[str, Any]
    _fitted: list[Any] = field(default_factory=list)

    @property
    def fitted(self) -> Any:
        if not self._fitted:
            self._fitted.append(self.fit())
        return self._fitted[0]

    def fit(self) -> Any:
        return self.make().fit(self.cells, **self.more)

    @property
    def learned(self) -> ExpressionSet:
        """The cells with the genes that are drawn."""
        known = self.cells.genes.index
        kept = known.get_indexer(self.fitted.genes_.index)
        require((kept >= 0).all(), "genes are drawn that the cells do not have")
        require((np.diff(kept) > 0).all(), "genes are drawn in another order")
        return self.cells.of_genes(kept)

    @property
    def columns(self) -> tuple[str, ...]:
        space = self.fitted.space_
        return (*space.labels, *([space.batch] if space.batch is not None else []))


def _dense(cells: ExpressionSet) -> np.ndarray:
    return cells.values.toarray() if cells.is_sparse else np.asarray(cells.values)


def _same(one: ExpressionSet, other: ExpressionSet) -> bool:
    """Whether two sets are the same to the byte."""
    return bool(np.array_equal(_dense(one), _dense(other)) and one.cells.equals(other.cells))


# ------------------------------------------------------------------------------------------------------- the checks


def _keeps_its_arguments(case: _Case) -> None:
    keeps_its_arguments(case.make())


def _refuses_before_fit(case: _Case) -> None:
    made = case.make()
    nothing_before_fit(made, case.cells)
    for name in ("space_", "classes_", "genes_", "model_"):
        require(not hasattr(made, name), f"there is {name} before fit")
    if getattr(made, "privacy", None) is None:  # under a budget, an error would tell how many cells there are
        for few in (0, 3):
            message = refused(DataError, partial(made.fit, case.cells.take(slice(0, few)), **case.more), "few cells")
            require(str(few) in message, f"the error about {few} cells does not say so: {message}")
    wrong = {**case.more, "label": "no such column"}
    message = refused(InputError, partial(made.fit, case.cells, **wrong), "a label that is not there")
    require("no such column" in message, f"the error does not name the column: {message}")
    require(not hasattr(made, "report_"), "there is a report after a fit that was refused")


def _leaves_the_cells_alone(case: _Case) -> None:
    values, cells, genes = case.cells.values.copy(), case.cells.cells.copy(), case.cells.genes.copy()
    made = case.make()
    fitted = made.fit(case.cells, **case.more)
    require(fitted is made, "fit does not return self")
    same = abs(case.cells.values - values).max() == 0 if case.cells.values.size else True
    require(same, "fit changes the values")
    require(case.cells.cells.equals(cells) and case.cells.genes.equals(genes), "fit changes the annotations")
    require(fitted.n_features_in_ == len(fitted.genes_), f"n_features_in_ is {fitted.n_features_in_}")
    json.dumps(fitted.report_)
    for name in ("model", "measure", "genes"):
        require(name in fitted.report_, f"the report has no {name!r}")
    require(fitted.report_["model"] == fitted.model_, "the report names another model")
    case._fitted[:] = [fitted]


def _drawn_cells_look_like_the_cells(case: _Case) -> None:
    drawn = case.fitted.sample(_CELLS, random_state=1)
    check_drawn_cells(case.learned, drawn, _CELLS, case.columns)
    covariates = case.fitted.space_.covariates
    require(
        list(drawn.cells.columns) == [*case.columns, *covariates], f"the columns are {drawn.cells.columns.tolist()}"
    )
    for name in covariates:
        own, its = case.cells.cells[name], drawn.cells[name]
        slack = 1e-4 * float(own.abs().max())  # they pass through the networks' precision
        inside = own.min() - slack <= its.min() and its.max() <= own.max() + slack
        require(inside, f"{name!r} reaches from {its.min()} to {its.max()}, beyond that of real cells")


def _any_number_of_cells(case: _Case) -> None:
    for n in (0, 1, 7):
        check_drawn_cells(case.learned, case.fitted.sample(n, random_state=1), n, case.columns)
        require(sum(map(len, case.fitted.iter_sample(n))) == n, f"iter_sample({n}) has another number of cells")
    odd_numbers_are_refused(case.fitted)


def _seeds_decide(case: _Case) -> None:
    first, again, other = (case.fitted.sample(_CELLS, random_state=seed) for seed in (3, 3, 4))
    require(_same(first, again), "the same seed gives other cells")
    require(not np.array_equal(_dense(first), _dense(other)), "another seed gives the same cells")
    one, two = (_dense(case.fitted.sample(_CELLS)) for _ in range(2))
    require(not np.array_equal(one, two), "without a seed the cells are always the same")


def _same_fit_again(case: _Case) -> None:
    if case.fitted.get_params().get("random_state") is None:
        return
    again = case.fit()
    (values, arrays), (others, other) = (one._learned().model.state() for one in (case.fitted, again))
    require(values == others and arrays.keys() == other.keys(), "a second fit is another model")
    for name, array in arrays.items():
        require(np.array_equal(array, other[name]), f"a second fit has another {name}")


def _stream_of_batches(case: _Case) -> None:
    batches = list(case.fitted.iter_sample(_CELLS, random_state=1, batch=5))
    require([len(batch) for batch in batches] == [5, 5, 2], "batches are not of the size asked for")
    names = [name for batch in batches for name in batch.cells.index]
    require(len(set(names)) == _CELLS, "batches repeat names")
    for batch in batches:
        check_drawn_cells(case.learned, batch, len(batch), case.columns)
    whole = next(iter(case.fitted.iter_sample(_CELLS, random_state=1, batch=_CELLS)))
    require(_same(whole, case.fitted.sample(_CELLS, random_state=1)), "one batch differs from sample of the same seed")


def _conditions_hold(case: _Case) -> None:
    for name in case.columns:
        known = list(case.cells.cells[name].unique())
        for value in known:
            found = set(case.fitted.sample(5, where={name: value}, random_state=1).cells[name])
            require(found == {value}, f"where {name}={value!r} gives {found}")
        found = set(case.fitted.sample(20, where={name: known[:2]}, random_state=2).cells[name])
        require(found <= set(known[:2]), f"where {name} in {known[:2]} gives {found}")
    if len(case.columns) > 1:
        where = dict(case.cells.cells.iloc[0][list(case.columns)])
        drawn = case.fitted.sample(5, where=where, random_state=3)
        for name, value in where.items():
            require(set(drawn.cells[name]) == {value}, f"where {where} does not hold in {name!r}")


def _library_sizes_shift_totals(case: _Case) -> None:
    if case.cells.measure != "counts":
        for n in (0, 1):
            refused(ConditionError, partial(case.fitted.sample, n, where={_SIZE: 100}), "a library size of no counts")
        return
    typical = float(np.median(case.learned.totals()))
    for size in (0.5 * typical, 2 * typical):
        reached = case.fitted.sample(_MANY, where={_SIZE: size}, random_state=1).totals().mean()
        require(abs(reached / size - 1) < 0.1, f"where {_SIZE}={size:g} gives {reached:g} in the mean")
    for wrong in (0, -5, "many", float("nan")):
        refused(ConditionError, partial(case.fitted.sample, 1, where={_SIZE: wrong}), f"the library size {wrong!r}")


def _unknown_conditions_are_refused(case: _Case) -> None:
    for n in (0, 1):
        refused(ConditionError, partial(case.fitted.sample, n, where={"no such": 1}), "an unknown condition")
        for name in case.columns:
            wrong = {name: f"{case.cells.cells[name].iloc[0]}_"}
            message = refused(ConditionError, partial(case.fitted.sample, n, where=wrong), "an unknown value")
            require(repr(name) in message, f"the error does not name {name!r}: {message}")
            refused(ConditionError, partial(case.fitted.iter_sample, n, where=wrong), "an unknown value in iter_sample")
    for name in case.columns:
        refused(ConditionError, partial(case.fitted.sample, 1, where={name: []}), "a condition that allows no value")


def _model_file_keeps_everything(case: _Case) -> None:
    loaded = saved_and_loaded(case.fitted)
    require(loaded.space_.to_dict() == case.fitted.space_.to_dict(), "a loaded model has another space")
    require(loaded.model_ == case.fitted.model_, "a loaded model is another one")
    one, two = (model.sample(_CELLS, random_state=6) for model in (case.fitted, loaded))
    require(_same(one, two), "a loaded model draws other cells")
    check_drawn_cells(case.learned, two, _CELLS, case.columns)


def _balance_keeps_real_cells(case: _Case) -> None:
    cells, labels = case.learned, case.fitted.space_.labels
    if not labels:
        refused(InputError, lambda: case.fitted.balance(cells), "balance without classes")
        return
    before, known = _dense(cells).copy(), cells.cells.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few real cells
        found, again = (case.fitted.balance(cells, random_state=1) for _ in range(2))
        sizes = dict(zip(case.fitted.classes_, case.fitted.space_.class_counts.tolist(), strict=True))
        rarest = min(sizes, key=lambda name: sizes[name])
        more = case.fitted.balance(cells, counts={rarest: sizes[rarest] + 3}, random_state=1)
    require(np.array_equal(_dense(cells), before) and cells.cells.equals(known), "balance changes the cells")
    require(np.array_equal(_dense(found)[: len(cells)], before), "balance changes the real cells")
    kept = found.cells.iloc[: len(cells)]
    require(list(kept.index) == list(known.index), "balance changes the names of real cells")
    for name in (*case.columns, *case.fitted.space_.covariates):
        require(kept[name].tolist() == known[name].tolist(), f"balance changes {name!r} of the real cells")
    for name in case.columns:
        require(found.cells[name].dtype == known[name].dtype, f"balance changes the dtype of {name!r}")
    require(not found.cells["synthetic"][: len(cells)].any(), "real cells are called synthetic")
    require(found.cells["synthetic"][len(cells) :].all(), "drawn cells are called real")
    require(found.cells.index.is_unique, "cells have the same names")
    reached = set(found.cells.groupby(list(labels), observed=True).size())
    require(reached == {max(sizes.values())}, f"balanced classes have {reached} cells, had {sizes}")
    require(_same(found, again), "the same seed balances otherwise")
    require(len(more) == len(cells) + 3, f"{len(more)} cells, expected three more than {len(cells)}")
    named = {" / ".join(map(str, row)) for row in more.cells[list(labels)].tail(3).itertuples(index=False)}
    require(named == {rarest}, f"the added cells are {named}, expected {rarest!r}")
