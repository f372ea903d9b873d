"""What every reader of scans gives before any pixel is read: one record per series, volume or picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.scan_set import ScanForm


class UnreadableScan(InputError):
    """A file whose pixels cannot be read. It is left out under this reason, and the rest goes on."""


def hashed(text: str, kind: str) -> str:
    """Return 16 hexadecimal digits that stand for an identifier, and from which it cannot be computed back.

    Parameters
    ----------
    text
        The identifier.
    kind
        What it identifies, so that the same text for another purpose gives another hash.

    Notes
    -----
    Whoever guesses the identifier can check the guess, as with every hash without a secret. That is why hashes of
    patients are used to group scans and are not written anywhere.
    """
    return hashlib.sha256(f"synthkit {kind}\0{text.strip()}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Stack:
    """Parallel planes of one size, or a single one, that have not been read yet.

    Attributes
    ----------
    name
        Its file, or the folder that holds nothing else, relative to what is read.
    files
        Of each plane, relative to what is read.
    form
        Modality, units and what can be stored. Its spacing is that of the planes, ``(row, column)``.
    size
        Rows and columns of a plane.
    channels
        1 or 3.
    dtype
        Of what the two functions return.
    plane_names
        What each plane is called, bottom first. Their number is that of the scans where each plane is one.
    plane
        Reads a plane by position in `plane_names`: ``[channels, rows, columns]`` in real units.
    volume
        Reads all of it, ``[channels, *volume_size]``; None for planes without positions.
    volume_size
        Slices, rows and columns of what `volume` reads.
    slice_spacing
        Distance of its slices in mm; None where it is unknown.
    patient
        A hash of who it is of; None where it is unknown.
    keys
        Names under which a list of labels may mention it, the most exact first.
    plane_keys
        The same for each plane.
    tag
        What the DICOM tag that holds the label says.
    n_files
        Number of files.
    notes
        What is done to it in a volume.
    few
        Why it is no volume; empty where it is one.
    """

    name: str
    files: tuple[str, ...]
    form: ScanForm
    size: tuple[int, int]
    channels: int
    dtype: np.dtype[Any]
    plane_names: tuple[str, ...]
    plane: Callable[[int], np.ndarray]
    volume: Callable[[], np.ndarray] | None = None
    volume_size: tuple[int, int, int] | None = None
    slice_spacing: float | None = None
    patient: str | None = None
    keys: tuple[str, ...] = ()
    plane_keys: tuple[str, ...] = ()
    tag: str | None = None
    n_files: int = 1
    notes: tuple[str, ...] = ()
    few: str = ""


@dataclass(frozen=True)
class Item:
    """One scan to be: a stack as a volume, or one plane of it."""

    stack: Stack
    plane: int | None

    @property
    def name(self) -> str:
        """What it was read from."""
        return self.stack.name if self.plane is None else self.stack.plane_names[self.plane]

    @property
    def file(self) -> str:
        """Its file, or the first of its files."""
        return self.stack.files[self.plane or 0]

    @property
    def size(self) -> tuple[int, ...]:
        """Samples along each axis in the file."""
        if self.plane is None and self.stack.volume_size is not None:
            return self.stack.volume_size
        return self.stack.size

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """In mm along each axis, or None."""
        spacing = self.stack.form.spacing
        if self.plane is not None or spacing is None:
            return spacing
        return None if self.stack.slice_spacing is None else (self.stack.slice_spacing, *spacing)

    def read(self) -> np.ndarray:
        """Return ``[channels, *size]`` in real units."""
        if self.plane is not None:
            return self.stack.plane(self.plane)
        if self.stack.volume is None:
            raise UnreadableScan(f"'{self.name}' is no volume", remedy="Read its slices.")
        return self.stack.volume()
