"""The certificate as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from synthkit.privacy.certificate import SIGN_OFF, Certificate
from synthkit.privacy.describe import EventLine, percent, short

_MOST_PUBLIC = 60
_LABEL = 26


def render_text(certificate: Certificate, width: int = 96) -> str:
    """Return the certificate, no line longer than `width`.

    Parameters
    ----------
    certificate
        Any certificate.
    width
        Columns of the terminal, at least 60.
    """
    width = max(width, 60)
    stamp = _stamp(certificate, width)
    lines = [*stamp, f"Privacy certificate of {certificate.model}", *_rule(width, "="), *_guarantee(certificate, width)]
    for title, body in _sections(certificate, width):
        lines += ["", title, *_rule(width), *body]
    return "\n".join([*lines, "", *stamp]) + "\n"


def _sections(certificate: Certificate, width: int) -> Iterable[tuple[str, list[str]]]:
    yield "What the number means", _paragraphs(certificate.plain, width)
    if certificate.holds:
        yield "Bounds on attacks (share of those in the data that are found)", _attacks(certificate)
    yield "What was spent, by each accountant", _accountants(certificate, width)
    yield f"What was read ({len(certificate.events)} events)", _events(certificate.events, width)
    if certificate.earlier:
        yield "Earlier releases from the same data", _earlier(certificate, width)
    more = len(certificate.public) - _MOST_PUBLIC
    shown = certificate.public[:_MOST_PUBLIC]
    rest = [f"and {more:,} more; --json lists all"] if more > 0 else []
    yield "What was taken as public", [*_facts(shown, width), *rest]
    yield "What was bought from the budget", _facts(certificate.bought, width) or ["nothing"]
    yield "What is not covered", _paragraphs(certificate.not_covered, width)
    if certificate.checks is not None:
        yield "Checks of the file", certificate.checks.to_text(width).splitlines()
    yield "SHA-256", _facts(tuple(certificate.hashes.items()), width)
    yield "Versions", _facts(tuple(certificate.versions.items()), width)
    signed = f"For the file with the SHA-256 {certificate.hashes[certificate.model]}."
    lines = [line for name in SIGN_OFF for line in ("", f"{name:<{_LABEL}}{'_' * 40}")]
    yield "Sign-off", [*_wrapped(signed, width), *lines]


def _wrapped(text: str, width: int, **options: Any) -> list[str]:
    """Return a text in lines; a number and its per cent sign stay together."""
    held = text.replace(" %", "\u00a0%")
    return [line.replace("\u00a0%", " %") for line in textwrap.wrap(held, width, break_on_hyphens=False, **options)]


def _stamp(certificate: Certificate, width: int) -> list[str]:
    lines: list[str] = []
    for text in certificate.stamps:
        lines += ["#" * width, *_wrapped(text + ".", width), "#" * width, ""]
    return lines


def _rule(width: int, sign: str = "-") -> list[str]:
    return [sign * width]


def _guarantee(certificate: Certificate, width: int) -> list[str]:
    budget = certificate.budget
    words = certificate.words
    facts = (
        ("epsilon", short(budget.epsilon) + ("" if certificate.holds else " (claimed)")),
        ("delta", short(budget.delta)),
        ("unit", words.value(budget.unit)),
        (f"{words.records} per unit", "all, averaged" if words.all_records else f"{budget.rows_per_unit:,}"),
        (f"neighbouring {words.data}", budget.adjacency),
        ("epsilon spent", f"{certificate.epsilon:.5g} (PLD, all events)"),
        ("engine", certificate.engine),
        ("kind", certificate.kind),
        ("fitted", certificate.created),
    )
    return _facts(facts, width)


def _facts(facts: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Return names and values in two columns; a long name stands on a line of its own."""
    lines = []
    for name, value in facts:
        room = width - _LABEL
        wrapped = _wrapped(value, room) or [""]
        if len(name) >= _LABEL:
            lines += _wrapped(name, width)
            name = ""
        lines.append(f"{name:<{_LABEL}}{wrapped[0]}")
        lines += [" " * _LABEL + more for more in wrapped[1:]]
    return lines


def _paragraphs(paragraphs: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for text in paragraphs:
        lines += _wrapped(text, width, initial_indent="- ", subsequent_indent="  ")
    return lines


def _attacks(certificate: Certificate) -> list[str]:
    rows = [("wrongly accused", "by epsilon and delta", "by all events")]
    rows += [
        (percent(one.fpr), f"at most {percent(one.by_guarantee)}", f"at most {percent(one.by_events)}")
        for one in certificate.meaning.attacks
    ]
    return [f"{first:<18}{second:<24}{third}".rstrip() for first, second, third in rows]


def _earlier(certificate: Certificate, width: int) -> list[str]:
    total = certificate.total
    together = (
        f"With this one, all releases spend epsilon {certificate.epsilon_total:.5g} of {short(total.epsilon)} at delta "
        f"{short(total.delta)}; what is released later adds to it."
    )
    facts = tuple((one.name, f"{one.created}, epsilon {one.epsilon:.4g} by itself") for one in certificate.earlier)
    return [*_facts(facts, width), *_wrapped(together, width)]


def _accountants(certificate: Certificate, width: int) -> list[str]:
    lines = []
    for one in certificate.accountants:
        value = f"does not apply: {one.note}" if one.epsilon is None else f"epsilon {one.epsilon:.5g}"
        lines += _wrapped(f"{one.method}: {value} ({one.library})", width, subsequent_indent="  ")
    return lines


def _events(events: Sequence[EventLine], width: int) -> list[str]:
    lines: list[str] = []
    for event in events:
        noise = "" if event.noise_rows is None else f"; standard deviation {event.noise_rows:,.4g} rows"
        lines += _wrapped(f"{event.name}: reads {event.reads}", width, subsequent_indent="  ")
        lines += _wrapped(f"{event.mechanism}{noise}", width, initial_indent="  ", subsequent_indent="  ")
        lines.append(f"  {event.share:.1%} of the budget; by itself epsilon {event.alone:.4g}".replace("%", " %"))
    return lines
