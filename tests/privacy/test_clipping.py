from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from record_losses import (
    RECORD_LOSSES,
    Sequential,
    TwoHeads,
    a_batch,
    a_critic,
    gradients_by_loop,
    norms_of,
    perceptron_like,
    relative_error,
)
from torch import nn

from synthkit.errors import PrivacyError
from synthkit.privacy import clipping
from synthkit.privacy.clipping import clip_factors, clipped_sum, require_record_wise
from synthkit.privacy.critic_step import MARGIN
from synthkit.privacy.record_loss import RecordLoss

CLOSE = 1e-5


def clipped_by_loop(critic, loss, batch, clip):
    gradients = gradients_by_loop(critic, loss, *batch)
    norms = norms_of(gradients)
    factors = (clip / norms).clamp(max=1).to(gradients[0].dtype)
    return [torch.einsum("b,b...->...", factors, tensor) for tensor in gradients], norms


@pytest.mark.parametrize("name", RECORD_LOSSES)
@pytest.mark.parametrize("kind", ["ghost", "vmap", "smooth"])
def test_clipped_sums_are_those_of_a_loop_over_records(name, kind):
    loss, batch = RECORD_LOSSES[name], a_batch(24, 11)
    critic = TwoHeads(11) if kind == "smooth" else a_critic(11)
    exact = TwoHeads(11).double() if kind == "smooth" else perceptron_like(critic, torch.float64)
    doubles = [tensor.double() for tensor in batch]
    clip = float(norms_of(gradients_by_loop(exact, loss, *doubles)).median())
    expected, norms = clipped_by_loop(exact, loss, doubles, clip)
    found = clipped_sum(perceptron_like(critic) if kind == "vmap" else critic, loss, *batch, clip)
    assert torch.allclose(found.norms, norms, rtol=CLOSE)
    assert relative_error(found.sums, expected) < CLOSE
    assert [tensor.shape for tensor in found.sums] == [parameter.shape for parameter in critic.parameters()]
    assert all(tensor.dtype == torch.float64 for tensor in found.sums)


@pytest.mark.parametrize("name", ["wgan", "vanilla"])
def test_opacus_clips_first_order_losses_the_same(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports and hooks
        from opacus import GradSampleModule

        loss, (real, fake, share) = RECORD_LOSSES[name], a_batch(20, 9)
        critic = a_critic(9)
        hooked = GradSampleModule(perceptron_like(critic), loss_reduction="sum")
        n = len(real)
        # one backward pass through two forward passes: Opacus adds up what a parameter saw of record i in each
        value = loss.of_scores(hooked(real), hooked(fake)) * n
        value.backward()
        per_record = [
            sum(parameter.grad_sample) if isinstance(parameter.grad_sample, list) else parameter.grad_sample
            for parameter in hooked.parameters()
        ]
    norms = norms_of(per_record)
    clip = float(norms.median())
    expected = [torch.einsum("b,b...->...", (clip / norms).clamp(max=1).float(), tensor) for tensor in per_record]
    found = clipped_sum(critic, loss, real, fake, share, clip)
    assert torch.allclose(found.norms, norms, rtol=CLOSE)
    assert relative_error(found.sums, expected) < CLOSE


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(list(RECORD_LOSSES)), st.integers(1, 9), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_one_record_more_moves_the_sum_by_at_most_the_clipping_norm(name, records, clip, seed):
    critic = a_critic(7, seed=seed, scale=3.0)
    real, fake, share = a_batch(records, 7, seed)
    real = real * 10 ** (seed % 5 - 2)  # records far from all others too
    loss = RECORD_LOSSES[name]
    more = clipped_sum(critic, loss, real, fake, share, clip).sums
    less = clipped_sum(critic, loss, real[:-1], fake[:-1], share[:-1], clip).sums
    moved = sum(float((a - b).square().sum()) for a, b in zip(more, less, strict=True)) ** 0.5
    assert moved <= clip * (1 + 1e-4)


@pytest.mark.parametrize("critic", [a_critic(7), TwoHeads(7)], ids=["ghost", "vmap"])
def test_an_empty_batch_sums_to_zero(critic):
    found = clipped_sum(critic, RECORD_LOSSES["wgan-gp"], *a_batch(0, 7), 1.0)
    assert found.norms.shape == (0,)
    assert [tensor.shape for tensor in found.sums] == [parameter.shape for parameter in critic.parameters()]
    assert not any(tensor.any() for tensor in found.sums)


@pytest.mark.parametrize("critic", [a_critic(7), TwoHeads(7)], ids=["ghost", "vmap"])
def test_pieces_do_not_matter(critic, monkeypatch):
    batch, loss = a_batch(10, 7), RECORD_LOSSES["wgan-gp"]
    whole = clipped_sum(critic, loss, *batch, 0.5)
    monkeypatch.setattr(clipping, "_CHUNK", 3)
    monkeypatch.setattr(clipping, "_BYTES", 1)
    parts = clipped_sum(critic, loss, *batch, 0.5)
    assert torch.allclose(parts.norms, whole.norms, rtol=CLOSE)
    assert relative_error(parts.sums, whole.sums) < CLOSE


@pytest.mark.parametrize("critic", [a_critic(7), TwoHeads(7)], ids=["ghost", "vmap"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_a_record_without_a_finite_gradient_contributes_nothing_harmful(critic, bad):
    real, fake, share = a_batch(6, 7)
    real[2, 3] = bad
    loss = RECORD_LOSSES["wgan-gp"]
    found = clipped_sum(critic, loss, real, fake, share, 0.5)
    others = torch.arange(6) != 2
    expected = clipped_sum(critic, loss, real[others], fake[others], share[others], 0.5)
    moved = sum(float((a - b).square().sum()) for a, b in zip(found.sums, expected.sums, strict=True)) ** 0.5
    assert moved <= 0.5 * (1 + 1e-4)


def test_factors():
    norms = torch.tensor([0.0, 0.5, 2.0, float("nan"), float("inf")], dtype=torch.float64)
    assert clip_factors(norms, 1.0).tolist() == [1.0, 1.0, 0.5, 0.0, 0.0]
    # terms that cancel to nothing are not trusted to a length that single precision cannot tell
    assert float(clip_factors(torch.zeros(1).double(), 1.0, torch.tensor([1e9]).double())) < 1e-2


class Packed(nn.Module):
    """Two records in one score."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(14, 1)

    def forward(self, rows):
        return self.score(rows.reshape(len(rows) // 2, -1)).squeeze(1)


class Centred(nn.Module):
    """Batch statistics that have no layer of their own."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(7, 1)

    def forward(self, rows):
        return self.score(rows - rows.mean(0)).squeeze(1)


def test_critics_that_mix_records_are_refused_by_name():
    mixing = Sequential(nn.Linear(7, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 1))
    with pytest.raises(PrivacyError, match=r"1 \(BatchNorm1d\)"):
        require_record_wise(mixing, 7)
    with pytest.raises(PrivacyError, match="one score per record"):
        require_record_wise(Packed(), 7)
    with pytest.raises(PrivacyError, match="changes with the other records"):
        require_record_wise(Centred(), 7)


@pytest.mark.parametrize(
    "critic", [a_critic(7), TwoHeads(7), Sequential(nn.Linear(7, 4), nn.Dropout(), nn.Linear(4, 1))]
)
def test_critics_that_do_not_are_accepted(critic):
    before = critic.training
    require_record_wise(critic, 7)
    assert critic.training is before


@pytest.mark.parametrize("share", [2.6, 3.7, 8.6])
def test_gradients_of_absurd_length_are_clipped_too(share):
    # single precision has hardly any digits left below 1e-38, and rounds factors of that size up
    clip = 1e-6
    longest = clip / (share * 2.0**-149)
    critic = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0))
    real = torch.full((1, 1), longest, dtype=torch.float64).float()
    loss = RecordLoss("wgan", "none", 0.0)
    found = clipped_sum(critic, loss, real, torch.zeros(1, 1), torch.zeros(1, 1), clip)
    assert float(torch.cat([tensor.flatten() for tensor in found.sums]).norm()) <= clip * (1 + 1e-6)


def test_one_record_more_hardly_changes_how_the_others_are_rounded():
    torch.manual_seed(0)
    real, fake = (torch.rand(2, 4001, 60) < 0.2).float()
    critic, loss, share, clip = a_critic(60, width=64), RecordLoss(), torch.rand(4001, 1), 0.5
    everything, others, alone = (
        torch.cat([own.flatten() for own in clipped_sum(critic, loss, real[part], fake[part], share[part], clip).sums])
        for part in (slice(None), slice(1, None), slice(1))
    )
    assert float((everything - others - alone).norm()) < MARGIN / 2 * clip
