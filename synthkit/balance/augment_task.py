"""What an experiment is about: checks of the tables and names, and the rows of every repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.balance.experiment import Question
from synthkit.balance.learners import LEARNERS
from synthkit.balance.measures import measures_of
from synthkit.balance.table import SMALLEST
from synthkit.balance.treatments import CONTROL, TREATMENTS, target_values
from synthkit.errors import DataError, InputError, SchemaError, unknown_name
from synthkit.evaluation.models import MOST_CLASSES
from synthkit.evaluation.view import is_number
from synthkit.gan.budget import Budget
from synthkit.random import RandomSource
from synthkit.schema import Schema

# A numeric target with more distinct values than this is predicted as a number.
MOST_CODES = 20
FEWEST_OF_A_CLASS = 10
FEWEST_ROWS = 50
HELD_OUT = 0.2
KEPT = 0.8
"""Share of the training rows, and of a given test table, that each repeat uses."""
# More test rows than this that are rows of the table too are pointed out.
_MANY = 0.5
_NO_PREDICTORS = ("identifier", "text", "constant")


@dataclass(frozen=True)
class Task:
    """What is asked, of which rows.

    Attributes
    ----------
    frame, test
        Real rows; `test` is None where the frame is split.
    question
        What is predicted from what.
    treatments, models
        Names of what is compared, in the order of the registries.
    metric
        Name of the measure that decides.
    design
        How rows are drawn for the repeats, in one sentence.
    notes
        What was left out, in sentences.
    """

    frame: pd.DataFrame
    test: pd.DataFrame | None
    question: Question
    treatments: tuple[str, ...]
    models: tuple[str, ...]
    metric: str
    design: str
    notes: tuple[str, ...]


def make_task(
    frame: pd.DataFrame,
    target: str,
    test: pd.DataFrame | None,
    treatments: Sequence[str] | None,
    models: Sequence[str] | None,
    metric: str | None,
    *,
    precision: float,
    max_rows: int | None,
    random: RandomSource,
    time_budget: str | float | None,
) -> Task:
    """Check everything that can be wrong before anything is computed; see `synthkit.augment` for the parameters.

    Raises
    ------
    InputError
        What does not fit, in one sentence.
    """
    Budget.parse(time_budget)
    chosen_models = _named("model", models, list(LEARNERS))
    if not 0 < precision <= 1:
        raise InputError(f"the fixed precision is {precision!r}, expected more than 0 and at most 1")
    if max_rows is not None and max_rows < FEWEST_ROWS:
        raise InputError(f"at most {max_rows!r} rows are to be used, expected at least {FEWEST_ROWS}")
    names = [str(name) for name in frame.columns]
    if target not in names:
        raise SchemaError(unknown_name("target column", target, names), remedy="choose a column of the table")
    _check_target(frame, target, "the table")
    if test is not None:
        _check_test(frame, test, target)
    columns, left_out = predictors(frame, target)
    if not columns:
        raise DataError(f"there is no column to predict {target!r} from", remedy="give a table with other columns")
    notes = [f"{name!r} is not used to predict: {kind}." for name, kind in left_out.items()]
    classes = _classes(frame, target)
    if classes and len(classes) > MOST_CLASSES:
        raise DataError(
            f"the target {target!r} has {len(classes):,} classes, expected at most {MOST_CLASSES}",
            remedy="merge classes, or choose another target",
        )
    chosen = _treatments(treatments, number=not classes, target=target)
    deciding = _metric(metric, len(classes))
    if test is not None and classes:
        _check_test_classes(frame, test, target, classes)
    if test is not None and (same := _same_rows(frame, test)) > _MANY:
        notes.append(f"{100 * same:.0f} % of the rows of the test table are rows of the table too: is it held out?")
    used, held_out = _limited(frame, target, classes, max_rows, random, notes, "rows of the table"), test
    if test is not None:
        held_out = _limited(test, target, classes, max_rows, random, notes, "rows of the test table")
    for part, kind in ((used, "the table"), (held_out, "the test table")):
        if part is not None:
            _check_sizes(part, target, classes, kind)
    counts = np.bincount(target_values(used[target], classes)) if classes else np.zeros(1, dtype=np.int64)
    if "tablegan-balance" in chosen:
        notes += _interpolated_classes(classes, counts)
    # of two equally rare classes the last is the one to find: 1 rather than 0, yes rather than no
    positive = int(len(counts) - 1 - np.argmin(counts[::-1]))
    question = Question(target, columns, classes, positive, precision)
    return Task(
        used, held_out, question, chosen, chosen_models, deciding, _design(classes, held_out is None), tuple(notes)
    )


def predictors(frame: pd.DataFrame, target: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the columns to predict from, and the type of each that says nothing about other rows.

    Raises
    ------
    InputError
        A table that cannot be described, such as one with a column name twice.
    """
    types = {column.name: str(column.type) for column in Schema.infer(frame) if column.name != target}
    left_out = {name: kind for name, kind in types.items() if kind in _NO_PREDICTORS}
    return tuple(name for name in types if name not in left_out), left_out


def _interpolated_classes(classes: tuple[Any, ...], counts: npt.NDArray[Any]) -> Iterator[str]:
    """Yield that classes are too small for a generator, which `balance_table` then interpolates."""
    for label, count in zip(classes, counts, strict=True):
        if round(KEPT * count) < SMALLEST and count < counts.max():
            yield (
                f"class {str(label)!r} has {round(KEPT * count)} training rows, fewer than {SMALLEST}: for 'TableGAN, "
                "balance' they are interpolated, as `synthkit balance` does."
            )


def _design(classes: tuple[Any, ...], split: bool) -> str:
    by_class = ", by class" if classes else ""
    if split:
        return f"Each repeat holds another {HELD_OUT:.0%} of the rows out{by_class}, and judges on them.".replace(
            "%", " %"
        )
    return (
        f"Each repeat learns from another {KEPT:.0%} of the table and judges on another {KEPT:.0%} of the test "
        f"table{by_class}; the intervals are scaled to other rows of either."
    ).replace("%", " %")


def repeats_of(task: Task, repeats: int, random: RandomSource) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return the training and the test rows of each repeat."""
    for place in range(repeats):
        own = random.child(f"repeat {place}")
        kept, rest = _split(task.frame, task, own.integer("rows"))
        if task.test is None:
            yield kept, rest
        else:
            yield kept, _split(task.test, task, own.integer("test rows"))[0]


def _split(frame: pd.DataFrame, task: Task, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `KEPT` of the rows and the rest, by class where there are classes, both in the order of the table."""
    from sklearn.model_selection import train_test_split

    labels = target_values(frame[task.question.target], task.question.classes) if task.question.classes else None
    parts = train_test_split(np.arange(len(frame)), train_size=KEPT, random_state=seed, stratify=labels)
    kept, rest = (frame.iloc[np.sort(part)].reset_index(drop=True) for part in parts)
    return kept, rest


# ------------------------------------------------------------ names


def _named(kind: str, given: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the chosen names in the order of the registry; all without a choice."""
    if given is None:
        return tuple(known)
    if isinstance(given, str):
        given = (given,)
    for name in given:
        if name not in known:
            raise InputError(unknown_name(kind, str(name), known))
    if not given:
        raise InputError(f"no {kind} is named", remedy=f"name one of {', '.join(known)}, or leave it out for all")
    return tuple(name for name in known if name in given)


def _treatments(given: Sequence[str] | None, *, number: bool, target: str) -> tuple[str, ...]:
    known = list(TREATMENTS)
    fitting = [name for name, one in TREATMENTS.items() if (one.numbers if number else one.classes)]
    if given is None:
        return tuple(fitting)
    chosen = _named("treatment", given, known)
    for name in chosen:
        if name not in fitting:
            raise InputError(
                f"the treatment {name!r} applies to classes, and {target!r} is a number",
                remedy=f"choose from {', '.join(fitting)}, or a target with at most {MOST_CODES} values",
            )
    return tuple(name for name in known if name in {CONTROL, *chosen})


def _metric(given: str | None, n_classes: int) -> str:
    known = measures_of(n_classes)
    if given is None:
        return next(iter(known))
    name = given.replace("-", "_")
    if name not in known:
        raise InputError(unknown_name("metric", given, known))
    return name


# ------------------------------------------------------------ tables


def _check_target(frame: pd.DataFrame, target: str, where: str) -> None:
    missing = int(frame[target].isna().sum())
    if missing:
        raise DataError(
            f"the target {target!r} is missing in {missing:,} of {len(frame):,} rows of {where}",
            remedy="leave these rows out first",
        )
    if frame[target].nunique() < 2:
        raise DataError(
            f"the target {target!r} has a single value in all {len(frame):,} rows of {where}, expected at least two",
            remedy="choose another target",
        )


def _check_test(frame: pd.DataFrame, test: pd.DataFrame, target: str) -> None:
    ours, theirs = list(map(str, frame.columns)), list(map(str, test.columns))
    remedy = "give a test table with the columns of the table"
    for name in ours:
        if name not in theirs:
            raise SchemaError(f"the test table lacks the column {name!r}", remedy=remedy)
    for name in theirs:
        if name not in ours:
            raise SchemaError(f"the test table has a column {name!r} that the table lacks", remedy=remedy)
    for name in ours:
        kinds = [_kind(part[name]) for part in (frame, test)]
        if kinds[0] != kinds[1] and "nothing" not in kinds:
            raise SchemaError(
                f"the column {name!r} holds {kinds[0]} in the table and {kinds[1]} in the test table", remedy=remedy
            )
    _check_target(test, target, "the test table")


def _same_rows(frame: pd.DataFrame, test: pd.DataFrame) -> float:
    """Return the share of test rows that a row of the table equals in every column."""
    ours, theirs = (pd.util.hash_pandas_object(part[frame.columns].astype(str), index=False) for part in (frame, test))
    return float(theirs.isin(ours).mean())


def _kind(series: pd.Series[Any]) -> str:
    """Return what a column holds, in one word."""
    if series.isna().all():
        return "nothing"
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return "dates"
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_numeric_dtype(series.dtype):
        return "numbers"
    # missing cells turn numbers and truth values into objects
    if all(isinstance(value, bool | int | float | np.generic) for value in series.dropna().unique()[:100]):
        return "numbers"
    return "text"


def _classes(frame: pd.DataFrame, target: str) -> tuple[Any, ...]:
    """Return the classes in order, or nothing where the target is predicted as a number."""
    values = frame[target]
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        raise DataError(
            f"the target {target!r} holds dates, expected classes or numbers", remedy="choose another target"
        )
    if is_number(values) and values.nunique() > MOST_CODES:
        return ()
    return tuple(sorted(values.unique(), key=_by_value))


def _by_value(label: Any) -> tuple[bool, float, str]:
    """Sort numbers by value, everything else by its text."""
    if isinstance(label, bool | int | float | np.number | np.bool_):
        return False, float(label), ""
    return True, 0.0, str(label)


def _check_test_classes(frame: pd.DataFrame, test: pd.DataFrame, target: str, classes: tuple[Any, ...]) -> None:
    unknown = test[target][target_values(test[target], classes) < 0]
    if len(unknown):
        known = [str(label) for label in classes]
        raise DataError(
            f"the test table has an {unknown_name('class', str(unknown.iloc[0]), known)} (column {target!r})",
            remedy="give test rows of the classes of the table",
        )


def _limited(
    frame: pd.DataFrame,
    target: str,
    classes: tuple[Any, ...],
    most: int | None,
    random: RandomSource,
    notes: list[str],
    what: str,
) -> pd.DataFrame:
    """Return at most so many rows, drawn by class, and note it."""
    if most is None or len(frame) <= most:
        return frame.reset_index(drop=True)
    rng = random.numpy(f"at most {what}")
    drawn = _share(target_values(frame[target], classes), most, rng) if classes else rng.permutation(len(frame))[:most]
    notes.append(f"{most:,} of {len(frame):,} {what} were used.")
    return frame.iloc[np.sort(drawn)].reset_index(drop=True)


def _share(codes: npt.NDArray[np.int64], most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return places of `most` rows in which every class has its share, to the nearest row."""
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    # every n-th row of an order by class
    return np.asarray(order[np.floor(np.arange(most) * (len(codes) / most)).astype(np.int64)])


def _check_sizes(frame: pd.DataFrame, target: str, classes: tuple[Any, ...], kind: str) -> None:
    if len(frame) < FEWEST_ROWS:
        raise DataError(
            f"{kind} has {len(frame)} rows, expected at least {FEWEST_ROWS}: fewer cannot tell treatments apart"
        )
    counts = np.bincount(target_values(frame[target], classes), minlength=len(classes)) if classes else np.zeros(0)
    for label, count in zip(classes, counts, strict=True):
        if count < FEWEST_OF_A_CLASS:
            raise DataError(
                f"class {str(label)!r} of {target!r} has {count} row{'' if count == 1 else 's'} in {kind}, expected at "
                f"least {FEWEST_OF_A_CLASS} to be split",
                remedy="merge it with another class, leave it out, or find more rows of it",
            )
