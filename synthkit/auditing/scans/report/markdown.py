"""The report as Markdown: the same sentences and tables as the HTML page, without pictures."""

from __future__ import annotations

from collections.abc import Iterator

from synthkit.auditing.report import contents as common
from synthkit.auditing.report import risks
from synthkit.auditing.report.markdown import headed, tables
from synthkit.auditing.scans.metadata import BURNED_IN
from synthkit.auditing.scans.report import contents, words
from synthkit.auditing.scans.result import ScanAudit
from synthkit.evaluation.report.contents import Table
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.visible import visible

_LINE = "________________"


def render_markdown(audit: ScanAudit) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    audit
        Any audit of scans; what it lacks is told.
    """
    return visible("\n".join([*_head(audit), *_found(audit), *_rest(audit)]).strip()) + "\n"


def _head(audit: ScanAudit) -> Iterator[str]:
    _, verdict, rests = common.overall(audit)
    yield from (f"# {words.TITLE}", "", f"**{words.CONFIDENTIAL}**", "")
    yield from (f"**{markdown(verdict)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in contents.facts(audit))
    yield from ("## Verdict", "")
    if audit.verdicts:
        rows = tuple(
            (words.GATE_WORDS[one.status], one.gate, one.sentence, one.reason) for one in common.sorted_verdicts(audit)
        )
        yield from table_lines(Table("Gates", ("status", "gate", "what was found", "reason"), rows, texts=(1, 2, 3)))
    else:
        yield from (words.NO_POLICY, "")
    yield from headed(contents.summary(audit))


def _found(audit: ScanAudit) -> Iterator[str]:
    yield from ("## Nearest pairs", "")
    yield from tables(contents.worst_table(audit))
    yield from ("## Risks: what attacks found", "", words.CONTROLS, "")
    for group in risks.groups(audit, words.GROUPS):
        yield from table_lines(risks.risks_table(group))
    yield from tables(risks.measures_table(audit))
    missing = risks.not_tested(audit)
    if missing:
        yield from table_lines(Table("Attacks that were not made", ("attack", "why"), tuple(missing), texts=(1,)))
    for one in risks.described(audit):
        attack = one.attack
        yield from (f"**{markdown(risks.capital(attack.title))}**", "")
        yield from item_lines(
            (
                f"Threat: {attack.threat}",
                f"How to read it: {attack.reading}",
                f"Misleads: {attack.lies}",
                f"Source: {attack.source}",
            )
        )
    yield from ("## Distances", "", words.DISTANCES, "")
    yield from tables(contents.distances_table(audit))
    yield from ("## Headers and marks", "", contents.metadata_line(audit), "", BURNED_IN, "")
    yield from tables(contents.metadata_table(audit))
    yield from ("## Scans that are there twice", "")
    yield from tables(contents.duplicates_table(audit))


def _rest(audit: ScanAudit) -> Iterator[str]:
    yield from ("## Guarantee", "")
    if audit.guarantee is None:
        yield from (words.NO_GUARANTEE, "")
    else:
        yield from item_lines(common.guarantee_lines(audit.guarantee))
        yield from tables(common.guarantee_table(audit.guarantee))
    yield from ("## What no attack here covers", "")
    yield from item_lines(words.NOT_COVERED)
    yield from ("## Scope and lineage", "")
    yield from tables(contents.scope_table(audit))
    yield from item_lines(audit.notes)
    yield from (f"Digest of this audit (SHA-256 of its JSON form): `{common.digest(audit)}`", "")
    yield from tables(common.inputs_table(audit), common.origin_table(audit))
    yield from ("## Recipients, review and sign-off", "")
    yield from tables(common.policy_table(audit))
    yield from item_lines(common.conditions(audit))
    yield from item_lines(f"{field}: {text or _LINE}" for field, text in common.review_fields(audit))
    yield from (f"- [ ] {decision}" for decision in words.DECISIONS)
    yield ""
    rows = tuple((who, *("" for _ in words.SIGNED)) for who in words.SIGNERS)
    yield from table_lines(Table("Signatures", ("", *words.SIGNED), rows))
    yield from ("## Tamper evidence", "")
    for line in words.TAMPER:
        yield from (line, "")
