from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from synthkit.cli import run
from synthkit.cli.inspect import describe_values
from synthkit.io import write_table
from synthkit.schema import Column, Schema


@pytest.fixture
def people_csv(people: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    notes = [f"person {i} came in the morning and left again" for i in range(len(people))]
    write_table(people.assign(person_id=range(1000, 1000 + len(people)), note=notes), path)
    return path


def test_shows_every_column_and_why(people_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(people_csv), "--target", "income"]) == 0
    shown = capsys.readouterr().out
    assert "300 rows, 9 columns" in shown
    for text in ("age", "integer", "18 to 90", "categorical", "school, college", "target", "datetime", "continuous"):
        assert text in shown
    assert "note: 'note' is free text and will be left out" in shown
    assert "note: 'person_id' is an identifier; new values will be made up" in shown


def test_writes_a_schema_that_can_be_loaded(
    people_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "people.yaml"
    options = ["--target", "income", "--sensitive", "degree", "--quasi-identifier", "age", "--quasi-identifier", "town"]
    assert run(["inspect", str(people_csv), "-o", str(output), *options, "--person-key", "person_id"]) == 0
    schema = Schema.load(output)
    assert schema.target == "income"
    assert schema["degree"].roles == ("sensitive",)
    assert schema["age"].roles == schema["town"].roles == ("quasi-identifier",)
    assert schema["person_id"].roles == ("person-key",)
    assert f"schema written to {output}" in capsys.readouterr().out


def test_json_is_the_schema_with_counts(people_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(people_csv), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == 300
    assert Schema.from_dict(content["schema"])["age"].type == "integer"
    assert content["missing"]["town"] > 0
    assert content["missing"]["age"] == 0
    assert len(content["notes"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "there is no file"),
        (["people.csv", "--target", "incom"], "did you mean 'income'"),
        (["people.csv", "--person-key", "person"], "did you mean 'person_id'"),
        (["people.csv", "-o", "people.csv"], "also the input"),
        (["people.csv", "-o", "none/schema.yaml"], "does not exist"),
        (["one.csv"], "one row"),
        (["mixed.csv"], "column 'a' mixes types: most values are numbers, but not 'x' in row 4"),
        (["infinite.csv"], "column 'a' holds infinite values (inf in row 2)"),
        (["constant.csv", "--target", "a"], "single value"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    people_csv: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(people_csv.parent)
    Path("one.csv").write_text("a,b\n1,2\n")
    Path("mixed.csv").write_text("a\n1\n2\n3\nx\n5\n")
    Path("infinite.csv").write_text("a\n1\ninf\n3\n")
    Path("constant.csv").write_text("a,b\n1,1\n1,2\n")
    before = sorted(Path().iterdir())
    assert run(["inspect", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("synthkit: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"type": "continuous", "minimum": 0.123456789, "maximum": 7}, "0.123457 to 7"),
        ({"type": "categorical", "categories": tuple("abcdef")}, "a, b, c, d and 2 more"),
        ({"type": "categorical"}, ""),
        ({"type": "identifier", "pattern": "AA99"}, "AA99"),
    ],
)
def test_values_fit_one_cell(fields: dict[str, object], shown: str) -> None:
    assert describe_values(Column(name="x", dtype="object", **fields)) == shown  # type: ignore[arg-type]


def test_brackets_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ages.csv"
    path.write_text('"[bold]"\n' + "[0-10)\n[10-20)\n[20-30)\n" * 3)
    assert run(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "[bold]" in shown
    assert "[0-10), [10-20)" in shown
