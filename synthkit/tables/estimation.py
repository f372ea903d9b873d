"""From a table and the settings of a `TableGAN` to what was fitted: openly, or under a privacy budget."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from synthkit.errors import ConditionError, PrivacyError
from synthkit.gan.running import seed_for, trainer_for
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables.constraints import learned_constraints
from synthkit.tables.drawing import Draw
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import FittedTable
from synthkit.tables.fitting import TableFit
from synthkit.tables.plan import FitPlan, settings_fingerprint

_PROBED = 500  # rows drawn after a fit to state the acceptance


def fit_openly(
    frame: pd.DataFrame,
    schema: Schema,
    settings: Mapping[str, Any],
    plan: FitPlan,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> FittedTable:
    """Fit without a budget of privacy.

    Parameters
    ----------
    frame
        The training table.
    schema
        Its description; combinations "seen" in training are listed in that of the result.
    settings
        Those of a `TableGAN`.
    plan
        What to do.
    checkpoint
        Where to keep the state of the fit.
    resume
        Go on from the checkpoint if there is one.

    Raises
    ------
    InputError
        The table does not conform to the schema or violates its constraints, or a checkpoint of another fit.
    """
    schema.check(frame)
    schema = learned_constraints(schema, frame)
    _warn_of_free_text(schema)
    random = RandomSource(seed_for(settings["random_state"], checkpoint if resume else None))
    fingerprint = settings_fingerprint(plan, random.seed, _digest(frame))
    with trainer_for(settings, checkpoint, fingerprint, resume=resume) as trainer:
        trainer.message(f"encoding {len(frame):,} rows of {len(schema)} columns")
        encoder = TableEncoder().fit(frame, schema)
        encoded = encoder.encode(frame, rng=random.numpy("encoding"))
        fitted = TableFit(plan, encoder, encoded, random, trainer).run()
        seconds = trainer.seconds
    about = {"rows": len(frame), "columns": len(schema), "seconds": round(seconds, 1)}
    fitted.report = {**about, **fitted.report} | acceptance_report(fitted, random)
    return fitted


def fit_under_budget(
    frame: pd.DataFrame, schema: Schema | None, settings: Mapping[str, Any], plan: FitPlan, *, resume: bool = False
) -> FittedTable:
    """Fit under a budget of privacy; parameters as in `fit_openly`.

    Privacy
    -------
    Constraints are public knowledge, as everything in a declared schema. They are not checked against the training
    rows, and combinations must be listed; rows are left out of samples by looking at samples alone.
    """
    # the accountants take a second to import, which a fit without a budget need not wait for
    from synthkit.tables.private import fit_private

    if resume:
        raise PrivacyError(
            "a fit under a budget keeps no checkpoint and cannot be resumed", remedy="fit again; it takes a minute"
        )
    if schema is not None:
        _warn_of_free_text(schema)
    with trainer_for(settings) as trainer:
        fitted = fit_private(frame, schema, settings, plan, trainer)
    fitted.report |= acceptance_report(fitted, RandomSource(settings["random_state"]))
    return fitted


def acceptance_report(fitted: FittedTable, random: RandomSource) -> dict[str, Any]:
    """What share of the model's rows satisfies the constraints, found by drawing some; empty without constraints."""
    if not fitted.encoder.schema.constraints:
        return {}
    draw = Draw(fitted, None, random.child("constraints"))
    rows = max(1, min(_PROBED, fitted.report.get("rows", _PROBED)))  # more rows than there were may lack keys
    try:
        draw.frame(rows)
    except ConditionError as error:
        warnings.warn(f"{rows} rows could not be drawn from this model: {error}", UserWarning, stacklevel=4)
    return {"constraints": draw.tally.result().to_json()}


def _warn_of_free_text(schema: Schema) -> None:
    dropped = [column.name for column in schema if column.type == "text"]
    if dropped:
        warnings.warn(
            f"free text is not modelled: {', '.join(map(repr, dropped))} will be absent from synthetic tables",
            UserWarning,
            stacklevel=4,
        )


def _digest(frame: pd.DataFrame) -> dict[str, Any]:
    """What tells one table from another, for the checkpoint of a fit."""
    content = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
    return {"data": content, "names": [str(name) for name in frame.columns]}
