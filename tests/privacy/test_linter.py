from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from private_models import ROWS, Parts, changed, declared, open_model, people, persons_model, rows_model

from synthkit import TableGAN
from synthkit.errors import ModelFileError, PrivacyError
from synthkit.privacy import loss_distribution
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.certificate import certify
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.lint_checks import CHECKS
from synthkit.privacy.linter import Check, failed, passed, run_checks
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.private_model import PrivateModel
from synthkit.schema import Schema
from synthkit.tables.private_lint import TABLE_CHECKS, lint

ALL = {**CHECKS, **TABLE_CHECKS}
FITS = {"rows": rows_model, "persons": persons_model}


def nothing(parts: Parts) -> None:
    """Only rewrite the file."""


@pytest.mark.parametrize("fit", FITS)
def test_a_private_fit_passes(fit: str, tmp_path: Path) -> None:
    report = lint(changed(FITS[fit](), tmp_path, nothing))
    assert not report.failed, report.to_text()
    assert [finding.check for finding in report.findings] == list(ALL)


def test_what_applies_depends_on_the_model(tmp_path: Path) -> None:
    def skipped(data: bytes) -> set[str]:
        report = lint(changed(data, tmp_path, nothing))
        return {finding.check for finding in report.findings if finding.status == "not applicable"}

    assert skipped(rows_model()) == {"unit-left-out"}
    assert skipped(persons_model()) == set()


# -------------------- every check sees what it is there for


def set_in(place: Callable[[Parts], dict], **values: object) -> Callable[[Parts], None]:
    return lambda parts: place(parts).update(values)


def every_event(name: str, **values: object) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        events = parts.events(name)
        assert events
        for event in events:
            event.update(values)

    return change


def without_event(name: str) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        for listed in ("planned", "events"):
            parts.ledger[listed] = [event for event in parts.ledger[listed] if event["name"] != name]

    return change


def half_the_noise(parts: Parts) -> None:
    for event in parts.events("pairs"):
        event["noise_multiplier"] /= 2


def spent_differently(parts: Parts) -> None:
    parts.ledger["events"][0]["noise_multiplier"] *= 2


def half_the_sensitivity(parts: Parts) -> None:
    for event in parts.events("margins"):
        event["sensitivity"] /= 2


def other_adjacency(parts: Parts) -> None:
    for budget in ("budget", "total"):
        parts.ledger[budget]["adjacency"] = "replace-one"


def without_blocks(parts: Parts) -> None:
    for event in parts.events("margins"):
        del event["details"]["blocks"]


def larger_blocks(parts: Parts) -> None:
    for event in parts.events("pairs"):
        event["details"]["blocks"] += 1


def smaller_budget(parts: Parts) -> None:
    parts.ledger["budget"]["epsilon"] = 0.99


def smaller_total(parts: Parts) -> None:
    parts.ledger["total"]["epsilon"] = 1.9


def a_critic(parts: Parts) -> None:
    parts.privacy["engine"] = "hybrid"
    parts.privacy["critic"] = {"sampling_probability": 0.01, "steps": 100}


def more_critic_steps(parts: Parts) -> None:
    """The ledger accounts for fewer steps than were taken."""
    a_critic(parts)
    event = {
        **parts.events("pairs")[0],
        "name": "critic",
        "type": "sampled-gaussian",
        "noise_multiplier": 50.0,
        "sampling_probability": 0.01,
        "count": 99,
        "discrete": False,
        "sensitivity": 1.0,
        "details": {},
    }
    for listed in ("planned", "events"):
        parts.ledger[listed].append(event)


def training_rows(parts: Parts) -> None:
    parts.tensors["rows"] = {"symbols": np.zeros((5, 3), np.int32)}


def boosted_trees(parts: Parts) -> None:
    parts.texts["ratio/0.txt"] = "tree"


def chains(parts: Parts) -> None:
    parts.tensors["refinement"] = {"symbols": np.zeros((5, 3), np.int32)}


def bins_from_the_data(parts: Parts) -> None:
    """The outer edges become the smallest and the largest value that occur."""
    arrays, age = parts.arrays["age"], people()["age"]
    arrays["lowest"][0], arrays["highest"][-1] = age.min(), age.max()


def bins_beyond(parts: Parts) -> None:
    parts.arrays["age"]["highest"][-1] += 1


def bins_with_a_gap(parts: Parts) -> None:
    parts.arrays["age"]["highest"][0] -= 1


def a_spike(parts: Parts) -> None:
    arrays = parts.arrays["age"]
    arrays["specials"] = np.append(arrays["specials"], 40)


def another_label(parts: Parts) -> None:
    parts.codec("degree")["labels"][0] = "night watch of the harbour"


def a_label_less(parts: Parts) -> None:
    """A label that never occurs is left out, which tells that nobody has it."""
    fields, arrays = parts.codec("degree"), parts.arrays["degree"]
    place = fields["labels"].index("other")
    del fields["labels"][place]
    fields["n_own"] = min(fields["n_own"], len(fields["labels"]))
    arrays["counts"] = np.delete(arrays["counts"], place)


def exact_counts(parts: Parts) -> None:
    """Each label is counted without noise; one that never occurs counts as one row."""
    frame = people()
    for fields in parts.manifest["encoder"]["columns"]:
        name = fields["name"]
        if fields["codec"] == "label" and name in frame and name != "country":
            counts = frame[name].value_counts()
            labels = fields["labels"]
            parts.arrays[name]["counts"] = np.array([max(int(counts.get(label, 0)), 1) for label in labels], np.int64)
            fields["missing"] = int(frame[name].isna().sum())


def exact_shares(parts: Parts) -> None:
    share = parts.tensors["layout"]["share"]
    share[:] = np.rint(share * ROWS) / ROWS


def identity_labels(parts: Parts) -> None:
    parts.arrays["person"]["highest"][-1] = people()["person"].max()


MUTATIONS: list[tuple[str, str, Callable[[Parts], None]]] = [
    ("record", "rows", lambda parts: parts.privacy.pop("created")),
    ("record", "rows", set_in(lambda parts: parts.privacy, format_version=2)),
    ("record", "rows", set_in(lambda parts: parts.privacy, secret="42")),
    ("events", "rows", every_event("pairs", noise_multiplier=0.0)),
    ("events", "rows", every_event("pairs", type="no-noise")),
    ("events", "rows", spent_differently),
    ("events", "rows", lambda parts: parts.ledger.update(events=[])),
    ("events", "rows", lambda parts: parts.ledger["events"].append(parts.ledger["events"][0])),
    ("epsilon", "rows", half_the_noise),
    ("epsilon", "rows", smaller_budget),
    ("epsilon", "persons", smaller_total),
    ("delta", "rows", set_in(lambda parts: parts.privacy, records=100_001)),
    ("delta", "persons", set_in(lambda parts: parts.manifest["report"], rows=100_001)),
    ("delta", "persons", set_in(lambda parts: parts.manifest["report"], rows=None)),
    ("delta", "persons", every_event("categories of job", delta=2e-5)),
    ("sensitivity", "rows", half_the_sensitivity),
    ("sensitivity", "rows", other_adjacency),
    ("sensitivity", "rows", without_blocks),
    ("sensitivity", "persons", lambda parts: parts.ledger["budget"].update(rows_per_unit=3)),
    ("adjacency", "persons", other_adjacency),
    ("noise", "rows", set_in(lambda parts: parts.privacy["noise"], private=False)),
    ("noise", "rows", set_in(lambda parts: parts.manifest["settings"], reproducible_noise=1)),
    ("noise", "rows", every_event("pairs", discrete=False)),
    ("unit", "persons", set_in(lambda parts: parts.privacy, unit="row")),
    ("unit", "persons", lambda parts: parts.column("person").update(name="somebody")),
    ("bought", "persons", without_event("categories of job")),
    ("bought", "persons", without_event("records")),
    ("bought", "persons", every_event("categories of job", delta=0.0)),
    ("bought", "persons", set_in(lambda parts: parts.privacy["bought"], categories=[])),
    ("bought", "persons", set_in(lambda parts: parts.privacy, records=ROWS)),
    ("bought", "rows", without_event("bins")),
    ("engine", "rows", a_critic),
    ("engine", "rows", more_critic_steps),
    ("engine", "rows", set_in(lambda parts: parts.privacy, engine="pate")),
    ("parts", "rows", training_rows),
    ("parts", "rows", boosted_trees),
    ("parts", "rows", chains),
    ("parts", "rows", set_in(lambda parts: parts.manifest, target_predictor={"column": 3})),
    ("schema", "rows", set_in(lambda parts: parts.manifest["encoder"]["schema"], domain="inferred")),
    ("schema", "rows", lambda parts: parts.column("age").update(maximum=119)),
    ("schema", "rows", set_in(lambda parts: parts.privacy["declared"], columns=["age"])),
    ("measured", "rows", without_event("margins")),
    ("measured", "rows", without_event("pairs")),
    ("measured", "rows", larger_blocks),
    ("measured", "rows", set_in(lambda parts: parts.privacy["bought"], bins=["age"])),
    ("unit-left-out", "persons", identity_labels),
    ("bounds", "rows", bins_from_the_data),
    ("bounds", "rows", bins_beyond),
    ("bounds", "rows", bins_with_a_gap),
    ("bounds", "rows", a_spike),
    ("bounds", "rows", lambda parts: parts.codec("age").update(step=2)),
    ("labels", "rows", another_label),
    ("labels", "rows", a_label_less),
    ("labels", "persons", lambda parts: parts.codec("job")["labels"].append("night watch")),
    ("counts", "rows", exact_counts),
    ("counts", "rows", lambda parts: parts.arrays["degree"].update(counts=parts.arrays["degree"]["counts"] * 0)),
    ("shares", "rows", exact_shares),
    ("identifiers", "rows", identity_labels),
    ("identifiers", "rows", lambda parts: parts.manifest["encoder"]["generated"][0].update(missing_share=0.1)),
    ("cells", "rows", lambda parts: parts.codec("pet").update(blank_is_none=True)),
    ("settings", "rows", set_in(lambda parts: parts.manifest["settings"], data_digest="x")),
    ("settings", "rows", set_in(lambda parts: parts.manifest["settings"], log="0123456789abcdef" * 4)),
    ("settings", "rows", lambda parts: parts.manifest["settings"]["privacy"].update(epsilon=0.5)),
    ("report", "rows", set_in(lambda parts: parts.manifest["report"], auc=0.53)),
    ("report", "rows", set_in(lambda parts: parts.manifest["report"], held_out_rows=150)),
]


@pytest.mark.parametrize(
    ("check", "fit", "change"), MUTATIONS, ids=[f"{check}-{place}" for place, (check, _, _) in enumerate(MUTATIONS)]
)
def test_a_change_is_seen_by_its_check(check: str, fit: str, change: Callable[[Parts], None], tmp_path: Path) -> None:
    report = lint(changed(FITS[fit](), tmp_path, change))
    finding = next(finding for finding in report.findings if finding.check == check)
    assert finding.status == "fail", report.to_text()
    assert finding.reason


def test_every_check_is_tested() -> None:
    # "accountants" compares two accountants, which no change of a file can make disagree
    assert {check for check, _, _ in MUTATIONS} == set(ALL) - {"accountants"}


def test_reproducible_noise_fails(tmp_path: Path) -> None:
    report = lint(changed(open_model(), tmp_path, nothing))
    assert [finding.check for finding in report.failed] == ["noise"]
    assert "NOT PRIVATE" in report.to_text()


def test_noise_that_was_dropped_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake is made in the program: the ledger is right, and the counts come out exact."""
    monkeypatch.setattr(NoiseSource, "discrete_gaussian", lambda self, sigma, shape: np.zeros(shape, np.int64))
    gan = TableGAN(privacy=PrivacyBudget(1.0, 1e-5), random_state=0, verbose=False, time_budget=0.1)
    gan.fit(people(), schema=declared()).save(tmp_path / "exact.synth")
    seen = {finding.check for finding in lint(tmp_path / "exact.synth").failed}
    assert seen == {"counts", "shares"}


# -------------------- what is no private model


def test_a_model_without_a_budget_is_refused(tmp_path: Path) -> None:
    path = changed(rows_model(), tmp_path, lambda parts: parts.manifest.pop("privacy"))
    with pytest.raises(PrivacyError, match="without a privacy budget"):
        lint(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.synth"
    path.write_bytes(rows_model()[:-200])
    with pytest.raises(ModelFileError):
        lint(path)


def test_a_check_that_cannot_read_its_part_fails_and_the_others_go_on(tmp_path: Path) -> None:
    path = changed(rows_model(), tmp_path, lambda parts: parts.privacy.update(ledger={}, declared=None))
    report = lint(path)
    assert len(report.findings) == len(ALL)
    assert {"events", "epsilon", "schema"} <= {finding.check for finding in report.failed}


# -------------------- the report


def test_a_registry_of_ones_own_runs_too(tmp_path: Path) -> None:
    model = PrivateModel.open(changed(rows_model(), tmp_path, nothing))
    own = {"good": Check("t", "c", lambda model: passed("yes")), "bad": Check("t", "c", lambda model: failed("no"))}
    report = run_checks(model, own)
    assert [finding.status for finding in report.findings] == ["pass", "fail"]
    assert "1 passed, 1 failed" in report.summary()


def test_the_report_as_text_and_json(tmp_path: Path) -> None:
    report = lint(changed(rows_model(), tmp_path, half_the_noise))
    text = report.to_text(80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "FAIL  epsilon" in text
    content = json.loads(json.dumps(report.to_json()))
    assert content["passed"] is False
    assert len(content["findings"]) == len(ALL)
    assert content["sha256"] == report.sha256


@pytest.mark.parametrize("name", ALL)
def test_every_check_says_what_it_is_for(name: str) -> None:
    check = ALL[name]
    assert len(check.title.split()) >= 3
    assert len(check.catches.split()) >= 3


def test_what_is_linted_can_still_be_sampled(tmp_path: Path) -> None:
    path = changed(rows_model(), tmp_path, nothing)
    assert len(TableGAN.load(path).sample(10, random_state=0)) == 10


def test_ledger_and_schema_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    for kind in Ledger, Schema:
        name = "from_json" if kind is Ledger else "from_dict"
        real = getattr(kind, name)

        def counting(value: object, *, kind: type = kind, real: Callable[[object], object] = real) -> object:
            parsed.append(kind.__name__)
            return real(value)

        monkeypatch.setattr(kind, name, counting)
    model = PrivateModel.open(changed(rows_model(), tmp_path, nothing))
    certify(model, lint=lint(model))
    assert sorted(parsed) == ["Ledger", "Schema"]


def test_the_same_composition_is_worked_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PrivateModel.open(changed(rows_model(), tmp_path, nothing))
    report = lint(model)
    before = loss_distribution._epsilon_of.cache_info()
    ledger = model.ledger()
    epsilon_spent(ledger.events, ledger.budget.delta, ledger.budget.adjacency)
    after = loss_distribution._epsilon_of.cache_info()
    assert not report.failed
    assert after.hits > before.hits
    assert after.misses == before.misses
