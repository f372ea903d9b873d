"""Which format a file has: its suffix decides, and a second suffix such as .gz says how it is compressed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthkit.errors import InputError, unknown_name

# Suffix -> the module that reads and writes it (functions `read` and `open_writer`), imported when it is needed.
REGISTRY: dict[str, str] = {
    ".csv": "synthkit.io.delimited",
    ".tsv": "synthkit.io.delimited",
    ".parquet": "synthkit.io.parquet",
    ".feather": "synthkit.io.feather",
    ".arrow": "synthkit.io.feather",
}
COMPRESSIONS: dict[str, str] = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}


@dataclass(frozen=True)
class TableFormat:
    """The format of a file.

    Parameters
    ----------
    suffix : str
        A key of `REGISTRY`.
    module : str
        The module that reads and writes it.
    compression : str, optional
        "gzip", "bz2", "xz" or "zstd"; only around CSV and TSV (the other formats compress on their own).
    """

    suffix: str
    module: str
    compression: str | None = None

    @property
    def separator(self) -> str:
        """What stands between two cells of a text file."""
        return "\t" if self.suffix == ".tsv" else ","


def table_format(path: str | Path) -> TableFormat:
    """The format that a path's suffix stands for.

    Parameters
    ----------
    path : str or Path
        The file need not exist.

    Raises
    ------
    InputError
        The suffix is not one of a table.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    if compression is not None:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in REGISTRY:
        what = unknown_name("suffix", suffix, REGISTRY) if suffix else f"no suffix; known: {', '.join(REGISTRY)}"
        raise InputError(f"the table '{path}' has {_article(what)}", remedy="Rename or convert it.")
    if compression is not None and REGISTRY[suffix] != "synthkit.io.delimited":
        raise InputError(
            f"the table '{path}' is a {suffix} file that is compressed again, expected {suffix} alone",
            remedy="Decompress it; the format compresses on its own.",
        )
    return TableFormat(suffix, REGISTRY[suffix], compression)


def _article(what: str) -> str:
    return f"an {what}" if what.startswith("unknown") else what
