"""Contract checks for metrics: what every score keeps, on ordinary tables and on awkward ones.

>>> from synthkit.evaluation.metrics import METRICS
>>> from synthkit.testing import check_metric
>>> check_metric(METRICS["shape_err"])
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from string import Formatter

import numpy as np
import pandas as pd

from synthkit.evaluation.case import Case, Limits
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score
from synthkit.evaluation.suite import NEEDED
from synthkit.evaluation.threads import few_threads
from synthkit.random import RandomSource
from synthkit.testing.checks import Check, require, run_checks

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Options]
_ROWS = 240
_PLACEHOLDERS = {"value", "percent", "measure"}
# What a metric survives does not depend on the number of rows that it draws.
_FEW = Limits(detection=600, control=400, linear_control=400, neighbours=300, training=600, testing=600)
# Rounding of sums of floats.
_SLACK = 1e-9


def check_metric(metric: Metric) -> None:
    """Run all contract checks.

    Parameters
    ----------
    metric
        The metric to check.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected.
    """
    run_checks(metric_checks(metric), metric.name)


def metric_checks(metric: Metric) -> Iterator[Check]:
    """Name and function of each check."""
    yield "says what it is", partial(_says_what_it_is, metric)
    yield "keeps its bounds", partial(_keeps_its_bounds, metric)
    yield "gives the same twice", partial(_gives_the_same_twice, metric)
    yield "leaves the tables alone", partial(_leaves_the_tables_alone, metric)
    yield "leaves out what it cannot compute", partial(_is_left_out_without_its_options, metric)
    for name in awkward_tables():
        yield f"survives {name}", partial(_survives, metric, name)


def _says_what_it_is(metric: Metric) -> None:
    for name in ("title", "source", "meaning", "reading", "lies", "good", "rows"):
        text = getattr(metric, name)
        require(text and text == text.strip(), f"{name} is empty or has blanks around it")
    for name in ("meaning", "reading", "lies", "good"):
        require(getattr(metric, name).endswith("."), f"{name} is no sentence")
    low, high = metric.bounds
    require(low < high, f"bounds {metric.bounds} are in the wrong order")
    require(metric.ideal is None or low <= metric.ideal <= high, f"ideal {metric.ideal} is out of bounds")
    placeholders = {field for _, field, _, _ in Formatter().parse(metric.meaning) if field is not None}
    require(placeholders <= _PLACEHOLDERS, f"meaning has the unknown placeholders {placeholders - _PLACEHOLDERS}")
    require(set(metric.needs) <= set(NEEDED), f"unknown needs {metric.needs}")


def _keeps_its_bounds(metric: Metric) -> None:
    score = _scored(metric, ordinary_case())
    require(score.applies, f"does not apply to an ordinary table: {score.note}")
    _check(metric, score)
    require(not math.isnan(score.low), "has no interval")
    require(score.n > 0, "does not say how many rows it rests on")
    if metric.ceiling != "none":
        require(not math.isnan(score.ceiling), "has no ceiling")
    if metric.floor:
        require(not math.isnan(score.floor), "has no floor")


def _gives_the_same_twice(metric: Metric) -> None:
    first, second = (_fresh(ordinary_tables()) for _ in range(2))
    with few_threads(0):
        found = [json.dumps(metric.compute(case).to_dict(), sort_keys=True) for case in (first, second)]
    require(found[0] == found[1], "differs when computed again")


def _leaves_the_tables_alone(metric: Metric) -> None:
    case = _fresh(ordinary_tables())
    before = [rows.frame.copy() for rows in (case.train, case.test, case.synthetic)]
    coded = [(rows.coded.numbers.copy(), rows.coded.codes.copy()) for rows in (case.train, case.test, case.synthetic)]
    _scored(metric, case)
    for rows, frame, (numbers, codes) in zip((case.train, case.test, case.synthetic), before, coded, strict=True):
        pd.testing.assert_frame_equal(rows.frame, frame)
        np.testing.assert_array_equal(rows.coded.numbers, numbers)
        np.testing.assert_array_equal(rows.coded.codes, codes)


def _is_left_out_without_its_options(metric: Metric) -> None:
    real, made, test, _ = ordinary_tables()
    case = _fresh((real, made, test, Options()))
    missing = metric.wants(case)
    require((missing is None) == (not metric.needs), f"needs {metric.needs}, and without options it wants {missing}")
    if missing is None:
        _check(metric, metric.compute(case))


def _survives(metric: Metric, name: str) -> None:
    case = _awkward_case(name)
    if metric.wants(case) is None:
        _check(metric, _scored(metric, case))


def _scored(metric: Metric, case: Case) -> Score:
    with few_threads(0):
        return metric.score(case)


def _check(metric: Metric, score: Score) -> None:
    """Check a score alone."""
    require(score.direction == metric.direction, f"direction is {score.direction}, declared {metric.direction}")
    json.dumps(score.to_dict(), allow_nan=False)
    if not score.applies:
        require(score.note, "does not apply and does not say why")
        return
    low, high = metric.bounds
    require(low - _SLACK <= score.value <= high + _SLACK, f"{score.value} is out of bounds {metric.bounds}")
    if not math.isnan(score.low):
        require(
            score.low - _SLACK <= score.value <= score.high + _SLACK,
            f"the interval {score.low} to {score.high} leaves out the value {score.value}",
        )


def _fresh(tables: Tables) -> Case:
    real, made, test, options = tables
    return read_case(real, made, test, options, _FEW)[0]


@cache
def _awkward_case(name: str) -> Case:
    """Return the case of awkward tables; its shared work is done once for all metrics."""
    return _fresh(awkward_tables()[name])


@cache
def ordinary_case() -> Case:
    """Return the case of `ordinary_tables`; its shared work is done once for all checks."""
    return _fresh(ordinary_tables())


@cache
def ordinary_tables() -> Tables:
    """Return real, synthetic and held-out rows with every kind of column, and the options that ask for everything."""
    return _people("real", _ROWS), _people("synthetic", _ROWS), _people("held-out", _ROWS), _EVERYTHING


_EVERYTHING = Options("income", ("sex",), ("town",), 0)


def _people(name: str, rows: int) -> pd.DataFrame:
    random = RandomSource(0).numpy(name)
    age = random.integers(18, 90, rows)
    hours = np.round(20 + age / 4 + random.normal(0, 3, rows), 1)
    town = random.choice(["Bern", "Basel", "Thun"], rows)
    # Real rows know a pair of values that never meet.
    sex = np.where((town == "Thun") & (name != "synthetic"), "m", random.choice(["f", "m"], rows))
    income = np.where(hours + 2 * (sex == "m") + random.normal(0, 2, rows) > 34, ">50K", "<=50K")
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D")
    frame = pd.DataFrame({"age": age, "hours": hours, "sex": sex, "income": income, "begin": begin})
    frame["end"] = frame["begin"] + pd.to_timedelta(random.integers(0, 400, rows), unit="D")
    frame["town"] = pd.Series(town).mask(random.random(rows) < 0.1)
    frame["hours"] = frame["hours"].mask(random.random(rows) < 0.1)
    return frame


@cache
def awkward_tables() -> dict[str, Tables]:
    """Return tables on which scores have been seen to break, by name, with the options to evaluate them with."""
    real, made, test, _ = ordinary_tables()
    one_class = made.assign(income=">50K")
    return {
        "ten rows": (real.head(10), made.head(10), test.head(10), _EVERYTHING),
        "fifty rows": (real.head(50), made.head(50), test.head(50), _EVERYTHING),
        "a copy of the training table": (real, real.copy(), test, _EVERYTHING),
        "one synthetic class": (real, one_class, test, _EVERYTHING),
        "one real class": (real.assign(income="a"), made.assign(income="a"), test.assign(income="a"), _EVERYTHING),
        "a class that is missing": _three_classes(),
        "a number to predict": (real, made, test, Options("age", ("sex",), ("town",), 0)),
        "odd columns": _drawn(_odd, Options("class", ("truth",), ("category",), 0)),
        "numbers alone": _drawn(_numbers, Options("b", (), (), 0)),
        "one column": (real[["town"]], made[["town"]], test[["town"]], Options()),
        "one number": (real[["age"]], made[["age"]], test[["age"]], Options()),
        "constant columns": _drawn(_constant, Options("same", (), ("same",), 0)),
        "many categories": _drawn(_many_categories, Options("label", ("flag",), ("flag",), 0)),
        "many columns": _drawn(_many_columns, Options("column 0", (), (), 0)),
        "a date that is always the same": (real, made.assign(begin=made["begin"].iloc[0]), test, _EVERYTHING),
        "bad cells": (real, made.assign(age=made["age"].astype(object).where(made.index > 3, "x")), test, _EVERYTHING),
    }


def _drawn(draw: Callable[[int], pd.DataFrame], options: Options) -> Tables:
    return draw(0), draw(1), draw(2), options


def _three_classes() -> Tables:
    real, made, test, _ = ordinary_tables()
    tables = []
    for number, frame in enumerate((real, made, test)):
        third = frame["age"] > 75
        tables.append(frame if number == 1 else frame.assign(income=frame["income"].mask(third, "third")))
    return tables[0], tables[1], tables[2], _EVERYTHING


def _odd(seed: int) -> pd.DataFrame:
    rows = 60
    random = RandomSource(seed).numpy("odd")
    return pd.DataFrame(
        {
            "constant": 1.5,
            "missing": np.nan,
            "one label": "same",
            "mixed": [1, "a", 2.5, None] * 15,
            "moment": pd.date_range("2024-03-30", periods=rows, freq="h", tz="Europe/Zurich"),
            "nullable": pd.array([1, 2, 3, None] * 15, dtype="Int64"),
            "truth": pd.array([True, False, None] * 20, dtype="boolean"),
            "category": pd.Categorical(random.choice(["x", "y"], rows), categories=["y", "x", "z"], ordered=True),
            "text": pd.array(random.choice(["p", "q"], rows), dtype="string"),
            "number": random.normal(size=rows),
            "class": random.choice(["no", "yes"], rows),
        }
    )


def _numbers(seed: int) -> pd.DataFrame:
    random = RandomSource(seed).numpy("numbers")
    values = random.normal(size=(80, 2))
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 0] + values[:, 1]})


def _constant(seed: int) -> pd.DataFrame:
    return pd.DataFrame({"same": ["a"] * 30, "number": [float(seed == 1)] * 30, "nothing": [np.nan] * 30})


def _many_categories(seed: int) -> pd.DataFrame:
    random = RandomSource(seed).numpy("categories")
    codes = random.permutation(np.r_[np.arange(10_000), random.integers(0, 10_000, 2_000)])
    flags = np.where(codes % 7 == 0, "yes", "no")
    return pd.DataFrame(
        {"code": [f"code {code}" for code in codes], "flag": flags, "label": random.integers(0, 2, 12_000)}
    )


def _many_columns(seed: int) -> pd.DataFrame:
    random = RandomSource(seed).numpy("columns")
    frame = pd.DataFrame({f"column {number}": random.integers(0, 4, 60) for number in range(55)})
    return frame.join(pd.DataFrame(random.normal(size=(60, 55)), columns=[f"number {number}" for number in range(55)]))
