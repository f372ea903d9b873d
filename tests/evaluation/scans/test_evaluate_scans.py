"""All scores of sets of scans whose quality is known, what is refused, and the reports."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from chromium import look
from phantoms import heads, shapes

from synthkit.errors import DataError, InputError
from synthkit.evaluation.scans import appearance
from synthkit.evaluation.scans.evaluate import evaluate_scans
from synthkit.evaluation.scans.metrics import METRICS, NEEDED, QUESTIONS
from synthkit.evaluation.scans.records import ScanEvaluation
from synthkit.evaluation.scans.report import render_html, write_scan_report
from synthkit.evaluation.scans.suite import SUITES, ScanSuite, load_scan_suite
from synthkit.io.scan_set import ScanForm, ScanSet

N, SIZE = 90, 16


def scans(seed: int, n: int = N) -> ScanSet:
    return dataclasses.replace(shapes(n, SIZE, seed=seed), masks=None)


def judged(synthetic: ScanSet, *, real: ScanSet | None = None, **options: object) -> ScanEvaluation:
    asked = {"extractor": "radiomic", "suite": "quick", "batches": 25} | options
    return evaluate_scans(real or scans(0), synthetic, scans(1), **asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fresh() -> ScanEvaluation:
    """Scores of fresh scans from the same source: as good as can be."""
    return judged(scans(2), suite="standard", seeds=2)


@pytest.fixture(scope="module")
def copies() -> ScanEvaluation:
    return judged(scans(0))


def test_fresh_scans_score_as_held_out_ones_do(fresh: ScanEvaluation) -> None:
    assert set(fresh.scores) == set(METRICS)
    assert fresh.passed
    for name in ("kid", "recall", "coverage", "intensity_ks", "spectrum_gap", "likeness_gap"):
        score = fresh[name]
        assert score.low <= score.ceiling <= score.high or score.low <= score.value <= score.high
        assert abs(score.value - score.ceiling) < 0.25 * abs(score.value - score.floor) + 0.1
    assert fresh["tstr"].value > 0.9
    assert fresh["equal_scans"].value == 0
    assert fresh["nearest_training"].low < 0.5 < fresh["nearest_training"].high


def test_every_score_says_n_and_its_controls(fresh: ScanEvaluation) -> None:
    for name, score in fresh.scores.items():
        assert score.n > 0, name
        assert math.isnan(score.floor) == (not METRICS[name].floor), name
        assert not math.isnan(score.ceiling) or name == "augmentation_gain", name
        assert score.direction == METRICS[name].direction, name
        assert name == "fid" or score.low <= score.value <= score.high, name
    assert fresh["fid"].details["real scans"] == fresh["fid"].details["synthetic scans"] == N


def test_blurred_scans_fail_and_say_why() -> None:
    blurred = dataclasses.replace(scans(2), images=appearance.blurred(scans(2).images, 3.0))
    found = judged(blurred)
    assert not found.passed
    assert "kid" in {verdict.metric for verdict in found.failed}
    assert "less power" in found.to_text()


def test_copies_are_called_copies_while_the_distances_are_perfect(copies: ScanEvaluation) -> None:
    assert copies["equal_scans"].value == 1
    assert "equal_scans" in {verdict.metric for verdict in copies.failed}
    assert copies["kid"].value <= copies["kid"].ceiling
    assert copies["coverage"].value == 1


def test_a_collapse_is_seen_by_recall_and_likeness() -> None:
    found = judged(scans(2).take(np.arange(N) % 6))
    assert found["recall"].value < 0.5 * found["recall"].ceiling
    assert found["likeness_gap"].low > found["likeness_gap"].ceiling


def test_exchanged_classes_are_seen_class_by_class_only() -> None:
    own = scans(2)
    found = judged(dataclasses.replace(own, labels=(own.labels + 1) % 3), suite="standard", seeds=1)
    assert found["kid"].low < found["kid"].floor
    assert found["kid_by_class"].low > found["kid_by_class"].ceiling
    assert found["tstr"].value < 0.5
    assert {"tstr"} <= {verdict.metric for verdict in found.failed}
    row = found.classes["disc"]
    assert row["named rightly, trained on real"] > 0.8 > row["named rightly, trained on synthetic"]


def test_the_same_seed_repeats_every_number(copies: ScanEvaluation) -> None:
    again = judged(scans(0))
    assert again.to_json() == copies.to_json()
    assert judged(scans(0), seed=1).to_json() != copies.to_json()


def test_without_held_out_scans_patients_are_split_off_and_it_is_said() -> None:
    found = evaluate_scans(scans(0), scans(2), extractor="radiomic", suite="quick")
    assert found.scans["real"] + found.scans["held-out"] == N
    assert "split off" in found.notes[0]


def test_classes_are_matched_by_name() -> None:
    own = scans(2)
    order = np.array([2, 0, 1])
    renamed = dataclasses.replace(own, labels=order[own.labels], classes=("square", "cross", "disc"))
    assert {own.classes[i]: renamed.classes[order[i]] for i in range(3)} == dict.fromkeys(own.classes, "") | {
        name: name for name in own.classes
    }
    assert judged(renamed).classes["disc"]["synthetic scans"] == N / 3


def test_scans_without_classes_leave_out_what_needs_them() -> None:
    plain = dataclasses.replace(scans(2), labels=None, classes=())
    found = judged(plain, suite="standard")
    assert set(found.left_out.values()) == {"classes"}
    assert "tstr" not in found.scores
    assert found.classes == {}
    assert {verdict.status for verdict in found.verdicts if verdict.metric == "tstr"} == {"not applicable"}
    assert "no classifier is trained" in found.to_text()


def test_volumes_in_hounsfield_units() -> None:
    real, other, test = (dataclasses.replace(heads(12, seed=seed), masks=None) for seed in range(3))
    other = dataclasses.replace(other, images=other.images + np.int16(40))
    found = evaluate_scans(real, other, test, extractor="radiomic", suite="quick")
    assert found.form["units"] == "HU"
    assert found.pictures is not None
    assert found["intensity_ks"].value > found["intensity_ks"].ceiling
    assert "HU" in render_html(found)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda own: own.take(slice(4)), DataError, "there are 4 synthetic scans, and 10 are needed"),
        (lambda own: dataclasses.replace(own, images=own.images[..., :8]), InputError, r"have the shape \(1, 16, 8\)"),
        (
            lambda own: dataclasses.replace(own, classes=("disc", "square", "crss")),
            InputError,
            "unknown class 'crss'.*cross",
        ),
        (
            lambda own: dataclasses.replace(own, images=np.where(own.images > 200, np.nan, own.images)),
            DataError,
            "holds a value that is no finite number",
        ),
    ],
)
def test_scans_that_cannot_be_compared_are_refused(change, error, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=said):
        judged(change(scans(2)))


# -- suites -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUITES)
def test_suites_that_come_with_the_package_open(name: str) -> None:
    suite = load_scan_suite(name)
    assert suite.name == name
    assert all(gate.reason for gate in suite.gates)


def test_a_suite_that_names_an_unknown_score_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown metric 'kidd'.*kid"):
        ScanSuite.parsed("name: x\ngates:\n  - {metric: kidd, comparison: '<=', threshold: 1}", "x.yaml")


def test_a_gate_speaks_of_scans(fresh: ScanEvaluation) -> None:
    said = next(verdict.sentence for verdict in fresh.verdicts if verdict.metric == "kid")
    assert "blurred scans" in said


def test_every_score_is_described() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.theme in QUESTIONS
        assert set(metric.needs) <= set(NEEDED)
        assert metric.meaning.format(value="1", percent="1 %").endswith(".")


# -- reports ----------------------------------------------------------------------------------------------------------


def test_json_holds_every_score(fresh: ScanEvaluation, tmp_path: Path) -> None:
    write_scan_report(fresh, tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["format"] == "synthkit-scan-evaluation"
    assert set(content["scores"]) == set(METRICS)
    assert content["scores"]["kid"]["value"] == fresh["kid"].value
    assert content["passed"] is True


def test_reports_for_readers_have_every_score_and_class(fresh: ScanEvaluation, tmp_path: Path) -> None:
    for suffix in ("html", "md"):
        write_scan_report(fresh, tmp_path / f"report.{suffix}")
        text = (tmp_path / f"report.{suffix}").read_text()
        for name in fresh.scores:
            assert METRICS[name].title in text
        assert "disc" in text
        assert "synthkit audit" in text
    assert text.count("| kid") == 0
    text = fresh.to_text(width=90)
    assert max(map(len, text.splitlines())) <= 90
    assert "<table" in fresh._repr_html_()


def test_the_page_shows_either_kind_of_scan_class_by_class_and_the_neighbours(fresh: ScanEvaluation) -> None:
    page = render_html(fresh)
    assert page.count('src="data:image/png;base64,') == 2 * 3 + 1
    assert page.count('class="curve"') == 2
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_name_of_a_class_cannot_break_the_page() -> None:
    named = {"classes": ("<b>disc", "square", "cross")}
    real, synthetic, test = (dataclasses.replace(scans(seed), **named) for seed in range(3))
    page = render_html(evaluate_scans(real, synthetic, test, extractor="radiomic", suite="quick"))
    assert "<b>disc" not in page
    assert "&lt;b&gt;disc" in page


_PROBE = """<script>setTimeout(function () {
  const seen = {needed: document.documentElement.scrollWidth, width: innerWidth,
    pictures: [...document.images].filter((one) => one.naturalWidth > 0).length,
    outside: performance.getEntriesByType("resource").filter((one) => !one.name.startsWith("data:")).length};
  parent.postMessage(seen, "*");
  document.documentElement.dataset.seen = JSON.stringify(seen);
}, 300);</script></body>"""
_FRAME = """<!DOCTYPE html><iframe src="page.html" style="width:360px;height:2000px;border:0"></iframe>
<script>addEventListener("message", (event) => { document.documentElement.dataset.seen = JSON.stringify(event.data); });
</script>"""


@pytest.mark.parametrize("name", ["page", "phone"])
def test_a_browser_shows_every_picture_and_a_phone_needs_no_sideways_scrolling(
    fresh: ScanEvaluation, tmp_path: Path, name: str
) -> None:
    (tmp_path / "page.html").write_text(render_html(fresh).replace("</body>", _PROBE), encoding="utf-8")
    (tmp_path / "phone.html").write_text(_FRAME, encoding="utf-8")
    seen, written = look(tmp_path / f"{name}.html", tmp_path / "profile", "--virtual-time-budget=5000")
    assert written == []
    assert seen["pictures"] == 7
    assert seen["outside"] == 0
    assert seen["needed"] <= seen["width"]


def test_the_form_of_other_units_is_told() -> None:
    other = dataclasses.replace(scans(2), form=ScanForm(units="HU"))
    assert any("in HU" in note for note in judged(other).notes)
