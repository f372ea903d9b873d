"""Plain bytes from and to compressed files, one piece at a time."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from synthkit.errors import DataError

# How compressed files begin.
_COMPRESSED = (
    (re.compile(rb"\x1f\x8b\x08"), "gzip"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "bz2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
)
# How files begin that are no text, and what they are.
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook or another file of Office"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%PDF-", "a PDF document"),
)
_PIECE = 1024 * 1024

# What the decompressors raise for damaged content.
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


@contextmanager
def reading(path: Path, compression: str | None) -> Iterator[IO[bytes]]:
    """The decompressed content of a file, as a binary stream.

    Raises
    ------
    DataError
        The compressed content is damaged.
    """
    try:
        with _open(path, compression) as stream:
            yield stream
    except _DAMAGED as error:
        raise _damaged(path, compression, error) from error
    except OSError as error:
        if compression is not None and error.errno is None:
            raise _damaged(path, compression, error) from error
        raise


def found_compression(path: Path) -> str | None:
    """How the content of a file is compressed, as its first bytes tell; None where they do not."""
    with open(path, "rb") as file:
        start = file.read(16)
    return next((name for pattern, name in _COMPRESSED if pattern.match(start)), None)


def found_kind(start: bytes) -> str | None:
    """What a file is that is no text, as its first bytes tell; None where they do not."""
    return next((kind for begins, kind in _NO_TEXT if start.startswith(begins)), None)


@contextmanager
def reading_text(path: Path, compression: str | None, encoding: str) -> Iterator[IO[bytes]]:
    """The text of a file as UTF-8, whatever its encoding, as a binary stream.

    Raises
    ------
    DataError
        The compressed content is damaged, or is not in this encoding. That a file is not UTF-8 is told by whoever
        reads the text.
    """
    with reading(path, compression) as stream:
        if encoding in ("utf-8", "utf-8-sig"):
            yield stream
        else:
            with io.BufferedReader(_Recoded(stream, encoding, path), _PIECE) as recoded:
                yield recoded


class _Recoded(io.RawIOBase):
    """Bytes of a text in UTF-8, made from those in another encoding piece by piece."""

    def __init__(self, stream: IO[bytes], encoding: str, path: Path) -> None:
        self._stream = stream
        self._encoding = encoding
        self._path = path
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left = b""
        self._line = 1
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; DataError, with the line, where the bytes are not of the encoding."""
        while not self._left and not self._ended:
            data = self._stream.read(_PIECE)
            self._ended = not data
            try:
                text = self._decoder.decode(data, final=self._ended)
                self._left = text.encode("utf-8")
            except UnicodeError as error:
                start = getattr(error, "start", 0)
                read = bytes(getattr(error, "object", data))[:start].decode(self._encoding, errors="replace")
                raise DataError(
                    f"'{self._path}' is not {self._encoding} text: line {self._line + read.count(chr(10)):,} cannot be "
                    "decoded",
                    remedy="Name its encoding as in people.csv?encoding=cp1252, or save it in the encoding UTF-8.",
                ) from error
            self._line += text.count("\n")
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _damaged(path: Path, compression: str | None, error: Exception) -> DataError:
    return DataError(
        f"'{path}' is not a complete {compression} file: {error}", remedy="Write or download the file again."
    )


def _open(path: Path, compression: str | None) -> Any:
    if compression is None:
        return open(path, "rb")
    if compression == "gzip":
        return gzip.open(path, "rb")
    if compression == "bz2":
        return bz2.open(path, "rb")
    if compression == "xz":
        return lzma.open(path, "rb")
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(str(path), compression=compression), _PIECE)  # which knows lines


class CompressedFile:
    """A file to write bytes to, compressed on the way; the same bytes give the same file.

    Parameters
    ----------
    path : Path
    compression : str or None
        "gzip", "bz2", "xz", "zstd" or None.
    """

    def __init__(self, path: Path, compression: str | None) -> None:
        with ExitStack() as stack:
            raw: Any = stack.enter_context(open(path, "wb"))
            self.stream: Any = raw
            if compression == "gzip":
                # Name and time would make two files with the same content differ.
                self.stream = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6)
            elif compression == "bz2":
                self.stream = bz2.BZ2File(raw, "wb")
            elif compression == "xz":
                self.stream = lzma.LZMAFile(raw, "wb")
            elif compression == "zstd":
                import pyarrow as pa

                self.stream = pa.CompressedOutputStream(raw, "zstd")
            self._raw = raw
            stack.pop_all()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self.stream.write(data)

    def close(self) -> None:
        """Finish the compressed content and close the file."""
        try:
            if self.stream is not self._raw:
                self.stream.close()
        finally:
            self._raw.close()
