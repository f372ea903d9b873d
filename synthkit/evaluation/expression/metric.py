"""The description of a score of gene expression, and the questions that scores answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synthkit.evaluation.records import Direction

ExpressionTheme = Literal["margins", "joint", "distribution", "biology", "utility", "copies"]
ExpressionNeed = Literal["label", "batch"]


@dataclass(frozen=True, kw_only=True)
class ExpressionMetric:
    """The description of a score; the fields mean what they mean in `synthkit.evaluation.metric.Metric`.

    Attributes
    ----------
    name, theme, title, direction, bounds, ideal, source, meaning, reading, lies, good, rows
        As there; `rows` says which cells it looks at. `meaning` may name ``{slope}`` and ``{corrected}`` too, which are
        details of the score.
    needs
        "label" or "batch" where it needs that column.
    floor
        Whether cells with independent genes are scored too.
    reference
        Which real cells it compares with; the ceiling puts the other real cells in place of the synthetic ones.
    """

    name: str
    theme: ExpressionTheme
    title: str
    direction: Direction = "lower"
    bounds: tuple[float, float] = (0.0, math.inf)
    ideal: float | None = 0.0
    source: str
    meaning: str
    reading: str
    lies: str
    good: str
    rows: str
    needs: tuple[ExpressionNeed, ...] = ()
    floor: bool = True
    reference: Literal["held-out", "training"] = "held-out"


NEEDED: Mapping[str, str] = {
    "label": "a column with the type of each cell in all sets (--label)",
    "batch": "a column with the batch of each cell in all sets (--batch)",
}
QUESTIONS: Mapping[ExpressionTheme, tuple[str, str]] = {
    "margins": ("Margins", "Do genes one at a time, and the totals of cells, look real?"),
    "joint": ("Joint", "Do genes go together as they do in real cells?"),
    "distribution": ("Distribution", "Do synthetic cells lie where real cells lie, and does a classifier tell them?"),
    "biology": ("Biology", "Do types of cells differ from each other as real types do?"),
    "utility": ("Utility", "Does a classifier of types that learned from synthetic cells name real ones?"),
    "copies": ("Copies", "Are synthetic cells repetitions of training cells?"),
}
EQUALLY = "equally many held-out, training and synthetic cells, at most 2,000"
VARIABLE = f"{EQUALLY}; the 2,000 most variable genes"
DETECTED = "at most 1,000 held-out and as many synthetic cells"
