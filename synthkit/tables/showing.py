"""How a model and the plan of a fit are shown: the report in words, and the pages for a notebook."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from synthkit.html_table import Html, facts, folded, page, paragraph, table, verdict
from synthkit.plain_json import plain_json
from synthkit.schema_showing import columns_table, rules_of

if TYPE_CHECKING:
    from synthkit.schema import Schema
    from synthkit.tables.anomaly import AnomalyScores
    from synthkit.tables.gan import TableGAN
    from synthkit.tables.plan import FitPlan

_MOST_LISTED = 12
_MOST_UNUSUAL = 10


def summary(report: Mapping[str, Any]) -> dict[str, object]:
    """Return what a fit has to tell, by name and ready to print, in the order of the report.

    Figures have four significant digits; an entry with entries of its own becomes one line each. Long lists (histories)
    are for the log, not for the summary.
    """
    return {name.replace("_", " "): _told(value) for name, value in plain_json(report).items()}


def model_html(model: TableGAN) -> str:
    """Return the page of a model: its settings, or what it learned and how well.

    Parameters
    ----------
    model
        Fitted or not.
    """
    usual = {name: entry.default for name, entry in inspect.signature(type(model)).parameters.items()}
    settings = model.get_params(deep=False)
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    given = folded("settings", _settings_table(settings, usual))
    if not model.__sklearn_is_fitted__():
        said = _settings_table(changed, usual) if changed else paragraph("All settings are the usual ones.", dim=True)
        return page("TableGAN, not fitted yet", said, given)
    report, schema = plain_json(model.report_), model.schema_
    about = "about " if model.privacy is not None else ""  # a count under a budget is noisy
    rows = f"{about}{report['rows']:,} rows" if "rows" in report else "a table"
    return page(
        f"TableGAN, fitted to {rows} of {len(schema):,} columns",
        *_warnings(model, report),
        facts(_figures(model, report, schema)),
        folded(f"{len(schema):,} columns", columns_table(schema)),
        rules_of(schema),
        folded("all that the fit reports", facts(summary(report))),
        given,
    )


def plan_html(plan: FitPlan) -> str:
    """Return the page of what a fit is asked to do."""
    settings, usual = dataclasses.asdict(plan), dataclasses.asdict(type(plan)())
    return page("Plan of a fit", _settings_table(settings, usual))


def scores_html(scores: AnomalyScores) -> str:
    """Return the page of anomaly scores: the most unusual rows, counted from 0, and what is unusual about them."""
    order = scores.total.argsort(kind="stable")[::-1][:_MOST_UNUSUAL].tolist()
    rows = [
        (
            f"{row:,}",
            f"{scores.total[row]:.2f}",
            scores.rarity(row),
            ", ".join(
                f"{cell.column} ({cell.share:.0%}{', given the others' if cell.given_others else ''})"
                for cell in scores.explain(row)
            ),
        )
        for row in order
    ]
    return page(
        f"The {len(rows)} most unusual of {len(scores):,} rows" if rows else "Anomaly scores of no row",
        table(("row", "score", "synthetic rows", "because of"), rows, numbers=(1, 2)),
        paragraph(f"Rows are counted from 0. The score is the mean of {', '.join(scores.parts)}.", dim=True),
    )


def _figures(model: TableGAN, report: Mapping[str, Any], schema: Schema) -> dict[str, object]:
    """Return the figures by which a fit is judged, each with what it is to be compared with."""
    aucs = [
        f"{report[f'two_sample_auc_{name}']:.3f} {name}"
        for name in ("raw", "refined")
        if report.get(f"two_sample_auc_{name}") is not None
    ]
    likelihood, share = report.get("held_out_log_likelihood"), report.get("nearest_record_share")
    left_out = [column.name for column in schema if column.type == "text"]
    asked, held = model.privacy, report.get("constraints")
    return {
        "target": schema.target,
        "privacy": None if asked is None else f"epsilon {asked.epsilon:g}, delta {asked.delta:g}, unit {asked.unit}",
        "two-sample AUC": f"{', '.join(aucs)}; 0.5: trees cannot tell its rows from real ones" if aucs else None,
        "held-out log-likelihood": None if likelihood is None else f"{likelihood:.4g} nats a row",
        "nearest-record share": None if share is None else f"{share:.3f}; 0.5 is chance, more leans to training rows",
        "latent codes": f"{report['codes']:,}" if "codes" in report else None,
        "adversary": report.get("adversary"),
        "refinement": report.get("refinement"),
        "constraints": None if held is None else f"{held['rate']:.1%} of drawn rows satisfy them, others are left out",
        "left out": f"free text: {', '.join(left_out)}" if left_out else None,
        "seconds": f"{report['seconds']:g}" if "seconds" in report else None,
    }


def _warnings(model: TableGAN, report: Mapping[str, Any]) -> list[Html]:
    """Return what a reader must not overlook."""
    found = []
    if report.get("interrupted"):
        found.append("The fit was interrupted: this is as far as it came.")
    if model.privacy is not None and model.reproducible_noise is not None:
        found.append("NOT PRIVATE: its noise comes from a seed, for tests.")
    return [paragraph(verdict(text, "bad")) for text in found]


def _settings_table(settings: Mapping[str, object], usual: Mapping[str, object]) -> Html:
    """Return the settings with their value, and what they usually are where they are not."""
    rows = [
        (name, repr(value), f"usually {usual[name]!r}" if value != usual[name] else "")
        for name, value in settings.items()
    ]
    return table(("setting", "value", ""), rows)


def _told(value: Any) -> str | None:
    """Return a value of the report as text; None for what is not told."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case str():
            return value or None
        case Mapping():
            lines = [f"{str(name).replace('_', ' ')}: {told}" for name, told in _entries(value.items())]
            return "\n".join(lines) or None
        case list() | tuple() if 0 < len(value) <= _MOST_LISTED:
            return "\n".join(told for _, told in _entries(enumerate(value))) or None
    return None


def _entries(pairs: Iterable[tuple[object, Any]]) -> list[tuple[object, str]]:
    """Return the entries that have something to tell, each on one line."""
    told = [(name, _told(value)) for name, value in pairs]
    return [(name, text.replace("\n", ", ")) for name, text in told if text is not None]
