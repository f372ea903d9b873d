"""A folder of Parquet files as one table, with partitions as Hive and Spark write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa

from synthkit.errors import DataError, InputError
from synthkit.io.arrow_frames import to_frame
from synthkit.io.parquet import first_line, opened
from synthkit.io.tables import pick_columns

_MISSING = "__HIVE_DEFAULT_PARTITION__"
# Leading zeros are part of a name.
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")

Cells = list[int | str | None]


def read_folder(folder: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    """Read all files of a folder as one table, in the order of their paths; ``year=2024/`` is a column `year`.

    Parameters
    ----------
    folder : Path
        What begins with "_" or "." in it is left alone: notes of other programs, files that are being written.
    columns : sequence of str, optional
        Read these columns only, in this order; partitions come last otherwise.

    Raises
    ------
    InputError
        No Parquet file.
    DataError
        A damaged file, or files that are not of one table.
    """
    files = sorted(
        file
        for file in folder.rglob("*.parquet")
        if file.is_file() and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)
    )
    if not files:
        raise InputError(f"the folder '{folder}' holds no .parquet files", remedy="Name a folder of Parquet files.")
    partitions = _partitions(folder, files)
    schema = _common_schema(folder, files, set(partitions))
    wanted = pick_columns(folder, [*schema.names, *partitions], columns)
    kept = pa.schema([schema.field(name) for name in wanted if name in schema.names])
    whole = pa.schema(
        [*kept, *(pa.field(name, partitions[name][1]) for name in wanted if name in partitions)], schema.metadata
    )
    tables = []
    for position, file in enumerate(files):
        with opened(file) as parquet:
            n_rows = parquet.metadata.num_rows
            table = parquet.read(columns=[name for name in parquet.schema_arrow.names if name in kept.names])
        columns_read = _with_types(file, table, kept, n_rows)
        for field in list(whole)[len(kept) :]:
            columns_read.append(pa.repeat(pa.scalar(partitions[field.name][0][position], field.type), n_rows))
        tables.append(pa.Table.from_arrays(columns_read, schema=whole))
    return to_frame(pa.concat_tables(tables))[wanted]


def _partitions(folder: Path, files: Sequence[Path]) -> dict[str, tuple[Cells, pa.DataType]]:
    """The values of each partition, one per file, and the type; whole numbers only where all are written as such."""
    keys = [_keys(folder, file) for file in files]
    names = list(keys[0])
    for file, found in zip(files, keys, strict=True):
        if list(found) != names:
            raise DataError(
                f"'{file}' lies in the partitions {list(found)}, expected {names} as the first file of '{folder}'",
                remedy="Name a folder with one table.",
            )
    columns: dict[str, tuple[Cells, pa.DataType]] = {}
    for name in names:
        texts = [found[name] for found in keys]
        whole = all(text is None or _WHOLE.fullmatch(text) for text in texts) and any(texts)
        cells: Cells = [None if text is None else int(text) if whole else text for text in texts]
        columns[name] = cells, pa.int64() if whole else pa.large_string()
    return columns


def _keys(folder: Path, file: Path) -> dict[str, str | None]:
    """The parts ``name=value`` of a path below the folder."""
    parts = [part.partition("=") for part in file.relative_to(folder).parent.parts]
    return {unquote(name): None if value == _MISSING else unquote(value) for name, equals, value in parts if equals}


def _common_schema(folder: Path, files: Sequence[Path], partitions: set[str]) -> pa.Schema:
    """The columns of all files; one that a file lacks is missing in its rows."""
    schemas: list[pa.Schema] = []
    for file in files:
        with opened(file) as parquet:
            found = parquet.schema_arrow
        pick_columns(file, found.names, None)
        twice = sorted(partitions & set(found.names))
        if twice:
            raise DataError(
                f"the column {twice[0]!r} of '{file}' is a partition of the folder '{folder}' too",
                remedy="Rename one of them.",
            )
        try:
            # whole numbers and decimals of other widths are one column; numbers and text are not
            both = [*schemas[-1:], found.remove_metadata()]
            schemas.append(pa.unify_schemas(both, promote_options="permissive"))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _other_types(file, error) from error
        if len(schemas) == 1:
            metadata = found.metadata
    return schemas[-1].with_metadata(metadata)


def _with_types(file: Path, table: pa.Table, schema: pa.Schema, n_rows: int) -> list[pa.ChunkedArray | pa.Array]:
    """The columns of a file with the types of all files."""
    try:
        return [
            table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(n_rows, field.type)
            for field in schema
        ]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _other_types(file, error) from error


def _other_types(file: Path, error: pa.ArrowException) -> DataError:
    return DataError(
        f"'{file}' has columns of other types than the files before it: {first_line(error)}",
        remedy="Write all files with the same types.",
    )
