"""What a stage is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthkit.pipelines.settings import Recipe
from synthkit.pipelines.workspace import GateResult, StageRecord, Workspace

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.random import RandomSource
    from synthkit.schema import Schema


@dataclass(frozen=True)
class Made:
    """A file that a stage wrote.

    Attributes
    ----------
    path
        Where, in the folder of the stage.
    content
        Hash of what it says where that is not the hash of its bytes.
    """

    path: Path
    content: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a stage gives back; the fields are those of `StageRecord`."""

    artefacts: Mapping[str, Path | Made]
    gates: tuple[GateResult, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    unrepeatable: str = ""


@dataclass(frozen=True)
class Work:
    """What a stage is given.

    Attributes
    ----------
    stage
        Its name.
    recipe
        The whole recipe.
    workspace
        Where artefacts lie.
    inputs
        Records of the stages that ran before, by name.
    key
        Hash of all that the stage depends on.
    resume
        Whether to go on where a killed run stopped in the middle of the stage.
    verbose
        Whether progress is shown on standard error.
    tell
        Takes a line of progress.
    """

    stage: str
    recipe: Recipe
    workspace: Workspace
    inputs: Mapping[str, StageRecord]
    key: str
    resume: bool = False
    verbose: bool = False
    tell: Callable[[str], None] = lambda text: None

    @property
    def settings(self) -> Any:
        """The settings of the stage."""
        return getattr(self.recipe, self.stage)

    @property
    def random(self) -> RandomSource:
        """Random numbers of the stage."""
        from synthkit.random import RandomSource

        return RandomSource(self.recipe.seed).child(self.stage)

    def place(self, name: str) -> Path:
        """Return where to write a file."""
        return self.workspace.folder(self.stage) / name

    def path(self, stage: str, artefact: str) -> Path:
        """Return where an artefact of an earlier stage lies."""
        return self.workspace.file(self.inputs[stage], artefact)

    def table(self, stage: str, artefact: str = "table") -> pd.DataFrame:
        """Read a table of an earlier stage."""
        from synthkit.io import read_table

        return read_table(self.path(stage, artefact))

    def training(self) -> pd.DataFrame:
        """Read the rows that may be learned from: all that are not held out."""
        return self.table("split", "train") if "split" in self.inputs else self.table("load")

    def holdout(self) -> pd.DataFrame | None:
        """Read the held-out rows, if there are any."""
        return self.table("split", "holdout") if "split" in self.inputs else None

    def schema(self) -> Schema | None:
        """Read the schema, if the recipe has one made."""
        from synthkit.schema import Schema

        return Schema.load(self.path("inspect", "schema")) if "inspect" in self.inputs else None
