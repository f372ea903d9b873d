"""Bad gene expression is one sentence and a remedy, exit code 2, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from cells import as_anndata, some_cells, table_of, write_h5ad, write_tenx, write_tenx_h5
from scipy import sparse

from synthkit import read_expression
from synthkit.cli import run
from synthkit.errors import DataError, InputError

DATA = some_cells()
COUNTS = DATA.dense()
Make = Callable[[Path], Path]


def changed(change: Callable[[np.ndarray], object], kind: Any = sparse.csr_matrix) -> Make:
    """An h5ad file of counts with a change."""

    def make(place: Path) -> Path:
        values = COUNTS.copy()
        change(values)
        return write_h5ad(place / "x.h5ad", kind(values))

    return make


def put(row: int, column: int, value: float) -> Callable[[np.ndarray], object]:
    return lambda values: values.__setitem__((row, column), value)


def turned(place: Path) -> Path:
    anndata.AnnData(X=table_of(DATA).T.astype(np.float32)).write_h5ad(place / "x.h5ad")
    return place / "x.h5ad"


def with_layer(values: np.ndarray) -> Make:
    def make(place: Path) -> Path:
        as_anndata(DATA, layers={"counts": values}).write_h5ad(place / "x.h5ad")
        return place / "x.h5ad"

    return make


def cut_h5ad(place: Path) -> Path:
    path = changed(lambda values: None)(place)
    path.write_bytes(path.read_bytes()[:-3_000])
    return path


def edited(change: Callable[[Any], object]) -> Make:
    """An h5ad file that is damaged inside."""

    def make(place: Path) -> Path:
        path = changed(lambda values: None)(place)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    return make


def out_of_range(file: Any) -> None:
    file["X/indices"][0] = 77


def without(name: str) -> Callable[[Any], None]:
    return lambda file: file.__delitem__(name)


def text(name: str, content: str | bytes) -> Make:
    def make(place: Path) -> Path:
        path = place / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def tenx_without(name: str) -> Make:
    def make(place: Path) -> Path:
        folder = write_tenx(place / "10x", DATA)
        (folder / name).unlink()
        return folder

    return make


def tenx_with(name: str, content: str) -> Make:
    def make(place: Path) -> Path:
        folder = write_tenx(place / "10x", DATA)
        (folder / name).write_text(content)
        return folder

    return make


def repeated(place: Path) -> Path:
    genes = pd.DataFrame(index=["A", "B", "A", "C", "A"])
    data = anndata.AnnData(X=DATA.values.astype(np.float32), obs=DATA.cells, var=genes)
    data.write_h5ad(place / "x.h5ad")
    return place / "x.h5ad"


def folder_of(name: str) -> Make:
    def make(place: Path) -> Path:
        (place / name).mkdir()
        return place / name

    return make


ROWS = "".join(f"c{k},{k + 1},2,3\n" for k in range(70))


@pytest.mark.filterwarnings("ignore:Variable names are not unique")  # while such a file is made
@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (lambda place: place / "none.h5ad", {}, "there is no file"),
        (lambda place: place / "none.zarr", {}, "there is no file"),
        (lambda place: place / "none.mtx", {}, "there is no file"),
        (lambda place: place / "none.csv", {"measure": "counts"}, "there is no file"),
        (text("x.h5ad", ""), {}, "is empty"),
        (text("x.h5ad", "hello"), {}, "not a complete HDF5 file"),
        (text("x.h5", "hello"), {}, "not a complete HDF5 file"),
        (text("x.zarr", "hello"), {}, "not a complete HDF5 file"),
        (folder_of("x.zarr"), {}, "no zarr folder"),
        (folder_of("x.h5ad"), {}, "no zarr folder"),
        (cut_h5ad, {}, "truncated"),
        (edited(without("X/indptr")), {}, "damaged"),
        (edited(without("X/data")), {}, "damaged"),
        (edited(without("obs")), {}, "it has no obs and var"),
        (edited(without("X")), {}, "holds no matrix"),
        (edited(without("var/_index")), {}, "damaged"),
        (edited(out_of_range), {}, "damaged"),
        (changed(put(2, 1, np.nan)), {}, "1 value of X of .* is missing or infinite, first in cell 'cell-2' and gene"),
        (
            changed(lambda values: values.__setitem__(slice(3, 5), np.inf)),
            {},
            "10 values .* first in cell 'cell-3' and",
        ),
        (changed(put(2, 1, np.nan), np.asarray), {}, "first in cell 'cell-2' and gene 'gene-1'"),
        (changed(put(4, 3, -2)), {"measure": "counts"}, r"one in cell 'cell-4' and gene 'gene-3' is below zero \(-2\)"),
        (changed(put(4, 3, 0.5)), {"measure": "counts"}, r"is no whole number \(0.5\)"),
        (changed(put(4, 3, -2)), {"measure": "log"}, "below zero"),
        (with_layer(COUNTS - 1), {}, r"layers\['counts'\] .* by the name of the layer, counts, .* below zero"),
        (with_layer(COUNTS / 2), {}, "no whole number"),
        (
            changed(lambda values: values.__setitem__(7, 0)),
            {},
            "1 of 12 cells .* is zero in every gene, first 'cell-7'",
        ),
        (changed(lambda values: values.__setitem__(slice(3), 0), np.asarray), {}, "3 of 12 cells .* first 'cell-0'"),
        (changed(lambda values: values.__imul__(0)), {"drop_empty": True}, "all 12 cells"),
        (changed(lambda values: None), {"layer": "cuonts"}, "unknown layer 'cuonts'"),
        (with_layer(COUNTS), {"layer": "count"}, "did you mean 'counts'"),
        (changed(lambda values: None), {"genes": ["gene-11"]}, "unknown gene 'gene-11'; did you mean"),
        (changed(lambda values: None), {"measure": "umis"}, "unknown measure 'umis'"),
        (changed(lambda values: None), {"transpose": "yes"}, "transpose must be"),
        (changed(lambda values: None), {"cells": "none.csv"}, "there is no file 'none.csv'"),
        (repeated, {}, "1 gene id .* is repeated, first 'A' \\(3 times\\)"),
        (turned, {}, "its cells have names of genes, such as 'ENSG00000000003'"),
        (changed(lambda values: None), {"transpose": True}, "are cells, such as 'cell-0'"),
        (lambda place: write_h5ad(place / "x.h5ad", np.zeros((0, 3), np.float32)), {}, "0 cells and 3 genes"),
        (folder_of("nothing"), {}, "holds no matrix.mtx"),
        (tenx_without("barcodes.tsv"), {}, r"but not 'barcodes.tsv' \(or .gz\)"),
        (tenx_without("features.tsv"), {}, "names of its genes"),
        (
            tenx_with("barcodes.tsv", "a\nb\n"),
            {},
            "a matrix of 6 x 12, and the lists beside it name 6 genes and 2 cells",
        ),
        (tenx_with("barcodes.tsv", ""), {}, "is empty"),
        (tenx_with("second.mtx", "x"), {}, None),
        (tenx_with("matrix.mtx", ""), {}, "is empty"),
        (tenx_with("matrix.mtx", "hello"), {}, "not a complete Matrix Market file"),
        (tenx_with("matrix.mtx", "%%MatrixMarket matrix coordinate integer general\n6 12 3\n1 1 1\n"), {}, "complete"),
        (text("x.mtx.gz", b"\x1f\x8b\x08\x00cut"), {}, "not a complete Matrix Market file"),
        (lambda place: h5py.File(place / "x.h5", "w").close() or place / "x.h5", {}, "no matrix of 10x"),
        (lambda place: write_tenx_h5(place / "x.h5", DATA, version=2), {"layer": "mm10"}, "unknown genome 'mm10'"),
        (text("x.loom", "x"), {}, "loom files are not read"),
        (text("x.csv", ""), {}, "is empty"),
        (text("x.csv", "\n\n"), {}, "blank lines only"),
        (text("x.csv", "cell,A,B\n"), {}, "no rows"),
        (text("x.csv", "cell,A,B\nc1,1,2\nc2,1\n"), {}, "row 2 of .* has 2 cells, expected 3"),
        (text("x.csv", "cell,A,B,C\n" + ROWS + "c99,1,2\n"), {}, "missing or infinite|has 3 cells"),
        (text("x.csv", "cell,A,B,C\n" + ROWS + "c99,1,abc,3\n"), {}, r"holds 'abc' among numbers, in row 71 \('c99'\)"),
        (text("x.csv", "cell,A,B\nc1,1,2\nc2,,3\n"), {}, "first in cell 'c2' and gene 'A'"),
        (text("x.csv", "cell,A,A\nc1,1,2\nc2,3,3\n"), {}, "repeated, first 'A'"),
        (text("x.csv", "cell,type\nc1,B\nc2,T\n"), {}, "holds no numbers"),
        (text("x.csv", "cell\nc1\nc2\n"), {}, "single column"),
        (text("x.csv", "gene,cell-1,cell-2\nACTB,1,2\nCD4,3,3\n"), {"transpose": False}, "rows of .* are genes, since"),
        (text("x.csv", "cell,ACTB,CD4\ncell-1,1,2\ncell-2,3,3\n"), {"transpose": True}, "rows of .* are cells, since"),
        (text("x.csv", "cell,A\nc1,1\n"), {"layer": "counts"}, "has no layers"),
        (text("x.parquet", "hello"), {"measure": "counts"}, "not a complete Parquet file"),
    ],
)
def test_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Make, options: dict[str, Any], said: str | None
) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    if said is None:
        assert len(read_expression(path, **options).data) == 12
        return
    with pytest.raises(InputError, match=said) as caught:
        read_expression(path, **options)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    if not options and not path.name.endswith((".csv", ".parquet")) and path.name not in ("nothing", "x.zarr"):
        words = ["inspect", str(path)]
        if run(words) == 2:
            out, err = capsys.readouterr()
            assert out == ""
            assert err.startswith("synthkit: error: ")
            assert err.count("\n") == 1
        else:
            assert "zero in every gene" in str(caught.value)  # what is only told by inspect
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_damaged_anywhere_is_refused_or_read_and_never_a_traceback(tmp_path: Path) -> None:
    whole = bytearray(changed(lambda values: None)(tmp_path).read_bytes())
    random = np.random.default_rng(0)
    path = tmp_path / "harmed.h5ad"
    refused = 0
    for trial in range(60):
        harmed = whole[: random.integers(1, len(whole))] if trial % 3 == 0 else whole.copy()
        if trial % 3:
            for place in random.integers(0, len(whole), 40):
                harmed[place] = random.integers(256)
        path.write_bytes(bytes(harmed))
        try:
            read_expression(path)
        except InputError:
            refused += 1
    assert refused >= 20


def test_empty_cells_are_left_out_if_asked_and_told(tmp_path: Path) -> None:
    path = changed(lambda values: values.__setitem__(slice(2, 4), 0))(tmp_path)
    found = read_expression(path, drop_empty=True)
    assert len(found.data) == 10
    assert found.n_empty == 2
    assert list(found.data.cells.index[:3]) == ["cell-0", "cell-1", "cell-4"]
    assert "2 cells of 12 are zero in every gene and left out" in found.notes


def test_a_table_of_cells_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    path = changed(lambda values: None)(tmp_path)
    for content, said in (
        ("cell,label\nx,B\n", "no cell of"),
        ("cell,label\ncell-1,B\ncell-1,T\n", "more than once"),
    ):
        (tmp_path / "labels.csv").write_text(content)
        with pytest.raises((InputError, DataError), match=said):
            read_expression(path, cells=tmp_path / "labels.csv")
    with pytest.raises(InputError, match="unknown column 'cel'; did you mean 'cell'"):
        read_expression(path, cells=str(tmp_path / "labels.csv?cell=cel"))
