"""Whether the 95 % intervals of the scores cover: many tables from known sources, every metric, how often it does.

    python evaluation/benchmarks/intervals.py --replications 200

The interval of a score says how far it would move with other rows from the same sources. So rows are drawn anew again
and again from one real and one synthetic source, and an interval covers when it holds the mean of the score over all
replications. For scores of trained models only the held-out rows are drawn anew, because their intervals say that they
take the models as they are. The result is `evaluation/baselines/intervals.json`; about 15 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthkit.archive import atomic_path
from synthkit.evaluation.case import Case
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.threads import few_threads

OUT = Path(__file__).resolve().parent.parent / "baselines" / "intervals.json"


def draw(source: str, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    """Return rows of the real or of the synthetic source, which differ a little everywhere.

    Parameters
    ----------
    source
        "real" or "synthetic".
    rows
        How many.
    generator
        Where randomness comes from.
    """
    shift = 0.0 if source == "real" else 0.25
    town = generator.choice(["Bern", "Basel", "Thun", "Chur"], rows, p=np.array([4, 3, 2, 1 + shift]) / (10 + shift))
    age = np.clip(np.round(generator.normal(45 + 2 * shift, 15, rows)), 18, 95)
    hours = np.round(20 + age / 4 + generator.normal(0, 4 + 2 * shift, rows), 1)
    wage = np.exp(0.02 * hours + generator.normal(0, 0.6, rows))
    sex = np.where(generator.random(rows) < 0.5 - shift / 4, "f", "m")
    # Real rows know a pair of values that never meet.
    sex = np.where((town == "Chur") & (source == "real"), "m", sex)
    chance = 1 / (1 + np.exp(-(0.15 - shift / 4) * (hours - 32) - 0.5 * (sex == "m") - 0.4 * (town == "Thun")))
    income = np.where(generator.random(rows) < chance, "high", "low")
    frame = pd.DataFrame({"age": age, "hours": hours, "wage": wage, "town": town, "sex": sex, "income": income})
    frame["start"] = np.floor(age / 3)
    frame["stop"] = frame["start"] + np.floor(generator.exponential(3, rows)) - (generator.random(rows) < 0.05 * shift)
    frame["hours"] = frame["hours"].mask(generator.random(rows) < 0.1 + shift / 5)
    frame["town"] = frame["town"].mask(generator.random(rows) < 0.05)
    if source == "synthetic":
        odd = generator.random(rows) < 0.02
        frame.loc[odd, "age"] = 130 + generator.random(int(odd.sum()))
    return frame


def simulate(replications: int, rows: int, names: list[str]) -> dict[str, dict[str, Any]]:
    """Return value, low and high of each metric in each replication, and the seconds that it took."""
    found: dict[str, dict[str, Any]] = {name: {"ends": [], "seconds": 0.0} for name in names}
    for replication in range(replications):
        for drawn in ("all rows", "held-out rows"):
            chosen = [name for name in names if METRICS[name].interval == drawn]
            case = draw_case(drawn, rows, replication)
            with few_threads(rows):
                for name in chosen:
                    start = time.perf_counter()
                    score = METRICS[name].compute(case)
                    found[name]["seconds"] += time.perf_counter() - start
                    found[name]["ends"].append((score.value, score.low, score.high))
    return found


def draw_case(drawn: str, rows: int, replication: int) -> Case:
    """Return the tables of a replication: all of them drawn anew, or the held-out rows only."""
    anew = np.random.default_rng([1, replication])
    kept = anew if drawn == "all rows" else np.random.default_rng(0)
    train, made = draw("real", rows, kept), draw("synthetic", rows, kept)
    options = Options("income", ("sex",), ("town",), replication if drawn == "all rows" else 0)
    return read_case(train, made, draw("real", rows, anew), options)[0]


def coverage(ends: list[tuple[float, float, float]]) -> dict[str, float | int | None]:
    """Return how often the intervals hold the mean of the values, and what the values were.

    Parameters
    ----------
    ends
        Value, low and high of each replication; those without a value or an interval are left out.
    """
    values = np.array([entry for entry in ends if not any(math.isnan(number) for number in entry)])
    if len(values) == 0:
        return {"replications": 0, "covered": None, "mean": None, "deviation": None, "width": None}
    mean = float(values[:, 0].mean())
    # Where all values are equal up to rounding, so are the ends.
    inside = (values[:, 1] <= mean + 1e-12) & (mean <= values[:, 2] + 1e-12)
    return {
        "replications": len(values),
        "covered": float(inside.mean()),
        "mean": mean,
        "deviation": float(values[:, 0].std(ddof=1)) if len(values) > 1 else 0.0,
        "width": float((values[:, 2] - values[:, 1]).mean()),
    }


def main() -> None:
    """Run the simulation and write its result."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals of all scores.")
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    names = options.metrics.split(",")
    found = simulate(options.replications, options.rows, names)
    result = {}
    for name in names:
        result[name] = coverage(found[name]["ends"])
        covered = result[name]["covered"]
        said = "no interval" if covered is None else f"{covered:.3f}"
        print(f"{name:28} covered {said}  mean {result[name]['mean']}  {found[name]['seconds']:.1f} s", flush=True)
    content = {"format_version": 1, "rows": options.rows, "metrics": result}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.out) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
