"""Policies: what a release must not disclose, for whom, until when, as YAML that a privacy officer edits.

A policy is data: nothing in it is executed, and no gate needs code. What could not be tested does not pass unless the
policy says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from synthkit.auditing.gates import SUBJECTS, GuaranteeGate, OverlapGate, RiskGate, UtilityGate
from synthkit.auditing.result import Audit, GateVerdict
from synthkit.errors import InputError, nearest_name, unknown_name
from synthkit.schema_yaml import line_of, parse_yaml, read_named

FORMAT_VERSION = 1
POLICIES: Mapping[str, str] = MappingProxyType(
    {
        "internal-test-data": "internal-test-data.yaml",
        "research-sharing": "research-sharing.yaml",
        "public-release": "public-release.yaml",
    }
)
"""Policies that come with the package, the most lenient first."""
DEFAULT = "internal-test-data"
_REVIEW = "review of the policy"
_PLAINER = {"tuple_type": "expected a list", "model_type": "expected keys and values"}


def _about(gate: Any) -> Any:
    """Refuse a gate that is about nothing or about several things."""
    if not isinstance(gate, Mapping):
        raise ValueError(f"a gate must be keys and values, got {type(gate).__name__}")
    found = [subject for subject in SUBJECTS if subject in gate]
    if len(found) > 1:
        raise ValueError(f"a gate has exactly one of {', '.join(SUBJECTS)}, this one has {' and '.join(found)}")
    if not found:
        meant = {str(key): nearest_name(str(key), SUBJECTS) for key in gate}
        odd = next((f"; did you mean {near!r} with {key!r}?" for key, near in meant.items() if near), "")
        raise ValueError(f"a gate has exactly one of {', '.join(SUBJECTS)}, this one has none{odd}")
    return gate


def _subject(gate: Any) -> str | None:
    if isinstance(gate, Mapping):
        return next((f"gate on {subject}" for subject in SUBJECTS if subject in gate), None)
    return next((f"gate on {subject}" for subject, kind in SUBJECTS.items() if isinstance(gate, kind)), None)


_ONE_OF_THEM = Annotated[
    Annotated[RiskGate, Tag("gate on risk")]
    | Annotated[GuaranteeGate, Tag("gate on guarantee")]
    | Annotated[UtilityGate, Tag("gate on utility")]
    | Annotated[OverlapGate, Tag("gate on overlap")],
    Discriminator(_subject),
]
AnyGate = Annotated[_ONE_OF_THEM, BeforeValidator(lambda gate: gate if isinstance(gate, BaseModel) else _about(gate))]


class Policy(BaseModel):
    """What a release has to meet.

    Attributes
    ----------
    name
        What it is called.
    description
        For which releases it is meant, and why it is as strict as it is.
    recipients
        Who may get the release.
    conditions
        Conditions of use in words, one sentence each; they are printed in the report and checked by nobody else.
    reviewer
        Who has to sign, by role or name; empty where the policy leaves it open.
    expires_after_days
        For how many days an audit under this policy counts; None for no end.
    review_by
        Day after which the policy itself has to be reviewed: later audits do not meet it. None for no such day.
    gates
        The gates.
    format_version
        Version of the file format.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    name: str = Field(min_length=1)
    description: str = ""
    recipients: str = ""
    conditions: tuple[str, ...] = ()
    reviewer: str = ""
    expires_after_days: int | None = Field(default=None, ge=1, le=36_500)
    review_by: date | None = None
    gates: tuple[AnyGate, ...] = ()

    @field_validator("format_version")
    @classmethod
    def _readable(cls, version: int) -> int:
        if not 1 <= version <= FORMAT_VERSION:
            raise ValueError(f"format_version is {version}, and this version of synthkit reads 1 to {FORMAT_VERSION}")
        return version

    @field_validator("expires_after_days", "review_by", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"got {str(value).lower()}, expected a number of days or a date")
        if info.field_name == "review_by" and isinstance(value, int | float):
            raise ValueError(f"got the number {value}, expected a date such as 2027-06-30")
        return value

    def verdicts(self, audit: Audit) -> tuple[GateVerdict, ...]:
        """Return the verdict of each gate, in the order of the policy.

        Parameters
        ----------
        audit
            What was found; its own verdicts are not looked at.
        """
        found = tuple(gate.verdict(audit) for gate in self.gates)
        made = _day(audit.created)
        if self.review_by is None or made <= self.review_by:
            return found
        late = GateVerdict(
            _REVIEW,
            "not met",
            f"The policy was to be reviewed by {self.review_by}, the audit is of {made}.",
            "Attacks and law change; thresholds that nobody looks at again are no decision.",
        )
        return (*found, late)

    def expires(self, created: str) -> date | None:
        """Return the last day on which an audit counts, or None.

        Parameters
        ----------
        created
            When the audit was made (ISO 8601), as in `Audit.created`; empty for today.
        """
        if self.expires_after_days is None:
            return None
        return _day(created) + timedelta(days=self.expires_after_days)

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain values that JSON and YAML can hold, with the keys that its file has."""
        content = self.model_dump(mode="json", exclude_unset=True)
        return {"format_version": self.format_version, **content}


def load_policy(name: str | Path) -> Policy:
    """Read a policy.

    Parameters
    ----------
    name
        Name of a policy that comes with the package, or path of a YAML file.

    Raises
    ------
    InputError
        No such policy, or a file that is not one: says which line and key is wrong and what was expected.
    """
    return parse_policy(*read_named(name, "policy", POLICIES, files("synthkit.auditing") / "policies"))


def parse_policy(text: str, source: str = "policy") -> Policy:
    """Return the policy that a YAML text describes.

    Parameters
    ----------
    text
        The content of the file.
    source
        Its name, for errors.

    Raises
    ------
    InputError
        It describes none: says which line and key is wrong.
    """
    content = parse_yaml(text, f"policy '{source}'")
    if not isinstance(content, Mapping):
        raise InputError(
            f"the policy '{source}' holds no settings", remedy="It needs at least a name; see docs/how-to/policies.md."
        )
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        raise _wrong(text, source, *_first(error)) from error
    seen: set[str] = set()
    for position, gate in enumerate(policy.gates):
        if gate.name in seen:
            place = ("gates", position, "name")
            raise _wrong(text, source, place, f"the gate {gate.name!r} is there twice, and each name may be used once")
        seen.add(gate.name)
    return policy


def _first(error: ValidationError) -> tuple[tuple[str | int, ...], str]:
    """Return the place and the text of the first mistake; an unknown key before what it may have caused."""
    found = sorted(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")[0]
    # between the position of a gate and its keys stands which kind of gate it is
    place = tuple(part for part in found["loc"] if not str(part).startswith("gate on "))
    tags = [str(part).removeprefix("gate on ") for part in found["loc"] if str(part).startswith("gate on ")]
    if found["type"] == "extra_forbidden":
        owner: type[BaseModel] = SUBJECTS[tags[0]] if tags else Policy
        return place, unknown_name("key", str(place[-1]), owner.model_fields)
    if found["type"] == "missing":
        return place, "this key is missing"
    if found["type"] in _PLAINER:
        return place, _PLAINER[found["type"]]
    return place, found["msg"].removeprefix("Value error, ")


def _wrong(text: str, source: str, place: Sequence[str | int], message: str) -> InputError:
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    return InputError(
        f"the policy '{source}' is wrong in line {line_of(text, place)}, at {key or 'the top'}: {message}",
        remedy="Correct that entry; docs/how-to/policies.md explains every key.",
    )


def _day(created: str) -> date:
    """Return the day of a time in ISO 8601; today where there is none."""
    return datetime.fromisoformat(created).date() if created else datetime.now(UTC).date()
