"""Whether a classifier of cell types that learned from synthetic cells names real ones (TSTR)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.expression.case import Side
from synthkit.evaluation.intervals import LEVEL, Floats
from synthkit.evaluation.records import Score
from synthkit.random import RandomSource

Model = Literal["forest", "linear"]
MODELS: tuple[Model, ...] = ("forest", "linear")
Measure = Literal["f1", "accuracy", "rare_f1"]
MEASURES: tuple[Measure, ...] = ("f1", "accuracy", "rare_f1")
_COMPONENTS = 50
_RARE = 0.05
_RAREST = 3
_BOOTSTRAPS = 200
_ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier says of held-out cells.

    Attributes
    ----------
    truth, named
        Type of each held-out cell, and the type that it is named, ``[cells]``.
    units
        Donor of each of them, or the cell itself, ``[cells]``.
    n_types
        Number of types.
    rare
        Positions of the rare types.
    n
        Number of cells that it learned from.
    """

    truth: npt.NDArray[np.int64]
    named: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    n_types: int
    rare: npt.NDArray[np.int64]
    n: int

    def measures(self, weights: Floats | None = None) -> dict[Measure, float]:
        """Return macro F1, balanced accuracy and the F1 of rare types, with weights of the cells where given."""
        places = self.truth * self.n_types + self.named
        table = np.bincount(places, weights=weights, minlength=self.n_types**2).reshape(self.n_types, self.n_types)
        right, is_there, is_named = np.diag(table), table.sum(axis=1), table.sum(axis=0)
        present = is_there > 0
        either = is_there + is_named
        f1 = np.divide(2 * right, either, out=np.zeros(self.n_types), where=either > 0)
        recalls = right[present] / is_there[present]
        rare = self.rare[present[self.rare]]
        return {
            "f1": float(f1[present].mean()),
            "accuracy": float(recalls.mean()),
            "rare_f1": float(f1[rare].mean()) if len(rare) else math.nan,
        }

    def f1_by_type(self) -> dict[int, float]:
        """Return F1 of each type that held-out cells have."""
        found = {}
        for code in np.unique(self.truth).tolist():
            right = float(((self.truth == code) & (self.named == code)).sum())
            found[code] = 2 * right / float((self.truth == code).sum() + (self.named == code).sum())
        return found


def rare_types(codes: npt.NDArray[np.int64], n_types: int) -> npt.NDArray[np.int64]:
    """Return the types with less than 5 % of the cells or, where there are none such, the three rarest."""
    counts = np.bincount(codes, minlength=n_types)
    rare = np.flatnonzero((counts > 0) & (counts < _RARE * len(codes)))
    if len(rare):
        return rare
    present = np.flatnonzero(counts)
    return np.sort(present[np.argsort(counts[present], kind="stable")[:_RAREST]])


def answers(
    training: Side, held_out: Side, model: Model, n_types: int, rare: npt.NDArray[np.int64], random: RandomSource
) -> Answers:
    """Train a classifier of types on cells and ask it about held-out real ones.

    Parameters
    ----------
    training
        What it learns from.
    held_out
        Real cells that nothing has learned from.
    model
        "forest": a random forest of 100 trees on the variable genes; "linear": logistic regression on 50 standardised
        principal components of the training cells.
    n_types
        Number of types.
    rare
        Positions of the rare types.
    random
        Where the model starts.
    """
    units = np.arange(len(held_out)) if held_out.donors is None else held_out.donors
    if (training.classes == training.classes[0]).all():
        named = np.full(len(held_out), training.classes[0])
    else:
        named = _named(training, held_out, model, random)
    return Answers(held_out.classes, named, units, n_types, rare, len(training))


def utility_score(own: Answers, measure: Measure, trained_on_real: Answers, seed: int) -> Score:
    """Return a measure with its interval, beside that of the same classifier trained on real cells.

    Parameters
    ----------
    own
        What a classifier says that learned from synthetic cells.
    measure
        Which measure.
    trained_on_real
        What one says that learned from real cells: the ceiling.
    seed
        Seed of the bootstrap.

    Returns
    -------
    Score
        The interval is for other held-out cells (or donors) with the classifiers as they are, by a Bayesian bootstrap
        (Rubin 1981).
    """
    value, real = own.measures()[measure], trained_on_real.measures()[measure]
    rng = RandomSource(seed).numpy("held-out units")
    n_units = int(own.units.max()) + 1
    drawn, shares = [], []
    for _ in range(_BOOTSTRAPS):
        weights = rng.exponential(size=n_units)[own.units]
        mine, reals = own.measures(weights)[measure], trained_on_real.measures(weights)[measure]
        drawn.append(mine)
        shares.append(mine / reals if reals > 0 else math.nan)
    if math.isnan(value):
        return Score(math.nan, direction="higher", note="no held-out cell is of a rare type")
    low, high = np.nanquantile(drawn, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    share = value / real if real > 0 else math.nan
    ends = np.nanquantile(shares, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)).tolist() if real > 0 else [math.nan] * 2
    return Score(
        value,
        min(value, float(low)),
        max(value, float(high)),
        ceiling=real,
        n=len(own.truth),
        direction="higher",
        details={"share of that trained on real": [share, *ends], "cells learned from": own.n},
    )


def _named(training: Side, held_out: Side, model: Model, random: RandomSource) -> npt.NDArray[np.int64]:
    from sklearn.exceptions import ConvergenceWarning

    seen, asked = training.logs, held_out.logs
    if model == "linear":
        seen, asked = _standard_components(seen, asked, random)
    with warnings.catch_warnings():
        # A linear model that has not quite converged answers all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = _classifier(model, random.integer("start")).fit(seen, training.classes)
    return np.asarray(fitted.predict(asked), dtype=np.int64)


def _classifier(model: Model, seed: int) -> Any:
    if model == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(100, n_jobs=1, random_state=seed)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=_ITERATIONS)


def _standard_components(
    seen: npt.NDArray[np.float32], asked: npt.NDArray[np.float32], random: RandomSource
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    from sklearn.decomposition import PCA

    n = max(1, min(_COMPONENTS, *(size - 1 for size in seen.shape)))
    fitted = PCA(n, svd_solver="randomized", random_state=random.integer("components")).fit(seen)
    scale = np.sqrt(np.maximum(fitted.explained_variance_, 1e-12))
    return fitted.transform(seen) / scale, fitted.transform(asked) / scale
