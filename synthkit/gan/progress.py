"""What a long fit shows while it runs: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol, Self

from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Figures = Mapping[str, float]


def format_figures(figures: Figures) -> str:
    """Write figures as ``name value`` pairs, four significant digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


class ProgressSink(Protocol):
    """Where progress goes. All methods are cheap: the trainer calls `update` about ten times per second at most."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begin a stage of ``total`` steps, ``done`` of them already taken in an earlier process."""

    def update(self, stage: str, step: int, figures: Figures) -> None:
        """Show that ``step`` steps are done; figures are the best held-out score and the newest losses."""

    def finish(self, stage: str, text: str) -> None:
        """End the stage; ``text`` says how it went in one line."""

    def message(self, text: str) -> None:
        """Show one line about work that has no steps (encoding, boosted trees)."""

    def close(self) -> None:
        """Leave the terminal as it was; nothing more follows."""


class SilentProgress:
    """Shows nothing."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """See `ProgressSink.start`."""

    def update(self, stage: str, step: int, figures: Figures) -> None:
        """See `ProgressSink.update`."""

    def finish(self, stage: str, text: str) -> None:
        """See `ProgressSink.finish`."""

    def message(self, text: str) -> None:
        """See `ProgressSink.message`."""

    def close(self) -> None:
        """See `ProgressSink.close`."""


class LineProgress:
    """Plain lines for log files: one when a stage starts, one every ``every`` seconds, one when it ends."""

    def __init__(self, stream: IO[str] | None = None, *, every: float = 5.0) -> None:
        self._stream = stream
        self._every = every
        self._last = -math.inf
        self._total = 0

    def _print(self, text: str) -> None:
        # standard error is looked up at call time: it may have been replaced since (test capture, redirection)
        stream = self._stream or sys.stderr
        stream.write(f"{text}\n")
        stream.flush()

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """See `ProgressSink.start`."""
        self._total = total
        self._last = time.monotonic()
        resumed = f", resumed at step {done}" if done else ""
        self._print(f"{stage}: {total} steps{resumed}")

    def update(self, stage: str, step: int, figures: Figures) -> None:
        """See `ProgressSink.update`."""
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            self._print(f"{stage}: step {step}/{self._total}  {format_figures(figures)}".rstrip())

    def finish(self, stage: str, text: str) -> None:
        """See `ProgressSink.finish`."""
        self._print(f"{stage}: {text}")

    def message(self, text: str) -> None:
        """See `ProgressSink.message`."""
        self._print(text)

    def close(self) -> None:
        """See `ProgressSink.close`."""


class RichProgress:
    """A live bar per stage on a terminal, drawn by rich."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        from rich.console import Console

        self._console = Console(file=stream, stderr=stream is None)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def _live(self) -> Progress:
        if self._progress is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[figures]}"),
                console=self._console,
                refresh_per_second=5,
                transient=True,
            )
            self._progress.start()
        return self._progress

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """See `ProgressSink.start`."""
        self._task = self._live().add_task(stage, total=total, completed=done, figures="")

    def update(self, stage: str, step: int, figures: Figures) -> None:
        """See `ProgressSink.update`."""
        if self._task is not None:
            self._live().update(self._task, completed=step, figures=format_figures(figures))

    def finish(self, stage: str, text: str) -> None:
        """See `ProgressSink.finish`."""
        if self._task is not None:
            self._live().remove_task(self._task)
            self._task = None
        self.message(f"{stage}: {text}")

    def message(self, text: str) -> None:
        """See `ProgressSink.message`."""
        self._console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        """See `ProgressSink.close`."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def progress_for(verbose: bool | None, stream: IO[str] | None = None) -> ProgressSink:
    """Choose the sink that fits: nothing when ``verbose`` is False, live on a terminal, plain lines elsewhere.

    Parameters
    ----------
    verbose
        True: show; False: silent; None: show on a terminal only.
    stream
        Where to write; standard error when None, so that standard output stays free for results.
    """
    target = stream or sys.stderr
    terminal = target.isatty()
    if verbose is False or (verbose is None and not terminal):
        return SilentProgress()
    return RichProgress(stream) if terminal else LineProgress(stream)


class JsonLinesLog:
    """Appends one JSON object per line to a file, flushed at once so that it can be followed.

    Parameters
    ----------
    target
        A path (created or appended to) or an open text stream (left open).
    """

    def __init__(self, target: str | Path | IO[str]) -> None:
        self._owned = isinstance(target, str | Path)
        self._stream: IO[str] = Path(target).open("a", encoding="utf-8") if isinstance(target, str | Path) else target

    def write(self, record: Mapping[str, object]) -> None:
        """Write one record with the time (UTC, ISO 8601) in front; numbers that JSON cannot hold become null."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"time": moment, **plain_json(record)}) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file when this object opened it."""
        if self._owned:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
