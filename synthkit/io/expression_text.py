"""Gene expression from tables: CSV, TSV and Parquet, cells by genes or genes by cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError, InputError
from synthkit.io.expression_orientation import (
    CELL_FACTS,
    CELL_HEADS,
    GENE_FACTS,
    GENE_HEADS,
    Orientation,
    folded,
    orientation,
)
from synthkit.io.expression_reading import Found
from synthkit.io.expression_set import Values
from synthkit.io.expression_table import RawTable, is_number, raw_table
from synthkit.phrases import counted

_MOSTLY = 0.5
_REPEATED = 0.9
_SPARSE = 1 / 3  # share of values other than zero, below which they alone are held
_NAMES = 2_000  # names along a side that are looked at
_EXACT = 2**24  # whole numbers that float32 holds


@dataclass(frozen=True)
class _Layout:
    """What the columns and rows of a table are: positions, and which way round it lies."""

    names: int | None
    facts: tuple[int, ...]
    text: tuple[int, ...]
    label_rows: tuple[int, ...]
    way: Orientation


def read_expression_table(path: Path, rows_are_genes: bool | None = None) -> Found:
    """Read a table of expression.

    Parameters
    ----------
    path
        A .csv, .tsv (also compressed, with options after "?") or .parquet file.
    rows_are_genes
        Which way round it lies. None: as the names say, and cells by genes if they do not.

    Raises
    ------
    InputError
        No such file, or names contradict what was asked.
    DataError
        It is empty, damaged, ragged, or holds text among numbers.
    """
    table = raw_table(path)
    layout = _layout_of(table)
    turned = _turned(table.path, layout.way, rows_are_genes)
    values, rows, facts = _read(table, layout)
    columns = [place for place in range(len(table.names)) if place != layout.names and place not in layout.facts]
    across = pd.DataFrame(
        {
            table.sample[row][layout.names or 0]: _typed(pd.Series([table.sample[row][place] for place in columns]))
            for row in layout.label_rows
        }
    ).set_axis(pd.Index([table.names[place] for place in columns], dtype=object), axis=0)
    down = facts.set_axis(pd.Index(rows, dtype=object), axis=0)
    notes = [*table.notes, _note(table.path, layout, turned, rows_are_genes is not None)]
    if layout.names is None:
        notes.append(f"'{table.path}' has no column of names: its {'genes' if turned else 'cells'} are numbered")
    described = [*across.columns, *down.columns]
    if described:
        listed = ", ".join(map(repr, described[:8])) + (" and more" if len(described) > 8 else "")
        notes.append(f"taken for descriptions, not for values: {listed}")
    if turned:
        values = values.T.tocsr() if sparse.issparse(values) else np.ascontiguousarray(values.T)
        return Found(values, down, across, notes=tuple(notes))
    return Found(values, across, down, notes=tuple(notes))


def _layout_of(table: RawTable) -> _Layout:
    """Tell columns of names, of descriptions and of values apart, and which way round the table lies."""
    label_rows = _label_rows(table)
    rest = range(1, len(table.names))
    numeric = [table.is_numeric(place, label_rows) for place in range(len(table.names))]
    head = folded(table.names[0])
    first = [row[0] for place, row in enumerate(table.sample) if place not in label_rows]
    named = head in GENE_HEADS | CELL_HEADS or head in ("", "unnamed: 0", "id", "name")
    repeated = len(set(first)) < _REPEATED * len(first)
    names = 0 if named or (not numeric[0] and not repeated and head not in CELL_FACTS) else None
    others = [place for place in ([0] if names is None else []) + list(rest)]
    facts = [place for place in others if not numeric[place] or folded(table.names[place]) in CELL_FACTS]
    gene_facts = [place for place in facts if folded(table.names[place]) in GENE_FACTS]
    genes_down = bool(label_rows) or bool(gene_facts)
    if genes_down or head in GENE_HEADS:
        # numbers such as start, end and length describe genes then
        facts += [
            place for place in others
            if place not in facts and folded(table.names[place]) in GENE_FACTS - {"name"}
        ]  # fmt: skip
        gene_facts = [place for place in facts if folded(table.names[place]) in GENE_FACTS]
    across = [table.names[place] for place in others if place not in facts]
    if not across:
        raise DataError(
            f"'{table.path}' holds no numbers: all of its {counted(len(others), 'column')} are text",
            remedy="Give one column per gene, or one per cell.",
        )
    way = orientation(
        first[:_NAMES] if names is not None else [],
        across[:_NAMES],
        head="" if names is None else table.names[0],
        cell_columns=[table.names[place] for place in facts if place not in gene_facts],
        gene_columns=[table.names[place] for place in gene_facts],
        label_rows=[table.sample[place][0] for place in label_rows],
    )
    text = [place for place in facts if not numeric[place]] + ([] if names is None else [0])
    return _Layout(names, tuple(sorted(facts)), tuple(sorted(text)), tuple(label_rows), way)


def _label_rows(table: RawTable) -> list[int]:
    """Rows of text among rows of numbers: labels of cells above a table of genes by cells."""
    texts = [sum(not is_number(cell, table.decimal) for cell in row[1:]) / max(len(row) - 1, 1) for row in table.sample]
    if float(np.median(texts)) > _MOSTLY:
        return []
    return [place for place, share in enumerate(texts) if share > _MOSTLY]


def _turned(path: Path, way: Orientation, asked: bool | None) -> bool:
    if asked is None:
        return way.rows_are_genes
    if way.told and way.sure and asked != way.rows_are_genes:
        rows, other = ("genes", "cells") if way.rows_are_genes else ("cells", "genes")
        raise InputError(
            f"the rows of '{path}' are {rows}, since {way.reason}, and transpose={asked} says that they are {other}",
            remedy=f"Leave transpose (--transpose) out, or give {'yes' if way.rows_are_genes else 'no'}.",
        )
    return asked


def _note(path: Path, layout: _Layout, turned: bool, asked: bool) -> str:
    said = f"'{path}' was read with {'a gene' if turned else 'a cell'} in each row"
    if asked:
        return f"{said}, as asked"
    if layout.way.told:
        return f"{said}: {layout.way.reason}"
    return f"{said}, as most tables are: its names do not tell (transpose, --transpose yes, turns it)"


def _read(table: RawTable, layout: _Layout) -> tuple[Values, list[str], pd.DataFrame]:
    """Return values as they lie there, names of rows, and what describes rows."""
    described = [layout.names, *layout.facts]
    parts: list[Any] = []
    names: list[str] = []
    facts: list[pd.DataFrame] = []
    few: bool | None = None
    for piece in table.pieces(layout.text, layout.label_rows):
        block = piece.drop(columns=[place for place in described if place is not None]).to_numpy(np.float64)
        # what is missing or infinite is told later, with its cell and gene
        largest = np.max(np.abs(block), initial=0.0, where=np.isfinite(block))
        block = block if largest >= _EXACT else block.astype(np.float32)
        if few is None:
            few = bool(np.count_nonzero(block) < _SPARSE * block.size)
        parts.append(sparse.csr_matrix(block) if few else block)
        names += (
            [f"row-{len(names) + place + 1}" for place in range(len(piece))]
            if layout.names is None
            else list(piece[layout.names].astype(str))
        )
        facts.append(piece[list(layout.facts)])
    described_rows = pd.concat(facts, ignore_index=True)
    described_rows.columns = pd.Index([table.names[place] or f"column-{place + 1}" for place in layout.facts])
    for place, name in zip(layout.facts, described_rows.columns, strict=True):
        if place in layout.text:
            described_rows[name] = _typed(described_rows[name])
    values = sparse.vstack(parts, format="csr") if few else np.concatenate(parts)
    return values, names, described_rows


def _typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return labels as AnnData holds them: true and false as such, what repeats as categories, else text."""
    filled = column.where(column.notna() & (column != ""), None)
    words = set(filled.dropna().str.lower())
    if words and words <= {"true", "false"} and filled.notna().all():
        return filled.str.lower() == "true"
    if filled.notna().all() and filled.nunique() == len(filled) and len(filled) > 1:
        return filled.astype(object)
    return filled.astype("category")
