"""Run a recipe: each stage once, what is there already is taken, and nothing is published before its gates are met."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from synthkit.errors import DataError, GateError, InputError, OutputError
from synthkit.pipelines import manifest
from synthkit.pipelines.keys import check_roles, reads, source_hash, source_stamp, stage_parts, what_changed
from synthkit.pipelines.publishing import check_places, missing, release_parts, released_stages
from synthkit.pipelines.settings import Recipe
from synthkit.pipelines.work import Made, Outcome, Work
from synthkit.pipelines.workspace import Artefact, GateResult, StageRecord, Workspace, content_hash, write_json

RUNS = Path("runs")
# stage -> module that has a function of this name
_MODULES: Mapping[str, str] = {
    "load": "synthkit.pipelines.data_stages",
    "split": "synthkit.pipelines.data_stages",
    "inspect": "synthkit.pipelines.data_stages",
    "fit": "synthkit.pipelines.model_stages",
    "sample": "synthkit.pipelines.model_stages",
    "balance": "synthkit.pipelines.model_stages",
    "augment": "synthkit.pipelines.judge_stages",
    "evaluate": "synthkit.pipelines.judge_stages",
    "audit": "synthkit.pipelines.judge_stages",
    "publish": "synthkit.pipelines.publishing",
}
_JUDGES = {"evaluate", "audit"}
_MOST_NAMED = 4
Status = Literal["running", "done", "reused", "note", "finished", "gate not met", "failed", "interrupted"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Attributes
    ----------
    stage
        Which stage; empty for the run as a whole.
    status
        Of a stage "running", "note", "done" or "reused"; of the run "finished", "gate not met", "failed" or
        "interrupted".
    text
        What is to be said about it: why a stage runs, what it found, what went wrong.
    seconds
        How long it took; of a reused stage, how long it took when it ran.
    artefacts
        Content hashes by name.
    gates
        Verdicts of the stage.
    """

    stage: str
    status: Status
    text: str = ""
    seconds: float = 0.0
    artefacts: Mapping[str, str] = field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind.

    Attributes
    ----------
    workspace
        Folder of the run.
    records
        Of each stage, by name.
    reused
        Stages that were taken from the workspace.
    manifest
        The manifest as plain values; the same is in ``manifest.json``.
    """

    workspace: Path
    records: Mapping[str, StageRecord]
    reused: tuple[str, ...]
    manifest: Mapping[str, Any]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages, in the order in which they ran."""
        return tuple(self.records)

    @property
    def artefacts(self) -> dict[str, str]:
        """Content hash of each artefact, by "stage/name"."""
        return {
            f"{stage}/{name}": one.content
            for stage, record in self.records.items()
            for name, one in record.artefacts.items()
        }

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """All verdicts."""
        return tuple(gate for record in self.records.values() for gate in record.gates)


@dataclass(frozen=True)
class Planned:
    """What a run would do with a stage.

    Attributes
    ----------
    stage
        Its name.
    status
        "run"; "reuse"; "compare": it is reused if what it reads comes out as before.
    why
        In a few words.
    seconds
        How long it took the last time, or None.
    """

    stage: str
    status: Literal["run", "reuse", "compare"]
    why: str
    seconds: float | None


def run_recipe(
    recipe: Recipe,
    *,
    workspace: str | Path | None = None,
    resume: bool = False,
    verbose: bool = False,
    observe: Callable[[Event], None] = lambda event: None,
) -> RunResult:
    """Run a recipe.

    Parameters
    ----------
    recipe
        From `load_recipe`.
    workspace
        Folder for everything that stages make; ``runs/NAME`` when None.
    resume
        Go on in the middle of a fit that was killed. Finished stages are never repeated without need.
    verbose
        Whether fits show progress on standard error.
    observe
        Is told everything that happens, when it happens.

    Returns
    -------
    RunResult
        Records, hashes, verdicts.

    Raises
    ------
    GateError
        A gate is not met; nothing was published, reports are in the workspace.
    InputError
        Bad input, or another run uses the workspace.
    """
    return _Run(recipe, workspace_of(recipe, workspace), resume, verbose, observe).run()


def workspace_of(recipe: Recipe, folder: str | Path | None = None) -> Workspace:
    """Return the workspace of a recipe: the one that is named, or ``runs/NAME``."""
    return Workspace(RUNS / recipe.name if folder is None else Path(folder))


def plan_recipe(recipe: Recipe, workspace: str | Path | None = None) -> tuple[Planned, ...]:
    """Say what a run would do, from the recipe and the records of the workspace alone; writes nothing.

    Parameters
    ----------
    recipe
        From `load_recipe`.
    workspace
        As in `run_recipe`.
    """
    place = workspace_of(recipe, workspace)
    known: dict[str, StageRecord] = {}
    planned: list[Planned] = []
    for stage in recipe.stages:
        record = place.record(stage)
        if record is None:
            planned.append(Planned(stage, "run", "not done yet", None))
            continue
        source = None
        if stage == "load" and recipe.data is not None:
            stamp = source_stamp(recipe.data)
            if stamp is None or stamp != record.facts.get("stamp"):
                planned.append(Planned(stage, "compare", "reused if the data are as before", record.seconds))
                continue
            source = str(record.facts.get("source"))
        needed = released_stages(recipe) if stage == "publish" else reads(recipe, stage)
        unknown = [name for name in needed if name not in known]
        if unknown:
            why = f"reused if what {' and '.join(unknown)} made comes out as before"
            planned.append(Planned(stage, "compare", why, record.seconds))
            continue
        why = what_changed(record.parts, _parts(recipe, stage, known, source))
        if not why:
            known[stage] = record
        planned.append(Planned(stage, "run" if why else "reuse", why or "unchanged", record.seconds))
    return tuple(planned)


def _parts(recipe: Recipe, stage: str, inputs: Mapping[str, StageRecord], source: str | None) -> dict[str, Any]:
    """Return everything that a stage depends on."""
    return release_parts(recipe, inputs) if stage == "publish" else stage_parts(recipe, stage, inputs, source)


class _Run:
    """One run, and what is known so far."""

    def __init__(
        self, recipe: Recipe, workspace: Workspace, resume: bool, verbose: bool, observe: Callable[[Event], None]
    ) -> None:
        self.recipe, self.workspace = recipe, workspace
        self.resume, self.verbose, self.observe = resume, verbose, observe
        self.records: dict[str, StageRecord] = {}
        self.statuses: dict[str, str] = {}
        self.checked = False
        self.started, self.clock = _now(), time.perf_counter()

    def run(self) -> RunResult:
        """Run all stages under the lock of the workspace, and keep the manifest up to date."""
        if self.recipe.data is None:
            raise InputError(f"the recipe {self.recipe.name!r} names no data", remedy="Add --set data=TABLE.")
        check_places(self.recipe, self.workspace)
        with self.workspace.locked():
            try:
                for stage in self.recipe.stages:
                    if stage == "publish":
                        self._require_gates()
                    self._stage(stage)
                self._require_gates()
            except GateError as error:
                self._end("gate not met", str(error))
                raise
            except KeyboardInterrupt:
                self._end("interrupted", "")
                raise
            except BaseException as error:
                self._end("failed", str(error))
                raise
            content = self._end("finished", "")
        reused = tuple(stage for stage, status in self.statuses.items() if status == "reused")
        return RunResult(self.workspace.root, self.records, reused, content)

    # -- one stage ----------------------------------------------------------------------------------------------------

    def _stage(self, stage: str) -> None:
        source = source_hash(str(self.recipe.data)) if stage == "load" else None
        parts = _parts(self.recipe, stage, self.records, source)
        record = self.workspace.record(stage)
        why = self._why(stage, parts, record, source)
        if record is not None and not why:
            self._done(record, "reused")
        else:
            self._check_before(stage)
            if stage == "fit" and self.recipe.privacy is not None:
                self._check_private()  # while the record of the fit before is still there: it may have cost a budget
            self.observe(Event(stage, "running", why))
            self._done(self._made(stage, parts, source), "done")
        if stage == "load":
            check_roles(self.recipe, list(self.records["load"].facts["columns"]))

    def _why(self, stage: str, parts: Mapping[str, Any], record: StageRecord | None, source: str | None) -> str:
        """Say why a stage has to run; empty where what it made before can be used."""
        if record is None:
            return "not done yet"
        if stage == "load" and source is None:
            return "a database is read every time"
        changed = what_changed(record.parts, parts)
        if changed:
            return changed
        damage = self.workspace.damage(record) or (missing(record) if stage == "publish" else "")
        if damage:
            return damage
        expires = record.facts.get("expires")
        if expires is not None and _now()[:10] > str(expires):
            return f"the audit counted until {expires}"
        return ""

    def _check_before(self, stage: str) -> None:
        """Before the first stage that runs: refuse settings of later ones that cannot be."""
        if self.checked:
            return
        self.checked = True
        coming = set(self.recipe.stages[self.recipe.stages.index(stage) :])
        if coming & _JUDGES:
            from synthkit.pipelines.judge_stages import check_judges

            check_judges(self.recipe)
        if "fit" in coming and self.recipe.privacy is not None and self.workspace.record("fit") is None:
            self._check_private()

    def _check_private(self) -> None:
        from synthkit.pipelines.model_stages import check_private

        check_private(self.recipe)

    def _made(self, stage: str, parts: Mapping[str, Any], source: str | None) -> StageRecord:
        """Run a stage and write its record."""
        self.workspace.make(stage)
        work = Work(
            stage, self.recipe, self.workspace, dict(self.records), content_hash(parts), self.resume, self.verbose,
            lambda text: self.observe(Event(stage, "note", text)),
        )  # fmt: skip
        began = time.perf_counter()
        outcome: Outcome = getattr(import_module(_MODULES[stage]), stage)(work)
        artefacts = {name: _artefact(made) for name, made in outcome.artefacts.items()}
        record = StageRecord(
            stage,
            parts,
            artefacts,
            gates=outcome.gates,
            facts=outcome.facts,
            unrepeatable=outcome.unrepeatable,
            seconds=time.perf_counter() - began,
            finished=_now(),
            versions=manifest.versions(),
        )
        if stage == "load":
            if source != source_hash(str(self.recipe.data)):
                raise DataError("the data were changed while they were read", remedy="Run it again.")
            stamp = source_stamp(str(self.recipe.data))
            record = replace(record, facts={**record.facts, "source": source, "stamp": stamp})
        self.workspace.keep(record)
        return record

    def _done(self, record: StageRecord, status: Status) -> None:
        self.records[record.stage], self.statuses[record.stage] = record, status
        self._write("running", "", None)
        artefacts = {name: one.content for name, one in record.artefacts.items()}
        self.observe(Event(record.stage, status, "", record.seconds, artefacts, record.gates))

    # -- gates and the end --------------------------------------------------------------------------------------------

    def _require_gates(self) -> None:
        """Refuse to go on when a gate is not met."""
        failed = [gate for record in self.records.values() for gate in record.gates if gate.failed]
        if not failed:
            return
        named = ", ".join(f"{gate.stage}: {gate.gate}" for gate in failed[:_MOST_NAMED])
        more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
        counted = f"{len(failed)} gates are" if len(failed) > 1 else "1 gate is"
        nothing = ", and nothing was published" if self.recipe.publish is not None else ""
        raise GateError(
            f"{counted} not met{nothing}: {named}{more}", remedy=f"The reports are in '{self.workspace.root}'."
        )

    def _end(self, status: Status, error: str) -> Mapping[str, Any]:
        """Write the manifest for the last time and tell how the run ended."""
        content: Mapping[str, Any] = {}
        if status == "finished":
            content = self._write(status, error, _now())
        else:
            with suppress(OutputError, OSError):  # the error that is on its way matters more, as when the disk is full
                content = self._write(status, error, _now())
        self.observe(Event("", status, error, time.perf_counter() - self.clock))
        return content

    def _write(self, status: str, error: str, finished: str | None) -> Mapping[str, Any]:
        content = manifest.describe(
            self.recipe, self.records, self.statuses, status=status, started=self.started, finished=finished,
            seconds=time.perf_counter() - self.clock, error=error,
        )  # fmt: skip
        write_json(self.workspace.root / "manifest.json", content)
        return content


def _artefact(made: Path | Made) -> Artefact:
    return Artefact.of(made) if isinstance(made, Path) else Artefact.of(made.path, made.content)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
