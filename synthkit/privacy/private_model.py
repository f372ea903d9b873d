"""A private model as its file tells it: what the certificate and the linter read, without trusting it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from synthkit.archive import Archive, read_archive
from synthkit.errors import PrivacyError, SynthkitError
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.ledger import Ledger
from synthkit.schema import Schema

FORMAT_VERSION = 1
RECORD = frozenset(
    {
        "format_version", "ledger", "engine", "unit", "records", "bought", "declared", "noise", "critic", "created",
        "versions",
    }
)  # fmt: skip
"""What the record of privacy in a model file holds."""

_CHUNK = 1 << 20
_FIT_AGAIN = "Fit the model again under a budget."


@dataclass(frozen=True, eq=False)
class PrivateModel:
    """The file of a model that was fitted under a privacy budget.

    Ledger and schema are parsed once, however many checks ask for them.

    Attributes
    ----------
    path
        Where it lies.
    archive
        Manifest, arrays and texts; their checksums were right.
    sha256
        Of the bytes of the file, in hexadecimal digits.
    """

    path: Path
    archive: Archive
    sha256: str

    @classmethod
    def open(cls, path: str | Path) -> PrivateModel:
        """Read a model file.

        Raises
        ------
        ModelFileError
            It is no model file, or damaged.
        PrivacyError
            It is a model without a record of privacy.
        """
        path = Path(path)
        archive = read_archive(path)
        if not isinstance(archive.manifest.get("privacy"), Mapping):
            raise PrivacyError(
                f"the model '{path}' was fitted without a privacy budget: it has no ledger, and may hold anything",
                remedy="Fit it with --epsilon and --delta.",
            )
        return cls(path, archive, _digest(path))

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the file."""
        return self.archive.manifest

    @property
    def privacy(self) -> dict[str, Any]:
        """The record of privacy."""
        record: dict[str, Any] = self.manifest["privacy"]
        return record

    @property
    def kind(self) -> str:
        """What is modelled, such as "table"."""
        return str(self.manifest.get("kind"))

    @property
    def is_private(self) -> bool:
        """Whether the noise came from the operating system."""
        noise = self.privacy.get("noise")
        return isinstance(noise, Mapping) and noise.get("private") is True

    def ledger(self) -> Ledger:
        """The ledger.

        Raises
        ------
        PrivacyError
            There is none, or it cannot be read.
        """
        return self._ledger

    @cached_property
    def _ledger(self) -> Ledger:
        try:
            return Ledger.from_json(self.privacy["ledger"])
        except (KeyError, TypeError, ValueError) as error:
            raise PrivacyError(
                f"the ledger in '{self.path}' cannot be read ({type(error).__name__}: {error})", remedy=_FIT_AGAIN
            ) from error

    def budget(self) -> PrivacyBudget:
        """The budget of the ledger."""
        return self.ledger().budget

    def schema(self) -> Schema:
        """The schema of the data, bought categories filled in.

        Raises
        ------
        PrivacyError
            There is none.
        """
        return self._schema

    @cached_property
    def _schema(self) -> Schema:
        try:
            return Schema.from_dict(self.manifest["encoder"]["schema"])
        except (KeyError, TypeError, SynthkitError) as error:
            raise PrivacyError(f"the model '{self.path}' has no schema that can be read", remedy=_FIT_AGAIN) from error

    def bought(self, what: str) -> list[str]:
        """Columns whose "bins" or "categories" were bought."""
        bought = self.privacy.get("bought")
        names = bought.get(what) if isinstance(bought, Mapping) else None
        return [str(name) for name in names] if isinstance(names, list) else []


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
