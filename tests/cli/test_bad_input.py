"""Bad input to a verb is one sentence, exit code 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthkit.archive import write_archive
from synthkit.cli import run

CSV = "age,sex\n" + "".join(f"{20 + row},{'Female' if row % 2 else 'Male'}\n" for row in range(60))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a good table, a truncated model and a model from the future."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(CSV)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("age,sex\n")
    (tmp_path / "twice.csv").write_text("age,age\n1,2\n")
    (tmp_path / "ragged.csv").write_text("age,sex\n1,Male\n2,Male,3\n")
    (tmp_path / "table.xyz").write_text(CSV)
    write_archive("unknown.synth", {"kind": "scent"}, tensors={}, texts={"t.txt": "t"})
    (tmp_path / "cut.synth").write_bytes((tmp_path / "unknown.synth").read_bytes()[:-30])
    (tmp_path / "folder").mkdir()
    return tmp_path


FIT = ["fit", "people.csv", "-o", "new.synth"]
SAMPLE = ["-n", "5", "-o", "new.csv"]
BALANCE = ["balance", "people.csv", "-o", "new.csv", "--target", "sex"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["fit", "none.csv", "-o", "new.synth"], "no file 'none.csv'"),
        (["fit", "folder", "-o", "new.synth"], "folder"),
        (["fit", "empty.csv", "-o", "new.synth"], "empty"),
        (["fit", "header.csv", "-o", "new.synth"], "no rows"),
        (["fit", "twice.csv", "-o", "new.synth"], "'age'"),
        (["fit", "ragged.csv", "-o", "new.synth"], "ragged.csv"),
        (["fit", "table.xyz", "-o", "new.synth"], "unknown suffix '.xyz'"),
        (["fit", "people.csv", "-o", "people.csv"], "is also the input"),
        (["fit", "people.csv", "-o", "nowhere/new.synth"], "does not exist"),
        (["fit", "people.csv", "-o", "folder"], "is a folder"),
        ([*FIT, "--target", "sexx"], "did you mean 'sex'"),
        ([*FIT, "--time-budget", "soon"], "is not a duration"),
        ([*FIT, "--schema", "none.yaml"], "none.yaml"),
        ([*FIT, "--log", "nowhere/log"], "does not exist"),
        ([*FIT, "--log", "people.csv"], "is also the input"),
        (["sample", "none.synth", *SAMPLE], "'none.synth' does not exist"),
        (["sample", "people.csv", *SAMPLE], "'people.csv' is not a model file"),
        (["sample", "cut.synth", *SAMPLE], "'cut.synth' is damaged"),
        (["sample", "unknown.synth", *SAMPLE], "unknown kind of model 'scent'"),
        (["sample", "cut.synth", "-n", "5", "-o", "cut.synth"], "is also the input"),
        (["sample", "cut.synth", "-n", "5", "-o", "new.xyz"], "unknown suffix '.xyz'"),
        (["info", "cut.synth"], "'cut.synth' is damaged"),
        (["info", "folder"], "is a folder"),
        (["balance", "people.csv", "-o", "new.csv", "--target", "sexx"], "did you mean 'sex'"),
        ([*BALANCE, "--ratio", "1", "--counts", "Male=3"], "Give one of them"),
        ([*BALANCE, "--ratio", "0"], "0 is not in the range"),
        ([*BALANCE, "--counts", "Mal=3"], "did you mean 'Male'"),
        ([*BALANCE, "--mark", "age"], "has a column 'age' already"),
        ([*BALANCE, "--model", "cut.synth"], "'cut.synth' is damaged"),
    ],
    ids=" ".join,
)
def test_one_sentence_and_nothing_written(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.startswith("synthkit: error: ")
    assert len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
