"""What was taken as known in a private model, and what was bought, from the schema in its file."""

from __future__ import annotations

from synthkit.privacy.private_model import PrivateModel
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
