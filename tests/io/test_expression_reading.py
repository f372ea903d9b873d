"""All formats give the same cells, and what the values are is told from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from cells import as_anndata, some_cells, table_of, write_h5ad, write_tenx, write_tenx_h5
from scipy import sparse

from synthkit import read_expression
from synthkit.errors import DataError
from synthkit.io.expression_orientation import orientation
from synthkit.io.kinds import kind_of

DATA = some_cells()


def as_h5ad(place: Path) -> Path:
    as_anndata(DATA).write_h5ad(place / "x.h5ad")
    return place / "x.h5ad"


def as_csc(place: Path) -> Path:
    data = as_anndata(DATA)
    data.X = sparse.csc_matrix(data.X)
    data.write_h5ad(place / "x.h5ad")
    return place / "x.h5ad"


def as_dense(place: Path) -> Path:
    data = as_anndata(DATA)
    data.X = data.X.toarray()
    data.write_h5ad(place / "x.h5ad", compression="gzip")
    return place / "x.h5ad"


def as_layer(place: Path) -> Path:
    data = as_anndata(DATA)
    data.layers["counts"] = data.X.copy()
    data.X = data.X.log1p()
    data.write_h5ad(place / "x.h5ad")
    return place / "x.h5ad"


def as_raw(place: Path) -> Path:
    data = as_anndata(DATA)
    data.raw = data.copy()
    data = data[:, :3].copy()
    data.X = data.X.log1p()
    data.write_h5ad(place / "x.h5ad")
    return place / "x.h5ad"


def as_zarr(place: Path) -> Path:
    as_anndata(DATA).write_zarr(place / "x.zarr")
    return place / "x.zarr"


def as_tenx(place: Path) -> Path:
    return write_tenx(place / "10x", DATA)


def as_csv(place: Path) -> Path:
    DATA.cells.join(table_of(DATA)).to_csv(place / "x.csv")
    return place / "x.csv"


def as_turned_csv(place: Path) -> Path:
    table_of(DATA).T.to_csv(place / "x.csv.gz")
    return place / "x.csv.gz"


def as_turned_csv_with_labels(place: Path) -> Path:
    turned = table_of(DATA).T.astype(object)
    pd.concat([DATA.cells.astype(str).T, turned]).to_csv(place / "x.csv")
    return place / "x.csv"


def as_written_by_r(place: Path) -> Path:
    table_of(DATA).T.to_csv(place / "x.tsv", sep="\t", index_label=False)
    return place / "x.tsv"


def as_parquet(place: Path) -> Path:
    DATA.cells.join(table_of(DATA)).to_parquet(place / "x.parquet")
    return place / "x.parquet"


@pytest.mark.parametrize(
    "write",
    [
        as_h5ad, as_csc, as_dense, as_layer, as_raw, as_zarr, as_tenx, as_csv, as_turned_csv, as_turned_csv_with_labels,
        as_written_by_r, as_parquet, lambda place: write_tenx_h5(place / "x.h5", DATA, version=2),
        lambda place: write_tenx_h5(place / "x.h5", DATA, version=3),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning:anndata", "ignore::FutureWarning")  # while the file is made
def test_every_format_gives_the_same_cells(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path)
    found = read_expression(path)
    data = found.data
    assert np.array_equal(data.dense(), DATA.dense())
    assert list(data.genes.index) == list(DATA.genes.index)
    assert list(data.cells.index) == list(DATA.cells.index)
    assert data.measure == "counts"
    assert found.told in found.notes
    if "cell_type" in data.cells:
        assert list(data.cells["cell_type"]) == list(DATA.cells["cell_type"])
    if not path.name.endswith((".csv", ".csv.gz", ".tsv", ".parquet")):
        assert kind_of(path) == "expression"


def test_an_object_backed_or_not_gives_the_same_and_is_left_as_it_was(tmp_path: Path) -> None:
    held = as_anndata(DATA, layers={"other": DATA.values * 2})
    before = held.X.copy()
    assert np.array_equal(read_expression(held).data.dense(), DATA.dense())
    assert np.array_equal(read_expression(held[:, ::2]).data.dense(), DATA.dense()[:, ::2])
    assert np.array_equal(read_expression(held, layer="other").data.dense(), 2 * DATA.dense())
    assert (held.X != before).nnz == 0
    held.write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    assert np.array_equal(read_expression(backed).data.dense(), DATA.dense())
    backed.file.close()


def test_only_the_matrix_that_is_wanted_is_read(tmp_path: Path) -> None:
    """What is damaged elsewhere in the file does no harm."""
    import h5py

    as_anndata(DATA, layers={"other": DATA.values}, obsm={"X_pca": np.ones((12, 2))}).write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "a") as file:
        del file["layers/other/indices"]
        del file["obsm/X_pca"]
        file["obsm/X_pca"] = "nothing"
    assert np.array_equal(read_expression(tmp_path / "x.h5ad").data.dense(), DATA.dense())


# ------------------------------------------------------------ what the values are

RANDOM = np.random.default_rng(1)
COUNTS = RANDOM.negative_binomial(2, 0.05, (60, 30)).astype(np.float32) + 1
RATES = COUNTS / COUNTS.sum(1, keepdims=True)
LOGS = np.log1p(RATES * 1e4)
SIGNED = RANDOM.normal(100, 300, (60, 30))
SCALED = (LOGS - LOGS.mean(0)) / LOGS.std(0, ddof=1)


@pytest.mark.parametrize(
    ("values", "measure", "said"),
    [
        (COUNTS, "counts", "whole numbers"),
        (np.minimum(COUNTS, 1), "counts", "made binary"),
        (LOGS, "log", r"undone \(log1p\), those of each cell sum to 10,000"),
        (LOGS[:, :9], "log", "none is above"),
        (np.log2(1 + RATES * 1e6), "log", "sum to 1,000,000"),
        (RATES * 1e6, "rates", "TPM"),
        (np.where(RANDOM.random(COUNTS.shape) < 0.3, 0, COUNTS * 1.37), "rates", "expected counts"),
        (COUNTS * 31.37, "intensities", "hardly a zero"),
        (SIGNED, "intensities", "below zero"),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_what_values_are_is_told(values: Any, measure: str, said: str, kind: Any, tmp_path: Path) -> None:
    found = read_expression(write_h5ad(tmp_path / "x.h5ad", kind(values.astype(np.float32))))
    assert found.data.measure == measure
    assert re.search(said, found.told)
    assert found.told in found.notes


@pytest.mark.parametrize("values", [SCALED, np.clip(SCALED * 1.0, -1.5, 10).astype(np.float32)])
def test_z_scores_are_refused_unless_they_are_said_to_be_intensities(values: Any, tmp_path: Path) -> None:
    values = values.copy()
    values[0, 0] = 10  # as scanpy clips them
    path = write_h5ad(tmp_path / "x.h5ad", values.astype(np.float32))
    with pytest.raises(DataError, match="z-scores"):
        read_expression(path)
    assert read_expression(path, measure="intensities").data.measure == "intensities"


@pytest.mark.parametrize(
    ("rows", "columns", "more", "genes_down"),
    [
        (["ENSG00000000003"], ["a", "b"], {}, True),
        (["a"], ["ACTB", "GAPDH"], {}, False),
        (["x", "y"], ["GSM12345", "GSM12346"], {}, True),
        (["1007_s_at"], ["p1"], {}, True),
        (["a", "b"], ["c", "d"], {}, False),
        (["a", "b"], ["c", "d"], {"head": "gene_symbol"}, True),
        (["a", "b"], ["c", "d"], {"head": "cell"}, False),
        (["a", "b"], ["c", "d"], {"cell_columns": ["label"]}, False),
        (["a", "b"], ["c", "d"], {"gene_columns": ["chr"]}, True),
        (["a"], ["c"] * 5_000, {}, False),
        (["a"] * 5_000, ["c"], {}, False),
    ],
)
def test_names_tell_which_way_round_a_table_lies_and_lengths_do_not(
    rows: list[str], columns: list[str], more: Any, genes_down: bool
) -> None:
    assert orientation(rows, columns, **more).rows_are_genes is genes_down


def test_a_table_of_cells_and_a_choice_of_genes(tmp_path: Path) -> None:
    folder = write_tenx(tmp_path / "10x", DATA)
    labels = DATA.cells.iloc[:-1].rename_axis("barcode").reset_index()
    labels.to_csv(tmp_path / "labels.csv", index=False)
    for name in ("labels.csv", "labels.csv?cell=barcode"):
        found = read_expression(folder, cells=tmp_path / name, genes=list(DATA.genes.index[[3, 0]]))
        assert list(found.data.cells["cell_type"][:-1]) == list(labels["cell_type"])
        assert np.array_equal(found.data.dense(), DATA.dense()[:, [3, 0]])
        assert any("1 cell of 12 is not in it" in note for note in found.notes)


def test_columns_beside_the_values_describe_genes_or_cells(tmp_path: Path) -> None:
    turned = table_of(DATA).T.rename_axis("ID_REF")
    turned.insert(0, "Gene Symbol", [f"G{k}" for k in range(5)])
    turned.to_csv(tmp_path / "x.tsv", sep="\t")
    found = read_expression(tmp_path / "x.tsv")
    assert np.array_equal(found.data.dense(), DATA.dense())
    assert list(found.data.genes["Gene Symbol"]) == [f"G{k}" for k in range(5)]
    assert "the column 'Gene Symbol' describes genes" in found.notes[0]


def test_semicolons_and_decimal_commas_are_found_and_told(tmp_path: Path) -> None:
    table = table_of(DATA) / 4
    table.to_csv(tmp_path / "x.csv", sep=";", decimal=",")
    found = read_expression(tmp_path / "x.csv")
    assert np.array_equal(found.data.dense(), DATA.dense() / 4)
    assert "semicolons" in found.notes[0]
    assert "decimal commas" in found.notes[0]


def test_z_scores_name_the_other_matrices(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "x.h5ad", SCALED.astype(np.float32), layers={"lognorm": LOGS})
    with pytest.raises(DataError, match=r"Take another matrix with layer= \(--layer\): layers\['lognorm'\]"):
        read_expression(path)
    assert read_expression(path, layer="lognorm").data.measure == "log"
