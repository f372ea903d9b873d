"""The last stage: what may leave is copied to where it was asked for, and nothing else is ever written there.

Which file was put where is written down before the first one is replaced. So a run that is killed in between finds its
own files again, and a file that somebody else put there, or changed since, is never taken for one of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path, check_output
from synthkit.errors import OutputError
from synthkit.io import check_target, is_address, read_table, shown, write_table
from synthkit.io.source import Address
from synthkit.pipelines.settings import PublishSettings, Recipe
from synthkit.pipelines.work import Outcome, Work
from synthkit.pipelines.workspace import StageRecord, Workspace, file_hash, make_folder, write_json

_PLACES = "places.json"  # what this workspace put, or is about to put, into each place
_REPORTS = ("evaluate", "audit", "augment")


@dataclass(frozen=True)
class Release:
    """One thing to publish.

    Attributes
    ----------
    what
        "table", "holdout", "model", "certificate" or a report.
    stage, artefact
        Where it comes from.
    to
        A path, or the address of a table in a database.
    """

    what: str
    stage: str
    artefact: str
    to: str

    @property
    def address(self) -> bool:
        """Whether it goes into a database."""
        return is_address(self.to)

    @property
    def is_table(self) -> bool:
        """Whether it is written in the format of its suffix; other files are copied."""
        return self.what in ("table", "holdout")


def releases(recipe: Recipe, inputs: Mapping[str, StageRecord] | None = None) -> tuple[Release, ...]:
    """Return what a recipe publishes.

    Parameters
    ----------
    recipe
        With the stage publish.
    inputs
        Records of the stages; without them the reports, whose names are not known before, are left out.
    """
    settings = recipe.publish or PublishSettings()
    table = settings.table
    if table == "auto":
        table = "sample" if recipe.balance is None else "balance"
    found = []
    for what, stage, artefact, to in (
        ("table", table, "table", settings.to),
        ("holdout", "split", "holdout", settings.holdout),
        ("model", "fit", "model", settings.model),
    ):
        if to is not None:
            found.append(Release(what, stage, artefact, to))
    if settings.certificate is not None:
        form = Path(settings.certificate).suffix.lower().removeprefix(".")
        found.append(Release("certificate", "fit", f"certificate {form}", settings.certificate))
    if settings.reports is not None and inputs is not None:
        for stage in _REPORTS:
            record = inputs.get(stage)
            for artefact, one in (record.artefacts if record is not None else {}).items():
                found.append(Release("report", stage, artefact, str(Path(settings.reports) / one.file)))
    return tuple(found)


def check_places(recipe: Recipe, workspace: Workspace) -> None:
    """Refuse places that cannot be written to or hold what this workspace did not publish, before anything runs.

    Raises
    ------
    OutputError
        Such a place.
    InputError
        An unknown suffix, or an input.
    """
    if recipe.publish is None:
        return
    inputs = [] if recipe.data is None else [recipe.data]
    certificate = recipe.publish.certificate
    if certificate is not None and Path(certificate).suffix.lower() not in (".html", ".txt", ".json"):
        raise OutputError(
            f"publish.certificate is {certificate!r}, expected a file that ends in .html, .txt or .json",
            remedy="Name the file after what it shall be.",
        )
    own = _own_hashes(workspace)
    places: dict[str, str] = {}
    for release in releases(recipe):
        if release.to in places:
            raise OutputError(
                f"{places[release.to]} and {release.what} are both published to '{shown(release.to)}'",
                remedy="Name another file for one of them.",
            )
        places[release.to] = release.what
        if release.is_table:
            if not release.address:
                check_target(release.to, inputs=inputs)
            elif workspace.record("publish") is None:
                check_target(Address.parse(release.to))  # later the table is there because it was published
        else:
            check_output(release.to, inputs=inputs)
        if not release.address:
            _check_replaceable(recipe.publish, release.to, own)


def publish(work: Work) -> Outcome:
    """Copy what may leave; every gate was met before this is called."""
    settings: PublishSettings = work.settings
    wanted = releases(work.recipe, work.inputs)
    if settings.reports is not None:
        make_folder(Path(settings.reports))
    own = _own_hashes(work.workspace)
    staged: dict[str, Path] = {}
    for position, release in enumerate(wanted):
        if not release.address:
            _check_replaceable(settings, release.to, own)
            staged[release.to] = _stage(work, release, position)
    hashes = {to: file_hash(path) for to, path in staged.items()}
    pending = {to: sorted({sha256, *own.get(to, ())}) for to, sha256 in hashes.items()}
    write_json(work.place(_PLACES), {**own, **pending})
    published = []
    for release in wanted:
        if release.address:
            write_table(work.table(release.stage, release.artefact), Address.parse(release.to))
        else:
            with atomic_path(release.to) as temporary:
                shutil.copyfile(staged[release.to], temporary)
        sha256 = hashes.get(release.to)
        published.append({"what": release.what, "to": shown(release.to), "sha256": sha256})
        work.tell(f"{release.what}: {shown(release.to)}")
    write_json(work.place(_PLACES), {**own, **{to: [sha256] for to, sha256 in hashes.items()}})
    for path in staged.values():
        path.unlink()
    return Outcome({}, facts={"published": published, "hashes": hashes})


def missing(record: StageRecord) -> str:
    """Say which published file is not there any more; empty where all are, be they changed or not."""
    for to, sha256 in dict(record.facts.get("hashes", {})).items():
        path = Path(to)
        if not path.is_file():
            return f"{to} is missing"
        if file_hash(path) != sha256:
            return f"{to} was changed"
    return ""


def released_stages(recipe: Recipe) -> tuple[str, ...]:
    """Return the stages from which something is published."""
    found = {release.stage for release in releases(recipe)}
    if recipe.publish is not None and recipe.publish.reports is not None:
        found |= set(_REPORTS)
    return tuple(stage for stage in recipe.stages if stage in found)


def release_parts(recipe: Recipe, inputs: Mapping[str, StageRecord]) -> dict[str, Any]:
    """Return what is published where: the parts of the stage publish."""
    wanted = releases(recipe, inputs)
    return {
        "stage": "publish",
        "settings": {f"{one.what} {shown(one.to)}": one.artefact for one in wanted},
        "reads": {
            stage: {one.artefact: inputs[stage].artefacts[one.artefact].content for one in wanted if one.stage == stage}
            for stage in sorted({one.stage for one in wanted})
        },
    }


def _stage(work: Work, release: Release, position: int) -> Path:
    """Write what will be published into the workspace, in its final form."""
    source = work.path(release.stage, release.artefact)
    place = work.place(f"{position}-{Path(release.to).name}")
    if release.is_table:
        write_table(read_table(source), place)
    else:
        with atomic_path(place) as temporary:
            shutil.copyfile(source, temporary)
    return place


def _own_hashes(workspace: Workspace) -> dict[str, list[str]]:
    """Return hashes of the files that this workspace published, or was about to when it was killed, by place."""
    try:
        known: Any = json.loads((workspace.folder("publish") / _PLACES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {to: hashes for to, hashes in known.items() if isinstance(hashes, list)}


def _check_replaceable(settings: PublishSettings, to: str, own: Mapping[str, list[str]]) -> None:
    """Refuse to replace a file that this workspace did not publish, or that was changed since."""
    path = Path(to)
    if settings.overwrite or not path.exists():
        return
    if not path.is_file() or file_hash(path) not in own.get(to, ()):
        raise OutputError(
            f"'{path}' exists, and it is not what this workspace published there",
            remedy="Name another place, or allow it with --set publish.overwrite=true.",
        )
