"""A PNG file from an array, with nothing but zlib: reports and training show scans without an imaging library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

from synthkit.errors import InputError

Pixels = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2


def png_bytes(pixels: Pixels, *, level: int = 6) -> bytes:
    """Return an array as the bytes of a PNG file.

    Parameters
    ----------
    pixels
        Grey values ``[rows, columns]`` or colours ``[rows, columns, 3]``, from 0 to 255.
    level
        How hard zlib tries, from 0 to 9.

    Raises
    ------
    InputError
        The array has another shape or type, or no pixel.

    References
    ----------
    Portable Network Graphics Specification (Third Edition), W3C 2023: chunks IHDR, IDAT and IEND; filter 2 ("up").
    """
    grey = pixels.ndim == 2
    if not (grey or (pixels.ndim == 3 and pixels.shape[2] == 3)) or pixels.dtype != np.uint8 or not pixels.size:
        raise InputError(
            f"a picture has the shape {pixels.shape} of {pixels.dtype}, expected [rows, columns] or [rows, columns, 3] "
            "of uint8",
            remedy="Scale the values to 0..255.",
        )
    rows, columns = pixels.shape[:2]
    lines = pixels.reshape(rows, -1)
    filtered = lines.copy()
    filtered[1:] -= lines[:-1]  # modulo 256, as the filter is defined
    marked = np.concatenate([np.full((rows, 1), 2, dtype=np.uint8), filtered], axis=1)
    head = struct.pack(">IIBBBBB", columns, rows, 8, _GREY if grey else _COLOUR, 0, 0, 0)
    body = zlib.compress(marked.tobytes(), level)
    return _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def data_address(png: bytes) -> str:
    """Return a PNG file as an address that a page can hold: ``data:image/png;base64,...``."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
