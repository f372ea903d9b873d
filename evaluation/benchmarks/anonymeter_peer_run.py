"""Run Anonymeter's three evaluators on tables that the agreement benchmark wrote; in the environment of Anonymeter.

The last line of the output is a JSON object. Nothing of synthkit is imported here.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator


def told(evaluator: Any, started: float) -> dict[str, Any]:
    """Return risk, interval and rates, as Anonymeter reports them."""
    results, risk = evaluator.results(), evaluator.risk()
    return {
        "risk": risk.value,
        "low": risk.ci[0],
        "high": risk.ci[1],
        "attack": results.n_success / results.n_attacks_ori,
        "control": results.n_control / results.n_attacks_control,
        "naive": results.n_baseline / results.n_attacks_baseline,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", type=json.loads, required=True)
    options = parser.parse_args()
    task, folder = options.task, options.folder
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in task["files"]}
    synthetic = tables["synthetic"]
    # Anonymeter draws from the global generator of pandas
    np.random.seed(task["seed"])  # noqa: NPY002
    found = {}
    for mode in ("univariate", "multivariate"):
        started = time.perf_counter()
        evaluator = SinglingOutEvaluator(
            ori=tables["members"],
            syn=synthetic,
            control=tables["nonmembers"],
            n_attacks=task["predicates"][mode],
            n_cols=3,
            max_attempts=task["attempts"],
            seed=task["seed"],
        )
        found[f"singling-out: {mode}"] = told(evaluator.evaluate(mode=mode), started)
    few = tables["few_members"], tables["few_nonmembers"]
    started = time.perf_counter()
    linker = LinkabilityEvaluator(
        ori=few[0], syn=synthetic, control=few[1], aux_cols=tuple(task["halves"]), n_attacks=len(few[0])
    )
    found["linkability"] = told(linker.evaluate(n_jobs=1), started)
    for secret, is_number in task["secrets"].items():
        started = time.perf_counter()
        guesser = InferenceEvaluator(
            ori=few[0],
            syn=synthetic,
            control=few[1],
            aux_cols=[name for name in synthetic.columns if name != secret],
            secret=secret,
            regression=is_number,
            n_attacks=len(few[0]),
        )
        found[f"attribute: {secret}"] = told(guesser.evaluate(n_jobs=1), started)
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
