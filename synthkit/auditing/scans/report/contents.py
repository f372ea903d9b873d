"""What a report says about one audit of scans, as texts and tables without markup: HTML and Markdown print the same."""

from __future__ import annotations

import math

from synthkit.auditing.report.contents import digest, moment, policy_name
from synthkit.auditing.report.released import outcome_lines
from synthkit.auditing.scans.report import words
from synthkit.auditing.scans.result import ScanAudit
from synthkit.evaluation.records import Score
from synthkit.evaluation.report.contents import DASH, Table, interval, percent, shown


def facts(audit: ScanAudit) -> list[tuple[str, str]]:
    """Return what was audited, as pairs of a term and its value, for the head of the page."""
    copies = audit.risks.get("scan-copies")
    rate = copies.estimates.get("attack") if copies is not None else None
    control = copies.estimates.get("control") if copies is not None else None
    return [
        ("Released scans", _count(audit, "synthetic")),
        ("Real scans", _count(audit, "real")),
        ("Held-out scans", _count(audit, "held-out")),
        ("Copy rate", percent(rate.value) if rate is not None else "unknown"),
        ("Of held-out scans", percent(control.value) if control is not None else "unknown"),
        ("Policy", policy_name(audit)),
        ("Audited", moment(audit.created)[:10] if audit.created else "unknown"),
        ("Digest", digest(audit)[:16]),
    ]


def summary(audit: ScanAudit) -> list[tuple[str, str]]:
    """Return what to take away before the details: what it is about, and a sentence or two."""
    lines = outcome_lines(audit, words)
    for name, risk in audit.risks.items():
        rate, control = risk.estimates.get("attack"), risk.estimates.get("control")
        if rate is not None and control is not None:
            lines.append(
                (
                    f"Copy rate, {name.removeprefix('scan-copies').removeprefix('-') or 'pixels'}",
                    f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)}) of the synthetic scans are"
                    f" too near to a training scan; of the held-out scans {percent(control.value)}"
                    f" ({percent(control.low)} to {percent(control.high)}).",
                )
            )
    return lines


def scope_table(audit: ScanAudit) -> Table:
    """Return what was audited and under which assumptions."""
    people = [
        (f"patients of the {part} scans", f"{count:,}" if count else "unknown: each scan counts as a patient")
        for part, count in audit.patients.items()
    ]
    rows = (
        ("released scans", _count(audit, "synthetic")),
        ("real scans that the generator learned from", _count(audit, "real")),
        ("held-out real scans that it never saw", _count(audit, "held-out")),
        ("targets of attacks on membership, of either kind", _count(audit, "targets")),
        *people,
        ("level of all intervals of a family together", percent(audit.confidence)),
        ("date of the audit", moment(audit.created)),
        ("seed", str(audit.seed)),
    )
    return Table("What was audited, and as what", ("item", "value"), rows, texts=(1,))


def duplicates_table(audit: ScanAudit) -> Table | None:
    """Return what is there more than once."""
    found = audit.duplicates
    if found is None:
        return None
    rows = (
        ("training scans that equal an earlier training scan", f"{found.training:,}"),
        ("held-out scans that equal an earlier held-out scan", f"{found.holdout:,}"),
        ("synthetic scans that equal an earlier synthetic scan", f"{found.synthetic:,}"),
        ("held-out scans that equal a training scan", f"{found.exact:,}"),
        ("held-out scans that nearly equal a training scan", f"{found.near:,}"),
        ("patients with scans in both real sets", f"{found.patients:,}"),
        ("held-out scans left out for one of these reasons", f"{found.left_out:,}"),
    )
    return Table("Scans that are there more than once", ("what", "number"), rows)


def distances_table(audit: ScanAudit) -> Table | None:
    """Return the scores of distances to training scans, beside those of held-out scans."""
    rows = tuple(
        (name, shown(score.value), interval(score.low, score.high), shown(score.ceiling), f"{score.n:,}", _p(score))
        for name, score in audit.distances.items()
    )
    head = ("score", "value", "95 % interval", "held-out scans", "n", "p-value of nearer")
    return Table("Distances to training scans", head, rows) if rows else None


def worst_table(audit: ScanAudit) -> Table | None:
    """Return the nearest pairs."""
    rows = tuple(
        (
            f"{pair.synthetic}" + (f": {pair.name}" if pair.name else ""),
            f"{pair.to_training:.4f}",
            f"{pair.to_holdout:.4f}",
            "; ".join(pair.real_names) or f"{pair.training}; {pair.holdout}",
        )
        for pair in audit.worst
    )
    head = ("synthetic scan", "to the nearest training scan", "to the nearest held-out scan", "these two")
    return Table("The nearest pairs (distance: one less the correlation)", head, rows, texts=(3,)) if rows else None


def metadata_table(audit: ScanAudit) -> Table | None:
    """Return what the files say besides the picture."""
    if audit.metadata is None:
        return None
    kinds = {"named": "names somebody", "unmarked": "lacks a mark", "note": "worth a look"}
    rows = tuple((one.what, kinds[one.kind], f"{one.files:,}", one.example) for one in audit.metadata.findings)
    if not rows:
        rows = (("nothing was found", DASH, f"{audit.metadata.files:,} read", DASH),)
    head = ("finding", "kind", "files", "for example")
    return Table("What the released files say besides the picture", head, rows, texts=(1, 3))


def metadata_line(audit: ScanAudit) -> str:
    """Return which files were read."""
    found = audit.metadata
    if found is None:
        return "The release was handed in as arrays: no file was read."
    told = ", ".join(f"{count:,} {form}" for form, count in found.formats.items()) or "none"
    return f"Files read: {told}. {found.named:,} name somebody; {found.unmarked:,} lack a mark of being synthetic."


def _p(score: Score) -> str:
    found = score.details.get("p-value of nearer (Mann-Whitney)", math.nan)
    return DASH if math.isnan(found) else f"{found:.2g}"


def _count(audit: ScanAudit, kind: str) -> str:
    count = audit.rows.get(kind)
    return f"{count:,}" if count else "none"
