"""The report as one HTML page that needs no network and runs no script: text, tables and pictures of scans."""

from __future__ import annotations

from synthkit.auditing.report import contents as common
from synthkit.auditing.report import risks
from synthkit.auditing.scans.metadata import BURNED_IN
from synthkit.auditing.scans.report import contents, words
from synthkit.auditing.scans.result import ScanAudit
from synthkit.evaluation.report.page import render_page
from synthkit.html_table import bullets, page, paragraph, table
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
        audit=audit,
        words=words,
        burned_in=BURNED_IN,
        digest=common.digest(audit),
        overall=common.overall(audit),
        facts=contents.facts(audit),
        verdicts=common.sorted_verdicts(audit),
        moods=common.MOODS,
        summary=contents.summary(audit),
        scope=contents.scope_table(audit),
        duplicates=contents.duplicates_table(audit),
        inputs=common.inputs_table(audit),
        origin_table=common.origin_table(audit),
        guarantee=common.guarantee_lines(audit.guarantee) if audit.guarantee is not None else (),
        guarantee_table=common.guarantee_table(audit.guarantee) if audit.guarantee is not None else None,
        groups=risks.groups(audit, words.GROUPS),
        measures=risks.measures_table(audit),
        described=risks.described(audit),
        not_tested=risks.not_tested(audit),
        distances=contents.distances_table(audit),
        worst=list(zip(audit.worst, map(data_address, pictures.worst), strict=True)) if pictures is not None else [],
        shown_as=words.TOP_TO_BOTTOM if pictures is not None and pictures.volumes else words.LEFT_TO_RIGHT,
        worst_table=contents.worst_table(audit),
        released=data_address(pictures.released) if pictures is not None else "",
        metadata=contents.metadata_table(audit),
        metadata_line=contents.metadata_line(audit),
        policy=common.policy_table(audit),
        conditions=common.conditions(audit),
        review=common.review_fields(audit),
    )
    return visible(shown)


def audit_html(audit: ScanAudit) -> str:
    """Return the page of an audit for a notebook: the verdict, what each attack found, and what that does not say."""
    from synthkit.auditing.scans.text import LIMITS, findings, scans_line
    from synthkit.auditing.text import OUTCOME_WORDS, number, verdict_lines

    rows = table(
        ("attack", "measure", "value", "on copies", "on held-out scans", "outcome"),
        [
            (
                risks.titled(risk),
                next(iter(risk.estimates), ""),
                number(risk.headline.value),
                "" if risk.positive is None else number(risk.positive.value),
                "" if risk.negative is None else number(risk.negative.value),
                OUTCOME_WORDS[risk.outcome],
            )
            for risk in audit.risks.values()
        ],
        numbers=(2, 3, 4),
        most=None,
    )
    return page(
        f"Audit of {scans_line(audit)}",
        *(paragraph(line.strip()) for line in verdict_lines(audit)[:1]),
        rows,
        bullets(list(findings(audit))),
        *(paragraph(limit, dim=True) for limit in LIMITS),
    )
