"""The contract of a generator of gene expression, for every model and measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from simulated_cells import simulated_cells

from synthkit.expression.gan import ExpressionGAN
from synthkit.expression.models import MODELS
from synthkit.io.expression_set import ExpressionSet
from synthkit.testing import check_expression_synthesizer, expression_synthesizer_checks

QUICK = {"steps": 3, "random_state": 0, "verbose": False, "time_budget": None, "device": "cpu"}


def annotated(n: int = 60, *, measure: str = "counts") -> ExpressionSet:
    """Few cells in 20 genes, with a label of categories one of which never occurs, a batch of numbers, and an age."""
    data = simulated_cells(3, n, measure=measure)
    data = data.of_genes([0, 1, 5, 6, 10, 11, *range(46, 60)])
    cells = pd.DataFrame(
        {
            "type": pd.Categorical(data.cells["type"], ["c", "b", "a", "never"]),
            "plate": np.where(data.cells["batch"] == "x", 7, 3),
            "age": np.linspace(20.0, 70.0, n)[np.random.default_rng(0).permutation(n)],
        },
        index=[f"cell {k}" for k in range(n)],
    )
    genes = data.genes.assign(
        symbol=pd.Categorical([f"S{k % 3}" for k in range(len(data.genes))]),
        coding=[k % 2 == 0 for k in range(len(data.genes))],
        length=np.arange(len(data.genes), dtype=np.int32),
    )
    return replace(data, cells=cells, genes=genes)


def bulk(n: int = 48) -> ExpressionSet:
    """Large counts, as of whole tissue."""
    data = annotated(n)
    rng = np.random.default_rng(4)
    return replace(data, values=sparse.csr_matrix(rng.poisson(40.0 * (1 + data.values.toarray())).astype(np.int64)))


ALL = {"label": "type", "batch": "plate", "covariates": ["age"]}
CHECKS = dict(expression_synthesizer_checks(lambda: ExpressionGAN("cwgan", **QUICK), annotated(), **ALL))


@pytest.mark.parametrize("name", CHECKS)
def test_the_default_model(name: str) -> None:
    CHECKS[name]()


@pytest.mark.parametrize("model", [name for name in MODELS if name != "cwgan"])
def test_the_other_models(model: str) -> None:
    check_expression_synthesizer(lambda: ExpressionGAN(model, **QUICK), annotated(), **ALL)


@pytest.mark.parametrize("measure", ["log", "rates", "intensities"])
def test_other_measures(measure: str) -> None:
    data = annotated(measure="intensities" if measure == "intensities" else "log")
    if measure == "rates":
        data = replace(data, values=np.expm1(data.values), measure="rates")
    check_expression_synthesizer(lambda: ExpressionGAN("cwgan", **QUICK), data, label="type")


def test_large_counts_have_a_normal_law() -> None:
    made = lambda: ExpressionGAN("cwgan", **QUICK)  # noqa: E731
    check_expression_synthesizer(made, bulk(), label="type", batch="plate")
    assert made().fit(bulk()).report_["likelihood"] == "normal"


def test_rare_counts_among_large_ones_stay_as_rare() -> None:
    data = bulk(160)
    values = data.values.toarray()
    values[:, 1] = np.random.default_rng(5).poisson(0.1, 160)
    values[:, 2] = 0
    data = replace(data, values=sparse.csr_matrix(values))
    drawn = ExpressionGAN("cwgan", **QUICK).fit(data, label="type").sample(400, random_state=1).values.toarray()
    assert not drawn[:, 2].any()
    np.testing.assert_allclose((drawn == 0).mean(0), (values == 0).mean(0), atol=0.06)
    np.testing.assert_allclose(drawn[:, 1].mean(), values[:, 1].mean(), rtol=0.5)
    np.testing.assert_allclose(np.median(drawn.sum(1)), np.median(values.sum(1)), rtol=0.1)


def test_two_labels_of_other_dtypes() -> None:
    data = annotated()
    data.cells["passed"] = data.cells["age"] > 45.0
    check_expression_synthesizer(lambda: ExpressionGAN("nb", **QUICK), data, label=["plate", "passed"])
    data.cells["size"] = np.where(data.cells["passed"], 0.5, 2.5)
    check_expression_synthesizer(lambda: ExpressionGAN("nb", **QUICK), data, label=["plate", "size"])


def test_cells_enough_for_refinement() -> None:
    def made() -> ExpressionGAN:
        return ExpressionGAN("cwgan", **QUICK, factors=1)

    data = simulated_cells(5, 320).of_genes([*range(6), *range(52, 60)])
    data = replace(data, cells=data.cells.set_axis([f"cell {k}" for k in range(320)]))
    values = data.values.toarray()
    values[:, 0] = np.where(values[:, 1] % 2 == 0, 0, 30)  # what one factor cannot say
    data = replace(data, values=sparse.csr_matrix(values))
    assert made().fit(data, label="type").report_["refined"]
    check_expression_synthesizer(made, data, label="type")


def test_without_any_annotation() -> None:
    data = annotated()
    plain = replace(data, cells=data.cells[[]], genes=data.genes[[]])
    check_expression_synthesizer(lambda: ExpressionGAN("cwgan", **QUICK), plain)


def test_only_the_most_variable_genes() -> None:
    check_expression_synthesizer(lambda: ExpressionGAN("cwgan", genes="hvg:8", **QUICK), annotated(), label="type")


@pytest.mark.parametrize("loss", ["relativistic", "wgan", "vanilla"])
def test_every_loss(loss: str) -> None:
    check_expression_synthesizer(lambda: ExpressionGAN("cwgan", loss=loss, **QUICK), annotated(), label="type")


# ------------------------------------------------------------------------------------------------ the checks themselves


def broken(**methods: Callable[..., object]) -> Callable[[], ExpressionGAN]:
    """A generator that breaks one rule."""
    kind = type("Changed", (ExpressionGAN,), {"__init__": ExpressionGAN.__init__, **methods})
    return lambda: kind("nb", **QUICK)


def _fractions(self: ExpressionGAN, n: int, **more: object) -> ExpressionSet:
    drawn = ExpressionGAN.sample(self, n, **more)
    return replace(drawn, values=drawn.values * 0.5)


def _other_order(self: ExpressionGAN, n: int, **more: object) -> ExpressionSet:
    drawn = ExpressionGAN.sample(self, n, **more)
    return drawn.of_genes(np.arange(len(drawn.genes))[::-1])


def _ignores_the_seed(self: ExpressionGAN, n: int, *, random_state: object = None, **more: object) -> ExpressionSet:
    return ExpressionGAN.sample(self, n, **more)


def _ignores_conditions(self: ExpressionGAN, n: int, *, where: object = None, **more: object) -> ExpressionSet:
    return ExpressionGAN.sample(self, n, **more)


def _ignores_sizes(self: ExpressionGAN, n: int, *, where: object = None, **more: object) -> ExpressionSet:
    kept = {name: value for name, value in (where or {}).items() if name != "library_size"}
    return ExpressionGAN.sample(self, n, where=kept, **more)


def _changes_real_cells(self: ExpressionGAN, cells: ExpressionSet, **more: object) -> ExpressionSet:
    found = ExpressionGAN.balance(self, cells, **more)
    values = found.values.tolil()
    values[0, 0] += 1
    return replace(found, values=values.tocsr())


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"sample": _fractions}, "the dtype of counts is float64"),
        ({"sample": _other_order}, "the genes are not those of the cells"),
        ({"sample": _ignores_the_seed}, "the same seed gives other cells"),
        ({"sample": _ignores_conditions}, "where type="),
        ({"sample": _ignores_sizes}, "where library_size="),
        ({"balance": _changes_real_cells}, "changes the real cells"),
    ],
)
def test_the_checks_see_what_is_broken(methods: dict[str, Callable[..., object]], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_expression_synthesizer(broken(**methods), annotated(), label="type")
