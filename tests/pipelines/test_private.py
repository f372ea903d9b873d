"""A pipeline under a privacy budget: what is spent, when, and never twice."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit.errors import GateError, PrivacyError
from synthkit.pipelines import Event, RunResult, load_recipe, run_recipe
from synthkit.privacy.ledger import LedgerFile
from synthkit.schema import Schema

RECIPE = """\
version: 1
name: private
data: people.csv
target: income
split: {test: 0.4}
inspect: {schema: declared.yaml}
fit: {n_codes: 16, privacy: {epsilon: 1.0, delta: 1.0e-4, ledger: ledger.json, engine: anchor}}
sample:
evaluate: {suite: suite.yaml}
audit: {policy: none}
publish: {to: out.csv, certificate: certificate.html}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(7)
    age = random.integers(18, 91, 300)
    income = np.where(age + random.normal(0, 9, 300) > 60, ">50K", "<=50K")
    town, hours = random.choice(["Bern", "Basel", "Thun"], 300), random.integers(10, 60, 300)
    table = pd.DataFrame({"age": age, "town": town, "hours": hours, "income": income})
    monkeypatch.chdir(tmp_path)
    table.to_csv("people.csv", index=False)
    schema = Schema.infer(table, target="income")
    replace(schema, domain="declared", records=300).save("declared.yaml")
    Path("suite.yaml").write_text("name: small\nmetrics: [shape_err]\ngates: []\n")
    Path("recipe.yaml").write_text(RECIPE)
    return tmp_path


def go(*sets: str, observe=lambda event: None) -> RunResult:  # type: ignore[no-untyped-def]
    return run_recipe(load_recipe("recipe.yaml", sets), observe=observe)


def releases() -> list[str]:
    return [release.status for release in LedgerFile("ledger.json").releases]


def killed(*sets: str, stage: str, status: str) -> None:
    """Run in a forked child that kills itself at an event."""

    def observe(event: Event) -> None:
        if (event.stage, event.status) == (stage, status):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            go(*sets, observe=observe)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_a_release_is_spent_once_and_certified(here: Path) -> None:
    first = go()
    assert releases() == ["finished"]
    assert first.manifest["repeatable"] is False
    assert "operating system" in first.manifest["why not repeatable"]["fit"]
    assert [gate.gate for gate in first.gates if gate.stage == "fit"] == ["privacy certificate"]
    assert "epsilon" in Path("certificate.html").read_text(encoding="utf-8")
    # the public number of records that are left, not the number that there is
    assert first.records["sample"].facts["rows"] == 180
    assert len(pd.read_csv("out.csv")) == 180

    second = go()
    assert second.reused == tuple(second.records)
    assert releases() == ["finished"]
    go("publish.to=other.csv", "fit.privacy.total_epsilon=5")
    assert releases() == ["finished"]

    before = Path("out.csv").read_bytes()
    with pytest.raises(PrivacyError, match="left"):
        go("fit.privacy.epsilon=0.5")
    assert releases() == ["finished"]
    assert go().reused == tuple(second.records)[:-1]  # a refusal costs nothing, and takes nothing away
    assert Path("out.csv").read_bytes() == before


def test_a_killed_fit_counts_as_spent(here: Path) -> None:
    killed(stage="fit", status="running")
    assert not Path("ledger.json").exists()  # killed before anything was read
    import synthkit.tables.private_fit as private_fit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private_fit.PrivateTableFit, "_codes", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        killed("fit.privacy.total_epsilon=2.1", stage="", status="finished")
    assert releases() == ["started"]
    result = go("fit.privacy.total_epsilon=2.1")
    assert releases() == ["started", "finished"]
    guarantee = json.loads((result.workspace / "audit/audit.json").read_text())["guarantee"]
    assert guarantee["releases"] == 2
    assert guarantee["epsilon"] > 1.0


def test_without_room_for_another_release_a_killed_fit_is_not_repeated(here: Path) -> None:
    import synthkit.tables.private_fit as private_fit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private_fit.PrivateTableFit, "_codes", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        killed(stage="", status="finished")
    with pytest.raises(PrivacyError):
        go()
    assert releases() == ["started"]


def test_what_is_not_declared_is_refused_before_anything_is_read(here: Path) -> None:
    Schema.infer(pd.read_csv("people.csv")).save("declared.yaml")
    with pytest.raises(PrivacyError):
        go()
    assert not (here / "runs/private/load/record.json").exists()
    assert not Path("ledger.json").exists()


def test_a_certificate_that_does_not_hold_stops_the_release(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose noise was seeded is not private; only a test can make one."""
    from synthkit.pipelines import model_stages

    settings = model_stages._private_settings
    monkeypatch.setattr(
        model_stages, "_private_settings", lambda private: {**settings(private), "reproducible_noise": 3}
    )
    with pytest.raises(GateError, match="fit: privacy noise"):
        go()
    assert not Path("out.csv").exists()
