from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit import TableGAN, read_table
from synthkit.cli import run
from synthkit.cli.impute import targets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with holes as CSV, one without, and a model."""
    place = tmp_path_factory.mktemp("impute")
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b"], 260)
    frame = pd.DataFrame(
        {"kind": kind, "x": np.round(rng.normal(0, 1, 260) + 3 * (kind == "b"), 2), "n": rng.integers(0, 9, 260)}
    )
    frame.to_csv(place / "whole.csv", index=False)
    frame.mask(rng.random(frame.shape) < 0.1).astype({"n": "Int64"}).to_csv(place / "holes.csv", index=False)
    options = {"n_codes": 8, "refine": False, "adversary": "off", "time_budget": None, "random_state": 0}
    TableGAN(**options, verbose=False).fit(read_table(place / "holes.csv")).save(place / "m.synth")
    return place


def test_observed_cells_are_written_as_they_were_read(folder, tmp_path, capsys):
    out = tmp_path / "full.csv"
    words = ["impute", str(folder / "holes.csv"), "-o", str(out), "--model", str(folder / "m.synth"), "--seed", "1"]
    assert run(words) == 0
    before = [line.split(",") for line in (folder / "holes.csv").read_text().splitlines()]
    after = [line.split(",") for line in out.read_text().splitlines()]
    gaps = sum(cell == "" for line in before for cell in line)
    assert gaps > 20
    for old, new in zip(before, after, strict=True):
        assert all(new_cell != "" for new_cell in new)
        assert [b for a, b in zip(old, new, strict=True) if a] == [a for a in old if a]
    assert f"{gaps} of {gaps} missing cells filled" in capsys.readouterr().err
    first = out.read_bytes()
    assert run(words) == 0
    assert out.read_bytes() == first


def test_a_model_is_fitted_where_none_is_given(folder, tmp_path):
    out = tmp_path / "full.parquet"
    assert run(["impute", str(folder / "holes.csv"), "-o", str(out), "--seed", "0", "--quiet", "--target", "kind"]) == 0
    assert not pd.read_parquet(out).isna().any().any()


def test_several_tables(folder, tmp_path, capsys):
    out = tmp_path / "full.csv"
    base = ["impute", str(folder / "holes.csv"), "-o", str(out), "--model", str(folder / "m.synth"), "--seed", "0"]
    assert run([*base, "--multiple", "3"]) == 0
    names = sorted(os.listdir(tmp_path))
    assert names == ["full-1.csv", "full-2.csv", "full-3.csv"]
    texts = [(tmp_path / name).read_text() for name in names]
    assert len(set(texts)) == 3
    assert "in 3 tables" in capsys.readouterr().err
    assert run(base) == 0
    assert out.read_text() == texts[0]


def test_best_guesses_do_not_depend_on_the_seed(folder, tmp_path):
    base = ["impute", str(folder / "holes.csv"), "--model", str(folder / "m.synth"), "--point", "--raw", "--quiet"]
    for seed in ("0", "1"):
        assert run([*base, "-o", str(tmp_path / f"{seed}.csv"), "--seed", seed]) == 0
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_a_table_without_gaps_is_copied_and_it_is_said(folder, tmp_path, capsys):
    out = tmp_path / "same.csv"
    assert run(["impute", str(folder / "whole.csv"), "-o", str(out)]) == 0
    assert "no missing cells" in capsys.readouterr().err
    assert out.read_text() == (folder / "whole.csv").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["holes.csv", "-o", "out.doc"], "suffix"),
        (["nothing.csv", "-o", "out.csv"], "there is no file"),
        (["holes.csv", "-o", "holes.csv"], "also the input"),
        (["holes.csv", "-o", "out.csv", "--model", "no.synth"], "no.synth"),
        (["holes.csv", "-o", "out.csv", "--model", "holes.csv"], "holes.csv"),
        (["holes.csv", "-o", "out.csv", "--multiple", "2", "--point"], "the same table every time"),
        (["holes.csv", "-o", "out.csv", "--multiple", "0"], "0"),
        (["holes.csv", "-o", "out.csv", "--model", "m.synth", "--target", "kind"], "knows its schema"),
        (["holes.csv", "-o", "out.csv", "--time-budget", "soon"], "soon"),
        (["holes.csv", "-o", "out.csv", "--target", "kin"], "did you mean 'kind'"),
        (["other.csv", "-o", "out.csv", "--model", "m.synth"], "'n'"),
        (["holes.csv", "-o", "no/where/out.csv"], "no/where"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence_and_nothing_is_written(
    folder, tmp_path, monkeypatch, capsys, words, message
):
    for name in ("holes.csv", "m.synth"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    pd.DataFrame({"kind": ["a", None], "x": [1.0, 2.0]}).to_csv(tmp_path / "other.csv", index=False)
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    assert run(["impute", *words]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == before


def test_all_tables_are_written_or_none(folder, tmp_path, monkeypatch, capsys):
    """The second of three places turns out to be a folder after the check: the first is not left behind."""
    monkeypatch.chdir(tmp_path)
    import synthkit.io as io

    written = []
    real = io.write_table

    def failing(frame, target):
        written.append(target)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        real(frame, target)

    monkeypatch.setattr(io, "write_table", failing)
    words = ["impute", str(folder / "holes.csv"), "-o", "o.csv", "--model", str(folder / "m.synth"), "--multiple", "3"]
    assert run(words) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("people.csv", ["people-1.csv", "people-2.csv"]),
        ("people.csv.gz", ["people-1.csv.gz", "people-2.csv.gz"]),
        ("people.2024.csv", ["people.2024-1.csv", "people.2024-2.csv"]),
        ("v1.5.parquet", ["v1.5-1.parquet", "v1.5-2.parquet"]),
    ],
)
def test_names_of_several_tables(name, expected):
    assert [place.name for place in targets(Path("x") / name, 2)] == expected
    assert targets(Path(name), None) == [Path(name)]
