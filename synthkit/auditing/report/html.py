"""The report as one HTML page that needs no network and runs no script: text, tables and small pictures."""

from __future__ import annotations

from synthkit.auditing.report import contents, risks, words
from synthkit.auditing.report.residual import residual
from synthkit.auditing.result import Audit
from synthkit.evaluation.report.page import render_page
from synthkit.visible import visible


def render_html(audit: Audit) -> str:
    """Return the report as one HTML page; everything from the tables is escaped, and seen.

    Parameters
    ----------
    audit
        Any audit; what it lacks is told.
    """
    page = render_page(
        "audit.html.j2",
        (),
        package="synthkit.auditing.report",
        audit=audit,
        words=words,
        digest=contents.digest(audit),
        overall=contents.overall(audit),
        facts=contents.facts(audit),
        verdicts=contents.sorted_verdicts(audit),
        moods=contents.MOODS,
        summary=contents.summary(audit),
        scope=contents.scope_table(audit),
        left_out=contents.left_out_table(audit),
        inputs=contents.inputs_table(audit),
        origin_table=contents.origin_table(audit),
        tiers=contents.tier_table(),
        guarantee=contents.guarantee_lines(audit.guarantee) if audit.guarantee is not None else (),
        guarantee_table=contents.guarantee_table(audit.guarantee) if audit.guarantee is not None else None,
        groups=risks.groups(audit),
        measures=risks.measures_table(audit),
        described=risks.described(audit),
        not_tested=risks.not_tested(audit),
        not_asked=risks.not_asked(audit),
        ranked_by=contents.ranked_by(audit),
        exposed=contents.exposure_table(audit),
        records=contents.records_table(audit),
        overlap=contents.overlap_lines(audit),
        utility=contents.utility_table(audit),
        residual=residual(audit),
        terms=contents.terms_table(),
        policy=contents.policy_table(audit),
        conditions=contents.conditions(audit),
        review=contents.review_fields(audit),
    )
    return visible(page)
