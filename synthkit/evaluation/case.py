"""What a metric is given: the tables as they are read, the options, and the controls that stand in for a generator.

A metric sees one `Case` and returns one score. Its ceiling and its floor are the same metric on another case, in which
real held-out rows or independent columns play the synthetic table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.view import CodedTable, TableView, is_regression
from synthkit.random import scoring_generator

Role = Literal["synthetic", "ceiling", "floor"]
Ceiling = Literal["held-out", "halves", "training", "none"]
Marks = npt.NDArray[np.bool_]
T = TypeVar("T")


@dataclass(frozen=True)
class Rows:
    """A table as given and as coded.

    Attributes
    ----------
    frame
        The rows with the columns of the view, dates and numbers converted, row numbers from 0.
    coded
        The same rows as arrays.
    unreadable
        For columns with cells that are neither missing nor a value of the column's kind (text among numbers): which
        cells, shape [rows]. They count as missing everywhere but in validity.
    """

    frame: pd.DataFrame
    coded: CodedTable
    unreadable: Mapping[str, Marks] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    def take(self, positions: npt.NDArray[np.int64]) -> Rows:
        """Return the rows at these positions."""
        return Rows(
            self.frame.iloc[positions].reset_index(drop=True),
            self.coded.take(positions),
            {name: marks[positions] for name, marks in self.unreadable.items()},
        )


@dataclass(frozen=True)
class Limits:
    """At most how many rows or pairs a metric looks at where its cost grows faster than the table.

    The rows are drawn with the seed of the evaluation. Metrics that are linear in the rows use every row.

    Attributes
    ----------
    detection
        Rows of either kind that a classifier of real against synthetic rows learns from.
    control, linear_control
        The same for controls: they tell 0.5 from 1.0, not 0.53 from 0.54.
    neighbours
        Rows of either kind in a search of nearest neighbours.
    training
        Rows that a utility model learns from.
    published
        Rows that the boosted trees of the published scores ``tstr`` and ``trtr`` learn from.
    testing
        Held-out rows that a utility model is tested on.
    pairs
        Pairs of columns.
    """

    detection: int = 20_000
    control: int = 10_000
    linear_control: int = 5_000
    neighbours: int = 5_000
    training: int = 50_000
    published: int = 200_000
    testing: int = 50_000
    pairs: int = 10_000


class Sharing:
    """What several metrics or attacks need of one case is made once."""

    _shared: dict[str, Any]

    def share(self, key: str, make: Callable[[], T]) -> T:
        """Return what several need of this case, made once.

        Parameters
        ----------
        key
            Name of the result.
        make
            Computes it.
        """
        if key not in self._shared:
            self._shared[key] = make()
        result: T = self._shared[key]
        return result


@dataclass(frozen=True)
class Case(Sharing):
    """The tables and options of one evaluation, or of one of its controls.

    Attributes
    ----------
    view
        How columns are read, learned from the training rows.
    train
        The rows that the generator learned from.
    test
        Real rows that it never saw.
    synthetic
        The rows to judge.
    target
        The column that utility models predict, or None.
    sensitive
        Columns for which fairness is compared.
    groups
        Columns whose values make the subgroups in which fidelity is compared.
    seed
        Seed of every draw.
    limits
        At most how many rows are looked at.
    role
        Whether the synthetic rows are what they are called, or those of a control.
    """

    view: TableView
    train: Rows
    test: Rows
    synthetic: Rows
    target: str | None = None
    sensitive: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    seed: int = 0
    limits: Limits = Limits()
    role: Role = "synthetic"
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _root: Case | None = field(default=None, repr=False, compare=False)

    @property
    def root(self) -> Case:
        """The case with the true synthetic table; what depends on real rows only is shared there."""
        return self._root or self

    @property
    def predicts_number(self) -> bool:
        """Whether the target is predicted as a number rather than as a class."""
        return self.target is not None and is_regression(self.view, self.root.test.frame, self.target)

    def generator(self) -> np.random.Generator:
        """Return a generator at the start of the stream of the seed: each metric can then be computed alone."""
        return scoring_generator(self.seed)

    def ceiling(self, kind: Ceiling) -> Case | None:
        """Return the case in which real rows play the synthetic table.

        Parameters
        ----------
        kind
            "held-out": all held-out rows do; "halves": one half of them does, and the other half is held out, for
            metrics that compare with held-out rows; "training": the training rows do, as many as there are synthetic
            ones, for metrics that train on the synthetic table; "none": there is no such case.
        """
        if kind == "none":
            return None
        return self.root.share(f"case: {kind}", lambda: self.root._real(kind))

    @property
    def is_training_table(self) -> bool:
        """Whether the very training rows play the synthetic table: what was learned from them need not be again."""
        return self.role == "ceiling" and self.synthetic is self.root.train

    def _real(self, kind: Ceiling) -> Case:
        if kind == "held-out":
            return self._control("ceiling", self.test)
        if kind == "training":
            fewer = len(self.synthetic) < len(self.train)
            drawn = self.generator().permutation(len(self.train))[: len(self.synthetic)]
            return self._control("ceiling", self.train.take(drawn) if fewer else self.train)
        order = self.generator().permutation(len(self.test))
        half = len(order) // 2
        return self._control("ceiling", self.test.take(order[half:]), self.test.take(order[:half]))

    def floor(self) -> Case:
        """Return the case in which columns drawn independently play the synthetic table."""
        return self.root.share("case: floor", self.root._independent)

    def _independent(self) -> Case:
        frame = independent_columns(self.train.frame, len(self.synthetic), self.generator())
        return self._control("floor", Rows(frame, self.view.code(frame)))

    def _control(self, role: Role, synthetic: Rows, test: Rows | None = None) -> Case:
        return replace(self, synthetic=synthetic, test=test or self.test, role=role, _shared={}, _root=self)
