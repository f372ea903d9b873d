"""Models of expression of every version open and draw what they drew; files that are not whole are one sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthkit import load
from synthkit.archive import read_archive, write_archive
from synthkit.cli import run
from synthkit.errors import ModelFileError
from synthkit.expression.storage import VERSION

HERE = Path(__file__).parent
MODELS = sorted(HERE.glob("expression-*.synth"))
CURRENT = HERE / f"expression-v{VERSION}.synth"
Capture = pytest.CaptureFixture[str]

by_model = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)


def test_there_is_a_golden_model_of_this_version() -> None:
    assert CURRENT in MODELS
    assert CURRENT.stat().st_size < 1_500_000


@by_model
def test_it_draws_what_it_drew(path: Path) -> None:
    drawn = load(path).sample(40, random_state=1)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
        assert drawn.cells["cell_type"].astype(str).tolist() == stored["types"].tolist()
        assert drawn.cells["plate"].tolist() == stored["plates"].tolist()
        np.testing.assert_allclose(drawn.cells["age"], stored["ages"], rtol=1e-5)
        # a rate that is rounded otherwise is another count now and then, or another candidate is chosen
        assert (drawn.values.toarray() != stored["values"]).mean() < 0.1


@by_model
def test_it_knows_its_genes_and_cells(path: Path) -> None:
    gan = load(path)
    assert gan.classes_ == ("T cell", "B")
    assert gan.genes_.index.tolist() == [f"ENSG{k:011d}" for k in range(12)]
    assert gan.genes_["symbol"].isna().tolist() == [True] + [False] * 11
    assert gan.genes_["length"].dtype == "Int64"
    assert gan.genes_["biotype"].cat.categories.tolist() == ["coding", "other"]
    drawn = gan.sample(30, where={"cell_type": "B", "plate": 2, "library_size": 500}, random_state=2)
    assert drawn.cells["cell_type"].dtype == pd.CategoricalDtype(["T cell", "B", "never"])
    assert drawn.cells["plate"].dtype == np.int64
    assert set(drawn.cells["cell_type"]) == {"B"}
    assert set(drawn.cells["plate"]) == {2}
    assert drawn.cells["age"].between(20, 80).all()
    assert drawn.totals().mean() == pytest.approx(500, rel=0.05)
    # markers of B cells are the first three genes
    other = gan.sample(200, where={"cell_type": "T cell"}, random_state=2)
    shares = [one.values[:, :3].sum() / one.values.sum() for one in (gan.sample(200, where={"cell_type": "B"}), other)]
    assert max(shares) > 3 * min(shares)


@by_model
def test_it_is_saved_again_without_loss(path: Path, tmp_path: Path) -> None:
    load(path).save(tmp_path / "again.synth")
    one, two = (load(file).sample(20, random_state=3) for file in (path, tmp_path / "again.synth"))
    np.testing.assert_array_equal(one.values.toarray(), two.values.toarray())
    pd.testing.assert_frame_equal(one.cells, two.cells)


# ------------------------------------------------------------------------------------------------------ damaged files


def refused(path: Path, capsys: Capture, *texts: str) -> None:
    """Both verbs that open models say it in one sentence with exit 2, and write nothing."""
    with pytest.raises(ModelFileError):
        load(path)
    out = path.with_name("out.h5ad")
    for words in (["sample", str(path), "-n", "5", "-o", str(out)], ["info", str(path)]):
        assert run(words) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1, err
        for text in texts:
            assert text in err
    assert not out.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated(share: float, tmp_path: Path, capsys: Capture) -> None:
    content = CURRENT.read_bytes()
    (tmp_path / "cut.synth").write_bytes(content[: int(len(content) * share)])
    refused(tmp_path / "cut.synth", capsys, "cut.synth")


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Path:
    """The golden model with a changed manifest and arrays, and right checksums."""
    archive = read_archive(CURRENT)
    manifest = {name: value for name, value in archive.manifest.items() if name not in ("files", "checksum")}
    change(manifest, archive.tensors["model"])
    write_archive(path, manifest, tensors=archive.tensors, texts=archive.texts)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest, arrays: manifest.pop("space"),
        lambda manifest, arrays: manifest.pop("model"),
        lambda manifest, arrays: manifest["space"].pop("joint"),
        lambda manifest, arrays: manifest["space"].update(genes=[]),
        lambda manifest, arrays: manifest["space"]["genes"]["columns"][0].update(dtype="nonsense"),
        lambda manifest, arrays: manifest["space"]["classes"]["columns"][0].update(values=[7, 8]),
        lambda manifest, arrays: manifest["space"].update(quantiles=[1.0]),
        lambda manifest, arrays: manifest["model"].update(values=None),
        lambda manifest, arrays: manifest["model"]["values"].pop("depths"),
        lambda manifest, arrays: manifest["model"]["values"].update(conditions=[9, 9, 9]),
        lambda manifest, arrays: arrays.pop("base"),
        lambda manifest, arrays: arrays.pop("anchor/roots"),
        lambda manifest, arrays: arrays.pop("generator/move.bias"),
        lambda manifest, arrays: arrays.pop("margins/shares-drawn"),
        lambda manifest, arrays: arrays.pop("refinement/genes"),
        lambda manifest, arrays: manifest["model"]["values"]["refinement"].update(trees="tree"),
    ],
)
def test_a_part_that_makes_no_sense(
    change: Callable[[dict[str, Any], dict[str, Any]], object], tmp_path: Path, capsys: Capture
) -> None:
    refused(rewritten(tmp_path / "odd.synth", change), capsys, "odd.synth", "Fit the model again")


def test_a_newer_version_or_an_unknown_model_is_told_as_such(tmp_path: Path, capsys: Capture) -> None:
    path = rewritten(tmp_path / "new.synth", lambda manifest, _: manifest.update(expression_version=VERSION + 1))
    refused(path, capsys, "new.synth", "Upgrade synthkit")
    path = rewritten(tmp_path / "new.synth", lambda manifest, _: manifest["model"].update(name="diffusion"))
    refused(path, capsys, "'diffusion'", "Upgrade synthkit")


def test_a_changed_array_is_seen(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "changed.synth"
    with zipfile.ZipFile(CURRENT) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:-1] + bytes([data[-1] ^ 1]) if name.endswith(".safetensors") else data)
    refused(path, capsys, "damaged or was changed")


def test_nothing_in_it_is_code() -> None:
    with zipfile.ZipFile(CURRENT) as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".json", ".safetensors"}
