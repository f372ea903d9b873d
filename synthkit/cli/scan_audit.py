"""What ``synthkit audit`` does with scans."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from synthkit.cli.expression_options import kind_of_input
from synthkit.cli.judging import metric_progress, words
from synthkit.cli.kinds import HOLDS
from synthkit.errors import InputError
from synthkit.io.kinds import Kind

if TYPE_CHECKING:
    from synthkit.auditing.scans.result import ScanAudit
    from synthkit.cli.common import Source
    from synthkit.cli.scan_options import ScanOptions

SCANS: dict[str, str] = {"extractor": "scans"}
TABLES: dict[str, str] = dict.fromkeys(
    ("quasi_identifiers", "sensitive", "person", "target", "shadow", "query"), "table"
)
EXTRACTORS = ("copies", "domain", "radiomic", "imagenet", "none")


def check_kinds(kind: Kind, real: Source, others: Mapping[str, Source | None]) -> None:
    """Refuse places that hold another kind of data than the real ones.

    Raises
    ------
    InputError
        One of them does.
    """
    for part, place in others.items():
        if isinstance(place, Path) and place.exists() and kind_of_input(place) != kind:
            raise InputError(
                f"'{real}' holds {HOLDS[kind]}, and the {part} data '{place}' hold {HOLDS[kind_of_input(place)]}",
                remedy="Name one kind of data in all places.",
            )


def audit_folders(
    inputs: Mapping[str, Source],
    reading: ScanOptions,
    *,
    policy: str | None,
    extractor: str,
    model: Path | None,
    ledger: Path | None,
    raw_names: bool,
    seed: int,
    quiet: bool,
) -> ScanAudit:
    """Read the scans of an audit at the size of the synthetic ones, and attack them.

    Parameters
    ----------
    inputs
        Places by the part they play: "real", "synthetic", perhaps "held-out", and other files.
    reading
        How scans are read.
    policy
        Name or file of a policy for scans; None for no verdict.
    extractor
        One of `EXTRACTORS`.
    model, ledger
        Files with the privacy budget.
    raw_names
        Whether names of real scans are in the result.
    seed
        Seed of every draw.
    quiet
        Whether nothing is shown.

    Raises
    ------
    InputError
        Nothing can be read, or a place is no path.
    """
    from synthkit.auditing.scans.policies import load_scan_policy

    gates = None if policy is None else load_scan_policy(policy)

    from synthkit.auditing.scans.audit import audit_scans
    from synthkit.cli.scan_evaluate import read_places
    from synthkit.evaluation.provenance import describe_run

    places: dict[str, Path] = {}
    for part in ("real", "synthetic", "held-out"):
        place = inputs.get(part)
        if isinstance(place, Path):
            places[part] = place
        elif place is not None:
            raise InputError(f"the {part} data '{place}' hold no scans", remedy="Name a file or folder.")
    # before anything is read: what changes meanwhile differs from its hash, and --check says so
    origin = describe_run(words(), dict(inputs), seed=seed)
    sets = read_places(places, reading, size=None, quiet=quiet)
    with metric_progress(quiet=quiet, doing="auditing") as progress:
        found = audit_scans(
            sets["real"],
            sets["synthetic"],
            holdout=sets.get("held-out"),
            policy=gates,
            extractor=None if extractor == "none" else extractor,
            files=places["synthetic"],
            training_files=places["real"],
            model=model,
            ledger=ledger,
            seed=seed,
            raw_names=raw_names,
            progress=progress,
        )
    return dataclasses.replace(found, provenance={**found.provenance, **origin})
