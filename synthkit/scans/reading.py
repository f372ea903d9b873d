"""Scans that are given as a set or as a path."""

from __future__ import annotations

from pathlib import Path

from synthkit.errors import InputError
from synthkit.io.kinds import is_dicom
from synthkit.io.scan_set import ScanSet

_BY_ENDING = {
    ".npz": "npz",
    ".nii": "nifti",
    ".gz": "nifti",
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".ima": "dicom",
    ".png": "png",
    ".jpg": "png",
    ".jpeg": "png",
    ".tif": "png",
    ".tiff": "png",
}


def scans_of(scans: object) -> ScanSet:
    """Return scans, reading them where a path is given.

    Raises
    ------
    InputError
        Neither scans nor a path, or nothing usable at the path.
    """
    if isinstance(scans, ScanSet):
        return scans
    if isinstance(scans, str | Path):
        from synthkit.io.scans import read_scans

        return read_scans(scans).scans
    raise InputError(
        f"expected scans (a ScanSet or a path), got {type(scans).__name__}",
        remedy="Read them with synthkit.read_scans, or put arrays into synthkit.ScanSet.",
    )


def format_of(scans: object) -> str:
    """Return the format that a path is read from: "dicom", "nifti", "png" (all pictures) or "npz"; empty for a set."""
    if not isinstance(scans, str | Path):
        return ""
    place = Path(scans)
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    for path in files:
        if path.name.startswith((".", "_")):
            continue
        found = _BY_ENDING.get(path.suffix.lower())
        if found is not None:
            return found
        if not path.suffix and is_dicom(path):
            return "dicom"
    return ""
