from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.cli import run
from synthkit.cli.balance import parse_counts, parse_numbers, told
from synthkit.errors import InputError
from synthkit.schema import Schema
from synthkit.schema_constraints import Inequality


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("a=100,b=200", ["a", "b"], {"a": 100, "b": 200}),
        (" a = 100 , b = 200 ", ["a", "b"], {"a": 100, "b": 200}),
        ("<=50K=30,>50K=20", ["<=50K", ">50K"], {"<=50K": 30, ">50K": 20}),
        ("0=5,1=7", [0, 1], {0: 5, 1: 7}),
        ("True=5", [False, True], {True: 5}),
        ("x,y=5,z=6", ["x,y", "z"], {"x,y": 5, "z": 6}),
        ("a=0", ["a"], {"a": 0}),
    ],
)
def test_counts(text: str, labels: list[object], expected: dict[object, int]) -> None:
    assert parse_counts(text, labels) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a list of classes and rows"),
        ("a", "is not a list of classes and rows"),
        ("a=", "is not a list of classes and rows"),
        ("a=-5", "is not a list of classes and rows"),
        ("a=1.5", "is not a list of classes and rows"),
        ("a=1;b=2", "unknown class 'a=1;b'"),
        ("aa=1", "did you mean 'a'"),
        ("a=1,a=2", "names the class 'a' twice"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_counts(text, ["a", "b"])
    assert message in str(error.value)


LABELS = st.text(st.characters(codec="ascii", exclude_characters=",="), min_size=1, max_size=5).filter(
    lambda text: text == text.strip()
)


@given(counts=st.dictionaries(LABELS, st.integers(0, 10**9), min_size=1, max_size=4))
def test_what_is_written_is_read(counts: dict[str, int]) -> None:
    assert parse_counts(",".join(f"{label}={count}" for label, count in counts.items()), counts) == counts


def test_numbers_of_quantiles() -> None:
    assert parse_numbers(" 0.1, 0.9") == [0.1, 0.9]
    with pytest.raises(InputError, match=r"--quantiles 'low' is not a list of numbers\. Write 0\.1,0\.9\."):
        parse_numbers("low")


def test_what_happened_is_told_in_lines() -> None:
    group = {"name": "b", "rows": 10, "added": 5, "drawn": 9, "unlike": 3, "copies": 1}
    other = {"name": "a", "rows": 15, "added": 0, "drawn": 0, "unlike": 0, "copies": 0}
    report = {"target": "y", "groups": [other, group], "synthetic": 5, "without_target": 2}
    assert told(report) == [
        "y=a: 15 -> 15",
        "y=b: 10 -> 15",
        "9 rows drawn for 5; rejected: 3 unlike their class, 1 copies of real rows",
        "2 rows have no y: they are kept and not counted",
    ]
    assert told({**report, "groups": [other], "without_target": 0}) == ["y=a: 15 -> 15"]


# ---------- the verb, with interpolation so that nothing is fitted


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, good and bad ones."""
    folder = tmp_path_factory.mktemp("balance")
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "low": random.integers(0, 50, 120),
            "size": np.round(random.normal(size=120), 3),
            "kind": ["rare"] * 20 + ["usual"] * 100,
        }
    )
    frame["high"] = frame["low"] + random.integers(0, 9, 120)
    frame.to_csv(folder / "data.csv", index=False)
    gaps = frame.astype({"kind": object})
    gaps.loc[[25, 30, 35], "kind"] = None
    gaps.to_csv(folder / "gaps.csv", index=False)
    frame.assign(kind="usual").to_csv(folder / "constant.csv", index=False)
    frame.assign(kind=None).to_csv(folder / "missing.csv", index=False)
    frame.assign(kind=["single"] + ["usual"] * 119).to_csv(folder / "single.csv", index=False)
    schema = Schema.infer(frame, target="kind").with_constraints(Inequality(low="low", high="high"))
    schema.save(folder / "schema.yaml")
    return folder


def balance(place: Path, data: str, *options: str) -> int:
    words = ["balance", str(place / data), "--target", "kind", "-o", str(place / "out.csv"), "--smallest", "1000"]
    return run([*words, "--seed", "0", *options])


@pytest.fixture(autouse=True)
def no_output(place: Path) -> None:
    (place / "out.csv").unlink(missing_ok=True)


def test_real_rows_are_kept_and_new_ones_marked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert balance(place, "data.csv", "--mark", "made", "--json") == 0
    out, err = capsys.readouterr()
    real, found = pd.read_csv(place / "data.csv"), pd.read_csv(place / "out.csv")
    pd.testing.assert_frame_equal(found.head(120).drop(columns="made"), real)
    assert found["made"].tolist() == [False] * 120 + [True] * 80
    assert found["kind"].value_counts().to_dict() == {"rare": 100, "usual": 100}
    assert json.loads(out)["synthetic"] == 80
    assert "kind=rare: 20 -> 100" in err
    assert "too few real rows for a model" in err
    assert "80; rejected:" in err


def test_a_schema_constrains_the_new_rows(place: Path) -> None:
    assert balance(place, "data.csv", "--schema", str(place / "schema.yaml"), "--quiet") == 0
    found = pd.read_csv(place / "out.csv")
    assert (found["low"] <= found["high"]).all()


def test_rows_without_a_class_are_kept_and_told_of(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert balance(place, "gaps.csv") == 0
    assert "3 rows have no kind: they are kept and not counted" in capsys.readouterr().err
    found = pd.read_csv(place / "out.csv")
    assert found["kind"].isna().sum() == 3
    assert found["kind"].value_counts().to_dict() == {"rare": 97, "usual": 97}


def test_a_number_is_balanced_by_quantiles(place: Path) -> None:
    assert balance(place, "data.csv", "--target", "size", "--quantiles", "0.2,0.8", "--quiet") == 0
    found, real = pd.read_csv(place / "out.csv"), pd.read_csv(place / "data.csv")
    low, high = np.sort(real["size"])[[23, 95]]
    assert (found["size"] <= low).sum() == (found["size"] > high).sum() == 72


def test_the_same_seed_gives_the_same_bytes(place: Path) -> None:
    assert balance(place, "data.csv", "--quiet") == 0
    first = (place / "out.csv").read_bytes()
    assert balance(place, "data.csv", "--quiet") == 0
    assert (place / "out.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("data.csv", ["--target", "kinds"], "did you mean 'kind'"),
        ("data.csv", ["--target", "size"], "distinct numbers, expected classes. Give quantiles"),
        ("constant.csv", [], "column 'kind' has a single class, expected at least two"),
        ("missing.csv", [], "column 'kind' has no class"),
        ("single.csv", [], "class 'single' of column 'kind' has one row"),
        ("data.csv", ["--ratio", "0.1"], "0.2 times the rows of the largest already"),
        ("data.csv", ["--ratio", "1.1"], "1.1 is not in the range"),
        ("data.csv", ["--counts", "usual=50"], "real rows are never removed"),
        ("data.csv", ["--quantiles", "0.9,0.1"], "the quantiles are 0.9, 0.1"),
        ("data.csv", ["--quantiles", "0.5"], "expected numbers to cut"),
        ("data.csv", ["--quantiles", "0.5", "--counts", "rare=30"], "Give one of them"),
        ("data.csv", ["--rejection", "1"], "1.0 is not in the range"),
        ("data.csv", ["--schema", "none.yaml"], "none.yaml"),
        ("data.csv", ["--schema", "s.yaml", "--model", "m.synth"], "has a schema of its own"),
    ],
)
def test_bad_wishes_are_one_sentence_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], data: str, options: list[str], message: str
) -> None:
    before = sorted(path.name for path in place.iterdir())
    assert balance(place, data, *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message.lower() in err.lower()
    assert err.startswith("synthkit: error: ")
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in place.iterdir()) == before
