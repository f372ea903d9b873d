"""From cells and the settings of an `ExpressionGAN` to what was fitted."""

from __future__ import annotations

import hashlib
import math
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.expression.factor_fit import FactorSettings
from synthkit.expression.fitted import FittedExpression
from synthkit.expression.model import Training, Wanted
from synthkit.expression.models import COMPARED, MODELS
from synthkit.expression.normalise import most_variable, normalisation_of
from synthkit.expression.selection import DRAWS, FEWEST, Comparison, ModelScore, split_cells
from synthkit.expression.space import ExpressionSpace
from synthkit.gan.estimator import is_whole
from synthkit.gan.losses import LOSSES
from synthkit.gan.running import seed_for, trainer_for
from synthkit.gan.trainer import Trainer
from synthkit.io.expression_set import ExpressionSet
from synthkit.phrases import counted, some_named
from synthkit.random import RandomSource

FEWEST_CELLS = 20
RARE = 20
"""Cells below which a class is told to be rare."""
_TRIAL = 0.35  # of the time budget, for the game of the comparison
_HVG = "hvg:"


@dataclass(frozen=True)
class Columns:
    """The columns of annotations that a fit is told of."""

    labels: tuple[str, ...] = ()
    batch: str | None = None
    donor: str | None = None
    covariates: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, label: str | Sequence[str] | None, batch: str | None, donor: str | None, covariates: Sequence[str]
    ) -> Columns:
        """Bring the arguments of `fit` into one form.

        Raises
        ------
        InputError
            A column that is named twice.
        """
        labels = () if label is None else (label,) if isinstance(label, str) else tuple(label)
        covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
        given = [*labels, *([batch] if batch is not None else []), *covariates]
        twice = [name for name in given if given.count(name) > 1]
        if twice:
            raise InputError(f"the column {twice[0]!r} is named twice", remedy="Name each column once.")
        return cls(labels, batch, donor, covariates)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that mean nothing, before anything is read.

    Raises
    ------
    InputError
        An unknown model or loss, or a number that is none.
    """
    if settings["model"] != "auto" and settings["model"] not in MODELS:
        raise InputError(unknown_name("model", str(settings["model"]), ["auto", *MODELS]), remedy="Name one of them.")
    if settings["loss"] not in LOSSES:
        raise InputError(unknown_name("loss", str(settings["loss"]), LOSSES), remedy="Name one of them.")
    for name in ("factors", "steps"):
        value = settings[name]
        if value != "auto" and not (is_whole(value) and value > 0):
            raise InputError(f"{name} is {value!r}, expected a whole number above 0 or 'auto'", remedy="Give one.")
    fewest = settings["fewest_cells"]
    if not (is_whole(fewest) and fewest > 0):
        raise InputError(f"fewest_cells is {fewest!r}, expected a whole number above 0", remedy="Give for example 3.")
    genes_wanted(settings["genes"])


def genes_wanted(genes: object) -> int | None:
    """Return how many of the most variable genes are asked for ("hvg:2000"); None for all of them.

    Raises
    ------
    InputError
        Neither "all" nor "hvg:N".
    """
    text = str(genes)
    if text == "all":
        return None
    number = text.removeprefix(_HVG)
    if text.startswith(_HVG) and number.isdigit() and int(number) > 0:
        return int(number)
    raise InputError(f"genes is {genes!r}, expected 'all' or 'hvg:N'", remedy="Give for example hvg:2000.")


def prepared(data: ExpressionSet, columns: Columns, genes: object) -> tuple[ExpressionSet, dict[str, Any]]:
    """Return the cells and genes to learn, with what is told of them.

    Raises
    ------
    DataError
        Too few cells, values that are no numbers, counts that are no counts, or cells without any count.
    """
    if len(data) < FEWEST_CELLS:
        raise DataError(
            f"there are {counted(len(data), 'cell')}, expected at least {FEWEST_CELLS}", remedy="Give more cells."
        )
    stored = data.values.data if sparse.issparse(data.values) else np.asarray(data.values)
    if not np.isfinite(stored).all():
        raise DataError("some values are no numbers (NaN or infinite)", remedy="Remove these cells, or set them to 0.")
    if data.measure != "intensities" and stored.size and stored.min() < 0:
        raise DataError(
            f"some values are negative, the smallest is {stored.min():g}, and {data.measure} cannot be",
            remedy="Give the counts (--layer counts), or say --measure intensities.",
        )
    if data.measure == "counts" and not np.array_equal(stored, np.round(stored)):
        raise DataError(
            "some counts are not whole numbers", remedy="Give the raw counts (--layer), or say --measure rates or log."
        )
    report: dict[str, Any] = {"cells": len(data), "genes": len(data.genes), "measure": data.measure}
    wanted = genes_wanted(genes)
    if wanted is not None and wanted < len(data.genes):
        data = data.of_genes(np.sort(most_variable(data, normalisation_of(data), wanted)))
        report["genes"], report["genes_of"] = len(data.genes), "the most variable ones"
    if data.measure != "intensities":
        empty = int((data.totals() <= 0).sum())
        if empty:
            raise DataError(
                f"{counted(empty, 'cell')} of {len(data):,} are zero in every gene",
                remedy="Leave them out (--drop-empty), or keep more genes.",
            )
    return data, report


def fit_openly(
    data: ExpressionSet,
    settings: Mapping[str, Any],
    columns: Columns,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> FittedExpression:
    """Fit without a budget of privacy.

    Parameters
    ----------
    data
        Cells by genes.
    settings
        Those of an `ExpressionGAN`.
    columns
        Labels, batch, donor, covariates.
    checkpoint
        Where to keep the state of the fit.
    resume
        Go on from the checkpoint if there is one.

    Raises
    ------
    InputError
        A wrong setting, a column that is not there, or a checkpoint of another fit.
    DataError
        Cells that cannot be learned.
    """
    check_settings(settings)
    own, report = prepared(data, columns, settings["genes"])
    space, conditions = ExpressionSpace.of(own, columns.labels, columns.batch, columns.covariates)
    groups = _donors(own, columns.donor)
    training = Training(own.values, conditions, own.measure, len(space.classes), len(space.batches))
    random = RandomSource(seed_for(settings["random_state"], checkpoint if resume else None))
    fingerprint = {
        "seed": random.seed,
        "data": _digest(own, conditions, groups),
        **{name: settings[name] for name in ("model", "genes", "factors", "loss", "steps")},
        "columns": [list(columns.labels), columns.batch, columns.donor, list(columns.covariates)],
    }
    counts = dict(zip(space.class_names, map(int, space.class_counts), strict=True))
    if columns.labels:
        few = [f"{name} ({n})" for name, n in counts.items() if n < settings["fewest_cells"]]
        if few:
            raise DataError(
                f"{' / '.join(columns.labels)!r} has {counted(len(few), 'type')} with fewer than "
                f"{settings['fewest_cells']} cells: {some_named(few)}",
                remedy="Merge them with others, leave them out, or fit with fewest_cells=1 "
                "(synthkit fit --fewest-cells 1).",
            )
        report["classes"] = counts
        report["rare_classes"] = [name for name, n in counts.items() if n < RARE]
    if space.batch is not None:
        report["batches"] = len(space.batches)
    if groups is not None:
        report["donors"] = len(np.unique(groups))
    plan = FactorSettings(
        None if settings["factors"] == "auto" else int(settings["factors"]),
        None if settings["steps"] == "auto" else int(settings["steps"]),
        settings["loss"],
        device_named(settings["device"]),
    )
    with trainer_for(settings, checkpoint, fingerprint, resume=resume) as trainer:
        trainer.message(f"learning {counted(len(own), 'cell')} by {counted(len(own.genes), 'gene')}")
        name, chosen = _chosen(str(settings["model"]), training, groups, plan, trainer, random)
        report |= chosen
        model, told = MODELS[name].fit(training, plan, trainer, random.child("model"))
        report |= {"model": name, **told}
        report["seconds"], report["interrupted"] = round(trainer.seconds, 1), trainer.interrupted
    report["peak_memory_mb"] = _peak_memory()
    return FittedExpression(space, model, report)


def _chosen(
    name: str,
    training: Training,
    groups: np.ndarray | None,
    plan: FactorSettings,
    trainer: Trainer,
    random: RandomSource,
) -> tuple[str, dict[str, Any]]:
    """Return the model to fit, and why."""
    if name != "auto":
        return name, {}
    if len(training) < FEWEST:
        return "cwgan", {"chosen_because": f"fewer than {FEWEST} cells are too few to compare models"}
    learned, compared = split_cells(training.conditions, groups, random.numpy("comparison"))
    if len(compared) < 2:
        return "cwgan", {"chosen_because": "too few cells could be set aside to compare models"}
    part, unseen = training.take(learned), training.take(compared)
    part = replace(part, n_classes=training.n_classes, n_batches=training.n_batches)
    comparison = Comparison(unseen, random.child("comparison"))
    # whole donors that are set aside are no fair sample of each class
    wanted = replace(comparison.wanted, representative=groups is None)
    scores: list[ModelScore] = [comparison.score("real cells", [_as_real(part, comparison, random)])]
    trial = replace(plan, seconds=_TRIAL * trainer.time_left, prefix="comparison: ")
    for one in COMPARED:
        if trainer.interrupted:
            break
        model, _ = MODELS[one].fit(part, trial, trainer, random.child(f"comparison {one}"))
        draws = [model.draw(wanted, random.child(f"drawn {one} {at}")) for at in range(DRAWS)]
        found = comparison.score(one, draws)
        scores.append(found)
        trainer.message(
            f"{one}: AUC {found.auc_components:.3f} in components, {found.auc_genes:.3f} in genes, recall "
            f"{found.recall:.2f}"
        )
    tried = scores[1:]
    if not tried:
        return "cwgan", {"chosen_because": "the fit was interrupted before models were compared"}
    best = min(tried, key=lambda score: score.distance)
    because = (
        f"of {', '.join(score.name for score in tried)}, {best.name} is nearest to {counted(len(compared), 'cell')} "
        f"set aside ({best.distance:.3f}; real cells {scores[0].distance:.3f})"
    )
    return best.name, {"chosen_because": because, "comparison": [score.to_dict() for score in scores]}


def _as_real(part: Training, comparison: Comparison, random: RandomSource) -> Any:
    """Return training cells with the classes of the unseen ones, each once as far as there are enough."""
    rng = random.numpy("real cells")
    labels = comparison.wanted.classes
    places = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        wanted = np.flatnonzero(labels == label)
        own = rng.permutation(np.flatnonzero(part.conditions.classes == label))
        places[wanted] = np.resize(own, len(wanted))
    return part.values[places]


def _donors(data: ExpressionSet, donor: str | None) -> np.ndarray | None:
    if donor is None:
        return None
    if donor not in data.cells.columns:
        raise InputError(
            unknown_name("column of cells", donor, map(str, data.cells.columns)),
            remedy="Name a column of obs.",
        )
    missing = int(data.cells[donor].isna().sum())
    if missing:
        raise DataError(f"{counted(missing, 'cell')} have no {donor!r}", remedy="Give them a donor, or leave them out.")
    return np.asarray(np.unique(data.cells[donor].astype(str), return_inverse=True)[1])


def device_named(name: str) -> str:
    """Return the device that a name asks for: "auto" is a GPU where there is one.

    Raises
    ------
    InputError
        No such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu" or (name.partition(":")[0] == "cuda" and torch.cuda.is_available()):
        return name
    raise InputError(f"there is no device {name!r} here", remedy="Use cpu or auto.")


def _digest(data: ExpressionSet, conditions: Wanted, groups: np.ndarray | None) -> str:
    """Return a digest of the values, ids, conditions and donors, by which a checkpoint knows its data."""
    found = hashlib.sha256()
    parts = (
        (data.values.data, data.values.indices, data.values.indptr)
        if sparse.issparse(data.values)
        else (np.ascontiguousarray(data.values),)
    )
    known = () if groups is None else (groups,)
    for part in (*parts, *conditions.given(), *known):
        found.update(np.ascontiguousarray(part).tobytes())
    found.update("\n".join(map(str, data.genes.index)).encode())
    found.update("\n".join(map(str, data.cells.index)).encode())
    return found.hexdigest()


def _peak_memory() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return math.ceil(most / 2**20 if sys.platform == "darwin" else most / 2**10)
