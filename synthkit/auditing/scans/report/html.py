"""The report as one HTML page that needs no network and runs no script: text, tables and pictures of scans."""

from __future__ import annotations

from synthkit.auditing.report.released import notebook_page, page_values
from synthkit.auditing.scans.metadata import BURNED_IN
from synthkit.auditing.scans.report import contents, words
from synthkit.auditing.scans.result import ScanAudit
from synthkit.evaluation.report.page import render_page
from synthkit.io.png import data_address
from synthkit.visible import visible


def render_html(audit: ScanAudit) -> str:
    """Return the report as one HTML page; everything from the scans is escaped, and seen.

    Parameters
    ----------
    audit
        Any audit of scans; what it lacks is told.
    """
    pictures = audit.pictures
    shown = render_page(
        "scan_audit.html.j2",
        (),
        package="synthkit.auditing.report",
        **page_values(audit, words),
        burned_in=BURNED_IN,
        facts=contents.facts(audit),
        summary=contents.summary(audit),
        scope=contents.scope_table(audit),
        duplicates=contents.duplicates_table(audit),
        distances=contents.distances_table(audit),
        worst=list(zip(audit.worst, map(data_address, pictures.worst), strict=True)) if pictures is not None else [],
        shown_as=words.TOP_TO_BOTTOM if pictures is not None and pictures.volumes else words.LEFT_TO_RIGHT,
        worst_table=contents.worst_table(audit),
        released=data_address(pictures.released) if pictures is not None else "",
        metadata=contents.metadata_table(audit),
        metadata_line=contents.metadata_line(audit),
    )
    return visible(shown)


def audit_html(audit: ScanAudit) -> str:
    """Return the page of an audit for a notebook: the verdict, what each attack found, and what that does not say."""
    from synthkit.auditing.scans.text import LIMITS, findings, scans_line

    return notebook_page(audit, f"Audit of {scans_line(audit)}", list(findings(audit)), LIMITS)
