"""Sums of per-record gradients, each clipped as a whole to the same norm.

Perceptron critics take the exact ghost path of `synthkit.privacy.ghost`. Any other critic that scores records one by
one is differentiated record by record with `torch.func`, in pieces that bound the memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from synthkit.errors import PrivacyError
from synthkit.gan.critics import Critic
from synthkit.privacy.ghost import ROUNDING, Terms, critic_terms, layers_of, record_norms, weighted_sum
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

_CHUNK = 256  # records whose activations are held at once on the ghost path: they stay in the processor's cache
_BYTES = 64 * 2**20  # of per-record gradients that are held at once on the other path
_LEAST_FACTOR = 2.0**-100  # far above where single precision runs out of digits, which would round a factor up
_SAME = 1e-4  # scores of one record in two batches differ by rounding only, relative to the largest score

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class ClippedSum:
    """What one batch of private records says, before noise: private, never to be kept or shown.

    Attributes
    ----------
    sums
        Sum over records of the clipped gradients, one tensor per parameter of the critic, float64.
    norms
        Norm of every record's gradient before clipping, ``[B]`` float64.
    """

    sums: list[Tensor]
    norms: Tensor


def clipped_sum(
    critic: nn.Module, loss: RecordLoss, real: Tensor, fake: Tensor, share: Tensor, clip: float
) -> ClippedSum:
    """Sum the gradients of all records' losses, each scaled down to norm ``clip`` where it is longer.

    Parameters
    ----------
    critic
        Maps rows ``[B, F]`` to scores ``[B]``, record by record (`require_record_wise`).
    loss
        Loss of a record. Its real, fake and penalty term are one gradient, which is clipped once.
    real, fake
        Real records and the fake that each is paired with, ``[B, F]``; B may be 0.
    share
        Share of the real record in each interpolate, ``[B, 1]``.
    clip
        C, the largest norm that a record may contribute.

    Privacy
    -------
    Adding or removing one record, with its fake and its share, moves the sum by at most C in the Euclidean norm of all
    parameters together, up to rounding in single precision (of its own gradient, and of how the others' add up, which
    no proof covers). A record whose gradient is not finite contributes zero.
    """
    if type(critic) is Critic:
        return _ghost(critic, loss, real, fake, share, clip)
    return _record_by_record(critic, loss, real, fake, share, clip)


def clip_factors(norms: Tensor, clip: float, parts: Tensor | None = None) -> Tensor:
    """Factors ``[B]`` that bring gradients of these norms down to at most ``clip``.

    0 for norms that are not finite or more than 2^100 times as long as ``clip``: no gradient of use is so long, and its
    factor would have too few digits in single precision to keep it short enough.

    ``parts`` is the sum of the norms of the terms that make up each gradient: where these cancel, the norm is that much
    less exact, and the factor a little smaller.
    """
    longest = norms if parts is None else norms + ROUNDING * parts
    factors = (clip / longest).clamp(max=1.0)
    # this is false for what is not a number, too
    return torch.where(factors >= _LEAST_FACTOR, factors, 0.0)


def _ghost(critic: Critic, loss: RecordLoss, real: Tensor, fake: Tensor, share: Tensor, clip: float) -> ClippedSum:
    layers = layers_of(critic)
    sums = [torch.zeros_like(tensor, dtype=torch.float64) for layer in layers for tensor in layer]
    found = [torch.zeros(0, dtype=torch.float64, device=real.device)]
    for part in _parts(len(real), _CHUNK):
        terms = critic_terms(layers, loss, real[part], fake[part], share[part])
        norms, parts = record_norms(terms)
        found.append(norms)
        factors = clip_factors(norms, clip, parts)
        if not bool(norms.isfinite().all()):
            # zero times a gradient that is not a number would not be zero
            terms, factors = _only(terms, norms.isfinite()), factors[norms.isfinite()]
        for total, tensor in zip(sums, weighted_sum(terms, factors.to(real.dtype)), strict=True):
            total += tensor
    return ClippedSum(sums, torch.cat(found))


def _only(terms: Terms, chosen: Tensor) -> Terms:
    """Terms of the chosen records alone."""
    return Terms(
        [rows[:, chosen] for rows in terms.inputs],
        [rows[:, chosen] for rows in terms.outputs],
        terms.weight[:, chosen],
        terms.bias[:, chosen],
    )


def _record_by_record(
    critic: nn.Module, loss: RecordLoss, real: Tensor, fake: Tensor, share: Tensor, clip: float
) -> ClippedSum:
    named = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    sums = [torch.zeros_like(tensor, dtype=torch.float64) for tensor in named.values()]
    found = [torch.zeros(0, dtype=torch.float64, device=real.device)]
    gradients_of = vmap(grad(loss_of(critic, loss)), in_dims=(None, 0, 0, 0), randomness="different")
    size = sum(tensor.numel() * tensor.element_size() for tensor in named.values())
    for part in _parts(len(real), max(1, _BYTES // max(size, 1))):
        gradients = list(gradients_of(named, real[part], fake[part], share[part, 0]).values())
        squared = sum(tensor.flatten(1).double().square().sum(1) for tensor in gradients)
        norms = torch.as_tensor(squared).sqrt()
        found.append(norms)
        factors = clip_factors(norms, clip)
        keep = norms.isfinite()
        for total, tensor in zip(sums, gradients, strict=True):
            total += torch.einsum("b,b...->...", factors[keep].to(tensor.dtype), tensor[keep])
    return ClippedSum(sums, torch.cat(found))


def loss_of(critic: nn.Module, loss: RecordLoss) -> Callable[[Parameters, Tensor, Tensor, Tensor], Tensor]:
    """Loss of one record as a function of the critic's parameters."""
    buffers = dict(critic.named_buffers())

    def value(parameters: Parameters, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
        def score(row: Tensor) -> Tensor:
            scores: Tensor = functional_call(critic, (parameters, buffers), (row[None],))
            return scores.reshape(())

        return loss.of_record(score, real, fake, share)

    return value


def _parts(n: int, size: int) -> Sequence[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def require_record_wise(critic: nn.Module, width: int) -> None:
    """Refuse a critic that scores a record by looking at other records.

    Batch statistics, packing of several records into one score (PacGAN) and minibatch discrimination let one record
    change the gradients of others, which no clipping norm bounds. The layers are looked through by type, and the critic
    is tried on made-up rows: packing and layers of one's own have no type to go by.

    Parameters
    ----------
    critic
        To be trained under a budget.
    width
        F, what it sees of a record.

    Raises
    ------
    PrivacyError
        Names the layers that mix records, or says how the scores gave them away.
    """
    remedy = "use layer or group normalisation, one record per score (pac=1), or a critic from synthkit.gan.critics"
    mixing = [
        f"{name or 'the critic'} ({type(layer).__name__})"
        for name, layer in critic.named_modules()
        if isinstance(layer, _BatchNorm) or (isinstance(layer, _InstanceNorm) and layer.track_running_stats)
    ]
    if mixing:
        raise PrivacyError(
            f"the critic keeps statistics over the records of a batch in {', '.join(mixing)}, expected a score of each "
            "record by itself",
            remedy=remedy,
        )
    parameter = next(critic.parameters())
    source = RandomSource(0).torch("made-up rows")  # no private data and no noise
    rows = torch.randn(6, width, generator=source).to(parameter)
    others = torch.cat([rows[:2], torch.randn(4, width, generator=source).to(parameter)])
    training = critic.training
    critic.eval()
    with torch.no_grad():
        scores, again = critic(rows), critic(others)
    critic.train(training)
    if scores.shape != (6,):
        raise PrivacyError(
            f"the critic gives scores of shape {list(scores.shape)} for 6 records, expected one score per record",
            remedy=remedy,
        )
    if not math.isclose(float((scores - again)[:2].abs().max()), 0.0, abs_tol=_SAME * (1 + float(scores.abs().max()))):
        raise PrivacyError(
            "the critic's score of a record changes with the other records of the batch, expected a score of each "
            "record by itself",
            remedy=remedy,
        )
