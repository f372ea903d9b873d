"""Small sets of cells, made up, for the tests that read and write gene expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.io import mmwrite

from synthkit.io.expression_set import ExpressionSet

GENES = ("ENSG00000000003", "ENSG00000000005", "ENSG00000000419", "ENSG00000000457", "ENSG00000000460")


def some_cells(n: int = 12, *, seed: int = 0) -> ExpressionSet:
    """Counts of a few cells in five genes, none empty, with a type and a donor."""
    random = np.random.default_rng(seed)
    counts = random.poisson(1.0, (n, len(GENES)))
    counts[:, 0] += 1
    cells = pd.DataFrame(
        {
            "cell_type": pd.Categorical(random.choice(["B", "T"], n), ["B", "NK", "T"]),
            "donor": pd.Categorical(random.choice(["d1", "d2", "d3"], n), ["d1", "d2", "d3"]),
        },
        index=[f"AAACCTGA{'ACGT'[k % 4]}{'ACGT'[k // 4 % 4]}{'ACGT'[k // 16 % 4]}-{k}" for k in range(n)],
    )
    genes = pd.DataFrame({"gene_symbols": [f"G{k}" for k in range(len(GENES))]}, index=list(GENES))
    return ExpressionSet(sparse.csr_matrix(counts, dtype=np.int32), genes, cells)


def as_anndata(data: ExpressionSet, **more: Any) -> anndata.AnnData:
    return anndata.AnnData(X=data.values.astype(np.float32), obs=data.cells.copy(), var=data.genes.copy(), **more)


def write_h5ad(path: Path, values: Any, **more: Any) -> Path:
    """Write any matrix as an h5ad file, with plain names."""
    n, g = values.shape
    obs = pd.DataFrame(index=[f"cell-{k}" for k in range(n)])
    var = pd.DataFrame(index=[f"gene-{k}" for k in range(g)])
    anndata.AnnData(X=values, obs=obs, var=var, **more).write_h5ad(path)
    return path


def write_tenx(folder: Path, data: ExpressionSet) -> Path:
    """Write the three files of Cell Ranger 3, with one antibody."""
    folder.mkdir()
    kinds = ["Gene Expression"] * data.values.shape[1] + ["Antibody Capture"]
    names = [*data.genes.index, "CD3"]
    symbols = [*data.genes["gene_symbols"], "CD3_TotalSeq"]
    matrix = sparse.vstack([data.values.T, sparse.csr_matrix(np.ones((1, len(data)), np.int32))])
    mmwrite(folder / "matrix.mtx", sparse.coo_matrix(matrix))
    rows = zip(names, symbols, kinds, strict=True)
    (folder / "features.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in data.cells.index))
    return folder


def write_tenx_h5(path: Path, data: ExpressionSet, *, version: int) -> Path:
    """Write an .h5 file of Cell Ranger 2 or 3."""
    with h5py.File(path, "w") as file:
        group = file.create_group("GRCh38" if version == 2 else "matrix")
        group["barcodes"] = [name.encode() for name in data.cells.index]
        group["data"], group["indices"], group["indptr"] = data.values.data, data.values.indices, data.values.indptr
        group["shape"] = np.array([len(data.genes), len(data)], np.int32)
        ids, symbols = ([one.encode() for one in column] for column in (data.genes.index, data.genes["gene_symbols"]))
        if version == 2:
            group["genes"], group["gene_names"] = ids, symbols
        else:
            features = group.create_group("features")
            features["id"], features["name"] = ids, symbols
            features["feature_type"] = [b"Gene Expression"] * len(ids)
    return path


def table_of(data: ExpressionSet) -> pd.DataFrame:
    return pd.DataFrame(data.values.toarray(), index=data.cells.index, columns=data.genes.index)
