"""Sums of gradients over pairs of a real scan and a fake, with all pairs of one patient clipped together.

A pair is the smallest thing that a critic of scans learns from: a real scan, a fake of the same class, and a share that
places its own interpolate between them. Its loss is one number, and `torch.func` differentiates it pair by pair, in
parts that bound the memory. The gradients of a unit's pairs are added up and clipped as a whole, so that a patient with
several scans counts no more than a patient with one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from synthkit.errors import PrivacyError
from synthkit.privacy.clipping import ClippedSum, Parameters, clip_factors
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

_BYTES = 96 * 2**20  # of gradients and activations of single pairs that are held at once
_MOST_PAIRS = 64  # more at once are no faster
_WIDTH = 64  # values that a network keeps of each sample of an image, about
_SAME = 1e-4  # scores of one scan in two batches differ by rounding only, relative to the largest score


@dataclass(frozen=True)
class Pairs:
    """Pairs of real scans and fakes, those of one unit next to each other.

    Attributes
    ----------
    real, fake
        ``[B, channels, *size]`` in [-1, 1]; B may be 0.
    share
        Share of the real scan in each interpolate, ``[B]``.
    labels
        Class of both, ``[B]``; None for critics without classes.
    units
        Whose each real scan is, ``[B]``, equal numbers next to each other.
    """

    real: Tensor
    fake: Tensor
    share: Tensor
    labels: Tensor | None
    units: Tensor

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.real)

    def part(self, where: slice) -> Pairs:
        """Some of the pairs."""
        labels = None if self.labels is None else self.labels[where]
        return Pairs(self.real[where], self.fake[where], self.share[where], labels, self.units[where])


def clipped_pair_sum(
    critic: nn.Module, loss: RecordLoss, pairs: Pairs, clip: float, *, at_once: int | None = None
) -> ClippedSum:
    """Sum the gradients of all units' losses, each scaled down to norm ``clip`` where it is longer.

    Parameters
    ----------
    critic
        Maps scans ``[B, channels, *size]`` (and labels ``[B]``) to scores ``[B]``, one by one (`require_scan_wise`).
    loss
        Loss of a pair. Its real, fake and penalty term are one gradient.
    pairs
        See `Pairs`.
    clip
        C, the largest norm that a unit, with all its pairs, may contribute.
    at_once
        Pairs whose gradients are computed at once; None for a number that keeps within 96 MB.

    Returns
    -------
    ClippedSum
        The sum, one float64 tensor per parameter, and the norm of each unit's gradient before clipping.

    Privacy
    -------
    Adding or removing one unit (a patient with all scans in the sample, or a single scan where scans are units), with
    its fakes and shares, moves the sum by at most C in the Euclidean norm of all parameters together, up to rounding in
    single precision. A unit whose gradient is not finite contributes zero.
    """
    named = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    sums = [torch.zeros_like(tensor, dtype=torch.float64) for tensor in named.values()]
    found = [torch.zeros(0, dtype=torch.float64, device=pairs.real.device)]
    most = at_once or pairs_at_once(named, pairs.real)
    for where in unit_parts(pairs.units.tolist(), most):
        gradients = _unit_gradients(critic, loss, named, pairs.part(where), most)
        squared = [tensor.flatten(1).double().square().sum(1) for tensor in gradients]
        norms = torch.stack(squared).sum(0).sqrt()
        found.append(norms)
        factors, keep = clip_factors(norms, clip), norms.isfinite()
        for total, tensor in zip(sums, gradients, strict=True):
            # what is not finite is left out: zero times it would not be zero
            total += torch.einsum("b,b...->...", factors[keep].to(tensor.dtype), tensor[keep])
    return ClippedSum(sums, torch.cat(found))


def pair_gradients(critic: nn.Module, loss: RecordLoss, pairs: Pairs) -> list[Tensor]:
    """Gradient of each pair's loss by itself, one tensor ``[B, *shape]`` per parameter of the critic."""
    named = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    return _gradients(critic, loss, named, pairs)


def unit_parts(units: Sequence[int], most: int) -> Iterator[slice]:
    """Cut pairs into parts of at most `most`, between units only; a unit with more is a part of its own."""
    start = 0
    while start < len(units):
        stop = min(start + most, len(units))
        if stop < len(units) and units[stop] == units[stop - 1]:
            cut = stop
            while cut > start and units[cut - 1] == units[stop]:
                cut -= 1
            if cut == start:  # a unit that does not fit
                cut = stop
                while cut < len(units) and units[cut] == units[start]:
                    cut += 1
            stop = cut
        yield slice(start, stop)
        start = stop


def pairs_at_once(parameters: Parameters, images: Tensor) -> int:
    """Pairs whose gradients and activations keep within the memory that is set aside for them."""
    weights = sum(tensor.numel() for tensor in parameters.values())
    each = 4 * (weights + 2 * _WIDTH * math.prod(images.shape[1:]))
    return max(1, min(_MOST_PAIRS, _BYTES // each))


def _unit_gradients(critic: nn.Module, loss: RecordLoss, named: Parameters, pairs: Pairs, most: int) -> list[Tensor]:
    """Sum of the gradients of each unit's pairs, one tensor ``[U, *shape]`` per parameter."""
    owners, each = torch.unique_consecutive(pairs.units, return_inverse=True)
    if len(owners) == len(pairs) <= most:
        return _gradients(critic, loss, named, pairs)
    totals = [tensor.new_zeros((len(owners), *tensor.shape)) for tensor in named.values()]
    for start in range(0, len(pairs), most):
        where = slice(start, start + most)
        for total, own in zip(totals, _gradients(critic, loss, named, pairs.part(where)), strict=True):
            total.index_add_(0, each[where], own)
    return totals


def _gradients(critic: nn.Module, loss: RecordLoss, named: Parameters, pairs: Pairs) -> list[Tensor]:
    buffers = dict(critic.named_buffers())

    def value(parameters: Parameters, real: Tensor, fake: Tensor, share: Tensor, label: Tensor | None) -> Tensor:
        def scores(images: Tensor) -> Tensor:
            inputs = (images,) if label is None else (images, label.expand(len(images)))
            found: Tensor = functional_call(critic, (parameters, buffers), inputs)
            return found

        both = scores(torch.stack([real, fake]))
        return loss.of_scores(both[:1], both[1:]) + loss.of_points(
            lambda image: scores(image[None]).reshape(()), real, fake, share
        )

    by_label = None if pairs.labels is None else 0
    gradients_of = vmap(grad(value), in_dims=(None, 0, 0, 0, by_label), randomness="different")
    found: Parameters = gradients_of(named, pairs.real, pairs.fake, pairs.share, pairs.labels)
    return list(found.values())


def require_scan_wise(critic: nn.Module, shape: tuple[int, ...], classes: int = 0) -> None:
    """Refuse a critic that scores a scan by looking at other scans.

    Batch normalisation, standard deviations over a minibatch (Karras et al. 2018) and packing (PacGAN) let one scan
    change the gradients of others, which no clipping norm bounds. The layers are looked through by type, and the critic
    is tried on made-up scans: layers of one's own have no type to go by.

    Parameters
    ----------
    critic
        To be trained under a budget.
    shape
        ``(channels, *size)`` of a scan.
    classes
        Number of classes; 0 for a critic without labels.

    Raises
    ------
    PrivacyError
        Names the layers that mix scans, or says how the scores gave them away.
    """
    remedy = "Use a critic with group normalisation or none, without minibatch statistics and with one scan per score."
    mixing = mixing_layers(critic)
    if mixing:
        raise PrivacyError(
            f"the critic keeps statistics over the scans of a batch in {', '.join(mixing)}, expected a score of each "
            "scan by itself",
            remedy=remedy,
        )
    parameter = next(critic.parameters())
    source = RandomSource(0).torch("made-up scans")  # no private data and no noise
    scans = torch.randn(8, *shape, generator=source).to(parameter)
    others = torch.cat([scans[:2], 2 * torch.randn(6, *shape, generator=source).to(parameter)])
    labels = (torch.arange(8, device=parameter.device) % classes,) if classes else ()
    training = critic.training
    for mode in (True, False):  # some layers look at the batch in training only
        critic.train(mode)
        with torch.no_grad():
            scores, again = critic(scans, *labels), critic(others, *labels)
        if scores.shape != (8,):
            raise PrivacyError(
                f"the critic gives scores of shape {list(scores.shape)} for 8 scans, expected one score per scan",
                remedy=remedy,
            )
        if float((scores - again)[:2].abs().max()) > _SAME * (1 + float(scores.abs().max())):
            raise PrivacyError(
                "the critic's score of a scan changes with the other scans of the batch, expected a score of each scan "
                "by itself",
                remedy=remedy,
            )
    critic.train(training)


def mixing_layers(network: nn.Module) -> list[str]:
    """Names of the layers that keep or take statistics over a batch, by their type."""
    return [
        f"{name or 'the critic'} ({type(layer).__name__})"
        for name, layer in network.named_modules()
        if isinstance(layer, _BatchNorm) or (isinstance(layer, _InstanceNorm) and layer.track_running_stats)
    ]
