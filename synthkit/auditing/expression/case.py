"""What an audit of cells is given, the spaces in which distances are measured, and the controls that show it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from synthkit.auditing import neighbours
from synthkit.auditing.neighbours import Neighbours
from synthkit.evaluation.case import Sharing
from synthkit.expression.normalise import Normalisation, most_variable, normalisation_of
from synthkit.io.expression_set import ExpressionSet
from synthkit.random import RandomSource

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Points = npt.NDArray[np.float32]
Part = Literal["targets", "synthetic", "reference"]
View = Literal["profiles", "components"]
Role = Literal["release", "positive control", "negative control", "planted copies"]

NEIGHBOURS: Mapping[View, int] = MappingProxyType({"profiles": 10, "components": 1})
"""Cells that are looked for around each target: a donor is known by many cells that are a little nearer."""
# Noise of a planted copy where there is no count that could be drawn again, in standard deviations of its gene.
_NOISE = 0.1


@dataclass(frozen=True)
class CellLimits:
    """At most how many cells and dimensions are looked at, so that time and memory stay bounded.

    Attributes
    ----------
    targets
        Training cells and held-out cells that are accused, of either kind.
    synthetic
        Synthetic cells among which they are looked for.
    reference
        Held-out cells that the attacker has.
    fitted
        Cells of the release and of the reference that the components are fitted on, of either kind.
    genes
        The most variable genes that are compared.
    components
        Principal components in which membership is attacked.
    """

    targets: int = 4_000
    synthetic: int = 20_000
    reference: int = 10_000
    fitted: int = 3_000
    genes: int = 1_000
    components: int = 50


@dataclass(frozen=True)
class CellSpace:
    """How cells become points; fitted on the release and on the reference, never on the cells that are accused.

    Components that were fitted on training cells know their noise: then training cells look unlike all others whatever
    was released, and every generator is accused.

    Attributes
    ----------
    normalisation
        How library sizes are taken out.
    genes
        Positions of the genes that are compared, shape [genes].
    middle, loadings
        Mean of these genes and the principal components, shapes [genes] and [genes, components].
    """

    normalisation: Normalisation
    genes: Numbers
    middle: Points
    loadings: Points

    def profiles(self, cells: ExpressionSet) -> Points:
        """Return log-normalised profiles of length 1 around their mean, shape [cells, genes].

        The squared distance of two of them is twice one less their correlation. A profile without any variation is 0.
        """
        values = self.normalisation.apply(cells, self.genes)
        values = values - values.mean(axis=1, keepdims=True)
        length = np.linalg.norm(values, axis=1, keepdims=True)
        return np.asarray(values / np.where(length > 0, length, 1), dtype=np.float32)

    def components(self, cells: ExpressionSet) -> Points:
        """Return the principal components of log-normalised values, shape [cells, components]."""
        values = self.normalisation.apply(cells, self.genes) - self.middle
        return np.asarray(values @ self.loadings, dtype=np.float32)


def fit_space(synthetic: ExpressionSet, reference: ExpressionSet, limits: CellLimits) -> CellSpace:
    """Return the space in which cells are compared, fitted on equally many cells of either set.

    Parameters
    ----------
    synthetic, reference
        The release, and held-out cells that are not accused; the same genes.
    limits
        How many genes and components there are.
    """
    many = min(len(synthetic), len(reference), limits.fitted)
    both = joined(synthetic.take(_spread(len(synthetic), many)), reference.take(_spread(len(reference), many)))
    normalisation = normalisation_of(both)
    genes = most_variable(both, normalisation, limits.genes)
    values = normalisation.apply(both, genes).astype(np.float64)
    middle = values.mean(axis=0)
    values -= middle
    _, vectors = np.linalg.eigh(values.T @ values)
    kept = min(limits.components, len(genes), 2 * many)
    loadings = np.ascontiguousarray(vectors[:, ::-1][:, :kept])
    return CellSpace(normalisation, genes, middle.astype(np.float32), loadings.astype(np.float32))


@dataclass(frozen=True)
class ExpressionCase(Sharing):
    """The cells of an audit, or of one of its controls; all sets have the same genes.

    Attributes
    ----------
    members
        Training cells that are accused.
    nonmembers
        Held-out cells that are accused, the half that the attacker does not have.
    reference
        The other half of the held-out cells, of other donors.
    synthetic
        What was released.
    member_donors, nonmember_donors, reference_donors
        Number of the donor of each, from 0; None where donors are unknown.
    member_labels, nonmember_labels
        Type of each accused cell as text; None where types are unknown.
    seed
        Seed of every draw.
    confidence
        Level of every interval.
    role
        Whether the synthetic cells are what they are called, or those of a control.
    limits
        At most how many cells are looked at.
    """

    members: ExpressionSet
    nonmembers: ExpressionSet
    reference: ExpressionSet
    synthetic: ExpressionSet
    member_donors: Numbers | None = None
    nonmember_donors: Numbers | None = None
    reference_donors: Numbers | None = None
    member_labels: npt.NDArray[np.str_] | None = None
    nonmember_labels: npt.NDArray[np.str_] | None = None
    seed: int = 0
    confidence: float = 0.95
    role: Role = "release"
    limits: CellLimits = field(default_factory=CellLimits)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def generator(self, name: str) -> np.random.Generator:
        """Return a generator at the start of a stream of its own: each attack can be repeated alone."""
        return RandomSource(self.seed).child(self.role).numpy(name)

    @property
    def donors(self) -> tuple[Numbers, Numbers] | None:
        """The donors of the members and of the non-members, or None."""
        if self.member_donors is None or self.nonmember_donors is None:
            return None
        return self.member_donors, self.nonmember_donors

    def space(self) -> CellSpace:
        """Return how cells become points."""
        return self.share("space", lambda: fit_space(self.synthetic, self.reference, self.limits))

    def points(self, view: View, part: Part) -> Points:
        """Return the cells of a part as points; the targets are members, then non-members."""

        def made(cells: ExpressionSet) -> Points:
            return self.space().profiles(cells) if view == "profiles" else self.space().components(cells)

        if part == "targets":
            return self.share(f"{view}: {part}", lambda: np.concatenate([made(self.members), made(self.nonmembers)]))
        return self.share(f"{view}: {part}", lambda: made(self.synthetic if part == "synthetic" else self.reference))

    def nearest(self, view: View, part: Literal["synthetic", "reference"]) -> Neighbours:
        """Return the nearest cells of a part for each target: several of them by profile, one by components."""
        return self.share(
            f"{view}: nearest {part}",
            lambda: neighbours.nearest(self.points(view, "targets"), self.points(view, part), NEIGHBOURS[view]),
        )

    def split(self, scores: Floats) -> tuple[Floats, Floats]:
        """Return the scores of the members and those of the non-members."""
        return scores[: len(self.members)], scores[len(self.members) :]

    def positive_control(self) -> ExpressionCase:
        """Return the case in which a noisy copy of every accused training cell is released, and nothing else."""
        copies = planted(self.members, self.generator("positive control"))
        return replace(self, synthetic=copies, role="positive control", _shared={})

    def negative_control(self) -> ExpressionCase:
        """Return the case in which one half of the reference is released, and the other half is the reference.

        Nobody can have copied the training cells into it. The same cells are accused.
        """
        random = self.generator("negative control")
        released = halved(len(self.reference), self.reference_donors, random)
        return replace(
            self,
            synthetic=self.reference.take(np.flatnonzero(released)),
            reference=self.reference.take(np.flatnonzero(~released)),
            reference_donors=None if self.reference_donors is None else self.reference_donors[~released],
            role="negative control",
            _shared={},
        )

    def with_planted(self, share: float) -> ExpressionCase:
        """Return the case in which copies of a share of the accused training cells replace cells of the release.

        Parameters
        ----------
        share
            From 0 to 1; at least one cell, at most half of the release is replaced.
        """
        random = self.generator(f"planted copies {share:g}")
        count = min(max(1, round(share * len(self.members))), max(1, len(self.synthetic) // 2))
        copies = planted(self.members.take(np.sort(random.permutation(len(self.members))[:count])), random)
        kept = np.sort(random.permutation(len(self.synthetic))[count:])
        released = joined(copies, self.synthetic.take(kept))
        return replace(self, synthetic=released, role="planted copies", _shared={})


def planted(cells: ExpressionSet, random: np.random.Generator) -> ExpressionSet:
    """Return noisy copies of cells, as if each had been sequenced once more.

    Counts are drawn anew with the count of the cell as the mean (Poisson). Other values get normal noise of a tenth of
    the standard deviation of their gene; a value of 0 of logarithms and rates stays 0.

    Parameters
    ----------
    cells
        What is copied.
    random
        Draws the noise.
    """
    if cells.measure == "counts":
        if cells.is_sparse:
            drawn = sparse.csr_matrix(cells.values, dtype=np.float64, copy=True)
            drawn.data = random.poisson(drawn.data).astype(np.float64)
            drawn.eliminate_zeros()
            return replace(cells, values=drawn)
        return replace(cells, values=random.poisson(np.asarray(cells.values, dtype=np.float64)).astype(np.float64))
    values = cells.dense().astype(np.float64)
    noisy = values + random.normal(0, 1, values.shape) * _NOISE * values.std(axis=0)
    if cells.measure in ("log", "rates"):
        noisy = np.where(values == 0, 0.0, np.maximum(noisy, 0.0))
    return replace(cells, values=noisy.astype(np.float32))


def halved(cells: int, donors: Numbers | None, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which cells are in the first of two halves, shape [cells]; the cells of a donor stay together.

    Parameters
    ----------
    cells
        How many there are.
    donors
        Number of the donor of each; None, or a single donor, to part the cells themselves.
    random
        Draws the halves.
    """
    groups = np.arange(cells) if donors is None or len(np.unique(donors)) < 2 else donors
    order = random.permutation(np.unique(groups))
    return np.isin(groups, order[: len(order) // 2])


def joined(first: ExpressionSet, second: ExpressionSet) -> ExpressionSet:
    """Return the cells of two sets of the same genes, below each other; nothing but their values is kept."""
    import pandas as pd

    parts = (first.values, second.values)
    if first.is_sparse and second.is_sparse:
        values = sparse.vstack(parts, format="csr")
    else:
        values = np.vstack([part.toarray() if sparse.issparse(part) else np.asarray(part) for part in parts])
    cells = pd.DataFrame(index=pd.RangeIndex(len(first) + len(second)).astype(str))
    return ExpressionSet(values, first.genes, cells, first.measure, first.found)


def _spread(size: int, many: int) -> Numbers:
    """Return positions of so many rows, spread evenly."""
    return np.asarray(np.arange(many) * size // max(1, many), dtype=np.int64)
