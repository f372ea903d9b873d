"""Which format a file has: its suffix decides, and a second suffix such as .gz says how it is compressed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthkit.errors import InputError, unknown_name

# Suffix -> the module that reads and writes it (functions `read` and `open_writer`), imported when it is needed.
REGISTRY: dict[str, str] = {
    ".csv": "synthkit.io.delimited",
    ".tsv": "synthkit.io.delimited",
    ".jsonl": "synthkit.io.jsonlines",
    ".ndjson": "synthkit.io.jsonlines",
    ".parquet": "synthkit.io.parquet",
    ".feather": "synthkit.io.feather",
    ".arrow": "synthkit.io.feather",
    ".xlsx": "synthkit.io.excel",
    ".xlsm": "synthkit.io.excel",
}
# What each module takes of `synthkit.io.ReadOptions`; those that are not here take none.
OPTIONS: dict[str, tuple[str, ...]] = {
    "synthkit.io.delimited": ("delimiter", "encoding", "decimal"),
    "synthkit.io.jsonlines": ("encoding",),
    "synthkit.io.excel": ("sheet",),
}
# Formats of text, which a second suffix may say to be compressed.
_TEXT = ("synthkit.io.delimited", "synthkit.io.jsonlines")
_READ_ONLY = ("synthkit.io.excel",)
_DATABASES = (".db", ".sqlite", ".sqlite3")
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
        "gzip", "bz2", "xz" or "zstd"; only around text (the other formats compress on their own).
    """

    suffix: str
    module: str
    compression: str | None = None

    @property
    def separator(self) -> str | None:
        """What stands between two cells of a text file, as its name says; None for other formats."""
        return {".csv": ",", ".tsv": "\t"}.get(self.suffix)


def table_format(path: str | Path, *, writing: bool = False) -> TableFormat:
    """The format that a path's suffix stands for.

    Parameters
    ----------
    path : str or Path
        The file need not exist.
    writing : bool
        Refuse formats that are read only.

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
        remedy = "Rename or convert it."
        if suffix in _DATABASES:
            remedy = f"For a database, write sqlite:///{path}?table=NAME."
        raise InputError(f"the table '{path}' has {_article(what)}", remedy=remedy)
    if writing and REGISTRY[suffix] in _READ_ONLY:
        raise InputError(f"the table '{path}' is a {suffix} file, which can only be read", remedy="Write .csv instead.")
    if compression is not None and REGISTRY[suffix] not in _TEXT:
        raise InputError(
            f"the table '{path}' is a {suffix} file that is compressed again, expected {suffix} alone",
            remedy="Decompress it; the format compresses on its own.",
        )
    return TableFormat(suffix, REGISTRY[suffix], compression)


def _article(what: str) -> str:
    return f"an {what}" if what.startswith("unknown") else what
