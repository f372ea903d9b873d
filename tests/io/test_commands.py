"""Verbs with sources of every kind, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit.cli import run
from synthkit.evaluation.provenance import describe_run, file_hash
from synthkit.io import Address, read_table, write_table

QUICK = ["--time-budget", "5s", "--adversary", "off", "--no-refine", "--seed", "1", "--quiet"]


@pytest.fixture
def folder(people: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    people.drop(columns="joined").to_csv("people.csv", sep=";", decimal=",", index=False)
    return tmp_path


def test_a_report_of_what_was_found_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "people.csv", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"] == 300
    assert err.startswith(
        "synthkit: warning: 'people.csv' was read with semicolons between cells; decimal commas in 'hours'"
    )
    assert err.count("\n") == 1
    assert run(["inspect", "people.csv?delimiter=semicolon&decimal=comma", "--json"]) == 0
    assert capsys.readouterr() == (out, "")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of what a query gave."""
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"n": rng.integers(0, 9, 200), "x": rng.normal(size=200).round(2), "flag": rng.random(200) < 0.5}
    )
    frame["word"] = pd.Series(rng.choice(["a", "b"], 200)).mask(frame["flag"] & (frame["n"] > 4))
    write_table(frame, f"sqlite:///{folder / 'real.db'}?table=people")
    query = ["--query", "select n, x, word from people where n < 8"]
    assert run(["fit", f"sqlite:///{folder / 'real.db'}", *query, "-o", str(folder / "m.synth"), *QUICK]) == 0
    return folder / "m.synth"


@pytest.mark.parametrize("target", ["made.jsonl", "made.jsonl.gz", "made.parquet", "sqlite:///made.db?table=made"])
def test_samples_are_the_same_wherever_they_go(folder: Path, model: Path, target: str) -> None:
    for place in ("made.csv", target):
        assert run(["sample", str(model), "-n", "50", "--to", place, "--seed", "3", "--quiet"]) == 0
    made, plain = read_table(target), read_table("made.csv")
    assert made.columns.tolist() == ["n", "x", "word"]
    assert made["n"].between(0, 7).all()
    assert made.astype(str).to_numpy().tolist() == plain.where(plain.notna(), None).astype(str).to_numpy().tolist()


def test_what_is_known_of_a_source_stands_in_the_provenance(folder: Path, people: pd.DataFrame) -> None:
    Path("parts").mkdir()
    for number in range(2):
        write_table(people, f"parts/{number}.parquet")
    sources = {
        "file": Path("people.csv"),
        "options": Path("people.csv?delimiter=semicolon"),
        "folder": Path("parts"),
        "table": Address("sqlite:///real.db", "people"),
        "missing": Path("nothing.csv"),
    }
    found = describe_run(["synthkit", "postgresql://me:s3cr3t@host/db"], sources, seed=0)
    assert "s3cr3t" not in found["command"]
    inputs = found["inputs"]
    assert inputs["file"] == inputs["options"]
    assert inputs["file"]["sha256"] == file_hash(Path("people.csv"))
    assert inputs["folder"]["bytes"] == sum(path.stat().st_size for path in Path("parts").iterdir())
    assert inputs["table"] == {"file": "sqlite:///real.db?table=people"}
    assert "missing" not in inputs
    before = inputs["folder"]["sha256"]
    Path("parts/0.parquet").rename("parts/2.parquet")
    assert describe_run([], {"folder": Path("parts")}, seed=0)["inputs"]["folder"]["sha256"] != before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["inspect", "none.db"], "sqlite:///none.db?table=NAME"),
        (["inspect", "people.csv", "--query", "select 1"], "--query needs the address of a database"),
        (["inspect", "sqlite:///none.db?table=t"], "there is no file 'none.db'"),
        (["inspect", "sqlite:///none.db"], "names no table"),
        (["inspect", "people.csv?delimitr=;"], "did you mean 'delimiter'"),
        (["fit", "people.csv", "-o", "people.csv"], "is also the input"),
        (["fit", "people.csv?delimiter=;", "-o", "people.csv"], "is also the input"),
        (["sample", "none.synth", "-n", "5", "--to", "out.xlsx"], "can only be read"),
        (["sample", "none.synth", "-n", "5", "--to", "mysql://host/db?table=t"], "cannot be written to"),
        (["sample", "none.synth", "-n", "5", "--to", "sqlite:///none/x.db?table=t"], "does not exist"),
    ],
    ids=" ".join,
)
def test_bad_sources_and_targets(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    before = sorted(folder.iterdir())
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.count("\n") == 1
    assert sorted(folder.iterdir()) == before
