"""How a model shows itself, whatever it learned: its settings, its report in words, and what must not be overlooked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synthkit.html_table import Html, paragraph, table, verdict
from synthkit.phrases import by
from synthkit.plain_json import plain_json

_MOST_LISTED = 20


def told_report(report: Mapping[str, Any], shapes: tuple[str, ...] = ()) -> dict[str, object]:
    """Return what a fit has to tell, by name and ready to print, in the order of the report.

    Figures have four significant digits; an entry with entries of its own becomes one line each. Long lists (histories)
    are for the log, not for the summary. Entries named in `shapes` are lengths of axes.
    """
    return {
        name.replace("_", " "): by(value) if name in shapes else _told(value)
        for name, value in plain_json(report).items()
    }


def model_warnings(report: Mapping[str, Any], *, seeded_noise: bool) -> list[Html]:
    """Return what a reader must not overlook: a fit that was interrupted, and noise of a budget that a seed repeats."""
    found = []
    if report.get("interrupted"):
        found.append("The fit was interrupted: this is as far as it came.")
    if seeded_noise:
        found.append("NOT PRIVATE: its noise comes from a seed, for tests.")
    return [paragraph(verdict(text, "bad")) for text in found]


def settings_table(settings: Mapping[str, object], usual: Mapping[str, object]) -> Html:
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
