"""What a report says about one audit, as texts and tables without markup: HTML and Markdown print the same ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from synthkit.auditing.records import Risk
from synthkit.auditing.report import words
from synthkit.auditing.report.risks import titled
from synthkit.auditing.result import Audit, GateStatus, GateVerdict, Guarantee
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.report.contents import DASH, Table, interval, percent, shown, title_of
from synthkit.evaluation.text import in_words
from synthkit.phrases import counted
from synthkit.privacy.describe import one_in, short
from synthkit.privacy.describe import percent as bound
from synthkit.privacy.tradeoff import posterior_bound, true_positive_bound

Mood = Literal["pass", "borderline", "fail", "none"]
MOODS: Mapping[GateStatus, Mood] = {"met": "pass", "not met": "fail", "not tested": "borderline"}
_WORST_FIRST: tuple[GateStatus, ...] = ("not met", "not tested", "met")
_NAMED = 8
_ELSEWHERE = ("format_version", "name", "gates", "conditions")
_POLICY_WORDS = {
    "description": "meant for",
    "expires_after_days": "days for which an audit counts",
    "review_by": "policy to be reviewed by",
}
_LARGE = 1e4


def digest(audit: Audit) -> str:
    """Return the SHA-256 of the JSON form of an audit, in hexadecimal digits."""
    return hashlib.sha256(audit.to_json().encode("utf-8")).hexdigest()


def policy_name(audit: Audit) -> str:
    """Return the name of the policy, or "none"."""
    if audit.policy is None:
        return "none"
    return str(audit.policy.get("name") or audit.policy.get("title") or "without a name")


def overall(audit: Audit) -> tuple[Mood, str, str]:
    """Return the mood, the verdict in a line, and what it rests on."""
    if audit.policy is None and not audit.verdicts:
        return "none", "No verdict: no policy was given", words.NO_POLICY
    name, total = f"Policy {policy_name(audit)!r}", len(audit.verdicts)
    counts = {status: sum(one.status == status for one in audit.verdicts) for status in _WORST_FIRST}
    parts = [f"{count} {words.GATE_WORDS[status].lower()}" for status, count in counts.items() if count]
    rests = f"{counted(total, 'gate')}: {', '.join(parts)}. {words.WHAT_A_VERDICT_IS}"
    if total == 0:
        return "none", f"{name} has no gate: no verdict", words.WHAT_A_VERDICT_IS
    if counts["not met"]:
        return "fail", f"{name} is not met: {counts['not met']} of {counted(total, 'gate')} failed", rests
    if counts["not tested"]:
        untested = counts["not tested"]
        return "borderline", f"{name} is met where it was tested; {counted(untested, 'gate')} not tested", rests
    return "pass", f"{name} is met", rests


def sorted_verdicts(audit: Audit) -> list[GateVerdict]:
    """Return the verdict of each gate, those that are not met first."""
    return sorted(audit.verdicts, key=lambda verdict: _WORST_FIRST.index(verdict.status))


def summary(audit: Audit) -> list[tuple[str, str]]:
    """Return what to take away before the details: what it is about, and a sentence or two."""
    lines = []
    for outcome, meaning in words.OUTCOMES_MEAN.items():
        found = [titled(risk) for risk in audit.risks.values() if risk.outcome == outcome]
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            told = (
                f" These are: {'; '.join(found[:_NAMED])}{more}." if outcome in ("disclosure", "inconclusive") else ""
            )
            head = f"{words.OUTCOME_WORDS[outcome]}: {len(found)} of {counted(len(audit.risks), 'result')}"
            lines.append((head, f"{meaning[:1].upper()}{meaning[1:]}.{told}"))
    if not audit.risks:
        lines.append(("No attack was made", "Nothing is known about what the table discloses."))
    proved = words.NOTHING_PROVED if audit.guarantee is None else guarantee_lines(audit.guarantee)[0]
    lines.append(("Guarantee", proved))
    if not audit.rows.get("held-out"):
        lines.append(("Held-out rows", words.NO_HOLDOUT))
    return lines


def facts(audit: Audit) -> list[tuple[str, str]]:
    """Return what was audited, as pairs of a term and its value, for the head of the page."""
    return [
        ("Released rows", _count(audit, "synthetic")),
        ("Real rows", _count(audit, "real")),
        ("Held-out rows", _count(audit, "held-out")),
        ("Policy", policy_name(audit)),
        ("Audited", moment(audit.created)[:10] if audit.created else "unknown"),
        ("Digest", digest(audit)[:16]),
    ]


def scope_table(audit: Audit) -> Table:
    """Return what was audited and under which assumptions."""
    known = audit.guarantee
    unit = f"all rows of one '{audit.person}' (person key)" if audit.person else "one row; no person key was given"
    proved = "none: there is no guarantee" if known is None else f"{known.unit!r}, neighbours by {known.adjacency}"
    rows = (
        ("released table", _released(audit)),
        ("real rows that the generator learned from", _count(audit, "real")),
        ("held-out real rows that it never saw", _count(audit, "held-out")),
        ("targets of attacks, of either kind", _count(audit, "targets")),
        ("unit of the attacks", unit),
        ("unit and adjacency of the guarantee", proved),
        ("quasi-identifiers (what an attacker may know)", _names(audit.quasi_identifiers)),
        ("sensitive columns (what an attacker wants)", _names(audit.sensitive)),
        ("person key", audit.person or "none"),
        ("target column of the utility scores", audit.target or "none"),
        ("level of all intervals of a family together", percent(audit.confidence)),
        ("date of the audit", moment(audit.created)),
        ("seed", str(audit.seed)),
    )
    return Table("What was audited, and as what", ("item", "value"), rows, texts=(1,))


def left_out_table(audit: Audit) -> Table | None:
    """Return the columns that no attack looked at, with the reason."""
    rows = tuple(audit.left_out.items())
    return Table("Columns that no attack looked at", ("column", "reason"), rows, texts=(1,)) if rows else None


def inputs_table(audit: Audit) -> Table | None:
    """Return the files that were read, with their hashes."""
    found = audit.provenance.get("inputs")
    rows = [
        (str(part), _cell(one.get("file")), _cell(one.get("bytes")), _cell(one.get("sha256")))
        for part, one in (found.items() if isinstance(found, Mapping) else ())
        if isinstance(one, Mapping)
    ]
    known = audit.guarantee
    if known is not None and known.sha256 and not any(row[3] == known.sha256 for row in rows):
        rows.append(("guarantee", known.source, DASH, known.sha256))
    head = ("input", "file", "bytes", "SHA-256")
    return Table("Files that were read", head, tuple(rows), texts=(1, 3)) if rows else None


def origin_table(audit: Audit) -> Table | None:
    """Return command and versions: what somebody needs who wants to repeat the audit."""
    entries = dict(audit.provenance)
    if inputs_table(audit) is not None:
        entries.pop("inputs", None)
    rows = tuple(flat(entries))
    return Table("Where these numbers come from", ("entry", "value"), rows, texts=(1,)) if rows else None


def guarantee_lines(known: Guarantee) -> list[str]:
    """Return what a guarantee says, first of all whether it holds."""
    numbers = f"epsilon {known.epsilon:.4g} and delta {short(known.delta)}"
    if not math.isfinite(known.epsilon):
        return ["Nothing is proved: what was spent keeps no finite epsilon.", *known.reasons]
    if known.holds is False:
        said = [f"The claimed guarantee ({numbers}) does not hold.", *known.reasons]
        return [*said, "What follows from such a guarantee is left out, since there is none."]
    if known.holds is None:
        first = (
            f"The ledger counts {numbers}. Whether a released file keeps to it was not checked here: run"
            " synthkit privacy lint MODEL."
        )
    else:
        first = (
            f"Proved: {numbers}. The file passed every check of the linter, and its noise came from the operating"
            " system."
        )
    odds = math.exp(known.epsilon) if known.epsilon < 700 else math.inf
    times = f"{odds:.3g}" if odds < _LARGE else f"{odds:.1e}"
    one = "one row" if known.unit == "row" else f"one '{known.unit}'"
    even, rare = (bound(posterior_bound(prior, known.epsilon)) for prior in (0.5, 0.01))
    found = bound(true_positive_bound(0.01, known.epsilon, known.delta))
    if known.adjacency == "replace-one":
        question = f"which of two versions of {one} was in the data"
        test = f"takes the first version for the second in 1 % of cases recognises the second in more than {found}"
    else:
        question = f"whether {one} was in the data"
        test = f"accuses 1 % wrongly finds more than {found} of those who were in the data"
    lines = [
        first,
        f"Whoever suspects {question} can multiply the odds of that belief by at most {times}, but for a chance of"
        f" {one_in(known.delta)}: from 1 % to at most {rare}, from 50 % to at most {even}.",
        f"No attack that {test}, whatever else it knows.",
        f"Its ledger knows of {counted(known.releases, 'release')} from the same data. {_covers(known)} What is"
        " released later adds to it.",
    ]
    return [*lines, *known.reasons]


def _covers(known: Guarantee) -> str:
    """Which releases the numbers of a guarantee are about."""
    if known.releases == 1:
        return "The numbers are those of that one."
    if known.source.startswith("model"):
        return "The numbers are those of this one alone: pass the ledger of the data for all together."
    return "The numbers are those of all together."


def guarantee_table(known: Guarantee) -> Table:
    """Return the numbers of a guarantee."""
    holds = {True: "yes", False: "no", None: "not checked: a ledger alone"}[known.holds]
    rows = (
        ("source", known.source),
        ("epsilon", f"{known.epsilon:.4g}"),
        ("delta", short(known.delta)),
        ("unit (what is protected)", known.unit),
        ("adjacency (what neighbouring tables are)", known.adjacency),
        ("holds", holds),
        ("releases counted", str(known.releases)),
    )
    return Table("The guarantee", ("item", "value"), rows, texts=(1,))


def tier_table() -> Table:
    """Return the three tiers of evidence."""
    return Table("Three kinds of evidence, never mixed", ("tier", "kind", "what it is"), words.TIERS, texts=(1, 2))


def exposure_table(audit: Audit) -> Table | None:
    """Return who is most exposed, by group."""
    if audit.exposure is None or not audit.exposure.groups:
        return None
    rows = tuple(
        (
            f"{group.by}: {group.label}",
            f"{group.records:,}",
            percent(group.share_exposed),
            shown(group.auc),
            interval(group.low, group.high),
            DASH if math.isnan(group.low) else "yes" if group.low > 0.5 else "no",
        )
        for group in audit.exposure.groups
    )
    head = ("group", "targets", "among the most exposed 1 %", "AUC", "its interval", "beyond 0.5")
    return Table("Groups of real records, the most exposed first", head, rows)


def ranked_by(audit: Audit) -> str:
    """Return by what records were ranked, and how to read it; empty where they were not."""
    if audit.exposure is None:
        return ""
    attack = titled(Risk(audit.exposure.attack))
    return f"Ranked by this attack on membership: {attack}. {audit.exposure.note}".strip()


def records_table(audit: Audit) -> Table | None:
    """Return the most exposed rows, where they were asked for."""
    if audit.exposure is None or not audit.exposure.records:
        return None
    head = tuple(dict.fromkeys(str(name) for record in audit.exposure.records for name in record))
    rows = tuple(tuple(_cell(record.get(name)) for name in head) for record in audit.exposure.records)
    return Table("REAL RECORDS: the most exposed training rows", head, rows, texts=tuple(range(1, len(head))))


def overlap_lines(audit: Audit) -> list[str]:
    """Return how many held-out rows are training rows, and what that does to the attacks."""
    found = audit.overlap
    if found is None:
        return [words.NO_HOLDOUT if not audit.rows.get("held-out") else "The overlap was not looked at."]
    lines = [
        f"{counted(found.rows, 'held-out row')} ({percent(found.share)}) {'equals' if found.rows == 1 else 'equal'} a"
        f" training row. Of the training rows {percent(found.expected)} equal another training row, which is what"
        " chance and coarse columns explain."
    ]
    if found.share > found.expected:
        lines.append(
            "That is more than chance explains by itself. Held-out rows that the generator learned from make every"
            " attack look weaker than it is."
        )
    if found.persons:
        lines.append(
            f"{counted(found.persons, 'person')} {'has' if found.persons == 1 else 'have'} rows in both tables: such a"
            " person is a member as well as a control, and makes attacks look weaker than they are."
        )
    return lines


def utility_table(audit: Audit) -> Table | None:
    """Return the scores of how good the table is, with their controls."""
    rows = tuple(
        (
            title_of(name),
            shown(score.value),
            interval(score.low, score.high),
            shown(score.ceiling),
            shown(score.floor),
            f"{score.n:,}" if score.n else DASH,
            in_words(name, score) if name in METRICS else score.note,
        )
        for name, score in audit.utility.items()
    )
    head = ("score", "value", "95 % interval", "real rows", "independent columns", "n", "meaning")
    return Table("What the table is good for", head, rows, texts=(6,)) if rows else None


def terms_table() -> Table:
    """Return whose words are whose."""
    return Table("Terms of others, as terms and not as a claim", words.TERMS_HEAD, words.TERMS, texts=(1, 2, 3))


def policy_table(audit: Audit) -> Table | None:
    """Return what the policy says beside its gates and conditions: for what it is meant, recipients, dates."""
    if audit.policy is None:
        return None
    told = {name: entry for name, entry in audit.policy.items() if name not in _ELSEWHERE}
    rows = tuple((_POLICY_WORDS.get(name, name.replace("_", " ")), text) for name, text in flat(told))
    return Table(f"Policy {policy_name(audit)!r}", ("item", "value"), rows, texts=(1,)) if rows else None


def conditions(audit: Audit) -> list[str]:
    """Return the conditions of use that the policy names, one sentence each."""
    given = (audit.policy or {}).get("conditions") or ()
    return [str(given)] if isinstance(given, str) else [str(condition) for condition in given]


def review_fields(audit: Audit) -> list[tuple[str, str]]:
    """Return the fields of the review with what the policy says; empty where a person has to write."""
    given = audit.policy or {}
    filled = {"reviewer": str(given.get("reviewer") or ""), "valid until": _valid_until(audit)}
    return [(field, filled.get(field, "")) for field in words.REVIEW]


def _valid_until(audit: Audit) -> str:
    """The last day on which the audit counts, by the policy; empty where it does not say."""
    days = (audit.policy or {}).get("expires_after_days")
    try:
        return f"{datetime.fromisoformat(audit.created).date() + timedelta(days=days)}" if days else ""
    except (ValueError, OverflowError, TypeError):
        return ""


def flat(entries: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield every entry that says something, those of nested mappings with the names of all levels."""
    for name, entry in entries.items():
        if isinstance(entry, Mapping):
            yield from flat(entry, f"{above}{name} / ")
        elif isinstance(entry, list | tuple):
            plain = [part for part in entry if not isinstance(part, Mapping)]
            if plain:
                yield f"{above}{name}", "; ".join(map(_cell, plain))
            for place, part in enumerate(entry, start=1):
                if isinstance(part, Mapping):
                    yield from flat(part, f"{above}{name} {place} / ")
        elif entry is not None and entry != "":
            yield f"{above}{name}", _cell(entry)


def moment(stored: str) -> str:
    """Return a stored time for people; what is no time stays as it is."""
    try:
        return datetime.fromisoformat(stored).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):  # the latter for the first and the last day that there are
        return stored or "at an unknown time"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _count(audit: Audit, kind: str) -> str:
    count = audit.rows.get(kind)
    return f"{count:,}" if count else "none"


def _released(audit: Audit) -> str:
    rows = f"{_count(audit, 'synthetic')} rows"
    inputs = audit.provenance.get("inputs")
    part = inputs.get("synthetic") if isinstance(inputs, Mapping) else None
    name = part.get("file") if isinstance(part, Mapping) else None
    return f"{name}, {rows}" if name else rows


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(columns) if columns else "none were named"
