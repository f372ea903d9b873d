"""The certificate of a private model: what is guaranteed, what was read, what it means, and what it does not cover.

Everything is worked out again from the model file; a stored epsilon is never believed. The certificate is evidence for
somebody who decides, not the decision.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from synthkit.privacy.accounting import CrossCheck, cross_check, epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.describe import EventLine, describe_events
from synthkit.privacy.events import Event
from synthkit.privacy.lint_checks import ROUNDING, own_events
from synthkit.privacy.linter import LintReport
from synthkit.privacy.plain_words import explain, not_covered
from synthkit.privacy.private_model import PrivateModel
from synthkit.privacy.public_facts import bought_facts, public_facts
from synthkit.privacy.tradeoff import NO_GUARANTEE, Meaning, meaning
from synthkit.privacy.wording import Wording, wording_of

FORMAT_VERSION = 1
NOT_PRIVATE = "NOT PRIVATE"

_ACCOUNTANTS = {
    "pld": ("privacy loss distribution (PLD); this one is enforced", "dp-accounting"),
    "rdp": ("Rényi (RDP); an upper bound", "dp-accounting"),
    "opacus_prv": ("privacy random variables (PRV)", "opacus"),
    "opacus_rdp": ("Rényi (RDP); an upper bound", "opacus"),
}


@dataclass(frozen=True)
class Accounted:
    """What one accountant says.

    Attributes
    ----------
    method, library
        Its name, and the library with its version.
    epsilon
        Of all events at the budget's delta; None where it does not apply.
    note
        Why it does not apply, or empty.
    """

    method: str
    library: str
    epsilon: float | None
    note: str = ""


@dataclass(frozen=True)
class EarlierRelease:
    """What was released from the same data before.

    Attributes
    ----------
    name
        As in the ledger.
    created
        When, as in the ledger.
    epsilon
        Of its own events alone.
    """

    name: str
    created: str
    epsilon: float


@dataclass(frozen=True)
class Certificate:
    """What a privacy officer needs to know of a model.

    Attributes
    ----------
    model, kind, created, engine
        File name, what is modelled, when it was fitted and on what the budget was spent.
    stamps
        Why the guarantee does not hold, one sentence each; empty for a private model whose checks pass.
    budget
        Epsilon, delta, unit, adjacency, rows per unit.
    epsilon
        Of all events of this release, by PLD.
    accountants
        The same by each accountant.
    events
        Of this release.
    earlier
        Releases from the same data before this one.
    total, epsilon_total
        What all releases from the data may spend together, and what they spent with this one, by PLD.
    public, bought
        What was taken as known, and what was bought from the budget; name and text.
    meaning
        Bounds on attacks.
    plain
        The same in plain words, one paragraph each.
    not_covered
        What the guarantee says nothing about.
    checks
        What the linter found, or None where it was not run.
    hashes
        SHA-256 of the file and of its parts.
    versions
        What the model and this certificate were made with.
    """

    model: str
    kind: str
    created: str
    engine: str
    stamps: tuple[str, ...]
    budget: PrivacyBudget
    epsilon: float
    accountants: tuple[Accounted, ...]
    events: tuple[EventLine, ...]
    earlier: tuple[EarlierRelease, ...]
    total: PrivacyBudget
    epsilon_total: float
    public: tuple[tuple[str, str], ...]
    bought: tuple[tuple[str, str], ...]
    meaning: Meaning
    plain: tuple[str, ...]
    not_covered: tuple[str, ...]
    checks: LintReport | None
    hashes: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the guarantee."""
        return not self.stamps

    @property
    def words(self) -> Wording:
        """What it calls things."""
        return wording_of(self.kind)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "kind": self.kind,
            "created": self.created,
            "engine": self.engine,
            "private": self.holds,
            "stamps": list(self.stamps),
            "guarantee": self.budget.to_json(),
            "epsilon": self.epsilon,
            "accountants": [asdict(one) for one in self.accountants],
            "events": [one.to_json() for one in self.events],
            "earlier_releases": [asdict(one) for one in self.earlier],
            "all_releases": {"budget": self.total.to_json(), "epsilon": self.epsilon_total},
            "public": [{"what": what, "value": value} for what, value in self.public],
            "bought": [{"what": what, "value": value} for what, value in self.bought],
            "meaning": asdict(self.meaning),
            "plain_words": list(self.plain),
            "not_covered": list(self.not_covered),
            "checks": None if self.checks is None else self.checks.to_json(),
            "sha256": dict(self.hashes),
            "versions": dict(self.versions),
            "sign_off": dict.fromkeys(SIGN_OFF),
        }

    def to_text(self, width: int = 96) -> str:
        """Return the certificate for a terminal, no line longer than `width`."""
        from synthkit.privacy.certificate_text import render_text

        return render_text(self, width)

    def to_html(self) -> str:
        """Return the certificate as one page that needs no network."""
        from synthkit.privacy.certificate_html import render_html

        return render_html(self)


SIGN_OFF = ("purpose and recipient", "decision", "reviewer", "date", "valid until", "signature")
"""What a person fills in."""


def certify(model: PrivateModel, *, lint: LintReport | None = None, opacus: bool = False) -> Certificate:
    """Make the certificate of a private model.

    Parameters
    ----------
    model
        Its file.
    lint
        What the linter found in the same file; without it the certificate says that nobody looked.
    opacus
        Whether to ask Opacus' accountants too, if it is installed; importing it takes seconds.

    Raises
    ------
    PrivacyError
        The ledger or the schema in the file cannot be read.
    """
    ledger = model.ledger()
    budget, words = ledger.budget, wording_of(model.kind)
    events = own_events(ledger)
    accounted = cross_check(events, budget, opacus=opacus)
    together = ledger.total
    everything = epsilon_spent((*ledger.earlier, *events), together.delta, together.adjacency)
    # what is explained is what holds, whatever the file claims
    holds_at_all = math.isfinite(accounted.pld)
    holding = replace(budget, epsilon=max(budget.epsilon, accounted.pld)) if holds_at_all else budget
    bounds = meaning(events, holding) if holds_at_all else NO_GUARANTEE
    return Certificate(
        model=model.path.name,
        kind=model.kind,
        created=_moment(str(model.privacy.get("created", ""))),
        engine=str(model.privacy.get("engine", "")),
        stamps=_stamps(model, [(budget, accounted.pld), (together, everything)], lint),
        budget=budget,
        epsilon=accounted.pld,
        accountants=_accountants(accounted, opacus=opacus),
        events=describe_events(events, budget),
        earlier=tuple(
            EarlierRelease(
                release.name,
                _moment(release.created),
                epsilon_spent(release.events, together.delta, together.adjacency),
            )
            for release in ledger.before
        ),
        total=together,
        epsilon_total=everything,
        public=public_facts(model),
        bought=bought_facts(model),
        meaning=bounds,
        plain=explain(holding, bounds, private=model.is_private, words=words),
        not_covered=not_covered(budget, _uses_gradients(events), words),
        checks=lint,
        hashes={model.path.name: model.sha256} | _parts(model),
        versions=_versions(model),
    )


def _stamps(
    model: PrivateModel, spent: Sequence[tuple[PrivacyBudget, float]], lint: LintReport | None
) -> tuple[str, ...]:
    """Why the guarantee does not hold."""
    found = []
    if not model.is_private:
        found.append(
            f"{NOT_PRIVATE}: the noise of this model can be repeated from a seed (--reproducible-noise), and whoever "
            "knows the seed can take it away; it is for tests only"
        )
    found += [
        f"{NOT_PRIVATE} AS CLAIMED: the events in the ledger spend epsilon {epsilon:.4g}, the budget is "
        f"{budget.epsilon:g}"
        for budget, epsilon in spent
        if epsilon > budget.epsilon * (1 + ROUNDING)
    ][:1]
    failing = [finding.check for finding in lint.failed] if lint is not None else []
    if failing and not (found and failing == ["noise"]):  # that one is told already
        found.append(f"{NOT_PRIVATE} AS CLAIMED: checks of the file fail ({', '.join(failing)})")
    return tuple(found)


def _accountants(checked: CrossCheck, *, opacus: bool) -> tuple[Accounted, ...]:
    notes = dict(note.split(": ", 1) for note in checked.notes)
    lines = []
    for name, (method, library) in _ACCOUNTANTS.items():
        if library == "opacus" and not opacus:
            continue
        text = f"{library} {_version(library)}"
        lines.append(Accounted(method, text, getattr(checked, name), notes.get(name.replace("_", "-"), "")))
    return tuple(lines)


def _moment(stored: str) -> str:
    """Return a stored time for people; what is no time stays as it is."""
    try:
        return datetime.fromisoformat(stored).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):  # the latter for the first and the last day that there are
        return stored


def _uses_gradients(events: Sequence[Event]) -> bool:
    return any(event.sampling_probability is not None for event in events)


def _parts(model: PrivateModel) -> dict[str, str]:
    files = model.manifest.get("files")
    return {f"part {name}": str(digest) for name, digest in files.items()} if isinstance(files, dict) else {}


def _versions(model: PrivateModel) -> dict[str, str]:
    from synthkit import __version__

    stored = model.privacy.get("versions")
    made_with = {f"model: {name}": str(text) for name, text in stored.items()} if isinstance(stored, dict) else {}
    return made_with | {
        "certificate: synthkit": __version__,
        "certificate: dp-accounting": _version("dp-accounting"),
        "certificate: python": platform.python_version(),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "(not installed)"
