"""The last step of a model: the distribution of every gene in every class is brought back to that of the real cells.

What a model draws has the right relations but, gene by gene, a slightly wrong spread. A rising map of its values, one
for each gene and class, restores the margin and keeps the order, as raking does for tables. In classes with few cells
the margin is drawn towards what the model makes by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from synthkit.io.expression_set import Values

SHRINK = 5.0
"""Cells that the model's own margin counts as, when that of a class is estimated."""
FEWEST_SYSTEMATIC = 50
"""Cells of a class whose ranks tell their levels well enough for a systematic sample."""
_PLAIN_COUNTS, _GROWTH = 16, 1.25
_LEVELS = np.concatenate([[0, 0.002, 0.01], np.linspace(0.025, 0.975, 39), [0.99, 0.998, 1]])
_LARGE = 1.0  # mean count from which a gene is compared as a share of its cell
_CHUNK = 1_000
_DENSE = 4_000_000  # values of a chunk
_BELOW_ONE = 1 - 1e-6  # the level 1 would lie above every bin
_WHOLE = np.float32(65_535)  # shares are kept in 16 bits


def count_edges(largest: int) -> np.ndarray:
    """Return the lower ends of bins of counts: single counts first, then wider and wider, ``[bins + 1]``."""
    edges = list(range(_PLAIN_COUNTS + 1))
    while edges[-1] <= largest:
        edges.append(max(edges[-1] + 1, int(edges[-1] * _GROWTH)))
    return np.array(edges, np.int64)


@dataclass(frozen=True, eq=False)
class CountRaking:
    """Margins of counts as cumulative shares over bins.

    Attributes
    ----------
    edges
        Lower ends of the bins, ``[bins + 1]``; the last is above every count.
    drawn, real
        Share of cells below the upper end of each bin, as the model draws them and as they shall be,
        ``[classes, bins, genes]``; the last is 1.
    """

    edges: np.ndarray
    drawn: np.ndarray
    real: np.ndarray

    @classmethod
    def of(
        cls,
        real: Values,
        labels: np.ndarray,
        drawn: Mapping[int, Values],
        weight: float = SHRINK,
        *,
        pooled: bool = False,
    ) -> CountRaking:
        """Estimate margins.

        Parameters
        ----------
        real
            Counts ``[cells, genes]``, CSR.
        labels
            Class of each cell.
        drawn
            Counts that the model draws for each class, CSR.
        weight
            Cells that the model's own margin counts as.
        pooled
            Whether the margin of all real cells takes the place of the model's own there: for models that do not have
            a law of rare counts.
        """
        largest = max(int(part.max()) if part.shape[1] else 0 for part in (real, *drawn.values()))
        edges = count_edges(largest)
        own = np.stack([bin_shares(drawn[label], edges) for label in range(len(drawn))])
        aimed = np.empty_like(own)
        expected = np.broadcast_to(bin_shares(real, edges), own.shape) if pooled else own
        for label in range(len(drawn)):
            rows = np.flatnonzero(labels == label)
            shares = bin_shares(real[rows], edges)
            aimed[label] = (len(rows) * shares + weight * expected[label]) / (len(rows) + weight)
        return cls(edges, _cumulative(own), _cumulative(aimed))

    def restored(
        self, values: np.ndarray, label: int, uniform: np.ndarray, offset: np.ndarray | None = None
    ) -> np.ndarray:
        """Map counts of one class.

        Parameters
        ----------
        values
            Counts ``[cells, genes]``.
        label
            The class.
        uniform
            Numbers in [0, 1) that break ties, ``[cells, genes]``.
        offset
            Numbers in [0, 1), ``[genes]``, where levels are those of a systematic sample (see `systematic`).
        """
        drawn, real, edges = self.drawn[label], self.real[label], self.edges
        genes = np.arange(values.shape[1])[None, :]
        at = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        width = np.diff(edges)
        upper = drawn[at, genes]
        lower = np.where(at > 0, drawn[np.maximum(at - 1, 0), genes], 0)
        inside = np.clip((values - edges[at] + uniform) / width[at], 0, 1)
        level = np.minimum(lower + inside * (upper - lower), _BELOW_ONE)
        if offset is not None:
            level = np.minimum(systematic(level, offset), _BELOW_ONE)
        result = np.zeros(values.shape, np.int64)
        rows, columns = np.nonzero(level >= real[0][None, :])
        own = level[rows, columns]
        place = np.zeros(len(own), np.int64)
        for step in range(len(width) - 1):
            place += own >= real[step, columns]
        under = np.where(place > 0, real[np.maximum(place - 1, 0), columns], 0)
        height = np.maximum(real[place, columns] - under, 1e-12)
        share = np.clip((own - under) / height, 0, 1 - 1e-9)
        result[rows, columns] = edges[place] + np.floor(share * width[place]).astype(np.int64)
        return result

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `raking_from` reads; shares as 16 bits."""
        return {
            "edges": self.edges,
            "drawn": np.round(self.drawn * _WHOLE).astype(np.uint16),
            "real": np.round(self.real * _WHOLE).astype(np.uint16),
        }


@dataclass(frozen=True, eq=False)
class ValueRaking:
    """Margins of values that are no counts: how many are zero, and quantiles of the others at common levels.

    Attributes
    ----------
    drawn
        Quantiles as the model draws them, ``[classes, levels, genes]`` float32.
    real
        Quantiles of what is not zero, as they shall be, ``[classes, levels, genes]`` float32.
    zeros
        Share of cells that shall be zero, ``[classes, genes]`` float32; none where values may be negative.
    """

    drawn: np.ndarray
    real: np.ndarray
    zeros: np.ndarray

    @classmethod
    def of(
        cls, real: np.ndarray, labels: np.ndarray, drawn: Mapping[int, np.ndarray], weight: float = SHRINK
    ) -> ValueRaking:
        """Estimate margins of values ``[cells, genes]``; parameters as for `CountRaking.of`."""
        own = np.stack([np.quantile(drawn[label], _LEVELS, axis=0) for label in range(len(drawn))])
        aimed, zeros = np.empty_like(own), np.zeros((len(drawn), real.shape[1]))
        # the model's own law has no zeros, so a class of few cells borrows those of all cells
        pooled = np.where((real >= 0).all(0), (real == 0).mean(0), 0)
        for label, candidates in drawn.items():
            cells = real[labels == label]
            empty = ((cells == 0) & (pooled > 0)).sum(0)
            zeros[label] = (empty + weight * pooled) / (len(cells) + weight)
            filled = len(cells) - empty
            above = np.round(zeros[label] * len(candidates)).astype(np.int64)
            own_part, real_part = _upper_quantiles(np.asarray(candidates), above), _upper_quantiles(cells, empty)
            aimed[label] = (filled * real_part + weight * own_part) / (filled + weight)
        return cls(own.astype(np.float32), aimed.astype(np.float32), zeros.astype(np.float32))

    def restored(
        self, values: np.ndarray, label: int, uniform: np.ndarray, offset: np.ndarray | None = None
    ) -> np.ndarray:
        """Map values of one class; nothing beyond what real cells reach. `uniform` is not needed."""
        drawn, real, zeros = self.drawn[label], self.real[label], self.zeros[label]
        levels = None if offset is None else systematic(values, offset)
        result = np.empty(values.shape, np.float32)
        for gene in range(values.shape[1]):
            if levels is None and not zeros[gene]:
                result[:, gene] = np.interp(values[:, gene], drawn[:, gene], real[:, gene])
                continue
            level = np.interp(values[:, gene], drawn[:, gene], _LEVELS) if levels is None else levels[:, gene]
            among = (level - zeros[gene]) / max(1 - zeros[gene], 1e-9)
            result[:, gene] = np.where(among < 0, 0, np.interp(among, _LEVELS, real[:, gene]))
        return result

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `raking_from` reads."""
        return {"drawn": self.drawn, "real": self.real} | ({"zeros": self.zeros} if self.zeros.any() else {})


@dataclass(frozen=True, eq=False)
class DepthRaking:
    """Margins of counts whose spread is largely that of library sizes.

    Genes with large counts are mapped as counts per library size: what compares between cells is their share. Genes
    with small counts, most of which are zero, are mapped as they are.

    Attributes
    ----------
    large
        Positions of the genes with large counts.
    counts
        Of the other genes.
    shares
        Of the genes with large counts, as counts in a cell of the reference size.
    reference
        Library size that counts are brought to.
    """

    large: np.ndarray
    counts: CountRaking
    shares: ValueRaking
    reference: float

    @classmethod
    def of(
        cls,
        real: Values,
        labels: np.ndarray,
        drawn: Mapping[int, Values],
        rng: np.random.Generator,
        weight: float = SHRINK,
        *,
        pooled: bool = False,
    ) -> DepthRaking:
        """Estimate margins; parameters as for `CountRaking.of`, `rng` breaks the ties of counts."""
        means = np.asarray(real.mean(axis=0), np.float64).ravel()
        large, small = np.flatnonzero(means >= _LARGE), np.flatnonzero(means < _LARGE)
        reference = float(np.median(np.asarray(real.sum(axis=1)).ravel()))

        def shares(values: Values) -> np.ndarray:
            own = np.asarray(values[:, large].todense(), np.float64)
            totals = np.maximum(np.asarray(values.sum(axis=1), np.float64).reshape(-1, 1), 1)
            result: np.ndarray = (own + rng.random(own.shape)) * reference / totals
            return result

        return cls(
            large,
            CountRaking.of(
                real[:, small],
                labels,
                {c: sparse.csr_matrix(one)[:, small] for c, one in drawn.items()},
                weight,
                pooled=pooled,
            ),
            ValueRaking.of(
                shares(real), labels, {c: shares(sparse.csr_matrix(one)) for c, one in drawn.items()}, weight
            ),
            reference,
        )

    def restored(
        self, values: np.ndarray, label: int, uniform: np.ndarray, offset: np.ndarray | None = None
    ) -> np.ndarray:
        """Map counts of one class; see `CountRaking.restored`."""
        small = np.setdiff1d(np.arange(values.shape[1]), self.large)
        starts = (None, None) if offset is None else (offset[small], offset[self.large])
        result = np.empty(values.shape, np.int64)
        result[:, small] = self.counts.restored(values[:, small], label, uniform[:, small], starts[0])
        scale = self.reference / np.maximum(values.sum(1, keepdims=True), 1)
        ties = uniform[:, self.large]
        shares = self.shares.restored((values[:, self.large] + ties) * scale, label, ties, starts[1])
        result[:, self.large] = np.floor(shares / scale)
        return np.maximum(result, 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `raking_from` reads."""
        parts = {"large": self.large, "reference": np.array([self.reference])}
        parts |= {f"counts-{name}": one for name, one in self.counts.arrays().items()}
        return parts | {f"shares-{name}": one for name, one in self.shares.arrays().items()}


def raking_from(arrays: Mapping[str, np.ndarray]) -> DepthRaking | CountRaking | ValueRaking:
    """Read margins from what their `arrays` returned."""
    if "large" in arrays:
        parts = [
            {name.removeprefix(group): one for name, one in arrays.items() if name.startswith(group)}
            for group in ("counts-", "shares-")
        ]
        counts, shares = (raking_from(part) for part in parts)
        if isinstance(counts, CountRaking) and isinstance(shares, ValueRaking):
            return DepthRaking(np.asarray(arrays["large"]), counts, shares, float(arrays["reference"][0]))
        raise ValueError("margins of counts and of shares are not what they are called")
    if "edges" not in arrays:
        drawn, real = np.asarray(arrays["drawn"]), np.asarray(arrays["real"])
        # files of before know no zeros
        zeros = np.asarray(arrays["zeros"]) if "zeros" in arrays else np.zeros(real[:, 0].shape, np.float32)
        return ValueRaking(drawn, real, zeros)
    drawn, real = (np.asarray(arrays[name], np.float32) / _WHOLE for name in ("drawn", "real"))
    return CountRaking(np.asarray(arrays["edges"]), drawn, real)


def systematic(values: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return the levels of a systematic sample, in the order of values: ``(rank + offset) / cells``.

    The level of a cell alone is uniform, as that of a value in its own distribution is, but those of many cells cover
    the unit interval evenly: the margins of the cells together hold no chance error.

    Parameters
    ----------
    values
        Without ties, ``[cells, genes]``.
    offset
        In [0, 1), of each gene, ``[genes]``.

    References
    ----------
    Madow and Madow 1944, On the theory of systematic sampling.
    """
    n = len(values)
    levels = np.empty(values.shape)
    np.put_along_axis(levels, values.argsort(0), (np.arange(n)[:, None] + offset) / n, 0)
    return levels


def _cumulative(shares: np.ndarray) -> np.ndarray:
    """Cumulative shares over the bins, in the 16 bits that a model file has, so that a saved model draws the same."""
    summed = np.round(shares.cumsum(1).clip(max=1) * _WHOLE)
    summed[:, -1] = _WHOLE
    result: np.ndarray = (summed / _WHOLE).astype(np.float32)
    return result


def _upper_quantiles(values: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quantiles ``[levels, genes]`` of what is above the `below` smallest of the values ``[n, genes]``."""
    ordered = np.sort(values, axis=0)
    last = len(values) - 1
    at = np.minimum(below + _LEVELS[:, None] * np.maximum(last - below, 0), last)
    low = np.floor(at).astype(np.int64)
    under, over = (np.take_along_axis(ordered, rows, 0) for rows in (low, np.minimum(low + 1, last)))
    result: np.ndarray = under + (at - low) * (over - under)
    return result


def bin_shares(counts: Values, edges: np.ndarray) -> np.ndarray:
    """Share of cells in each bin, ``[bins, genes]``; only counts above zero are looked at."""
    bins, (n, genes) = len(edges) - 1, counts.shape
    found = sparse.coo_matrix(counts)
    filled = found.data > 0
    at = np.minimum(np.searchsorted(edges, found.data[filled], side="right") - 1, bins - 1)
    places = at.astype(np.int64) * genes + found.col[filled]
    table = np.bincount(places, minlength=bins * genes).reshape(bins, genes).astype(np.float64)
    table[0] += n - table.sum(0)
    shares: np.ndarray = table / max(n, 1)
    return shares


def chunk_size(genes: int) -> int:
    """Return how many cells are worked on at a time: fewer where there are many genes, for some arrays are dense."""
    return min(_CHUNK, max(50, _DENSE // genes))


def chunks(n: int, genes: int) -> Iterator[slice]:
    """Slices of at most `chunk_size` cells."""
    size = chunk_size(genes)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def chunks_by_class(classes: np.ndarray, genes: int) -> Iterator[np.ndarray]:
    """Positions of at most `chunk_size` cells, those of a class together where they are not too many."""
    size = chunk_size(genes)
    waiting: list[np.ndarray] = []
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        for part in np.array_split(own, -(-len(own) // size)):
            if waiting and sum(map(len, waiting)) + len(part) > size:
                yield np.concatenate(waiting)
                waiting = []
            waiting.append(part)
    if waiting:
        yield np.concatenate(waiting)
