"""The models by name: how each is fitted, and the class that a model file is read into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from synthkit.expression.copula import CopulaModel, fit_copula
from synthkit.expression.factor_fit import FactorSettings, fit_factors
from synthkit.expression.factor_model import FactorModel
from synthkit.expression.gene_space import GeneSpaceModel, fit_gene_space
from synthkit.expression.independent import IndependentModel, fit_independent
from synthkit.expression.model import ExpressionModel, Training
from synthkit.expression.normal import NormalModel, fit_normal
from synthkit.expression.private_model import PrivateMomentsModel
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource

Fit = Callable[[Training, FactorSettings, Trainer, RandomSource], tuple[ExpressionModel, dict[str, Any]]]


def _cwgan(
    training: Training, settings: FactorSettings, trainer: Trainer, random: RandomSource
) -> tuple[ExpressionModel, dict[str, Any]]:
    return fit_factors(training, settings, trainer, random)


def _gene_space(
    training: Training, settings: FactorSettings, trainer: Trainer, random: RandomSource
) -> tuple[ExpressionModel, dict[str, Any]]:
    seconds = min(trainer.time_left, settings.seconds)
    model, report = fit_gene_space(training, random, trainer, seconds, device=settings.device, steps=settings.steps)
    return model, {"game": report.to_dict()}


def _independent(
    training: Training, settings: FactorSettings, trainer: Trainer, random: RandomSource
) -> tuple[ExpressionModel, dict[str, Any]]:
    return fit_independent(training), {}


def _copula(
    training: Training, settings: FactorSettings, trainer: Trainer, random: RandomSource
) -> tuple[ExpressionModel, dict[str, Any]]:
    return fit_copula(training, random), {}


def _normal(
    training: Training, settings: FactorSettings, trainer: Trainer, random: RandomSource
) -> tuple[ExpressionModel, dict[str, Any]]:
    return fit_normal(training, random), {}


@dataclass(frozen=True)
class Kind:
    """A model that can be asked for by name.

    Attributes
    ----------
    title
        What it is, in a few words.
    fit
        Fits it.
    """

    title: str
    fit: Fit


MODELS: Mapping[str, Kind] = {
    "cwgan": Kind("conditional WGAN-GP in latent coordinates, with noise of counting and restored margins", _cwgan),
    "wgan-gp-genes": Kind("conditional WGAN-GP on genes, as published (scGAN)", _gene_space),
    "nb": Kind("negative binomial for each gene and class", _independent),
    "copula": Kind("low-rank Gaussian copula for each class", _copula),
    "mvn": Kind("multivariate normal of logarithms for each class", _normal),
}

# every model that a file may hold, by its `name`
READ: Mapping[str, Any] = {
    "cwgan": FactorModel,
    "wgan-gp-genes": GeneSpaceModel,
    "nb": IndependentModel,
    "copula": CopulaModel,
    "mvn": NormalModel,
    "private-moments": PrivateMomentsModel,
}

COMPARED = ("cwgan", "copula", "mvn", "nb")
"""What ``model="auto"`` chooses from."""
