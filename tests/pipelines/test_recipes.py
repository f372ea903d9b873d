"""Every shipped recipe runs on a small table, from a file and from a database."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit import Schema, read_table
from synthkit.pipelines import load_recipe, run_recipe

SMALL = ("fit.n_codes=16", "fit.refine=false", "fit.adversary=off", "evaluate.suite=quick", "split.test=0.4")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(3)
    age = random.integers(18, 91, 400)
    table = pd.DataFrame(
        {
            "age": age,
            "hours": np.round(30 + age / 9 + random.normal(0, 4, 400), 1),
            "town": random.choice(["Bern", "Basel", "Thun"], 400),
            "income": np.where(age + random.normal(0, 8, 400) > 72, ">50K", "<=50K"),
        }
    )
    monkeypatch.chdir(tmp_path)
    table.to_csv("people.csv", index=False)
    schema = Schema.infer(table, target="income")
    replace(schema, domain="declared", records=400).save("declared.yaml")
    return tmp_path


def test_balance(here: Path) -> None:
    result = run_recipe(load_recipe("balance", ["data=people.csv", "target=income", *SMALL]))
    assert result.stages == ("load", "split", "inspect", "fit", "sample", "balance", "evaluate", "audit", "publish")
    assert pd.read_csv("balanced.csv")["income"].value_counts().nunique() == 1
    assert len(pd.read_csv("holdout.csv")) == 160
    assert {gate.stage for gate in result.gates} == {"evaluate", "audit"}
    assert not [gate for gate in result.gates if gate.failed]


def test_augment(here: Path) -> None:
    sets = ["data=people.csv", "target=income", "augment.repeats=2", "augment.models=linear"]
    result = run_recipe(load_recipe("augment", [*sets, "augment.treatments=[none, weights, smote-nc]"]))
    facts = result.records["augment"].facts
    told = json.loads(Path("augment-report/augment.json").read_text(encoding="utf-8"))
    assert facts["recommended"] == told["recommended"]["treatment"]
    assert Path("augment-report/augment.html").exists()
    assert result.manifest["repeatable"] is True


def test_private_release(here: Path) -> None:
    sets = ["data=people.csv", "target=income", "inspect.schema=declared.yaml", "sensitive=income"]
    sets += ["split.test=0.4", "fit.privacy.delta=1.0e-4", "fit.privacy.engine=anchor", "audit.policy=none"]
    result = run_recipe(load_recipe("private-release", sets))
    assert len(pd.read_csv("private.csv")) == 240
    assert "epsilon" in Path("private-certificate.html").read_text(encoding="utf-8")
    assert json.loads(Path("privacy-ledger.json").read_text())["releases"][0]["status"] == "finished"
    audit = json.loads((result.workspace / "audit/audit.json").read_text())
    assert audit["guarantee"]["holds"] is True
    assert audit["guarantee"]["epsilon"] <= 1.0


def test_balance_from_and_into_a_database(here: Path) -> None:
    with sqlite3.connect("db.sqlite") as connection:
        pd.read_csv("people.csv").to_sql("people", connection, index=False)
    connection.close()
    data, to = "data=sqlite:///db.sqlite?table=people", "publish.to=sqlite:///db.sqlite?table=balanced"
    sets = [data, to, "target=income", *SMALL, "audit=false", "evaluate=false", "publish.holdout=null"]
    first = run_recipe(load_recipe("balance", sets))
    balanced = read_table("sqlite:///db.sqlite?table=balanced")
    assert balanced["income"].value_counts().nunique() == 1
    # the database is read again, and where it says the same nothing else is done
    again = run_recipe(load_recipe("balance", sets))
    assert [stage for stage in again.stages if stage not in again.reused] == ["load"]
    assert again.artefacts == first.artefacts
