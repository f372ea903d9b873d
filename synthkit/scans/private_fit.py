"""A fit of scans under a privacy budget: what is read, in the order of the plan, and what is made of it.

The only lines that see private scans are those inside ``reading`` and ``step``, in `synthkit.scans.embedding` and in
`synthkit.privacy.image_critic`. What they return is noisy; everything after is post-processing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthkit.errors import DataError, PrivacyError
from synthkit.gan.images.nets import Generator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.running import trainer_for
from synthkit.gan.stage import Stage
from synthkit.gan.trainer import Trainer
from synthkit.io.scan_set import ScanSet
from synthkit.privacy.events import EMBEDDING
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_stage import PrivateImageSettings, PrivateImageStage, private_critic_recipe
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.scan_plan import CRITIC, ScanReleasePlan
from synthkit.privacy.wording import PATIENT
from synthkit.random import RandomSource
from synthkit.scans.context import Learned
from synthkit.scans.domain import ScanDomain
from synthkit.scans.embedding import EmbeddingSettings, NoisyEmbedding, RandomFeatures, release_embedding
from synthkit.scans.estimation import of_size
from synthkit.scans.fitted import FittedScans
from synthkit.scans.intensity import Intensity
from synthkit.scans.matching import EmbeddingStage, MatchSettings, mismatch
from synthkit.scans.plan import ScanPlan
from synthkit.scans.private import (
    check_ledger,
    open_ledger,
    privacy_record,
    private_settings,
)
from synthkit.scans.private_pace import SHARE_OF_TIME

_FEATURES_SEED = 0  # public features: the same for everybody
_HYBRID = PrivateImageSettings(anchor=1.0)


def fit_privately(
    scans: ScanSet,
    settings: Mapping[str, Any],
    plan: ScanPlan,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> FittedScans:
    """Fit scans under a budget; nothing of them is looked at before the plan is accepted.

    Parameters
    ----------
    scans
        The private scans.
    settings
        Those of a `ScanGAN`. The seed reaches the training only, never the noise.
    plan
        The same, checked.
    checkpoint
        Not used: a fit that is taken up again would be a second release.
    resume
        Refused, for the same reason.

    Raises
    ------
    PrivacyError
        Nothing was read: something is not declared, or the budget or the ledger does not allow it.

    Privacy
    -------
    (epsilon, delta) differential privacy of the returned model and of everything drawn from it, under the adjacency of
    the budget, "add-remove" unless asked otherwise: data sets that differ by one patient with all scans (by one scan,
    where patients are not known), given what is declared (`synthkit.scans.domain.ScanDomain`).
    """
    if resume:
        raise PrivacyError(
            "a fit under a privacy budget cannot be taken up again: what was read before would be read twice",
            remedy="Leave --resume out; the fit is then a release of its own.",
        )
    private = private_settings(
        settings,
        plan,
        patients=scans.patients is not None,
        channels=scans.channels,
        axes=len(scans.size),
        modality=scans.form.modality,
        units=scans.form.units,
        whole=not np.issubdtype(scans.images.dtype, np.floating),
    )
    if scans.masks is not None:
        raise PrivacyError("masks have no private fit yet", remedy="read the scans without masks")
    release = private.plan()
    check_ledger(private, release)
    noise = NoiseSource(reproducible_seed=private.reproducible_noise)
    with trainer_for(settings) as trainer:
        trainer.message("measuring under the budget")
        with open_ledger(private, release) as ledger:
            fit = PrivateScanFit(
                private.domain,
                release,
                private.recipe,
                ledger=ledger,
                noise=noise,
                random=RandomSource(settings["random_state"]),
                trainer=trainer,
                match=MatchSettings(steps=max(private.match, 1)),
                device=plan.device,
            )
            fitted = fit.run(scans)
        fitted.privacy = privacy_record(private, release, ledger, noise, fit.embedding_facts, fit.critic_facts)
        # without seconds: how long something takes depends on the scans
        fitted.report |= {"interrupted": trainer.interrupted}
    return fitted


def check_private(settings: Mapping[str, Any], *, patients: bool = True, axes: int | None = None) -> ScanReleasePlan:
    """Check all about a fit under a budget that can be checked before any scan is read; the plan.

    Parameters
    ----------
    settings
        Those of a `ScanGAN`.
    patients
        Whether patients will be known.
    axes
        Axes of the scans; as many as lengths of the declared size when None.

    Raises
    ------
    PrivacyError
        Something is not declared, or the budget or the ledger does not allow it.
    """
    plan = ScanPlan.of(settings)
    lengths = 2 if isinstance(plan.size, str) else max(2, len(plan.size))
    private = private_settings(settings, plan, patients=patients, axes=axes or lengths)
    release = private.plan()
    check_ledger(private, release)
    return release


class PrivateScanFit:
    """One fit of scans under a privacy budget.

    Parameters
    ----------
    domain
        What is declared.
    plan
        What is read, with which noise.
    recipe
        Of the generator.
    ledger
        Has the events of the plan planned.
    noise
        Of the mechanisms.
    random
        Of the training, which is post-processing; never of the noise.
    trainer
        Runs the stages.
    embedding, match, game
        What the random features look at, how they are matched, and how the game with the critic is played.
    device
        Where networks are trained.

    Privacy
    -------
    The guarantee of the plan's events under the budget's adjacency (add or remove one patient, or one scan where scans
    are units), for the returned object and everything made of it.
    """

    def __init__(
        self,
        domain: ScanDomain,
        plan: ScanReleasePlan,
        recipe: Recipe,
        *,
        ledger: Ledger,
        noise: NoiseSource,
        random: RandomSource,
        trainer: Trainer,
        embedding: EmbeddingSettings | None = None,
        match: MatchSettings | None = None,
        game: PrivateImageSettings | None = None,
        device: str = "cpu",
    ) -> None:
        self.domain, self.plan, self.recipe = domain, plan, recipe
        self.ledger, self.noise, self.random, self.trainer, self.device = ledger, noise, random, trainer, device
        self.match = match
        self.game = game or (_HYBRID if EMBEDDING in plan.events else PrivateImageSettings())
        self.features = RandomFeatures(
            (domain.channels, *domain.size), RandomSource(_FEATURES_SEED).child("scan embedding"), embedding
        )
        self.spec = ImageSpec(domain.size, domain.channels, n_classes=len(domain.classes))
        self.generator = Generator(self.spec, recipe, random.torch("generator", device))
        self.see = seen_through(domain.intensity)
        self.report: dict[str, Any] = {}

    def run(self, scans: ScanSet) -> FittedScans:
        """Fit to private scans."""
        rows = self._rows(scans)
        release: NoisyEmbedding | None = None
        if EMBEDDING in self.plan.events:
            release = release_embedding(
                rows,
                self.plan.events[EMBEDDING],
                self.features.to(self.device),
                self.see,
                self.noise,
                classes=len(self.domain.classes),
                device=self.device,
            )
            share = SHARE_OF_TIME if CRITIC in self.plan.events else 1.0
            self._run(
                EmbeddingStage(
                    self.generator,
                    release,
                    self.features,
                    self.random.child("embedding"),
                    self.match,
                    device=self.device,
                ),
                share,
            )
        if CRITIC in self.plan.events:
            self._run(self._game(rows, release))
        return self._fitted(release)

    # -- what is read -------------------------------------------------------------------------------------------------

    def _rows(self, scans: ScanSet) -> PrivateRows:
        """Put the scans under guard, each with its class, its patient and the number of scans of the patient."""
        own = of_size(scans, self.domain.size) if scans.size != self.domain.size else scans
        if own.channels != self.domain.channels:
            raise DataError(f"the scans have {own.channels} channels, and {self.domain.channels} are declared")
        columns: dict[str, NDArray[Any]] = {"images": own.images}
        labels = self.domain.labels_of(own.labels, own.classes)
        counted = np.ones(len(own), bool) if labels is None else labels >= 0
        units: NDArray[Any] | None = None
        parts = np.ones(len(own), np.int64)
        if self.plan.budget.unit == PATIENT:
            if own.patients is None:
                raise PrivacyError("nothing says whose each scan is", remedy="read the scans with their patients")
            # a scan of nobody might be anybody's
            counted &= np.array([bool(str(name).strip()) for name in own.patients], bool)
            units = own.groups
            parts = np.maximum(np.bincount(units, weights=counted, minlength=len(own))[units], 1).astype(np.int64)
        columns |= {"parts": parts, "labels": np.where(counted, 0 if labels is None else labels, -1)}
        return PrivateRows(columns, self.ledger, units)

    def _game(self, rows: PrivateRows, release: NoisyEmbedding | None) -> PrivateImageStage:
        """The critic's stage, held near the release where there is one."""
        anchor: Callable[[Tensor, Tensor | None], Tensor] | None = None
        if release is not None:
            kept = release

            def anchor(fakes: Tensor, labels: Tensor | None) -> Tensor:
                return mismatch(kept, self.features(fakes), labels)

        return PrivateImageStage(
            self.generator,
            self.recipe,
            rows,
            self.plan.events[CRITIC],
            self.see,
            self.noise,
            self.random.child("critic"),
            self._labels,
            records=self.plan.records,
            settings=self.game,
            rows_per_unit=self.plan.budget.rows_per_unit,
            anchor=anchor,
            device=self.device,
        )

    def _labels(self, n: int, rng: torch.Generator) -> Tensor | None:
        """Classes of fakes, all alike."""
        classes = len(self.domain.classes)
        return torch.randint(classes, (n,), generator=rng, device=self.device) if classes else None

    def _run(self, stage: Stage, share: float = 1.0) -> None:
        left = self.trainer.time_left
        report = self.trainer.run(stage, seconds=left * share)
        # without seconds: how long something takes depends on the scans
        self.report.setdefault("stages", {})[report.name] = f"{report.steps} steps, {report.stopped_because}"

    # -- what is kept -------------------------------------------------------------------------------------------------

    @property
    def embedding_facts(self) -> dict[str, Any]:
        """Shape of the release, for the record of privacy."""
        return {"dimensions": self.features.dimensions, "seed": _FEATURES_SEED}

    @property
    def critic_facts(self) -> dict[str, Any]:
        """What the critic is made of, for the record of privacy."""
        recipe = private_critic_recipe(self.recipe, self.game, self.spec)
        return {
            "norm": "none",
            "spread": recipe.spread,
            "pac": 1,
            "augmentation": recipe.augment.probability is None,
            "clipped": self.plan.budget.unit,
            "loss": self.game.loss.game,
            "penalty": self.game.loss.penalty,
            "widths": list(recipe.widths_2d),
        }

    def _fitted(self, release: NoisyEmbedding | None) -> FittedScans:
        counts: tuple[int, ...] = ()
        if release is not None and not self.domain.counts:
            counts = tuple(round(float(count)) for count in release.counts)
        space = self.domain.space(counts)
        fitted = FittedScans(
            self.recipe, self.spec, Learned({"generator": self.generator}, {"private": True}), space, device=self.device
        )
        fitted.report = {
            "recipe": self.recipe.name,
            "size": list(self.domain.size),
            "channels": self.domain.channels,
            "classes": dict(zip(self.domain.classes, counts, strict=True)) if counts and self.domain.classes else {},
            "intensity": self.domain.intensity.to_dict(),
            "engine": self.plan.engine,
            "device": self.device,
            "parameters": sum(one.numel() for one in self.generator.parameters()),
            **self.report,
        }
        return fitted


def seen_through(intensity: Intensity) -> Callable[[NDArray[Any]], Tensor]:
    """Return the map from stored images to [-1, 1] of a declared window; what is no number is as low as can be."""

    def see(images: NDArray[Any]) -> Tensor:
        return torch.nan_to_num(intensity.to_unit(images), nan=-1.0, posinf=1.0, neginf=-1.0)

    return see
