"""Writing scans: one front for DICOM, NIfTI, PNG and npz, with labels, masks and provenance beside."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from synthkit.errors import InputError, unknown_name
from synthkit.io.provenance import Provenance
from synthkit.io.scan_folder import new_scan_folder, write_manifest
from synthkit.io.scan_set import ScanSet

# Format -> module and function, imported when it is needed.
FORMATS: dict[str, tuple[str, str]] = {
    "dicom": ("synthkit.io.dicom_write", "write_dicom"),
    "nifti": ("synthkit.io.nifti_write", "write_nifti"),
    "png": ("synthkit.io.image_write", "write_png"),
    "npz": ("synthkit.io.image_write", "write_npz"),
}
LABELS = "labels.csv"
SOURCES = "sources.csv"
_NO_SCANNER = ("", "OT")


def write_scans(
    scans: ScanSet,
    folder: str | Path,
    *,
    format: str = "auto",
    provenance: Provenance,
    transfer_syntax: str | None = None,
    replace: bool = False,
) -> tuple[Path, ...]:
    """Write synthetic scans into a new folder, all of them or nothing.

    Beside the scans lie ``labels.csv`` (file and label, where there are labels), ``masks/`` (where there are masks),
    ``sources.csv`` (file and given scan, for scans made from scans) and ``provenance.json`` (the generator, and every
    file). The same scans and provenance give the same bytes.

    Parameters
    ----------
    scans
        At least one.
    folder
        Missing or empty; its parent exists.
    format
        "dicom", "nifti", "png", "npz", or "auto": DICOM for scans of a scanner (CT, MR, ...), else NIfTI for volumes,
        PNG for pictures, npz for what does not fit PNG.
    provenance
        What made them; it is in every file.
    transfer_syntax
        For DICOM: "explicit" (default), "rle" or "jpeg2000"; all lossless.
    replace
        Replace a folder that this function wrote, if nothing else lies in it.

    Returns
    -------
    tuple of Path
        What was written of each scan, its file or the folder of its slices; for npz the one file.

    Raises
    ------
    InputError
        The format or transfer syntax is unknown, or the scans do not fit the format.
    OutputError
        The folder holds something, cannot be written to, or the disk is full; nothing is left behind.
    """
    import importlib

    chosen = scan_format(scans, format)
    if not len(scans):
        raise InputError("there is no scan to write", remedy="Draw at least one.")
    if transfer_syntax is not None and chosen != "dicom":
        raise InputError(
            f"a transfer syntax is for DICOM, and '{folder}' gets {chosen}", remedy="Leave it out, or write dicom."
        )
    module, name = FORMATS[chosen]
    write: Callable[..., tuple[Path, ...]] = getattr(importlib.import_module(module), name)
    more = {"transfer_syntax": transfer_syntax} if chosen == "dicom" else {}
    with new_scan_folder(folder, replace=replace) as temporary:
        written = tuple(path.relative_to(temporary) for path in write(scans, temporary, provenance=provenance, **more))
        if chosen != "npz":
            _write_labels(scans, temporary, written)
        if provenance.from_scans and scans.names:
            _write_sources(scans, temporary, written)
        write_manifest(
            temporary,
            {
                "scans": len(scans),
                "format_of_scans": chosen,
                "form": scans.form.to_dict(),
                "classes": scans.counts(),
                "provenance": provenance.to_dict(),
            },
        )
    return tuple(Path(folder) / path for path in written)


def scan_format(scans: ScanSet, format: str = "auto") -> str:
    """Return the format that scans are written in; see `write_scans`."""
    if format != "auto":
        if format not in FORMATS:
            raise InputError(unknown_name("format of scans", format, [*FORMATS, "auto"]), remedy="Choose one of them.")
        return format
    if scans.channels not in (1, 3):
        return "npz"
    if scans.form.modality.upper() not in _NO_SCANNER:
        return "dicom"
    return "nifti" if len(scans.size) == 3 else "png"


def _write_labels(scans: ScanSet, folder: Path, written: tuple[Path, ...]) -> None:
    """Write which file has which label and which mask, if there is anything to say."""
    if scans.labels is None and scans.masks is None:
        return
    columns = ["file", *(["label"] if scans.labels is not None else []), *(["mask"] if scans.masks is not None else [])]
    with open(folder / LABELS, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        for i, path in enumerate(written):
            row = [path.as_posix()]
            if scans.labels is not None:
                row.append(scans.classes[int(scans.labels[i])])
            if scans.masks is not None:
                masks = sorted((folder / "masks").glob(f"{path.name.partition('.')[0]}.*"))
                row.append(masks[0].relative_to(folder).as_posix() if masks else "")
            rows.writerow(row)


def _write_sources(scans: ScanSet, folder: Path, written: tuple[Path, ...]) -> None:
    """Write which scan was made from which given one; an npz file holds them in this order."""
    with open(folder / SOURCES, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["scan", "file", "source"])
        for i, name in enumerate(scans.names):
            rows.writerow([i + 1, written[min(i, len(written) - 1)].as_posix(), name])
