"""AnnData in: .h5ad files, .zarr folders and AnnData objects; needs the extra "expression".

This is the only file that imports anndata, h5py and zarr. Of a file only the matrix that is wanted is read, in pieces,
with the tables of cells and genes: what else lies in it (other layers, embeddings, graphs) is never touched.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.expression_reading import Found
from synthkit.io.expression_set import Values

COUNT_LAYERS = ("counts", "raw_counts", "count", "umi", "umis", "raw")
"""Names of layers that promise counts, in any case."""

RAW = "raw"
X = "X"
_PIECE = 4_000_000  # values that are read at once
_PEEK = 100_000  # values that tell which matrix holds counts
_DAMAGED = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError)


# ------------------------------------------------------------ the packages


def package(name: str, what: str) -> Any:
    """Import one of the packages of the extra, or say how to install it.

    Parameters
    ----------
    name
        Such as ``anndata`` or ``anndata.io``.
    what
        What needs it, for the message.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{what} needs the package {name.partition('.')[0]}, which is not installed",
            remedy="Install it with: pip install 'synthkit[expression]'.",
        ) from error


def is_anndata(source: object) -> bool:
    """Whether this is an AnnData object, without importing anndata."""
    return any(kind.__module__.partition(".")[0] == "anndata" for kind in type(source).__mro__)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file or a zarr folder for reading, as a group.

    Raises
    ------
    InputError
        It does not exist, may not be read, or a package is missing.
    DataError
        It is damaged, or something else.
    """
    if not path.exists():
        raise InputError(f"there is no file '{path}'", remedy="Check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"'{path}' may not be read (permission denied)", remedy="Check its permissions.")
    with ExitStack() as stack:
        if path.is_dir():
            zarr = package("zarr", f"reading '{path}'")
            try:
                group = zarr.open_group(str(path), mode="r")
            except _DAMAGED as error:
                raise DataError(f"'{path}' is no zarr folder", remedy="Write or download it again.") from error
        else:
            if path.stat().st_size == 0:
                raise DataError(f"the file '{path}' is empty", remedy="Check that it was written completely.")
            h5py = package("h5py", f"reading '{path}'")
            try:
                group = stack.enter_context(h5py.File(path, "r"))
            except OSError as error:
                raise DataError(
                    f"'{path}' is not a complete HDF5 file ({_first_words(error)})",
                    remedy="Write or download it again.",
                ) from error
        yield group


@contextmanager
def damage(path: object) -> Iterator[None]:
    """Turn what the packages raise for damaged content into one clear error."""
    try:
        with warnings.catch_warnings():
            # of anndata and zarr about their own formats: nothing that a user could act on
            for category in (FutureWarning, DeprecationWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    except InputError:
        raise
    except (*_DAMAGED, _unknown_encoding()) as error:
        raise DataError(
            f"'{path}' is damaged, or not what its name says ({_first_words(error)})",
            remedy="Write or download it again.",
        ) from error


def _unknown_encoding() -> type[Exception]:
    """Return what anndata raises for an element that it has no reader for; it has no public name."""
    registry = sys.modules.get("anndata._io.specs.registry")
    found: type[Exception] = getattr(registry, "IORegistryError", OSError)
    return found


def _first_words(error: Exception) -> str:
    lines = str(error.args[0] if error.args else error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]


# ------------------------------------------------------------ reading


@dataclass(frozen=True)
class _Candidate:
    """A matrix of a file that could be read."""

    name: str
    matrix: Any
    is_raw: bool = False

    @property
    def promises_counts(self) -> bool:
        return self.name.startswith("layers") and self.name[8:-2].lower() in COUNT_LAYERS


def read_anndata(source: Any, layer: str | None) -> Found:
    """Read a matrix of an .h5ad file, a .zarr folder or an AnnData object, with the tables of cells and genes.

    Parameters
    ----------
    source
        A path, or an object, backed or not.
    layer
        The matrix: ``X``, ``raw`` or the name of a layer. None: ``layers['counts']``, ``raw`` or ``X``, the first that
        holds counts.

    Raises
    ------
    InputError
        No such file or layer.
    DataError
        It is damaged.
    """
    if is_anndata(source):
        with damage("the AnnData object"):
            return _read_object(source, layer)
    path = Path(source)
    with opened(path) as group, damage(path):
        if "obs" not in group or "var" not in group:
            raise DataError(
                f"'{path}' holds no AnnData: it has no obs and var", remedy="Write it with AnnData.write_h5ad."
            )
        if not hasattr(group["obs"], "keys"):
            # before anndata 0.7 these were arrays of records, which only its own reader understands
            old = package("anndata", f"reading '{path}'").read_h5ad(path)
            found = _read_object(old, layer, path)
            note = f"'{path}' is in the format of anndata before 0.7, so that all of it was read"
            return replace(found, notes=(*found.notes, note))
        read = package("anndata.io", f"reading '{path}'").read_elem
        matrices = [_Candidate(f"layers[{name!r}]", group["layers"][name]) for name in _names(group, "layers")]
        if "raw" in group and "X" in group["raw"]:
            matrices.append(_Candidate(RAW, group["raw"]["X"], is_raw=True))
        if "X" in group:
            matrices.append(_Candidate(X, group["X"]))
        chosen, notes = _chosen(matrices, layer, path)
        genes = read(group["raw"]["var"] if chosen.is_raw else group["var"])
        others = tuple(one.name for one in matrices if one is not chosen)
        return replace(_found(chosen, read(group["obs"]), genes, notes, path), others=others)


def _read_object(data: Any, layer: str | None, path: object = "the AnnData object") -> Found:
    matrices = [_Candidate(f"layers[{name!r}]", data.layers[name]) for name in data.layers]
    if data.raw is not None:
        matrices.append(_Candidate(RAW, data.raw.X, is_raw=True))
    if data.X is not None:
        matrices.append(_Candidate(X, data.X))
    chosen, notes = _chosen(matrices, layer, path)
    genes = data.raw.var if chosen.is_raw else data.var
    others = tuple(one.name for one in matrices if one is not chosen)
    return replace(_found(chosen, data.obs.copy(), genes.copy(), notes, path), others=others)


def _names(group: Any, name: str) -> list[str]:
    return sorted(group[name].keys()) if name in group else []


def _found(chosen: _Candidate, cells: pd.DataFrame, genes: pd.DataFrame, notes: list[str], path: object) -> Found:
    values = _loaded(chosen.matrix, path)
    if values.shape != (len(cells), len(genes)):
        raise DataError(
            f"{chosen.name} of '{path}' has the shape {tuple(values.shape)}, and there are {len(cells)} cells and "
            f"{len(genes)} genes",
            remedy="Write or download it again.",
        )
    return Found(
        values,
        genes.set_axis(genes.index.astype(str), axis=0),
        cells.set_axis(cells.index.astype(str), axis=0),
        chosen.name,
        "counts" if chosen.promises_counts else None,
        tuple(notes),
    )


# ------------------------------------------------------------ which matrix


def _chosen(matrices: list[_Candidate], layer: str | None, path: object) -> tuple[_Candidate, list[str]]:
    """Return the matrix to read: the one that is named, or the first that holds counts, or the first that will do."""
    if not matrices:
        raise DataError(f"'{path}' holds no matrix: X is empty and there are no layers", remedy="Write it with X.")
    if layer is not None:
        by_name = {one.name: one for one in matrices}
        for name in (f"layers[{layer!r}]", layer):
            if name in by_name:
                return by_name[name], [f"{name} of '{path}' was read, as asked"]
        known = [one.name[8:-2] if one.name.startswith("layers") else one.name for one in matrices]
        raise InputError(f"'{path}' has an {unknown_name('layer', layer, known)}", remedy="Name one that there is.")
    order = sorted(
        (one for one in matrices if one.promises_counts or not one.name.startswith("layers")),
        key=lambda one: (not one.promises_counts, one.name == X),
    )
    if not order:
        names = ", ".join(one.name for one in matrices)
        raise InputError(f"'{path}' has no X, and {names}", remedy="Name a layer with layer= (--layer).")
    if order[0].promises_counts:
        chosen, why = order[0], "by its name"
    else:
        looks = {one.name: _peek(one.matrix) for one in order}
        chosen = next((one for one in order if looks[one.name] == "counts"), None) or next(
            (one for one in order if looks[one.name] == "positive"), order[-1]
        )
        why = "the first that holds counts" if looks[chosen.name] == "counts" else "none holds counts"
    others = [one.name for one in matrices if one is not chosen]
    if not others:
        return chosen, [f"{chosen.name} of '{path}' was read; it is the only matrix"]
    listed = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    return chosen, [f"{chosen.name} of '{path}' was read ({why}); layer= (--layer) takes another: {listed}"]


def _peek(matrix: Any) -> str:
    """Look at the first values of a matrix: ``counts``, ``positive`` or ``signed``."""
    matrix = getattr(matrix, "group", matrix)
    if sparse.issparse(matrix):
        values = matrix.tocsr().data[:_PEEK] if not hasattr(matrix, "data") else np.asarray(matrix.data[:_PEEK])
    elif _is_group(matrix):
        values = np.asarray(matrix["data"][:_PEEK])
    else:
        values = np.asarray(matrix[: max(1, _PEEK // max(matrix.shape[1], 1))]).ravel()
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size and finite.min() < 0:
        return "signed"
    return "counts" if np.array_equal(finite, np.floor(finite)) else "positive"


# ------------------------------------------------------------ values


def _is_group(matrix: Any) -> bool:
    return hasattr(matrix, "keys")


def _loaded(matrix: Any, path: object) -> Values:
    """Return a CSR matrix or an array in memory; what is sparse is never made dense."""
    matrix = getattr(matrix, "group", matrix)  # of a backed object
    if sparse.issparse(matrix):
        # what belongs to the user is copied before anything is put in order
        return canonical(sparse.csr_matrix(matrix, copy=True))
    if isinstance(matrix, np.ndarray):
        return _real(np.asarray(matrix), path)
    if _is_group(matrix):
        return _loaded_sparse(matrix, path)
    if hasattr(matrix, "shape") and hasattr(matrix, "dtype") and not hasattr(matrix, "compute"):
        return _loaded_array(matrix, path)
    raise InputError(
        f"the matrix of '{path}' is a {type(matrix).__name__}, expected an array or a sparse matrix",
        remedy="Load it first.",
    )


def _loaded_sparse(group: Any, path: object) -> Values:
    attributes: Mapping[str, Any] = group.attrs
    kind = attributes.get("encoding-type", attributes.get("h5sparse_format", "csr"))
    shape = tuple(int(length) for length in attributes.get("shape", attributes.get("h5sparse_shape", ())))
    if len(shape) != 2:
        raise DataError(f"a sparse matrix of '{path}' has no shape", remedy="Write or download it again.")
    return compressed(group, shape, by_column=str(kind).startswith("csc"), path=path)


def compressed(group: Any, shape: tuple[int, int], *, by_column: bool, path: object) -> Values:
    """Read ``data``, ``indices`` and ``indptr`` piece by piece into a CSR matrix of the shape ``[cells, genes]``.

    Parameters
    ----------
    group
        Of HDF5 or zarr.
    shape
        Cells and genes.
    by_column
        Whether the pieces are columns (CSC), which then needs memory for two matrices.
    path
        For messages.

    Raises
    ------
    DataError
        The parts do not fit together.
    """
    stored = int(group["data"].shape[0])
    index = np.int32 if max(stored, *shape) < 2**31 else np.int64
    data = _real(np.empty(stored, group["data"].dtype), path)
    indices = np.empty(stored, index)
    for start in range(0, stored, _PIECE):
        piece = slice(start, min(start + _PIECE, stored))
        data[piece] = group["data"][piece]
        indices[piece] = group["indices"][piece]
    kind = sparse.csc_matrix if by_column else sparse.csr_matrix
    matrix = kind((data, indices, np.asarray(group["indptr"][:], index)), shape)
    matrix.check_format(full_check=True)
    return canonical(matrix.tocsr())


def _loaded_array(dataset: Any, path: object) -> Values:
    values = _real(np.empty(dataset.shape, dataset.dtype), path)
    if values.ndim != 2:
        raise DataError(f"the matrix of '{path}' has {values.ndim} axes, expected 2", remedy="Write it again.")
    step = max(1, _PIECE // max(values.shape[1], 1))
    for start in range(0, len(values), step):
        values[start : start + step] = dataset[start : start + step]
    return values


def _real(values: np.ndarray, path: object) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise DataError(f"the matrix of '{path}' holds {values.dtype}, expected real numbers", remedy="Write numbers.")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def canonical(matrix: Any) -> Values:
    """Put the values of a CSR matrix in order: sorted, one per place, no zeros that are stored."""
    matrix = sparse.csr_matrix(matrix)
    if matrix.data.dtype.kind == "b":
        matrix = matrix.astype(np.uint8)
    matrix.sum_duplicates()
    if (
        matrix.dtype.kind in "iu"
        and matrix.dtype.itemsize == 8
        and (not matrix.nnz or np.abs(matrix.data).max() < 2**31)
    ):
        matrix = matrix.astype(np.int32)  # half the memory
    matrix.eliminate_zeros()
    return matrix
