"""The linter of private tables: compares what is in a model file with what was declared and what was bought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from synthkit.phrases import counted, some_named
from synthkit.privacy.budget import ROW
from synthkit.privacy.lint_checks import CHECKS
from synthkit.privacy.linter import (
    Check,
    LintReport,
    Verdict,
    failed,
    is_digest,
    passed,
    run_checks,
    skipped,
)
from synthkit.privacy.private_model import PrivateModel
from synthkit.schema import Column
from synthkit.tables.declared import bought_levels, bounds_of, is_modelled, schema_digest, special_numbers
from synthkit.tables.packing import unpack
from synthkit.tables.scale import NumberScale
from synthkit.tables.statistics import is_number

_TENSORS = frozenset({"encoder", "layout", "codes", "network"})
_MANIFEST = frozenset(
    {"kind", "settings", "encoder", "report", "privacy", "network", "format", "format_version", "created_with", "files"}
)
_REPORT = frozenset(
    {"columns", "rows", "interrupted", "codes", "pairs", "symbols", "split_by", "stages", "critic", "constraints"}
)
_NOT_IN_SETTINGS = ("digest", "fingerprint", "hash", "checksum", "sha256")
_UNLIKELY = 1e-4
_WHOLE = 1e-6
_TELLING = 4  # columns: of two, the noise of both adds up to nothing in one fit of a hundred

Arrays = Mapping[str, NDArray[Any]]


def lint(model: PrivateModel | str | Path) -> LintReport:
    """Check a private table model, or its file.

    Parameters
    ----------
    model
        An opened model, or the path of its file.

    Raises
    ------
    PrivacyError
        The model was fitted without a budget.
    ModelFileError
        It is no model file, or damaged.
    """
    opened = model if isinstance(model, PrivateModel) else PrivateModel.open(model)
    return run_checks(opened, CHECKS, TABLE_CHECKS)


# -- checks -----------------------------------------------------------------------------------------------------------


def parts(model: PrivateModel) -> Verdict:
    """The file holds the parts that a private fit writes and no others: no trees, no chains, no rows."""
    archive = model.archive
    odd = sorted(set(archive.tensors) - _TENSORS) + sorted(archive.texts) + sorted(set(archive.manifest) - _MANIFEST)
    if odd:
        return failed(f"it holds {some_named(odd)}, which a private fit never writes")
    return passed(f"arrays of {', '.join(sorted(archive.tensors))}; no trees, chains or rows")


def declared(model: PrivateModel) -> Verdict:
    """The schema is declared, and is the one whose digest was recorded."""
    schema = model.schema()
    if schema.domain != "declared":
        return failed(f"the schema says 'domain: {schema.domain}': its bounds were read from the data")
    record = model.privacy["declared"]
    if record["columns"] != schema.names:
        return failed("its columns are not those that were declared")
    digest = schema_digest(schema, model.bought("categories"))
    if digest != record["schema_sha256"]:
        return failed("its SHA-256 is not the recorded one: bounds or categories were changed after the fit")
    return passed(f"declared, and unchanged since the fit (SHA-256 {digest[:12]}...)")


def measured(model: PrivateModel) -> Verdict:
    """Everything that the model knows of the data has an event, over as many tables as were counted."""
    schema, ledger = model.schema(), model.ledger()
    columns = [column for column in schema if is_modelled(column, ledger.budget.unit)]
    held = {name for name, _, _ in _codecs(model)}
    by_name = {event.name: event for event in ledger.events}
    levels = {column.name: len(bought_levels(column)) for column in columns if is_number(column)}
    bins = sum(levels.values())
    pairs = len(columns) * (len(columns) - 1) // 2
    anchored = model.privacy["engine"] != "dp-sgd"
    needed = {"margins": len(columns), "bins": bins, "pairs": pairs if anchored else 0}
    for name, blocks in needed.items():
        if blocks and name not in by_name:
            return failed(f"the model holds counts of {blocks:,} tables without an event '{name}'")
        if blocks and by_name[name].details.get("blocks") != blocks:
            found = by_name[name].details.get("blocks")
            return failed(f"the event '{name}' accounts for {found} tables, the schema asks for {blocks:,}")
    unexpected = sorted({name for name, _, _ in _codecs(model)} - set(schema.names))
    if unexpected:
        return failed(f"the model holds columns that the schema lacks: {some_named(unexpected)}")
    listed = set(model.bought("bins"))
    if listed != {name for name, depth in levels.items() if depth}:
        return failed("the columns whose bins were bought are not those whose bins the schema leaves open")
    tables = f"{counted(pairs, 'pair')}, {counted(bins, 'level')} of bins"
    return passed(f"{len(columns)} of {counted(len(held), 'column')} measured, {tables}")


def unit_left_out(model: PrivateModel) -> Verdict:
    """Nothing is known of the column that names the unit."""
    unit = model.budget().unit
    if unit == ROW:
        return skipped("the unit is a row")
    schema = model.schema()
    for name, fields, arrays in _codecs(model):
        if name == unit and fields["codec"] != "number":
            return failed(f"the model lists values of {unit!r}")
        if name == unit and not _made_up(schema[name], arrays, model.privacy.get("records")):
            return failed(f"the numbers of {unit!r} in the model do not follow from the schema")
    return passed(f"new values of {unit!r} are made up from the schema")


def bounds(model: PrivateModel) -> Verdict:
    """Bins of numbers cover the declared bounds exactly, and point masses are declared special values."""
    schema = model.schema()
    looked_at = 0
    for name, fields, arrays in _codecs(model):
        column = schema[name]
        if fields["codec"] != "number" or column.type in ("constant", "identifier"):
            continue
        looked_at += 1
        low, high = bounds_of(column)
        lowest, highest = arrays["lowest"], arrays["highest"]
        if len(lowest) and (lowest.min() < low or highest.max() > high):
            return failed(
                f"bins of {name!r} reach from {lowest.min()} to {highest.max()}, declared are {low} to {high}"
            )
        if len(lowest) and (lowest.min() != low or highest.max() != high):
            return failed(
                f"bins of {name!r} end inside the declared bounds, at {lowest.min()} or {highest.max()}: a value"
            )
        scale = NumberScale(column)
        allowed, points = sorted(special_numbers(column).tolist()), sorted(arrays["specials"].tolist())
        if points != allowed or fields["n_sentinels"] != len(set(column.sentinels)):
            return failed(f"{name!r} has the point masses {points}, the schema allows {allowed}")
        gaps = lowest[1:] != highest[:-1] + 1 if scale.integral else lowest[1:] != np.nextafter(highest[:-1], np.inf)
        if bool(np.any(gaps)) or fields["step"] != 1:
            return failed(f"bins of {name!r} leave out numbers within the bounds, which tells where there are none")
    return (
        passed(f"bins of {counted(looked_at, 'column')} cover their declared bounds")
        if looked_at
        else skipped("no numbers")
    )


def labels(model: PrivateModel) -> Verdict:
    """Labels are the declared or bought ones, all of them, so that none tells by its absence."""
    schema = model.schema()
    seen = 0
    for name, fields, _ in _codecs(model):
        column = schema[name]
        if fields["codec"] != "label":
            continue
        seen += 1
        known = {_key(label) for label in column.categories or ()}
        held = [_key(label) for label in fields["labels"]]
        new, absent = sorted(set(held) - known), sorted(known - set(held))
        if new or absent or len(held) != len(known):
            what = f"has {some_named(new)} besides" if new else f"lacks {some_named(absent)} of"
            return failed(f"column {name!r} {what} what was declared or bought")
        if fields["declared"] is not None and {_key(label) for label in fields["declared"]} != known:
            return failed(f"column {name!r} restores categories that are neither declared nor bought")
    return (
        passed(f"labels of {counted(seen, 'column')} are the declared or bought ones") if seen else skipped("no labels")
    )


def counts(model: PrivateModel) -> Verdict:
    """Counts of labels have noise: sums over the columns differ as much as the noise says.

    Counted exactly, the labels of every column add up to the number of rows. With noise of standard deviation sigma on
    k labels the sum is off by sigma sqrt(k).
    """
    event = next((event for event in model.ledger().events if event.name == "margins"), None)
    unit = model.budget().unit
    schema = model.schema()
    totals, sizes = [], []
    for name, fields, arrays in _codecs(model):
        if fields["codec"] != "label" or not is_modelled(schema[name], unit):
            continue
        own = arrays["counts"]
        if own.dtype.kind != "i" or (len(own) and own.min() < 1):
            return failed(f"counts of {name!r} are not whole numbers from 1")
        totals.append(float(own.sum()) + fields["missing"])
        sizes.append(len(own) + schema[name].nullable)
    if len(totals) < 2:
        return skipped("it takes two columns of labels to see noise in their sums")
    if event is None or event.noise_multiplier is None:
        return failed("counts of labels without an event 'margins'")
    variances = np.array(sizes) * (event.noise_multiplier * event.sensitivity) ** 2
    mean = np.average(totals, weights=1 / variances)
    # sums are whole numbers: equal ones may differ by half a row, which is the least that can be seen
    least = float((0.25 / variances).sum())
    spread = max(float((((np.array(totals) - mean) ** 2) / variances).sum()), least)
    if chi2.cdf(least, len(totals) - 1) > _UNLIKELY:
        return skipped(f"{len(totals)} columns of labels are too few to see noise of this size in their sums")
    if chi2.cdf(spread, len(totals) - 1) < _UNLIKELY:
        return failed(f"the counts of {len(totals)} columns add up to nearly the same number: they have no noise")
    return passed(f"the counts of {len(totals)} columns differ in their sums as noise makes them")


def shares(model: PrivateModel) -> Verdict:
    """Shares of symbols are no whole numbers of rows in all columns, as they would be without noise.

    Noise is whole too, so that a column may come out whole by chance, and two of them once in a hundred fits: where
    noisy counts add up to the number of rows. Counted exactly, all columns do.
    """
    layout = model.archive.tensors["layout"]
    columns = np.split(layout["share"].astype(np.float64), np.cumsum(layout["sizes"])[:-1])
    telling = [own[own > 0] for own in columns if (own > 0).sum() > 1]
    symbols = counted(sum(map(len, telling)), "symbol")
    if len(telling) < _TELLING:
        return skipped(f"it takes {_TELLING} columns of two values or more to see noise in their shares")
    candidates = {model.privacy.get("records"), model.manifest["report"].get("rows")} - {None}
    for rows in sorted(candidates):
        scaled = [own * rows for own in telling]
        whole = [bool(np.all(np.abs(own - np.rint(own)) < _WHOLE * np.maximum(own, 1.0))) for own in scaled]
        if all(whole):
            return failed(
                f"the shares of all symbols are whole numbers of {rows:,} rows: they were counted without noise"
            )
    return passed(f"the shares of {symbols} are no whole numbers of rows")


def identifiers(model: PrivateModel) -> Verdict:
    """Identifiers are made up from the schema; how many are missing is not known."""
    schema = model.schema()
    records = model.privacy.get("records")
    generated = model.manifest["encoder"]["generated"]
    for own in generated:
        if own["missing_share"] != 0:
            share, name = own["missing_share"], own["name"]
            return failed(f"the share of missing cells of {name!r} is {share:.4g}: it was counted")
    found = len(generated)
    for name, fields, arrays in _codecs(model):
        if schema[name].type != "identifier":
            continue
        found += 1
        if fields["codec"] != "number" or not _made_up(schema[name], arrays, records):
            return failed(f"the identifiers of {name!r} do not follow from the schema")
    return (
        passed(f"{counted(found, 'column')} of identifiers, made up from the schema")
        if found
        else skipped("no identifiers")
    )


def cells(model: PrivateModel) -> Verdict:
    """How cells were stored in the data is not remembered."""
    odd = [name for name, fields, _ in _codecs(model) if fields["blank_is_none"]]
    if odd:
        return failed(f"the model remembers how missing cells of {some_named(odd)} were stored")
    return passed("nothing is remembered of how cells were stored")


def settings(model: PrivateModel) -> Verdict:
    """The settings are settings: no digest of the data among them."""
    stored = model.manifest["settings"]
    odd = [name for name in stored if any(word in name.lower() for word in _NOT_IN_SETTINGS)]
    long = [name for name, value in stored.items() if isinstance(value, str) and is_digest(value)]
    if odd or long:
        return failed(f"the settings hold {some_named(odd or long)}: a digest confirms a guess of the data")
    budget = stored.get("privacy")
    if budget is not None and budget != model.budget().to_json():
        return failed("the settings name another budget than the ledger")
    return passed("settings only, no digest of the data")


def report(model: PrivateModel) -> Verdict:
    """The report tells nothing of the data that has no event: no held-out score, no exact number of rows."""
    stored = model.manifest["report"]
    odd = sorted(set(stored) - _REPORT)
    if odd:
        return failed(f"it tells {some_named(odd)}, which a private fit never reports")
    return passed("no score on held-out rows, no exact count")


TABLE_CHECKS: dict[str, Check] = {
    "parts": Check("only parts that a private fit writes", "boosted trees, chains, training rows in the file", parts),
    "schema": Check("the schema was declared", "bounds and categories read from the data", declared),
    "measured": Check("what the model knows has an event", "counts without an event", measured),
    "unit-left-out": Check("nothing is known of the unit", "identities in the model", unit_left_out),
    "bounds": Check("bins follow from bounds", "smallest and largest values of the data", bounds),
    "labels": Check("labels are declared or bought", "rare labels of the data", labels),
    "counts": Check("counts of labels have noise", "noise that was dropped", counts),
    "shares": Check("shares have noise", "exact frequencies of values", shares),
    "identifiers": Check("identifiers are made up", "ranges and gaps of real identifiers", identifiers),
    "cells": Check("nothing is known of how cells were stored", "traces of single cells", cells),
    "settings": Check("settings hold no digest", "digests that confirm a guess of the data", settings),
    "report": Check("the report tells nothing more", "scores on held-out rows, exact counts", report),
}
"""Checks of the content of a table model, in the order in which they are shown."""


# -- reading ----------------------------------------------------------------------------------------------------------


def _codecs(model: PrivateModel) -> Iterator[tuple[str, dict[str, Any], Arrays]]:
    """Name, fields and arrays of every column that the encoder holds."""
    encoder = model.manifest["encoder"]
    groups = unpack(encoder["layout"], model.archive.tensors.get("encoder", {}))
    for fields, arrays in zip(encoder["columns"], groups, strict=True):
        yield str(fields["name"]), fields, arrays


def _made_up(column: Column, arrays: Arrays, records: Any) -> bool:
    """Whether the numbers of an identifier follow from its declared bounds, or from the public number of records."""
    if len(arrays["specials"]) or len(arrays["lowest"]) != 2:
        return False
    ends = (int(arrays["lowest"].min()), int(arrays["highest"].max()))
    if column.minimum is not None and column.maximum is not None:
        low, high = bounds_of(column)
        return ends == (int(low), int(high))
    return ends == (1, 100 * (records or 1_000_000))


def _key(label: Any) -> str:
    """One spelling of a label and its type."""
    return f"{type(label).__name__} {label}"
