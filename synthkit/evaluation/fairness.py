"""Fairness: whether a model trained on synthetic rows treats groups of people more unequally than one trained on real.

The model is the boosted one of the utility scores; it sees the sensitive columns like all others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.case import Case
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.models import Codes, Floats, PredictionTask, obstacle, prediction_task, trained
from synthkit.evaluation.records import Score

DWORK = "Dwork et al. 2012, Fairness through awareness (statistical parity)"
HARDT = "Hardt et al. 2016, Equality of opportunity in supervised learning (equalised odds)"

_REPLICATES = 400
_INTERVAL = (2.5, 97.5)
# A numeric sensitive column with more values than this is cut at the real quartiles.
_MOST_VALUES = 10
_MOST_LISTED = 30

# The kinds of a row: whether it is positive, and whether the real-trained and the synthetic-trained model call it so.
_KINDS = np.array([[truth, real, synthetic] for truth in (0, 1) for real in (0, 1) for synthetic in (0, 1)], float)
_CALLED = _KINDS[:, 1:]


@dataclass(frozen=True)
class Criterion:
    """A criterion of fairness, by the rates of positive predictions that it compares between groups.

    Attributes
    ----------
    rates
        Name of each rate.
    among
        Which kinds of rows each rate is taken among, shape [rates, 8].
    fewest
        A group with fewer such rows is left out of the rate: it would be mostly noise.
    """

    rates: tuple[str, ...]
    among: Floats
    fewest: int


PARITY = Criterion(("positive predictions",), np.ones((1, 8)), 20)
ODDS = Criterion(("true positive rate", "false positive rate"), np.array([_KINDS[:, 0], 1 - _KINDS[:, 0]]), 10)


@dataclass(frozen=True)
class SensitiveColumn:
    """The groups of a sensitive column: their labels, and the position of each held-out row's label, shape [rows]."""

    name: str
    labels: tuple[str, ...]
    groups: Codes


def group_rates(counts: Floats, criterion: Criterion) -> Floats:
    """Return the rates of positive predictions.

    Parameters
    ----------
    counts
        Number of rows by group and kind, shape [..., groups, 8].
    criterion
        Which rates.

    Returns
    -------
    numpy.ndarray
        Shape [..., rates, groups, 2], of the real-trained and the synthetic-trained model; NaN in a group without rows.
    """
    called: Floats = np.stack([counts @ (kinds[:, None] * _CALLED) for kinds in criterion.among], axis=-3)
    rows = np.stack([counts @ kinds for kinds in criterion.among], axis=-2)[..., None]
    rates: Floats = np.divide(called, rows, out=np.full(called.shape, np.nan), where=rows > 0)
    return rates


def large_enough(counts: Floats, criterion: Criterion) -> npt.NDArray[np.bool_]:
    """Return which groups have enough rows for each rate, shape [rates, groups], from counts of shape [groups, 8]."""
    enough: npt.NDArray[np.bool_] = criterion.among @ counts.T >= criterion.fewest
    return enough


def largest_differences(rates: Floats) -> Floats:
    """Return the largest difference between groups, of the worst rate where there are several.

    Parameters
    ----------
    rates
        Shape [..., rates, groups, 2], NaN for groups that are left out.

    Returns
    -------
    numpy.ndarray
        Shape [..., 2], for either model; NaN where no rate has two groups.
    """
    known = ~np.isnan(rates)
    spread = np.where(known, rates, -np.inf).max(axis=-2) - np.where(known, rates, np.inf).min(axis=-2)
    spread = np.where(known.sum(axis=-2) >= 2, spread, -np.inf).max(axis=-2)
    return np.where(np.isfinite(spread), spread, np.nan)


def bootstrapped_changes(
    kinds: Codes,
    columns: Sequence[SensitiveColumn],
    criterion: Criterion,
    generator: np.random.Generator,
    replicates: int = _REPLICATES,
) -> Floats:
    """Return by how much the difference between groups changes, for held-out rows drawn again with replacement.

    Parameters
    ----------
    kinds
        Kind of each row, shape [rows].
    columns
        The sensitive columns.
    criterion
        What is compared.
    generator
        Draws the rows. All columns see the same rows.
    replicates
        How often they are drawn.

    Returns
    -------
    numpy.ndarray
        Difference of the synthetic-trained model minus that of the real-trained one, shape [replicates, columns].
    """
    # Rows that are alike in everything that matters are drawn together.
    cells, sizes = np.unique(
        np.column_stack([kinds, *(column.groups for column in columns)]), axis=0, return_counts=True
    )
    draws = generator.multinomial(len(kinds), sizes / len(kinds), size=replicates)
    changes = np.full((replicates, len(columns)), np.nan)
    for position, column in enumerate(columns):
        left = large_enough(_counts(kinds, column), criterion)[..., None]
        places, width = cells[:, 1 + position] * 8 + cells[:, 0], 8 * len(column.labels)
        for replicate, draw in enumerate(draws):
            counts = np.bincount(places, weights=draw, minlength=width).reshape(-1, 8).astype(np.float64)
            real, synthetic = largest_differences(np.where(left, group_rates(counts, criterion), np.nan))
            changes[replicate, position] = synthetic - real
    return changes


def sensitive_column(case: Case, task: PredictionTask, name: str) -> SensitiveColumn:
    """Return the groups of a sensitive column; numbers are cut at the quartiles of the real training rows."""
    if name not in case.view.numeric:
        found = pd.Series([str(value) for value in case.view.target(task.rows.frame, name)], dtype=object)
        positions, texts = pd.factorize(found)
        return SensitiveColumn(name, tuple(texts), positions.astype(np.int64))
    place = case.view.numeric.index(name)
    learned, values = case.train.coded.numbers[:, place], task.rows.coded.numbers[:, place]
    dates = bool(pd.api.types.is_datetime64_any_dtype(case.train.frame[name].dtype))
    known = np.unique(learned[~np.isnan(learned)])
    if len(known) <= _MOST_VALUES:
        positions, found_values = pd.factorize(values, use_na_sentinel=False)
        return SensitiveColumn(name, tuple(_text(value, dates) for value in found_values), positions.astype(np.int64))
    cuts = np.unique(np.nanquantile(learned, (0.25, 0.5, 0.75)))
    ends = [_text(cut, dates) for cut in cuts]
    labels = [f"up to {ends[0]}", *(f"above {low} to {high}" for low, high in pairwise(ends))]
    groups = np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, side="left"))
    return SensitiveColumn(name, (*labels, f"above {ends[-1]}", "missing"), groups.astype(np.int64))


def _text(value: float, date: bool) -> str:
    if math.isnan(value):
        return "missing"
    return pd.Timestamp(int(value)).isoformat() if date else f"{value:.10g}"


def _counts(kinds: Codes, column: SensitiveColumn) -> Floats:
    """Return the number of rows by group and kind, shape [groups, 8]."""
    counts = np.bincount(column.groups * 8 + kinds, minlength=8 * len(column.labels))
    return counts.reshape(-1, 8).astype(np.float64)


def fairness_change(case: Case, criterion: Criterion) -> Score:
    """Return how much more or less unequal the predictions of a synthetic-trained model are, in the worst column.

    Parameters
    ----------
    case
        The tables; has a target with classes and sensitive columns.
    criterion
        What is compared between groups.

    Returns
    -------
    Score
        The largest absolute change over the sensitive columns, with a bootstrap interval over the held-out rows.
    """
    problem = obstacle(case)
    if problem:
        return Score(math.nan, direction="lower", note=problem)
    task = prediction_task(case)
    real, synthetic = trained(case, "boosted", "real").answers, trained(case, "boosted", "synthetic").answers
    positive = [classes == task.rarest for classes in (task.truth, real.predicted, synthetic.predicted)]
    kinds = np.array(positive).T.astype(np.int64) @ np.array([4, 2, 1])
    columns = case.root.share(
        "sensitive columns", lambda: [sensitive_column(case, task, name) for name in case.sensitive]
    )
    details = {column.name: _details(_counts(kinds, column), column, criterion) for column in columns}
    compared = [column for column in columns if not math.isnan(details[column.name]["change"])]
    if not compared:
        note = f"no sensitive column has two groups with at least {criterion.fewest} held-out rows each"
        return Score(math.nan, n=len(task), direction="lower", note=note, details={"columns": details})
    worst = max(compared, key=lambda column: abs(details[column.name]["change"]))
    value = abs(details[worst.name]["change"])
    changes = np.abs(bootstrapped_changes(kinds, compared, criterion, case.generator()))
    # A replicate that misses a group altogether has no change in that column.
    low, high = np.percentile(np.where(np.isnan(changes), 0.0, changes).max(axis=1), _INTERVAL)
    note = f"worst for {worst.name!r}; the positive class is {task.classes[task.rarest]!r}"
    return Score(
        value,
        min(value, float(low)),
        max(value, float(high)),
        n=len(task),
        direction="lower",
        note=note,
        details={"positive class": task.classes[task.rarest], "worst column": worst.name, "columns": details},
    )


def _details(counts: Floats, column: SensitiveColumn, criterion: Criterion) -> dict[str, Any]:
    """Return the differences of a column and the rates behind them, the largest groups first."""
    rates = np.where(large_enough(counts, criterion)[..., None], group_rates(counts, criterion), np.nan)
    real, synthetic = (float(each) for each in largest_differences(rates))
    rows = counts.sum(axis=1)
    listed = [group for group in np.argsort(-rows, kind="stable")[:_MOST_LISTED] if rows[group]]
    groups = {
        column.labels[group]: {
            "rows": int(rows[group]),
            **{
                f"{name}, trained on {source}": float(rates[place, group, model])
                for place, name in enumerate(criterion.rates)
                for model, source in enumerate(("real", "synthetic"))
            },
        }
        for group in listed
    }
    return {"real": real, "synthetic": synthetic, "change": synthetic - real, "groups": groups}


_ROWS = (
    "boosted trees trained on at most 50,000 rows of each table (floor: 10,000), predictions for at most 50,000 "
    "held-out rows. Numeric sensitive columns with more than ten values are cut at the real quartiles. The interval "
    "is for other held-out rows and the same models."
)
_LIES = (
    "A fair score means as fair as the model trained on real rows, which may be very unfair. With many or small groups "
    "the largest difference is mostly noise. A model that never predicts the positive class treats all groups alike."
)

METRICS = (
    Metric(
        name="demographic_parity",
        theme="fairness",
        interval="held-out rows",
        title="demographic parity, change",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        needs=("classes", "sensitive"),
        source=DWORK,
        meaning="Training on synthetic rows changes the largest difference between groups in the share of positive "
        "predictions by {percent} points ({measure}).",
        reading="The demographic parity difference is the largest difference between two groups of people in the share "
        "that a model predicts to be positive (to belong to the rarest class). The score is the absolute change of it "
        "when the model learns from synthetic instead of real rows, for the sensitive column with the largest change; "
        "the details keep the sign.",
        lies=_LIES,
        good="Below 0.02. A change downwards may mean that a relation was lost, not that a wrong was righted.",
        rows="groups with at least 20 held-out rows; " + _ROWS,
        ceiling="training",
        compute=lambda case: fairness_change(case, PARITY),
    ),
    Metric(
        name="equalised_odds",
        theme="fairness",
        interval="held-out rows",
        title="equalised odds, change",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        needs=("classes", "sensitive"),
        source=HARDT,
        meaning="Training on synthetic rows changes the largest difference between groups in true or false positive "
        "rates by {percent} points ({measure}).",
        reading="The equalised odds difference is the larger of two: the largest difference between groups in the true "
        "positive rate, and that in the false positive rate, for the rarest class. The score is the absolute change of "
        "it when the model learns from synthetic instead of real rows, for the sensitive column with the largest "
        "change; the details keep the sign.",
        lies=_LIES,
        good="Below 0.05, as true positive rates of small groups move easily.",
        rows="groups with at least 10 positive (10 negative) held-out rows; " + _ROWS,
        ceiling="training",
        compute=lambda case: fairness_change(case, ODDS),
    ),
)
