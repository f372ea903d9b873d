"""Contract checks for table generators.

Whoever writes a generator with the interface of `synthkit.tables.gan.TableGAN` can run all of them on a small table:

>>> from synthkit.testing import check_synthesizer
>>> check_synthesizer(lambda: TableGAN(n_codes=8, random_state=0), frame, target="income")  # doctest: +SKIP

or one by one with `synthesizer_checks`, for a test of its own each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, zip_longest
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synthkit.errors import ConditionError, InputError
from synthkit.schema import Column, Schema
from synthkit.testing.checks import Check, require, run_checks
from synthkit.testing.estimators import (
    keeps_its_arguments,
    nothing_before_fit,
    odd_numbers_are_refused,
    refused,
    saved_and_loaded,
)
from synthkit.testing.rows import check_domain, condition_holds

Make = Callable[[], Any]
_ROWS = 60
_LAW_ROWS = 1_000
_FAR = 0.2
"""Largest Kolmogorov-Smirnov distance of two samples of 1,000 rows; independent rows stay below 0.14 but for one pair
in 10^8, and rows of Markov chains are a little less than independent."""
_MOST_CONDITIONED = 6


def check_synthesizer(make: Make, frame: pd.DataFrame, schema: Schema | None = None, target: str | None = None) -> None:
    """Run all contract checks.

    Parameters
    ----------
    make
        Returns a new generator, not fitted, with a fixed seed and settings that suit a small table.
    frame : DataFrame
        Small training table, some 50 to 1,000 rows.
    schema
        Its description; inferred when absent.
    target
        A column of at least two classes, for `balance`.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected.
    """
    run_checks(synthesizer_checks(make, frame, schema, target))


def synthesizer_checks(
    make: Make, frame: pd.DataFrame, schema: Schema | None = None, target: str | None = None
) -> Iterator[Check]:
    """Name and function of each check; parameters as for `check_synthesizer`. They share one fitted generator."""
    case = _Case(make, frame, schema, target)
    checks = (
        _keeps_its_arguments,
        _refuses_before_fit,
        _leaves_the_table_alone,
        _rows_look_like_the_table,
        _any_number_of_rows,
        _seeds_decide,
        _same_fit_again,
        _stream_of_batches,
        _stream_has_the_same_law,
        _conditions_hold,
        _unknown_conditions_are_refused,
        _model_file_keeps_everything,
        _balance_keeps_real_rows,
    )
    for check in checks:
        yield check.__name__.strip("_").replace("_", " "), partial(check, case)


@dataclass
class _Case:
    """What the checks share: how to make a generator, the table, and one generator fitted to it."""

    make: Make
    frame: pd.DataFrame
    schema: Schema | None
    target: str | None
    _fitted: list[Any] = field(default_factory=list)

    @property
    def fitted(self) -> Any:
        if not self._fitted:
            self._fitted.append(self.fit())
        return self._fitted[0]

    def fit(self) -> Any:
        return self.make().fit(self.frame, schema=self.schema, target=self.target)

    @property
    def conditioned(self) -> list[Column]:
        """Columns that take conditions: the first few of every type."""
        by_type: dict[str, list[Column]] = {}
        for column in self.fitted.schema_:
            if column.type != "text" and not (column.type == "identifier" and column.dtype in ("object", "string")):
                by_type.setdefault(column.type, []).append(column)
        turns = [column for turn in zip_longest(*by_type.values()) for column in turn if column is not None]
        return turns[:_MOST_CONDITIONED]


# ------------------------------------------------------------------------------------------------------- the checks


def _keeps_its_arguments(case: _Case) -> None:
    keeps_its_arguments(case.make())


def _refuses_before_fit(case: _Case) -> None:
    made = case.make()
    nothing_before_fit(made, case.frame, case.target)
    require(not hasattr(made, "schema_"), "there is a schema before fit")
    if getattr(made, "privacy", None) is None:  # under a budget, an error would tell how many rows there are
        refused(InputError, lambda: made.fit(case.frame.head(0)), "a table without rows")
    missing = str(case.frame.columns[0]) + "_"
    message = refused(InputError, lambda: made.fit(case.frame, schema=case.schema, target=missing), "an unknown target")
    require(missing in message, f"the error about an unknown target does not name it: {message}")


def _leaves_the_table_alone(case: _Case) -> None:
    before = case.frame.copy(deep=True)
    made = case.make()
    fitted = made.fit(case.frame, schema=case.schema, target=case.target)
    require(fitted is made, "fit does not return self")
    pd.testing.assert_frame_equal(case.frame, before)
    require(fitted.n_features_in_ == case.frame.shape[1], "n_features_in_ is not the number of columns")
    require(fitted.schema_.names == [str(name) for name in case.frame.columns], "schema_ has other columns")
    require(fitted.schema_.target == (case.target or getattr(case.schema, "target", None)), "the target is lost")
    json.dumps(fitted.report_)
    case._fitted[:] = [fitted]


def _rows_look_like_the_table(case: _Case) -> None:
    for options in ({}, {"refined": False}):
        check_domain(case.frame, case.fitted.sample(_ROWS, random_state=1, **options), case.fitted.schema_)


def _any_number_of_rows(case: _Case) -> None:
    for n in (0, 1, 7):
        rows = case.fitted.sample(n, random_state=1)
        require(len(rows) == n, f"sample({n}) has {len(rows)} rows")
        check_domain(case.frame, rows, case.fitted.schema_)
        batches = list(case.fitted.iter_sample(n, random_state=1))
        require(sum(batch.num_rows for batch in batches) == n, f"iter_sample({n}) has another number of rows")
    odd_numbers_are_refused(case.fitted)


def _seeds_decide(case: _Case) -> None:
    first, again, other = (case.fitted.sample(_ROWS, random_state=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    fresh = [case.fitted.sample(_ROWS) for _ in range(2)]
    if _varies(case):
        require(not first.equals(other), "another seed gives the same rows")
        require(not fresh[0].equals(fresh[1]), "without a seed the rows are always the same")


def _varies(case: _Case) -> bool:
    return any(column.type not in ("constant", "text") for column in case.fitted.schema_)


def _same_fit_again(case: _Case) -> None:
    if case.fitted.get_params().get("random_state") is None:
        return
    again = case.fit()
    pd.testing.assert_frame_equal(
        case.fitted.sample(_ROWS, random_state=5), again.sample(_ROWS, random_state=5), obj="a second fit"
    )


def _stream_of_batches(case: _Case) -> None:
    batches = list(case.fitted.iter_sample(_ROWS, random_state=1, batch_rows=25))
    require([batch.num_rows for batch in batches] == [25, 25, 10], "batches are not of the size asked for")
    require(len({batch.schema for batch in batches}) == 1, "batches have different schemas")
    require(
        batches[0].schema.names == [column.name for column in case.fitted.schema_ if column.type != "text"],
        "batches have other columns",
    )
    streamed = pa.Table.from_batches(batches).to_pandas()
    for column in case.fitted.schema_:
        if column.type == "identifier" and case.frame[column.name].dropna().is_unique:
            require(streamed[column.name].dropna().is_unique, f"batches repeat identifiers of {column.name!r}")
    whole = pa.Table.from_batches(list(case.fitted.iter_sample(_ROWS, random_state=1)))
    expected = pa.Table.from_pandas(case.fitted.sample(_ROWS, random_state=1), schema=whole.schema)
    require(whole.equals(expected), "one batch with a seed differs from sample with the same seed")


def _stream_has_the_same_law(case: _Case) -> None:
    batches = list(case.fitted.iter_sample(_LAW_ROWS, random_state=1, batch_rows=300))
    streamed = pa.Table.from_batches(batches).to_pandas(date_as_object=True)
    sampled = case.fitted.sample(_LAW_ROWS, random_state=2)
    for column in case.fitted.schema_:
        if column.type not in ("text", "identifier"):
            apart = _distance(sampled[column.name], streamed[column.name])
            require(apart < _FAR, f"{column.name!r} has another law in batches: distance {apart:.3f}")


def _distance(one: pd.Series[Any], other: pd.Series[Any]) -> float:
    """Kolmogorov-Smirnov distance of two samples, missing cells first; of labels in the order of their names."""
    both = pd.concat([one.astype("object"), other.astype("object")], ignore_index=True)
    try:
        ranks = both.rank(method="dense", na_option="top")
    except TypeError:
        ranks = both.astype(str).rank(method="dense")
    left, right = np.sort(ranks[: len(one)]), np.sort(ranks[len(one) :])
    at = np.unique(ranks)
    gaps = np.searchsorted(left, at, "right") / len(left) - np.searchsorted(right, at, "right") / len(right)
    return float(np.abs(gaps).max(initial=0.0))


# --------------------------------------------------------------------------------------------------------- conditions


def _conditions(cells: pd.Series[Any], column: Column) -> list[Any]:
    """One condition of each kind that a column takes, the rarest value among them."""
    counts = cells.value_counts()
    counts = counts[counts > 0]
    found: list[Any] = [None] if cells.isna().any() else []
    if not len(counts):
        return found
    values = [_plain(value) for value in counts.index]
    found += [values[0], values[-1], [values[0], values[-1]]]
    if cells.isna().any():
        found.append([values[-1], None])
    if column.type in ("continuous", "integer", "datetime") and column.text_format is None:
        ordered = sorted(values)
        low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
        found += [(low, high), (None, low), (high, None), (low, low)]
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _conditions_hold(case: _Case) -> None:
    columns = {column.name: _conditions(case.frame[column.name], column) for column in case.conditioned}
    columns = {name: wanted for name, wanted in columns.items() if wanted}
    asked: list[dict[str, Any]] = [{name: one} for name, wanted in columns.items() for one in wanted]
    for size in (2, 3):
        for turn, names in enumerate(combinations(columns, size)):
            asked.append({name: columns[name][(turn + i) % len(columns[name])] for i, name in enumerate(names)})
    for turn, where in enumerate(asked):
        for options in ({}, {"refined": False}) if turn % 4 == 0 else ({},):
            rows = case.fitted.sample(20, where=where, random_state=turn, **options)
            require(len(rows) == 20, f"{len(rows)} rows under {where}, expected 20")
            check_domain(case.frame, rows, _without_unique(case.fitted.schema_, where))
            for name, one in where.items():
                require(condition_holds(rows[name], one), f"where={where} does not hold in {name!r}: {rows[name]}")
    if asked:
        batches = case.fitted.iter_sample(20, where=asked[-1], random_state=1, batch_rows=8)
        streamed = [case.fitted.sample(0), *(batch.to_pandas(date_as_object=True) for batch in batches)]
        require(sum(map(len, streamed)) == 20, "iter_sample under conditions has another number of rows")


def _without_unique(schema: Schema, where: Mapping[str, Any]) -> Schema:
    """The schema with conditioned identifiers as plain numbers: five values cannot be unique in twenty rows."""
    for name in where:
        if schema[name].type == "identifier":
            schema = schema.replace(name, type="integer")
    return schema


def _unknown_conditions_are_refused(case: _Case) -> None:
    def asked(name: str, condition: Any, n: int = 1) -> Callable[[], object]:
        return lambda: case.fitted.sample(n, where={name: condition})

    for column in case.conditioned:
        message = refused(ConditionError, asked(f"{column.name}_", 1), "an unknown column")
        require(repr(column.name) in message, f"the error does not name {column.name!r}: {message}")
        nonsense: tuple[Any, ...] = ([], (1, 2, 3))
        for odd in nonsense:
            refused(ConditionError, asked(column.name, odd), f"the condition {odd!r}")
        if column.type == "datetime":
            continue
        is_number = column.type in ("continuous", "integer", "identifier")
        wrong = (float(case.frame[column.name].max()) + 1, None) if is_number else "no such label"
        for n in (0, 1):
            message = refused(ConditionError, asked(column.name, wrong, n), f"{wrong!r} for column {column.name!r}")
            require(repr(column.name) in message, f"the error does not name {column.name!r}: {message}")


# ------------------------------------------------------------------------------------------------ files and balance


def _model_file_keeps_everything(case: _Case) -> None:
    loaded = saved_and_loaded(case.fitted)
    require(loaded.schema_ == case.fitted.schema_, "a loaded model has another schema")
    for options in ({}, {"refined": False}):
        pd.testing.assert_frame_equal(
            case.fitted.sample(_ROWS, random_state=6, **options), loaded.sample(_ROWS, random_state=6, **options)
        )


def _balance_keeps_real_rows(case: _Case) -> None:
    if case.target is None:
        refused(InputError, lambda: case.fitted.balance(case.frame), "balance without a target")
        return
    kept = [column.name for column in case.fitted.schema_ if column.type != "text"]
    real = case.frame[kept].reset_index(drop=True)
    counts = real[case.target].value_counts()
    counts = counts[counts > 0]
    before = case.frame.copy(deep=True)
    balanced = case.fitted.balance(case.frame, case.target, random_state=1)
    pd.testing.assert_frame_equal(case.frame, before)
    pd.testing.assert_frame_equal(balanced.head(len(real)), real)
    reached = balanced[case.target].value_counts()[counts.index]
    require((reached == counts.max()).all(), f"balanced classes have {reached.to_dict()} rows, had {counts.to_dict()}")
    check_domain(real, balanced.iloc[len(real) :].reset_index(drop=True), case.fitted.schema_)
    for name in [column.name for column in case.fitted.schema_ if column.type == "identifier"]:
        repeats = real[name].dropna().is_unique and not balanced[name].dropna().is_unique
        require(not repeats, f"new rows repeat identifiers of real ones in {name!r}")
    again = case.fitted.balance(case.frame, case.target, random_state=1)
    pd.testing.assert_frame_equal(balanced, again)
    rarest = counts.index[-1]
    more = case.fitted.balance(case.frame, case.target, counts={rarest: int(counts.iloc[-1]) + 3}, random_state=1)
    require(len(more) == len(real) + 3, f"{len(more)} rows, expected three more than {len(real)}")
    require(condition_holds(more[case.target].tail(3), _plain(rarest)), "the added rows are of another class")
