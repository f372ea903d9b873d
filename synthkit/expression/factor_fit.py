"""From cells to the default model: factors, anchor, game, noise, margins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from synthkit.expression.anchor import Anchor
from synthkit.expression.factor_model import RATE_TARGET, FactorModel, Likelihood, dispersions
from synthkit.expression.latent_game import LatentCells, LatentStage
from synthkit.expression.model import Training, Wanted
from synthkit.expression.normal_factors import normal_factors
from synthkit.expression.poisson_factors import PoissonFactorsStage
from synthkit.expression.raking import chunks
from synthkit.expression.refinement import FEWEST, POOL, Refinement
from synthkit.gan.trainer import Trainer
from synthkit.io.expression_set import Values
from synthkit.random import RandomSource

BULK = 10.0
"""Mean count from which logarithms tell more than the law of rare events does."""
_MOST_FACTORS, _MOST_NORMAL_FACTORS = 20, 200
_CELLS_PER_FACTOR, _SAMPLES_PER_FACTOR = 10, 3
_HELD_OUT = 0.2
_FEWEST_HELD_OUT = 20  # cells of a class below which none is held out
_LEAST_DRAWN, _MOST_DRAWN = 2_000, 4_000  # cells by which the model's own margins are known
_GAME_STEPS = 2_000
_PATIENCE = 8  # held-out scores without a new best, after which the game ends
_MOST_REFINED = 5_000  # real cells, twice as many drawn ones, that refinement learns from
_EPOCHS, _LEAST_STEPS = 20, 600


@dataclass(frozen=True)
class FactorSettings:
    """How the default model is fitted.

    Attributes
    ----------
    factors
        Latent dimensions; None for as many as the cells allow.
    steps
        Steps of the game; None for the usual plan.
    loss
        Of the game.
    device
        Where networks are trained.
    adversary
        Whether the game is played at all.
    refine
        Whether candidates are chosen by what boosted trees can tell apart.
    seconds
        Ceiling on the wall time of the game.
    prefix
        Of the names of stages, where a fit trains several models.
    """

    factors: int | None = None
    steps: int | None = None
    loss: str = "wgan-gp"
    device: str = "cpu"
    adversary: bool = True
    refine: bool = True
    seconds: float = math.inf
    prefix: str = ""


def likelihood_of(values: Values, measure: str) -> Likelihood:
    """Return which law fits: counts of single cells are small, those of bulk are large."""
    if measure != "counts":
        return "normal"
    return "poisson" if float(values.sum()) / (values.shape[0] * values.shape[1]) < BULK else "normal"


def fit_factors(
    training: Training, settings: FactorSettings, trainer: Trainer, random: RandomSource
) -> tuple[FactorModel, dict[str, Any]]:
    """Fit the default model; return it with what is told of the fit.

    Parameters
    ----------
    training
        Cells and their conditions.
    settings
        How.
    trainer
        Runs the stages.
    random
        Source of all random numbers.
    """
    likelihood = likelihood_of(training.values, training.measure)
    given = training.conditions
    design = _design(training)
    totals = np.maximum(np.asarray(training.values.sum(axis=1), np.float64).ravel(), 1)
    told: dict[str, Any] = {"likelihood": likelihood}
    if likelihood == "poisson":
        size = settings.factors or _factors(len(training) // _CELLS_PER_FACTOR, _MOST_FACTORS)
        epochs = max(_EPOCHS, -(-_LEAST_STEPS * 512 // max(len(training), 512)))
        stage = PoissonFactorsStage(
            training.values,
            design,
            training.n_classes,
            size,
            random.child("factors"),
            epochs=epochs,
            device=settings.device,
        )
        stage.name = settings.prefix + stage.name
        told["factors_stage"] = trainer.run(stage).to_dict()
        found = stage.factors()
        spreads = np.zeros(training.values.shape[1], np.float32)
        base, loadings = found.base, found.loadings
    else:
        size = settings.factors or _factors(len(training) // _SAMPLES_PER_FACTOR, _MOST_NORMAL_FACTORS)
        logs = _logarithms(_scaled(training, totals), training.measure)
        found, scales, own = normal_factors(logs, design, training.n_classes, size, random)
        base, loadings, spreads = found.base, found.loadings * scales[:, None], own * scales
    means, errors = found.means.astype(np.float64), found.deviations.astype(np.float64)
    depths = (0.0, 0.0)
    if training.measure == "counts":
        sizes = np.log(totals)
        depths = (float(sizes.min()), float(sizes.max()))
        means = np.column_stack([means, sizes])
        errors = np.column_stack([errors, np.zeros(len(means))])
    anchor = Anchor.of(means, errors, given.classes, training.n_classes)
    trainer.message("looking for parts inside the classes")
    anchor, parts = anchor.with_parts(means, errors, given.classes, random.child("parts"))
    told["parts"] = sum(parts)
    model = FactorModel(training.measure, likelihood, base, loadings, spreads, anchor, None, depths)
    told["factors"] = size
    if settings.adversary:
        model, report = _played(model, means, errors, training, settings, trainer, random.child("game"))
        told["game"] = report
    if likelihood == "poisson":
        found_spreads = dispersions(training.values, model, given, random.child("dispersion"))
        model = replace(model, spreads=found_spreads)
    trainer.message("restoring the margins of genes")
    drawn = _drawn_by_class(model, given, training.n_classes, random.child("margins"))
    real = training.values if training.measure == "counts" else logs
    model = model.with_margins(real, given.classes, drawn, random.numpy("ties"))
    if settings.refine and len(training) >= FEWEST and not trainer.interrupted:
        trainer.message("looking for what can still be told apart")
        model, told["told_apart"] = _refined(model, training, random.child("refinement"))
        told["refined"] = model.refinement is not None
    return model, told


def _refined(model: FactorModel, training: Training, random: RandomSource) -> tuple[FactorModel, float]:
    """Return the model with what trees find, and the area under their curve."""
    n = min(len(training), _MOST_REFINED)
    given = training.conditions
    rows = np.tile(random.numpy("rows").permutation(len(training))[:n], POOL)
    wanted = replace(given.take(rows), representative=True)
    found, told = Refinement.of(
        training.measure,
        training.values,
        given.classes,
        model.draw(wanted, random.child("drawn")),
        wanted.classes,
        random.child("trees"),
    )
    return replace(model, refinement=found), told


def _factors(allowed: int, most: int) -> int:
    return int(np.clip(allowed, 1, most))


def _design(training: Training) -> np.ndarray:
    """Indicators of class and, where there are several, of batch, then covariates: ``[cells, effects]``."""
    given = training.conditions
    parts = [np.eye(training.n_classes)[given.classes]]
    if training.n_batches > 1:
        parts.append(np.eye(training.n_batches)[given.batches])
    return np.column_stack([*parts, given.covariates]).astype(np.float64)


def _scaled(training: Training, totals: np.ndarray) -> np.ndarray:
    values = training.values.toarray() if sparse.issparse(training.values) else np.asarray(training.values)
    values = values.astype(np.float64)
    return values / totals[:, None] * RATE_TARGET if training.measure == "counts" else values


def _logarithms(values: np.ndarray, measure: str) -> np.ndarray:
    return np.log1p(values) if measure in ("counts", "rates") else values


def _played(
    model: FactorModel,
    means: np.ndarray,
    errors: np.ndarray,
    training: Training,
    settings: FactorSettings,
    trainer: Trainer,
    random: RandomSource,
) -> tuple[FactorModel, dict[str, Any]]:
    """Play the game; the anchor is kept where no step is nearer to held-out cells."""
    cells = LatentCells.of(means, errors, model.anchor, training.conditions, settings.device)
    held_out = _held_out(training.conditions, random.numpy("held out"))
    sizes = (training.n_classes, training.n_batches, training.conditions.covariates.shape[1])
    steps = settings.steps or _GAME_STEPS
    stage = LatentStage(
        cells, model.anchor, held_out, sizes, random, loss=settings.loss, steps=steps, device=settings.device
    )
    stage.name = settings.prefix + stage.name
    report = trainer.run(stage, _PATIENCE, seconds=settings.seconds)
    if not report.improved:
        return model, report.to_dict()
    anchor = stage.restored(model.anchor)
    return replace(model, generator=stage.generator.cpu().eval(), anchor=anchor), report.to_dict()


def _held_out(given: Wanted, rng: np.random.Generator) -> np.ndarray:
    """Positions of a fifth of the cells of each class that has enough of them."""
    parts = []
    for label in np.unique(given.classes):
        own = np.flatnonzero(given.classes == label)
        if len(own) >= _FEWEST_HELD_OUT:
            parts.append(rng.permutation(own)[: max(2, round(_HELD_OUT * len(own)))])
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _drawn_by_class(model: FactorModel, given: Wanted, n_classes: int, random: RandomSource) -> Mapping[int, Values]:
    """Draw cells of each class with the batches and covariates of real ones."""
    rng = random.numpy("cells")
    drawn: dict[int, Values] = {}
    for label in range(n_classes):
        own = np.flatnonzero(given.classes == label)
        n = int(np.clip(2 * len(own), _LEAST_DRAWN, _MOST_DRAWN))
        wanted = given.take(own[rng.integers(len(own), size=n)])
        parts = [
            model.raw(wanted.take(rows), random.child(f"{label} {rows.start}"))[0]
            for rows in chunks(n, model.base.shape[1])
        ]
        counts = model.measure == "counts"
        drawn[label] = sparse.vstack([sparse.csr_matrix(one) for one in parts]) if counts else np.concatenate(parts)
    return drawn
