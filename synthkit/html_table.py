"""Small HTML for notebooks: titles, facts, tables and folded parts; every text is escaped.

There are no scripts and nothing is loaded. Colours are left to the notebook, light or dark, apart from three that are
readable on both. Without its style sheet (some viewers drop it) a page is still a plain table.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from synthkit.visible import visible

MOST_ROWS = 60
"""Rows of a table that are shown; how many more there are is said."""
_MOST_CHARACTERS = 300
_LONG = 30  # characters of the first cell of a row from which it may be broken
_GREY = "rgba(128,128,128,.45)"
_STYLE = (
    ".synthkit{line-height:1.45;max-width:64em}"
    ".synthkit p{margin:.3em 0}"
    ".synthkit table{border-collapse:collapse;margin:.4em 0;font-size:.93em;border:0;color:inherit}"
    ".synthkit th,.synthkit td{text-align:left;vertical-align:top;padding:.14em 1.3em .14em 0;border:0;"
    "white-space:normal;overflow-wrap:break-word;max-width:34em;color:inherit}"
    f".synthkit thead th{{border-bottom:1px solid {_GREY};vertical-align:bottom}}"
    ".synthkit tbody th{font-weight:normal;white-space:nowrap}"
    ".synthkit tbody .long{white-space:normal;max-width:20em}"
    ".synthkit .group th{font-weight:bold;padding-top:.6em}"
    ".synthkit .n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    ".synthkit .dim,.synthkit .facts th{opacity:.65}"
    ".synthkit .facts td{max-width:none}"
    ".synthkit .good{color:#1a9850;font-weight:bold;white-space:nowrap}"
    ".synthkit .bad{color:#e0433a;font-weight:bold;white-space:nowrap}"
    ".synthkit .unsure{color:#b8860b;font-weight:bold;white-space:nowrap}"
    ".synthkit .wide{overflow-x:auto}"
    ".synthkit ul{margin:.3em 0;padding-left:1.4em}"
    ".synthkit summary{cursor:pointer;margin:.2em 0}"
)


class Html(str):
    """Text that is HTML already; any other text is escaped where it is put into a page."""

    __slots__ = ()


def escaped(content: object) -> Html:
    """Return a text as HTML shows it: marks escaped, unseen characters written out, at most 300 characters.

    Parameters
    ----------
    content
        Anything with a text. `Html` is returned as it is.
    """
    if isinstance(content, Html):
        return content
    text = str(content)
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + "…"
    return Html(html.escape(visible(text)))


def page(title: object, *parts: object) -> str:
    """Return what a notebook shows.

    Parameters
    ----------
    title
        The first line, in bold.
    parts
        What follows, from the functions of this module; plain text becomes a paragraph.
    """
    body = "".join(part if isinstance(part, Html) else paragraph(part) for part in parts)
    return f'<div class="synthkit"><style>{_STYLE}</style><p><strong>{escaped(title)}</strong></p>{body}</div>'


def paragraph(content: object, *, dim: bool = False) -> Html:
    """Return a paragraph, in a lighter tone where it says less."""
    return Html(f"<p{_class('dim') if dim else ''}>{escaped(content)}</p>")


def bullets(lines: Iterable[object]) -> Html:
    """Return sentences as a list; nothing where there are none."""
    entries = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return Html(f"<ul>{entries}</ul>" if entries else "")


def verdict(text: object, kind: Literal["good", "bad", "unsure"]) -> Html:
    """Return a word or two in a colour and with a mark, so that it does not depend on the colour."""
    mark = {"good": "✓", "bad": "✗", "unsure": "?"}[kind]
    return Html(f"<span{_class(kind)}>{mark} {escaped(text)}</span>")


def facts(entries: Mapping[str, object]) -> Html:
    """Return names and values below each other, leaving out values that are None; lines of a value stay lines."""
    rows = [(name, _lines(value)) for name, value in entries.items() if value is not None]
    body = "".join(_row(row, (), 2) for row in rows)
    return Html(f'<div class="wide"><table class="facts"><tbody>{body}</tbody></table></div>' if body else "")


def table(
    headings: Sequence[object],
    rows: Iterable[Sequence[object] | str],
    *,
    numbers: Collection[int] = (),
    most: int | None = MOST_ROWS,
) -> Html:
    """Return a table.

    Parameters
    ----------
    headings
        One for each column; none for a table without a head.
    rows
        The cells of each row, the first of which says what the row is about; a single text is a heading for the rows
        that follow it.
    numbers
        Places of the columns that hold numbers.
    most
        Rows to show, None for all.
    """
    every = list(rows)
    shown = every if most is None else every[:most]
    head = "".join(f"<th{_class('n') if c in numbers else ''}>{escaped(text)}</th>" for c, text in enumerate(headings))
    parts = [f"<thead><tr>{head}</tr></thead>"] if head else []
    body = "".join(_row(row, numbers, len(headings)) for row in shown)
    more = len(every) - len(shown)
    after = paragraph(f"and {more:,} more", dim=True) if more else ""
    return Html(f'<div class="wide"><table>{"".join(parts)}<tbody>{body}</tbody></table>{after}</div>')


def folded(heading: object, *parts: object) -> Html:
    """Return parts that are shown when the heading is clicked; works without scripts."""
    body = "".join(part if isinstance(part, Html) else paragraph(part) for part in parts)
    return Html(f"<details><summary>{escaped(heading)}</summary>{body}</details>")


class Showing:
    """For estimators: a notebook shows `_html_repr`, unless scikit-learn is set to show text.

    Stands before scikit-learn's `BaseEstimator`, whose diagram says less of a single estimator. In the diagram of a
    pipeline an estimator is a block as any other.
    """

    def _html_repr(self) -> str:
        raise NotImplementedError

    @property
    def _repr_html_(self) -> Callable[[], str]:
        if not _shows_html():
            raise AttributeError("_repr_html_ is there only while scikit-learn's option 'display' is 'diagram'")
        return self._html_repr

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        shown = {"text/plain": repr(self)}
        return {**shown, "text/html": self._html_repr()} if _shows_html() else shown


def _shows_html() -> bool:
    from sklearn import get_config

    return bool(get_config()["display"] == "diagram")


def _row(row: Sequence[object] | str, numbers: Collection[int], width: int) -> str:
    if isinstance(row, str):
        return f'<tr class="group"><th colspan="{width}">{escaped(row)}</th></tr>'
    first, *rest = row
    cells = [f"<td{_class('n') if c in numbers else ''}>{escaped(cell)}</td>" for c, cell in enumerate(rest, 1)]
    long = not isinstance(first, Html) and len(str(first)) > _LONG
    return f"<tr><th{_class('long') if long else ''}>{escaped(first)}</th>{''.join(cells)}</tr>"


def _lines(value: object) -> Html:
    if isinstance(value, Html):
        return value
    return Html("<br>".join(escaped(line) for line in str(value).splitlines()))


def _class(name: str) -> str:
    return f' class="{name}"'
