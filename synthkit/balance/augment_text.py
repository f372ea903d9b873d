"""An experiment in words: one table for each model, then what it says, also where it says that nothing helps."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthkit.balance.learners import LEARNERS
from synthkit.balance.measures import measures_of
from synthkit.balance.treatments import CONTROL
from synthkit.evaluation.text import wrapped

if TYPE_CHECKING:
    from rich.table import Table

    from synthkit.balance.augmentation import AugmentResult
    from synthkit.balance.paired import Difference

_SHOWN_BESIDE = (
    "average_precision",
    "roc_auc",
    "recall_at_precision",
    "balanced_accuracy",
    "brier",
    "r2",
    "rmse",
    "mae",
)
_GENERATED = "tablegan"


def metric_title(result: AugmentResult, measure: str | None = None) -> str:
    """Return the name of a measure (of the one that decides without a name) for readers, with what it depends on."""
    name = measure or result.metric
    title = measures_of(len(result.classes))[name].title
    if len(result.classes) > 2:
        title = f"macro {title}" if name != "balanced_accuracy" else title
    return f"{title} {result.precision:g}" if name == "recall_at_precision" else title


def as_text(result: AugmentResult, *, width: int) -> str:
    """Return tables, findings and notes as text without colours."""
    from rich.console import Console

    lines = [*wrapped(headline(result), width), ""]
    for model in result.models:
        stream = io.StringIO()
        Console(file=stream, width=width, no_color=True, highlight=False).print(as_table(result, model))
        lines += [line.rstrip() for line in stream.getvalue().rstrip().splitlines()]
        lines.append("")
    lines += wrapped(" ".join(legend(result)), width)
    lines.append("")
    for sentence in findings(result):
        lines += wrapped(f"- {sentence}", width)
    lines += ["", *wrapped(f"Recommended: {result.recommended.reason}", width)]
    for note in notes(result):
        lines += wrapped(f"Note: {note}", width)
    return "\n".join(lines) + "\n"


def headline(result: AugmentResult) -> str:
    """Return what was asked, in one line."""
    what = f"{len(result.classes)} classes" if result.classes else "a number"
    if result.positive is not None:
        share = result.outcomes[0].chance if result.outcomes[0].measure == "average_precision" else math.nan
        share_of = "" if math.isnan(share) else f", {100 * share:.3g} % of the rows"
        what = f"to find {result.positive!r}{share_of}"
    repeats = f"{result.repeats} repeats of {result.rows['training']:,} training and {result.rows['test']:,} test rows"
    return f"Does a treatment help to predict {result.target!r} ({what})? {repeats}."


def as_table(result: AugmentResult, model: str) -> Table:
    """Return what came of every treatment with one model as a rich table."""
    from rich import box
    from rich.table import Table

    beside = measures_beside(result)
    title = f"{model}: {LEARNERS[model].title}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("treatment", no_wrap=True)
    heads = (_short(result, result.metric), "against doing nothing", "p", *(_short(result, name) for name in beside))
    for heading in heads:
        table.add_column(heading, justify="right", no_wrap=True)
    for marked, value, *rest in rows_of(result, model, beside):
        table.add_row(marked, value.split(" ")[0], *rest)
    return table


def _short(result: AugmentResult, measure: str) -> str:
    """Return a heading of two short lines; the precision of a recall and the macro mean are told below the tables."""
    if measure == "recall_at_precision":
        return f"recall\nat {result.precision:g}"
    return measures_of(len(result.classes))[measure].title.replace(" ", "\n", 1)


def measures_beside(result: AugmentResult) -> list[str]:
    """Return the names of the measures that are shown beside the one that decides."""
    return [name for name in _SHOWN_BESIDE if name in measures_of(len(result.classes)) and name != result.metric]


def rows_of(result: AugmentResult, model: str, beside: list[str]) -> Iterator[list[str]]:
    """Yield the cells of each treatment: name, deciding measure, gain, p-value and the measures beside."""
    choice = result.choices[model]
    for run in result.treatments:
        if run.problem:
            continue
        outcome = result.outcome(run.name, model)
        gain = outcome.gain
        others = [number(result.outcome(run.name, model, name).value) for name in beside]
        marked = f"{'>' if run.name == choice.recommended else ' '} {run.title}"
        value = f"{number(outcome.value)} [{number(outcome.low)}, {number(outcome.high)}]"
        if gain is None:
            yield [marked, value, "", "", *others]
        else:
            star = "*" if gain.significant else ""
            yield [marked, value, change(gain), f"{gain.adjusted:.3f}{star}", *others]


def legend(result: AugmentResult) -> Iterator[str]:
    """Yield how the tables are read, in sentences."""
    measures = measures_of(len(result.classes))
    lower = [metric_title(result, name) for name in _SHOWN_BESIDE if name in measures and not measures[name].higher]
    yield "'>': the simplest treatment that is not significantly worse than the best."
    metric = metric_title(result)
    yield f"'against doing nothing': the difference in {metric}, positive is better, with its 95 % interval."
    yield (
        "'p': corrected resampled t-test (Nadeau and Bengio 2003), by Holm over the treatments of each model; * below "
        "0.05."
    )
    if result.classes:
        yield f"'recall at {result.precision:g}': with so large a share of the alarms right."
    if len(result.classes) > 2:
        yield "Every measure is the mean over the classes, each against the rest."
    yield f"Lower is better for {', '.join(lower)}."
    yield result.design


def findings(result: AugmentResult) -> Iterator[str]:
    """Yield one sentence for each model, and what generated rows did."""
    for model in result.models:
        yield f"{model}: {_of_model(result, model)}"
    for run in result.treatments:
        if run.name.startswith(_GENERATED) and not run.problem:
            yield _of_generator(result, run.name, run.title)


def _of_model(result: AugmentResult, model: str) -> str:
    choice = result.choices[model]
    best = result.title_of(choice.best)
    if choice.recommended == CONTROL:
        said = "no treatment was significantly better than doing nothing"
        if choice.best == CONTROL:
            return f"{said}, which has the best mean."
        return f"{said}; the best mean is that of {best} ({change(choice.gains[choice.best])})."
    gain = change(choice.gains[choice.recommended])
    said = f"with {result.title_of(choice.recommended)} {metric_title(result)} changes by {gain}"
    if choice.recommended == choice.best:
        return f"{said}; everything simpler is significantly worse."
    return f"{said}; {best} has a better mean, but not significantly."


def _of_generator(result: AugmentResult, name: str, title: str) -> str:
    """Say what generated rows did with all models."""
    gains = {model: result.choices[model].gains[name] for model in result.models}
    better = [model for model in result.models if name in result.choices[model].helpful]
    worse = [model for model, gain in gains.items() if gain.significant < 0]
    told = ", ".join(f"{model} {change(gain)}" for model, gain in gains.items())
    said = f"{title} helped with {' and '.join(better)}" if better else f"{title} helped with no model"
    said += f", and hurt with {' and '.join(worse)}" if worse else ""
    return f"{said} ({told})."


def reason(result: AugmentResult, model: str) -> str:
    """Return the recommendation for a model in one sentence."""
    choice = result.choices[model]
    outcome = result.outcome(choice.recommended, model)
    reached = f"{metric_title(result)} {number(outcome.value)}"
    if choice.recommended == CONTROL:
        said = f"the {model} model on the table as it is ({reached})"
        return f"{said}: no treatment was significantly better than doing nothing."
    against = f"{reached} instead of {number(outcome.control)} without"
    said = f"the {model} model after {result.title_of(choice.recommended)} ({against})"
    if choice.recommended == choice.best:
        return f"{said}: everything simpler is significantly worse."
    return f"{said}: the simplest that is not significantly worse than the best, {result.title_of(choice.best)}."


def notes(result: AugmentResult) -> Iterator[str]:
    """Yield what a reader must know."""
    if result.interrupted:
        yield f"interrupted: {result.repeats} of {result.asked_repeats} repeats were finished."
    for run in result.treatments:
        if run.problem:
            yield f"{run.title} was left out: {run.problem.rstrip('.')}."
    yield from result.notes
    best = {choice.best for choice in result.choices.values()}
    if not result.helped and best != {CONTROL}:
        yield "a difference that is not significant may still be there: more repeats or more rows would tell."


def number(value: float) -> str:
    """Return a measure with three decimals, with three digits where it is large, a dash for none."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def change(difference: Difference) -> str:
    """Return a difference with its interval."""
    mean, low, high = (
        f"{value:+.3f}" if abs(value) < 100 else f"{value:+,.0f}"
        for value in (difference.mean, difference.low, difference.high)
    )
    return f"{mean} [{low}, {high}]"
