from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from patients_scans import bare, scans_of

from synthkit.auditing.scans.case import planted
from synthkit.cli import run
from synthkit.io.provenance import Provenance
from synthkit.io.scan_write import write_scans

TRAIN, HOLDOUT = scans_of(240, 1), scans_of(220, 2)
MADE = Provenance("r3", 0, "a" * 64)
QUICK = ["--extractor", "none", "--quiet"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    np.savez(folder / "real.npz", train_images=TRAIN.images[:, 0], test_images=HOLDOUT.images[:, 0])
    np.savez(folder / "held.npz", images=HOLDOUT.images[:, 0])
    copies = planted(TRAIN.take(np.arange(210)), np.random.default_rng(0))
    as_bytes = np.clip(np.rint(copies.images), 0, 255).astype(np.uint8)
    for name, images in {"clean": scans_of(210, 3).images, "leaky": as_bytes}.items():
        scans = bare(scans_of(210, 3))
        write_scans(type(scans)(images), folder / name, format="png", provenance=MADE)
    return folder


def command(data: Path, *words: str) -> int:
    return run(["audit", *(word.replace("DATA", str(data)) for word in words)])


def test_a_clean_release_meets_the_policy_and_gets_reports(data: Path, tmp_path: Path) -> None:
    reports = [tmp_path / f"audit.{ending}" for ending in ("html", "md", "json")]
    named = [word for report in reports for word in ("--report", str(report))]
    code = command(data, "DATA/real.npz", "DATA/clean", "--holdout", "DATA/held.npz", *QUICK, *named)
    assert code == 0
    content = json.loads(reports[2].read_text())
    assert content["rows"] == {"real": 240, "held-out": 220, "synthetic": 210, "targets": 240}
    assert content["metadata"]["unmarked"] == 0
    assert set(content["provenance"]["inputs"]) == {"real", "synthetic", "held-out"}
    assert content["provenance"]["inputs"]["synthetic"]["sha256"]
    assert reports[0].read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "audit.manifest.json").is_file()


def test_a_leaky_release_ends_with_exit_code_three(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = str(tmp_path / "audit.json")
    code = command(
        data, "DATA/leaky", "--train", "DATA/real.npz", "--holdout", "DATA/real.npz", *QUICK, "--report", report
    )
    assert code == 3
    assert "copied scans" in capsys.readouterr().err
    content = json.loads(Path(report).read_text())
    assert content["passed"] is False
    assert content["rows"]["held-out"] == 220  # the test part of the same file


def test_the_manifest_notices_a_changed_folder(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scans(bare(scans_of(30, 3)), tmp_path / "out", format="png", provenance=MADE)
    report = tmp_path / "audit.md"
    words = ["DATA/real.npz", str(tmp_path / "out"), "--holdout", "DATA/held.npz", "--policy", "none", *QUICK]
    assert command(data, *words, "--report", str(report)) == 0
    manifest = str(tmp_path / "audit.manifest.json")
    assert run(["audit", "--check", manifest]) == 0
    assert "unchanged" in capsys.readouterr().out
    (tmp_path / "out" / "000001.png").write_bytes(b"other")
    assert run(["audit", "--check", manifest]) == 3
    assert "is changed" in capsys.readouterr().err


def test_text_goes_to_the_terminal(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["DATA/real.npz", "DATA/clean", "--holdout", "DATA/held.npz", "--extractor", "none", "--policy", "none"]
    assert command(data, *words) == 0
    shown = capsys.readouterr().out
    assert "Copy rate (scan-copies)" in shown
    assert "No policy" in shown


def test_without_held_out_scans_the_policy_is_not_met(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(data, "DATA/real.npz", "DATA/clean", *QUICK) == 3
    assert "pass real scans that the generator never saw with --holdout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["DATA/real.npz", "DATA/clean", "--sensitive", "age"], "--sensitive is for tables"),
        (["DATA/real.npz", "DATA/clean", "--shadow", "4"], "--shadow is for tables"),
        (["DATA/real.npz", "DATA/none"], "DATA/none"),
        (["DATA/real.npz"], "Missing argument 'SYNTHETIC'"),
        (["DATA/real.npz", "DATA/clean", "--train", "DATA/real.npz"], "leave one out"),
        (["DATA/real.npz", "DATA/table.csv"], "hold a table"),
        (["DATA/table.csv", "DATA/clean"], "hold scans"),
        (["DATA/table.csv", "DATA/table.csv", "--extractor", "none"], "--extractor is for scans"),
        (["DATA/real.npz", "DATA/clean", "--policy", "no-such"], "no-such"),
        (["DATA/real.npz", "DATA/clean", "--report", "DATA/none/a.html"], "none/a.html"),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    data: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "table.csv").write_text("a,b\n1,2\n3,4\n")
    assert command(data, *words) == 2
    message = capsys.readouterr().err
    assert told.replace("DATA", str(data)) in message
    assert "Traceback" not in message


def test_a_policy_file_of_ones_own_is_used(data: Path, tmp_path: Path) -> None:
    policy = tmp_path / "ours.yaml"
    policy.write_text(
        "name: ours\ngates:\n  - {name: copies, risk: scan-copies, outcome: no disclosure, reason: No copies.}\n"
    )
    words = ["DATA/real.npz", "DATA/leaky", "--holdout", "DATA/held.npz", *QUICK, "--policy", str(policy)]
    assert command(data, *words) == 3
