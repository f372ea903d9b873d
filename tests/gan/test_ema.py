from __future__ import annotations

import torch

from synthkit.gan.ema import WeightAverage


def test_average_of_a_constant_is_the_constant():
    weight = torch.full((3,), 2.0, requires_grad=True)
    average = WeightAverage([weight])
    for step in range(5):
        average.update(step)
    assert torch.allclose(average.weights()["0"], weight)


def test_early_steps_forget_faster():
    weight = torch.zeros(1)
    average = WeightAverage([weight], decay=0.999)
    weight.fill_(1.0)
    average.update(0)
    assert torch.allclose(average.weights()["0"], torch.tensor([0.9]))
    late = WeightAverage([torch.zeros(1)], decay=0.999)
    late._live[0].fill_(1.0)
    late.update(100_000)
    assert torch.allclose(late.weights()["0"], torch.tensor([0.001]))


def test_applied_swaps_and_puts_back_even_after_an_error():
    weight = torch.zeros(2, requires_grad=True)
    average = WeightAverage([weight])
    with torch.no_grad():
        weight.fill_(5.0)
    try:
        with average.applied():
            assert weight.tolist() == [0.0, 0.0]
            raise RuntimeError
    except RuntimeError:
        pass
    assert weight.tolist() == [5.0, 5.0]


def test_reset_writes_live_weights_and_average():
    weight = torch.zeros(2, requires_grad=True)
    average = WeightAverage([weight])
    average.reset({"0": torch.tensor([1.0, 2.0])})
    assert weight.tolist() == [1.0, 2.0]
    assert average.weights()["0"].tolist() == [1.0, 2.0]
    assert weight.requires_grad
