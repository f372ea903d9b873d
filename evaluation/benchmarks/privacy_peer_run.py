"""One run of a peer of the privacy benchmark, in an environment of its own; started by privacy.py.

It knows nothing of synthkit: it reads integer codes of shape (rows, columns) and the number of codes of each column,
writes synthetic rows of codes, and prints one JSON line. `aim` and `mst` need the package mbi, the others dpmm.
The noise is for a comparison only: that of `aim` and `mst` comes from a seeded generator.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import math
import os
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# codes, sizes, rows to draw, epsilon, delta, share of the budget, seed, clock -> synthetic codes, facts for the record
Method = Callable[[np.ndarray, list[int], int, float, float, float, int, "Clock"], tuple[np.ndarray, dict[str, Any]]]

ZCDP = "zCDP, converted by Canonne, Kamath and Steinke 2020"
AIM_MEGABYTES = 80


class Clock:
    """Time that counts against the limit: neither waiting for a busy machine nor a second core does.

    Parameters
    ----------
    limit
        Seconds.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._started = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        """Seconds since the start on the wall, or of the processor if they are fewer."""
        wall, processor = self._started
        return min(time.monotonic() - wall, time.process_time() - processor)

    @property
    def left(self) -> float:
        return self.limit - self.seconds


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return the least delta that rho-zCDP implies at epsilon (Canonne, Kamath, Steinke 2020, proposition 12)."""
    if rho <= 0:
        return 0.0

    def log_delta(order: float) -> float:
        return (order - 1) * (order * rho - epsilon) + order * math.log1p(-1 / order) - math.log(order - 1)

    # Every order gives a valid bound, and the bound has one minimum over the orders.
    low, high = 1 + 1e-6, (epsilon + 1) / (2 * rho) + 2
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if log_delta(left) < log_delta(right):
            high = right
        else:
            low = left
    return math.exp(min(0.0, log_delta(low)))


def zcdp_budget(epsilon: float, delta: float) -> float:
    """Return the largest rho for which rho-zCDP implies (epsilon, delta)-DP."""
    low, high = 0.0, epsilon + 1
    for _ in range(100):
        middle = (low + high) / 2
        if zcdp_delta(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle
    return low


def run_mbi(name: str) -> Method:
    """Return a mechanism of privacy_peer_mbi.py."""

    def run(codes, sizes, n, epsilon, delta, share, seed, clock):
        from privacy_peer_mbi import METHODS as MECHANISMS

        rho = share * zcdp_budget(epsilon, delta)
        rows, facts = MECHANISMS[name](codes, sizes, n, rho, np.random.default_rng(seed), clock)
        return rows, facts | {"accountant": ZCDP, "rho": rho, "versions": versions("mbi", "jax")}

    return run


def run_dpmm(name: str) -> Method:
    """Return a pipeline of dpmm, with its defaults except for the limit of AIM's model, which is that of the paper."""

    def run(codes, sizes, n, epsilon, delta, share, seed, clock):
        import pandas as pd
        from dpmm.pipelines import AIMPipeline, MSTPipeline, PrivBayesPipeline

        kinds = {"aim": AIMPipeline, "mst": MSTPipeline, "privbayes": PrivBayesPipeline}
        options = {"max_model_size": AIM_MEGABYTES} if name == "aim" else {}
        model = kinds[name](epsilon=epsilon, delta=delta, disable_processing=True, n_jobs=1, **options)
        mechanism = model.gen.generator
        if share != 1.0 and name == "privbayes":
            raise SystemExit("PrivBayes spends a pure epsilon, of which no zCDP share can be taken")
        if name != "privbayes":
            mechanism.rho *= share
        if name == "mst":
            mechanism.sigma = math.sqrt(3 / (2 * mechanism.rho))
        facts: dict[str, Any] = {"status": "done"}
        rho = float(mechanism.rho)
        if name == "aim":
            facts |= {"rounds": 0, "planned_rounds": 16 * len(sizes)}
            stop_in_time(mechanism, clock, facts)
        names = [str(place) for place in range(len(sizes))]
        table = pd.DataFrame(codes, columns=names)
        model.fit(table, domain=dict(zip(names, sizes, strict=True)), random_state=seed)
        rows = model.generate(n_records=n, random_state=seed)[names].to_numpy(dtype=np.int64)
        if clock.left < 0 and facts["status"] == "done":
            facts["status"] = "late"
        half = "half of epsilon as pure DP, half as " if name == "privbayes" else ""
        facts |= {"accountant": half + ZCDP, "rho": rho, "versions": versions("dpmm", "opendp")}
        return rows, facts | {"settings": f"defaults of dpmm, no processing{', 80 MB' if name == 'aim' else ''}"}

    return run


class Ending(float):
    """A budget of which dpmm's AIM finds too little left for two more rounds, so that it spends the rest in one."""

    def __sub__(self, used: float) -> Remaining:
        return Remaining(float(self) - used)


class Remaining(float):
    """What is left of it: less than anything that a round costs, but not less than nothing."""

    def __lt__(self, other: float) -> bool:
        return float(self) < other or other > 0


def stop_in_time(mechanism: Any, clock: Clock, facts: dict[str, Any]) -> None:
    """Let AIM of dpmm go to its last round, with all that is left of the budget, when the time runs out."""
    take, begun = mechanism.worst_approximated, []

    def worst_approximated(*arguments, **options):
        begun.append(clock.seconds)
        facts["rounds"] += 1
        longest = max((late - early for early, late in itertools.pairwise(begun)), default=begun[0])
        # This round, the last one and the final fit are still to come, each longer than those before.
        if clock.left < 4 * longest and not isinstance(mechanism.rho, Ending):
            facts["status"] = "stopped"
            mechanism.rho = Ending(mechanism.rho)
        return take(*arguments, **options)

    mechanism.worst_approximated = worst_approximated


METHODS: dict[str, Method] = {
    "aim": run_mbi("aim"),
    "aim-short": run_mbi("aim-short"),
    "mst": run_mbi("mst"),
    "dpmm-aim": run_dpmm("aim"),
    "dpmm-mst": run_dpmm("mst"),
    "dpmm-privbayes": run_dpmm("privbayes"),
}


def versions(*packages: str) -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in packages}


def peak_mb() -> float:
    """Return the highest resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=Path, required=True, help="integer codes, npy of shape (rows, columns)")
    parser.add_argument("--sizes", type=Path, required=True, help="JSON list of the number of codes of each column")
    parser.add_argument("--method", choices=list(METHODS), required=True)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--delta", type=float, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="share of the zCDP budget that is left for the method")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="npy for the synthetic codes")
    parser.add_argument("--rows", type=int, help="synthetic rows (default: as many as there are codes)")
    parser.add_argument(
        "--time-limit", type=float, default=1800.0, help="seconds; waiting for the machine is not counted"
    )
    options = parser.parse_args()

    warnings.filterwarnings("ignore")
    codes, sizes = np.load(options.codes), json.loads(options.sizes.read_text())
    started, processor, clock = time.monotonic(), time.process_time(), Clock(options.time_limit)
    run, n = METHODS[options.method], options.rows or len(codes)
    rows, facts = run(codes, sizes, n, options.epsilon, options.delta, options.share, options.seed, clock)
    facts |= {
        "seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(time.process_time() - processor, 2),
        "peak_mb": round(peak_mb(), 1),
        "adjacency": "add-remove",
        "cores": len(os.sched_getaffinity(0)),
    }
    np.save(options.out, rows.astype(np.int64))
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
