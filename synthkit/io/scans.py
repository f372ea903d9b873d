"""Medical scans in: DICOM, NIfTI, pictures and arrays become one set of scans, and a report says what was left out.

What is there is looked at first (`survey_scans`: headers only). Pixels are read afterwards, one scan at a time, into
one array of the final size, so that memory holds the set and one scan beside it. A file that turns out to be damaged
is named in the report, and the rest goes on.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from synthkit.errors import InputError
from synthkit.io import scan_labels as naming
from synthkit.io.resampling import FIT_RULE, Fit, fit_of
from synthkit.io.scan_arrays import read_arrays
from synthkit.io.scan_choice import chosen_items, common_form, of_one_kind, target_size
from synthkit.io.scan_files import Files, scan_files
from synthkit.io.scan_folder import read_manifest
from synthkit.io.scan_labels import Labelled
from synthkit.io.scan_masks import Masks
from synthkit.io.scan_plans import ArraysPlan, FilesPlan, ScanSurvey, nothing_usable
from synthkit.io.scan_reading import LeftOut, Notebook, Reading, ReadingReport
from synthkit.io.scan_set import ScanForm
from synthkit.io.scan_stack import Stack
from synthkit.phrases import by, counted

__all__ = ["LeftOut", "Reading", "ReadingReport", "ScanSurvey", "read_scans", "survey_scans"]

Slices = Literal["auto"] | bool


def read_scans(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    masks: str | os.PathLike[str] | None = None,
    size: int | tuple[int, ...] | None = None,
    slices: Slices = "auto",
    split: str | None = None,
    force_burned_in: bool = False,
    window: tuple[float, float] | None = None,
) -> Reading:
    """Read a folder of scans, or a file of one or many, into a `ScanSet`.

    Parameters
    ----------
    path
        A folder of DICOM, NIfTI (.nii, .nii.gz) or pictures (.png, .jpg, .tif), to any depth; one such file; or an .npz
        file of arrays (see `synthkit.io.scan_arrays.read_arrays`).
    labels
        Where classes come from. None: the folders, where they look like classes (at least two, each of several patients
        or pictures), or ``labels.csv`` of a folder that synthkit wrote. ``"folders"``: the folders, whatever they look
        like. ``"none"``: no classes. ``"tag:BodyPartExamined"``: a DICOM tag. Otherwise the path of a table with a
        column of files and one of labels; ``labels.csv?file=image_id&label=finding`` names unusual columns.
    masks
        A folder with a mask per scan, called as the scan is.
    size
        Samples along each axis, or one number for all. None: as it is; scans of mixed sizes are brought to the
        commonest one. The rule is `synthkit.io.resampling.FIT_RULE`.
    slices
        True: each slice is a scan of its own. False: volumes. "auto": volumes where at least half of the series have at
        least 4 slices.
    split
        "train", "val" or "test", where an .npz file, the outermost folders or a column of the labels hold splits. None:
        the training part.
    force_burned_in
        Use frames that say that text is burned into them.
    window
        Lowest and highest value in real units; others are cut off. None: as it is.

    Returns
    -------
    Reading
        The scans, and the report: series found, used, left out with the reason, and warnings. Patients are hashes that
        only serve to keep scans of one patient together.

    Raises
    ------
    InputError
        Nothing is there, nothing can be used, or an option does not fit; also when the scans need more memory than half
        of what the machine has.
    """
    plan = _planned(path, labels, masks, size, slices, split, force_burned_in, window)
    return Reading(*plan.read())


def survey_scans(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    masks: str | os.PathLike[str] | None = None,
    size: int | tuple[int, ...] | None = None,
    slices: Slices = "auto",
    split: str | None = None,
    force_burned_in: bool = False,
    window: tuple[float, float] | None = None,
) -> ScanSurvey:
    """Say what `read_scans` would read, from headers alone (arrays in .npz files are read).

    The parameters and errors are those of `read_scans`.
    """
    return _planned(path, labels, masks, size, slices, split, force_burned_in, window).survey()


# ------------------------------------------------------------ plans


def _planned(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None,
    masks: str | os.PathLike[str] | None,
    size: int | tuple[int, ...] | None,
    slices: Slices,
    split: str | None,
    force_burned_in: bool,
    window: tuple[float, float] | None,
) -> ArraysPlan | FilesPlan:
    place = Path(path)
    _check_options(size, slices, window)
    said = None if labels is None else os.fspath(labels)
    notebook = Notebook(str(place))
    manifest = read_manifest(place) if place.is_dir() else None
    beside = _beside(place, said, masks, manifest is not None)
    kind, files = scan_files(place, notebook, without=beside)
    if kind == "arrays":
        return _arrays_plan(files, notebook, said, masks, size, split, window)
    written = None if manifest is None else ScanForm.from_dict(manifest["form"]) if "form" in manifest else None
    stacks = _stacks(kind, files, notebook, said, force_burned_in, written)
    if not stacks:
        raise nothing_usable(notebook)
    items = chosen_items(stacks, slices, notebook)
    items = of_one_kind(items, notebook)
    tables = [one.file for one in notebook.left_out if one.file.endswith((".csv", ".xlsx")) and "/" not in one.file]
    if said is None and tables:
        notebook.note(f"'{tables[0]}' was not read; --labels '{place / tables[0]}' takes classes from it")
    hoped: set[str] = set()
    table = said if said is not None else str(place / "labels.csv") if (place / "labels.csv") in beside else None
    if table is None or table in (naming.FOLDERS, naming.NONE) or table.startswith("tag:"):
        items, splits = naming.of_split(items, split, notebook)
        if table == naming.NONE:
            kept = naming.unlabelled(items)
        elif table is not None and table.startswith("tag:"):
            kept = naming.from_tag(items, table.removeprefix("tag:"), notebook)
        else:
            kept = naming.from_folders(items, notebook, skipped=int(splits), certain=table == naming.FOLDERS)
            if any(one.label is not None for one in kept):
                chosen = {naming.split_of(item.file) for item in items}
                every = [name for name, _ in files if not splits or naming.split_of(name) in chosen]
                hoped = {name for file in every if (name := naming.class_folder(file, int(splits))) is not None}
    else:
        kept = naming.from_table(items, table, notebook, split=split)
    read_masks, mask_files, kept = _masks_of(kept, masks, notebook, place, turn=written is None)
    if not kept:
        raise nothing_usable(notebook)
    naming.warn_of_classes(kept, notebook, sorted(hoped))
    wanted, fits = _fits(kept, size, notebook)
    form, dtype = common_form([one.item for one in kept], fits, notebook)
    return FilesPlan(tuple(kept), tuple(stacks), read_masks, mask_files, wanted, fits, form, dtype, notebook, window)


def _check_options(size: int | tuple[int, ...] | None, slices: object, window: tuple[float, float] | None) -> None:
    lengths = () if size is None else (size,) if isinstance(size, int) else tuple(size)
    if any(isinstance(length, bool) or not isinstance(length, int) or length < 1 for length in lengths):
        raise InputError(f"the size must be whole numbers of at least 1, got {size!r}", remedy="Give for example 64.")
    if slices != "auto" and not isinstance(slices, bool):
        raise InputError(f"slices must be 'auto', True or False, got {slices!r}", remedy="Choose one of them.")
    if window is not None and not (len(window) == 2 and np.isfinite(window).all() and window[0] < window[1]):
        raise InputError(
            f"a window is a lower and a higher value, got {window!r}", remedy="Give for example -1024, 3071."
        )


def _beside(place: Path, labels: str | None, masks: str | os.PathLike[str] | None, ours: bool) -> list[Path]:
    """Return what lies beside scans and is none."""
    found = []
    if labels is not None and labels not in (naming.FOLDERS, naming.NONE) and not labels.startswith("tag:"):
        found.append(Path(naming.table_options(labels)[0].partition("?")[0]))
    if masks is not None:
        found.append(Path(masks))
    if ours:
        found += [place / name for name in ("provenance.json", "labels.csv", "masks") if (place / name).exists()]
    return found


def _stacks(
    kind: str,
    files: Files,
    notebook: Notebook,
    labels: str | None,
    force_burned_in: bool,
    written: ScanForm | None,
) -> list[Stack]:
    """Read headers; what synthkit wrote as NIfTI or pictures says what it is in the manifest beside it."""
    tag = labels.removeprefix("tag:") if labels is not None and labels.startswith("tag:") else None
    if kind == "dicom":
        from synthkit.io.dicom import dicom_stacks, label_tag

        number = None if tag is None else label_tag(tag)
        return dicom_stacks(files, notebook, tag=number, force_burned_in=force_burned_in)
    if tag is not None:
        raise InputError(
            f"labels from the DICOM tag {tag} are for DICOM, and '{notebook.source}' holds other scans",
            remedy="Give the labels as folders or as a CSV file.",
        )
    if kind == "nifti":
        from synthkit.io.nifti import nifti_stacks

        stacks = nifti_stacks(files, notebook, turn=written is None)
    else:
        from synthkit.io.images import image_stacks

        stacks = image_stacks(files, notebook)
    if written is None:
        return stacks
    plane = None if written.spacing is None else written.spacing[-2:]
    return [replace(stack, form=replace(written, spacing=plane)) for stack in stacks]


def _arrays_plan(
    files: Files,
    notebook: Notebook,
    labels: str | None,
    masks: str | os.PathLike[str] | None,
    size: int | tuple[int, ...] | None,
    split: str | None,
    window: tuple[float, float] | None,
) -> ArraysPlan:
    for name, given in (("labels", labels), ("masks", masks)):
        if given is not None:
            raise InputError(
                f"{name} of arrays lie in the .npz file itself, got '{given}'", remedy=f"Leave out {name}."
            )
    for name, _ in files[1:]:
        notebook.leave(name, f"a second .npz file; '{files[0][0]}' was read")
    scans = read_arrays(files[0][1], notebook, split=split)
    fit = None
    if size is not None:
        wanted = (size,) * len(scans.size) if isinstance(size, int) else tuple(size)
        if wanted != scans.size:
            spacing = scans.form.spacing
            aspect = 1.0 if spacing is None else spacing[-1] / spacing[-2]
            fit = fit_of(scans.size, wanted, spacing, aspect)
            notebook.note(f"scans of {by(scans.size)} were brought to {by(wanted)}: {FIT_RULE}")
    return ArraysPlan(scans, notebook, fit, window)


def _masks_of(
    kept: list[Labelled], masks: str | os.PathLike[str] | None, notebook: Notebook, place: Path, *, turn: bool
) -> tuple[Masks | None, tuple[Path | None, ...], list[Labelled]]:
    """Find the mask of each scan; scans without one are left out."""
    if masks is None and not any(one.mask for one in kept):
        return None, (None,) * len(kept), kept
    base = place if place.is_dir() else place.parent
    found = Masks(None if masks is None else Path(masks), notebook, base, turn=turn)
    files: list[Path | None] = []
    having = []
    for one in kept:
        path = found.find(one)
        # A table that leaves the cell of the mask empty says that nothing is marked.
        if path is None and (one.mask is None or one.mask):
            notebook.leave(one.item.name, "has no mask" if not one.mask else f"its mask '{one.mask}' is not there")
            continue
        having.append(one)
        files.append(path)
    return found, tuple(files), having


def _fits(
    kept: list[Labelled], size: int | tuple[int, ...] | None, notebook: Notebook
) -> tuple[tuple[int, ...], tuple[Fit | None, ...]]:
    """Plan how each scan comes to the size of the set."""
    items = [one.item for one in kept]
    wanted = target_size(items, size, notebook)
    spaced = [item.spacing for item in items if item.spacing is not None]
    aspect = float(np.median([one[-1] / one[-2] for one in spaced])) if spaced else 1.0
    fits = tuple(None if item.size == wanted else fit_of(item.size, wanted, item.spacing, aspect) for item in items)
    changed = sum(fit is not None for fit in fits)
    if changed:
        notebook.note(f"{counted(changed, 'scan')} of {len(fits):,} were brought to {by(wanted)}: {FIT_RULE}")
    return wanted, fits
