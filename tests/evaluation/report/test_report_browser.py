"""The page in a real browser: every figure is drawn, nothing complains, and a phone needs no sideways scrolling."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import look

from synthkit.evaluation import Comparison, Evaluation
from synthkit.evaluation.report import render_comparison_html, render_html

PHONE = 360
# Waits for the last figure and for the ones that follow a change of width, then writes down what a reader would see.
PROBE = """<script>
(function look() {
  if (!document.documentElement.dataset.drawn) return setTimeout(look, 50);
  setTimeout(function () {
    const plots = [...document.querySelectorAll(".plot")];
    const seen = {
      width: innerWidth,
      needed: document.documentElement.scrollWidth,
      plots: plots.length,
      drawn: plots.filter((plot) => plot.querySelector("svg.main-svg")).length,
      marks: plots.filter((plot) => plot.querySelector(".point, .points path, .js-line, .hm image")).length,
      tooWide: plots.filter((plot) => plot.querySelector(".main-svg").getBoundingClientRect().width > plot.clientWidth)
        .map((plot) => plot.id),
      outside: performance.getEntriesByType("resource").map((entry) => entry.name)
    };
    parent.postMessage(seen, "*");
    document.documentElement.dataset.seen = JSON.stringify(seen);
  }, 500);
})();
</script></body>"""
# A window may not be made narrower than some 500 pixels; a frame in it may.
FRAME = """<!DOCTYPE html><iframe src="page.html" style="width:WIDTHpx;height:2000px;border:0"></iframe>
<script>addEventListener("message", (event) => { document.documentElement.dataset.seen = JSON.stringify(event.data); });
</script>"""


@pytest.fixture(scope="module")
def folder(evaluation: Evaluation, comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page")
    for name, text in (("page", render_html(evaluation)), ("comparison", render_comparison_html(comparison))):
        before, after = text.rsplit("</body>", 1)
        (place / f"{name}.html").write_text(before + PROBE + after, encoding="utf-8")
        frame = FRAME.replace("WIDTH", str(PHONE)).replace("page.html", f"{name}.html")
        (place / f"{name}_phone.html").write_text(frame, encoding="utf-8")
    return place


# All but the column without any value have marks.
@pytest.mark.parametrize(("name", "plots", "marks"), [("page", 15, 14), ("comparison", 4, 4)])
@pytest.mark.parametrize(("suffix", "width"), [("", 1280), ("_phone", PHONE)])
def test_every_figure_is_drawn_without_a_complaint(
    folder: Path, tmp_path: Path, name: str, plots: int, marks: int, suffix: str, width: int
) -> None:
    page = folder / f"{name}{suffix}.html"
    seen, written = look(page, tmp_path / "profile", "--virtual-time-budget=20000", "--window-size=1280,2000")
    assert written == []
    assert seen["width"] == width
    assert seen["needed"] <= width
    assert seen["plots"] == seen["drawn"] == plots
    assert seen["marks"] == marks
    assert seen["tooWide"] == []
    assert seen["outside"] == []
