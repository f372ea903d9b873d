"""What every page has in common: its templates, and the data that plotly draws from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from synthkit.evaluation.report.figures import Figure


def render_page(template: str, figures: Sequence[Figure], **values: Any) -> str:
    """Return a page that needs no network.

    Parameters
    ----------
    template
        Name of a template beside this file.
    figures
        What is drawn; without any the page holds no script.
    values
        What the template prints.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("synthkit.evaluation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(
        **values,
        with_code=with_code,
        breakable=breakable,
        data=Markup(_data(figures)) if figures else None,
        plotly=Markup(get_plotlyjs()) if figures else None,
    )
    return page if page.endswith("\n") else page + "\n"


def with_code(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>%s</code>") % part if place % 2 else part for place, part in enumerate(parts))


def breakable(name: str) -> Markup:
    """Return a name that may be broken behind the signs that part the words of a file name."""
    parts = re.split(r"(?<=[/_.\-])(?=\w)", name)
    return Markup("<wbr>").join(parts)


def _unbroken(value: Any) -> Any:
    """Keep a number and its per cent sign on one line."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


def _data(figures: Sequence[Figure]) -> str:
    """Return what plotly draws as JSON that may stand in a script element: no name can end it."""
    text = json.dumps(
        {figure.identifier: {"data": figure.data, "layout": figure.layout} for figure in figures},
        allow_nan=False,
        separators=(",", ":"),
    )
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
