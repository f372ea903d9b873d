"""The report of a comparison, with names that try to be markup, and the scale and marks of its figures."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.evaluation import Comparison, Evaluation
from synthkit.evaluation.compare import badness
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Score, Verdict
from synthkit.evaluation.report import render_comparison_html, render_comparison_markdown, write_report
from synthkit.evaluation.report.comparison import headline
from synthkit.evaluation.report.contents import shown
from synthkit.evaluation.report.dots import mark_of
from synthkit.evaluation.report.page import breakable
from synthkit.evaluation.report.scale import scale_of

MEGABYTE = 1_000_000
UNIT = st.floats(0, 1)
DIRECTIONS = st.sampled_from(["lower", "higher", "half"])


def with_scores(evaluation: Evaluation, **scores: Score) -> Evaluation:
    return replace(evaluation, scores=dict(evaluation.scores) | scores)


@pytest.fixture(scope="module")
def html(comparison: Comparison) -> str:
    return render_comparison_html(comparison)


@pytest.fixture(scope="module")
def page(html: str, parse: Any) -> Any:
    return parse(html)


@pytest.fixture(scope="module")
def figures(html: str) -> dict[str, Any]:
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    return json.loads(data[1])


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_page_has_a_language_a_title_and_headings_in_order(page: Any) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert page.texts("title") == ["Comparison of synthetic tables: None of 3 tables meets every gate"]
    levels = [int(name[1]) for name, _ in page.found if re.fullmatch("h[1-6]", name)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_anchor_leads_somewhere_and_no_id_is_given_twice(page: Any) -> None:
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"].removeprefix("#") for link in page.all("a")} <= set(ids)


def test_names_never_become_markup_and_nothing_comes_from_outside(page: Any, html: str, figures: Any) -> None:
    assert len(page.all("script")) == 3
    assert page.all("img") == page.all("b") == page.all("i") == []
    assert "<script>alert" not in html
    for _, attributes in page.found:
        assert all(str(attributes.get(name) or "#").startswith("#") for name in ("src", "href", "action", "data"))
    texts = [trace["name"] for figure in figures.values() for trace in figure["data"]]
    texts += [text for figure in figures.values() for trace in figure["data"] for text in trace["hovertext"]]
    assert not any("<img" in text or "<script" in text for text in texts)


def test_every_table_has_a_caption_headings_with_a_scope_and_a_place_to_scroll(page: Any) -> None:
    assert len(page.all("table")) == len(page.all("caption"))
    assert {attributes.get("scope") for attributes in page.all("th")} == {"col", "row"}
    regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(regions) == len(page.all("table"))


def test_each_name_is_in_every_table_of_scores_and_in_every_key(page: Any, comparison: Comparison) -> None:
    heads = [one_line(text) for text in page.texts("th")]
    items = [one_line(text) for text in page.texts("li")]
    themes = {METRICS[name].theme for name in comparison.metrics}
    for name in comparison.names:
        said = one_line(name)
        # The matrix of gates, the table of columns and that of columns that give rows away, beside the themes.
        assert sum(head.startswith(said) for head in heads) >= len(themes) + 2
        assert items.count(said) == len(page.all("figure"))


def test_every_score_stands_in_its_cell_and_the_best_are_marked(page: Any, comparison: Comparison) -> None:
    cells = page.texts("td")
    expected = sum(len(comparison.best(metric)) for metric in comparison.metrics)
    marks = [attributes for attributes in page.all("span") if attributes.get("class") == "mark"]
    assert len(marks) == expected > 5
    assert {attributes["aria-label"] for attributes in marks} == {"among the best"}
    assert sum(attributes.get("class") == "best" for attributes in page.all("td")) == expected
    for metric in comparison.metrics:
        for name, evaluation in comparison.evaluations.items():
            value = shown(evaluation[metric].value) + ("*" if name in comparison.best(metric) else "")
            assert any(cell.startswith(value) for cell in cells)


def test_the_matrix_tells_every_verdict_with_a_symbol_and_a_word(page: Any, comparison: Comparison) -> None:
    states = [attributes for attributes in page.all("td") if str(attributes.get("class")).startswith("text state")]
    verdicts = [verdict for evaluation in comparison.evaluations.values() for verdict in evaluation.verdicts]
    assert len(states) == len(verdicts) == 12
    said = [text for text in page.texts("td") if re.match("(Pass|Fail|Borderline|Not applicable)", text)]
    for status in ("pass", "fail", "not applicable"):
        count = sum(verdict.status == status for verdict in verdicts)
        assert sum(text.startswith(status.capitalize()) for text in said) == count > 0
    conditions = one_line(" ".join(page.texts("th")))
    for condition in ("at most 0.01 above real rows", "upper end of the interval at least 0.5", "times independent"):
        assert condition in conditions
    for verdict in verdicts:
        assert verdict.sentence in page.texts("td")


def test_every_figure_is_drawn_from_the_scores_and_told_in_words(page: Any, figures: Any, html: str) -> None:
    drawn = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert [attributes["id"] for attributes in drawn] == list(figures)
    assert len(page.all("figcaption")) == len(figures) == 4
    for attributes in drawn:
        assert re.search(r"Best or not clearly worse: .* in \d", one_line(attributes["aria-label"]))
    for figure in figures.values():
        rows = len(figure["layout"]["yaxis"]["ticktext"])
        tables = [trace for trace in figure["data"] if trace["mode"] == "markers"]
        assert len(tables) == 3
        assert len({trace["marker"]["symbol"] for trace in tables}) == 3
        for trace in tables:
            assert len(trace["x"]) == len(trace["y"]) == rows
            assert all(place is None or 0 <= place <= 1 for place in trace["x"])
            assert all(abs(height - row) < 0.5 for row, height in enumerate(trace["y"]))
    assert "trained on real rows" in html.split("Not drawn")[1]


def test_the_same_comparison_gives_the_same_page(comparison: Comparison, html: str) -> None:
    assert render_comparison_html(comparison) == html


def test_tables_in_markdown_are_whole_and_mark_the_best(comparison: Comparison) -> None:
    text = render_comparison_markdown(comparison)
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(blocks) == 3 + 4 + 2
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "<script" not in text
    assert "<img" not in text
    assert r"a\|b \# \`c\` \*d\* &amp; &lt;br&gt;" in text
    assert len(re.findall(r"\\\*\*\*", text)) == sum(len(comparison.best(metric)) for metric in comparison.metrics)


@pytest.mark.parametrize("suffix", [".html", ".md", ".json"])
def test_the_suffix_decides_the_form(comparison: Comparison, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    write_report(comparison, path)
    forms = {".html": render_comparison_html, ".md": render_comparison_markdown, ".json": Comparison.to_json}
    assert path.read_text(encoding="utf-8") == forms[suffix](comparison)


def test_a_score_without_a_value_says_why_and_for_which_table(comparison: Comparison) -> None:
    first, second, third = comparison.names
    none = Score(math.nan, note="it has <one> class")
    changed = {
        "one": with_scores(comparison[first], tstr=none, dcr_share=none),
        "two": with_scores(comparison[second], dcr_share=none),
        "three": replace(
            comparison[third],
            scores={"dcr_share": none, "shape_err": comparison[third]["shape_err"]},
            left_out={"precision": "target"},
        ),
    }
    mixed = Comparison(changed)
    for text in (render_comparison_html(mixed), render_comparison_markdown(mixed)):
        plain = text.replace("Trained on", "trained on").replace("Nearest", "nearest")
        assert "trained on synthetic rows for one: not applicable, because it has &lt;one&gt; class." in plain
        assert "nearest-record share: not applicable, because it has &lt;one&gt; class." in plain
        assert "precision, which needs a target column" in plain
        assert "nan" not in re.sub(r"<script.*?</script>|[a-z]*nan[a-z]+", "", plain, flags=re.DOTALL)


def test_without_gates_there_is_no_verdict_and_no_matrix(comparison: Comparison, parse: Any) -> None:
    open_ended = {name: replace(entry, verdicts=()) for name, entry in comparison.evaluations.items()}
    page = parse(render_comparison_html(Comparison(open_ended)))
    assert "Gates" not in page.texts("h3")
    assert "No verdict" in page.texts("title")[0]
    assert "## Gates" not in render_comparison_markdown(Comparison(open_ended))


def test_one_table_alone_has_no_best_and_is_still_drawn(comparison: Comparison, parse: Any) -> None:
    name = comparison.names[0]
    page = parse(render_comparison_html(Comparison({name: comparison[name]})))
    assert [attributes for attributes in page.all("span") if attributes.get("class") == "mark"] == []
    assert len(page.all("figure")) == 4


def test_no_table_is_an_error() -> None:
    for render in (render_comparison_html, render_comparison_markdown):
        with pytest.raises(InputError, match="no synthetic table"):
            render(Comparison({}))


def test_the_headline_counts_the_tables_that_meet_every_gate(comparison: Comparison) -> None:
    entry = comparison[comparison.names[0]]
    met, missed, narrow, open_ended = (
        replace(entry, verdicts=(Verdict("copied", status, "said."),))
        for status in ("pass", "fail", "borderline", "not applicable")
    )
    said = {
        ("pass", "All 2 tables meet every gate"): {"a": met, "b": met},
        ("borderline", "All 2 tables meet every gate"): {"a": met, "b": narrow},
        ("none", "1 of 3 tables meets every gate"): {"a": met, "b": missed, "c": missed},
        ("none", "2 of 3 tables meet every gate"): {"a": met, "b": missed, "c": narrow},
        ("fail", "None of 2 tables meets every gate"): {"a": missed, "b": missed},
        ("fail", "Not passed: 1 gate not met"): {"a": missed},
        ("not applicable", "No verdict: no gate applies to these tables"): {"a": open_ended, "b": open_ended},
    }
    for expected, evaluations in said.items():
        assert headline(Comparison(evaluations))[:2] == expected


def test_eight_tables_stay_small_and_apart(comparison: Comparison, parse: Any) -> None:
    from plotly.offline import get_plotlyjs

    entries = list(comparison.evaluations.values())
    many = Comparison({f"runs/2025-01-01/table_{place}.csv": entries[place % 3] for place in range(8)})
    text = render_comparison_html(many)
    assert len(text.encode()) < 6 * MEGABYTE
    assert len(text.encode()) - len(get_plotlyjs().encode()) < MEGABYTE / 2
    page = parse(text)
    assert "runs/2025-01-01/table_7.csv" in page.texts("li")
    assert any(str(attributes.get("class")).endswith("many") for attributes in page.all("table"))


def test_marks_differ_in_form_or_colour_and_the_first_in_both() -> None:
    marks = [mark_of(place) for place in range(56)]
    assert len(set(marks)) == 56
    assert len({mark.form for mark in marks[:8]}) == 8
    assert len({mark.colour for mark in marks[:7]}) == 7


@given(values=st.lists(UNIT, min_size=1, max_size=6), half=st.floats(0, 0.2), direction=DIRECTIONS, floor=UNIT)
def test_the_scale_keeps_the_order_and_holds_every_mark(values, half, direction, floor) -> None:
    scores = [Score(value, value - half, value + half, math.nan, floor, 10, direction) for value in values]
    scale = scale_of(scores, None)
    if scale is None:
        bad = [badness(value, direction) for value in (*values, floor)]
        assert max(bad) == min(bad)
        return
    places = [scale.place(value) for value in (*values, floor)]
    for score in scores:
        worse, better = scale.interval(score)
        assert -1e-9 <= worse <= scale.place(score.value) + 1e-9
        assert scale.place(score.value) - 1e-9 <= better <= 1 + 1e-9
    for first, place in zip((*values, floor), places, strict=True):
        for second, other in zip((*values, floor), places, strict=True):
            if badness(first, direction) < badness(second, direction):
                assert place >= other
    assert math.isnan(scale.place(math.nan))


def test_an_interval_around_one_half_reaches_the_best_value(comparison: Comparison) -> None:
    entry = comparison[comparison.names[0]]
    near = Score(0.502, 0.498, 0.506, direction="half")
    wide = Score(0.48, 0.40, 0.56, direction="half")
    far = Score(0.48, 0.47, 0.49, direction="half")
    found = Comparison(
        {name: with_scores(entry, c2st_tree=score) for name, score in (("near", near), ("wide", wide), ("far", far))}
    )
    assert found.best("c2st_tree") == {"near", "wide"}


def test_the_worst_columns_of_each_table_are_told(comparison: Comparison, page: Any) -> None:
    heads = page.texts("th")
    for evaluation in comparison.evaluations.values():
        assert set(list(evaluation.columns)[:3]) <= set(heads)


def test_names_break_where_their_words_end() -> None:
    assert str(breakable("runs/a_b-1.csv <x>")) == "runs/<wbr>a_<wbr>b-<wbr>1.<wbr>csv &lt;x&gt;"
