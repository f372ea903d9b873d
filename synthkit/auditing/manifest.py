"""The manifest of an audit: SHA-256 of what was audited, of what was found, and of every report that says so.

A change of any of these files is noticed by whoever has the manifest as it was, or only its digest. It is no signature:
who can replace all files can write a new manifest too, so the digest is kept where they cannot reach it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from synthkit.archive import atomic_path
from synthkit.auditing.policy import Policy
from synthkit.auditing.report.contents import digest
from synthkit.auditing.result import FORMAT as AUDIT_FORMAT
from synthkit.auditing.result import Audit
from synthkit.errors import InputError
from synthkit.evaluation.provenance import file_hash, folder_hash, folder_size

FORMAT = "synthkit-audit-manifest"
FORMAT_VERSION = 1
State = Literal["changed", "missing", "unchanged"]
STATES: tuple[State, ...] = get_args(State)
"""What can be said of a file, worst first."""
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Checked:
    """One file of a manifest and what became of it.

    Attributes
    ----------
    part
        What it is: "report", or the part that an input plays.
    path
        Where it was looked for.
    state
        "unchanged", "changed" or "missing".
    """

    part: str
    path: Path
    state: State


@dataclass(frozen=True)
class ManifestCheck:
    """What a manifest says today.

    Attributes
    ----------
    files
        Each file that it lists, reports first.
    sha256
        SHA-256 of the manifest itself, to compare with the one that was kept elsewhere.
    audit_sha256
        Digest of the JSON form of the audit, which all reports print.
    policy
        Name of the policy; empty without one.
    passed
        Whether its gates were met; None without a policy or a gate.
    expires
        Last day on which the audit counts; None for no end.
    expired
        Whether that day has passed.
    """

    files: tuple[Checked, ...]
    sha256: str
    audit_sha256: str
    policy: str
    passed: bool | None
    expires: date | None
    expired: bool

    @property
    def wrong(self) -> tuple[Checked, ...]:
        """The files that are not what they were."""
        return tuple(file for file in self.files if file.state != "unchanged")


def manifest_path(report: Path) -> Path:
    """Return where the manifest of a report lies: ``audit.html`` has ``audit.manifest.json`` beside it."""
    return report.with_name(f"{report.stem}.manifest.json")


def write_manifest(
    path: Path, files: Mapping[str, Path] | tuple[Path, ...], audit: Audit, inputs: Mapping[str, Path] | None = None
) -> str:
    """Write the manifest of an audit, all of it or nothing, and return its digest.

    Parameters
    ----------
    path
        Where to; an existing file is replaced.
    files
        The reports that were written, by part or as they are.
    audit
        What they report. The digest of its JSON form, which every report prints, stands in the manifest too.
    inputs
        The files that were audited, by the part they play. The digest of one that is in the provenance is that of the
        bytes that were read.

    Returns
    -------
    str
        SHA-256 of the written file: what has to be kept elsewhere.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    from synthkit import __version__

    read = audit.provenance.get("inputs", {})
    reports = list(files.items() if isinstance(files, Mapping) else (("report", file) for file in files))
    policy = None if audit.policy is None else Policy.model_validate(audit.policy)
    expires = None if policy is None else policy.expires(audit.created)
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created_with": __version__,
        "created": audit.created,
        "audit": {"format": AUDIT_FORMAT, "sha256": digest(audit)},
        "policy": "" if policy is None else policy.name,
        "passed": audit.passed if policy is not None and audit.verdicts else None,
        "expires": None if expires is None else expires.isoformat(),
        "reports": [_entry(part, file, path) for part, file in reports],
        "inputs": [_entry(part, file, path, read.get(part, {}).get("sha256")) for part, file in (inputs or {}).items()],
    }
    data = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def check_manifest(path: Path, *, today: date | None = None) -> ManifestCheck:
    """Compare every file of a manifest with what it was.

    Parameters
    ----------
    path
        The manifest. Files are looked for where they lay, seen from it.
    today
        The day on which it is asked; that of the clock when None.

    Raises
    ------
    InputError
        The manifest cannot be read, or is none.
    """
    content, own = _read(path)
    try:
        files = tuple(
            _checked(str(entry["part"]), path.parent / str(entry["file"]), str(entry["sha256"]))
            for kind in ("reports", "inputs")
            for entry in content[kind]
        )
        expires = None if content["expires"] is None else date.fromisoformat(content["expires"])
        passed = content["passed"]
        if passed is not None and not isinstance(passed, bool):
            raise TypeError
        audit, policy = str(content["audit"]["sha256"]), str(content["policy"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "an entry is missing or has another form") from error
    late = expires is not None and (today or datetime.now(UTC).date()) > expires
    return ManifestCheck(files, own, audit, policy, passed, expires, late)


def _entry(part: str, file: Path, manifest: Path, sha256: str | None = None) -> dict[str, Any]:
    """Return what a manifest says of a file; its place is told seen from the manifest."""
    place = os.path.relpath(os.path.realpath(file), os.path.realpath(manifest.parent))
    return {
        "part": part,
        "file": Path(place).as_posix(),
        "bytes": folder_size(file) if file.is_dir() else file.stat().st_size,
        "sha256": sha256 or _hash(file),
    }


def _hash(path: Path) -> str:
    return folder_hash(path) if path.is_dir() else file_hash(path)


def _checked(part: str, path: Path, sha256: str) -> Checked:
    if not path.exists():
        return Checked(part, path, "missing")
    try:
        return Checked(part, path, "unchanged" if _hash(path) == sha256 else "changed")
    except OSError as error:
        raise InputError(
            f"'{path}', which the manifest lists, cannot be read: {(error.strerror or str(error)).lower()}",
            remedy="Check its permissions.",
        ) from error


def _read(path: Path) -> tuple[Mapping[str, Any], str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"the manifest '{path}' is larger than any manifest is", remedy="Name a manifest.")
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read the manifest '{path}': {reason}", remedy="Check the path.") from error
    try:
        content = json.loads(data.decode("utf-8", "surrogateescape"))  # as names of files are written
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it is not JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(path, f"its format is not '{FORMAT}'")
    version = content.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= FORMAT_VERSION:
        raise _damaged(path, f"its format version is {version!r}, and this synthkit reads 1 to {FORMAT_VERSION}")
    return content, hashlib.sha256(data).hexdigest()


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"'{path}' is no manifest of an audit: {why}", remedy="Name the .manifest.json that lies beside the reports."
    )
