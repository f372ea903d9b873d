from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from private_expression import cells_of_donors, fitted
from scipy import sparse, stats

from synthkit.expression.count_link import CountLink
from synthkit.expression.loadings import PublicLoadings
from synthkit.expression.private_moments import MomentsRelease
from synthkit.expression.private_plan import CLASSES, MEANS, STEPS, Shape, plan_moments
from synthkit.expression.private_sums import private_rows, unit_vectors
from synthkit.expression.shrinking import repaired_covariance, shrunk
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.noise import NoiseSource

GENES, K = 12, 3


class Recorder:
    """A ledger that lets all pass."""

    def spend(self, event):
        pass


class Silent(NoiseSource):
    """Noise of zero, so that what is released are the exact sums in whole numbers."""

    def discrete_gaussian(self, sigma, shape):
        return np.zeros(shape, np.int64)


def exact_releases(counts, classes, units, levels, covariance):
    """All sums of a release in whole numbers, by name of the event; every step measures from the same public place."""
    budget = PrivacyBudget(5.0, 1e-5, unit="donor")
    loadings = PublicLoadings.random(3, [f"g{i}" for i in range(GENES)])
    plan = plan_moments(budget, Shape(100, GENES, 3, K, levels, covariance, True))
    release = MomentsRelease(private_rows(counts, classes, units, Recorder()), plan, loadings, Silent(), longest=20.0)
    found = {}
    inner = release._sums

    def kept(name, vectors, width, classes=0):
        found[name] = np.rint(inner(name, vectors, width, classes) * STEPS)
        # what follows depends on noisy results; here on public ones, the same for both neighbours
        return np.ones_like(found[name])

    release._sums = kept
    release.run()
    return found


counts_of_cells = st.lists(
    st.tuples(
        st.lists(
            st.one_of(st.integers(0, 9), st.sampled_from([np.nan, np.inf, -3.0, 1e300])), min_size=GENES, max_size=GENES
        ),
        st.integers(-1, K - 1),
        st.integers(-1, 4),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(counts_of_cells, st.integers(0, 4), st.sampled_from([("global", "pooled"), ("by class", "by class")]))
def test_a_donor_more_or_less_moves_no_sum_by_more_than_the_stated_bound(cells, gone, kinds):
    counts = sparse.csr_matrix(np.array([row for row, _, _ in cells], np.float64))
    classes = np.array([of for _, of, _ in cells], np.int64)
    units = np.array([of for _, _, of in cells], np.int64)
    left = units != gone
    whole = exact_releases(counts, classes, units, *kinds)
    less = exact_releases(counts[left], classes[left], units[left], *kinds)
    assert set(whole) == set(less)
    for name in whole:
        assert np.linalg.norm(whole[name] - less[name]) <= STEPS, name


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1e6))
def test_a_vector_that_is_too_long_is_left_out(seed, length):
    rng = np.random.default_rng(seed)
    data = {"units": np.zeros(4, np.int64), "classes": rng.integers(0, K, 4)}
    from synthkit.expression.private_sums import Cells

    cells = Cells(sparse.csr_matrix((4, GENES)), np.ones(4), data["classes"], data["units"])
    for classes in (0, K):
        found = unit_vectors(cells, rng.normal(size=(4, 5)) * length, classes)
        assert int((found**2).sum()) <= STEPS**2


def test_a_donor_with_ten_thousand_cells_counts_no_more_than_one_with_ten():
    rng = np.random.default_rng(0)
    row = rng.integers(0, 9, GENES)
    many = exact_releases(
        np.tile(row, (10_000, 1)), np.zeros(10_000, np.int64), np.zeros(10_000, np.int64), "global", "pooled"
    )
    few = exact_releases(np.tile(row, (10, 1)), np.zeros(10, np.int64), np.zeros(10, np.int64), "global", "pooled")
    for name in many:
        assert np.allclose(many[name], few[name], atol=2), name
        assert np.linalg.norm(many[name]) <= STEPS


def test_the_noise_has_the_scale_that_was_calibrated():
    budget = PrivacyBudget(1.0, 1e-5, unit="cell")
    plan = plan_moments(budget, Shape(1000, GENES, 3, K, "global", "pooled", True))
    assert 0.995 <= epsilon_spent(tuple(plan.events.values()), 1e-5, "add-remove") <= 1.0
    event = plan.events[MEANS]
    rows = private_rows(np.zeros((1, GENES)), np.array([-1]), np.array([0]), Recorder())
    from synthkit.expression.private_sums import noisy_sums

    drawn = noisy_sums(rows, event, lambda cells: np.zeros((1, 4000)), 4000, GENES, NoiseSource())
    sigma = plan.sigma(MEANS)
    # a chi-squared law of 4,000 numbers: outside by chance once in ten million runs
    low, high = stats.chi2.ppf([5e-8, 1 - 5e-8], 4000)
    assert low < ((drawn / sigma) ** 2).sum() < high
    replaced = plan_moments(PrivacyBudget(1.0, 1e-5, unit="cell", adjacency="replace-one"), plan.shape)
    assert replaced.sigma(CLASSES) == pytest.approx(2 * plan.sigma(CLASSES), rel=1e-3)


def test_what_cannot_be_told_from_noise_is_taken_for_nothing():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=2000)
    assert np.sqrt((shrunk(noise, 1.0) ** 2).mean()) < 0.2
    signal = np.concatenate([np.full(20, 30.0), np.zeros(1980)])
    found = shrunk(signal + noise, 1.0)
    assert np.abs(found[:20] - 30).max() < 5
    assert ((found - signal) ** 2).mean() < (noise**2).mean() / 4
    assert shrunk(noise, 0.0).tolist() == noise.tolist()


def test_a_repaired_covariance_can_be_drawn_from():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(8, 8))
    found = repaired_covariance(np.eye(8) + (noise + noise.T) / np.sqrt(2), 1.0)
    assert np.linalg.eigvalsh(found).min() >= -1e-12
    exact = np.cov(rng.normal(size=(8, 100)))
    assert np.allclose(repaired_covariance(exact, 0.0), exact)


@pytest.mark.parametrize("dispersion", [0.0, 0.3])
def test_rates_are_those_whose_counts_have_the_given_mean_logarithms(dispersion):
    rng = np.random.default_rng(0)
    link = CountLink.of(2000.0, dispersion)
    for rate in (0.5, 20.0, 900.0):
        mean = rate / 5 * (rng.gamma(1 / dispersion, dispersion, 200_000) if dispersion else np.ones(200_000))
        logs = np.log1p(rng.poisson(mean) * 5.0)
        assert link.mean(np.array([rate]))[0] == pytest.approx(logs.mean(), rel=0.02)
        assert link.rate(np.array([logs.mean()]))[0] == pytest.approx(rate, rel=0.05)
        assert link.variance(np.array([logs.mean()]))[0] == pytest.approx(logs.var(), rel=0.1)


def test_cells_without_a_donor_or_a_declared_class_count_nowhere():
    data = cells_of_donors()
    cells = data.cells.assign(donor=None)
    from dataclasses import replace

    space, _, report, _ = fitted(replace(data, cells=cells), reproducible_noise=0)
    assert report["bought"]["units"] < 30  # nothing but noise
    other = cells.assign(donor=data.cells["donor"], cell_type=pd.Categorical(["elsewhere"] * len(cells)))
    space, _, report, _ = fitted(replace(data, cells=other), reproducible_noise=0)
    assert report["bought"]["units"] < 30
    assert space.class_names == ("B", "T")
