"""What every private model must pass, whatever was modelled: its ledger, its noise, its unit, what was bought."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from synthkit.phrases import counted
from synthkit.privacy.accounting import cross_check, epsilon_spent
from synthkit.privacy.budget import ROW, PrivacyBudget
from synthkit.privacy.describe import one_in, short
from synthkit.privacy.events import (
    CATEGORIES_OF,
    DISCRETE_LAPLACE,
    EMBEDDING,
    GAUSSIAN,
    MOMENTS,
    SAMPLED_GAUSSIAN,
    Event,
)
from synthkit.privacy.histograms import SCORE_STEPS
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.linter import Check, Verdict, failed, passed, skipped
from synthkit.privacy.private_model import FORMAT_VERSION, RECORD, PrivateModel
from synthkit.privacy.scan_plan import embedding_sensitivity
from synthkit.privacy.wording import CELL, DONOR, PATIENT, SCAN, wording_of

_DEPENDENCE = 4.0  # most by which one row more or less changes a score of dependence, in rows
# how many critics each trains
_ENGINES = {"anchor": 0, "hybrid": 1, "dp-sgd": 1, "embedding": 0, "critic": 1, "moments": 0}
_UNITS = {"scans": (PATIENT, SCAN), "expression": (DONOR, CELL)}
_BOUGHT = ("records", "bins", "categories")
_SLACK = 1e-9
ROUNDING = 1e-3
"""Share of epsilon by which accountants of different versions may differ; a fit itself keeps the budget exactly."""


def record(model: PrivateModel) -> Verdict:
    """The record of privacy has the parts that it must have, and no others."""
    found = set(model.privacy)
    if found != RECORD:
        return failed(f"its parts differ from what a fit writes: {', '.join(sorted(found ^ RECORD))}")
    version = model.privacy["format_version"]
    if version != FORMAT_VERSION:
        return failed(f"its format version is {version!r}, expected {FORMAT_VERSION}")
    return passed(f"format version {version}")


def events(model: PrivateModel) -> Verdict:
    """Every event is of a known mechanism with noise, was planned, and was spent once."""
    # reading it refuses unknown mechanisms, noise of zero, and what was spent twice or not as planned
    spent = [event.name for event in model.ledger().events]
    if not spent:
        return failed("the ledger has no event: nothing private may be in the model, or nothing was recorded")
    return passed(f"{len(spent)} events of known mechanisms, all planned: {', '.join(spent)}")


def epsilon(model: PrivateModel) -> Verdict:
    """All events, planned ones among them, keep the budget, and with earlier releases the total."""
    ledger = model.ledger()
    said = []
    wanted = [("all events", own_events(ledger), ledger.budget)]
    if ledger.before or ledger.total != ledger.budget:
        title = f"with {counted(len(ledger.before), 'earlier release')} they" if ledger.before else "all releases"
        wanted.append((title, (*ledger.earlier, *own_events(ledger)), ledger.total))
    for what, composed, budget in wanted:
        found = epsilon_spent(composed, budget.delta, budget.adjacency)
        said.append(f"{what} spend epsilon {found:.5g} of {budget.epsilon:g} at delta {short(budget.delta)}")
        if found > budget.epsilon * (1 + ROUNDING):
            return failed(f"{said[-1]}, by PLD")
    return passed(f"{'; '.join(said)}, by PLD")


def accountants(model: PrivateModel) -> Verdict:
    """The Rényi accountant, a loose upper bound from other mathematics, is not below the PLD, a nearly exact one.

    For noise on whole numbers the PLD is an upper bound too (it adds what the lattice can cost at most), so both are
    asked about continuous noise, for which it is exact.
    """
    continuous = [replace(event, discrete=False) for event in own_events(model.ledger())]
    checked = cross_check(continuous, model.budget(), opacus=False)
    if checked.rdp is None:
        return skipped(f"no second accountant covers these events ({'; '.join(checked.notes)})")
    text = f"with continuous noise RDP gives epsilon {checked.rdp:.5g}, PLD {checked.pld:.5g}"
    return passed(text) if checked.rdp >= checked.pld * (1 - 1e-6) else failed(text + ": one of them is wrong")


def delta(model: PrivateModel) -> Verdict:
    """Delta is below one over the number of units, and the events' own failures fit in it."""
    budget = model.budget()
    own = math.fsum(event.delta for event in own_events(model.ledger()))
    if own >= budget.delta:
        return failed(f"the events alone fail with a chance of {one_in(own)}, delta is {one_in(budget.delta)}")
    records = model.privacy.get("records")
    if records is None:
        # bought: the noisy number stands in the report
        report = model.manifest.get("report")
        records = report.get("rows") if isinstance(report, Mapping) else None
    if isinstance(records, bool) or not isinstance(records, int) or records < 1:
        return failed(f"the number of records is {records!r}, expected a declared or a bought one")
    text = f"delta is {one_in(budget.delta)}, there are {counted(records, 'record')}"
    if budget.delta >= 1 / records:
        return failed(f"{text}: a whole record may be published")
    return passed(text + ("" if budget.delta * records <= 0.1 else "; a tenth of it or less would be better"))


def sensitivity(model: PrivateModel) -> Verdict:
    """The sensitivity behind each noise multiplier is the one that unit and adjacency ask for."""
    budget = model.budget()
    histograms = [event for event in model.ledger().events if event.kind == GAUSSIAN]
    if not histograms:
        return skipped("there are no counts with Gaussian noise")
    words = wording_of(model.kind)
    used = f"all {words.records}" if words.all_records else counted(budget.rows_per_unit, words.record)
    asked = f"'{budget.adjacency}' with {used} of a unit"
    said = []
    for event in histograms:
        blocks = event.details.get("blocks")
        if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < 1:
            return failed(f"the event '{event.name}' does not say how many tables it counts")
        expected = _sensitivity(event, blocks, budget)
        if event.sensitivity < expected * (1 - _SLACK):
            return failed(
                f"the event '{event.name}' counts on a sensitivity of {event.sensitivity:.4g}, expected {expected:.4g} "
                f"for {counted(blocks, 'table')} and {asked}"
            )
        said.append(f"{event.name} {event.sensitivity:.4g}")
    return passed(f"{asked} needs {', '.join(said)}")


def adjacency(model: PrivateModel) -> Verdict:
    """Every mechanism has a proof under the adjacency that is claimed."""
    budget = model.budget()
    odd = [event.name for event in own_events(model.ledger()) if event.kind == DISCRETE_LAPLACE]
    if budget.adjacency != "add-remove" and odd:
        return failed(
            f"lists of labels are bought for 'add-remove' only, not for '{budget.adjacency}': {', '.join(odd)}"
        )
    return passed(f"neighbouring tables are '{budget.adjacency}', for which every event has a proof")


def noise(model: PrivateModel) -> Verdict:
    """The noise came from the operating system, and noise on counts is made of whole numbers."""
    settings = model.manifest.get("settings")
    seed = settings.get("reproducible_noise") if isinstance(settings, Mapping) else None
    if not model.is_private or seed is not None:
        return failed("the noise can be repeated from a seed: this model is NOT PRIVATE")
    rounded = [event.name for event in model.ledger().events if event.kind == GAUSSIAN and not event.discrete]
    if rounded:
        return failed(f"counts with floating-point noise, expected whole numbers: {', '.join(rounded)}")
    return passed("from the operating system; on counts it is whole numbers, drawn exactly")


def unit(model: PrivateModel) -> Verdict:
    """The record and the budget protect the same unit, and the unit is a column of the schema."""
    budget = model.budget()
    said = model.privacy.get("unit")
    if said != budget.unit:
        return failed(f"the record protects {said!r}, the budget {budget.unit!r}")
    words = wording_of(model.kind)
    own = _UNITS.get(model.kind)
    if own is not None and budget.unit not in own:
        return failed(f"the unit {budget.unit!r} is neither {own[0]!r} nor {own[1]!r}")
    if words.named and budget.unit != ROW and budget.unit not in model.schema():
        return failed(f"the unit {budget.unit!r} is not a column of the schema")
    if words.all_records and not words.is_record(budget.unit):
        return passed(f"each {budget.unit!r} with all {words.records} of it")
    return passed(
        f"each {words.record}"
        if words.is_record(budget.unit)
        else f"each {budget.unit!r} with at most {counted(budget.rows_per_unit, words.record)} of it"
    )


def bought(model: PrivateModel) -> Verdict:
    """Whatever was bought has an event, and lists of labels have a threshold."""
    stored = model.privacy.get("bought")
    if not isinstance(stored, Mapping) or set(stored) != set(_BOUGHT):
        return failed(f"the record does not say what was bought, expected {', '.join(_BOUGHT)}")
    by_name = {event.name: event for event in model.ledger().events}
    records, declared = stored["records"], model.privacy.get("records")
    if bool(records) == (declared is not None):
        return failed("the number of records is both bought and declared, or neither")
    wanted = [CATEGORIES_OF + name for name in model.bought("categories")]
    wanted += (["bins"] if model.bought("bins") else []) + (["records"] if records else [])
    missing = [name for name in wanted if name not in by_name]
    if missing:
        return failed(f"bought without an event: {', '.join(missing)}")
    odd = [name for name in by_name if name.startswith(CATEGORIES_OF) and name not in wanted]
    if odd:
        return failed(f"there is an event but nothing was bought: {', '.join(odd)}")
    lists = [event for name, event in by_name.items() if name.startswith(CATEGORIES_OF)]
    bare = [event.name for event in lists if event.kind != DISCRETE_LAPLACE or event.delta <= 0]
    if bare:
        return failed(f"no threshold that costs delta, so that a label of one person is shown: {', '.join(bare)}")
    return (
        passed(f"each has its event: {', '.join(wanted)}") if wanted else passed("nothing was bought, all is declared")
    )


def engine(model: PrivateModel) -> Verdict:
    """The critic, if there is one, is the one that the ledger accounts for."""
    name, stored = model.privacy.get("engine"), model.privacy.get("critic")
    if name not in _ENGINES:
        return failed(f"the engine is {name!r}, expected one of {', '.join(_ENGINES)}")
    critics = [event for event in model.ledger().events if event.kind == SAMPLED_GAUSSIAN]
    if len(critics) != _ENGINES[name] or (stored is not None) != bool(critics):
        return failed(f"the engine {name!r} trains {_ENGINES[name]} critics, the ledger has {len(critics)}")
    if not critics or not isinstance(stored, Mapping):
        return passed(f"{name}: no private gradients")
    (event,) = critics
    said = (stored["sampling_probability"], stored["steps"])
    if said != (event.sampling_probability, event.count):
        return failed(
            f"the critic took {said[1]:,} steps at a rate of {said[0]:.4g}, the ledger accounts for {event.count:,} at "
            f"{event.sampling_probability:.4g}"
        )
    return passed(f"{name}: {event.count:,} steps on Poisson samples at a rate of {event.sampling_probability:.4g}")


CHECKS: dict[str, Check] = {
    "record": Check("the record of privacy is complete", "a file that was put together by hand", record),
    "events": Check("every event is known, planned and has noise", "reading without noise or without a record", events),
    "epsilon": Check("all events together keep the budget", "a stored epsilon that the events do not have", epsilon),
    "accountants": Check("a second accountant agrees", "two accountants that contradict each other", accountants),
    "delta": Check("delta is below one over the number of units", "publishing one record at random", delta),
    "sensitivity": Check("sensitivities follow from unit and adjacency", "noise for half the sensitivity", sensitivity),
    "adjacency": Check("every mechanism has a proof for the adjacency", "a proof for other neighbours", adjacency),
    "noise": Check("noise comes from the operating system", "noise that a seed repeats, rounding of counts", noise),
    "unit": Check("the unit is what the budget says", "rows of one person taken for persons", unit),
    "bought": Check("what was bought has an event", "lists of labels or counts taken for free", bought),
    "engine": Check("the critic is the one that was accounted", "more steps or larger samples than planned", engine),
}
"""Checks of every private model, in the order in which they are shown."""


def own_events(ledger: Ledger) -> tuple[Event, ...]:
    """Return what a release spent, and what it planned but did not spend: that was promised all the same."""
    return (*ledger.events, *(event for event in ledger.planned if event not in ledger.events))


def _sensitivity(event: Event, blocks: int, budget: PrivacyBudget) -> float:
    """L2 sensitivity of counts: each row is one cell of each table, and moves a score of dependence by less than 4."""
    replaced = budget.adjacency == "replace-one"
    if event.name == EMBEDDING or event.name.startswith(
        MOMENTS
    ):  # the vector of a unit is as long whatever the number of its scans or cells
        return embedding_sensitivity(budget)
    if event.name == "scores":
        each: float = SCORE_STEPS * _DEPENDENCE * (2 if replaced else 1)
    else:
        each = math.sqrt(2) if replaced else 1.0
    return each * budget.rows_per_unit * math.sqrt(blocks)
