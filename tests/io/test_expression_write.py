"""What is written is read again exactly, in whatever batches it came, and memory holds one of them at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from cells import some_cells
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from synthkit import ExpressionSet, read_expression, write_expression
from synthkit.errors import DataError, InputError, OutputError

PROVENANCE = {"seed": 3, "epsilon": None, "conditions": {"cell_type": "B"}, "private": False}


def batches(data: ExpressionSet, size: int) -> Iterator[ExpressionSet]:
    return (data.take(slice(start, start + size)) for start in range(0, len(data), size))


@st.composite
def sets(draw: st.DrawFn) -> ExpressionSet:
    """Draw small sets of any measure, density, labels and tables of genes."""
    n, g = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    measure = draw(st.sampled_from(["counts", "log", "rates", "intensities"]))
    dense = random.poisson(draw(st.sampled_from([0.05, 1.0, 50.0])), (n, g)).astype(np.float64)
    if measure != "counts":
        dense *= random.lognormal(size=(n, g))
    if measure == "intensities":
        dense -= 1
    values: Any = sparse.csr_matrix(dense) if draw(st.booleans()) else dense.astype(np.float32)
    if sparse.issparse(values) and draw(st.booleans()):
        values.data[:1] = 0  # a zero that is stored
    labels = draw(st.lists(st.text("abÄ日 /,\"'", min_size=1, max_size=4), min_size=1, max_size=4, unique=True))
    cells = pd.DataFrame(
        {
            "label": pd.Categorical.from_codes(random.integers(-1, len(labels), n), labels),
            "order": pd.Categorical.from_codes(random.integers(0, len(labels), n), labels, ordered=True),
            "age": random.normal(size=n),
            "batch": random.integers(0, 3, n),
            "treated": random.random(n) < 0.5,
        },
        index=[f"c{k}" for k in range(n)],
    )
    genes = pd.DataFrame(
        {
            "name": [f"name {k}" for k in range(g)],
            "kind": pd.Categorical(random.choice(["x", "y"], g), ["y", "x", "z"]),
            "length": pd.array(np.where(random.random(g) < 0.5, None, 7), dtype="Int64"),
            "highly_variable": random.random(g) < 0.5,
            "mean": random.normal(size=g).astype(np.float32),
        },
        index=pd.Index([f"g{k}" for k in range(g)], name="gene_id"),
    )
    return ExpressionSet(values, genes, cells, measure)


@settings(max_examples=14, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=sets(), size=st.integers(1, 9), ending=st.sampled_from([".h5ad", ".zarr"]))
def test_a_round_trip_is_exact(tmp_path: Path, data: ExpressionSet, size: int, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    assert write_expression(batches(data, size), path, provenance=PROVENANCE, replace=True) == len(data)
    found = anndata.read_h5ad(path) if ending == ".h5ad" else anndata.read_zarr(path)
    written = found.X.toarray() if sparse.issparse(found.X) else found.X
    wanted = data.values.toarray() if data.is_sparse else data.values
    assert np.array_equal(written, wanted.astype(np.int32 if data.measure == "counts" else np.float32))
    assert found.X.dtype == (np.int32 if data.measure == "counts" else np.float32)
    assert sparse.issparse(found.X) == (data.is_sparse or data.measure == "counts")
    if sparse.issparse(found.X):
        found.X.check_format(full_check=True)
        assert np.all(found.X.data != 0)
    pd.testing.assert_frame_equal(found.var, data.genes)
    assert found.obs.pop("synthetic").all()
    pd.testing.assert_frame_equal(found.obs.reset_index(drop=True), data.cells.reset_index(drop=True))
    assert list(found.obs_names) == [f"synthetic-{k + 1:06d}" for k in range(len(data))]
    assert not found.obsm
    assert not found.obsp
    assert found.raw is None
    said = found.uns["synthkit"]
    assert said["seed"] == 3
    assert said["conditions"] == '{"cell_type": "B"}'
    assert said["synthetic"]


@pytest.mark.parametrize("measure", ["counts", "log"])
def test_batches_of_any_size_give_the_same_bytes(tmp_path: Path, measure: Any) -> None:
    cells = some_cells(2_500)
    data = ExpressionSet(cells.values, cells.genes, cells.cells, measure)
    if measure == "log":
        data = ExpressionSet(np.log1p(cells.dense()), cells.genes, cells.cells, measure)
    write_expression(data, tmp_path / "one.h5ad", provenance=PROVENANCE)
    for size in (7, 999, 1_000, 2_499):
        write_expression(batches(data, size), tmp_path / "many.h5ad", provenance=PROVENANCE)
        assert (tmp_path / "many.h5ad").read_bytes() == (tmp_path / "one.h5ad").read_bytes()


@pytest.mark.parametrize("name", ["x.h5ad", "x.zarr", "x.csv", "10x"])
def test_few_batches_are_alive_at_a_time_however_many_there_are(tmp_path: Path, name: str) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0

    def drawn() -> Iterator[ExpressionSet]:
        nonlocal most
        for k in range(20):
            part = some_cells(400, seed=k)
            alive.append(weakref.ref(part.values))
            most = max(most, sum(one() is not None for one in alive))
            yield part
            del part

    assert write_expression(drawn(), tmp_path / name, provenance={}) == 8_000
    assert most <= 4  # a block of 1,000 cells, and the part that is asked for


@pytest.mark.parametrize("name", ["x.h5ad", "x.zarr", "x.csv", "x.tsv.gz", "x.parquet", "10x"])
@pytest.mark.parametrize("measure", ["counts", "log"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str, measure: Any) -> None:
    data = some_cells(30)
    if measure == "log":
        rates = data.dense() / data.dense().sum(1, keepdims=True)
        data = ExpressionSet(sparse.csr_matrix(np.log1p(1e4 * rates)), data.genes, data.cells, "log")
    write_expression(batches(data, 8), tmp_path / name, provenance=PROVENANCE)
    found = read_expression(tmp_path / name).data
    assert np.array_equal(found.dense(), data.dense())
    assert found.measure == measure
    assert list(found.genes.index) == list(data.genes.index)
    assert found.cells["synthetic"].all()
    assert list(found.cells["cell_type"]) == list(data.cells["cell_type"])


def test_real_cells_beside_synthetic_ones_keep_their_names(tmp_path: Path) -> None:
    data = some_cells(4)
    marked = data.cells.assign(synthetic=[False, True, False, True])
    both = ExpressionSet(data.values, data.genes, marked)
    write_expression(both, tmp_path / "x.h5ad", provenance={})
    found = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert list(found.obs_names) == [data.cells.index[0], "synthetic-000002", data.cells.index[2], "synthetic-000004"]
    assert list(found.obs["synthetic"]) == [False, True, False, True]


def broken() -> Iterator[ExpressionSet]:
    yield some_cells(1_500)
    raise InputError("the model says no", remedy="Ask again.")


GOOD = some_cells(3)


@pytest.mark.parametrize(
    ("parts", "name", "error", "said"),
    [
        (broken, "x.h5ad", InputError, "the model says no"),
        (broken, "x.zarr", InputError, "the model says no"),
        (broken, "10x", InputError, "the model says no"),
        (broken, "x.csv", InputError, "the model says no"),
        (list, "x.h5ad", InputError, "no cell"),
        (lambda: GOOD, "x.h5d", InputError, "did you mean '.h5ad'"),
        (lambda: GOOD, "nowhere/x.h5ad", OutputError, "does not exist"),
        (lambda: GOOD, "nowhere/x.zarr", OutputError, "does not exist"),
        (lambda: [GOOD, GOOD.of_genes([1, 0, 2, 3, 4])], "x.h5ad", InputError, "other genes"),
        (lambda: ExpressionSet(GOOD.dense() + 0.5, GOOD.genes, GOOD.cells), "x.h5ad", DataError, "not whole"),
        (lambda: ExpressionSet(GOOD.dense() - 5, GOOD.genes, GOOD.cells, "log"), "x.zarr", DataError, "below zero"),
        (lambda: ExpressionSet(GOOD.dense() * np.nan, GOOD.genes, GOOD.cells, "log"), "10x", DataError, "missing"),
        (
            lambda: ExpressionSet(GOOD.values, GOOD.genes.assign(odd=[[1]] * 5), GOOD.cells),
            "x.h5ad",
            DataError,
            "'odd'",
        ),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    tmp_path: Path, parts: Any, name: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        write_expression(parts(), tmp_path / name, provenance={})
    assert not list(tmp_path.iterdir())


def test_only_folders_of_our_own_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.zarr").mkdir()
    (tmp_path / "real.zarr" / "precious").touch()
    with pytest.raises(OutputError, match="did not write it"):
        write_expression(GOOD, tmp_path / "real.zarr", provenance={}, replace=True)
    write_expression(GOOD, tmp_path / "x.zarr", provenance={})
    with pytest.raises(OutputError, match="already"):
        write_expression(GOOD, tmp_path / "x.zarr", provenance={})
    assert write_expression(GOOD, tmp_path / "x.zarr", provenance={}, replace=True) == 3
