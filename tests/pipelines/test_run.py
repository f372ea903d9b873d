"""Runs: what is reused, what is done again, what stops before it is published, and what is never overwritten."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthkit import load, read_table
from synthkit.errors import DataError, GateError, InputError, OutputError, SchemaError
from synthkit.gan.checkpoint import Progression
from synthkit.pipelines import Event, RunResult, load_recipe, plan_recipe, run_recipe
from synthkit.pipelines.workspace import Workspace

SUITE = "name: small\nmetrics: [shape_err]\ngates:\n  - {metric: shape_err, comparison: '<=', threshold: 0.9}\n"
RECIPE = """\
version: 1
name: small
data: people.csv
target: income
split: {test: 0.4}
inspect:
fit: {refine: false, adversary: "off", n_codes: 16, time_budget: null}
sample: {rows: 200}
balance:
evaluate: {suite: suite.yaml}
audit: {policy: none}
publish: {to: out.csv, holdout: holdout.csv}
"""
STAGES = ("load", "split", "inspect", "fit", "sample", "balance", "evaluate", "audit", "publish")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe was run once."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(7)
    age = random.integers(18, 91, 320)
    income = np.where(age + random.normal(0, 9, 320) > 64, ">50K", "<=50K")
    town = pd.Series(random.choice(["Bern", "Basel", "Thun"], 320)).mask(random.random(320) < 0.1)
    pd.DataFrame({"age": age, "town": town, "income": income}).to_csv(folder / "people.csv", index=False)
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "recipe.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert go().reused == ()
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to work in."""
    place = tmp_path / "here"
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


def go(*sets: str, **options: Any) -> RunResult:
    return run_recipe(load_recipe("recipe.yaml", sets), **options)


def ran(result: RunResult) -> tuple[str, ...]:
    return tuple(stage for stage in result.records if stage not in result.reused)


def manifest(workspace: str = "runs/small") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(workspace) / "manifest.json").read_text(encoding="utf-8"))
    return content


# -------------------- what is reused


def test_a_second_run_does_nothing(here: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    assert go().reused == STAGES
    after = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    assert {path.name for path in after if before.get(path) != after[path]} == {"manifest.json", "lock"}


def test_another_workspace_makes_the_same_artefacts(here: Path) -> None:
    first = go()
    second = go("publish=false", workspace="elsewhere")
    assert ran(second) == STAGES[:-1]
    assert second.artefacts == {name: one for name, one in first.artefacts.items() if not name.startswith("publish")}
    assert second.manifest["repeatable"] is True


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("balance.ratio=0.9", ("balance", "publish")),
        ("audit.gates=[{name: g, utility: shape_err, comparison: '<=', threshold: 0.9, reason: Why.}]", ("audit",)),
        ("sample.rows=210", ("sample", "evaluate", "audit")),
        ("publish.to=other.csv", ("publish",)),
        ("description=other words", ()),
        ("sensitive=town", ("inspect", "fit", "sample", "balance", "evaluate", "audit", "publish")),
    ],
)
def test_a_changed_setting_redoes_only_what_depends_on_it(here: Path, change: str, again: tuple[str, ...]) -> None:
    planned = {one.stage: one.status for one in plan_recipe(load_recipe("recipe.yaml", [change]))}
    assert {stage for stage in STAGES if planned[stage] == "reuse"} <= set(STAGES) - set(again)
    result = go(change)
    # an identical artefact ends the chain: only stages whose input really came out differently run
    assert set(ran(result)) <= set(again)
    assert ran(result)[:1] == again[:1]


def test_changed_data_are_noticed(here: Path) -> None:
    table = pd.read_csv("people.csv")
    pd.concat([table, table.head(1)]).to_csv("people.csv", index=False)
    assert ran(go())[:2] == ("load", "split")


def test_the_same_data_in_another_file_are_the_same(here: Path) -> None:
    shutil.copy("people.csv", "copy.csv")
    assert go("data=copy.csv").reused == STAGES


def test_a_changed_suite_is_noticed(here: Path) -> None:
    (here / "suite.yaml").write_text(SUITE.replace("0.9", "0.8"))
    assert ran(go()) == ("evaluate",)


@pytest.mark.parametrize("file", ["split/train.parquet", "fit/model.synth", "evaluate/evaluation.html"])
def test_a_tampered_artefact_is_made_again(here: Path, file: str) -> None:
    path = here / "runs/small" / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    events: list[Event] = []
    result = go(observe=events.append)
    assert ran(result) == (file.split("/")[0],)
    assert path.read_bytes() == whole
    assert f"{path.name} was changed" in [event.text for event in events]


def test_a_missing_artefact_is_made_again(here: Path) -> None:
    (here / "runs/small/sample/table.parquet").unlink()
    assert ran(go()) == ("sample",)


def test_an_audit_that_does_not_count_any_more_is_made_again(here: Path) -> None:
    workspace = Workspace(Path("runs/small"))
    path = here / "runs/small/audit/record.json"
    record = json.loads(path.read_text())
    today = datetime.now(UTC).date()
    for day, again in ((today, ()), (today - timedelta(days=1), ("audit",))):
        record["facts"]["expires"] = day.isoformat()
        path.write_text(json.dumps(record))
        assert ran(go()) == again
    kept = workspace.record("audit")
    assert kept is not None
    assert kept.facts["expires"] is None


def test_a_dry_run_writes_nothing_and_reads_no_data(here: Path) -> None:
    recipe = load_recipe("recipe.yaml", ["balance.ratio=0.5"])
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    content = Path("people.csv").read_bytes()
    stat = Path("people.csv").stat()
    Path("people.csv").write_bytes(b"x" * len(content))  # nobody looks inside
    import os

    os.utime("people.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    planned = plan_recipe(recipe)
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before
    assert [one.status for one in planned] == ["reuse"] * 5 + ["run", "reuse", "reuse", "compare"]
    assert all(one.seconds is not None for one in planned)
    assert not Path("nowhere").exists()
    assert {one.status for one in plan_recipe(recipe, "nowhere")} == {"run"}
    assert not Path("nowhere").exists()


# -------------------- what is made


def test_the_parts_of_the_table_are_what_they_say(here: Path) -> None:
    table, out, holdout = (pd.read_csv(name) for name in ("people.csv", "out.csv", "holdout.csv"))
    assert len(holdout) == round(0.4 * len(table))
    train = out.head(len(table) - len(holdout))
    both = pd.concat([train, holdout]).sort_values(list(table)).reset_index(drop=True)
    pd.testing.assert_frame_equal(both, table.sort_values(list(table)).reset_index(drop=True))
    assert out["income"].value_counts().nunique() == 1
    assert len(read_table(here / "runs/small/sample/table.parquet")) == 200


def test_the_model_file_tells_no_time_and_the_manifest_does(here: Path) -> None:
    model = load(here / "runs/small/fit/model.synth")
    assert "seconds" not in model.report_
    assert not any(" s, " in text for text in model.report_["stages"].values())
    facts = next(stage for stage in manifest()["stages"] if stage["stage"] == "fit")["facts"]
    assert facts["report"]["seconds"] >= 0


def test_the_manifest_says_what_went_in_and_came_out_and_nothing_secret(here: Path) -> None:
    content = manifest()
    assert content["format"] == "synthkit-run"
    assert content["status"] == "finished"
    assert content["seed"] == 0
    assert content["versions"].keys() >= {"python", "synthkit", "torch", "pandas"}
    assert [stage["stage"] for stage in content["stages"]] == list(STAGES)
    assert {gate["status"] for gate in content["gates"]} <= {"met", "borderline"}
    assert str(here) not in json.dumps(content)
    go("publish=false", f"data={here / 'people.csv'}", workspace=here / "runs/small")
    assert str(here) not in json.dumps(manifest())
    assert manifest()["config"]["data"] == "people.csv"
    for stage in content["stages"]:
        for artefact in stage["artefacts"].values():
            assert (here / "runs/small" / artefact["file"]).stat().st_size == artefact["bytes"]


def test_events_tell_every_stage(here: Path) -> None:
    events: list[Event] = []
    go("balance.ratio=0.7", observe=events.append)
    told = [(event.stage, event.status) for event in events if event.status != "note"]
    expected = [(stage, "reused") for stage in STAGES[:5]] + [("balance", "running"), ("balance", "done")]
    expected += [("evaluate", "reused"), ("audit", "reused"), ("publish", "running"), ("publish", "done")]
    assert told == [*expected, ("", "finished")]
    assert next(event for event in events if event.stage == "balance").text == "changed: balance.ratio"


# -------------------- gates


@pytest.mark.parametrize(
    "gate",
    [
        "evaluate.gates=[{metric: shape_err, comparison: '<=', threshold: 0.0}]",
        "audit.gates=[{name: strict, utility: shape_err, comparison: '<=', threshold: 0.0, reason: Why.}]",
    ],
)
def test_a_gate_that_is_not_met_stops_before_publishing_and_keeps_the_reports(here: Path, gate: str) -> None:
    for name in ("out.csv", "holdout.csv"):
        Path(name).unlink()
    shutil.rmtree("runs/small/publish")
    for _ in range(2):  # a second run stops too, though there is nothing left to do
        with pytest.raises(GateError, match="1 gate is not met, and nothing was published") as caught:
            go(gate)
        assert caught.value.exit_code == 3
        assert not Path("out.csv").exists()
        assert manifest()["status"] == "gate not met"
        assert [one["failed"] for one in manifest()["gates"]].count(True) == 1
    assert (here / "runs/small/evaluate/evaluation.html").exists()
    assert (here / "runs/small/audit/audit.html").exists()
    assert go().reused[:6] == STAGES[:6]
    assert Path("out.csv").exists()


def test_gates_stop_a_recipe_without_publish_too(here: Path) -> None:
    with pytest.raises(GateError, match=r"1 gate is not met: evaluate: .*"):
        go("publish=false", "evaluate.gates=[{metric: shape_err, comparison: '<=', threshold: 0.0}]")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("evaluate.gates=[{metric: shap_err, comparison: '<=', threshold: 1}]", "evaluate.gates.1.metric"),
        ("evaluate.gates=[{metric: shape_err}]", "evaluate.gates.1.comparison"),
        ("evaluate.suite=standrad", "unknown suite 'standrad'; did you mean 'standard'"),
        ("audit.policy=intenal-test-data", "did you mean 'internal-test-data'"),
        ("audit.gates=[{name: g, risk: all, threshhold: 1, reason: Why.}]", "audit.gates.1"),
        ("target=incme", "unknown column 'incme'; did you mean 'income'?"),
        ("sensitive=twon", "sensitive names an unknown column 'twon'; did you mean 'town'?"),
        ("balance.mark=age", "the table has that column already"),
        ("data=poeple.csv", "there is no file 'poeple.csv'"),
        ("publish.to=out.docx", "docx"),
        ("publish.to=people.csv", "people.csv' is also the input"),
        ("publish.holdout=out.csv", "table and holdout are both published to 'out.csv'"),
        ("publish.to=no/such/folder/out.csv", "does not exist"),
        ("balance.counts={'>50K': 1}", "Real rows are never removed"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing_that_was_published(
    here: Path, change: str, expected: str
) -> None:
    before = Path("out.csv").read_bytes()
    with pytest.raises(InputError) as caught:
        go(change)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Path("out.csv").read_bytes() == before
    assert go().reused[:1] == ("load",)


def test_a_constant_target_is_refused(here: Path) -> None:
    pd.read_csv("people.csv").assign(income="same").to_csv("people.csv", index=False)
    with pytest.raises(DataError, match="income"):
        go()
    assert manifest()["status"] == "failed"
    assert "income" in manifest()["error"]


def test_the_recipe_needs_data(here: Path) -> None:
    with pytest.raises(InputError, match="names no data"):
        go("data=null")
    with pytest.raises(SchemaError, match=r"quasi_identifiers names an unknown column 'zip'"):
        go("quasi_identifiers=zip")


# -------------------- publishing


def test_a_file_of_somebody_else_is_never_overwritten_unasked(here: Path) -> None:
    Path("theirs.csv").write_text("not ours\n")
    with pytest.raises(OutputError, match=r"'theirs\.csv' exists, and it is not what this workspace published"):
        go("publish.to=theirs.csv")
    assert Path("theirs.csv").read_text() == "not ours\n"
    go("publish.to=theirs.csv", "publish.overwrite=true")
    assert Path("theirs.csv").read_bytes() != b"not ours\n"
    assert ran(go("publish.to=theirs.csv")) == ()


def test_a_published_file_that_was_changed_is_kept_and_a_missing_one_is_written_again(here: Path) -> None:
    ours = Path("out.csv").read_bytes()
    Path("out.csv").unlink()
    assert ran(go()) == ("publish",)
    assert Path("out.csv").read_bytes() == ours
    Path("out.csv").write_text("edited\n")
    with pytest.raises(OutputError, match="not what this workspace published"):
        go()
    assert Path("out.csv").read_text() == "edited\n"


def test_a_new_table_replaces_the_one_that_this_workspace_published(here: Path) -> None:
    before = Path("out.csv").read_bytes()
    go("balance.ratio=0.6")
    assert Path("out.csv").read_bytes() != before
    go()
    assert Path("out.csv").read_bytes() == before


def test_everything_can_be_published(here: Path) -> None:
    go("publish.model=m.synth", "publish.reports=reports", "publish.table=sample", "publish.to=table.parquet")
    assert Path("m.synth").read_bytes() == (here / "runs/small/fit/model.synth").read_bytes()
    assert len(read_table("table.parquet")) == 200
    assert {path.name for path in Path("reports").iterdir()} == {
        "evaluation.json", "evaluation.html", "evaluation.md", "audit.json", "audit.html", "audit.md",
        "audit.manifest.json",
    }  # fmt: skip


# -------------------- interruptions


def test_ctrl_c_within_a_fit_keeps_the_checkpoint_and_makes_no_model(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (here / "runs/small/fit/model.synth").read_bytes()
    shutil.rmtree("runs/small/fit")
    save, saved = Progression.save, []

    def interrupting(self: Progression, path: Path) -> None:
        save(self, path)
        saved.append(path)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progression, "save", interrupting)
        with pytest.raises(KeyboardInterrupt):
            go()
    assert saved[0].exists()
    assert not (here / "runs/small/fit/model.synth").exists()
    assert manifest()["status"] == "interrupted"
    assert ran(go(resume=True)) == ("fit",)
    assert (here / "runs/small/fit/model.synth").read_bytes() == whole
    assert not saved[0].exists()


def test_a_fit_that_is_cut_short_is_said_to_be_unrepeatable(here: Path) -> None:
    result = go("fit.time_budget=0.001s", "publish=false")
    assert result.manifest["repeatable"] is False
    assert "cut short by its time budget of 0.001s" in result.manifest["why not repeatable"]["fit"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(here: Path) -> None:
    """The limit of a process on the size of files fails as a full disk does, at any file that is too large."""
    before = Path("out.csv").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
        with pytest.raises(OutputError, match="the disk is full"):
            go("split.test=0.3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert Path("out.csv").read_bytes() == before
    assert not [path for path in here.rglob("*") if path.name.startswith(".tmp-")]
    assert go().artefacts  # room again, and it goes on
