"""Codes that mean the same in several tables, also for labels that the training rows lack."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.case import Rows
from synthkit.evaluation.view import CodedTable, TableView

_MOST_KEYS = 2**62  # before keys are numbered anew, so that their product with a number never overflows


def jointly_coded(view: TableView, *tables: Rows) -> tuple[CodedTable, ...]:
    """Return the tables with codes in which equal labels are equal across tables, and others are not.

    The view numbers the labels that the training rows lack for each table anew. To an attack that compares rows, two
    such labels would look the same.

    Parameters
    ----------
    view
        How columns are read.
    tables
        Rows of the view.
    """
    codes = [rows.coded.codes for rows in tables]
    for position, (name, known) in enumerate(zip(view.categorical, view.n_labels, strict=True)):
        more: dict[str, int] = {}
        for number, rows in enumerate(tables):
            strange = np.flatnonzero(codes[number][:, position] >= known)
            if not len(strange):
                continue
            # copied only where a label is coded anew: wide tables are large
            if codes[number] is rows.coded.codes:
                codes[number] = rows.coded.codes.copy()
            texts = view.target(rows.frame.iloc[strange], name)
            codes[number][strange, position] = [more.setdefault(str(text), known + len(more)) for text in texts]
    return tuple(CodedTable(rows.coded.numbers, coded) for rows, coded in zip(tables, codes, strict=True))


def key_numbers(view: TableView, columns: tuple[str, ...], *tables: CodedTable) -> tuple[npt.NDArray[np.int64], ...]:
    """Return for each row the number of its key: rows with equal values in all these columns have the same one.

    Missing numbers are equal to each other, and 0 to -0.

    Parameters
    ----------
    view
        How columns are read.
    columns
        Which make the key, at least one.
    tables
        Tables that are coded jointly.
    """
    total = sum(len(table) for table in tables)
    keys, size = np.zeros(total, dtype=np.int64), 1
    for name in columns:
        if name in view.numeric:
            place = view.numeric.index(name)
            values = np.concatenate([table.numbers[:, place] for table in tables])
            numbered = np.unique(values, return_inverse=True)[1].astype(np.int64)
        else:
            place = view.categorical.index(name)
            numbered = np.concatenate([table.codes[:, place] for table in tables])
        values_here = int(numbered.max(initial=0)) + 1
        if size * values_here > _MOST_KEYS:
            keys, size = _renumbered(keys)
        keys, size = keys * values_here + numbered, size * values_here
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return tuple(np.split(_renumbered(keys)[0], ends))


def _renumbered(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Return keys as numbers from 0 without a gap, and how many different ones there are."""
    numbers = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return numbers, int(numbers.max(initial=-1)) + 1
