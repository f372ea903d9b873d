from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import synthkit
from synthkit.cli import run


@pytest.mark.slow
@pytest.mark.timeout(600)  # ten seconds of work, but it may have to wait for a busy machine
def test_the_demonstration_runs_and_keeps_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    assert run(["demo", "--splits", "2", "-o", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "finds" in text
    assert "Done in" in text
    assert "boosted two-sample AUC" in (folder / "report.html").read_text(encoding="utf-8")
    facts = json.loads((folder / "scores.json").read_text())
    assert facts["splits"] == 2
    assert len(facts["verdict"]) >= 2
    assert {row["way"] for row in facts["balancing"]} >= {"as it is", "interpolation (SMOTE)", "TableGAN"}
    balanced = pd.read_csv(folder / "balanced.csv")
    assert balanced["diagnosis"].value_counts().nunique() == 1
    columns = list(synthkit.load(folder / "model.synth").sample(5).columns)
    assert columns == list(balanced.columns) == list(pd.read_csv(folder / "synthetic.csv").columns)


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["demo", "-o", str(tmp_path / "file")]) == 2
    assert run(["demo", "-o", str(tmp_path / "none" / "demo")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 2
