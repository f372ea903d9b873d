"""What every page has in common: its templates, and the data that plotly draws from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from synthkit.evaluation.report.figures import Figure

_HERE = "synthkit.evaluation.report"


def render_page(template: str, figures: Sequence[Figure], *, package: str = _HERE, **values: Any) -> str:
    """Return a page that needs no network.

    Parameters
    ----------
    template
        Name of a template.
    figures
        What plotly draws; without any the page holds no script.
    package
        The package that holds the template; what it extends and includes may lie beside this file.
    values
        What the template prints.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in dict.fromkeys((package, _HERE))]),
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
        plotly=Markup(_plotly()) if figures else None,
    )
    return page if page.endswith("\n") else page + "\n"


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def with_code(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    parts = [escape(_unbroken(part)) for part in text.split("`")]
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
