"""The linter of private models: reads a model file and checks whatever can be checked without the data.

Nothing that the file says about itself is believed: epsilon is composed again from the events, sensitivities are worked
out again from the budget, and the content of the model is compared with the schema that was declared. What a linter
cannot see is whether the program did what the ledger says; the contract tests and the canary audit look for that.

A check is a function of the model that returns a `Verdict`. Those that every private model must pass are in
`synthkit.privacy.lint_checks`; the content of a kind of model has checks of its own, such as those of
`synthkit.tables.private_lint`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from synthkit.errors import SynthkitError
from synthkit.privacy.private_model import PrivateModel

FORMAT_VERSION = 1

Status = Literal["pass", "fail", "not applicable"]
_SHOWN = {"pass": "pass", "fail": "FAIL", "not applicable": "n/a"}


@dataclass(frozen=True)
class Verdict:
    """What a check says.

    Attributes
    ----------
    status
        "pass", "fail" or "not applicable".
    reason
        One sentence: what was found and, for a failure, what was expected.
    """

    status: Status
    reason: str


def passed(reason: str) -> Verdict:
    """Return the verdict of a check that is met."""
    return Verdict("pass", reason)


def failed(reason: str) -> Verdict:
    """Return the verdict of a check that is not met."""
    return Verdict("fail", reason)


def skipped(reason: str) -> Verdict:
    """Return the verdict of a check that does not apply."""
    return Verdict("not applicable", reason)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    title
        What must hold, in a few words.
    catches
        The mistake that it is there for.
    run
        Looks at the model.
    """

    title: str
    catches: str
    run: Callable[[PrivateModel], Verdict]


@dataclass(frozen=True)
class Finding:
    """What one check found in one file."""

    check: str
    title: str
    status: Status
    reason: str


@dataclass(frozen=True)
class LintReport:
    """What all checks found in one file.

    Attributes
    ----------
    model
        Name of the file.
    sha256
        Of its bytes.
    findings
        One for each check.
    """

    model: str
    sha256: str
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that fail."""
        return tuple(finding for finding in self.findings if finding.status == "fail")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "sha256": self.sha256,
            "passed": not self.failed,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def to_text(self, width: int = 100) -> str:
        """Return one line for each check, and a last one for all."""
        name = max((len(finding.check) for finding in self.findings), default=0)
        lines = []
        for finding in self.findings:
            head = f"{_SHOWN[finding.status]:<4}  {finding.check:<{name}}  "
            body = textwrap.wrap(finding.reason, max(width - len(head), 30)) or [""]
            lines += [head + body[0], *(" " * len(head) + more for more in body[1:])]
        return "\n".join([*lines, self.summary()]) + "\n"

    def summary(self) -> str:
        """Return how many checks passed, failed and did not apply, in one sentence."""
        count = {status: sum(finding.status == status for finding in self.findings) for status in _SHOWN}
        return (
            f"{len(self.findings)} checks: {count['pass']} passed, {count['fail']} failed, "
            f"{count['not applicable']} did not apply."
        )


def run_checks(model: PrivateModel, *registries: Mapping[str, Check]) -> LintReport:
    """Run checks on a model.

    Parameters
    ----------
    model
        An opened file.
    registries
        Checks by name.

    Returns
    -------
    LintReport
        A check that meets something it cannot read fails; it is no reason to skip the others.
    """
    return LintReport(model.path.name, model.sha256, tuple(_findings(model, registries)))


def _findings(model: PrivateModel, registries: Iterable[Mapping[str, Check]]) -> Iterable[Finding]:
    for registry in registries:
        for name, check in registry.items():
            try:
                verdict = check.run(model)
            except SynthkitError as error:
                verdict = failed(error.what)
            except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
                verdict = failed(f"what it looks at cannot be read ({type(error).__name__}: {error})")
            yield Finding(name, check.title, verdict.status, verdict.reason)


def is_digest(text: str) -> bool:
    """Return whether a text looks like a digest, by which a guess of the data could be confirmed."""
    return len(text) >= 32 and all(letter in "0123456789abcdef" for letter in text.lower())
