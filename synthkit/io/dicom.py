"""DICOM in: files of any folder become series and volumes, and everything that is left out has a reason.

Headers come first, all of them without pixels; pixels are read later, one scan at a time. So a folder of a million
files takes the memory of their headers, and what cannot be used is known before anything is decoded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.io.dicom_headers import read_headers
from synthkit.io.dicom_kinds import CAPTURES, label_tag, no_scan
from synthkit.io.dicom_pixels import PixelReader, background, dtype_of, form_of, missing_decoder
from synthkit.io.dicom_record import Header
from synthkit.io.dicom_series import FEWEST_SLICES, Geometry, Volume, volumes_of
from synthkit.io.scan_files import natural
from synthkit.io.scan_reading import Notebook
from synthkit.io.scan_stack import Stack, UnreadableScan
from synthkit.phrases import counted

__all__ = ["dicom_stacks", "label_tag"]

# Modalities in which text is often part of the picture.
_OFTEN_TEXT = frozenset({"US", "OT", "XA", "RF", "ES", "GM", "XC"})


def dicom_stacks(
    files: Sequence[tuple[str, Path]],
    notebook: Notebook,
    *,
    tag: int | None = None,
    force_burned_in: bool = False,
) -> list[Stack]:
    """Return the series and volumes of DICOM files, without pixels.

    Parameters
    ----------
    files
        What each is called, and where it lies.
    notebook
        What is left out is noted here, file by file.
    tag
        The DICOM tag whose text is the label.
    force_burned_in
        Whether frames that say that text is burned into them are used.
    """
    headers = _headers(files, notebook, tag)
    _tell_identifying(headers, notebook)
    headers = _without_text(headers, notebook, force_burned_in)
    headers = _scans_only(headers, notebook)
    headers = _decodable(headers, notebook)
    reader = PixelReader()
    volumes = volumes_of(headers, notebook)
    return [_stack(volume, name, reader) for volume, name in zip(volumes, _names(volumes), strict=True)]


def _headers(files: Sequence[tuple[str, Path]], notebook: Notebook, tag: int | None) -> list[Header]:
    """Read all headers; a bad file and a copy of another are named and left out."""
    found: list[Header] = []
    first: dict[str, str] = {}
    said: Counter[str] = Counter()
    for name, path in files:
        try:
            own, warned = read_headers(path, name, tag)
        except UnreadableScan as error:
            notebook.leave(name, error.what)
            continue
        original = first.setdefault(own[0].instance, name)
        if original != name:
            notebook.leave(name, f"a copy of '{original}' (same SOP instance)")
            continue
        said.update(warned)
        found += own
    for text, n in said.most_common(3):
        notebook.warn(f"pydicom says of {counted(n, 'file')}: {text}")
    return found


def _tell_identifying(headers: Sequence[Header], notebook: Notebook) -> None:
    """Say which tags identify patients. Their content is nowhere but in the files."""
    seen = sorted({word for header in headers for word in header.identifying})
    if seen:
        notebook.note(f"tags that identify patients: {', '.join(seen)}; none of their content is kept")


def _without_text(headers: Sequence[Header], notebook: Notebook, force: bool) -> list[Header]:
    """Leave out frames with burned-in text, and warn of those that could have it."""
    kept = []
    for name, own in _by_file(headers):
        if own[0].burned_in and not force:
            notebook.leave(name, "text is burned into it (BurnedInAnnotation is YES); --force-burned-in reads it")
            continue
        kept += own
    forced = {header.file for header in kept if header.burned_in}
    if forced:
        notebook.warn(
            f"text is burned into {counted(len(forced), 'file')}, which are used because that was forced: a generator "
            "can repeat names"
        )
    unknown = {header.file for header in kept if header.burned_in_unknown and header.modality in _OFTEN_TEXT}
    if unknown:
        notebook.warn(
            f"{counted(len(unknown), 'file')} of a modality that often shows text (such as '{min(unknown)}') "
            "do not say whether any is burned in: look at them"
        )
    return kept


def _scans_only(headers: Sequence[Header], notebook: Notebook) -> list[Header]:
    """Leave out localizers, pages, computed views, and captures of screens where there are scans beside them."""
    files = dict(_by_file(headers))
    scans = any(own[0].sop_class not in CAPTURES and no_scan(own[0]) is None for own in files.values())
    kept = []
    captured = []
    gone: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, own in files.items():
        reasons = [no_scan(header) for header in own]
        if None not in reasons:
            gone[own[0].series, str(reasons[0])].append(name)
        elif own[0].sop_class in CAPTURES and not own[0].synthetic:
            if scans:
                gone[own[0].series, "secondary capture"].append(name)
            else:
                captured.append(name)
                kept += own
        else:
            kept += [header for header in own if no_scan(header) is None]
    for (_, reason), names in gone.items():
        notebook.leave(min(names), reason, len(names))
    if captured:
        notebook.warn(f"{counted(len(captured), 'file')} are secondary captures, used because there is nothing else")
    return kept


def _decodable(headers: Sequence[Header], notebook: Notebook) -> list[Header]:
    """Leave out what no installed package decodes, before any pixel is read."""
    missing = {syntax: missing_decoder(syntax) for syntax in {header.transfer_syntax for header in headers}}
    kept = []
    for name, own in _by_file(headers):
        reason = missing[own[0].transfer_syntax]
        if reason is None:
            kept += own
        else:
            notebook.leave(name, reason)
    return kept


def _by_file(headers: Sequence[Header]) -> list[tuple[str, list[Header]]]:
    files: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        files[header.file].append(header)
    return list(files.items())


# ------------------------------------------------------------ stacks


def _stack(volume: Volume, name: str, reader: PixelReader) -> Stack:
    """Describe a volume, or a single frame, for the front."""
    frames = volume.frames
    first = frames[0]
    geometry = volume.geometry
    dtype = np.result_type(*{dtype_of(frame) for frame in frames})
    form = form_of(first)
    ends = [form_of(frame) for frame in {(f.slope, f.intercept, f.bits): f for f in frames}.values()]
    low, high = min(one.limits[0] for one in ends), max(one.limits[1] for one in ends)

    def plane(i: int) -> np.ndarray:
        return reader.read(frames[i]).astype(dtype, copy=False)

    return Stack(
        name=name,
        files=tuple(frame.file for frame in frames),
        form=type(form)(
            form.modality, form.units, max(one.bits for one in ends), low < 0, (low, high), form.spacing,
            form.orientation, form.body_part,
        ),
        size=(first.rows, first.columns),
        channels=first.channels,
        dtype=dtype,
        plane_names=tuple(_plane_name(frame) for frame in frames),
        plane=plane,
        volume=None if geometry is None else partial(_whole, volume, geometry, plane, dtype),
        volume_size=None if geometry is None else (geometry.n_slices, first.rows, first.columns),
        slice_spacing=None if geometry is None else geometry.spacing,
        patient=first.patient,
        keys=(first.series_key, first.patient or ""),
        plane_keys=tuple(frame.instance for frame in frames),
        tag=first.tag,
        n_files=len({frame.file for frame in frames}),
        notes=(*([volume.note] if volume.note else []), *(geometry.notes if geometry is not None else ())),
        few="" if geometry is not None else _why_no_volume(volume),
    )  # fmt: skip


def _whole(volume: Volume, geometry: Geometry, plane: Callable[[int], np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    """Read a volume, ``[channels, slices, rows, columns]``."""
    frames = volume.frames
    first = frames[0]
    planes = np.empty((first.channels, len(frames), first.rows, first.columns), dtype)
    # In the order of files, so that each is opened once.
    for i in sorted(range(len(frames)), key=lambda k: (frames[k].file, frames[k].frame or 0)):
        try:
            planes[:, i] = plane(i)
        except UnreadableScan as error:
            raise UnreadableScan(f"its slice '{frames[i].file}': {error.what}") from error
    return regular(planes, geometry, background(first))


def _names(volumes: Sequence[Volume]) -> list[str]:
    """Call a volume after its folder where that holds nothing else, else after its first file, and number its times."""
    inside: dict[str, set[str]] = defaultdict(set)
    for volume in volumes:
        for frame in volume.frames:
            inside[_folder(frame.file)].add(frame.series)
    bases = []
    for volume in volumes:
        files = {frame.file for frame in volume.frames}
        folders = {_folder(file) for file in files}
        alone = len(folders) == 1 and len(files) > 1 and folders != {""} and len(inside[min(folders)]) == 1
        bases.append(min(folders) if alone else min(files, key=natural))
    shared = Counter(bases)
    numbers: Counter[str] = Counter()
    names = []
    for base, volume in zip(bases, volumes, strict=True):
        numbers[base] += 1
        single = len(volume.frames) == 1 and shared[base] > 1
        names.append(
            _plane_name(volume.frames[0]) if single else f"{base}#{numbers[base]}" if shared[base] > 1 else base
        )
    return names


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _plane_name(frame: Header) -> str:
    name = frame.file
    if frame.frame is not None:
        name += f"#frame {frame.frame + 1}"
    if frame.tile is not None:
        name += f"#tile {frame.tile + 1}"
    return name


def _why_no_volume(volume: Volume) -> str:
    if volume.frames[0].position is None:
        return "no position in space"
    return f"a series with {counted(len(volume.frames), 'slice')}, expected at least {FEWEST_SLICES}"


def regular(planes: np.ndarray, geometry: Geometry, empty: float) -> np.ndarray:
    """Return slices as a volume that stands straight and is evenly spaced.

    Parameters
    ----------
    planes
        ``[channels, slices, rows, columns]``.
    geometry
        Where they lie.
    empty
        What is put where a moved slice has nothing.
    """
    values = planes
    if geometry.tilt:
        values = np.empty_like(planes)
        for i, move in enumerate(geometry.shifts):
            moved = _moved(_moved(planes[:, i].astype(np.float32), 1, move[0], empty), 2, move[1], empty)
            values[:, i] = np.rint(moved) if planes.dtype.kind in "iu" else moved
    if geometry.weights is None:
        return values
    even = np.moveaxis(np.tensordot(geometry.weights, values.astype(np.float32), axes=(1, 1)), 0, 1)
    return np.rint(even).astype(planes.dtype) if planes.dtype.kind in "iu" else even.astype(planes.dtype)


def _moved(values: np.ndarray, axis: int, by: float, empty: float) -> np.ndarray:
    """Move values along an axis by any number of samples: linear between two neighbours, `empty` where none is left."""
    whole = int(np.floor(by))
    share = np.float32(by - whole)
    if whole == 0 and share == 0:
        return values
    length = values.shape[axis]
    # A sample that moves by 2.3 lies between the places 2 and 3 further on.
    near = np.take(values, np.clip(np.arange(length) - whole, 0, length - 1), axis)
    far = np.take(values, np.clip(np.arange(length) - whole - 1, 0, length - 1), axis)
    moved = near * (1 - share) + far * share
    source = np.arange(length) - by
    outside = (source < 0) | (source > length - 1)
    np.moveaxis(moved, axis, 0)[outside] = empty
    return moved
