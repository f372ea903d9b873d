"""Contract checks for private mechanisms: that the program does what the record claims.

>>> from synthkit.privacy.mechanisms import MECHANISMS
>>> from synthkit.testing.mechanisms import check_mechanism
>>> check_mechanism(MECHANISMS["histogram"])

They can only refute. That no table whatever changes the exact numbers by more than the sensitivity is for a proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import InputError, SynthkitError
from synthkit.privacy.mechanisms import Mechanism
from synthkit.privacy.noise import NoiseSource
from synthkit.random import RandomSource
from synthkit.testing.checks import Check, require, run_checks

Data = NDArray[Any]

_NEIGHBOURS = 60
_RUNS = 150
_CORRELATED = 8
# A statistic with this many deviations happens by chance once in 10**9 checks.
_DEVIATIONS = 6.0
# Rounding of sums of squares.
_SLACK = 1e-9
_POISONED: dict[str, list[Any]] = {
    "codes": [-1, -7, 10**6, 10**12],
    "ticks": [-(10**15), 10**15, 201, -21],
    "labels": ["poisoned: no other row has this label", "", None, float("nan")],
}


def check_mechanism(mechanism: Mechanism) -> None:
    """Run all contract checks.

    Parameters
    ----------
    mechanism
        The record to check.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected.
    """
    run_checks(mechanism_checks(mechanism), mechanism.name)


def mechanism_checks(mechanism: Mechanism) -> Iterator[Check]:
    """Name and function of each check."""
    yield "says what it is", partial(_says_what_it_is, mechanism)
    for adjacency in ("add-remove", "replace-one"):
        name = f"neighbours differ by at most the sensitivity ({adjacency})"
        yield name, partial(_keeps_its_sensitivity, mechanism, adjacency)
    yield "the noise has the stated scale", partial(_has_the_stated_noise, mechanism)
    yield "the noise comes from the source", partial(_takes_noise_from_the_source, mechanism)
    yield "a poisoned row does not show", partial(_hides_a_poisoned_row, mechanism)
    if mechanism.data == "labels":
        yield "labels of one row are hardly ever published", partial(_hides_rare_labels, mechanism)
    yield "survives any table", partial(_survives, mechanism)
    yield "leaves the data alone", partial(_leaves_the_data_alone, mechanism)


def change(mechanism: Mechanism, before: Data, after: Data, parameters: Mapping[str, Any] | None = None) -> float:
    """Return by how much the exact numbers differ between two tables, in the norm of the mechanism.

    Parameters
    ----------
    mechanism
        The record.
    before, after
        Rows of the kind that the mechanism reads, shape [n, ...] and [m, ...].
    parameters
        By default those of its example.
    """
    chosen = mechanism.example if parameters is None else parameters
    first, second = mechanism.exact(before, **chosen), mechanism.exact(after, **chosen)
    gaps = [abs(first.get(key, 0) - second.get(key, 0)) for key in {*first, *second}]
    return float(sum(gaps)) if mechanism.norm == "L1" else math.sqrt(sum(gap * gap for gap in gaps))


def check_row_wise(function: Callable[[Mapping[str, Data]], Mapping[str, Data]], rows: Mapping[str, Data]) -> None:
    """Check that a transformation works row by row: a row of the result depends on that row alone.

    Parameters
    ----------
    function
        What is given to `PrivateRows.map`.
    rows
        Invented rows that differ from each other, at least three, columns of shape [n, ...].

    Raises
    ------
    AssertionError
        If the result for a row changes with the other rows, or with their number or order.
    InputError
        If there are fewer than three rows: with so few, hardly anything shows.
    """
    size = min(map(len, rows.values()), default=0)
    if size < 3:
        raise InputError(
            f"the check of a row-wise function expects at least three rows, got {size}",
            remedy="Give a few invented rows that differ from each other.",
        )
    whole = function(rows)
    for name, places in {
        "the other rows are left out": [[place] for place in range(size)],
        "a row is left out": [[other for other in range(size) if other != place] for place in range(size)],
        "the rows are turned around": [list(range(size))[::-1]],
        "a row is repeated": [[*range(size), 0, 0]],
    }.items():
        for chosen in places:
            part = function({column: values[chosen] for column, values in rows.items()})
            require(part.keys() == whole.keys(), f"there are other columns when {name}")
            for column, values in part.items():
                same = _same(values, whole[column][chosen])
                require(same, f"column {column!r} has other values, or of another type, when {name}")


def example_rows(mechanism: Mechanism, n: int, random: np.random.Generator) -> Data:
    """Return n invented rows of the kind that a mechanism reads; many share values, none is poisoned."""
    drawn: Data
    if mechanism.data == "codes":
        return random.integers(0, 5, n)
    if mechanism.data == "table":
        sizes = mechanism.example["sizes"]
        related = random.integers(0, max(sizes), (n, 1))
        drawn = np.where(random.random((n, len(sizes))) < 0.4, related, random.integers(0, 9, (n, len(sizes))))
        drawn %= np.array(sizes)
        return drawn
    if mechanism.data == "ticks":
        return np.where(random.random(n) < 0.3, random.choice([-1, 0, 40], n), random.integers(-20, 201, n))
    return random.choice(np.array(["a", "b", "c", "ß"], dtype=object), n)


def poisoned_row(mechanism: Mechanism, kind: int) -> Data:
    """Return one row that no sensible table has, shape [1, ...]; kind 0 to 3."""
    if mechanism.data == "labels":
        return np.array([_POISONED["labels"][kind]], dtype=object)
    if mechanism.data == "table":
        return np.full((1, len(mechanism.example["sizes"])), _POISONED["codes"][kind])
    return np.array([_POISONED[mechanism.data][kind]])


def _same(first: Data, second: Data) -> bool:
    """Whether two arrays are the same, their types and missing cells included."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.kind == "O":
        return all(_same_cell(one, other) for one, other in zip(first.flat, second.flat, strict=True))
    return bool(np.array_equal(first, second, equal_nan=first.dtype.kind in "fcmM"))


def _same_cell(one: Any, other: Any) -> bool:
    # what is missing is not equal to itself: a float NaN is unequal, pandas' NA neither equal nor unequal
    return one is other or (type(one) is type(other) and bool(one == other or (one != one and other != other)))


def _says_what_it_is(mechanism: Mechanism) -> None:
    for name in ("name", "title", "source", "proof"):
        text = getattr(mechanism, name)
        require(text and text == text.strip(), f"{name} is empty or has blanks around it")
    require((mechanism.norm == "L1") == ("laplace" in mechanism.noise), "Laplace noise goes with L1, Gaussian with L2")
    for adjacency in ("add-remove", "replace-one"):
        claimed = mechanism.sensitivity(adjacency, **mechanism.example)
        require(math.isfinite(claimed) and claimed >= 0, f"the sensitivity under {adjacency} is {claimed}")
        thrice = mechanism.sensitivity(adjacency, **{**mechanism.example, "rows_per_unit": 3})
        require(math.isclose(thrice, 3 * claimed), f"three rows per unit have sensitivity {thrice}, one has {claimed}")
    require(mechanism.scale(**mechanism.example) > 0, "there is no noise")


def _keeps_its_sensitivity(mechanism: Mechanism, adjacency: str) -> None:
    random = RandomSource(0).numpy(f"neighbours {mechanism.name}")
    for turn in range(_NEIGHBOURS):
        # A single row matters most among few, or among many that are all the same.
        rows = example_rows(mechanism, int(random.integers(0, (4, 60, 2)[turn % 3])), random)
        rows = np.concatenate([rows] * 100) if turn % 3 == 2 else rows
        unit = int(random.integers(1, 4))
        before = np.concatenate([rows, *_unit(mechanism, unit, random)])
        # the unit in its place may have fewer rows: "at most" is all that is known of either
        other = int(random.integers(1, unit + 1))
        after = np.concatenate([rows, *_unit(mechanism, other, random)]) if adjacency == "replace-one" else rows
        found = change(mechanism, before, after)
        claimed = mechanism.sensitivity(adjacency, **{**mechanism.example, "rows_per_unit": unit})
        require(
            found <= claimed * (1 + _SLACK),
            f"a unit with {unit} rows changes the numbers by {found} in {mechanism.norm}, claimed are {claimed}",
        )


def _unit(mechanism: Mechanism, rows: int, random: np.random.Generator) -> list[Data]:
    """Return the rows of one unit, often all the same, sometimes poisoned."""
    poison, same = random.random() < 0.3, random.random() < 0.7
    if poison:
        drawn = [poisoned_row(mechanism, int(random.integers(0, 4))) for _ in range(rows)]
    else:
        drawn = [example_rows(mechanism, 1, random) for _ in range(rows)]
    return drawn[:1] * rows if same else drawn


def _has_the_stated_noise(mechanism: Mechanism) -> None:
    data = example_rows(mechanism, 1000, RandomSource(0).numpy(f"noise {mechanism.name}"))
    exact = mechanism.exact(data, **mechanism.example)
    noise = NoiseSource(reproducible_seed=0)
    runs: list[Mapping[Any, float]] = []
    for _ in range(_RUNS):
        runs.append(mechanism.measured(mechanism.run(data, noise=noise, **mechanism.example), **mechanism.example))
    errors = np.array([value - exact.get(key, 0) for run in runs for key, value in run.items()], float)
    require(errors.size >= _RUNS, f"{errors.size} noisy numbers came out of {_RUNS} runs")
    scale = mechanism.scale(**mechanism.example)
    if mechanism.noise == "discrete laplace":
        step = math.exp(-1 / scale)
        variance, fourth = 2 * step / (1 - step) ** 2, 6.0
    else:
        variance, fourth = scale**2, 3.0
    found = float(np.mean(errors**2))
    require(
        abs(found / variance - 1) < _DEVIATIONS * math.sqrt((fourth - 1) / errors.size),
        f"the standard deviation of the noise is {math.sqrt(found):.4g}, stated is {math.sqrt(variance):.4g}",
    )
    mean = float(errors.mean())
    require(abs(mean) < _DEVIATIONS * math.sqrt(variance / errors.size), f"the mean of the noise is {mean:.4g}, not 0")
    always = [key for key in runs[0] if all(key in run for run in runs)][:_CORRELATED]
    drawn = np.array([[run[key] - exact.get(key, 0) for key in always] for run in runs])
    products = (drawn.T @ drawn) / _RUNS / variance
    largest = float(np.abs(products - np.diag(np.diag(products))).max())
    require(largest < _DEVIATIONS / math.sqrt(_RUNS), f"the noise of two numbers is correlated by {largest:.2g}")


def _takes_noise_from_the_source(mechanism: Mechanism) -> None:
    data = example_rows(mechanism, 400, RandomSource(0).numpy(f"source {mechanism.name}"))
    first, second = (
        [mechanism.measured(_ran(mechanism, data, seed), **mechanism.example) for seed in range(10)] for _ in range(2)
    )
    require(first == second, "the same source gives another result: there is other randomness")
    require(any(other != first[0] for other in first[1:]), "other noise gives the same result")


def _hides_a_poisoned_row(mechanism: Mechanism) -> None:
    rows = example_rows(mechanism, 400, RandomSource(0).numpy(f"poison {mechanism.name}"))
    plain = mechanism.run(rows, noise=NoiseSource(reproducible_seed=0), **mechanism.example)
    for kind in range(4):
        for repeats in (1, 2):
            data = np.concatenate([poisoned_row(mechanism, kind)] * repeats + [rows])
            result = _ran(mechanism, data, 0)
            found, expected = mechanism.shown(result), mechanism.shown(plain)
            require(found == expected, f"a poisoned row turns {expected} into {found}")
            measured = mechanism.measured(result, **mechanism.example)
            if mechanism.domain == "declared":
                keys = mechanism.measured(plain, **mechanism.example).keys()
                require(measured.keys() == keys, "a poisoned row changes which numbers come out")


def _hides_rare_labels(mechanism: Mechanism) -> None:
    count, delta = 4000, mechanism.example["delta"]
    labels = np.array([f"label {number}" for number in range(count)], dtype=object)
    found = len(mechanism.measured(_ran(mechanism, labels, 0), **mechanism.example))
    most = delta * count + _DEVIATIONS * math.sqrt(delta * (1 - delta) * count)
    require(found <= most, f"{found} of {count} labels of one row are published, with delta {delta}")


def _ran(mechanism: Mechanism, data: Data, seed: int) -> Any:
    """Run the mechanism; an error that a row can cause tells that the row is there."""
    try:
        return mechanism.run(data, noise=NoiseSource(reproducible_seed=seed), **mechanism.example)
    except (ArithmeticError, LookupError, TypeError, ValueError, SynthkitError) as error:
        raise AssertionError(f"{len(data)} rows raise {type(error).__name__}: {error}") from error


def _survives(mechanism: Mechanism) -> None:
    random = RandomSource(0).numpy(f"tables {mechanism.name}")
    rows = example_rows(mechanism, 3, random)
    tables = [
        rows[:0],
        rows[:1],
        np.concatenate([rows[:1]] * 500),
        *(poisoned_row(mechanism, kind) for kind in range(4)),
    ]
    for data in tables:
        for seed in range(5):
            result = _ran(mechanism, data, seed)
            mechanism.measured(result, **mechanism.example)
            if mechanism.domain == "declared":
                expected = mechanism.shown(mechanism.run(rows, noise=NoiseSource(), **mechanism.example))
                require(mechanism.shown(result) == expected, "the shape of the result depends on the rows")


def _leaves_the_data_alone(mechanism: Mechanism) -> None:
    data = example_rows(mechanism, 50, RandomSource(0).numpy(f"read {mechanism.name}"))
    before = data.copy()
    data.flags.writeable = False
    mechanism.run(data, noise=NoiseSource(), **mechanism.example)
    require(_same(data, before), "the rows have been changed")
