"""The page that is written from the records of privacy.py: goals, a matrix of budgets and methods for each table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

Run = dict[str, Any]

METHODS = {
    "holdout": "real held-out rows",
    "binned": "real rows, binned and drawn back",
    "ours": "**synthkit**, anchor",
    "ours-hybrid": "**synthkit**, hybrid",
    "ours-dp-sgd": "**synthkit**, DP-SGD alone",
    "mst": "MST (mbi)",
    "dpmm-mst": "MST (dpmm)",
    "dpmm-privbayes": "PrivBayes (dpmm)",
    "aim": "AIM (mbi)",
    "aim-short": "AIM (mbi), 4 rounds a column",
    "dpmm-aim": "AIM (dpmm)",
}
REFERENCES = ("holdout", "binned")
OWN = ("ours", "ours-hybrid", "ours-dp-sgd")
PEERS = tuple(method for method in METHODS if method not in (*REFERENCES, *OWN))
BINS = {
    "own": "its own, bought within the budget",
    "equal-width": "32 of equal width, public",
    "ours": "as synthkit buys them, 8 % of the budget",
    "-": "-",
}
# score -> (heading, decimals)
SCORES = {
    "trend_err": ("trend error", 4),
    "shape_err": ("shape error", 4),
    "c2st_tree": ("boosted AUC", 3),
    "tstr": ("trained on it", 3),
}
OWN_ACCOUNTANT = "privacy loss distributions (dp-accounting)"
# Goals on Adult at delta 1e-6: epsilon -> trained on it (at least), trend error and boosted AUC (at most)
GOALS = {0.5: (0.885, 0.036, 0.81), 1.0: (0.893, 0.024, 0.74), 3.0: (0.898, 0.017, 0.70), 10.0: (0.903, 0.013, 0.66)}
MOST_SECONDS, MOST_MB, FASTER_THAN_AIM = 90, 1536, 5

COMPARABLE = """\
## What is comparable, and what is not

- **The same for all**: the split, the declared domain (bounds and categories, `evaluation/benchmarks/domains`),
  epsilon, delta, one row more or less as the difference to be hidden, and the scores, which see only modelled
  columns (identifiers are made up by everybody). The number of rows is public.
- **The accountants differ.** synthkit composes privacy loss distributions. The peers compose zCDP and convert
  it, as their authors do, which leaves them 10 to 14 % less precision (1 / sigma²) at delta 1e-6 and the same
  epsilon. So part of any difference is the accounting, not the model.
- **The bins differ.** Peers work on codes. On *32 of equal width* they pay nothing for them, with codes of
  their own for zero and for the bounds of wide ranges. *As synthkit buys them* cuts their numbers with our
  mechanism, for 8 % of what their accountant allows. The line *real rows, binned and drawn back* shows what
  such bins cost by themselves, because a number is drawn evenly from its bin: a peer on them can hardly do
  better.
- **Domains are declared, not discovered**, but by people who know these well-known tables: bounds are round
  numbers around the published range, and lists that no documentation gives (diagnoses, payers, specialties,
  some codes) are those that occur in the public table. Everybody gets the same lists.
- **The unit**: where a person has several rows (diabetes130), synthkit protects the person. Peers know only
  rows, so one random row of each person is all that they are given, which makes their promise the same.
- **AIM** has its full settings (16 rounds a column, 80 MB, all pairs up to 10,000 cells) and a time limit. When
  the time is up it spends what is left of its budget in its last round, as it always does; such runs are marked
  *stopped*. *4 rounds a column* is the same with fewer rounds and less noise in each, so that less is left for
  such a last round: what a user with that much time might try. Waiting for a busy machine is not counted against
  it. AIM and MST of `mbi` are our drivers on that package, which does not ship them; those of `dpmm` are its own.
- **The noise of mbi's AIM and MST comes from a seeded generator here**: good for a comparison, not for a
  release.
- **Settings of synthkit were first chosen on this very split of Adult**, which no epsilon pays for; those of
  the peers are their authors'. The other tables are the fairer comparison."""


class Records:
    """Medians over the seeds of each table, method, budget and kind of bins."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs: dict[tuple[str, str, float | None, str], list[Run]] = {}
        for run in runs:
            if "scores" in run:
                key = run["table"], run["method"], run["epsilon"], run["bins"]
                self._runs.setdefault(key, []).append(run)

    def runs(self, table: str, method: str, epsilon: float | None, bins: str) -> list[Run]:
        return self._runs.get((table, method, epsilon, bins), [])

    def keys(self, table: str) -> list[tuple[str, float | None, str]]:
        """Return method, budget and bins of a table's runs: references without budget first, then by budget."""
        found = [key[1:] for key in self._runs if key[0] == table]
        return sorted(found, key=lambda key: (key[1] or 0.0, list(METHODS).index(key[0]), key[2]))

    def score(self, table: str, method: str, epsilon: float | None, bins: str, name: str) -> float | None:
        return _median(run["scores"].get(name, {}).get("value") for run in self.runs(table, method, epsilon, bins))

    def fact(self, table: str, method: str, epsilon: float | None, bins: str, name: str) -> float | None:
        return _median(run.get(name) for run in self.runs(table, method, epsilon, bins))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def render(runs: list[Run], *, tables: list[str]) -> str:
    """Return the page as Markdown."""
    records = Records(runs)
    present = [table for table in tables if records.keys(table)]
    parts = [_head(runs), _goals(records), _against(records, present)]
    parts += [_table(records, table) for table in present]
    parts += [COMPARABLE, _failures(runs)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(runs: list[Run]) -> str:
    machines = sorted({run["machine"] for run in runs if "machine" in run})
    versions = sorted({f"{name} {value}" for run in runs for name, value in run.get("versions", {}).items()})
    deltas = sorted({f"{run['delta']:g}" for run in runs if run.get("delta") is not None})
    return "\n".join(
        [
            "# Benchmark: privacy",
            "",
            "<!-- Written by evaluation/benchmarks/privacy.py from evaluation/baselines/privacy.json. Do not edit. -->",
            "",
            "Every method learns from the same 80 % of a table under the same epsilon and delta, in a process of its "
            "own, and is scored by the same functions (`synthkit.evaluation`) against those rows and the held-out "
            "20 %. Numbers are medians over the seeds. Lower is better for the errors; a boosted AUC of 0.5 means that "
            "gradient-boosted trees cannot tell synthetic rows from real ones; *trained on it* is the score on "
            "held-out rows of a model that learned from synthetic ones.",
            "",
            f"Delta: {', '.join(deltas) or 'not recorded'}. Machine: {'; '.join(machines) or 'not recorded'}. "
            f"Versions: {', '.join(versions) or 'not recorded'}.",
        ]
    )


@dataclass(frozen=True)
class Goal:
    """What was asked for, and what came out."""

    title: str
    bound: float
    value: float | None
    decimals: int
    at_most: bool = True

    def row(self, epsilon: float) -> str | None:
        if self.value is None:
            return None
        met = self.value <= self.bound if self.at_most else self.value >= self.bound
        sign = "≤" if self.at_most else "≥"
        # One digit more than the bound, so that a near miss does not look like a hit.
        shown = self.decimals + 1 if self.decimals else 0
        return (
            f"| {epsilon:g} | {self.title} | {sign} {self.bound:,.{self.decimals}f} | {self.value:,.{shown}f} "
            f"| {'met' if met else '**missed**'} |"
        )


def _goals(records: Records) -> str:
    rows: list[str | None] = []
    for epsilon, (utility, trend, auc) in GOALS.items():
        key = "adult", "ours", epsilon, "own"
        goals = [
            Goal("trained on it", utility, records.score(*key, "tstr"), 3, at_most=False),
            Goal("trend error", trend, records.score(*key, "trend_err"), 3),
            Goal("boosted AUC", auc, records.score(*key, "c2st_tree"), 2),
            Goal("fit, seconds", MOST_SECONDS, records.fact(*key, "seconds"), 0),
            Goal("peak memory, MB", MOST_MB, records.fact(*key, "peak_mb"), 0),
        ]
        rows += [goal.row(epsilon) for goal in goals]
    shown = [row for row in rows if row]
    if not shown:
        return ""
    head = ["## Goals on Adult", "", "| epsilon | measure | goal | measured | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *shown])


def _against(records: Records, tables: list[str]) -> str:
    """Compare trend error and seconds with every peer at every budget."""
    rows = []
    for table in tables:
        for method, epsilon, bins in records.keys(table):
            if method not in PEERS:
                continue
            ours = records.score(table, "ours", epsilon, "own", "trend_err")
            theirs = records.score(table, method, epsilon, bins, "trend_err")
            own_seconds = records.fact(table, "ours", epsilon, "own", "seconds")
            seconds = records.fact(table, method, epsilon, bins, "seconds")
            if ours is None or theirs is None:
                continue
            longer = seconds / own_seconds if seconds is not None and own_seconds else None
            level = "met" if ours <= theirs else "**missed**"
            quick = ""
            if method == "aim" and longer is not None:
                quick = f" ({'met' if longer >= FASTER_THAN_AIM else '**missed**'})"
            rows.append(
                f"| {table} | {epsilon:g} | {METHODS[method]} | {BINS[bins]} | {ours:.4f} | {theirs:.4f} | {level} "
                f"| {'-' if longer is None else f'{longer:.1f}x{quick}'} |"
            )
    if not rows:
        return ""
    return "\n".join(
        [
            "## Against the peers",
            "",
            "Goals: trend error level or better everywhere, and a fit at least 5 times as fast as that of AIM (mbi).",
            "",
            "| table | epsilon | peer | its bins | our trend error | its own | level or better | its fit takes |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _table(records: Records, table: str) -> str:
    rows, accountants = [], {}
    for method, epsilon, bins in records.keys(table):
        key = table, method, epsilon, bins
        cells = [_number(records.score(*key, name), decimals) for name, (_, decimals) in SCORES.items()]
        cells += [_number(records.fact(*key, name), 0) for name in ("seconds", "cpu_seconds", "peak_mb")]
        budget = "-" if epsilon is None else f"{epsilon:g}"
        title = _with_remark(METHODS[method], records.runs(*key))
        rows.append(f"| {budget} | {title} | {BINS[bins]} | {' | '.join(cells)} |")
        if method not in REFERENCES:
            accountants[METHODS[method]] = _accountant(method, records.runs(*key))
    any_run = records.runs(table, *records.keys(table)[0])[0]
    real = _median(
        run["scores"].get("trtr", {}).get("value") for key in records.keys(table) for run in records.runs(table, *key)
    )
    units = sorted({run["unit"] for key in records.keys(table) for run in records.runs(table, *key) if "unit" in run})
    headings = [heading for heading, _ in SCORES.values()] + ["fit, s", "processor, s", "peak, MB"]
    return "\n".join(
        [
            f"## {table}",
            "",
            f"{any_run['rows']:,} training rows, {any_run['columns']} columns."
            + (f" Unit of privacy: {', '.join(units)}." if units else "")
            + (f" Trained on the real rows: {real:.3f}." if real is not None else ""),
            "",
            f"| epsilon | method | bins | {' | '.join(headings)} |",
            "|---" * (len(headings) + 3) + "|",
            *rows,
            *(
                ["", "Accountants: " + "; ".join(f"{name}: {text}" for name, text in accountants.items()) + "."]
                if accountants
                else []
            ),
        ]
    )


def _accountant(method: str, runs: list[Run]) -> str:
    named = sorted({run["accountant"] for run in runs if run.get("accountant")})
    return ", ".join(named) or (OWN_ACCOUNTANT if method in OWN else "not recorded")


def _with_remark(title: str, runs: list[Run]) -> str:
    """Tell the number of seeds, and when the time limit was felt."""
    remarks = [f"{len(runs)} seeds"] if len(runs) > 1 else []
    stopped = [run for run in runs if run["status"] == "stopped"]
    if stopped:
        rounds = f" after {stopped[0]['rounds']} rounds" if "rounds" in stopped[0] else ""
        remarks.append(f"stopped{rounds}, limit {stopped[0]['time_limit']:,.0f} s")
    elif any(run["status"] == "late" for run in runs):
        remarks.append(f"later than the limit of {runs[0]['time_limit']:,.0f} s")
    return f"{title} ({', '.join(remarks)})" if remarks else title


def _failures(runs: list[Run]) -> str:
    lines = [
        f"- {run['table']}, {METHODS[run['method']]}, epsilon {run['epsilon']}, seed {run['seed']}: "
        f"{run['status']}, {run.get('note', 'no note')}"
        for run in runs
        if "scores" not in run
    ]
    return "\n".join(["## Runs without scores", "", *lines]) if lines else ""


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:,.{decimals}f}"
