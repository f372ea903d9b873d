"""The folder of a run: what each stage made, with hashes, so that nothing is done twice and nothing damaged is used.

Every stage has a folder of its own. Its record is written last, after all its files, and taken away before the stage
runs again: a stage without a record was never finished, whatever killed it.

Two hashes are kept of a file. ``sha256`` is of its bytes, and shows whether somebody changed it. ``content`` is what
other stages and comparisons go by: of the bytes too, but for documents that carry the time at which they were made,
where it is of what they say without that time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from synthkit.archive import atomic_path
from synthkit.errors import InputError, OutputError

FORMAT = "synthkit-stage"
FORMAT_VERSION = 1
_RECORD = "record.json"
_LOCK = "lock"
_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class Artefact:
    """A file that a stage made.

    Attributes
    ----------
    file
        Its name in the folder of the stage.
    bytes
        Its size.
    sha256
        Of its bytes.
    content
        Of what it says, without the time at which it was made.
    """

    file: str
    bytes: int
    sha256: str
    content: str

    @classmethod
    def of(cls, path: Path, content: str | None = None) -> Self:
        """Return the artefact that lies at `path`; its bytes are its content where nothing else is given."""
        digest = file_hash(path)
        return cls(path.name, path.stat().st_size, digest, content or digest)


@dataclass(frozen=True)
class GateResult:
    """Whether one gate is met.

    Attributes
    ----------
    stage
        The stage that found it.
    gate
        Its name.
    status
        "met", "borderline", "not met", "not tested" or "not applicable".
    sentence
        What was compared with what.
    """

    stage: str
    gate: str
    status: str
    sentence: str

    @property
    def failed(self) -> bool:
        """Whether it stops the pipeline."""
        return self.status == "not met"


@dataclass(frozen=True)
class StageRecord:
    """What is known of a finished stage.

    Attributes
    ----------
    stage
        Its name.
    parts
        Everything that it depends on, as plain values.
    artefacts
        What it made, by name.
    gates
        Verdicts that it found.
    facts
        Plain values that later stages or readers use, such as the size and time of the source.
    unrepeatable
        Why another run would make something else; empty for a stage that can be repeated exactly.
    seconds
        How long it took.
    finished
        When (ISO 8601, UTC).
    versions
        Of what made it.
    """

    stage: str
    parts: Mapping[str, Any]
    artefacts: Mapping[str, Artefact]
    gates: tuple[GateResult, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    unrepeatable: str = ""
    seconds: float = 0.0
    finished: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Hash of everything that it depends on."""
        return content_hash(self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; KeyError, TypeError or ValueError for anything else."""
        if fields["format"] != FORMAT or fields["format_version"] != FORMAT_VERSION:
            raise ValueError("not a record of this version")
        known = {name: fields[name] for name in cls.__dataclass_fields__}
        known["artefacts"] = {name: Artefact(**entry) for name, entry in fields["artefacts"].items()}
        known["gates"] = tuple(GateResult(**entry) for entry in fields["gates"])
        return cls(**known)


class Workspace:
    """The folder of one run.

    Parameters
    ----------
    root
        Where; made when something is written for the first time.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, stage: str) -> Path:
        """Return the folder of a stage, which need not exist."""
        return self.root / stage

    def file(self, record: StageRecord, artefact: str) -> Path:
        """Return where an artefact of a finished stage lies."""
        return self.folder(record.stage) / record.artefacts[artefact].file

    def make(self, stage: str) -> Path:
        """Make the folder of a stage and forget its record: from now on it is unfinished."""
        folder = self.folder(stage)
        make_folder(folder)
        try:
            (folder / _RECORD).unlink(missing_ok=True)
            for left in folder.glob(".tmp-*"):  # of a process that was killed while it wrote
                left.unlink()
        except OSError as error:
            raise OutputError(
                f"the folder '{folder}' cannot be changed: {(error.strerror or str(error)).lower()}",
                remedy="Check its permissions, or choose another --workspace.",
            ) from error
        return folder

    def record(self, stage: str) -> StageRecord | None:
        """Return what is known of a stage; None where it was never finished, or its record is no record."""
        path = self.folder(stage) / _RECORD
        try:
            if path.stat().st_size > _MOST_BYTES:
                return None
            return StageRecord.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # whatever it is, the stage is done again

    def keep(self, record: StageRecord) -> None:
        """Write the record of a stage: from now on it is finished."""
        write_json(self.folder(record.stage) / _RECORD, record.to_dict())

    def damage(self, record: StageRecord) -> str:
        """Say which artefact is missing or was changed; empty where all are as they were written."""
        for artefact in record.artefacts.values():
            path = self.folder(record.stage) / artefact.file
            try:
                same = path.stat().st_size == artefact.bytes and file_hash(path) == artefact.sha256
            except OSError:
                return f"{artefact.file} is missing"
            if not same:
                return f"{artefact.file} was changed"
        return ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace; the lock goes free with its process, whatever becomes of it.

        Raises
        ------
        InputError
            Another run holds it.
        """
        make_folder(self.root)
        path = self.root / _LOCK
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(
                f"the workspace '{self.root}' cannot be written to: {(error.strerror or str(error)).lower()}",
                remedy="Choose another --workspace.",
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
                process = f" (process {holder})" if holder else ""
                raise InputError(
                    f"another run{process} is using the workspace '{self.root}'",
                    remedy="Wait until it is done, or choose another --workspace.",
                ) from error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and what it lies in; OutputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder '{folder}' cannot be made: {(error.strerror or str(error)).lower()}",
            remedy="Choose a place that you may write to.",
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Write plain values as JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(content: Any) -> str:
    """Return the SHA-256 of plain values, the same for any order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
