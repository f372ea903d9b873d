"""A folder of synthetic scans: written under another name and renamed when it is whole; only our own is replaced."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from synthkit.errors import InputError, OutputError

MANIFEST = "provenance.json"
FORMAT = "synthkit-scans"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_scan_folder(folder: str | Path, *, replace: bool = False) -> Path:
    """Refuse a place where no folder of scans can be written, before any work is done.

    Parameters
    ----------
    folder
        It may be missing or empty.
    replace
        Whether a folder that synthkit wrote may be replaced. No other is: it could hold real scans.

    Returns
    -------
    Path
        The real place, through symbolic links.

    Raises
    ------
    OutputError
        It is a file, holds something, or cannot be written to.
    """
    if not str(folder) or "\0" in str(folder):
        raise OutputError(f"the output path {str(folder)!r} is not a path", remedy="Name a folder.")
    target = Path(os.path.realpath(folder))
    with _errors(folder):
        if os.path.lexists(target) and not target.is_dir():
            raise OutputError(f"the output '{folder}' is a file, expected a folder", remedy="Choose another name.")
        if not target.parent.is_dir():
            raise OutputError(
                f"the folder of the output '{folder}' does not exist",
                remedy=f"Make it first: mkdir -p '{target.parent}'.",
            )
        if target.is_dir() and any(target.iterdir()):
            _check_replaceable(folder, target, replace)
        # Permissions alone do not tell (read-only file systems, the super-user): try it.
        probe = _sibling(target)
        try:
            probe.mkdir(mode=0o700)
        finally:  # after Ctrl-C too
            with suppress(FileNotFoundError):
                probe.rmdir()
    return target


@contextmanager
def new_scan_folder(folder: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder to write to, which becomes `folder` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    folder, replace
        As in `check_scan_folder`.

    Yields
    ------
    Path
        A folder beside it. What is written must include `write_manifest`, or the folder cannot be replaced later.

    Raises
    ------
    OutputError
        As in `check_scan_folder`, or the disk is full.
    """
    target = check_scan_folder(folder, replace=replace)
    temporary = _sibling(target)
    try:
        with _errors(folder):
            temporary.mkdir()
            yield temporary
            _swap(temporary, target, folder, replace)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the file that says whose folder it is, what made the scans, and every file that belongs to it."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    whole = {"format": FORMAT, "format_version": 1, "synthetic": True, **content, "files": files}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: str | Path) -> dict[str, Any] | None:
    """Return what `write_manifest` wrote into a folder, or None where the folder is not ours.

    Raises
    ------
    InputError
        The file is there and cannot be read.
    """
    path = Path(folder) / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read ({error})", remedy="Write the scans again.") from error
    return content if isinstance(content, dict) and content.get("format") == FORMAT else None


def _check_replaceable(folder: str | Path, target: Path, replace: bool) -> None:
    """Raise unless the folder may go, and holds nothing but what we wrote into it."""
    manifest = read_manifest(target)
    if manifest is None:
        raise OutputError(
            f"the output '{folder}' is a folder that holds something, and synthkit did not write it",
            remedy="Choose a new folder.",
        )
    if not replace:
        raise OutputError(
            f"the output '{folder}' holds synthetic scans already", remedy="Choose a new folder, or pass --replace."
        )
    ours = {MANIFEST, *map(str, manifest.get("files", ()))}
    foreign = next(
        (
            path
            for path in sorted(target.rglob("*"))
            if (path.is_symlink() or not path.is_dir()) and path.relative_to(target).as_posix() not in ours
        ),
        None,
    )
    if foreign is not None:
        raise OutputError(
            f"the output '{folder}' also holds '{foreign.relative_to(target)}', which synthkit did not write",
            remedy="Move it away, or choose a new folder.",
        )


def _swap(temporary: Path, target: Path, folder: str | Path, replace: bool) -> None:
    """Put the new folder in place of the old one, which stays until the new one is there."""
    if not target.exists() or not any(target.iterdir()):
        os.replace(temporary, target)
        return
    _check_replaceable(folder, target, replace)  # again: hours may have passed
    old = _sibling(target)
    os.replace(target, old)
    try:
        os.replace(temporary, target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sibling(target: Path) -> Path:
    return target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-200:]}")


@contextmanager
def _errors(folder: str | Path) -> Iterator[None]:
    """Turn what the operating system says about writing into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise OutputError(
                f"the disk is full: '{folder}' was not written", remedy="Free some space or choose another place."
            ) from error
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"the output '{folder}' cannot be written: {reason}", remedy="Choose a place that you may write to."
        ) from error
