"""Privacy: our model under a budget against AIM, MST and dpmm, on the same split, declared domain, epsilon and delta.

    python evaluation/benchmarks/privacy.py --data FOLDER --tables adult --methods ours,aim,mst --epsilons 1,3

Every fit runs in a process of its own, one at a time, so that seconds and peak memory are its own. A record is written
as soon as it is scored: an interrupted benchmark goes on where it stopped. `--render` only writes the page from the
records.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from command import add_results, parsed
from privacy_codes import BINS, Codec, one_row_per_unit
from privacy_page import METHODS, render
from tables import SOURCES, chosen, finished, machine, numbers, plain, split

from synthkit.archive import atomic_path
from synthkit.evaluation import score_table
from synthkit.evaluation.evaluate import control_scores
from synthkit.schema import Schema

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DOMAINS = HERE / "domains"
TABLES = ("adult", "credit_default", "online_shoppers", "diabetes130", "support2")
# Our engines, run by privacy_own_run.py.
OWN = {"ours": "anchor", "ours-hybrid": "hybrid", "ours-dp-sgd": "dp-sgd"}
REFERENCES = ("holdout", "binned")
DEFAULT_METHODS = (*REFERENCES, "ours", "mst", "dpmm-mst", "aim-short", "aim")


@dataclass(frozen=True)
class Environment:
    """An environment that peers run in; the two cannot share one, because they want different versions of NumPy.

    Attributes
    ----------
    folder
        Its name below the repository.
    requirements
        What is installed.
    """

    folder: str
    requirements: tuple[str, ...]

    def python(self) -> Path:
        """Return its interpreter; the environment is made when it is missing."""
        place = ROOT / self.folder
        python = place / "bin" / "python"
        if not (place / ".ready").exists():
            # dpmm is only published for Python up to 3.11.
            base = shutil.which("python3.11") or sys.executable
            subprocess.run([base, "-m", "venv", str(place)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *self.requirements], check=True)
            (place / ".ready").touch()
        return python


_MBI = Environment(
    ".privacy-peers-venv",
    ("mbi==2.0.0", "jax==0.10.2", "jaxlib==0.10.2", "numpy==2.4.6", "scipy==1.17.1", "networkx==3.6.1"),
)
_DPMM = Environment(".privacy-dpmm-venv", ("dpmm==0.1.9", "opendp==0.12.1", "scipy==1.17.1"))
PEERS = {"aim": _MBI, "aim-short": _MBI, "mst": _MBI, "dpmm-aim": _DPMM, "dpmm-mst": _DPMM, "dpmm-privbayes": _DPMM}


@dataclass(frozen=True)
class Run:
    """One run: what the records are known by.

    Attributes
    ----------
    table, method
        Names from `TABLES` and `METHODS`.
    epsilon
        None for the references, which have no privacy, but for bins that were bought.
    seed
        Of the method; the split is always the same.
    bins
        How numbers were cut: a name of `privacy_codes.BINS` for peers, "own" for ours, "-" where nothing is cut.
    """

    table: str
    method: str
    epsilon: float | None
    seed: int
    bins: str

    def is_of(self, record: dict[str, Any]) -> bool:
        return all(record[name] == value for name, value in vars(self).items())

    def __str__(self) -> str:
        budget = "" if self.epsilon is None else f", epsilon {self.epsilon:g}, seed {self.seed}"
        return f"{self.table} {self.method}{budget}"


class Records:
    """The records of all runs, kept in one JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []

    def has(self, run: Run, delta: float, time_limit: float) -> bool:
        """Tell whether a run is done: not failed, with this delta, and not cut short by a shorter time limit."""
        return any(
            record["status"] != "failed"
            and record["delta"] in (None, delta)
            and (record["status"] not in ("stopped", "timed out") or record["time_limit"] >= time_limit)
            for record in self.runs
            if run.is_of(record)
        )

    def add(self, run: Run, record: dict[str, Any]) -> None:
        """Put a record in place of an earlier one of the same run, and write the file."""
        # Another process may have added records to the file since it was read.
        stored = json.loads(self.path.read_text())["runs"] if self.path.exists() else []
        self.runs = [other for other in stored if not run.is_of(other)] + [record]
        self.runs.sort(
            key=lambda one: (TABLES.index(one["table"]), one["method"], one["bins"], one["epsilon"] or 0.0, one["seed"])
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps({"format_version": 1, "runs": self.runs}, indent=1) + "\n")


def domain_of(table: str) -> Path:
    return DOMAINS / f"{table}.yaml"


def unit_of(schema: Schema) -> str | None:
    """Return the column whose values are protected, None where it is the row."""
    return next((column.name for column in schema if "person-key" in column.roles), None)


def last_resort(limit: float) -> float:
    """Return the seconds after which a process is ended from outside; this clock also runs on a busy machine."""
    return 300 + 6 * limit


def child(command: Sequence[str | Path], seconds: float, *, own: bool) -> dict[str, Any]:
    """Run a process and return the JSON object on its last line; a status and a note where it gave none."""
    path_of_package = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | ({"PYTHONPATH": path_of_package} if own else {})
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env=environment,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"status": "timed out", "note": f"ended from outside after {seconds:.0f} s, nothing to score"}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        tail = " | ".join(done.stderr.strip().splitlines()[-3:])
        return {"status": "failed", "note": f"exit {done.returncode}: {tail}"}
    return {"status": "done", **json.loads(lines[-1])}


def fit_ours(
    run: Run, train: pd.DataFrame, folder: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Run our model; return what it reports and its synthetic table."""
    table, out = folder / "train.parquet", folder / "synthetic.parquet"
    train.to_parquet(table, index=False)
    unit = unit_of(Schema.load(domain_of(run.table)))
    command = [sys.executable, HERE / "privacy_own_run.py", "--table", table, "--schema", domain_of(run.table)]
    command += ["--epsilon", str(run.epsilon), "--delta", str(options.delta), "--engine", OWN[run.method]]
    command += ["--unit", unit or "row", "--records", str(len(train) if unit is None else train[unit].nunique())]
    command += ["--rows", str(len(train)), "--seed", str(run.seed), "--out", out]
    facts = child(command, last_resort(options.time_limit), own=True) | {"unit": unit or "row"}
    return facts, pd.read_parquet(out) if out.exists() else None


def fit_peer(
    run: Run, train: pd.DataFrame, folder: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Cut the table into codes, run a peer on them; return what it reports and the table that its codes stand for."""
    schema = Schema.load(domain_of(run.table))
    unit, generator = unit_of(schema), np.random.default_rng(run.seed)
    # Peers protect a row. With one row of each unit that is as much as we promise.
    kept = train if unit is None else one_row_per_unit(train, unit, generator)
    bins = BINS[run.bins](schema, kept, run.epsilon or 0.0, options.delta, run.seed)
    codec = Codec(schema, bins)
    codes, sizes, out = folder / "codes.npy", folder / "sizes.json", folder / "synthetic.npy"
    np.save(codes, codec.encode(kept))
    sizes.write_text(json.dumps(list(codec.sizes.values())))
    command = [PEERS[run.method].python(), HERE / "privacy_peer_run.py", "--codes", codes, "--sizes", sizes]
    command += ["--method", run.method, "--epsilon", str(run.epsilon), "--delta", str(options.delta)]
    command += ["--share", str(bins.share), "--seed", str(run.seed), "--rows", str(len(train)), "--out", out]
    command += ["--time-limit", str(options.time_limit)]
    # The peer keeps the limit itself where it can.
    facts = child(command, last_resort(options.time_limit), own=False)
    facts |= {"bins_facts": dict(bins.facts), "rows_fitted": len(kept), "unit": unit or "row"}
    return facts, codec.decode(np.load(out), generator) if out.exists() else None


def binned(train: pd.DataFrame, run: Run, delta: float) -> pd.DataFrame:
    """Return the training rows after coding and decoding: the best that a peer on these bins can get."""
    schema = Schema.load(domain_of(run.table))
    codec = Codec(schema, BINS[run.bins](schema, train, run.epsilon or 0.0, delta, run.seed))
    return codec.decode(codec.encode(train), np.random.default_rng(run.seed))


def run_one(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Run and score one method; return its record."""
    train, test = split(options.data, run.table)
    target = SOURCES[run.table].target
    record = vars(run) | {
        "delta": None if run.epsilon is None else options.delta,
        "time_limit": options.time_limit,
        "rows": len(train),
        "columns": train.shape[1],
        "machine": machine(),
        "status": "done",
    }
    # Made-up identifiers resemble nothing, whoever makes them up.
    identifiers = [column.name for column in Schema.load(domain_of(run.table)) if column.type == "identifier"]
    train_scored, test_scored = train.drop(columns=identifiers), test.drop(columns=identifiers)
    if run.method == "holdout":
        record["scores"] = plain(control_scores(train_scored, test_scored, target=target)["ceiling"])
        return record | finished()
    synthetic: pd.DataFrame | None
    if run.method == "binned":
        synthetic = binned(train, run, options.delta)
    else:
        with tempfile.TemporaryDirectory(prefix="synthkit-bench-") as folder:
            fit = fit_ours if run.method in OWN else fit_peer
            facts, synthetic = fit(run, train, Path(folder), options)
            record |= facts
    if synthetic is not None and record["status"] not in ("failed", "timed out"):
        started = time.perf_counter()
        shown = synthetic[list(train_scored.columns)]
        record["scores"] = plain(score_table(train_scored, test_scored, shown, target=target))
        record["score_seconds"] = round(time.perf_counter() - started, 1)
    return record | finished()


def plan(options: argparse.Namespace) -> list[Run]:
    """Return what is to be run: references first, ours, then peers."""
    runs = []
    for method in sorted(options.methods, key=list(METHODS).index):
        for table in options.tables:
            if method == "holdout":
                runs.append(Run(table, method, None, 0, "-"))
                continue
            if method == "binned":
                # Public bins are the same at every budget.
                levels = options.epsilons if options.peer_bins == "ours" else [None]
                runs += [Run(table, method, epsilon, 0, options.peer_bins) for epsilon in levels]
                continue
            bins = "own" if method in OWN else options.peer_bins
            runs += [Run(table, method, epsilon, seed, bins) for epsilon in options.epsilons for seed in options.seeds]
    return runs


def budgets(text: str) -> list[float]:
    values = [float(part) for part in text.split(",") if part.strip()]
    if not values or min(values) <= 0:
        raise argparse.ArgumentTypeError(f"expected positive numbers such as 0.5,1,3,10, got {text!r}")
    return values


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SYNTHKIT_DATA"),
        help="folder with the tables (see evaluation/README.md); or the variable SYNTHKIT_DATA",
    )
    parser.add_argument("--tables", type=chosen("table", list(TABLES), everything=True), default=list(TABLES))
    parser.add_argument("--methods", type=chosen("method", list(METHODS)), default=list(DEFAULT_METHODS))
    parser.add_argument("--epsilons", type=budgets, default=[0.5, 1.0, 3.0, 10.0])
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--delta", type=float, default=1e-6)
    parser.add_argument("--peer-bins", choices=list(BINS), default="equal-width", help="how numbers are cut for peers")
    parser.add_argument("--time-limit", type=float, default=1800.0, help="seconds for the fit of a peer")
    parser.add_argument("--redo", action="store_true", help="run again what is on record")
    add_results(parser, "privacy.json", "benchmarks-privacy.md")
    return parsed(parser)


def main() -> int:
    options = parse_arguments()
    records = Records(options.out)
    failed = 0
    for run in [] if options.render else plan(options):
        if not options.redo and records.has(run, options.delta, options.time_limit):
            continue
        print(f"{run} ...", flush=True)
        record = run_one(run, options)
        records.add(run, record)
        failed += record["status"] == "failed"
        print(f"  {told(record)}", flush=True)
    options.docs.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.docs) as temporary:
        temporary.write_text(render(records.runs, tables=list(TABLES)), encoding="utf-8")
    if failed:
        print(f"{failed} runs failed; they are on record and will be tried again next time", file=sys.stderr)
    return 1 if failed else 0


def told(record: dict[str, Any]) -> str:
    """Return one line about a run."""
    if "scores" not in record:
        return f"{record['status']}: {record.get('note', '')}"
    parts = [
        f"{name} {record['scores'].get(name, {}).get('value')}"
        for name in ("trend_err", "shape_err", "c2st_tree", "tstr", "trtr")
    ]
    if "seconds" in record:
        parts.append(f"{record['seconds']:.1f} s, {record['peak_mb']:.0f} MB")
    return f"{record['status']}, {', '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main())
