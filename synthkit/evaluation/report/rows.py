"""What every report of an evaluation is made of: the verdict, and scores in the words and order of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from synthkit.evaluation.records import Judged, Score, Status
from synthkit.phrases import counted

_STATED: tuple[tuple[Status, str], ...] = (
    ("fail", "not met"),
    ("borderline", "met within the uncertainty"),
    ("pass", "met"),
    ("not applicable", "not applicable"),
)


class Described(Protocol):
    """What a reader is told of any score."""

    @property
    def name(self) -> str:
        """Key of the score."""

    @property
    def title(self) -> str:
        """Name for readers."""

    @property
    def theme(self) -> str:
        """Which question it belongs to."""


@dataclass(frozen=True)
class ScoreRow:
    """A score with everything that is printed beside it."""

    metric: Described
    score: Score
    value: str
    interval: str
    ceiling: str
    floor: str
    n: str
    words: str


@dataclass(frozen=True)
class ThemeScores:
    """The scores that answer one question, and titles of those that were left out with what they need."""

    theme: str
    title: str
    question: str
    rows: tuple[ScoreRow, ...]
    left_out: tuple[tuple[str, str], ...]


def overall(evaluation: Judged, of: str) -> tuple[Status | Literal["none"], str, str]:
    """Return the status of all gates, the verdict in words, and what it rests on; `of` names what is judged."""
    total = len(evaluation.verdicts)
    suite = f"suite {evaluation.suite!r}" if evaluation.suite else "suite"
    if total == 0:
        return "none", "No verdict", f"The {suite} sets no gates; read each score beside its two controls."
    counts = {status: sum(one.status == status for one in evaluation.verdicts) for status, _ in _STATED}
    said = ", ".join(f"{counts[status]} {word}" for status, word in _STATED if counts[status])
    rests = f"The {suite} has {counted(total, 'gate')}: {said}."
    if counts["fail"]:
        return "fail", f"Not passed: {counted(counts['fail'], 'gate')} not met", rests
    if counts["not applicable"] == total:
        return "not applicable", f"No verdict: no gate applies to these {of}", rests
    return ("borderline" if counts["borderline"] else "pass"), "Passed", rests
