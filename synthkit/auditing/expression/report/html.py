"""The report as one HTML page that needs no network and runs no script."""

from __future__ import annotations

from synthkit.auditing.expression.metadata import NOT_READ
from synthkit.auditing.expression.report import contents, words
from synthkit.auditing.expression.result import ExpressionAuditResult
from synthkit.auditing.report.released import notebook_page, page_values
from synthkit.evaluation.report.page import render_page
from synthkit.visible import visible


def render_html(audit: ExpressionAuditResult) -> str:
    """Return the report as one HTML page; everything from the cells is escaped, and seen.

    Parameters
    ----------
    audit
        Any audit of cells; what it lacks is told.
    """
    shown = render_page(
        "expression_audit.html.j2",
        (),
        package="synthkit.auditing.report",
        **page_values(audit, words),
        not_read=NOT_READ,
        facts=contents.facts(audit),
        summary=contents.summary(audit),
        scope=contents.scope_table(audit),
        planted=contents.planted_table(audit),
        types=contents.types_table(audit),
        worst=contents.worst_table(audit),
        duplicates=contents.duplicates_table(audit),
        metadata=contents.metadata_table(audit),
        metadata_line=contents.metadata_line(audit),
    )
    return visible(shown)


def audit_html(audit: ExpressionAuditResult) -> str:
    """Return the page of an audit for a notebook: the verdict, what each attack found, and what that does not say."""
    from synthkit.auditing.expression.text import LIMITS, cells_line, findings

    return notebook_page(audit, f"Audit of {cells_line(audit)}", list(findings(audit)), LIMITS)
