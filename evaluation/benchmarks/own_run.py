"""One run of our own model or of a baseline, in a process and with a peak memory of its own; started by tables.py."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from synthkit import __version__
from synthkit.balance import interpolate_table
from synthkit.evaluation.controls import independent_columns
from synthkit.random import RandomSource

# What the ablation leaves out or changes, as arguments of TableGAN. Each fits anew; only "ours-raw" shares a fit, that
# of "ours".
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "anchor": {"adversary": "off", "refine": False},
    "anchor+refine": {"adversary": "off"},
    "adversary": {"adversary": "on", "refine": False},
    "loss-wgan-gp": {"adversary": "on", "loss": "wgan-gp", "refine": False},
    "loss-wgan": {"adversary": "on", "loss": "wgan", "refine": False},
    "loss-vanilla": {"adversary": "on", "loss": "vanilla", "refine": False},
    "network": {"generator": "network", "refine": False},
    "network-wgan-gp": {"generator": "network", "loss": "wgan-gp", "refine": False},
    "time-half": {"time_budget": "1m"},
    "time-2x": {"time_budget": "4m"},
    "time-4x": {"time_budget": "8m"},
}
BASELINES = ("independent", "smote")

Draw = Callable[[], pd.DataFrame]


def peak_mb() -> float:
    """Return the highest resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(draw: Draw) -> tuple[pd.DataFrame, float]:
    started = time.perf_counter()
    return draw(), time.perf_counter() - started


def run_ours(train: pd.DataFrame, target: str, variant: str, seed: int) -> tuple[dict[str, Any], dict[str, Draw]]:
    """Fit a variant; return what is known about the fit, and how to draw from it, raw and refined."""
    import torch

    from synthkit import TableGAN

    arguments = VARIANTS[variant]
    started, processor = time.perf_counter(), time.process_time()
    model = TableGAN(random_state=seed, **arguments).fit(train, target=target)
    facts = {
        "fit_seconds": time.perf_counter() - started,
        "fit_cpu_seconds": time.process_time() - processor,
        "report": model.report_,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__},
    }
    draws: dict[str, Draw] = {}
    if arguments.get("refine", True):
        draws[variant] = lambda: model.sample(len(train), random_state=seed)
    if variant == "ours" or not arguments.get("refine", True):
        name = "ours-raw" if variant == "ours" else variant
        draws[name] = lambda: model.sample(len(train), random_state=seed, refined=False)
    return facts, draws


def run_baseline(train: pd.DataFrame, target: str, name: str, seed: int) -> tuple[dict[str, Any], dict[str, Draw]]:
    """Return how to draw from a baseline, none of which has anything to fit."""
    if name == "independent":
        generator = RandomSource(seed).numpy("independent columns")
        return {"fit_seconds": 0.0}, {name: lambda: independent_columns(train, len(train), generator)}
    classes = target if train[target].nunique() <= 20 else None
    return {"fit_seconds": 0.0}, {name: lambda: interpolate_table(train, len(train), target=classes, random_state=seed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", choices=[*VARIANTS, *BASELINES], required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()

    train = pd.read_parquet(options.train)
    run = run_baseline if options.method in BASELINES else run_ours
    facts, draws = run(train, options.target, options.method, options.seed)
    facts |= {
        "fit_peak_mb": peak_mb(),
        "status": "done",
        "versions": {"synthkit": __version__, **facts.pop("versions", {})},
    }
    records = []
    for name, draw in draws.items():
        synthetic, seconds = timed(draw)
        synthetic.to_parquet(options.folder / f"{name}.parquet", index=False)
        records.append(
            {"method": name, "synthetic": f"{name}.parquet", "sample_seconds": seconds, "peak_mb": peak_mb(), **facts}
        )
    (options.folder / "records.json").write_text(json.dumps(records, default=str))


if __name__ == "__main__":
    main()
