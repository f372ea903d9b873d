"""Rows as models see them: completed, then numbers and codes, as the real training rows alone decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.view import CodedTable, TableView, is_number

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# Numbers so many standard deviations away say no more than nearer ones, and would drown a linear model.
_FAR = 1e3


@dataclass(frozen=True)
class TrainingRows:
    """What a model learns from.

    Attributes
    ----------
    table
        Numbers (no cell missing) and codes of the predictors.
    target
        Code of the class of each row, or its number; shape [rows].
    weights
        Weight of each row, shape [rows]; None where all count alike.
    """

    table: CodedTable
    target: npt.NDArray[Any]
    weights: Floats | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.target)

    def above(self, numbers: Floats, codes: Codes, target: npt.NDArray[Any]) -> TrainingRows:
        """Return these rows, then others."""
        return TrainingRows(self.table.above(CodedTable(numbers, codes)), np.concatenate([self.target, target]))


class FeatureMap:
    """How tables become features, learned from the real training rows.

    A missing number becomes the median, and a category of its own tells that it was missing; a missing label is a label
    of its own. Test rows and rows that a treatment makes are completed by the same medians.

    Parameters
    ----------
    train
        Real training rows.
    columns
        The predictors.
    """

    def __init__(self, train: pd.DataFrame, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._medians = {name: train[name].median() for name in columns if is_number(train[name])}
        self._flagged = {name: _free(f"{name} is missing", columns) for name in columns if self._is_gappy(train, name)}
        self.view = TableView(self.complete(train))

    def _is_gappy(self, train: pd.DataFrame, name: str) -> bool:
        return name in self._medians and bool(train[name].isna().any())

    def complete(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the predictors of a table with every missing number filled, and columns that say which those were."""
        columns: dict[str, pd.Series[Any]] = {}
        for name in self._columns:
            values = frame[name]
            if name in self._medians:
                if name in self._flagged:
                    columns[self._flagged[name]] = values.isna()
                values = _filled(values, self._medians[name])
            columns[name] = values
        return pd.DataFrame(columns, index=frame.index)

    def code(self, frame: pd.DataFrame) -> CodedTable:
        """Return numbers and codes of a table with these columns."""
        return self.view.code(self.complete(frame))

    def tree(self, table: CodedTable) -> Floats:
        """Return what trees see, shape [rows, features]: numbers, then codes, -1 for a label never met in training."""
        return self.view.tree(table)

    def standardised(self, table: CodedTable) -> Floats:
        """Return the numbers with mean 0 and standard deviation 1 in the training rows, shape [rows, numbers]."""
        return np.asarray((table.numbers - self.view.means) / self.view.deviations)

    def restored(self, standardised: Floats) -> Floats:
        """Return numbers in their own units again."""
        return np.asarray(standardised * self.view.deviations + self.view.means)

    def linear(self, table: CodedTable) -> csr_matrix:
        """Return what linear models see, sparse: standardised numbers, then one indicator for each label."""
        from scipy import sparse

        numbers = np.clip(self.standardised(table), -_FAR, _FAR)
        return sparse.hstack([sparse.csr_matrix(numbers), self.indicators(table.codes)], format="csr")

    def indicators(self, codes: Codes) -> csr_matrix:
        """Return one indicator for each label of each category, sparse; none for a label never met in training."""
        from scipy import sparse

        sizes = np.array(self.view.n_labels, dtype=np.int64)
        known = codes < sizes
        places = (codes + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) if len(sizes) else codes)[known]
        starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
        return sparse.csr_matrix((np.ones(len(places)), places, starts), shape=(len(codes), int(sizes.sum())))


def _filled(values: pd.Series[Any], median: Any) -> pd.Series[Any]:
    if not values.isna().any():
        return values
    if pd.api.types.is_integer_dtype(values.dtype):  # nullable integers hold no half
        values = values.astype("Float64")
    return values.fillna(median)


def _free(name: str, taken: Sequence[str]) -> str:
    """Return a name for a new column that no other column has."""
    while name in taken:
        name += "'"
    return name
