"""The report of an audit as a browser, a screen reader and a Markdown reader take it; names try to be markup."""

from __future__ import annotations

import hashlib
import html as entities
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chromium import look
from hypothesis import given
from hypothesis import strategies as st

from synthkit.auditing.attack import Attack
from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.policy import POLICIES, load_policy
from synthkit.auditing.records import Estimate, Risk, not_applicable
from synthkit.auditing.report import digest, render_html, render_markdown, risks, write_report
from synthkit.auditing.report.contents import guarantee_lines, review_fields
from synthkit.auditing.report.figure import axis_of, strip
from synthkit.auditing.report.residual import residual
from synthkit.auditing.report.risks import in_words
from synthkit.auditing.result import Audit, ExposedGroup, Exposure, GateVerdict, Guarantee, Overlap
from synthkit.errors import InputError
from synthkit.evaluation.records import Score
from synthkit.visible import visible

NAN = math.nan
# Names that end a script, an attribute, a table cell or a line where they are not escaped.
HOSTILE = ("</script><script>alert(1)</script>", "\"><img src=x onerror='alert(2)'>", "a|b\n# `c` *d* & <br>")
FORBIDDEN = re.compile(r"\b(safe|safely|anonymous|anonymi[sz]ed|compliant|gdpr)\b", re.IGNORECASE)
VOID = {"meta", "br", "wbr", "circle", "rect", "path", "col"}
LONG = "income of the household before taxes in the year before the survey, in thousands of kroner"


def described(name: str, family: Any, title: str, *measures: str) -> Attack:
    """An attack that is described but never run."""
    return Attack(
        name=name,
        family=family,
        title=title,
        source="Hand (2026), Journal of Examples 1",
        threat=f"Whoever knows a record tries to learn something by {title}.",
        reading="The share of targets about which the attacker is right.",
        lies="With few targets, and where `columns` are coarse: then chance looks like skill.",
        measures={measure: f"meaning of {measure}" for measure in measures},
        run=lambda case: (),
    )


KNOWN = {
    attack.name: attack
    for attack in (
        described("exact", "duplicates", "exact copies", "excess"),
        described("near", "duplicates", "near copies", "share"),
        described("nearest", "membership", "distance to the nearest row", "auc", "tpr_1", "tpr_01"),
        described("domias", "membership", "density ratio (DOMIAS)", "auc", "tpr_1", "tpr_01"),
        described("marginal", "membership", "ratio of marginals", "auc", "tpr_1"),
        described("multivariate", "singling out", "multivariate predicates", "risk"),
        described("linkability", "linkability", "linking two halves of a record", "risk"),
        described("knn", "attribute", "values of the nearest rows", "risk"),
        described("boosted", "attribute", "boosted trees", "risk"),
        described("never", "membership", "an attack nobody asked for", "auc"),
    )
}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacks of these tests in place of the registered ones."""
    monkeypatch.setattr(risks, "ATTACKS", KNOWN)


def area(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), 0.5)


def found(value: float, rate: float) -> Estimate:
    return Estimate(value, value * 0.6, min(1.0, value * 1.6 + 0.002), rate)


def excess(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half, 0.0)


def membership(attack: str, value: float) -> Risk:
    tail = max(0.01, 4 * (value - 0.5) ** 2)
    estimates = {"auc": area(value), "tpr_1": found(tail, 0.01), "tpr_01": found(tail / 10, 0.001)}
    return Risk(attack, "", estimates, n=5_000).judged(area(0.987), area(0.503))


def samples() -> list[Risk]:
    """Several dozen risks of every outcome, with long and hostile subjects and values that are missing."""
    columns = ["diagnosis", "income", LONG, *HOSTILE, "ward", "smoker", "lactate", "died"]
    made = [
        Risk("exact", "", {"excess": Estimate(0.0021, 0.0004, 0.005, 0.0009)}, n=30_000).judged(
            Estimate(0.41, 0.38, 0.44, 0.0009), Estimate(0.0008, 0.0, 0.002, 0.0009)
        ),
        Risk("exact", "sex, age, postcode", {"excess": Estimate(0.153, 0.149, 0.157, 0.121)}, n=30_000).judged(
            Estimate(0.62, 0.6, 0.64, 0.121), Estimate(0.12, 0.117, 0.123, 0.121)
        ),
        Risk("near", "", {"share": Estimate(0.51, 0.49, 0.53, NAN)}, n=30_000),
        membership("nearest", 0.512),
        membership("domias", 0.634),
        not_applicable("marginal", "It needs a model whose marginals are known (--model)."),
        Risk("multivariate", "2 columns", {"risk": excess(0.01)}, n=2_000).judged(excess(0.4), excess(0.0)),
        Risk("multivariate", "4 columns", {"risk": excess(0.08)}, n=2_000).judged(excess(0.7), excess(0.002)),
        Risk("multivariate", "6 columns", {"risk": excess(0.03)}, n=2_000, note="The naive attack does better.").judged(
            excess(0.01), excess(0.0)
        ),
        Risk("linkability", "", {"risk": excess(-0.004, 0.012)}, n=1_500).judged(excess(0.31), excess(0.0)),
        Risk("newcomer", "of somebody else", {"skill": Estimate(0.2, NAN, NAN, NAN)}, n=10),
        Risk("newcomer", "without a number", {"skill": Estimate(NAN)}, note="Too few records.").judged(None, None),
    ]
    for place, column in enumerate(columns):
        for attack in ("knn", "boosted"):
            risk = Risk(attack, column, {"risk": excess(0.012 * place - 0.02)}, n=1_800)
            made.append(risk.judged(excess(0.35 + 0.04 * place), excess(0.001 if place != 7 else 0.05)))
    return made


def audit_of(*made: Risk, **changes: Any) -> Audit:
    """An audit with everything in it."""
    complete = Audit(
        risks={risk.name: risk for risk in (made or samples())},
        verdicts=(
            GateVerdict("membership", "met", "the upper end is 1.6 %: at most 3 % is asked for.", "Nobody is outed."),
            GateVerdict("duplicates", "not met", f"copies beyond chance: 0.2 % {HOSTILE[0]}", HOSTILE[1], 0.2, 0.1),
            GateVerdict("reviewer", "not tested", "no reviewer is named.", "Somebody has to answer for it."),
        ),
        policy={
            "format_version": 1,
            "name": "research sharing",
            "description": "For institutes that sign a contract.",
            "recipients": f"three named institutes {HOSTILE[2]}",
            "conditions": ["No linking with other tables.", f"Deletion after 24 months {HOSTILE[1]}."],
            "reviewer": "A. Officer",
            "expires_after_days": 365,
            "review_by": "2027-12-31",
            "gates": [{"name": "membership", "risk": "all membership", "threshold": 0.03}],
        },
        exposure=Exposure(
            "domias",
            (
                ExposedGroup("rarity", "the rarest tenth", 1_000, 0.062, 0.71, 0.66, 0.76),
                ExposedGroup(HOSTILE[0], "children's ward", 120, 0.03, 0.55, 0.46, 0.64),
                ExposedGroup("sex", "without an interval", 12, 0.0, NAN, NAN, NAN),
            ),
            records=({"age": 94, "ward": HOSTILE[1], "score": 3.2}, {"age": None, "ward": "heart", "score": NAN}),
            note="Groups of fewer than 50 targets are left out.",
        ),
        guarantee=Guarantee("model visits.synth", 1.0, 1e-5, "patient", "add-remove", True, (), 2, "ab" * 32),
        utility={
            "tstr": Score(0.871, 0.86, 0.88, 0.902, 0.5, 6_000, "higher"),
            "unheard of": Score(NAN, note="there are too few rows"),
        },
        rows={"real": 30_000, "held-out": 15_000, "synthetic": 30_000, "targets": 5_000},
        left_out={"name": "nearly every row holds another text", HOSTILE[1]: "empty"},
        quasi_identifiers=("sex", "age", "postcode", HOSTILE[2]),
        sensitive=("diagnosis", LONG),
        person="patient",
        target="died",
        overlap=Overlap(37, 0.0025, 0.0011, persons=2),
        seed=7,
        notes=(f"The column {HOSTILE[0]} was read as a date.", "2 columns of free text were left out."),
        provenance={
            "command": f"synthkit audit '{HOSTILE[0]}'",
            "inputs": {
                part: {"file": f"{part}.csv", "bytes": 9, "sha256": character * 64}
                for part, character in zip(("real", "synthetic", "holdout"), "123", strict=True)
            },
            "versions": {"synthkit": "0.5.0"},
        },
        created="2026-11-22T20:00:00+00:00",
    )
    return replace(complete, **changes)


EMPTY = Audit(risks={})


class Page(HTMLParser):
    """The elements of a page, the text of each, and whether all of them are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inner: list[list[str]] = []
        self._open: list[int] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inner.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inner.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.inner[place].append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def texts(self, tag: str) -> list[str]:
        return [
            "".join(parts).replace("\u00a0", " ").strip()
            for (name, _), parts in zip(self.elements, self.inner, strict=True)
            if name == tag
        ]

    def text(self) -> str:
        return " ".join(self.texts("body")[0].split())


def plain(markdown: str) -> str:
    """The words of a Markdown text, without escapes."""
    return " ".join(entities.unescape(re.sub(r"\\([\\`*_\[\]|#~])", r"\1", markdown)).replace("`", "").split())


def both(audit: Audit) -> Iterator[str]:
    """Both forms of a report as text without markup."""
    yield Page(render_html(audit)).text().replace("`", "")
    yield plain(render_markdown(audit))


def bare(text: str) -> str:
    return " ".join(text.replace("`", "").split())


@pytest.fixture(scope="module")
def complete() -> Audit:
    return audit_of()


class TestThePage:
    @pytest.fixture
    def page(self, complete: Audit) -> Page:
        return Page(render_html(complete))

    def test_has_a_language_a_title_and_headings_in_order(self, page: Page) -> None:
        assert page.all("html")[0]["lang"] == "en"
        assert "is not met" in page.texts("title")[0]
        levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))

    def test_says_first_that_it_is_confidential_and_then_the_verdict(self, page: Page) -> None:
        text = page.text().removeprefix("Skip to the contents").strip()
        assert text.startswith("This report is confidential: it tells about the real records.")
        assert 0 < text.index("Policy 'research sharing' is not met: 1 of 3 gates failed") < 250

    def test_has_its_parts_in_the_order_of_the_contents(self, page: Page) -> None:
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = [str(attributes["href"]).removeprefix("#") for attributes in page.all("a")]
        sections = [attributes["id"] for attributes in page.all("section") if attributes["id"] != "annex"]
        assert links == ["main", *sections]
        assert sections[0] == "verdict"
        assert len(sections) == 14

    def test_every_table_has_a_caption_and_headings_with_a_scope(self, page: Page) -> None:
        assert len(page.all("table")) == len(page.all("caption")) >= 11
        assert {attributes.get("scope") for attributes in page.all("th")} == {"col", "row", "rowgroup"}
        regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
        assert len(regions) == len(page.all("table"))

    def test_every_risk_that_ran_has_a_picture(self, page: Page, complete: Audit) -> None:
        drawn = [attributes for attributes in page.all("svg") if attributes.get("class") == "mark"]
        ran = [risk for risk in complete.risks.values() if risk.outcome != "not applicable"]
        assert len(drawn) == len(ran) > 24

    def test_names_never_become_markup(self, page: Page, complete: Audit) -> None:
        assert page.all("script") == page.all("img") == page.all("b") == page.all("br") == []
        text = render_html(complete)
        assert "<script" not in text
        assert "<img" not in text
        assert any(f"Boosted trees: {HOSTILE[0]}" in heading for heading in page.texts("th"))
        markdown = render_markdown(complete)
        assert "<script" not in markdown
        assert "<img" not in markdown
        assert r"a\|b \# \`c\` \*d\* &amp; &lt;br&gt;" in markdown

    def test_asks_for_nothing_from_outside_and_allows_no_script(self, page: Page, complete: Audit) -> None:
        for _, attributes in page.elements:
            for name in ("src", "href", "action", "data"):
                assert str(attributes.get(name) or "#").startswith("#")
        policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
        assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
        assert not re.search(r"https?://|url\(|@import", render_html(complete))

    def test_is_small(self, complete: Audit) -> None:
        assert len(render_html(complete).encode()) < 200_000

    def test_has_lines_to_sign(self, page: Page) -> None:
        terms = page.texts("dt")
        for field in ("name", "role", "date", "signature"):
            assert terms.count(field) == 2
        assert "do not release" in page.texts("li")


class TestEverythingIsTold:
    def test_risks(self, complete: Audit) -> None:
        for text in both(complete):
            for risk in complete.risks.values():
                assert bare(risk.subject) in text
                assert bare(risk.note) in text
                assert bare(risks.titled(risk)) in text
                if risk.outcome != "not applicable":
                    assert bare(in_words(risk)) in text

    def test_measures_beyond_the_first(self, complete: Audit) -> None:
        for text in both(complete):
            assert text.count("tpr 01") >= 2

    def test_gates_notes_groups_and_columns(self, complete: Audit) -> None:
        for text in both(complete):
            for verdict in complete.verdicts:
                assert bare(verdict.gate) in text
                assert bare(verdict.sentence)[1:] in text
                assert bare(verdict.reason) in text
            for said in (*complete.notes, *complete.left_out, *complete.quasi_identifiers, *complete.sensitive):
                assert bare(said) in text
            assert complete.exposure is not None
            for group in complete.exposure.groups:
                assert bare(f"{group.by}: {group.label}") in text
            assert "REAL RECORDS" in text
            assert "The rows below are real records" in text
            assert complete.policy is not None
            for said in (*complete.policy["conditions"], "three named institutes", "2027-12-31", "A. Officer"):
                assert bare(said) in text

    def test_descriptions_of_the_attacks_that_were_part_of_it(self, complete: Audit) -> None:
        made = {risk.attack for risk in complete.risks.values()}
        for text in both(complete):
            assert "Ranked by this attack on membership: Density ratio (DOMIAS)." in text
            for name in made & set(KNOWN):
                attack = KNOWN[name]
                for said in (attack.threat, attack.reading, attack.lies, attack.source, *attack.measures.values()):
                    assert bare(said) in text
            assert KNOWN["never"].title in text
            assert KNOWN["never"].threat not in text

    def test_hashes_and_the_digest(self, complete: Audit) -> None:
        expected = hashlib.sha256(complete.to_json().encode()).hexdigest()
        assert digest(complete) == expected
        for text in both(complete):
            assert text.count(expected) >= 2
            for character in "123":
                assert character * 64 in text
            assert "ab" * 32 in text
            assert "synthkit audit --check report.manifest.json" in text

    def test_terms_of_others(self, complete: Audit) -> None:
        for text in both(complete):
            for name in (
                "WP216",
                "164.514(b)(1)",
                "SP 800-226",
                "ISO/IEC 27559",
                "ISO/IEC 20889",
                "motivated intruder",
            ):
                assert name in text

    def test_nothing_is_called_what_no_attack_can_show(self, complete: Audit) -> None:
        for audit in (complete, EMPTY, audit_of(guarantee=None, policy=None, verdicts=())):
            for text in both(audit):
                assert not FORBIDDEN.search(text)
            assert not FORBIDDEN.search(re.sub(r"\s", " ", render_html(audit)))

    def test_no_value_is_printed_as_nan(self, complete: Audit) -> None:
        for text in both(complete):
            assert not re.search(r"\b(nan|None|inf)\b", text)

    def test_an_audit_gives_the_same_report_again(self, complete: Audit) -> None:
        assert render_html(complete) == render_html(audit_of())
        assert render_markdown(complete) == render_markdown(audit_of())


class TestWhatIsMissingIsSaid:
    def test_everything(self) -> None:
        for text in both(EMPTY):
            for said in (
                "No verdict: no policy was given",
                "nothing is proved about this release",
                "No held-out rows were given",
                "No attack could be made",
                "No score of utility was computed",
                "No policy says who may receive the table",
                "no attack of this kind was made",
            ):
                assert said in text

    def test_no_holdout(self) -> None:
        lacking = "It needs held-out rows that the generator never saw (--holdout)."
        refused = [not_applicable(name, lacking) for name in KNOWN]
        rows = {"real": 300, "held-out": 0, "synthetic": 300, "targets": 0}
        for text in both(audit_of(*refused, rows=rows, overlap=None, exposure=None)):
            assert text.count(lacking) == len(KNOWN)
            assert "No held-out rows were given" in text
            assert "every one is inconclusive or could not run" in text

    def test_gates_that_were_not_tested_are_not_called_met(self) -> None:
        gates = (GateVerdict("a", "met", "a is met."), GateVerdict("b", "not tested", "b was not tested."))
        for text in both(audit_of(verdicts=gates)):
            assert "is met where it was tested; 1 gate not tested" in text
            assert "Policy 'research sharing' is met ." not in text

    def test_a_policy_without_gates_gives_no_verdict(self) -> None:
        for text in both(audit_of(verdicts=())):
            assert "has no gate: no verdict" in text

    def test_a_guarantee_that_does_not_hold_explains_no_epsilon(self) -> None:
        broken = Guarantee("model m.synth", 1.0, 1e-5, "row", "add-remove", False, ("the noise was seeded",))
        lines = guarantee_lines(broken)
        assert lines[0] == "The claimed guarantee (epsilon 1 and delta 1e-5) does not hold."
        assert "the noise was seeded" in lines
        assert not any("odds" in line for line in lines)
        assert "lint" in guarantee_lines(replace(broken, holds=None, reasons=()))[0]
        assert guarantee_lines(replace(broken, epsilon=math.inf))[0].startswith("Nothing is proved")

    def test_a_guarantee_that_holds_is_told_as_bounds(self) -> None:
        lines = guarantee_lines(Guarantee("model m.synth", math.log(2), 1e-5, "row", "add-remove", True))
        assert "by at most 2, " in lines[1]
        assert "from 50 % to at most 66.7 %" in lines[1]
        assert "finds more than 2.01 %" in lines[2]
        replaced = guarantee_lines(Guarantee("model m.synth", 1.0, 1e-5, "patient", "replace-one", True, (), 3))
        assert "which of two versions of one 'patient' was in the data" in replaced[1]
        assert "recognises the second in more than 2.72 %" in replaced[2]
        assert "3 releases" in replaced[3]
        assert "this one alone" in replaced[3]

    def test_fields_that_the_policy_does_not_fill_are_left_to_a_person(self) -> None:
        given = dict(review_fields(audit_of()))
        assert given["reviewer"] == "A. Officer"
        assert given["valid until"] == "2027-11-22"
        assert given["date of review"] == ""
        assert dict(review_fields(audit_of(created="")))["valid until"] == ""
        assert set(dict(review_fields(EMPTY)).values()) == {""}


def told(audit: Audit) -> list[str]:
    return [f"{title}. {text}" for title, text in residual(audit)]


class TestResidualRisk:
    def test_upper_ends_bound_what_was_tried(self) -> None:
        lines = told(audit_of(membership("nearest", 0.512), membership("domias", 0.634)))
        (line,) = (line for line in lines if line.startswith("Membership."))
        assert "Density ratio (DOMIAS), names the right one in at most 65.4 % of cases" in line
        assert "Accusing 1.0 % wrongly, the best one, Density ratio (DOMIAS), finds at most 11.7 %" in line
        assert "Accusing 0.10 % wrongly" in line
        for other in ("Singling out", "Linkability", "Inference", "Duplicates"):
            assert (
                f"{other}. No bound: no attack of this kind was made. What an attacker can do here is unknown." in lines
            )

    def test_an_inconclusive_attack_bounds_nothing(self) -> None:
        weak = Risk("knn", "income", {"risk": excess(0.01)}).judged(excess(0.0), excess(0.0))
        strong = Risk("knn", "ward", {"risk": excess(0.05)}).judged(excess(0.5), excess(0.0))
        assert weak.outcome == "inconclusive"
        (line,) = (line for line in told(audit_of(weak, strong)) if line.startswith("Inference."))
        assert "at most 7.0 % of what was left to gain" in line
        assert "No bound for 1 attack (inconclusive or not run): Values of the nearest rows: income." in line
        (line,) = (line for line in told(audit_of(weak)) if line.startswith("Inference."))
        assert "No bound" in line


class TestPictures:
    @given(
        points=st.lists(st.floats(-0.5, 1), min_size=3, max_size=3).map(sorted),
        baseline=st.sampled_from([0.0, 0.01, 0.5, NAN]),
        controls=st.tuples(*[st.none() | st.floats(0, 1)] * 2),
    )
    def test_worse_is_further_to_the_right_and_nothing_is_outside(self, points, baseline, controls) -> None:
        low, value, high = points
        positive, negative = (None if one is None else Estimate(one) for one in controls)
        risk = replace(
            Risk("knn", "", {"risk": Estimate(value, low, high, baseline)}), positive=positive, negative=negative
        )
        axis = axis_of([risk])
        assert axis is not None
        assert axis.end - axis.start >= 0.0199
        drawn = strip(risk, axis)
        assert drawn is not None
        assert 8 <= drawn.low <= drawn.value <= drawn.high <= 192
        for place, control in ((drawn.positive, positive), (drawn.negative, negative)):
            assert (place is None) == (control is None)
            if control is not None and control.value > value:
                assert place >= drawn.value
        assert (drawn.baseline is None) == math.isnan(baseline)

    def test_without_a_value_there_is_none(self) -> None:
        nothing = Risk("knn", "", {"risk": Estimate(NAN)})
        assert axis_of([nothing]) is None
        assert axis_of([]) is None
        assert strip(nothing, None) is None
        assert strip(nothing, axis_of([Risk("knn", "", {"risk": excess(0.3)})])) is None

    def test_risks_of_the_same_measure_share_a_scale(self) -> None:
        (group,) = risks.groups(audit_of(membership("nearest", 0.512), membership("domias", 0.634)))
        assert len({row.ends for row in group.rows}) == 1
        assert [row.outcome for row in group.rows] == ["disclosure", "no disclosure found"]
        places = [row.picture.value for row in group.rows if row.picture is not None]
        assert places == sorted(places, reverse=True)


class TestEveryRegisteredAttack:
    """The attacks that are there, in place of those of these tests."""

    def test_has_a_place_in_the_report_and_claims_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(risks, "ATTACKS", ATTACKS)
        made = [
            Risk(name, "", {measure: area(0.6) for measure in attack.measures or ("value",)}).judged(
                area(0.9), area(0.5)
            )
            for name, attack in ATTACKS.items()
        ]
        audit = audit_of(*made, not_applicable("nobody knows it", "It is of another version."))
        for text in both(audit):
            for attack in ATTACKS.values():
                assert bare(attack.threat) in text
                assert bare(attack.lies) in text
            assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_shipped_policy_says_is_told(name: str) -> None:
    policy = load_policy(name)
    for text in both(audit_of(policy=policy.to_dict(), verdicts=())):
        for said in (policy.name, policy.description, policy.recipients, policy.reviewer, *policy.conditions):
            assert bare(said) in text
        assert str(policy.expires(audit_of().created)) in text
        assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("suffix", [".html", ".HTML", ".md", ".json"])
def test_the_suffix_decides_the_form(complete: Audit, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    path.write_text("old")
    write_report(complete, path)
    expected = {".html": render_html, ".md": render_markdown, ".json": Audit.to_json}[suffix.lower()](complete)
    assert path.read_text(encoding="utf-8") == expected
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_digest_is_that_of_the_file_in_json(complete: Audit, tmp_path: Path) -> None:
    write_report(complete, tmp_path / "report.json")
    data = (tmp_path / "report.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest(complete)
    assert json.loads(data)["risks"].keys() == complete.risks.keys()


def test_any_other_suffix_is_refused_and_nothing_written(complete: Audit, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.html, \.md or \.json, got 'report\.pdf'"):
        write_report(complete, tmp_path / "report.pdf")
    assert list(tmp_path.iterdir()) == []


def test_tables_in_markdown_have_as_many_cells_in_each_row_as_headings(complete: Audit) -> None:
    text = render_markdown(complete)
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(blocks) > 12
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert [line for line in text.splitlines() if line.startswith("# ")] == ["# Audit of a released synthetic table"]


# Measured in a frame, because a window may not be made narrower than some 500 pixels. Nothing in the page may run, so
# the frame, which is of the same folder, looks into it from outside.
FRAME = """<!DOCTYPE html><iframe src="page.html" style="width:WIDTHpx;height:3000px;border:0"></iframe>
<script>addEventListener("load", () => {
  const inside = document.querySelector("iframe").contentDocument, root = inside.documentElement;
  const boxes = (pick) => [...inside.querySelectorAll(pick)].map((one) => one.getBoundingClientRect());
  const seen = {
    needed: root.scrollWidth,
    marks: boxes(".mark").filter((box) => box.width > 60 && box.height > 8).length,
    outside: boxes(".mark, .card, .gate, .lines, h2").filter((box) => box.right > WIDTH + 1).length,
    wide: [...inside.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1)
      .map((one) => one.getAttribute("aria-label")),
    first: boxes(".verdict")[0].bottom,
    resources: inside.defaultView.performance.getEntriesByType("resource").length
  };
  document.documentElement.dataset.seen = JSON.stringify(seen);
});</script>"""


@pytest.mark.parametrize("width", [1280, 360])
def test_a_browser_shows_it_without_a_complaint_and_without_sideways_scrolling(
    complete: Audit, tmp_path: Path, width: int
) -> None:
    (tmp_path / "page.html").write_text(render_html(complete), encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    found, written = look(
        tmp_path / "frame.html",
        tmp_path / "profile",
        "--allow-file-access-from-files",
        "--virtual-time-budget=10000",
        "--window-size=1400,3000",
    )
    assert written == []
    assert found["needed"] <= width
    assert found["marks"] == sum(risk.outcome != "not applicable" for risk in complete.risks.values())
    assert found["outside"] == found["resources"] == 0
    assert found["first"] < 700  # the verdict is seen first
    # only the real records, whose columns are anybody's, may need scrolling
    assert all(label.startswith("REAL RECORDS") for label in found["wide"])


@pytest.mark.parametrize("name", ["a\x1bcb", "\u202egnp.elif", "\x00", "\u2066x", "\udcff"])
def test_what_nobody_sees_is_written_out(name: str) -> None:
    audit = audit_of(Risk("knn", name, {"risk": excess(0.3)}).judged(excess(0.5), excess(0.0)), notes=(name,))
    for text in (render_html(audit), render_markdown(audit)):
        assert name not in text
        assert visible(name) in text
        assert text.count(digest(audit)) >= 2
        text.encode("utf-8")


def test_a_disclosure_by_another_measure_is_told_everywhere() -> None:
    estimates = {"auc": area(0.5), "tpr_1": Estimate(0.05, 0.03, 0.07, 0.01)}
    risk = Risk("nearest", "", estimates, n=5_000).judged(area(0.98), area(0.5))
    assert risk.outcome == "disclosure"
    for text in both(audit_of(risk)):
        assert "The attack succeeds beyond chance by tpr 1, not by its first measure." in text
        assert "It finds 5.0 % (7.0 % at most) of those who were in the data while it accuses 1.0 % wrongly." in text
        assert "Disclosure was found by 1 attack: Distance to the nearest row (by tpr 1)." in text


def test_rates_that_a_risk_is_made_of_are_not_called_beyond_it() -> None:
    risk = Risk("knn", "", {"risk": excess(0.0), "attack": Estimate(0.4, 0.3, 0.5, 0.2)}).judged(excess(1), excess(0))
    table = risks.measures_table(audit_of(risk))
    assert table is not None
    assert table.rows[0][5] == "–"
