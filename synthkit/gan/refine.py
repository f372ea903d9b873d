"""Refinement: generated rows are moved by a boosted density ratio until trees can hardly tell them from real ones.

Each round fits a few boosted trees between real rows and the chains as they are (the held-out two-sample AUC of these
trees is the score), adds their log-odds to the energy and moves the chains by Metropolis-Hastings. The chains persist
from round to round, as in persistent contrastive divergence (Tieleman 2008). In the first rounds, which change most,
they are also resampled by the change (sequential Monte Carlo, Del Moral 2006); later that would fill the table with
near-copies of a few chains, faster than moves can part them. A small tilt per symbol keeps the margins in place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from synthkit.gan.boosting import (
    EARLY,
    FOLDS,
    BoostedRatio,
    Floats,
    Folds,
    Symbols,
    TreeSettings,
    TreeView,
    fit_trees,
    log_odds,
)
from synthkit.gan.chains import ChainSampler, moves, systematic
from synthkit.gan.layout import Layout
from synthkit.gan.prediction import TargetPredictor
from synthkit.gan.state import Tensors, Values
from synthkit.gan.table import CodeTable
from synthkit.random import RandomSource

_STATE = ("codes", "symbols", "positions", "energy", "folds")  # of the chains; all else follows from it
_CLIP = 3.0
_RISEN = 0.015  # rise of the averaged AUC that matters, if it is also more than noise
_CLOSE = 0.03  # excess of the AUC over 0.5 that is not worth further rounds


@dataclass(frozen=True)
class RefineSettings:
    """How generated rows are refined.

    Attributes
    ----------
    rounds, most_rounds
        After so many the refinement ends if the held-out AUC is close to 0.5 or the target is drawn from its
        prediction, and at the latest after so many; the trainer stops earlier when the AUC stops falling.
    chains
        So many persistent chains at first.
    grown
        At least so many after a third of ``rounds``.
    real_rows
        At most so many real rows, others in each round, are shown to the trees.
    held_out_share
        Share of the chains that a round's trees do not see.
    margins
        Step of the tilt of every symbol towards its share in the data, per round.
    recode
        Share of the chains whose code is drawn anew before the moves of a round.
    focus, focus_every
        Every so many rounds the trees may split on a target that is drawn from its prediction, or weigh splits on one
        that is only predicted by ``focus``.
    trees
        Boosted trees of a round.
    """

    rounds: int = 32
    most_rounds: int = 40
    chains: int = 1_000
    grown: int = 1_000
    real_rows: int = 40_000
    held_out_share: float = 0.1
    margins: float = 0.2
    recode: float = 0.3
    focus: float = 3.0
    focus_every: int = 3
    trees: TreeSettings = field(default_factory=TreeSettings)


class RefineStage:
    """Refinement as a stage of the trainer: one step is one round, the score is minus the excess of the AUC over 0.5.

    Parameters
    ----------
    table, layout
        The fitted generator and its columns.
    symbols, positions
        Training rows ``[N, C]``.
    held_symbols, held_positions
        Held-out rows ``[M, C]``.
    settings
        How.
    random
        Source of all random numbers.
    target
        Number of the column that will be predicted from the others, if one is known.
    """

    name = "refinement"
    evaluate_every = 1

    def __init__(
        self,
        table: CodeTable,
        layout: Layout,
        symbols: Symbols,
        positions: Floats,
        held_symbols: Symbols,
        held_positions: Floats,
        settings: RefineSettings,
        random: RandomSource,
        target: int | None = None,
    ) -> None:
        self._settings, self._layout = settings, layout
        self._rng = random.numpy("refinement")
        self._seed = random.integer("trees")
        self._view = TreeView(layout)
        real, held = self._view.rows(symbols, positions), self._view.rows(held_symbols, held_positions)
        folds = self._rng.integers(0, FOLDS, len(real), dtype=np.int8)
        self.ratio = BoostedRatio(layout, settings.trees.threads)
        if target is not None:
            self.ratio.predictor = TargetPredictor.fit(
                real, symbols, folds, layout, target, self._seed, settings.trees.threads
            )
        drawn = self.ratio.predictor is not None and self.ratio.predictor.classes
        # every further round adds noise to the law of a label that the first ones left as it was predicted
        self.total_steps = settings.rounds if drawn else max(settings.rounds, settings.most_rounds)
        self._real = self._seen(real, folds)
        self._held = self._seen(held, self._rng.integers(0, FOLDS, len(held), dtype=np.int8))
        self._sampler = ChainSampler(table, self._view, self.ratio)
        self.chains = self._sampler.start(settings.chains, self._rng)
        self._moves = moves(len(layout.sizes), target)
        self._proposed: tuple[lightgbm.Booster, Floats, float] | None = None
        self._scale = 1.0
        self._distance = math.nan
        self._least = math.inf

    def _seen(self, view: Floats, folds: Folds) -> Floats:
        return self.ratio.seen(view, self.ratio.predict(view, folds))

    # -- one round ----------------------------------------------------------------------------------------------------

    def _propose(self) -> tuple[lightgbm.Booster, Floats, float]:
        """Trees between real rows and the chains as they are, their log-odds for the chains, and their held-out AUC."""
        if self._proposed is None:
            settings, rng = self._settings, self._rng
            # copies that were made to grow are seen together or not at all: else trees would know the unseen ones
            families = np.arange(len(self.chains)) % min(len(self.chains), settings.chains)
            order = rng.permutation(int(families.max()) + 1)
            hidden = np.isin(families, order[: max(1, round(len(order) * settings.held_out_share))])
            unseen, seen = np.flatnonzero(hidden), np.flatnonzero(~hidden)
            fake = self.ratio.seen(self.chains.view, self.chains.predicted)
            round_seed = (self._seed + len(self.ratio.rounds)) % 2**31
            real = self._real
            if len(real) > settings.real_rows:
                real = real[np.sort(rng.permutation(len(real))[: settings.real_rows])]
            trees = fit_trees(real, fake[seen], settings.trees, round_seed, self._focus())
            odds = log_odds(trees, fake, settings.trees.threads)
            held = log_odds(trees, self._held, settings.trees.threads)
            labels = np.concatenate([np.ones(len(held)), np.zeros(len(unseen))])
            auc = float(roc_auc_score(labels, np.concatenate([held, odds[unseen]])))
            self._proposed = trees, odds, auc
        return self._proposed

    def _focus(self) -> list[float]:
        """Weights of the features in this round; empty for equal ones.

        A target that is drawn from its prediction is hidden from the trees but in every ``focus_every``-th round; one
        that is only predicted has its round of more weight as often.
        """
        predictor, settings = self.ratio.predictor, self._settings
        turn = len(self.ratio.rounds) % settings.focus_every == settings.focus_every - 1
        if predictor is None or turn == bool(predictor.classes):
            return []
        columns = len(self._layout.sizes)
        weights = [1.0] * (columns + predictor.width)
        if predictor.classes:
            weights[predictor.column] = 0.0
        else:
            for own in (predictor.column, *range(columns, len(weights))):
                weights[own] = settings.focus
        return weights

    @property
    def auc(self) -> float:
        """Held-out two-sample AUC of the chains as they are, by trees fitted to them."""
        return self._propose()[2]

    def step(self, index: int) -> Mapping[str, float]:
        """Add the proposed trees to the energy, resample the chains by the change if it is early, and move them."""
        settings, rng, chains = self._settings, self._rng, self.chains
        trees, odds, auc = self._propose()
        self._proposed = None
        tilt = self._margin_tilt(odds)
        if len(self.ratio.rounds) < EARLY:
            chains.early = chains.early + odds
        self.ratio.rounds.append(trees)
        self.ratio.tilts += tilt
        change = odds + tilt[chains.symbols + self._layout.offsets[:-1]].sum(axis=1)
        chains.energy = chains.energy + change
        if len(self.ratio.rounds) <= settings.rounds // 3:
            weights = np.exp(np.clip(change.astype(np.float64), -_CLIP, _CLIP))
            self.chains = chains.take(systematic(weights, len(chains), rng))
        else:
            self._grow()
        accepted = self._sampler.settle(self.chains, self._moves, rng, recode=settings.recode)
        return {"auc": auc, "accepted": accepted}

    def _grow(self) -> None:
        """Bring the chains to the number that is to be kept; copies part in the rounds that are left."""
        have, wanted = len(self.chains), self._settings.grown
        if have < wanted:
            self.chains = self.chains.take(np.arange(wanted) % have)

    def _margin_tilt(self, odds: Floats) -> Floats:
        """What is left between the margins of the data and of the chains after the trees' reweighting, damped."""
        weights = np.exp(np.clip(odds.astype(np.float64), -_CLIP, _CLIP))
        parts = []
        rows = len(self._real)
        for c, size in enumerate(self._layout.sizes):
            start = self._layout.offsets[c]
            wanted = self._layout.share[start : start + size] * rows + 0.5
            found = np.bincount(self.chains.symbols[:, c], weights, minlength=int(size))
            found = found / found.sum() * rows + 0.5
            parts.append(np.clip(np.log(wanted / wanted.sum()) - np.log(found / found.sum()), -1.0, 1.0))
        return (self._settings.margins * self._scale * np.concatenate(parts)).astype(np.float32)

    @property
    def complete(self) -> bool:
        """Whether more rounds are not worth their time.

        From half of ``rounds`` on the held-out AUC has to be within half a standard error of 0.5 (Hanley and McNeil
        1982), after all of them it is enough that it is close.
        """
        settings, done = self._settings, len(self.ratio.rounds)
        wanted = _CLOSE if done >= settings.rounds else 0.5 * self._error
        return 2 * done >= settings.rounds and self._distance < wanted

    @property
    def _error(self) -> float:
        """Standard error of the held-out AUC of a round near 0.5."""
        unseen = max(1, round(len(self.chains) * self._settings.held_out_share))
        return math.sqrt((1 / max(len(self._held), 1) + 1 / unseen) / 12)

    def finish(self, sweeps: int = 2) -> None:
        """Let the chains settle under the final energy; as many as are to be kept, if the rounds ended before that."""
        self._grow()
        for _ in range(sweeps):
            self._sampler.settle(self.chains, self._moves, self._rng, recode=1.0)

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    def evaluate(self) -> float:
        """Minus the excess of the held-out two-sample AUC over 0.5, averaged over rounds because one is noisy.

        Rounds that focus on the target do not look at the other columns as hard, and count for nothing here.
        """
        distance = max(0.0, self.auc - 0.5)
        if max(self._focus(), default=1.0) <= 1.0:
            self._distance = distance if math.isnan(self._distance) else 0.5 * (self._distance + distance)
        self._least = min(self._least, self._distance)
        # a later round also knows more of the target and of the margins: it is kept unless the AUC has clearly risen
        risen = self._distance - self._least > max(_RISEN, 2 * self._error)
        return -(self._distance if risen else self._least) + 1e-4 * len(self.ratio.rounds)

    def snapshot(self) -> Tensors:
        """The chains, the tilts and the number of rounds that made them."""
        state = {name: torch.from_numpy(getattr(self.chains, name).copy()) for name in _STATE}
        return state | {
            "tilts": torch.from_numpy(self.ratio.tilts.copy()),
            "rounds": torch.tensor(len(self.ratio.rounds)),
        }

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Go back to a snapshot of this run; later rounds are forgotten."""
        self.ratio.rounds = self.ratio.rounds[: int(weights["rounds"])]
        self.ratio.tilts = weights["tilts"].numpy().copy()
        self.chains = self._sampler.resume(*(weights[name].numpy().copy() for name in _STATE))
        self._proposed = None

    def state(self) -> tuple[Values, Tensors]:
        """Chains, trees and the position in the stream of random numbers."""
        proposed = self._proposed
        values: dict[str, Any] = {
            "random": self._rng.bit_generator.state,
            "trees": list(self.ratio.texts().values()),
            "scale": self._scale,
            "distance": None if math.isnan(self._distance) else self._distance,
            "least": None if math.isinf(self._least) else self._least,
            "proposed": None if proposed is None else [proposed[0].model_to_string(), proposed[2]],
        }
        tensors = self.snapshot()
        if proposed is not None:
            tensors["odds"] = torch.from_numpy(proposed[1].copy())
        return values, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._rng.bit_generator.state = values["random"]
        self._scale = float(values["scale"])
        self._distance = math.nan if values["distance"] is None else float(values["distance"])
        self._least = math.inf if values["least"] is None else float(values["least"])
        self.ratio.rounds = [lightgbm.Booster(model_str=text) for text in values["trees"]]
        self.restore(tensors)
        if values["proposed"] is not None:
            text, auc = values["proposed"]
            self._proposed = lightgbm.Booster(model_str=text), tensors["odds"].numpy().copy(), float(auc)

    def recover(self) -> None:
        """Halve the step of the tilts."""
        self._scale /= 2


def two_sample_auc(
    layout: Layout,
    real: tuple[Symbols, Floats],
    fake: tuple[Symbols, Floats],
    rng: np.random.Generator,
    *,
    rows: int = 10_000,
    folds: int = 3,
    threads: int = 0,
) -> float:
    """Cross-validated AUC of boosted trees between real and generated rows; 0.5 means they cannot tell.

    Parameters
    ----------
    layout
        Columns in symbol space.
    real, fake
        Symbols and positions of the two samples; equally many rows of each are used, at most ``rows``.
    rng
        Source of randomness.
    """
    view = TreeView(layout)
    n = min(len(real[0]), len(fake[0]), rows)
    chosen = [rng.permutation(len(sample[0]))[:n] for sample in (real, fake)]
    data = np.concatenate([view.rows(s[i], p[i]) for (s, p), i in zip((real, fake), chosen, strict=True)])
    labels: NDArray[np.float64] = np.concatenate([np.ones(n), np.zeros(n)])
    fold = rng.permutation(2 * n) % folds
    scores = np.zeros(2 * n)
    settings = TreeSettings(trees=100, leaves=31, learning_rate=0.1, threads=threads)
    for f in range(folds):
        train = fold != f
        trees = fit_trees(data[train & (labels == 1)], data[train & (labels == 0)], settings, int(rng.integers(2**31)))
        scores[~train] = log_odds(trees, data[~train], threads)
    return float(roc_auc_score(labels, scores))
