"""What a budget for gene expression is spent on, decided from public numbers before any cell is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, get_args

from synthkit.errors import PrivacyError
from synthkit.phrases import counted
from synthkit.privacy.accounting import epsilon_spent, noise_scale, remaining_precision
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import MOMENTS, Event, gaussian_event
from synthkit.privacy.scan_plan import STEPS_PER_SCAN, embedding_sensitivity

Levels = Literal["public", "global", "by class"]
Covariances = Literal["pooled", "by class"]
LEVELS: tuple[Levels, ...] = get_args(Levels)
COVARIANCES: tuple[Covariances, ...] = get_args(Covariances)

STEPS = STEPS_PER_SCAN
"""Whole numbers that make the norm of the vector of one unit."""
ENGINE = "moments"

CLASSES = f"{MOMENTS}classes"
LIBRARY = f"{MOMENTS}library size"
GENES = f"{MOMENTS}genes"
LENGTHS = f"{MOMENTS}lengths"
CLASS_GENES = f"{MOMENTS}genes by class"
MEANS = f"{MOMENTS}class means"
COVARIANCE = f"{MOMENTS}covariance"

_READS = {
    CLASSES: "how many units have each class, and their shares",
    LIBRARY: "a histogram of library sizes in public bins",
    GENES: "the mean log expression of each gene, over all classes",
    LENGTHS: "a histogram in public bins of how far cells are from the mean",
    CLASS_GENES: "how far each class is from the mean, gene by gene",
    MEANS: "the mean of each class along public loadings, and its library size",
    COVARIANCE: "second moments along public loadings around the class means",
}
# Shares of the squared precision. Counting and bins need little; what is long against its bound needs most.
_SHARES = {CLASSES: 0.04, LIBRARY: 0.02, GENES: 0.22, LENGTHS: 0.03, CLASS_GENES: 0.27, MEANS: 0.2, COVARIANCE: 0.22}

FEW_UNITS = 100
"""Below it a fit warns."""
LEAST_UNITS = 20
"""Below it a fit is refused whatever the budget."""


@dataclass(frozen=True)
class Shape:
    """Public sizes of a release.

    Attributes
    ----------
    records
        The public number of units.
    genes, dimensions, classes
        Genes, public loadings, declared classes (1 without).
    levels
        Where the mean of each gene comes from.
    covariance
        One of all classes, or one of each.
    counted
        Whether classes are counted, because the number of units of each is not public.
    """

    records: int
    genes: int
    dimensions: int
    classes: int
    levels: Levels
    covariance: Covariances
    counted: bool


@dataclass(frozen=True)
class MomentsPlan:
    """What will be read of the cells, in order, with which noise.

    Attributes
    ----------
    budget
        What it must stay within.
    shape
        Public sizes.
    events
        By name, in the order in which they are spent.
    """

    budget: PrivacyBudget
    shape: Shape
    events: Mapping[str, Event]

    def sigma(self, name: str) -> float:
        """Standard deviation of the noise of an event, as a share of the longest contribution of one unit."""
        event = self.events[name]
        return (event.noise_multiplier or math.inf) * event.sensitivity / STEPS

    @property
    def gene_error(self) -> float | None:
        """Length of the noise in the means of all genes over the longest that these can be; None where not bought."""
        if GENES not in self.events:
            return None
        return self.sigma(GENES) * math.sqrt(self.shape.genes) / self.shape.records

    @property
    def mean_error(self) -> float:
        """Length of the noise in the mean of a class over the longest that it can be, for classes of equal size."""
        shape = self.shape
        return self.sigma(MEANS) * math.sqrt(shape.dimensions) * shape.classes / shape.records

    @property
    def covariance_error(self) -> float:
        """Length of the noise in the covariance over the longest that it can be."""
        shape = self.shape
        each = shape.classes if shape.covariance == "by class" else 1
        return self.sigma(COVARIANCE) * shape.dimensions * each / shape.records

    def outlook(self) -> tuple[str, ...]:
        """Say how far off the result would be, a sentence each, from public numbers alone."""
        shape = self.shape
        said = []
        if self.gene_error is not None:
            said.append(f"the levels of {counted(shape.genes, 'gene')} would be off by {_share(self.gene_error)}")
        said.append(
            f"the mean of a class along {counted(shape.dimensions, 'direction')} would be off by "
            f"{_share(self.mean_error)}, if all classes were as large"
        )
        said.append(
            f"how genes go together would be off by {_share(self.covariance_error)}; what is lost in noise is left out"
        )
        return tuple(said)

    def check(self) -> tuple[str, ...]:
        """Return what to warn of.

        Raises
        ------
        PrivacyError
            Too few units for any budget, or a noise longer than what it is added to can be.
        """
        n, words = self.shape.records, f"{self.budget.unit}s"
        if n < LEAST_UNITS:
            raise PrivacyError(
                f"{n} {words} are declared, expected at least {LEAST_UNITS}: of so few nothing but noise would be left",
                remedy="Gather more, or use public data.",
            )
        for what, error in (("levels of genes", self.gene_error), ("mean of a class", self.mean_error)):
            if error is not None and error > 1:
                raise PrivacyError(
                    f"the noise in the {what} would be {error:.3g} times as long as these can be at all: with {n:,} "
                    f"{words} and epsilon {self.budget.epsilon:g} the result would be nothing but noise",
                    remedy=f"It takes about {math.ceil(n * error):,} {words}, a larger epsilon, fewer genes, classes "
                    "or directions, or public levels of genes.",
                )
        said = []
        if n < FEW_UNITS:
            said.append(
                f"{n} {words} are few for a privacy budget, below {FEW_UNITS} expect classes and little else: "
                + "; ".join(self.outlook())
            )
        elif max(self.mean_error, self.gene_error or 0.0) > 0.5:
            said.append(f"this budget buys little of {n:,} {words}: " + "; ".join(self.outlook()))
        return tuple(said)


@lru_cache(maxsize=16)
def plan_moments(budget: PrivacyBudget, shape: Shape) -> MomentsPlan:
    """Split a budget over what a fit of expression reads.

    Parameters
    ----------
    budget
        The total; its unit is a donor or a cell.
    shape
        Public sizes.

    Raises
    ------
    PrivacyError
        A delta that the number of units forbids.

    Privacy
    -------
    All events together keep the budget under its adjacency, by the accountant that is enforced. In each a unit (a
    donor with all cells, or a cell) adds a vector of whole numbers of norm at most 2^18 to a sum ("add-remove"); a
    replaced one changes the sum by twice as much at most.
    """
    budget.check_records(shape.records)
    names = [LIBRARY, LENGTHS, MEANS, COVARIANCE]
    names += [CLASSES] if shape.counted else []
    names += [] if shape.levels == "public" else [GENES]
    names += [CLASS_GENES] if shape.levels == "by class" and shape.classes > 1 else []
    ordered = [name for name in _SHARES if name in names]
    whole = sum(_SHARES[name] for name in ordered)
    sensitivity = embedding_sensitivity(budget)
    precision = remaining_precision(budget, ())
    while True:
        events = {
            name: gaussian_event(
                name,
                _READS[name],
                noise_scale(precision * _SHARES[name] / whole, sensitivity) / sensitivity,
                sensitivity=sensitivity,
                blocks=1,
            )
            for name in ordered
        }
        if epsilon_spent(tuple(events.values()), budget.delta, budget.adjacency) <= budget.epsilon:
            return MomentsPlan(budget, shape, MappingProxyType(events))
        precision *= 1 - 1e-6  # noise on whole numbers costs a trace more


def _share(error: float) -> str:
    return f"{100 * error:.2g} % of the longest that it can be"
