"""How a model of expression is shown: the report in words, and the page for a notebook."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synthkit.gan.model_showing import model_warnings, settings_table, told_report
from synthkit.html_table import Html, facts, folded, page, paragraph, table
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.expression.gan import ExpressionGAN


def summary(report: Mapping[str, Any]) -> dict[str, object]:
    """Return what a fit has to tell, by name and ready to print, in the order of the report."""
    return told_report(report)


def model_html(model: ExpressionGAN) -> str:
    """Return the page of a model: its settings, or what it learned and how well."""
    usual = {name: entry.default for name, entry in inspect.signature(type(model)).parameters.items()}
    settings = model.get_params(deep=False)
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    given = folded("settings", settings_table(settings, usual))
    if not model.__sklearn_is_fitted__():
        said = settings_table(changed, usual) if changed else paragraph("All settings are the usual ones.", dim=True)
        return page("ExpressionGAN, not fitted yet", said, given)
    report = plain_json(model.report_)
    about = f"{report['cells']:,} cells" if "cells" in report else "cells"
    asked = model.privacy
    return page(
        f"ExpressionGAN, fitted to {about} by {len(model.genes_):,} genes",
        *model_warnings(report, seeded_noise=asked is not None and model.reproducible_noise is not None),
        facts(
            {
                "model": model.model_,
                "chosen because": report.get("chosen_because"),
                "measure": model.space_.measure,
                "privacy": None
                if asked is None
                else f"epsilon {asked.epsilon:g}, delta {asked.delta:g}, unit {asked.unit}",
                "seconds": f"{report['seconds']:g}" if "seconds" in report else None,
            }
        ),
        folded("classes", table(("class", "cells"), list(report["classes"].items()), numbers=(1,)))
        if report.get("classes")
        else Html(""),
        folded("all that the fit reports", facts(summary(report))),
        given,
    )
