"""The benchmark of privacy: declared domains, codes of the peers and back, their accountant, the page."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pandas as pd
import pytest
from dp_accounting.rdp import RdpAccountant

from synthkit.schema import Column, Schema

BENCHMARKS = Path(__file__).resolve().parents[2] / "evaluation" / "benchmarks"
# table -> columns, target, unit of privacy
TABLES = {
    "adult": (15, "income", None),
    "credit_default": (24, "default payment next month", None),
    "online_shoppers": (18, "Revenue", None),
    "diabetes130": (50, "readmitted", "patient_nbr"),
    "support2": (48, "hospdead", None),
}


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def schema() -> Schema:
    """A column of every kind that a peer is given codes of."""
    return Schema(
        (
            Column(name="id", type="identifier", dtype="int64", minimum=1, maximum=999),
            Column(name="age", type="integer", dtype="int64", minimum=17, maximum=90),
            Column(name="wage", type="integer", dtype="int64", minimum=-500, maximum=10_000),
            Column(name="years", type="integer", dtype="float64", minimum=0, maximum=9, nullable=True),
            Column(name="share", type="continuous", dtype="float64", decimals=2, minimum=0.0, maximum=5.0),
            Column(name="tenth", type="continuous", dtype="float64", decimals=1, minimum=0.0, maximum=1.0),
            Column(name="job", type="categorical", dtype="object", categories=("a", "b", "c"), nullable=True),
            Column(name="code", type="ordinal", dtype="int64", categories=(-1, 0, 7)),
            Column(name="yes", type="boolean", dtype="bool", categories=(False, True)),
        )
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    n = 400
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "age": random.integers(17, 91, n),
            "wage": np.where(random.random(n) < 0.6, 0, random.integers(-500, 10_001, n)),
            "years": np.where(random.random(n) < 0.2, np.nan, random.integers(0, 10, n)),
            "share": np.round(random.uniform(0, 5, n), 2),
            "tenth": random.integers(0, 11, n) / 10,
            "job": np.where(random.random(n) < 0.2, None, random.choice(["a", "b", "c"], n)),
            "code": random.choice([-1, 0, 7], n),
            "yes": random.random(n) < 0.3,
        }
    )


@pytest.mark.parametrize("table", TABLES)
def test_a_declared_domain_covers_its_table(table: str) -> None:
    columns, target, unit = TABLES[table]
    domain = Schema.load(BENCHMARKS / "domains" / f"{table}.yaml")
    assert len(domain) == columns
    assert domain.target == target
    assert [column.name for column in domain if "person-key" in column.roles] == ([unit] if unit else [])
    for column in domain:
        assert column.reason.startswith("declared for the benchmark: ")
        if column.is_numeric:
            assert column.minimum is not None
            assert column.maximum is not None
            assert column.minimum < column.maximum
        elif column.type != "identifier":
            assert len(column.categories or ()) > 1


@pytest.mark.parametrize("kind", ["equal-width", "ours"])
def test_codes_stand_for_the_cells_that_they_came_from(kind: str, schema: Schema, frame: pd.DataFrame) -> None:
    from privacy_codes import BINS, Codec

    codec = Codec(schema, BINS[kind](schema, frame, 2.0, 1e-6, 0))
    codes = codec.encode(frame)
    assert list(codec.sizes) == ["age", "wage", "years", "share", "tenth", "job", "code", "yes"]
    assert (codes >= 0).all()
    assert (codes < np.array(list(codec.sizes.values()))).all()
    drawn = codec.decode(codes, np.random.default_rng(0))
    assert list(drawn) == list(frame)
    assert drawn.dtypes.to_dict() == frame.dtypes.to_dict()
    for name in ("years", "job", "code", "yes", "tenth"):
        pd.testing.assert_series_equal(drawn[name], frame[name])
    assert ((drawn["wage"] == 0) >= (frame["wage"] == 0)).all()
    # A bin of 32 is 3 % of the range, one of ours at most all of it.
    assert kind == "ours" or (drawn["age"] - frame["age"]).abs().max() <= 2
    # A number drawn anew from its bin is in the same bin, unless it is a value with a code of its own.
    again = codec.encode(drawn)
    assert (again == codes).mean() > 0.99
    assert drawn["id"].is_unique


def test_numbers_out_of_bounds_go_to_the_nearest_bin(schema: Schema, frame: pd.DataFrame) -> None:
    from privacy_codes import BINS, Codec

    codec = Codec(schema, BINS["equal-width"](schema, frame, 1.0, 1e-6, 0))
    wild = frame.assign(age=np.where(frame.index % 2 == 0, -5, 500))
    drawn = codec.decode(codec.encode(wild), np.random.default_rng(0))["age"]
    assert drawn.between(17, 90).all()
    assert drawn[::2].max() < 20
    assert drawn[1::2].min() > 86


def test_an_undeclared_label_is_refused(schema: Schema, frame: pd.DataFrame) -> None:
    from privacy_codes import BINS, Codec

    codec = Codec(schema, BINS["equal-width"](schema, frame, 1.0, 1e-6, 0))
    with pytest.raises(SystemExit, match="'zebra' is not in the declared domain"):
        codec.encode(frame.assign(job="zebra"))


def test_one_row_of_each_unit_is_kept() -> None:
    from privacy_codes import one_row_per_unit

    table = pd.DataFrame({"unit": [1, 1, 2, 3, 3, 3], "row": range(6)})
    seen = set()
    for seed in range(40):
        kept = one_row_per_unit(table, "unit", np.random.default_rng(seed))
        assert sorted(kept["unit"]) == [1, 2, 3]
        seen |= set(kept["row"])
    assert seen == set(range(6))


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0, 10.0])
def test_the_budget_of_the_peers_is_that_of_an_independent_accountant(epsilon: float) -> None:
    from privacy_peer_run import zcdp_budget

    rho = zcdp_budget(epsilon, 1e-6)
    orders = [1 + step / 50 for step in range(1, 3000)]
    accountant = RdpAccountant(orders).compose(dp_accounting.GaussianDpEvent(math.sqrt(1 / (2 * rho))))
    assert accountant.get_epsilon(1e-6) == pytest.approx(epsilon, rel=1e-3)


def test_time_that_counts_is_the_shorter_of_wall_and_processor() -> None:
    from privacy_peer_run import Clock

    clock = Clock(100.0)
    assert 0 <= clock.seconds < 100
    assert clock.left == pytest.approx(100.0, abs=50)


def test_a_budget_that_ends_is_spent_in_one_more_round() -> None:
    from privacy_peer_run import Ending

    left = Ending(0.5) - 0.2
    assert left < 1e-9  # than what two more rounds would cost
    assert not left < 0
    assert math.sqrt(1 / (2 * 0.9 * left)) == pytest.approx(math.sqrt(1 / (2 * 0.9 * 0.3)))
    assert Ending(0.5) - 0.6 < 0


def record(method: str, epsilon: float | None, seed: int, trend: float, **more: Any) -> dict[str, Any]:
    bins = "-" if method == "holdout" else "own" if method.startswith("ours") else "ours"
    scores = {"trend_err": trend, "shape_err": 0.01, "c2st_tree": 0.7, "tstr": 0.896, "trtr": 0.925}
    shared = {"table": "adult", "method": method, "epsilon": epsilon, "seed": seed, "bins": bins, "status": "done"}
    facts = {"delta": 1e-6, "rows": 39_074, "columns": 15, "seconds": 20.0, "peak_mb": 900.0, "time_limit": 1800.0}
    return {**shared, **facts, "scores": {name: {"value": value} for name, value in scores.items()}, **more}


@pytest.fixture
def runs() -> list[dict[str, Any]]:
    failed = {**record("dpmm-aim", 1.0, 0, 0.0), "status": "failed", "note": "exit 1: no memory"}
    del failed["scores"]
    return [
        record("holdout", None, 0, 0.005),
        *(record("ours", 1.0, seed, trend) for seed, trend in enumerate((0.030, 0.020, 0.021))),
        record("aim", 1.0, 0, 0.0275, seconds=90.0, status="stopped", rounds=31, accountant="zCDP, converted"),
        record("mst", 1.0, 0, 0.0150, accountant="zCDP, converted"),
        failed,
    ]


def test_the_page_tells_medians_goals_and_who_is_better(runs: list[dict[str, Any]]) -> None:
    from privacy_page import render

    page = render(runs, tables=list(TABLES))
    assert "| 1 | **synthkit**, anchor (3 seeds) | its own, bought within the budget | 0.0210 | 0.0100 |" in page
    assert "| 1 | trend error | ≤ 0.024 | 0.0210 | met |" in page
    assert "| 1 | trained on it | ≥ 0.893 | 0.8960 | met |" in page
    assert "| 0.0210 | 0.0275 | met | 4.5x (**missed**) |" in page
    assert "| 0.0210 | 0.0150 | **missed** | 1.0x |" in page
    assert "AIM (mbi) (stopped after 31 rounds, limit 1,800 s)" in page
    assert "MST (mbi): zCDP, converted" in page
    assert "Trained on the real rows: 0.925." in page
    assert "- adult, AIM (dpmm), epsilon 1.0, seed 0: failed, exit 1: no memory" in page
    assert "## support2" not in page


def test_the_page_of_no_records_has_no_tables() -> None:
    from privacy_page import render

    page = render([], tables=list(TABLES))
    assert page.startswith("# Benchmark: privacy")
    assert "## adult" not in page


def test_a_run_is_known_by_its_name_and_tried_again_when_it_was_cut_short(
    runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    from privacy import Records, Run

    records = Records(tmp_path / "runs.json")
    for one in runs:
        records.add(Run(one["table"], one["method"], one["epsilon"], one["seed"], one["bins"]), one)
    records.add(Run("adult", "ours", 1.0, 0, "own"), runs[1])
    stored = Records(tmp_path / "runs.json")
    assert len(stored.runs) == len(runs)
    ours = Run("adult", "ours", 1.0, 0, "own")
    assert stored.has(ours, 1e-6, 1800)
    assert not stored.has(ours, 1e-5, 1800)
    assert not stored.has(Run("adult", "ours", 3.0, 0, "own"), 1e-6, 1800)
    assert stored.has(Run("adult", "aim", 1.0, 0, "ours"), 1e-6, 1800)
    assert not stored.has(Run("adult", "aim", 1.0, 0, "ours"), 1e-6, 3600)
    assert not stored.has(Run("adult", "aim", 1.0, 0, "equal-width"), 1e-6, 1800)
    assert not stored.has(Run("adult", "dpmm-aim", 1.0, 0, "ours"), 1e-6, 1800)


def test_the_page_is_written_from_the_records(runs: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(json.dumps({"format_version": 1, "runs": runs}))
    command = [sys.executable, str(BENCHMARKS / "privacy.py"), "--render"]
    command += ["--out", str(tmp_path / "runs.json"), "--docs", str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "## adult" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(("option", "value", "told"), [("--methods", "aym", "'aym'"), ("--epsilons", "0", "positive")])
def test_a_wrong_option_is_told(tmp_path: Path, option: str, value: str, told: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "privacy.py"), "--data", str(tmp_path), option, value]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(tmp_path.iterdir())
