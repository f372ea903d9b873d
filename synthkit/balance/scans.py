"""Scans with their rare classes filled up, by a model of the same scans or by one that is fitted here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthkit.io.scan_set import ScanSet
from synthkit.scans.balancing import scans_to_add
from synthkit.scans.gan import ScanGAN


@dataclass(frozen=True, eq=False)
class BalancedScans:
    """Real scans and then synthetic ones.

    Attributes
    ----------
    scans
        All of them; the real ones come first and are untouched.
    synthetic
        Which are synthetic, ``[n]``.
    model
        What drew them.
    report
        What happened to each class; JSON-safe.
    """

    scans: ScanSet
    synthetic: NDArray[np.bool_]
    model: ScanGAN
    report: dict[str, Any]


def balance_scans(
    scans: ScanSet,
    *,
    model: ScanGAN | None = None,
    ratio: float = 1.0,
    counts: Mapping[str, int] | None = None,
    random_state: int | None = None,
    **settings: Any,
) -> BalancedScans:
    """Add synthetic scans of the rarer classes.

    Parameters
    ----------
    scans
        Real scans with labels.
    model
        Fitted to scans of the same size and classes; one is fitted when left out, which sees all classes equally often.
    ratio
        Scans that every class shall have at least, as a share of the largest class.
    counts
        Scans that these classes shall have instead.
    random_state
        Seed of the fit and of what is drawn.
    settings
        Of the `ScanGAN` that is fitted, such as ``time_budget``.

    Raises
    ------
    InputError
        No labels, a single class, an unknown class, or fewer scans asked for than there are: told before any fit.
    """
    missing = scans_to_add(scans, ratio=ratio, counts=counts)
    if model is None:
        usual: dict[str, Any] = {"class_balance": True, "size": "native", "random_state": random_state}
        model = ScanGAN(**{**usual, **settings}).fit(scans)
    found = model.balance(scans, ratio=ratio, counts=counts, random_state=random_state)
    synthetic = np.arange(len(found)) >= len(scans)
    before, after = scans.counts(), found.counts()
    report = {
        "groups": [
            {"name": name, "scans": before[name], "added": after[name] - before[name]}
            for name in before
            if before[name]
        ],
        "synthetic": int(synthetic.sum()),
        "classes_filled": list(missing),
    }
    return BalancedScans(found, synthetic, model, report)
