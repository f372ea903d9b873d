"""From scans and the settings of a `ScanGAN` to what was fitted: openly, or under a privacy budget."""

from __future__ import annotations

import hashlib
import resource
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthkit.errors import DataError, InputError
from synthkit.gan.budget import Budget
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.running import seed_for, trainer_for
from synthkit.io.resampling import resampled, resampled_masks
from synthkit.io.scan_set import ScanSet
from synthkit.phrases import by
from synthkit.random import RandomSource
from synthkit.scans.context import FitContext
from synthkit.scans.fitted import FittedScans
from synthkit.scans.fitting import fit_family
from synthkit.scans.held_out import held_out_share, split_by_patient
from synthkit.scans.intensity import Intensity
from synthkit.scans.plan import FEW, FEWEST, ScanPlan, check_number
from synthkit.scans.space import ScanSpace
from synthkit.scans.training_pictures import TrainingPictures

_NAMED = 3  # scans that a message names
_FEWEST_HELD_OUT = 2


def fit_openly(
    scans: ScanSet,
    settings: Mapping[str, Any],
    plan: ScanPlan,
    *,
    target: ScanSet | None = None,
    holdout: ScanSet | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> FittedScans:
    """Fit without a budget of privacy.

    Parameters
    ----------
    scans
        Training scans.
    settings
        Those of a `ScanGAN`.
    plan
        What to do.
    target
        For translation: the scans to translate into.
    holdout
        Scans to score on; a share of the training scans when absent.
    checkpoint
        Where to keep the state of the fit.
    resume
        Go on from the checkpoint if there is one.

    Raises
    ------
    InputError
        Too few scans, values that are no numbers, scans that do not fit together, or a checkpoint of another fit.
    """
    recipe = plan.chosen_recipe(len(scans.size))
    _check_target(recipe, target)
    own, left_out = prepared(scans, plan, recipe)
    other = None if target is None else prepared(target, replace(plan, size=own.size), recipe)[0]
    scored = None if holdout is None else _like(holdout, own, plan, recipe)
    random = RandomSource(seed_for(settings["random_state"], checkpoint if resume else None))
    space = ScanSpace.of(own, Intensity.of(own.images, own.form, plan.window))
    other_space = None if other is None else ScanSpace.of(other, Intensity.of(other.images, other.form, plan.window))
    spec = ImageSpec(
        own.size,
        own.channels,
        n_classes=len(space.classes),
        distance_channels=len(space.regions),
    )
    fingerprint = {**plan.to_dict(), "seed": random.seed, "data": digest(own)}
    if other is not None:
        fingerprint["target"] = digest(other)
    with trainer_for(settings, checkpoint, fingerprint, resume=resume) as trainer:
        trainer.message(f"preparing {len(own):,} scans of {' x '.join(map(str, own.size))}")
        training, held = _split(own, scored, plan, random)
        context = FitContext(
            space.units(training),
            space.units(held),
            spec,
            recipe,
            {**settings, "steps": plan.steps, "factor": plan.factor, "units": own.form.units},
            trainer,
            random,
            plan.device,
            budget=Budget.parse(settings["time_budget"]).seconds,
            pictures=None if settings["pictures"] is None else TrainingPictures(settings["pictures"], space, random),
        )
        if other is not None and other_space is not None:
            if plan.paired:
                if scored is not None:
                    raise InputError("pairs are held out as pairs", remedy="leave holdout out, or paired")
                other = replace(other, patients=own.patients)  # so that both sides are split alike
            context = _with_target(context, other, other_space, plan, random)
        learned = fit_family(context)
        seconds, interrupted = trainer.seconds, trainer.interrupted
    fitted = FittedScans(recipe, spec, learned, space, other_space, device=plan.device)
    fitted.report = {
        "recipe": recipe.name,
        "scans": len(own),
        "patients": len(np.unique(own.groups)) if own.patients is not None else None,
        "size": list(own.size),
        "channels": own.channels,
        "classes": own.counts(),
        "regions": list(space.regions),
        "held_out": len(held),
        "intensity": space.intensity.to_dict(),
        "clipped": space.intensity.outside(own.images),
        "left_out": left_out,
        **context.report,
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory(plan.device),
        "device": plan.device,
        "threads": torch.get_num_threads(),
        "stages": {report.name: report.describe() for report in context.stages},
        "interrupted": interrupted,
    }
    return fitted


# ------------------------------------------------------------------------------------------------------ preparing scans


def prepared(scans: ScanSet, plan: ScanPlan, recipe: Recipe) -> tuple[ScanSet, list[str]]:
    """Return scans as they are learned from, and what had to be left out or changed, in words.

    Raises
    ------
    InputError
        Fewer than 20 scans, or values that are no numbers.
    """
    check_number(len(scans))
    _check_values(scans)
    if not scans.images.dtype.isnative:
        scans = replace(scans, images=scans.images.astype(scans.images.dtype.newbyteorder("=")))
    changes: list[str] = []
    if scans.labels is not None:
        scans = _with_used_classes(scans, recipe, changes)
    size = plan.size_for(scans.size)
    if size != scans.size:
        before, after = (by(one) for one in (scans.size, size))
        changes.append(f"resampled from {before} to {after}")
        if plan.size == "auto":
            warnings.warn(
                f"scans of {before} are resampled to {after}, which trains in reasonable time; size='native' keeps "
                "their own",
                UserWarning,
                stacklevel=5,
            )
        scans = of_size(scans, size)
    if len(scans) < FEW:
        warnings.warn(
            f"there are only {len(scans)} scans: from fewer than {FEW} a generator repeats much of what it saw, which "
            "the audit shows",
            UserWarning,
            stacklevel=5,
        )
    return scans, changes


def of_size(scans: ScanSet, size: tuple[int, ...]) -> ScanSet:
    """Return scans resampled to a size, with their masks, and the spacing that follows."""
    spacing = scans.form.spacing
    if spacing is not None and len(spacing) == len(size):
        spacing = tuple(one * old / new for one, old, new in zip(spacing, scans.size, size, strict=True))
    return replace(
        scans,
        images=resampled(scans.images, size),
        masks=None if scans.masks is None else resampled_masks(scans.masks, size),
        form=replace(scans.form, spacing=spacing),
    )


def _check_values(scans: ScanSet) -> None:
    if not np.issubdtype(scans.images.dtype, np.floating):
        if scans.images.dtype.kind not in "iub":
            raise DataError(f"the scans have the dtype {scans.images.dtype}, expected real numbers")
        return
    bad = [i for i in range(len(scans)) if not np.isfinite(scans.images[i]).all()]
    if bad:
        named = ", ".join(scans.names[i] if scans.names else f"scan {i}" for i in bad[:_NAMED])
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise DataError(
            f"{len(bad)} of {len(scans)} scans have values that are infinite or no numbers: {named}{more}",
            remedy="leave them out, or fill them with the value of the background",
        )


def _with_used_classes(scans: ScanSet, recipe: Recipe, changes: list[str]) -> ScanSet:
    """Return scans without classes that have no scan; without any classes for a recipe that knows none."""
    if not recipe.conditional:
        if recipe.family == "noise":
            changes.append(f"the labels: the recipe {recipe.name} knows no classes")
        return replace(scans, labels=None, classes=())
    counts = scans.counts()
    empty = [name for name, n in counts.items() if not n]
    if not empty or scans.labels is None:
        return scans
    changes.append(f"classes without a scan: {', '.join(empty)}")
    kept = [place for place, name in enumerate(scans.classes) if counts[name]]
    table = np.full(len(scans.classes), -1)
    table[kept] = np.arange(len(kept))
    return replace(scans, labels=table[scans.labels], classes=tuple(scans.classes[place] for place in kept))


def _like(scans: ScanSet, own: ScanSet, plan: ScanPlan, recipe: Recipe) -> ScanSet:
    """Return held-out scans in the form of the training scans."""
    if scans.channels != own.channels or len(scans.size) != len(own.size):
        raise DataError(
            f"the held-out scans have {scans.channels} channels and {len(scans.size)} axes, and the training scans "
            f"{own.channels} and {len(own.size)}",
            remedy="give scans of the same kind",
        )
    _check_values(scans)
    if not recipe.conditional:
        scans = replace(scans, labels=None, classes=())
    return of_size(scans, own.size) if scans.size != own.size else scans


def _check_target(recipe: Recipe, target: ScanSet | None) -> None:
    if recipe.family == "translation" and target is None:
        raise InputError(
            f"the recipe {recipe.name!r} translates scans, and there is nothing to translate into",
            remedy="give the other scans as target",
        )
    if recipe.family != "translation" and target is not None:
        raise InputError(f"target is for translation, and the recipe is {recipe.name!r}", remedy="leave target out")


def _split(scans: ScanSet, holdout: ScanSet | None, plan: ScanPlan, random: RandomSource) -> tuple[ScanSet, ScanSet]:
    """Return training and held-out scans; no patient is in both."""
    if holdout is not None:
        return scans, holdout
    share = plan.validation_share if plan.validation_share is not None else held_out_share(len(scans))
    training, held = split_by_patient(scans.groups, share, random.numpy("validation"), scans.labels)
    if len(held) < _FEWEST_HELD_OUT and scans.patients is not None:
        patients = len(np.unique(scans.groups))
        warnings.warn(
            f"all {len(scans)} scans are of {patients} patient{'s' if patients > 1 else ''}: some of the same patient "
            "are held out, so that the held-out score says little",
            UserWarning,
            stacklevel=5,
        )
        training, held = split_by_patient(np.arange(len(scans)), share, random.numpy("validation"), scans.labels)
    if len(held) < _FEWEST_HELD_OUT or len(training) < FEWEST // 2:
        raise InputError(
            f"{len(scans)} scans of {len(np.unique(scans.groups))} patients leave {len(training)} for training and "
            f"{len(held)} held out",
            remedy="give scans of more patients, or another validation_share",
        )
    return scans.take(training), scans.take(held)


def _with_target(
    context: FitContext, target: ScanSet, space: ScanSpace, plan: ScanPlan, random: RandomSource
) -> FitContext:
    """Return the context of a translation; paired scans are held out as pairs."""
    if target.size != context.training.size:
        raise DataError("source and target have different sizes", remedy="give size, so that both are resampled")
    if plan.paired:
        n = len(context.training) + len(context.held_out)
        if len(target) != n:
            raise DataError(
                f"there are {n} scans and {len(target)} targets, and paired ones need a target for each",
                remedy="leave paired out, or give them in the same order",
            )
    training, held = _split(target, None, plan, random)
    return replace(context, target=space.units(training), held_out_target=space.units(held))


def digest(scans: ScanSet) -> str:
    """Return what tells one set of scans from another, for the checkpoint of a fit."""
    content = hashlib.sha256(repr((scans.images.shape, str(scans.images.dtype), scans.classes)).encode())
    for one in scans.images:
        content.update(np.ascontiguousarray(one).data)
    for part in (scans.labels, scans.masks):
        if part is not None:
            content.update(np.ascontiguousarray(part).data)
    if scans.patients is not None:
        content.update("\0".join(map(str, scans.patients)).encode("utf-8", "surrogatepass"))
    return content.hexdigest()


def peak_memory(device: str) -> int:
    """Return the most memory that this process has held so far, in MB; of the GPU where one is used."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated(device) // 2**20)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(held // 2**20 if sys.platform == "darwin" else held // 2**10)
