"""Missingness: whether values are missing as often as in the real table, and together in the same rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.distances import groups_of_both, shares_without_groups
from synthkit.evaluation.intervals import jackknife_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score

Marks = npt.NDArray[np.bool_]
_MOST_LISTED = 10
# So many columns are packed into one integer at a time, beside the number of the pattern of the columns before.
_PACKED = 32


def missing_patterns(missing: Marks) -> npt.NDArray[np.int64]:
    """Return the number of the pattern of each row: rows with the same cells missing have the same number.

    Parameters
    ----------
    missing
        Which cells are missing, shape [rows, columns].

    Returns
    -------
    numpy.ndarray
        Integers from 0 in the order of first appearance, shape [rows].
    """
    patterns = np.zeros(len(missing), dtype=np.int64)
    for start in range(0, missing.shape[1], _PACKED):
        for column in missing[:, start : start + _PACKED].T:
            patterns = (patterns << 1) | column
        patterns = np.asarray(pd.factorize(patterns)[0], dtype=np.int64)
    return patterns


def missing_score(real: pd.DataFrame, synthetic: pd.DataFrame, generator: np.random.Generator) -> Score:
    """Return the total variation distance of the distributions of missing patterns, with a jackknife interval.

    Parameters
    ----------
    real, synthetic
        Tables with the same columns, cells that cannot be read being missing.
    generator
        Draws the groups of the jackknife.
    """
    names = [name for name in real.columns if real[name].isna().any() or synthetic[name].isna().any()]
    if not names:
        return Score(math.nan, n=len(synthetic), note="no value is missing in the training or the synthetic rows")
    missing = np.empty((len(real) + len(synthetic), len(names)), dtype=bool, order="F")
    for position, name in enumerate(names):
        missing[: len(real), position] = real[name].isna()
        missing[len(real) :, position] = synthetic[name].isna()
    patterns = missing_patterns(missing)
    size = int(patterns.max()) + 1
    *groups, n_groups = groups_of_both(len(real), len(synthetic), generator)
    shares = (
        shares_without_groups(part, group, size, n_groups)
        for part, group in zip((patterns[: len(real)], patterns[len(real) :]), groups, strict=True)
    )
    distances = np.empty(n_groups + 1)
    for row, (first, second) in enumerate(zip(*shares, strict=True)):
        distances[row] = np.abs(first - second).sum() / 2
        if row == 0:
            worst = _worst_patterns(missing, patterns, names, first, second)
    low, high = jackknife_interval(float(distances[0]), distances[1:])
    columns = {
        str(name): [float(missing[: len(real), place].mean()), float(missing[len(real) :, place].mean())]
        for place, name in enumerate(names)
    }
    return Score(
        float(distances[0]),
        max(0.0, low),
        min(1.0, high),
        n=len(synthetic),
        details={
            "columns": dict(sorted(columns.items(), key=lambda item: -abs(item[1][0] - item[1][1]))),
            "patterns": worst,
        },
    )


def _worst_patterns(
    missing: Marks,
    patterns: npt.NDArray[np.int64],
    names: list[Any],
    real: npt.NDArray[np.float64],
    synthetic: npt.NDArray[np.float64],
) -> list[list[Any]]:
    """Return [columns missing together, real share, synthetic share] of the patterns that differ most."""
    worst = np.argsort(-np.abs(real - synthetic), kind="stable")[:_MOST_LISTED]
    found = []
    for pattern in worst:
        if real[pattern] != synthetic[pattern]:
            row = int(np.argmax(patterns == pattern))
            together = [str(name) for name, gone in zip(names, missing[row], strict=True) if gone]
            found.append([together, float(real[pattern]), float(synthetic[pattern])])
    return found


METRICS = (
    Metric(
        name="missing_patterns",
        theme="fidelity",
        title="missing patterns",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="total variation distance of the distributions of missing patterns",
        meaning="{percent} of rows would need other cells missing to have the real patterns of missing values.",
        reading="The pattern of a row is the set of its columns that are missing. Half the summed difference of the "
        "shares of all patterns: the share of rows that would need another pattern. A cell that cannot be read counts "
        "as missing.",
        lies="With many columns that are missing independently nearly every row has a pattern of its own, and real "
        "rows are far from each other, too: look at the ceiling. It does not see whether the right rows are missing.",
        good="At most twice the ceiling; for some ten thousand rows and a few columns with gaps below 0.01.",
        rows="every row",
        compute=lambda case: missing_score(case.train.frame, case.synthetic.frame, case.generator()),
    ),
)
