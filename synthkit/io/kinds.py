"""What kind of data lies at a path: a table, medical scans or gene expression; no command has to be told."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Literal

Kind = Literal["table", "scans", "expression"]

SCAN_ENDINGS = (".dcm", ".dicom", ".ima", ".nii", ".nii.gz", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npz")
EXPRESSION_ENDINGS = (".h5ad", ".zarr", ".mtx", ".mtx.gz", ".loom", ".h5")
_TABLE_ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".jsonl", ".feather", ".arrow", ".xlsx")
_ZARR = (".zgroup", "zarr.json")
_PART_10 = (128, b"DICM")
_MOST_LOOKED_AT = 2_000


def kind_of(path: object) -> Kind:
    """Tell what kind of data a path holds, from its name and, for a folder or a file without an ending, its content.

    Parameters
    ----------
    path
        A file, a folder, or the address of a database (always a table). What does not exist is told by its name.
    """
    if not isinstance(path, str | Path):
        return "table"
    place = Path(path)
    name = place.name.lower()
    if name.endswith(EXPRESSION_ENDINGS):
        return "expression"
    if place.is_dir():
        return _kind_of_folder(place)
    if name.endswith(SCAN_ENDINGS) or (not place.suffix and is_dicom(place)):
        return "scans"
    return "table"


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM part 10 says: 128 bytes and ``DICM``."""
    skipped, mark = _PART_10
    try:
        with open(path, "rb") as file:
            return file.read(skipped + len(mark))[skipped:] == mark
    except OSError:
        return False


def _kind_of_folder(folder: Path) -> Kind:
    """Tell by the first file of the folder, at any depth, whose name or first bytes say what it is."""
    if any((folder / name).is_file() for name in _ZARR):
        return "expression"
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    for path in islice(files, _MOST_LOOKED_AT):
        name = path.name.lower()
        if name.startswith((".", "_")):
            continue
        if name.endswith((".mtx", ".mtx.gz")):
            return "expression"
        if name.endswith(_TABLE_ENDINGS) and path.parent == folder and name.endswith(".parquet"):
            return "table"
        if name.endswith(SCAN_ENDINGS) or is_dicom(path):
            return "scans"
    return "table"
