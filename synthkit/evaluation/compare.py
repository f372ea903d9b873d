"""Several synthetic tables against one real one, side by side and with the same controls."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from synthkit.errors import InputError
from synthkit.evaluation.evaluate import evaluate_case
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Direction, Evaluation, Score
from synthkit.evaluation.suite import Gate, Suite, load_suite
from synthkit.evaluation.text import number

if TYPE_CHECKING:
    from rich.table import Table

FORMAT_VERSION = 1
# Beside the best score of a line, and every score whose interval meets that of the best.
BEST = "*"
_LONGEST_NAME = 18


@dataclass(frozen=True)
class Comparison:
    """Evaluations of several synthetic tables against the same real one.

    Attributes
    ----------
    evaluations
        Evaluation by the name of the table, in the order given. Their ceilings and floors are the same.
    provenance
        Command, versions and hashes of the inputs, where the caller knows them.
    gates
        The conditions that each table had to meet, in the order of the verdicts.
    """

    evaluations: Mapping[str, Evaluation]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()

    def __getitem__(self, name: str) -> Evaluation:
        """Return the evaluation of a table by its name."""
        return self.evaluations[name]

    def __str__(self) -> str:
        """Return the readable table."""
        return self.to_text()

    def __repr__(self) -> str:
        from synthkit.evaluation.showing import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        from synthkit.evaluation.showing import comparison_html

        return comparison_html(self, _cell)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the synthetic tables."""
        return tuple(self.evaluations)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the scores that some table has, in the order of the registry."""
        found = {name for evaluation in self.evaluations.values() for name in evaluation.scores}
        return tuple(name for name in METRICS if name in found)

    def controls(self, metric: str) -> tuple[float, float]:
        """Return the ceiling and the floor of a score."""
        score = next(entry.scores[metric] for entry in self.evaluations.values() if metric in entry.scores)
        return score.ceiling, score.floor

    def best(self, metric: str) -> frozenset[str]:
        """Return the tables with the best score, and those that are not clearly worse.

        Two scores whose intervals meet are not told apart. Empty for scores that say nothing about which table is
        better (those of models trained on the real table, of held-out rows), and where fewer than two apply.
        """
        scores = {
            name: evaluation.scores[metric]
            for name, evaluation in self.evaluations.items()
            if metric in evaluation.scores and evaluation.scores[metric].applies
        }
        if len(scores) < 2 or metric in _CONTEXT:
            return frozenset()
        first = min(scores, key=lambda name: badness(scores[name].value, scores[name].direction))
        worst_of_best = badness_ends(scores[first])[1]
        return frozenset(
            name for name, score in scores.items() if name == first or badness_ends(score)[0] <= worst_of_best
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        from synthkit import __version__

        return {
            "format": "synthkit-comparison",
            "format_version": FORMAT_VERSION,
            "created_with": __version__,
            "best": {metric: sorted(self.best(metric)) for metric in self.metrics},
            "evaluations": {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()},
            "provenance": dict(self.provenance),
        }

    def to_json(self) -> str:
        """Return `to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    def to_text(self, *, width: int = 120) -> str:
        """Return one table of all scores, the gates that are not met, and how to read it.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from rich.console import Console

        stream = io.StringIO()
        console = Console(file=stream, width=width, no_color=True, highlight=False)
        console.print(self._as_table())
        for line in self.summary():
            console.print(line, markup=False)
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"

    def summary(self) -> list[str]:
        """Return how to read the table, and what each synthetic table is best and worst at, one sentence each."""
        lines = [
            f"{BEST} best of its line, or not clearly worse: the intervals meet. There is no overall score: what"
            " matters depends on what the table is for."
        ]
        compared = [metric for metric in self.metrics if self.best(metric)]
        for name, evaluation in self.evaluations.items():
            wins = sum(name in self.best(metric) for metric in compared)
            said = f"{name}: best or not clearly worse in {wins} of {len(compared)} scores"
            if evaluation.verdicts:
                failed = evaluation.failed
                said += (
                    "; all gates met"
                    if not failed
                    else f"; not met: {'; '.join(METRICS[v.metric].title for v in failed)}"
                )
            lines.append(said + ".")
        notes = dict.fromkeys(note for evaluation in self.evaluations.values() for note in evaluation.notes)
        return [*lines, *(f"Note: {note}" for note in notes)]

    def _as_table(self) -> Table:
        from rich import box
        from rich.table import Table

        first = next(iter(self.evaluations.values()))
        title = (
            f"{len(self.evaluations)} synthetic tables against {first.rows['real']:,} real rows"
            f" ({first.rows['held-out']:,} held out)"
        )
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("score", no_wrap=True)
        table.add_column("real\nrows", justify="right", no_wrap=True)
        for name in self.evaluations:
            table.add_column(name, justify="right", max_width=_LONGEST_NAME, overflow="fold")
        table.add_column("independent\ncolumns", justify="right", no_wrap=True)
        theme = None
        for metric in self.metrics:
            if theme is not None and METRICS[metric].theme != theme:
                table.add_section()
            theme = METRICS[metric].theme
            ceiling, floor = self.controls(metric)
            best = self.best(metric)
            cells = [
                _cell(evaluation.scores.get(metric), name in best) for name, evaluation in self.evaluations.items()
            ]
            table.add_row(METRICS[metric].title, number(ceiling), *cells, number(floor))
        return table


def compare(
    real: pd.DataFrame,
    synthetic: Mapping[str, pd.DataFrame],
    *,
    test: pd.DataFrame | None = None,
    target: str | None = None,
    sensitive: Sequence[str] = (),
    groups: Sequence[str] = (),
    suite: str | Path | Suite = "standard",
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Score several synthetic tables against one real table, with the same controls for all of them.

    Parameters
    ----------
    real
        The rows that the generators learned from.
    synthetic
        The tables to judge, by name.
    test, target, sensitive, groups, suite, seed
        As in `evaluate`. The ceiling and the floor are those of the first table.
    progress
        Is told the name of the table and the title of each metric before it is computed.

    Returns
    -------
    Comparison
        One evaluation for each table.

    Raises
    ------
    InputError
        If there is no synthetic table.
    SchemaError, DataError
        As in `evaluate`; the message names the table.
    """
    if not synthetic:
        raise InputError("there is no synthetic table to compare", remedy="Pass at least one.")
    asked = suite if isinstance(suite, Suite) else load_suite(suite)
    options = Options(target, tuple(sensitive), tuple(groups), seed)
    cases = {}
    for name, frame in synthetic.items():
        try:
            cases[name] = read_case(real, frame, test, options)
        except InputError as error:
            raise type(error)(f"{name}: {error.what}", remedy=error.remedy) from error
    evaluations: dict[str, Evaluation] = {}
    for name in synthetic:
        case, notes = cases.pop(name)
        tell = _named(progress, name)
        controls = next(iter(evaluations.values())).scores if evaluations else None
        evaluations[name] = evaluate_case(case, asked, notes=notes, controls=controls, progress=tell)
    return Comparison(evaluations, gates=asked.gates)


# Scores that say what others are to be compared with, not how good a synthetic table is.
_CONTEXT = frozenset({"trtr", "exact_test"})


def _named(progress: Callable[[str], None] | None, name: str) -> Callable[[str], None] | None:
    return None if progress is None else lambda title: progress(f"{name}: {title}")


def badness(value: float, direction: Direction) -> float:
    """Return a number that is the smaller the better: the distance from 0.5 where that is what counts."""
    return {"lower": value, "higher": -value, "half": abs(value - 0.5)}[direction]


def badness_ends(score: Score) -> tuple[float, float]:
    """Return the badness of the better and of the worse end of an interval, or of the value where there is none."""
    if math.isnan(score.low) or math.isnan(score.high):
        return (badness(score.value, score.direction),) * 2
    better, worse = sorted(badness(end, score.direction) for end in (score.low, score.high))
    # The best value of all may lie between the two ends.
    return (0.0 if score.direction == "half" and score.low <= 0.5 <= score.high else better), worse


def _cell(score: Score | None, best: bool) -> str:
    return "-" if score is None else number(score.value) + (BEST if best else " ")
