"""Finding rows of the rare class, and planted ones, by `TableGAN.anomaly_scores` and by three usual detectors.

    python evaluation/benchmarks/anomaly.py --data FOLDER [--only mammography,sick] [--seeds 0,1,2,3,4] [--render]

Half of the rows (at most 4,000) are learned from, the other half (at most 4,000) are scored; every seed splits anew.
"normal": only rows of the usual class are learned from; "all": all rows, without the label. What is compared is said
in docs/benchmarks-anomaly.md. About 15 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anomaly_page import page
from command import write_runs
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from tables import SOURCES, machine, split

from synthkit import TableGAN
from synthkit.archive import atomic_path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "evaluation" / "baselines" / "anomaly.json"
PAGE = ROOT / "docs" / "benchmarks-anomaly.md"
RARE = {"mammography": "1", "sick": "sick", "online_shoppers": "True", "credit_default": "1", "adult": ">50K"}
CASES = (*RARE, "adult-planted")
MODES = ("normal", "all")
ROWS = 4_000
PLANTED = 0.02  # share of the rows of which cells are exchanged
Scores = dict[str, NDArray[np.float64]]


def read(folder: Path, name: str) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Rows without the label, and whether each is of the rare class."""
    table = name.removesuffix("-planted")
    frame = pd.concat(split(folder, table), ignore_index=True)
    target = SOURCES[table].target
    rare = (frame[target].astype(str) == RARE[table]).to_numpy()
    frame = frame.drop(columns=[target]).dropna(axis=1, how="all")
    return (frame, np.zeros(len(frame), dtype=bool)) if name.endswith("-planted") else (frame, rare)


def planted(frame: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """In 2 % of the rows three cells come from another row: every cell is usual, some do not go together."""
    frame = frame.reset_index(drop=True).copy()
    rows = rng.permutation(len(frame))[: round(PLANTED * len(frame))]
    for row in rows:
        names, other = rng.choice(frame.columns, 3, replace=False), rng.integers(len(frame))
        for name in names:
            frame.loc[row, name] = frame.loc[other, name]
    return frame, np.isin(np.arange(len(frame)), rows)


def numeric(train: pd.DataFrame, test: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For the detectors: medians for missing numbers, one column per label of at least 1 %, all standardised."""
    parts: list[list[NDArray[np.float64]]] = [[], []]
    for name in train:
        if train[name].dtype == object or train[name].dtype == bool:
            shares = train[name].astype(str).value_counts(normalize=True)
            for label in shares.index[shares >= 0.01]:
                for out, frame in zip(parts, (train, test), strict=True):
                    out.append((frame[name].astype(str) == label).to_numpy(dtype=float))
        else:
            for out, frame in zip(parts, (train, test), strict=True):
                out.append(frame[name].fillna(train[name].median()).to_numpy(dtype=float))
    seen, new = (np.stack(part, axis=1) for part in parts)
    centre, spread = seen.mean(axis=0), seen.std(axis=0)
    spread[spread == 0] = 1.0
    return (seen - centre) / spread, (new - centre) / spread


def ecod(train: NDArray[np.float64], test: NDArray[np.float64]) -> NDArray[np.float64]:
    """Empirical tails of every column, added up on the left, the right and the skewed side; the largest (Li 2022)."""
    left, right, skewed = (np.zeros(len(test)) for _ in range(3))
    for column in range(train.shape[1]):
        values = np.sort(train[:, column])
        below = np.searchsorted(values, test[:, column], side="right").clip(1) / len(values)
        above = (len(values) - np.searchsorted(values, test[:, column], side="left")).clip(1) / len(values)
        low, high = -np.log(below), -np.log(above)
        left, right = left + low, right + high
        skewed += low if ((values - values.mean()) ** 3).mean() < 0 else high
    return np.maximum.reduce([left, right, skewed])


def tablegan(refine: bool) -> Callable[[pd.DataFrame, pd.DataFrame, int], Scores]:
    def run(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Scores:
        adversary: Any = "auto" if refine else "off"
        options = {"refine": refine, "adversary": adversary, "time_budget": None, "random_state": seed}
        found = TableGAN(**options, verbose=False).fit(train).anomaly_scores(test)
        name = "tablegan" if refine else "tablegan-codes"
        parts = {} if refine else {f"{name}: {part} alone": own for part, own in found.parts.items()}
        return {name: found.total} | parts

    return run


def detectors(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Scores:
    seen, new = numeric(train, test)
    factor = LocalOutlierFactor(novelty=True).fit(seen)
    return {
        "isolation forest": -IsolationForest(n_estimators=200, random_state=seed).fit(seen).score_samples(new),
        "ecod": ecod(seen, new),
        "local outlier factor": -factor.score_samples(new),
    }


METHODS = {"tablegan-codes": tablegan(False), "detectors": detectors, "tablegan": tablegan(True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SYNTHKIT_DATA"))
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0, 1, 2, 3, 4])
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--render", action="store_true", help="only write the page from the record")
    options = parser.parse_args()
    if not options.render and options.data is None:
        raise SystemExit("say where the tables are: --data FOLDER, or SYNTHKIT_DATA")
    runs = {tuple(run["key"]): run for run in json.loads(OUT.read_text())["runs"]} if OUT.exists() else {}
    for name in [] if options.render else options.only:
        frame, rare = read(Path(options.data), name)
        for seed in options.seeds:
            rng = np.random.default_rng(seed)
            order, half = rng.permutation(len(frame)), len(frame) // 2
            seen, new = order[:half][:ROWS], order[half:][:ROWS]
            for mode in MODES:
                train, test, label = frame.iloc[seen], frame.iloc[new], rare[new]
                if name.endswith("-planted"):
                    test, label = planted(test, np.random.default_rng(seed))
                    train = train if mode == "normal" else planted(train, np.random.default_rng(seed + 100))[0]
                elif mode == "normal":
                    train = train[~rare[seen]]
                train, test = train.reset_index(drop=True), test.reset_index(drop=True)
                for method in options.methods:
                    if method == "tablegan" and seed > 0:
                        continue  # what the refinement changes shows in one seed
                    start = time.perf_counter()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found = METHODS[method](train, test, seed)
                    seconds = time.perf_counter() - start
                    for key, own in found.items():
                        runs[name, mode, key, seed] = {
                            "key": [name, mode, key, seed],
                            "rows": [len(train), len(test)],
                            "rare": round(float(label.mean()), 5),
                            "roc_auc": round(float(roc_auc_score(label, own)), 5),
                            "average_precision": round(float(average_precision_score(label, own)), 5),
                            "seconds": round(seconds, 2),
                        }
                        print(*runs[name, mode, key, seed].values(), flush=True)
                ordered = sorted(runs.values(), key=lambda run: (CASES.index(run["key"][0]), run["key"][1:]))
                write_runs(OUT, machine(), ordered)
    if runs:
        with atomic_path(PAGE) as temporary:
            temporary.write_text(page(json.loads(OUT.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
