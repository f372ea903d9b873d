"""The linter of private models of expression: what is in a file against what was declared and what was released."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from synthkit.expression.loadings import PublicLoadings
from synthkit.expression.private_domain import ExpressionDomain, genes_sha256
from synthkit.expression.private_model import ARRAYS, NAME
from synthkit.expression.private_plan import plan_moments
from synthkit.expression.space import ExpressionSpace
from synthkit.phrases import counted, some_named
from synthkit.privacy.lint_checks import CHECKS
from synthkit.privacy.linter import Check, LintReport, Verdict, failed, is_digest, passed, run_checks
from synthkit.privacy.private_model import PrivateModel

_MANIFEST = frozenset(
    {
        "kind", "expression_version", "settings", "space", "model", "report", "privacy", "format", "format_version",
        "created_with", "files",
    }
)  # fmt: skip
_REPORT = frozenset(
    {
        "model", "engine", "unit", "genes", "classes", "loadings", "levels", "dispersion", "bought", "outlook", "notes",
        "warned",
    }
)  # fmt: skip
_NOT_IN_SETTINGS = ("digest", "fingerprint", "hash", "checksum", "sha256")


def lint(model: PrivateModel | str | Path) -> LintReport:
    """Check a private model of expression, or its file.

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
    return run_checks(opened, CHECKS, EXPRESSION_CHECKS)


# -- checks -----------------------------------------------------------------------------------------------------------


def parts(model: PrivateModel) -> Verdict:
    """The file holds the arrays of the sampler and no others, and no text."""
    held = {name: set(arrays) for name, arrays in model.archive.tensors.items()}
    odd = sorted(name for name, arrays in held.items() if arrays != set(ARRAYS)) + sorted(model.archive.texts)
    odd += sorted(set(model.manifest) - _MANIFEST)
    if odd or len(held) != 1:
        return failed(f"it holds {some_named(odd or sorted(held))}, expected the arrays of '{NAME}' and nothing else")
    k, genes, dimensions = _sizes(model)
    wanted = {
        "basis": (genes, dimensions), "scales": (dimensions,), "levels": (k, genes), "means": (k, dimensions),
        "factors": (k, dimensions, dimensions), "library": (k, 2),
    }  # fmt: skip
    shapes = [name for name, array in _arrays(model).items() if array.shape != wanted[name]]
    if shapes:
        return failed(f"{some_named(shapes)} have other sizes than is declared: a row of each cell would fit in")
    return passed(f"{counted(len(wanted), 'array')} of class moments; no cell")


def declared(model: PrivateModel) -> Verdict:
    """What is declared is complete, and is what its recorded digest says."""
    record = model.privacy["declared"]
    if set(record) != {"domain", "domain_sha256"}:
        return failed("the record of what is declared has other parts than a fit writes")
    domain = _domain(model)
    if domain.sha256 != record["domain_sha256"]:
        return failed("its SHA-256 is not the recorded one: what is declared was changed after the fit")
    if domain.records != model.privacy.get("records"):
        return failed(f"{domain.records:,} units are declared, the record of privacy has {model.privacy['records']!r}")
    return passed(f"complete, and unchanged since the fit (SHA-256 {domain.sha256[:12]}...)")


def loadings(model: PrivateModel) -> Verdict:
    """The loadings are the public ones: directions that are found in the private cells have no event."""
    domain, arrays = _domain(model), _arrays(model)
    found = PublicLoadings(arrays["basis"], arrays["scales"])
    if found.sha256 != domain.loadings_sha256:
        return failed(f"the directions are not the declared ones ({domain.loadings})")
    if found.dimensions != domain.dimensions:
        return failed(f"{found.dimensions} directions, declared are {domain.dimensions}")
    return passed(f"{domain.loadings}, declared as public")


def genes(model: PrivateModel) -> Verdict:
    """Genes are the declared list, without annotations that would be those of the private file."""
    space = _space(model)
    if genes_sha256([str(gene) for gene in space.genes.index]) != _domain(model).genes_sha256:
        return failed("the genes are not the declared list")
    if len(space.genes.columns):
        return failed(f"genes keep {some_named([str(name) for name in space.genes.columns])}, which nobody declared")
    return passed(f"{counted(len(space.genes), 'id')}, nothing else")


def classes(model: PrivateModel) -> Verdict:
    """Classes are the declared ones; how many of each there are is public or was released with noise."""
    space, domain = _space(model), _domain(model)
    if space.batch is not None or space.covariates or len(space.quantiles):
        return failed("it has batches or covariates, which no event released")
    if space.labels != (() if domain.label is None else (domain.label,)):
        return failed("the label is not the declared one")
    if domain.label is not None and space.class_names != domain.classes:
        return failed("its classes are not the declared ones: a class that is absent tells of the cells")
    counts = [max(n, 1) for n in domain.counts]
    if counts and space.class_counts.tolist() != counts:
        return failed("the counts of its classes are not the public ones")
    return passed("public counts" if counts else "counts were released with noise, or there is one class")


def released(model: PrivateModel) -> Verdict:
    """The events are those that a fit of what is declared plans, no others, and none with less noise."""
    spent = {event.name: event for event in model.ledger().events}
    budget, domain = model.budget(), _domain(model)
    planned = plan_moments(budget, domain.shape(budget.unit)).events
    if set(spent) != set(planned):
        return failed(f"events differ in {some_named(sorted(set(spent) ^ set(planned)))} from what is declared")
    return passed(f"{counted(len(spent), 'event')}, as declared")


def settings(model: PrivateModel) -> Verdict:
    """The settings are those of a private fit: no digest of the cells, no batch, no covariate."""
    stored = model.manifest["settings"]
    odd = [name for name in stored if any(word in name.lower() for word in _NOT_IN_SETTINGS)]
    odd += [name for name, value in stored.items() if isinstance(value, str) and is_digest(value)]
    if odd:
        return failed(f"the settings hold {some_named(odd)}: a digest confirms a guess of the cells")
    if stored.get("batch") or stored.get("covariates"):
        return failed("the settings name batches or covariates, which have no private fit")
    return passed("settings only, no digest of the cells")


def report(model: PrivateModel) -> Verdict:
    """The report tells nothing of the cells that has no event: no held-out score, no number of cells, no seconds."""
    odd = sorted(set(model.manifest["report"]) - _REPORT)
    if odd:
        return failed(f"it tells {some_named(odd)}, which a private fit never reports")
    return passed("no score on real cells, no exact count")


EXPRESSION_CHECKS: dict[str, Check] = {
    "parts": Check("only parts that a private fit writes", "cells, codes or networks in the file", parts),
    "declared": Check("what is public was declared", "facts that were changed after the fit", declared),
    "loadings": Check("loadings are public", "principal components of the private cells", loadings),
    "genes": Check("genes are the declared list", "means, variances or flags of genes from the private file", genes),
    "classes": Check("classes are declared, counts public or noisy", "exact counts, classes that are absent", classes),
    "released": Check("what was learned has an event", "moments without an event", released),
    "settings": Check("settings read no cells", "digests, batches, covariates", settings),
    "report": Check("the report tells nothing more", "scores on held-out cells, exact counts", report),
}
"""Checks of the content of a model of expression, in the order in which they are shown."""


def _domain(model: PrivateModel) -> ExpressionDomain:
    return ExpressionDomain.from_dict(model.privacy["declared"]["domain"])


def _space(model: PrivateModel) -> ExpressionSpace:
    return ExpressionSpace.from_dict(model.manifest["space"])


def _arrays(model: PrivateModel) -> Mapping[str, np.ndarray]:
    (arrays,) = model.archive.tensors.values()
    return arrays


def _sizes(model: PrivateModel) -> tuple[int, int, int]:
    """Classes, genes and directions that are declared."""
    domain = _domain(model)
    return max(len(domain.classes), 1), domain.n_genes, domain.dimensions
