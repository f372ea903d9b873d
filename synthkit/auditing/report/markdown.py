"""The report as Markdown: the same sentences and tables as the HTML page, without pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from synthkit.auditing.report import contents, risks, words
from synthkit.auditing.report.residual import residual
from synthkit.auditing.result import Audit
from synthkit.evaluation.report.contents import Table
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.visible import visible

_LINE = "________________"


def render_markdown(audit: Audit) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    audit
        Any audit; what it lacks is told.
    """
    parts = (_head, _scope, _guarantee, _risks, _rest, _terms, _signing)
    return visible("\n".join(line for part in parts for line in part(audit)).strip()) + "\n"


def _head(audit: Audit) -> Iterator[str]:
    _, verdict, rests = contents.overall(audit)
    yield from (f"# {words.TITLE}", "", f"**{words.CONFIDENTIAL}**", "")
    yield from (f"**{markdown(verdict)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in contents.facts(audit))
    yield from ("## Verdict", "")
    if audit.verdicts:
        rows = tuple(
            (words.GATE_WORDS[one.status], one.gate, one.sentence, one.reason)
            for one in contents.sorted_verdicts(audit)
        )
        yield from table_lines(Table("Gates", ("status", "gate", "what was found", "reason"), rows, texts=(1, 2, 3)))
    else:
        yield from (words.NO_POLICY, "")
    yield from headed(contents.summary(audit))


def _scope(audit: Audit) -> Iterator[str]:
    yield from ("## Scope", "")
    yield from tables(contents.scope_table(audit), contents.left_out_table(audit))
    if audit.notes:
        yield from ("**What was done to the tables**", "")
        yield from item_lines(audit.notes)
    yield from ("## Lineage", "")
    yield from (f"Digest of this audit (SHA-256 of its JSON form): `{contents.digest(audit)}`", "")
    if contents.inputs_table(audit) is None:
        yield from (words.NO_LINEAGE, "")
    yield from tables(contents.inputs_table(audit), contents.origin_table(audit))


def _guarantee(audit: Audit) -> Iterator[str]:
    yield from ("## Guarantee: what is proved (tier A)", "")
    if audit.guarantee is None:
        yield from (words.NO_GUARANTEE, "")
    else:
        yield from item_lines(contents.guarantee_lines(audit.guarantee))
        yield from tables(contents.guarantee_table(audit.guarantee))
    yield from tables(contents.tier_table())


def _risks(audit: Audit) -> Iterator[str]:
    yield from ("## Risks: what attacks found (tier C)", "", words.CONTROLS, "")
    found = risks.groups(audit)
    if not found:
        yield from ("No attack could be made.", "")
    for group in found:
        yield from table_lines(risks.risks_table(group))
    yield from ("## Attacks, one by one", "")
    for one in risks.described(audit):
        attack = one.attack
        measures = [f"{name.replace('_', ' ')}: {text}" for name, text in attack.measures.items()]
        yield from (f"**{markdown(risks.capital(attack.title))}** ({one.group})", "")
        yield from item_lines(
            (
                f"Threat: {attack.threat}",
                f"How to read it: {attack.reading}",
                f"Misleads: {attack.lies}",
                *([f"Measures: as for {one.as_for}"] if one.as_for else measures),
                f"Source: {attack.source}",
            )
        )
    yield from tables(risks.measures_table(audit))
    yield from ("## Not tested", "")
    missing = risks.not_tested(audit)
    if missing:
        yield from table_lines(Table("Attacks that were not made", ("attack", "why"), tuple(missing), texts=(1,)))
    else:
        yield from ("Every attack of this audit was made.", "")
    if risks.not_asked(audit):
        yield from ("Known to this version, and not part of this audit: ", "")
        yield from item_lines(risks.not_asked(audit))


def _rest(audit: Audit) -> Iterator[str]:
    yield from ("## Most exposed", "")
    if audit.exposure is None:
        yield from ("Unknown: it takes held-out rows and an attack on membership that ran.", "")
    else:
        yield from (markdown(contents.ranked_by(audit)), "")
        yield from tables(contents.exposure_table(audit))
        if contents.records_table(audit) is not None:
            yield from (f"**{words.EXPOSED_RECORDS}**", "")
            yield from tables(contents.records_table(audit))
    yield from ("## Overlap of training and held-out rows", "")
    yield from _paragraphs(contents.overlap_lines(audit))
    yield from ("## Utility", "")
    table = contents.utility_table(audit)
    if table is None:
        yield from ("No score of utility was computed: what is given up for privacy is unknown.", "")
    else:
        yield from (words.UTILITY, "")
        yield from table_lines(table)
    yield from ("## Residual risk", "")
    yield from headed(residual(audit))
    yield from ("What no attack here covers:", "")
    yield from item_lines(words.NOT_COVERED)


def _terms(audit: Audit) -> Iterator[str]:
    yield from ("## Terms", "", words.TERMS_NOTE, "")
    yield from tables(contents.terms_table())
    yield from ("## Recipients, conditions and review", "")
    table = contents.policy_table(audit)
    if table is None:
        yield from ("No policy says who may receive the table, and under which conditions. Write it down here.", "")
    else:
        yield from table_lines(table)
    if contents.conditions(audit):
        yield from ("**Conditions**", "")
        yield from item_lines(contents.conditions(audit))
    yield from item_lines(f"{field}: {text or _LINE}" for field, text in contents.review_fields(audit))
    yield from ("Audit again when", "")
    yield from item_lines(words.AUDIT_AGAIN)


def _signing(audit: Audit) -> Iterator[str]:
    yield from ("## Sign-off", "")
    yield from (f"For the audit with the digest `{contents.digest(audit)}`.", "")
    yield from (f"{markdown(contents.overall(audit)[1])}. {words.WHAT_A_VERDICT_IS}", "")
    yield from (f"- [ ] {decision}" for decision in words.DECISIONS)
    yield from ("", f"Conditions: {_LINE * 3}", "")
    rows = tuple((who, *("" for _ in words.SIGNED)) for who in words.SIGNERS)
    yield from table_lines(Table("Signatures", ("", *words.SIGNED), rows))
    yield from ("## Tamper evidence", "")
    yield from _paragraphs(words.TAMPER, code=True)


def headed(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a list of points with a bold head each."""
    yield from (f"- **{markdown(head)}.** {markdown(text)}" for head, text in lines)
    yield ""


def tables(*given: Table | None) -> Iterator[str]:
    """Yield the lines of tables, of those that there are."""
    for table in given:
        if table is not None:
            yield from table_lines(table)


def _paragraphs(lines: Iterable[str], *, code: bool = False) -> Iterator[str]:
    for line in lines:
        yield from (line if code else markdown(line), "")
