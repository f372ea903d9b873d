"""A run that is killed with SIGKILL, wherever it is, ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthkit.pipelines import load_recipe, run_recipe

SUITE = """\
name: small
metrics: [shape_err, out_of_domain]
gates:
  - {metric: shape_err, comparison: "<=", threshold: 0.9}
"""
RECIPE = """\
version: 1
name: killed
target: income
split: {test: 0.4}
inspect:
fit: {refine: false, adversary: "off", time_budget: null}
sample:
balance: {mark: made}
evaluate: {suite: suite.yaml}
audit: {policy: none}
publish: {to: out.csv, holdout: holdout.csv, model: out.synth, reports: reports}
"""
RUNS = Path(__file__).with_name("kill_runs.py")


def write_inputs(folder: Path) -> None:
    random = np.random.default_rng(7)
    age = random.integers(18, 91, 300)
    hours = np.round(35 + age / 10 + random.normal(0, 4, 300), 1)
    income = np.where(hours + age / 4 + random.normal(0, 3, 300) > 57, ">50K", "<=50K")
    town = pd.Series(random.choice(["Bern", "Basel", "Thun"], 300)).mask(random.random(300) < 0.1)
    table = pd.DataFrame({"age": age, "hours": hours, "town": town, "income": income})
    table.to_csv(folder / "people.csv", index=False)
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "recipe.yaml").write_text(RECIPE)


def published(folder: Path) -> dict[str, bytes]:
    """The published files; a report of an audit says when it was made."""
    names = ["out.csv", "holdout.csv", "out.synth", "reports/evaluation.json", "reports/evaluation.html"]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, bytes]]:
    """Artefacts and published files of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run_recipe(load_recipe("recipe.yaml", ["data=people.csv"]))
    return result.artefacts, published(folder)


def artefacts(manifest: dict[str, Any]) -> dict[str, str]:
    return {
        f"{stage['stage']}/{name}": one["content"]
        for stage in manifest["stages"]
        for name, one in stage["artefacts"].items()
    }


@pytest.mark.timeout(300)  # two dozen runs, which must not fail because the machine is busy
def test_killed_at_every_stage_it_ends_with_the_same_artefacts(
    undisturbed: tuple[dict[str, str], dict[str, bytes]], tmp_path: Path
) -> None:
    """Killed when a stage begins, while it writes its first file, before its record, and twice within the fit."""
    write_inputs(tmp_path)
    words = [sys.executable, str(RUNS), "recipe.yaml", "people.csv", "workspace"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["ended"]) == 9 * 2 + 3 + 2
    assert set(found["ended"].values()) == {signal.SIGKILL}, found["ended"]
    assert found["last"] == 0, done.stderr
    manifest = found["manifest"]
    assert [stage["status"] for stage in manifest["stages"]] == ["reused"] * 8 + ["done"]
    assert artefacts(manifest) == undisturbed[0]
    assert published(tmp_path) == undisturbed[1]
    left = [path.name for path in tmp_path.rglob("*") if path.name.startswith(".tmp-") or path.suffix == ".checkpoint"]
    assert left == []


@pytest.mark.timeout(300)
def test_the_command_itself_can_be_killed_and_resumed(
    undisturbed: tuple[dict[str, str], dict[str, bytes]], tmp_path: Path
) -> None:
    write_inputs(tmp_path)
    words = [sys.executable, "-c", "from synthkit.cli import main; main()", "run", "recipe.yaml", "--set"]
    words += ["data=people.csv", "--log-format", "json"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if (event["stage"], event["status"]) == ("evaluate", "running"):
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "runs/killed/manifest.json").read_text())["status"] == "running"
    assert not (tmp_path / "out.csv").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = run_recipe(load_recipe("recipe.yaml", ["data=people.csv"]), resume=True)
    assert result.reused == ("load", "split", "inspect", "fit", "sample", "balance")
    assert result.artefacts == undisturbed[0]
    assert published(tmp_path) == undisturbed[1]
