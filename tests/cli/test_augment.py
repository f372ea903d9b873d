from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthkit.cli import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, rows held out of it, and a table that does not fit."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, rows in (("train.csv", 240), ("holdout.csv", 120)):
        ill = random.random(rows) < 0.3
        frame = pd.DataFrame({"size": random.normal(2.0 * ill).round(3), "town": random.choice(["a", "b"], rows)})
        frame.assign(finding=np.where(ill, "ill", "well")).to_csv(name, index=False)
    pd.read_csv("train.csv").drop(columns="town").to_csv("other.csv", index=False)
    return tmp_path


QUICK = [
    "--target",
    "finding",
    "--treatments",
    "weights,oversampling",
    "--models",
    "linear",
    "--repeats",
    "2",
    "--quiet",
]


def test_the_text_on_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["augment", "train.csv", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert "Recommended:" in out
    assert "class weights" in out
    assert err == ""
    assert run(["augment", "train.csv", *QUICK]) == 0
    assert capsys.readouterr().out == out


def test_json_and_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["augment", "train.csv", "--test", "holdout.csv", *QUICK, "--json", "--report", "report.html"]
    assert run([*words, "--seed", "3", "--metric", "roc_auc", "--precision", "0.9"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "synthkit-augmentation"
    assert found["seed"] == 3
    assert (found["metric"], found["precision"]) == ("roc_auc", 0.9)
    assert found["rows"] == {"training": 192, "test": 96}
    assert set(found["provenance"]["inputs"]) == {"table", "test"}
    assert found["provenance"]["command"].startswith("synthkit augment train.csv")
    assert {outcome["treatment"] for outcome in found["outcomes"]} == {"none", "weights", "oversampling"}
    assert found["recommended"]["treatment"] in {"none", "weights", "oversampling"}
    assert found["recommended"]["reason"] in Path("report.html").read_text(encoding="utf-8").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["none.csv", "--target", "finding"], "no file 'none.csv'"),
        (["train.csv", "--target", "findin"], "did you mean 'finding'"),
        (["train.csv", "--target", "finding", "--treatments", "weigths"], "did you mean 'weights'"),
        (["train.csv", "--target", "finding", "--treatments", ","], "no treatment is named"),
        (["train.csv", "--target", "finding", "--models", "trees"], "unknown model 'trees'"),
        (["train.csv", "--target", "finding", "--metric", "auc"], "unknown metric 'auc'"),
        (["train.csv", "--target", "finding", "--repeats", "1"], "--repeats"),
        (["train.csv", "--target", "finding", "--time-budget", "soon"], "is not a duration"),
        (["train.csv", "--target", "finding", "--test", "other.csv"], "lacks the column 'town'"),
        (["train.csv", "--target", "finding", "--report", "report.pdf"], "a report ends in"),
        (["train.csv", "--target", "finding", "--report", "train.md/x.html"], "does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    before = sorted(folder.iterdir())
    assert run(["augment", *words, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert len(err.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def stop_at(repeat: int) -> Callable[..., Any]:
    """Progress that presses Ctrl-C when a repeat begins."""

    @contextmanager
    def progress(**_: Any) -> Iterator[Callable[[str], None]]:
        def tell(doing: str) -> None:
            if doing.startswith(f"repeat {repeat} "):
                signal.raise_signal(signal.SIGINT)

        yield tell

    return progress


def test_ctrl_c_gives_what_is_finished(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["augment", "train.csv", *QUICK, "--repeats", "5", "--json", "--report", "report.json"]
    monkeypatch.setattr("synthkit.cli.augment.metric_progress", stop_at(4))
    assert run(words) == 130
    found = json.loads(capsys.readouterr().out)
    assert found["interrupted"] is True
    assert (found["repeats"], found["asked_repeats"]) == (3, 5)
    assert json.loads(Path("report.json").read_text()) == found


def test_ctrl_c_before_anything_can_be_said_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthkit.cli.augment.metric_progress", stop_at(2))
    assert run(["augment", "train.csv", *QUICK, "--repeats", "5", "--report", "report.json"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "interrupted; nothing was written" in err
    assert not Path("report.json").exists()
