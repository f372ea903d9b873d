"""What Cell Ranger and its kin write: a folder of a Matrix Market file and two lists, or one .h5 file.

These files hold genes by cells. Antibodies, guides and peaks that lie in them as well are left out.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.anndata import canonical, compressed, damage, opened
from synthkit.io.expression_reading import Found
from synthkit.phrases import by, counted

MATRIX = re.compile(r"(.*?)matrix\.mtx(\.gz)?$")
_CELL_FILES = ("barcodes.tsv", "barcodes.txt", "cells.tsv")
_GENE_FILES = ("features.tsv", "genes.tsv", "features.txt", "genes.txt")
_EXPRESSION = "Gene Expression"
_AGAIN = "Write or download it again."


# ------------------------------------------------------------ folders and Matrix Market


def read_tenx_folder(folder: Path) -> Found:
    """Read a folder with ``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` (or ``genes.tsv``), also with ``.gz``.

    Raises
    ------
    InputError
        The folder lacks one of the three files, or holds several matrices.
    DataError
        A file is damaged, or they do not fit together.
    """
    found = sorted(path for path in folder.iterdir() if path.name.endswith((".mtx", ".mtx.gz")))
    named = [path for path in found if MATRIX.match(path.name)] or found
    if not named:
        raise InputError(f"the folder '{folder}' holds no matrix.mtx", remedy="Name the folder that holds one.")
    if len(named) > 1:
        names = ", ".join(repr(path.name) for path in named[:5])
        raise InputError(f"the folder '{folder}' holds {len(named)} matrices: {names}", remedy="Name one of the files.")
    return read_mtx(named[0], needed=True)


def read_mtx(path: Path, *, needed: bool = False, rows_are_genes: bool | None = None) -> Found:
    """Read a Matrix Market file, with the lists of cells and genes that lie beside it.

    Parameters
    ----------
    path
        The file; ``GSM1_matrix.mtx.gz`` goes with ``GSM1_barcodes.tsv.gz``.
    needed
        Whether both lists must be there.
    rows_are_genes
        Which way round it is. None: as the lengths of the lists say, else genes by cells, as 10x writes it.

    Raises
    ------
    InputError
        It does not exist, or a list is missing.
    DataError
        A file is damaged, or they do not fit together.
    """
    if not path.exists():
        raise InputError(f"there is no file '{path}'", remedy="Check the path.")
    match = MATRIX.match(path.name)
    prefix = match.group(1) if match else path.name.partition(".mtx")[0] + "_"
    cell_file = _beside(path.parent, prefix, _CELL_FILES)
    gene_file = _beside(path.parent, prefix, _GENE_FILES)
    for what, names, file in (("cells", _CELL_FILES, cell_file), ("genes", _GENE_FILES, gene_file)):
        if file is None and needed:
            raise InputError(
                f"the folder '{path.parent}' has '{path.name}', but not '{prefix}{names[0]}' (or .gz) with the names "
                f"of its {what}",
                remedy="Put it there, or name the .mtx file alone to number them.",
            )
    matrix = _matrix(path)
    cells = None if cell_file is None else _list(cell_file)
    genes = None if gene_file is None else _list(gene_file)
    turned, notes = _turned(path, matrix.shape, cells, genes, rows_are_genes)
    values = canonical((matrix.T if turned else matrix).tocsr())
    n_cells, n_genes = values.shape
    missing = [what for what, listed in (("cells", cells), ("genes", genes)) if listed is None]
    if missing:
        notes.append(f"'{path}' lies alone: its {' and '.join(missing)} are numbered")
    cell_frame = pd.DataFrame(index=_numbered("cell", n_cells)) if cells is None else _cell_frame(cells)
    gene_frame = pd.DataFrame(index=_numbered("gene", n_genes)) if genes is None else _gene_frame(genes)
    return _of_genes(Found(values, gene_frame, cell_frame, notes=tuple(notes)))


def _turned(
    path: Path,
    shape: tuple[int, int],
    cells: pd.DataFrame | None,
    genes: pd.DataFrame | None,
    rows_are_genes: bool | None,
) -> tuple[bool, list[str]]:
    """Tell whether rows are genes: what the lengths of both lists say, what was asked, or what 10x does."""

    def fits(n_genes: int, n_cells: int) -> bool:
        return (genes is None or len(genes) == n_genes) and (cells is None or len(cells) == n_cells)

    as_genes, as_cells = fits(*shape), fits(*reversed(shape))
    if not as_genes and not as_cells:
        lists = [f"{counted(len(one), what)}" for what, one in (("gene", genes), ("cell", cells)) if one is not None]
        raise DataError(
            f"'{path}' holds a matrix of {by(shape)}, and the lists beside it name {' and '.join(lists)}",
            remedy="Take the three files from the same run.",
        )
    if rows_are_genes is not None:
        if not (as_genes if rows_are_genes else as_cells):
            raise InputError(
                f"the rows of '{path}' are {'cells' if rows_are_genes else 'genes'}, as the lists beside it say, and "
                "the option transpose says otherwise",
                remedy="Leave transpose (--transpose) out.",
            )
        return rows_are_genes, []
    if as_genes:
        return True, [f"'{path}' is read as genes by cells, as 10x writes it"]
    return False, [f"'{path}' is read as cells by genes, as the lengths of the lists beside it say"]


def _matrix(path: Path) -> Any:
    from scipy.io import mmread

    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", remedy="Check that it was written completely.")
    try:
        matrix = mmread(path)
    except (ValueError, EOFError, OSError, zlib.error, OverflowError, TypeError) as error:
        reason = (str(error).strip().splitlines() or ["it is cut off"])[0]
        raise DataError(f"'{path}' is not a complete Matrix Market file ({reason})", remedy=_AGAIN) from error
    matrix = matrix if sparse.issparse(matrix) else sparse.coo_matrix(matrix)
    if matrix.dtype.kind not in "biuf":
        raise DataError(f"'{path}' holds {matrix.dtype} numbers, expected real ones", remedy=_AGAIN)
    return matrix


def _beside(folder: Path, prefix: str, names: tuple[str, ...]) -> Path | None:
    for before in dict.fromkeys((prefix, prefix.rstrip("_.") + "_", prefix.rstrip("_.") + ".")):
        for name in names:
            for ending in ("", ".gz"):
                path = folder / f"{before}{name}{ending}"
                if path.is_file():
                    return path
    return None


def _list(path: Path) -> pd.DataFrame:
    """Read a list of cells or genes: lines of cells between tabs, without a header, every one text."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            rows = [line.rstrip("\r\n").split("\t") for line in file if line.strip()]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read ({error})", remedy=_AGAIN) from error
    if not rows:
        raise DataError(f"the file '{path}' is empty", remedy="Check that it was written completely.")
    return pd.DataFrame(rows, dtype=object)


def _cell_frame(listed: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(index=pd.Index(listed[0].astype(str)).rename(None))


def _gene_frame(listed: pd.DataFrame) -> pd.DataFrame:
    names = {1: "gene_symbols", 2: "feature_types"}
    columns = {name: listed[place].fillna("").to_numpy() for place, name in names.items() if place in listed}
    return pd.DataFrame(columns, index=pd.Index(listed[0].astype(str)).rename(None))


def _numbered(noun: str, n: int) -> pd.Index[str]:
    return pd.Index([f"{noun}-{place}" for place in range(1, n + 1)], dtype=object)


# ------------------------------------------------------------ .h5


def read_tenx_h5(path: Path, genome: str | None = None) -> Found:
    """Read an .h5 file of Cell Ranger: version 3 and later (``matrix``), or 2 (a group for each genome).

    Parameters
    ----------
    path
        The file.
    genome
        Which genome, where a file of version 2 holds several.

    Raises
    ------
    InputError
        It does not exist, or holds several genomes or another one.
    DataError
        It is damaged, or no such file.
    """
    with opened(path) as file, damage(path):
        if "matrix" in file:
            group = file["matrix"]
            genes = _h5_genes(group["features"], "id", "name", "feature_type")
        else:
            genomes = [name for name in file if hasattr(file[name], "keys") and "barcodes" in file[name]]
            group = file[_genome(path, genomes, genome)]
            genes = _h5_genes(group, "genes", "gene_names", None)
        n_genes, n_cells = (int(length) for length in group["shape"][:])
        cells = pd.DataFrame(index=pd.Index(_texts(group["barcodes"]), dtype=object))
        # Genes by cells in columns is cells by genes in rows: nothing has to be turned.
        values = compressed(group, (n_cells, n_genes), by_column=False, path=path)
        if (len(cells), len(genes)) != (n_cells, n_genes):
            raise DataError(
                f"'{path}' holds a matrix of {by((n_genes, n_cells))}, and names of {len(genes)} genes and "
                f"{len(cells)} cells",
                remedy=_AGAIN,
            )
        return _of_genes(Found(values, genes, cells))


def _genome(path: Path, genomes: list[str], wanted: str | None) -> str:
    if not genomes:
        raise DataError(f"'{path}' holds no matrix of 10x and no AnnData", remedy="Convert it to .h5ad.")
    if wanted is not None and wanted not in genomes:
        raise InputError(f"'{path}' has an {unknown_name('genome', wanted, genomes)}", remedy="Name one that there is.")
    if wanted is None and len(genomes) > 1:
        raise InputError(
            f"'{path}' holds the genomes {', '.join(map(repr, genomes))}", remedy="Name one with layer= (--layer)."
        )
    return wanted or genomes[0]


def _h5_genes(group: Any, ids: str, names: str, kinds: str | None) -> pd.DataFrame:
    columns = {"gene_symbols": _texts(group[names])}
    if kinds is not None and kinds in group:
        columns["feature_types"] = _texts(group[kinds])
    return pd.DataFrame(columns, index=pd.Index(_texts(group[ids]), dtype=object), dtype=object)


def _texts(dataset: Any) -> list[str]:
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in dataset[:]]


def _of_genes(found: Found) -> Found:
    """Leave out what is no gene, such as antibodies and peaks."""
    if "feature_types" not in found.genes:
        return found
    kinds = found.genes["feature_types"]
    kept = np.flatnonzero((kinds == _EXPRESSION).to_numpy())
    if not len(kept) or len(kept) == len(kinds):
        return found
    others = kinds[kinds != _EXPRESSION].value_counts()
    said = ", ".join(f"{n:,} of {name!r}" for name, n in others.items())
    return Found(
        found.values[:, kept],
        found.genes.iloc[kept],
        found.cells,
        notes=(*found.notes, f"only features of the type {_EXPRESSION!r} were read; left out: {said}"),
    )
