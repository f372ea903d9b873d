from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit.cli import run

SUITE = """
name: small
metrics: [shape_err, c2st_tree, copied]
gates:
  - {metric: copied, comparison: "<=", threshold: 0.05, relative_to: ceiling, reason: No row is repeated.}
"""


def people(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, 120)
    hours = np.round(20 + age / 4 + random.normal(0, 2, 120), 1)
    return pd.DataFrame({"age": age, "hours": hours, "income": np.where(age > 50, ">50K", "<=50K")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("compare")
    for seed, name in enumerate(["train", "test", "ours", "theirs"]):
        people(seed).to_csv(place / f"{name}.csv", index=False)
    people(0).sample(frac=1, random_state=0).to_parquet(place / "copy.parquet", index=False)
    people(3).drop(columns="age").to_csv(place / "narrow.csv", index=False)
    (place / "small.yaml").write_text(SUITE)
    (place / "other").mkdir()
    people(4).to_csv(place / "other" / "ours.csv", index=False)
    return place


def words(folder: Path, *names: str) -> list[str]:
    tables = [str(folder / name) for name in names]
    common = ["--test", str(folder / "test.csv"), "--suite", str(folder / "small.yaml")]
    return ["compare", str(folder / "train.csv"), *tables, *common]


def test_it_prints_one_table_and_writes_json_and_reports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = ["--json", str(folder / "scores.json")]
    for suffix in ("html", "md", "json"):
        outputs += ["--report", str(folder / f"report.{suffix}")]
    assert run([*words(folder, "ours.csv", "theirs.csv"), *outputs]) == 0
    text = capsys.readouterr().out
    assert "2 synthetic tables against 120 real rows (120 held out)" in text
    found = json.loads((folder / "scores.json").read_text())
    assert list(found["evaluations"]) == ["ours.csv", "theirs.csv"]
    assert found["provenance"]["inputs"]["ours.csv"]["file"] == "ours.csv"
    assert len(found["provenance"]["inputs"]["real"]["sha256"]) == 64
    assert found["provenance"]["command"].startswith("synthkit compare ")
    for suffix in ("html", "md"):
        report = (folder / f"report.{suffix}").read_text()
        assert "ours.csv" in report
        assert "theirs.csv" in report


def test_a_table_that_fails_a_gate_is_named_and_the_exit_code_is_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words(folder, "ours.csv", "copy.parquet"), "--json", str(folder / "failed.json")]) == 3
    captured = capsys.readouterr()
    assert "1 gate of the suite 'small' is not met: copy.parquet: copied rows, whole table" in captured.err
    assert len(captured.err.splitlines()) == 1
    assert json.loads((folder / "failed.json").read_text())["evaluations"]["ours.csv"]["passed"]


def test_files_of_the_same_name_are_told_apart(folder: Path) -> None:
    assert run([*words(folder, "ours.csv", "other/ours.csv"), "--quiet", "--json", str(folder / "names.json")]) == 0
    names = list(json.loads((folder / "names.json").read_text())["evaluations"])
    assert names == [str(folder / "ours.csv"), str(folder / "other" / "ours.csv")]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["narrow.csv"], [], "narrow.csv: the synthetic table does not have the columns of the real one"),
        (["ours.csv", "nowhere.csv"], [], "there is no file"),
        (["ours.csv"], ["--report", "report.pdf"], "report.pdf"),
        (["ours.csv"], ["--suite", "standart"], "did you mean 'standard'?"),
        (["ours.csv"], ["--target", "incom"], "did you mean 'income'?"),
        (["ours.csv"], ["--sensitive", "sex"], "unknown sensitive column 'sex'"),
        (["ours.csv"], ["--group", "agee"], "did you mean 'age'?"),
        ([], [], "SYNTHETIC"),
    ],
)
def test_bad_input_costs_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], names: list[str], options: list[str], message: str
) -> None:
    output = folder / "never.json"
    assert run([*words(folder, *names), *options, "--json", str(output)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not output.exists()


def test_an_output_that_is_an_input_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words(folder, "ours.csv"), "--json", str(folder / "ours.csv")]) == 2
    assert "is also the input" in capsys.readouterr().err
