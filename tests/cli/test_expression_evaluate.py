"""`synthkit evaluate` on gene expression: what it prints and writes, the exit code, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chromium import look
from simulated_cells import simulated_cells

from synthkit.cli import run
from synthkit.evaluation.expression.permuted import permuted_within
from synthkit.io.expression_set import ExpressionSet

anndata = pytest.importorskip("anndata")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    sets = {name: simulated_cells(seed) for seed, name in enumerate(("real", "holdout", "fresh"))}
    codes = pd.factorize(sets["fresh"].cells["type"])[0]
    sets["independent"] = permuted_within(sets["fresh"], codes, np.random.default_rng(0))
    for name, cells in sets.items():
        write(cells, folder / f"{name}.h5ad")
    return folder


def write(cells: ExpressionSet, path: Path) -> None:
    named = cells.cells.set_axis([f"cell {place}" for place in range(len(cells))])
    anndata.AnnData(X=cells.values, obs=named, var=cells.genes).write_h5ad(path)


def words(files: Path, synthetic: str, *options: str) -> list[str]:
    named = ["evaluate", str(files / "real.h5ad"), str(files / f"{synthetic}.h5ad"), *options]
    return [*named, "--test", str(files / "holdout.h5ad"), "--suite", "quick"]


def test_fresh_cells_pass_and_every_report_is_written(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [tmp_path / f"report{suffix}" for suffix in (".html", ".md")]
    asked = [word for report in reports for word in ("--report", str(report))]
    scores = tmp_path / "scores.json"
    assert run(words(files, "fresh", "--label", "type", "--batch", "batch", "--json", str(scores), *asked)) == 0
    said = capsys.readouterr().out
    assert "independent" in said
    assert "all of 6 gates met" in said
    content = json.loads(scores.read_text(encoding="utf-8"))
    assert content["passed"] is True
    assert content["form"]["batches"] == ["x", "y"]
    assert len(content["provenance"]["inputs"]) == 3
    page = reports[0].read_text(encoding="utf-8")
    for heading in ("Markers of types", "Correlations of genes", "coexpression_recall", "Types"):
        assert heading in page
    assert "| marker genes in common" in reports[1].read_text(encoding="utf-8")


def test_every_figure_of_the_page_is_drawn(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert run(words(files, "fresh", "--label", "type", "--quiet", "--report", str(path))) == 0
    page = path.read_text(encoding="utf-8")
    seen = (
        "<script>window.addEventListener('load', () => setTimeout(() => { document.body.dataset.seen ="
        " JSON.stringify({drawn: document.querySelectorAll('.plot .main-svg').length > 0,"
        " ids: document.documentElement.dataset.drawn"
    )
    path.write_text(page.replace("</body>", seen + "}) }, 4000));</script></body>"), encoding="utf-8")
    found, written = look(path, tmp_path / "profile", "--virtual-time-budget=20000")
    assert not written
    assert found == {"drawn": True, "ids": "9"}


def test_independent_genes_fail_with_exit_code_3(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words(files, "independent", "--label", "type", "--quiet")) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "correlations within types" in said.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--target", "income"), "--target is for tables"),
        (("--extractor", "domain"), "--extractor is for scans"),
        (("--label", "typ"), "did you mean 'type'"),
    ],
)
def test_what_does_not_fit_is_refused(
    files: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words(files, "fresh", *options)) == 2
    assert said in capsys.readouterr().err


def test_options_of_cells_are_refused_for_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "real.csv"
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    assert run(["evaluate", str(table), str(table), "--label", "type"]) == 2
    assert "--label is for gene expression" in capsys.readouterr().err


def test_a_table_in_place_of_cells_is_refused(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "synthetic.csv"
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    assert run(["evaluate", str(files / "real.h5ad"), str(table)]) == 2
    assert "hold no gene expression" in capsys.readouterr().err
