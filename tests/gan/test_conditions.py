from __future__ import annotations

import pytest
import torch

from synthkit.gan.conditions import ConditionSampler


def test_half_of_the_rows_are_unconditional_and_rare_values_are_given_often():
    rng = torch.Generator().manual_seed(0)
    symbols = torch.zeros(1000, 3, dtype=torch.int32)
    symbols[7, 1] = 4
    sampler = ConditionSampler(symbols, [2, 5, 1])
    rows, mask = sampler.draw(4000, rng)
    assert not mask[:2000].any()
    assert mask[3000:].float().mean().item() == pytest.approx(1 / 3, abs=0.05)
    by_value = rows[2000:3000]
    assert (mask[2000:3000].any(1)).all()
    rare = (by_value == 7) & mask[2000:3000, 1]
    assert rare.float().mean().item() == pytest.approx(1 / 3 * 0.6931 / (0.6931 + 6.907), abs=0.015)
    assert rows.min() >= 0
    assert rows.max() < 1000


def test_a_row_chosen_by_value_has_that_value():
    rng = torch.Generator().manual_seed(1)
    symbols = torch.randint(0, 4, (37, 2), generator=rng)
    sampler = ConditionSampler(symbols, [4, 4])
    for c in range(2):
        for s in range(4):
            count = int(sampler._count[c, s])
            start = int(sampler._start[c, s])
            assert (symbols[sampler._sorted[start : start + count, c].long(), c] == s).all()
            assert count == int((symbols[:, c] == s).sum())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_batches_work(n):
    sampler = ConditionSampler(torch.zeros(1, 2, dtype=torch.int32), [1, 1])
    rows, mask = sampler.draw(n, torch.Generator().manual_seed(0))
    assert rows.tolist() == [0] * n
    assert mask.shape == (n, 2)
