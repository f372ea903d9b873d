"""The stages that only look at real rows: load, split, inspect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import DataError, InputError
from synthkit.io import read_table, write_table
from synthkit.pipelines.keys import ROW, check_roles
from synthkit.pipelines.settings import InspectSettings, LoadSettings, Recipe, SplitSettings
from synthkit.pipelines.work import Outcome, Work
from synthkit.schema import Schema

if TYPE_CHECKING:
    from synthkit.random import RandomSource

_MOST_CLASSES = 50  # distinct values above which a target is a number to predict rather than a class


def load(work: Work) -> Outcome:
    """Read the table once; everything after works on what was read here."""
    settings: LoadSettings = work.settings
    if work.recipe.data is None:
        raise InputError("the recipe names no data", remedy="Add --set data=TABLE.")
    frame = read_table(work.recipe.data, columns=list(settings.columns) or None)
    names = [str(name) for name in frame.columns]
    check_roles(work.recipe, names)
    place = work.place("table.parquet")
    write_table(frame, place)
    return Outcome({"table": place}, facts={"rows": len(frame), "columns": names})


# -------------------- split


def split(work: Work) -> Outcome:
    """Hold rows out, in the order of the table."""
    settings: SplitSettings = work.settings
    frame, recipe, privacy = work.table("load"), work.recipe, work.recipe.privacy
    person = privacy.unit if privacy is not None and privacy.unit != ROW else recipe.person
    how = "by class"
    if privacy is not None:
        how = "each by itself"
        held = held_each(frame[person] if person else frame, settings.test, work.random, by_value=person is not None)
    elif person is not None:
        how = "by person"
        held = held_persons(frame[person], settings.test, work.random)
    else:
        classes = frame[recipe.target] if recipe.target and settings.stratify else None
        if classes is None or classes.nunique() > _MOST_CLASSES:
            how, classes = "at random", None
        held = held_rows(len(frame), settings.test, work.random, classes)
    if held.all() or not held.any():
        raise DataError(
            f"a share of {settings.test:g} holds out {int(held.sum())} of {len(held)} rows, expected some and not all",
            remedy="Set split.test to another share, or leave the stage split out.",
        )
    artefacts = {}
    for name, rows in (("train", ~held), ("holdout", held)):
        artefacts[name] = work.place(f"{name}.parquet")
        write_table(frame[rows].reset_index(drop=True), artefacts[name])
    return Outcome(artefacts, facts={"train": int((~held).sum()), "holdout": int(held.sum()), "split": how})


def held_rows(rows: int, share: float, random: RandomSource, classes: pd.Series | None = None) -> NDArray[np.bool_]:
    """Choose rows at random, the same share of each class.

    Parameters
    ----------
    rows
        How many there are.
    share
        Share to hold out.
    random
        Random numbers.
    classes
        Class of each row ``[rows]``; missing is a class too. None for no classes.

    Returns
    -------
    array [rows]
        Whether a row is held out. ``round(share x rows)`` are, of each class as near to that as whole rows can be; a
        class of one row is never held out.
    """
    numbers = random.numpy("rows").random(rows)
    codes = np.zeros(rows, np.int64) if classes is None else pd.factorize(classes, use_na_sentinel=False)[0]
    sizes = np.bincount(codes)
    order = np.lexsort((numbers, codes))
    rank = np.empty(rows)
    rank[order] = np.arange(rows) - (np.cumsum(sizes) - sizes)[codes[order]]
    # where a row stands in its class, from 0 to 1: holding out the first ones of all keeps the classes in step
    position = (rank + 0.5) / sizes[codes]
    if classes is not None:
        position[sizes[codes] == 1] = np.inf
    held = np.zeros(rows, np.bool_)
    held[np.lexsort((numbers, position))[: round(share * rows)]] = True
    return held


def held_persons(persons: pd.Series, share: float, random: RandomSource) -> NDArray[np.bool_]:
    """Choose persons at random and hold out all of their rows; rows without a person are one person each."""
    codes, labels = pd.factorize(persons)
    alone = codes < 0
    codes = codes.copy()
    codes[alone] = len(labels) + np.arange(int(alone.sum()))
    count = len(labels) + int(alone.sum())
    chosen = np.zeros(count, np.bool_)
    chosen[random.numpy("persons").permutation(count)[: round(share * count)]] = True
    held: NDArray[np.bool_] = chosen[codes]
    return held


def held_each(
    values: pd.DataFrame | pd.Series, share: float, random: RandomSource, *, by_value: bool = False
) -> NDArray[np.bool_]:
    """Decide for each record by itself whether it is held out, from what is in it.

    Whether others are in the table, and how many, changes nothing for a record. So tables that differ by one record
    still do so after the split, which a privacy budget of the rows that are left relies on.

    Parameters
    ----------
    values
        Records ``[n_rows]``. Equal ones are told apart by their number.
    share
        Chance of each to be held out.
    random
        Random numbers.
    by_value
        Equal ones share their fate: values name persons.
    """
    own = pd.util.hash_pandas_object(values, index=False).to_numpy()
    number = np.zeros(len(own), np.int64) if by_value else pd.Series(own).groupby(own).cumcount().to_numpy()
    salt = np.full(len(own), random.integer("records"), np.int64)
    mixed = pd.DataFrame({"own": own, "number": number, "salt": salt})
    drawn = pd.util.hash_pandas_object(mixed, index=False).to_numpy()
    held: NDArray[np.bool_] = drawn < np.uint64(share * 2**64)
    return held


# -------------------- inspect


def inspect(work: Work) -> Outcome:
    """Describe the columns, from the rows that may be learned from; under a privacy budget from the recipe alone."""
    settings: InspectSettings = work.settings
    recipe, privacy = work.recipe, work.recipe.privacy
    if settings.schema_file is None:
        schema = Schema.infer(work.training(), target=recipe.target, overrides=settings.columns or None)
        source = "proposed"
    else:
        if settings.columns:
            raise InputError(
                "inspect.columns changes a proposed schema, and inspect.schema names one", remedy="Edit that file."
            )
        schema = Schema.load(settings.schema_file)
        source = "given"
        if privacy is None:
            schema.check(work.training())
    schema = schema.with_roles(
        target=recipe.target,
        sensitive=recipe.sensitive,
        quasi_identifiers=recipe.quasi_identifiers,
        person_key=recipe.person,
    )
    if privacy is not None:
        schema = with_records(schema, recipe)
    place = work.place("schema.yaml")
    schema.save(place)
    return Outcome({"schema": place}, facts={"schema": source})


def with_records(schema: Schema, recipe: Recipe) -> Schema:
    """Return a declared schema with the public number of records that are left after the split; nothing is counted."""
    privacy = recipe.privacy
    records = schema.records if privacy is None or privacy.records is None else privacy.records
    if records is not None and recipe.split is not None:
        records = max(1, round(records * (1 - recipe.split.test)))
    return replace(schema, records=records)
