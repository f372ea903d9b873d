"""The vectorised rank-sum test, the discrepancy and iLISI against what is slow and known to be right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from synthkit.evaluation.expression.distribution import discrepancy, mixing, perplexity_weights
from synthkit.evaluation.expression.joint import edge_agreement, pairs, slope, tree_distances
from synthkit.evaluation.expression.leave_out import Values, two_sided
from synthkit.evaluation.expression.margins import kolmogorov_smirnov
from synthkit.evaluation.expression.ranks import wilcoxon


def counts(n: int = 80, genes: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, n)
    return rng.poisson(0.5 + codes[:, None] * np.linspace(0, 2, genes)).astype(np.float32), codes


class TestWilcoxon:
    def test_is_what_scipy_computes_one_gene_at_a_time(self) -> None:
        values, codes = counts()
        z, p = wilcoxon(values, codes, 3)
        for place in range(3):
            for gene in range(values.shape[1]):
                own, rest = values[codes == place, gene], values[codes != place, gene]
                known = stats.mannwhitneyu(own.astype(float), rest.astype(float), method="asymptotic")
                assert p[place, gene] == pytest.approx(known.pvalue, rel=1e-9)
                assert np.sign(z[place, gene]) == np.sign(known.statistic - len(own) * len(rest) / 2)

    def test_says_nothing_of_a_constant_gene_and_of_an_empty_type(self) -> None:
        values, codes = counts()
        values[:, 0] = 3.0
        z, p = wilcoxon(values, codes, 4)
        assert (z[:, 0] == 0).all()
        assert (p[:, 0] == 1).all()
        assert (z[3] == 0).all()


def naive_mmd(a: np.ndarray, b: np.ndarray) -> float:
    def squared(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return ((one[:, None] - two[None]) ** 2).sum(axis=2)

    within = squared(a, a)
    width = np.median(within[np.triu_indices(len(a), 1)])

    def kernel(distances: np.ndarray) -> np.ndarray:
        return np.mean([np.exp(-distances / (2 * scale * width)) for scale in (0.25, 0.5, 1, 2, 4)], axis=0)

    first, second = kernel(within), kernel(squared(b, b))
    n, m = len(a), len(b)
    unbiased = (first.sum() - n) / (n * (n - 1)) + (second.sum() - m) / (m * (m - 1))
    return float(unbiased - 2 * kernel(squared(a, b)).mean())


class TestDiscrepancy:
    def test_is_the_naive_one(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(0.5, 1, size=(30, 3)).astype(np.float32)
        found = discrepancy(a, b, np.arange(40) % 5, np.arange(30) % 5)
        assert found.value == pytest.approx(naive_mmd(a, b), abs=1e-5)
        assert found.low < found.value < found.high

    def test_is_zero_on_average_for_one_source(self) -> None:
        rng = np.random.default_rng(1)
        one = np.zeros(40, dtype=np.int64)
        found = [discrepancy(*rng.normal(size=(2, 40, 2)).astype(np.float32), one, one).value for _ in range(60)]
        assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(60)
        assert min(found) < 0


class TestMixing:
    def test_is_the_naive_one(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(60, 2)).astype(np.float32), rng.normal(1, 1, size=(60, 2)).astype(np.float32)
        one = np.zeros(60, dtype=np.int64)
        points, of = np.vstack([a, b]), np.repeat([0, 1], 60)
        expected = []
        for place in range(120):
            distances = np.sqrt(((points - points[place]) ** 2).sum(axis=1))
            others = np.argsort(np.where(np.arange(120) == place, np.inf, distances))[:90]
            weights = perplexity_weights(distances[None, others].astype(float), 30.0)[0]
            expected.append(1 / sum(weights[of[others] == kind].sum() ** 2 for kind in (0, 1)))
        assert mixing(a, b, one, one).value == pytest.approx(np.mean(expected), rel=1e-4)

    def test_goes_from_apart_to_mixed(self) -> None:
        rng = np.random.default_rng(0)
        one = np.zeros(150, dtype=np.int64)
        a, b = rng.normal(size=(2, 150, 2)).astype(np.float32)
        assert mixing(a, b + 100, one, one).value == pytest.approx(1.0, abs=1e-3)
        assert mixing(a, b, one, one).value > 1.8

    def test_weights_have_the_perplexity_asked_for(self) -> None:
        distances = np.sort(np.random.default_rng(0).random((5, 90)), axis=1)
        weights = perplexity_weights(distances, 30.0)
        entropy = -(weights * np.log(weights)).sum(axis=1)
        assert np.exp(entropy) == pytest.approx(30.0, rel=1e-6)


class TestSmallThings:
    def test_kolmogorov_smirnov_is_that_of_scipy(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.poisson(5, 50).astype(float), rng.poisson(6, 70).astype(float)
        assert kolmogorov_smirnov(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)

    def test_edges_of_the_other_sign_are_not_the_same(self) -> None:
        recall, precision = edge_agreement(np.array([0.5, -0.5, 0.1, 0.9]), np.array([0.5, 0.5, 0.0, 0.0]))
        assert (recall, precision) == (1 / 3, 1 / 2)

    def test_a_slope_is_that_of_least_squares(self) -> None:
        x, y = np.random.default_rng(0).normal(size=(2, 50))
        assert slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0])

    def test_a_tree_joins_what_goes_together_first(self) -> None:
        matrix = np.eye(4)
        matrix[0, 1] = matrix[1, 0] = 0.9
        assert np.argmin(tree_distances(matrix)) == np.flatnonzero(pairs(matrix) == 0.9)[0]

    def test_leaving_groups_out_gives_the_error_of_a_mean(self) -> None:
        values = np.random.default_rng(0).normal(size=400)
        sides = Values(values, np.arange(400)), Values(np.zeros(1), np.zeros(1, dtype=np.int64))
        found = two_sided(lambda a, b: {"mean": float(a.mean() - b.mean())}, *sides)["mean"]
        assert found.high - found.value == pytest.approx(1.96 * values.std(ddof=1) / 20, rel=1e-3)
