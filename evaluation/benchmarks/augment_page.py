"""The page of the benchmark of treatments, from its record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from synthkit.balance.learners import LEAF_ROWS, LEARNERS, TREE_ROWS, TREES
from synthkit.balance.measures import CLASS_MEASURES, PRECISION
from synthkit.balance.paired import Difference, holm, paired_difference, repeated_mean, split_overlap
from synthkit.balance.treatments import TREATMENTS

OURS, RIVAL, CONTROL = "tablegan-balance", "smote-nc", "none"
TITLES = {name: "Balancer (TableGAN)" if name == OURS else one.title for name, one in TREATMENTS.items()}
MEASURES = ("average_precision", "roc_auc", "recall_at_precision", "balanced_accuracy", "brier")

# table -> model -> treatment -> measure -> repeat -> value
Values = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mapping[int, float]]]]]


def gathered(pieces: Sequence[Mapping[str, Any]]) -> Values:
    """Return every value by table, model, treatment, measure and repeat."""
    found: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(dict))))
    for piece in pieces:
        for model, values in piece["values"].items():
            for measure, value in values.items():
                found[piece["table"]][model][piece["treatment"]][measure][piece["repeat"]] = value
    return found


def difference(values: Mapping[str, Any], first: str, second: str, measure: str, overlap: float) -> Difference | None:
    """Return the gain of one treatment over another on the repeats that both have; None for fewer than two.

    Positive where the first is better, whichever way the measure counts.
    """
    if first not in values or second not in values:
        return None
    ours, theirs = values[first][measure], values[second][measure]
    both = sorted(set(ours) & set(theirs))
    if len(both) < 2:
        return None
    sign = 1 if CLASS_MEASURES[measure].higher else -1
    return paired_difference([sign * ours[r] for r in both], [sign * theirs[r] for r in both], overlap=overlap)


def render(pieces: Sequence[Mapping[str, Any]], sources: Mapping[str, Any]) -> str:
    """Return the page."""
    values = gathered(pieces)
    overlaps = {piece["table"]: split_overlap(piece["test_rows"] / piece["training_rows"]) for piece in pieces}
    lines = [*_head(pieces), *_bars(values, overlaps, sources), *_duels(values, overlaps)]
    for table in values:
        lines += _table(table, pieces, values[table], overlaps[table], sources[table])
    return "\n".join([*lines, *_times(pieces)]) + "\n"


def _head(pieces: Sequence[Mapping[str, Any]]) -> list[str]:
    repeats = len({piece["repeat"] for piece in pieces})
    models = "; ".join(f"{name}: {one.title}" for name, one in LEARNERS.items())
    return [
        "# Does balancing help? Balancer, SMOTE-NC and simpler treatments",
        "",
        "<!-- Written by evaluation/benchmarks/augment.py. Do not edit. -->",
        "",
        f"Imbalanced tables, three models, {repeats} repeats. Each repeat holds another fifth of the rows out;",
        "every treatment gets the other rows, the models learn from what comes back, all are judged on the same rows",
        "held out. Missing numbers are filled with the median of the training rows and marked by a column, for all",
        f"treatments alike. Models: {models}.",
        f"The forest has {TREES} trees with at least {LEAF_ROWS} rows in a leaf, each of which sees at most",
        f"{TREE_ROWS:,} rows. SMOTE-NC (SMOTE where there are no categories) and ADASYN are those of imbalanced-learn,",
        "on standardised numbers. The Balancer is `synthkit.balance.balance_table` with its defaults.",
        "",
        "In brackets 95 % intervals; they and the p-values are those of the corrected resampled t-test (Nadeau and",
        "Bengio 2003), which allows for the rows that repeats share. Differences are positive where the first",
        "treatment is better, whichever way a measure counts. Recall is measured where",
        f"{100 * PRECISION:.0f} % of the alarms are right; lower is better for the Brier score.",
        "Command: `make bench-augment`.",
        "",
    ]


def _bars(values: Values, overlaps: Mapping[str, float], sources: Mapping[str, Any]) -> list[str]:
    """Return what the bars of the project ask for, and what came of tables that were never looked at before."""
    every = {
        (table, model): found
        for table, by_model in values.items()
        for model, by_treatment in by_model.items()
        if (found := difference(by_treatment, OURS, RIVAL, "average_precision", overlaps[table])) is not None
    }
    duels = {key: one for key, one in every.items() if not sources[key[0]].unseen}
    unseen = {key: one for key, one in every.items() if sources[key[0]].unseen}
    if not duels:
        return ["## Balancer against SMOTE-NC", "", "Not measured yet: it needs two repeats of both.", ""]
    adjusted = dict(zip(duels, holm([one.p for one in duels.values()]), strict=True))
    worse = [key for key, one in duels.items() if one.sign < 0]
    clearly = [key for key, one in duels.items() if one.sign > 0]
    better = [key for key, one in duels.items() if one.mean > 0]
    tables = sorted({table for table, _ in duels}, key=list(values).index)
    ahead = [name for name in tables if np.mean([one.mean for (table, _), one in duels.items() if table == name]) > 0]
    corrected = sum(adjusted[key] < 0.05 for key in worse)
    return [
        "## Balancer against SMOTE-NC",
        "",
        f"On average precision, over {len(duels)} pairs of table and model:",
        "",
        f"- significantly worse than SMOTE-NC: {len(worse)}{_named(worse)} (without correction for the number of tests;"
        f" after Holm {corrected}); the bar allows none",
        f"- better mean than SMOTE-NC: {len(better)} of {len(duels)} pairs, and {len(ahead)} of {len(tables)} tables"
        f" (mean over the models{': ' + ', '.join(ahead) if ahead else ''}); the bar asks for half",
        f"- significantly better than SMOTE-NC: {len(clearly)}{_named(clearly)}",
        *_against_nothing(values, overlaps),
        "",
        *_honesty(unseen),
    ]


def _honesty(unseen: Mapping[tuple[str, str], Difference]) -> list[str]:
    """Return how far these tables are evidence, and what came of others."""
    lines = [
        "Steps and rejection of the Balancer were chosen among about thirty settings by average precision on test",
        "rows of these same tables, in part in these same splits: the differences above are somewhat optimistic.",
    ]
    for table in dict.fromkeys(table for table, _ in unseen):
        own = {model: one for (name, model), one in unseen.items() if name == table}
        up, down = sum(one.mean > 0 for one in own.values()), sum(one.sign < 0 for one in own.values())
        lines.append(
            f"On {table}, which nobody had looked at, the mean is better with {up} of {len(own)} models, and "
            f"significantly worse with {down}."
        )
    return [*lines, ""]


def _against_nothing(values: Values, overlaps: Mapping[str, float]) -> Iterator[str]:
    """Yield what each treatment does against doing nothing, which nobody should leave out."""
    for name in (OURS, RIVAL, "adasyn", "oversampling", "weights"):
        found = [
            one
            for table, by_model in values.items()
            for by_treatment in by_model.values()
            if (one := difference(by_treatment, name, CONTROL, "average_precision", overlaps[table])) is not None
        ]
        if found:
            up, down = sum(one.sign > 0 for one in found), sum(one.sign < 0 for one in found)
            yield (
                f"- {TITLES[name]} against doing nothing: significantly better {up}, significantly worse {down}, "
                f"better mean {sum(one.mean > 0 for one in found)} of {len(found)}"
            )


def _named(keys: Sequence[tuple[str, str]]) -> str:
    return f" ({', '.join(f'{table} {model}' for table, model in keys)})" if keys else ""


def _duels(values: Values, overlaps: Mapping[str, float]) -> list[str]:
    """Return the paired differences of Balancer and SMOTE-NC in every measure."""
    lines = ["Balancer minus SMOTE-NC, with the p-value of each:", ""]
    lines += ["| table | model | " + " | ".join(CLASS_MEASURES[name].title for name in MEASURES) + " |"]
    lines += ["|---|---|" + "---|" * len(MEASURES)]
    for table, by_model in values.items():
        for model in LEARNERS:
            if model not in by_model:
                continue
            found = [difference(by_model[model], OURS, RIVAL, name, overlaps[table]) for name in MEASURES]
            lines.append(f"| {table} | {model} | " + " | ".join(map(_difference_cell, found)) + " |")
    return [*lines, ""]


def _difference_cell(one: Difference | None) -> str:
    if one is None:
        return "-"
    text = f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}], p {one.p:.3f}"
    return f"**{text}**" if one.sign else text


def _table(
    table: str, pieces: Sequence[Mapping[str, Any]], by_model: Mapping[str, Any], overlap: float, source: Any
) -> list[str]:
    """Return every number of one table."""
    own = [piece for piece in pieces if piece["table"] == table]
    first, chance = own[0], np.mean([piece["chance"]["average_precision"] for piece in own])
    left_out = f" Left out: {source.why}." if source.why else ""
    lines = [
        f"## {table}",
        "",
        f"{first['training_rows']:,} training and {first['test_rows']:,} test rows, {first['columns']} columns;",
        f"to find: `{source.target} = {source.positive}`, {100 * first['positive_share']:.1f} % of the rows",
        f"(average precision of a guess {chance:.3f}).{left_out}",
        "",
        "| model | treatment | " + " | ".join(CLASS_MEASURES[name].title for name in MEASURES),
    ]
    lines[-1] += " | average precision against nothing |"
    lines.append("|---|---|" + "---|" * (len(MEASURES) + 1))
    for model in LEARNERS:
        for treatment in TREATMENTS:
            values = by_model.get(model, {}).get(treatment)
            if values is None:
                continue
            cells = [_value_cell(list(values[name].values()), overlap) for name in MEASURES]
            gain = difference(by_model[model], treatment, CONTROL, "average_precision", overlap)
            cells.append("" if treatment == CONTROL else _difference_cell(gain))
            lines.append(f"| {model} | {TITLES[treatment]} | " + " | ".join(cells) + " |")
    lines.append("")
    for problem in dict.fromkeys((piece["treatment"], piece["problem"]) for piece in own if piece["problem"]):
        lines += [f"{TITLES[problem[0]]} was left out: {problem[1].rstrip('.')}.", ""]
    return lines


def _value_cell(values: Sequence[float], overlap: float) -> str:
    mean, low, high = repeated_mean(values, overlap=overlap)
    return f"{mean:.4f}" if len(values) < 2 else f"{mean:.4f} [{max(0.0, low):.4f}, {min(1.0, high):.4f}]"


def _times(pieces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how long everything took."""
    lines = ["## Time", "", "Seconds of one treatment, mean over the repeats, and all processor seconds:", ""]
    names = [name for name in TREATMENTS if any(piece["treatment"] == name for piece in pieces)]
    lines += ["| table | " + " | ".join(TITLES[name] for name in names) + " | in all |"]
    lines += ["|---|" + "---|" * (len(names) + 1)]
    for table in dict.fromkeys(piece["table"] for piece in pieces):
        own = [piece for piece in pieces if piece["table"] == table]
        cells = []
        for name in names:
            seconds = [one["treatment_seconds"] for one in own if one["treatment"] == name and not one["problem"]]
            cells.append(f"{np.mean(seconds):.1f}" if seconds else "-")
        total = sum(piece["processor_seconds"] for piece in own)
        lines.append(f"| {table} | " + " | ".join(cells) + f" | {total:,.0f} |")
    machines = "; ".join(dict.fromkeys(piece["machine"] for piece in pieces))
    return [*lines, "", f"Measured on: {machines}."]
