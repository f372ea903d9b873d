"""The ledger file: several releases, one budget, whatever happens to the processes."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from synthkit.errors import OutputError, PrivacyError
from synthkit.privacy.accounting import gaussian_precision
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event, laplace_event
from synthkit.privacy.ledger import Ledger, LedgerFile, Release

TOTAL = PrivacyBudget(2, 1e-6)


def asking(epsilon, **change):
    return replace(TOTAL, epsilon=epsilon, **change)


def counts(epsilon, name="counts"):
    """One event of continuous noise that is worth this epsilon."""
    return gaussian_event(name, "all pairs", gaussian_precision(epsilon, TOTAL.delta) ** -0.5, discrete=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.json"


def run(path, epsilon, name=""):
    """A fit that spends what it planned."""
    with LedgerFile(path).release(asking(epsilon), [counts(epsilon)], name=name) as ledger:
        ledger.spend(counts(epsilon))
    return ledger


def test_releases_are_appended_until_nothing_is_left(path):
    file = LedgerFile.create(path, TOTAL, data="adult", clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    assert (file.releases, file.epsilon(), file.epsilon_left()) == ((), 0, 2)
    first = run(path, 1.0, "a.synth")
    assert first.data == "adult"
    assert first.epsilon() == pytest.approx(1.0)
    left = LedgerFile(path).epsilon_left()
    assert 1.5 < left < 2  # two Gaussian releases cost less than the sum of their epsilons
    with pytest.raises(
        PrivacyError, match=rf"asks for epsilon 1\.9, but .* epsilon 1 is spent and at most {left:.4g} is"
    ):
        run(path, 1.9)
    run(path, left * 0.9999)
    file = LedgerFile(path)
    assert [release.name for release in file.releases] == ["a.synth", "release 2"]
    assert [release.status for release in file.releases] == ["finished", "finished"]
    assert file.epsilon() == pytest.approx(2, rel=1e-3)
    assert file.epsilon() <= 2
    assert (file.total, file.data) == (TOTAL, "adult")
    with pytest.raises(PrivacyError, match=r"asks for epsilon 0\.5, but of epsilon 2"):
        run(path, 0.5)


def test_a_release_knows_the_earlier_ones(path):
    LedgerFile.create(path, TOTAL)
    run(path, 1.0, "first")
    second = run(path, 0.5, "second")
    assert [release.name for release in second.before] == ["first"]
    assert second.total == TOTAL
    assert 1 < second.epsilon_total() < 1.5
    assert Ledger.from_json(json.loads(json.dumps(second.to_json()))).before == second.before


def test_a_release_may_spend_less_than_it_planned(path):
    LedgerFile.create(path, TOTAL)
    with LedgerFile(path).release(asking(1.5), [counts(0.8, "a"), counts(0.8, "b")]) as ledger:
        ledger.spend(counts(0.8, "a"))
        assert LedgerFile(path).epsilon() > 1.1  # it may still spend the rest
    assert LedgerFile(path).epsilon() == pytest.approx(0.8)
    with pytest.raises(PrivacyError, match="closed"):
        ledger.spend(counts(0.8, "b"))


def test_a_run_that_fails_after_reading_counts_as_planned(path):
    def crash():
        with LedgerFile(path).release(asking(1.5), [counts(0.8, "a"), counts(0.8, "b")]) as ledger:
            ledger.spend(counts(0.8, "a"))
            raise ZeroDivisionError

    LedgerFile.create(path, TOTAL)
    with pytest.raises(ZeroDivisionError):
        crash()
    (release,) = LedgerFile(path).releases
    assert (release.status, len(release.events), release.finished) == ("started", 2, None)


def test_a_run_that_fails_before_reading_counts_for_nothing(path):
    LedgerFile.create(path, TOTAL)
    with pytest.raises(KeyboardInterrupt), LedgerFile(path).release(asking(1.5), [counts(1.5)]):
        raise KeyboardInterrupt
    assert LedgerFile(path).releases == ()


def test_what_does_not_fit_leaves_the_file_as_it_was(path):
    LedgerFile.create(path, TOTAL)
    before = path.read_bytes()
    file = LedgerFile(path)
    for budget, events, message in [
        (asking(3.0), [counts(3.0)], "asks for epsilon 3"),
        (asking(1.0), [counts(1.5)], "asks for epsilon 1.5, but of epsilon 1 "),
        (asking(1.0, unit="patient"), [counts(0.5)], "the unit 'patient', but the ledger keeps 'row'"),
        (asking(1.0, adjacency="replace-one"), [counts(0.5)], "the adjacency 'replace-one'"),
        (asking(1.0), [laplace_event("labels", "job", 0.1, delta=2e-6)], "failure probabilities"),
    ]:
        with pytest.raises(PrivacyError, match=message), file.release(budget, events):
            pytest.fail("it may not run")
        assert file.releases == ()
    assert path.read_bytes() == before


RACE = """
import sys, time
from pathlib import Path
from synthkit.privacy.accounting import gaussian_precision
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event
from synthkit.privacy.ledger import LedgerFile
path, mode = Path(sys.argv[1]), sys.argv[2]
event = gaussian_event("counts", "pairs", gaussian_precision(1.6, 1e-6) ** -0.5, discrete=False)
file = LedgerFile(path)
print("ready", flush=True)
sys.stdin.readline()
with file.release(PrivacyBudget(1.6, 1e-6), [event]) as ledger:
    ledger.spend(event)
    print("spent", flush=True)
    if mode == "hang":
        time.sleep(60)
"""


def start(path, mode):
    process = subprocess.Popen(
        [sys.executable, "-c", RACE, str(path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def test_of_two_processes_that_race_for_the_rest_one_gets_it(path):
    LedgerFile.create(path, TOTAL)
    processes = [start(path, "run") for _ in range(2)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    refused = next(errors for (_, errors), process in zip(said, processes, strict=True) if process.returncode)
    assert "asks for epsilon 1.6, but of epsilon 2 at delta 1e-06 epsilon 1.6 is spent" in refused
    (release,) = LedgerFile(path).releases
    assert release.status == "finished"


def test_a_process_that_is_killed_still_counts_and_leaves_no_lock(path):
    LedgerFile.create(path, TOTAL)
    process = start(path, "hang")
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "spent\n"
    process.kill()
    process.communicate(timeout=60)
    file = LedgerFile(path)
    assert [release.status for release in file.releases] == ["started"]
    assert file.epsilon() == pytest.approx(1.6)
    run(path, 0.2)


def test_a_ledger_is_made_once(path):
    LedgerFile.create(path, TOTAL)
    run(path, 1.0)
    with pytest.raises(PrivacyError, match="exists already"):
        LedgerFile.create(path, TOTAL)
    again = LedgerFile.open_or_create(path, asking(9.0), data="other")
    assert (again.total, len(again.releases)) == (TOTAL, 1)
    assert LedgerFile.open_or_create(path.with_name("new.json"), asking(9.0)).total == asking(9.0)


def test_a_missing_ledger_is_told(path):
    with pytest.raises(PrivacyError, match="there is no ledger"):
        LedgerFile(path)
    with pytest.raises(PrivacyError, match="cannot be read"):
        LedgerFile(path.parent)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("made.json", "exists already"),
        ("folder", "exists already"),
        ("dangling", "exists already"),
        ("none/ledger.json", "does not exist. Make it first"),
        ("made.json/ledger.json", "cannot be written|does not exist"),
        ("l" * 300, "too long"),
        ("", "not a path"),
    ],
)
def test_a_ledger_that_cannot_be_made_leaves_nothing_behind(tmp_path, monkeypatch, place, message):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "folder").mkdir()
    (folder / "made.json").write_text("not a ledger, and without a lock")
    (folder / "dangling").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((OutputError, PrivacyError), match=message):
        LedgerFile.create(place, TOTAL)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_ledger_that_could_not_be_written_leaves_nothing_behind(path, monkeypatch):
    def full(*arguments):
        raise OutputError("the disk is full")

    monkeypatch.setattr("synthkit.privacy.ledger._write", full)
    for make in LedgerFile.create, LedgerFile.open_or_create:
        with pytest.raises(OutputError, match="disk is full"):
            make(path, TOTAL)
    assert os.listdir(path.parent) == []


def test_a_name_that_is_no_text_is_refused_and_leaves_nothing_behind(path):
    with pytest.raises(PrivacyError, match="not valid Unicode"):
        LedgerFile.create(path, TOTAL, data="caf\udce9")
    assert os.listdir(path.parent) == []
    file = LedgerFile.create(path, TOTAL, data="café")
    before = path.read_bytes()
    with pytest.raises(PrivacyError, match="not valid"), file.release(asking(1.0), [counts(1.0)], name="caf\udce9"):
        pytest.fail("it may not run")
    assert (path.read_bytes(), LedgerFile(path).data) == (before, "café")


def test_a_release_of_a_ledger_that_is_gone_leaves_nothing_behind(path):
    file = LedgerFile.create(path, TOTAL)
    path.unlink()
    with pytest.raises(PrivacyError, match="there is no ledger"), file.release(asking(1.0), [counts(1.0)]):
        pytest.fail("it may not run")
    assert os.listdir(path.parent) == []


def test_a_lock_that_was_taken_away_is_no_lock(path, monkeypatch):
    """Who waits for a lock whose file is deleted meanwhile must not go on beside the holder of its successor."""
    beside = f"{path}.lock"
    tried = []
    flock = fcntl.flock

    def deleted_before_it_is_locked(descriptor, how):
        flock(descriptor, how)
        tried.append(os.fstat(descriptor).st_ino)
        if len(tried) == 1:
            os.rename(beside, f"{beside}.old")
        assert not os.get_inheritable(descriptor)

    monkeypatch.setattr(fcntl, "flock", deleted_before_it_is_locked)
    LedgerFile.create(path, TOTAL)
    assert len(set(tried)) == 2
    assert os.stat(beside).st_ino == tried[1]


def test_a_lock_that_is_held_is_waited_for_and_told(path, monkeypatch):
    file = LedgerFile.create(path, TOTAL)
    monkeypatch.setattr("synthkit.privacy.ledger._LOCK_SECONDS", 0.1)
    before = path.read_bytes()
    with open(f"{path}.lock", "rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(PrivacyError, match="locked by another process"), file.release(asking(1.0), [counts(1.0)]):
            pytest.fail("it may not run")
    assert path.read_bytes() == before
    run(path, 1.0)


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may write anywhere")
def test_a_ledger_in_a_folder_that_is_write_protected_can_be_read(path):
    LedgerFile.create(path, TOTAL)
    os.unlink(f"{path}.lock")
    path.parent.chmod(0o500)
    try:
        file = LedgerFile(path)
        assert file.epsilon() == 0
        with pytest.raises(OutputError, match="cannot be locked"), file.release(asking(1.0), [counts(1.0)]):
            pytest.fail("it may not run")
    finally:
        path.parent.chmod(0o700)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[" * 100_000,
        lambda text: "[]",
        lambda text: "null",
        lambda text: "\x00\xff",
        lambda text: text.replace("synthkit-ledger", "synthkit-model"),
        lambda text: text.replace('"epsilon": 2.0', '"epsilon": 200.0'),
        lambda text: text.replace('"delta"', '"gamma"'),
        lambda text: text.replace('"status": "finished"', '"status": "forgotten"'),
        lambda text: json.dumps(json.loads(text) | {"releases": []}),
        lambda text: json.dumps({name: value for name, value in json.loads(text).items() if name != "checksum"}),
        lambda text: json.dumps(json.loads(text) | {"releases": {"a": 1}}),
    ],
)
def test_a_damaged_ledger_is_refused_in_a_sentence_and_left_alone(path, damage):
    LedgerFile.create(path, TOTAL)
    run(path, 1.0)
    path.write_text(damage(path.read_text()), encoding="latin-1")
    content = path.read_bytes()
    with pytest.raises(PrivacyError, match="is damaged or was changed") as caught:
        LedgerFile(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    with pytest.raises(PrivacyError, match="damaged"):
        LedgerFile.open_or_create(path, TOTAL)
    assert path.read_bytes() == content


def test_a_ledger_that_is_damaged_between_two_releases_is_noticed(path):
    file = LedgerFile.create(path, TOTAL)
    path.write_text("{}")
    with pytest.raises(PrivacyError, match="damaged"), file.release(asking(1.0), [counts(1.0)]):
        pytest.fail("it may not run")


def test_a_newer_ledger_is_refused(path):
    LedgerFile.create(path, TOTAL)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 2, "more": True}))
    with pytest.raises(PrivacyError, match=r"has format version 2, but this synthkit reads versions up to 1\. Upgrade"):
        LedgerFile(path)


def test_a_ledger_behind_a_link_is_one_ledger(path):
    LedgerFile.create(path, TOTAL)
    link = path.with_name("link.json")
    link.symlink_to(path)
    run(link, 1.5)
    assert link.is_symlink()
    with pytest.raises(PrivacyError, match="is spent"):
        run(path, 1.5)


def test_nothing_but_the_ledger_and_its_lock_stays_behind(path):
    LedgerFile.create(path, TOTAL)
    run(path, 1.0)
    assert sorted(os.listdir(path.parent)) == ["ledger.json", "ledger.json.lock"]


def test_times_come_from_the_clock(path):
    file = LedgerFile.create(path, TOTAL, clock=lambda: datetime(2026, 11, 22, 8, 30, tzinfo=UTC))
    with file.release(asking(1.0), [counts(1.0)]) as ledger:
        ledger.spend(counts(1.0))
    (release,) = LedgerFile(path).releases
    assert isinstance(release, Release)
    assert release.created == release.finished == "2026-11-22T08:30:00+00:00"
