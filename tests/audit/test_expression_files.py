from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from donors_cells import bare, cells_of

from synthkit.auditing.expression.case import joined, planted
from synthkit.auditing.expression.metadata import audit_metadata, metadata_risk
from synthkit.cli import run
from synthkit.io.expression_set import ExpressionSet

anndata = pytest.importorskip("anndata")

TRAIN, HOLDOUT = cells_of(400, 1), cells_of(800, 2)
REAL = bare(cells_of(400, 3))


def written(cells: ExpressionSet, path: Path, *, mark: bool = True, **slots: Any) -> Path:
    table = cells.cells.assign(synthetic=True) if mark else cells.cells
    table = table.assign(**slots.pop("obs", {}))
    values = cells.values.astype(np.float32)
    anndata.AnnData(values, obs=table, var=cells.genes, **slots).write_h5ad(path)
    return path


def said(cells: ExpressionSet, folder: Path, training: Path | None = None, **slots: Any) -> dict[str, str]:
    found = audit_metadata(written(cells, folder / "out.h5ad", **slots), TRAIN, training)
    return {one.what: one.kind for one in found.findings}


# ------------------------------------------------------------ what a file says


def test_a_plain_file_that_is_marked_says_nothing(tmp_path: Path) -> None:
    found = audit_metadata(written(REAL, tmp_path / "out.h5ad"), TRAIN)
    assert found.findings == ()
    risk = metadata_risk(found)
    assert risk.outcome == "no disclosure found"
    assert {one.value for one in risk.estimates.values()} == {0.0}


def test_names_of_training_cells_are_found(tmp_path: Path) -> None:
    cells = joined(TRAIN, TRAIN)
    mixed = ExpressionSet(cells.values, cells.genes, pd.DataFrame(index=[*TRAIN.cells.index, *map(str, range(400))]))
    found = audit_metadata(written(mixed, tmp_path / "out.h5ad"), TRAIN)
    assert found.findings[0].what == "400 names of cells are names of training cells"
    assert metadata_risk(found).outcome == "disclosure"


@pytest.mark.parametrize(
    ("slots", "what", "kind"),
    [
        ({"mark": False}, "nothing says that the cells are synthetic (obs['synthetic'], uns['synthkit'])", "unmarked"),
        ({"obs": {"donor": "D000"}}, "obs['donor'] holds 1 value that training cells have", "named"),
        ({"obs": {"patient_id": "P1"}}, "obs['patient_id'] sounds like persons or their samples", "note"),
        ({"obsm": {"X_umap": np.zeros((400, 2))}}, "obsm['X_umap']: an embedding of cells", "note"),
        ({"layers": {"raw": np.ones((400, 80))}}, "layers['raw'] is there beside the matrix", "note"),
        (
            {"uns": {"log": {"first": TRAIN.cells.index[0]}}},
            "uns['log'] holds 1 identifiers of training cells",
            "named",
        ),
        ({"uns": {"neighbors": {"k": 5}}}, "uns['neighbors'] is there", "note"),
    ],
)
def test_what_else_a_file_says_is_found(tmp_path: Path, slots: dict[str, Any], what: str, kind: str) -> None:
    found = said(REAL, tmp_path, **slots)
    assert [of for told, of in found.items() if told.startswith(what)] == [kind]


def test_columns_of_numbers_and_embeddings_that_were_copied_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    share, points = rng.random(400), rng.normal(size=(400, 5))
    train = ExpressionSet(TRAIN.values, TRAIN.genes, TRAIN.cells.assign(percent=share))
    training = written(train, tmp_path / "train.h5ad", obsm={"X_pca": points})
    released = written(REAL, tmp_path / "out.h5ad", obs={"percent": share[::-1]}, obsm={"X_pca": points[::-1]})
    found = {one.what: one.kind for one in audit_metadata(released, train, training).findings}
    assert found["obs['percent'] holds the very numbers of training cells"] == "named"
    assert found["obsm['X_pca'] holds the embedding of 400 training cells"] == "named"
    own = written(REAL, tmp_path / "own.h5ad", obs={"percent": rng.random(400)})
    assert audit_metadata(own, train, training).findings == ()


def test_other_files_are_not_read(tmp_path: Path) -> None:
    risk = metadata_risk(audit_metadata(tmp_path / "out.csv", TRAIN))
    assert risk.outcome == "not applicable"


# ------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    written(TRAIN, folder / "train.h5ad", mark=False)
    written(HOLDOUT, folder / "held.h5ad", mark=False)
    written(REAL, folder / "clean.h5ad")
    written(bare(planted(TRAIN, np.random.default_rng(0))), folder / "leaky.h5ad")
    (folder / "table.csv").write_text("a,b\n1,2\n3,4\n")
    return folder


def command(data: Path, *words: str) -> int:
    return run(["audit", *(word.replace("DATA", str(data)) for word in words)])


def test_an_honest_release_meets_the_policy_and_gets_reports(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [tmp_path / f"audit.{ending}" for ending in ("html", "md", "json")]
    named = [word for report in reports for word in ("--report", str(report))]
    words = ["DATA/train.h5ad", "DATA/clean.h5ad", "--holdout", "DATA/held.h5ad", "--label", "kind", *named]
    assert command(data, *words) == 0
    assert "Worst attack on membership" in capsys.readouterr().out
    content = json.loads(reports[2].read_text())
    assert content["metadata"]["unmarked"] == 0
    assert set(content["provenance"]["inputs"]) == {"real", "synthetic", "held-out"}
    assert (tmp_path / "audit.manifest.json").is_file()
    assert reports[0].read_text().startswith("<!DOCTYPE html>")


def test_a_leaky_release_ends_with_exit_code_three(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["DATA/leaky.h5ad", "--train", "DATA/train.h5ad", "--holdout", "DATA/held.h5ad", "--quiet"]
    assert command(data, *words) == 3
    assert "copied cells" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["DATA/train.h5ad", "DATA/clean.h5ad", "--sensitive", "age"], "--sensitive is for tables"),
        (["DATA/train.h5ad", "DATA/clean.h5ad", "--extractor", "none"], "--extractor is for scans"),
        (["DATA/train.h5ad", "DATA/clean.h5ad", "--raw-rows"], "--raw-rows is for tables"),
        (["DATA/train.h5ad", "DATA/clean.h5ad", "--donor", "doner"], "did you mean 'donor'"),
        (["DATA/train.h5ad", "DATA/table.csv"], "hold a table"),
        (["DATA/table.csv", "DATA/table.csv", "--donor", "a"], "--donor is for gene expression"),
        (["DATA/train.h5ad", "DATA/none.h5ad"], "none.h5ad"),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    data: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(data, *words, "--quiet") == 2
    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message
