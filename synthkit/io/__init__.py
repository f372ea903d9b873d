"""Tables in and out: text files, JSON lines, Parquet, Arrow, Excel and databases, told apart by their name."""

from __future__ import annotations

from synthkit.io.formats import REGISTRY, TableFormat, table_format
from synthkit.io.source import Address, ReadOptions, is_address, masked, shown, source_path
from synthkit.io.tables import TableWriter, check_target, read_table, write_table

__all__ = [
    "REGISTRY",
    "Address",
    "ReadOptions",
    "TableFormat",
    "TableWriter",
    "check_target",
    "is_address",
    "masked",
    "read_table",
    "shown",
    "source_path",
    "table_format",
    "write_table",
]
