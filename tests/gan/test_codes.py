from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_tables import related_rows

from synthkit.gan import codes as module
from synthkit.gan.codes import CodeSampler, CodeSettings, LatentCodes, LikelihoodStage, joint_log_likelihood, split_rows
from synthkit.gan.relaxed import Segments
from synthkit.random import RandomSource

SETTINGS = CodeSettings(codes=8, steps=60, batch=200)


def make(codes=7, seed=0, spread=1.0):
    """Codes with random coefficients."""
    layout, _, _ = related_rows(seed=seed)
    made = LatentCodes(layout, codes)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in made.parameters():
            tensor.copy_(spread * torch.randn(tensor.shape, generator=rng))
    return made


def stage(settings=SETTINGS):
    layout, symbols, _ = related_rows()
    codes = LatentCodes(layout, settings.codes)
    rows = torch.from_numpy(symbols)
    return codes, LikelihoodStage(codes, rows[:500], rows[500:], settings, RandomSource(3))


def slow_log_likelihood(codes, row):
    theta, weights = (tensor.double().numpy() for tensor in codes.frozen())
    total = 0.0
    for code in range(codes.codes):
        found = np.exp(weights[code])
        for column, symbol in enumerate(row):
            if symbol >= 0:
                found *= np.exp(theta[code, codes.layout.offsets[column] + symbol])
        total += found
    return np.log(total)


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_every_column_of_every_code_is_a_distribution(spread):
    codes = make(spread=spread)
    theta = codes.log_theta().exp()
    for column, size in enumerate(codes.layout.sizes):
        start = codes.layout.offsets[column]
        torch.testing.assert_close(theta[:, start : start + size].sum(1), torch.ones(7), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(codes.frozen()[1].exp().sum(), torch.tensor(1.0))


def test_without_coefficients_all_codes_are_the_margins_of_the_data():
    layout, _, _ = related_rows()
    theta = LatentCodes(layout, 3).log_theta().exp()
    np.testing.assert_allclose(theta.detach().numpy(), np.tile(layout.share, (3, 1)), atol=1e-4)


def test_neighbouring_bins_of_a_long_column_share_what_they_learn():
    codes = make()
    start = codes.layout.offsets[0]
    share = torch.from_numpy(codes.layout.share).float()
    lean = (codes.log_theta() - (share + 1e-6).log())[:, start + 1 : start + 31].detach()
    # ten cosines span what thirty bins can hold
    assert torch.linalg.matrix_rank(lean.double(), rtol=1e-4) <= min(10, codes.codes)
    wide = make(codes=40)
    lean = (wide.log_theta() - (share + 1e-6).log())[:, start + 1 : start + 31].detach()
    assert torch.linalg.matrix_rank(lean.double(), rtol=1e-4) == 10


@pytest.mark.parametrize("seed", range(3))
def test_log_likelihood_is_what_the_definition_says(seed):
    codes = make(seed=seed)
    _, symbols, _ = related_rows(seed=seed)
    found = codes.log_likelihood(torch.from_numpy(symbols[:30])).detach().numpy()
    np.testing.assert_allclose(found, [slow_log_likelihood(codes, row) for row in symbols[:30]], rtol=1e-4)


@given(st.data())
def test_unknown_cells_are_integrated_out(data):
    """The likelihood of a row with unknown cells is the sum over everything that they could be."""
    codes = make()
    column = data.draw(st.integers(0, 2))
    row = [data.draw(st.integers(0, int(size) - 1)) for size in codes.layout.sizes]
    size = int(codes.layout.sizes[column])
    filled = torch.tensor(row, dtype=torch.int32).repeat(size, 1)
    filled[:, column] = torch.arange(size, dtype=torch.int32)
    unknown = torch.tensor([row], dtype=torch.int32)
    unknown[0, column] = -1
    whole = codes.log_likelihood(filled).logsumexp(0)
    torch.testing.assert_close(codes.log_likelihood(unknown)[0], whole, rtol=1e-4, atol=1e-4)


def test_a_row_of_unknown_cells_is_certain():
    found = make().log_likelihood(torch.full((2, 3), -1, dtype=torch.int32))
    torch.testing.assert_close(found, torch.zeros(2), atol=1e-5, rtol=0)


def test_wide_tables_take_another_way_to_the_same_numbers(monkeypatch):
    codes = make()
    _, symbols, _ = related_rows()
    rows = torch.from_numpy(symbols[:50]).clone()
    rows[::3, 1] = -1
    theta, segments = codes.log_theta().detach(), Segments(codes.layout.sizes.tolist())
    usual = joint_log_likelihood(rows, theta, segments)
    monkeypatch.setattr(module, "_DENSE", 0)
    torch.testing.assert_close(joint_log_likelihood(rows, theta, segments), usual, rtol=1e-4, atol=1e-4)


def test_the_gradient_is_that_of_the_definition():
    codes = make(codes=3)
    _, symbols, _ = related_rows()
    rows = torch.from_numpy(symbols[:40])
    torch.autograd.backward(codes.log_likelihood(rows).double().mean())
    tensor = codes.parameters()[-1]
    step = 1e-2
    for place in range(3):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                tensor[place] += sign * step
                ends.append(codes.log_likelihood(rows).double().mean())
                tensor[place] -= sign * step
        assert float(tensor.grad[place]) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), abs=1e-3)


# ---------------------------------------------------------------------------------------------------------- the stage


def test_fitting_improves_on_independent_columns_on_held_out_rows():
    codes, fit = stage()
    _, symbols, _ = related_rows()
    independent = LatentCodes(codes.layout, 1).log_likelihood(torch.from_numpy(symbols[500:])).mean()
    before = fit.evaluate()
    for index in range(SETTINGS.steps):
        fit.step(index)
    assert fit.evaluate() > before + 0.1
    assert fit.evaluate() > float(independent.detach()) + 0.3


def test_the_score_is_the_mean_held_out_log_likelihood():
    codes, fit = stage()
    _, symbols, _ = related_rows()
    expected = np.mean([slow_log_likelihood(codes, row) for row in symbols[500:]])
    assert fit.evaluate() == pytest.approx(expected, rel=1e-4)


def test_a_stage_goes_on_exactly_where_its_state_was_taken():
    codes, fit = stage()
    for index in range(10):
        fit.step(index)
    values, tensors = fit.state()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    for index in range(10, 20):
        fit.step(index)
    other_codes, other = stage()
    other.step(0)
    other.load_state(values, tensors)
    for index in range(10, 20):
        other.step(index)
    for mine, theirs in zip(codes.parameters(), other_codes.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_restore_puts_the_weights_back():
    _, fit = stage()
    kept, score = fit.snapshot(), fit.evaluate()
    for index in range(5):
        fit.step(index)
    assert fit.evaluate() != score
    fit.restore(kept)
    assert fit.evaluate() == score


def test_recovery_halves_the_learning_rate():
    moved = []
    for times in (0, 1):
        codes, fit = stage()
        before = codes.code_logits.detach().clone()
        for _ in range(times):
            fit.recover()
        fit.step(0)
        moved.append((codes.code_logits.detach() - before).abs().max())
    assert float(moved[1]) == pytest.approx(float(moved[0]) / 2, rel=1e-2)


# -------------------------------------------------------------------------------------------------------- the sampler


def test_sampled_rows_follow_the_codes_and_carry_gradient():
    codes = make()
    sampler = CodeSampler(codes)
    drawn = sampler.draw(20_000, torch.Generator().manual_seed(0))
    assert drawn.symbols.shape == (20_000, codes.layout.width)
    assert set(drawn.symbols.unique().tolist()) == {0.0, 1.0}
    theta, weights = codes.frozen()
    expected = (weights.exp()[:, None] * theta.exp()).sum(0)
    torch.testing.assert_close(drawn.symbols.detach().mean(0), expected, atol=0.02, rtol=0)
    assert drawn.positions.shape == (20_000, 3)
    assert 0 <= float(drawn.positions.min()) <= float(drawn.positions.max()) < 1

    wanted = torch.randn(codes.layout.width, generator=torch.Generator().manual_seed(1))
    torch.autograd.backward((drawn.symbols @ wanted).mean())
    for tensor in sampler.parameters():
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0
    assert codes.code_logits.grad is None


def test_following_the_gradient_makes_the_wanted_symbol_more_likely():
    codes = make()
    place = int(codes.layout.offsets[1]) + 2
    before = float((codes.frozen()[1].exp() @ codes.frozen()[0].exp())[place])
    sampler, rng = CodeSampler(codes), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(list(sampler.parameters()), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        torch.autograd.backward(-sampler.draw(200, rng).symbols[:, place].mean())
        optimizer.step()
    assert float((codes.frozen()[1].exp() @ codes.frozen()[0].exp())[place]) > min(0.95, before + 0.2)


@given(st.integers(2, 3_000), st.floats(0.01, 0.9), st.integers(0, 5))
def test_rows_are_split_into_training_and_held_out(rows, share, seed):
    training, held = split_rows(rows, share, np.random.default_rng(seed), most=500)
    assert sorted([*training, *held]) == list(range(rows))
    assert 1 <= len(held) <= 500
    assert len(held) == max(1, min(500, round(rows * share)))
