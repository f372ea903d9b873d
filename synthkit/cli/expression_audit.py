"""What ``synthkit audit`` does with gene expression."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from synthkit.cli.judging import metric_progress, words
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.auditing.expression.result import ExpressionAuditResult
    from synthkit.cli.common import Source
    from synthkit.cli.expression_options import ExpressionOptions

CELLS: dict[str, str] = dict.fromkeys(("donor", "label"), "expression")
"""Parameters of ``audit`` beside those of reading that are for gene expression, for `refuse_options`."""
_PARTS = ("real", "synthetic", "held-out")


def audit_files(
    inputs: Mapping[str, Source],
    reading: ExpressionOptions,
    *,
    donor: str | None,
    label: str | None,
    policy: str | None,
    model: Path | None,
    ledger: Path | None,
    seed: int,
    quiet: bool,
) -> ExpressionAuditResult:
    """Read the cells of an audit, and attack them.

    Parameters
    ----------
    inputs
        Places by the part they play: "real", "synthetic", perhaps "held-out", and other files.
    reading
        How expression is read; of the release only what the values are and which way round they lie.
    donor, label
        Columns of the real cells that name the donor and the type, or None.
    policy
        Name or file of a policy for gene expression; None for no verdict.
    model, ledger
        Files with the privacy budget.
    seed
        Seed of every draw.
    quiet
        Whether nothing is shown.

    Raises
    ------
    InputError
        Nothing can be read, or a place is no path.
    """
    from synthkit.auditing.expression.policies import load_expression_policy

    gates = None if policy is None else load_expression_policy(policy)

    from synthkit.auditing.expression.audit import audit_expression
    from synthkit.evaluation.provenance import describe_run

    places: dict[str, Path] = {}
    for part in _PARTS:
        place = inputs.get(part)
        if isinstance(place, Path):
            places[part] = place
        elif place is not None:
            raise InputError(f"the {part} data '{place}' hold no gene expression", remedy="Name a file or folder.")
    # before anything is read: what changes meanwhile differs from its hash, and --check says so
    origin = describe_run(words(), dict(inputs), seed=seed)
    # a released file has no layer and no table of cells of its own
    released = dataclasses.replace(reading, layer=None, cells=None)
    sets = {
        part: (released if part == "synthetic" else reading).read(place, quiet=quiet) for part, place in places.items()
    }
    with metric_progress(quiet=quiet, doing="auditing") as progress:
        found = audit_expression(
            sets["real"],
            sets["synthetic"],
            sets.get("held-out"),
            donor=donor,
            label=label,
            policy=gates,
            files=places["synthetic"],
            training_files=places["real"],
            model=model,
            ledger=ledger,
            seed=seed,
            progress=progress,
        )
    return dataclasses.replace(found, provenance={**found.provenance, **origin})
