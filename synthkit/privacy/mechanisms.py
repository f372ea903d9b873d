"""All mechanisms that read private rows, and a record of each that says what is claimed and lets it be checked.

The functions live in `histograms`, `categories` and `edges`. A `Mechanism` adds, as functions, the exact numbers that
get noise, their sensitivity, and what came out for each; `synthkit.testing.mechanisms.check_mechanism` compares these
on random neighbouring tables, so that a claim and a program cannot drift apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthkit.privacy.categories import (
    Categories,
    bound_contributions,
    label_counts,
    label_threshold,
    private_categories,
)
from synthkit.privacy.edges import PrivateBins, node_counts, private_edges, tree_levels
from synthkit.privacy.histograms import (
    SCORE_STEPS,
    block_sensitivity,
    by_adjacency,
    counts_of,
    dependence_scores,
    dependence_steps,
    noisy_histogram,
    noisy_pair_counts,
    noisy_total,
    pair_counts,
)

__all__ = [
    "MECHANISMS",
    "Categories",
    "Mechanism",
    "PrivateBins",
    "bound_contributions",
    "dependence_scores",
    "label_threshold",
    "noisy_histogram",
    "noisy_pair_counts",
    "noisy_total",
    "pair_counts",
    "private_categories",
    "private_edges",
    "tree_levels",
]

Numbers = Mapping[Any, float]
Data = NDArray[Any]


@dataclass(frozen=True)
class Mechanism:
    """What a mechanism claims.

    Attributes
    ----------
    name, title
        For programs and for people.
    source
        Where it is from.
    proof
        Why the sensitivity is what it is, in a sentence or two.
    run
        The mechanism: `run(data, noise=source, **parameters)`.
    exact
        The numbers that get noise, by a name of each: `exact(data, **parameters)`; a number that is left out is 0.
    measured
        The same numbers with noise, out of a result: `measured(result, **parameters)`; perhaps not all of them.
    sensitivity
        Most by which one unit changes the exact numbers, in `norm`: `sensitivity(adjacency, **parameters)`; the
        parameter rows_per_unit, 1 by default, says how many rows a unit has at most.
    scale
        Scale of the noise of each number: `scale(**parameters)`.
    norm
        "L2" (Gaussian noise) or "L1" (Laplace noise).
    noise
        "discrete gaussian" or "discrete laplace".
    domain
        "declared" if the shape of a result follows from the parameters; "bought" if what is in it is itself released.
    data
        What the rows are: "codes" [n], "table" of codes [n, C], "ticks" (whole numbers [n]) or "labels" (text [n]).
    shown
        Everything about a result that must not depend on the data, for a declared domain: `shown(result)`.
    example
        Parameters to check it with.
    """

    name: str
    title: str
    source: str
    proof: str
    run: Callable[..., Any]
    exact: Callable[..., Numbers]
    measured: Callable[..., Numbers]
    sensitivity: Callable[..., float]
    scale: Callable[..., float]
    norm: Literal["L1", "L2"]
    noise: Literal["discrete gaussian", "discrete laplace"]
    domain: Literal["declared", "bought"]
    data: Literal["codes", "table", "ticks", "labels"]
    shown: Callable[[Any], Any]
    example: Mapping[str, Any]


def _sigma(*, sigma: float, **_: Any) -> float:
    return sigma


def _cells(tables: Sequence[NDArray[np.int64]]) -> Numbers:
    return {(place, cell): int(count) for place, table in enumerate(tables) for cell, count in enumerate(table.flat)}


def _listed(values: NDArray[Any]) -> Numbers:
    return {place: value.item() for place, value in enumerate(values)}


def _shape(result: NDArray[Any]) -> Any:
    return result.shape, result.dtype.str


_TABLE: Mapping[str, Any] = {"sizes": (3, 4, 2), "pairs": ((0, 1), (0, 2), (1, 2)), "sigma": 3.0}


def _pair_cells(data: Data, *, sizes: Sequence[int], pairs: Sequence[tuple[int, int]], **_: Any) -> Numbers:
    return _cells(pair_counts(data, sizes, pairs))


def _scores(data: Data, *, sizes: Sequence[int], pairs: Sequence[tuple[int, int]], **_: Any) -> Numbers:
    return _listed(dependence_steps(data, sizes, pairs) / SCORE_STEPS)


def _score_sensitivity(adjacency: str, *, pairs: Sequence[tuple[int, int]], rows_per_unit: int = 1, **_: Any) -> float:
    # Replacing a row is removing one and adding one: twice a score's change, and not two independent cells.
    return 4.0 * rows_per_unit * math.sqrt(len(pairs)) * by_adjacency(adjacency, 1, 2)


def _nodes(data: Data, *, sigma: float, max_bins: int = 32, total: float | None = None, **tree: Any) -> Numbers:
    del sigma, max_bins, total
    return node_counts(data, **tree)


def _node_sensitivity(
    adjacency: str,
    *,
    low: float,
    high: float,
    integral: bool,
    levels: Sequence[int] | None = None,
    rows_per_unit: int = 1,
    **_: Any,
) -> float:
    return block_sensitivity(adjacency, len(levels or tree_levels(low, high, integral)), rows_per_unit)


def _laplace_scale(*, epsilon: float, rows_per_unit: int = 1, **_: Any) -> float:
    return rows_per_unit / epsilon


MECHANISMS: dict[str, Mechanism] = {
    "total": Mechanism(
        name="total",
        title="Number of rows",
        source="Canonne, Kamath and Steinke, NeurIPS 2020",
        proof="A row counts 1. Replacing a row changes nothing, but a replaced unit may have another number of rows, "
        "which is a change below the rows of a unit.",
        run=noisy_total,
        exact=lambda data, **_: {0: len(data)},
        measured=lambda result, **_: {0: result},
        sensitivity=lambda adjacency, rows_per_unit=1, **_: rows_per_unit * by_adjacency(adjacency, 1, 1),
        scale=_sigma,
        norm="L2",
        noise="discrete gaussian",
        domain="declared",
        data="codes",
        shown=lambda result: type(result),
        example={"sigma": 3.0},
    ),
    "histogram": Mechanism(
        name="histogram",
        title="Counts of the symbols of a column",
        source="Canonne, Kamath and Steinke, NeurIPS 2020",
        proof="A row is in one cell; replacing it takes 1 from a cell and gives 1 to another.",
        run=noisy_histogram,
        exact=lambda data, size, **_: _listed(counts_of(data, size)),
        measured=lambda result, **_: _listed(result),
        sensitivity=lambda adjacency, rows_per_unit=1, **_: block_sensitivity(adjacency, 1, rows_per_unit),
        scale=_sigma,
        norm="L2",
        noise="discrete gaussian",
        domain="declared",
        data="codes",
        shown=_shape,
        example={"size": 5, "sigma": 3.0},
    ),
    "pair-counts": Mechanism(
        name="pair-counts",
        title="Counts of the pairs of symbols of pairs of columns",
        source="Canonne, Kamath and Steinke, NeurIPS 2020",
        proof="A row is in one cell of each of the P tables, so sqrt(P); sqrt(2 P) when it is replaced.",
        run=noisy_pair_counts,
        exact=_pair_cells,
        measured=lambda result, **_: _cells(result),
        sensitivity=lambda adjacency, pairs, rows_per_unit=1, **_: block_sensitivity(
            adjacency, len(pairs), rows_per_unit
        ),
        scale=_sigma,
        norm="L2",
        noise="discrete gaussian",
        domain="declared",
        data="table",
        shown=lambda result: [_shape(table) for table in result],
        example=_TABLE,
    ),
    "dependence-scores": Mechanism(
        name="dependence-scores",
        title="How far pairs of columns are from independent",
        source="Zhang et al., PrivSyn, USENIX Security 2021",
        proof="One row changes sum |n_ij - n_i n_j / n| by 4 (n - n_a) (n - n_b) / (n (n + 1)), which is below 4.",
        run=dependence_scores,
        exact=_scores,
        measured=lambda result, **_: _listed(result),
        sensitivity=_score_sensitivity,
        scale=_sigma,
        norm="L2",
        noise="discrete gaussian",
        domain="declared",
        data="table",
        shown=_shape,
        example=_TABLE,
    ),
    "edges": Mechanism(
        name="edges",
        title="Bins of a number column",
        source="Hay et al., VLDB 2010; Qardaji et al., VLDB 2013; Zhang et al., PrivTree, SIGMOD 2016",
        proof="A row is in one node of each of the L levels, or missing or a spike and then in one cell: sqrt(L); "
        "sqrt(2 L) when it is replaced. Which nodes are looked at follows from noisy counts.",
        run=private_edges,
        exact=_nodes,
        measured=lambda result, **_: result.visited,
        sensitivity=_node_sensitivity,
        scale=_sigma,
        norm="L2",
        noise="discrete gaussian",
        domain="bought",
        data="ticks",
        shown=lambda result: (result.edges.dtype.str, result.edges[0], result.edges[-1], result.spikes),
        example={"low": -20, "high": 200, "integral": True, "sigma": 3.0, "levels": (2, 5, 8), "spikes": (-1,)},
    ),
    "categories": Mechanism(
        name="categories",
        title="Labels of a column that occur often enough",
        source="Korolova et al., WWW 2009; Ghosh, Roughgarden and Sundararajan, STOC 2009",
        proof="A unit changes the counts by its number of rows in L1. A label that only it has reaches the threshold "
        "with a probability of at most delta over that number.",
        run=private_categories,
        exact=lambda data, **_: label_counts(data),
        measured=lambda result, **_: dict(zip(result.labels, result.counts.tolist(), strict=True)),
        sensitivity=lambda adjacency, rows_per_unit=1, **_: rows_per_unit * by_adjacency(adjacency, 1, 2),
        scale=_laplace_scale,
        norm="L1",
        noise="discrete laplace",
        domain="bought",
        data="labels",
        shown=lambda result: (result.threshold, result.counts.dtype.str),
        example={"epsilon": 0.5, "delta": 0.05},
    ),
}
"""Every mechanism by name."""
