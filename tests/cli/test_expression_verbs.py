"""The verbs fit, info, sample and balance on gene expression, as a user types them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from cells import as_anndata
from phantoms import shapes, write_pictures
from scipy import sparse
from simulated_cells import simulated_cells

from synthkit import load, read_expression
from synthkit.cli import run
from synthkit.io.expression_set import ExpressionSet

Capture = pytest.CaptureFixture[str]
QUICK = ("--model", "cwgan", "--steps", "2", "--seed", "0", "--quiet")
ALL = ("--fewest-cells", "1")  # one type has two cells
N, GENES = 70, 16


def tiny() -> ExpressionSet:
    """70 cells of three types, one of which has two cells, with plates, donors, a doublet flag and Ensembl's ids."""
    data = simulated_cells(1, N, donors=5)
    data = data.of_genes([*range(8), *range(52, 60)])
    kinds = np.where(np.arange(N) < 2, "pDC", np.where(data.cells["type"] == "a", "B", "T cell"))
    cells = pd.DataFrame(
        {
            "cell_type": pd.Categorical(kinds),
            "plate": pd.Categorical(data.cells["batch"]),
            "donor": pd.Categorical(data.cells["donor"]),
            "doublet": np.arange(N) % 7 == 0,
            "n_counts": np.arange(N) + 100,
        },
        index=[f"AAACCTG{''.join('ACGT'[k // 4**place % 4] for place in range(4))}-1" for k in range(N)],
    )
    genes = pd.DataFrame({"gene_symbols": [f"G{k}" for k in range(GENES)]}, [f"ENSG{k:011d}" for k in range(GENES)])
    values = data.values.toarray()
    values[:, 0] += 1  # no cell is empty
    return ExpressionSet(sparse.csr_matrix(values), genes, cells)


@pytest.fixture(scope="module")
def h5ad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    as_anndata(tiny()).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def model(h5ad: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m.synth"
    words = ["fit", str(h5ad), "-o", str(path), *QUICK, "--label", "cell_type", *ALL, "--batch", "plate"]
    assert run([*words, "--donor", "donor"]) == 0
    return path


def refused(words: list[str], capsys: Capture, *texts: str) -> None:
    """One sentence on standard error, exit code 2."""
    capsys.readouterr()
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("synthkit: ")
    for text in texts:
        assert text in err


def dense(data: ExpressionSet) -> np.ndarray:
    return data.values.toarray() if data.is_sparse else np.asarray(data.values)


class TestFit:
    def test_leaves_a_model_and_nothing_else(self, model: Path) -> None:
        assert os.listdir(model.parent) == ["m.synth"]
        gan = load(model)
        assert gan.classes_ == ("B", "T cell", "pDC")
        assert gan.space_.batch == "plate"
        assert gan.report_["donors"] == 5
        assert gan.genes_["gene_symbols"].tolist() == tiny().genes["gene_symbols"].tolist()

    def test_says_what_it_did(self, h5ad: Path, tmp_path: Path, capsys: Capture) -> None:
        words = ["fit", str(h5ad), "-o", str(tmp_path / "m.synth"), "--model", "nb", "--label", "cell_type", *ALL]
        assert run([*words, "--genes", "hvg:9", "--seed", "0"]) == 0
        out, err = capsys.readouterr()
        said = " ".join(out.split())
        for text in ("cells 70", "genes 9", "pDC: 2", "model nb", "rare classes pDC"):
            assert text in said
        assert "learning 70 cells by 9 genes" in err
        assert "the values are counts" in err

    def test_the_same_seed_draws_the_same(self, h5ad: Path, model: Path, tmp_path: Path) -> None:
        words = [
            "fit",
            str(h5ad),
            "-o",
            str(tmp_path / "m.synth"),
            *QUICK,
            "--label",
            "cell_type",
            *ALL,
            "--batch",
            "plate",
        ]
        assert run([*words, "--donor", "donor"]) == 0
        one, two = (load(path).sample(9, random_state=1) for path in (model, tmp_path / "m.synth"))
        np.testing.assert_array_equal(dense(one), dense(two))

    def test_tables_with_labels_beside_them(self, tmp_path: Path) -> None:
        data = tiny()
        pd.DataFrame(dense(data).T, data.genes.index, data.cells.index).to_csv(tmp_path / "x.csv")
        data.cells.to_csv(tmp_path / "labels.csv", index_label="cell")
        words = ["fit", str(tmp_path / "x.csv"), "-o", str(tmp_path / "m.synth"), "--measure", "counts", "--quiet"]
        words += ["--cells", str(tmp_path / "labels.csv"), "--label", "cell_type", *ALL, "--covariate", "n_counts"]
        assert run([*words, "--model", "nb", "--seed", "0"]) == 0
        gan = load(tmp_path / "m.synth")
        assert gan.report_["cells"] == N  # genes lay in rows
        assert gan.space_.covariates == ("n_counts",)

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--target", "x"], ["--target is for tables, and", "holds gene expression", "Leave --target out"]),
            (["--schema", "x.yaml"], ["--schema is for tables"]),
            (["--no-refine"], ["--no-refine is for tables"]),
            (["--recipe", "r3"], ["--recipe is for scans, and", "holds gene expression"]),
            (["--size", "64"], ["--size is for scans"]),
            (["--flip"], ["--flip is for scans"]),
            (["--widths", "8,8"], ["--widths is for scans"]),
            (["--loss", "hinge"], ["hinge"]),
            (["--model", "cwgam"], ["cwgam"]),
            (["--genes", "hvg"], ["expected 'all' or 'hvg:N'"]),
            (["--time-budget", "soon"], ["'soon' is not a duration"]),
            (["--device", "cuda:99"], ["cuda:99"]),
            (["--label", "cell_typ"], ["did you mean 'cell_type'"]),
            (["--label", "cell_type"], ["has 1 type with fewer than 3 cells: 'pDC (2)'", "--fewest-cells 1"]),
            (["--label", "cell_type", "--fewest-cells", "0"], ["0 is not in the range"]),
            (["--batch", "3x"], ["'3x'"]),
            (["--donor", "patient"], ["'patient'"]),
            (["--covariate", "donor"], ["expected numbers"]),
            (["--label", "donor", "--batch", "donor"], ["named twice"]),
            (["--measure", "intensities", "--layer", "raws"], ["raws"]),
            (["--classes", "a,b"], ["without a budget"]),
            (["--loadings", "random:8"], ["without a budget"]),
        ],
    )
    def test_wrong_words(
        self, h5ad: Path, tmp_path: Path, capsys: Capture, options: list[str], texts: list[str]
    ) -> None:
        words = ["fit", str(h5ad), "-o", str(tmp_path / "m.synth"), "--steps", "1", "--seed", "0", "--quiet", *options]
        refused(words, capsys, *texts)
        assert not list(tmp_path.iterdir())

    def test_its_options_are_not_for_scans_and_tables(self, tmp_path: Path, capsys: Capture) -> None:
        write_pictures(tmp_path / "scans", shapes(24, 8, classes=2))
        (tmp_path / "t.csv").write_text("a,b\n1,2\n2,3\n")
        for option in (["--model", "nb"], ["--label", "x"], ["--donor", "x"], ["--covariate", "x"], ["--genes", "all"],
                       ["--factors", "3"]):  # fmt: skip
            for place, holds in (("scans", "holds scans"), ("t.csv", "holds a table")):
                words = ["fit", str(tmp_path / place), "-o", str(tmp_path / "m.synth"), *option]
                refused(words, capsys, f"{option[0]} is for gene expression, and", holds)
        words = ["fit", str(tmp_path / "scans"), "-o", str(tmp_path / "m.synth"), "--batch"]
        refused([*words, "3x"], capsys, "--batch is '3x', expected a whole number from 2 for scans")
        refused([*words, "1"], capsys, "--batch is '1'")
        refused(["fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m.synth"), "--batch", "8"], capsys, "--batch is")
        assert not list(tmp_path.glob("*.synth*"))


class TestBadData:
    """Each is one sentence, and nothing is written."""

    def fit(self, data: Path, tmp_path: Path, capsys: Capture, *texts: str, options: tuple[str, ...] = ()) -> None:
        before = set(tmp_path.iterdir())
        words = ["fit", str(data), "-o", str(tmp_path / "m.synth"), "--model", "nb", "--seed", "0", "--quiet"]
        refused([*words, *options], capsys, *texts)
        assert set(tmp_path.iterdir()) == before

    def written(self, tmp_path: Path, values: np.ndarray, ids: list[str] | None = None) -> Path:
        data = tiny()
        made = anndata.AnnData(X=values.astype(np.float32), obs=data.cells, var=data.genes)
        if ids is not None:
            made.var_names = ids
        made.write_h5ad(tmp_path / "bad.h5ad")
        return tmp_path / "bad.h5ad"

    def test_negative_values_where_counts_were_promised(self, tmp_path: Path, capsys: Capture) -> None:
        values = dense(tiny())
        values[4, 2] = -3
        path = self.written(tmp_path, values)
        self.fit(path, tmp_path, capsys, "counts", "-3", options=("--measure", "counts"))

    def test_values_that_are_no_numbers(self, tmp_path: Path, capsys: Capture) -> None:
        values = dense(tiny())
        values[4, 2] = np.nan
        self.fit(self.written(tmp_path, values), tmp_path, capsys, "ENSG00000000002")

    def test_fractions_where_counts_were_promised(self, tmp_path: Path, capsys: Capture) -> None:
        path = self.written(tmp_path, dense(tiny()) / 3)
        self.fit(path, tmp_path, capsys, "counts", options=("--measure", "counts"))

    def test_repeated_genes(self, tmp_path: Path, capsys: Capture) -> None:
        ids = [*tiny().genes.index[:-1], tiny().genes.index[0]]
        self.fit(self.written(tmp_path, dense(tiny()), ids), tmp_path, capsys, "1 gene id", "repeated", ids[0])

    def test_cells_that_are_all_zero(self, tmp_path: Path, capsys: Capture) -> None:
        values = dense(tiny())
        values[5:8] = 0
        path = self.written(tmp_path, values)
        self.fit(path, tmp_path, capsys, "3 of 70 cells", "zero in every gene", "--drop-empty")
        words = ["fit", str(path), "-o", str(tmp_path / "m.synth"), "--model", "nb", "--drop-empty", "--quiet"]
        assert run(words) == 0
        assert load(tmp_path / "m.synth").report_["cells"] == N - 3

    def test_too_few_cells(self, tmp_path: Path, capsys: Capture) -> None:
        as_anndata(tiny().take(slice(0, 9))).write_h5ad(tmp_path / "few.h5ad")
        self.fit(tmp_path / "few.h5ad", tmp_path, capsys, "9 cells", "at least 20")

    def test_a_table_that_lies_the_other_way_round(self, tmp_path: Path, capsys: Capture) -> None:
        data = tiny()
        pd.DataFrame(dense(data).T, data.genes.index, data.cells.index).to_csv(tmp_path / "x.csv")
        options = ("--measure", "counts", "--transpose", "no")
        self.fit(tmp_path / "x.csv", tmp_path, capsys, "ENSG", options=options)

    def test_labels_that_are_missing(self, tmp_path: Path, capsys: Capture) -> None:
        data = tiny()
        cells = data.cells.assign(cell_type=data.cells["cell_type"].where(np.arange(N) > 3))
        as_anndata(replace(data, cells=cells)).write_h5ad(tmp_path / "x.h5ad")
        self.fit(tmp_path / "x.h5ad", tmp_path, capsys, "4 of 70 cells", options=("--label", "cell_type"))

    def test_damaged_and_absent_files(self, h5ad: Path, tmp_path: Path, capsys: Capture) -> None:
        (tmp_path / "cut.h5ad").write_bytes(h5ad.read_bytes()[:3000])
        self.fit(tmp_path / "cut.h5ad", tmp_path, capsys, "cut.h5ad")
        self.fit(tmp_path / "none.h5ad", tmp_path, capsys, "none.h5ad")

    def test_the_output_is_the_input(self, h5ad: Path, capsys: Capture) -> None:
        before = h5ad.read_bytes()
        refused(["fit", str(h5ad), "-o", str(h5ad), "--quiet"], capsys, "cells.h5ad")
        assert h5ad.read_bytes() == before


class TestInfo:
    def test_text(self, model: Path, capsys: Capture) -> None:
        assert run(["info", str(model)]) == 0
        out = " ".join(capsys.readouterr().out.split())
        for text in ("kind expression", "counts of 16 genes", "cell_type, plate", "B: ", "pDC: 2", "model cwgan"):
            assert text in out

    def test_json(self, model: Path, capsys: Capture) -> None:
        assert run(["info", str(model), "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["kind"] == "expression"
        assert content["space"]["labels"] == ["cell_type"]
        assert content["report"]["cells"] == N


class TestSample:
    @pytest.mark.parametrize("name", ["o.h5ad", "o.zarr", "o.csv", "o.parquet", "tenx"])
    def test_formats(self, model: Path, tmp_path: Path, name: str) -> None:
        out = tmp_path / name
        words = ["sample", str(model), "-n", "30", "-o", str(out), "--where", "cell_type=T cell", "--seed", "1"]
        assert run([*words, "--quiet"]) == 0
        drawn = load(model).sample(30, where={"cell_type": "T cell"}, random_state=1)
        if name.endswith((".csv", ".parquet")):
            frame = pd.read_csv(out) if name == "o.csv" else pd.read_parquet(out)
            assert frame.columns.tolist() == ["cell", "cell_type", "plate", "synthetic", *drawn.genes.index]
            np.testing.assert_array_equal(frame[drawn.genes.index].to_numpy(), dense(drawn))
            assert set(frame["cell_type"]) == {"T cell"}
            assert frame["synthetic"].all()
            return
        again = read_expression(out).data
        np.testing.assert_array_equal(dense(again), dense(drawn))
        assert again.measure == "counts"
        assert again.genes.index.tolist() == drawn.genes.index.tolist()
        assert set(again.cells["cell_type"]) == {"T cell"}
        assert again.cells["synthetic"].all()

    def test_the_same_seed_writes_the_same_bytes(self, model: Path, tmp_path: Path) -> None:
        for name in ("a.h5ad", "b.h5ad"):
            assert run(["sample", str(model), "-n", "8", "-o", str(tmp_path / name), "--seed", "7", "--quiet"]) == 0
        assert (tmp_path / "a.h5ad").read_bytes() == (tmp_path / "b.h5ad").read_bytes()

    def test_provenance_tells_the_model_and_the_seed(self, model: Path, tmp_path: Path) -> None:
        assert run(["sample", str(model), "-n", "2", "-o", str(tmp_path / "o.h5ad"), "--seed", "7", "--quiet"]) == 0
        told = anndata.read_h5ad(tmp_path / "o.h5ad").uns["synthkit"]
        assert told["seed"] == 7
        assert told["model"] == "cwgan"
        assert told["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()

    def test_conditions(self, model: Path, tmp_path: Path) -> None:
        words = ["sample", str(model), "-n", "60", "-o", str(tmp_path / "o.h5ad"), "--seed", "0", "--quiet"]
        for one in ("cell_type=pDC", "cell_type=B", "plate=x", "library_size=900"):
            words += ["--where", one]
        assert run(words) == 0
        drawn = read_expression(tmp_path / "o.h5ad").data
        assert set(drawn.cells["cell_type"]) <= {"pDC", "B"}
        assert set(drawn.cells["plate"]) == {"x"}
        assert drawn.totals().mean() == pytest.approx(900, rel=0.05)

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--where", "cell_type=pdc"], ["'cell_type' has an unknown value 'pdc'", "pDC"]),
            (["--where", "tissue=blood"], ["'tissue'", "cell_type"]),
            (["--where", "pDC"], ["'pDC' is no condition"]),
            (["--where", "library_size=0"], ["library_size"]),
            (["--raw"], ["--raw is for tables"]),
            (["--format", "dicom"], ["--format is for scans"]),
            (["-o", "out.xlsx"], ["'.xlsx'"]),
        ],
    )
    def test_wrong_words(
        self, model: Path, tmp_path: Path, capsys: Capture, options: list[str], texts: list[str]
    ) -> None:
        words = ["sample", str(model), "-n", "3", "--quiet", "-o", str(tmp_path / "o.h5ad")]
        if options[0] == "-o":
            words, options = words[:-2], ["-o", str(tmp_path / options[1])]
        refused([*words, *options], capsys, *texts)
        assert not list(tmp_path.iterdir())

    def test_a_folder_with_other_things_is_left_alone(self, model: Path, tmp_path: Path, capsys: Capture) -> None:
        (tmp_path / "mine.txt").write_text("keep")
        refused(["sample", str(model), "-n", "3", "-o", str(tmp_path), "--replace"], capsys)
        assert (tmp_path / "mine.txt").read_text() == "keep"


class TestBalance:
    @pytest.mark.parametrize("name", ["o.h5ad", "o.zarr", "o.csv"])
    def test_real_cells_come_first_and_untouched(self, h5ad: Path, model: Path, tmp_path: Path, name: str) -> None:
        words = ["balance", str(h5ad), "--model", str(model), "-o", str(tmp_path / name), "--seed", "1", "--quiet"]
        assert run(words) == 0
        data = tiny()
        if name == "o.csv":
            frame = pd.read_csv(tmp_path / name)
            np.testing.assert_array_equal(frame[data.genes.index].to_numpy()[:N], dense(data))
            cells = frame
        else:
            found = read_expression(tmp_path / name).data
            np.testing.assert_array_equal(dense(found)[:N], dense(data))
            assert found.cells.index[:N].tolist() == data.cells.index.tolist()
            cells = found.cells
        assert cells["synthetic"].tolist() == [k >= N for k in range(len(cells))]
        for column in ("cell_type", "plate", "donor", "n_counts", "doublet"):
            assert cells[column].iloc[:N].tolist() == data.cells[column].tolist()
        assert len(set(cells["cell_type"].value_counts())) == 1

    def test_counts_are_told(self, h5ad: Path, model: Path, tmp_path: Path, capsys: Capture) -> None:
        words = ["balance", str(h5ad), "--model", str(model), "-o", str(tmp_path / "o.h5ad"), "--seed", "1", "--json"]
        assert run([*words, "--counts", "pDC=6", "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["synthetic"] == 4
        assert "drawn from 2 real ones" in err

    def test_a_model_is_fitted_where_none_is_given(self, h5ad: Path, tmp_path: Path) -> None:
        words = ["balance", str(h5ad), "--label", "plate", "-o", str(tmp_path / "o.h5ad"), "--seed", "1", "--quiet"]
        assert run([*words, "--time-budget", "1s", "--save-model", str(tmp_path / "m.synth")]) == 0
        assert load(tmp_path / "m.synth").classes_ == ("x", "y")
        assert len(set(read_expression(tmp_path / "o.h5ad").data.cells["plate"].value_counts())) == 1

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--counts", "pDC=1"], ["has 2 cells, more than the 1"]),
            (["--counts", "pdc=30"], ["'pdc'"]),
            (["--counts", "pDC=2"], ["already"]),
            (["--ratio", "0.5", "--counts", "pDC=20"], ["Give one of them"]),
            (["--mark", "x"], ["--mark is for tables"]),
            (["--target", "cell_type"], ["--target is for tables"]),
            (["--format", "dicom"], ["--format is for scans"]),
        ],
    )
    def test_wrong_words(
        self, h5ad: Path, model: Path, tmp_path: Path, capsys: Capture, options: list[str], texts: list[str]
    ) -> None:
        words = ["balance", str(h5ad), "--model", str(model), "-o", str(tmp_path / "o.h5ad"), "--quiet", *options]
        refused(words, capsys, *texts)
        assert not list(tmp_path.iterdir())

    def test_a_column_of_classes_is_needed(self, h5ad: Path, tmp_path: Path, capsys: Capture) -> None:
        words = ["balance", str(h5ad), "-o", str(tmp_path / "o.h5ad"), "--quiet"]
        refused(words, capsys, "--label")
        refused([*words, "--label", "cell_typ"], capsys, "did you mean 'cell_type'")
        assert not list(tmp_path.iterdir())


class TestInterruption:
    WORDS = (
        "--model",
        "cwgan",
        "--steps",
        "1000000",
        "--time-budget",
        "5m",
        "--label",
        "cell_type",
        *ALL,
        "--seed",
        "0",
    )

    def test_ctrl_c_keeps_what_there_is_and_resume_goes_on(self, h5ad: Path, tmp_path: Path) -> None:
        out, log = tmp_path / "m.synth", tmp_path / "log.jsonl"
        words = ["fit", str(h5ad), "-o", str(out), *self.WORDS, "--log", str(log)]
        running = subprocess.Popen(
            [sys.executable, "-c", "from synthkit.cli import main; main()", *words],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        began = time.monotonic()
        while not (log.exists() and "critic and generator" in log.read_text()):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() - began < 100
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=100)
        assert running.returncode == 130
        assert "Traceback" not in err
        gan, checkpoint = load(out), out.with_name("m.synth.checkpoint")
        assert gan.report_["interrupted"]
        steps = gan.report_["game"]["steps"]
        assert 0 < steps < 1_000_000
        assert f"--resume goes on from '{checkpoint}'" in err
        words = ["fit", str(h5ad), "-o", str(out), *self.WORDS, "--quiet", "--resume"]
        words[words.index("5m")] = "1s"  # which is over: it goes no further
        assert run(words) == 0
        assert load(out).report_["game"]["steps"] >= steps
        assert not checkpoint.exists()
