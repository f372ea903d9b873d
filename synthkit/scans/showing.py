"""How a model of scans is shown: the report in words, and the page for a notebook."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synthkit.gan.model_showing import model_warnings, settings_table, told_report
from synthkit.html_table import Html, facts, folded, page, paragraph, table
from synthkit.phrases import by
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.scans.gan import ScanGAN

_SHAPES = ("size",)


def summary(report: Mapping[str, Any]) -> dict[str, object]:
    """Return what a fit has to tell, by name and ready to print, in the order of the report."""
    return told_report(report, _SHAPES)


def model_html(model: ScanGAN) -> str:
    """Return the page of a model: its settings, or what it learned and how well."""
    usual = {name: entry.default for name, entry in inspect.signature(type(model)).parameters.items()}
    settings = model.get_params(deep=False)
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    given = folded("settings", settings_table(settings, usual))
    if not model.__sklearn_is_fitted__():
        said = settings_table(changed, usual) if changed else paragraph("All settings are the usual ones.", dim=True)
        return page("ScanGAN, not fitted yet", said, given)
    report = plain_json(model.report_)
    size = by(model.size_)
    about = f"{report['scans']:,} scans" if "scans" in report else "scans"
    return page(
        f"ScanGAN, fitted to {about} of {size}",
        *model_warnings(report, seeded_noise=model.privacy is not None and model.reproducible_noise is not None),
        facts(_figures(model, report)),
        folded("classes", table(("class", "scans"), list(report["classes"].items()), numbers=(1,)))
        if report.get("classes")
        else Html(""),
        folded("all that the fit reports", facts(summary(report))),
        given,
    )


def _figures(model: ScanGAN, report: Mapping[str, Any]) -> dict[str, object]:
    """Return the figures by which a fit is judged, each with what it is to be compared with."""
    before, after, real = (report.get(f"held_out_{name}") for name in ("before", "after", "real"))
    asked, form, intensity = model.privacy, model.form_, report.get("intensity")
    score = None
    if before is not None and after is not None:
        score = f"{before:.3g} at the start, {after:.3g} kept; higher is better"
        score += f", real scans get {real:.3g}" if real is not None else ""
    unit = f" {form.units}" if form.units else ""
    return {
        "recipe": model.recipe,
        "modality": form.modality,
        "values": None if intensity is None else f"{intensity['low']:g} to {intensity['high']:g}{unit}",
        "privacy": None if asked is None else f"epsilon {asked.epsilon:g}, delta {asked.delta:g}, unit {asked.unit}",
        "held-out score": score,
        "steps": None
        if report.get("steps") is None
        else f"{report['steps']:,} of {report.get('planned_steps', '?'):,}",
        "left out": "; ".join(report.get("left_out") or ()) or None,
        "seconds": f"{report['seconds']:g}" if "seconds" in report else None,
    }
