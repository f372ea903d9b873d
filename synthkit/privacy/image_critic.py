"""One noisy gradient of an image critic per step of a planned DP-SGD event: the only place where it meets real scans.

A step draws a fresh Poisson sample of patients, takes a bounded number of scans of each, pairs every scan with a fake
of its own class, adds up the gradients of a patient's pairs and clips the sum, adds Gaussian noise to the sum over
patients and divides by a public number. What it returns is private; all that is done with it is post-processing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthkit.privacy.critic_step import MARGIN, NoisyGradient
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_clipping import Pairs, clipped_pair_sum, unit_parts
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.record_loss import RecordLoss

_AT_ONCE = 256  # scans of a sample that are in memory as networks see them

ImageFakes = Callable[[int, torch.Generator, Tensor | None], Tensor]
Seen = Callable[[NDArray[Any]], Tensor]


class NoisyImageGradient(NoisyGradient):
    """Noisy gradients of an image critic's loss, as many as an event plans.

    Parameters
    ----------
    rows
        The private scans: "images" ``[n, channels, *size]`` as they are stored and, for critics with classes, "labels"
        ``[n]``, the declared class of each; a scan with a label below zero counts nowhere.
    event
        What `synthkit.privacy.events.sampled_gaussian_event` returned. Sampling probability, noise multiplier and
        number of steps are read from it, so that what is done is what is accounted.
    see
        From stored images to what the critic sees, float32 in [-1, 1], scan by scan. It must come from public facts: a
        window that is read from the scans would tell of them.
    loss
        Loss of a pair.
    records
        n0, the public number of units. The sum is divided by ``n0`` times the sampling probability, never by the size
        of a sample.
    noise
        Source of samples, fakes and noise.
    rows_per_unit
        Most scans of one unit in a step; of units with more, that many are picked at random each time.
    device
        Where the critic lives.

    Raises
    ------
    PrivacyError
        When the event is of another kind, or the number of units or of rows of a unit is not positive.

    Privacy
    -------
    Adjacency: add or remove one unit, a patient with all scans (or one scan, where scans are units). All steps together
    keep the guarantee of the event: each is the Gaussian mechanism with sensitivity C on a Poisson sample of the units.
    All pairs of a unit are one gradient, which is clipped once. Adding or removing a unit changes the fakes that other
    scans are paired with only in their order; given the class, they are independent and equally distributed, and drawn
    with secret random numbers in every step anew, so the distribution of the sum of the others is the same.

    References
    ----------
    Abadi et al. (2016), Deep learning with differential privacy; Bie, Kamath and Zhang (2023), Private GANs, revisited.
    """

    def __init__(
        self,
        rows: PrivateRows,
        event: Event,
        see: Seen,
        loss: RecordLoss,
        *,
        records: int,
        noise: NoiseSource,
        rows_per_unit: int = 1,
        device: str = "cpu",
    ) -> None:
        super().__init__(rows, event, records=records, noise=noise, rows_per_unit=rows_per_unit, device=device)
        self._see, self._loss = see, loss

    def __call__(self, critic: nn.Module, fakes: ImageFakes, clip: float) -> list[Tensor]:
        """Return the noisy gradient, one tensor per parameter of the critic.

        Parameters
        ----------
        critic
            The critic (`synthkit.privacy.image_clipping.require_scan_wise`).
        fakes
            Scans ``[n, channels, *size]``, without gradient, of n independent fakes of given classes ``[n]`` (or None),
            drawn from the generator of random numbers that it is given and from nothing else.
        clip
            C, the most that one unit contributes; from public numbers or earlier results.

        Raises
        ------
        PrivacyError
            When all planned steps are taken, or C is not positive and finite.
        """
        return self._step(critic, clip, lambda data: self._clipped(critic, data, fakes, clip))

    def _clipped(
        self, critic: nn.Module, data: Mapping[str, NDArray[Any]], fakes: ImageFakes, clip: float
    ) -> list[Tensor]:
        """Sum of clipped gradients over a fresh sample; private."""
        rows = self._sample(len(data["images"]))
        secret = self._secret()
        if "labels" in data:
            rows = rows[data["labels"][rows] >= 0]
        units = self._session.units
        owners = rows if units is None else np.unique(units[rows], return_inverse=True)[1]
        sums = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in critic.parameters()]
        for where in unit_parts(owners.tolist(), _AT_ONCE):
            pairs = self._pairs(data, rows[where], owners[where], fakes, secret)
            found = clipped_pair_sum(critic, self._loss, pairs, clip * (1 - MARGIN))
            for total, tensor in zip(sums, found.sums, strict=True):
                total += tensor
        return sums

    def _pairs(
        self,
        data: Mapping[str, NDArray[Any]],
        rows: NDArray[np.int64],
        owners: NDArray[np.int64],
        fakes: ImageFakes,
        secret: torch.Generator,
    ) -> Pairs:
        """Pair some of the sampled scans with fakes of the same class."""
        real = self._see(data["images"][rows]).to(self._device)
        labels = torch.from_numpy(data["labels"][rows].astype(np.int64)).to(self._device) if "labels" in data else None
        with torch.no_grad():
            fake = fakes(len(real), secret, labels)
        share = torch.rand(len(real), generator=secret, device=self._device)
        return Pairs(real, fake, share, labels, torch.from_numpy(owners).to(self._device))
