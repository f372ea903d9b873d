"""``synthkit evaluate`` on scans: what it prints and writes, exit codes, and what it refuses in one sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from phantoms import shapes, write_pictures

from synthkit.cli import run
from synthkit.evaluation.scans.appearance import blurred
from synthkit.io.scan_set import ScanSet


def scans(seed: int, n: int = 60) -> ScanSet:
    return dataclasses.replace(shapes(n, 16, seed=seed), masks=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scans")
    for seed, name in enumerate(("train", "test", "synthetic")):
        write_pictures(place / name, scans(seed))
    bad = scans(2)
    np.savez(place / "blurred.npz", images=blurred(bad.images, 3)[:, 0], labels=bad.labels, classes=list(bad.classes))
    parts = {name: scans(seed) for seed, name in enumerate(("train", "test"))}
    arrays = {f"{name}_images": part.images[:, 0] for name, part in parts.items()}
    arrays |= {f"{name}_labels": part.labels for name, part in parts.items()}
    np.savez(place / "all.npz", **arrays, classes=list(bad.classes))
    (place / "table.csv").write_text("a,b\n1,2\n")
    return place


def words(folder: Path, real: str = "train", synthetic: str = "synthetic", test: str = "test") -> list[str]:
    chosen = ["evaluate", str(folder / real), str(folder / synthetic), "--test", str(folder / test)]
    return [*chosen, "--extractor", "radiomic", "--suite", "quick"]


def test_it_prints_the_scores_and_writes_every_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [folder / f"report.{ending}" for ending in ("html", "md", "json")]
    reports = [word for path in outputs for word in ("--report", str(path))]
    assert run([*words(folder), *reports, "--json", str(folder / "scores.json")]) == 0
    text = capsys.readouterr().out
    assert "60 synthetic scans against 60 real scans (60 held out)" in text
    assert "all of 3 gates met" in text
    content = json.loads((folder / "scores.json").read_text())
    assert content["provenance"]["command"].startswith("synthkit evaluate ")
    assert set(content["provenance"]["inputs"]) == {"real", "synthetic", "held-out"}
    assert content == json.loads((folder / "report.json").read_text())
    assert all(path.stat().st_size > 1000 for path in outputs)
    assert not list(folder.glob(".tmp-*"))


def test_a_gate_that_is_not_met_ends_with_3_and_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words(folder, synthetic="blurred.npz"), "--quiet"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "recall" in said.err
    assert "of the suite 'quick'" in said.err


def test_one_file_with_splits_is_both_real_and_held_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "splits.json"
    assert run([*words(folder, "all.npz", test="all.npz"), "--quiet", "--json", str(path)]) == 0
    separate = folder / "separate.json"
    assert run([*words(folder), "--quiet", "--json", str(separate)]) == 0
    one, other = (json.loads(place.read_text()) for place in (path, separate))
    assert one["scans"] == other["scans"] == {"real": 60, "held-out": 60, "synthetic": 60}
    capsys.readouterr()
    assert run([*words(folder, "all.npz", test="all.npz"), "--split", "val"]) == 2
    assert "Leave --split out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--target", "income"], "--target is for tables, and"),
        (["--group", "age"], "--group is for tables, and"),
        (["--suite", "strct"], "strct"),
        (["--report", "report.pdf"], "a report ends in .html, .md or .json"),
        (["--extractor", "radiomics"], "radiomic"),
    ],
)
def test_wrong_options_are_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], extra: list[str], said: str
) -> None:
    assert run([*words(folder), *extra]) == 2
    text = capsys.readouterr().err
    assert said in text
    assert "Traceback" not in text


def test_an_option_of_scans_is_refused_for_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(folder / "table.csv")
    assert run(["evaluate", table, table, "--extractor", "domain"]) == 2
    assert "--extractor is for scans, and" in capsys.readouterr().err


def test_a_table_in_place_of_scans_is_refused_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder / "nothing.html"
    assert run([*words(folder, synthetic="table.csv"), "--report", str(output)]) == 2
    assert "hold no scans" in capsys.readouterr().err
    assert run([*words(folder, synthetic="missing/"), "--report", str(output)]) == 2
    assert not output.exists()


def test_larger_real_scans_are_compared_at_the_size_of_the_synthetic_ones(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = dataclasses.replace(shapes(60, 32), masks=None)
    write_pictures(tmp_path / "large", large)
    scores = tmp_path / "scores.json"
    asked = ["evaluate", str(tmp_path / "large"), str(folder / "synthetic"), "--extractor", "radiomic", "--quiet"]
    assert run([*asked, "--suite", "scores-only", "--labels", "none", "--json", str(scores)]) == 0
    assert json.loads(scores.read_text())["form"]["size"] == [16, 16]
