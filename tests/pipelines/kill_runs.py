"""A process that runs one recipe again and again in children of its own, each of which kills itself somewhere.

    python kill_runs.py RECIPE DATA WORKSPACE

It loads the libraries once and forks for every run. The killing is done here, in the child, and nowhere in the
package. It prints one JSON object: how every child ended, and the artefacts of the run that was let through.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import synthkit.auditing.audit
import synthkit.evaluation.report  # noqa: F401  # all of these before any fork, so that no child has to
from synthkit.gan.checkpoint import Progression
from synthkit.pipelines import data_stages, judge_stages, load_recipe, model_stages, publishing, run_recipe  # noqa: F401
from synthkit.pipelines.runner import Event
from synthkit.pipelines.workspace import StageRecord, Workspace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def when_it_begins(stage: str) -> Callable[[Event], None]:
    """The stage has done nothing yet."""
    return lambda event: die() if (event.stage, event.status) == (stage, "running") else None


def at_its_first_file(stage: str) -> Callable[[Event], None]:
    """A file is written under its temporary name and not yet renamed."""
    running: set[str] = set()
    replace = os.replace

    def killing(source: Any, target: Any) -> None:
        if stage in running:
            die()
        replace(source, target)

    os.replace = killing
    return lambda event: running.add(event.stage) if event.status == "running" else None


def before_its_record(stage: str) -> Callable[[Event], None]:
    """All files are there, and nobody knows yet that they are complete."""
    keep = Workspace.keep

    def killing(self: Workspace, record: StageRecord) -> None:
        if record.stage == stage:
            die()
        keep(self, record)

    Workspace.keep = killing  # type: ignore[method-assign]
    return lambda event: None


def after_a_checkpoint(stage: str) -> Callable[[Event], None]:
    """In the middle of a fit."""
    save = Progression.save

    def killing(self: Progression, path: Path) -> None:
        save(self, path)
        die()

    Progression.save = killing  # type: ignore[method-assign]
    return lambda event: None


def in_a_child(recipe: Any, workspace: str, observer: Callable[[], Callable[[Event], None]]) -> int:
    """Run in a forked child; return how it ended, as `waitpid` says."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            run_recipe(recipe, workspace=workspace, resume=True, observe=observer())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(path: str, data: str, workspace: str) -> None:
    recipe = load_recipe(path, [f"data={data}"])
    everywhere = [(stage, place) for stage in recipe.stages for place in (when_it_begins, at_its_first_file)]
    places = [*everywhere, ("publish", before_its_record)]
    position = places.index(("audit", when_it_begins))
    places[position:position] = [("evaluate", before_its_record)]
    position = places.index(("sample", when_it_begins))
    places[position:position] = [("fit", before_its_record)]
    position = places.index(("fit", at_its_first_file))
    places[position:position] = [("fit", after_a_checkpoint)] * 2
    ended = {}
    for number, (stage, place) in enumerate(places):
        status = in_a_child(recipe, workspace, lambda stage=stage, place=place: place(stage))
        ended[f"{number} {stage} {place.__name__}"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else "not killed"
    last = in_a_child(recipe, workspace, lambda: lambda event: print(event.stage, event.status, file=sys.stderr))
    manifest = json.loads((Path(workspace) / "manifest.json").read_text())
    print(json.dumps({"ended": ended, "last": last, "manifest": manifest}))


if __name__ == "__main__":
    main(*sys.argv[1:])
