"""Constraints on decoded rows: what is computed, what is rejected, and how often.

Decoded rows are what users get, so constraints are checked on them, with the same `holds` that says so of any table.
Before that, cells that a constraint determines are computed (`synthkit.tables.determined`): a total from its parts, a
value that follows from another column, a missing cell where a column does not apply. Rows that then violate a
constraint are left out and others drawn, which changes the law of the rows by conditioning on the constraints alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError, DataError, PrivacyError
from synthkit.schema import Schema
from synthkit.schema_cells import CellTest, line_values, missing_places
from synthkit.schema_constraint_rules import MAX_COMBINATIONS
from synthkit.schema_constraints import Combinations, Constraint, NotApplicable, Regex, Total, Unique
from synthkit.schema_regex import writer
from synthkit.tables.cells import Bools
from synthkit.tables.conditions import read_condition
from synthkit.tables.determined import computed_total, emptied, following, in_order, put
from synthkit.tables.fitted import FittedTable, Positions, Symbols
from synthkit.tables.identifiers import TakenIdentifiers

LEAST = 0.01
"""Share of the drawn rows that must satisfy all constraints for a draw to go on."""
_WINDOW = 10_000  # drawn rows over which that share is taken
_REDRAWS = 20  # times that an identifier that does not match its pattern is made up again
_MOST_SHOWN = 3


# ---------------------------------------------------------------------- before a fit
def learned_constraints(schema: Schema, frame: pd.DataFrame) -> Schema:
    """The schema whose constraints say all that they need: combinations "seen" in training are listed.

    Parameters
    ----------
    schema
        With constraints, or without.
    frame
        The training table, which conforms to the schema.

    Raises
    ------
    DataError
        Training rows violate a constraint (and it is `checked`), or there are too many combinations to list.
    """
    listed: list[Constraint] = [
        one.seen_in(frame) if isinstance(one, Combinations) and one.allowed == "seen" else one
        for one in schema.constraints
    ]
    for one in listed:
        if isinstance(one, Combinations) and len(one.allowed) > MAX_COMBINATIONS:
            raise DataError(
                f"the columns {', '.join(map(repr, one.columns))} have {len(one.allowed):,} combinations in the "
                f"training table, more than the {MAX_COMBINATIONS:,} that a constraint may list",
                remedy="take a column out of the constraint, or the constraint out of the schema",
            )
    for one in listed:
        if one.checked:
            check_holds(one, frame)
    return replace(schema, constraints=tuple(listed)) if listed else schema


def check_holds(one: Constraint, frame: pd.DataFrame) -> None:
    """Raise DataError where rows of a table violate a constraint, naming the first ones."""
    bad = np.flatnonzero(~one.holds(frame))
    if not len(bad):
        return
    shown = []
    for row in bad[:_MOST_SHOWN].tolist():
        cells = ", ".join(f"{name}={_cell(frame[name].iloc[row])}" for name in one.names)
        shown.append(f"row {row + 1:,} ({cells})")
    more = ", ..." if len(bad) > _MOST_SHOWN else ""
    raise DataError(
        f"{len(bad):,} of {len(frame):,} training rows violate the constraint '{one.describe()}': "
        f"{', '.join(shown)}{more}",
        remedy="correct or drop them, take the constraint out of the schema, or write 'checked: false' into it to "
        "model them all the same",
    )


def check_public(schema: Schema) -> None:
    """Raise PrivacyError where a constraint would have to be learned from private rows."""
    for one in schema.constraints:
        if isinstance(one, Combinations) and one.allowed == "seen":
            raise PrivacyError(
                f"the combinations of {', '.join(map(repr, one.names))} are to be those seen in training, which would "
                "read private rows outside the budget",
                remedy="list them under 'allowed:' from public knowledge, or take the constraint out",
            )


def _cell(value: Any) -> str:
    return "missing" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value)


# ---------------------------------------------------------------------- what became of the rows that were drawn
@dataclass(frozen=True)
class Acceptance:
    """How many drawn rows satisfied the constraints.

    Attributes
    ----------
    drawn, accepted : int
        Rows that the model gave, and those among them that satisfied all constraints.
    violations : mapping of str to int
        Rows that violated each constraint, by its description; a row may violate several.
    computed : mapping of str to int
        Rows in which a cell was computed to satisfy each constraint.
    """

    drawn: int
    accepted: int
    violations: Mapping[str, int]
    computed: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Share of the drawn rows that were accepted; 1 where none was drawn."""
        return self.accepted / self.drawn if self.drawn else 1.0

    def to_json(self) -> dict[str, Any]:
        """JSON-safe dictionary."""
        return {
            "drawn": self.drawn,
            "accepted": self.accepted,
            "rate": round(self.rate, 6),
            "violations": {name: rows for name, rows in self.violations.items() if rows},
            "computed": {name: rows for name, rows in self.computed.items() if rows},
        }

    def describe(self) -> str:
        """One line for people."""
        text = f"{_share(self.rate)} of the drawn rows satisfied all constraints"
        worst = max(self.violations.items(), key=lambda pair: pair[1], default=("", 0))
        if worst[1]:
            text += f"; '{worst[0]}' was violated most, by {_share(worst[1] / self.drawn)}"
        computed = sorted(((rows, name) for name, rows in self.computed.items() if rows), reverse=True)
        if computed:
            shown = [f"'{name}' in {_share(rows / self.drawn)}" for rows, name in computed[:_MOST_SHOWN]]
            more = f" and {len(computed) - _MOST_SHOWN} more" if len(computed) > _MOST_SHOWN else ""
            text += f"; cells were computed for {', '.join(shown)}{more}"
        return text


class Tally:
    """Counts of a draw while it goes on."""

    def __init__(self) -> None:
        self.drawn = self.accepted = 0
        self.violations: Counter[str] = Counter()
        self.computed: Counter[str] = Counter()
        self._start = (0, 0)

    def count(self, drawn: int, accepted: int) -> None:
        """Take note of a batch.

        Raises
        ------
        ConditionError
            Hardly any of the last rows was accepted: going on would take for ever.
        """
        self.drawn += drawn
        self.accepted += accepted
        window = self.drawn - self._start[0]
        if window < _WINDOW:
            return
        share = (self.accepted - self._start[1]) / window
        if share < LEAST:
            worst, rows = max(self.violations.items(), key=lambda pair: pair[1], default=("the constraints", 0))
            raise ConditionError(
                f"only {_share(share)} of the last {window:,} drawn rows satisfy all constraints, fewer than the "
                f"{LEAST:.0%} needed to go on; '{worst}' is violated most, by {_share(rows / self.drawn)} of all drawn",
                remedy="loosen that constraint or the conditions of the draw, or ask for fewer rows",
            )
        self._start = (self.drawn, self.accepted)

    def result(self) -> Acceptance:
        """The counts so far."""
        return Acceptance(self.drawn, self.accepted, dict(self.violations), dict(self.computed))


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or not share else f"{share:.1g}"


# ---------------------------------------------------------------------- rows
class Rows:
    """Drawn rows on their way from symbols to a table that satisfies the constraints.

    Parameters
    ----------
    fitted
        The model; its schema has the constraints.
    where
        Conditions that the symbols satisfy already. Cells that are computed are checked against them again.
    rng
        Draws what decoding leaves open.
    taken
        Identifiers and keys that must not come back; those of accepted rows are added.
    """

    def __init__(
        self,
        fitted: FittedTable,
        where: Mapping[str, Any],
        allowed: Mapping[str, Any],
        rng: np.random.Generator,
        taken: TakenIdentifiers,
        tally: Tally,
    ) -> None:
        self.fitted, self.encoder, self.schema = fitted, fitted.encoder, fitted.encoder.schema
        self.where, self.allowed, self.rng, self.taken, self.tally = where, allowed, rng, taken, tally
        made_up = {column.name for column in self.schema if column.type == "identifier"}
        constraints = self.schema.constraints
        self._totals = in_order([one for one in constraints if isinstance(one, Total)])
        self._following = [
            (one, found)
            for one in constraints
            if isinstance(one, Combinations) and (found := following(one, fitted.encoder, where)) is not None
        ]
        self._not_applicable = [one for one in constraints if isinstance(one, NotApplicable)]
        self._plain = [one for one in constraints if one.one_row and not made_up.intersection(one.names)]
        self._patterns = [one for one in constraints if one.one_row and made_up.intersection(one.names)]
        self._keys = [one for one in constraints if isinstance(one, Unique)]

    def accepted(self, symbols: Symbols, positions: Positions) -> pd.DataFrame:
        """Those of the rows that satisfy all constraints, as a table."""
        frame = self.encoder.decode(symbols, positions, rng=self.rng, forced=self.allowed)
        good = self._complete(frame, symbols, positions)
        for one in self._plain:
            good &= self._counted(one.describe(), one.holds(frame))
        rows = np.flatnonzero(good)
        frame = frame.iloc[rows].reset_index(drop=True)
        if len(rows):
            # numbers and keys are given to the rows that stay, so that running numbers run on without gaps
            own = symbols[rows], positions[rows]
            for name, cells in self.encoder.identifiers(*own, self.rng, self.taken, self.allowed).items():
                frame[name] = cells
        frame = self._matching(frame)
        for one in self._keys:
            frame = frame[self._counted(one.describe(), self.taken.take_keys(one, frame))]
        self.tally.count(len(symbols), len(frame))
        return frame.reset_index(drop=True)

    def _counted(self, name: str, holds: Bools) -> Bools:
        self.tally.violations[name] += int((~holds).sum())
        return holds

    def _complete(self, frame: pd.DataFrame, symbols: Symbols, positions: Positions) -> Bools:
        """Compute the cells that constraints determine, in place; rows that still satisfy the conditions, ``[n]``."""
        good = np.ones(len(frame), dtype=bool)
        for listed, found in self._following:
            rows = found.compute(frame, ~listed.holds(frame))
            self.tally.computed[listed.describe()] += int(rows.sum())
            for name in listed.columns:
                if name != found.leading:
                    good &= self._still(name, frame, rows)
        for total in self._totals:
            rows = computed_total(total, frame, self.schema)
            self.tally.computed[total.describe()] += int(rows.sum())
            good &= self._still(total.column, frame, rows)
        for one in self._not_applicable:
            rows = one.applies(frame) & frame[one.column].notna().to_numpy()
            if rows.any():
                frame[one.column] = emptied(frame[one.column], rows, self.encoder.blank(one.column))
            filled = self._filled(one, frame, symbols, positions)
            self.tally.computed[one.describe()] += int(rows.sum() + filled.sum())
            good &= self._still(one.column, frame, rows | filled)
        return good

    def _still(self, name: str, frame: pd.DataFrame, rows: Bools) -> Bools:
        """Whether computed cells satisfy the condition on their column, if there is one."""
        if name not in self.where or not rows.any():
            return np.ones(len(frame), dtype=bool)
        found = satisfies(frame[name], name, self.where[name], self.schema)
        return self._counted(f"the condition on {name}", found | ~rows)

    def _filled(
        self, one: NotApplicable, frame: pd.DataFrame, symbols: Symbols, positions: Positions
    ) -> NDArray[np.bool_]:
        """Draw cells that must be there but are missing from their law given the others, in place."""
        gaps = np.zeros(len(frame), dtype=bool)
        names = self.encoder.names
        if not one.present_otherwise or self.fitted.table is None or one.column not in names:
            return gaps
        gaps = ~one.applies(frame) & frame[one.column].isna().to_numpy()
        if not gaps.any():
            return gaps
        place, rows = names.index(one.column), np.flatnonzero(gaps)
        own, inside = symbols[rows].copy(), positions[rows].copy()
        unknown = np.zeros(own.shape, dtype=bool)
        unknown[:, place] = True
        self.fitted.fill(own, inside, unknown, self.rng)
        drawn = self.encoder.decode_column(one.column, own[:, place], inside[:, place], self.rng)
        frame[one.column] = put(frame[one.column], rows, drawn)
        return gaps

    def _matching(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows whose identifiers match their patterns; those that do not are made up again a few times."""
        for one in self._patterns:
            holds = one.holds(frame)
            self._counted(one.describe(), holds)
            for _ in range(_REDRAWS):
                rows = np.flatnonzero(~holds)
                if not len(rows) or not isinstance(one, Regex):
                    break
                cells = self.encoder.made_up(one.column, len(rows), self.rng, self.taken, writer(one.pattern))
                if cells is None:
                    break
                frame[one.column] = put(frame[one.column], rows, cells)
                holds = one.holds(frame)
            frame = frame[holds].reset_index(drop=True)
        return frame


def satisfies(series: pd.Series[Any], name: str, condition: Any, schema: Schema) -> Bools:
    """Whether each cell of a column satisfies a condition as `sample` takes it, ``[n]``."""
    column = schema[name]
    request = read_condition(name, condition)
    if not request.is_range:
        values = request.values + ((None,) if request.missing else ())
        return CellTest(column=name, values=values).marks(series, column)
    if column.type == "ordinal":
        known = [str(label) for label in column.categories or ()]
        low = 0 if request.low is None else known.index(str(request.low))
        high = len(known) - 1 if request.high is None else known.index(str(request.high))
        return CellTest(column=name, values=tuple(known[low : high + 1])).marks(series, column)
    low, high = (end.item() if isinstance(end, np.generic) else end for end in (request.low, request.high))
    if low is None and high is None:
        return np.asarray(~missing_places(line_values(series, column)), dtype=bool)
    return CellTest(column=name, minimum=low, maximum=high).marks(series, column)
