"""The page that is written from the records of tables.py: goals, scores of every table, ablation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

Run = dict[str, Any]

# score -> (heading, decimals)
SCORES = {
    "shape_err": ("shape error", 4),
    "trend_err": ("trend error", 4),
    "c2st_tree": ("boosted AUC", 3),
    "c2st_tree_test": ("boosted AUC, held out", 3),
    "c2st_lr": ("logistic AUC", 3),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "density": ("density", 3),
    "coverage": ("coverage", 3),
    "tstr": ("trained on it", 3),
    "dcr_share": ("nearest-record share", 3),
    "exact_train": ("copies of training rows", 4),
    "exact_test": ("copies of held-out rows", 4),
}
METHODS = {
    "holdout": "real held-out rows",
    "ours": "**synthkit**",
    "ours-raw": "synthkit, not refined",
    "ctgan": "CTGAN",
    "tvae": "TVAE",
    "smote": "interpolation (SMOTE)",
    "independent": "independent columns",
}
ABLATION = {
    "anchor": "likelihood only",
    "adversary": "likelihood + adversary",
    "anchor+refine": "likelihood + refinement",
    "ours-raw": "defaults, not refined",
    "ours": "defaults",
    "loss-wgan-gp": "adversary, WGAN-GP loss, not refined",
    "loss-wgan": "adversary, WGAN loss, not refined",
    "loss-vanilla": "adversary, vanilla loss, not refined",
    "network": "network generator, not refined",
    "network-wgan-gp": "network generator, WGAN-GP loss, not refined",
    "time-half": "half the time budget",
    "time-2x": "twice the time budget",
    "time-4x": "four times the time budget",
}
_LOWER = ("shape_err", "trend_err")
_DETECTION = ("c2st_tree", "c2st_tree_test", "c2st_lr")
_HIGHER = ("precision", "recall", "density", "coverage", "tstr")


class Records:
    """Medians over the seeds of each table and method."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs: dict[tuple[str, str], list[Run]] = {}
        for run in runs:
            if run["status"] != "failed":
                self._runs.setdefault((run["table"], run["method"]), []).append(run)

    def runs(self, table: str, method: str) -> list[Run]:
        return self._runs.get((table, method), [])

    def score(self, table: str, method: str, name: str, end: str = "value") -> float | None:
        found = [run["scores"].get(name, {}).get(end) for run in self.runs(table, method)]
        known = [value for value in found if value is not None]
        return median(known) if known else None

    def fact(self, table: str, method: str, name: str) -> float | None:
        found = [run[name] for run in self.runs(table, method) if name in run]
        return median(found) if found else None

    def fit_seconds(self, table: str, method: str) -> float | None:
        """Return the seconds of a fit; on one thread those of the processor, which another process cannot lengthen."""
        alone = all(run.get("threads") == 1 for run in self.runs(table, method))
        name = "fit_cpu_seconds" if alone and self.fact(table, method, "fit_cpu_seconds") is not None else "fit_seconds"
        return self.fact(table, method, name)

    def gap(self, table: str) -> float | None:
        """Return what is lost by training on our table rather than on the real one, the median over the seeds."""
        found = [
            run["scores"]["trtr"]["value"] - run["scores"]["tstr"]["value"]
            for run in self.runs(table, "ours")
            if run["scores"].get("tstr", {}).get("value") is not None
        ]
        return median(found) if found else None

    def lost_with_time(self, table: str) -> float | None:
        """Return what twice or four times the time budget adds to the boosted AUC of the same seeds, at worst."""
        usual = {run["seed"]: run["scores"]["c2st_tree"]["value"] for run in self.runs(table, "ours")}
        found = [
            run["scores"]["c2st_tree"]["value"] - usual[run["seed"]]
            for method in ("time-2x", "time-4x")
            for run in self.runs(table, method)
            if run["seed"] in usual
        ]
        return max(found) if found else None


@dataclass(frozen=True)
class Goal:
    """A bar: what is measured, its bound, and whether the value may lie below or above."""

    title: str
    measure: Callable[[Records, str], float | None]
    bound: float
    at_most: bool = True
    decimals: int = 3

    def row(self, records: Records, table: str) -> str | None:
        value = self.measure(records, table)
        if value is None:
            return None
        met = value <= self.bound if self.at_most else value >= self.bound
        sign = "≤" if self.at_most else "≥"
        # One digit more than the bound, so that a near miss does not look like a hit.
        shown = self.decimals + 1 if self.decimals else 0
        return (
            f"| {table} | {self.title} | {sign} {self.bound:.{self.decimals}f} | {value:.{shown}f} "
            f"| {'met' if met else '**missed**'} |"
        )


def _own(name: str) -> Callable[[Records, str], float | None]:
    return lambda records, table: records.score(table, "ours", name)


def _fact(name: str) -> Callable[[Records, str], float | None]:
    return lambda records, table: records.fact(table, "ours", name)


def _main_goals(auc: float, shape: float, trend: float, seconds: float) -> list[Goal]:
    return [
        Goal("boosted AUC", _own("c2st_tree"), auc),
        Goal("boosted AUC, held out", _own("c2st_tree_test"), auc),
        Goal("shape error", _own("shape_err"), shape, decimals=4),
        Goal("trend error", _own("trend_err"), trend, decimals=4),
        Goal("fit and refine, seconds", _fact("fit_seconds"), seconds, decimals=0),
    ]


def _gap_goal(bound: float) -> Goal:
    return Goal("utility lost (trtr - tstr)", lambda records, table: records.gap(table), bound)


def _speed(method: str) -> Callable[[Records, str], float | None]:
    def rows_per_second(records: Records, table: str) -> float | None:
        speeds = [
            run["rows"] / run["sample_seconds"] for run in records.runs(table, method) if run.get("sample_seconds")
        ]
        return median(speeds) if speeds else None

    return rows_per_second


GOALS: dict[str, list[Goal]] = {
    "adult": [
        *_main_goals(0.53, 0.006, 0.013, 90),
        _gap_goal(0.011),
        Goal("rows/s, not refined", _speed("ours-raw"), 50_000, at_most=False, decimals=0),
        Goal("rows/s, refined", _speed("ours"), 15_000, at_most=False, decimals=0),
    ],
    "online_shoppers": [*_main_goals(0.55, 0.007, 0.012, 60), _gap_goal(0.012)],
    "credit_default": [*_main_goals(0.70, 0.008, 0.011, 120), _gap_goal(0.010)],
    "beijing_pm25": [
        *_main_goals(0.55, 0.006, 0.006, 120),
        Goal("R2 of a model trained on it", _own("tstr"), 0.65, at_most=False),
    ],
    **{name: _main_goals(0.75, 0.02, 0.03, 240) for name in ("support2", "diabetes130", "sick", "mammography")},
}
EVERYWHERE = [
    Goal("nearest-record share, at least", _own("dcr_share"), 0.48, at_most=False),
    Goal("nearest-record share, at most", _own("dcr_share"), 0.53),
    Goal("peak memory of fit, MB", _fact("fit_peak_mb"), 1500, decimals=0),
    Goal("boosted AUC lost by twice or four times the time", Records.lost_with_time, 0.01),
]


def render(runs: list[Run], *, tables: list[str]) -> str:
    """Return the page as Markdown."""
    records = Records(runs)
    present = [table for table in tables if any(run["table"] == table for run in runs)]
    parts = [_head(runs), _goals(records, present), _comparison(records, present)]
    parts += [_table(records, table) for table in present]
    parts += [_ablation(records, present), _failures(runs)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(runs: list[Run]) -> str:
    machines = sorted({run["machine"] for run in runs if "machine" in run})
    versions = sorted({f"{name} {value}" for run in runs for name, value in run.get("versions", {}).items()})
    return "\n".join(
        [
            "# Benchmark: tables",
            "",
            "<!-- Written by evaluation/benchmarks/tables.py from evaluation/baselines/tables.json. Do not edit. -->",
            "",
            "Every method learns from the same 80 % of a table, in a process of its own, and is scored by the same "
            "functions (`synthkit.evaluation`) against those rows and the held-out 20 %. Numbers are medians over the "
            "seeds. A boosted AUC of 0.5 means that gradient-boosted trees cannot tell synthetic rows from real ones. "
            "`evaluation/README.md` tells how to run it and what each score means.",
            "",
            f"Machine: {'; '.join(machines) or 'not recorded'}. Versions: {', '.join(versions) or 'not recorded'}.",
        ]
    )


def _goals(records: Records, tables: list[str]) -> str:
    rows = [
        row for table in tables for goal in [*GOALS.get(table, []), *EVERYWHERE] if (row := goal.row(records, table))
    ]
    rows += [row for table in tables if (row := _copies_row(records, table))]
    rows += [row for row in _coverage_rows(records) if row]
    if not rows:
        return ""
    return "\n".join(["## Goals", "", "| table | measure | goal | measured | |", "|---|---|---|---|---|", *rows])


def _copies_row(records: Records, table: str) -> str | None:
    """Compare copies of training rows with those of held-out rows, whose interval is what chance allows."""
    ours, chance = records.score(table, "ours", "exact_train"), records.score(table, "ours", "exact_test", "high")
    if ours is None or chance is None:
        return None
    met = "met" if ours <= chance else "**missed**"
    return f"| {table} | copies of training rows | ≤ {chance:.4f} (held-out rows, upper end) | {ours:.4f} | {met} |"


def _coverage_rows(records: Records) -> Iterable[str | None]:
    for name in ("precision", "recall", "density", "coverage"):
        ours, real = records.score("adult", "ours", name), records.score("adult", "holdout", name)
        if ours is None or real is None:
            continue
        met = "met" if abs(ours - real) <= 0.03 * real else "**missed**"
        yield f"| adult | {name} | {real:.3f} ± 3 % (held-out rows) | {ours:.3f} | {met} |"


def _comparison(records: Records, tables: list[str]) -> str:
    """Tell on which scores we are not better than each peer, and how much longer a peer takes."""
    rows = []
    for table in tables:
        own_seconds = records.fit_seconds(table, "ours")
        for method in ("ctgan", "tvae", "smote", "independent"):
            if not records.runs(table, method) or own_seconds is None:
                continue
            names = [
                name
                for name in (*_LOWER, *_DETECTION, *_HIGHER)
                if not (method == "independent" and name == "shape_err")
            ]
            worse = [SCORES[name][0] for name in names if not _better(records, table, name, method)]
            seconds = records.fit_seconds(table, method) or 0.0
            longer = f"{seconds / own_seconds:.1f}x" if method in ("ctgan", "tvae") else "-"
            rows.append(f"| {table} | {METHODS[method]} | {longer} | {', '.join(worse) or 'none'} |")
    if not rows:
        return ""
    head = ["## Against the others", "", "| table | method | its fit takes | scores on which synthkit is not better |"]
    note = "A fit that ran on one thread is given in seconds of its processor, because it may have had to wait."
    return "\n".join([*head, "|---|---|---|---|", *rows, "", note])


def _better(records: Records, table: str, name: str, method: str) -> bool:
    ours, other = records.score(table, "ours", name), records.score(table, method, name)
    if ours is None or other is None:
        return True
    if name in _LOWER:
        return ours < other
    if name in _DETECTION:
        return max(0.0, ours - 0.5) < max(0.0, other - 0.5) or max(ours, other) <= 0.5
    return ours > other


def _table(records: Records, table: str) -> str:
    rows = []
    for method, title in METHODS.items():
        runs = records.runs(table, method)
        if not runs:
            continue
        cells = [_number(records.score(table, method, name), decimals) for name, (_, decimals) in SCORES.items()]
        cells.append(_number(records.fit_seconds(table, method), 1))
        cells.append(_number(records.fact(table, method, "sample_seconds"), 1))
        cells.append(_number(records.fact(table, method, "fit_peak_mb"), 0))
        rows.append(f"| {_with_remark(title, runs)} | {' | '.join(cells)} |")
    if not rows:
        return ""
    any_run = next(run for method in METHODS for run in records.runs(table, method))
    real = next((value for method in METHODS if (value := records.score(table, method, "trtr")) is not None), None)
    headings = [heading for heading, _ in SCORES.values()] + ["fit, s", "sample, s", "peak of fit, MB"]
    return "\n".join(
        [
            f"## {table}",
            "",
            f"{any_run['rows']:,} training rows, {any_run['columns']} columns."
            + (f" Trained on the real rows: {real:.3f}." if real is not None else ""),
            "",
            f"| method | {' | '.join(headings)} |",
            "|---" * (len(headings) + 1) + "|",
            *rows,
        ]
    )


def _with_remark(title: str, runs: list[Run]) -> str:
    """Tell the number of seeds, and when a fit was stopped early."""
    remarks = [f"{len(runs)} seeds"] if len(runs) > 1 else []
    stopped = [run for run in runs if run["status"] == "stopped"]
    if stopped:
        remarks.append(f"stopped at epoch {stopped[0]['epochs']} of {stopped[0]['planned_epochs']}")
    elif runs[0].get("planned_epochs"):
        remarks.append(f"{runs[0]['epochs']} epochs")
    return f"{title} ({', '.join(remarks)})" if remarks else title


def _ablation(records: Records, tables: list[str]) -> str:
    rows = []
    for table in tables:
        variants = [name for name in ABLATION if records.runs(table, name)]
        if not set(variants) - {"ours", "ours-raw"}:
            continue
        for name in variants:
            cells = [
                _number(records.score(table, name, score), SCORES[score][1])
                for score in ("c2st_tree", "c2st_tree_test", "shape_err", "trend_err", "tstr", "dcr_share")
            ]
            seconds = _number(records.fit_seconds(table, name), 1)
            rows.append(f"| {table} | {ABLATION[name]} | {' | '.join(cells)} | {seconds} |")
    if not rows:
        return ""
    return "\n".join(
        [
            "## Ablation: what each part gives",
            "",
            "| table | variant | boosted AUC | held out | shape error | trend error | trained on it "
            "| nearest-record share | fit, s |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _failures(runs: list[Run]) -> str:
    lines = [
        f"- {run['table']}, {run['method']}, seed {run['seed']}: {run['note']}"
        for run in runs
        if run["status"] == "failed"
    ]
    return "\n".join(["## Runs that failed", "", *lines]) if lines else ""


def render_summary(runs: list[Run], *, tables: list[str]) -> str:
    """Return the small table of the README: who can be told from real rows, and how long it took."""
    records = Records(runs)
    methods = [name for name in METHODS if any(run["method"] == name for run in runs)]
    fewest = min((len(found) for table in tables if (found := records.runs(table, "ours"))), default=0)
    rows = []
    for table in tables:
        if not records.runs(table, "ours"):
            continue
        cells = [_number(records.score(table, method, "c2st_tree"), 2) for method in methods]
        seconds = [
            # a fit that was stopped at its limit would have taken longer
            ("> " if any(run["status"] == "stopped" for run in records.runs(table, method)) else "")
            + _number(records.fit_seconds(table, method), 0)
            for method in ("ours", "ctgan")
        ]
        rows.append(f"| {table} | {' | '.join(cells + seconds)} |")
    if not rows:
        return "The benchmark has not been run for this version yet; `make bench` fills in this table."
    headings = ["table", *(METHODS[name] for name in methods), "fit, s", "fit of CTGAN, s"]
    stopped = any(run["status"] == "stopped" for run in runs)
    note = " Fits of CTGAN or TVAE that were stopped early are marked there." if stopped else ""
    return "\n".join(
        [
            f"| {' | '.join(headings)} |",
            "|---" * len(headings) + "|",
            *rows,
            "",
            f"Medians over the seeds (from {fewest} a table on), measured by `make bench` on the same rows.{note} "
            "[All scores](docs/benchmarks.md), with the goals and the ablation.",
        ]
    )


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
