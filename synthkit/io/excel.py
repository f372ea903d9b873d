"""Excel workbooks, which can only be read; needs the extra "excel" (openpyxl)."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.collect import Collector
from synthkit.io.formats import TableFormat
from synthkit.io.source import ReadOptions
from synthkit.io.tables import pick_columns

_CHUNK = 10_000
# What a cell holds whose formula failed.
_ERRORS = frozenset({"#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#GETTING_DATA"})
_OLD = b"\xd0\xcf\x11\xe0"


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None, options: ReadOptions) -> pd.DataFrame:
    """Read one sheet of a workbook; see `synthkit.io.read_table`."""
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise InputError(
            f"reading '{path}' needs the package openpyxl, which is not installed",
            remedy="Install it with pip install 'synthkit[excel]'.",
        ) from error
    with open(path, "rb") as file:
        if file.read(4) == _OLD:
            raise DataError(
                f"'{path}' is an old Excel workbook or has a password", remedy="Save it as .xlsx without a password."
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parts of the workbook that hold no cells, such as rules for typing
            with (
                open(path, "rb") as file,
                closing(openpyxl.load_workbook(file, read_only=True, data_only=True)) as book,
            ):
                sheet, several = _sheet(path, book, options.sheet)
                frame = _frame(path, sheet)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError) as error:
        raise DataError(
            f"'{path}' is not a complete Excel workbook: {error}", remedy="Write or download it again."
        ) from error
    wanted = pick_columns(path, [str(name) for name in frame.columns], columns)
    if several and options.sheet is None:
        others = ", ".join(map(repr, several[1:4])) + (f" and {len(several) - 4} more" if len(several) > 4 else "")
        warnings.warn(
            f"'{path}' has {len(several)} sheets: the first, {several[0]!r}, was read and not {others}. Name another "
            f"one as in '{path.name}?sheet={several[1]}'.",
            stacklevel=4,
        )
    return frame if columns is None else frame[wanted]


def _sheet(path: Path, book: Any, wanted: str | None) -> tuple[Any, list[str]]:
    """The sheet that was asked for, or the first; and the names of all, when there are several."""
    names = [sheet.title for sheet in book.worksheets]
    if not names:
        raise DataError(f"'{path}' has no sheet with cells", remedy="Check that it was written completely.")
    position = 0
    if wanted is not None and wanted in names:
        position = names.index(wanted)
    elif wanted is not None and wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(names):
        position = int(wanted) - 1
    elif wanted is not None:
        raise InputError(f"'{path}' has an {unknown_name('sheet', wanted, names)}", remedy="Choose one that it has.")
    return book.worksheets[position], names if len(names) > 1 else []


def _frame(path: Path, sheet: Any) -> pd.DataFrame:
    """The rows of a sheet; the first one that is not empty names the columns."""
    sheet.reset_dimensions()  # what the file says of its size is often wrong
    rows = _rows(sheet)
    header = next(rows, None)
    if header is None:
        raise DataError(f"the sheet {sheet.title!r} of '{path}' is empty", remedy="Choose another one with ?sheet=.")
    collector = Collector(str(path))
    names = [str(name) if name is not None and str(name).strip() else f"Unnamed: {i}" for i, name in enumerate(header)]
    pick_columns(path, names, None)
    while chunk := list(islice(rows, _CHUNK)):
        widest = max(map(len, chunk))
        names += [f"Unnamed: {position}" for position in range(len(names), widest)]
        columns = {
            name: [row[position] if position < len(row) else None for row in chunk]
            for position, name in enumerate(names)
        }
        collector.add(columns, len(chunk))
    if not collector.n_rows:
        raise DataError(f"the table '{path}' has {len(names)} columns but no rows", remedy="Check that it is complete.")
    return collector.frame()


def _rows(sheet: Any) -> Iterator[list[Any]]:
    """Rows that hold anything, without empty cells at their end."""
    for cells in sheet.iter_rows(values_only=True):
        row = [None if isinstance(cell, str) and (cell in _ERRORS or not cell.strip()) else cell for cell in cells]
        while row and row[-1] is None:
            row.pop()
        if row:
            yield row
