from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from private_models import Parts, changed, open_model, persons_model, rows_model

from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.certificate import NOT_PRIVATE, SIGN_OFF, Certificate, certify
from synthkit.privacy.describe import describe_events, one_in, percent, short
from synthkit.privacy.events import gaussian_event, laplace_event, sampled_gaussian_event
from synthkit.privacy.plain_words import explain, not_covered
from synthkit.privacy.private_model import PrivateModel
from synthkit.privacy.tradeoff import meaning
from synthkit.tables.private_lint import lint

CLAIMS = re.compile(r"anonym|complian", re.IGNORECASE)
BUDGETS = {
    "row": PrivacyBudget(1.0, 1e-6),
    "replaced row": PrivacyBudget(3.0, 1e-6, adjacency="replace-one"),
    "person": PrivacyBudget(0.5, 1e-5, unit="patient_id", rows_per_unit=4),
    "person with one row": PrivacyBudget(20.0, 1e-5, unit="patient_id", adjacency="replace-one"),
}


def certificate(data: bytes, folder: Path, change: Callable[[Parts], object] = lambda parts: None) -> Certificate:
    model = PrivateModel.open(changed(data, folder, change))
    return certify(model, lint=lint(model))


def forms(found: Certificate) -> dict[str, str]:
    return {"text": found.to_text(), "html": found.to_html(), "json": json.dumps(found.to_json())}


def overspend(parts: Parts) -> None:
    for event in parts.events("pairs"):
        event["noise_multiplier"] /= 2


# -------------------- what it says


@pytest.mark.parametrize("form", ["text", "html", "json"])
def test_says_what_is_guaranteed_and_how(form: str, tmp_path: Path) -> None:
    found = certificate(rows_model(), tmp_path)
    assert found.holds
    text = forms(found)[form]
    wanted = ["epsilon", "add-remove", "bins", "margins", "pairs", "dp-accounting", found.hashes[found.model]]
    wanted += ["1,500", "0 to 120", "2.72", *SIGN_OFF]
    assert [one for one in wanted if one not in text] == []
    assert NOT_PRIVATE not in text


def test_epsilon_is_worked_out_again(tmp_path: Path) -> None:
    """A stored epsilon is not believed."""
    honest = certificate(rows_model(), tmp_path)
    lying = certificate(rows_model(), tmp_path, lambda parts: parts.ledger["epsilon"]["spent"].update(pld=0.001))
    assert honest.epsilon == lying.epsilon == pytest.approx(1.0, rel=2e-3)


def test_each_accountant_is_named(tmp_path: Path) -> None:
    found = certificate(rows_model(), tmp_path)
    pld, rdp = found.accountants
    assert "PLD" in pld.method
    assert "RDP" in rdp.method
    assert pld.epsilon is not None
    assert rdp.epsilon is not None
    assert pld.epsilon <= rdp.epsilon
    assert re.search(r"\d+\.\d+", pld.library)


def test_opacus_is_asked_on_demand(tmp_path: Path) -> None:
    pytest.importorskip("opacus")
    found = certify(PrivateModel.open(changed(rows_model(), tmp_path, lambda parts: None)), opacus=True)
    assert [one.library.split()[0] for one in found.accountants] == ["dp-accounting"] * 2 + ["opacus"] * 2


def test_persons_earlier_releases_and_what_was_bought(tmp_path: Path) -> None:
    found = certificate(persons_model(), tmp_path)
    assert found.holds
    assert found.budget.unit == "person"
    assert found.budget.rows_per_unit == 2
    assert len(found.earlier) == 1
    assert found.epsilon < found.epsilon_total <= found.total.epsilon
    bought = dict(found.bought)
    assert {"number of records", "categories of 'job'"} <= set(bought)
    assert "number of records" in dict(found.public)
    assert "column 'job'" not in dict(found.public)
    for text in forms(found).values():
        assert "person" in text
        assert "release 1" in text


def test_noise_is_told_in_rows(tmp_path: Path) -> None:
    found = certificate(persons_model(), tmp_path)
    by_name = {event.name: event for event in found.events}
    pairs = by_name["pairs"]
    ledger = PrivateModel.open(changed(persons_model(), tmp_path, lambda parts: None)).ledger()
    event = next(event for event in ledger.events if event.name == "pairs")
    assert event.noise_multiplier is not None
    assert pairs.noise_rows == pytest.approx(event.noise_multiplier * event.sensitivity)
    assert sum(line.share for line in found.events) == pytest.approx(1.0)
    assert by_name["categories of job"].delta > 0


# -------------------- a guarantee that does not hold


@pytest.mark.parametrize("form", ["text", "html", "json"])
def test_reproducible_noise_is_stamped_everywhere(form: str, tmp_path: Path) -> None:
    found = certificate(open_model(), tmp_path)
    assert not found.holds
    text = forms(found)[form]
    assert text.count(NOT_PRIVATE) >= 2
    assert "2.72" not in text  # nothing is said about what epsilon would mean
    if form == "html":
        assert "<title>NOT PRIVATE" in text
        assert 'class="watermark"' in text
    if form == "json":
        assert found.to_json()["private"] is False
    if form == "text":
        assert NOT_PRIVATE in text.splitlines()[1]
        assert any(NOT_PRIVATE in line for line in text.splitlines()[-4:])


def test_what_is_explained_is_what_holds(tmp_path: Path) -> None:
    found = certificate(rows_model(), tmp_path, overspend)
    assert not found.holds
    assert found.epsilon > 1.5
    assert f"{found.epsilon:.4g}" in found.plain[0]
    assert "(claimed)" in found.to_text()


def no_bound(parts: Parts) -> None:
    """Whole-number noise so small that no finite epsilon is known."""
    for event in parts.events("pairs"):
        event["noise_multiplier"] = 1e-200


def deltas_used_up(parts: Parts) -> None:
    for event in parts.events("pairs"):
        event["delta"] = 0.9


@pytest.mark.parametrize("change", [no_bound, deltas_used_up])
def test_events_without_any_bound_have_a_certificate_that_says_so(
    change: Callable[[Parts], None], tmp_path: Path
) -> None:
    found = certificate(rows_model(), tmp_path, change)
    assert not found.holds
    assert found.epsilon == float("inf")
    assert found.plain[0].startswith("Nothing is guaranteed")
    assert found.meaning.accuracy_by_events == 1.0
    assert {event.name: event.share for event in found.events}["pairs"] == 1.0
    for text in forms(found).values():
        assert NOT_PRIVATE in text
        assert "2.72" not in text
        assert "nan" not in text.lower().replace("finance", "")


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.privacy.update(records="many"),
        lambda parts: parts.privacy.update(records=[1500]),
        lambda parts: parts.privacy.update(created="0001-01-01T00:00:00+23:00"),
        lambda parts: parts.privacy.update(created=None),
        lambda parts: parts.privacy.update(bought="all", versions=None, engine=7, noise=None, declared=None),
        lambda parts: parts.privacy.update(critic={}, format_version="new"),
    ],
)
def test_a_record_that_makes_no_sense_has_a_certificate_all_the_same(
    change: Callable[[Parts], None], tmp_path: Path
) -> None:
    for text in forms(certificate(rows_model(), tmp_path, change)).values():
        assert "epsilon" in text


def test_a_failing_check_is_stamped(tmp_path: Path) -> None:
    found = certificate(rows_model(), tmp_path, lambda parts: parts.manifest["report"].update(auc=0.5))
    assert any("report" in stamp for stamp in found.stamps)


# -------------------- its form


@pytest.mark.parametrize("data", [rows_model, persons_model, open_model])
def test_text_fits_a_terminal(data: Callable[[], bytes], tmp_path: Path) -> None:
    found = certificate(data(), tmp_path)
    assert max(map(len, found.to_text().splitlines())) <= 96
    assert max(map(len, found.to_text(70).splitlines())) <= 70 + 26  # a digest of 64 digits does not break


class Page(HTMLParser):
    """Collects elements and attributes, and checks that elements are closed in order."""

    EMPTY = ("meta", "br", "link", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_network_and_no_script(tmp_path: Path) -> None:
    page = Page(certificate(persons_model(), tmp_path).to_html())
    assert page.open == []
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.seen}
    assert not [attrs for _, attrs in page.seen if {"src", "href"} & set(attrs)]
    policies = [attrs for tag, attrs in page.seen if tag == "meta" and attrs.get("http-equiv")]
    assert policies == [
        {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"}
    ]


def test_names_from_the_file_are_escaped(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    found = certificate(rows_model(), tmp_path, lambda parts: parts.column("age").update(name=bad))
    assert bad not in found.to_html()
    assert "&lt;script&gt;" in found.to_html()


@pytest.mark.parametrize("data", [rows_model, persons_model, open_model])
def test_claims_nothing_that_no_proof_gives(data: Callable[[], bytes], tmp_path: Path) -> None:
    for text in forms(certificate(data(), tmp_path)).values():
        assert not CLAIMS.search(text)


# -------------------- plain words


@pytest.mark.parametrize("name", BUDGETS)
def test_plain_words_name_the_unit_and_both_chances(name: str) -> None:
    budget = BUDGETS[name]
    events = [gaussian_event("pairs", "-", 5.0, sensitivity=4.0)]
    said = " ".join(explain(budget, meaning(events, budget), private=True))
    assert not CLAIMS.search(said)
    assert "1 in " in said
    assert "1 %" in said
    assert "0.1 %" in said
    assert ("one row" if budget.unit == "row" else "patient_id") in said
    assert ("Replace" if budget.adjacency == "replace-one" else "Add") in said
    covered = " ".join(not_covered(budget, gradients=True))
    for word in ("schema", "tuned", "ledger", "Evaluations", "Rounding", "Names of columns"):
        assert word in covered
    assert "Rounding" not in " ".join(not_covered(budget, gradients=False))


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0 %"), (0.5, "50 %"), (0.01, "1 %"), (0.027182, "2.72 %"), (0.7310586, "73.2 %"), (1.0, "100 %"),
     (0.99999, "100 %"), (0.00012341, "0.0124 %")],
)  # fmt: skip
def test_per_cent_is_rounded_up(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("chance", "said"), [(1e-6, "1 in 1,000,000"), (1e-5, "1 in 100,000"), (2.3e-6, "1 in 434,000"), (0.25, "25 %")]
)
def test_small_chances_are_told_as_one_in_many(chance: float, said: str) -> None:
    assert one_in(chance) == said


def test_the_smallest_chances_are_told_too() -> None:
    assert one_in(5e-324).startswith("1 in 1,000,")


def test_numbers_are_short() -> None:
    assert [short(number) for number in (1.0, 0.5, 1e-6, 2.5e-7)] == ["1", "0.5", "1e-6", "2.5e-7"]


def test_events_in_words() -> None:
    budget = PrivacyBudget(3.0, 1e-5, unit="person", rows_per_unit=2)
    events = [
        gaussian_event("scores", "how strongly", 10.0, sensitivity=64.0, blocks=100),
        laplace_event("categories of job", "labels", 0.1, delta=1e-6),
        sampled_gaussian_event("critic", "gradients", 2.0, 0.01, 500),
    ]
    scores, labels, critic = describe_events(events, budget)
    assert scores.noise_rows == pytest.approx(10.0 * 64.0 / 16)  # in sixteenths of a row
    assert "over 100 tables" in scores.mechanism
    assert labels.noise_rows == pytest.approx(2**0.5 * 2 / 0.1, rel=1e-3)
    assert "1 in 1,000,000" in labels.mechanism
    assert critic.noise_rows is None
    assert "500 steps" in critic.mechanism
    assert scores.share + labels.share + critic.share == pytest.approx(1.0)
