"""Tables: our model against CTGAN, TVAE, interpolation, independent columns and real held-out rows, on the same split.

    python evaluation/benchmarks/tables.py --data FOLDER --tables adult,sick --methods ours,ctgan --seeds 0,1,2

Every fit runs in a process of its own, one at a time, so that seconds and peak memory are its own. A record is written
as soon as it is scored: an interrupted benchmark goes on where it stopped. `--render` only writes the page from the
records.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from command import add_results, parsed
from own_run import BASELINES, VARIANTS
from tables_page import render, render_summary

from synthkit.archive import atomic_path
from synthkit.evaluation import score_table
from synthkit.evaluation.evaluate import control_scores
from synthkit.evaluation.records import Score

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS_VENV = ROOT / ".peers-venv"
# torch first: on its own, the build for the processor is found and not the one for a graphics card.
PEER_REQUIREMENTS = (("torch==2.13.0",), ("ctgan==0.12.1",))
PEERS = ("ctgan", "tvae")


@dataclass(frozen=True)
class Source:
    """A table of the benchmark.

    Attributes
    ----------
    file
        Its name below the data folder.
    target
        The column to predict.
    drop_without_target
        Whether rows without target are left out.
    """

    file: str
    target: str
    drop_without_target: bool = False


SOURCES = {
    "adult": Source("adult.csv", "income"),
    "online_shoppers": Source("online_shoppers.csv", "Revenue"),
    "credit_default": Source("credit_default.csv", "default payment next month"),
    "beijing_pm25": Source("beijing_pm25.csv", "pm2.5", drop_without_target=True),
    "support2": Source("support2.csv", "hospdead"),
    "diabetes130": Source("diabetes130.parquet", "readmitted"),
    "sick": Source("sick.csv", "Class"),
    "mammography": Source("mammography.csv", "class"),
}
DEFAULT_METHODS = ("holdout", "independent", "smote", "ours", "ctgan", "tvae")
# What one fit answers beside the method that was asked for.
COMPANIONS = {"ours-raw": "ours"}


def split(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training rows and the held-out fifth of a table."""
    source = SOURCES[name]
    places = [folder / source.file, folder / "tables" / source.file]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise SystemExit(f"there is no {source.file} in {folder} or {folder / 'tables'}")
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, skipinitialspace=True)
    if source.drop_without_target:
        frame = frame.dropna(subset=[source.target]).reset_index(drop=True)
    test = frame.sample(frac=0.2, random_state=7)
    return frame.drop(index=test.index).reset_index(drop=True), test.reset_index(drop=True)


class Records:
    """The records of all runs, kept in one JSON file; a run is known by its table, method and seed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []

    def has(self, table: str, method: str, seed: int, epochs: int | None) -> bool:
        """Tell whether a run is done; a failed one is not, nor a peer's with another number of epochs."""
        return any(
            run["status"] != "failed" and (epochs is None or run["planned_epochs"] == epochs)
            for run in self.runs
            if (run["table"], run["method"], run["seed"]) == (table, method, seed)
        )

    def add(self, run: dict[str, Any]) -> None:
        """Put a run in place of an earlier one of the same name, and write the file."""
        key = run["table"], run["method"], run["seed"]
        # Another process may have added runs to the file since it was read.
        stored = json.loads(self.path.read_text())["runs"] if self.path.exists() else []
        self.runs = [other for other in stored if (other["table"], other["method"], other["seed"]) != key] + [run]
        self.runs.sort(key=lambda run: (list(SOURCES).index(run["table"]), run["method"], run["seed"]))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps({"format_version": 1, "runs": self.runs}, indent=1) + "\n")


def peers_python() -> Path:
    """Return the interpreter of the peers' environment, which is made when it is missing."""
    python = PEERS_VENV / "bin" / "python"
    if not (PEERS_VENV / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_VENV)], check=True)
        for requirements in PEER_REQUIREMENTS:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        (PEERS_VENV / ".ready").touch()
    return python


def run_child(
    method: str, table: str, train: pd.DataFrame, seed: int, options: argparse.Namespace
) -> list[tuple[dict[str, Any], pd.DataFrame | None]]:
    """Fit and sample in a process of its own; return one record and synthetic table for each method that it answers."""
    with tempfile.TemporaryDirectory(prefix="synthkit-bench-") as place:
        folder = Path(place)
        if method in PEERS:
            path = folder / "train.csv"
            train.to_csv(path, index=False)
            command = [str(peers_python()), str(HERE / "peer_run.py"), str(path), place, "--model", method]
            command += ["--epochs", str(options.peer_epochs)]
            if options.peer_time_limit:
                command += ["--limit", str(options.peer_time_limit)]
        else:
            path = folder / "train.parquet"
            train.to_parquet(path, index=False)
            command = [sys.executable, str(HERE / "own_run.py"), str(path), place, "--method", method]
            command += ["--target", SOURCES[table].target]
        command += ["--seed", str(seed)]
        path_of_package = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = os.environ | ({} if method in PEERS else {"PYTHONPATH": path_of_package})
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            tail = " | ".join(done.stderr.strip().splitlines()[-3:])
            return [({"method": method, "status": "failed", "note": f"exit {done.returncode}: {tail}"}, None)]
        results = []
        for record in json.loads((folder / "records.json").read_text()):
            results.append((record, read_back(folder / record.pop("synthetic"), train)))
        return results


def read_back(path: Path, train: pd.DataFrame) -> pd.DataFrame:
    """Return a synthetic table that a child wrote, with the columns of the training table."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)[list(train.columns)]
    texts = [name for name in train.columns if train[name].dtype == object]
    return pd.read_csv(path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=[""], low_memory=False)[
        list(train.columns)
    ]


def plain(scores: dict[str, Score]) -> dict[str, dict[str, float | None]]:
    """Return value and interval of each score, rounded, None where there is none."""

    def rounded(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 5)

    return {
        name: {"value": rounded(score.value), "low": rounded(score.low), "high": rounded(score.high)}
        for name, score in scores.items()
    }


def run_one(table: str, method: str, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run and score one method; return its records."""
    train, test = split(options.data, table)
    target = SOURCES[table].target
    shared = {"table": table, "seed": seed, "rows": len(train), "columns": train.shape[1], "machine": machine()}
    if method == "holdout":
        scores = control_scores(train, test, target=target)["ceiling"]
        return [shared | {"method": method, "status": "done", "scores": plain(scores)} | finished()]
    runs = []
    for record, synthetic in run_child(method, table, train, seed, options):
        run = shared | record
        if synthetic is not None:
            started = time.perf_counter()
            run["scores"] = plain(score_table(train, test, synthetic, target=target))
            run["score_seconds"] = round(time.perf_counter() - started, 1)
        runs.append(run | finished())
    return runs


def machine() -> str:
    """Describe the machine without naming it."""
    cores = len(os.sched_getaffinity(0))
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"


def finished() -> dict[str, str]:
    return {"finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def plan(options: argparse.Namespace) -> list[tuple[str, str, int]]:
    """Return what is to be run: all quick methods of all tables first, peers last."""
    wanted = [COMPANIONS.get(method, method) for method in options.methods]
    ordered = sorted(dict.fromkeys(wanted), key=lambda method: method in PEERS)
    runs = []
    for method in ordered:
        for table in options.tables:
            seeds = [0] if method == "holdout" else options.peer_seeds if method in PEERS else options.seeds
            runs += [(table, method, seed) for seed in seeds]
    return runs


def chosen(kind: str, known: list[str], *, everything: bool = False):
    """Return a parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        names = known if everything and text == "all" else [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown {kind} {name!r}; known: {', '.join(known)}")
        return names

    return parse


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]


def parse_arguments() -> argparse.Namespace:
    methods = ["holdout", *BASELINES, *VARIANTS, *COMPANIONS, *PEERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SYNTHKIT_DATA"),
        help="folder with the tables (see evaluation/README.md); or the variable SYNTHKIT_DATA",
    )
    parser.add_argument("--tables", type=chosen("table", list(SOURCES), everything=True), default=list(SOURCES))
    parser.add_argument("--methods", type=chosen("method", methods), default=list(DEFAULT_METHODS))
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--peer-seeds", type=numbers, default=[0])
    parser.add_argument("--peer-epochs", type=int, default=300, help="epochs of CTGAN and TVAE (their default is 300)")
    parser.add_argument(
        "--peer-time-limit", type=float, help="processor seconds after which a peer's fit ends early, on record"
    )
    parser.add_argument("--redo", action="store_true", help="run again what is on record")
    add_results(parser, "tables.json", "benchmarks.md")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="gets the small table")
    return parsed(parser)


def main() -> int:
    options = parse_arguments()
    records = Records(options.out)
    failed = 0
    for table, method, seed in [] if options.render else plan(options):
        epochs = options.peer_epochs if method in PEERS else None
        if not options.redo and records.has(table, method, seed, epochs):
            continue
        print(f"{table} {method} seed {seed} ...", flush=True)
        for run in run_one(table, method, seed, options):
            records.add(run)
            failed += run["status"] == "failed"
            print(f"  {told(run)}", flush=True)
    options.docs.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.docs) as temporary:
        temporary.write_text(render(records.runs, tables=list(SOURCES)), encoding="utf-8")
    fill_readme(options.readme, render_summary(records.runs, tables=list(SOURCES)))
    if failed:
        print(f"{failed} runs failed; they are on record and will be tried again next time", file=sys.stderr)
    return 1 if failed else 0


def fill_readme(path: Path, table: str) -> None:
    """Put the small table between the markers of the README."""
    text = path.read_text(encoding="utf-8")
    before, start, rest = text.partition("<!-- benchmark:start -->\n")
    _, end, after = rest.partition("<!-- benchmark:end -->")
    if not start or not end:
        raise SystemExit(f"{path.name} has no markers for the benchmark")
    with atomic_path(path) as temporary:
        temporary.write_text(f"{before}{start}{table}\n{end}{after}", encoding="utf-8")


def told(run: dict[str, Any]) -> str:
    """Return one line about a run."""
    if run["status"] == "failed":
        return f"{run['method']}: FAILED, {run['note']}"
    shown = ("c2st_tree", "c2st_tree_test", "shape_err", "trend_err", "tstr", "trtr", "dcr_share")
    parts = [f"{name} {run['scores'].get(name, {}).get('value')}" for name in shown]
    if "fit_seconds" in run:
        parts.append(
            f"fit {run['fit_seconds']:.1f} s, sample {run['sample_seconds']:.1f} s, {run['fit_peak_mb']:.0f} MB"
        )
    return f"{run['method']}: {run['status']}, " + ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
