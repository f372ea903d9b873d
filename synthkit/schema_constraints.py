"""What every row of a table must satisfy beyond the description of its columns.

A constraint is a frozen record. `holds` says of each row of a table whether it satisfies it, in the plainest way there
is; sampling (`synthkit.tables.constraints`) is held to the same function. A schema binds its constraints to its
columns, so that `holds` reads dates and sentinels as the schema says; a constraint on its own infers what it needs.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from synthkit.errors import SchemaError
from synthkit.schema import Column, Label
from synthkit.schema_cells import (
    Bools,
    Bound,
    CellTest,
    cell_test,
    key_positions,
    label_key,
    labels_of,
    line_values,
    listed,
    missing_places,
    stable_hashes,
)

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Constraint(ABC):
    """One rule of a table's rows.

    Parameters
    ----------
    checked : bool
        Whether `fit` refuses training rows that violate it. Under a privacy budget training rows are never checked.
    """

    kind: ClassVar[str]
    one_row: ClassVar[bool] = True
    """Whether each row satisfies it or not whatever the other rows are."""

    checked: bool = True
    _bound: Mapping[str, Column] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The columns that it is about."""

    @abstractmethod
    def holds(self, frame: pd.DataFrame) -> Bools:
        """Whether each row satisfies it.

        Parameters
        ----------
        frame : pandas.DataFrame of shape (n_rows, ...)
            Has the columns `names`.

        Returns
        -------
        ndarray of bool, shape (n_rows,)
        """

    @abstractmethod
    def describe(self) -> str:
        """One line for people."""

    def bound_to(self, columns: Mapping[str, Column]) -> Self:
        """The same rule, reading cells as these columns say."""
        bound = copy.copy(self)
        object.__setattr__(bound, "_bound", {name: columns[name] for name in self.names})
        return bound

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-safe dictionary: the kind and the fields that differ from their default."""
        out: dict[str, Any] = {"kind": self.kind}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.name.startswith("_") or entry.name == "checked":
                continue
            if value == entry.default and entry.name != "allowed":
                continue
            out[entry.name] = _plain(value)
        return out if self.checked else {**out, "checked": False}

    def _line(self, frame: pd.DataFrame, name: str) -> Any:
        return line_values(frame[name], self._bound.get(name))


@dataclass(frozen=True, kw_only=True)
class Inequality(Constraint):
    """One column is never above another.

    Parameters
    ----------
    low, high : str
        Columns of numbers, or of dates. A row in which either is missing satisfies it.
    strict : bool
        Whether they must differ: ``low < high``.
    """

    kind = "inequality"
    low: str
    high: str
    strict: bool = False

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return (self.low, self.high)

    def holds(self, frame: pd.DataFrame) -> Bools:  # noqa: D102
        low, high = self._line(frame, self.low), self._line(frame, self.high)
        with np.errstate(invalid="ignore"):
            ordered = low < high if self.strict else low <= high
        return np.asarray(ordered | missing_places(low) | missing_places(high), dtype=bool)

    def describe(self) -> str:  # noqa: D102
        return f"{self.low} {'<' if self.strict else '<='} {self.high}"


@dataclass(frozen=True, kw_only=True)
class Combinations(Constraint):
    """Values of several columns come only in certain combinations.

    Parameters
    ----------
    columns : tuple of str
        Two columns or more.
    allowed : "seen" or tuple of tuple
        The combinations, one value for each column, None for a missing cell; or those of the training rows, which
        `fit` then lists.
    """

    kind = "combinations"
    columns: tuple[str, ...]
    allowed: Literal["seen"] | tuple[tuple[Label | None, ...], ...] = "seen"

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return self.columns

    def holds(self, frame: pd.DataFrame) -> Bools:
        """Whether each row has an allowed combination; SchemaError where they are still to be seen."""
        if isinstance(self.allowed, str):
            raise SchemaError(
                f"the combinations of {listed(self.columns, ' and ')} are those 'seen' in training, which this schema "
                "does not list",
                remedy="Use the schema of the fitted model (schema_), or list them",
            )
        prefix = np.zeros(len(frame), dtype=np.int64)
        known = np.zeros(len(self.allowed), dtype=np.int64)
        for place, name in enumerate(self.columns):
            keys = [label_key(row[place]) for row in self.allowed]
            position = {key: code for code, key in enumerate(dict.fromkeys(keys))}
            wide = known * len(position) + np.array([position[key] for key in keys], dtype=np.int64)
            found = key_positions(frame[name], position)
            own = np.where((prefix < 0) | (found < 0), -1, prefix * len(position) + found)
            # prefixes are numbered anew after each column, so that no product of sizes grows without end
            starts, known = np.unique(wide, return_inverse=True)
            prefix = np.searchsorted(starts, own).clip(max=max(len(starts) - 1, 0)).astype(np.int64)
            prefix[(own < 0) | (starts[prefix] != own if len(starts) else True)] = -1
        return np.asarray(prefix >= 0, dtype=bool)

    def seen_in(self, frame: pd.DataFrame) -> Combinations:
        """The same rule with the combinations of a table listed, in the order in which they appear."""
        columns = [labels_of(frame[name]) for name in self.columns]
        codes = pd.DataFrame({place: own for place, (own, _) in enumerate(columns)}).drop_duplicates()
        rows: list[list[Label | None]] = [
            [None if code < 0 else labels[code] for code in codes[place].tolist()]
            for place, (_, labels) in enumerate(columns)
        ]
        seen = dataclasses.replace(self, allowed=tuple(dict.fromkeys(zip(*rows, strict=True))))
        object.__setattr__(seen, "_bound", self._bound)
        return seen

    def describe(self) -> str:  # noqa: D102
        which = "seen in training" if isinstance(self.allowed, str) else f"of {len(self.allowed):,} listed"
        return f"{listed(self.columns, ' and ')} come in one of the combinations {which}"


@dataclass(frozen=True, kw_only=True)
class Range(Constraint):
    """Cells of a column lie between two bounds, or are among some of its values; missing cells satisfy it.

    Parameters
    ----------
    column : str
        The column.
    minimum, maximum : int, float or ISO text, optional
        A closed range of numbers or dates.
    values : tuple of labels, optional
        Instead: the values allowed.
    """

    kind = "range"
    column: str
    minimum: Bound | None = None
    maximum: Bound | None = None
    values: tuple[Label, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return (self.column,)

    @property
    def test(self) -> CellTest:
        """What a cell that is not missing has to pass."""
        return CellTest(column=self.column, minimum=self.minimum, maximum=self.maximum, values=self.values)

    def holds(self, frame: pd.DataFrame) -> Bools:  # noqa: D102
        bound = self._bound.get(self.column)
        gaps = frame[self.column].isna().to_numpy()
        if self.values is None:
            gaps = missing_places(line_values(frame[self.column], bound))
        return np.asarray(self.test.marks(frame[self.column], bound) | gaps, dtype=bool)

    def describe(self) -> str:  # noqa: D102
        return self.test.describe()


@dataclass(frozen=True, kw_only=True)
class Total(Constraint):
    """A column is the sum of others; a row in which any of them is missing satisfies it.

    Parameters
    ----------
    column : str
        The total.
    parts : tuple of str
        What is added up; a single part makes the two columns equal.
    tolerance : float, optional
        How far the total may be from the sum. When absent: half a unit of the total's last decimal where its parts
        have more decimals, else nothing but the rounding of floating point (a relative 1e-9).
    """

    kind = "total"
    column: str
    parts: tuple[str, ...]
    tolerance: float | None = None

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return (self.column, *self.parts)

    def sums(self, frame: pd.DataFrame) -> Any:
        """Sum of the parts of each row, NaN where one is missing, float64 ``[n_rows]``."""
        return sum((self._line(frame, name) for name in self.parts), np.zeros(len(frame)))

    def holds(self, frame: pd.DataFrame) -> Bools:  # noqa: D102
        total, added = self._line(frame, self.column), self.sums(frame)
        size = sum((np.abs(self._line(frame, name)) for name in self.parts), np.abs(total))
        with np.errstate(invalid="ignore"):
            far = np.abs(total - added) > self.slack + _ROUNDING * size
        return np.asarray(~far, dtype=bool)

    @property
    def slack(self) -> float:
        """The tolerance, as given or as it follows from the decimals."""
        if self.tolerance is not None:
            return self.tolerance
        own = self._bound.get(self.column)
        digits = _decimals(own) if own is not None else None
        parts = [_decimals(self._bound[name]) for name in self.parts if name in self._bound]
        if digits is None or all(part is not None and part <= digits for part in parts):
            return 0.0
        return 0.5 * 10.0**-digits

    def describe(self) -> str:  # noqa: D102
        return f"{self.column} = {' + '.join(self.parts)}"


@dataclass(frozen=True, kw_only=True)
class Unique(Constraint):
    """No two rows have the same values in these columns.

    Rows in which one of them is missing are not compared, as in SQL. Of rows that are alike the first one satisfies it.

    Parameters
    ----------
    columns : tuple of str
        One column or several.
    """

    kind = "unique"
    one_row = False
    columns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return self.columns

    def holds(self, frame: pd.DataFrame) -> Bools:  # noqa: D102
        codes = pd.DataFrame({place: labels_of(frame[name])[0] for place, name in enumerate(self.columns)})
        return np.asarray(~codes.duplicated() | (codes < 0).any(axis=1), dtype=bool)

    def keys(self, frame: pd.DataFrame) -> tuple[Any, Bools]:
        """64 bits for the key of each row, and which rows have one.

        Two keys share their bits once in 2^64; whoever takes them for equal leaves out one row too many, and never
        lets a duplicate through.
        """
        hashes = np.zeros(len(frame), dtype=np.uint64)
        present = np.ones(len(frame), dtype=bool)
        for name in self.columns:
            present &= ~frame[name].isna().to_numpy()
            with np.errstate(over="ignore"):
                hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + stable_hashes(frame[name])
                hashes ^= hashes >> np.uint64(29)
        return hashes, present

    def describe(self) -> str:  # noqa: D102
        return (
            f"{listed(self.columns, ' and ')} {'differs' if len(self.columns) == 1 else 'together differ'} in all rows"
        )


@dataclass(frozen=True, kw_only=True)
class Regex(Constraint):
    r"""Cells of a column, as text, match a regular expression as a whole; missing cells satisfy it.

    Parameters
    ----------
    column : str
        Identifiers or labels.
    pattern : str
        In the syntax of Python's `re`, such as ``[A-Z]{2}-\d{4}``.
    """

    kind = "regex"
    column: str
    pattern: str

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return (self.column,)

    def holds(self, frame: pd.DataFrame) -> Bools:  # noqa: D102
        codes, labels = labels_of(frame[self.column])
        expression = re.compile(self.pattern)
        table = [expression.fullmatch(str(label)) is not None for label in labels]
        return np.array([*table, True], dtype=bool)[codes]

    def describe(self) -> str:  # noqa: D102
        return f"{self.column} matches {self.pattern}"


@dataclass(frozen=True, kw_only=True)
class NotApplicable(Constraint):
    """A column is missing when a condition holds.

    Parameters
    ----------
    column : str
        The column.
    when : tuple of CellTest, or mapping
        Tests of other cells of the row, all of which make up the condition. As a mapping: column to a value, a list of
        values (None for missing) or ``{"minimum": ..., "maximum": ...}``.
    present_otherwise : bool
        Whether the column must be there when the condition does not hold.
    """

    kind = "not-applicable"
    column: str
    when: tuple[CellTest, ...]
    present_otherwise: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.when, Mapping):
            tests = tuple(cell_test(name, plain) for name, plain in self.when.items())
            object.__setattr__(self, "when", tests)

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        return (self.column, *(test.column for test in self.when))

    def applies(self, frame: pd.DataFrame) -> Bools:
        """Whether the condition holds in each row, ``[n_rows]``."""
        marks = np.ones(len(frame), dtype=bool)
        for test in self.when:
            marks &= test.marks(frame[test.column], self._bound.get(test.column))
        return marks

    def holds(self, frame: pd.DataFrame) -> Bools:  # noqa: D102
        applies, present = self.applies(frame), frame[self.column].notna().to_numpy()
        return np.asarray(~present | ~applies if not self.present_otherwise else present != applies, dtype=bool)

    def describe(self) -> str:  # noqa: D102
        tests = " and ".join(test.describe() for test in self.when)
        return f"{self.column} is missing {'exactly ' if self.present_otherwise else ''}when {tests}"


KINDS: dict[str, type[Constraint]] = {
    "inequality": Inequality,
    "combinations": Combinations,
    "range": Range,
    "total": Total,
    "unique": Unique,
    "regex": Regex,
    "not-applicable": NotApplicable,
}
"""Every kind of constraint, by its name in a schema."""


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        if value and isinstance(value[0], CellTest):
            return {test.column: test.to_plain() for test in value}
        return [_plain(entry) for entry in value]
    return value


def _decimals(column: Column) -> int | None:
    return 0 if column.type == "integer" else column.decimals
