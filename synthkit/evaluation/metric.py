"""The description of a score: what it is called, which way it is good, where it comes from, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from synthkit.evaluation.case import Case, Ceiling
from synthkit.evaluation.records import Direction, Score

Theme = Literal["validity", "fidelity", "detection", "coverage", "utility", "fairness", "copies"]
Need = Literal["target", "classes", "sensitive", "groups"]

KYNKAANNIEMI = "Kynkaanniemi et al. 2019, Improved precision and recall"
NAEEM = "Naeem et al. 2020, Reliable fidelity and diversity metrics"
LOPEZ_PAZ = "Lopez-Paz and Oquab 2017, Revisiting classifier two-sample tests"
ALAA = "Alaa et al. 2022, How faithful is your synthetic data?"
ESTEBAN = "Esteban et al. 2017, Real-valued medical time series generation with recurrent conditional GANs"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A score that can be computed for any case.

    Attributes
    ----------
    name
        Key in `Evaluation.scores`.
    theme
        Which question it belongs to.
    title
        Name for readers.
    direction
        Whether lower, higher or nearest to one half is better.
    bounds
        Smallest and largest possible value; infinite where there is none.
    ideal
        The value for tables drawn from the very same source, without sampling noise; None where that depends on the
        table.
    needs
        Options without which the metric is left out: "target", "classes" (a target that is a class), "sensitive",
        "groups".
    source
        Where the definition comes from.
    meaning
        One sentence in plain words; ``{value}`` is the number, ``{percent}`` the number in per cent, ``{measure}`` the
        note of the score.
    reading
        What the number is, for somebody who has not read the source.
    lies
        When it misleads.
    good
        What good looks like.
    rows
        Which rows it looks at.
    interval
        Over what the interval reaches: "all rows" of the three tables, or "held-out rows" alone, with the models as
        they are.
    ceiling
        Which real rows play the synthetic table in its ceiling (see `Case.ceiling`).
    floor
        Whether it has a floor.
    compute
        Returns the score of a case; where it does not apply, NaN with a note that says why.
    """

    name: str
    theme: Theme
    title: str
    direction: Direction
    bounds: tuple[float, float]
    ideal: float | None
    source: str
    meaning: str
    reading: str
    lies: str
    good: str
    rows: str
    compute: Callable[[Case], Score]
    needs: tuple[Need, ...] = ()
    interval: Literal["all rows", "held-out rows"] = "all rows"
    ceiling: Ceiling = "held-out"
    floor: bool = True

    def score(self, case: Case, controls: Score | None = None) -> Score:
        """Return the score of a case with its controls.

        Parameters
        ----------
        case
            The tables and options; its role is "synthetic".
        controls
            A score of this metric against the same real tables, whose controls are taken over.
        """
        found = self.compute(case)
        if controls is not None:
            return found.with_controls(ceiling=controls.ceiling, floor=controls.floor)
        real = case.ceiling(self.ceiling)
        ceiling = self.compute(real).value if real is not None else float("nan")
        floor = self.compute(case.floor()).value if self.floor else float("nan")
        return found.with_controls(ceiling=ceiling, floor=floor)

    def wants(self, case: Case) -> str | None:
        """Return the option that the metric needs and the case lacks, or None when it can run."""
        given = {
            "target": case.target is not None,
            "classes": case.target is not None and not case.predicts_number,
            "sensitive": bool(case.sensitive),
            "groups": bool(case.groups),
        }
        return next((need for need in self.needs if not given[need]), None)
