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

from synthkit.io.source import Address, masked, shown, source_path

_LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")
_CHUNK = 1 << 20


def describe_run(command: Sequence[str], inputs: Mapping[str, Path | Address], *, seed: int) -> dict[str, Any]:
    """Return what somebody needs who wants to repeat an evaluation, as plain values.

    Parameters
    ----------
    command
        The words of the command line.
    inputs
        Sources by the part they play. Files and folders that exist are described by their hash; of a database only the
        address is known.
    seed
        Seed of every draw.
    """
    from synthkit import __version__

    return {
        "command": masked(shlex.join(command)),
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "seed": seed,
        "inputs": {part: said for part, source in inputs.items() if (said := _described(source)) is not None},
        "versions": {"synthkit": __version__, "python": platform.python_version()}
        | {name: found for name in _LIBRARIES if (found := _version(name)) is not None},
    }


def _described(source: Path | Address) -> dict[str, Any] | None:
    path = source_path(source)
    if path is None:
        return {"file": shown(source)}
    if path.is_dir():
        return {"file": path.name, "bytes": folder_size(path), "sha256": folder_hash(path)}
    if not path.is_file():
        return None
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_hash(path)}


def file_hash(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_hash(path: Path) -> str:
    """Return the SHA-256 digest of a list of all files of a folder with their digests, in hexadecimal digits."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = "".join(f"{file_hash(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()


def folder_size(path: Path) -> int:
    """Return the number of bytes of all files of a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
