"""Models of scans of every version open and draw what they drew; files that are not whole are one sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from synthkit import load
from synthkit.archive import read_archive, write_archive
from synthkit.cli import run
from synthkit.errors import ModelFileError
from synthkit.scans.storage import VERSION

HERE = Path(__file__).parent
MODELS = sorted(HERE.glob("scans-*.synth"))
CURRENT = HERE / f"scans-v{VERSION}.synth"

by_model = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)


def test_there_is_a_golden_model_of_this_version() -> None:
    assert CURRENT in MODELS
    assert CURRENT.stat().st_size < 400_000


@by_model
def test_it_draws_what_it_drew(path: Path) -> None:
    drawn = load(path).sample(6, random_state=1)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
        np.testing.assert_array_equal(drawn.labels, stored["labels"])
        np.testing.assert_allclose(drawn.images, stored["images"], atol=2)
        assert (drawn.masks != stored["masks"]).mean() < 0.02


@by_model
def test_it_knows_its_scans(path: Path) -> None:
    gan = load(path)
    assert gan.classes_ == ("normal", "lesion")
    assert gan.size_ == (12, 10)
    assert gan.form_.units == "HU"
    assert gan.form_.spacing == (1.5, 0.8)
    drawn = gan.sample(5, where={"label": "lesion"}, random_state=2)
    assert drawn.images.dtype == np.int16
    assert drawn.images.shape == (5, 1, 12, 10)
    assert set(np.unique(drawn.masks)) <= {0, 1}
    assert (drawn.labels == 1).all()


@by_model
def test_it_is_saved_again_without_loss(path: Path, tmp_path: Path) -> None:
    load(path).save(tmp_path / "again.synth")
    one, two = (load(file).sample(4, random_state=3) for file in (path, tmp_path / "again.synth"))
    np.testing.assert_array_equal(one.images, two.images)


# ------------------------------------------------------------------------------------------------------ damaged files


def refused(path: Path, capsys: pytest.CaptureFixture[str], *texts: str) -> None:
    """Both verbs that open models say it in one sentence with exit 2, and write nothing."""
    with pytest.raises(ModelFileError):
        load(path)
    out = path.with_name("out")
    for words in (["sample", str(path), "-n", "5", "-o", str(out)], ["info", str(path)]):
        assert run(words) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        for text in texts:
            assert text in err
    assert not out.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated(share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = CURRENT.read_bytes()
    (tmp_path / "cut.synth").write_bytes(content[: int(len(content) * share)])
    refused(tmp_path / "cut.synth", capsys, "cut.synth")


def rewritten(path: Path, change) -> Path:
    """The golden model with a changed manifest and arrays, and right checksums."""
    archive = read_archive(CURRENT)
    manifest = {name: value for name, value in archive.manifest.items() if name not in ("files", "checksum")}
    change(manifest, archive.tensors)
    write_archive(path, manifest, tensors=archive.tensors, texts=archive.texts)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest, tensors: manifest.pop("space"),
        lambda manifest, tensors: manifest["spec"].update(size=[3, 3]),
        lambda manifest, tensors: manifest["spec"].update(size=[64, 64]),
        lambda manifest, tensors: manifest["recipe"].update(family="nonsense"),
        lambda manifest, tensors: manifest["recipe"].update(generator="nonsense"),
        lambda manifest, tensors: manifest["recipe"].update(unheard_of=1),
        lambda manifest, tensors: manifest["networks"].append("other"),
        lambda manifest, tensors: manifest["space"]["intensity"].update(low=5000),
        lambda manifest, tensors: manifest["space"].update(dtype="object?"),
        lambda manifest, tensors: tensors.pop("network-generator"),
        lambda manifest, tensors: tensors["network-generator"].popitem(),
    ],
)
def test_a_part_that_makes_no_sense(change, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(rewritten(tmp_path / "odd.synth", change), capsys, "odd.synth", "Fit the model again")


def test_a_newer_version_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rewritten(tmp_path / "new.synth", lambda manifest, _: manifest.update(scans_version=VERSION + 1))
    refused(path, capsys, "new.synth", "Upgrade synthkit")


def test_a_changed_weight_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "changed.synth"
    with zipfile.ZipFile(CURRENT) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:-1] + bytes([data[-1] ^ 1]) if name.startswith("network") else data)
    refused(path, capsys, "damaged or was changed")


def test_nothing_in_it_is_code() -> None:
    with zipfile.ZipFile(CURRENT) as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".json", ".safetensors"}
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["kind"] == "scans"
    assert "critic" not in manifest["networks"]
