from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.gan.layout import Layout
from synthkit.gan.network import NetworkGenerator


def table(rows=3000, seed=0):
    """A long column with a missing atom, one without atoms, a category, a grid of 36 values."""
    rng = np.random.default_rng(seed)
    sizes, atoms = [41, 32, 3, 36], [1, 0, 3, 0]
    symbols = np.stack([rng.integers(0, size, rows) for size in sizes], 1).astype(np.int32)
    symbols[:, 2] = rng.choice(3, rows, p=[0.7, 0.2, 0.1])
    positions = rng.uniform(0.01, 0.99, symbols.shape).astype(np.float32)
    positions[symbols[:, 0] == 0, 0] = 0.5
    positions[:, 2:] = 0.5
    return Layout.from_data(sizes, atoms, symbols, positions), torch.tensor(symbols), torch.tensor(positions)


def make(layout, seed=1):
    return NetworkGenerator(layout, generator=torch.Generator().manual_seed(seed), noise=16, width=32)


def rng(seed=5):
    return torch.Generator().manual_seed(seed)


def test_untrained_generator_has_the_margins_of_the_data():
    layout, _, _ = table()
    drawn, where = make(layout).sample(20_000, rng())
    for c, start in enumerate(layout.offsets[:-1]):
        share = np.bincount(drawn[:, c], minlength=layout.sizes[c]) / len(drawn)
        assert np.abs(share - layout.share[start : start + layout.sizes[c]]).sum() / 2 < 0.15
    assert where.min() > 0
    assert where.max() < 1


def test_relaxed_rows_are_valid_and_carry_gradient():
    layout, _, _ = table()
    generator = make(layout)
    batch = generator.draw(64, rng())
    assert batch.symbols.shape == (64, layout.width)
    assert torch.equal(
        torch.stack([p.sum(1) for p in batch.symbols.split(layout.sizes.tolist(), 1)], 1), torch.ones(64, 4)
    )
    weights = torch.arange(layout.width, dtype=torch.float32)
    ((batch.symbols @ weights).sum() + batch.positions.sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in generator.parameters())


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), given_share=st.floats(0, 1))
def test_given_cells_hold_exactly(seed, given_share):
    layout, symbols, positions = table(50)
    generator = make(layout)
    mask = torch.rand(50, 4, generator=rng(seed)) < given_share
    drawn, where = generator.sample(50, rng(seed), symbols=symbols, positions=positions, mask=mask)
    assert torch.equal(drawn[mask], symbols[mask])
    assert torch.equal(where[mask], positions[mask])
    batch = generator.draw_given(symbols.long(), positions, mask, rng(seed))
    hard = torch.stack([p.argmax(1) for p in batch.symbols.split(layout.sizes.tolist(), 1)], 1)
    assert torch.equal(hard[mask], symbols[mask].long())
    assert torch.equal(batch.positions[mask], positions[mask])


def test_coordinate_and_bin_invert_each_other():
    layout, _, _ = table()
    generator = make(layout)
    u = torch.rand(500, len(generator._long), generator=rng()).clamp(0.001, 0.999)
    bins, inside = generator._locate(u)
    for j, column in enumerate(generator._long.tolist()):
        first = layout.offsets[column] + layout.n_atoms[column]
        left, right = layout.left[first + bins[:, j]], layout.right[first + bins[:, j]]
        assert np.allclose(left + inside[:, j].numpy() * (right - left), u[:, j], atol=1e-4)


def test_ends_of_the_scale_fall_into_the_first_and_the_last_bin():
    layout, _, _ = table()
    generator = make(layout)
    bins, inside = generator._locate(torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert bins.tolist() == [[0, 0, 0], [39, 31, 35]]
    assert torch.all((inside > 0) & (inside < 1))


def test_calibration_makes_the_coordinates_uniform():
    layout, _, _ = table()
    generator = make(layout)
    with torch.no_grad():
        generator.head.bias[-3:] += 0.8
    before = generator.sample(8000, rng())[0]
    generator.calibrate(rng(9))
    after = generator.sample(8000, rng())[0]
    in_bins = after[:, 0] > 0
    assert before[in_bins, 0].float().mean() > 27
    assert after[in_bins, 0].float().mean().item() == pytest.approx(20.5, abs=0.6)


def test_same_seed_same_rows_and_saved_generator_draws_the_same():
    layout, symbols, positions = table()
    generator = make(layout)
    generator.calibrate(rng(2), 2000)
    saved = NetworkGenerator.from_saved(*generator.save_state())
    mask = torch.zeros(300, 4, dtype=torch.bool)
    mask[:, 2] = True
    for wanted in ({}, {"symbols": symbols[:300], "positions": positions[:300], "mask": mask}):
        first = generator.sample(300, rng(), **wanted)
        for second in (generator.sample(300, rng(), **wanted), saved.sample(300, rng(), **wanted)):
            assert torch.equal(first[0], second[0])
            assert torch.equal(first[1], second[1])


def test_no_rows_and_only_categories_work():
    layout = Layout.from_data([2, 3], [2, 3], np.zeros((5, 2), np.int32), np.full((5, 2), 0.5, np.float32))
    generator = make(layout)
    generator.calibrate(rng())
    assert generator.sample(0, rng())[0].shape == (0, 2)
    assert generator.draw(3, rng()).symbols.shape == (3, 5)
    assert generator.sample(7, rng())[0].shape == (7, 2)
