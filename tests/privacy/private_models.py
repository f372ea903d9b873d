"""Small private models, fitted once for all tests, and files of them with a part changed."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthkit import TableGAN
from synthkit.archive import read_archive, write_archive
from synthkit.privacy.budget import PrivacyBudget
from synthkit.schema import Column, Schema
from synthkit.tables.packing import pack, unpack

ROWS = 1_500
LABELS = {"degree": ("none", "school", "college"), "job": ("office", "shop", "field"), "pet": ("cat", "dog", "none")}


def people(seed: int = 3) -> pd.DataFrame:
    """Made-up people with a number of each kind, labels, identifiers and a constant; two or so rows each."""
    rng = np.random.default_rng(seed)
    table = {
        "person": rng.integers(1, 900, ROWS),
        "age": rng.integers(18, 91, ROWS),
        "hours": np.round(rng.normal(37, 4, ROWS), 2),
        "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), unit="D"),
        "level": rng.choice(["low", "high"], ROWS),
        "member": rng.random(ROWS) < 0.4,
        "income": np.where(rng.random(ROWS) < 0.3, ">50K", "<=50K"),
        "code": [f"A-{number:04d}" for number in range(ROWS)],
        "country": "CH",
    }
    table |= {name: rng.choice(labels, ROWS) for name, labels in LABELS.items()}
    frame = pd.DataFrame(table)
    frame["pet"] = frame["pet"].mask(rng.random(ROWS) < 0.1)
    return frame


def declared() -> Schema:
    """What is public about them; some labels never occur."""
    labels = [
        Column(name=name, type="categorical", dtype="object", categories=(*known, "other"), nullable=name == "pet")
        for name, known in LABELS.items()
    ]
    return Schema(
        (
            Column(name="person", type="identifier", dtype="int64", minimum=1, maximum=99_999),
            Column(name="age", type="integer", dtype="int64", minimum=0, maximum=120, sentinels=(-1.0,)),
            Column(name="hours", type="continuous", dtype="float64", decimals=2, minimum=0.0, maximum=80.0),
            Column(
                name="joined",
                type="datetime",
                dtype="datetime64[ns]",
                granularity="D",
                minimum="2019-01-01",
                maximum="2025-12-31",
            ),
            Column(name="level", type="ordinal", dtype="object", categories=("low", "middle", "high")),
            Column(name="member", type="boolean", dtype="bool", categories=(False, True)),
            Column(name="income", type="categorical", dtype="object", categories=("<=50K", ">50K"), roles=("target",)),
            Column(name="code", type="identifier", dtype="object", pattern="\\A\\-9999"),
            Column(name="country", type="constant", dtype="object", categories=("CH",)),
            *labels,
        ),
        domain="declared",
        records=ROWS,
    )


@cache
def rows_model() -> bytes:
    """A model whose unit is a row and in which only bins are bought."""
    return _fitted(declared(), privacy=PrivacyBudget(1.0, 1e-5))


@cache
def persons_model() -> bytes:
    """A model whose unit is a person with two rows, the second release of a ledger; labels and records are bought."""
    schema = dataclasses.replace(declared().replace("job", categories=None), records=None)
    budget = PrivacyBudget(1.5, 1e-5, unit="person", rows_per_unit=2)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.json"
        from synthkit.privacy.ledger import LedgerFile

        LedgerFile.create(ledger, dataclasses.replace(budget, epsilon=4.0), "people")
        for _ in range(2):
            data = _fitted(schema, privacy=budget, buy=("records", "categories"), ledger=ledger)
    return data


@cache
def open_model() -> bytes:
    """A model whose noise can be repeated."""
    return _fitted(declared(), privacy=PrivacyBudget(1.0, 1e-5), reproducible_noise=1)


def _fitted(schema: Schema, **options: Any) -> bytes:
    # nothing here looks at the quality of the rows, so that training may stop at once
    gan = TableGAN(random_state=0, verbose=False, time_budget=0.1, **options).fit(people(), schema=schema)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.synth"
        gan.save(path)
        return path.read_bytes()


class Parts:
    """The parts of a model file, to be changed."""

    def __init__(self, path: Path) -> None:
        archive = read_archive(path)
        self.manifest = copy.deepcopy(archive.manifest)
        self.tensors = {group: {key: own.copy() for key, own in one.items()} for group, one in archive.tensors.items()}
        self.texts = dict(archive.texts)
        encoder = self.manifest["encoder"]
        groups = unpack(encoder["layout"], self.tensors["encoder"])
        names = [fields["name"] for fields in encoder["columns"]]
        self.arrays = {
            name: {key: own.copy() for key, own in group.items()} for name, group in zip(names, groups, strict=True)
        }

    @property
    def privacy(self) -> dict[str, Any]:
        return self.manifest["privacy"]

    @property
    def ledger(self) -> dict[str, Any]:
        return self.privacy["ledger"]

    def codec(self, name: str) -> dict[str, Any]:
        return next(fields for fields in self.manifest["encoder"]["columns"] if fields["name"] == name)

    def column(self, name: str) -> dict[str, Any]:
        return next(fields for fields in self.manifest["encoder"]["schema"]["columns"] if fields["name"] == name)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Events that were planned and that were spent, of a name if one is given."""
        listed = [*self.ledger["planned"], *self.ledger["events"]]
        return [event for event in listed if name is None or event["name"] == name]

    def write(self, path: Path) -> None:
        layout, packed = pack(list(self.arrays.values()))
        self.manifest["encoder"]["layout"] = layout
        write_archive(path, self.manifest, tensors=self.tensors | {"encoder": packed}, texts=self.texts)


def changed(data: bytes, folder: Path, change: Callable[[Parts], object]) -> Path:
    """Write a model file with something changed, as somebody would who knows the format; checksums are right."""
    path = folder / "changed.synth"
    path.write_bytes(data)
    parts = Parts(path)
    change(parts)
    parts.write(path)
    return path
