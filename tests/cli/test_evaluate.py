from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit.cli import run


def people(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, 120)
    return pd.DataFrame(
        {
            "age": age,
            "hours": np.round(20 + age / 4 + random.normal(0, 2, 120), 1),
            "town": pd.Series(random.choice(["Bern", "Basel"], 120)).mask(random.random(120) < 0.2),
            "income": np.where(age > 50, ">50K", "<=50K"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("evaluate")
    for seed, name in enumerate(["train", "test", "synthetic"]):
        people(seed).to_csv(place / f"{name}.csv", index=False)
    people(2).to_parquet(place / "synthetic.parquet", index=False)
    people(2).drop(columns="town").to_csv(place / "narrow.csv", index=False)
    people(2).assign(age="old").to_csv(place / "words.csv", index=False)
    people(2).head(0).to_csv(place / "header.csv", index=False)
    return place


def test_it_prints_scores_and_their_meaning_and_writes_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(folder / "train.csv"), str(folder / "synthetic.csv"), "--test", str(folder / "test.csv")]
    assert run([*words, "--target", "income", "--json", str(folder / "scores.json")]) == 0
    text = capsys.readouterr().out
    assert "120 synthetic rows against 120 real rows (120 held out)" in text
    assert "trained on synthetic rows" in text
    scores = json.loads((folder / "scores.json").read_text())["scores"]
    assert scores["c2st_tree"]["low"] <= scores["c2st_tree"]["value"] <= scores["c2st_tree"]["high"]
    assert not list(folder.glob(".tmp-*"))


def test_formats_may_differ_and_quiet_is_quiet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("synthetic.csv", "synthetic.parquet"):
        words = ["evaluate", str(folder / "train.csv"), str(folder / name), "--quiet"]
        assert run([*words, "--json", str(folder / f"{name}.json")]) == 0
    assert capsys.readouterr().out == ""
    first, second = (json.loads((folder / f"synthetic.{kind}.json").read_text()) for kind in ("csv", "parquet"))
    assert first.pop("provenance") != second.pop("provenance")
    assert first == second
    assert "split off" in first["notes"][0]


def test_a_copy_fails_its_gates_and_the_exit_code_is_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(folder / "train.csv"), str(folder / "train.csv"), "--test", str(folder / "test.csv")]
    report = folder / "copy.html"
    assert run([*words, "--report", str(report)]) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("synthkit: error: 4 gates of the suite 'standard' are not met: ")
    assert "copied rows, whole table" in captured.err
    assert captured.err.count("\n") == 1
    assert "4 of 12 gates not met" in captured.out
    assert "Not passed" in report.read_text(encoding="utf-8")
    assert run([*words, "--suite", "scores-only", "--quiet"]) == 0


def test_reports_hold_what_repeats_the_run(folder: Path) -> None:
    words = ["evaluate", str(folder / "train.csv"), str(folder / "synthetic.csv"), "--suite", "quick", "--quiet"]
    words += ["--sensitive", "town", "--group", "town"]
    for suffix in ("html", "md", "json"):
        words += ["--report", str(folder / f"quick.{suffix}")]
    assert run(words) == 0
    found = json.loads((folder / "quick.json").read_text())["provenance"]
    assert found["command"] == shlex.join(["synthkit", *words])
    assert found["inputs"]["real"]["sha256"] == hashlib.sha256((folder / "train.csv").read_bytes()).hexdigest()
    for suffix in ("html", "md"):
        text = (folder / f"quick.{suffix}").read_text(encoding="utf-8")
        assert found["inputs"]["synthetic"]["sha256"] in text
        assert found["versions"]["numpy"] in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.csv", "narrow.csv"], "it lacks 'town'"),
        (["train.csv", "header.csv"], "no rows"),
        (["train.csv", "none.csv"], "none.csv"),
        (["train.csv", "synthetic.csv", "--target", "incme"], "did you mean 'income'"),
        (["train.csv", "synthetic.csv", "--json", "train.csv"], "train.csv"),
        (["train.csv", "synthetic.csv", "--json", "nowhere/scores.json"], "nowhere"),
        (["train.csv", "synthetic.csv", "--report", "report.pdf"], "'report.pdf'"),
        (["train.csv", "synthetic.csv", "--report", "a.md", "--json", "a.md"], "is named as an output twice"),
        (["train.csv", "synthetic.csv", "--suite", "quik"], "did you mean 'quick'"),
        (["train.csv", "synthetic.csv", "--suite", "none.yaml"], "there is no suite 'none.yaml'"),
        (["train.csv", "synthetic.csv", "--target", "income", "--sensitive", "income"], "is the target"),
        (["train.csv", "words.csv"], "column 'age' holds numbers in the real table"),
        (["train.csv"], "SYNTHETIC"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(["evaluate", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(folder.iterdir()) == before
