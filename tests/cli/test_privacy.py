from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from private_models import Parts, changed, declared, open_model, people, persons_model, rows_model

from synthkit.cli import run
from synthkit.errors import unknown_name
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event
from synthkit.privacy.ledger import LedgerFile

BUDGET = ["--epsilon", "1", "--delta", "1e-5"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a declared schema, an inferred one and some models."""
    declared().save(tmp_path / "declared.yaml")
    dataclasses.replace(declared(), domain="inferred").save(tmp_path / "inferred.yaml")
    dataclasses.replace(declared(), records=None).save(tmp_path / "uncounted.yaml")
    dataclasses.replace(declared().replace("job", categories=None), records=None).save(tmp_path / "bought.yaml")
    (tmp_path / "rows.synth").write_bytes(rows_model())
    (tmp_path / "open.synth").write_bytes(open_model())
    changed(rows_model(), tmp_path, lambda parts: parts.manifest.pop("privacy"))
    (tmp_path / "changed.synth").rename(tmp_path / "plain.synth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -------------------- plan


def test_a_plan_is_made_without_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "plan", "--schema", "declared.yaml", *BUDGET]) == 0
    shown = capsys.readouterr().out
    for text in ("no data was read", "bins", "margins", "pairs", "percentage points", "PLD", "one bin for each of 3"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_plan_as_json_keeps_the_budget(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "plan", "--schema", "declared.yaml", *BUDGET, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["epsilon"] <= 1.0
    assert sum(event["share"] for event in content["events"]) == pytest.approx(1.0)
    assert content["columns"]["person"] == "identifier: not measured"
    assert 0 < content["errors"]["margins"] < 0.1
    assert content["meaning"]["attacks"][0]["by_events"] < 0.0272


def test_a_larger_budget_and_more_records_bring_a_smaller_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*options: str) -> float:
        assert run(["privacy", "plan", "--schema", "declared.yaml", "--delta", "1e-6", *options, "--json"]) == 0
        return float(json.loads(capsys.readouterr().out)["errors"]["pairs"])

    usual = error("--epsilon", "1")
    assert error("--epsilon", "3") < usual
    assert error("--epsilon", "1", "--records", "15000") < usual / 5
    assert error("--epsilon", "1", "--unit", "person", "--rows-per-unit", "3") > 2 * usual
    assert error("--epsilon", "1", "--adjacency", "replace-one") > 1.2 * usual


def test_what_is_bought_is_in_the_plan(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--buy", "records", "--buy", "categories", "--unit", "person"]
    assert run(["privacy", "plan", "--schema", "bought.yaml", *BUDGET, *options]) == 0
    shown = capsys.readouterr().out
    for text in ("categories of job", "records", "categories are bought", "the unit of privacy"):
        assert text in shown


def test_a_critic_is_in_the_plan_of_its_engine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for engine in ("anchor", "hybrid"):
        options = ["--privacy-engine", engine, "--json"]
        assert run(["privacy", "plan", "--schema", "declared.yaml", *BUDGET, *options]) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["engine"] == engine
        assert content["epsilon"] <= 1.0
        assert ("critic" in [event["name"] for event in content["events"]]) == (engine != "anchor")


# -------------------- lint


def test_lint_tells_one_line_for_each_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "lint", "rows.synth"]) == 0
    shown = capsys.readouterr().out
    assert "pass  epsilon" in shown
    assert "0 failed" in shown


def test_lint_fails_with_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "lint", "open.synth"]) == 3
    told = capsys.readouterr()
    assert "FAIL  noise" in told.out
    assert "checks of 'open.synth' fail: noise" in told.err
    assert len(told.err.splitlines()) == 1


def test_lint_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "lint", "open.synth", "--json"]) == 3
    content = json.loads(capsys.readouterr().out)
    assert content["passed"] is False
    assert [one["check"] for one in content["findings"] if one["status"] == "fail"] == ["noise"]


# -------------------- certificate


def test_the_certificate_is_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "certificate", "rows.synth"]) == 0
    shown = capsys.readouterr().out
    assert "Privacy certificate of rows.synth" in shown
    assert "NOT PRIVATE" not in shown


def test_the_certificate_in_every_form(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [word for suffix in ("html", "txt", "json") for word in ("-o", f"certificate.{suffix}")]
    assert run(["privacy", "certificate", "rows.synth", *outputs]) == 0
    assert capsys.readouterr().out.count("certificate written to") == 3
    assert Path("certificate.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert "Privacy certificate" in Path("certificate.txt").read_text("utf-8")
    content = json.loads(Path("certificate.json").read_text("utf-8"))
    assert content["private"] is True
    assert content["checks"]["passed"] is True
    assert run(["privacy", "certificate", "rows.synth", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == content


def test_a_model_that_is_not_private_is_stamped_and_exits_with_3(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["privacy", "certificate", "open.synth", "-o", "open.html"]) == 3
    assert "NOT PRIVATE" in capsys.readouterr().err
    assert "NOT PRIVATE" in Path("open.html").read_text("utf-8")


# -------------------- ledger


def test_a_ledger_is_made_and_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make = ["privacy", "ledger", "people.json", "--create", "--epsilon", "3", "--delta", "1e-6", "--data", "people"]
    assert run([*make, "--unit", "person", "--rows-per-unit", "2"]) == 0
    assert "epsilon 3, delta 1e-6" in capsys.readouterr().out
    budget = PrivacyBudget(1.0, 1e-6, unit="person", rows_per_unit=2)
    event = gaussian_event("pairs", "-", 12.0, sensitivity=5.0)
    with LedgerFile("people.json").release(budget, [event], name="spring") as ledger:
        ledger.spend(event)
    assert run(["privacy", "ledger", "people.json"]) == 0
    shown = capsys.readouterr().out
    for text in ("people", "person", "spring", "releases       1"):
        assert text in shown
    assert run(["privacy", "ledger", "people.json", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert 0 < content["spent"] < 1
    assert 2 < content["left"] < 3
    assert content["releases"][0]["events"] == ["pairs"]


def test_an_unfinished_release_counts_as_planned(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    total = PrivacyBudget(3.0, 1e-6)
    events = [gaussian_event(name, "-", 12.0, sensitivity=5.0) for name in ("margins", "pairs")]

    def crash() -> None:
        with LedgerFile.create("crashed.json", total).release(total, events) as ledger:
            ledger.spend(events[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert run(["privacy", "ledger", "crashed.json"]) == 0
    assert "not finished: all that was planned counts" in capsys.readouterr().out


# -------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pln"], "did you mean 'plan'?"),
        (["plan", *BUDGET], "--schema is missing"),
        (["plan", "--schema", "declared.yaml"], "--epsilon is missing"),
        (["plan", "--schema", "declared.yaml", "--epsilon", "1"], "without --delta"),
        (["plan", "--schema", "declared.yaml", "--epsilon", "0", "--delta", "1e-6"], "epsilon above 0"),
        (["plan", "--schema", "declared.yaml", "--epsilon", "1", "--delta", "0.01"], "delta is 0.01"),
        (["plan", "--schema", "declared.yaml", *BUDGET, "--unit", "persn"], "did you mean 'person'?"),
        (["plan", "--schema", "inferred.yaml", *BUDGET], "domain: declared"),
        (["plan", "--schema", "uncounted.yaml", *BUDGET], "--buy records"),
        (["plan", "--schema", "bought.yaml", *BUDGET, "--records", "1500"], "--buy categories"),
        (["plan", "--schema", "none.yaml", *BUDGET], "none.yaml"),
        (["lint", "plain.synth"], "without a privacy budget"),
        (["lint", "none.synth"], "does not exist"),
        (["certificate", "plain.synth"], "without a privacy budget"),
        (["certificate", "rows.synth", "-o", "certificate.pdf"], "expected one of .txt, .html, .json"),
        (["certificate", "rows.synth", "-o", "none/certificate.html"], "does not exist"),
        (["ledger", "none.json"], "there is no ledger"),
        (["ledger", "declared.yaml"], "damaged"),
        (["ledger", "new.json", "--create", "--epsilon", "1"], "--delta is missing"),
        (["ledger", "new.json", "--epsilon", "1"], "--epsilon is given without --create"),
        (["ledger", "declared.yaml", "--create", *BUDGET], "exists already"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = {path.name for path in here.iterdir()}
    assert run(["privacy", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert len(told.err.splitlines()) == 1
    assert {path.name for path in here.iterdir()} == before


def test_a_model_without_any_guarantee_gets_a_certificate_and_exit_3(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_noise(parts: Parts) -> None:
        for event in parts.events("pairs"):
            event["noise_multiplier"] = 1e-200

    changed(rows_model(), here, no_noise)
    assert run(["privacy", "certificate", "changed.synth", "--json"]) == 3
    told = capsys.readouterr()
    content = json.loads(told.out)
    assert content["private"] is False
    assert content["epsilon"] is None  # infinite
    assert "NOT PRIVATE AS CLAIMED" in told.err


def test_a_kind_without_checks_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(rows_model(), here, lambda parts: parts.manifest.update(kind="scan"))
    assert run(["privacy", "lint", "changed.synth"]) == 2
    assert unknown_name("kind of private model", "scan", ["table", "scans"]) in capsys.readouterr().err


def test_from_plan_to_certificate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people().to_csv("people.csv", index=False)
    fit = ["fit", "people.csv", "--schema", "declared.yaml", *BUDGET, "-o", "people.synth", "--ledger", "l.json"]
    assert run([*fit, "--time-budget", "1s", "--quiet"]) == 0
    assert run(["privacy", "lint", "people.synth"]) == 0
    assert run(["privacy", "certificate", "people.synth", "-o", "people.html"]) == 0
    assert run([*fit, "--time-budget", "1s", "--quiet"]) == 2  # nothing is left
    assert "is left" in capsys.readouterr().err


def test_persons_have_a_certificate_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("persons.synth").write_bytes(persons_model())
    assert run(["privacy", "certificate", "persons.synth"]) == 0
    assert "person" in capsys.readouterr().out
