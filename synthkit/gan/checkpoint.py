"""The checkpoint file: everything that is needed to go on after a kill, in one archive that is replaced atomically."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from synthkit.archive import read_archive, write_archive
from synthkit.errors import InputError, ModelFileError
from synthkit.gan.state import Tensors, Values, to_arrays, to_tensors

KIND = "checkpoint"


@dataclass(frozen=True)
class Payload:
    """What one stage leaves behind: JSON-safe values, tensors, and texts (boosted trees in their own format)."""

    values: Values = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class Progression:
    """The contents of a checkpoint.

    Attributes
    ----------
    fingerprint
        What identifies data and settings; a resumed run must present an equal one.
    seconds
        Wall time spent so far, in seconds, over all processes.
    finished
        Payload of every finished stage by its name, in order.
    running
        Name of the stage in progress, or None between stages.
    state
        State of the stage in progress and of the trainer's own book-keeping.
    best
        Best weights so far of the stage in progress.
    """

    fingerprint: Values = field(default_factory=dict)
    seconds: float = 0.0
    finished: dict[str, Payload] = field(default_factory=dict)
    running: str | None = None
    state: Payload = field(default_factory=Payload)
    best: Mapping[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write to ``path``, replacing what is there in one rename."""
        payloads = {f"done-{index}": payload for index, payload in enumerate(self.finished.values())}
        names = {f"done-{index}": name for index, name in enumerate(self.finished)}
        groups = {group: to_arrays(payload.tensors) for group, payload in payloads.items()}
        groups["running"] = to_arrays(self.state.tensors)
        groups["best"] = to_arrays(self.best)
        stages = [
            {"group": group, "name": names[group], "values": payload.values, "texts": list(payload.texts)}
            for group, payload in payloads.items()
        ]
        texts = {
            f"{group}-text-{index}.txt": text
            for group, payload in payloads.items()
            for index, text in enumerate(payload.texts.values())
        }
        manifest: Values = {
            "kind": KIND,
            "fingerprint": self.fingerprint,
            "seconds": self.seconds,
            "stages": stages,
            "running": self.running,
            "state": self.state.values,
        }
        write_archive(path, manifest, tensors={name: group for name, group in groups.items() if group}, texts=texts)

    @classmethod
    def load(cls, path: Path) -> Progression:
        """Read a checkpoint.

        Raises
        ------
        ModelFileError
            When the file is damaged or is not a checkpoint.
        """
        archive = read_archive(path)
        manifest = archive.manifest
        if manifest.get("kind") != KIND:
            raise ModelFileError(
                f"{path} is a {manifest.get('kind', 'unknown')!r} file, expected a training checkpoint",
                remedy="give the checkpoint of the interrupted fit, or start without resume",
            )
        finished: dict[str, Payload] = {}
        for stage in manifest["stages"]:
            group = stage["group"]
            finished[stage["name"]] = Payload(
                values=stage["values"],
                tensors=to_tensors(archive.tensors.get(group, {})),
                texts={name: archive.texts[f"{group}-text-{i}.txt"] for i, name in enumerate(stage["texts"])},
            )
        return cls(
            fingerprint=manifest["fingerprint"],
            seconds=float(manifest["seconds"]),
            finished=finished,
            running=manifest["running"],
            state=Payload(values=manifest["state"], tensors=to_tensors(archive.tensors.get("running", {}))),
            best=to_tensors(archive.tensors.get("best", {})),
        )

    def require_same(self, fingerprint: Mapping[str, Any], path: Path) -> None:
        """Refuse to go on with other data or other settings than the checkpoint was made with.

        Raises
        ------
        InputError
            Naming every entry of the fingerprint that differs.
        """
        keys = sorted({*self.fingerprint, *fingerprint})
        differing = [
            f"{key} was {self.fingerprint.get(key)!r} and is now {fingerprint.get(key)!r}"
            for key in keys
            if self.fingerprint.get(key) != fingerprint.get(key)
        ]
        if differing:
            raise InputError(
                f"checkpoint {path} belongs to another fit: {'; '.join(differing)}",
                remedy="use the same data and settings, or start again without resume",
            )
