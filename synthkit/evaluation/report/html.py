"""The report as one HTML page that needs no network: text, tables, and figures that plotly draws in the page."""

from __future__ import annotations

import math
from typing import Any

from synthkit.evaluation.pictures import Pictures
from synthkit.evaluation.records import Evaluation, Score
from synthkit.evaluation.report import contents, details
from synthkit.evaluation.report.figures import (
    association_figures,
    giveaway_figure,
    projection_figures,
    roc_figure,
)
from synthkit.evaluation.report.margins import column_figure
from synthkit.evaluation.report.page import render_page
from synthkit.evaluation.report.scale import scale_of
from synthkit.evaluation.text import notes, summary

# The part of a strip that the marks use; the rest is room for the ends of an interval.
_STRIP = 120.0
_STRIP_MARGIN = 8.0


def render_html(evaluation: Evaluation) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    evaluation
        The scores and pictures; an evaluation without pictures gives a page without figures.
    """
    pictures = evaluation.pictures or Pictures()
    drawn, rest = pictures.columns[: contents.MOST_DRAWN], pictures.columns[contents.MOST_DRAWN :]
    columns = [column_figure(picture, place) for place, picture in enumerate(drawn)]
    association, projection = association_figures(pictures), projection_figures(pictures)
    detection = [figure for figure in (roc_figure(evaluation), giveaway_figure(evaluation)) if figure is not None]
    figures = [*columns, *association, *projection, *detection]
    themes = contents.themes(evaluation)
    return render_page(
        "evaluation.html.j2",
        figures,
        evaluation=evaluation,
        overall=contents.overall(evaluation),
        facts=contents.facts(evaluation),
        verdicts=contents.sorted_verdicts(evaluation),
        summary=summary(evaluation),
        notes=notes(evaluation),
        themes=[theme for theme in themes if theme.theme != "copies"],
        copies=next((theme for theme in themes if theme.theme == "copies"), None),
        copies_prove=contents.COPIES_PROVE,
        columns=columns,
        n_columns=len(pictures.columns) or len(evaluation.columns),
        other_columns=contents.columns_table(rest, f"The other {len(rest):,} columns, worst first") if rest else None,
        association=association,
        projection=projection,
        detection=detection,
        utility=details.utility_table(evaluation),
        group_tables=details.group_tables(evaluation),
        made_of={theme.theme: details.theme_tables(evaluation, theme.theme) for theme in themes},
        provenance=contents.provenance_table(evaluation.provenance, evaluation.seed),
        strip=strip,
    )


def strip(score: Score, ideal: float | None) -> dict[str, Any] | None:
    """Return where the marks of a small picture of a score stand, better to the right, or None for no controls.

    Parameters
    ----------
    score
        A score; its value, interval and controls are placed on one linear scale.
    ideal
        The value of tables from the very same source, to which the scale reaches; None where it is unknown.

    Returns
    -------
    dict
        Places of "value", "low", "high", "ceiling" and "floor" in pixels, None where there is none.
    """
    if not score.applies or (math.isnan(score.ceiling) and math.isnan(score.floor)):
        return None
    scale = scale_of([score], ideal)
    if scale is None:
        return None
    worse, better = scale.interval(score)
    places = {
        "value": scale.place(score.value),
        "low": worse,
        "high": better,
        "ceiling": scale.place(score.ceiling),
        "floor": scale.place(score.floor),
    }
    room = _STRIP - 2 * _STRIP_MARGIN
    return {
        name: None if math.isnan(place) else round(_STRIP_MARGIN + room * place, 1) for name, place in places.items()
    }
