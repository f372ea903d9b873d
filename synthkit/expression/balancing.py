"""How many synthetic cells each class needs, and the cells with them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.expression.space import ExpressionSpace
from synthkit.io.expression_set import ExpressionSet
from synthkit.phrases import some_named

MOST_TIMES = 20
"""Synthetic cells for each real one of a class, beyond which they say nothing new."""
SMALL = 20
SYNTHETIC = "synthetic"

DrawClass = Callable[[int, int, int], ExpressionSet]
"""Draws cells of a class: its number, how many, and the number of the first one for its name."""


def class_sizes(data: ExpressionSet, space: ExpressionSpace) -> dict[str, int]:
    """Return how many cells of each class of a model there are.

    Raises
    ------
    InputError
        The model has no classes, or the cells lack a column of labels.
    DataError
        Cells of a class that the model never saw.
    """
    if not space.labels:
        raise InputError("this model has no classes, so that it cannot fill any up", remedy="Fit it with a label.")
    for name in space.labels:
        if name not in data.cells.columns:
            raise InputError(
                unknown_name("column of cells", name, map(str, data.cells.columns)),
                remedy="Balance cells with the labels that the model was fitted with.",
            )
    names = [" / ".join(map(str, row)) for row in data.cells[list(space.labels)].itertuples(index=False)]
    unknown = sorted(set(names) - set(space.class_names))
    if unknown:
        raise DataError(f"the model never saw {some_named(unknown)}", remedy="Fit it to cells that have these labels.")
    found = pd.Series(names).value_counts()
    return {name: int(found.get(name, 0)) for name in space.class_names}


def cells_to_add(
    sizes: Mapping[str, int], *, ratio: float = 1.0, counts: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the cells to add to each class; classes that have enough are absent.

    Parameters
    ----------
    sizes
        Cells of each class.
    ratio
        Cells of every class as a share of the largest class, in (0, 1].
    counts
        Cells that these classes shall have, instead of ``ratio``.

    Raises
    ------
    InputError
        A ratio outside (0, 1], an unknown class, or fewer cells asked for than there are.
    """
    if counts is None:
        if not 0.0 < ratio <= 1.0:
            raise InputError(f"the ratio is {ratio!r}, expected more than 0 and at most 1", remedy="Give 1.0.")
        wanted = math.ceil(ratio * max(sizes.values()))
        return {name: wanted - had for name, had in sizes.items() if 0 < had < wanted}
    added = {}
    for name, asked in counts.items():
        if str(name) not in sizes:
            raise InputError(unknown_name("class", str(name), sizes), remedy="Name a class that the cells have.")
        had = sizes[str(name)]
        if asked < had:
            raise InputError(
                f"class {str(name)!r} has {had} cells, more than the {asked} asked for",
                remedy="Real cells are never removed: ask for at least as many.",
            )
        if asked > had:
            added[str(name)] = int(asked) - had
    return added


def balanced(
    data: ExpressionSet,
    space: ExpressionSpace,
    draw: DrawClass,
    *,
    ratio: float = 1.0,
    counts: Mapping[str, int] | None = None,
) -> ExpressionSet:
    """Return real cells, untouched and first, then as many drawn ones of each class as are missing.

    A column ``synthetic`` says which is which; what is known of real cells alone is missing for drawn ones.

    Raises
    ------
    InputError
        As for `class_sizes` and `cells_to_add`.
    DataError
        Other genes than the model's, or another measure.
    """
    if data.measure != space.measure or list(data.genes.index) != list(space.genes.index):
        raise DataError(
            f"the cells hold {data.measure} of {len(data.genes):,} genes, and the model draws {space.measure} of "
            f"{len(space.genes):,}, or others",
            remedy="Balance the cells that the model was fitted to.",
        )
    sizes = class_sizes(data, space)
    missing = cells_to_add(sizes, ratio=ratio, counts=counts)
    for name, n in missing.items():
        if sizes[name] < SMALL or n > MOST_TIMES * sizes[name]:
            warnings.warn(
                f"{n:,} cells of {name!r} are drawn from {sizes[name]} real ones: they vary less than real cells do",
                stacklevel=3,
            )
    parts, drawn = [data], 0
    for name, n in missing.items():
        parts.append(draw(space.class_names.index(name), n, drawn))
        drawn += n
    flags = np.arange(sum(map(len, parts))) >= len(data)
    cells = _joined([part.cells for part in parts], list(data.cells.columns))
    cells[SYNTHETIC] = flags
    if data.is_sparse:
        values = sparse.vstack([sparse.csr_matrix(part.values) for part in parts], format="csr")
    else:
        values = np.concatenate([part.dense() for part in parts])
    return ExpressionSet(values, data.genes, cells, data.measure, data.found)


def _joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return frames one below the other with the columns of the first, and its categories."""
    head, rest = frames[0], [frame.reindex(columns=columns) for frame in frames[1:]]
    parts = {}
    for name in columns:
        dtype = head[name].dtype
        values = [head[name], *(frame[name] for frame in rest)]
        if isinstance(dtype, pd.CategoricalDtype):
            values = [pd.Series(pd.Categorical(one.astype(object), dtype=dtype), index=one.index) for one in values]
        elif isinstance(dtype, np.dtype) and dtype.kind in "biu" and any(one.isna().any() for one in values[1:]):
            # what is missing for drawn cells would turn flags of real ones into text, and whole numbers into fractions
            bits = 8 * dtype.itemsize
            nullable = {"b": "boolean", "i": f"Int{bits}", "u": f"UInt{bits}"}[dtype.kind]
            values = [one.astype(pd.api.types.pandas_dtype(nullable)) for one in values]
        parts[name] = pd.concat([one for one in values if len(one)])
    index = head.index.append([frame.index for frame in rest])
    return pd.DataFrame({name: part.array for name, part in parts.items()}, index=index)
