"""The verbs on a small table, as a user calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from synthkit.cli import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of 300 people and a model of it."""
    place = tmp_path_factory.mktemp("verbs")
    rows = 300
    frame = pd.DataFrame(
        {
            "age": [18 + (7 * row) % 60 for row in range(rows)],
            "hours": [round(30 + (row % 40) / 4, 2) for row in range(rows)],
            "sex": ["Female" if row % 3 else "Male" for row in range(rows)],
            "town": [None if row % 11 == 0 else "Bern" if row % 2 else "Basel" for row in range(rows)],
            "income": [">50K" if row % 5 == 0 else "<=50K" for row in range(rows)],
        }
    )
    frame.to_csv(place / "people.csv", index=False)
    options = [
        "--target",
        "income",
        "--seed",
        "0",
        "--time-budget",
        "20s",
        "--quiet",
        "--log",
        str(place / "log.jsonl"),
    ]
    assert run(["fit", str(place / "people.csv"), "-o", str(place / "people.synth"), *options]) == 0
    return place


def sample(folder: Path, name: str, *options: str) -> pd.DataFrame:
    """Run ``synthkit sample`` and read what it wrote."""
    words = ["sample", str(folder / "people.synth"), "-o", str(folder / name), "--seed", "1", "--quiet", *options]
    assert run(words) == 0
    return pd.read_csv(folder / name)


def test_fit_leaves_a_model_and_a_log(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= {"people.csv", "people.synth", "log.jsonl"}
    assert not list(folder.glob("*.checkpoint"))
    assert not list(folder.glob(".tmp-*"))
    for line in (folder / "log.jsonl").read_text().splitlines():
        assert "time" in json.loads(line)


def test_sample_has_the_columns_and_the_domain_of_the_real_table(folder: Path) -> None:
    real = pd.read_csv(folder / "people.csv")
    synthetic = sample(folder, "some.csv", "-n", "500")
    assert len(synthetic) == 500
    assert synthetic.dtypes.to_dict() == real.dtypes.to_dict()
    for column in ("sex", "town", "income"):
        assert set(synthetic[column].dropna()) <= set(real[column].dropna())
    assert synthetic["age"].between(real["age"].min(), real["age"].max()).all()
    assert (synthetic["hours"].round(2) == synthetic["hours"]).all()


def test_the_same_seed_gives_the_same_bytes(folder: Path) -> None:
    sample(folder, "one.csv", "-n", "200")
    sample(folder, "two.csv", "-n", "200")
    assert (folder / "one.csv").read_bytes() == (folder / "two.csv").read_bytes()


@pytest.mark.parametrize("raw", [[], ["--raw"]], ids=["refined", "raw"])
def test_conditions_hold_in_every_row(folder: Path, raw: list[str]) -> None:
    where = ["--where", "income=>50K", "--where", "age=30..40", "--where", "sex=Female|Male"]
    synthetic = sample(folder, "where.csv", "-n", "100", *where, *raw)
    assert len(synthetic) == 100
    assert (synthetic["income"] == ">50K").all()
    assert synthetic["age"].between(30, 40).all()


def test_parquet_keeps_the_types(folder: Path) -> None:
    words = ["sample", str(folder / "people.synth"), "-n", "50", "-o", str(folder / "p.parquet"), "--quiet"]
    assert run(words) == 0
    assert pd.read_parquet(folder / "p.parquet").dtypes.astype(str).to_dict()["age"] == "int64"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--where", "incom=>50K"], "did you mean 'income'"),
        (["--where", "income=100K"], "unknown value '100K'"),
        (["--where", "age=200.."], "age"),
        (["--where", "age>50"], "uses '>'"),
    ],
)
def test_bad_conditions_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], text: str
) -> None:
    assert run(["sample", str(folder / "people.synth"), "-n", "5", "-o", str(folder / "bad.csv"), *options]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1
    assert not (folder / "bad.csv").exists()


def test_balance_keeps_real_rows_and_reaches_the_ratio(folder: Path) -> None:
    words = ["balance", str(folder / "people.csv"), "--target", "income", "-o", str(folder / "balanced.csv")]
    assert run([*words, "--model", str(folder / "people.synth"), "--mark", "synthetic", "--seed", "2", "--quiet"]) == 0
    real, balanced = pd.read_csv(folder / "people.csv"), pd.read_csv(folder / "balanced.csv")
    pd.testing.assert_frame_equal(balanced[~balanced["synthetic"]].drop(columns="synthetic"), real)
    assert balanced["income"].value_counts().to_dict() == {"<=50K": 240, ">50K": 240}
    assert balanced["synthetic"].sum() == len(balanced) - len(real)


def test_balance_to_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["balance", str(folder / "people.csv"), "--target", "income", "-o", str(folder / "counts.csv")]
    counts = "<=50K=250,>50K=90"
    assert run([*words, "--model", str(folder / "people.synth"), "--counts", counts, "--seed", "2"]) == 0
    assert pd.read_csv(folder / "counts.csv")["income"].value_counts().to_dict() == {"<=50K": 250, ">50K": 90}
    assert "income=>50K: 60 -> 90" in capsys.readouterr().err


def test_info_shows_columns_and_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(folder / "people.synth")]) == 0
    out = capsys.readouterr().out
    assert "income: categorical (target)" in out or "income: boolean (target)" in out
    assert re.search(r"^format version +1$", out, re.MULTILINE)


def test_info_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(folder / "people.synth"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["kind"] == "table"
    assert [column["name"] for column in content["schema"]["columns"]] == ["age", "hours", "sex", "town", "income"]
    assert content["report"]
