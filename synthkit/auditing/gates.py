"""The gates of a policy: a number of an audit against a threshold, or the outcome of attacks, each with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from synthkit.auditing.attack import Family
from synthkit.auditing.gate_words import (
    ALL,
    attacks_meant,
    described_attacks,
    family_of_attack,
    is_meant,
    number_text,
    said_of,
    threshold_text,
    title_of,
    titles_of,
)
from synthkit.auditing.records import Estimate, Risk
from synthkit.auditing.result import Audit, GateStatus, GateVerdict, Guarantee, Overlap
from synthkit.errors import unknown_name
from synthkit.evaluation.suite import Gate as ScoreGate
from synthkit.evaluation.thresholds import COMPARED, Comparison, Threshold, holds

Rule = Literal["fail", "pass"]
FAMILIES: tuple[Family, ...] = get_args(Family)
_ENDS = {"value": "", "low": "lower end ", "high": "upper end "}
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


class Gate(BaseModel):
    """What every gate has.

    Attributes
    ----------
    name
        What the gate is called; each name once in a policy.
    reason
        Why the policy has it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    reason: str = Field(min_length=1)

    def verdict(self, audit: Audit) -> GateVerdict:
        """Return whether an audit meets the gate."""
        raise NotImplementedError

    def _said(
        self, status: GateStatus, sentence: str, value: float = math.nan, threshold: float = math.nan
    ) -> GateVerdict:
        return GateVerdict(self.name, status, sentence, self.reason, value, threshold)

    def _not_tested(self, why: str, rule: Rule) -> GateVerdict:
        if rule == "pass":
            return self._said("not tested", f"{why[:1].upper()}{why[1:]}.")
        return self._said("not met", f"Not tested: {why}.")


class ThresholdGate(Gate):
    """A gate that compares a number with a threshold.

    Attributes
    ----------
    comparison
        How the number has to stand to the threshold.
    threshold
        The threshold, as a share from 0 to 1 where the number is one.
    """

    comparison: Comparison = "<="
    threshold: Threshold

    def _asked(self, *, share: bool = False) -> str:
        return f"{COMPARED[self.comparison]} {threshold_text(self.threshold, share=share)} is asked for"


class RiskGate(ThresholdGate):
    """A gate on what attacks found.

    Attributes
    ----------
    risk
        Which attacks: the name of one, "all FAMILY", "all", or a pattern with * over the names of risks.
    measure
        Which of their measures; empty for the one by which each attack is judged. Attacks without it are passed over.
    bound
        Which number of the measure is compared: its value, or the low or high end of its interval.
    relative_to
        "absolute": the number itself; "baseline": what it is above the attacker without the synthetic table.
    outcome
        In place of a threshold: none of these attacks may end with a disclosure.
    inconclusive
        What an inconclusive attack means: "fail": the gate is not met; "pass": the attack is passed over.
    not_tested
        What it means when no attack is left to look at.
    """

    risk: str
    measure: str = ""
    bound: Literal["value", "low", "high"] = "high"
    threshold: Threshold = math.nan
    relative_to: Literal["absolute", "baseline"] = "absolute"
    outcome: Literal["no disclosure"] | None = None
    inconclusive: Rule = "fail"
    not_tested: Rule = "fail"

    @field_validator("risk")
    @classmethod
    def _known(cls, risk: str) -> str:
        groups = [ALL.strip(), *(f"{ALL}{family}" for family in FAMILIES)]
        if risk not in groups and not attacks_meant(risk):
            raise ValueError(unknown_name("risk", risk, [*family_of_attack(), *groups]))
        return risk

    @field_validator("measure")
    @classmethod
    def _of_these_attacks(cls, measure: str, info: ValidationInfo) -> str:
        known_attacks = described_attacks()
        attacks = [known_attacks[name] for name in attacks_meant(info.data.get("risk", "")) if name in known_attacks]
        known = {name: None for attack in attacks for name in attack.measures}
        if known and measure not in known:
            raise ValueError(unknown_name("measure", measure, known))
        return measure

    @model_validator(mode="after")
    def _one_question(self) -> RiskGate:
        given = self.model_fields_set
        if ("threshold" in given) == (self.outcome is not None):
            raise ValueError("a gate on a risk has either a threshold or 'outcome: no disclosure'")
        if self.outcome is not None:
            idle = [key for key in ("measure", "bound", "comparison", "relative_to") if key in given]
            if idle:
                raise ValueError(f"{idle[0]!r} says nothing beside an outcome: leave it out")
        return self

    def verdict(self, audit: Audit) -> GateVerdict:
        """Return whether what the attacks found meets the gate."""
        asked = [risk for risk in audit.risks.values() if is_meant(self.risk, risk)]
        made = [risk for risk in asked if risk.outcome != "not applicable" and self._estimate(risk) is not None]
        unclear = [risk for risk in made if risk.outcome == "inconclusive"]
        clear = [risk for risk in made if risk.outcome != "inconclusive"]
        beside = f" {said_of(unclear)} inconclusive and passed over." if unclear and self.inconclusive == "pass" else ""
        found = self._found(clear, beside) if clear else None
        if found is not None and found.status == "not met":
            return found
        if unclear and self.inconclusive == "fail":
            why = unclear[0].note.rstrip(".")
            return self._said("not met", f"{said_of(unclear)} inconclusive" + (f": {why}." if why else "."))
        return found if found is not None else self._not_tested(self._why(asked, unclear), self.not_tested)

    def _found(self, risks: Sequence[Risk], beside: str) -> GateVerdict:
        """Compare the attacks that can be judged."""
        if self.outcome is not None:
            leaks = [risk for risk in risks if risk.outcome == "disclosure"]
            if leaks:
                return self._said("not met", f"Disclosure found by {titles_of(leaks)}.{beside}")
            return self._said("met", f"No disclosure found by {titles_of(risks)}.{beside}")
        numbers = {risk.name: self._compared(risk) for risk in risks}
        worst_first = sorted(risks, key=lambda risk: numbers[risk.name], reverse=self.comparison.startswith("<"))
        worst = worst_first[0]
        number = numbers[worst.name]
        measure = self.measure or next(iter(worst.estimates))
        share = "auc" not in measure.lower()
        of = f", the worst of {len(risks)}" if len(risks) > 1 else ""
        above = " above its baseline" if self.relative_to == "baseline" else ""
        sentence = (
            f"{title_of(worst)}, {measure}{of}: {_ENDS[self.bound]}"
            f"{number_text(number, self.threshold, share=share)}{above}; {self._asked(share=share)}.{beside}"
        )
        met = holds(number, self.comparison, self.threshold)
        return self._said("met" if met else "not met", sentence, number, self.threshold)

    def _estimate(self, risk: Risk) -> Estimate | None:
        """Return the measure that is asked for, or None where the risk has no such number."""
        estimate = risk.estimates.get(self.measure) if self.measure else risk.headline
        if self.outcome is not None:
            return risk.headline
        if estimate is None or math.isnan(getattr(estimate, self.bound)):
            return None
        if self.relative_to == "baseline" and math.isnan(estimate.baseline):
            return None
        return estimate

    def _compared(self, risk: Risk) -> float:
        estimate = self._estimate(risk)
        if estimate is None:
            return math.nan
        number = float(getattr(estimate, self.bound))
        return number - estimate.baseline if self.relative_to == "baseline" else number

    def _why(self, asked: Sequence[Risk], unclear: Sequence[Risk]) -> str:
        if unclear:
            return f"{said_of(unclear)} inconclusive"
        if not asked:
            return f"the audit made no attack that {self.risk!r} means"
        refused = [risk for risk in asked if risk.outcome == "not applicable"]
        if refused:
            # a sentence within a sentence
            why = refused[0].note.rstrip(".")
            return (
                f"{title_of(refused[0])} could not be made ({why})" if why else f"{title_of(refused[0])} was not made"
            )
        return f"no attack has a number for {self.measure or 'its measure'!r}"


class GuaranteeGate(ThresholdGate):
    """A gate on the differential privacy that was promised.

    Attributes
    ----------
    guarantee
        "epsilon" or "delta" of the release, or "holds": whether the record behind them was checked and is whole.
    relative_to
        For delta, "records": compared is delta times the number of real rows.
    required
        Whether the gate fails when there is no guarantee.
    """

    guarantee: Literal["epsilon", "delta", "holds"]
    threshold: Threshold = math.nan
    relative_to: Literal["absolute", "records"] = "absolute"
    required: bool = False

    @model_validator(mode="after")
    def _one_question(self) -> GuaranteeGate:
        given = self.model_fields_set
        if self.guarantee == "holds":
            idle = [key for key in ("threshold", "comparison", "relative_to") if key in given]
            if idle:
                raise ValueError(f"{idle[0]!r} says nothing beside 'guarantee: holds': leave it out")
        elif "threshold" not in given:
            raise ValueError(f"a gate on {self.guarantee} needs a threshold")
        if self.relative_to == "records" and self.guarantee != "delta":
            raise ValueError("only delta can be relative to records")
        return self

    def verdict(self, audit: Audit) -> GateVerdict:
        """Return whether the guarantee meets the gate."""
        rule: Rule = "fail" if self.required else "pass"
        promised = audit.guarantee
        if promised is None:
            return self._not_tested("no guarantee was handed in (--model, --ledger)", rule)
        if promised.holds is False:
            why = f": {promised.reasons[0].rstrip('.')}" if promised.reasons else ""
            return self._said("not met", f"The guarantee of {promised.source} does not hold{why}.")
        if self.guarantee == "holds":
            if promised.holds is None:
                return self._not_tested(f"{promised.source} alone cannot be checked, the model was not given", rule)
            return self._said("met", f"The guarantee of {promised.source} was checked and holds.")
        return self._compared(promised, audit.rows.get("real", 0), rule, audit.thing)

    def _compared(self, promised: Guarantee, records: int, rule: Rule, thing: str) -> GateVerdict:
        own = float(getattr(promised, self.guarantee))
        if math.isnan(own):
            return self._not_tested(f"{promised.source} states no {self.guarantee}", rule)
        number = own * records if self.relative_to == "records" else own
        said = f"{self.guarantee} {own:.4g}"
        if self.relative_to == "records":
            said += f", times {records:,} {thing}s {number:.4g}"
        status: GateStatus = "met" if holds(number, self.comparison, self.threshold) else "not met"
        asked = f"{COMPARED[self.comparison]} {self.threshold:.4g} is asked for"
        return self._said(status, f"{said}, by {promised.source}; {asked}.", number, self.threshold)


class UtilityGate(ThresholdGate):
    """A gate on a score of how good the table is; its keys mean what they mean in a suite.

    Attributes
    ----------
    utility
        Name of the score.
    relative_to
        "absolute", or the distance from the "ceiling" or "floor" of the score.
    unit
        Of that distance: "difference" or "ratio".
    bound
        Which number is compared: the value, or the low or high end of its interval.
    required
        Whether the gate fails when there is no such score.
    """

    utility: str
    relative_to: Literal["absolute", "ceiling", "floor"] = "absolute"
    unit: Literal["difference", "ratio"] = "difference"
    bound: Literal["value", "low", "high"] = "value"
    required: bool = False

    @field_validator("utility")
    @classmethod
    def _known(cls, name: str) -> str:
        from synthkit.evaluation.metrics import METRICS

        if name not in METRICS:
            raise ValueError(unknown_name("score", name, METRICS))
        return name

    def verdict(self, audit: Audit) -> GateVerdict:
        """Return whether the score meets the gate."""
        gate = ScoreGate(
            metric=self.utility,
            comparison=self.comparison,
            threshold=self.threshold,
            relative_to=self.relative_to,
            unit=self.unit,
            bound=self.bound,
            required=self.required,
            reason=self.reason,
        )
        found = gate.verdict(audit.utility.get(self.utility))
        status: dict[str, GateStatus] = {"fail": "not met", "not applicable": "not tested"}
        sentence = _MINUS.sub("−", found.sentence[:1].upper() + found.sentence[1:])
        return self._said(status.get(found.status, "met"), sentence, found.value, found.threshold)


class OverlapGate(ThresholdGate):
    """A gate on rows or persons that are in both real tables: with too many of them the controls hide leaks.

    Attributes
    ----------
    overlap
        "excess": share of the held-out rows that are training rows, beyond what is expected; "share": that share;
        "persons": number of persons in both tables.
    not_tested
        What it means when there are no held-out rows.
    """

    overlap: Literal["excess", "share", "persons"]
    not_tested: Rule = "fail"

    def verdict(self, audit: Audit) -> GateVerdict:
        """Return whether the overlap meets the gate."""
        if audit.overlap is None:
            return self._not_tested(f"there are no held-out {audit.thing}s (--holdout)", self.not_tested)
        if self.overlap == "persons" and not audit.knows_persons:
            lacks = {"row": "no column names the person (--person)", "cell": "no column names the donor (--donor)"}
            why = lacks.get(audit.thing, "the patients are unknown")
            return self._not_tested(why, self.not_tested)
        number, said = self._measured(audit.overlap, audit.thing)
        status: GateStatus = "met" if holds(number, self.comparison, self.threshold) else "not met"
        asked = self._asked(share=self.overlap != "persons")
        return self._said(status, f"{said}; {asked}.", number, self.threshold)

    def _measured(self, found: Overlap, thing: str) -> tuple[float, str]:
        if self.overlap == "persons":
            one = found.persons == 1
            who = "1 person has" if one else f"{found.persons:,} persons have"
            where = "both real tables" if thing == "row" else "both real sets"
            return float(found.persons), f"{who} {thing}s in {where}"
        own = self.threshold if self.overlap == "share" else math.nan
        share = f"{number_text(found.share, own, share=True)} of the held-out {thing}s equal a training {thing}"
        if self.overlap == "share":
            return found.share, share
        excess = found.share - found.expected
        expected, more = number_text(found.expected, share=True), number_text(excess, self.threshold, share=True)
        return excess, f"{share}, {expected} would by chance: {more} beyond that"


SUBJECTS: Mapping[str, type[Gate]] = {
    "risk": RiskGate,
    "guarantee": GuaranteeGate,
    "utility": UtilityGate,
    "overlap": OverlapGate,
}
"""The key that says what a gate is about, and the gate."""
