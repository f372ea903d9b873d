from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from synthkit import TableGAN
from synthkit.cli import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("score")
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b"], 300)
    frame = pd.DataFrame(
        {"kind": kind, "x": np.round(rng.normal(0, 1, 300) + 5 * (kind == "b"), 2), "n": rng.integers(0, 9, 300)}
    )
    options = {"n_codes": 8, "refine": False, "adversary": "off", "time_budget": None, "random_state": 0}
    TableGAN(**options, verbose=False).fit(frame).save(place / "m.synth")
    frame.loc[16, "x"] = 900.0
    frame.loc[17, "kind"] = "[new]"
    frame.to_csv(place / "d.csv", index=False)
    return place


def test_the_most_unusual_rows_and_why(folder, capsys):
    assert run(["score", str(folder / "m.synth"), str(folder / "d.csv"), "--explain", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "the 10 most unusual of 300 rows"
    assert len(lines) == 11
    planted = {line.split(":")[0]: line for line in lines[1:3]}
    assert set(planted) == {"row 17", "row 18"}
    assert "x=900.0 (" in planted["row 17"]
    assert "1 in more than 5,000" in planted["row 17"]
    assert "kind=[new] (" in planted["row 18"]


def test_scores_of_all_rows_in_a_table(folder, tmp_path, capsys):
    out = tmp_path / "s.csv"
    assert run(["score", str(folder / "m.synth"), str(folder / "d.csv"), "-o", str(out)]) == 0
    assert capsys.readouterr().out == ""
    table = pd.read_csv(out)
    assert table["row"].tolist() == list(range(1, 301))
    assert table["score"].nlargest(2).index.sort_values().tolist() == [16, 17]
    assert table.loc[16, "column_1"] == "x"
    assert {"one_in", "density", "reconstruction", "contradiction", "margins", "share_3"} <= set(table.columns)


def test_json(folder, capsys):
    assert run(["score", str(folder / "m.synth"), str(folder / "d.csv"), "--json", "--explain", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 300
    assert len(found["scores"]) == 300
    first = found["most_unusual"][0]
    assert first["row"] in (17, 18)
    assert first["score"] == max(found["scores"])
    assert len(first["columns"]) == 2
    assert first["columns"][0]["share"] >= first["columns"][1]["share"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.synth", "d.csv"], "no.synth"),
        (["d.csv", "d.csv"], "d.csv"),
        (["m.synth", "no.csv"], "there is no file"),
        (["m.synth", "d.csv", "-o", "s.doc"], "suffix"),
        (["m.synth", "d.csv", "-o", "d.csv"], "also the input"),
        (["m.synth", "other.csv"], "'x'"),
        (["m.synth", "d.csv", "--explain", "-1"], "-1"),
        (["m.synth"], "DATA"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(folder, tmp_path, monkeypatch, capsys, words, message):
    for name in ("d.csv", "m.synth"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    pd.DataFrame({"kind": ["a", "b"]}).to_csv(tmp_path / "other.csv", index=False)
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    assert run(["score", *words]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == before
