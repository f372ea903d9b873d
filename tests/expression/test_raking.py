"""Margins that are brought back: near the real ones, order kept, whole counts, and the same from a file."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from synthkit.expression.raking import (
    CountRaking,
    DepthRaking,
    ValueRaking,
    chunk_size,
    chunks_by_class,
    count_edges,
    raking_from,
    systematic,
)

N = 1_500


def counts(seed: int, means: list[float], n: int = N, spread: float = 0.5) -> sparse.csr_matrix:
    """Negative binomial counts."""
    rng = np.random.default_rng(seed)
    shape = 1 / spread
    rates = rng.gamma(shape, 1 / shape, (n, len(means))) * np.array(means)
    return sparse.csr_matrix(rng.poisson(rates).astype(np.float32))


def uniform(values: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(values.shape, dtype=np.float32)


def far(one: np.ndarray, other: np.ndarray) -> list[float]:
    """Kolmogorov-Smirnov distance of each gene."""
    return [stats.ks_2samp(one[:, gene], other[:, gene]).statistic for gene in range(one.shape[1])]


@given(st.integers(0, 10**9))
def test_bins_cover_every_count(largest: int) -> None:
    edges = count_edges(largest)
    assert edges[0] == 0
    assert edges[-1] > largest
    assert (np.diff(edges) > 0).all()
    assert len(edges) < 120


MEANS = [0.05, 0.4, 3.0, 40.0]


def test_margins_of_counts_come_near_the_real_ones() -> None:
    real, poor = counts(0, MEANS), {0: counts(1, [0.1, 0.2, 6.0, 25.0], spread=0.1)}
    raking = CountRaking.of(real, np.zeros(N, int), poor)
    fresh = counts(2, [0.1, 0.2, 6.0, 25.0], spread=0.1).toarray()
    restored = raking.restored(fresh, 0, uniform(fresh))
    before, after = far(fresh, real.toarray()), far(restored, real.toarray())
    assert np.issubdtype(restored.dtype, np.integer)
    assert restored.min() >= 0
    assert max(after) < 0.06
    assert min(before) > max(after)
    np.testing.assert_allclose(restored.mean(0), real.toarray().mean(0), rtol=0.12, atol=0.02)


def test_a_margin_that_is_right_stays() -> None:
    real = counts(0, MEANS)
    raking = CountRaking.of(real, np.zeros(N, int), {0: real})
    values = real.toarray()
    for at, gene in itertools.product(range(0, N, 97), range(3)):
        if values[at, gene] < 16:  # in bins of a single count
            restored = raking.restored(values[at : at + 1], 0, np.full((1, 4), 0.5, np.float32))
            assert abs(restored[0, gene] - values[at, gene]) <= 1


@pytest.mark.parametrize("kind", ["counts", "depth"])
def test_larger_counts_stay_larger(kind: str) -> None:
    real, drawn = counts(0, MEANS), {0: counts(1, [1.0, 1.0, 1.0, 1.0])}
    labels = np.zeros(N, int)
    if kind == "counts":
        raking = CountRaking.of(real, labels, drawn)
        ladder = np.tile(np.arange(200)[:, None], (1, 4))
        restored = raking.restored(ladder, 0, np.full(ladder.shape, 0.3, np.float32))
        assert (np.diff(restored, axis=0) >= 0).all()
        same = np.full((50, 4), 3)
        rising = np.tile(np.linspace(0, 0.999, 50, dtype=np.float32)[:, None], (1, 4))
        assert (np.diff(raking.restored(same, 0, rising), axis=0) >= 0).all()
    else:
        raking = DepthRaking.of(real, labels, drawn, np.random.default_rng(0))
        # the same library size: the last gene gives what the third takes
        ladder = np.array([[1, 1, k, 60 - k] for k in range(61)])
        restored = raking.restored(ladder, 0, np.full(ladder.shape, 0.3, np.float32))
        assert (np.diff(restored[:, 2]) >= 0).all()
        assert (np.diff(restored[:, 3]) <= 0).all()


def test_library_sizes_do_not_mix_into_shares() -> None:
    rng = np.random.default_rng(0)
    size = rng.lognormal(0, 0.8, (N, 1))
    real = sparse.csr_matrix(rng.poisson(size * [30.0, 60.0, 0.2]).astype(np.float32))
    drawn = sparse.csr_matrix(rng.poisson(size * [60.0, 30.0, 0.2]).astype(np.float32))
    raking = DepthRaking.of(real, np.zeros(N, int), {0: drawn}, rng)
    assert raking.large.tolist() == [0, 1]
    values = drawn.toarray().astype(int)
    restored = raking.restored(values, 0, uniform(values))
    shares = [one[:, 0] / one[:, :2].sum(1).clip(1) for one in (restored, real.toarray())]
    assert stats.ks_2samp(*shares).statistic < 0.08
    assert np.corrcoef(restored.sum(1), values.sum(1))[0, 1] > 0.98
    assert (restored >= 0).all()


@pytest.mark.parametrize("means", [[0.1, 0.3], [5.0, 8.0]], ids=["all small", "all large"])
def test_genes_may_be_all_small_or_all_large(means: list[float]) -> None:
    real = counts(0, means)
    raking = DepthRaking.of(real, np.zeros(N, int), {0: counts(1, means)}, np.random.default_rng(0))
    values = counts(2, means).toarray().astype(int)
    assert max(far(raking.restored(values, 0, uniform(values)), real.toarray())) < 0.08


def test_values_get_the_quantiles_of_the_real_ones_and_never_leave_their_range() -> None:
    rng = np.random.default_rng(0)
    real, drawn = rng.gamma(2.0, 1.0, (N, 3)), {0: rng.normal(0, 1, (N, 3))}
    raking = ValueRaking.of(real, np.zeros(N, int), drawn)
    fresh = rng.normal(0, 1, (N, 3))
    restored = raking.restored(fresh, 0, uniform(fresh))
    assert max(far(restored, real)) < 0.06
    assert (np.argsort(restored, axis=0) == np.argsort(fresh, axis=0)).mean() > 0.98
    wild = raking.restored(np.array([[-99.0] * 3, [99.0] * 3]), 0, uniform(fresh[:2]))
    assert (wild >= min(real.min(), drawn[0].min()) - 1e-5).all()
    assert (wild <= max(real.max(), drawn[0].max()) + 1e-5).all()


def test_zeros_of_logarithms_stay_zeros() -> None:
    rng = np.random.default_rng(0)
    real = np.where(rng.random((N, 4)) < [0.95, 0.6, 0.1, 0.01], 0, rng.gamma(3.0, 1.0, (N, 4)))
    drawn = {0: rng.normal(real.mean(0), real.std(0), (2_000, 4))}
    raking = ValueRaking.of(real, np.zeros(N, int), drawn)
    restored = raking.restored(drawn[0][:N], 0, uniform(real))
    np.testing.assert_allclose((restored == 0).mean(0), (real == 0).mean(0), atol=0.02)
    assert max(far(restored, real)) < 0.06
    # what is not zero is as large as what is not zero in real cells
    for gene in range(4):
        seen = restored[restored[:, gene] > 0, gene]
        assert np.median(seen) == pytest.approx(np.median(real[real[:, gene] > 0, gene]), rel=0.15)


def test_a_gene_that_is_zero_throughout_a_class_is_nearly_always_zero_there() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    real = rng.gamma(2.0, 1.0, (N, 1)) * labels[:, None]
    drawn = {label: rng.normal(2 * label, 1, (2_000, 1)) for label in (0, 1)}
    raking = ValueRaking.of(real, labels, drawn)
    assert (raking.restored(drawn[0], 0, drawn[0]) == 0).mean() > 0.99
    assert (raking.restored(drawn[1], 1, drawn[1]) == 0).mean() < 0.01


def test_intensities_below_zero_have_no_zeros_to_keep() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(0, 1, (N, 2)).round(1)
    raking = ValueRaking.of(real, np.zeros(N, int), {0: rng.normal(0, 1, (2_000, 2))})
    assert not raking.zeros.any()
    assert "zeros" not in raking.arrays()


@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 10**6))
def test_levels_of_a_systematic_sample_cover_the_unit_interval_in_the_order_of_the_values(
    n: int, genes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values, offset = rng.permutation(n * genes).reshape(n, genes), rng.random(genes)
    levels = systematic(values, offset)
    np.testing.assert_array_equal(levels.argsort(0), values.argsort(0))
    np.testing.assert_allclose(np.sort(levels, 0), (np.arange(n)[:, None] + offset) / n)


@pytest.mark.parametrize("kind", ["counts", "values", "depth"])
def test_margins_of_a_systematic_sample_hold_no_chance_error(kind: str) -> None:
    labels, means, n = np.zeros(N, int), [0.05, 0.4, 0.7, 40.0], 150
    real, drawn = counts(0, means), counts(1, means)
    if kind == "counts":
        raking = CountRaking.of(real, labels, {0: drawn}, weight=0)
    elif kind == "depth":
        raking = DepthRaking.of(real, labels, {0: drawn}, np.random.default_rng(0), weight=0)
    else:
        raking = ValueRaking.of(real.toarray(), labels, {0: drawn.toarray()}, weight=0)
    small = slice(0, 3)  # the shares of large counts depend on library sizes too
    filled = (real.toarray()[:, small] > 0).mean(0)
    errors = {"at random": 0.0, "systematic": 0.0}
    for seed in range(10):
        values = counts(10 + seed, means, n).toarray().astype(int)
        ties = uniform(values, seed)
        given_values = values + 1e-6 * ties if kind == "values" else values
        for name, offset in (("at random", None), ("systematic", np.random.default_rng(seed).random(4))):
            restored = raking.restored(given_values, 0, ties, offset)
            errors[name] += np.abs((restored[:, small] > 0).mean(0) - filled).max() / 10
    assert errors["systematic"] < 1.2 / n
    assert errors["systematic"] < 0.4 * errors["at random"]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=400), st.sampled_from([10, 40_000, 100_000]))
def test_chunks_hold_every_cell_once_and_classes_together(classes: list[int], genes: int) -> None:
    labels = np.array(classes)
    parts = list(chunks_by_class(labels, genes))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    assert max(map(len, parts)) <= chunk_size(genes)
    for label in np.unique(labels):
        if (labels == label).sum() <= chunk_size(genes):
            assert sum((labels[part] == label).any() for part in parts) == 1


def test_a_class_of_few_cells_keeps_what_the_model_draws() -> None:
    real, drawn = counts(0, [8.0], 1), counts(1, [1.0])
    raking = CountRaking.of(real, np.zeros(1, int), {0: drawn})
    values = drawn.toarray().astype(int)
    restored = raking.restored(values, 0, uniform(values))
    assert far(restored, values)[0] < 0.25  # one cell against the weight of five
    assert far(raking.restored(values, 0, uniform(values, 1)), real.toarray())[0] > 0.5


@pytest.mark.parametrize("kind", ["counts", "values", "depth"])
def test_what_a_file_keeps_restores_the_same(kind: str) -> None:
    labels = np.arange(N) % 2
    real, drawn = counts(0, MEANS), {0: counts(1, MEANS), 1: counts(2, MEANS)}
    if kind == "counts":
        raking = CountRaking.of(real, labels, drawn)
    elif kind == "depth":
        raking = DepthRaking.of(real, labels, drawn, np.random.default_rng(0))
    else:
        raking = ValueRaking.of(real.toarray(), labels, {label: one.toarray() for label, one in drawn.items()})
    again = raking_from(raking.arrays())
    assert type(again) is type(raking)
    values = counts(3, MEANS, 300).toarray().astype(int)
    for label in (0, 1):
        own = raking.restored(values, label, uniform(values))
        np.testing.assert_array_equal(own, again.restored(values, label, uniform(values)))
    for name, array in raking.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
