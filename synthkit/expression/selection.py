"""The choice of a model: each is fitted to a part of the cells and told apart from the rest.

Scores are taken in components of real and drawn cells together, because those of the training cells alone would tell
other real cells apart too (docs/explanation/expression.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import NearestNeighbors

from synthkit.expression.model import Training, Wanted
from synthkit.expression.refinement import comparable
from synthkit.io.expression_set import Values
from synthkit.random import RandomSource

SHARE = 0.2
"""Of the cells, to compare on."""
DRAWS = 3
"""Sets of cells that each model draws: one set is scored with much luck."""
FEWEST = 100
"""Training cells below which models are not compared: too few would be left to tell them apart."""
_MOST, _MOST_GENES, _COMPONENTS, _NEIGHBOURS, _TREES = 700, 1_000, 20, 5, 100


@dataclass(frozen=True)
class ModelScore:
    """How far drawn cells are from cells that no model has seen.

    Attributes
    ----------
    name
        Of the model; "real cells" for the training cells themselves.
    auc_components, auc_genes
        Of a random forest that tells them apart, in 20 principal components and in genes; 0.5 is the best.
    recall
        Share of the unseen cells that lie among the drawn ones (Kynkaanniemi et al. 2019).
    distance
        Mean of both AUCs' distance from 0.5 and of what lacks in recall; the smallest is chosen.
    """

    name: str
    auc_components: float
    auc_genes: float
    recall: float
    distance: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return asdict(self)


def split_cells(
    conditions: Wanted, groups: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Set a fifth of the cells aside, of each class alike; whole donors where at least five are known.

    Parameters
    ----------
    conditions
        Of the cells.
    groups
        Donor of each cell as a number, or None.
    rng
        Source of random numbers.

    Returns
    -------
    learned, compared : ndarray of int64
        Positions. A class of a single cell is learned only.
    """
    n = len(conditions)
    if groups is not None and len(np.unique(groups)) >= 5:
        donors = rng.permutation(np.unique(groups))
        aside = np.isin(groups, donors[: max(1, round(SHARE * len(donors)))])
        # a class that only these donors have is learned all the same
        for label in np.unique(conditions.classes):
            own = conditions.classes == label
            if aside[own].all():
                aside[own] = False
        return np.flatnonzero(~aside), np.flatnonzero(aside)
    aside = np.zeros(n, bool)
    for label in np.unique(conditions.classes):
        own = rng.permutation(np.flatnonzero(conditions.classes == label))
        aside[own[: min(round(SHARE * len(own)), len(own) - 1)]] = True
    return np.flatnonzero(~aside), np.flatnonzero(aside)


class Comparison:
    """Scores drawn cells against cells set aside.

    Parameters
    ----------
    unseen
        The cells set aside.
    random
        Source of random numbers.
    """

    def __init__(self, unseen: Training, random: RandomSource) -> None:
        self._random, self._measure = random, unseen.measure
        order = random.numpy("unseen").permutation(len(unseen))[:_MOST]
        self.wanted = unseen.conditions.take(order)
        dense = comparable(unseen.values[order], self._measure)
        self._genes = np.argsort(-dense.var(0), kind="stable")[:_MOST_GENES]
        self._unseen = dense[:, self._genes]

    def score(self, name: str, draws: Sequence[Values]) -> ModelScore:
        """Score sets of cells ``[n, genes]`` that were drawn for the conditions in `wanted`; the mean over the sets."""
        found = np.array([self._scored(drawn) for drawn in draws]).mean(0)
        components, genes, recall = (float(one) for one in found)
        distance = (2 * abs(components - 0.5) + 2 * abs(genes - 0.5) + 1 - recall) / 3
        return ModelScore(name, components, genes, recall, distance)

    def _scored(self, drawn: Values) -> tuple[float, float, float]:
        own = comparable(drawn, self._measure)[:, self._genes]
        both = np.concatenate([self._unseen, own])
        size = min(_COMPONENTS, len(both) - 1, both.shape[1])
        places = PCA(size, random_state=self._random.integer("components")).fit_transform(both)
        n = len(self._unseen)
        components, genes = self._told_apart(places, n), self._told_apart(both, n)
        return components, genes, _recall(places[:n], places[n:])

    def _told_apart(self, values: np.ndarray, n: int) -> float:
        truth = np.repeat([0, 1], [n, len(values) - n])
        forest = RandomForestClassifier(
            _TREES, min_samples_leaf=2, random_state=self._random.integer("forest"), n_jobs=1
        )
        chances = cross_val_predict(forest, values, truth, cv=min(5, n), method="predict_proba")[:, 1]
        return float(roc_auc_score(truth, chances))


def _recall(real: np.ndarray, drawn: np.ndarray) -> float:
    k = min(_NEIGHBOURS, len(drawn) - 1)
    radii = NearestNeighbors(n_neighbors=k + 1).fit(drawn).kneighbors(drawn)[0][:, -1]
    distances = np.sqrt(np.maximum(np.square(real).sum(1)[:, None] + np.square(drawn).sum(1) - 2 * real @ drawn.T, 0))
    return float((distances <= radii[None, :]).any(1).mean())
