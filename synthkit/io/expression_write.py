"""Gene expression out: h5ad, zarr, tables and the folders of 10x, batch by batch, whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.archive import atomic_path, check_output
from synthkit.errors import DataError, InputError, OutputError, unknown_name
from synthkit.io.anndata import package
from synthkit.io.anndata_write import AnnDataWriter, checked_values, flat, new_group
from synthkit.io.expression_set import ExpressionSet

ENDINGS = (".h5ad", ".zarr", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
"""What may be written, besides a folder without an ending, which gets the three files of 10x."""

SYNTHETIC = "synthetic"
_BLOCK_CELLS = 1_000
_PROVENANCE = "provenance.json"


def write_expression(
    parts: Iterable[ExpressionSet] | ExpressionSet,
    path: str | os.PathLike[str],
    *,
    provenance: Mapping[str, Any],
    replace: bool = False,
) -> int:
    """Write gene expression, batch by batch.

    Genes are written as they are, with all their columns. Cells get the columns of the set, with their categories, and
    ``synthetic``, which is true; where the set has such a column it is kept. Synthetic cells are called
    ``synthetic-000001`` and so on, others keep their names. Nothing else is written: no embedding, graph or raw matrix.
    The same cells and provenance give the same bytes of .h5ad, whatever the batches are.

    Parameters
    ----------
    parts
        At least one cell, with the same genes, measure and columns in each part. They are asked for one at a time:
        memory holds a part, a block of 1,000 cells, and the table of all cells without their values.
    path
        ``.h5ad`` or ``.zarr``: counts as int32, other measures as float32; sparse, except values other than counts that
        are dense in the first part. ``.csv`` or ``.tsv`` (also ``.gz``) and ``.parquet``: a row per cell, its name,
        what is known of it, then genes. A name without an ending: a folder with ``matrix.mtx.gz``, ``barcodes.tsv.gz``
        and ``features.tsv.gz``, as 10x writes it, with ``cells.csv`` and ``provenance.json``.
    provenance
        What made the cells, JSON-safe; it is ``uns["synthkit"]`` of an AnnData. Values that are nested become JSON
        text. Tables have no place for it.
    replace
        Replace a folder that this function wrote (a file is replaced anyway).

    Returns
    -------
    int
        Number of cells.

    Raises
    ------
    InputError
        An unknown ending, no cell, or parts that do not fit together; a package is missing.
    DataError
        Values are not what their measure says.
    OutputError
        The place cannot be written to; nothing is left behind.
    """
    target = Path(path)
    ending = expression_ending(target)
    blocks = _blocks(iter([parts] if isinstance(parts, ExpressionSet) else parts))
    if ending in ("", ".zarr"):
        with _new_folder(target, replace) as temporary:
            return (_write_anndata if ending else _write_tenx)(blocks, temporary, provenance)
    if ending != ".h5ad":
        return _write_table(blocks, target)
    with atomic_path(target) as temporary:
        return _write_anndata(blocks, temporary, provenance)


def expression_ending(path: str | os.PathLike[str]) -> str:
    """Return the ending that says how expression is written; empty text for a folder of 10x.

    Raises
    ------
    InputError
        It is unknown.
    """
    place = Path(path)
    name = place.name.lower()
    found = next((ending for ending in sorted(ENDINGS, key=len, reverse=True) if name.endswith(ending)), None)
    if found is not None:
        return found
    if not place.suffix:
        return ""
    raise InputError(
        f"the output '{path}' has an {unknown_name('ending', place.suffix, ENDINGS)}",
        remedy="Choose one of them, or a name without an ending for a folder as 10x writes it.",
    )


def check_expression_output(
    path: str | os.PathLike[str], *, inputs: Iterable[object] = (), replace: bool = False
) -> None:
    """Refuse a place that cannot be written to, before any work is done.

    Parameters
    ----------
    path, replace
        As `write_expression` takes them.
    inputs
        What is read and must not be replaced.

    Raises
    ------
    InputError
        An unknown ending, or a package is missing.
    OutputError
        The place cannot be written to, or is one of the inputs.
    """
    ending = expression_ending(path)
    if ending in (".h5ad", ".zarr"):
        package("anndata", f"writing '{path}'")
    if ending not in ("", ".zarr"):
        check_output(Path(path), inputs=inputs)
        return
    target = _checked_folder(Path(path), replace)
    for one in inputs:
        if isinstance(one, str | os.PathLike) and Path(os.path.realpath(one)) == target:
            raise OutputError(f"the output '{path}' is also the input '{one}'", remedy="Choose another output.")


# ------------------------------------------------------------ blocks


def _blocks(parts: Iterator[ExpressionSet]) -> Iterator[ExpressionSet]:
    """Cut and join parts into blocks of 1,000 cells, so that what is written does not depend on the parts."""
    first: ExpressionSet | None = None
    held: list[ExpressionSet] = []
    n_held = n_done = 0
    for part in parts:
        if first is None:
            first = part.take(slice(0, 0))
        _check_fits(part, first)
        start = 0
        while start < len(part):
            stop = min(len(part), start + _BLOCK_CELLS - n_held)
            held.append(part.take(slice(start, stop)))
            n_held += stop - start
            start = stop
            if n_held == _BLOCK_CELLS:
                yield _joined(held, n_done)
                n_done += n_held
                held, n_held = [], 0
        del part
    if held:
        yield _joined(held, n_done)
    elif not n_done:
        raise InputError("there is no cell to write", remedy="Draw at least one.")


def _check_fits(part: ExpressionSet, first: ExpressionSet) -> None:
    """Raise unless a part has the genes, the measure and the columns of the first."""
    for what, same in (
        ("genes", part.genes.index.equals(first.genes.index)),
        ("measure", part.measure == first.measure),
        ("columns", list(part.cells.columns) == list(first.cells.columns)),
    ):
        if not same:
            raise InputError(f"parts to write have other {what} than the first one", remedy="Write them one by one.")


def _joined(held: list[ExpressionSet], before: int) -> ExpressionSet:
    """Join parts, mark the cells as synthetic and name them by their place among all."""
    cells = joined_cells([part.cells for part in held])
    made = cells[SYNTHETIC].to_numpy(bool) if SYNTHETIC in cells else np.ones(len(cells), bool)
    own = cells.index.astype(str)
    names = [f"synthetic-{before + k + 1:06d}" if made[k] else own[k] for k in range(len(cells))]
    cells = cells.assign(**{SYNTHETIC: made}).set_axis(pd.Index(names, dtype=object), axis=0)
    values = [part.values for part in held]
    whole = values[0] if len(values) == 1 else _stacked(values)
    return ExpressionSet(whole, held[0].genes, cells, held[0].measure, held[0].found)


def _stacked(values: list[Any]) -> Any:
    if all(sparse.issparse(one) for one in values):
        return sparse.vstack(values, format="csr")
    return np.concatenate([one.toarray() if sparse.issparse(one) else one for one in values])


def joined_cells(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Put tables of cells below each other; categories stay, those that only a later table has are added at the end."""
    if len(frames) == 1:
        return frames[0]
    columns: dict[str, Any] = {}
    for name in frames[0].columns:
        pieces = [frame[name] for frame in frames]
        kinds = [piece.dtype for piece in pieces if isinstance(piece.dtype, pd.CategoricalDtype)]
        if len(kinds) == len(pieces):
            known = list(dict.fromkeys(one for kind in kinds for one in kind.categories))
            dtype = kinds[0] if len(known) == len(kinds[0].categories) else pd.CategoricalDtype(known)
            pieces = [piece.astype(dtype) for piece in pieces]
        columns[name] = pd.concat(pieces, ignore_index=True).array
    index = pd.Index([name for frame in frames for name in frame.index], dtype=object)
    return pd.DataFrame(columns, index=index)


# ------------------------------------------------------------ formats


def _write_anndata(blocks: Iterator[ExpressionSet], path: Path, provenance: Mapping[str, Any]) -> int:
    first = next(blocks)
    package("anndata", f"writing '{path}'")
    cells: list[pd.DataFrame] = []
    with new_group(path) as group:
        writer = AnnDataWriter(group, first)
        dense = not first.is_sparse and first.measure != "counts"
        block: ExpressionSet | None = first
        while block is not None:
            writer.append(checked_values(block, dense=dense))
            cells.append(block.cells)
            block = next(blocks, None)
        table = joined_cells(cells)
        _refuse_repeated(table.index)
        writer.close(table, {SYNTHETIC: True, "software": "synthkit", "measure": first.measure, **provenance})
    return len(table)


def _refuse_repeated(names: pd.Index[str]) -> None:
    if names.has_duplicates:
        raise DataError(
            f"the cell {names[names.duplicated()][0]!r} is there more than once", remedy="Give each cell its own name."
        )


def _write_table(blocks: Iterator[ExpressionSet], path: Path) -> int:
    from synthkit.io.tables import TableWriter

    n = 0
    with TableWriter(path) as writer:
        for block in blocks:
            values = checked_values(block, dense=True)
            clash = [name for name in ("cell", *block.cells.columns) if name in block.genes.index]
            if clash:
                raise InputError(
                    f"a gene and a column of the cells are both called {clash[0]!r}, which a table cannot tell apart",
                    remedy="Write .h5ad.",
                )
            known = block.cells.reset_index(names="cell")
            for name in known:
                # categories of a part would not be those of the whole: labels are written as text
                if isinstance(known[name].dtype, pd.CategoricalDtype):
                    known[name] = known[name].astype(object)
            numbers = pd.DataFrame(values, columns=block.genes.index)
            writer.write(pd.concat([known, numbers], axis="columns"))
            n += len(block)
    return n


def _write_tenx(blocks: Iterator[ExpressionSet], folder: Path, provenance: Mapping[str, Any]) -> int:
    from synthkit.io.streams import CompressedFile

    n_cells = n_stored = n_genes = 0
    kind, measure = "", ""
    entries = folder / "entries"
    tables: list[pd.DataFrame] = []
    genes = pd.DataFrame()
    with open(entries, "wb") as body:
        for block in blocks:
            matrix = checked_values(block)
            genes, n_genes, measure = block.genes, len(block.genes), block.measure
            kind = "integer" if measure == "counts" else "real"
            coordinates = matrix.tocoo()
            rows = zip(
                (coordinates.col + 1).tolist(), (coordinates.row + n_cells + 1).tolist(), coordinates.data, strict=True
            )
            body.write("".join(f"{gene} {cell} {value}\n" for gene, cell, value in rows).encode())
            n_cells += len(block)
            n_stored += matrix.nnz
            tables.append(block.cells)
    cells = joined_cells(tables)
    _refuse_repeated(cells.index)
    symbols = genes["gene_symbols"] if "gene_symbols" in genes else pd.Series(genes.index, genes.index)
    features = "".join(f"{gene}\t{symbols.loc[gene]}\tGene Expression\n" for gene in genes.index)
    _write_gz(folder / "features.tsv.gz", features)
    _write_gz(folder / "barcodes.tsv.gz", "".join(f"{name}\n" for name in cells.index))
    out = CompressedFile(folder / "matrix.mtx.gz", "gzip")
    try:
        head = f"%%MatrixMarket matrix coordinate {kind} general\n%synthetic, by synthkit\n"
        out.write(f"{head}{n_genes} {n_cells} {n_stored}\n".encode())
        with open(entries, "rb") as body:
            while piece := body.read(2**20):
                out.write(piece)
    finally:
        out.close()
    entries.unlink()
    cells.to_csv(folder / "cells.csv", index_label="cell", lineterminator="\n")
    said = {SYNTHETIC: True, "software": "synthkit", "measure": measure, **flat(provenance)}
    (folder / _PROVENANCE).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return n_cells


def _write_gz(path: Path, text: str) -> None:
    from synthkit.io.streams import CompressedFile

    out = CompressedFile(path, "gzip")
    try:
        out.write(text.encode())
    finally:
        out.close()


# ------------------------------------------------------------ folders


@contextmanager
def _new_folder(folder: Path, replace: bool) -> Iterator[Path]:
    """Give an empty folder, which becomes `folder` when the block ends well and vanishes when it does not."""
    target = _checked_folder(folder, replace)
    temporary = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-200:]}")
    try:
        try:
            temporary.mkdir()
            yield temporary
            if target.exists():
                old = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-200:]}")
                os.replace(target, old)
                os.replace(temporary, target)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(temporary, target)
        except OSError as error:
            raise OutputError(
                f"the output '{folder}' cannot be written: {(error.strerror or str(error)).lower()}",
                remedy="Free some space, or choose a place that you may write to.",
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked_folder(folder: Path, replace: bool) -> Path:
    """Return the real place of a folder that may be written: it is missing, empty, or ours and to be replaced."""
    target = Path(os.path.realpath(folder))
    if target.exists() and not target.is_dir():
        raise OutputError(f"the output '{folder}' is a file, expected a folder", remedy="Choose another name.")
    # checked as a file of that name would be: the folder above is there and may be written to
    check_output(target.with_name(f".tmp-{secrets.token_hex(4)}-probe"))
    if not target.is_dir() or not any(target.iterdir()):
        return target
    if not ((target / "uns" / "synthkit").is_dir() or (target / _PROVENANCE).is_file()):
        raise OutputError(
            f"the output '{folder}' is a folder that holds something, and synthkit did not write it",
            remedy="Choose a new folder.",
        )
    if not replace:
        raise OutputError(
            f"the output '{folder}' holds synthetic cells already", remedy="Choose a new folder, or pass replace=True."
        )
    return target
