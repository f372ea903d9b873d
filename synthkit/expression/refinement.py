"""What boosted trees can still tell apart is drawn less often: a ratio of densities, and a choice among candidates.

The log-odds of a classifier of real against drawn cells estimate the log of the ratio of their densities. Of a few
candidates with the same conditions, one is chosen in proportion to that ratio (sampling and importance resampling;
Rubin 1987), as the refinement of tables does with larger pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.metrics import roc_auc_score
from sklearn.utils.extmath import randomized_svd

from synthkit.expression.normalise import log_normalised
from synthkit.gan.boosting import TreeSettings, fit_trees, log_odds
from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

if TYPE_CHECKING:
    import lightgbm

CANDIDATES = 4
"""Cells that one is chosen from."""
POOL = 2
"""Drawn cells for each real one, that the trees learn from."""
FEWEST = 300
"""Real cells below which nothing is refined: trees would learn the cells by heart."""
_FOLDS = 5
_TOLD = 0.53  # area under the curve on cells that the trees did not see, from which there is something to refine
_MOST_GENES, _COMPONENTS = 1_000, 20
_MOST_CELLS = 10_000
_TARGET = 10_000.0
_LARGEST = 2.0  # log of the ratio: no cell is preferred by more
_TREES = TreeSettings(trees=150, leaves=8, min_rows=30, learning_rate=0.03, columns=0.5)


def comparable(values: Values, measure: Measure, genes: np.ndarray | None = None) -> np.ndarray:
    """Return some genes of cells on a scale on which cells compare, ``[n, genes]`` float32."""
    chosen = values if genes is None else values[:, genes]
    if measure == "counts":
        chosen = log_normalised(chosen, np.asarray(values.sum(axis=1)).ravel(), _TARGET)
    dense = np.asarray(chosen.toarray() if sparse.issparse(chosen) else chosen, np.float32)
    result: np.ndarray = np.log1p(dense) if measure == "rates" else dense
    return result


@dataclass(frozen=True, eq=False)
class Refinement:
    """A ratio of densities of real and drawn cells.

    Attributes
    ----------
    measure
        What the values are.
    genes
        Positions of the genes that are looked at.
    centre
        Their means, ``[genes]``.
    components
        Principal components of real and drawn cells together, ``[genes, components]``.
    trees
        Classifier of components, counts per cell and class.
    """

    measure: Measure
    genes: np.ndarray
    centre: np.ndarray
    components: np.ndarray
    trees: lightgbm.Booster

    @classmethod
    def of(
        cls,
        measure: Measure,
        real: Values,
        labels: np.ndarray,
        drawn: Values,
        drawn_labels: np.ndarray,
        random: RandomSource,
    ) -> tuple[Refinement | None, float]:
        """Learn what tells real cells ``[n, genes]`` from drawn ones.

        Returns
        -------
        refinement : Refinement or None
            None where trees tell cells that they have not seen apart no better than by chance.
        told : float
            Area under the curve on such cells.
        """
        rng = random.numpy("cells")
        rows = rng.permutation(real.shape[0])[:_MOST_CELLS]
        own, own_labels = real[rows], labels[rows]
        genes = np.sort(np.argsort(-_variances(own, measure), kind="stable")[:_MOST_GENES])
        seen, other = comparable(own, measure, genes), comparable(drawn, measure, genes)
        centre = seen.mean(0)
        both = np.concatenate([seen, other[: len(seen)]]) - centre
        size = min(_COMPONENTS, min(both.shape) - 1)
        components = randomized_svd(both, size, random_state=random.integer("components"))[2].T.astype(np.float32)
        features = _features(own, seen, own_labels, centre, components)
        others = _features(drawn, other, drawn_labels, centre, components)
        truth = np.repeat([1, 0], [len(features), len(others)])
        fold = np.concatenate([rng.permutation(np.arange(n) % _FOLDS) for n in (len(features), len(others))])
        table = np.concatenate([features, others])
        odds = np.empty(len(table))
        for at in range(_FOLDS):
            rest = fold != at
            trees = fit_trees(table[rest & (truth == 1)], table[rest & (truth == 0)], _TREES, random.integer("trees"))
            odds[~rest] = log_odds(trees, table[~rest])
        told = float(roc_auc_score(truth, odds))
        if told < _TOLD:
            return None, told
        return cls(measure, genes, centre, components, fit_trees(features, others, _TREES, random.integer("all"))), told

    def chosen(self, values: Values, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose one of every `CANDIDATES` cells: positions ``[n]`` of cells ``[CANDIDATES * n, genes]``.

        Candidates of the cell ``i`` are at ``i``, ``i + n``, ``i + 2 n`` and so on.
        """
        seen = comparable(values, self.measure, self.genes)
        odds = log_odds(self.trees, _features(values, seen, labels, self.centre, self.components))
        worth = np.clip(odds, -_LARGEST, _LARGEST) + rng.gumbel(size=len(odds))
        n = len(odds) // CANDIDATES
        best = worth.reshape(CANDIDATES, n).argmax(0)
        result: np.ndarray = best * n + np.arange(n)
        return result

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what rebuilds it: JSON-safe values (trees in LightGBM's text format) and arrays."""
        arrays = {"genes": self.genes, "centre": self.centre, "components": self.components}
        return {"measure": self.measure, "trees": self.trees.model_to_string()}, arrays

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Refinement:
        """Read what `state` returned.

        Raises
        ------
        ValueError
            Damaged trees.
        """
        import lightgbm

        try:
            trees = lightgbm.Booster(model_str=values["trees"])
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"damaged trees ({error})") from error
        genes, centre, components = (np.array(arrays[name]) for name in ("genes", "centre", "components"))
        return cls(values["measure"], genes, centre, components, trees)


def _variances(values: Values, measure: Measure) -> np.ndarray:
    """Return the variance of every gene, a part of the genes at a time; only that is dense."""
    starts = range(0, values.shape[1], _MOST_GENES)
    parts = (np.arange(start, min(start + _MOST_GENES, values.shape[1])) for start in starts)
    return np.concatenate([comparable(values, measure, genes).var(0) for genes in parts])


def _features(
    values: Values, seen: np.ndarray, labels: np.ndarray, centre: np.ndarray, components: np.ndarray
) -> np.ndarray:
    """What trees see of cells: components, log total, values above zero, and the class; ``[n, components + 3]``."""
    totals = np.asarray(values.sum(axis=1), np.float64).ravel()
    filled = np.asarray((values > 0).sum(axis=1), np.float64).ravel()
    size = np.log(np.maximum(totals, 1e-6))
    columns = [(seen - centre) @ components, size[:, None], filled[:, None], labels[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)
