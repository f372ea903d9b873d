"""Codes that mean the same in several tables, also for labels that the training rows lack."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.case import Rows
from synthkit.evaluation.view import CodedTable, TableView


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
    codes = [rows.coded.codes.copy() for rows in tables]
    for position, (name, known) in enumerate(zip(view.categorical, view.n_labels, strict=True)):
        more: dict[str, int] = {}
        for rows, coded in zip(tables, codes, strict=True):
            strange = np.flatnonzero(coded[:, position] >= known)
            if len(strange):
                texts = view.target(rows.frame.iloc[strange], name)
                coded[strange, position] = [more.setdefault(str(text), known + len(more)) for text in texts]
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
    keys = np.zeros(total, dtype=np.int64)
    for name in columns:
        if name in view.numeric:
            place = view.numeric.index(name)
            values = np.concatenate([table.numbers[:, place] for table in tables])
        else:
            place = view.categorical.index(name)
            values = np.concatenate([table.codes[:, place] for table in tables])
        numbered = np.unique(values, return_inverse=True)[1].astype(np.int64)
        # numbered anew after each column, so that the product of two numbers never overflows
        keys = np.unique(keys * (int(numbered.max(initial=0)) + 1) + numbered, return_inverse=True)[1].astype(np.int64)
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return tuple(np.split(keys, ends))
