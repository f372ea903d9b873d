from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import sparse

from synthkit.expression.copula import CopulaModel, fit_copula
from synthkit.expression.gene_space import GeneSpaceModel, fit_gene_space
from synthkit.expression.independent import IndependentModel, fit_independent
from synthkit.expression.model import Training, Wanted
from synthkit.expression.normal import NormalModel, fit_normal
from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource

CLASSES = {"nb": IndependentModel, "copula": CopulaModel, "mvn": NormalModel, "wgan-gp-genes": GeneSpaceModel}
BY_MOMENTS = ("nb", "copula", "mvn")
MODELS = (*BY_MOMENTS, "wgan-gp-genes")
MEASURES = ("counts", "log", "rates", "intensities")
GENES, MANY = 30, 900


def conditions(classes, depths=None):
    n = len(classes)
    return Wanted(np.asarray(classes, np.int64), np.zeros(n, np.int64), np.zeros((n, 0), np.float32), depths)


@functools.cache
def cells(measure="counts"):
    """Two large classes, one of 3 cells; genes 0-9 follow one factor within classes; library sizes are log-normal."""
    rng = RandomSource(5).numpy("cells")
    classes = np.repeat([0, 1, 2], [MANY, 400, 3])
    profile = rng.gamma(1.0, 1.0, (3, GENES)) + 0.1
    factor = rng.standard_normal(len(classes))
    logs = np.log(profile[classes])
    logs[:, :10] += 0.8 * factor[:, None] - 0.32
    rates = np.exp(logs)
    if measure == "intensities":
        values = (logs + 0.3 * rng.standard_normal(logs.shape)).astype(np.float32)
    else:
        depth = np.exp(rng.normal(5.0, 0.3, len(classes)))
        counts = rng.poisson(rates / profile[classes].sum(1, keepdims=True) * depth[:, None])
        scaled = counts / depth[:, None] * 100
        dense = {"counts": counts, "log": np.log1p(scaled), "rates": scaled}[measure]
        values = sparse.csr_matrix(dense.astype(np.float32))
    return Training(values, conditions(classes), measure, 3, 1)


@functools.cache
def fitted(name, measure="counts"):
    training, random = cells(measure), RandomSource(1)
    if name == "nb":
        return fit_independent(training)
    if name == "copula":
        return fit_copula(training, random)
    if name == "mvn":
        return fit_normal(training, random)
    with Trainer(Budget()) as trainer:
        return fit_gene_space(training, random, trainer, 60.0, steps=2)[0]


def dense(values):
    return values.toarray() if sparse.issparse(values) else np.asarray(values)


def correlation(values, by_size=False):
    logs = np.log1p(dense(values) / (dense(values).sum(1, keepdims=True) / 100 if by_size else 1.0))
    return np.corrcoef(logs, rowvar=False)[:10, :10][np.triu_indices(10, 1)]


@pytest.mark.parametrize("name", MODELS)
def test_counts_are_whole_sparse_and_as_many_as_wanted(name):
    drawn = fitted(name).draw(conditions([0, 2, 1] * 400), RandomSource(0))
    assert fitted(name).name == name
    assert isinstance(drawn, sparse.csr_matrix)
    assert drawn.dtype == np.int32
    assert drawn.shape == (1200, GENES)
    assert drawn.nnz
    assert drawn.data.min() > 0
    assert fitted(name).draw(conditions([]), RandomSource(0)).shape == (0, GENES)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("measure", MEASURES[1:])
def test_other_measures_keep_their_sign(name, measure):
    drawn = fitted(name, measure).draw(conditions([0, 1, 2] * 50), RandomSource(0))
    assert drawn.shape == (150, GENES)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert (drawn.min() < 0) == (measure == "intensities")


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", MODELS)
def test_state_draws_the_same_and_only_the_seed_decides(name, measure):
    model, wanted = fitted(name, measure), conditions([0, 1, 2, 0])
    values, arrays = model.state()
    again = CLASSES[name].from_state(values, arrays)
    first = dense(model.draw(wanted, RandomSource(3)))
    np.testing.assert_array_equal(first, dense(again.draw(wanted, RandomSource(3))))
    assert (first != dense(model.draw(wanted, RandomSource(4)))).any()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", BY_MOMENTS)
def test_classes_keep_their_means(name, measure):
    training = cells(measure)
    for c in (0, 1):
        real = dense(training.values)[training.conditions.classes == c]
        drawn = dense(fitted(name, measure).draw(conditions([c] * 3000), RandomSource(2)))
        error = real.std(0) * np.sqrt(1 / len(real) + 1 / len(drawn))
        assert (np.abs(real.mean(0) - drawn.mean(0)) < 5 * error + 0.02 * np.abs(real.mean(0))).all()


@pytest.mark.parametrize("name", MODELS)
def test_library_sizes_are_those_of_the_class_or_those_wanted(name):
    training = cells()
    real = np.log(dense(training.values).sum(1)[:MANY])
    drawn = np.log(dense(fitted(name).draw(conditions([0] * MANY), RandomSource(2))).sum(1))
    assert abs(drawn.mean() - real.mean()) < 0.06
    assert 0.8 < drawn.std() / real.std() < 1.2
    sizes = np.array([20.0, 150.0, 2000.0])
    wanted = fitted(name).draw(conditions([1] * 900, np.repeat(sizes, 300)), RandomSource(2))
    np.testing.assert_allclose(dense(wanted).sum(1).reshape(3, 300).mean(1), sizes, rtol=0.06)


@pytest.mark.parametrize("name", BY_MOMENTS)
def test_a_class_of_three_cells_is_drawn_near_them_and_varies(name):
    training = cells()
    mine = dense(training.values)[training.conditions.classes == 2]
    drawn = dense(fitted(name).draw(conditions([2] * 300), RandomSource(2)))
    assert len(np.unique(drawn, axis=0)) > 290
    others = dense(training.values)[:MANY].mean(0)
    own, far = np.corrcoef(drawn.mean(0), mine.mean(0))[0, 1], np.corrcoef(drawn.mean(0), others)[0, 1]
    assert own > 0.8
    assert own > far


def test_copula_and_normal_recover_correlations_that_independent_genes_lack():
    wanted = conditions([0] * MANY)
    # library sizes of the normal model do not go with the genes: it is held to what is left without them
    for name, by_size in (("copula", False), ("mvn", True)):
        real = correlation(cells().values[:MANY], by_size)
        drawn = correlation(fitted(name).draw(wanted, RandomSource(2)), by_size)
        assert real.mean() > 0.25
        assert np.abs(drawn - real).mean() < 0.1
        assert abs(drawn.mean() - real.mean()) < 0.1
    assert abs(correlation(fitted("nb").draw(wanted, RandomSource(2)), by_size=True).mean()) < 0.08


def test_intensities_vary_together_in_the_copula():
    real = np.corrcoef(dense(cells("intensities").values)[:MANY, :10], rowvar=False)
    drawn = fitted("copula", "intensities").draw(conditions([0] * MANY), RandomSource(2))
    np.testing.assert_allclose(np.corrcoef(drawn[:, :10], rowvar=False), real, atol=0.12)


@pytest.mark.parametrize("fit", [fit_independent, lambda training: fit_copula(training, RandomSource(0))])
def test_poisson_counts_stay_poisson(fit):
    values = sparse.csr_matrix(RandomSource(9).numpy("poisson").poisson(4.0, (800, 12)).astype(np.float32))
    training = Training(values, conditions([0] * 800), "counts", 1, 1)
    drawn = dense(fit(training).draw(training.conditions, RandomSource(1)))
    assert abs(drawn.var(0).mean() / drawn.mean() - 1) < 0.15


@pytest.mark.parametrize("measure", ["counts", "log", "intensities"])
@pytest.mark.parametrize(
    "fit", [fit_independent, *(functools.partial(f, random=RandomSource(0)) for f in (fit_copula, fit_normal))]
)
def test_a_class_without_cells_is_drawn_as_all_cells_are(fit, measure):
    known = cells(measure)
    training = Training(known.values, known.conditions, measure, 4, 1)
    drawn = dense(fit(training).draw(conditions([3] * 500), RandomSource(1)))
    assert np.isfinite(drawn).all()
    assert np.corrcoef(drawn.mean(0), dense(known.values).mean(0))[0, 1] > 0.9
