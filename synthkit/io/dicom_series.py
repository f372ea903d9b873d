"""Which frames make up a volume, and in which order: by where they lie, never by their numbers.

A series is ordered along the normal of its planes. Frames that lie at the same place are other times, echoes or
directions of diffusion (then there is one volume of each), or copies. What differs in Image Type is kept apart only
where it covers the same region: scanners mark the parts of one head differently.

References
----------
DICOM PS3.3, C.7.6.2.1.1 (Image Position and Image Orientation).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from synthkit.io.dicom_record import Header
from synthkit.io.scan_reading import Notebook
from synthkit.phrases import counted

FEWEST_SLICES = 4  # fewer are no volume
_SAME_PLACE = 0.01  # mm: positions are written with few decimals
_REGULAR = 0.05  # of the distance: how far a slice may lie from its place on an even grid
_WIDE = 3.0  # times the median distance: too far to be bridged
_STRAIGHT = 0.5  # degrees
_TIMES = ("time point", "b-value", "acquisition", "trigger time", "echo time", "acquisition time", "content time")


@dataclass(frozen=True)
class Geometry:
    """Where the slices of a volume lie.

    Attributes
    ----------
    spacing
        Distance of slices along the normal in mm, as measured: the median where they differ.
    n_slices
        Slices of the regular volume.
    weights
        What takes the slices as they lie to regular ones, ``[n_slices, n]``; None where they are regular.
    tilt
        Angle between the stack and the normal in degrees, 0 where it is straight.
    shifts
        By how much each slice is moved so that the stack stands straight, ``[n, 2]`` in rows and columns.
    notes
        In words.
    """

    spacing: float
    n_slices: int
    weights: np.ndarray | None
    tilt: float
    shifts: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Volume:
    """Frames in order, and where they lie; no geometry where they have no positions or are too few."""

    frames: tuple[Header, ...]
    geometry: Geometry | None
    note: str = ""


def volumes_of(headers: Sequence[Header], notebook: Notebook) -> list[Volume]:
    """Group frames into series and order them.

    Parameters
    ----------
    headers
        Frames of all files, in any order.
    notebook
        Copies and frames of incomplete volumes are noted here as left out.

    Returns
    -------
    list of Volume
        In the order of their first files. A frame without a position is a volume of its own.
    """
    groups: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    found: list[Volume] = []
    for header in headers:
        if header.position is None or header.orientation is None:
            found.append(Volume((header,), None))
        else:
            groups[_key(header)].append(header)
    for group in groups.values():
        for part in _parts(group):
            for frames, note in _by_time(part, notebook):
                found += _split(frames, note)
    return sorted(found, key=lambda volume: min(_first(frame) for frame in volume.frames))


def _first(frame: Header) -> tuple[str, int]:
    return frame.file, frame.frame or 0


def _key(header: Header) -> tuple[object, ...]:
    """What frames of one volume have in common."""
    orientation = tuple(round(one, 3) + 0.0 for one in header.orientation or ())
    spacing = tuple(round(one, 4) for one in header.spacing or ())
    return (
        header.series, header.sop_class, header.rows, header.columns, header.channels, orientation, spacing,
        header.echo, header.units, header.photometric == "MONOCHROME1",
    )  # fmt: skip


# ------------------------------------------------------------ apart and together


def _parts(group: Sequence[Header]) -> list[list[Header]]:
    """Keep frames of different Image Type apart where they cover the same region, and together where they do not."""
    kinds: dict[tuple[str, ...], list[Header]] = defaultdict(list)
    for header in group:
        kinds[header.image_type[2:]].append(header)
    if len(kinds) == 1:
        return [list(group)]
    ends = sorted((float(places.min()), float(places.max())) for places in map(_along, kinds.values()))
    apart = any(later[0] <= earlier[1] + _SAME_PLACE for earlier, later in pairwise(ends))
    return list(kinds.values()) if apart else [list(group)]


def _along(frames: Sequence[Header]) -> np.ndarray:
    """Positions along the normal, ``[n]``."""
    normal = frames[0].normal
    places: np.ndarray = np.array([frame.position for frame in frames], float) @ normal
    return places


def _by_time(frames: Sequence[Header], notebook: Notebook) -> list[tuple[list[Header], str]]:
    """Split frames into one list per time point, each with one frame per position, lowest first."""
    places = _along(frames)
    order = np.argsort(places, kind="stable")
    clusters: list[list[Header]] = []
    last = -np.inf
    for i in order:
        if places[i] - last > _SAME_PLACE:
            clusters.append([])
        clusters[-1].append(frames[i])
        last = places[i]
    most = max(map(len, clusters))
    if most == 1:
        return [([cluster[0] for cluster in clusters], "")]
    if sum(len(cluster) > 1 for cluster in clusters) * 2 < len(clusters):
        return [(_without_copies(clusters, notebook), "")]
    return _times(clusters, most, notebook)


def _without_copies(clusters: Sequence[Sequence[Header]], notebook: Notebook) -> list[Header]:
    """Keep the first frame of each position and note the others."""
    kept = []
    for cluster in clusters:
        first, *others = sorted(cluster, key=lambda frame: (frame.number, frame.file))
        kept.append(first)
        for other in others:
            notebook.leave(other.file, f"lies where '{first.file}' lies (duplicate position)")
    return kept


def _times(clusters: Sequence[Sequence[Header]], most: int, notebook: Notebook) -> list[tuple[list[Header], str]]:
    """Split clusters of frames at the same position by what tells their times apart, else by number."""
    # What tells times apart differs within each position, and says the same few things at all of them.
    for which, told in enumerate(_TIMES):
        values = [[frame.times[which] for frame in cluster] for cluster in clusters]
        known = {value for row in values for value in row}
        if None not in known and len(known) == most and all(len(set(row)) == len(row) for row in values):
            levels = sorted(value for value in known if value is not None)
            picked = [
                [frame for cluster in clusters for frame in cluster if frame.times[which] == level] for level in levels
            ]
            name = told
            break
    else:
        name = "time point"
        notebook.warn(
            f"'{clusters[0][0].file}' and others lie at the same places {most} times, and only their numbers tell them "
            f"apart: they were taken for {most} time points"
        )
        ranked = [sorted(cluster, key=lambda frame: (frame.number, frame.file)) for cluster in clusters]
        picked = [[row[j] for row in ranked if j < len(row)] for j in range(most)]
    found = []
    for j, frames in enumerate(picked):
        if len(frames) == len(clusters):
            found.append((frames, f"{name} {j + 1} of {most}"))
        else:
            missing = len(clusters) - len(frames)
            notebook.leave(
                frames[0].file, f"{name} {j + 1} of {most} lacks {missing} of {len(clusters)} slices", len(frames)
            )
    return found


# ------------------------------------------------------------ geometry


def _split(frames: Sequence[Header], note: str) -> list[Volume]:
    """Cut where the next slice is too far away to be bridged, and describe each part."""
    places = _along(frames)
    gaps = np.diff(places)
    cuts = np.flatnonzero(gaps > _WIDE * np.median(gaps)) + 1 if len(gaps) else np.array([], int)
    parts = np.split(np.arange(len(frames)), cuts)
    found = []
    for number, part in enumerate(parts):
        own = tuple(frames[i] for i in part)
        said = note
        if len(parts) > 1:
            cut = f"part {number + 1} of {len(parts)}, cut where slices are {gaps[cuts - 1].max():.4g} mm apart"
            said = f"{note}; {cut}" if note else cut
        found.append(Volume(own, geometry_of(own) if len(own) >= FEWEST_SLICES else None, said))
    return found


def geometry_of(frames: Sequence[Header]) -> Geometry:
    """Describe where slices lie.

    Parameters
    ----------
    frames
        At least two, lowest first, none at the same place.
    """
    places = _along(frames)
    gaps = np.diff(places)
    # Even are those that lie near an even grid from the first to the last, whatever each distance alone is.
    even = np.linspace(places[0], places[-1], len(places))
    spacing = float(even[1] - even[0])
    notes = []
    weights = None
    n_slices = len(frames)
    if float(np.abs(places - even).max()) > _REGULAR * spacing + _SAME_PLACE:
        spacing = float(np.median(gaps))
        n_slices = int(np.floor((places[-1] - places[0]) / spacing + _SAME_PLACE)) + 1
        weights = _linear(places, places[0] + spacing * np.arange(n_slices))
        notes.append(
            f"distances of slices are {gaps.min():.3g} to {gaps.max():.3g} mm: {len(frames)} slices were interpolated "
            f"linearly to {n_slices}, {spacing:.3g} mm apart"
        )
    tilt, shifts = _tilt(frames)
    if tilt:
        furthest = float(np.abs(shifts).max())
        notes.append(
            f"the gantry was tilted by {tilt:.1f} degrees: slices were moved by up to {furthest:.0f} samples, so that "
            "the volume stands straight"
        )
    return Geometry(spacing, n_slices, weights, tilt, shifts, tuple(notes))


def _linear(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Weights ``[len(new), len(old)]`` of linear interpolation between places that ascend."""
    above = np.clip(np.searchsorted(old, new), 1, len(old) - 1)
    share = np.clip((new - old[above - 1]) / (old[above] - old[above - 1]), 0, 1)
    matrix = np.zeros((len(new), len(old)), np.float32)
    matrix[np.arange(len(new)), above - 1] = 1 - share
    matrix[np.arange(len(new)), above] += share
    return matrix


def _tilt(frames: Sequence[Header]) -> tuple[float, np.ndarray]:
    """Angle of the stack against the normal in degrees, and the shift of each slice in rows and columns."""
    positions = np.array([frame.position for frame in frames], float)
    orientation = np.array(frames[0].orientation, float)
    moved = positions - positions[len(positions) // 2]
    rows = moved @ orientation[3:]  # a step to the next row goes along the direction of a column
    columns = moved @ orientation[:3]
    whole = positions[-1] - positions[0]
    across = float(np.hypot(rows[-1] - rows[0], columns[-1] - columns[0]))
    tilt = float(np.degrees(np.arctan2(across, abs(float(whole @ frames[0].normal)))))
    spacing = frames[0].spacing
    if tilt < _STRAIGHT or spacing is None:
        return 0.0, np.zeros((len(frames), 2))
    return tilt, np.stack([rows / spacing[0], columns / spacing[1]], axis=1)


def describe_size(volume: Volume) -> str:
    """Return ``54 slices of 512 x 512``."""
    frame = volume.frames[0]
    return f"{counted(len(volume.frames), 'slice')} of {frame.rows} x {frame.columns}"
