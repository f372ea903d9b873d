"""What a report draws, as small frozen records: no row of any table is needed any more once they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synthkit.evaluation.case import Case
from synthkit.evaluation.records import Score

Numbers = tuple[float, ...]
Matrix = tuple[Numbers, ...]


@dataclass(frozen=True)
class ColumnPicture:
    """The margins of one column.

    Attributes
    ----------
    name
        The column.
    kind
        "number", "date" or "category".
    error
        Distance of the two margins.
    labels
        The bins (as texts) or categories.
    edges
        Ends of the bins of a number or a date (nanoseconds since 1970), one more than labels; empty for a category.
    real, synthetic
        Share of the present values in each.
    missing
        Share of missing cells, real and synthetic.
    """

    name: str
    kind: Literal["number", "date", "category"]
    error: float
    labels: tuple[str, ...]
    edges: Numbers
    real: Numbers
    synthetic: Numbers
    missing: tuple[float, float]


@dataclass(frozen=True)
class Pictures:
    """Everything that is drawn.

    Attributes
    ----------
    columns
        The margins, worst first.
    associated
        Names of the columns in the two matrices.
    real_association, synthetic_association
        Association of each pair of columns in [0, 1].
    projection
        "real" and "synthetic": points of a projection to two dimensions that was fitted on both, [points, 2].
    roc
        False and true positive rates of the boosted two-sample test; empty when there is none.
    """

    columns: tuple[ColumnPicture, ...] = ()
    associated: tuple[str, ...] = ()
    real_association: Matrix = ()
    synthetic_association: Matrix = ()
    projection: Mapping[str, Matrix] | None = None
    roc: tuple[Numbers, Numbers] = ((), ())


def draw_pictures(case: Case, scores: Mapping[str, Score]) -> Pictures:
    """Return what the report of a case draws."""
    return Pictures()
