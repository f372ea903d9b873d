"""One noisy gradient of the critic per step of a planned DP-SGD event: the only place where the critic meets real data.

A step draws a fresh Poisson sample of units, pairs every sampled record with a fake of its own, clips every record's
whole gradient, adds Gaussian noise to the sum and divides by a public number. What it returns is private; everything
that is done with it afterwards (Adam, moving averages, the generator's steps) is post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthkit.errors import PrivacyError
from synthkit.gan.features import FeatureMap
from synthkit.privacy.clipping import clipped_sum
from synthkit.privacy.events import SAMPLED_GAUSSIAN, Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.record_loss import RecordLoss
from synthkit.privacy.sampling import PoissonSampler, require_rows_per_unit
from synthkit.random import RandomSource

# Rounding in single precision can make a clipped gradient longer than asked for, and one record more changes how the
# sum of the others is rounded: together by less than this share of C in samples of any usual size (measured: 5e-5 in
# samples of 1,000 records, 2.5e-4 in samples of 20,000).
MARGIN = 2.0**-10

_CHUNK = 4096  # records that are in memory at once; a large sample comes in several parts

Fakes = Callable[[int, torch.Generator], Tensor]


class NoisyGradient:
    """The steps of a planned DP-SGD event, whatever the critic looks at: they are counted, noised and divided here.

    Parameters
    ----------
    rows
        The private rows.
    event
        What `synthkit.privacy.events.sampled_gaussian_event` returned. Sampling probability, noise multiplier and
        number of steps are read from it, so that what is done is what is accounted.
    records
        n0, the public number of units. The sum is divided by ``n0`` times the sampling probability, never by the size
        of a sample.
    noise
        Source of samples, fakes and noise.
    rows_per_unit
        Most rows of one unit in a step.
    device
        Where the critic lives.

    Raises
    ------
    PrivacyError
        When the event is of another kind, or the number of units or of rows of a unit is not positive.
    """

    def __init__(
        self,
        rows: PrivateRows,
        event: Event,
        *,
        records: int,
        noise: NoiseSource,
        rows_per_unit: int = 1,
        device: str = "cpu",
    ) -> None:
        probability, multiplier = event.sampling_probability, event.noise_multiplier
        if event.kind != SAMPLED_GAUSSIAN or probability is None or multiplier is None:
            raise PrivacyError(
                f"the critic's steps were planned as a {event.kind} event, expected {SAMPLED_GAUSSIAN}",
                remedy="plan them with synthkit.privacy.events.sampled_gaussian_event",
            )
        if records < 1:
            raise PrivacyError(f"the public number of units must be at least 1, got {records}")
        require_rows_per_unit(rows_per_unit)
        # last, since it spends the event: what is refused above has cost nothing
        self._session = rows.session(event)
        self._noise, self._device = noise, device
        self._probability, self._multiplier, self._most = probability, multiplier, rows_per_unit
        self._divisor = probability * records
        self._sampler: PoissonSampler | None = None

    @property
    def divisor(self) -> float:
        """Expected number of sampled units, by public numbers."""
        return self._divisor

    @property
    def steps_left(self) -> int:
        """Steps that the event still allows."""
        return self._session.steps_left

    def skip(self, steps: int) -> None:
        """Count steps that an earlier process took before it was interrupted."""
        self._session.skip(steps)

    def _step(
        self, critic: nn.Module, clip: float, clipped: Callable[[Mapping[str, NDArray[Any]]], list[Tensor]]
    ) -> list[Tensor]:
        """Take one step: noise on the sum that ``clipped`` finds in the rows, over a public number."""
        if not (math.isfinite(clip) and clip > 0):
            raise PrivacyError(f"the clipping norm must be > 0 and finite, got {clip}")
        with self._session.step() as data:
            noisy = [
                total.cpu() + torch.from_numpy(self._noise.gaussian(self._multiplier * clip, tuple(total.shape)))
                for total in clipped(data)
            ]
        parameters = list(critic.parameters())
        return [(tensor / self._divisor).to(own) for tensor, own in zip(noisy, parameters, strict=True)]

    def _sample(self, rows: int) -> NDArray[np.int64]:
        """Draw the rows of one step; a fresh Poisson sample of the units. Inside a step only."""
        if self._sampler is None:
            self._sampler = PoissonSampler(rows, self._session.units, self._most)
        return self._sampler.draw(self._probability, self._noise)

    def _secret(self) -> torch.Generator:
        """A stream of secret random numbers for one step, so that nothing later depends on the sample's size."""
        return RandomSource(int(self._noise.uint64(1)[0] >> 1)).torch("fakes", self._device)


class NoisyCriticGradient(NoisyGradient):
    """Noisy gradients of a critic's loss, as many as an event plans.

    Parameters
    ----------
    rows
        The private rows: "codes" ``[n, C]``, the symbol of each cell, below zero where it counts nowhere; and if there
        are any "positions" ``[n, C]`` inside the symbols, otherwise all are in the middle.
    event
        What `synthkit.privacy.events.sampled_gaussian_event` returned. Sampling probability, noise multiplier and
        number of steps are read from it, so that what is done is what is accounted.
    features
        What the critic sees of a row. It must come from public or noisy numbers, never from the rows.
    loss
        Loss of a record.
    records
        n0, the public number of units. The sum is divided by ``n0`` times the sampling probability, never by the size
        of a sample.
    noise
        Source of samples, fakes and noise.
    rows_per_unit
        Most rows of one unit in a step; each is clipped to C over this number.
    device
        Where critic and features live.

    Raises
    ------
    PrivacyError
        When the event is of another kind, or the number of units or of rows of a unit is not positive.

    Privacy
    -------
    All steps together keep the guarantee of the event: each is the Gaussian mechanism with sensitivity C on a Poisson
    sample. Adding or removing a unit changes the fakes that other records are paired with only in their order; they
    are independent and equally distributed, and drawn with secret random numbers in every step anew, so the
    distribution of the sum of the others is the same (a seed that is published would make the pairing a function of
    who is in the sample, and the stream's position afterwards a function of how many).
    """

    def __init__(
        self,
        rows: PrivateRows,
        event: Event,
        features: FeatureMap,
        loss: RecordLoss,
        *,
        records: int,
        noise: NoiseSource,
        rows_per_unit: int = 1,
        device: str = "cpu",
    ) -> None:
        super().__init__(rows, event, records=records, noise=noise, rows_per_unit=rows_per_unit, device=device)
        self._features, self._loss = features, loss

    def __call__(self, critic: nn.Module, fakes: Fakes, clip: float) -> list[Tensor]:
        """Return the noisy gradient, one tensor per parameter of the critic.

        Parameters
        ----------
        critic
            The critic (`synthkit.privacy.clipping.require_record_wise`).
        fakes
            Features ``[n, F]`` of n independent fakes, without gradient, drawn from the generator of random numbers
            that it is given and from nothing else.
        clip
            C, the most that one unit contributes; from public numbers or earlier results.

        Raises
        ------
        PrivacyError
            When all planned steps are taken, or C is not positive and finite.
        """
        return self._step(critic, clip, lambda data: self._clipped(critic, data, fakes, clip))

    def _clipped(self, critic: nn.Module, data: Mapping[str, NDArray[Any]], fakes: Fakes, clip: float) -> list[Tensor]:
        """Sum of clipped gradients over a fresh sample; private."""
        rows = self._sample(len(data["codes"]))
        secret = self._secret()
        each = clip * (1 - MARGIN) / self._most
        sums = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in critic.parameters()]
        for start in range(0, len(rows), _CHUNK):
            real = self._seen(data, rows[start : start + _CHUNK])
            with torch.no_grad():
                fake = fakes(len(real), secret)
            share = torch.rand(len(real), 1, generator=secret, device=self._device)
            found = clipped_sum(critic, self._loss, real, fake, share, each)
            for total, tensor in zip(sums, found.sums, strict=True):
                total += tensor
        return sums

    def _seen(self, data: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> Tensor:
        """What the critic sees of the sampled rows ``[B, F]``; nothing of cells that count nowhere."""
        codes = torch.from_numpy(data["codes"][rows]).to(self._device)
        positions = torch.full(codes.shape, 0.5, device=self._device)
        if "positions" in data:
            positions = torch.from_numpy(data["positions"][rows]).to(positions)
        seen = self._features.real(codes.clamp(min=0), positions)
        # not a product: zero times a position that is not a number would not be zero
        return torch.where((codes >= 0)[:, self._features.columns], seen, 0.0)
