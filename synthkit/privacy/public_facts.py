"""What was taken as known in a private model, and what was bought, from the schema in its file."""

from __future__ import annotations

from typing import Any

from synthkit.errors import PrivacyError
from synthkit.privacy.private_model import PrivateModel
from synthkit.privacy.wording import PATIENT
from synthkit.schema import Column

_MOST_LISTED = 12

Facts = tuple[tuple[str, str], ...]


def public_facts(model: PrivateModel) -> Facts:
    """Return what the guarantee takes as public: the number of records, and bounds or categories of each column.

    Parameters
    ----------
    model
        A private model.

    Raises
    ------
    PrivacyError
        It has no schema that can be read.
    """
    if model.kind == "scans":
        return _declared_of_scans(model)
    if model.kind == "expression":
        return _declared_of_expression(model)
    schema = model.schema()
    records = model.privacy.get("records")
    bought = set(model.bought("categories"))
    number = "not public: bought with noise" if records is None else f"{_count(records)} (declared)"
    facts = [("number of records", number), ("names and types of the columns", f"{len(schema)} columns")]
    facts += [(f"column '{column.name}'", _domain(column)) for column in schema if column.name not in bought]
    declared = model.privacy.get("declared")
    if isinstance(declared, dict) and "schema_sha256" in declared:
        facts.append(("SHA-256 of the declared schema", str(declared["schema_sha256"])))
    return tuple(facts)


def bought_facts(model: PrivateModel) -> Facts:
    """Return what was bought from the budget instead of declared.

    Parameters
    ----------
    model
        A private model.
    """
    if model.kind == "scans":
        released = _embedding_of(model)
        return (("number of units of each class", "noisy counts, released with the features"),) if released else ()
    if model.kind == "expression":
        return _bought_of_expression(model)
    schema = model.schema()
    bought = model.privacy.get("bought")
    facts = []
    if isinstance(bought, dict) and bought.get("records"):
        facts.append(("number of records", "a noisy count"))
    bins = model.bought("bins")
    if bins:
        facts.append(("bins of numbers, within their declared bounds", _listed(bins)))
    for name in model.bought("categories"):
        labels = schema[name].categories if name in schema else None
        facts.append((f"categories of '{name}'", _labels(labels or ())))
    return tuple(facts)


def _declared_of_scans(model: PrivateModel) -> Facts:
    """Return what was declared of scans, from the record of privacy."""
    declared = model.privacy.get("declared")
    domain = declared.get("domain") if isinstance(declared, dict) else None
    if not isinstance(declared, dict) or not isinstance(domain, dict):
        raise PrivacyError(f"the model '{model.path}' does not say what was declared", remedy="Fit it again.")
    unit = "patients" if model.privacy.get("unit") == PATIENT else "scans"
    classes = [str(name) for name in domain.get("classes", ())]
    counts = domain.get("counts") or ()
    shown = [f"{name}: {_count(n)}" for name, n in zip(classes, counts, strict=True)] if counts else classes
    facts = [
        (f"number of {unit}", f"{_count(model.privacy.get('records'))} (declared)"),
        ("size", " x ".join(str(length) for length in domain.get("size", ()))),
        ("channels", str(domain.get("channels"))),
        ("range of intensities", " to ".join(f"{end:g}" for end in domain.get("window", ()))),
        ("classes", _listed(shown) if shown else "none"),
        ("modality", str(domain.get("modality"))),
        ("values", "whole numbers" if domain.get("whole") else "real numbers"),
    ]
    released = _embedding_of(model)
    if released:
        facts.append(("random features", f"{_count(released.get('dimensions'))}, of the seed {released.get('seed')}"))
    facts.append(("SHA-256 of what is declared", str(declared.get("domain_sha256"))))
    return tuple(facts)


def _declared_of_expression(model: PrivateModel) -> Facts:
    """Return what was declared of gene expression, from the record of privacy."""
    domain = _domain_of(model)
    classes = [str(name) for name in domain.get("classes", ())]
    counts = domain.get("counts") or ()
    shown = [f"{name}: {_count(n)}" for name, n in zip(classes, counts, strict=True)] if counts else classes
    dispersion = domain.get("dispersion")
    facts = [
        (f"number of {model.privacy.get('unit')}s", f"{_count(model.privacy.get('records'))} (declared)"),
        ("ids of the genes", f"{_count(domain.get('n_genes'))} (the list in the file of the data)"),
        ("classes", _listed(shown) if shown else "none"),
        ("loadings", f"{domain.get('loadings')}, declared as public"),
        ("longest vector of a cell", f"{domain.get('longest')} (log counts per 10,000)"),
        ("dispersion of counts", "not public: bought" if dispersion is None else f"{dispersion:g}"),
    ]
    if domain.get("levels") == "public":
        facts.append(("mean level of each gene", "public, given with the loadings"))
    return (*facts, ("SHA-256 of what is declared", str(model.privacy["declared"].get("domain_sha256"))))


def _bought_of_expression(model: PrivateModel) -> Facts:
    """Return what was bought of gene expression."""
    domain = _domain_of(model)
    facts = [("library sizes, lengths of cells, scatter of counts", "noisy, in public bins or as sums")]
    if domain.get("classes") and not domain.get("counts"):
        facts.append(("number of units of each class", "noisy counts"))
    if domain.get("levels") != "public":
        by_class = " and in each class" if domain.get("levels") == "by class" else ""
        facts.append(("mean level of each gene", f"noisy, over all{by_class}"))
    return tuple(facts)


def _domain_of(model: PrivateModel) -> dict[str, Any]:
    """Return what was declared of gene expression."""
    declared = model.privacy.get("declared")
    domain = declared.get("domain") if isinstance(declared, dict) else None
    if not isinstance(domain, dict):
        raise PrivacyError(f"the model '{model.path}' does not say what was declared", remedy="Fit it again.")
    return domain


def _embedding_of(model: PrivateModel) -> dict[str, object]:
    """Return the shape of the embedding that was released; empty where there is none."""
    declared = model.privacy.get("declared")
    found = declared.get("embedding") if isinstance(declared, dict) else None
    return found if isinstance(found, dict) else {}


def _count(stored: object) -> str:
    """Return a stored number for people; what is no number stays as it is, and the linter objects to it."""
    return f"{stored:,}" if isinstance(stored, int) else str(stored)


def _domain(column: Column) -> str:
    """Return what is declared of one column."""
    parts: list[str] = [column.type]
    if column.type == "text":
        return "text (left out of the model)"
    if column.type == "identifier":
        parts.append("made up and not measured")
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum} to {column.maximum}")
    if column.categories is not None:
        parts.append(_labels(column.categories))
    if column.sentinels:
        parts.append(f"special values {', '.join(f'{value:g}' for value in column.sentinels)}")
    if column.nullable:
        parts.append("may be missing")
    return ", ".join(parts)


def _labels(labels: tuple[object, ...]) -> str:
    noun = "category" if len(labels) == 1 else "categories"
    return f"{len(labels):,} {noun}" + (f" ({_listed([str(label) for label in labels])})" if labels else "")


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")
