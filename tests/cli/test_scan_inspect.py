"""``synthkit inspect`` of scans."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from phantoms import dataset, heads, shapes, uid, write, write_arrays, write_heads, write_pictures

from synthkit.cli import run
from synthkit.scans.fit_outlook import fit_outlook

Capture = pytest.CaptureFixture[str]


def test_a_folder_is_told_with_what_is_left_out_and_how_long_a_fit_takes(tmp_path: Path, capsys: Capture) -> None:
    write_heads(tmp_path / "s", heads(4))
    cut = write(tmp_path / "s" / "cut.dcm", dataset(np.zeros((24, 24), np.uint16), SOPInstanceUID=uid("cut")))
    cut.write_bytes(cut.read_bytes()[:-50])
    assert run(["inspect", str(tmp_path / "s")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"{tmp_path / 's'}: 49 files, 4 scans"
    assert "  left/head-000: CT, 12 x 24 x 24, 3 x 1 x 1 mm, 12 files -> 1 scan" in lines
    assert "  cut.dcm: cut off: 1,152 bytes of pixels expected, 1,102 there" in lines
    assert "used: 4 scans of 12 x 24 x 24, grey, CT in HU, 12 bits, 0.1 MiB" in lines
    assert "classes: left 2, right 2" in lines
    assert "patients: 4" in lines
    assert any(line.startswith("fit: a fit with recipe r3 at 12 x 24 x 24 takes 10 minutes on") for line in lines)
    assert any("4 scans are too few" in line for line in lines)


def test_json_holds_the_same_and_options_reach_the_reader(tmp_path: Path, capsys: Capture) -> None:
    write_heads(tmp_path / "s", heads(3))
    words = ["inspect", str(tmp_path / "s"), "--slices", "each", "--labels", "tag:BodyPartExamined", "--size", "16"]
    assert run([*words, "--time-budget", "1h", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scans"] == 36
    assert found["size"] == [16, 16]
    assert found["classes"] == {"HEAD": 36}
    assert found["patients"] == 3
    assert found["outlook"]["seconds"] == 3600
    assert len(found["report"]["found"]) == 3


def test_arrays_and_pictures(tmp_path: Path, capsys: Capture) -> None:
    write_arrays(tmp_path / "a.npz", shapes(60, 16))
    write_pictures(tmp_path / "p", shapes(30, 16))
    assert run(["inspect", str(tmp_path / "a.npz")]) == 0
    out = capsys.readouterr().out
    assert "used: 60 scans of 16 x 16, grey, OT, 8 bits" in out
    assert "patients: unknown, so that each scan counts as one" in out
    assert run(["inspect", str(tmp_path / "p")]) == 0
    assert "classes: cross 10, disc 10, square 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "x"], "--target is for tables, and"),
        (["-o", "out.yaml"], "--output is for tables, and"),
        (["--size", "big"], "the size 'big' is none"),
        (["--time-budget", "soon"], "soon"),
        (["--labels", "nowhere.csv"], "there is no file 'nowhere.csv'"),
        (["--split", "test"], "has no split 'test'"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_2(tmp_path: Path, capsys: Capture, words: list[str], said: str) -> None:
    write_pictures(tmp_path / "p", shapes(6, 16))
    assert run(["inspect", str(tmp_path / "p"), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("synthkit: error: ")
    assert said in err
    assert err.count("\n") == 1


def test_options_of_scans_mean_nothing_for_tables(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n2,3\n")
    assert run(["inspect", str(tmp_path / "t.csv"), "--slices", "each"]) == 2
    assert "--slices is for scans, and" in capsys.readouterr().err


def test_the_outlook_grows_with_the_budget_and_warns_of_little() -> None:
    short = fit_outlook(1_000, (16, 16), time_budget="1m", counts={"a": 990, "b": 10})
    long = fit_outlook(1_000, (16, 16), time_budget="10m", counts={"a": 990, "b": 10})
    assert long.steps >= short.steps
    assert long.passes == pytest.approx(long.images / 1_000)
    assert any("'b' (10)" in text for text in short.warnings)
    assert fit_outlook(40, (300, 200)).size == (128, 85)
    assert "40 scans are few" in fit_outlook(40, (16, 16)).warnings[0]
    assert json.loads(json.dumps(long.to_dict()))["steps"] == long.steps
