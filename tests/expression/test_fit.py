"""Fits of gene expression: which model and why, what is told and refused; checkpoints, seeds and the clock."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from cells import as_anndata
from scipy import sparse
from simulated_cells import simulated_cells
from sklearn.base import clone

from synthkit import load
from synthkit.errors import DataError, InputError, ModelFileError
from synthkit.expression import selection
from synthkit.expression.gan import ExpressionGAN
from synthkit.expression.latent_game import LatentStage
from synthkit.expression.model import Wanted
from synthkit.expression.models import COMPARED
from synthkit.expression.normalise import most_variable, normalisation_of
from synthkit.expression.poisson_factors import PoissonFactorsStage
from synthkit.expression.selection import FEWEST, split_cells
from synthkit.io.expression_set import ExpressionSet
from synthkit.privacy.budget import PrivacyBudget

QUICK = {"steps": 4, "random_state": 0, "verbose": False, "time_budget": None, "device": "cpu"}


@pytest.fixture(scope="module")
def cells() -> ExpressionSet:
    found = simulated_cells(0, 120, donors=6).of_genes([*range(12), *range(46, 60)])
    return replace(found, cells=found.cells.set_axis([f"cell {k}" for k in range(120)]))


@pytest.fixture(scope="module", autouse=True)
def small_forests() -> Iterator[None]:
    """Models are compared by fewer trees, for time's sake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_TREES", 20)
        yield


@pytest.fixture(scope="module")
def fitted(cells: ExpressionSet) -> ExpressionGAN:
    return ExpressionGAN("cwgan", **QUICK).fit(cells, label="type", batch="batch", donor="donor")


def dense(data: ExpressionSet) -> np.ndarray:
    return data.values.toarray() if data.is_sparse else np.asarray(data.values)


class TestTheReport:
    def test_says_what_was_done(self, fitted: ExpressionGAN, cells: ExpressionSet) -> None:
        report = fitted.report_
        assert (report["cells"], report["genes"], report["measure"]) == (120, 26, "counts")
        assert report["classes"] == cells.cells["type"].value_counts().sort_index().to_dict()
        assert report["rare_classes"] == [name for name, n in report["classes"].items() if n < 20] == ["c"]
        assert (report["batches"], report["donors"]) == (2, 6)
        assert (report["model"], report["likelihood"]) == ("cwgan", "poisson")
        assert report["game"]["steps"] == 4
        assert report["factors_stage"]["scored_by"] == "evidence per cell"
        assert not report["interrupted"]
        json.dumps(report)

    def test_a_notebook_shows_it(self, fitted: ExpressionGAN) -> None:
        assert "fitted to 120 cells by 26 genes" in fitted._repr_html_()
        assert "not fitted yet" in ExpressionGAN()._repr_html_()


class TestAuto:
    @pytest.fixture(scope="class")
    @staticmethod
    def chosen(cells: ExpressionSet) -> ExpressionGAN:
        return ExpressionGAN(**QUICK).fit(cells, label="type", donor="donor")

    def test_it_says_what_was_chosen_and_why(self, chosen: ExpressionGAN) -> None:
        told = {score["name"]: score for score in chosen.report_["comparison"]}
        assert list(told) == ["real cells", *COMPARED]
        best = min(COMPARED, key=lambda name: told[name]["distance"])
        assert chosen.model_ == chosen.report_["model"] == best
        because = chosen.report_["chosen_because"]
        assert f"{best} is nearest to" in because
        assert f"{told[best]['distance']:.3f}" in because
        for score in told.values():
            assert 0 <= score["recall"] <= 1
            assert 0 <= score["auc_genes"] <= 1
            parts = 2 * abs(score["auc_components"] - 0.5) + 2 * abs(score["auc_genes"] - 0.5) + 1 - score["recall"]
            assert score["distance"] == pytest.approx(parts / 3)

    def test_what_was_chosen_is_what_is_drawn(self, chosen: ExpressionGAN, cells: ExpressionSet) -> None:
        named = ExpressionGAN(chosen.model_, **QUICK).fit(cells, label="type", donor="donor")
        np.testing.assert_array_equal(
            dense(chosen.sample(9, random_state=1)), dense(named.sample(9, random_state=1))
        )  # the comparison leaves no trace in the model

    def test_few_cells_are_not_compared(self, cells: ExpressionSet) -> None:
        found = ExpressionGAN(**QUICK).fit(cells.take(slice(0, FEWEST - 1)), label="type")
        assert found.model_ == "cwgan"
        assert f"fewer than {FEWEST} cells" in found.report_["chosen_because"]
        assert "comparison" not in found.report_


class TestSplit:
    CLASSES = np.random.default_rng(0).choice(3, 300, p=(0.7, 0.28, 0.02))

    def given(self) -> Wanted:
        return Wanted(self.CLASSES, np.zeros(300, np.int64), np.zeros((300, 0), np.float32))

    def test_whole_donors_are_set_aside(self) -> None:
        donors = np.random.default_rng(1).integers(0, 10, 300)
        learned, compared = split_cells(self.given(), donors, np.random.default_rng(2))
        assert sorted([*learned, *compared]) == list(range(300))
        assert len(set(donors[compared])) == 2
        assert not set(donors[learned]) & set(donors[compared])

    def test_a_class_of_one_donor_is_learned_all_the_same(self) -> None:
        donors = np.where(self.CLASSES == 2, 0, np.arange(300) % 9 + 1)
        for seed in range(20):
            learned, compared = split_cells(self.given(), donors, np.random.default_rng(seed))
            assert set(self.CLASSES[learned]) == {0, 1, 2}
            assert len(compared)

    def test_without_donors_each_class_gives_a_fifth(self) -> None:
        learned, compared = split_cells(self.given(), None, np.random.default_rng(2))
        sizes, aside = np.bincount(self.CLASSES), np.bincount(self.CLASSES[compared], minlength=3)
        np.testing.assert_array_equal(aside, np.round(sizes / 5))
        assert len(learned) + len(compared) == 300

    def test_a_single_cell_is_learned(self) -> None:
        given = Wanted(np.array([0] * 20 + [1]), np.zeros(21, np.int64), np.zeros((21, 0), np.float32))
        assert 20 in split_cells(given, None, np.random.default_rng(0))[0]


class TestGenes:
    def test_the_most_variable_ones_keep_their_order_and_annotations(self, cells: ExpressionSet) -> None:
        named = replace(cells, genes=cells.genes.assign(number=np.arange(26)))
        found = ExpressionGAN("nb", genes="hvg:7", **QUICK).fit(named)
        numbers = found.genes_["number"].tolist()
        assert numbers == sorted(most_variable(cells, normalisation_of(cells), 7).tolist())
        assert found.genes_.index.tolist() == cells.genes.index[numbers].tolist()
        assert found.n_features_in_ == found.report_["genes"] == found.sample(2).values.shape[1] == 7

    def test_more_than_there_are_means_all(self, cells: ExpressionSet) -> None:
        assert len(ExpressionGAN("nb", genes="hvg:5000", **QUICK).fit(cells).genes_) == 26

    def test_cells_that_are_zero_in_them_are_told(self, cells: ExpressionSet) -> None:
        values = dense(cells).copy()
        kept = most_variable(cells, normalisation_of(cells), 7)
        values[3, kept] = 0
        data = replace(cells, values=sparse.csr_matrix(values))
        with pytest.raises(DataError, match="1 cell of 120 are zero in every gene"):
            ExpressionGAN("nb", genes="hvg:7", **QUICK).fit(data)


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"fewest_cells": 0}, "fewest_cells is 0, expected a whole number above 0"),
            ({"model": "cwgam"}, "unknown model 'cwgam'.*did you mean 'cwgan'"),
            ({"loss": "hinge"}, "unknown loss 'hinge'"),
            ({"genes": "hvg:0"}, "expected 'all' or 'hvg:N'"),
            ({"genes": 2000}, "expected 'all' or 'hvg:N'"),
            ({"factors": 0}, "factors is 0"),
            ({"steps": 2.5}, "steps is 2.5"),
            ({"steps": True}, "steps is True"),
            ({"device": "cuda:99"}, "no device 'cuda:99'"),
            ({"time_budget": "soon"}, "not a duration"),
            ({"classes": ("a",)}, "classes is given without a budget"),
        ],
    )
    def test_settings(self, cells: ExpressionSet, settings: dict, said: str) -> None:
        with pytest.raises(InputError, match=said):
            ExpressionGAN(**{**QUICK, **settings}).fit(cells)

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"label": "typ"}, "^unknown column of cells 'typ'; did you mean 'type'"),
            ({"donor": "person"}, "'person'"),
            ({"label": "type", "batch": "type"}, "'type' is named twice"),
            ({"covariates": "type"}, "'type' cannot be covariates: expected numbers"),
        ],
    )
    def test_columns(self, cells: ExpressionSet, columns: dict, said: str) -> None:
        with pytest.raises((InputError, DataError), match=said):
            ExpressionGAN("nb", **QUICK).fit(cells, **columns)

    def test_missing_labels_and_donors(self, cells: ExpressionSet) -> None:
        known = cells.cells.copy()
        known.loc[known.index[:3], ["type", "donor"]] = None
        with pytest.raises(DataError, match="3 of 120 cells have no 'type'"):
            ExpressionGAN("nb", **QUICK).fit(replace(cells, cells=known), label="type")
        with pytest.raises(DataError, match="3 cells have no 'donor'"):
            ExpressionGAN("nb", **QUICK).fit(replace(cells, cells=known), donor="donor")

    @pytest.mark.parametrize(
        ("value", "measure", "said"),
        [
            (-1.0, "counts", "negative, the smallest is -1, and counts cannot be"),
            (-1.0, "log", "negative"),
            (0.5, "counts", "not whole numbers"),
            (np.nan, "counts", "no numbers"),
            (np.inf, "rates", "no numbers"),
        ],
    )
    def test_values(self, cells: ExpressionSet, value: float, measure: str, said: str) -> None:
        values = dense(cells).copy()
        values[5, 3] = value
        with pytest.raises(DataError, match=said):
            ExpressionGAN("nb", **QUICK).fit(replace(cells, values=values, measure=measure))

    def test_empty_cells(self, cells: ExpressionSet) -> None:
        values = dense(cells).copy()
        values[:2] = 0
        with pytest.raises(DataError, match="2 cells of 120 are zero in every gene"):
            ExpressionGAN("nb", **QUICK).fit(replace(cells, values=sparse.csr_matrix(values)))

    def test_something_else(self) -> None:
        with pytest.raises(InputError, match=r"expected cells.*got ndarray"):
            ExpressionGAN("nb", **QUICK).fit(np.ones((30, 4)))


def test_a_class_of_two_cells_is_refused_or_learned_and_told(cells: ExpressionSet) -> None:
    known = cells.cells.assign(type=["rare"] * 2 + ["usual"] * 118)
    with pytest.raises(DataError, match=r"^'type' has 1 type with fewer than 3 cells: 'rare \(2\)'.*fewest_cells=1"):
        ExpressionGAN("cwgan", **QUICK).fit(replace(cells, cells=known), label="type")
    found = ExpressionGAN("cwgan", fewest_cells=1, **QUICK).fit(replace(cells, cells=known), label="type")
    assert found.report_["rare_classes"] == ["rare"]
    drawn = found.sample(200, where={"type": "rare"}, random_state=0)
    assert len(np.unique(dense(drawn), axis=0)) > 190


@pytest.mark.parametrize("as_path", [True, False])
def test_files_and_anndata_are_read(cells: ExpressionSet, tmp_path: Path, as_path: bool) -> None:
    source: AnnData | Path = as_anndata(cells)
    if as_path:
        source.write_h5ad(tmp_path / "x.h5ad")
        source = tmp_path / "x.h5ad"
    found = ExpressionGAN("nb", **QUICK).fit(source, label="type")
    expected = ExpressionGAN("nb", **QUICK).fit(cells, label="type")
    assert found.space_.measure == "counts"
    np.testing.assert_array_equal(dense(found.sample(5, random_state=0)), dense(expected.sample(5, random_state=0)))


def test_under_a_budget_the_measure_is_never_told_from_the_cells(cells: ExpressionSet, tmp_path: Path) -> None:
    # without a budget these are taken for rates; that they are would be news of private values
    halves = replace(cells, values=cells.values * 0.5)
    as_anndata(halves).write_h5ad(tmp_path / "x.h5ad")
    assert ExpressionGAN("nb", **QUICK).fit(tmp_path / "x.h5ad").space_.measure == "rates"
    made = ExpressionGAN(**QUICK, privacy=PrivacyBudget(10.0, 1e-6), records=100)
    with pytest.raises(DataError, match="counts"):
        made.fit(tmp_path / "x.h5ad")


# ------------------------------------------------------------------------------------------------ clock and checkpoints


def stop_after(stage: type, step: int, fit: Callable[[], object]) -> None:
    """Ask the fit to stop, as Ctrl-C does, when a step has been taken."""
    original = stage.step

    def stepped(self, index: int):
        losses = original(self, index)
        if index + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    stage.step = stepped
    try:
        fit()
    finally:
        stage.step = original


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("stage", "step", "model"),
        [(PoissonFactorsStage, 7, "cwgan"), (LatentStage, 3, "cwgan"), (LatentStage, 2, "auto")],
        ids=["factors", "game", "comparison"],
    )
    def test_a_fit_that_was_cut_goes_on_to_the_same_model(
        self, cells: ExpressionSet, tmp_path: Path, stage: type, step: int, model: str
    ) -> None:
        settings, columns = {**QUICK, "steps": 6}, {"label": "type", "batch": "batch"}
        whole = ExpressionGAN(model, **settings).fit(cells, **columns)
        path = tmp_path / "fit.checkpoint"
        stopped = ExpressionGAN(model, **settings)
        stop_after(stage, step, lambda: stopped.fit(cells, **columns, checkpoint=path))
        assert path.exists()
        assert stopped.report_["interrupted"]
        assert len(stopped.sample(5)) == 5
        again = clone(stopped).fit(cells, **columns, checkpoint=path, resume=True)
        assert not again.report_["interrupted"]
        assert again.report_.get("comparison") == whole.report_.get("comparison")
        (values, arrays), (others, expected) = (one._learned().model.state() for one in (again, whole))
        assert values == others
        assert arrays.keys() == expected.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)

    def test_without_a_seed_it_goes_on_with_that_of_the_checkpoint(self, cells: ExpressionSet, tmp_path: Path) -> None:
        path, settings = tmp_path / "fit.checkpoint", {**QUICK, "random_state": None}
        stop_after(LatentStage, 2, lambda: ExpressionGAN("cwgan", **settings).fit(cells, checkpoint=path))
        found = ExpressionGAN("cwgan", **settings).fit(cells, checkpoint=path, resume=True)
        assert found.report_["game"]["steps"] == 4

    def test_that_of_another_fit_is_refused(self, cells: ExpressionSet, tmp_path: Path) -> None:
        path = tmp_path / "fit.checkpoint"
        made = lambda **more: ExpressionGAN("cwgan", **{**QUICK, **more})  # noqa: E731
        stop_after(LatentStage, 2, lambda: made().fit(cells, label="type", checkpoint=path))
        other = replace(cells, cells=cells.cells.assign(type=cells.cells["type"].to_numpy()[::-1]))
        for again, data, label, said in (
            (made(loss="vanilla"), cells, "type", "loss was 'wgan-gp' and is now 'vanilla'"),
            (made(), cells.take(slice(0, 100)), "type", "data was"),
            (made(), other, "type", "data was"),
            (made(), cells, "batch", "columns was"),
        ):
            with pytest.raises(InputError, match=f"belongs to another fit: .*{said}"):
                again.fit(data, label=label, checkpoint=path, resume=True)


def test_a_time_budget_that_is_over_at_once_still_gives_a_model(cells: ExpressionSet) -> None:
    found = ExpressionGAN("cwgan", **{**QUICK, "time_budget": 0.01, "steps": "auto"}).fit(cells, label="type")
    assert found.report_["game"]["stopped_because"] == "time budget"
    assert found.report_["game"]["steps"] < 50
    assert len(found.sample(10, random_state=0)) == 10


class TestBalance:
    def test_rare_classes_are_warned_of(self, fitted: ExpressionGAN, cells: ExpressionSet) -> None:
        few = int((cells.cells["type"] == "c").sum())
        with pytest.warns(UserWarning, match=f"cells of 'c' are drawn from {few} real ones"):
            found = fitted.balance(cells, random_state=0)
        assert len(set(found.cells["type"].value_counts())) == 1

    def test_a_class_that_is_filled_up_too_far_is_warned_of(self, fitted: ExpressionGAN, cells: ExpressionSet) -> None:
        n = int((cells.cells["type"] == "a").sum())
        with pytest.warns(UserWarning, match=f"cells of 'a' are drawn from {n} real ones"):
            fitted.balance(cells, counts={"a": 22 * n}, random_state=0)

    def test_a_ratio_is_of_the_largest_class(self, fitted: ExpressionGAN, cells: ExpressionSet) -> None:
        sizes = cells.cells["type"].value_counts()
        with pytest.warns(UserWarning, match="'c'"):
            found = fitted.balance(cells, ratio=0.5, random_state=0)
        wanted = {name: max(n, int(np.ceil(0.5 * sizes.max()))) for name, n in sizes.items()}
        assert found.cells["type"].value_counts().to_dict() == wanted

    def test_what_does_not_fit_is_told(self, fitted: ExpressionGAN, cells: ExpressionSet) -> None:
        for more, said in (
            ({"counts": {"d": 50}}, "unknown class 'd'"),
            ({"counts": {"a": 3}}, "more than the 3 asked for"),
            ({"ratio": 1.5}, "ratio is 1.5"),
        ):
            with pytest.raises(InputError, match=said):
                fitted.balance(cells, **more)
        with pytest.raises(InputError, match="'type'"):
            fitted.balance(replace(cells, cells=cells.cells[["batch"]]))
        with pytest.raises(DataError, match="of 25 genes, and the model draws counts of 26"):
            fitted.balance(cells.of_genes(range(25)))
        with pytest.raises(DataError, match="never saw 'z'"):
            fitted.balance(replace(cells, cells=cells.cells.assign(type="z")))

    def test_what_only_real_cells_have_is_missing_for_drawn_ones(
        self, fitted: ExpressionGAN, cells: ExpressionSet
    ) -> None:
        known = cells.cells.assign(n_genes=np.arange(120), doublet=np.arange(120) % 2 == 0)
        with pytest.warns(UserWarning, match="'c'"):
            found = fitted.balance(replace(cells, cells=known), random_state=0)
        assert found.cells["n_genes"].iloc[:120].tolist() == list(range(120))
        assert found.cells["doublet"].iloc[:120].tolist() == known["doublet"].tolist()
        assert (found.cells["n_genes"].dtype, found.cells["doublet"].dtype) == ("Int64", "boolean")
        assert found.cells["donor"].iloc[:120].tolist() == known["donor"].tolist()
        assert found.cells.loc[found.cells["synthetic"], ["n_genes", "doublet", "donor"]].isna().all().all()


class TestTheFile:
    def test_load_opens_it(self, fitted: ExpressionGAN, tmp_path: Path) -> None:
        fitted.save(tmp_path / "m.synth")
        assert isinstance(load(tmp_path / "m.synth"), ExpressionGAN)

    def test_a_table_is_no_model_of_expression(self) -> None:
        with pytest.raises(ModelFileError, match="holds a 'table'"):
            ExpressionGAN.load(Path(__file__).parents[1] / "golden" / "table-v1.synth")


def test_classes_keep_their_proportions_and_batches_their_classes(fitted: ExpressionGAN, cells: ExpressionSet) -> None:
    drawn = fitted.sample(4000, random_state=0).cells
    real = pd.crosstab(cells.cells["type"], cells.cells["batch"], normalize=True)
    np.testing.assert_allclose(pd.crosstab(drawn["type"], drawn["batch"], normalize=True), real, atol=0.03)


def test_a_class_that_is_drawn_together_has_the_margins_of_the_class(fitted: ExpressionGAN) -> None:
    """Two draws of a class differ in means of genes by less than two samples at random do."""
    where = {"type": fitted.classes_[0]}

    def differ(first: int, **more: object) -> float:
        one, two = (fitted.sample(400, where=where | more, random_state=seed).values for seed in (first, first + 1))
        return float(np.abs((one > 0).mean(0) - (two > 0).mean(0)).mean())

    batches = fitted._fitted.space.batches["batch"]
    at_random = np.mean([differ(seed, batch=batches.iloc[0]) for seed in (0, 2, 4)])
    assert np.mean([differ(seed) for seed in (0, 2, 4)]) < 0.6 * at_random
