"""How a balanced table is shown in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthkit.html_table import page, paragraph, table

if TYPE_CHECKING:
    from synthkit.balance.table import Balanced


def balanced_html(balanced: Balanced) -> str:
    """Return the page of a balanced table: the rows of each group, how they were made and what was rejected."""
    report = balanced.report
    groups = [
        (
            one["name"],
            f"{one['rows']:,}",
            f"{one['added']:,}",
            one["source"],
            f"{one['drawn']:,}" if one["added"] else "",
            _rejected(one),
        )
        for one in report["groups"]
    ]
    headings = (report["target"], "real rows", "synthetic rows", "made by", "drawn", "rejected")
    rows = f"{report['rows']:,} real and {report['synthetic']:,} synthetic rows"
    without = report["without_target"]
    return page(
        f"Balanced table: {rows}",
        table(headings, groups, numbers=(1, 2, 4)),
        *([f"{without:,} real rows without a value of the target are kept and not counted."] if without else []),
        paragraph("The real rows come first and are untouched; `synthetic` says which rows were made.", dim=True),
    )


def _rejected(group: dict[str, Any]) -> str:
    """Return what was rejected and why, and what was kept all the same."""
    counts = (
        (group["unlike"], "unlike their class"),
        (group["copies"], "copies"),
        (group["violations"], "against constraints"),
    )
    told = [f"{count:,} {what}" for count, what in counts if count]
    kept = group["kept_unlike"] + group["kept_copies"]
    return ", ".join(told) + (f"; {kept:,} of them kept, as no better ones were found" if kept else "")
