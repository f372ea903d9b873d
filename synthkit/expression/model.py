"""What every model of expression offers: fitted to cells and their conditions, it draws values for conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Wanted:
    """The conditions of some cells.

    Attributes
    ----------
    classes, batches
        Class and batch of each cell as numbers, ``[n]`` int64; 0 where there are none.
    covariates
        Continuous covariates, scaled to mean 0 and standard deviation 1, ``[n, covariates]`` float32.
    depths
        Library size that each cell shall have in expectation, ``[n]``; None: as the model draws it.
    representative
        Whether batches and covariates are those of a fair sample of each class, so that the margins of its cells are
        those of the class.
    """

    classes: np.ndarray
    batches: np.ndarray
    covariates: np.ndarray
    depths: np.ndarray | None = None
    representative: bool = False

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.classes)

    def given(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return classes, batches and covariates, with the dtypes that networks take."""
        return self.classes.astype(np.int64), self.batches.astype(np.int64), self.covariates.astype(np.float32)

    def take(self, index: np.ndarray | slice) -> Wanted:
        """Return the conditions of some cells."""
        depths = None if self.depths is None else self.depths[index]
        return Wanted(self.classes[index], self.batches[index], self.covariates[index], depths, self.representative)


@dataclass(frozen=True, eq=False)
class Training:
    """What a model learns from.

    Attributes
    ----------
    values
        ``[cells, genes]``, CSR or an array.
    conditions
        Of each cell.
    measure
        What the values are.
    n_classes, n_batches
        How many classes and batches there are.
    """

    values: Values
    conditions: Wanted
    measure: Measure
    n_classes: int
    n_batches: int

    def __len__(self) -> int:
        """Return the number of cells."""
        return int(self.values.shape[0])

    def take(self, index: np.ndarray) -> Training:
        """Return some of the cells, by position."""
        return Training(self.values[index], self.conditions.take(index), self.measure, self.n_classes, self.n_batches)


class ExpressionModel(Protocol):
    """A fitted model."""

    @property
    def name(self) -> str:
        """As in `synthkit.expression.models.READ`."""

    def draw(self, wanted: Wanted, random: RandomSource) -> Values:
        """Draw values ``[n, genes]`` for conditions: a CSR matrix of int32 for counts, otherwise a float32 array.

        At most some thousand cells are asked for at a time. All randomness comes from streams of `random`.
        """

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model: JSON-safe values, and arrays."""

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
