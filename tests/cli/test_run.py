from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit.cli import run
from synthkit.gan.checkpoint import Progression

RECIPE = """\
version: 1
name: small
data: people.csv
target: income
split: {test: 0.4}
fit: {refine: false, adversary: "off", n_codes: 16, time_budget: null}
sample: {rows: 100}
evaluate: {suite: suite.yaml}
publish: {to: out.csv}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(7)
    age = random.integers(18, 91, 150)
    income = np.where(age + random.normal(0, 9, 150) > 70, ">50K", "<=50K")
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"age": age, "income": income}).to_csv("people.csv", index=False)
    Path("suite.yaml").write_text("name: small\nmetrics: [shape_err]\ngates: []\n")
    Path("recipe.yaml").write_text(RECIPE)
    return tmp_path


def test_it_tells_what_it_does_and_what_came_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "recipe.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "fit: done in" in err
    assert "published  table: out.csv" in out
    assert "stages     6, of which 0 reused" in out
    assert run(["run", "recipe.yaml", "--quiet", "--set", "description=other"]) == 0
    assert capsys.readouterr() == ("", "")
    assert run(["run", "recipe.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "fit: unchanged, reused" in err
    assert "stages     6, of which 6 reused" in out


def test_json_lines_tell_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "recipe.yaml", "--log-format", "json", "--workspace", "ws"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    done = {event["stage"]: event for event in events if event["status"] == "done"}
    assert list(done) == ["load", "split", "fit", "sample", "evaluate", "publish"]
    assert all(event["seconds"] >= 0 and event["time"] for event in events)
    manifest = json.loads(Path("ws/manifest.json").read_text(encoding="utf-8"))
    assert done["fit"]["artefacts"]["model"] == manifest["stages"][2]["artefacts"]["model"]["content"]
    assert events[-1]["status"] == "finished"
    assert events[-1]["stage"] is None


def test_a_gate_that_is_not_met_is_exit_code_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate = "evaluate.gates=[{metric: shape_err, comparison: '<=', threshold: 0.0}]"
    assert run(["run", "recipe.yaml", "--set", gate]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("synthkit: error: 1 gate is not met, and nothing was published: evaluate:")
    assert not Path("out.csv").exists()
    assert run(["run", "recipe.yaml", "--set", gate, "--log-format", "json"]) == 3
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["status"] == "gate not met"
    assert [one["failed"] for event in events for one in event["gates"]] == [True]


def test_a_dry_run_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "recipe.yaml", "--dry-run"]) == 0
    assert "fit       run      not done yet" in capsys.readouterr().out
    assert not Path("runs").exists()
    assert run(["run", "recipe.yaml", "--dry-run", "--log-format", "json"]) == 0
    planned = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["status"] for one in planned} == {"run"}
    assert run(["run", "balance", "--set", "target=income", "--dry-run"]) == 2
    assert "names no data" in capsys.readouterr().err


def test_the_seed_can_be_given(here: Path) -> None:
    assert run(["run", "recipe.yaml", "--quiet", "--seed", "5"]) == 0
    manifest = json.loads(Path("runs/small/manifest.json").read_text(encoding="utf-8"))
    assert manifest["seed"] == manifest["config"]["seed"] == 5


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupting(self: Progression, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progression, "save", interrupting)
        assert run(["run", "recipe.yaml"]) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("synthkit: interrupted. What is finished is kept in 'runs/small': go on with")
    assert run(["run", "recipe.yaml", "--resume", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nothing.yaml"], "there is no recipe 'nothing.yaml'"),
        (["balanc"], "did you mean 'balance'?"),
        (["recipe.yaml", "--set", "fit.time_bugdet=3s"], "did you mean 'time_budget'?"),
        (["recipe.yaml", "--set", "data=poeple.csv"], "there is no file 'poeple.csv'"),
        (["recipe.yaml", "--set", "target=incom"], "did you mean 'income'?"),
        (["recipe.yaml", "--set", "data=nothing://host/db?table=t"], "nothing"),
        (["recipe.yaml", "--set", "publish.to=people.csv"], "also the input"),
        (["recipe.yaml", "--workspace", "people.csv"], "people.csv"),
        (["recipe.yaml", "--set", "data=sqlite:///none.db?table=t&password=secret"], "***"),
        ([], "Missing argument 'RECIPE'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert run(["run", *words]) == 2
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("synthkit: error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert "secret" not in out + err
    for path in here.rglob("*.json"):
        assert "secret" not in path.read_text(encoding="utf-8")
    assert not Path("out.csv").exists()


def test_the_schema_for_editors_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from synthkit.pipelines import json_schema

    assert run(["run", "--json-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
