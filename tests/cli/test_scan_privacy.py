from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from private_scans import changed_model, scan_model, scans_of_patients

from synthkit import cli

DECLARED = ["--size", "12x12", "--intensity", "0..255", "--classes", "left,right", "--records", "40"]
BUDGET = ["--epsilon", "10", "--delta", "1e-4", "--privacy-engine", "embedding"]


class Outcome:
    """What a command said, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.exit_code, self.stdout, self.stderr = code, out, err


@pytest.fixture
def run(capsys):
    def command(*words) -> Outcome:
        capsys.readouterr()
        code = cli.run([str(word) for word in words])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return command


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    some = scans_of_patients()
    path = tmp_path / "scans.npz"
    np.savez(path, train_images=some.images[:, 0], train_labels=some.labels, classes=np.array(some.classes))
    return path


def refused(result, said: str, code: int = 2) -> None:
    assert result.exit_code == code
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_plan_of_scans_reads_nothing(run):
    found = run("privacy", "plan", *DECLARED, *BUDGET, "--unit", "patient", "--rows-per-unit", "3")
    assert found.exit_code == 0
    assert "no scan was read" in found.stdout
    assert "one patient with up to 3 scans of 40; engine embedding" in " ".join(found.stdout.split())
    content = json.loads(run("privacy", "plan", *DECLARED, *BUDGET, "--json").stdout)
    assert [event["name"] for event in content["events"]] == ["embedding"]


def test_what_a_plan_misses_is_named(run):
    refused(run("privacy", "plan", *BUDGET), "--schema is missing")
    refused(run("privacy", "plan", "--size", "12x12", *BUDGET), "range of intensities is not declared")
    refused(run("privacy", "plan", *DECLARED[:6], *BUDGET), "number of patients is not declared")
    refused(run("privacy", "plan", *DECLARED, *BUDGET, "--buy", "records"), "--buy is for tables")
    refused(run("privacy", "plan", *DECLARED), "--epsilon is missing")
    refused(run("privacy", "plan", *DECLARED, *BUDGET, "--schema", "s.yaml"), "--size is for scans")


def test_scans_are_fitted_linted_and_certified(run, scans, tmp_path):
    model, page = tmp_path / "model.synth", tmp_path / "certificate.html"
    found = run(
        "fit", scans, "-o", model, "--recipe", "cgan", "--time-budget", "2s", "--seed", "0", *DECLARED, *BUDGET,
        "--unit", "scan", "--quiet",
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    assert run("privacy", "lint", model).exit_code == 0
    assert run("privacy", "certificate", model, "-o", page).exit_code == 0
    assert "one scan" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("without", "said"),
    [("--intensity", "range of intensities"), ("--size", "takes the size from the scans"), ("--records", "number of")],
)
def test_a_fit_needs_what_is_declared_and_writes_nothing(run, scans, tmp_path, without, said):
    place = DECLARED.index(without)
    options = [*DECLARED[:place], *DECLARED[place + 2 :]]
    refused(run("fit", scans, "-o", tmp_path / "model.synth", *options, *BUDGET), said)
    assert list(tmp_path.iterdir()) == [scans]


def test_a_model_that_fails_the_linter_is_not_certified(run, tmp_path):
    def adaptive(parts):
        parts.manifest["recipe"]["augment"]["probability"] = None

    path = changed_model("critic", adaptive, tmp_path)
    refused_ = run("privacy", "lint", path)
    assert refused_.exit_code == 3
    assert "ADA" in refused_.stdout
    assert run("privacy", "certificate", path).exit_code == 3


def test_a_private_model_is_a_model(run, tmp_path):
    path = tmp_path / "model.synth"
    path.write_bytes(scan_model("embedding"))
    assert run("sample", path, "-n", "3", "-o", tmp_path / "out.npz", "--seed", "1").exit_code == 0
    assert run("info", path).exit_code == 0
