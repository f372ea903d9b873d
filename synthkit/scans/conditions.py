"""Conditions on generated scans, and which classes they are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import ConditionError, unknown_name

LABEL = "label"


def allowed_classes(where: Mapping[str, Any] | None, classes: Sequence[str]) -> tuple[int, ...] | None:
    """Return the positions of the classes that a condition allows.

    Parameters
    ----------
    where
        ``{"label": name}`` or ``{"label": [name, ...]}``; None for no condition.
    classes
        Names of all classes.

    Returns
    -------
    tuple of int or None
        None where everything is allowed.

    Raises
    ------
    ConditionError
        A condition on something else than the label, a model without classes, an unknown class, or no class at all.
    """
    if not where:
        return None
    for name in where:
        if name != LABEL:
            raise ConditionError(f"scans have an {unknown_name('condition', str(name), [LABEL])}")
    if not classes:
        raise ConditionError(
            "this model has no classes, so that no label can be asked for",
            remedy="fit it to labelled scans: a folder for each class, or labels from a CSV",
        )
    asked = where[LABEL]
    names = list(asked) if isinstance(asked, list | tuple | set | frozenset | np.ndarray) else [asked]
    if not names:
        raise ConditionError("the condition on the label allows no class", remedy=f"name one of {', '.join(classes)}")
    known = {str(name): position for position, name in enumerate(classes)}
    unknown = [str(name) for name in names if str(name) not in known]
    if unknown:
        raise ConditionError(f"the condition on the label names an {unknown_name('class', unknown[0], known)}")
    return tuple(dict.fromkeys(known[str(name)] for name in names))


def parse_scan_conditions(texts: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Read conditions as they are typed: ``label=pneumonia`` or ``label=a|b``.

    Raises
    ------
    ConditionError
        The text is no condition, or names something unknown.
    """
    where: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ConditionError(f"{text!r} is not a condition on scans", remedy="Write label=NAME or label=a|b.")
        key = name.strip()
        if key in where:
            raise ConditionError(f"{key!r} has two conditions that cannot be joined", remedy="Write label=a|b.")
        where[key] = value.strip() if value.strip() in classes else [part.strip() for part in value.split("|")]
        allowed_classes({key: where[key]}, classes)
    return where


def drawn_labels(
    n: int, shares: NDArray[np.float64], allowed: tuple[int, ...] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw classes of scans.

    Parameters
    ----------
    n
        Number of scans.
    shares
        Share of each class in training ``[n_classes]``.
    allowed
        Classes to draw from; None for all. They keep their proportions, also where none was seen: then all alike.
    rng
        Source of random numbers.

    Returns
    -------
    ndarray of int64 [n]
    """
    weights = np.array(shares, np.float64)
    if allowed is not None:
        kept = np.zeros_like(weights)
        kept[list(allowed)] = weights[list(allowed)]
        weights = kept
        if weights.sum() <= 0:
            weights[list(allowed)] = 1.0
    edges = np.cumsum(weights / weights.sum())
    drawn: NDArray[np.int64] = np.searchsorted(edges, rng.random(n), side="right").clip(max=len(weights) - 1)
    return drawn.astype(np.int64)
