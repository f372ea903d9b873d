from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from synthkit.errors import InputError, ModelFileError, TrainingError
from synthkit.gan.budget import Budget
from synthkit.gan.checkpoint import Payload
from synthkit.gan.progress import JsonLinesLog, LineProgress, RichProgress, SilentProgress, progress_for
from synthkit.gan.trainer import Trainer

PROGRAM = Path(__file__).with_name("toy_stage.py")


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    from toy_stage import ToyStage

    return ToyStage


class Peaked:
    """Wraps a stage so that its held-out score peaks in the middle of the plan."""

    def __new__(cls, toy, peak):
        class Stage(toy):
            def evaluate(self):
                return -abs(len(self.taken) - peak)

        return Stage()


def test_the_best_state_by_held_out_score_is_kept(toy):
    stage = Peaked(toy, 100)
    report = Trainer(Budget()).run(stage)
    other = Peaked(toy, 100)
    for index in range(100):
        other.step(index)
    assert report.best_step == 100
    assert report.steps == 200
    assert report.stopped_because == "finished"
    assert torch.equal(stage.weight, other.weight)


def test_a_stage_that_never_improves_leaves_no_trace(toy):
    stage = Peaked(toy, 0)
    report = Trainer(Budget()).run(stage)
    assert not report.improved
    assert stage.weight.tolist() == [0.0] * 5
    assert "no step improved" in report.describe()


def test_patience_stops_after_so_many_evaluations(toy):
    report = Trainer(Budget()).run(Peaked(toy, 60), patience=2)
    assert report.steps == 100
    assert report.stopped_because == "patience"


def test_a_stage_that_is_cut_short_still_keeps_its_last_steps(toy):
    stage = toy(steps=10**6, pause=0.001)
    report = Trainer(Budget(0.05)).run(stage)
    assert report.stopped_because == "time budget"
    assert 0 < report.steps < 10**6
    assert report.best_step == report.steps or report.best_step % 20 == 0


def test_ceiling_of_one_stage_leaves_the_budget_of_the_fit(toy):
    trainer = Trainer(Budget(1000))
    report = trainer.run(toy(steps=10**6, pause=0.001), seconds=0.02)
    assert report.stopped_because == "time budget"
    assert trainer.time_left > 900
    assert trainer.run(toy("next")).stopped_because == "finished"


def test_nothing_about_the_clock_changes_the_result(toy, tmp_path):
    plain, watched = toy(), toy()
    Trainer(Budget()).run(plain)
    Trainer(Budget(600), tmp_path / "c", LineProgress(io.StringIO()), checkpoint_every=0.01).run(watched)
    assert torch.equal(plain.weight, watched.weight)


def test_kill_in_the_middle_then_resume_gives_the_same_weights(toy, tmp_path):
    whole = [toy(name, steps=100) for name in ("first", "second")]
    for stage in whole:
        Trainer(Budget()).run(stage)
    path = tmp_path / "checkpoint"
    process = subprocess.Popen([sys.executable, str(PROGRAM), str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # the first stage is done, the second one is under way
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    trainer = Trainer(Budget(), path, resume=True)
    resumed = [toy(name, steps=100) for name in ("first", "second")]
    for stage in resumed:
        assert trainer.run(stage).steps == 100
    assert resumed[0].taken == []
    assert 0 < len(resumed[1].taken) < 100
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(whole, resumed, strict=True))


def test_resume_takes_finished_stages_from_the_checkpoint(toy, tmp_path):
    path = tmp_path / "c"
    first = toy("first")
    report = Trainer(Budget(), path).run(first)
    trainer = Trainer(Budget(), path, resume=True)
    again = toy("first")
    assert trainer.resumed
    assert trainer.run(again) == report
    assert again.taken == []
    assert torch.equal(first.weight, again.weight)


def test_interrupted_stage_goes_on_as_if_nothing_had_happened(toy, tmp_path):
    whole, cut, rest = toy(), toy(), toy()
    Trainer(Budget()).run(whole)
    original = cut.step

    def interrupt(index):
        if index == 90:
            signal.raise_signal(signal.SIGINT)
        return original(index)

    cut.step = interrupt
    with Trainer(Budget(), tmp_path / "c") as trainer:
        report = trainer.run(cut)
        assert trainer.interrupted
        assert trainer.run(toy("next")).stopped_because == "interrupted"
    assert report.stopped_because == "interrupted"
    assert report.steps == 91
    assert report.best_score > report.initial_score
    Trainer(Budget(), tmp_path / "c", resume=True).run(rest)
    assert rest.taken[0] == 91
    assert torch.equal(rest.weight, whole.weight)


def test_second_interrupt_is_an_exception_and_the_handler_is_put_back(toy):
    before = signal.getsignal(signal.SIGINT)
    with Trainer(Budget()) as trainer:
        signal.raise_signal(signal.SIGINT)
        assert trainer.interrupted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_signals_alone(toy):
    reports = []
    thread = threading.Thread(target=lambda: reports.append(Trainer(Budget()).run(toy())))
    thread.start()
    thread.join()
    assert reports[0].stopped_because == "finished"


def test_other_data_or_settings_are_refused_by_name(toy, tmp_path):
    Trainer(Budget(), tmp_path / "c", fingerprint={"rows": 10, "sizes": (1, 2)}).run(toy())
    Trainer(Budget(), tmp_path / "c", fingerprint={"rows": 10, "sizes": [1, 2]}, resume=True)
    with pytest.raises(InputError, match="rows was 10 and is now 11") as caught:
        Trainer(Budget(), tmp_path / "c", fingerprint={"rows": 11, "sizes": (1, 2)}, resume=True)
    assert "sizes" not in str(caught.value)


def test_damaged_checkpoint_is_refused(toy, tmp_path):
    Trainer(Budget(), tmp_path / "c").run(toy())
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError):
        Trainer(Budget(), tmp_path / "c", resume=True)


def test_resume_without_a_checkpoint_starts_from_the_beginning(toy, tmp_path):
    trainer = Trainer(Budget(), tmp_path / "none", resume=True)
    assert not trainer.resumed
    assert trainer.run(toy()).steps == 200
    trainer.discard_checkpoint()
    trainer.discard_checkpoint()
    assert list(tmp_path.iterdir()) == []


def test_one_broken_loss_is_survived_with_half_the_learning_rate(toy):
    stage = toy(broken_at=[69])
    report = Trainer(Budget()).run(stage)
    assert report.recovered
    assert stage.recovered == 1
    assert report.best_score > report.initial_score
    assert torch.isfinite(stage.weight).all()


def test_a_second_broken_loss_is_an_error_that_says_where(toy):
    with pytest.raises(TrainingError, match=r"'toy' diverged at step 150 of 200 \(loss nan\).*inspect"):
        Trainer(Budget()).run(toy(broken_at=[69, 149]))


def test_a_stage_that_starts_broken_is_an_error(toy):
    stage = toy()
    with torch.no_grad():
        stage.weight.fill_(math.inf)
    with pytest.raises(TrainingError, match="starts with a held-out score"):
        Trainer(Budget()).run(stage)


def test_work_without_steps_is_done_once(tmp_path):
    calls = []

    def work():
        calls.append(1)
        return Payload({"rounds": 2}, {"w": torch.arange(3.0)}, {"tree/one": "split", "tree two": "leaf"})

    first = Trainer(Budget(), tmp_path / "c").once("refine", work)
    second = Trainer(Budget(), tmp_path / "c", resume=True).once("refine", work)
    assert len(calls) == 1
    assert second.values == first.values
    assert second.texts == first.texts
    assert torch.equal(second.tensors["w"], first.tensors["w"])


def test_log_has_one_object_per_evaluation(toy, tmp_path):
    path = tmp_path / "log.jsonl"
    with JsonLinesLog(path) as log:
        Trainer(Budget(), log=log).run(toy())
        log.write({"held_out": math.nan})
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["step"] for record in records[:-1]] == list(range(20, 201, 20))
    assert {"time", "stage", "of", "held_out", "best", "seconds", "loss"} <= set(records[0])
    assert records[-1]["held_out"] is None


def test_lines_where_there_is_no_terminal_and_nothing_when_quiet(toy):
    stream = io.StringIO()
    sink = progress_for(True, stream)
    assert isinstance(sink, LineProgress)
    with Trainer(Budget(), progress=sink) as trainer:
        trainer.message("encoding 10 rows")
        trainer.run(toy())
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["encoding 10 rows", "toy: 200 steps"]
    assert "held-out" in lines[-1]
    assert isinstance(progress_for(False, stream), SilentProgress)
    assert isinstance(progress_for(None, stream), SilentProgress)


def test_live_progress_ends_with_the_result(toy):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    sink = progress_for(None, stream)
    assert isinstance(sink, RichProgress)
    with Trainer(Budget(), progress=sink) as trainer:
        trainer.run(toy())
    assert "kept step" in stream.getvalue()
