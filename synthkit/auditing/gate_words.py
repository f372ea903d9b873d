"""What the gates of a policy say: which attacks are meant, and numbers beside their thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from synthkit.auditing.attack import AttackText, Family
from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.expression.attacks import EXPRESSION_ATTACKS
from synthkit.auditing.records import Risk
from synthkit.auditing.scans.attacks import SCAN_ATTACKS

ALL = "all "
"""How a gate begins that means a whole family."""
_MOST_NAMED = 3
_MOST_DIGITS = 6


def described_attacks() -> dict[str, AttackText]:
    """Return the attacks on tables, on scans and on gene expression by name."""
    return {**ATTACKS, **SCAN_ATTACKS, **EXPRESSION_ATTACKS}


def family_of_attack() -> dict[str, Family]:
    """Return the family of each attack by its name."""
    return {name: attack.family for name, attack in described_attacks().items()}


def attacks_meant(wanted: str) -> list[str]:
    """Return the names of the attacks that a gate may mean."""
    families = family_of_attack()
    if wanted == ALL.strip():
        return list(families)
    if wanted.startswith(ALL):
        return [name for name, family in families.items() if family == wanted.removeprefix(ALL)]
    name = wanted.partition(":")[0]
    return [known for known in families if fnmatchcase(known, name)]


def is_meant(wanted: str, risk: Risk) -> bool:
    """Return whether a gate means a risk."""
    if wanted == ALL.strip() or wanted.startswith(ALL):
        return risk.attack in attacks_meant(wanted)
    return risk.attack == wanted or fnmatchcase(risk.name, wanted) or fnmatchcase(risk.attack, wanted)


def plain_title(risk: Risk) -> str:
    """Return the title of an attack with its subject, as it stands within a sentence."""
    attack = described_attacks().get(risk.attack)
    title = attack.title if attack is not None else risk.attack
    return f"{title} ({risk.subject})" if risk.subject else title


def title_of(risk: Risk) -> str:
    """Return the title of an attack with its subject, as it stands at the beginning of a sentence."""
    said = plain_title(risk)
    return said[:1].upper() + said[1:]


def titles_of(risks: Iterable[Risk]) -> str:
    """Return the titles of the first few risks."""
    titles = [title_of(risk) for risk in risks]
    more = f" and {len(titles) - _MOST_NAMED} more" if len(titles) > _MOST_NAMED else ""
    return ", ".join(titles[:_MOST_NAMED]) + more


def said_of(risks: Sequence[Risk]) -> str:
    """Return the titles of risks and the verb that goes with them."""
    return f"{titles_of(risks)} {'is' if len(risks) == 1 else 'are'}"


def number_text(value: float, threshold: float = math.nan, *, share: bool = False) -> str:
    """Return a number, in per cent where it is a share, with as many digits as it takes to tell it from a threshold."""
    scale, unit, digits = (100.0, " %", 1) if share else (1.0, "", 3)
    points, other = scale * value, scale * threshold
    if 0 < abs(points) < 1 and share:
        digits = 2
    while digits < _MOST_DIGITS and points != other and round(points, digits) == round(other, digits):
        digits += 1
    return f"{round(points, digits) + 0.0:.{digits}f}{unit}".replace("-", "−")


def threshold_text(value: float, *, share: bool) -> str:
    """Return a threshold as it is in the policy, in per cent where it is a share."""
    return (f"{100 * value:.6g} %" if share else f"{value:.6g}").replace("-", "−")
