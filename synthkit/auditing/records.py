"""What an audit returns: risks with their interval, baseline and controls, and a verdict that is never "safe"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Outcome = Literal["disclosure", "no disclosure found", "inconclusive", "not applicable"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""What an attack can end with, worst first."""

DESCRIPTIVE = frozenset({"attack", "control"})
"""Measures that a risk is made of: how often the attack succeeds on members and on others."""


@dataclass(frozen=True)
class Estimate:
    """One measure of an attack.

    Attributes
    ----------
    value
        What was measured, from 0 to 1; NaN when it does not apply.
    low, high
        Ends of its interval, widened so that all intervals of the audit of one family hold together with 95 %.
    baseline
        What an attacker gets who has not seen the synthetic table: 0.5 for an AUC, the false-positive rate for a
        true-positive rate, 0 for a risk beyond the control.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    baseline: float = math.nan

    @property
    def applies(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def above(self) -> bool:
        """Whether the attacker is better than without the synthetic table, beyond chance."""
        return self.low > self.baseline


@dataclass(frozen=True)
class Risk:
    """What one attack found about one release.

    Attributes
    ----------
    attack
        Name in `synthkit.auditing.attacks.ATTACKS`.
    subject
        What it was about where there are several: the sensitive column of an attribute attack, the kind of predicate.
    estimates
        Measures by name. By the first the controls are judged. All but `DESCRIPTIVE` ones tell of a disclosure.
    n
        Number of targets that were attacked.
    outcome
        "disclosure": a measure is above its baseline, beyond chance; "no disclosure found": none is, and the controls
        show that the attack would have seen one; "inconclusive": the controls do not show that; "not applicable": it
        did not run, and `note` says why.
    note
        What a reader must know about this result, one sentence.
    positive, negative
        First measure of the same attack on copies of training rows with a little noise (must be caught), and on
        held-out rows in place of the synthetic ones (must not).
    details
        Further plain values that JSON can hold.
    """

    attack: str
    subject: str = ""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    n: int = 0
    outcome: Outcome = "inconclusive"
    note: str = ""
    positive: Estimate | None = None
    negative: Estimate | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Attack and subject, the key of the risk in an audit."""
        return f"{self.attack}: {self.subject}" if self.subject else self.attack

    @property
    def headline(self) -> Estimate:
        """The first measure, by which the controls are judged."""
        return next(iter(self.estimates.values()), Estimate(math.nan))

    def judged(self, positive: Estimate | None, negative: Estimate | None) -> Risk:
        """Return the risk with its controls and the outcome that follows from them.

        Parameters
        ----------
        positive, negative
            The first measure on either control; None where it could not be run.
        """
        outcome, note = self._outcome(positive, negative)
        said = f"{self.note} {note}".strip() if note else self.note
        return replace(self, positive=positive, negative=negative, outcome=outcome, note=said)

    def _outcome(self, positive: Estimate | None, negative: Estimate | None) -> tuple[Outcome, str]:
        own = self.headline
        if not own.applies:
            return "not applicable", ""
        if negative is None or not negative.applies or positive is None or not positive.applies:
            return "inconclusive", "A control could not be run."
        if negative.above:
            return "inconclusive", "The attack also succeeds on held-out rows in place of synthetic ones."
        found = [name for name, one in self.estimates.items() if name not in DESCRIPTIVE and one.above]
        if found:
            return (
                "disclosure",
                "" if own.above else f"By {found[0]} only: a few records are exposed, the average is not.",
            )
        if not positive.above:
            return "inconclusive", "The attack does not even catch copies of the training rows."
        return "no disclosure found", ""


def not_applicable(attack: str, note: str, subject: str = "") -> Risk:
    """Return the result of an attack that did not run.

    Parameters
    ----------
    attack, subject
        As in `Risk`.
    note
        Why, one sentence.
    """
    return Risk(attack, subject, outcome="not applicable", note=note)
