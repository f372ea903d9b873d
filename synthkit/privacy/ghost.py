"""Exact gradient norms and clipped sums of a perceptron critic, record by record, without any per-record gradient.

In a perceptron the gradient of one record's loss by the weights of one layer is a short sum of outer products
``sum_k b_k a_k^T``: one for the real record (input of the layer times what comes back through it), one for the fake,
and for a gradient penalty one for each point where it is taken. The last is this: with u the input gradient at the
point, the derivative of a function of |u| by the weights is that of ``c <u, D'(x)>`` with c u held constant, which is
the derivative of a directional derivative. With leaky rectifiers it pairs the tangent that c u causes in the layer's
input with what comes back through the layer; there is no further term, because the second derivative of the rectifier
is zero, and none for biases, on which tangents do not depend.

The squared norm of a sum of outer products is ``sum_kj <a_k, a_j> <b_k, b_j>``, and the sum over records of clipped
gradients is one matrix product per layer. So a step needs the memory of a few activations instead of one gradient per
record: "ghost clipping" (Goodfellow 2015; Li 2022, arXiv 2110.05679), here for the double backward of a penalty too.

R1 and R2 are taken at the points of the real and fake terms themselves; tangent and activation then share what comes
back, so two outer products are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from synthkit.gan.critics import Critic
from synthkit.privacy.record_loss import RecordLoss

SLOPE = 0.2  # of the critic's leaky rectifiers below zero
# Single precision errs by less than this share of the terms of a record's gradient, which may nearly cancel.
ROUNDING = 2.0**-20

Layer = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Terms:
    """Gradients of B records by L layers, each a sum of K outer products.

    The gradient of record i by the weight of a layer is ``sum_k weight[k, i] outputs[k, i] inputs[k, i]^T`` and by its
    bias ``sum_k bias[k, i] outputs[k, i]``.

    Attributes
    ----------
    inputs, outputs
        Per layer ``[K, B, I]`` and ``[K, B, O]``.
    weight, bias
        Scale of each outer product and of its share of the bias, ``[K, B]``.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    weight: Tensor
    bias: Tensor


def layers_of(critic: Critic) -> list[Layer]:
    """Weights ``[O, I]`` and biases ``[O]`` of all layers of a critic, the score last, in the order of `parameters`."""
    linears = [*critic.hidden, critic.score]
    return [(layer.weight.detach(), layer.bias.detach()) for layer in linears]


@torch.no_grad()
def critic_terms(layers: Sequence[Layer], loss: RecordLoss, real: Tensor, fake: Tensor, share: Tensor) -> Terms:
    """Outer products that make up the gradient of every record's loss.

    Parameters
    ----------
    layers
        What `layers_of` returns: affine layers with leaky rectifiers between them, the last with one unit.
    loss
        Loss of a record.
    real, fake
        Real records and the fake that each is paired with, ``[B, F]``.
    share
        Share of the real record in each interpolate, ``[B, 1]``; read for the interpolated penalty only.
    """
    n = len(real)
    interpolated = loss.penalty == "interpolated"
    points = [real, fake, torch.lerp(fake, real, share)] if interpolated else [real, fake]
    inputs = [torch.cat(points)]
    for weight, bias in layers[:-1]:
        inputs.append(functional.leaky_relu_(torch.addmm(bias, inputs[-1], weight.T), SLOPE))
    weight, bias = layers[-1]
    scores = torch.addmv(bias, inputs[-1], weight[0])
    slopes = torch.stack(loss.score_slopes(scores[:n], scores[n : 2 * n]))
    outputs = _backward(layers, inputs)
    if interpolated:
        weights = torch.cat([slopes, torch.ones_like(slopes[:1])])
        biases = torch.cat([slopes, torch.zeros_like(slopes[:1])])
        some = slice(2 * n, 3 * n)
        # the activations of the interpolate are needed only until its tangents take their place
        for values, tangent in zip(inputs, _tangents(layers, inputs, outputs, loss, some), strict=True):
            values[some] = tangent
    elif loss.penalty == "zero-centred":
        weights, biases = torch.ones_like(slopes), slopes
        tangents = _tangents(layers, inputs, outputs, loss, slice(0, 2 * n))
        for values, tangent in zip(inputs, tangents, strict=True):
            values.mul_(slopes.reshape(-1, 1)).add_(tangent)
    else:
        weights = biases = slopes
    return Terms(
        [values.reshape(len(weights), n, -1) for values in inputs],
        [values.reshape(len(weights), n, -1) for values in outputs],
        weights,
        biases,
    )


def _backward(layers: Sequence[Layer], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Derivative of each row's score by the output of every layer, per layer ``[R, O]``."""
    outputs = [torch.ones_like(inputs[-1][:, :1])]
    for (weight, _), values in zip(reversed(layers[1:]), reversed(inputs[1:]), strict=True):
        back = outputs[-1] @ weight
        outputs.append(_through_rectifier(back, values))
    return outputs[::-1]


def _tangents(
    layers: Sequence[Layer], inputs: Sequence[Tensor], outputs: Sequence[Tensor], loss: RecordLoss, some: slice
) -> list[Tensor]:
    """Change of the input of every layer in the direction that the penalty asks for, per layer ``[rows, I]``."""
    slope = outputs[0][some] @ layers[0][0]
    tangents = [slope * loss.gradient_slope(slope.square().sum(1, keepdim=True))]
    for (weight, _), values in zip(layers[:-1], inputs[1:], strict=True):
        ahead = tangents[-1] @ weight.T
        tangents.append(_through_rectifier(ahead, values[some]))
    return tangents


def _through_rectifier(change: Tensor, activation: Tensor) -> Tensor:
    """Change behind a leaky rectifier of a change before it (or the other way round), given what it returned."""
    # a fused kernel, twenty times faster than writing out where(activation > 0, change, SLOPE * change)
    behind: Tensor = torch.ops.aten.leaky_relu_backward(change, activation, SLOPE, True)
    return behind


@torch.no_grad()
def record_norms(terms: Terms) -> tuple[Tensor, Tensor]:
    """Norm of every record's gradient, and the sum of the norms of its terms, ``[B]`` float64.

    The second is at least the first; how much larger it is says how far the terms cancel, and with it how exact the
    first can be.
    """
    weight, bias = _gram(terms.weight[..., None]), _gram(terms.bias[..., None])
    total = torch.zeros_like(weight)
    for inputs, outputs in zip(terms.inputs, terms.outputs, strict=True):
        total += (weight * _gram(inputs) + bias) * _gram(outputs)
    parts = total.diagonal(dim1=1, dim2=2)
    return total.sum((1, 2)).clamp_min_(0).sqrt(), parts.sqrt().sum(1)


def _gram(rows: Tensor) -> Tensor:
    """Inner products ``[B, K, K]`` of each record's K rows, from ``[K, B, N]``.

    In double precision: where terms nearly cancel, what is left must not be rounding.
    """
    records = rows.double().transpose(0, 1)
    return torch.bmm(records, records.transpose(1, 2))


@torch.no_grad()
def weighted_sum(terms: Terms, factors: Tensor) -> list[Tensor]:
    """Sum over records of factor times gradient, one matrix product per layer.

    Parameters
    ----------
    terms
        Of B records.
    factors
        ``[B]``.

    Returns
    -------
    list of Tensor
        Weight ``[O, I]`` and bias ``[O]`` of every layer in turn: the order of the critic's parameters.
    """
    sums: list[Tensor] = []
    by_weight = (terms.weight * factors).reshape(-1, 1)
    by_bias = (terms.bias * factors).reshape(-1)
    for inputs, outputs in zip(terms.inputs, terms.outputs, strict=True):
        back = outputs.flatten(0, 1)
        sums += [(back * by_weight).T @ inputs.flatten(0, 1), by_bias @ back]
    return sums
