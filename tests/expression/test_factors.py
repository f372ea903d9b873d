"""Factors of counts and of values, the moments of their coordinates, and the kernel that scores the game."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from sklearn.decomposition import PCA

from synthkit.expression.anchor import Anchor, nearest_map
from synthkit.expression.factor_fit import likelihood_of
from synthkit.expression.factor_model import FactorModel
from synthkit.expression.latent_game import LatentCells, LatentStage, log_density, turned
from synthkit.expression.model import Wanted
from synthkit.expression.normal_factors import design_effects, normal_factors
from synthkit.expression.poisson_factors import PoissonFactorsStage, evidence
from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource


def captured(true: np.ndarray, found: np.ndarray) -> float:
    """Share of the columns of `true` that lies in the space of those of `found`."""
    basis = np.linalg.qr(found)[0]
    return float(np.square(basis.T @ true).sum() / np.square(true).sum())


# ------------------------------------------------------------------------------------------------------------- counts


def test_the_evidence_is_what_the_mean_over_draws_says() -> None:
    rng = np.random.default_rng(0)
    n, genes, k, draws = 3, 5, 2, 200_000
    counts, offset = rng.poisson(2.0, (n, genes)), rng.normal(0, 0.3, (n, 1))
    base, loadings = rng.normal(0, 0.4, (n, genes)), rng.normal(0, 0.4, (genes, k))
    means, logs = rng.normal(0, 0.5, (n, k)), rng.normal(-1, 0.2, (n, k))
    given = (torch.from_numpy(one.astype(np.float64)) for one in (counts, offset, base, loadings, means, logs))
    found = evidence(*given).numpy()
    for cell in range(n):
        z = means[cell] + np.exp(logs[cell]) * rng.standard_normal((draws, k))
        rates = np.exp(offset[cell] + base[cell] + z @ loadings.T)
        likelihood = stats.poisson.logpmf(counts[cell], rates).sum(1)
        divergence = stats.norm.logpdf(z, means[cell], np.exp(logs[cell])) - stats.norm.logpdf(z)
        constant = stats.poisson.logpmf(counts[cell], 1.0).sum() + genes  # log of the factorials
        expected = (likelihood - divergence.sum(1)).mean() - constant
        assert found[cell] == pytest.approx(expected, abs=0.02)


def test_the_evidence_is_below_the_likelihood() -> None:
    z = np.linspace(-8, 8, 4001)
    rates = np.exp(0.2 + 0.7 * z)
    density = stats.poisson.pmf(3, rates) * stats.norm.pdf(z)
    whole = np.log(density.sum() * (z[1] - z[0])) - stats.poisson.logpmf(3, 1.0) - 1
    tensor = lambda value: torch.tensor([[value]], dtype=torch.float64)  # noqa: E731
    found = [
        float(evidence(tensor(3.0), tensor(0.0), tensor(0.2), tensor(0.7), tensor(mean), tensor(log)))
        for mean in np.linspace(-1, 2, 31)
        for log in np.linspace(-2, 0.5, 11)
    ]
    assert max(found) < whole
    assert max(found) > whole - 0.02


def test_factors_of_counts_are_recovered_apart_from_classes() -> None:
    rng = np.random.default_rng(1)
    n, genes, k = 400, 40, 2
    classes = np.arange(n) % 2
    loadings = rng.normal(0, 0.6, (genes, k))
    profiles = rng.normal(0, 0.7, (2, genes))
    logs = profiles[classes] + rng.standard_normal((n, k)) @ loadings.T
    rates = np.exp(logs)
    counts = sparse.csr_matrix(rng.poisson(300 * rates / rates.sum(1, keepdims=True)).astype(np.float32))
    stage = PoissonFactorsStage(counts, np.eye(2)[classes], 2, k, RandomSource(0), epochs=150)
    with Trainer(Budget()) as trainer:
        report = trainer.run(stage)
    found = stage.factors()
    assert report.improved
    # what moves all genes of a cell alike is the library size, which factors cannot tell
    centred = loadings - loadings.mean(0)
    assert captured(centred, found.loadings - found.loadings.mean(0)) > 0.93
    change = found.base[1] - found.base[0]
    assert np.corrcoef(change, profiles[1] - profiles[0])[0, 1] > 0.93
    assert found.deviations.min() > 0
    assert found.deviations.max() < 1


def test_a_stage_goes_on_where_its_state_was_taken() -> None:
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (30, 8)).astype(np.float32))

    def made() -> PoissonFactorsStage:
        return PoissonFactorsStage(counts, np.ones((30, 1)), 1, 2, RandomSource(3), epochs=10)

    whole, first, second = made(), made(), made()
    for step in range(8):
        whole.step(step)
        if step < 5:
            first.step(step)
    second.load_state(*first.state())
    for step in range(5, 8):
        second.step(step)
    for name, tensor in whole.snapshot().items():
        assert torch.equal(tensor, second.snapshot()[name]), name


@pytest.mark.parametrize(
    ("measure", "mean", "law"), [("counts", 3.0, "poisson"), ("counts", 30.0, "normal"), ("log", 1.0, "normal")]
)
def test_small_counts_have_the_law_of_rare_events(measure: str, mean: float, law: str) -> None:
    assert likelihood_of(np.full((4, 5), mean), measure) == law


# ------------------------------------------------------------------------------------------------------------- values


@pytest.fixture(scope="module")
def low_rank() -> np.ndarray:
    rng = np.random.default_rng(2)
    return (
        rng.normal(3, 1, 30) + rng.standard_normal((500, 3)) @ rng.normal(0, 1, (3, 30)) + rng.normal(0, 0.5, (500, 30))
    )


def test_loadings_span_principal_components(low_rank: np.ndarray) -> None:
    found, scales, own = normal_factors(low_rank, np.ones((500, 1)), 1, 3, RandomSource(0))
    # effects are drawn to the mean, so that they are the mean
    np.testing.assert_allclose(found.base[0], low_rank.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scales, low_rank.std(0), rtol=1e-4)
    standard = (low_rank - low_rank.mean(0)) / low_rank.std(0)
    oracle = PCA(3).fit(standard)
    assert captured(oracle.components_.T, found.loadings) > 0.9999
    # lengths: the whole variance of each direction, so that correlations are not weakened
    scale = 499 / 500
    expected = np.sqrt(oracle.explained_variance_ * scale)
    np.testing.assert_allclose(np.linalg.norm(found.loadings, axis=0), expected, rtol=1e-3)
    posterior = found.means.var(0) + np.square(found.deviations).mean(0)
    np.testing.assert_allclose(posterior, 1.0, atol=0.01)
    model = found.loadings @ found.loadings.T + np.diag(np.square(own))
    np.testing.assert_allclose(model, np.corrcoef(standard, rowvar=False), atol=0.1)


def test_effects_take_classes_out(low_rank: np.ndarray) -> None:
    design = np.eye(2)[np.arange(500) % 2]
    shifted = low_rank + np.outer(np.arange(500) % 2, np.linspace(-4, 4, 30))
    effects = design_effects(shifted, design, 2)
    real = shifted[1::2].mean(0) - shifted[::2].mean(0)
    # drawn together by one cell in 250
    np.testing.assert_allclose(effects[1] - effects[0], real * 250 / 251, rtol=1e-6)


def test_a_gene_that_never_varies_and_more_factors_than_genes() -> None:
    values = np.random.default_rng(3).standard_normal((40, 6))
    values[:, 2] = 7.0
    found, _, own = normal_factors(values, np.ones((40, 1)), 1, 20, RandomSource(0))
    assert found.base[0, 2] == pytest.approx(7.0)
    assert np.isfinite(found.loadings).all()
    assert np.abs(found.loadings[2]).max() < 1e-4
    assert (own > 0).all()


# ------------------------------------------------------------------------------------------------------------- anchor


def test_moments_of_large_classes_are_those_of_their_coordinates() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 3000)
    root = np.array([[1.0, 0.0], [0.8, 0.5]])
    means = rng.standard_normal((6000, 2)) @ root.T + np.array([[0.0, 0.0], [3.0, -1.0]])[labels]
    errors = np.full((6000, 2), 0.3)
    anchor = Anchor.of(means, errors, labels, 2)
    for label in (0, 1):
        own = means[labels == label]
        np.testing.assert_allclose(anchor.means[label], own.mean(0))
        expected = np.cov(own, rowvar=False) + 0.09 * np.eye(2)  # what is not known of a cell varies too
        np.testing.assert_allclose(anchor.roots[label] @ anchor.roots[label].T, expected, atol=0.01)
    drawn = anchor.coloured(rng.standard_normal((6000, 2)), labels)
    np.testing.assert_allclose(drawn[3000:].mean(0), anchor.means[1], atol=0.06)
    np.testing.assert_allclose(
        np.cov(drawn[:3000], rowvar=False), anchor.roots[0] @ anchor.roots[0].T, rtol=0.1, atol=0.03
    )


def test_a_class_of_one_cell_varies_as_the_others_do() -> None:
    rng = np.random.default_rng(6)
    means = np.concatenate([rng.standard_normal((500, 3)) * [1, 2, 3], [[9.0, 9.0, 9.0]]])
    anchor = Anchor.of(means, np.zeros_like(means), np.repeat([0, 1], [500, 1]), 2)
    np.testing.assert_allclose(anchor.means[1], 9.0)
    spread = np.diag(anchor.roots[1] @ anchor.roots[1].T)
    np.testing.assert_allclose(spread / np.array([1, 4, 9]), 6 / 7, rtol=0.2)  # all but the weight of one cell in 7


def test_a_map_gives_moments_and_moves_the_least() -> None:
    rng = np.random.default_rng(9)
    values = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 3)) + 2
    wanted = rng.exponential(1.0, (400, 3)) @ rng.standard_normal((3, 3))
    matrix, shift = nearest_map(values, wanted)
    moved = values @ matrix + shift
    np.testing.assert_allclose(moved.mean(0), wanted.mean(0))
    np.testing.assert_allclose(np.cov(moved.T, ddof=0), np.cov(wanted.T, ddof=0))
    # another map with these moments turns what is whitened before it colours it
    middle = np.linalg.cholesky(np.cov(wanted.T, ddof=0))
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(values.T, ddof=0)))
    other = (values - values.mean(0)) @ (middle @ whiten).T + wanted.mean(0)
    np.testing.assert_allclose(np.cov(other.T, ddof=0), np.cov(wanted.T, ddof=0))
    assert np.square(moved - values).sum() < np.square(other - values).sum()


def test_an_anchor_restores_the_moments_of_a_class_alone() -> None:
    rng = np.random.default_rng(10)
    labels = np.repeat([0, 1], 300)
    anchor = Anchor.of(rng.standard_normal((600, 2)) @ [[2.0, 0.5], [0.0, 1.0]], np.zeros((600, 2)), labels, 2)
    wanted = rng.standard_normal((1000, 2))
    narrow = wanted * [0.7, 0.9] + [0.1, 0.0]
    restored = anchor.restored(1, narrow, wanted)
    ones = np.ones(1000, np.int64)
    np.testing.assert_allclose(restored.coloured(narrow, ones), anchor.coloured(wanted, ones), atol=1e-6)
    np.testing.assert_array_equal(restored.coloured(narrow, 0 * ones), anchor.coloured(narrow, 0 * ones))


def test_what_a_game_narrows_is_restored() -> None:
    rng = np.random.default_rng(12)
    n, size = 400, 3
    labels = np.repeat([0, 1], n // 2)
    means, errors = rng.standard_normal((n, size)) + labels[:, None], np.full((n, size), 0.2)
    anchor = Anchor.of(means, errors, labels, 2)
    given = Wanted(labels, np.zeros(n, np.int64), np.zeros((n, 0), np.float32))
    cells = LatentCells.of(means, errors, anchor, given, "cpu")
    stage = LatentStage(cells, anchor, np.arange(0, n, 5), (2, 1, 0), RandomSource(0), steps=10)
    before = stage.evaluate()
    with torch.no_grad():
        torch.nn.init.normal_(stage.generator.move.weight, 0, 0.05, generator=RandomSource(1).torch("moved"))
        stage.generator.move.bias.fill_(0.4)
    stage.restore({str(at): one.detach().clone() for at, one in enumerate(stage.generator.parameters())})
    spread = np.ones((1, size))
    model = FactorModel("intensities", "normal", np.zeros((2, 1)), spread, np.ones(1), anchor, stage.generator)
    many = given.take(np.repeat([0, n - 1], 20_000))
    drawn = replace(model, anchor=stage.restored(anchor)).coordinates(many, RandomSource(2))[0]
    bare, anchored = (one.coordinates(many, RandomSource(2))[0] for one in (model, replace(model, generator=None)))
    for label in (0, 1):
        own = many.classes == label
        assert np.abs(bare[own].mean(0) - anchored[own].mean(0)).max() > 0.2
        np.testing.assert_allclose(drawn[own].mean(0), anchored[own].mean(0), atol=0.05)
        np.testing.assert_allclose(np.cov(drawn[own].T), np.cov(anchored[own].T), atol=0.08)
    assert np.isfinite(before)
    assert stage.evaluate() == pytest.approx(before, abs=0.1)  # a shift alone is no loss


def test_vectors_are_turned_each_by_its_own_matrix() -> None:
    rng = np.random.default_rng(11)
    values, matrices = torch.from_numpy(rng.standard_normal((20, 4))), torch.from_numpy(rng.standard_normal((5, 4, 4)))
    which = torch.from_numpy(rng.integers(0, 5, 20))
    np.testing.assert_allclose(turned(values, matrices, which), torch.einsum("nij,nj->ni", matrices[which], values))


# ------------------------------------------------------------------------------------------------------------- kernel


def test_the_density_of_held_out_cells_is_the_mean_over_kernels() -> None:
    rng = np.random.default_rng(7)
    values, drawn = rng.standard_normal((6, 3)), rng.standard_normal((5, 3)) + 1
    densities = [np.mean([stats.multivariate_normal.pdf(one, other, 0.8**2) for other in drawn]) for one in values]
    found = log_density(torch.from_numpy(values), torch.from_numpy(drawn), 0.8)
    assert found == pytest.approx(np.log(densities).mean(), rel=1e-6)


def test_the_density_falls_where_draws_are_shifted_spread_or_copies_of_others() -> None:
    rng = np.random.default_rng(8)
    draw = lambda n, scale=1.0: torch.from_numpy(scale * rng.standard_normal((n, 4)))  # noqa: E731
    values = draw(400)
    right = log_density(values, draw(3000), 0.9)
    few = draw(20)
    for wrong in (draw(3000) + 0.7, draw(3000, 1.6), few[torch.arange(3000) % 20]):
        assert log_density(values, wrong, 0.9) < right
