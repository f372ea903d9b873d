"""Model files of every format version open and give what they gave; files that are not whole are one sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit import load
from synthkit.archive import FORMAT_VERSION
from synthkit.cli import run
from synthkit.errors import ModelFileError
from synthkit.testing import check_domain

HERE = Path(__file__).parent
MODELS = sorted(HERE.glob("table-*.synth"))
CURRENT = HERE / f"table-v{FORMAT_VERSION}.synth"

by_model = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)


def test_there_is_a_golden_model_of_this_format() -> None:
    assert CURRENT in MODELS
    assert CURRENT.stat().st_size < 200_000


def stored(path: Path, which: str) -> pd.DataFrame:
    return pd.read_csv(path.with_name(f"{path.stem}-{which}.csv"))


@by_model
@pytest.mark.parametrize(("which", "refined"), [("refined", True), ("raw", False)])
def test_it_gives_the_rows_that_it_gave(path: Path, which: str, refined: bool, tmp_path: Path) -> None:
    load(path).sample(20, random_state=1, refined=refined).to_csv(tmp_path / "again.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "again.csv"), stored(path, which), rtol=1e-6)


@by_model
def test_it_knows_its_table(path: Path) -> None:
    gan = load(path)
    assert gan.schema_.target == "income"
    assert gan.report_["refinement"].startswith("kept")
    rows = gan.sample(500, random_state=2)
    check_domain(rows, gan.sample(0), gan.schema_)
    assert rows["wage"].corr(rows["age"]) > 0.5
    assert str(rows["joined"].dtype) == "datetime64[ns, UTC]"
    assert rows["level"].cat.ordered
    assert (rows["country"] == "CH").all()
    rare = gan.sample(50, where={"town": None, "age": (20, 25), "income": ">50K"}, random_state=3)
    assert rare["town"].isna().all()
    assert rare["age"].between(20, 25).all()
    assert np.isfinite(gan.log_likelihood(rows)).all()
    assert not gan.impute(rows, random_state=0)[["wage", "town"]].isna().any().any()


@by_model
def test_saved_again_it_is_a_model_of_this_format(path: Path, tmp_path: Path) -> None:
    load(path).save(tmp_path / "again.synth")
    manifest = json.loads(zipfile.ZipFile(tmp_path / "again.synth").read("manifest.json"))
    assert manifest["format_version"] == FORMAT_VERSION
    one, two = (load(file).sample(30, random_state=4) for file in (path, tmp_path / "again.synth"))
    pd.testing.assert_frame_equal(one, two)


# ------------------------------------------------------------------------------------------------------ damaged files


def refused(path: Path, capsys: pytest.CaptureFixture[str], *texts: str) -> None:
    """Both verbs that open models say it in one sentence with exit 2, and write nothing."""
    with pytest.raises(ModelFileError):
        load(path)
    out = path.with_name("out.csv")
    for words in (["sample", str(path), "-n", "5", "-o", str(out)], ["info", str(path)]):
        assert run(words) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err
        for text in texts:
            assert text in err
    assert not out.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated(share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.synth"
    content = CURRENT.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, capsys, "cut.synth")


@settings(max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_bit_flipped(place: float, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Either the file is refused, or (in what a zip says twice, or of no weight) it gives the very same rows."""
    content = bytearray(CURRENT.read_bytes())
    content[int(len(content) * place)] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "flipped.synth"
    path.write_bytes(content)
    told = ""
    try:
        gan = load(path)
    except ModelFileError as error:
        told = str(error)
    if told:
        assert len(told.splitlines()) == 1
    else:
        pd.testing.assert_frame_equal(gan.sample(5, random_state=1), load(CURRENT).sample(5, random_state=1))


@pytest.mark.parametrize("entry", ["codes.safetensors", "encoder.safetensors", "trees-000.txt"])
def test_a_changed_entry(entry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rewritten(tmp_path, lambda name, data: data[:-1] + bytes([data[-1] ^ 1]) if name == entry else data)
    refused_by_load(path)
    assert run(["sample", str(path), "-n", "5", "-o", str(tmp_path / "out.csv")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("entry", ["codes.safetensors", "layout.safetensors", "manifest.json"])
def test_an_entry_left_out(entry: str, tmp_path: Path) -> None:
    refused_by_load(rewritten(tmp_path, lambda name, data: None if name == entry else data))


def test_a_newer_format_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def newer(name: str, data: bytes) -> bytes:
        if name != "manifest.json":
            return data
        return json.dumps({**json.loads(data), "format_version": FORMAT_VERSION + 1}).encode()

    refused(rewritten(tmp_path, newer), capsys, "newer")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 and then nothing"])
def test_something_else(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "else.synth").write_bytes(content)
    refused(tmp_path / "else.synth", capsys, "else.synth")


def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(tmp_path / "none.synth", capsys, "none.synth")


def refused_by_load(path: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def rewritten(folder: Path, change) -> Path:
    """The golden model with entries changed or, where ``change`` gives None, left out."""
    path = folder / "changed.synth"
    with zipfile.ZipFile(CURRENT) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            data = change(name, source.read(name))
            if data is not None:
                target.writestr(name, data)
    return path
