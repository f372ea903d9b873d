"""Files below a folder, and which of them are scans: by ending, or by the mark of DICOM where a name says nothing."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from synthkit.errors import InputError
from synthkit.io.kinds import is_dicom
from synthkit.io.scan_reading import Notebook
from synthkit.phrases import counted
from synthkit.visible import one_line

# Reader -> endings; None where the first bytes decide.
KINDS: dict[str, tuple[str, ...]] = {
    "dicom": (".dcm", ".dicom", ".ima"),
    "nifti": (".nii", ".nii.gz"),
    "images": (".png", ".jpg", ".jpeg", ".tif", ".tiff"),
    "arrays": (".npz",),
}
CALLED = {"dicom": "DICOM", "nifti": "NIfTI", "images": "a picture", "arrays": "arrays"}
_NUMBERS = re.compile(r"(\d+)")
Files = list[tuple[str, Path]]


def scan_files(place: Path, notebook: Notebook, *, without: Sequence[Path] = ()) -> tuple[str, Files]:
    """Return the kind that most files are of, and these files.

    Parameters
    ----------
    place
        A file, or a folder that is walked to any depth, through symbolic links, each file once.
    notebook
        Files of other kinds, and folders that cannot be read, are noted here.
    without
        Files and folders that are no scans: labels and masks.

    Returns
    -------
    str
        "dicom", "nifti", "images" or "arrays".
    list of (str, Path)
        What each file is called relative to `place`, and where it lies; in natural order, so that 2 precedes 10.

    Raises
    ------
    InputError
        Nothing is there, or nothing that could be a scan.
    """
    if not place.exists():
        raise InputError(f"there is no file or folder '{place}'", remedy="Check the path.")
    if place.is_file():
        kind = _kind(place)
        notebook.n_files = 1
        if kind is None:
            raise InputError(
                f"'{place}' is no scan", remedy="Scans are DICOM, NIfTI (.nii, .nii.gz), PNG, JPEG, TIFF or .npz files."
            )
        return kind, [(one_line(place.name), place)]
    found: dict[str, Files] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    skipped = {os.path.realpath(one) for one in without}
    for name, path in sorted(_walk(place, notebook, skipped), key=lambda one: natural(one[0])):
        notebook.n_files += 1
        kind = _kind(path)
        if kind is None:
            others[path.suffix.lower()].append(name)
        else:
            found[kind].append((name, path))
    for ending, names in sorted(others.items()):
        notebook.leave(names[0], f"no scan ({ending or 'no ending'}, and not DICOM)", len(names))
    if not found:
        held = f"holds {counted(notebook.n_files, 'file')}" + (", none of them a scan" if notebook.n_files else "")
        raise InputError(
            f"the folder '{place}' {held}",
            remedy="Scans are DICOM, NIfTI (.nii, .nii.gz), PNG, JPEG, TIFF or .npz files.",
        )
    counts = Counter({kind: len(files) for kind, files in found.items()})
    chosen = min(counts, key=lambda kind: (-counts[kind], list(KINDS).index(kind)))
    for kind, files in found.items():
        if kind != chosen:
            why = f"{CALLED[kind]}, and most files are {CALLED[chosen].removeprefix('a ')}"
            notebook.leave(files[0][0], why, len(files))
    return chosen, found[chosen]


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key by which ``slice2`` precedes ``slice10``."""
    return [(0, int(part), "") if part.isdigit() and part.isascii() else (1, 0, part) for part in _NUMBERS.split(name)]


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    known = next((kind for kind, endings in KINDS.items() if name.endswith(endings)), None)
    return known if known is not None else "dicom" if is_dicom(path) else None


def _walk(place: Path, notebook: Notebook, skipped: set[str]) -> Iterator[tuple[str, Path]]:
    """Yield files below a folder; loops of symbolic links end, and a file that is reached twice comes once."""
    folders: set[tuple[int, int]] = set()
    files: set[tuple[int, int]] = set()

    def refused(error: OSError) -> None:
        shown = one_line(str(error.filename))
        notebook.warn(f"the folder '{shown}' cannot be read: {(error.strerror or str(error)).lower()}")

    for where, below, names in os.walk(place, onerror=refused, followlinks=True):
        status = os.stat(where)
        if (status.st_dev, status.st_ino) in folders or os.path.realpath(where) in skipped:
            below.clear()
            continue
        folders.add((status.st_dev, status.st_ino))
        below[:] = sorted(one for one in below if not one.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            shown = one_line(path.relative_to(place).as_posix())
            if name.startswith("."):
                continue
            try:
                status = os.stat(path)
            except OSError as error:
                notebook.n_files += 1
                notebook.leave(shown, f"cannot be opened: {(error.strerror or str(error)).lower()}")
                continue
            if not os.path.isfile(path) or os.path.realpath(path) in skipped:
                continue
            if (status.st_dev, status.st_ino) in files:
                notebook.n_files += 1
                notebook.leave(shown, "a link to a file that was read already")
                continue
            files.add((status.st_dev, status.st_ino))
            yield shown, path
