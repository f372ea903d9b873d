"""The header of one frame as a small record: all that grouping, ordering and reading need, and nothing of a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Header:
    """One frame, without its pixels.

    Attributes
    ----------
    file
        Relative to the folder, as it is shown.
    path
        Where it lies.
    frame
        Position in the file; None for a file of one frame.
    tile
        Position in a mosaic; None for what is no mosaic.
    n_tiles, n_frames
        Tiles of the mosaic, and frames of the file.
    series
        Hash of what it belongs to: patient, study, series and frame of reference.
    instance
        Hash of its own identifier.
    rows, columns
        Of the frame, or of the tile.
    position, orientation, spacing
        In mm; None where the header does not say.
    times
        What tells apart frames of one position, most telling first; None for what is missing.
    """

    file: str
    path: str
    frame: int | None
    tile: int | None
    n_tiles: int
    n_frames: int
    sop_class: str
    transfer_syntax: str
    series: str
    series_key: str
    instance: str
    patient: str | None
    modality: str
    body_part: str
    units: str
    image_type: tuple[str, ...]
    synthetic: bool
    burned_in: bool
    burned_in_unknown: bool
    rows: int
    columns: int
    channels: int
    photometric: str
    bits_allocated: int
    bits: int
    signed: bool
    floating: bool
    slope: float
    intercept: float
    lut: bool
    padding: tuple[int, int] | None
    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    spacing: tuple[float, float] | None
    slice_spacing: float | None
    echo: str
    times: tuple[float | None, ...]
    number: int
    tag: str | None
    identifying: tuple[str, ...]

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the plane."""
        orientation = AXIAL if self.orientation is None else self.orientation
        normal = np.cross(orientation[:3], orientation[3:])
        length = float(np.linalg.norm(normal))
        return normal / length if length else np.array([0.0, 0.0, 1.0])
