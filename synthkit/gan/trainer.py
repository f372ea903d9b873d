"""One trainer for every stage of a fit: budget, best state, checkpoints, interruption, divergence, progress.

A stage knows how to take one optimisation step and how to score itself on held-out data; everything around that is
here, once. The plan of a stage is counted in steps, and nothing that depends on the clock changes the result unless
the time budget runs out, so the same seed gives the same model.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from synthkit.errors import TrainingError
from synthkit.gan.budget import Budget
from synthkit.gan.checkpoint import Payload, Progression
from synthkit.gan.interruption import Interruption
from synthkit.gan.progress import ProgressSink, SilentProgress
from synthkit.gan.stage import Stage, StageReport, StopReason, scored_by
from synthkit.gan.state import Tensors, Values

__all__ = ["LogSink", "Stage", "StageReport", "StopReason", "Trainer"]


class LogSink(Protocol):
    """Receives one record per evaluation (see `synthkit.gan.progress.JsonLinesLog`)."""

    def write(self, record: Mapping[str, object]) -> None:
        """Store one record."""


@dataclass
class _Run:
    """Book-keeping of the stage in progress; JSON-safe, part of every checkpoint."""

    step: int = 0
    initial_score: float = -math.inf
    best_score: float = -math.inf
    best_step: int = 0
    stale: int = 0
    evaluated_at: int = 0
    seconds: float = 0.0
    recovered: bool = False


class Trainer:
    """Runs the stages of one fit after another.

    Use as a context manager around the whole fit: from then on Ctrl-C is a request to stop (`interrupted`) instead of
    an exception; a second Ctrl-C raises KeyboardInterrupt.

    Parameters
    ----------
    budget
        Ceiling on the wall time of the whole fit, counted from here (plus what earlier processes spent, on resume).
    checkpoint
        Where to keep the checkpoint; None keeps none.
    progress
        Where to show progress.
    log
        Receives one record per evaluation: time, stage, step, of, held_out, best, seconds and the losses.
    fingerprint
        JSON-safe values that identify data and settings. A checkpoint with another fingerprint is refused.
    resume
        Continue from the checkpoint if the file exists; otherwise start from the beginning.
    checkpoint_every, check_every
        Seconds between two checkpoints; steps between two looks for non-finite losses.

    Raises
    ------
    InputError
        When the checkpoint belongs to other data or settings, or is damaged (ModelFileError).
    """

    def __init__(
        self,
        budget: Budget,
        checkpoint: Path | None = None,
        progress: ProgressSink | None = None,
        log: LogSink | None = None,
        *,
        fingerprint: Mapping[str, Any] | None = None,
        resume: bool = False,
        checkpoint_every: float = 10.0,
        check_every: int = 10,
    ) -> None:
        self._budget = budget
        self._path = checkpoint
        self._progress: ProgressSink = progress or SilentProgress()
        self._log = log
        self._checkpoint_every = checkpoint_every
        self._check_every = check_every
        # through JSON and back, so that tuples and the like compare equal with what a checkpoint holds
        self._fingerprint: Values = json.loads(json.dumps(dict(fingerprint or {})))
        self._progression = Progression(fingerprint=self._fingerprint)
        if resume and checkpoint is not None and checkpoint.exists():
            self._progression = Progression.load(checkpoint)
            self._progression.require_same(self._fingerprint, checkpoint)
        self._resumed = self._progression.running is not None or bool(self._progression.finished)
        self._spent_before = self._progression.seconds
        self._started = time.monotonic()
        self._saved_at = self._started
        self._interruption = Interruption()

    # -- the whole fit ------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Wall time of the fit so far, in seconds, over all processes."""
        return self._spent_before + time.monotonic() - self._started

    @property
    def time_left(self) -> float:
        """Seconds until the budget is reached; ``inf`` without a ceiling, never negative."""
        return max(0.0, self._budget.seconds - self.seconds)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C asked to stop; stages that run after that return at once."""
        return self._interruption.requested

    @property
    def resumed(self) -> bool:
        """Whether this trainer goes on from a checkpoint."""
        return self._resumed

    def message(self, text: str, **figures: float | str) -> None:
        """Show one line of progress about work that has no steps; figures go to the log as they are."""
        self._progress.message(text)
        if self._log is not None:
            self._log.write({"message": text, "seconds": round(self.seconds, 3), **figures})

    def __enter__(self) -> Self:
        self._interruption.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interruption.__exit__(kind, error, trace)
        self._progress.close()

    def discard_checkpoint(self) -> None:
        """Remove the checkpoint file: the model is saved, nothing is left to resume."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    # -- work without steps -------------------------------------------------------------------------------------------

    def once(self, name: str, compute: Callable[[], Payload]) -> Payload:
        """Do a piece of work that has no steps once: its payload comes from the checkpoint when it is there."""
        done = self._progression.finished.get(name)
        if done is not None:
            return done
        payload = compute()
        # after an interruption this builds on a stage that is not finished: the next process does it again
        if self._path is not None and not self.interrupted:
            self._progression.finished[name] = payload
            self._save()
        return payload

    # -- stages -------------------------------------------------------------------------------------------------------

    def run(
        self,
        stage: Stage,
        patience: int | None = None,
        *,
        seconds: float = math.inf,
        good_enough: Callable[[], bool] | None = None,
    ) -> StageReport:
        """Train a stage to the end of its plan and leave it in its best state by held-out score.

        Parameters
        ----------
        stage
            What to train.
        patience
            Stop after this many evaluations in a row without a new best; None never does.
        seconds
            Ceiling on the wall time of this stage, on top of the budget of the fit.
        good_enough
            Asked before every step; the stage ends when it says yes.

        Raises
        ------
        TrainingError
            When losses stop being finite twice.
        KeyboardInterrupt
            At the second Ctrl-C.
        """
        done = self._progression.finished.get(stage.name)
        if done is not None:
            stage.load_state(done.values["state"], done.tensors)
            report = StageReport(**done.values["report"])
            self._progress.finish(stage.name, f"taken from the checkpoint: {report.describe()}")
            return report
        with self._interruption:
            return self._train(stage, patience, seconds, good_enough)

    def _train(
        self, stage: Stage, patience: int | None, seconds: float, good_enough: Callable[[], bool] | None
    ) -> StageReport:
        run, best = self._begin(stage)
        before = run.seconds
        began = time.monotonic()
        losses: dict[str, float] = {}
        shown_at = -math.inf
        reason: StopReason = "finished"
        while run.step < stage.total_steps:
            run.seconds = before + time.monotonic() - began
            if self.interrupted:
                reason = "interrupted"
                break
            if self.time_left <= 0 or run.seconds >= seconds:
                reason = "time budget"
                break
            if patience is not None and run.stale >= patience:
                reason = "patience"
                break
            if good_enough is not None and good_enough():
                reason = "good enough"
                break
            raw = stage.step(run.step)
            run.step += 1
            due = run.step % stage.evaluate_every == 0 or run.step == stage.total_steps
            if raw and (due or run.step % self._check_every == 0):
                losses = {name: float(value) for name, value in raw.items()}
            finite = all(math.isfinite(value) for value in losses.values())
            if due and finite:
                score = stage.evaluate()
                finite = math.isfinite(score)
                if finite:
                    best = self._judge(stage, run, score, best, losses)
            if not finite:
                self._recover(stage, run, best, losses)
                losses = {}
            now = time.monotonic()
            run.seconds = before + now - began
            if now - shown_at >= 0.1:
                shown_at = now
                self._progress.update(stage.name, run.step, {scored_by(stage): run.best_score, **losses})
            if now - self._saved_at >= self._checkpoint_every:
                self._save(stage, run, best)
        return self._end(stage, run, best, reason)

    def _begin(self, stage: Stage) -> tuple[_Run, Tensors]:
        """Start a stage, or take it up where the checkpoint left it."""
        if self._progression.running == stage.name:
            kept = self._progression.state
            run = _Run(**kept.values["run"])
            stage.load_state(kept.values["stage"], kept.tensors)
            best = dict(self._progression.best)
            self._progress.start(stage.name, stage.total_steps, run.step)
            return run, best
        self._progress.start(stage.name, stage.total_steps)
        score = stage.evaluate()
        if not math.isfinite(score):
            raise TrainingError(
                f"stage {stage.name!r} starts with a held-out score of {score}",
                remedy="check the data for infinite or extremely large values",
            )
        return _Run(initial_score=score, best_score=score), stage.snapshot()

    def _judge(self, stage: Stage, run: _Run, score: float, best: Tensors, losses: Mapping[str, float]) -> Tensors:
        """Compare a held-out score with the best so far; the best weights after that."""
        run.evaluated_at = run.step
        if score > run.best_score:
            run.best_score, run.best_step, run.stale = score, run.step, 0
            best = stage.snapshot()
        else:
            run.stale += 1
        if self._log is not None:
            self._log.write(
                {
                    "stage": stage.name,
                    "step": run.step,
                    "of": stage.total_steps,
                    "held_out": score,
                    "best": run.best_score,
                    "best_step": run.best_step,
                    "seconds": round(self.seconds, 3),
                    **losses,
                }
            )
        return best

    def _recover(self, stage: Stage, run: _Run, best: Tensors, losses: Mapping[str, float]) -> None:
        """Go back to the best weights and halve the learning rate, once."""
        bad = ", ".join(f"{name} {value}" for name, value in losses.items() if not math.isfinite(value))
        what = f"stage {stage.name!r} diverged at step {run.step} of {stage.total_steps} ({bad or 'held-out score'})"
        if run.recovered:
            raise TrainingError(
                f"{what}, again after going back to step {run.best_step} with half the learning rate; likely causes "
                "are extreme values in a numeric column or a loss that does not suit the data",
                remedy='check the data with "inspect", or choose loss="relativistic"',
            )
        run.recovered = True
        run.evaluated_at = run.step
        stage.restore(best)
        stage.recover()
        self.message(f"{what}: back to step {run.best_step} with half the learning rate")

    def _end(self, stage: Stage, run: _Run, best: Tensors, reason: StopReason) -> StageReport:
        """Score the last state, keep the best one, and put the stage into the checkpoint."""
        if reason == "interrupted" and self._progression.running in (None, stage.name):
            # Before the extra evaluation below: a resumed run must see the plan as if nothing had happened. When an
            # earlier stage was the one that was interrupted, the checkpoint stays about that one.
            self._save(stage, run, best)
        if run.evaluated_at < run.step:
            score = stage.evaluate()
            if math.isfinite(score):
                best = self._judge(stage, run, score, best, {})
        stage.restore(best)
        report = StageReport(
            name=stage.name,
            steps=run.step,
            seconds=round(run.seconds, 3),
            initial_score=run.initial_score,
            best_score=run.best_score,
            best_step=run.best_step,
            stopped_because=reason,
            recovered=run.recovered,
            scored_by=scored_by(stage),
        )
        self._progress.finish(stage.name, report.describe())
        if reason != "interrupted" and self._path is not None:
            values, tensors = stage.state()
            self._progression.finished[stage.name] = Payload({"state": values, "report": report.to_dict()}, tensors)
            self._save()
        return report

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _save(self, stage: Stage | None = None, run: _Run | None = None, best: Tensors | None = None) -> None:
        """Write the checkpoint: the finished stages and, when given, the one in progress."""
        self._saved_at = time.monotonic()
        progression = self._progression
        progression.seconds = self.seconds
        if stage is None or run is None:
            progression.running, progression.state, progression.best = None, Payload(), {}
        elif self._path is not None:
            values, tensors = stage.state()
            progression.running = stage.name
            progression.state = Payload({"run": asdict(run), "stage": values}, tensors)
            progression.best = best or {}
        if self._path is not None:
            progression.save(self._path)
            self._saved_at = time.monotonic()
