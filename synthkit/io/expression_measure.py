"""What the values of a matrix are, told from the values themselves: counts, logarithms, rates or intensities.

Values are looked at block by block: nothing here holds more than the matrix and one block beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError
from synthkit.io.expression_reading import Found
from synthkit.io.expression_set import Measure, Values
from synthkit.phrases import counted

MOST_LOG = 25.0
"""No logarithm of an expression is larger: 2 to the 25th is more than any sequencer or scanner counts."""

_BLOCK = 2_000_000  # values
_SAME = 0.002  # relative standard deviation of sums that count as equal: they are stored as float32
_ROUGHLY_SAME = 0.02  # of sums of rates, from which the genes of organelles or rare ones may be gone
_SCALED_SHARE = 0.9
_CLIP = 10.0  # where scanpy's and Seurat's users clip z-scores
_FEW_ZEROS = 0.01


@dataclass(frozen=True)
class ValueFacts:
    """What one look at all values tells.

    Attributes
    ----------
    least, most
        Smallest and largest finite value, zeros that are not stored included.
    whole
        Whether all are whole numbers.
    n_stored
        Values other than zero.
    n_odd
        Missing and infinite values.
    odd, negative, broken
        Row and column of the first value that is missing or infinite, below zero, or not whole; None without any.
    """

    least: float
    most: float
    whole: bool
    n_stored: int
    n_odd: int
    odd: tuple[int, int] | None
    negative: tuple[int, int] | None
    broken: tuple[int, int] | None


def value_facts(values: Values) -> ValueFacts:
    """Look at all values once, ``[cells, genes]``."""
    least, most = (0.0, 0.0) if _has_gaps(values) else (np.inf, -np.inf)
    n_stored = n_odd = 0
    first: dict[str, int | None] = {"odd": None, "negative": None, "broken": None}
    for start, block in _stored(values):
        n_stored += int(np.count_nonzero(block))
        fine = np.isfinite(block) if block.dtype.kind == "f" else None
        if fine is not None and not fine.all():
            n_odd += int((~fine).sum())
            _mark(first, "odd", ~fine, start)
            finite = block[fine]
        else:
            finite = block
        if not finite.size:
            continue
        low, high = float(finite.min()), float(finite.max())
        least, most = min(least, low), max(most, high)
        if low < 0:
            _mark(first, "negative", block < 0, start)
        if fine is not None and first["broken"] is None:
            _mark(first, "broken", (block != np.floor(block)) & fine, start)
    place = partial(_place, values)
    return ValueFacts(
        least, most, first["broken"] is None, n_stored, n_odd,
        place(first["odd"]), place(first["negative"]), place(first["broken"]),
    )  # fmt: skip


def refuse_odd(found: Found, facts: ValueFacts, source: str) -> None:
    """Raise DataError if a value is missing or infinite."""
    if facts.odd is None:
        return
    raise DataError(
        f"{counted(facts.n_odd, 'value')} of {_named(found, source)} {'is' if facts.n_odd == 1 else 'are'} missing or "
        f"infinite, first {_where(found, facts.odd)}",
        remedy="Fill them in, or leave these genes or cells out.",
    )


def check_measure(found: Found, facts: ValueFacts, measure: Measure, source: str, *, given: bool) -> str:
    """Check values against what they are said to be.

    Parameters
    ----------
    found
        The matrix.
    facts
        Of its values.
    measure
        What they are said to be.
    source
        The file, for messages.
    given
        Whether the user says so; otherwise the name of the matrix does.

    Returns
    -------
    str
        The sentence that says so.

    Raises
    ------
    DataError
        Values cannot be that.
    """
    what = _named(found, source)
    said = "are said to be" if given else "should be, by the name of the layer,"
    remedy = (
        "Name another matrix with layer= (--layer), or say what these are with measure= (--measure): log, rates or "
        "intensities."
    )
    if measure != "intensities" and facts.negative is not None:
        raise DataError(
            f"the values of {what} {said} {measure}, and one {_where(found, facts.negative)} is below zero "
            f"({_value(found, facts.negative)})",
            remedy=remedy,
        )
    if measure == "counts" and facts.broken is not None:
        raise DataError(
            f"the values of {what} {said} counts, and one {_where(found, facts.broken)} is no whole number "
            f"({_value(found, facts.broken)})",
            remedy=remedy,
        )
    by = "the option measure says so" if given else "the name of the matrix says so and all are whole numbers"
    return f"the values are taken for {measure}: {by}"


def tell_measure(found: Found, facts: ValueFacts, source: str) -> tuple[Measure, str]:
    """Tell what the values are, where nobody says it.

    Returns
    -------
    tuple of Measure and str
        What they are, and the sentence that says how it was told.

    Raises
    ------
    DataError
        They are z-scores, from which no expression can be restored.
    """
    if facts.negative is not None:
        return "intensities", _tell_signed(found, facts, source)
    if facts.whole:
        said = "the values are counts: all are whole numbers of at least 0"
        binary = " (none is above 1: they may have been made binary)" if facts.most <= 1 else ""
        return "counts", said + binary
    if facts.most < MOST_LOG:
        return "log", _tell_log(found.values, facts)
    totals = _totals(found.values)
    middle = float(np.median(totals))
    if middle > 0 and _spread(totals) < _ROUGHLY_SAME:
        called = " (TPM or CPM)" if 0.9e6 < middle < 1.1e6 else ""
        return "rates", f"the values are rates: those of each cell sum to about {middle:,.0f}{called}"
    zeros = 1 - facts.n_stored / max(found.values.shape[0] * found.values.shape[1], 1)
    if zeros < _FEW_ZEROS:
        return (
            "intensities",
            f"the values are taken for intensities: from {facts.least:.4g} to {facts.most:,.0f}, with decimals and "
            "hardly a zero (measure=, --measure, says otherwise)",
        )
    return (
        "rates",
        f"the values are taken for rates: not negative, with decimals, up to {facts.most:,.0f}, as FPKM or expected "
        "counts are (rounded, the latter are counts; measure=, --measure, says otherwise)",
    )


def _tell_log(values: Values, facts: ValueFacts) -> str:
    for name, back in (("log1p", np.expm1), ("log2 of 1 + x", lambda block: np.exp2(block) - 1)):
        totals = _totals(values, back)
        middle = float(np.median(totals))
        if middle > 0 and _spread(totals) < _SAME:
            return f"the values are logarithms: undone ({name}), those of each cell sum to {middle:,.0f}"
    return (
        f"the values are taken for logarithms: not negative, with decimals, and none is above {facts.most:.3g} "
        "(measure=, --measure, says otherwise)"
    )


def _tell_signed(found: Found, facts: ValueFacts, source: str) -> str:
    means, deviations = _moments(found.values)
    varies = deviations > 0
    # Cut off at 10, on one side or on both, genes of few cells lose most of their deviation and move a little.
    clipped = facts.most == _CLIP
    deviation_fits = (deviations > 0.1) & (deviations < 1.05) if clipped else np.abs(deviations - 1) < 0.02
    scaled = varies & deviation_fits & (np.abs(means) < 0.1 if clipped else np.abs(means) < 0.01)
    if varies.any() and scaled.sum() >= _SCALED_SHARE * varies.sum():
        how = "a mean of 0 and a standard deviation of 1" + (f", cut off at {_CLIP:g}" if clipped else "")
        raise DataError(
            f"the values of {_named(found, source)} are z-scores (each gene has {how}), from which no expression can "
            "be restored",
            remedy=_another(found) or "Give counts, as in layers['counts'], or write the file before it is scaled.",
        )
    return (
        f"the values are intensities: some are below zero, from {facts.least:,.4g} to {facts.most:,.4g}, and genes are "
        "not scaled to a standard deviation of 1"
    )


# ------------------------------------------------------------ blocks


def row_blocks(values: Values) -> Iterator[slice]:
    """Cut the rows so that a block holds about two million values, stored or not."""
    rows, columns = values.shape
    step = max(1, _BLOCK // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _has_gaps(values: Values) -> bool:
    return bool(sparse.issparse(values)) and values.nnz < values.shape[0] * values.shape[1]


def _stored(values: Values) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the position of the first value, and values: those that are stored, or all of an array row by row."""
    if sparse.issparse(values):
        for start in range(0, len(values.data), _BLOCK):
            yield start, values.data[start : start + _BLOCK]
        return
    columns = values.shape[1]
    for rows in row_blocks(values):
        yield rows.start * columns, np.asarray(values[rows]).ravel()


def _mark(first: dict[str, int | None], what: str, mask: np.ndarray, start: int) -> None:
    if first[what] is None and mask.any():
        first[what] = start + int(np.argmax(mask))


def _place(values: Values, position: int | None) -> tuple[int, int] | None:
    """Row and column of a stored value."""
    if position is None:
        return None
    if sparse.issparse(values):
        return int(np.searchsorted(values.indptr, position, side="right")) - 1, int(values.indices[position])
    row, column = divmod(position, int(values.shape[1]))
    return row, column


def _totals(values: Values, back: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Sum of each cell that has any value, ``[cells]``, after a function that leaves zero at zero."""
    found = []
    for rows in row_blocks(values):
        block = values[rows]
        if back is not None:
            if sparse.issparse(block):
                block = sparse.csr_matrix(
                    (back(block.data.astype(np.float64)), block.indices, block.indptr), block.shape
                )
            else:
                block = back(np.asarray(block, dtype=np.float64))
        found.append(np.asarray(block.sum(axis=1, dtype=np.float64)).ravel())
    totals = np.concatenate(found)
    kept: np.ndarray = totals[totals > 0]
    return kept if kept.size else np.zeros(1)


def _spread(totals: np.ndarray) -> float:
    """Relative standard deviation; a single cell has none that says anything."""
    return float(totals.std() / totals.mean()) if totals.size > 1 else np.inf


def _moments(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each gene, ``[genes]``, with divisor n - 1 as scanpy and Seurat scale."""
    rows, columns = values.shape
    sums, squares = np.zeros(columns), np.zeros(columns)
    for block in row_blocks(values):
        part = values[block]
        sums += np.asarray(part.sum(axis=0, dtype=np.float64)).ravel()
        squared = part.multiply(part) if sparse.issparse(part) else np.square(part, dtype=np.float64)
        squares += np.asarray(squared.sum(axis=0, dtype=np.float64)).ravel()
    means = sums / max(rows, 1)
    variances = np.maximum(squares - rows * means**2, 0) / max(rows - 1, 1)
    variances[variances < 1e-12 * squares] = 0
    return means, np.sqrt(variances)


# ------------------------------------------------------------ words


def _another(found: Found) -> str:
    """Say which other matrices there are; empty text where there is none."""
    return f"Take another matrix with layer= (--layer): {', '.join(found.others[:5])}." if found.others else ""


def _named(found: Found, source: str) -> str:
    return f"{found.where} of '{source}'" if found.where else f"'{source}'"


def _where(found: Found, place: tuple[int, int]) -> str:
    row, column = place
    return f"in cell {_name(found.cells, row)} and gene {_name(found.genes, column)}"


def _name(frame: pd.DataFrame, position: int) -> str:
    return repr(str(frame.index[position]))


def _value(found: Found, place: tuple[int, int]) -> str:
    return f"{float(found.values[place]):.6g}"
