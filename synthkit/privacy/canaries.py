"""Canary audit: attacks on the private anchor and on the private critic that know everything but one row.

A canary is a row made to be found: it sits in cells that no other row has, or its gradient is longer than clipping
allows and nothing else is in the table. The audit runs the real code again and again, ledger, guard, noise and all, on
a table with the canary and on its neighbour without, and looks at everything that the run publishes
(`synthkit.privacy.canary_attacks`).

The result is a lower bound on epsilon, with a confidence. **It can only refute.** "Consistent" means that this attack,
with so many runs, found no more than what is claimed; `CanaryAudit.detectable` and `CanaryAudit.expected` say what it
could have found. What the claim rests on is the proof: ledger, mechanisms, contract tests.

All rows are made up. No private data is read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy.audit_bounds import EpsilonBound, one_run_bound, require_confidence, threshold_bound
from synthkit.privacy.budget import ROW, PrivacyBudget
from synthkit.privacy.canary_attacks import (
    CLIP,
    MOST_STEPS,
    AnchorAttack,
    AnchorRelease,
    Attack,
    CriticAttack,
    CriticRelease,
    Floats,
    Release,
)
from synthkit.privacy.noise import NoiseSource

Verdict = Literal["consistent", "refuted"]


@dataclass(frozen=True)
class CanaryAudit:
    """What an audit found. It can only refute.

    Attributes
    ----------
    audited
        "anchor" or "critic".
    method
        Curve of the bound (`synthkit.privacy.audit_curves`), or "one run".
    adjacency
        Which tables count as neighbours.
    claimed
        Epsilon of the plan, by the ledger.
    delta
        Of claim and bound.
    lower_bound
        On epsilon, under the curve of `method`.
    confidence
        Chance that the bound is right, at least.
    runs
        Runs with and without the canary together; in one run, canaries.
    detectable
        Largest bound that so many runs could show.
    expected
        Bound to expect of a mechanism exactly at its claim.
    any_mechanism
        Lower bound at the same confidence that assumes no curve at all; None in one run, whose bound never does.
    verdict
        "refuted" where the lower bound is above the claim, else "consistent".
    """

    audited: str
    method: str
    adjacency: str
    claimed: float
    delta: float
    lower_bound: float
    confidence: float
    runs: int
    detectable: float
    expected: float
    any_mechanism: float | None
    verdict: Verdict

    @property
    def share(self) -> float:
        """Lower bound over claim: how much of what is claimed the attack has shown to be needed."""
        return self.lower_bound / self.claimed

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def audit_anchor(
    budget: PrivacyBudget,
    *,
    runs: int = 2_000,
    columns: int = 6,
    confidence: float = 0.99,
    noise: NoiseSource | None = None,
) -> CanaryAudit:
    """Attack the private anchor many times, with and without a canary in cells of its own.

    Parameters
    ----------
    budget
        What a release of margins and all pairs is planned for.
    runs
        Releases in all, half of them with the canary; at least 4.
    columns
        Columns of the made-up table, at least 2. With few, noise is so small that whole numbers cost something
        (`synthkit.privacy.accounting`), and less of the claim can be found.
    confidence
        Of the lower bound.
    noise
        Where noise comes from; None is the operating system. A reproducible source is for tests.

    Returns
    -------
    CanaryAudit
        It can only refute: "consistent" is no proof.

    Raises
    ------
    PrivacyError
        If there are too few runs or columns, or the ledger refuses the plan.

    Privacy
    -------
    Reads made-up rows only, and no ledger of real data.
    """
    _require(columns >= 2, f"an audit of the anchor needs at least 2 columns, got {columns}")
    _require_runs(runs, confidence)
    source = NoiseSource() if noise is None else noise
    return _many_runs(AnchorAttack(budget, columns, source), runs, confidence, source)


def audit_critic(
    budget: PrivacyBudget,
    *,
    runs: int = 2_000,
    steps: int = 4,
    sampling_probability: float = 0.5,
    confidence: float = 0.99,
    noise: NoiseSource | None = None,
) -> CanaryAudit:
    """Attack the noisy gradients of the critic many times, with and without a canary that clipping cuts to its norm.

    The canary is alone in the table, so that it has nothing to hide among. Its loss is that of WGAN-GP; real term, fake
    term and penalty are each longer than the clipping norm.

    Parameters
    ----------
    budget
        What the steps are planned for.
    runs
        Trainings in all, half of them with the canary; at least 4.
    steps, sampling_probability
        Of one training; at most 10 steps. Few steps with large samples are fast, and the accounting is as tight.
    confidence, noise
        As in `audit_anchor`.

    Returns
    -------
    CanaryAudit
        It can only refute: "consistent" is no proof.

    Raises
    ------
    PrivacyError
        If there are too few runs, no steps or too many, a number is out of range, or the ledger refuses the plan.

    Privacy
    -------
    Reads made-up rows only, and no ledger of real data.
    """
    _require(steps <= MOST_STEPS, f"an audit of the critic takes at most {MOST_STEPS} steps, got {steps}")
    _require_samples(steps, sampling_probability)
    _require_runs(runs, confidence)
    source = NoiseSource() if noise is None else noise
    return _many_runs(CriticAttack(budget, steps, sampling_probability, source), runs, confidence, source)


def audit_anchor_once(
    budget: PrivacyBudget, *, canaries: int = 400, confidence: float = 0.99, noise: NoiseSource | None = None
) -> CanaryAudit:
    """Attack one release of the anchor with many canaries, each in or out by a coin flip.

    For releases that are too slow to repeat. It shows much less than `audit_anchor`.

    Parameters
    ----------
    budget
        For single rows under "add-remove".
    canaries
        Each has a symbol of its own in both columns of the table, so that the pair has this number squared of cells.
    confidence, noise
        As in `audit_anchor`.

    Returns
    -------
    CanaryAudit
        It can only refute: "consistent" is no proof.

    Raises
    ------
    PrivacyError
        If there are too few canaries, the budget is of another kind, or the ledger refuses the plan.

    Privacy
    -------
    Reads made-up rows only, and no ledger of real data.
    """
    _require_rows(budget, canaries, confidence)
    source = NoiseSource() if noise is None else noise
    release = AnchorRelease(budget, 2, canaries)
    included = source.bernoulli(0.5, canaries)
    own = np.flatnonzero(included).astype(np.int32)
    margins, pairs = release(np.stack([own, own], 1), source)
    of_margins, of_pairs = release.deviations
    scores = (margins[0] + margins[1]) / of_margins**2 + np.diagonal(pairs[0]) / of_pairs**2
    return _one_run("anchor", release, scores, included, confidence)


def audit_critic_once(
    budget: PrivacyBudget,
    *,
    canaries: int = 1_000,
    steps: int = 8,
    sampling_probability: float = 0.5,
    confidence: float = 0.99,
    noise: NoiseSource | None = None,
) -> CanaryAudit:
    """Attack one training of the critic with many canaries, each in or out by a coin flip.

    Parameters
    ----------
    budget
        For single rows under "add-remove".
    canaries
        Each has a symbol, and with it a direction of its gradient, of its own.
    steps, sampling_probability
        As in `audit_critic`.
    confidence, noise
        As in `audit_anchor`.

    Returns
    -------
    CanaryAudit
        It can only refute: "consistent" is no proof.

    Raises
    ------
    PrivacyError
        If there are too few canaries, the budget is of another kind, or the ledger refuses the plan.

    Privacy
    -------
    Reads made-up rows only, and no ledger of real data.
    """
    _require_rows(budget, canaries, confidence)
    _require_samples(steps, sampling_probability)
    source = NoiseSource() if noise is None else noise
    # a slope of norm 1 has no penalty and a fake of zeros no direction: what is left is the canary's own
    release = CriticRelease(budget, steps, sampling_probability, np.full(canaries, canaries**-0.5), np.zeros(canaries))
    included = source.bernoulli(0.5, canaries)
    sums = release(np.flatnonzero(included).astype(np.int32)[:, None], source)
    scores = release.log_ratio(-CLIP * sums[:, :canaries], CLIP**2).sum(0)
    return _one_run("critic", release, scores, included, confidence)


def audit_attack(
    attack: Attack, *, runs: int, confidence: float = 0.99, noise: NoiseSource | None = None
) -> CanaryAudit:
    """Run any attack many times, with and without its canary, and bound epsilon by its scores.

    Parameters
    ----------
    attack
        Two neighbours, a release, and a score that tells them apart.
    runs, confidence, noise
        As in `audit_anchor`.

    Raises
    ------
    PrivacyError
        There are too few runs.
    """
    _require_runs(runs, confidence)
    return _many_runs(attack, runs, confidence, NoiseSource() if noise is None else noise)


def _many_runs(attack: Attack, runs: int, confidence: float, source: NoiseSource) -> CanaryAudit:
    """Run an attack on both tables, and bound epsilon by its scores."""
    delta = attack.release.budget.delta
    scores = [np.array([attack.score(codes, source) for _ in range(runs // 2)]) for codes in attack.tables]
    # where both tables are as likely: known before any run
    found = threshold_bound(
        *scores, delta=delta, confidence=confidence, threshold=0.0, curve=attack.curve, ideal=attack.ideal()
    )
    anything = threshold_bound(*scores, delta=delta, confidence=confidence)
    return _result(attack.name, attack.release, found, anything.bound)


def _one_run(
    audited: str, release: Release, scores: Floats, included: NDArray[np.bool_], confidence: float
) -> CanaryAudit:
    """Bound epsilon by how well scores guess coins."""
    delta = release.budget.delta
    found = one_run_bound(scores, included, delta=delta, confidence=confidence, claimed=release.claimed)
    return _result(audited, release, found, None)


def _result(audited: str, release: Release, found: EpsilonBound, anything: float | None) -> CanaryAudit:
    return CanaryAudit(
        audited=audited,
        method=found.method,
        adjacency=release.budget.adjacency,
        claimed=release.claimed,
        delta=release.budget.delta,
        lower_bound=found.bound,
        confidence=found.confidence,
        runs=found.runs,
        detectable=found.detectable,
        expected=found.expected or 0.0,
        any_mechanism=anything,
        verdict="refuted" if found.bound > release.claimed else "consistent",
    )


def _require_runs(runs: int, confidence: float) -> None:
    """Refuse what no bound follows from, before the runs and not after them."""
    _require(runs >= 4, f"a canary audit needs at least 4 runs, got {runs}")
    require_confidence(confidence)


def _require_samples(steps: int, sampling_probability: float) -> None:
    _require(steps >= 1, f"an audit of the critic takes at least 1 step, got {steps}")
    _require(
        0 < sampling_probability <= 1,
        f"an audit of the critic expects a sampling probability above 0 and at most 1, got {sampling_probability}",
    )


def _require_rows(budget: PrivacyBudget, canaries: int, confidence: float) -> None:
    """Refuse what an audit in one run is not made for."""
    require_confidence(confidence)
    _require(canaries >= 10, f"a canary audit in one run needs at least 10 canaries, got {canaries}")
    _require(
        budget.unit == ROW and budget.adjacency == "add-remove",
        f"a canary audit in one run is for single rows under 'add-remove', got the unit {budget.unit!r} under "
        f"{budget.adjacency!r}",
    )


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise PrivacyError(what, remedy="See synthkit.privacy.canaries for what an audit needs.")
