"""How a model of scans is shown: the report in words, and the page for a notebook."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from synthkit.html_table import Html, facts, folded, page, paragraph, table, verdict
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.scans.gan import ScanGAN

_MOST_LISTED = 20
_SHAPES = ("size",)


def summary(report: Mapping[str, Any]) -> dict[str, object]:
    """Return what a fit has to tell, by name and ready to print, in the order of the report."""
    told: dict[str, object] = {}
    for name, value in plain_json(report).items():
        told[name.replace("_", " ")] = " x ".join(map(str, value)) if name in _SHAPES else _told(value)
    return told


def model_html(model: ScanGAN) -> str:
    """Return the page of a model: its settings, or what it learned and how well."""
    usual = {name: entry.default for name, entry in inspect.signature(type(model)).parameters.items()}
    settings = model.get_params(deep=False)
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    given = folded("settings", _settings_table(settings, usual))
    if not model.__sklearn_is_fitted__():
        said = _settings_table(changed, usual) if changed else paragraph("All settings are the usual ones.", dim=True)
        return page("ScanGAN, not fitted yet", said, given)
    report = plain_json(model.report_)
    size = " x ".join(map(str, model.size_))
    about = f"{report['scans']:,} scans" if "scans" in report else "scans"
    return page(
        f"ScanGAN, fitted to {about} of {size}",
        *_warnings(model, report),
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


def _warnings(model: ScanGAN, report: Mapping[str, Any]) -> list[Html]:
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
            lines = [f"{name}: {told}" for name, told in _entries(value.items())]
            return "\n".join(lines) or None
        case list() | tuple() if 0 < len(value) <= _MOST_LISTED:
            return "\n".join(told for _, told in _entries(enumerate(value))) or None
    return None


def _entries(pairs: Iterable[tuple[object, Any]]) -> list[tuple[object, str]]:
    """Return the entries that have something to tell, each on one line."""
    told = [(name, _told(value)) for name, value in pairs]
    return [(name, text.replace("\n", ", ")) for name, text in told if text is not None]
