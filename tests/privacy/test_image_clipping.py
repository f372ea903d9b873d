from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from private_scans import Grouped, an_image_critic, flat, some_pairs
from torch import nn

from synthkit.errors import PrivacyError
from synthkit.gan.images.nets import Critic
from synthkit.privacy.image_clipping import (
    Pairs,
    clipped_pair_sum,
    pair_gradients,
    pairs_at_once,
    require_scan_wise,
    unit_parts,
)
from synthkit.privacy.record_loss import RecordLoss

LOSSES = {
    "vanilla": RecordLoss("vanilla", "none", 0.0),
    "relativistic with R1 and R2": RecordLoss("relativistic", "zero-centred", 0.5),
    "wgan-gp": RecordLoss("wgan-gp", "interpolated", 10.0),
    "drift": RecordLoss("wgan-gp", "none", 0.0, drift=0.1),
}
SIZES = {"2-D": (12, 12), "odd 2-D": (9, 13), "3-D": (8, 10, 9)}


def by_loop(critic: nn.Module, loss: RecordLoss, pairs: Pairs) -> list[list[torch.Tensor]]:
    """Gradient of each pair by ordinary backpropagation, without torch.func over pairs."""
    found = []
    for i in range(len(pairs)):
        one = pairs.part(slice(i, i + 1))

        def score(images: torch.Tensor, one: Pairs = one) -> torch.Tensor:
            result: torch.Tensor = critic(images, one.labels)
            return result

        value = loss.of_scores(score(one.real), score(one.fake))
        points = {"interpolated": [torch.lerp(one.fake, one.real, one.share.view(-1, *[1] * (one.real.dim() - 1)))]}
        for point in points.get(loss.penalty, [one.real, one.fake] if loss.penalty == "zero-centred" else []):
            leaf = point.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(score(leaf).sum(), leaf, create_graph=True)
            value = value + loss.of_gradient(slope.square().sum())
        own = torch.autograd.grad(value, list(critic.parameters()), allow_unused=True)
        found.append([torch.zeros_like(p) if g is None else g for p, g in zip(critic.parameters(), own, strict=True)])
    return found


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("norm", ["none", "group"])
def test_gradients_of_pairs_are_those_of_a_loop(size, loss, norm):
    critic = an_image_critic(size) if norm == "none" else Grouped(len(size))
    pairs = some_pairs(5, size)
    found = pair_gradients(critic, loss, pairs)
    expected = by_loop(critic, loss, pairs)
    for place, tensor in enumerate(found):
        own = torch.stack([each[place] for each in expected])
        assert torch.allclose(tensor, own, rtol=2e-4, atol=2e-5 * float(own.abs().max() + 1e-3))


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_sums_are_those_of_a_loop_over_units_whatever_the_parts(at_once):
    critic, loss = an_image_critic(), LOSSES["vanilla"]
    pairs = some_pairs(9, units=[0, 0, 0, 4, 5, 5, 7, 7, 7])
    each = [flat(one) for one in by_loop(critic, loss, pairs)]
    totals = [sum(each[start:stop]) for start, stop in ((0, 3), (3, 4), (4, 6), (6, 9))]
    clip = float(sorted(total.norm() for total in totals)[1])  # some are cut, some are not
    expected = sum(total * min(1.0, clip / float(total.norm())) for total in totals)
    found = clipped_pair_sum(critic, loss, pairs, clip, at_once=at_once)
    assert torch.allclose(flat(found.sums), expected, atol=1e-4 * clip)
    assert torch.allclose(found.norms, torch.stack([total.norm() for total in totals]), rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.floats(1e-3, 1e2),
    st.floats(0.1, 20.0),
    st.integers(0, 10**6),
)
def test_one_unit_more_moves_the_sum_by_at_most_the_norm(scans, clip, scale, seed):
    """The sensitivity that the event states, for patients with any number of scans and any clipping norm."""
    critic = an_image_critic((8, 8), scale=scale)
    units = [unit for unit, n in enumerate(scans) for _ in range(n)]
    pairs = some_pairs(len(units), (8, 8), units=units, seed=seed)
    whole = flat(clipped_pair_sum(critic, LOSSES["vanilla"], pairs, clip).sums)
    for gone in range(len(scans)):
        kept = torch.tensor([unit != gone for unit in units])
        rest = Pairs(pairs.real[kept], pairs.fake[kept], pairs.share[kept], pairs.labels[kept], pairs.units[kept])
        fewer = flat(clipped_pair_sum(critic, LOSSES["vanilla"], rest, clip).sums)
        assert float((whole - fewer).norm()) <= clip * (1 + 2**-10)


def test_clipping_per_batch_breaks_the_law():
    """The planted bug: one norm for the sum of all units, which a unit can turn around."""
    critic, loss, clip = an_image_critic(scale=3.0), RecordLoss("wgan", "none", 0.0), 0.01
    one = some_pairs(1)
    # a second patient, whose two pairs pull the other way
    both = Pairs(
        torch.cat([one.real, one.fake, one.fake]),
        torch.cat([one.fake, one.real, one.real]),
        one.share.expand(3),
        one.labels.expand(3),
        torch.tensor([0, 1, 1]),
    )

    def per_batch(pairs: Pairs) -> torch.Tensor:
        total = flat([tensor.sum(0) for tensor in pair_gradients(critic, loss, pairs)])
        return total * min(1.0, clip / float(total.norm()))

    def per_unit(pairs: Pairs) -> torch.Tensor:
        return flat(clipped_pair_sum(critic, loss, pairs, clip).sums)

    moved = [float((how(both) - how(both.part(slice(0, 1)))).norm()) / clip for how in (per_batch, per_unit)]
    assert moved[0] > 1.9
    assert moved[1] <= 1 + 2**-10


def test_a_unit_whose_gradient_is_no_number_contributes_nothing():
    critic, pairs = an_image_critic(), some_pairs(4, units=[0, 0, 1, 2])
    broken = Pairs(pairs.real.clone(), pairs.fake, pairs.share, pairs.labels, pairs.units)
    broken.real[0, 0, 3, 3] = float("nan")
    rest = Pairs(pairs.real[2:], pairs.fake[2:], pairs.share[2:], pairs.labels[2:], pairs.units[2:])
    found = flat(clipped_pair_sum(critic, LOSSES["vanilla"], broken, 0.1).sums)
    assert torch.allclose(found, flat(clipped_pair_sum(critic, LOSSES["vanilla"], rest, 0.1).sums), atol=1e-7)


def test_no_pairs_sum_to_zero():
    critic = an_image_critic()
    found = clipped_pair_sum(critic, LOSSES["vanilla"], some_pairs(0), 1.0)
    assert float(flat(found.sums).abs().max()) == 0.0
    assert len(found.norms) == 0


@given(st.lists(st.integers(1, 6), max_size=8), st.integers(1, 9))
def test_parts_are_cut_between_units(scans, most):
    units = [unit for unit, n in enumerate(scans) for _ in range(n)]
    parts = list(unit_parts(units, most))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(len(units)))
    for part in parts:
        own = units[part]
        assert len(own) <= most or len(set(own)) == 1
        assert part.stop == len(units) or units[part.stop] != units[part.stop - 1]


def test_memory_bounds_the_pairs_at_once():
    small = {"weight": torch.zeros(100)}
    assert pairs_at_once(small, torch.zeros(1, 1, 8, 8)) == 64
    assert pairs_at_once(small, torch.zeros(1, 1, 64, 64, 64)) == 1
    assert pairs_at_once({"weight": torch.zeros(10**7)}, torch.zeros(1, 1, 8, 8)) == 2


class Spread(nn.Module):
    """Standard deviation over the minibatch as a further feature (Karras 2018)."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(145, 1)

    def forward(self, images, labels=None):
        values = images.flatten(1)
        deviation = values.std(0).mean().expand(len(values), 1)
        return self.score(torch.cat([values, deviation], 1)).squeeze(1)


class Normed(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.score = layer, nn.Linear(144, 1)

    def forward(self, images, labels=None):
        return self.score(self.layer(images).flatten(1)).squeeze(1)


class Packed(nn.Module):
    """Two scans per score (PacGAN)."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(288, 1)

    def forward(self, images, labels=None):
        return self.score(images.reshape(len(images) // 2, 288)).squeeze(1)


@pytest.mark.parametrize(
    ("critic", "said"),
    [
        (Normed(nn.BatchNorm2d(1)), r"layer \(BatchNorm2d\)"),
        (Normed(nn.InstanceNorm2d(1, track_running_stats=True)), r"layer \(InstanceNorm2d\)"),
        (Spread(), "changes with the other scans"),
        (Packed(), "scores of shape"),
    ],
    ids=["batch norm", "running statistics", "minibatch spread", "packing"],
)
def test_critics_that_mix_scans_are_refused(critic, said):
    with pytest.raises(PrivacyError, match=said):
        require_scan_wise(critic, (1, 12, 12), 2)


def test_the_spread_of_the_engine_is_refused():
    from private_scans import PLAIN, spec_of

    from synthkit.random import RandomSource

    critic = Critic(spec_of(), PLAIN.changed(spread=True), RandomSource(0).torch("critic"))
    with pytest.raises(PrivacyError, match="changes with the other scans"):
        require_scan_wise(critic, (1, 12, 12), 2)


@pytest.mark.parametrize("critic", [an_image_critic(), Grouped()], ids=["none", "group"])
def test_critics_of_single_scans_are_accepted(critic):
    critic.train()
    require_scan_wise(critic, (1, 12, 12), 2)
    assert critic.training
