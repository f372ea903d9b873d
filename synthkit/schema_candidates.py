"""Constraints that a table seems to keep: proposed with the evidence for them, never applied by themselves.

Every search looks at a sample of rows first and confirms on all of them what is left. A rule is proposed only if rows
whose columns had nothing to do with each other would have broken it (the chance that none does is below e^-30), so that
chance and triviality propose nothing. What is proposed may still be an accident of the data: a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from synthkit.random import RandomSource
from synthkit.schema import Column, Schema
from synthkit.schema_cells import Codes, labels_of, line_kind, line_values, missing_places
from synthkit.schema_constraints import Combinations, Constraint, Inequality, NotApplicable, Total, Unique
from synthkit.schema_sums import sums_among
from synthkit.schema_yaml import dump_constraint

SURE = 30.0
"""Surprise, in nats, of a rule that holds among unrelated columns, from which it is proposed."""
MOST_OF_A_KIND = 20
_SAMPLE = 2_000
_SCREEN = 300  # rows that first rule out most pairs of a wide table
_MOST_LEVELS = 1_000  # distinct values of a column whose combinations may be listed
_FEW_LEVELS = 50  # distinct values of a column that may say where another one does not apply
_MOST_ELSEWHERE = 0.5  # share of missing cells where a column applies
_MOST_PAIRED = 60  # columns of which all pairs are compared
_LEAST_BROKEN = 0.05  # share of rows that would break the rule among unrelated columns
_OFTEN = 5  # rows of a combination that has been seen often enough
_RARE_ROWS = 0.005  # share of rows that may be in combinations seen less often
_MOST_SUMMED = 300  # columns among which totals are looked for
_MOST_EDGES = 5_000  # pairs of columns in order that are looked at one by one
_LEAST_SEEN = 2.0  # surprise, in nats, of a value in the sample at which a column is always missing
_EDGE = 0.4  # lower twentieth of a difference over its median: higher where it keeps away from zero


@dataclass(frozen=True)
class Candidate:
    """A constraint that a table keeps.

    Attributes
    ----------
    constraint
        Not applied.
    evidence
        Why it is proposed, as one sentence.
    """

    constraint: Constraint
    evidence: str

    def to_json(self) -> dict[str, Any]:
        """JSON-safe dictionary."""
        description = self.constraint.describe()
        return {"constraint": self.constraint.to_dict(), "description": description, "evidence": self.evidence}


def propose_constraints(frame: pd.DataFrame, schema: Schema) -> tuple[Candidate, ...]:
    """Constraints that hold in all rows of a table and would not by chance.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_columns)
        The table.
    schema : Schema
        Its description; constraints that it has already are not proposed again.

    Returns
    -------
    tuple of Candidate
        Combinations, inequalities, totals, columns that do not apply, and keys; the most surprising first, at most 20
        of a kind. Always the same for the same table.
    """
    table = _Table(frame, schema)
    totals, not_applicable = _totals(table), _not_applicable(table)
    # a column that is there for some values of another one alone also tells which of them it is
    said = {tuple(sorted(one.constraint.names)) for one in not_applicable}
    found = [
        *(one for one in _combinations(table) if tuple(sorted(one.constraint.names)) not in said),
        *_inequalities(table, [one.constraint for one in totals]),
        *totals,
        *not_applicable,
        *_keys(table),
    ]
    known = {_about(one) for one in schema.constraints}
    return tuple(one for one in found if _about(one.constraint) not in known)


def as_comment(candidates: Sequence[Candidate]) -> str:
    """The candidates as a YAML comment that becomes constraints where a person takes the marks away."""
    if not candidates:
        return ""
    lines = [
        "Constraints that all rows of the table satisfy: found in the data, not applied. To apply some, take the",
        "'# ' away from the line 'constraints:' and from their entries; every synthetic row then satisfies them.",
        "",
        "constraints:",
    ]
    for one in candidates:
        entry = dump_constraint(one.constraint.to_dict()).splitlines()
        lines += [f"  # {one.constraint.describe()}: {one.evidence}", *(f"  {line}" for line in entry)]
    return "\n" + "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _about(one: Constraint) -> tuple[str, tuple[str, ...]]:
    return one.kind, one.names if isinstance(one, Inequality | NotApplicable) else tuple(sorted(one.names))


class _Table:
    """A table with what several searches look at, computed when first asked for."""

    def __init__(self, frame: pd.DataFrame, schema: Schema) -> None:
        self.frame, self.schema, self.n = frame, schema, len(frame)
        rng = RandomSource(0).numpy("candidates")
        self.rows = np.sort(rng.choice(self.n, min(self.n, _SAMPLE), replace=False))
        self.screen = rng.permutation(self.rows)[:_SCREEN]
        self._codes: dict[str, tuple[Codes, list[Any]]] = {}

    @cached_property
    def columns(self) -> list[Column]:
        """Columns that constraints may be about."""
        return [column for column in self.schema if column.type not in ("text", "constant", "identifier")]

    @cached_property
    def few_valued(self) -> list[str]:
        """Columns of few distinct values, as far as the sample tells."""
        most = min(_MOST_LEVELS, len(self.rows) // 4)
        sample = self.frame.iloc[self.rows]
        plain = [column for column in self.columns if column.type != "continuous"]
        return [column.name for column in plain if 1 < sample[column.name].nunique(dropna=False) <= most]

    def codes(self, name: str) -> tuple[Codes, list[Any]]:
        """Code of each cell (0 for a missing one) and what each code stands for."""
        if name not in self._codes:
            codes, labels = labels_of(self.frame[name])
            self._codes[name] = codes + 1, [None, *labels]
        return self._codes[name]

    def counts(self, name: str) -> npt.NDArray[np.int64]:
        """Rows of each code."""
        codes, labels = self.codes(name)
        return np.bincount(codes, minlength=len(labels))

    def pair(self, one: str, other: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Codes of the pairs of values that occur, as ``one * size + other``, and the rows of each."""
        codes, size = self.codes(other)[0], len(self.codes(other)[1])
        return np.unique(self.codes(one)[0] * size + codes, return_counts=True)


def _strongest(found: Iterable[tuple[float, Candidate]]) -> list[Candidate]:
    ordered = sorted(found, key=lambda pair: -pair[0])
    return [candidate for _, candidate in ordered[:MOST_OF_A_KIND]]


# ---------------------------------------------------------------------- combinations
def _combinations(table: _Table) -> list[Candidate]:
    """Columns of which one determines the others, and pairs that are far from all that could be."""
    follows = _determined(table)
    groups: list[tuple[str, ...]] = []
    for name in sorted(follows, key=lambda name: -len(follows[name])):
        group = (name, *follows[name])
        if not any(set(group) <= set(other) for other in groups):
            groups.append(group)
    found = []
    for group in groups:
        counts = table.counts(group[0])
        values = int((counts > 0).sum())
        order = tuple(column for column in table.schema.names if column in group)
        pairs = "pairs" if len(group) == 2 else f"combinations of {len(group)}"
        said = f"always one of {values:,} {pairs} in {table.n:,} rows; {group[0]} determines the "
        said += "other" if len(group) == 2 else "others"
        found.append((len(group) * table.n / values, Candidate(Combinations(columns=order), said)))
    if len(table.few_valued) <= _MOST_PAIRED:
        for one, other in combinations(table.few_valued, 2):
            if not any({one, other} <= set(group) for group in groups):
                found += _sparse_pair(table, one, other)
    return _strongest(found)


def _determined(table: _Table) -> dict[str, list[str]]:
    """For each column those whose value follows from its own, in all rows and not by chance."""
    names = table.few_valued
    if len(names) < 2:
        return {}
    screen = table.frame.iloc[table.screen]
    cells = np.stack([labels_of(screen[name])[0] for name in names], axis=1)
    follows: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        rows = cells[np.argsort(cells[:, place], kind="stable")]
        same = rows[1:, place] == rows[:-1, place]
        broken = ((rows[1:] != rows[:-1]) & same[:, None]).any(axis=0)
        broken[place] = True
        sure = [names[other] for other in np.flatnonzero(~broken) if _follows(table, name, names[other])]
        if sure:
            follows[name] = sure
    return follows


def _follows(table: _Table, name: str, other: str) -> bool:
    """Whether the value of one column follows from that of another, in values that come often."""
    counts, others = table.counts(name), table.counts(other)
    counts = counts[counts > 0]
    if len(counts) > _MOST_LEVELS or counts[counts < _OFTEN].sum() > _RARE_ROWS * table.n:
        return False
    alike = float(np.square(others / table.n).sum())  # chance that two rows agree in the other column
    repeats = table.n - len(counts)
    if 1 - alike < _LEAST_BROKEN or -repeats * math.log(alike) < SURE:
        return False
    return len(table.pair(name, other)[0]) == len(counts)


def _sparse_pair(table: _Table, one: str, other: str) -> list[tuple[float, Candidate]]:
    """A pair of columns of which few of the possible pairs of values occur, each of them often."""
    shares = [table.counts(name) / table.n for name in (one, other)]
    if max(map(len, shares)) > _MOST_LEVELS:
        return []
    _, counts = table.pair(one, other)
    if counts[counts < _OFTEN].sum() > _RARE_ROWS * table.n:
        return []
    expected = float(-np.expm1(-table.n * np.outer(*shares)).sum())  # pairs that unrelated columns would show
    if len(counts) > expected / 2 or expected - len(counts) < math.sqrt(2 * SURE * expected):
        return []
    said = f"always one of {len(counts):,} pairs in {table.n:,} rows; unrelated columns would show {expected:,.0f}"
    return [(table.n / len(counts), Candidate(Combinations(columns=(one, other)), said))]


# ---------------------------------------------------------------------- inequalities
def _inequalities(table: _Table, totals: Sequence[Constraint]) -> list[Candidate]:
    """Columns of one kind of which one is never above the other."""
    found: list[tuple[float, Candidate]] = []
    for kind in ("number", "date"):
        found += _ordered(table, [column.name for column in table.columns if line_kind(column) == kind])
    # a part is below its total where the other parts are positive, and equal columns are below each other
    implied = {(part, one.column) for one in totals if isinstance(one, Total) for part in one.parts}
    implied |= {(high, low) for low, high in implied}
    return _strongest(one for one in found if one[1].constraint.names not in implied)


def _ordered(table: _Table, names: Sequence[str]) -> list[tuple[float, Candidate]]:
    """Pairs of columns in order, without those that follow from two others: a <= c where a <= b and b <= c."""
    if len(names) < 2:
        return []
    cells = np.stack([_floats(table.frame[name].iloc[table.rows], table.schema[name]) for name in names], axis=1)
    screen = cells[np.searchsorted(table.rows, table.screen)]
    below = np.zeros((len(names), len(names)), dtype=bool)
    with np.errstate(invalid="ignore"):
        for place in range(len(names)):
            below[place] = ~(screen[:, [place]] > screen).any(axis=0)
            below[place, place] = False
            others = np.flatnonzero(below[place])
            below[place, others] = ~(cells[:, [place]] > cells[:, others]).any(axis=0)
    if below.sum() <= _MOST_EDGES:
        for place, other in np.argwhere(below):
            below[place, other] = _telling(cells[:, place], cells[:, other], 1.0) > 0
    found: dict[tuple[int, int], tuple[float, Candidate] | None] = {}
    while True:
        direct = below & ~((below.astype(np.float32) @ below.astype(np.float32)) > 0)
        new = [(int(low), int(high)) for low, high in np.argwhere(direct) if (low, high) not in found]
        if not new or len(found) > _MOST_EDGES:
            return [one for pair, one in found.items() if one is not None and direct[pair]]
        for pair in new:
            found[pair] = _never_above(table, names[pair[0]], names[pair[1]])
            below[pair] = found[pair] is not None


def _never_above(table: _Table, low: str, high: str) -> tuple[float, Candidate] | None:
    one, other = (_line(table, name) for name in (low, high))
    both = ~(missing_places(one) | missing_places(other))
    rows = int(both.sum())
    if not rows or (one[both] > other[both]).any():
        return None
    if one.dtype.kind == "M":
        one, other = one.astype(np.int64).astype(np.float64), other.astype(np.int64).astype(np.float64)
    broken = _telling(one[both], other[both], SURE)
    if not broken:
        return None
    said = f"in all {rows:,} rows that have both; {broken:.0%} would break it if the two were unrelated"
    return rows * broken, Candidate(Inequality(low=low, high=high), said)


def _telling(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], least: float) -> float:
    """Share of rows that would break the order if the columns were unrelated; 0 where that it holds says little."""
    both = ~(np.isnan(low) | np.isnan(high))
    low, high = low[both], high[both]
    if not len(low) or not (low != high).any():
        return 0.0
    broken = 1.0 - float(np.searchsorted(np.sort(low), high, side="right").mean()) / len(low)
    if broken < _LEAST_BROKEN or len(low) * broken < least:
        return 0.0
    gap = high - low
    # where the two lie apart throughout, no edge shows
    return broken if np.quantile(gap, 0.05) <= _EDGE * np.median(gap) else 0.0


def _line(table: _Table, name: str) -> npt.NDArray[Any]:
    return line_values(table.frame[name], table.schema[name])


def _floats(series: pd.Series[Any], column: Column) -> npt.NDArray[np.float64]:
    """Places on the line as float64, precise enough to rule out."""
    values = line_values(series, column)
    if values.dtype.kind == "M":
        return np.where(np.isnat(values), np.nan, values.astype(np.int64).astype(np.float64))
    return np.asarray(values, dtype=np.float64)


# ---------------------------------------------------------------------- totals
def _totals(table: _Table) -> list[Candidate]:
    """Columns that are the sum of others, exactly and in all rows."""
    names = [column.name for column in table.columns if line_kind(column) == "number" and column.is_numeric]
    names = [name for name in names if table.frame[name].iloc[table.rows].isna().mean() <= 0.2][:_MOST_SUMMED]
    if len(names) < 2:
        return []
    wanted = min(table.n, max(_SAMPLE, 4 * len(names)))
    rows = np.sort(RandomSource(0).numpy("totals").choice(table.n, wanted, replace=False))
    sample = table.frame.iloc[rows]
    numbers = np.stack([_floats(sample[name], table.schema[name]) for name in names], axis=1)
    found = []
    for total, parts in sums_among(numbers):
        one = Total(column=names[total], parts=tuple(names[part] for part in parts))
        bound = one.bound_to({name: table.schema[name] for name in one.names})
        if bound.holds(table.frame).all():
            said = f"in all {table.n:,} rows" + (": the two columns are equal" if len(parts) == 1 else "")
            found.append((float(len(parts)), Candidate(one, said)))
    return _strongest(found)


# ---------------------------------------------------------------------- not applicable
def _not_applicable(table: _Table) -> list[Candidate]:
    """Columns that are missing wherever another one has certain values, or is beyond some bound."""
    sample = table.frame.iloc[table.rows]
    gaps = {column.name: sample[column.name].isna().to_numpy() for column in table.columns if column.nullable}
    gaps = {name: own for name, own in gaps.items() if own.any() and not own.all()}
    if not gaps:
        return []
    lines = [column.name for column in table.columns if line_kind(column) is not None and not column.nullable]
    cells = np.stack([_floats(sample[name], table.schema[name]) for name in lines], axis=1) if lines else None
    options: dict[str, list[_Ranked]] = {name: [] for name in gaps}
    whole = {name: table.frame[name].isna().to_numpy() for name in gaps}
    for name, other in _value_pairs(sample, table.few_valued, gaps):
        options[name] += _by_value(table, name, whole[name], other)
    if cells is not None:
        for name, own in gaps.items():
            options[name] += _by_bound(table, name, own, whole[name], lines, cells)
    best = [max(found, key=lambda option: option[0]) for found in options.values() if found]
    return [candidate for _, candidate in sorted(best, key=lambda one: one[0], reverse=True)][:MOST_OF_A_KIND]


def _value_pairs(
    sample: pd.DataFrame, few_valued: Sequence[str], gaps: dict[str, npt.NDArray[np.bool_]]
) -> list[tuple[str, str]]:
    """Pairs of columns of which the first is always missing at some value of the second, as far as a sample tells."""
    names, n = list(gaps), len(sample)
    empty = np.stack([gaps[name] for name in names], axis=1)
    surprise = -np.log(empty.mean(axis=0))
    pairs = []
    for other in few_valued:
        codes, labels = labels_of(sample[other])
        if len(labels) > _FEW_LEVELS:
            continue
        levels = sparse.csr_array((np.ones(n), (codes + 1, np.arange(n))), shape=(len(labels) + 1, n))
        rows, missing = np.asarray(levels.sum(axis=1))[:, None], levels @ empty.astype(np.float64)
        always = (missing == rows) & (rows * surprise > _LEAST_SEEN)
        pairs += [(names[place], other) for place in np.flatnonzero(always.any(axis=0)) if names[place] != other]
    return pairs


_Ranked = tuple[tuple[bool, float, int], Candidate]


def _by_value(table: _Table, name: str, gaps: npt.NDArray[np.bool_], other: str) -> list[_Ranked]:
    codes, labels = table.codes(other)
    rows = np.bincount(codes, minlength=len(labels))
    missing = np.bincount(codes, weights=gaps, minlength=len(labels))
    surprise = -rows * math.log(gaps.mean())
    # each value has to be surprising: among many, some have only missing cells by chance
    always = (missing == rows) & (rows >= _OFTEN) & (surprise > SURE / 4 + math.log(len(labels)))
    exact = bool((missing[~always] == 0).all())
    if not exact:
        always[0] = False
    if not always[1:].any() or always[rows > 0].all() or surprise[always].sum() < SURE:
        return []
    values = tuple(labels[code] for code in np.flatnonzero(always))
    one = NotApplicable(column=name, when={other: list(values)}, present_otherwise=exact)  # type: ignore[arg-type]
    covered = int(rows[always].sum())
    elsewhere = (gaps.sum() - covered) / max(table.n - covered, 1)
    if elsewhere > _MOST_ELSEWHERE:
        return []
    said = f"in all {covered:,} rows where it applies"
    said += ", and in no other" if exact else f"; elsewhere {elsewhere:.0%} are missing"
    return [((exact, float(covered), -len(values)), Candidate(one, said))]


def _by_bound(
    table: _Table,
    name: str,
    own: npt.NDArray[np.bool_],
    gaps: npt.NDArray[np.bool_],
    lines: list[str],
    cells: npt.NDArray[np.float64],
) -> list[_Ranked]:
    """A bound of another column that parts the missing cells (``own`` in the sample) from the others."""
    if not 10 <= gaps.sum() <= table.n - 10:
        return []
    missing, present = cells[own], cells[~own]
    below = missing.max(axis=0) < present.min(axis=0)
    above = missing.min(axis=0) > present.max(axis=0)
    found: list[_Ranked] = []
    for place in np.flatnonzero(below | above).tolist():
        other = lines[place]
        if other == name:
            continue
        values = _line(table, other)
        inside, outside = values[gaps], values[~gaps]
        end = inside.max() if below[place] else inside.min()
        if outside.min() <= end if below[place] else outside.max() >= end:
            continue
        bound = {"maximum" if below[place] else "minimum": _plain_bound(end)}
        one = NotApplicable(column=name, when={other: bound}, present_otherwise=True)  # type: ignore[arg-type]
        said = f"in all {int(gaps.sum()):,} rows where it applies, and in no other"
        found.append(((True, float(gaps.sum()), -1), Candidate(one, said)))
    return found


def _plain_bound(end: Any) -> Any:
    if isinstance(end, np.datetime64):
        return pd.Timestamp(end).isoformat()
    return int(end) if float(end).is_integer() else float(end)


# ---------------------------------------------------------------------- keys
def _keys(table: _Table) -> list[Candidate]:
    """Identifiers that name one row each, and pairs of columns that do so together."""
    names = [column.name for column in table.schema if column.type == "identifier"]
    single = [name for name in names if not table.frame[name].isna().any() and table.frame[name].is_unique]
    said = f"{table.n:,} different values in {table.n:,} rows"
    found = [Candidate(Unique(columns=(name,)), said) for name in single]
    paired = [name for name in names if name not in single]
    paired += [column.name for column in table.columns if column.type != "continuous" and not column.nullable]
    head, pairs = table.frame.head(5_000), []
    for one, other in combinations(paired[:_MOST_PAIRED], 2):
        if head.duplicated([one, other]).any():
            continue
        alike = [float(np.square(table.counts(name) / table.n).sum()) for name in (one, other)]
        repeats = math.comb(table.n, 2) * alike[0] * alike[1]
        if repeats >= SURE and len(table.pair(one, other)[0]) == table.n:
            said = f"{table.n:,} different pairs in {table.n:,} rows; unrelated columns would repeat {repeats:,.0f}"
            pairs.append((repeats, Candidate(Unique(columns=(one, other)), said)))
    return (found + _strongest(pairs))[:MOST_OF_A_KIND]
