"""What a report says about one audit of cells, as texts and tables without markup: HTML and Markdown print the same."""

from __future__ import annotations

import math

from synthkit.auditing.expression.report import words
from synthkit.auditing.expression.result import ExpressionAuditResult
from synthkit.auditing.expression.text import rates, worst_attack
from synthkit.auditing.records import Risk
from synthkit.auditing.report.contents import digest, moment, policy_name
from synthkit.auditing.report.released import outcome_lines
from synthkit.auditing.report.risks import attack_of, capital
from synthkit.evaluation.report.contents import DASH, Table, interval, percent, shown

_MOST_TYPES = 60


def facts(audit: ExpressionAuditResult) -> list[tuple[str, str]]:
    """Return what was audited, as pairs of a term and its value, for the head of the page."""
    return [
        ("Released cells", _count(audit, "synthetic")),
        ("Real cells", _count(audit, "real")),
        ("Held-out cells", _count(audit, "held-out")),
        ("Real donors", _donors(audit, "real")),
        ("Held-out donors", _donors(audit, "held-out")),
        ("Policy", policy_name(audit)),
        ("Audited", moment(audit.created)[:10] if audit.created else "unknown"),
        ("Digest", digest(audit)[:16]),
    ]


def summary(audit: ExpressionAuditResult) -> list[tuple[str, str]]:
    """Return what to take away before the details: what it is about, and a sentence or two."""
    lines = outcome_lines(audit, words)
    for line in (*rates(audit), *worst_attack(audit)):
        head, _, told = line.partition(": ")
        lines.append((head, capital(told)))
    return lines


def scope_table(audit: ExpressionAuditResult) -> Table:
    """Return what was audited and under which assumptions."""
    rows = (
        ("released cells", _count(audit, "synthetic")),
        ("real cells that the generator learned from", _count(audit, "real")),
        ("held-out real cells that it never saw", _count(audit, "held-out")),
        ("training cells that attacks accuse", _count(audit, "targets")),
        ("donors of the real cells", _donors(audit, "real")),
        ("donors of the held-out cells", _donors(audit, "held-out")),
        ("column of the donor", audit.donor or "none: cells are the unit"),
        ("column of the type", audit.label or "none"),
        ("level of all intervals of a family together", percent(audit.confidence)),
        ("date of the audit", moment(audit.created)),
        ("seed", str(audit.seed)),
    )
    return Table("What was audited, and as what", ("item", "value"), rows, texts=(1,))


def planted_table(audit: ExpressionAuditResult) -> Table | None:
    """Return what the audit would have found."""
    rows = tuple(
        (
            f"{percent(one.share)} of the training cells",
            f"{one.cells:,}",
            "yes" if one.found_by else "no",
            "; ".join(_title(name) for name in one.found_by) or DASH,
        )
        for one in audit.planted
    )
    head = ("copies put into this release", "cells", "found", "by")
    return Table("What this audit would have found", head, rows, texts=(2, 3)) if rows else None


def types_table(audit: ExpressionAuditResult) -> Table | None:
    """Return the risk by type, those with the fewest training cells first."""
    rows = tuple(
        (
            one.label or "(none)",
            f"{one.training:,}",
            f"{one.holdout:,}",
            shown(one.nearest_training),
            DASH if math.isnan(one.nearest_holdout) else shown(one.nearest_holdout),
            shown(one.auc.value) if one.auc.applies else DASH,
            interval(one.auc.low, one.auc.high) if one.auc.applies else DASH,
            ("yes" if one.exposed else "no") if one.auc.applies else "too few cells",
        )
        for one in audit.types[:_MOST_TYPES]
    )
    head = (
        "type", "training cells", "held-out cells", "correlation, training", "correlation, held-out", "AUC", "interval",
        "told from held-out",
    )  # fmt: skip
    return Table("Risk by type, the rarest first", head, rows, texts=(7,)) if rows else None


def worst_table(audit: ExpressionAuditResult) -> Table | None:
    """Return the training cells nearest to the release."""
    rows = tuple(
        (f"{one.training:,}", one.label or DASH, f"{one.synthetic:,}", shown(one.correlation),
         shown(one.most_of_holdout))
        for one in audit.worst
    )  # fmt: skip
    head = ("training cell", "type", "synthetic cell", "correlation", "largest of held-out cells")
    return Table("Training cells nearest to the release", head, rows, texts=(1,)) if rows else None


def duplicates_table(audit: ExpressionAuditResult) -> Table | None:
    """Return what is there more than once."""
    found = audit.duplicates
    if found is None:
        return None
    rows = (
        ("synthetic cells that equal a training cell", f"{found.released:,}"),
        ("training cells that equal an earlier training cell", f"{found.training:,}"),
        ("held-out cells that equal an earlier held-out cell", f"{found.holdout:,}"),
        ("synthetic cells that equal an earlier synthetic cell", f"{found.synthetic:,}"),
        ("held-out cells that equal a training cell", f"{found.exact:,}"),
        ("donors with cells in both real sets", f"{found.donors:,}"),
        ("held-out cells left out for one of these reasons", f"{found.left_out:,}"),
    )
    return Table("Cells that are there more than once", ("what", "number"), rows)


def metadata_table(audit: ExpressionAuditResult) -> Table | None:
    """Return what the file says besides its values."""
    if audit.metadata is None or not audit.metadata.files:
        return None
    kinds = {"named": "of real cells", "unmarked": "lacks a mark", "note": "worth a look"}
    rows = tuple((one.what, kinds[one.kind]) for one in audit.metadata.findings) or (("nothing was found", DASH),)
    return Table("What the released file says besides its values", ("finding", "kind"), rows, texts=(1,))


def metadata_line(audit: ExpressionAuditResult) -> str:
    """Return which file was read."""
    found = audit.metadata
    if found is None:
        return "The release was handed in as arrays: no file was read."
    if not found.files:
        return "The released file is neither .h5ad nor .zarr: its annotations were not read."
    return f"Read: {', '.join(found.formats)}."


def _title(name: str) -> str:
    attack = attack_of(Risk(name))
    return attack.title if attack is not None else name


def _count(audit: ExpressionAuditResult, kind: str) -> str:
    count = audit.rows.get(kind)
    return f"{count:,}" if count else "none"


def _donors(audit: ExpressionAuditResult, part: str) -> str:
    count = audit.donors.get(part)
    return f"{count:,}" if count else "unknown"
