"""Gene expression in: h5ad, zarr, what 10x writes, Matrix Market and tables become cells by genes, all of it checked.

What is found is never taken in silence: which matrix was read, what its values are and how that was told, which way
round a table lies and what was left out are all said in notes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.anndata import is_anndata, opened, read_anndata
from synthkit.io.expression_measure import check_measure, refuse_odd, tell_measure, value_facts
from synthkit.io.expression_orientation import cell_share, gene_share
from synthkit.io.expression_reading import ExpressionReading, Found
from synthkit.io.expression_set import MEASURES, ExpressionSet, Measure
from synthkit.io.source import split_options
from synthkit.phrases import counted

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["ExpressionReading", "Transpose", "read_expression"]

Transpose = Literal["auto"] | bool
CELLS = "cells.csv"
"""The table of cells in a folder that synthkit wrote."""
_SURE = 0.5
_NAMES = 2_000  # names along a side that are looked at


def read_expression(
    source: str | os.PathLike[str] | AnnData,
    *,
    layer: str | None = None,
    measure: Measure | None = None,
    transpose: Transpose = "auto",
    genes: Sequence[str] | None = None,
    cells: str | os.PathLike[str] | None = None,
    drop_empty: bool = False,
) -> ExpressionReading:
    """Read gene expression.

    Parameters
    ----------
    source
        An .h5ad file or .zarr folder, of which only one matrix is read, in pieces; an AnnData object, backed or not; a
        folder with ``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` (also ``.gz``), an .mtx file alone, or an .h5
        file, as 10x writes them; a .csv, .tsv (also compressed) or .parquet table, either way round.
    layer
        The matrix of an AnnData: ``X``, ``raw``, or the name of a layer. None: ``layers['counts']``, else the first of
        raw and X that holds counts, else the first of them without values below zero. Of an .h5 file of Cell Ranger 2:
        the genome.
    measure
        What the values are, instead of telling it from them.
    transpose
        Whether rows of the file are genes. "auto": told by the names of rows and columns in a table; genes by cells in
        .mtx files; cells by genes in an AnnData, which is refused if names leave no doubt that it is not so.
    genes
        Ids of the genes to keep, in this order. None: all.
    cells
        A table with a row per cell: labels, batches, donors. One column holds names of cells;
        ``labels.csv?cell=barcode`` names it. None: ``cells.csv`` of a folder that synthkit wrote.
    drop_empty
        Leave out cells without any value above zero, instead of refusing them.

    Returns
    -------
    ExpressionReading
        Cells by genes, and notes on what was found.

    Raises
    ------
    InputError
        No such file, layer, gene or option, or a package is missing.
    DataError
        The content is damaged or empty, or cannot be used: missing or infinite values, values that are not what they
        are said to be, z-scores, genes with the same id, or cells without any value.
    """
    if transpose != "auto" and not isinstance(transpose, bool):
        raise InputError(f"transpose must be 'auto', True or False, got {transpose!r}", remedy="Choose one of them.")
    if measure is not None and measure not in MEASURES:
        raise InputError(f"measure is an {unknown_name('measure', measure, MEASURES)}", remedy="Choose one of them.")
    shown = "the AnnData object" if is_anndata(source) else os.fspath(source)
    found = _read(source, layer, None if transpose == "auto" else transpose)
    if 0 in found.values.shape:
        n_cells, n_genes = found.values.shape
        raise DataError(f"'{shown}' holds {n_cells} cells and {n_genes} genes", remedy="Check that it is complete.")
    _refuse_repeated(found, shown)
    if genes is not None:
        found = _with_genes(found, genes, shown)
    if cells is None and not is_anndata(source) and (Path(source) / CELLS).is_file():
        cells = Path(source) / CELLS
    if cells is not None:
        found = _with_cells(found, cells, shown)
    facts = value_facts(found.values)
    refuse_odd(found, facts, shown)
    wanted = measure or found.promised
    if wanted is not None:
        told = check_measure(found, facts, wanted, shown, given=measure is not None)
    else:
        wanted, told = tell_measure(found, facts, shown)
    found, n_empty, said = _without_empty(found, wanted, shown, drop_empty)
    data = ExpressionSet(found.values, found.genes, found.cells, wanted, found.where)
    return ExpressionReading(data, (*found.notes, told, *said), told, n_empty)


# ------------------------------------------------------------ formats


def _read(source: Any, layer: str | None, rows_are_genes: bool | None) -> Found:
    """Read a matrix, whatever it lies in."""
    if is_anndata(source):
        return _turned(read_anndata(source, layer), rows_are_genes, "the AnnData object")
    path = Path(source)
    name = path.name.lower()
    if name.endswith((".h5ad", ".zarr")) or (path.is_dir() and _is_zarr(path)) or _is_h5_of_anndata(path, name):
        return _turned(read_anndata(path, layer), rows_are_genes, path)
    # what needs h5py or pandas' parsers is imported where it is read
    from synthkit.io.expression_tenx import read_mtx, read_tenx_folder, read_tenx_h5
    from synthkit.io.expression_text import read_expression_table

    if name.endswith(".h5"):
        return _turned(read_tenx_h5(path, layer), rows_are_genes, path)
    if layer is not None:
        raise InputError(f"'{path}' has no layers, got the layer {layer!r}", remedy="Leave layer (--layer) out.")
    if path.is_dir():
        return _turned(read_tenx_folder(path), rows_are_genes, path)
    if name.endswith((".mtx", ".mtx.gz")):
        return read_mtx(path, rows_are_genes=rows_are_genes)
    if name.endswith(".loom"):
        raise InputError(f"loom files are not read, got '{path}'", remedy="Convert it with anndata.io.read_loom.")
    return read_expression_table(path, rows_are_genes)


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).exists() for name in (".zgroup", ".zattrs", "zarr.json"))


def _is_h5_of_anndata(path: Path, name: str) -> bool:
    if not name.endswith(".h5"):
        return False
    with opened(path) as file:
        return "obs" in file and "var" in file


def _turned(found: Found, rows_are_genes: bool | None, source: object) -> Found:
    """Turn what says by its format that rows are cells, if that is asked for; refuse it where names contradict."""
    rows, columns = list(found.cells.index[:_NAMES]), list(found.genes.index[:_NAMES])
    genes_down = gene_share(rows) - gene_share(columns) + cell_share(columns) - cell_share(rows)
    if rows_are_genes is None and genes_down > _SURE:
        raise DataError(
            f"'{source}' lies the other way round: its cells have names of genes, such as {rows[0]!r}, and its genes "
            f"names of cells, such as {columns[0]!r}",
            remedy="Turn it with transpose=True (--transpose yes).",
        )
    if not rows_are_genes:
        return found
    if genes_down < -_SURE:
        raise InputError(
            f"the rows of '{source}' are cells, such as {rows[0]!r}, and transpose=True says that they are genes",
            remedy="Leave transpose (--transpose) out.",
        )
    values = found.values.T
    values = sparse.csr_matrix(values) if sparse.issparse(values) else np.ascontiguousarray(values)
    note = f"'{source}' was turned, as asked: what it calls cells are genes"
    return replace(found, values=values, genes=found.cells, cells=found.genes, notes=(*found.notes, note))


# ------------------------------------------------------------ checks


def _refuse_repeated(found: Found, source: str) -> None:
    repeated = found.genes.index[found.genes.index.duplicated()]
    if not len(repeated):
        return
    first, ids = str(repeated[0]), len(set(repeated))
    places = int((found.genes.index == first).sum())
    raise DataError(
        f"{counted(ids, 'gene id')} of '{source}' {'is' if ids == 1 else 'are'} repeated, "
        f"first {first!r} ({places} times)",
        remedy="Use ids that are unique, as Ensembl's, sum the columns of a gene, or rename them with "
        "AnnData.var_names_make_unique().",
    )


def _with_genes(found: Found, genes: Sequence[str], source: str) -> Found:
    wanted = [genes] if isinstance(genes, str) else [str(gene) for gene in genes]
    places = found.genes.index.get_indexer(pd.Index(wanted, dtype=object))
    if (places < 0).any():
        name = wanted[int(np.argmax(places < 0))]
        raise InputError(f"'{source}' has an {unknown_name('gene', name, found.genes.index)}", remedy="Leave it out.")
    if not wanted or len(set(wanted)) < len(wanted):
        raise InputError(f"genes must be some ids, each once, got {len(wanted)}", remedy="Give each gene once.")
    note = f"{counted(len(wanted), 'gene')} of {len(found.genes):,} were kept, as asked"
    return replace(found, values=found.values[:, places], genes=found.genes.iloc[places], notes=(*found.notes, note))


def _without_empty(found: Found, measure: Measure, source: str, drop: bool) -> tuple[Found, int, list[str]]:
    """Refuse cells without any value, or leave them out; intensities have no value that means none."""
    if measure == "intensities":
        return found, 0, []
    if sparse.issparse(found.values):
        empty = np.diff(found.values.indptr) == 0
        if not empty.any() and found.values.nnz and not (found.values.data == 0).any():
            return found, 0, []
        filled = np.asarray((found.values != 0).sum(axis=1)).ravel()
    else:
        filled = np.count_nonzero(found.values, axis=1)
    empty = filled == 0
    n = int(empty.sum())
    if not n:
        return found, 0, []
    if n == len(empty):
        raise DataError(f"all {n:,} cells of '{source}' are zero in every gene", remedy="Check that it is complete.")
    if not drop:
        first = str(found.cells.index[int(np.argmax(empty))])
        raise DataError(
            f"{n:,} of {len(empty):,} cells of '{source}' {'is' if n == 1 else 'are'} zero in every gene, first "
            f"{first!r}",
            remedy="Filter them, or leave them out with drop_empty=True (--drop-empty).",
        )
    kept = np.flatnonzero(~empty)
    said = f"{counted(n, 'cell')} of {len(empty):,} {'is' if n == 1 else 'are'} zero in every gene and left out"
    return replace(found, values=found.values[kept], cells=found.cells.iloc[kept]), n, [said]


# ------------------------------------------------------------ a table of cells


def _with_cells(found: Found, table: str | os.PathLike[str], source: str) -> Found:
    """Add the columns of a table to what is known of cells."""
    from synthkit.io.tables import read_table

    before, column = _cell_column(os.fspath(table))
    frame = read_table(before)
    path = split_options(before)[0]
    names = set(found.cells.index)
    if column is None:
        shares = {str(name): frame[name].astype(str).isin(names).mean() for name in frame}
        column = max(shares, key=lambda name: shares[name])
    elif column not in frame:
        raise InputError(f"'{path}' has an {unknown_name('column', column, map(str, frame))}", remedy="Name one.")
    keys = frame[column].astype(str)
    if not keys.isin(names).any():
        raise InputError(
            f"no cell of '{source}' is named in '{path}': cells are called as {found.cells.index[0]!r}, and its column "
            f"{column!r} holds {keys.iloc[0]!r}",
            remedy="Name the column of cells as in labels.csv?cell=barcode.",
        )
    known = keys[keys.isin(names)]
    if known.duplicated().any():
        raise DataError(
            f"'{path}' names the cell {known[known.duplicated()].iloc[0]!r} more than once", remedy="Give each one row."
        )
    clash = [str(name) for name in frame if name != column and name in found.cells]
    if clash:
        raise InputError(
            f"'{path}' has a column {clash[0]!r}, and so have the cells of '{source}'", remedy="Rename it in the table."
        )
    added = frame.set_axis(keys.to_numpy(), axis=0).drop(columns=column).reindex(found.cells.index)
    for name in added:
        if added[name].dtype == object or isinstance(added[name].dtype, pd.StringDtype):
            added[name] = added[name].astype(object).where(added[name].notna(), None).astype("category")
    without = int((~found.cells.index.isin(set(keys))).sum())
    listed = ", ".join(map(repr, added.columns))
    note = f"'{path}' describes cells, which its column {column!r} names: {listed}" + (
        f"; {counted(without, 'cell')} of {len(added):,} {'is' if without == 1 else 'are'} not in it" if without else ""
    )
    return replace(found, cells=pd.concat([found.cells, added], axis=1), notes=(*found.notes, note))


def _cell_column(text: str) -> tuple[str, str | None]:
    """Split ``labels.csv?cell=barcode`` into the table, with what options are left, and the column."""
    before, mark, after = text.partition("?")
    if not mark or os.path.lexists(text):
        return text, None
    parts = [part for part in after.split("&") if part]
    cell = next((unquote(part.removeprefix("cell=")) for part in parts if part.startswith("cell=")), None)
    rest = [part for part in parts if not part.startswith("cell=")]
    return before + ("?" + "&".join(rest) if rest else ""), cell
