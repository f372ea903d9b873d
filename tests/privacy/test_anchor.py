"""The anchor meets what it is given, and what it is given keeps its distance from what was measured."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthkit.gan.anchor import AnchorSettings, AnchorStage, MarginalLoss, Marginals, NetworkCodes
from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.privacy.anchor import all_pairs, measure_margins, measure_pairs, project_to_simplex, select_pairs
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.plan import plan_release

SIZES = [3, 4, 2]


def correlated_codes(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, n)
    return np.stack([first, (first + (rng.random(n) < 0.2)) % 4, rng.integers(0, 2, n)], axis=1).astype(np.int32)


def exact(codes: np.ndarray) -> Marginals:
    singles = np.concatenate([np.bincount(codes[:, c], minlength=k) / len(codes) for c, k in enumerate(SIZES)])
    pairs = all_pairs(SIZES)
    tables = []
    for i, j in pairs:
        table = np.zeros((SIZES[i], SIZES[j]))
        np.add.at(table, (codes[:, i], codes[:, j]), 1 / len(codes))
        tables.append(table)
    return Marginals(np.array(SIZES), singles, np.full(9, 1e-3), pairs, tables, np.full(3, 1e-3))


def fitted(marginals: Marginals, steps: int = 300) -> NetworkCodes:
    settings = AnchorSettings(codes=64, steps=steps, learning_rate=3e-3, noise=16, width=32)
    codes = NetworkCodes(SIZES, marginals.singles, settings, generator=torch.Generator().manual_seed(0))
    with Trainer(Budget.parse(None)) as trainer:
        trainer.run(AnchorStage(codes, marginals, settings))
    return codes


def test_codes_meet_exact_marginals() -> None:
    marginals = exact(correlated_codes(5_000))
    theta = fitted(marginals).theta().detach().double().numpy()
    ends = np.concatenate([[0], np.cumsum(SIZES)])
    np.testing.assert_allclose(theta.mean(0), marginals.singles, atol=0.01)
    for (i, j), table in zip(marginals.pairs, marginals.tables, strict=True):
        found = theta[:, ends[i] : ends[i + 1]].T @ theta[:, ends[j] : ends[j + 1]] / len(theta)
        np.testing.assert_allclose(found, table, atol=0.015)


def test_the_loss_is_the_squared_distance_written_out() -> None:
    marginals = exact(correlated_codes(500))
    theta = torch.rand(5, 9, dtype=torch.float64)
    ends = np.concatenate([[0], np.cumsum(SIZES)])
    cells = sum(table.size for table in marginals.tables)
    slow = float((theta.mean(0).numpy() - marginals.singles) @ (theta.mean(0).numpy() - marginals.singles))
    for (i, j), table in zip(marginals.pairs, marginals.tables, strict=True):
        left, right = theta[:, ends[i] : ends[i + 1]].numpy(), theta[:, ends[j] : ends[j + 1]].numpy()
        slow += float(((left.T @ right / 5 - table) ** 2).sum())
    np.testing.assert_allclose(float(MarginalLoss(marginals)(theta.float())), slow * 1e6 / cells, rtol=1e-4)


def test_a_stage_continues_exactly_where_it_was_taken() -> None:
    marginals, settings = exact(correlated_codes(500)), AnchorSettings(codes=8, steps=20, noise=4, width=8)

    def stage() -> AnchorStage:
        codes = NetworkCodes(SIZES, marginals.singles, settings, generator=torch.Generator().manual_seed(0))
        return AnchorStage(codes, marginals, settings)

    whole, first, second = stage(), stage(), stage()
    for index in range(20):
        whole.step(index)
    for index in range(7):
        first.step(index)
    second.load_state(*first.state())
    for index in range(7, 20):
        second.step(index)
    for name, value in whole.snapshot().items():
        assert torch.equal(value, second.snapshot()[name]), name


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=12))
def test_the_projection_gives_shares_and_keeps_shares(values: list[float]) -> None:
    shares = project_to_simplex(np.array(values))
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(), 1)
    np.testing.assert_allclose(project_to_simplex(shares), shares, atol=1e-12)


def test_measuring_spends_its_events_and_comes_near_the_truth() -> None:
    codes, budget = correlated_codes(20_000), PrivacyBudget(8.0, 1e-6)
    plan = plan_release(budget, columns=3, levels=(), records=20_000)
    ledger = Ledger(budget)
    ledger.plan(tuple(plan.events.values()))
    rows, noise = PrivateRows({"codes": codes}, ledger), NoiseSource()
    margins = measure_margins(rows, SIZES, plan.events["margins"], budget, noise)
    found = measure_pairs(rows, SIZES, all_pairs(SIZES), margins, plan.events["pairs"], budget, noise)
    assert {event.name for event in ledger.events} == {"margins", "pairs"}
    truth = exact(codes)
    assert abs(margins.total - 20_000) < 100
    np.testing.assert_allclose(found.singles, truth.singles, atol=0.003)
    for own, table in zip(found.tables, truth.tables, strict=True):
        np.testing.assert_allclose(own, table, atol=0.003)


def test_pairs_that_are_related_are_the_ones_selected() -> None:
    codes = np.concatenate([correlated_codes(20_000, seed) for seed in range(8)], axis=1)
    sizes = SIZES * 8
    budget = PrivacyBudget(0.5, 1e-6)
    plan = plan_release(budget, columns=24, levels=(), records=20_000)
    ledger = Ledger(budget)
    ledger.plan(tuple(plan.events.values()))
    rows = PrivateRows({"codes": codes}, ledger)
    pairs = select_pairs(rows, sizes, plan.events["scores"], plan.events["pairs"], budget, NoiseSource())
    assert {(3 * block, 3 * block + 1) for block in range(8)} <= set(pairs)
    assert len(pairs) < len(all_pairs(sizes)) / 2


def exclusive_codes(n: int, seed: int = 0) -> np.ndarray:
    """Two coins, and a target that is their exclusive or: no pair of columns is related, all three are."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 2, n), rng.integers(0, 2, n)
    return np.stack([first, second, first ^ second], axis=1).astype(np.int32)


def measured(codes: np.ndarray, sizes: list[int], pairs: list[tuple[int, int]], split_by: int | None) -> Marginals:
    budget = PrivacyBudget(8.0, 1e-6)
    plan = plan_release(budget, columns=len(sizes), levels=(), records=len(codes))
    ledger = Ledger(budget)
    ledger.plan(tuple(plan.events.values()))
    rows, noise = PrivateRows({"codes": codes}, ledger), NoiseSource()
    margins = measure_margins(rows, sizes, plan.events["margins"], budget, noise)
    return measure_pairs(rows, sizes, pairs, margins, plan.events["pairs"], budget, noise, split_by=split_by)


def test_pairs_split_by_a_column_are_tables_of_three() -> None:
    codes = correlated_codes(20_000)
    codes[:50, 0], codes[50:90, 2] = -1, -1  # cells that count nowhere
    found = measured(codes, SIZES, [(0, 1)], 2)
    kept = codes[(codes >= 0).all(1)]
    truth = np.zeros((2, 3, 4))
    np.add.at(truth, (kept[:, 2], kept[:, 0], kept[:, 1]), 1 / len(codes))
    assert found.split_by == 2
    np.testing.assert_allclose(found.tables[0], truth, atol=0.004)


def test_split_pairs_teach_what_pairs_cannot() -> None:
    codes = exclusive_codes(20_000)
    settings = AnchorSettings(codes=64, steps=400, learning_rate=3e-3, noise=16, width=32)
    agreement = []
    for pairs, split_by in ((all_pairs([2, 2, 2]), None), ([(0, 1)], 2)):
        marginals = measured(codes, [2, 2, 2], pairs, split_by)
        fit = NetworkCodes([2, 2, 2], marginals.singles, settings, generator=torch.Generator().manual_seed(0))
        with Trainer(Budget.parse(None)) as trainer:
            trainer.run(AnchorStage(fit, marginals, settings))
        theta = fit.theta().detach().double().numpy().reshape(-1, 3, 2)
        agreement.append(
            sum((theta[:, 0, a] * theta[:, 1, b] * theta[:, 2, a ^ b]).mean() for a in (0, 1) for b in (0, 1))
        )
    assert abs(agreement[0] - 0.5) < 0.1
    assert agreement[1] > 0.95


def test_the_split_loss_is_the_squared_distance_written_out() -> None:
    codes = correlated_codes(500)
    table = np.zeros((2, 3, 4))
    np.add.at(table, (codes[:, 2], codes[:, 0], codes[:, 1]), 1 / len(codes))
    plain = exact(codes)
    marginals = Marginals(plain.sizes, plain.singles, plain.singles_deviation, [(0, 1)], [table], np.array([1e-3]), 2)
    theta = torch.rand(5, 9, dtype=torch.float64)
    own = theta.numpy()
    found = np.einsum("ks,ka,kb->sab", own[:, 7:9], own[:, :3], own[:, 3:7]) / 5
    slow = float(((own.mean(0) - plain.singles) ** 2).sum() + ((found - table) ** 2).sum())
    np.testing.assert_allclose(float(MarginalLoss(marginals)(theta.float())), slow * 1e6 / table.size, rtol=1e-4)
