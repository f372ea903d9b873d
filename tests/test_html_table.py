"""Pages for notebooks: whatever the texts are, nothing of them is markup, and nothing is lost."""

from __future__ import annotations

import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from markup import read
from sklearn.base import BaseEstimator, clone

from synthkit.html_table import (
    MOST_ROWS,
    Html,
    Showing,
    bullets,
    escaped,
    facts,
    folded,
    page,
    paragraph,
    table,
    verdict,
)
from synthkit.visible import visible

TEXT = st.text(alphabet=st.characters(codec=None), max_size=30) | st.sampled_from(
    ["<script>alert(1)</script>", "</td></table>", "\"><img src=x onerror='alert(2)'>", "&amp;", "a\u202eb", "\udcff"]
)


def words(text: str) -> str:
    return " ".join(visible(text).split())


@given(TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=4), TEXT)
def test_no_text_is_markup_and_every_text_is_shown(title: str, cells: list[tuple[str, str]], line: str) -> None:
    made = page(
        title,
        line,
        paragraph(line, dim=True),
        facts(dict(cells)),
        table((title, line), [line, *cells], numbers=(1,)),
        bullets([line, title]),
        folded(title, line, verdict(line, "bad")),
    )
    made.encode("utf-8")
    shown = read(made).text
    for text in (title, line, *(cell for row in cells for cell in row)):
        assert words(text) in shown


def test_what_is_made_here_is_not_escaped_again() -> None:
    inner = verdict("met & more", "good")
    assert isinstance(inner, Html)
    assert escaped(inner) is inner
    assert "✓ met & more" in read(page("a", table(("x", "y"), [("row", inner)]))).text


@pytest.mark.parametrize(("kind", "mark"), [("good", "✓"), ("bad", "✗"), ("unsure", "?")])
def test_a_verdict_does_not_need_its_colour(kind: str, mark: str) -> None:
    assert read(verdict("it", kind)).text == f"{mark} it"  # type: ignore[arg-type]


@given(st.integers(0, 2 * MOST_ROWS))
def test_long_tables_say_how_many_rows_are_left_out(rows: int) -> None:
    reader = read(table(("n",), [(str(row),) for row in range(rows)]))
    assert reader.elements.count("tr") == 1 + min(rows, MOST_ROWS)
    assert (f"and {rows - MOST_ROWS:,} more" in reader.text) == (rows > MOST_ROWS)
    assert read(table(("n",), [(str(row),) for row in range(rows)], most=None)).elements.count("tr") == 1 + rows


def test_long_texts_are_cut_and_lines_of_facts_stay_lines() -> None:
    assert len(escaped("x" * 10_000)) == 301
    assert read(facts({"a": "one\ntwo", "nothing": None})).text == "a one two"
    assert facts({"a": "one\ntwo"}).count("<br>") == 1
    assert facts({}) == bullets([]) == ""


class Estimator(Showing, BaseEstimator):  # type: ignore[misc]
    """Is shown by its name."""

    def __init__(self, depth: int = 3) -> None:
        self.depth = depth

    def _html_repr(self) -> str:
        return page(f"depth {self.depth}")


def test_an_estimator_is_shown_by_its_own_page_unless_text_is_asked_for() -> None:
    estimator = clone(Estimator(depth=5))
    with sklearn.config_context(display="diagram"):
        assert estimator._repr_html_() == page("depth 5")
        assert estimator._repr_mimebundle_() == {"text/plain": "Estimator(depth=5)", "text/html": page("depth 5")}
    with sklearn.config_context(display="text"):
        assert not hasattr(estimator, "_repr_html_")
        assert estimator._repr_mimebundle_() == {"text/plain": "Estimator(depth=5)"}
