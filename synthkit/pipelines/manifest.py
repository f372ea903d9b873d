"""The manifest of a run: what went in, what was done with which versions, what came out, and which gates were met."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any

from synthkit import __version__
from synthkit.io import is_address, shown
from synthkit.pipelines.settings import Recipe
from synthkit.pipelines.workspace import StageRecord, content_hash

FORMAT = "synthkit-run"
FORMAT_VERSION = 1
_LIBRARIES = (
    "numpy", "scipy", "pandas", "pyarrow", "torch", "lightgbm", "scikit-learn", "imbalanced-learn", "dp-accounting",
    "sdmetrics", "pydantic", "sqlalchemy",
)  # fmt: skip


def describe(
    recipe: Recipe,
    records: Mapping[str, StageRecord],
    statuses: Mapping[str, str],
    *,
    status: str,
    started: str,
    finished: str | None,
    seconds: float,
    error: str = "",
) -> dict[str, Any]:
    """Return the manifest as plain values.

    Parameters
    ----------
    recipe
        With everything that was set on the command line.
    records
        Of the stages that are done, by name.
    statuses
        "done" or "reused", by stage.
    status
        "running", "finished", "gate not met", "failed" or "interrupted".
    started, finished
        Times in UTC (ISO 8601); None while it runs.
    seconds
        Of this run.
    error
        What went wrong.

    Notes
    -----
    Passwords are masked, and of absolute paths only the last part is kept: the hashes say which file it was.
    """
    gates = [gate for record in records.values() for gate in record.gates]
    reasons = {name: record.unrepeatable for name, record in records.items() if record.unrepeatable}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "recipe": recipe.name,
        "status": status,
        **({"error": shown(error)} if error else {}),
        "started": started,
        "finished": finished,
        "seconds": round(seconds, 3),
        "seed": recipe.seed,
        "repeatable": not reasons,
        "why not repeatable": reasons,
        "versions": versions(),
        "config": _portable(recipe.model_dump(mode="json", by_alias=True, exclude_none=True)),
        "stages": [
            {
                "stage": name,
                "status": statuses.get(name, ""),
                "seconds": round(record.seconds, 3),
                "finished": record.finished,
                "key": record.key,
                "artefacts": {
                    what: {
                        "file": f"{name}/{one.file}", "bytes": one.bytes, "sha256": one.sha256, "content": one.content,
                    }
                    for what, one in record.artefacts.items()
                },
                "facts": _portable(dict(record.facts)),
                "versions": dict(record.versions),
            }
            for name, record in records.items()
        ],
        "gates": [{**vars(gate), "failed": gate.failed} for gate in gates],
        "artefacts": content_hash(
            {name: {what: one.content for what, one in record.artefacts.items()} for name, record in records.items()}
        ),
    }  # fmt: skip


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, synthkit and the libraries that results depend on."""
    found = {"python": platform.python_version(), "synthkit": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # optional ones
    return found


def _portable(value: Any) -> Any:
    """Return plain values without passwords and without the folders of this machine."""
    if isinstance(value, Mapping):
        return {_portable(str(name)): _portable(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(entry) for entry in value]
    if not isinstance(value, str):
        return value
    if is_address(value):
        return shown(value)
    return PurePath(value).name if value.startswith("/") and PurePath(value).name else value
