"""Canary audit of what a private fit of scans releases: attacks that know everything but one patient.

The real code runs again and again on made-up scans, ledger, guard, sampling, clipping and noise and all, with a patient
who was made to be found and without. The result is a lower bound on epsilon, and **can only refute**
(`synthkit.privacy.canaries`). No private scan is read.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from synthkit.errors import PrivacyError
from synthkit.privacy.audit_curves import Curve, GaussianCurve
from synthkit.privacy.budget import ROW, PrivacyBudget
from synthkit.privacy.canaries import CanaryAudit, audit_attack
from synthkit.privacy.canary_attacks import (
    CLIP,
    MOST_STEPS,
    RECORDS,
    Codes,
    CriticAttack,
    CriticRelease,
    Floats,
    Release,
    SilentNoise,
    whitening,
)
from synthkit.privacy.events import EMBEDDING
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_critic import NoisyImageGradient
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.record_loss import RecordLoss
from synthkit.privacy.scan_plan import COUNT_SHARE, STEPS_PER_SCAN, plan_scan_release
from synthkit.privacy.wording import SCAN
from synthkit.random import RandomSource
from synthkit.scans.embedding import EmbeddingSettings, RandomFeatures, release_embedding

_SIDE = 6  # samples along each axis of a made-up scan
_SMALL = EmbeddingSettings(filters=(2, 2), scales=1, waves=4)
_IDEAL = 20_000
_PILOTS = 5
_OTHERS = 6  # scans beside the canary
_RECORD = (ROW, SCAN)


def audit_image_critic(
    budget: PrivacyBudget,
    *,
    runs: int = 2_000,
    steps: int = 4,
    sampling_probability: float = 0.5,
    confidence: float = 0.99,
    noise: NoiseSource | None = None,
) -> CanaryAudit:
    """Attack the noisy gradients of the image critic, with and without a patient whose gradients clipping cuts.

    The canary is alone in the data, with as many scans as a patient may have in a step; real term, fake term and
    penalty of each of its pairs are longer than the clipping norm.

    Parameters
    ----------
    budget
        What the steps are planned for.
    runs
        Trainings in all, half of them with the canary; at least 4.
    steps, sampling_probability
        Of one training; at most 10 steps.
    confidence
        Of the lower bound.
    noise
        Where noise comes from; None is the operating system. A reproducible source is for tests.

    Returns
    -------
    CanaryAudit
        It can only refute: "consistent" is no proof.

    Raises
    ------
    PrivacyError
        If there are too few runs, no steps or too many, or the ledger refuses the plan.

    Privacy
    -------
    Reads made-up scans only, and no ledger of real ones.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise PrivacyError(f"an audit of the critic takes 1 to {MOST_STEPS} steps, got {steps}")
    source = NoiseSource() if noise is None else noise
    attack = CriticAttack(budget, steps, sampling_probability, source, ImageCriticRelease)
    attack.name = "image critic"
    return audit_attack(attack, runs=runs, confidence=confidence, noise=source)


def audit_embedding(
    budget: PrivacyBudget, *, runs: int = 2_000, confidence: float = 0.99, noise: NoiseSource | None = None
) -> CanaryAudit:
    """Attack the release of mean features many times, with and without a patient of the longest features there are.

    Parameters
    ----------
    budget
        What the release is planned for.
    runs, confidence, noise
        As in `audit_image_critic`.

    Returns
    -------
    CanaryAudit
        It can only refute: "consistent" is no proof.

    Raises
    ------
    PrivacyError
        If there are too few runs, or the ledger refuses the plan.

    Privacy
    -------
    Reads made-up scans only, and no ledger of real ones.
    """
    source = NoiseSource() if noise is None else noise
    return audit_attack(EmbeddingAttack(budget, source), runs=runs, confidence=confidence, noise=source)


class ImageCriticRelease(CriticRelease):
    """All steps of a private image critic, which is linear and stays as it is; scans have one bright sample each."""

    def __init__(self, budget: PrivacyBudget, steps: int, probability: float, weights: Floats, fake: Floats) -> None:
        super().__init__(budget, steps, probability, weights, fake)
        self._symbols = len(weights)
        score = nn.Linear(len(weights), 1)
        with torch.no_grad():
            score.weight.copy_(torch.as_tensor(weights)[None])
            score.bias.zero_()
        self._image_critic = nn.Sequential(nn.Flatten(), score, nn.Flatten(0))

    def rows(self, codes: Codes) -> PrivateRows:
        """Guard made-up scans, one for each code, as many times each as a unit may have scans."""
        images = np.eye(self._symbols)[codes[:, 0]].reshape(-1, 1, 1, self._symbols)
        return guarded(images, self.budget, copy.deepcopy(self._planned))

    def __call__(self, codes: Codes, noise: NoiseSource) -> Floats:
        """Take all steps; return the noisy sum of each ``[T, S + 1]``, the critic's bias last."""
        gradient = NoisyImageGradient(
            self.rows(codes),
            self._event,
            _float,
            RecordLoss(),
            records=RECORDS,
            noise=noise,
            rows_per_unit=self.budget.rows_per_unit,
        )
        steps = [gradient(self._image_critic, self._image_fakes, CLIP) for _ in range(self.steps)]
        means = torch.stack([torch.cat([tensor.flatten() for tensor in step]) for step in steps])
        return means.double().numpy() * (self.probability * RECORDS)

    def _image_fakes(self, n: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        return self._fake.reshape(1, 1, 1, -1).expand(n, -1, -1, -1)


class EmbeddingRelease(Release):
    """The noisy sums of features of made-up scans."""

    def __init__(self, budget: PrivacyBudget) -> None:
        events = plan_scan_release(budget, records=RECORDS, engine="embedding").events
        self.event = events[EMBEDDING]
        super().__init__(budget, (self.event,))
        self.features = RandomFeatures((1, _SIDE, _SIDE), RandomSource(0), _SMALL)

    def __call__(self, images: Floats, noise: NoiseSource) -> Floats:
        """Release; return the noisy sums ``[D + 1]`` in standard deviations of the planned noise."""
        rows = guarded(images, self.budget, copy.deepcopy(self._planned))
        found = release_embedding(rows, self.event, self.features, _float, noise)
        # what is published are means and a count, each of the sums over a published number
        sums = torch.cat([found.means[0] * found.counts[0], found.counts[:1]]).double().numpy()
        length = math.sqrt(1 - COUNT_SHARE)
        scale = np.append(np.full(len(sums) - 1, length), math.sqrt(COUNT_SHARE))
        deviation = (self.event.noise_multiplier or math.inf) * self.event.sensitivity / STEPS_PER_SCAN
        result: Floats = sums * scale / deviation
        return result


class EmbeddingAttack:
    """An attack on the embedding (`synthkit.privacy.canary_attacks.Attack`), by a scan of the longest features."""

    def __init__(self, budget: PrivacyBudget, noise: NoiseSource) -> None:
        self.name = "embedding"
        self.curve: Curve = GaussianCurve()
        self._release = EmbeddingRelease(budget)
        self.release: Release = self._release
        rows, columns = np.indices((_SIDE, _SIDE))
        canary = np.where((rows + columns) % 2, 1.0, -1.0)
        # symbol 0 is everybody else, 1 the canary, 2 who is in its place under "replace-one"
        self._scans = np.stack([np.ones((_SIDE, _SIDE)), canary, -canary])[:, None]
        others = np.zeros((_OTHERS, 1), np.int32)
        places = [np.full((1, 1), symbol, np.int32) for symbol in (1, 2)]
        without = np.concatenate([others, places[1]]) if budget.adjacency == "replace-one" else others
        self.tables: tuple[Codes, Codes] = without, np.concatenate([others, places[0]])
        shown = [self._published(codes, SilentNoise()) for codes in self.tables]
        width = len(shown[0])
        pilots = [self._published(self.tables[0], noise) for _ in range(_PILOTS * width)]
        self._whitening = whitening(np.stack(pilots))
        self._middle, self._change = (shown[0] + shown[1]) / 2, self._whitening @ (shown[1] - shown[0])

    def score(self, codes: Codes, noise: NoiseSource) -> float:
        """See `Attack`."""
        return float(self._change @ self._whitening @ (self._published(codes, noise) - self._middle))

    def _published(self, codes: Codes, noise: NoiseSource) -> Floats:
        return self._release(self._scans[codes[:, 0]], noise)

    def ideal(self) -> tuple[Floats, Floats]:
        """See `Attack`."""
        mu = 1 / (self._release.event.noise_multiplier or math.inf)
        without, into = RandomSource(0).numpy("ideal scores").standard_normal((2, _IDEAL)) * mu
        return without - mu**2 / 2, into + mu**2 / 2


def guarded(images: Floats, budget: PrivacyBudget, ledger: object) -> PrivateRows:
    """Guard made-up scans, as many times each as a unit may have."""
    most = budget.rows_per_unit
    columns = {"images": np.repeat(images, most, axis=0), "parts": np.full(len(images) * most, most)}
    units = None if budget.unit in _RECORD else np.repeat(np.arange(len(images)), most)
    return PrivateRows(columns, ledger, units)  # type: ignore[arg-type]


def _float(images: Floats) -> Tensor:
    return torch.from_numpy(images).float()
