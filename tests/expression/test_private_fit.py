from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from private_expression import (
    BUDGET,
    CLASSES,
    DECLARED,
    GENES,
    cells_of_donors,
    changed_model,
    expression_model,
    fitted,
)
from scipy import sparse

from synthkit import PrivacyBudget
from synthkit.cli import run
from synthkit.errors import InputError, PrivacyError
from synthkit.expression.loadings import PublicLoadings
from synthkit.expression.model import Wanted
from synthkit.expression.private_domain import ExpressionDomain, usual_length
from synthkit.expression.private_fit import plan_privately
from synthkit.expression.private_lint import EXPRESSION_CHECKS, lint
from synthkit.expression.private_model import PrivateMomentsModel
from synthkit.privacy.certificate import certify
from synthkit.privacy.ledger import LedgerFile
from synthkit.privacy.private_model import PrivateModel
from synthkit.random import RandomSource


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.synth"
    path.write_bytes(expression_model())
    return path


def wanted(classes):
    return Wanted(np.array(classes), np.zeros(len(classes), np.int64), np.zeros((len(classes), 0), np.float32))


def test_drawn_cells_are_whole_counts_of_the_declared_genes_and_classes():
    space, model, _, _ = fitted()
    drawn = model.draw(wanted([0, 1, 1] * 200), RandomSource(0))
    assert sparse.issparse(drawn)
    assert drawn.format == "csr"
    assert drawn.dtype == np.int32
    assert drawn.shape == (600, GENES)
    assert drawn.data.min() > 0
    assert space.class_names == CLASSES
    assert list(space.genes.columns) == []  # means of genes in the private file are not carried over
    counts = space.class_counts
    assert counts.sum() == pytest.approx(120, abs=40)
    # the first genes tell the types apart
    shares = drawn[:, :10].sum(1) / drawn.sum(1)
    own = np.array([0, 1, 1] * 200)
    assert np.asarray(shares)[own == 1].mean() > 3 * np.asarray(shares)[own == 0].mean()


def test_library_sizes_are_those_asked_for_and_a_model_survives_its_file():
    _, model, _, _ = fitted()
    values, arrays = model.state()
    again = PrivateMomentsModel.from_state(json.loads(json.dumps(values)), arrays)
    asked = replace(wanted([0, 1] * 100), depths=np.full(200, 5000.0))
    first, second = (one.draw(asked, RandomSource(1)) for one in (model, again))
    assert (first != second).nnz == 0
    assert np.asarray(first.sum(1)).mean() == pytest.approx(5000, rel=0.1)
    assert model.draw(asked.take(slice(0, 0)), RandomSource(0)).shape == (0, GENES)


def test_without_a_budget_to_speak_of_the_means_of_classes_are_right():
    data = cells_of_donors(400)
    _, model, _, _ = fitted(data, privacy=PrivacyBudget(1000.0, 1e-4), records=400, loadings="random:8")

    def means(counts, types):
        counts = np.asarray(counts.todense())
        logs = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
        return np.stack([logs[types == at].mean(0) for at in (0, 1)])

    types = data.cells["cell_type"].cat.codes.to_numpy()
    drawn = model.draw(wanted(types), RandomSource(0))
    assert np.abs(means(drawn, types) - means(data.values, types)).max() < 0.25


PUBLIC = {
    "gene sets": lambda folder: _gmt(folder),
    "random": lambda folder: "random:6:3",
    "a public cohort": lambda folder: cells_of_donors(50, seed=9),
    "levels bought": lambda folder: PublicLoadings.from_cohort(
        cells_of_donors(50, seed=9), [f"g{i}" for i in range(GENES)], 5
    ).without_levels(),
}


def _gmt(folder):
    path = folder / "sets.gmt"
    path.write_text("LOW\tx\t" + "\t".join(f"g{i}" for i in range(10)) + "\nHIGH\tx\tg10\tg11\tNOVEL\n")
    return path


@pytest.mark.parametrize("source", PUBLIC)
def test_a_private_model_passes_the_linter_and_is_certified(source, tmp_path):
    from private_expression import save

    made = fitted(loadings=PUBLIC[source](tmp_path))
    path = save(tmp_path / "m.synth", made, {})
    opened = PrivateModel.open(path)
    report = lint(opened)
    assert [(finding.check, finding.reason) for finding in report.failed] == []
    certificate = certify(opened, lint=report)
    assert certificate.holds
    assert certificate.epsilon <= 10.0
    text = re.sub(r"\s+", " ", certificate.to_text())
    assert "unit one donor" in text
    assert "cells per unit all, averaged" in text
    assert "Add one donor with all cells to the data" in text
    assert "number of donors 120 (declared)" in text
    assert "ids of the genes 30 (the list in the file of the data)" in text
    assert "declared as public" in text
    assert "number of units of each class noisy counts" in text
    assert not re.search(r"\brows\b|\bschema\b|\bscans\b", text)
    assert "all, averaged" in certificate.to_html()
    json.dumps(certificate.to_json())
    drawn = made[1].draw(wanted([0, 1]), RandomSource(0))
    assert drawn.dtype == np.int32


def test_the_verbs_of_privacy_read_such_a_model(model, capsys):
    assert run(["privacy", "lint", str(model)]) == 0
    assert "0 failed" in capsys.readouterr().out
    assert run(["privacy", "certificate", str(model)]) == 0
    assert "one donor" in capsys.readouterr().out


def test_the_seed_of_noise_is_told(tmp_path):
    path = tmp_path / "seeded.synth"
    path.write_bytes(expression_model(reproducible_noise=1))
    assert [finding.check for finding in lint(path).failed] == ["noise"]
    assert not certify(PrivateModel.open(path)).holds


def test_two_fits_have_different_noise():
    first, second = (fitted()[1].state()[1]["means"] for _ in range(2))
    assert not np.array_equal(first, second)


# -- warnings, and what is refused before anything is read ------------------------------------------------------------


class Untouchable:
    """Counts that nobody may look at."""

    ndim, shape = 2, (360, GENES)

    def __getattr__(self, name):
        raise AssertionError("counts were looked at")


def untouchable():
    data = cells_of_donors()
    object.__setattr__(data, "values", Untouchable())
    return data


def test_few_donors_are_warned_of():
    with pytest.warns(UserWarning, match=r"60 donors are few.*below 100"):
        fitted(records=60)


def test_a_cell_as_unit_is_warned_of():
    with pytest.warns(UserWarning, match="a cell is no person"):
        _, _, report, privacy = fitted(donor=None, records=360)
    assert privacy["unit"] == report["unit"] == "cell"


REFUSED = {
    "bounds of genes": ({"longest": "auto"}, r"bounds of genes are not bought.*30 genes"),
    "a bound for each gene": ({"longest": [1.0] * GENES}, "bounds of genes are not bought"),
    "classes": ({"classes": None}, "its classes are not declared"),
    "label": ({"label": None}, "no label says"),
    "records": ({"records": None}, "number of units is not declared"),
    "too few": ({"records": 10}, "expected at least 20"),
    "nothing but noise": ({"privacy": PrivacyBudget(0.05, 1e-4)}, "nothing but noise"),
    "batch": ({"batch": "site"}, "batches are not part"),
    "covariates": ({"covariates": ("age",)}, "quantiles of covariates"),
    "unit": ({"privacy": PrivacyBudget(1.0, 1e-5, unit="patient")}, "'patient'"),
    "donors": ({"donor": None, "privacy": PrivacyBudget(1.0, 1e-5, unit="donor")}, "whose each cell is"),
    "delta": ({"privacy": PrivacyBudget(1.0, 0.05)}, "whole record"),
    "public levels": ({"levels": "public"}, "the loadings have none"),
    "levels": ({"levels": "by clas"}, "did you mean 'by class'"),
    "covariance": ({"covariance": "full"}, "'full'"),
    "dispersion": ({"dispersion": -1.0}, "a public number from 0"),
    "repeated class": ({"classes": ("B", "B")}, "different names"),
    "counts": ({"classes": {"B": 0, "T": 0}}, "one above"),
    "one class as text": ({"classes": "B"}, "expected names"),
    "budget": ({"privacy": None}, "expected a PrivacyBudget"),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_declared_is_refused_unread(changes, said):
    with pytest.raises((PrivacyError, InputError)) as caught:
        fitted(untouchable(), **changes)
    assert re.search(said, str(caught.value), re.DOTALL)
    assert "\n" not in str(caught.value)


def test_only_counts_have_a_private_fit():
    with pytest.raises(PrivacyError, match="only counts"):
        fitted(replace(untouchable(), measure="log"))


def test_a_column_that_is_missing_is_refused():
    with pytest.raises(PrivacyError, match="cell_typ"):
        fitted(untouchable(), label="cell_typ")
    with pytest.raises(PrivacyError, match="no column of donors 'person'"):
        fitted(untouchable(), donor="person")


def test_a_ledger_refuses_to_overspend_and_nothing_is_read(tmp_path):
    path = tmp_path / "cells.ledger.json"
    fitted(ledger=path)
    file = LedgerFile(path)
    assert [release.status for release in file.releases] == ["finished"]
    assert all(event.name.startswith("moments of ") for event in file.releases[0].events)
    with pytest.raises(PrivacyError, match="asks for epsilon"):
        fitted(untouchable(), ledger=path)
    assert len(LedgerFile(path).releases) == 1


def test_a_plan_needs_no_cells_and_says_how_far_off_the_result_would_be():
    genes = cells_of_donors(2).genes.index
    private = plan_privately(genes, {"privacy": BUDGET}, **DECLARED, loadings="random:4")
    text = "; ".join(private.plan.outlook())
    assert "levels of 30 genes would be off by" in text
    assert "how genes go together" in text
    less = plan_privately(genes, {"privacy": PrivacyBudget(1.0, 1e-4)}, **DECLARED, loadings="random:4")
    assert less.plan.mean_error > 3 * private.plan.mean_error


# -- what is declared -------------------------------------------------------------------------------------------------


def test_public_counts_are_the_counts_of_drawn_classes():
    with pytest.warns(UserWarning, match="no person"):
        space, _, _, privacy = fitted(donor=None, classes={"B": 200, "T": 160}, records=None)
    assert space.class_counts.tolist() == [200, 160]
    assert "moments of classes" not in [event["name"] for event in privacy["ledger"]["events"]]


def test_without_a_label_there_is_one_class():
    space, model, _, _ = fitted(label=None, classes=None)
    assert space.class_names == ("all",)
    assert model.draw(wanted([0, 0]), RandomSource(0)).shape == (2, GENES)


def test_no_cell_is_longer_than_the_proven_bound():
    for n in (1, 100, 2_550, 30_000):  # counts that are spread evenly over n genes make the longest vectors
        assert np.sqrt(n) * np.log1p(1e4 / n) < 81
    assert usual_length(100) < usual_length(20_000) < 81


def test_a_domain_survives_json():
    domain = ExpressionDomain(10, "0", 3, "x", ("a", "b"), (4, 6), "random", "1", 2, "global", "pooled", 45.0, None)
    again = ExpressionDomain.from_dict(json.loads(json.dumps(domain.to_dict())))
    assert again == domain
    assert again.sha256 == domain.sha256
    with pytest.raises(PrivacyError, match="other parts"):
        ExpressionDomain.from_dict({**domain.to_dict(), "means": 1.0})


# -- the linter -------------------------------------------------------------------------------------------------------


def with_cells(parts):
    parts.tensors["cells"] = {"counts": np.zeros((3, GENES), np.float32)}


def embeddings(parts):
    parts.manifest["embeddings"] = [[0.1, 0.2]]


def a_row_of_each_cell(parts):
    parts.tensors["model"]["library"] = np.zeros((360, 2))


def other_domain(parts):
    parts.manifest["privacy"]["declared"]["domain"]["longest"] = 30.0


def own_components(parts):
    parts.tensors["model"]["basis"] = np.linalg.qr(np.random.default_rng(1).normal(size=(GENES, 4)))[0]


def means_of_genes(parts):
    parts.manifest["space"]["genes"]["columns"] = [{"name": "mean", "dtype": "float64", "values": [1.0] * GENES}]


def fewer_classes(parts):
    parts.manifest["space"]["classes"]["columns"][0].update(values=[0, 0])


def without_event(parts):
    for kept in ("events", "planned"):
        ledger = parts.manifest["privacy"]["ledger"]
        ledger[kept] = [event for event in ledger[kept] if event["name"] != "moments of class means"]


def digest(parts):
    parts.manifest["settings"]["data_digest"] = "0" * 64


def held_out(parts):
    parts.manifest["report"]["held_out_f1"] = 0.9


def half_sensitivity(parts):
    for kept in ("events", "planned"):
        for event in parts.manifest["privacy"]["ledger"][kept]:
            event["sensitivity"] /= 2


def unit_of_scans(parts):
    parts.manifest["privacy"]["unit"] = "patient"


BROKEN = [
    (with_cells, "parts"), (embeddings, "parts"), (a_row_of_each_cell, "parts"), (other_domain, "declared"),
    (own_components, "loadings"), (means_of_genes, "genes"), (fewer_classes, "classes"), (without_event, "released"),
    (digest, "settings"), (held_out, "report"), (half_sensitivity, "sensitivity"), (unit_of_scans, "unit"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "check"), BROKEN, ids=[change.__name__ for change, _ in BROKEN])
def test_the_linter_finds_it(change, check, tmp_path):
    found = lint(changed_model(change, tmp_path))
    assert check in [finding.check for finding in found.failed]


def test_every_check_can_fail():
    assert {check for _, check in BROKEN} >= set(EXPRESSION_CHECKS)
