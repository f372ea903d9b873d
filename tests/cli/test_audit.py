from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit.cli import run

ROWS = 400
POLICY = """\
name: ours
reviewer: privacy officer
expires_after_days: 30
gates:
  - {name: copied rows, risk: duplicates, bound: low, threshold: 0.05, reason: No copies.}
  - {name: membership, risk: nearest, measure: auc, bound: low, threshold: 0.6, reason: No members.}
"""


def people(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, ROWS)
    return pd.DataFrame(
        {
            "age": age,
            "hours": np.round(20 + age / 4 + random.normal(0, 2, ROWS), 2),
            "weight, kg": np.round(random.normal(70, 9, ROWS), 1),
            "town": random.choice(["Bern", "Basel"], ROWS),
            "income": np.where(age > 50, ">50K", "<=50K"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("audit")
    for seed, name in enumerate(["train", "holdout", "fresh"]):
        people(seed).to_csv(place / f"{name}.csv", index=False)
    people(2).drop(columns="town").to_csv(place / "narrow.csv", index=False)
    people(2).head(20).to_csv(place / "few.csv", index=False)
    (place / "ours.yaml").write_text(POLICY)
    (place / "wrong.yaml").write_text(POLICY.replace("threshold: 0.6", "treshold: 0.6"))
    return place


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def fresh(folder: Path) -> list[str]:
    """The words of an audit of a table that leaks nothing, with all its reports; its exit code is 0."""
    words = ["audit", "train.csv", "fresh.csv", "--holdout", "holdout.csv", "--policy", "ours.yaml", "--quiet"]
    words += ["--quasi-identifiers", "age,town", "--quasi-identifiers", "weight, kg", "--sensitive", "income"]
    for suffix in ("html", "md", "json"):
        words += ["--report", f"fresh.{suffix}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(words) == 0
    return words


def test_reports_hold_what_repeats_the_run(here: Path, fresh: list[str]) -> None:
    found = json.loads((here / "fresh.json").read_text(encoding="utf-8"))
    assert found["provenance"]["command"] == shlex.join(["synthkit", *fresh])
    assert found["quasi_identifiers"] == ["age", "town", "weight, kg"]
    assert found["policy"]["name"] == "ours"
    assert found["passed"] is True
    assert set(found["provenance"]["inputs"]) == {"real", "synthetic", "held-out", "policy"}
    digest = hashlib.sha256((here / "fresh.json").read_bytes()).hexdigest()
    for suffix in ("html", "md"):
        text = (here / f"fresh.{suffix}").read_text(encoding="utf-8")
        assert found["provenance"]["inputs"]["synthetic"]["sha256"] in text
        assert digest in text
        assert "Gate" in text or "gate" in text
    assert not list(here.glob(".tmp-*"))


def test_the_same_seed_finds_the_same(here: Path, fresh: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*fresh[:-6], "--json", "again.json"]) == 0
    assert capsys.readouterr().out == ""
    one, other = (json.loads((here / name).read_text(encoding="utf-8")) for name in ("fresh.json", "again.json"))
    for content in (one, other):
        del content["provenance"], content["created"]
    assert one == other


class TestTheManifest:
    def test_it_holds_until_something_changes(
        self, here: Path, fresh: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        manifest = here / "fresh.manifest.json"
        assert run(["audit", "--check", manifest.name]) == 0
        out = capsys.readouterr().out
        assert len(re.findall(r"^unchanged ", out, re.MULTILINE)) == 7
        assert hashlib.sha256(manifest.read_bytes()).hexdigest() in out
        assert "Policy 'ours': passed when the audit was made." in out
        kept = (here / "fresh.md").read_bytes()
        (here / "fresh.md").write_bytes(kept.replace(b"ours", b"hers"))
        assert run(["audit", "--check", manifest.name]) == 3
        captured = capsys.readouterr()
        assert "changed    report: fresh.md" in captured.out
        assert captured.err.startswith(
            "synthkit: error: the manifest 'fresh.manifest.json' does not hold: fresh.md is "
        )
        (here / "fresh.md").unlink()
        assert run(["audit", "--check", manifest.name]) == 3
        assert "missing    report: fresh.md" in capsys.readouterr().out
        (here / "fresh.md").write_bytes(kept)

    def test_an_audit_that_has_expired_does_not_hold(
        self, here: Path, fresh: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        content = json.loads((here / "fresh.manifest.json").read_text())
        (here / "old.manifest.json").write_text(json.dumps(content | {"expires": "2020-01-01"}))
        assert run(["audit", "--check", "old.manifest.json"]) == 3
        assert "counted until 2020-01-01" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["train.csv", "none.json", "."])
    def test_what_is_none_is_refused(self, here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
        assert run(["audit", "--check", name]) == 2
        error = capsys.readouterr().err
        assert name in error
        assert error.count("\n") == 1


def test_a_copy_does_not_meet_the_policy(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "train.csv", "train.csv", "--holdout", "holdout.csv", "--policy", "ours.yaml"]
    assert run([*words, "--report", "copy.html"]) == 3
    captured = capsys.readouterr()
    assert captured.err == (
        "synthkit: error: 2 gates of the policy 'ours' are not met: copied rows, membership. See the verdict above, or "
        "pass --policy none for findings without one.\n"
    )
    assert "not met  copied rows: Duplicates" in captured.out
    assert "Manifest copy.manifest.json, SHA-256 " in captured.out
    assert (here / "copy.html").exists()
    assert run([*words[:-1], "none", "--quiet"]) == 0


def test_without_held_out_rows_nothing_is_tested_and_no_policy_met(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "train.csv", "fresh.csv"]) == 3
    captured = capsys.readouterr()
    assert "pass real rows that the generator never saw with --holdout" in captured.err
    assert "No attack could be made" in captured.out
    assert "not made" in captured.out
    assert run(["audit", "train.csv", "fresh.csv", "--policy", "none", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.csv", "narrow.csv"], "it lacks 'town'"),
        (["train.csv", "none.csv"], "none.csv"),
        (["train.csv", "fresh.csv", "--holdout", "none.csv"], "none.csv"),
        (["train.csv", "fresh.csv", "--holdout", "train.csv"], "held-out rows are rows of the real table"),
        (["train.csv", "fresh.csv", "--holdout", "few.csv"], "expected at least"),
        (["train.csv", "fresh.csv", "--sensitive", "incme"], "did you mean 'income'"),
        (["train.csv", "fresh.csv", "--quasi-identifiers", "age,twn"], "did you mean 'town'"),
        (["train.csv", "fresh.csv", "--quasi-identifiers", "age", "--sensitive", "age"], "expected one of them"),
        (["train.csv", "fresh.csv", "--person", "nobody"], "unknown person column 'nobody'"),
        (["train.csv", "fresh.csv", "--target", "incme"], "did you mean 'income'"),
        (["train.csv", "fresh.csv", "--model", "none.synth"], "none.synth"),
        (["train.csv", "fresh.csv", "--model", "train.csv"], "is not a model file"),
        (["train.csv", "fresh.csv", "--ledger", "none.json"], "none.json"),
        (["train.csv", "fresh.csv", "--shadow", "8"], "--model"),
        (["train.csv", "fresh.csv", "--json", "train.csv"], "train.csv"),
        (["train.csv", "fresh.csv", "--policy", "ours.yaml", "--json", "ours.yaml"], "ours.yaml"),
        (["train.csv", "fresh.csv", "--json", "nowhere/audit.json"], "nowhere"),
        (["train.csv", "fresh.csv", "--report", "audit.pdf"], "'audit.pdf'"),
        (["train.csv", "fresh.csv", "--report", "a.md", "--json", "a.md"], "is named as an output twice"),
        (["train.csv", "fresh.csv", "--report", "a.md", "--json", "a.manifest.json"], "the manifest goes there"),
        (["train.csv", "fresh.csv", "--policy", "public"], "did you mean 'public-release'"),
        (["train.csv", "fresh.csv", "--policy", "none.yaml"], "there is no policy 'none.yaml'"),
        (["train.csv", "fresh.csv", "--policy", "wrong.yaml"], "'wrong.yaml' is wrong in line 6, at gates.2.treshold"),
        (["train.csv", "fresh.csv", "--seed", "-1"], "--seed"),
        (["train.csv"], "SYNTHETIC"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    before = sorted(here.iterdir())
    assert run(["audit", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(here.iterdir()) == before


def test_nothing_is_read_before_outputs_and_policy_are_checked(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a table was read")

    monkeypatch.setattr("synthkit.io.read_table", refuse)
    for words in (["--report", "nowhere/a.html"], ["--policy", "wrong.yaml"], ["--report", "a.pdf"]):
        assert run(["audit", "train.csv", "fresh.csv", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_when_one_report_fails_none_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("synthkit.auditing.report.render_markdown", stop)
    before = sorted(here.iterdir())
    words = ["audit", "train.csv", "fresh.csv", "--policy", "none", "--quiet", "--report", "one.html"]
    assert run([*words, "--report", "two.md", "--json", "three.json"]) == 130
    assert sorted(here.iterdir()) == before


def test_hostile_names_and_paths_change_no_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = "in[/b]come\x1b[2J"
    for name in ("train", "holdout", "fresh"):
        pd.read_csv(f"{name}.csv").rename(columns={"income": odd}).to_csv(f"odd-{name}\x1b[31m.csv", index=False)
    real, synthetic, holdout = (f"odd-{name}\x1b[31m.csv" for name in ("train", "fresh", "holdout"))
    gate = '{name: "x\\e[2J", risk: nearest, measure: auc, bound: low, threshold: -1, reason: "\\e[1m"}'
    (here / "odd.yaml").write_text(f'name: "o\\e[3m"\ngates:\n  - {gate}\n')
    words = ["audit", real, synthetic, "--holdout", holdout, "--sensitive", odd, "--policy", "odd.yaml"]
    assert run([*words, "--json", "odd\x1b[0m.json"]) == 3
    captured = capsys.readouterr()
    assert run(["audit", "--check", "odd\x1b[0m.manifest.json"]) == 0
    checked = capsys.readouterr()
    for text in (captured.out, captured.err, checked.out, checked.err):
        assert "\x1b" not in text
    assert "in[/b]come" in captured.out
    assert "o\\x1b[3m" in captured.out
