"""The linter of private models of scans: compares what is in a file with what was declared and what was released."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from synthkit.gan.images.nets import Generator
from synthkit.phrases import counted, some_named
from synthkit.privacy.events import EMBEDDING, Event
from synthkit.privacy.lint_checks import CHECKS
from synthkit.privacy.linter import (
    Check,
    LintReport,
    Verdict,
    failed,
    is_digest,
    passed,
    run_checks,
    skipped,
)
from synthkit.privacy.private_model import PrivateModel
from synthkit.privacy.scan_plan import CRITIC
from synthkit.random import RandomSource
from synthkit.scans.domain import ScanDomain
from synthkit.scans.embedding import RandomFeatures
from synthkit.scans.private import unit_of
from synthkit.scans.storage import recipe_from, spec_from

_NETWORK = "network-generator"
_MANIFEST = frozenset(
    {
        "kind", "scans_version", "settings", "recipe", "spec", "space", "target", "read_as", "networks", "values",
        "report", "privacy", "format", "format_version", "created_with", "files",
    }
)  # fmt: skip
_REPORT = frozenset(
    {"recipe", "size", "channels", "classes", "intensity", "engine", "device", "parameters", "stages", "interrupted"}
)
_DECLARED = frozenset({"domain", "domain_sha256", "embedding", "critic"})
_NOT_IN_SETTINGS = ("digest", "fingerprint", "hash", "checksum", "sha256")
_EVENTS = {"embedding": {EMBEDDING}, "critic": {CRITIC}, "hybrid": {EMBEDDING, CRITIC}}


def lint(model: PrivateModel | str | Path) -> LintReport:
    """Check a private model of scans, or its file.

    Parameters
    ----------
    model
        An opened model, or the path of its file.

    Raises
    ------
    PrivacyError
        The model was fitted without a budget.
    ModelFileError
        It is no model file, or damaged.
    """
    opened = model if isinstance(model, PrivateModel) else PrivateModel.open(model)
    return run_checks(opened, CHECKS, SCAN_CHECKS)


# -- checks -----------------------------------------------------------------------------------------------------------


def parts(model: PrivateModel) -> Verdict:
    """The file holds a generator and no other network, no arrays beside it, and no text."""
    archive = model.archive
    odd = sorted(set(archive.tensors) - {_NETWORK}) + sorted(archive.texts) + sorted(set(archive.manifest) - _MANIFEST)
    if odd:
        return failed(f"it holds {some_named(odd)}, which a private fit never writes")
    if archive.manifest["networks"] != ["generator"] or archive.manifest["target"] is not None:
        return failed("it lists other networks than a generator, or a space to translate into")
    if archive.manifest["values"] != {"private": True}:
        return failed("it keeps values beside the weights of the generator")
    return passed("the generator's weights; no critic, no scan")


def declared(model: PrivateModel) -> Verdict:
    """What is declared is complete, and is what its recorded digest says."""
    record = model.privacy["declared"]
    if set(record) != _DECLARED:
        return failed(f"the record of what is declared differs in {some_named(sorted(set(record) ^ _DECLARED))}")
    domain = _domain(model)
    if domain.sha256 != record["domain_sha256"]:
        return failed("its SHA-256 is not the recorded one: what is declared was changed after the fit")
    if domain.records != model.privacy.get("records"):
        return failed(f"{domain.records:,} units are declared, the record of privacy has {model.privacy['records']!r}")
    return passed(f"complete, and unchanged since the fit (SHA-256 {domain.sha256[:12]}...)")


def window(model: PrivateModel) -> Verdict:
    """The range of intensities is the declared one: a window from the scans (percentiles, extremes) tells of them."""
    domain, stored = _domain(model), model.manifest["space"]["intensity"]
    found = (float(stored["low"]), float(stored["high"]))
    if stored["rule"] != "declared":
        return failed(f"its window was found by the rule '{stored['rule']}', expected a declared one")
    if found != tuple(map(float, domain.window)):
        return failed(
            f"its window reaches from {found[0]:g} to {found[1]:g}, declared are {domain.window[0]:g} to "
            f"{domain.window[1]:g}"
        )
    return passed(f"declared, {found[0]:g} to {found[1]:g}")


def form(model: PrivateModel) -> Verdict:
    """Size, channels, modality and dtype are the declared ones; nothing else of the form was read from the scans."""
    space, spec, domain = model.manifest["space"], model.manifest["spec"], _domain(model)
    expected = domain.space()
    wanted = expected.to_dict()
    odd = [name for name in ("size", "channels", "dtype", "form", "regions") if space[name] != wanted[name]]
    if odd:
        return failed(f"{some_named(odd)} of drawn scans do not follow from what is declared")
    if (list(spec["size"]), spec["channels"]) != (wanted["size"], wanted["channels"]):
        return failed("the networks have another size than is declared")
    return passed(f"{' x '.join(map(str, domain.size))}, {domain.dtype}; spacing and orientation are not kept")


def classes(model: PrivateModel) -> Verdict:
    """Classes are the declared ones; how many of each there are is public, unknown, or was released with noise."""
    space, domain = model.manifest["space"], _domain(model)
    if tuple(space["classes"]) != domain.classes:
        return failed("its classes are not the declared ones: a class that is absent tells of the scans")
    counts, alike = list(space["counts"]), [1] * max(len(domain.classes), 1)
    if domain.counts:
        if counts != list(domain.counts):
            return failed("the counts of its classes are not the public ones")
        return passed(f"{counted(len(counts), 'class').replace('classs', 'classes')} with public counts")
    if EMBEDDING not in _events(model):
        if counts != alike:
            return failed("its classes were counted without an event")
        return passed("no counts: classes are drawn alike")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in counts):
        return failed("noisy counts of classes are not whole numbers from 1")
    return passed("counts were released with noise")


def released(model: PrivateModel) -> Verdict:
    """The engine has the events that it needs and no others, and the features are the public ones."""
    engine, events = model.privacy["engine"], _events(model)
    if set(events) != _EVENTS.get(engine, set()):
        return failed(f"the engine {engine!r} has the events {some_named(sorted(events)) or 'none'}")
    stored = model.privacy["declared"]["embedding"]
    if (stored is not None) != (EMBEDDING in events):
        return failed("features without an event, or an event without features")
    if stored is None:
        return passed("gradients of the critic only")
    domain = _domain(model)
    features = RandomFeatures((domain.channels, *domain.size), RandomSource(stored["seed"]).child("scan embedding"))
    if features.dimensions != stored["dimensions"]:
        return failed(f"{stored['dimensions']:,} features were released, the public ones are {features.dimensions:,}")
    return passed(f"{stored['dimensions']:,} features drawn from a public seed")


def critic(model: PrivateModel) -> Verdict:
    """The critic looks at one scan at a time and is clipped by unit; nothing adapts to how sure it is of real scans."""
    stored = model.privacy["declared"]["critic"]
    recipe = recipe_from(model.manifest["recipe"])
    if recipe.augment.probability is None:
        return failed("augmentation adapts to the critic's scores of real scans (ADA), which were not accounted")
    if recipe.spread:
        return failed("the networks use the spread within a batch (minibatch standard deviation), which mixes scans")
    if recipe.pool:
        return failed("former fakes are shown again, which ties steps together that were accounted as independent")
    if (stored is not None) != (CRITIC in _events(model)):
        return failed("a critic without an event, or an event without a critic")
    if stored is None:
        return skipped("no critic saw the scans")
    if stored["norm"] not in ("none", "group"):
        return failed(f"the critic has {stored['norm']} normalisation, which looks at a batch; expected group or none")
    if stored["spread"] or stored["augmentation"] or stored["pac"] != 1:
        return failed("the critic mixes scans (minibatch statistics, packing), or its augmentation adapts to real ones")
    if stored["clipped"] != model.budget().unit:
        return failed(f"gradients were clipped by {stored['clipped']}, the budget protects each {model.budget().unit}")
    return passed(f"one scan per score, normalisation: {stored['norm']}, clipped by {stored['clipped']}")


def weights(model: PrivateModel) -> Verdict:
    """The generator has the weights of its recipe and no others: no running statistics of a batch."""
    recipe = recipe_from(model.manifest["recipe"])
    if recipe.anchor:
        return failed("the noise of each class was placed by an anchor, which sees the scans without an event")
    if recipe.tones:
        return failed("drawn values were given the distribution of real ones, which has no event")
    with torch.device("meta"):
        expected = Generator(spec_from(model.manifest["spec"]), recipe).state_dict()
    found = model.archive.tensors[_NETWORK]
    odd = sorted(set(found) ^ set(expected))
    if odd:
        return failed(f"its weights differ from those of its recipe in {some_named(odd)}")
    shapes = [name for name, own in expected.items() if tuple(own.shape) != found[name].shape]
    if shapes:
        return failed(f"its weights {some_named(shapes)} have other shapes than its recipe says")
    return passed(f"{counted(len(found), 'array')} of weights, as the recipe says; no statistics of batches")


def settings(model: PrivateModel) -> Verdict:
    """The settings are those of a private fit: no digest of the scans, no held-out scans, no balanced classes."""
    stored = model.manifest["settings"]
    odd = [name for name in stored if any(word in name.lower() for word in _NOT_IN_SETTINGS)]
    long = [name for name, value in stored.items() if isinstance(value, str) and is_digest(value)]
    if odd or long:
        return failed(f"the settings hold {some_named(odd or long)}: a digest confirms a guess of the scans")
    if stored.get("class_balance"):
        return failed("classes were balanced, so that rare scans were drawn more often than was accounted")
    if stored.get("validation_share") != "auto":
        return failed("a share of the scans was held out to choose by, which has no event")
    budget = model.budget()
    asked = stored.get("privacy")
    if asked is not None:
        from synthkit.privacy.budget import PrivacyBudget

        if unit_of(PrivacyBudget.from_json(asked), patients=budget.unit == "patient") != budget:
            return failed("the settings name another budget than the ledger")
    return passed("settings only, no digest of the scans")


def report(model: PrivateModel) -> Verdict:
    """The report tells nothing of the scans that has no event: no held-out score, no number of scans, no seconds."""
    odd = sorted(set(model.manifest["report"]) - _REPORT)
    if odd:
        return failed(f"it tells {some_named(odd)}, which a private fit never reports")
    return passed("no score on real scans, no exact count")


SCAN_CHECKS: dict[str, Check] = {
    "parts": Check("only parts that a private fit writes", "critics, encoders or scans in the file", parts),
    "declared": Check("what is public was declared", "facts that were changed after the fit", declared),
    "window": Check("intensities have a declared range", "percentiles or extremes of the scans", window),
    "form": Check("the form is declared", "spacing, sizes and headers of the scans", form),
    "classes": Check("classes are declared, counts public or noisy", "exact counts, classes that are absent", classes),
    "released": Check("what was learned has an event", "features or gradients without an event", released),
    "critic": Check("the critic looks at single scans", "batch norm, minibatch statistics, ADA, pairs clipped", critic),
    "weights": Check("weights are those of the recipe", "running means and variances of real batches", weights),
    "settings": Check("settings read no scans", "digests, held-out choices, balanced classes", settings),
    "report": Check("the report tells nothing more", "scores on held-out scans, exact counts", report),
}
"""Checks of the content of a model of scans, in the order in which they are shown."""


def _domain(model: PrivateModel) -> ScanDomain:
    return ScanDomain.from_dict(model.privacy["declared"]["domain"])


def _events(model: PrivateModel) -> Mapping[str, Event]:
    return {event.name: event for event in model.ledger().events}
