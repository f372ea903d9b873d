"""How a model and the plan of a fit are shown: the report in words, and the pages for a notebook."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synthkit.gan.model_showing import model_warnings, settings_table, told_report
from synthkit.html_table import facts, folded, page, paragraph, table
from synthkit.plain_json import plain_json
from synthkit.schema_showing import columns_table, rules_of

if TYPE_CHECKING:
    from synthkit.schema import Schema
    from synthkit.tables.anomaly import AnomalyScores
    from synthkit.tables.gan import TableGAN
    from synthkit.tables.plan import FitPlan

_MOST_UNUSUAL = 10


def summary(report: Mapping[str, Any]) -> dict[str, object]:
    """Return what a fit has to tell, by name and ready to print, in the order of the report."""
    return told_report(report)


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
    given = folded("settings", settings_table(settings, usual))
    if not model.__sklearn_is_fitted__():
        said = settings_table(changed, usual) if changed else paragraph("All settings are the usual ones.", dim=True)
        return page("TableGAN, not fitted yet", said, given)
    report, schema = plain_json(model.report_), model.schema_
    about = "about " if model.privacy is not None else ""  # a count under a budget is noisy
    rows = f"{about}{report['rows']:,} rows" if "rows" in report else "a table"
    return page(
        f"TableGAN, fitted to {rows} of {len(schema):,} columns",
        *model_warnings(report, seeded_noise=model.privacy is not None and model.reproducible_noise is not None),
        facts(_figures(model, report, schema)),
        folded(f"{len(schema):,} columns", columns_table(schema)),
        rules_of(schema),
        folded("all that the fit reports", facts(summary(report))),
        given,
    )


def plan_html(plan: FitPlan) -> str:
    """Return the page of what a fit is asked to do."""
    settings, usual = dataclasses.asdict(plan), dataclasses.asdict(type(plan)())
    return page("Plan of a fit", settings_table(settings, usual))


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
