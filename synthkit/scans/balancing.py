"""How many synthetic scans each class needs, and the scans with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.scan_set import ScanSet
from synthkit.scans.space import ScanSpace

DrawClass = Callable[[str, int, int], ScanSet]
"""Draws scans of a class: its name, how many, and the number of the first one for its name."""


def scans_to_add(scans: ScanSet, *, ratio: float = 1.0, counts: Mapping[str, int] | None = None) -> dict[str, int]:
    """Scans to add to each class.

    Parameters
    ----------
    scans
        Real scans with labels.
    ratio
        Scans of every class as a share of the largest class, in (0, 1].
    counts
        Scans that these classes shall have, instead of ``ratio``.

    Returns
    -------
    dict
        Class to a positive number; classes that have enough are absent.

    Raises
    ------
    InputError
        No labels, a ratio outside (0, 1], an unknown class, or a count below what there is.
    DataError
        A single class, or none.
    """
    if scans.labels is None:
        raise InputError(
            "balance needs classes, and these scans have no labels",
            remedy="read them with labels: a folder for each class, or a CSV",
        )
    found = {name: n for name, n in scans.counts().items() if n}
    if len(found) < 2:
        raise DataError(f"the scans have {len(found)} classes, expected at least two")
    if counts is None:
        if not 0.0 < ratio <= 1.0:
            raise InputError(f"the ratio is {ratio!r}, expected more than 0 and at most 1")
        wanted = math.ceil(ratio * max(found.values()))
        return {name: wanted - had for name, had in found.items() if had < wanted}
    added = {}
    for name, asked in counts.items():
        if str(name) not in found:
            raise InputError(unknown_name("class", str(name), found))
        had = found[str(name)]
        if asked < had:
            raise InputError(
                f"class {str(name)!r} has {had} scans, more than the {asked} asked for",
                remedy="real scans are never removed: ask for at least as many",
            )
        if asked > had:
            added[str(name)] = int(asked) - had
    return added


def balanced(
    scans: ScanSet,
    space: ScanSpace,
    draw: DrawClass,
    *,
    ratio: float = 1.0,
    counts: Mapping[str, int] | None = None,
) -> ScanSet:
    """Real scans, untouched and first, then as many drawn ones of each class as are missing.

    Synthetic scans are named ``synthetic-...``, and each is a patient of its own.

    Raises
    ------
    DataError
        Scans of another size than the model draws, or a class that it never saw.
    """
    missing = scans_to_add(scans, ratio=ratio, counts=counts)
    if not space.classes:
        raise InputError("this model has no classes, so that it cannot fill any up", remedy="fit it to labelled scans")
    space.units(scans, masks=False)  # the same size, channels and classes
    parts = [scans]
    drawn = 0
    for name, n in missing.items():
        parts.append(_like(draw(name, n, drawn), scans))
        drawn += n
    if len(parts) == 1:
        return scans
    real_names = scans.names or tuple(f"real-{i + 1:06d}" for i in range(len(scans)))
    patients = None
    if scans.patients is not None:
        own = [f"synthetic-{i + 1:06d}" for i in range(drawn)]
        patients = np.array([*map(str, scans.patients), *own])
    return replace(
        scans,
        images=np.concatenate([part.images for part in parts]),
        labels=np.concatenate([part.labels for part in parts if part.labels is not None]),
        masks=None if scans.masks is None else np.concatenate([one.masks for one in parts if one.masks is not None]),
        patients=patients,
        names=(*real_names, *(name for part in parts[1:] for name in part.names)),
    )


def _like(drawn: ScanSet, real: ScanSet) -> ScanSet:
    """Return drawn scans with the dtype, the order of classes and the masks of the real ones."""
    table = np.array([real.classes.index(name) if name in real.classes else -1 for name in drawn.classes])
    if real.masks is not None and drawn.masks is None:
        raise DataError(
            "the real scans have masks, and the model draws none", remedy="fit it to scans with masks, or drop them"
        )
    return replace(
        drawn,
        images=drawn.images.astype(real.images.dtype, copy=False),
        labels=None if drawn.labels is None or real.labels is None else table[drawn.labels].astype(real.labels.dtype),
        classes=real.classes,
        masks=None if drawn.masks is None or real.masks is None else drawn.masks.astype(real.masks.dtype),
        form=real.form,
    )
