"""The benchmark script on a made-up table: records, going on where it stopped, the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "evaluation" / "benchmarks" / "tables.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of the name and target of one of the benchmark's."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(200, 3)), columns=["attr1", "attr2", "attr3"])
    frame.assign(**{"class": np.where(frame["attr1"] > 1, 1, -1)}).to_csv(folder / "mammography.csv", index=False)
    return folder


def bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark; it fills its own page and readme, not those of the repository."""
    own = {"--out": "runs.json", "--docs": "page.md", "--readme": "readme.md"}
    command = [sys.executable, str(SCRIPT), *(part for option, name in own.items() for part in (option, folder / name))]
    quick = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, env=quick)


def test_it_records_every_run_goes_on_and_writes_the_page(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data), "--tables", "mammography", "--seeds", "0"]
    readme = tmp_path / "readme.md"
    readme.write_text("Before.\n<!-- benchmark:start -->\nold\n<!-- benchmark:end -->\nAfter.\n")
    first = bench(tmp_path, *options, "--methods", "independent")
    assert first.returncode == 0, first.stderr
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [run["method"] for run in runs] == ["independent"]
    independent = runs[0]
    assert independent["rows"] == 160
    assert independent["fit_peak_mb"] > 0
    assert independent["scores"]["c2st_tree"]["low"] < independent["scores"]["c2st_tree"]["value"]

    second = bench(tmp_path, *options, "--methods", "holdout,independent")
    assert second.returncode == 0, second.stderr
    assert "independent" not in second.stdout
    after = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [run["method"] for run in after] == ["holdout", "independent"]
    assert after[1:] == runs
    page = (tmp_path / "page.md").read_text()
    for title in ("real held-out rows", "independent columns"):
        assert f"| {title} |" in page

    filled = readme.read_text()
    assert filled.startswith("Before.")
    assert filled.endswith("After.\n")
    assert "old" not in filled

    (tmp_path / "page.md").unlink()
    assert bench(tmp_path, "--render").returncode == 0
    assert (tmp_path / "page.md").read_text() == page


def test_an_unknown_table_is_told(tmp_path: Path) -> None:
    done = bench(tmp_path, "--data", str(tmp_path), "--tables", "adlut")
    assert done.returncode == 2
    assert "unknown table 'adlut'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_fit_on_one_thread_is_told_in_seconds_of_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from tables_page import Records

    shared = {"table": "sick", "seed": 0, "status": "done", "scores": {}, "fit_seconds": 90.0, "fit_cpu_seconds": 30.0}
    records = Records([{**shared, "method": "ctgan", "threads": 1}, {**shared, "method": "ours", "threads": 2}])
    assert records.fit_seconds("sick", "ctgan") == 30.0
    assert records.fit_seconds("sick", "ours") == 90.0
    assert records.fit_seconds("sick", "tvae") is None


def test_what_more_time_loses_is_told_of_the_same_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from tables_page import Records

    def run(method: str, seed: int, auc: float) -> dict[str, object]:
        return {
            "table": "sick",
            "method": method,
            "seed": seed,
            "status": "done",
            "scores": {"c2st_tree": {"value": auc}},
        }

    records = Records([run("ours", 0, 0.6), run("ours", 1, 0.5), run("time-2x", 0, 0.61), run("time-4x", 0, 0.64)])
    assert records.lost_with_time("sick") == pytest.approx(0.04)
    assert records.lost_with_time("adult") is None
    assert Records([run("ours", 1, 0.5), run("time-2x", 0, 0.6)]).lost_with_time("sick") is None
