"""Pictures of scans at one window: grids, planes of volumes, rows of neighbours, and heat-maps.

All scans of a picture go through the same window, so that brighter means a higher value throughout. Volumes are shown
as three orthogonal planes through the middle and a maximum intensity projection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from synthkit.errors import InputError
from synthkit.io.png import Pixels, data_address, png_bytes
from synthkit.io.scan_set import ScanSet

__all__ = [
    "as_pixels",
    "class_grids",
    "coloured",
    "data_address",
    "grid",
    "grid_png",
    "heat_map",
    "heat_map_png",
    "planes",
    "png_bytes",
    "tiles",
    "triples",
    "triples_png",
    "window_of",
]

Array = npt.NDArray[np.generic]
Window = tuple[float, float]
"""Values that are shown black and white, in real units."""

_QUANTILES = (0.005, 0.995)
_MOST_VALUES = 2_000_000
_GAP = 2
_PAPER = 255
# Black, purple, magenta, red, orange, pale yellow: brightness rises all the way, so that it reads in grey too.
_HEAT = np.array(
    [(0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)], dtype=np.float64
)


def window_of(*sets: Array, quantiles: tuple[float, float] = _QUANTILES) -> Window:
    """Return one window for several sets of scans: between two quantiles of all their values.

    Parameters
    ----------
    sets
        Arrays of any shape; each counts by its number of values.
    quantiles
        The two quantiles. What lies beyond is shown black or white.
    """
    values = [np.asarray(images).ravel() for images in sets if np.size(images)]
    if not values:
        return 0.0, 1.0
    step = max(1, sum(map(len, values)) // _MOST_VALUES)
    some = np.concatenate([part[::step] for part in values]).astype(np.float64)
    some = some[np.isfinite(some)]
    if not len(some):
        return 0.0, 1.0
    low, high = np.quantile(some, quantiles)
    if high <= low:
        low, high = some.min(), some.max()
    return float(low), float(high if high > low else low + 1)


def as_pixels(values: Array, window: Window) -> Pixels:
    """Return values as grey levels: the lower end of the window black, the upper end white.

    Parameters
    ----------
    values
        In real units, any shape. What is no number is shown black.
    window
        The two ends.
    """
    low, high = window
    scaled = (np.asarray(values, dtype=np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 1) * 255).astype(np.uint8)


def coloured(values: Array, window: Window) -> Pixels:
    """Return values as colours from black over purple and red to pale yellow, ``[..., 3]``.

    Parameters
    ----------
    values
        Any shape.
    window
        The values that are shown black and pale yellow.
    """
    place = as_pixels(values, window).astype(np.float64) / 255 * (len(_HEAT) - 1)
    stops = np.arange(len(_HEAT))
    channels = [np.interp(place, stops, _HEAT[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def planes(volume: Array, spacing: Sequence[float] | None = None) -> list[Array]:
    """Return three orthogonal planes through the middle of a volume and its maximum intensity projection.

    Parameters
    ----------
    volume
        ``[slices, rows, columns]``, the first slice lowest.
    spacing
        Distances of samples along each axis; slices are repeated so that the planes keep their proportions.

    Returns
    -------
    list of ndarray
        The middle slice (axial), the middle row (coronal), the middle column (sagittal), and the largest value along
        the rows (a frontal projection). The last three have the last slice on top.
    """
    slices, rows, columns = volume.shape
    upright = [
        volume[::-1, rows // 2, :],
        volume[::-1, :, columns // 2],
        volume.max(axis=1)[::-1],
    ]
    axial = volume[slices // 2]
    if spacing is None:
        return [axial, *upright]
    per_slice, per_row, per_column = (float(one) for one in spacing)
    fine = min(per_slice, per_row, per_column)
    return [
        _stretched(axial, per_row / fine, per_column / fine),
        _stretched(upright[0], per_slice / fine, per_column / fine),
        _stretched(upright[1], per_slice / fine, per_row / fine),
        _stretched(upright[2], per_slice / fine, per_column / fine),
    ]


def tiles(images: Array, window: Window, *, spacing: Sequence[float] | None = None, heat: bool = False) -> list[Pixels]:
    """Return one picture for each scan, all of one size.

    Parameters
    ----------
    images
        ``[n, channels, (slices,) rows, columns]``. Three channels are colours; of any other number the first is shown.
    window
        The values that are shown black and white.
    spacing
        Distances of samples along each axis of a volume, so that planes keep their proportions.
    heat
        Whether values are shown as colours; only for one channel.

    Returns
    -------
    list of ndarray
        ``[rows, columns]`` or ``[rows, columns, 3]`` each; four planes side by side for a volume.
    """
    if images.ndim not in (4, 5):
        raise InputError(
            f"scans have the shape {images.shape}, expected [n, channels, rows, columns] or [n, channels, slices, "
            "rows, columns]",
            remedy="Add the axis of channels.",
        )
    if images.ndim == 5:
        shown = [_side_by_side([_drawn(part, window, heat) for part in planes(one[0], spacing)]) for one in images]
        return shown
    if images.shape[1] == 3 and not heat:
        return [as_pixels(np.moveaxis(one, 0, -1), window) for one in images]
    return [_drawn(one[0], window, heat) for one in images]


def grid(pictures: Sequence[Pixels], *, columns: int | None = None, zoom: int | None = None, gap: int = _GAP) -> Pixels:
    """Return pictures of one size as one picture, row by row.

    Parameters
    ----------
    pictures
        Grey ``[rows, columns]`` or coloured ``[rows, columns, 3]`` ones, at least one; mixed ones become coloured.
    columns
        Pictures in a row; by default about as many as there are rows.
    zoom
        How often each pixel is repeated; by default as often as it takes to see small ones.
    gap
        Pixels of white paper between them.

    Raises
    ------
    InputError
        There is no picture, or their sizes differ.
    """
    if not pictures:
        raise InputError("there is no picture to show", remedy="Give at least one scan.")
    sizes = {picture.shape[:2] for picture in pictures}
    if len(sizes) > 1:
        raise InputError(f"pictures have the sizes {sorted(sizes)}, expected one size", remedy="Resample them first.")
    height, width = pictures[0].shape[:2]
    across = max(1, min(columns or int(np.ceil(np.sqrt(len(pictures)))), len(pictures)))
    down = -(-len(pictures) // across)
    times = zoom or max(1, min(4, 128 // max(height, 1)))
    colours = any(picture.ndim == 3 for picture in pictures)
    tall, wide = height * times + gap, width * times + gap
    sheet = np.full((down * tall - gap, across * wide - gap, *((3,) if colours else ())), _PAPER, dtype=np.uint8)
    for place, picture in enumerate(pictures):
        own = _in_colour(picture) if colours else picture
        row, column = divmod(place, across)
        large = own.repeat(times, axis=0).repeat(times, axis=1)
        sheet[row * tall : row * tall + height * times, column * wide : column * wide + width * times] = large
    return sheet


def grid_png(
    images: Array,
    *,
    window: Window | None = None,
    columns: int | None = None,
    zoom: int | None = None,
    spacing: Sequence[float] | None = None,
) -> bytes:
    """Return scans as a grid in a PNG file; see `tiles` and `grid`.

    Parameters
    ----------
    images
        ``[n, channels, (slices,) rows, columns]``, at least one.
    window
        The values that are shown black and white; by default between two quantiles of these scans.
    columns, zoom, spacing
        As in `grid` and `tiles`.
    """
    across = columns if columns is not None or images.ndim == 4 else 1
    chosen = window_of(images) if window is None else window
    return png_bytes(grid(tiles(images, chosen, spacing=spacing), columns=across, zoom=zoom))


def class_grids(
    scans: ScanSet, *, each: int = 8, window: Window | None = None, columns: int | None = None
) -> dict[str, bytes]:
    """Return a grid of the first few scans of each class, as PNG files by the name of the class.

    Parameters
    ----------
    scans
        What is shown; without classes all of them under an empty name.
    each
        At most so many of a class.
    window
        The values that are shown black and white; by default between two quantiles of all scans.
    columns
        Scans in a row; all of a class by default.
    """
    chosen = window_of(scans.images) if window is None else window
    across = columns or (each if scans.images.ndim == 4 else 1)
    groups = {"": np.arange(len(scans))}
    if scans.labels is not None:
        groups = {name: np.flatnonzero(scans.labels == place) for place, name in enumerate(scans.classes)}
    return {
        name: grid_png(scans.images[rows[:each]], window=chosen, columns=across, spacing=_spacing(scans))
        for name, rows in groups.items()
        if len(rows)
    }


def triples(
    fakes: Array,
    nearest_training: Array,
    nearest_holdout: Array,
    *,
    aligned: Array | None = None,
    window: Window | None = None,
    zoom: int | None = None,
    spacing: Sequence[float] | None = None,
) -> Pixels:
    """Return a row for each synthetic scan: itself, its nearest training scan, its nearest held-out scan, a difference.

    Parameters
    ----------
    fakes, nearest_training, nearest_holdout
        ``[n, channels, (slices,) rows, columns]`` each, in the same order.
    aligned
        The nearest training scans, moved and scaled onto the synthetic ones, of which the difference is taken; as they
        are by default.
    window
        The values that are shown black and white in all three; by default between two quantiles of all of them.
    zoom, spacing
        As in `grid` and `tiles`.

    Returns
    -------
    ndarray
        Colours. The last column is the absolute difference of the synthetic and the (aligned) nearest training scan:
        black where they are equal, palest from half the width of the window on.
    """
    shapes = {images.shape for images in (fakes, nearest_training, nearest_holdout)}
    if len(shapes) > 1:
        raise InputError(
            f"rows of neighbours have the shapes {sorted(shapes)}, expected one shape",
            remedy="Give one training and one held-out scan for each synthetic one.",
        )
    chosen = window_of(fakes, nearest_training, nearest_holdout) if window is None else window
    others = nearest_training if aligned is None else aligned
    apart = np.abs(fakes.astype(np.float64) - others.astype(np.float64)).max(axis=1, keepdims=True)
    columns = [tiles(images, chosen, spacing=spacing) for images in (fakes, nearest_training, nearest_holdout)]
    columns.append(tiles(apart, (0.0, (chosen[1] - chosen[0]) / 2), spacing=spacing, heat=True))
    rows = [picture for row in zip(*columns, strict=True) for picture in row]
    across = 4 if fakes.ndim == 4 else 1
    return grid(rows, columns=across, zoom=zoom)


def triples_png(
    fakes: Array,
    nearest_training: Array,
    nearest_holdout: Array,
    *,
    aligned: Array | None = None,
    window: Window | None = None,
    zoom: int | None = None,
    spacing: Sequence[float] | None = None,
) -> bytes:
    """Return `triples` as a PNG file."""
    sheet = triples(
        fakes, nearest_training, nearest_holdout, aligned=aligned, window=window, zoom=zoom, spacing=spacing
    )
    return png_bytes(sheet)


def heat_map(
    image: Array,
    heat: Array,
    *,
    window: Window | None = None,
    heat_window: Window | None = None,
    opacity: float = 0.6,
    spacing: Sequence[float] | None = None,
) -> Pixels:
    """Return a scan with a map of a score laid over it, ``[rows, columns, 3]``.

    Parameters
    ----------
    image
        One scan, ``[channels, (slices,) rows, columns]``.
    heat
        Its score at each sample, ``[(slices,) rows, columns]``; higher is worse.
    window
        The values that are shown black and white.
    heat_window
        The scores that are shown not at all and in the palest colour. Give one for several scans, so that their maps
        can be compared.
    opacity
        How much of the scan the highest scores cover, from 0 to 1.
    spacing
        As in `tiles`.
    """
    if heat.shape != image.shape[1:]:
        raise InputError(
            f"the map has the shape {heat.shape}, the scan {image.shape[1:]}", remedy="Give one score for each sample."
        )
    below = tiles(image[None], window or window_of(image), spacing=spacing)[0]
    chosen = heat_window or (0.0, max(float(np.nanmax(heat)), np.finfo(np.float64).tiny))
    above = tiles(heat[None, None], chosen, spacing=spacing, heat=True)[0]
    cover = tiles(heat[None, None], chosen, spacing=spacing)[0][..., None] / 255 * opacity
    return np.rint(_in_colour(below) * (1 - cover) + above * cover).astype(np.uint8)


def heat_map_png(
    images: Array,
    heats: Array,
    *,
    window: Window | None = None,
    heat_window: Window | None = None,
    zoom: int | None = None,
    spacing: Sequence[float] | None = None,
) -> bytes:
    """Return scans above their heat-maps as a PNG file: two rows, all at the same two windows.

    Parameters
    ----------
    images
        ``[n, channels, (slices,) rows, columns]``.
    heats
        ``[n, (slices,) rows, columns]``.
    window, heat_window, zoom, spacing
        As in `heat_map` and `grid`.
    """
    chosen = window or window_of(images)
    scale = heat_window or (0.0, window_of(heats)[1])
    upper = [_in_colour(picture) for picture in tiles(images, chosen, spacing=spacing)]
    lower = [
        heat_map(image, heat, window=chosen, heat_window=scale, spacing=spacing)
        for image, heat in zip(images, heats, strict=True)
    ]
    return png_bytes(grid([*upper, *lower], columns=len(upper), zoom=zoom))


def _spacing(scans: ScanSet) -> tuple[float, ...] | None:
    spacing = scans.form.spacing
    return spacing if spacing is not None and len(spacing) == len(scans.size) == 3 else None


def _drawn(plane: Array, window: Window, heat: bool) -> Pixels:
    return coloured(plane, window) if heat else as_pixels(plane, window)


def _stretched(plane: Array, rows: float, columns: float) -> Array:
    """Return a plane with its rows and columns repeated to so many times their number."""
    height, width = plane.shape
    down = np.minimum((np.arange(round(height * rows)) / rows).astype(int), height - 1)
    across = np.minimum((np.arange(round(width * columns)) / columns).astype(int), width - 1)
    stretched: Array = plane[down][:, across]
    return stretched


def _side_by_side(pictures: Sequence[Pixels]) -> Pixels:
    """Return pictures of different heights in one row on black."""
    height = max(picture.shape[0] for picture in pictures)
    padded = []
    for picture in pictures:
        missing = height - picture.shape[0]
        room = [(missing // 2, missing - missing // 2), (0, _GAP), *([(0, 0)] if picture.ndim == 3 else [])]
        padded.append(np.pad(picture, room))
    return np.concatenate(padded, axis=1)[:, :-_GAP]


def _in_colour(picture: Pixels) -> Pixels:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
