"""The evaluation itself: seconds, memory and whether its controls behave, on Adult and on a million rows.

    python evaluation/benchmarks/evaluate.py --data FOLDER

Writes `evaluation/baselines/evaluation.json` and the page `docs/benchmarks-evaluation.md`; about 15 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import split

from synthkit import TableGAN
from synthkit.archive import atomic_path
from synthkit.evaluation import evaluate, load_suite
from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.suite import Suite

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "evaluation" / "baselines" / "evaluation.json"
PAGE = ROOT / "docs" / "benchmarks-evaluation.md"
TARGET = "income"
SENSITIVE = ("sex", "race")
MILLION = 1_000_000
SHUFFLED = ("education-num", "relationship", "hours-per-week", "age", "marital-status", "occupation")


def run_command(words: list[str]) -> dict[str, Any]:
    """Run a command in a process of its own and return its exit code, seconds and peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "exit code": os.waitstatus_to_exitcode(status),
        "seconds": round(time.perf_counter() - start, 1),
        "peak MB": round(usage.ru_maxrss / 1024),
    }


def command_line(folder: Path, name: str, *extra: str) -> list[str]:
    """Return the command that judges the tables `NAME-*` in a folder with everything that there is."""
    words = [sys.executable, "-c", "from synthkit.cli import main; main()", "evaluate"]
    words += [str(folder / f"{name}-train.parquet"), str(folder / f"{name}-synthetic.parquet")]
    words += ["--test", str(folder / f"{name}-test.parquet"), "--target", TARGET]
    for column in SENSITIVE:
        words += ["--sensitive", column]
    words += ["--group", "sex", "--json", str(folder / f"{name}.json"), "--quiet", *extra]
    return words


def write_tables(folder: Path, name: str, **tables: pd.DataFrame) -> None:
    """Write the tables of one measurement."""
    for part, frame in tables.items():
        frame.to_parquet(folder / f"{name}-{part}.parquet", index=False)


def measure_full(folder: Path, name: str) -> dict[str, Any]:
    """Return seconds and memory of the full suite with an HTML report, and the size of the report."""
    report = folder / f"{name}.html"
    found = run_command(command_line(folder, name, "--report", str(report)))
    found["report MB"] = round(report.stat().st_size / 1e6, 2)
    found["scores"] = len(json.loads((folder / f"{name}.json").read_text())["scores"])
    return found


SDMETRICS = """
import sys, json, time, warnings, pandas as pd
warnings.filterwarnings("ignore")
from sdmetrics.reports.single_table import DiagnosticReport, QualityReport
real, synthetic, metadata = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2]), json.loads(sys.argv[3])
found = {}
for report in (QualityReport(), DiagnosticReport()):
    start = time.perf_counter()
    report.generate(real, synthetic, metadata, verbose=False)
    found[type(report).__name__] = {"seconds": round(time.perf_counter() - start, 1)} | {
        row["Property"]: float(row["Score"]) for _, row in report.get_properties().iterrows()
    }
print(json.dumps(found))
"""


def measure_sdmetrics(folder: Path, name: str) -> dict[str, Any]:
    """Return seconds of SDMetrics' own two reports, and how far its scores are from ours."""
    from synthkit.evaluation.view import is_number

    real = pd.read_parquet(folder / f"{name}-train.parquet")
    metadata = {
        "columns": {column: {"sdtype": "numerical" if is_number(real[column]) else "categorical"} for column in real}
    }
    paths = [str(folder / f"{name}-{part}.parquet") for part in ("train", "synthetic")]
    words = [sys.executable, "-c", SDMETRICS, *paths, json.dumps(metadata)]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    ours = json.loads((folder / f"{name}.json").read_text())["scores"]
    pairs = {
        "column_shapes": ("QualityReport", "Column Shapes"),
        "column_pair_trends": ("QualityReport", "Column Pair Trends"),
        "data_validity": ("DiagnosticReport", "Data Validity"),
        "data_structure": ("DiagnosticReport", "Data Structure"),
    }
    found["difference"] = {
        metric: abs(ours[metric]["value"] - found[report][row]) for metric, (report, row) in pairs.items()
    }
    return found


def judge(train: pd.DataFrame, synthetic: pd.DataFrame, test: pd.DataFrame | None, *metrics: str) -> dict[str, Any]:
    """Return chosen scores of a table."""
    suite = Suite(name="chosen", metrics=metrics)
    scores = evaluate(train, synthetic, test=test, target=TARGET, suite=suite).scores
    return {name: scores[name] for name in metrics}


def measure_controls(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """Return what tables of known quality score."""
    found: dict[str, Any] = {}
    everything = pd.concat([train, test], ignore_index=True)
    halves = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(everything))
        first, second = (everything.iloc[part].reset_index(drop=True) for part in np.array_split(order, 2))
        halves.append(judge(first, second, None, "c2st_tree")["c2st_tree"].value)
    found["real halves, boosted AUC"] = [round(value, 4) for value in halves]
    drawn = independent_columns(train, len(train), np.random.default_rng(0))
    found["independent columns, boosted AUC"] = round(judge(train, drawn, test, "c2st_tree")["c2st_tree"].value, 4)
    copy = evaluate(train, train.sample(frac=1, random_state=0), test=test, target=TARGET, suite=load_suite("standard"))
    found["copy of the training table"] = {
        "shape error": copy["shape_err"].value,
        "trend error": copy["trend_err"].value,
        "boosted AUC": round(copy["c2st_tree"].value, 4),
        "gates not met": [verdict.metric for verdict in copy.failed],
    }
    found["one column shuffled, named first"] = {}
    for column in SHUFFLED:
        made = test.copy()
        made[column] = made[column].sample(frac=1, random_state=1).to_numpy()
        scores = judge(train, made, test, "c2st_tree", "giveaway")
        first_column = next(iter(scores["giveaway"].details["columns"]))
        auc = round(scores["c2st_tree"].value, 4)
        found["one column shuffled, named first"][column] = {"first": first_column, "AUC": auc}
    made = test.copy()
    rows = np.random.default_rng(0).permutation(len(made))[: len(made) // 20]
    made["workclass"] = made["workclass"].astype(object)
    made.loc[rows[::2], "workclass"] = "Unheard-of"
    made.loc[rows[1::2], "age"] = 230
    already = judge(train, test, test, "out_of_domain")["out_of_domain"].details["rows"]
    free = judge(train, test.drop(index=rows), test, "out_of_domain")["out_of_domain"].details["rows"]
    counted = judge(train, made, test, "out_of_domain")["out_of_domain"].details["rows"]
    found["out of domain"] = {"planted": len(rows), "in the table before": already, "counted": counted - free}
    return found


def timed(title: str, action: Callable[[], Any]) -> Any:
    """Run a part of the benchmark and say how long it took."""
    print(f"{title} ...", flush=True)
    start = time.perf_counter()
    result = action()
    print(f"  {json.dumps(result)} ({time.perf_counter() - start:.0f} s)", flush=True)
    return result


def render(content: dict[str, Any]) -> str:
    """Return the page."""
    adult, million, reports, controls = (content[name] for name in ("adult", "million", "sdmetrics", "controls"))
    shuffled = controls["one column shuffled, named first"]
    copy, domain = controls["copy of the training table"], controls["out of domain"]
    lines = [
        "# Benchmark of the evaluation",
        "",
        "<!-- Written by evaluation/benchmarks/evaluate.py from evaluation/baselines/evaluation.json. Do not edit. -->",
        "",
        f"Machine: {content['machine']}. `python evaluation/benchmarks/evaluate.py --data FOLDER` repeats it.",
        "",
        "| what | seconds | goal | peak MB | goal |",
        "|---|---|---|---|---|",
        f"| Adult, 39,074 x 15, {adult['scores']} scores with controls, HTML report of {adult['report MB']} MB |"
        f" {adult['seconds']} | 60 | {adult['peak MB']} | 1,500 |",
        f"| 1,000,000 x 15, the same | {million['seconds']} | 180 | {million['peak MB']:,} | |",
        f"| SDMetrics' QualityReport and DiagnosticReport alone, Adult |"
        f" {reports['QualityReport']['seconds'] + reports['DiagnosticReport']['seconds']:.1f} | | | |",
        "",
        "Our scores differ from SDMetrics' own by at most "
        f"{max(reports['difference'].values()):.1e} (column shapes, column pair trends, data validity and structure).",
        "",
        "| control | found | goal |",
        "|---|---|---|",
        f"| real halves, boosted AUC | {', '.join(map(str, controls['real halves, boosted AUC']))} | 0.48 - 0.52 |",
        f"| independent columns, boosted AUC | {controls['independent columns, boosted AUC']} | above 0.95 |",
        f"| a copy of the training table: shape, trend, AUC | {copy['shape error']:.4f}, {copy['trend error']:.4f},"
        f" {copy['boosted AUC']} | passes fidelity |",
        f"| a copy of the training table: gates not met | {', '.join(copy['gates not met'])} | fails copies |",
        f"| rows out of domain: planted, counted | {domain['planted']}, {domain['counted']} | equal |",
    ]
    lines += [
        f"| `{column}` shuffled: named first | `{entry['first']}` (AUC {entry['AUC']}) | `{column}` |"
        for column, entry in shuffled.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything and write record and page."""
    parser = argparse.ArgumentParser(description="Seconds, memory and controls of the evaluation.")
    parser.add_argument("--data", type=Path, default=os.environ.get("SYNTHKIT_DATA"), help="folder with adult.csv")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--render", action="store_true", help="only write the page from the record")
    options = parser.parse_args()
    if not options.render:
        if options.data is None:
            raise SystemExit("say where the tables are: --data FOLDER, or SYNTHKIT_DATA")
        train, test = split(Path(options.data), "adult")
        with tempfile.TemporaryDirectory(prefix="synthkit-bench-") as place:
            folder = Path(place)
            model = TableGAN(random_state=0).fit(train, target=TARGET)
            write_tables(folder, "adult", train=train, test=test, synthetic=model.sample(len(train), random_state=1))
            content: dict[str, Any] = {"format_version": 1, "machine": f"{os.cpu_count()} cores, {platform.machine()}"}
            content["adult"] = timed("adult", lambda: measure_full(folder, "adult"))
            content["sdmetrics"] = timed("SDMetrics", lambda: measure_sdmetrics(folder, "adult"))
            generator = np.random.default_rng(0)
            write_tables(
                folder,
                "million",
                train=train.take(generator.integers(0, len(train), MILLION)),
                test=test.take(generator.integers(0, len(test), MILLION // 4)),
                synthetic=model.sample(MILLION, random_state=2, refined=False),
            )
            content["million"] = timed("a million rows", lambda: measure_full(folder, "million"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content["controls"] = timed("controls", lambda: measure_controls(train, test))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(options.out) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")
    with atomic_path(options.page) as temporary:
        temporary.write_text(render(json.loads(options.out.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
