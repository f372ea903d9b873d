"""Tables in and out: CSV and TSV (also compressed), Parquet, Feather and Arrow files, by the suffix of the path."""

from __future__ import annotations

from synthkit.io.formats import REGISTRY, TableFormat, table_format
from synthkit.io.tables import TableWriter, read_table, write_table

__all__ = ["REGISTRY", "TableFormat", "TableWriter", "read_table", "table_format", "write_table"]
