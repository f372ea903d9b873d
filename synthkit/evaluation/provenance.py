"""Where an evaluation comes from: the command, the versions and the very bytes it looked at."""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")
_CHUNK = 1 << 20


def describe_run(command: Sequence[str], inputs: Mapping[str, Path], *, seed: int) -> dict[str, Any]:
    """Return what somebody needs who wants to repeat an evaluation, as plain values.

    Parameters
    ----------
    command
        The words of the command line.
    inputs
        Files by the part they play.
    seed
        Seed of every draw.
    """
    from synthkit import __version__

    return {
        "command": shlex.join(command),
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "seed": seed,
        "inputs": {
            part: {"file": path.name, "bytes": path.stat().st_size, "sha256": file_hash(path)}
            for part, path in inputs.items()
        },
        "versions": {"synthkit": __version__, "python": platform.python_version()}
        | {name: found for name in _LIBRARIES if (found := _version(name)) is not None},
    }


def file_hash(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
