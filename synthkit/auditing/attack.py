"""The description of an attack: what it tries, what it needs, what its measures mean, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from synthkit.auditing.case import AuditCase
    from synthkit.auditing.records import Risk

Family = Literal["duplicates", "membership", "attribute", "singling out", "linkability"]
Need = Literal["holdout", "sensitive", "quasi-identifiers", "known columns", "shadow models"]


@dataclass(frozen=True, kw_only=True)
class AttackText:
    """What a report says of an attack, on tables or on scans.

    Attributes
    ----------
    name
        Key in the registry.
    family
        Which question it belongs to.
    title
        Name for readers.
    source
        Where it comes from.
    threat
        What the attacker knows and tries, one sentence.
    reading
        How to read its first measure, one sentence.
    lies
        When it misleads.
    measures
        Names of its measures, the deciding one first, with a text each.
    """

    name: str
    family: Family
    title: str
    source: str
    threat: str
    reading: str
    lies: str
    measures: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Attack(AttackText):
    """An attack that can be run on any case of tables.

    Attributes
    ----------
    needs
        What a case must have; otherwise the attack is not run and says what it lacks.
    control_noise
        Noise on the numbers of its positive control, in standard deviations: 0 for attacks that look for equal values.
    subjects
        The subjects of its risks on a case, one text each: so many intervals of each measure hold together.
    run
        Returns one risk for each subject (often one), not yet judged by controls. Each has all measures.
    """

    run: Callable[[AuditCase], tuple[Risk, ...]]
    needs: tuple[Need, ...] = ("holdout",)
    control_noise: float = 0.01
    subjects: Callable[[AuditCase], Sequence[str]] = lambda case: ("",)
