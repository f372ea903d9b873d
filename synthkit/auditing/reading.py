"""From the tables of an audit to a case: which columns are looked at, who is attacked, what overlaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.case import AuditCase, AuditLimits
from synthkit.auditing.result import Overlap
from synthkit.errors import DataError, InputError, SchemaError, unknown_name
from synthkit.evaluation.case import Case, Rows
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.view import CodedTable, TableView
from synthkit.random import RandomSource
from synthkit.schema import Schema

FEWEST = 50
"""Members and non-members that are needed for an interval worth having."""
# Held-out rows of which so many more are training rows than chance explains were not held out.
_MOST_OVERLAP = 0.5

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """What the caller says of the columns.

    Attributes
    ----------
    quasi_identifiers, sensitive
        As in `AuditCase`.
    person
        Column that names the person of a row, or None.
    target
        Column that the utility scores predict, or None.
    """

    quasi_identifiers: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    person: str | None = None
    target: str | None = None


@dataclass(frozen=True)
class ReadTables:
    """The tables of an audit as they will be attacked.

    Attributes
    ----------
    scored
        The case of `synthkit.evaluation`, for the utility scores.
    case
        The case of the attacks; None without held-out rows.
    members
        Which real rows are attacked, in the order of the targets; empty without held-out rows.
    overlap
        Rows in both real tables; None without held-out rows.
    left_out
        Columns that no attack looks at, with the reason.
    notes
        What was done to the tables.
    """

    scored: Case
    case: AuditCase | None
    members: Positions
    overlap: Overlap | None
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def read_tables(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None,
    asked: Asked,
    *,
    seed: int,
    limits: AuditLimits | None = None,
) -> ReadTables:
    """Return the tables as the attacks see them.

    Parameters
    ----------
    real
        The rows that the generator learned from.
    synthetic
        The released rows.
    holdout
        Rows of the same source that it never saw, or None.
    asked
        What the columns are.
    seed
        Seed of every draw.
    limits
        At most how many rows are looked at.

    Raises
    ------
    SchemaError
        An unknown column, one that is asked for twice in a way that makes no sense, or tables of other columns.
    DataError
        Too few rows, or held-out rows that are training rows.
    """
    _check_names(real, asked)
    left_out = _left_out(real, asked)
    tables = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"held-out": holdout})
    kept = {
        kind: frame.drop(columns=[name for name in frame.columns if str(name) in left_out])
        for kind, frame in tables.items()
    }
    options = Options(target=asked.target, groups=(*asked.quasi_identifiers, *asked.sensitive), seed=seed)
    # without held-out rows nothing is split off: rows that the generator saw would pass for rows that it did not
    scored, notes = read_case(kept["real"], kept["synthetic"], kept.get("held-out", kept["real"]), options)
    texts = [str(name) for name in kept["real"].columns if str(name) not in scored.view.columns]
    left_out |= dict.fromkeys(texts, "a different text in nearly every row")
    notes = tuple(note for note in notes if "different text" not in note)
    if holdout is None:
        return ReadTables(scored, None, np.zeros(0, np.int64), None, left_out, notes)
    persons = None
    if asked.person is not None:
        persons = _persons(real, asked.person, "real"), _persons(holdout, asked.person, "held-out")
    overlap, said = _overlap(scored, persons)
    members, outside, reference = _targets(scored, persons, seed, (limits or AuditLimits()).targets)
    # a label that only held-out rows have must count like any other, or those rows would look nearer than they are
    view = TableView(pd.concat([scored.train.frame, scored.test.frame], ignore_index=True))
    train, test, released = scored.train, scored.test, scored.synthetic
    if view.labels != scored.view.labels:
        train, test, released = (
            Rows(rows.frame, view.code(rows.frame), rows.unreadable) for rows in (train, test, released)
        )
    case = AuditCase(
        view=view,
        train=train,
        holdout=test,
        synthetic=released,
        members=train.take(members),
        nonmembers=test.take(outside),
        reference=test.take(reference),
        quasi_identifiers=asked.quasi_identifiers,
        sensitive=asked.sensitive,
        seed=seed,
        limits=limits or AuditLimits(),
    )
    return ReadTables(scored, case, members, overlap, left_out, (*notes, *said))


def _check_names(real: pd.DataFrame, asked: Asked) -> None:
    names = [str(name) for name in real.columns]
    wanted = {
        "quasi-identifier": asked.quasi_identifiers,
        "sensitive column": asked.sensitive,
        "person column": () if asked.person is None else (asked.person,),
        "target column": () if asked.target is None else (asked.target,),
    }
    for kind, columns in wanted.items():
        for name in columns:
            if name not in names:
                raise SchemaError(unknown_name(kind, name, names))
    both = sorted(set(asked.quasi_identifiers) & set(asked.sensitive))
    if both:
        raise InputError(
            f"column {both[0]!r} is named as a quasi-identifier and as sensitive, expected one of them",
            remedy="what an attacker knows already he need not infer: leave it out of --sensitive",
        )
    if asked.person is not None and asked.person in (*asked.quasi_identifiers, *asked.sensitive, asked.target):
        raise InputError(
            f"column {asked.person!r} names the person and cannot be a quasi-identifier, sensitive or the target",
            remedy="leave it out there: new persons are made up, and their names tell nothing",
        )


def _left_out(real: pd.DataFrame, asked: Asked) -> dict[str, str]:
    """Columns that are no attribute of a row: the name of the person, and identifiers, which generators make up."""
    found = {} if asked.person is None else {asked.person: "it names the person"}
    named = {*asked.quasi_identifiers, *asked.sensitive, asked.target}
    for column in Schema.infer(real):
        if column.type == "identifier" and column.name not in named and column.name not in found:
            found[column.name] = "an identifier, different in every row"
    return found


def _persons(frame: pd.DataFrame, person: str, table: str) -> npt.NDArray[np.object_]:
    """To whom each row belongs, as text; rows without a person are persons of their own."""
    if person not in frame:
        raise SchemaError(f"the {table} table lacks the person column {person!r}", remedy="pass it with that column")
    column = frame[person]
    missing = column.isna().to_numpy()
    if pd.api.types.is_float_dtype(column.dtype) and bool((column.dropna() % 1 == 0).all()):
        # one missing cell turns whole numbers into floats: 7.0 in this table is the 7 of the other
        column = column.astype("Int64")
    # a control character that no name begins with
    own = np.array([f"\x1f{table} row {row}" for row in range(len(frame))], dtype=object)
    return np.where(missing, own, column.astype(str).to_numpy(dtype=object))


def _overlap(
    scored: Case, persons: tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]] | None
) -> tuple[Overlap, tuple[str, ...]]:
    """Held-out rows that are training rows, and what to say about them.

    Raises
    ------
    DataError
        There are so many that the held-out rows were not held out.
    """
    train, test = row_hashes(scored.train.coded), row_hashes(scored.test.coded)
    hashes, counts = np.unique(train, return_counts=True)
    again = np.isin(test, hashes)
    # a row of a training table with coarse columns equals another one as often as a row that was held out
    expected = float(counts[counts > 1].sum() / len(train))
    shared = 0
    if persons is not None:
        shared = len(set(persons[0].tolist()) & set(persons[1].tolist()))
    overlap = Overlap(int(again.sum()), float(again.mean()), expected, shared)
    if overlap.share - expected > _MOST_OVERLAP:
        raise DataError(
            f"{overlap.rows:,} of {len(test):,} held-out rows are rows of the real table, expected rows that the "
            "generator never saw",
            remedy="pass rows that were set aside before the fit",
        )
    if shared and persons is not None and shared > _MOST_OVERLAP * len(set(persons[1].tolist())):
        raise DataError(
            f"{shared:,} persons of the held-out table are in the real table too, expected other persons",
            remedy="set whole persons aside before the fit",
        )
    said = []
    if overlap.rows:
        said.append(
            f"{overlap.rows:,} of {len(test):,} held-out rows ({overlap.share:.2%}) equal a row of the real table; "
            f"{expected:.2%} of the real rows equal another one, so that much is chance. More than that hides leaks."
        )
    if shared:
        said.append(f"{shared:,} persons have rows in both the real and the held-out table, which hides leaks.")
    return overlap, tuple(said)


def row_hashes(table: CodedTable) -> npt.NDArray[np.uint64]:
    """Return a hash of each row ``[n]``: equal rows have equal ones."""
    numbers = pd.DataFrame(np.where(np.isnan(table.numbers), np.nan, table.numbers + 0.0))
    codes = pd.DataFrame(table.codes)
    columns = pd.concat([numbers.add_prefix("n"), codes.add_prefix("c")], axis=1)
    return np.asarray(pd.util.hash_pandas_object(columns, index=False), dtype=np.uint64)


def _targets(
    scored: Case,
    persons: tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]] | None,
    seed: int,
    most: int,
) -> tuple[Positions, Positions, Positions]:
    """Positions of members among the training rows, of non-members and of the reference among the held-out rows.

    Raises
    ------
    DataError
        There are too few of them for an interval.
    """
    rng = RandomSource(seed).numpy("targets")
    n_train, n_test = len(scored.train), len(scored.test)
    trained = np.arange(n_train) if persons is None else pd.factorize(persons[0])[0]
    others = np.arange(n_test) if persons is None else pd.factorize(persons[1])[0]
    in_reference = np.zeros(others.max(initial=-1) + 1, dtype=bool)
    in_reference[rng.permutation(len(in_reference))[: len(in_reference) // 2]] = True
    reference = np.flatnonzero(in_reference[others])
    members = _one_each(trained, np.arange(n_train), rng)
    outside = _one_each(others, np.flatnonzero(~in_reference[others]), rng)
    n = min(most, len(members), len(outside))
    if n < FEWEST:
        what = "persons" if persons is not None else "rows"
        raise DataError(
            f"{len(members):,} real and {len(outside):,} held-out {what} can be attacked, expected at least {FEWEST} "
            "of each for an interval",
            remedy="hold out more: one half of the held-out rows are attacked, the other half is the attacker's "
            "knowledge of the population",
        )
    return np.sort(members[:n]), np.sort(outside[:n]), reference


def _one_each(persons: Positions, rows: Positions, rng: np.random.Generator) -> Positions:
    """Some of the rows in random order, one of each person, so that persons with many rows count once."""
    order = rng.permutation(rows)
    _, first = np.unique(persons[order], return_index=True)
    chosen: Positions = order[np.sort(first)]
    return chosen
