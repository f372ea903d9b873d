"""Whether two tables can be compared, and reading the columns of both in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthkit.errors import DataError, InputError, SchemaError, unknown_name
from synthkit.evaluation.case import Case, Limits, Marks, Rows
from synthkit.evaluation.view import TableView, is_unscored_text
from synthkit.random import RandomSource
from synthkit.schema_dates import detect, parse

FEWEST_ROWS = 10
_HELD_OUT_SHARE = 0.2
# A column of which more cells than this cannot be read is of another type; fewer are bad cells.
_MOST_UNREADABLE = 0.5
_MOST_LISTED = 5


@dataclass(frozen=True)
class Options:
    """What the caller asks for beside the tables; the fields are those of `Case`."""

    target: str | None = None
    sensitive: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    seed: int = 0


def read_case(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    test: pd.DataFrame | None,
    options: Options,
    limits: Limits | None = None,
) -> tuple[Case, tuple[str, ...]]:
    """Return the case of an evaluation and what was done to the tables, in sentences.

    Parameters
    ----------
    real, synthetic
        The rows that the generator learned from, and the table to judge.
    test
        Real rows that it never saw; without them a fifth of `real` is split off.
    options
        Target, sensitive and grouping columns, seed.
    limits
        At most how many rows are looked at.

    Raises
    ------
    SchemaError
        If the columns differ, a column holds another kind of values, or an option names an unknown column.
    DataError
        If a table is too small, holds infinite numbers, or has no column that can be compared.
    """
    tables = {"real": real, "synthetic": synthetic} | ({"held-out": test} if test is not None else {})
    for kind, frame in tables.items():
        _check_table(real, frame, kind)
    names = [str(name) for name in real.columns]
    _check_options(names, options)
    asked = {options.target, *options.sensitive, *options.groups}
    formats = {str(name): _date_format(real[name]) for name in real.columns}
    texts = [
        name
        for name in real.columns
        if str(name) not in asked and formats[str(name)] is None and is_unscored_text(real[name])
    ]
    kept = [name for name in real.columns if name not in texts]
    if not kept:
        raise DataError("every column holds a different text in nearly every row, so there is nothing to compare")
    notes = [
        f"column {str(name)!r} holds a different text in nearly every row and was left out of all scores."
        for name in texts
    ]
    tidy = {
        kind: frame[kept].reset_index(drop=True).set_axis([str(name) for name in kept], axis=1)
        for kind, frame in tables.items()
    }
    readable = _same_kinds(tidy, formats)
    train, _ = readable["real"]
    if "held-out" not in readable:
        held_out = train.sample(frac=_HELD_OUT_SHARE, random_state=RandomSource(options.seed).integer("held-out"))
        train = train.drop(index=held_out.index).reset_index(drop=True)
        readable["held-out"] = held_out.reset_index(drop=True), {}
        notes.append(
            f"no held-out table was given, so {len(held_out):,} rows were split off the real one; if the generator"
            " learned from them, utility looks a little too good and the nearest-record share cannot show memorising."
        )
    view = TableView(train)
    others = {kind: Rows(frame, view.code(frame), bad) for kind, (frame, bad) in readable.items() if kind != "real"}
    case = Case(
        view=view,
        train=Rows(train, view.code(train)),
        test=others["held-out"],
        synthetic=others["synthetic"],
        target=options.target,
        sensitive=options.sensitive,
        groups=options.groups,
        seed=options.seed,
        limits=limits or Limits(),
    )
    return case, tuple(notes)


def _check_table(real: pd.DataFrame, frame: pd.DataFrame, kind: str) -> None:
    """Refuse a table that is too small, names a column twice or has other columns than the real one."""
    if not frame.columns.is_unique:
        twice = str(frame.columns[frame.columns.duplicated()][0])
        raise SchemaError(f"the {kind} table has two columns named {twice!r}", remedy="Rename one of them.")
    if len(frame) < FEWEST_ROWS:
        raise DataError(
            f"the {kind} table has {len(frame)} row{'' if len(frame) == 1 else 's'}, and {FEWEST_ROWS} are needed",
            remedy="Pass a larger table.",
        )
    missing = [str(name) for name in real.columns if name not in set(frame.columns)]
    extra = [str(name) for name in frame.columns if name not in set(real.columns)]
    said = [f"lacks {_listed(missing)}"] if missing else []
    said += [f"has {_listed(extra)} beside"] if extra else []
    if said:
        raise SchemaError(
            f"the {kind} table does not have the columns of the real one: it {' and '.join(said)}",
            remedy="Pass tables with the same columns.",
        )


def _check_options(names: Sequence[str], options: Options) -> None:
    """Refuse the name of a column that is not there."""
    if options.target is not None and options.target not in names:
        raise SchemaError(unknown_name("target column", options.target, names))
    for kind, asked in (("sensitive column", options.sensitive), ("grouping column", options.groups)):
        for name in asked:
            if name not in names:
                raise SchemaError(unknown_name(kind, name, names))
            if name == options.target and kind == "sensitive column":
                raise InputError(
                    f"column {name!r} is the target and cannot be a sensitive column too", remedy="Name another column."
                )


def _same_kinds(
    tables: Mapping[str, pd.DataFrame], formats: Mapping[str, str | None]
) -> dict[str, tuple[pd.DataFrame, dict[str, Marks]]]:
    """Return every table with dates and numbers read as in the real one, and which cells could not be read."""
    columns: dict[str, dict[str, pd.Series]] = {kind: {} for kind in tables}
    unreadable: dict[str, dict[str, Marks]] = {kind: {} for kind in tables}
    for name in tables["real"].columns:
        real = tables["real"][name]
        for kind, frame in tables.items():
            series, bad = _read(frame[name], real, formats[name])
            if bad.any():
                _refuse_other_type(frame[name], real, bad, kind)
                unreadable[kind][name] = bad
            columns[kind][name] = series
    return {kind: (pd.DataFrame(found), unreadable[kind]) for kind, found in columns.items()}


def _read(series: pd.Series, real: pd.Series, text_format: str | None) -> tuple[pd.Series, Marks]:
    """Return a column as the kind of the real one, and which cells are neither missing nor of that kind."""
    missing = series.isna().to_numpy()
    if text_format is not None:
        texts = series.astype(str).where(~series.isna(), None) if not _is_dates(series) else None
        if texts is None:
            return series, np.zeros(len(series), dtype=bool)
        dates = pd.Series(parse(texts.to_numpy(dtype=object), text_format))
        return dates, dates.isna().to_numpy() & ~missing
    if _is_dates(real):
        dates = pd.to_datetime(series, errors="coerce", utc=True, format=None if _is_dates(series) else "mixed")
        return dates, dates.isna().to_numpy() & ~missing
    if pd.api.types.is_numeric_dtype(real.dtype) and not pd.api.types.is_bool_dtype(real.dtype):
        if pd.api.types.is_numeric_dtype(series.dtype):
            return series, np.zeros(len(series), dtype=bool)
        numbers = pd.to_numeric(series, errors="coerce")
        return numbers, numbers.isna().to_numpy() & ~missing
    return series, np.zeros(len(series), dtype=bool)


def _refuse_other_type(series: pd.Series, real: pd.Series, bad: Marks, kind: str) -> None:
    """Refuse a column of which most cells are not of the kind of the real one."""
    present = int(series.notna().sum())
    if bad.sum() <= _MOST_UNREADABLE * present:
        return
    row = int(np.flatnonzero(bad)[0])
    expected = "numbers" if pd.api.types.is_numeric_dtype(real.dtype) else "dates"
    raise SchemaError(
        f"column {str(series.name)!r} holds {expected} in the real table, but {bad.sum():,} of {present:,} values in"
        f" the {kind} one are none, first {str(series.iloc[row])!r} in row {row + 1:,}",
        remedy="Write the column in the same form in both tables.",
    )


def _date_format(series: pd.Series) -> str | None:
    """Return the format of dates that are written as text, or None."""
    if not (pd.api.types.is_object_dtype(series.dtype) or pd.api.types.is_string_dtype(series.dtype)):
        return None
    present = series.dropna()
    if len(present) == 0 or not isinstance(present.iloc[0], str):
        return None
    texts = present.unique()
    if not all(isinstance(text, str) for text in texts):
        return None
    found = detect(list(texts))
    return None if found is None else found.text_format


def _is_dates(series: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(series.dtype))


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_LISTED])
    return shown + (f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else "")
