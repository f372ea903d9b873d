"""What a released file of expression says besides its values: names, columns and embeddings of the cells it came from.

AnnData carries much more than a matrix, and tools that fill it from a copy of the training object leave behind what
nobody asked for: barcodes, patients, embeddings, the raw counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.expression.duplicates import cell_hashes
from synthkit.auditing.records import Estimate, Risk
from synthkit.auditing.release_metadata import Kind, MetadataAudit, MetadataFinding, Said
from synthkit.io.anndata import damage, opened, package
from synthkit.io.anndata_write import UNS
from synthkit.io.expression_set import ExpressionSet

NAME = "cell-metadata"
NOT_READ = "What was renamed, rounded or hashed is not recognised: look at the annotations of the file."
_PERSON = re.compile(
    r"(^|[_.\s-])(patient|donor|subject|individual|participant|person|mrn|birth|dob|surname|biopsy|specimen|sample)"
    r"([_.\s-]|id|name|$)",
    re.IGNORECASE,
)
_BARCODE = re.compile(r"[ACGT]{10,}")
_NUMBER = re.compile(r"\d+$")
_MARK = "synthetic"
# Values of a column of numbers that are the same in a training cell, beyond which the column was copied.
_COPIED = 0.5
_FEWEST_LEVELS = 20
_MOST_TEXTS = 10_000
_KINDS: tuple[Kind, ...] = ("named", "unmarked", "note")


@dataclass(frozen=True)
class Slots:
    """What lies in a file beside its matrix.

    Attributes
    ----------
    cells, genes
        Tables ``obs`` and ``var``.
    unstructured
        What ``uns`` holds.
    arrays
        Arrays with a row per cell, by slot, such as ``obsm['X_pca']``.
    others
        Names of further slots: ``raw``, layers, graphs, loadings.
    """

    cells: pd.DataFrame
    genes: pd.DataFrame
    unstructured: Mapping[str, Any]
    arrays: Mapping[str, Any]
    others: tuple[str, ...]


def read_slots(path: Path) -> Slots | None:
    """Return what lies in an .h5ad file or .zarr folder beside its matrix; None for other files.

    Parameters
    ----------
    path
        The file or folder.

    Raises
    ------
    InputError
        It cannot be opened.
    DataError
        It is damaged.
    """
    if not path.name.lower().endswith((".h5ad", ".zarr")):
        return None
    with opened(path) as group, damage(path):
        read = package("anndata.io", f"reading '{path}'").read_elem
        arrays = {f"obsm[{name!r}]": read(group["obsm"][name]) for name in _keys(group, "obsm")}
        others = [f"{slot}[{name!r}]" for slot in ("layers", "obsp", "varm", "varp") for name in _keys(group, slot)]
        if "raw" in group:
            others.append("raw")
        return Slots(
            _indexed(read(group["obs"])),
            _indexed(read(group["var"])),
            read(group["uns"]) if "uns" in group else {},
            arrays,
            tuple(others),
        )


def audit_metadata(path: Path, train: ExpressionSet, training_path: Path | None = None) -> MetadataAudit:
    """Read what a released file says besides its values.

    Parameters
    ----------
    path
        The released file.
    train
        The training cells: their names and columns are looked for.
    training_path
        Their file, whose embeddings and statistics of genes are looked for; None where there is none.

    Returns
    -------
    MetadataAudit
        Of one file. Only .h5ad and .zarr are read; of others it says that there is none.

    Raises
    ------
    InputError
        A file cannot be opened.
    DataError
        It is damaged.
    """
    found = read_slots(path)
    if found is None:
        return MetadataAudit(0, {}, 0, 0, ())
    original = read_slots(training_path) if training_path is not None else None
    said = dict.fromkeys([*_of_cells(found, train), *_of_slots(found, original), *_of_texts(found, train)])
    if not _is_marked(found):
        said["unmarked", "nothing says that the cells are synthetic (obs['synthetic'], uns['synthkit'])"] = None
    findings = tuple(
        MetadataFinding(kind, what, 1, path.name) for wanted in _KINDS for kind, what in said if kind == wanted
    )
    kinds = {one.kind for one in findings}
    form = "zarr" if path.is_dir() else "h5ad"
    return MetadataAudit(1, {form: 1}, int("named" in kinds), int("unmarked" in kinds), findings)


def metadata_risk(found: MetadataAudit) -> Risk:
    """Return what was found as the risk that a gate asks for; all of the file was read, so that nothing is estimated.

    Parameters
    ----------
    found
        What one file says.
    """
    risk = found.risk(NAME, NOT_READ)
    return replace(
        risk, estimates={name: Estimate(one.value, one.value, one.value, 0.0) for name, one in risk.estimates.items()}
    )


def _of_cells(found: Slots, train: ExpressionSet) -> Said:
    names, known = found.cells.index.astype(str), train.cells.index.astype(str)
    shared = int(names.isin(known).sum())
    if shared and not _counted(names):
        yield "named", f"{shared:,} names of cells are names of training cells"
    elif names.str.contains(_BARCODE).any():
        yield "note", "names of cells look like barcodes of droplets"
    for column in map(str, found.cells.columns):
        own = found.cells[column]
        known_column = train.cells[column] if column in train.cells else None
        if _PERSON.search(column):
            yield from _of_person(column, own, known_column)
        elif known_column is not None and _is_copied(own, known_column):
            yield "named", f"obs[{column!r}] holds the very numbers of training cells"


def _of_person(column: str, own: pd.Series, known: pd.Series | None) -> Said:
    told = own.dropna().astype(str)
    shared = told[told.isin(set(known.dropna().astype(str)))].nunique() if known is not None else 0
    if shared:
        values = "values that training cells have" if shared > 1 else "value that training cells have"
        yield "named", f"obs[{column!r}] holds {shared:,} {values}"
    elif len(told):
        yield "note", f"obs[{column!r}] sounds like persons or their samples"


def _is_copied(own: pd.Series, known: pd.Series) -> bool:
    """Whether a column of numbers with many levels has, for most cells, a number that a training cell has exactly."""
    if not all(pd.api.types.is_float_dtype(one.dtype) for one in (own, known)):
        return False
    values = own.dropna().to_numpy()
    if len(np.unique(values)) < _FEWEST_LEVELS or (values == np.floor(values)).all():
        return False
    return float(np.isin(values, known.to_numpy()).mean()) > _COPIED


def _of_slots(found: Slots, original: Slots | None) -> Said:
    for slot, array in found.arrays.items():
        theirs = None if original is None else original.arrays.get(slot)
        shared = _shared_rows(array, theirs)
        if shared:
            yield "named", f"{slot} holds the embedding of {shared:,} training cells"
        else:
            yield "note", f"{slot}: an embedding of cells"
    for slot in found.others:
        yield "note", f"{slot} is there beside the matrix"
    if original is None:
        return
    for column in map(str, found.genes.columns):
        if column in original.genes and _is_copied(found.genes[column], original.genes[column]):
            yield "note", f"var[{column!r}] holds statistics of the training cells"


def _of_texts(found: Slots, train: ExpressionSet) -> Said:
    """Yield identifiers of training cells or of their persons among the texts of ``uns``."""
    names = train.cells.index.astype(str)
    known = set() if _counted(names) else set(names)
    for column in map(str, train.cells.columns):
        if _PERSON.search(column):
            known |= {text for text in train.cells[column].dropna().astype(str) if len(text) > 2}
    for key, value in found.unstructured.items():
        if str(key) == UNS:
            continue
        shared = sum(text in known for text in _texts(value))
        if shared:
            yield "named", f"uns[{str(key)!r}] holds {shared:,} identifiers of training cells or their persons"
        else:
            yield "note", f"uns[{str(key)!r}] is there"


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, however deep."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, pd.DataFrame):
        yield from map(str, value.index[:_MOST_TEXTS])
        for column in value.columns:
            yield from _texts(value[column].astype(object).to_numpy())
    elif isinstance(value, np.ndarray | list | tuple):
        flat = np.asarray(value, dtype=object).ravel()[:_MOST_TEXTS]
        yield from (text for text in flat if isinstance(text, str))
    elif isinstance(value, str):
        yield value


def _shared_rows(own: Any, theirs: Any) -> int:
    if theirs is None or getattr(own, "shape", None) is None or own.shape[1:] != theirs.shape[1:] or own.ndim != 2:
        return 0
    mine, others = (_row_hashes(array) for array in (own, theirs))
    return int(np.isin(mine, others).sum())


def _row_hashes(array: Any) -> npt.NDArray[np.bytes_]:
    values = array.to_numpy() if isinstance(array, pd.DataFrame) else array
    return cell_hashes(values)


def _is_marked(found: Slots) -> bool:
    if _MARK in found.cells:  # cells of either kind may stand in one file: all of them have to be marked
        return bool(found.cells[_MARK].astype(object).map(bool).all())
    return UNS in found.unstructured or _MARK in found.unstructured


def _counted(names: pd.Index) -> bool:
    """Whether names only count: the same letters and a number each, which anybody's cells are called."""
    return len({_NUMBER.sub("", name) for name in names}) == 1


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis(table.index.astype(str), axis=0)


def _keys(group: Any, slot: str) -> list[str]:
    return sorted(group[slot].keys()) if slot in group else []
