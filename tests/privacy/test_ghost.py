from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from record_losses import (
    RECORD_LOSSES,
    a_batch,
    a_critic,
    gradients_by_loop,
    norms_of,
    perceptron_like,
    relative_error,
)

from synthkit.privacy.ghost import Terms, critic_terms, layers_of, record_norms, weighted_sum

CLOSE = 1e-5  # relative: the bar


def in_double(*tensors):
    return [tensor.double() for tensor in tensors]


def materialised(terms):
    """Gradients of all records from their terms, the long way."""
    gradients = []
    for inputs, outputs in zip(terms.inputs, terms.outputs, strict=True):
        gradients.append(torch.einsum("kb,kbo,kbi->boi", terms.weight, outputs, inputs))
        gradients.append(torch.einsum("kb,kbo->bo", terms.bias, outputs))
    return gradients


@pytest.mark.parametrize("name", RECORD_LOSSES)
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_norms_and_sums_are_those_of_a_loop_over_records(name, depth):
    loss, critic, (real, fake, share) = RECORD_LOSSES[name], a_critic(11, depth=depth), a_batch(24, 11)
    factors = torch.rand(24, generator=torch.Generator().manual_seed(1))
    expected = gradients_by_loop(perceptron_like(critic, torch.float64), loss, *in_double(real, fake, share))
    terms = critic_terms(layers_of(critic), loss, real, fake, share)
    norms, parts = record_norms(terms)
    assert torch.allclose(norms, norms_of(expected), rtol=CLOSE, atol=0)
    assert bool((parts >= norms * (1 - CLOSE)).all())
    sums = [torch.einsum("b,b...->...", factors.double(), tensor) for tensor in expected]
    assert relative_error(weighted_sum(terms, factors), sums) < CLOSE
    for found, tensor in zip(materialised(terms), expected, strict=True):
        assert torch.allclose(found.double(), tensor, rtol=1e-3, atol=1e-5 * float(norms.max()))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(RECORD_LOSSES)),
    st.integers(1, 6),
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(0, 10**6),
    st.sampled_from([0.3, 1.0, 4.0]),
)
def test_any_size_any_weights(name, records, features, width, depth, seed, scale):
    loss = RECORD_LOSSES[name]
    critic = a_critic(features, width=width, depth=depth, seed=seed, scale=scale)
    batch = in_double(*a_batch(records, features, seed))
    expected = norms_of(gradients_by_loop(perceptron_like(critic, torch.float64), loss, *batch))
    norms, parts = record_norms(critic_terms(layers_of(critic.double()), loss, *batch))
    assert torch.allclose(norms, expected, rtol=1e-9, atol=1e-9 * float(parts.max()))


def test_a_record_that_equals_its_fake_has_only_the_gradient_of_its_penalty():
    real, _, share = a_batch(5, 7)
    critic = a_critic(7)
    norms, _ = record_norms(critic_terms(layers_of(critic), RECORD_LOSSES["wgan"], real, real, share))
    assert float(norms.max()) == 0.0


def test_nearly_equal_terms_cancel_without_losing_digits():
    real, _, share = a_batch(8, 7)
    fake = real + 1e-3
    critic, loss = a_critic(7), RECORD_LOSSES["wgan"]
    expected = gradients_by_loop(perceptron_like(critic, torch.float64), loss, *in_double(real, fake, share))
    norms, parts = record_norms(critic_terms(layers_of(critic), loss, real, fake, share))
    assert float((parts / norms).min()) > 100
    # single precision rounds the activations themselves: the terms are exact to 1e-7 of their own size
    assert bool(((norms - norms_of(expected)).abs() < 1e-6 * parts).all())


@pytest.mark.parametrize("name", RECORD_LOSSES)
def test_a_record_knows_nothing_of_the_others(name):
    critic, (real, fake, share) = a_critic(9), a_batch(6, 9)
    layers, loss = layers_of(critic), RECORD_LOSSES[name]
    together, _ = record_norms(critic_terms(layers, loss, real, fake, share))
    for i in range(6):
        alone, _ = record_norms(critic_terms(layers, loss, real[i : i + 1], fake[i : i + 1], share[i : i + 1]))
        assert torch.allclose(alone, together[i : i + 1], rtol=1e-5)


def test_inner_products_of_any_number_of_terms():
    source = torch.Generator().manual_seed(0)
    for k in (1, 2, 5):
        terms = Terms(
            [torch.randn(k, 4, i, generator=source) for i in (3, 6)],
            [torch.randn(k, 4, o, generator=source) for o in (6, 1)],
            torch.randn(k, 4, generator=source),
            torch.randn(k, 4, generator=source),
        )
        gradients = materialised(terms)
        assert torch.allclose(record_norms(terms)[0], norms_of(gradients), rtol=1e-5)
        factors = torch.rand(4, generator=source)
        expected = [torch.einsum("b,b...->...", factors, tensor) for tensor in gradients]
        assert relative_error(weighted_sum(terms, factors), expected) < CLOSE


def test_sums_have_the_order_and_shapes_of_the_parameters():
    critic, batch = a_critic(9, depth=2), a_batch(3, 9)
    sums = weighted_sum(critic_terms(layers_of(critic), RECORD_LOSSES["wgan-gp"], *batch), torch.ones(3))
    assert [tensor.shape for tensor in sums] == [parameter.shape for parameter in critic.parameters()]
