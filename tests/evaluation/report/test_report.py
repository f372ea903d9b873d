"""The pages as a browser, a screen reader and a Markdown reader take them, with names that try to be markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.evaluation import Evaluation
from synthkit.evaluation.records import Score
from synthkit.evaluation.report import render_html, render_markdown, write_report
from synthkit.evaluation.report.details import as_tables
from synthkit.evaluation.report.figures import escaped
from synthkit.evaluation.report.html import strip

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def html(evaluation: Evaluation) -> str:
    return render_html(evaluation)


@pytest.fixture(scope="module")
def page(html: str, parse: Any) -> Any:
    return parse(html)


def test_the_page_has_a_language_a_title_and_headings_in_order(page: Any) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert "1 gate not met" in page.texts("title")[0]
    levels = [int(name[1]) for name, _ in page.found if re.fullmatch("h[1-6]", name)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_anchor_leads_somewhere_and_no_id_is_given_twice(page: Any) -> None:
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.all("a")]
    assert links[0] == "#main"
    assert {str(link).removeprefix("#") for link in links} <= set(ids)
    assert len(links) > 8


def test_every_figure_says_in_words_what_it_shows(page: Any) -> None:
    drawn = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(drawn) == len(page.all("figure")) == len(page.all("figcaption")) == 9 + 3 + 2 + 1
    for attributes in drawn:
        assert re.search(r"\d|no value", str(attributes["aria-label"]))


def test_every_table_has_a_caption_and_headings_with_a_scope(page: Any) -> None:
    assert len(page.all("table")) == len(page.all("caption"))
    assert {attributes.get("scope") for attributes in page.all("th")} == {"col", "row"}
    regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(regions) == len(page.all("table"))
    assert {attributes["tabindex"] for attributes in regions} == {"0"}


def test_names_never_become_markup(page: Any, html: str) -> None:
    # The data, plotly, and the script that draws.
    assert len(page.all("script")) == 3
    assert page.all("img") == page.all("b") == page.all("i") == []
    assert "<script>alert" not in html
    assert "</script><script>alert(1)</script>" in page.texts("h3")
    assert "</script> no" in page.texts("th")


def test_the_figures_are_the_places_in_the_page(page: Any, html: str) -> None:
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    figures = json.loads(data[1])
    drawn = [attributes["id"] for attributes in page.all("div") if attributes.get("role") == "img"]
    assert list(figures) == drawn
    for figure in figures.values():
        said = [figure["layout"].get(axis, {}).get("ticktext", []) for axis in ("xaxis", "yaxis")]
        said += [trace.get("hovertext", []) for trace in figure["data"]]
        assert not any("<img" in text or "<script" in text for texts in said for text in texts)


@given(st.text())
def test_plotly_gets_no_tag_from_a_name(text: str) -> None:
    assert "<" not in escaped(text)
    assert escaped("a&lt;b") == "a&amp;lt;b"


def test_the_page_asks_for_nothing_from_outside(page: Any) -> None:
    for _, attributes in page.found:
        for name in ("src", "href", "action", "data"):
            assert str(attributes.get(name) or "#").startswith("#")
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])


def test_all_that_was_found_is_told(page: Any, evaluation: Evaluation) -> None:
    text = "".join(page.texts("body"))
    for status in ("Fail", "Borderline", "Pass", "Not applicable"):
        assert status in text
    for verdict in evaluation.verdicts:
        assert verdict.sentence[1:] in text
        assert " ".join(verdict.reason.split()) in " ".join(text.split())
    assert "Copies" in page.texts("h2")
    assert "inputs / real / sha256" in page.texts("th")
    assert "0" * 64 in page.texts("td")


def test_a_wide_table_is_told_in_full_and_stays_small(wide: Evaluation, parse: Any) -> None:
    from plotly.offline import get_plotlyjs

    text = render_html(wide)
    page = parse(text)
    assert len(text.encode()) < 6 * MEGABYTE
    assert len(text.encode()) - len(get_plotlyjs().encode()) < MEGABYTE
    named = {*page.texts("h3"), *page.texts("th")}
    assert set(wide.columns) <= named
    assert len(page.all("figure")) == 30 + 3 + 2
    said = "".join(page.texts("body"))
    assert "No verdict" in said


def test_without_pictures_there_is_no_script(evaluation: Evaluation, parse: Any) -> None:
    bare = parse(render_html(replace(evaluation, pictures=None, verdicts=(), provenance={})))
    assert bare.all("script") == bare.all("figure") == []
    assert "shape error" in bare.texts("th")


def test_what_was_left_out_or_does_not_apply_says_why(evaluation: Evaluation) -> None:
    scores = dict(evaluation.scores) | {"dcr_share": Score(float("nan"), note="there are too few rows")}
    changed = replace(evaluation, scores=scores, left_out={"precision": "target"})
    for text in (render_html(changed), render_markdown(changed)):
        assert "Not applicable: there are too few rows." in text
        assert "precision, which needs a target column" in text
        assert ">nan<" not in text
        assert "| nan" not in text


def test_the_same_evaluation_gives_the_same_page(evaluation: Evaluation, html: str) -> None:
    assert render_html(evaluation) == html


def test_tables_in_markdown_have_as_many_cells_in_each_row_as_headings(evaluation: Evaluation) -> None:
    text = render_markdown(evaluation)
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(blocks) > 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "<script" not in text
    assert "<img" not in text
    assert [line for line in text.splitlines() if line.startswith("# ")] == ["# Evaluation of a synthetic table"]
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert r"a\|b \# \`c\` \*d\* &amp; &lt;br&gt;" in text


@pytest.mark.parametrize("suffix", [".html", ".HTML", ".md", ".json"])
def test_the_suffix_decides_the_form(evaluation: Evaluation, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    path.write_text("old")
    write_report(evaluation, path)
    expected = {
        ".html": render_html,
        ".md": render_markdown,
        ".json": Evaluation.to_json,
    }[suffix.lower()](evaluation)
    assert path.read_text(encoding="utf-8") == expected
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_any_other_suffix_is_refused_and_nothing_written(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.html, \.md or \.json, got 'report\.pdf'"):
        write_report(evaluation, tmp_path / "report.pdf")
    assert list(tmp_path.iterdir()) == []


@given(
    values=st.tuples(*[st.floats(0, 1)] * 3),
    half=st.floats(0, 0.2),
    direction=st.sampled_from(["lower", "higher", "half"]),
    ideal=st.sampled_from([None, 0.5]),
)
def test_better_is_further_to_the_right(values, half, direction, ideal) -> None:
    value, ceiling, floor = values
    score = Score(value, value - half, value + half, ceiling, floor, 10, direction)
    marks = strip(score, ideal)
    if marks is None:
        return
    assert all(0 <= place <= 120 for place in marks.values())
    assert marks["low"] <= marks["value"] <= marks["high"]
    bad = {"lower": lambda number: number, "higher": lambda number: -number, "half": lambda number: abs(number - 0.5)}
    if bad[direction](value) < bad[direction](floor):
        assert marks["value"] >= marks["floor"]


def test_a_score_without_controls_or_that_equals_them_has_no_strip() -> None:
    assert strip(Score(0.5), None) is None
    assert strip(Score(float("nan"), ceiling=0.1, floor=0.2), None) is None
    assert strip(Score(0.0, 0.0, 0.001, ceiling=0.0, floor=0.0), 0.0) is None
    assert strip(Score(0.1, ceiling=0.0), None) == {
        "value": 8.0,
        "low": None,
        "high": None,
        "ceiling": 112.0,
        "floor": None,
    }


def test_details_of_every_form_become_tables() -> None:
    table = as_tables("shares", "columns", {"a": 0.25, "b": 3})[0]
    assert (table.head, table.rows) == (("column", "value"), (("a", "0.250"), ("b", "3")))
    pairs = as_tables("relations", "pairs", [["a", "b", 0.5, 0.25], ["a", "c", 1.0, None]])[0]
    assert (pairs.head, pairs.rows[0]) == (("pair", "real", "synthetic"), ("a and b", "0.500", "0.250"))
    assert pairs.rows[1][2] == "–"
    listed = as_tables("gaps", "patterns", [[["a", "b"], 0.5, 0.25], [[], 0.5, 0.75]])[0]
    assert [row[0] for row in listed.rows] == ["a, b", "none"]
    named = as_tables("groups", "groups", {"x": {"error": 0.1, "why": {"too low": 2}}})[0]
    assert named.rows == (("x", "0.100", "too low: 2"),)
    outer, inner = as_tables("parity", "columns", {"sex": {"change": 0.1, "groups": {"f": {"rate": 0.5}}}})
    assert (outer.rows, inner.rows, inner.caption) == ((("sex", "0.100"),), (("f", "0.500"),), "Parity, sex: groups")
    many = as_tables("shares", "columns", {str(number): 0.5 for number in range(50)})[0]
    assert len(many.rows) == 20
    assert many.caption.endswith("the first 20 of 50")
    assert as_tables("counts", "rows", 7) == as_tables("counts", "columns", {}) == as_tables("x", "y", "text") == []
