"""What a report says, as texts and tables without any markup: the HTML and the Markdown report print the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from synthkit.evaluation.metric import Theme
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.pictures import ColumnPicture, Pictures
from synthkit.evaluation.records import STATUSES, Evaluation, Score, Status, Verdict
from synthkit.evaluation.report import rows
from synthkit.evaluation.report.rows import ScoreRow, ThemeScores
from synthkit.evaluation.suite import NEEDED
from synthkit.evaluation.text import in_words, number

MOST_DRAWN = 30
# A smaller number would be printed as 0.0000, or as minus that.
_SMALLEST = 5e-5
_MOST_PAIRS = 15
DASH = "–"
THEMES: tuple[Theme, ...] = get_args(Theme)
_QUESTIONS: Mapping[Theme, tuple[str, str]] = {
    "validity": ("Validity", "Are the values possible ones?"),
    "fidelity": ("Fidelity", "Do columns, pairs of columns and gaps look like the real ones?"),
    "detection": ("Detection", "Can a classifier tell synthetic rows from real ones?"),
    "coverage": ("Coverage", "Do synthetic rows lie where real rows lie, and reach all of them?"),
    "utility": ("Utility", "Does a model trained on synthetic rows predict real ones?"),
    "fairness": ("Fairness", "Does training on synthetic rows change how groups are treated?"),
    "copies": ("Copies", "Does the synthetic table repeat the rows that the generator learned from?"),
}
COPIES_PROVE = (
    "These scores can show that a generator repeats its training rows: if clearly more synthetic rows equal, or lie"
    " near to, a training row than held-out real rows do, it memorises, and good scores elsewhere mean little.",
    "They cannot show that the table is safe to publish. Nobody here attacks it: rare persons may be recognised, and"
    " values inferred, from rows that are no copies. A privacy guarantee needs a membership attack, or a generator"
    " trained with differential privacy.",
)


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    caption
        What it shows.
    head
        Headings; the first column names the rows.
    rows
        Cells, as many in each row as there are headings.
    texts
        Places of the columns beside the first that hold words rather than numbers.
    strong
        Places (row, column) of the cells that stand out.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: tuple[int, ...] = ()
    strong: frozenset[tuple[int, int]] = frozenset()


def overall(evaluation: Evaluation) -> tuple[Status | Literal["none"], str, str]:
    """Return the status of all gates together, the verdict in words, and what it rests on."""
    return rows.overall(evaluation, "tables")


def sorted_verdicts(evaluation: Evaluation) -> list[Verdict]:
    """Return the verdict of each gate, those that are not met first."""
    return sorted(evaluation.verdicts, key=lambda verdict: STATUSES.index(verdict.status))


def title_of(name: str) -> str:
    """Return what readers call a metric; the name itself where it is unknown."""
    return METRICS[name].title if name in METRICS else name


def facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return what was compared, as pairs of a term and its value."""
    rows = evaluation.rows
    return [
        ("Synthetic rows", f"{rows['synthetic']:,}"),
        ("Real rows", f"{rows['real']:,}"),
        ("Held-out real rows", f"{rows['held-out']:,}"),
        ("Columns", f"{len(evaluation.columns):,}"),
        ("Target", evaluation.target if evaluation.target is not None else "none"),
        ("Suite", evaluation.suite or "none"),
        ("Seed", str(evaluation.seed)),
    ]


def themes(evaluation: Evaluation) -> list[ThemeScores]:
    """Return the scores theme by theme, in the order of the questions."""
    found = []
    for theme in THEMES:
        rows = [_row(name, score) for name, score in evaluation.scores.items() if METRICS[name].theme == theme]
        left_out = [
            (title_of(name), NEEDED[need])
            for name, need in evaluation.left_out.items()
            if name in METRICS and METRICS[name].theme == theme
        ]
        if rows or left_out:
            found.append(ThemeScores(theme, *_QUESTIONS[theme], tuple(rows), tuple(left_out)))
    return found


def _row(name: str, score: Score) -> ScoreRow:
    return ScoreRow(
        metric=METRICS[name],
        score=score,
        value=shown(score.value),
        interval=interval(score.low, score.high),
        ceiling=shown(score.ceiling),
        floor=shown(score.floor),
        n=f"{score.n:,}" if score.n else DASH,
        words=in_words(name, score),
    )


def score_table(scores: ThemeScores) -> Table:
    """Return the scores of a theme as a table."""
    return Table(
        f"{scores.title}: scores with their controls",
        ("score", "value", "95 % interval", "real rows", "independent columns", "n", "meaning"),
        tuple(
            (row.metric.title, row.value, row.interval, row.ceiling, row.floor, row.n, row.words) for row in scores.rows
        ),
        texts=(6,),
    )


def column_table(picture: ColumnPicture) -> Table:
    """Return the numbers of the margins of a column."""
    word = "category" if picture.kind == "category" else ("bin" if picture.edges else "value")
    shares = [*zip(picture.labels, picture.real, picture.synthetic, strict=True)]
    shares.append(("missing, of all cells", *picture.missing))
    rows = tuple(
        (
            label,
            *(percent(share, digits=2) for share in (real, synthetic)),
            percent(synthetic - real, sign=True, digits=2),
        )
        for label, real, synthetic in shares
    )
    head = (word, "real", "synthetic", "difference")
    return Table(f"{picture.name}: shares of the values that are present", head, rows)


def columns_table(pictures: Sequence[ColumnPicture], caption: str) -> Table:
    """Return error, missing cells and largest gap of columns, one a row."""
    rows = []
    for picture in pictures:
        gap = largest_gap(picture)
        where = (gap[0], percent(gap[1], digits=2), percent(gap[2], digits=2)) if gap else (DASH, DASH, DASH)
        missing = [percent(share, digits=2) for share in picture.missing]
        rows.append((picture.name, picture.kind, shown(picture.error), *missing, *where))
    head = ("column", "kind", "error", "missing, real", "missing, synthetic", "largest gap at", "real", "synthetic")
    return Table(caption, head, tuple(rows), texts=(1, 5))


def largest_gap(picture: ColumnPicture) -> tuple[str, float, float] | None:
    """Return label and shares of the bin or category in which the two margins differ most."""
    if not picture.labels:
        return None
    gaps = [abs(real - synthetic) for real, synthetic in zip(picture.real, picture.synthetic, strict=True)]
    place = gaps.index(max(gaps))
    return picture.labels[place], picture.real[place], picture.synthetic[place]


def association_table(pictures: Pictures) -> Table:
    """Return the pairs of columns whose association differs most."""
    names = pictures.associated
    pairs = []
    for first in range(len(names)):
        for second in range(first):
            real, synthetic = (
                matrix[first][second] for matrix in (pictures.real_association, pictures.synthetic_association)
            )
            if not math.isnan(synthetic - real):
                pairs.append((f"{names[second]} and {names[first]}", real, synthetic))
    pairs.sort(key=lambda pair: -abs(pair[2] - pair[1]))
    rows = tuple(
        (pair, shown(real), shown(synthetic), shown(synthetic - real, sign=True))
        for pair, real, synthetic in pairs[:_MOST_PAIRS]
    )
    return Table("Pairs of columns whose association differs most", ("pair", "real", "synthetic", "difference"), rows)


def provenance_table(provenance: Mapping[str, Any], seed: int) -> Table:
    """Return every entry of the provenance, those of nested mappings with the names of all levels."""
    rows = tuple(_flat(provenance))
    return Table("Where these numbers come from", ("entry", "value"), rows or (("seed", str(seed)),), texts=(1,))


def _flat(entries: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, entry in entries.items():
        if isinstance(entry, Mapping):
            rows += _flat(entry, f"{above}{name} / ")
        elif isinstance(entry, list | tuple):
            rows.append((f"{above}{name}", ", ".join(map(str, entry))))
        else:
            rows.append((f"{above}{name}", str(entry)))
    return rows


def shown(value: float, *, sign: bool = False) -> str:
    """Return a score as readers see it: a dash for none, a true minus sign."""
    if math.isnan(value):
        return DASH
    text = number(value if abs(value) >= _SMALLEST else 0.0)
    return (f"+{text}" if sign and value > 0 else text).replace("-", "−")


def interval(low: float, high: float) -> str:
    """Return the two ends of an interval, or a dash."""
    return DASH if math.isnan(low) or math.isnan(high) else f"{shown(low)} to {shown(high)}"


def percent(share: float, *, sign: bool = False, digits: int = 1) -> str:
    """Return a share in per cent, with two decimals where it is small."""
    if math.isnan(share):
        return DASH
    points = 100 * share
    digits = max(digits, 2) if 0 < abs(points) < 1 else digits
    points = round(points, digits) + 0.0  # no minus zero
    sign = sign and points != 0
    text = f"{points:{'+' if sign else ''}.{digits}f} %"
    return text.replace("-", "−")


def as_number(value: Any) -> float:
    """Return a number of the details as a float, NaN for anything else."""
    return float(value) if isinstance(value, int | float) else math.nan
