"""``synthkit inspect`` of gene expression."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cells import as_anndata, some_cells, table_of, write_h5ad, write_tenx

from synthkit.cli import run
from synthkit.expression.outlook import expression_outlook

Capture = pytest.CaptureFixture[str]
DATA = some_cells(60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    as_anndata(DATA, layers={"scaled": DATA.values * 2}).write_h5ad(tmp_path / "x.h5ad")
    return tmp_path / "x.h5ad"


def test_what_is_there_is_told(path: Path, capsys: Capture) -> None:
    assert run(["inspect", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"{path}: 60 cells, 5 genes, X"
    assert "note: the values are counts: all are whole numbers of at least 0" in lines
    assert "measure: counts" in lines
    assert any(line.startswith("library size: 0% ") for line in lines)
    counts = DATA.cells["cell_type"].value_counts()
    first, second = counts.index[:2]
    assert f"label 'cell_type': 2 types: {first} {counts[first]}, {second} {counts[second]}" in lines
    assert "donor 'donor': 3" in lines
    assert any("layers['scaled']" in line for line in lines)
    assert any(line.startswith("fit: a fit takes about a minute") for line in lines)
    assert any("60 cells are few" in line for line in lines)


def test_json_holds_the_same(path: Path, capsys: Capture) -> None:
    assert run(["inspect", str(path), "--json", "--layer", "scaled", "--measure", "counts"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cells"], found["genes"], found["found"]) == (60, 5, "layers['scaled']")
    assert found["measure"] == "counts"
    assert found["totals"]["50%"] > 0
    counts = DATA.cells["cell_type"].value_counts()
    assert found["labels"]["cell_type"] == counts[counts > 0].to_dict()
    assert found["donors"] == {"donor": 3}
    assert 0 < found["zeros"] < 1
    assert found["outlook"]["n_stored"] == DATA.values.nnz


def test_a_table_is_expression_if_an_option_says_so(tmp_path: Path, capsys: Capture) -> None:
    table_of(DATA).T.to_csv(tmp_path / "x.csv")
    assert run(["inspect", str(tmp_path / "x.csv"), "--measure", "auto"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path / 'x.csv'}: 60 cells, 5 genes\n")
    assert "was read with a gene in each row: rows have names of genes ('ENSG00000000003')" in out


def test_labels_come_from_a_table_and_rare_types_are_warned_of(tmp_path: Path, capsys: Capture) -> None:
    folder = write_tenx(tmp_path / "10x", DATA)
    labels = DATA.cells.assign(kind=["rare"] * 5 + ["common"] * 55)[["kind"]]
    labels.to_csv(tmp_path / "labels.csv", index_label="cell")
    assert run(["inspect", str(folder), "--cells", str(tmp_path / "labels.csv")]) == 0
    out = capsys.readouterr().out
    assert "types of 'kind' with fewer than 20 cells are hardly learned: 'rare' (5)" in out
    assert "left out: 1 of 'Antibody Capture'" in out


def test_empty_cells_are_warned_of(tmp_path: Path, capsys: Capture) -> None:
    values = DATA.dense()
    values[:3] = 0
    path = write_h5ad(tmp_path / "x.h5ad", values)
    assert run(["inspect", str(path)]) == 0
    assert "warning: 3 cells without any expression" in capsys.readouterr().out
    assert run(["inspect", str(path), "--drop-empty"]) == 0
    assert "warning: 3 cells" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--masks", "m"], "--masks is for scans"),
        (["--target", "x"], "--target is for tables"),
        (["--size", "64"], "--size is for scans"),
        (["--layer", "scald"], "did you mean 'scaled'"),
    ],
)
def test_options_of_other_kinds_are_refused(path: Path, capsys: Capture, words: list[str], said: str) -> None:
    assert run(["inspect", str(path), *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_options_of_expression_are_refused_for_scans(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.dcm").write_text("x")
    assert run(["inspect", str(tmp_path), "--layer", "counts"]) == 2
    assert "--layer is for gene expression" in capsys.readouterr().err


def test_a_larger_matrix_takes_longer_and_more_memory() -> None:
    small, large = expression_outlook(1_000, 2_000, 200_000), expression_outlook(100_000, 2_000, 20_000_000)
    assert small.seconds < large.seconds
    assert small.memory_bytes < large.memory_bytes
    assert "GiB" in large.describe()
