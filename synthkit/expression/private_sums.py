"""Sums over donors in which nobody counts for more than a public bound, with noise: the only reader of private cells.

A cell is normalised by itself, with public numbers only, and turned into a vector of norm 1 at most. The vectors of a
donor's cells are averaged (within each class, where a sum is kept for each), so that a donor with 10,000 cells counts
as much as one with 10. The donor's vector is rounded to whole numbers, whose norm is checked in whole numbers: the
bound holds for the program and not only on paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synthkit.errors import PrivacyError
from synthkit.expression.loadings import TARGET
from synthkit.expression.private_plan import STEPS
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.noise import NoiseSource

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

_CELLS_AT_ONCE = (16, 1000)  # fewest and most; between them, as many as make the numbers below
_NUMBERS_AT_ONCE = 4_000_000
_UNDER_ONE = 1 - 1e-9  # of the norm, for what floating-point sums round up


@dataclass(frozen=True, eq=False)
class Cells:
    """Some cells of some units, all cells of these units.

    Attributes
    ----------
    logs
        ``log(1 + counts per 10,000)``, CSR ``[n, genes]`` float64.
    totals
        Counts of each cell ``[n]``.
    classes
        Declared class of each cell ``[n]``.
    units
        Unit of each cell, numbered from 0 within this batch, ``[n]``.
    """

    logs: Any
    totals: Floats
    classes: Numbers
    units: Numbers

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.units.max()) + 1 if len(self.units) else 0


Vectors = Callable[[Cells], Any]
"""From cells to a vector of norm 1 at most for each, ``[n, d]``; from public numbers and earlier releases only."""


def private_rows(values: Any, classes: Numbers, units: Numbers, ledger: Any) -> PrivateRows:
    """Put cells behind the guard.

    Parameters
    ----------
    values
        Counts ``[cells, genes]``, CSR or an array.
    classes
        Number of the declared class of each cell, -1 for any other ``[cells]``.
    units
        Number of the unit of each cell, -1 where it is not known ``[cells]``.
    ledger
        Where events are recorded.
    """
    matrix = sparse.csr_matrix(values)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    rows = np.empty(matrix.shape[0], object)
    for at in range(matrix.shape[0]):
        here = slice(matrix.indptr[at], matrix.indptr[at + 1])
        rows[at] = (matrix.indices[here], matrix.data[here])
    return PrivateRows({"counts": rows, "classes": classes, "units": units}, ledger)


def noisy_sums(
    rows: PrivateRows, event: Event, vectors: Vectors, width: int, genes: int, noise: NoiseSource, *, classes: int = 0
) -> Floats:
    """Release the sum over units of their mean vectors, with noise, once.

    Parameters
    ----------
    rows
        From `private_rows`.
    event
        Planned by `synthkit.expression.private_plan.plan_moments`.
    vectors
        What is averaged.
    width
        Length d of a vector.
    genes
        Number of genes.
    noise
        Where the noise comes from.
    classes
        0 for one sum over all cells; otherwise the number of declared classes, for a sum of each.

    Returns
    -------
    numpy.ndarray
        ``[d]``, or ``[classes, d]``, in units of the longest vector of one unit.

    Privacy
    -------
    Adjacency: add or remove one unit (a donor with all cells, or a cell). What a unit adds has a norm of at most 2^18
    whole numbers, by `unit_vectors`: the sensitivity that the event states, twice as much for "replace-one". The noise
    is the discrete Gaussian (Canonne, Kamath and Steinke, 2020).
    """
    if event.sensitivity < STEPS:
        raise PrivacyError(f"the event '{event.name}' counts on a sensitivity below {STEPS}", remedy="Plan it anew.")
    with rows.reading(event) as data:
        total = exact_sums(data, vectors, width, genes, classes)
        sigma = (event.noise_multiplier or np.inf) * event.sensitivity
        noisy = (total + noise.discrete_gaussian(sigma, total.size)).astype(np.float64) / STEPS
    return noisy.reshape(classes, width) if classes else noisy


def exact_sums(data: Mapping[str, NDArray[Any]], vectors: Vectors, width: int, genes: int, classes: int) -> Numbers:
    """Sum the whole-number vectors of all units ``[max(classes, 1) d]``. Exact, so private."""
    total = np.zeros(max(classes, 1) * width, np.int64)
    at_once = int(np.clip(_NUMBERS_AT_ONCE // total.size, *_CELLS_AT_ONCE))
    for cells in batches(data, genes, at_once):
        total += unit_vectors(cells, vectors(cells), classes).sum(0)
    return total


def unit_vectors(cells: Cells, found: Any, classes: int) -> Numbers:
    """Average the vectors of each unit's cells, and round them to whole numbers.

    Parameters
    ----------
    cells
        All cells of some units.
    found
        A vector of norm 1 at most for each cell ``[n, d]``, dense or CSR.
    classes
        0, or the number of classes: then a unit with cells of m classes has a mean for each of them, divided by the
        root of m.

    Returns
    -------
    ndarray of int64
        ``[units, max(classes, 1) d]``, each of norm at most 2^18; zeros where rounding would make it longer or where
        it is no number.
    """
    weights = averaging(cells, classes)
    means = weights @ found
    dense = np.asarray(means.todense() if sparse.issparse(means) else means, np.float64)
    dense = dense.reshape(cells.n_units, -1)
    dense = np.where(np.isfinite(dense).all(1, keepdims=True), dense, 0.0)
    # a coordinate is 1 at most; a wild one would not fit whole numbers
    whole: Numbers = np.trunc(dense.clip(-1.0, 1.0) * (STEPS * _UNDER_ONE)).astype(np.int64)
    whole[np.einsum("ud,ud->u", whole, whole) > STEPS**2] = 0
    return whole


def averaging(cells: Cells, classes: int) -> Any:
    """Return the weights of cells in the vectors of their units, CSR ``[units max(classes, 1), n]``."""
    slot = cells.units * max(classes, 1) + (cells.classes if classes else 0)
    size = cells.n_units * max(classes, 1)
    in_slot = np.bincount(slot, minlength=size)
    present = (in_slot.reshape(cells.n_units, -1) > 0).sum(1)
    weight = 1 / (in_slot[slot] * np.sqrt(present[cells.units]))
    return sparse.csr_matrix((weight, (slot, np.arange(len(slot)))), (size, len(slot)))


def batches(data: Mapping[str, NDArray[Any]], genes: int, at_once: int) -> Iterator[Cells]:
    """Yield cells in batches of whole units; a cell without a declared class or a unit is in none."""
    counted = np.flatnonzero((data["classes"] >= 0) & (data["units"] >= 0))
    order = counted[np.argsort(data["units"][counted], kind="stable")]
    owners = data["units"][order]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(order) else np.zeros(0, np.int64)
    ends = np.r_[starts[1:], len(order)] if len(order) else starts
    begin = 0
    for at, end in enumerate(ends):
        if end - begin >= at_once or at == len(ends) - 1:
            here = order[begin:end]
            numbers = np.unique(owners[begin:end], return_inverse=True)[1]
            yield _normalised(data["counts"][here], data["classes"][here], numbers.astype(np.int64), genes)
            begin = end


def _normalised(counts: NDArray[Any], classes: Numbers, units: Numbers, genes: int) -> Cells:
    """Normalise each cell by itself; what is no count counts as zero, and nothing raises an error."""
    lengths = np.array([len(places) for places, _ in counts], np.int64)
    places = np.concatenate([row[0] for row in counts]).astype(np.int64)
    found = np.concatenate([row[1] for row in counts]).astype(np.float64)
    found = np.where(np.isfinite(found) & (found > 0), found, 0.0).clip(max=1e12)
    cell = np.repeat(np.arange(len(counts)), lengths)
    totals = np.bincount(cell, found, minlength=len(counts)).astype(np.float64)
    logs = np.log1p(found * (TARGET / np.maximum(totals, 1e-300))[cell])
    pointers = np.r_[0, np.cumsum(lengths)]
    return Cells(sparse.csr_matrix((logs, places, pointers), (len(counts), genes)), totals, classes, units)


def clipped(vectors: Floats, bound: float) -> Floats:
    """Return vectors ``[n, d]`` over a bound, those that are longer than it cut to norm 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    cut: Floats = vectors / np.maximum(lengths, bound)
    return cut


def one_hot(values: Floats, edges: Floats) -> Floats:
    """Return which public bin each value lies in ``[n, bins]``; what is outside counts as the first or the last."""
    at = np.searchsorted(edges, values, side="right").clip(1, len(edges) - 1) - 1
    hot = np.zeros((len(values), len(edges) - 1))
    hot[np.arange(len(values)), at] = 1.0
    return hot
