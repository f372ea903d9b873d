"""Accounting: the epsilon of a list of events by several accountants, and the noise that a budget asks for.

The privacy loss distribution (:mod:`synthkit.privacy.loss_distribution`) is what is reported and enforced. Rényi
differential privacy and Opacus' accountants are independent of it and there to check against (:func:`cross_check`).
The calibrations of :mod:`synthkit.privacy.calibration` are offered here too.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from dp_accounting.dp_event import ZCDpEvent
from dp_accounting.rdp import RdpAccountant

from synthkit.errors import PrivacyError, unknown_name
from synthkit.privacy.budget import ADJACENCIES, Adjacency, PrivacyBudget
from synthkit.privacy.calibration import (
    calibrate_noise,
    calibrate_sampled_gaussian,
    epsilon_left,
    gaussian_precision,
    noise_scale,
    remaining_precision,
)
from synthkit.privacy.events import DISCRETE_LAPLACE, SAMPLED_GAUSSIAN, Event
from synthkit.privacy.loss_distribution import LATTICE_VARIANCE, pld_epsilon

__all__ = [
    "ACCOUNTANTS",
    "LATTICE_VARIANCE",
    "CrossCheck",
    "calibrate_noise",
    "calibrate_sampled_gaussian",
    "cross_check",
    "epsilon_left",
    "epsilon_spent",
    "gaussian_precision",
    "noise_scale",
    "remaining_precision",
]


def epsilon_spent(
    events: Sequence[Event], delta: float, adjacency: Adjacency = "add-remove", *, accountant: str = "pld"
) -> float:
    """Return the epsilon of all events together.

    Parameters
    ----------
    events
        What was or will be done with one data set, in any order.
    delta
        Total failure probability; the events' own are taken off it.
    adjacency
        "add-remove" or "replace-one"; :mod:`synthkit.privacy.events` says what noise multipliers are relative to.
    accountant
        "pld" (enforced), "rdp", "opacus-prv" or "opacus-rdp".

    Returns
    -------
    float
        Infinite where no finite epsilon holds at this delta; 0 without events.

    Raises
    ------
    PrivacyError
        If the accountant is unknown or does not apply to these events.

    Privacy
    -------
    "pld" and "rdp" are never below the true epsilon of the events under that adjacency.
    """
    if adjacency not in ADJACENCIES:
        raise PrivacyError(unknown_name("adjacency", str(adjacency), ADJACENCIES), remedy="Use one of these.")
    if accountant not in ACCOUNTANTS:
        raise PrivacyError(unknown_name("accountant", str(accountant), ACCOUNTANTS), remedy="Use one of these.")
    reason = _why_not(accountant, events, adjacency)
    if reason is not None:
        raise PrivacyError(f"the accountant '{accountant}' does not apply: {reason}", remedy="Use 'pld'.")
    if not 0 < delta < 1:
        raise PrivacyError(f"delta is {delta!r}, expected above 0 and below 1", remedy="Give one such as 1e-6.")
    if not events:
        return 0.0
    left = delta - math.fsum(event.delta for event in events)
    if accountant == "pld" or left <= 0:
        return pld_epsilon(events, delta, adjacency)
    try:
        with np.errstate(all="ignore"):
            found = ACCOUNTANTS[accountant](events, left, adjacency)
    except ArithmeticError:  # numbers beyond the range of floats: infinity is an upper bound of any epsilon
        return math.inf
    return math.inf if math.isnan(found) else found


@dataclass(frozen=True)
class CrossCheck:
    """What every accountant says about the same events.

    Parameters
    ----------
    epsilon, delta, adjacency
        The budget that was asked for.
    pld
        What is reported and enforced.
    rdp
        dp-accounting's Rényi accountant, an upper bound; Laplace events enter as epsilon^2/2-zCDP.
    opacus_prv, opacus_rdp
        Opacus' accountants, with every Gaussian noise as continuous.
    notes
        Why a number is None, one sentence for each.
    """

    epsilon: float
    delta: float
    adjacency: str
    pld: float
    rdp: float | None
    opacus_prv: float | None
    opacus_rdp: float | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "notes": list(self.notes)}


def cross_check(events: Sequence[Event], budget: PrivacyBudget, *, opacus: bool = True) -> CrossCheck:
    """Return the epsilon of the events by every accountant that applies.

    Parameters
    ----------
    events
        What was done.
    budget
        Gives delta and adjacency.
    opacus
        Whether to ask Opacus too, if it is installed; importing it takes seconds.

    Returns
    -------
    CrossCheck

    Raises
    ------
    PrivacyError
        If the enforced accountant does not apply (Laplace events under "replace-one").
    """
    values: dict[str, float | None] = {}
    notes: list[str] = []
    for name in ("rdp", "opacus-prv", "opacus-rdp"):
        skipped = "it was not asked" if name.startswith("opacus") and not opacus else None
        reason = skipped or _why_not(name, events, budget.adjacency)
        if reason is not None:
            notes.append(f"{name}: {reason}")
            values[name] = None
        else:
            values[name] = epsilon_spent(events, budget.delta, budget.adjacency, accountant=name)
    return CrossCheck(
        budget.epsilon,
        budget.delta,
        budget.adjacency,
        epsilon_spent(events, budget.delta, budget.adjacency),
        values["rdp"],
        values["opacus-prv"],
        values["opacus-rdp"],
        tuple(notes),
    )


# -------------------- the other accountants


def _rdp_epsilon(events: Sequence[Event], delta: float, adjacency: Adjacency) -> float:
    # Discrete Gaussian noise has the Rényi divergences of continuous noise at most (Canonne et al., 2020).
    accountant = RdpAccountant()
    for event in events:
        if event.epsilon is None:
            with _without_warnings():
                accountant.compose(event.dp_event)
        else:
            # Pure epsilon-privacy is epsilon^2/2-zCDP (Bun and Steinke, 2016).
            accountant.compose(ZCDpEvent(event.epsilon**2 / 2), event.count)
    return float(accountant.get_epsilon(delta))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep dp-accounting from logging which orders it leaves out: the others are upper bounds all the same."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _opacus_prv(events: Sequence[Event], delta: float, adjacency: Adjacency) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import PRVAccountant

        accountant = PRVAccountant()
        accountant.history = _opacus_history(events)
        # It returns the upper end of an interval of this half-width: a fixed one would be coarse for a small epsilon.
        width = min(0.01, max(0.002 * _rdp_epsilon(events, delta, adjacency), 1e-4))
        return float(accountant.get_epsilon(delta, eps_error=width))


def _opacus_rdp(events: Sequence[Event], delta: float, adjacency: Adjacency) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import RDPAccountant

        accountant = RDPAccountant()
        accountant.history = _opacus_history(events)
        return float(accountant.get_epsilon(delta))


def _opacus_history(events: Sequence[Event]) -> list[tuple[float | None, float, int]]:
    return [(event.noise_multiplier, event.sampling_probability or 1.0, event.count) for event in events]


ACCOUNTANTS: dict[str, Callable[[Sequence[Event], float, Adjacency], float]] = {
    "pld": pld_epsilon,
    "rdp": _rdp_epsilon,
    "opacus-prv": _opacus_prv,
    "opacus-rdp": _opacus_rdp,
}


def _why_not(accountant: str, events: Sequence[Event], adjacency: str) -> str | None:
    """Return why an accountant does not apply, or None."""
    kinds = {event.kind for event in events}
    if adjacency == "replace-one" and DISCRETE_LAPLACE in kinds:
        return "Laplace events are accounted for adding and removing units only, not for 'replace-one'"
    if accountant == "pld":
        return None
    if adjacency == "replace-one" and SAMPLED_GAUSSIAN in kinds:
        return "it has no sampled Gaussian for 'replace-one'"
    if accountant == "rdp":
        return None
    if DISCRETE_LAPLACE in kinds:
        return "it has no Laplace events"
    return None if find_spec("opacus") else "Opacus is not installed"
