"""Pictures in: PNG, JPEG and TIFF of 8 or 16 bits, grey or in colours; several pages are slices."""

from __future__ import annotations

import json
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.scan_reading import Notebook
from synthkit.io.scan_set import ScanForm
from synthkit.io.scan_stack import Stack, UnreadableScan

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
# Pillow's mode -> channels, dtype; those that are not here become colours or grey by what they hold.
_MODES: dict[str, tuple[int, type[np.generic]]] = {
    "1": (1, np.uint8), "L": (1, np.uint8), "LA": (1, np.uint8), "I;16": (1, np.uint16), "I;16B": (1, np.uint16),
    "I;16L": (1, np.uint16), "I": (1, np.int32), "F": (1, np.float32), "RGB": (3, np.uint8), "RGBA": (3, np.uint8),
    "CMYK": (3, np.uint8), "YCbCr": (3, np.uint8), "P": (3, np.uint8), "HSV": (3, np.uint8), "LAB": (3, np.uint8),
}  # fmt: skip
_TURNED = 0x0112  # Exif: how a camera was held
_LARGEST = float(np.finfo(np.float32).max)


def image_stacks(files: Sequence[tuple[str, Path]], notebook: Notebook) -> list[Stack]:
    """Return pictures, without their pixels.

    Parameters
    ----------
    files
        What each is called, and where it lies.
    notebook
        What is left out is noted here.

    Raises
    ------
    InputError
        Pillow is not installed.
    """
    _pillow()
    found = []
    for name, path in files:
        try:
            found.append(_stack_of(name, path))
        except UnreadableScan as error:
            notebook.leave(name, error.what)
    return found


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise InputError(
            "reading pictures needs the package pillow, which is not installed",
            remedy="Install it with: pip install 'synthkit[scans]'.",
        ) from error
    return PIL.Image


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a picture; every way in which one is damaged becomes one reason, and a bomb is not unpacked."""
    image = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(path) as picture:
                yield picture
    except (image.DecompressionBombError, image.DecompressionBombWarning) as error:
        raise UnreadableScan("has more pixels than any scan (a decompression bomb?)") from error
    except PermissionError as error:
        raise UnreadableScan("may not be read (permission denied)") from error
    except (OSError, EOFError, SyntaxError, ValueError, IndexError, struct.error, zlib.error) as error:
        raise UnreadableScan(f"damaged, cut off or no picture ({type(error).__name__})") from error


def _stack_of(name: str, path: Path) -> Stack:
    with _opened(path) as picture:
        mode, pages = picture.mode, int(getattr(picture, "n_frames", 1)) if picture.format == "TIFF" else 1
        columns, rows = picture.size
        if picture.getexif().get(_TURNED, 1) in (5, 6, 7, 8):
            rows, columns = columns, rows
        grey_palette = mode == "P" and _is_grey(picture.getpalette("RGB"))
        slope, intercept = _rule(picture.info.get("Provenance"))
    if mode not in _MODES:
        raise UnreadableScan(f"has the mode {mode}, expected grey or colours of 8 or 16 bits")
    channels, dtype = (1, np.uint8) if grey_palette else _MODES[mode]
    kind = np.dtype(dtype)
    if kind.kind == "f":
        bits, limits = 16, (-_LARGEST, _LARGEST)
    elif mode == "I":
        # Pillow's name for grey of 16 or 32 bits; PNG has no more than 16
        bits, limits = 16, (0.0, 65535.0) if path.suffix.lower() == ".png" else (-(2.0**31), 2.0**31 - 1)
    else:
        bits, limits = kind.itemsize * 8, (0.0, float(np.iinfo(kind).max))

    real = kind if (slope, intercept) == (1.0, 0.0) else np.dtype(np.float32)

    def page(i: int) -> np.ndarray:
        stored = _pixels(path, i, channels, kind, (rows, columns))
        return stored if real == kind else (stored * slope + intercept).astype(real)

    def volume() -> np.ndarray:
        return np.stack([page(i) for i in range(pages)], axis=1)

    stem = name[: -len(path.suffix)] if path.suffix else name
    return Stack(
        name=name,
        files=(name,) * pages,
        form=ScanForm("OT", "", bits, limits[0] < 0, limits),
        size=(rows, columns),
        channels=channels,
        dtype=real,
        plane_names=(name,) if pages == 1 else tuple(f"{name}#page {i + 1}" for i in range(pages)),
        plane=page,
        volume=volume if pages > 1 else None,
        volume_size=(pages, rows, columns) if pages > 1 else None,
        keys=(stem,),
        few="" if pages > 1 else "a single picture",
    )


def _rule(text: object) -> tuple[float, float]:
    """Return slope and intercept of the values of a picture that synthkit wrote; 1 and 0 for others."""
    try:
        about = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        about = {}
    about = about if isinstance(about, dict) and "synthetic" in about else {}
    return float(about.get("slope", 1.0)), float(about.get("intercept", 0.0))


def _is_grey(palette: list[int] | None) -> bool:
    colours = np.array(palette or [0, 0, 255]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _pixels(path: Path, page: int, channels: int, dtype: np.dtype[Any], size: tuple[int, int]) -> np.ndarray:
    """Return ``[channels, rows, columns]``, turned as it was held."""
    from PIL import ImageOps

    with _opened(path) as picture:
        if page:
            picture.seek(page)
        mode = picture.mode
        if channels == 3 and mode != "RGB":
            picture = picture.convert("RGB")
        elif channels == 1 and mode in ("1", "LA", "P"):
            picture = picture.convert("L")
        values = np.asarray(ImageOps.exif_transpose(picture))
    if values.shape[:2] != size:
        raise UnreadableScan(f"page {page + 1} has {values.shape[0]} x {values.shape[1]} samples, the first {size}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UnreadableScan("holds values that are not finite")
    values = values.astype(dtype)
    return values[None] if channels == 1 else np.moveaxis(values, -1, 0)


def mask_of(path: Path) -> np.ndarray:
    """Return a mask ``[rows, columns]``; the levels of a black and white picture are 0 and 1.

    Raises
    ------
    UnreadableScan
        Damaged.
    """
    with _opened(path) as picture:
        # The numbers of a palette are the regions; colours are told apart below.
        values = np.asarray(picture)
    if values.ndim == 3:
        flat = values[..., :3].astype(np.int64)
        values = (flat[..., 0] << 16) | (flat[..., 1] << 8) | flat[..., 2]
        grey = (flat == flat[..., :1]).all()
        values = flat[..., 0] if grey else values
    return values.astype(np.int64)
