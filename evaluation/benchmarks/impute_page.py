"""The page of the benchmark of imputation."""

from __future__ import annotations

from typing import Any

HEAD = """# Benchmark of imputation

<!-- Written by evaluation/benchmarks/impute.py from evaluation/baselines/impute.json. Do not edit. -->

Machine: {machine}, shared with other work while this ran: seconds are for orientation.
`python evaluation/benchmarks/impute.py --data FOLDER` repeats it.

Of each table 4,000 complete rows are drawn (seed 0), cells are hidden by a seeded mechanism, and every method completes
the same table.

- **MCAR**: each cell with chance 20 %.
- **MAR**: half of the columns, drawn at random, stay whole; each of the others loses 30 % of its cells with log-odds
  that rise by 2 per standard deviation of the rank of one of the columns that stay.
- **MNAR**: each column loses 20 % of its cells with log-odds that rise by 2 per standard deviation of the cell's own
  rank (of a label: of how frequent it is). No method can be right about what it never sees.

Methods:

- `tablegan`: fitted to the masked table alone, without refinement and critic, then `TableGAN.impute`: draws for the
  distributional scores, `strategy="mean"` for the error of single cells; `tablegan-codes`: the same with
  `refined=False`, the posterior of the codes alone.
- `iterative-*`: scikit-learn's `IterativeImputer` (BayesianRidge, ten rounds): posterior draws, kept in the observed
  range and rounded to the decimals of the column, for the distributional scores; its defaults, kept in range and not
  rounded, for the error of single cells (our own guesses are rounded). Labels one-hot, the largest of which wins, or as
  numbers from 0 and rounded.
- `simple`: observed cells of the same column drawn at random (hot deck); mean and mode for single cells.
- `complete`: the truth itself, the ceiling of every score.

Columns of labels that are written as numbers are declared labels for every method.
"""

SCORES = (
    (
        "marginal",
        "Marginal error",
        "Drawn against true cells, lower is better: Wasserstein distance in standard deviations of numbers, total "
        "variation of labels; mean of columns.",
        3,
    ),
    (
        "trend",
        "Pair error",
        "Completed against true rows, lower is better: total variation of the joint law of two columns, numbers in "
        "deciles; mean of pairs.",
        4,
    ),
    (
        "two_sample_auc",
        "Two-sample AUC",
        "Boosted trees between one half of the true rows and the other half, completed; 0.5 is best.",
        3,
    ),
    (
        "predictive",
        "Predictive",
        "ROC AUC (R2 for `beijing_pm25`) on real complete held-out rows of boosted trees that learned the target from "
        "the completed table, higher is better. The differences between methods are mostly noise of 4,000 rows.",
        3,
    ),
    (
        "point",
        "Error of single cells",
        "Lower is better: root mean squared error in standard deviations of numbers, share of wrong labels; mean of "
        "columns.",
        3,
    ),
    ("nrmse", "of which numbers", "Root mean squared error in standard deviations; mean of columns of numbers.", 3),
    ("wrong_labels", "of which labels", "Share of wrong labels; mean of columns of labels.", 3),
    (
        "coverage",
        "Coverage of 90 % intervals",
        "Share of intervals from five tables by Rubin's rules that hold the value of the whole table: means, shares of "
        "labels of at least 5 %, correlations of numbers (Fisher's z, too narrow for heavy tails as `complete` "
        "shows). One sample per table: estimands of a table depend on each other.",
        2,
    ),
    ("interval_width", "Width of these intervals", "Median, relative to the interval of the complete rows.", 2),
    ("seconds_draws", "Seconds per draw", "For ours with a share of the fit, which is made once for all draws.", 1),
)
NAMES = {"mcar": "MCAR, 20 %", "mar": "MAR", "mnar": "MNAR"}
DISTRIBUTIONAL = ("marginal", "trend", "two_sample_auc")
PEERS = ("iterative-onehot", "iterative-ordinal")


def page(record: dict[str, Any]) -> str:
    """Return the page for people."""
    runs = {tuple(run["key"]): run for run in record["runs"]}
    mechanisms = list(dict.fromkeys(key[0] for key in runs))
    tables = list(dict.fromkeys(key[1] for key in runs))
    methods = list(dict.fromkeys(key[2] for key in runs))
    lines = [HEAD.format(machine=record["machine"]), "## The bar", ""]
    lines += [
        "Better than IterativeImputer on a distributional score: than the better of its two encodings. Error of single",
        "cells: ours as a share of the better encoding's, at most 1.05 is asked for.",
        "",
        "| mechanism, table | marginal | pairs | two-sample | error of single cells, ratio |",
        "|---|---|---|---|---|",
    ]
    for mechanism in mechanisms:
        for table in tables:
            own = runs.get((mechanism, table, "tablegan"))
            peers = [runs[mechanism, table, peer] for peer in PEERS if (mechanism, table, peer) in runs]
            if own is None or not peers:
                continue
            cells = ["better" if distance(own, score) < least(peers, score) else "worse" for score in DISTRIBUTIONAL]
            ratio = own["point"] / least(peers, "point")
            lines.append(f"| {mechanism}, {table} | {' | '.join(cells)} | {ratio:.3f} |")
    lines.append("")
    for mechanism in mechanisms:
        lines += [f"## {NAMES[mechanism]}", ""]
        for score, title, meaning, places in SCORES:
            if not any(run.get(score) is not None for key, run in runs.items() if key[0] == mechanism):
                continue
            lines += [f"### {title}", "", meaning, ""]
            lines += ["| | " + " | ".join(f"`{method}`" for method in methods) + " |", "|---|" + "---|" * len(methods)]
            for table in tables:
                cells = []
                for method in methods:
                    value = runs.get((mechanism, table, method), {}).get(score)
                    cells.append("" if value is None else f"{value:.{places}f}")
                lines.append(f"| {table} | {' | '.join(cells)} |")
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def distance(run: dict[str, Any], score: str) -> float:
    """How far a score is from its best value."""
    value = float(run[score])
    return abs(value - 0.5) if score == "two_sample_auc" else value


def least(runs: list[dict[str, Any]], score: str) -> float:
    return min(distance(run, score) for run in runs)
