"""Plain bytes from and to compressed files, one piece at a time."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from synthkit.errors import DataError

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

    return pa.input_stream(str(path), compression=compression)


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
