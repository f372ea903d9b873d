"""AnnData out, batch by batch: .h5ad files and .zarr folders that anndata opens, in flat memory.

Values are appended to the arrays of anndata's own encoding, in blocks of a fixed number of cells whatever the batches
are, so that the same cells give the same bytes. What is kept until the end is the table of cells, and eight bytes a
cell for where its values begin.

References
----------
On-disk format of anndata, https://anndata.readthedocs.io/en/stable/fileformat-prose.html (csr_matrix 0.1.0, array
0.2.0, dataframe 0.2.0).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError
from synthkit.io.anndata import package
from synthkit.io.expression_set import ExpressionSet

UNS = "synthkit"
_CHUNK = 65_536  # values in a piece of a file
_CHUNK_CELLS = 128

Append = Callable[[str, np.ndarray], None]


class AnnDataWriter:
    """Writes cells into an open group, a block at a time.

    Parameters
    ----------
    group
        Of h5py or zarr, empty.
    first
        A block: the genes, the measure, and whether values are sparse are taken from it.
    """

    def __init__(self, group: Any, first: ExpressionSet) -> None:
        self._group = group
        self._genes = first.genes
        self._sparse = first.is_sparse or first.measure == "counts"
        self._stored = 0
        self._n = 0
        self._ends: list[np.ndarray] = [np.zeros(1, np.int64)]
        dtype = np.int32 if first.measure == "counts" else np.float32
        if self._sparse:
            self._values = group.create_group("X")
            self._array(self._values, "data", dtype, (0,), (_CHUNK,))
            self._array(self._values, "indices", np.int32, (0,), (_CHUNK,))
        else:
            width = len(first.genes)
            chunk = (max(1, min(_CHUNK_CELLS, 8 * _CHUNK // max(width, 1))), width)
            self._array(group, "X", dtype, (0, width), chunk)

    def _array(self, group: Any, name: str, dtype: Any, shape: tuple[int, ...], chunk: tuple[int, ...]) -> Any:
        if _is_h5(group):
            # times would make two files with the same content differ
            return group.create_dataset(
                name, shape, dtype, maxshape=(None, *shape[1:]), chunks=chunk, compression="gzip", compression_opts=1,
                shuffle=True, track_times=False,
            )  # fmt: skip
        make = group.create_array if hasattr(group, "create_array") else group.create_dataset  # zarr 3, zarr 2
        return make(name=name, shape=shape, dtype=np.dtype(dtype), chunks=chunk)

    def append(self, values: Any) -> None:
        """Append the values of some cells, as `checked_values` returns them."""
        self._n += values.shape[0]
        if not self._sparse:
            _extend(self._group["X"], values)
            return
        _extend(self._values["data"], values.data)
        _extend(self._values["indices"], values.indices.astype(np.int32))
        self._ends.append(self._stored + values.indptr[1:].astype(np.int64))
        self._stored += len(values.data)

    def close(self, cells: pd.DataFrame, provenance: Mapping[str, Any]) -> None:
        """Write what is known of cells and genes, and what made them."""
        write = package("anndata.io", "writing AnnData").write_elem
        if self._sparse:
            self._array(self._values, "indptr", np.int64, (0,), (_CHUNK,))
            _extend(self._values["indptr"], np.concatenate(self._ends))
            encoding = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"}
            self._values.attrs.update({**encoding, "shape": [self._n, len(self._genes)]})
        else:
            self._group["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        self._group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning, UserWarning):  # of anndata and zarr about their formats
                warnings.simplefilter("ignore", category)
            write(self._group, "obs", writable(cells, "cells"))
            write(self._group, "var", writable(self._genes, "genes"))
            write(self._group, "uns", {UNS: flat(provenance)})


def _is_h5(group: Any) -> bool:
    return type(group).__module__.startswith("h5py")


def _extend(dataset: Any, values: np.ndarray) -> None:
    if not len(values):
        return
    before = dataset.shape[0]
    dataset.resize((before + len(values), *dataset.shape[1:]))
    dataset[before:] = values


@contextmanager
def new_group(path: Path) -> Iterator[Any]:
    """Open a new file (.h5ad) or a new folder (.zarr) for writing."""
    if path.suffix.lower() == ".zarr":
        zarr = package("zarr", "writing .zarr")
        # of zarr's formats 2 is the one that all versions of anndata read
        later = int(zarr.__version__.partition(".")[0]) >= 3
        yield zarr.open_group(str(path), mode="w", **({"zarr_format": 2} if later else {}))
        return
    with package("h5py", "writing .h5ad").File(path, "w") as file:
        yield file


def flat(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every version of anndata can hold: text, numbers and booleans; what is nested becomes JSON."""
    found: dict[str, Any] = {}
    for key, value in provenance.items():
        plain = value.item() if isinstance(value, np.generic) else value
        name = str(key).replace("/", "_")  # a slash would be a path in the file
        found[name] = plain if isinstance(plain, str | bool | int | float) else json.dumps(plain, ensure_ascii=False)
    return found


def writable(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return a table as anndata can write it: text with gaps and texts of pandas become categories or plain text.

    Raises
    ------
    DataError
        A column holds something else, such as lists.
    """
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            categories = column.cat.categories
            if categories.dtype != object or all(isinstance(one, str) for one in categories):
                columns[str(name)] = column
                continue
            column = column.cat.rename_categories([str(one) for one in categories])
        elif column.dtype.kind in "Mm":
            column = column.astype(str).where(column.notna(), None).astype("category")
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            column = column.astype(object).where(column.notna(), None)
            odd = next((one for one in column if one is not None and not isinstance(one, str)), None)
            if odd is not None:
                raise DataError(
                    f"the column {str(name)!r} of the {what} holds {odd!r}, expected text, numbers or categories",
                    remedy="Turn it into text, or leave it out.",
                )
            column = column.astype("category") if column.isna().any() else column
        columns[str(name)] = column
    index = pd.Index([str(one) for one in frame.index], dtype=object, name=frame.index.name)
    if index.name in columns:
        index.name = None  # anndata writes the index as one more column
    return pd.DataFrame(columns, index=index)


def checked_values(part: ExpressionSet, *, dense: bool = False) -> Any:
    """Return values as they are written: whole numbers as int32, others as float32; CSR without stored zeros, or dense.

    Raises
    ------
    DataError
        They are not what their measure says, or cannot be held.
    """
    values = part.values
    block = values.data if sparse.issparse(values) else np.asarray(values)
    if block.size:
        low, high = float(block.min()), float(block.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise DataError("synthetic values are missing or infinite", remedy="Draw them again.")
        if part.measure != "intensities" and low < 0:
            raise DataError(f"synthetic {part.measure} are below zero, down to {low:.6g}", remedy="Draw them again.")
        if part.measure == "counts" and (high >= 2**31 or not np.array_equal(block, np.floor(block))):
            raise DataError("synthetic counts are not whole numbers below 2^31", remedy="Round them.")
    dtype = np.int32 if part.measure == "counts" else np.float32
    if dense:
        return np.asarray(values.toarray() if sparse.issparse(values) else values).astype(dtype)
    matrix = sparse.csr_matrix(values, dtype=dtype, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
