from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from private_expression import cells_of_donors

from synthkit.errors import InputError
from synthkit.expression.loadings import PublicLoadings, public_loadings

GENES = [f"g{i}" for i in range(30)]


def orthonormal(loadings):
    return np.allclose(loadings.basis.T @ loadings.basis, np.eye(loadings.dimensions), atol=1e-8)


def test_random_loadings_follow_from_a_public_seed():
    one, again, other = (public_loadings(text, GENES) for text in ("random:5", "random:5:0", "random:5:7"))
    assert orthonormal(one)
    assert one.basis.shape == (30, 5)
    assert one.sha256 == again.sha256 != other.sha256
    assert one.levels is None


def test_gene_sets_are_matched_by_id_and_what_is_unknown_is_told(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("ONE\tabout\tg0\tg1\tNOVEL\nTWO\tabout\tg2\nNONE\tabout\tOTHER\nSAME\tabout\tg0\tg1\n\n")
    found = public_loadings(path, GENES)
    assert orthonormal(found)
    assert found.dimensions == 2  # a set that repeats another gives no direction, one without a known gene neither
    assert np.allclose(np.abs(found.basis[:2]).max(1), np.sqrt(0.5))
    assert not found.basis[3:].any()
    said = " ".join(found.notes)
    assert "27 of 30 genes are in no set" in said
    assert "2 genes of the sets are not in the data: 'NOVEL', 'OTHER'" in said


@pytest.mark.parametrize(
    ("text", "said"), [("ONE\tabout\tX\n", "no set of"), ("ONE g0 g1\n", "line 1"), ("ONE\tabout\n", "line 1")]
)
def test_a_file_without_usable_sets_is_refused(text, said, tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        public_loadings(path, GENES)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "npz"])
def test_loadings_are_read_from_tables(ending, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(29, 3)), index=pd.Index(GENES[1:], name="gene"), columns=["a", "b", "c"])
    path = tmp_path / f"loadings.{ending}"
    if ending == "npz":
        np.savez(path, genes=np.array(GENES[1:]), loadings=table.to_numpy(), level=np.full(29, 2.0))
    elif ending == "parquet":
        table.assign(level=2.0).to_parquet(path)
    else:
        table.assign(level=2.0).to_csv(path, sep="," if ending == "csv" else "\t")
    found = public_loadings(str(path), GENES)
    assert orthonormal(found)
    # the same subspace, with nothing for the gene that is missing
    assert np.linalg.matrix_rank(np.hstack([found.basis[1:], table.to_numpy()]), tol=1e-8) == 3
    assert found.levels is not None
    assert found.levels.tolist() == [0.0] + [2.0] * 29
    assert "1 of 30 genes have no loadings" in found.notes[0]


@pytest.mark.parametrize("donors", [5, 60])  # fewer cells than genes, and more
def test_the_components_of_a_public_cohort_are_those_of_its_logarithms(donors):
    cohort = cells_of_donors(donors)
    found = PublicLoadings.from_cohort(cohort, [*GENES[::-1], "unknown"], 3)
    counts = cohort.values.toarray()[:, ::-1]
    logs = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    values, vectors = np.linalg.eigh(np.cov(logs.T, bias=True))
    assert np.allclose(found.scales**2, values[::-1][:3], rtol=1e-3)
    assert np.allclose(np.abs((found.basis[:30] * vectors[:, ::-1][:, :3]).sum(0)), 1, atol=1e-3)
    assert np.allclose(found.levels[:30], logs.mean(0), atol=1e-4)
    assert not found.basis[30].any()
    assert found.levels[30] == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("random:0", "0 random directions"),
        ("random:31", "31 random directions"),
        ("random:x", "expected random:32"),
        ("loadings.pickle", "expected one of"),
        ("missing.gmt", "cannot be read"),
        ("missing.csv", "no table of loadings"),
    ],
)
def test_what_are_no_loadings_is_refused(source, said):
    with pytest.raises(InputError, match=said):
        public_loadings(source, GENES)


def test_loadings_of_other_genes_are_refused():
    with pytest.raises(InputError, match="for 30 genes, the data has 3"):
        public_loadings(PublicLoadings.random(2, GENES), GENES[:3])
    with pytest.raises(InputError, match="none of the genes"):
        PublicLoadings.from_cohort(cells_of_donors(5), ["x"], 1)
