"""AIM and MST on the package `mbi`, whose wheel ships the estimation without the mechanisms; for privacy_peer_run.py.

AIM: McKenna, Mullins, Sheldon, Miklau (2022), https://arxiv.org/abs/2201.12677, with its settings: all pairs as
workload, 16 rounds a column, models of at most 80 MB, annealing. MST: McKenna, Miklau, Sheldon (2021),
https://arxiv.org/abs/2108.04978. `mbi` fits the graphical models and draws the rows. What would slow the peers down for
no gain is done another way with the same result: marginals of pairs come from the junction tree in NumPy (mbi compiles
each of them anew in every round), measurements of one marginal are merged into their weighted mean, and the size of the
model is looked up for the candidates that the exponential mechanism would take, not for all.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import networkx as nx
import numpy as np
from mbi import Dataset, Domain, LinearMeasurement, junction_tree
from mbi.estimation import MirrorDescent
from scipy.cluster.hierarchy import DisjointSet

Clique = tuple[str, ...]
MAX_CELLS = 10_000  # pairs with more cells are no candidates of AIM: the default of its authors' script
MAX_MEGABYTES = 80.0
ITERATIONS = 1000  # of mirror descent in a round of AIM, the default of its authors' script
MST_ITERATIONS = 10_000

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_enable_compilation_cache", False)


@dataclass
class Table:
    """Codes of shape (rows, columns) and the number of codes of each column; columns are named by their place."""

    codes: np.ndarray
    sizes: list[int]
    domain: Domain = field(init=False)

    def __post_init__(self) -> None:
        self.domain = Domain([str(place) for place in range(len(self.sizes))], self.sizes)

    def counts(self, clique: Clique) -> np.ndarray:
        """Return the flat exact counts of a marginal."""
        shape = [self.sizes[int(name)] for name in clique]
        cells = np.ravel_multi_index([self.codes[:, int(name)] for name in clique], shape)
        return np.bincount(cells, minlength=math.prod(shape)).astype(float)

    def measure(self, clique: Clique, sigma: float, generator: np.random.Generator) -> LinearMeasurement:
        counts = self.counts(clique)
        return LinearMeasurement(counts + generator.normal(0.0, sigma, counts.size), clique, sigma)


def total_of(singles: Sequence[LinearMeasurement]) -> float:
    """Estimate the number of rows from noisy margins of columns, weighted by their precision."""
    weights = np.array([1.0 / (one.stddev**2 * one.noisy_measurement.size) for one in singles])
    return max(1.0, float(np.average([one.noisy_measurement.sum() for one in singles], weights=weights)))


def estimate(domain: Domain, measurements: list[LinearMeasurement], total: float, iterations: int, start: Any) -> Any:
    model = MirrorDescent().estimate(domain, measurements, known_total=total, iters=iterations, warm_start=start)
    return jax.block_until_ready(model)


def rows_of(data: Dataset) -> np.ndarray:
    return np.stack([np.asarray(data.data[name]) for name in data.domain.attributes], axis=1).astype(np.int64)


# ---------------------------------------------------------------------------------------- marginals of a model
def _log_sum(table: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    top = table.max(axis=axes, keepdims=True)
    return np.log(np.exp(table - top).sum(axis=axes, keepdims=True)) + top


def _aligned(table: np.ndarray, names: Clique, target: Clique) -> np.ndarray:
    """Return the table with its axes in the order of the target, and axes of length 1 for the others."""
    order = sorted(range(len(names)), key=lambda axis: target.index(names[axis]))
    lengths = {name: table.shape[axis] for axis, name in enumerate(names)}
    return table.transpose(order).reshape([lengths.get(name, 1) for name in target])


class Beliefs:
    """Distributions of the cliques of a model's junction tree, calibrated; the model's marginals come from them.

    Parameters
    ----------
    model
        A Markov random field of mbi.
    """

    def __init__(self, model: Any) -> None:
        self.tree: nx.Graph = junction_tree.make_junction_tree(model.domain, model.potentials.cliques)[0]
        self.total = float(model.total)
        self._names: Clique = tuple(model.domain.attributes)
        self._marginals: dict[tuple[Clique, Clique], np.ndarray] = {}
        sizes = dict(zip(self._names, model.domain.shape, strict=True))
        logs = {clique: np.zeros([sizes[name] for name in clique]) for clique in self.tree.nodes}
        for clique, factor in model.potentials.tables.items():
            home = min((node for node in logs if set(clique) <= set(node)), key=lambda node: logs[node].size)
            logs[home] += _aligned(np.asarray(factor.values), tuple(factor.domain.attributes), home)
        self.cliques = {clique: self._normal(table) for clique, table in self._calibrated(logs).items()}

    @staticmethod
    def _normal(table: np.ndarray) -> np.ndarray:
        weights = np.exp(table - table.max())
        return weights / weights.sum()

    def _calibrated(self, logs: dict[Clique, np.ndarray]) -> dict[Clique, np.ndarray]:
        """Pass messages to the root of each component and back."""
        for component in nx.connected_components(self.tree):
            edges = list(nx.bfs_edges(self.tree, next(iter(component))))
            sent = {}
            for parent, child in reversed(edges):
                sent[child] = self._message(logs, child, parent)
                logs[parent] += _aligned(*sent[child], parent)
            for parent, child in edges:
                table, names = self._message(logs, parent, child)
                logs[child] += _aligned(table, names, child) - _aligned(*sent[child], child)
        return logs

    @staticmethod
    def _message(logs: dict[Clique, np.ndarray], source: Clique, target: Clique) -> tuple[np.ndarray, Clique]:
        shared = tuple(name for name in source if name in target)
        axes = tuple(axis for axis, name in enumerate(source) if name not in target)
        return np.squeeze(_log_sum(logs[source], axes), axis=axes), shared

    def marginal(self, clique: Clique, names: Clique) -> np.ndarray:
        """Return the distribution of some columns of a clique, in the order asked for."""
        key = clique, tuple(sorted(names))
        if key not in self._marginals:
            self._marginals[key] = np.einsum(self.cliques[clique], _axes(clique), _axes(key[1]))
        return self._marginals[key].transpose([key[1].index(name) for name in names])

    def single(self, name: str) -> np.ndarray:
        home = min((clique for clique in self.cliques if name in clique), key=lambda clique: self.cliques[clique].size)
        return self.marginal(home, (name,))

    def pairs(self) -> Iterator[tuple[Clique, np.ndarray]]:
        """Yield every pair of columns, in order, with the model's flat expected counts."""
        for place, name in enumerate(self._names[:-1]):
            found = self._with(name)
            for other in self._names[place + 1 :]:
                table = found.get(other)
                if table is None:  # in another component: independent
                    table = np.outer(self.single(name), self.single(other))
                yield (name, other), table.ravel() * self.total

    def _with(self, name: str) -> dict[str, np.ndarray]:
        """Return the joint distribution of a column with each other one of its component, along the tree."""
        root = min((clique for clique in self.cliques if name in clique), key=lambda clique: self.cliques[clique].size)
        found: dict[str, np.ndarray] = {}
        todo: list[tuple[Clique, Clique | None, Clique, np.ndarray | None]] = [(root, None, (), None)]
        while todo:
            clique, parent, shared, joint = todo.pop()
            for other in clique:
                if other != name and other not in found:
                    found[other] = self._reach(name, (other,), clique, shared, joint)
            for child in self.tree.neighbors(clique):
                if child != parent:
                    between = tuple(other for other in clique if other in child and other != name)
                    ahead = None if name in child else self._reach(name, between, clique, shared, joint)
                    todo.append((child, clique, between, ahead))
        return found

    def _reach(self, name: str, others: Clique, clique: Clique, shared: Clique, joint: np.ndarray | None) -> np.ndarray:
        """Return the joint distribution of a column and others of a clique; `joint` is that of it and `shared`."""
        if joint is None:
            return self.marginal(clique, (name, *others))
        known = self.marginal(clique, shared)
        given = np.divide(joint, known, out=np.zeros_like(joint), where=known > 0)
        inside = shared + tuple(other for other in others if other not in shared)
        both = self.marginal(clique, inside)
        return np.einsum(given, _axes((name, *shared)), both, _axes(inside), _axes((name, *others)), optimize=True)


def _axes(names: Clique) -> list[int]:
    return [int(name) for name in names]


# ---------------------------------------------------------------------------------------- AIM
@dataclass
class Measured:
    """Noisy marginals, those of the same columns merged into one: the mean weighted by precision loses nothing."""

    all: dict[Clique, LinearMeasurement] = field(default_factory=dict)

    def add(self, new: LinearMeasurement) -> None:
        old = self.all.get(new.clique)
        if old is not None:
            first, second = old.stddev**-2, new.stddev**-2
            mean = (first * old.noisy_measurement + second * new.noisy_measurement) / (first + second)
            new = LinearMeasurement(mean, new.clique, (first + second) ** -0.5)
        self.all[new.clique] = new


def aim(
    codes: np.ndarray,
    sizes: list[int],
    n: int,
    rho: float,
    generator: np.random.Generator,
    clock: Any,
    rounds_a_column: int = 16,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return n synthetic rows of codes, and what the record tells.

    When the time of the clock runs out, the round that AIM runs last takes place at once, with all that is left of the
    budget; the record then says so.
    """
    table = Table(codes, sizes)
    names: Clique = tuple(table.domain.attributes)
    workload = [pair for pair in itertools.combinations(names, 2) if table.domain.size(pair) <= MAX_CELLS]
    singles = [(name,) for name in names]
    candidates = singles + workload
    weights = {clique: sum(len(set(clique) & set(pair)) for pair in workload) for clique in candidates}
    answers = {clique: table.counts(clique) for clique in candidates}
    rounds = rounds_a_column * len(names)
    sigma, epsilon = math.sqrt(rounds / (2 * 0.9 * rho)), math.sqrt(8 * 0.1 * rho / rounds)
    measured = Measured()
    for clique in singles:
        measured.add(table.measure(clique, sigma, generator))
    total = total_of(list(measured.all.values()))
    used = len(singles) / (2 * sigma**2)
    model = estimate(table.domain, list(measured.all.values()), total, ITERATIONS, None)
    expected = _expected(model, singles)
    done, last, in_time, longest = 0, False, True, 0.0
    while not last:
        started = clock.seconds
        in_time = clock.left > 2.5 * longest + 5
        if rho - used < 2 * (1 / (2 * sigma**2) + epsilon**2 / 8) or not in_time:
            last = True
            sigma, epsilon = math.sqrt(1 / (2 * 0.9 * (rho - used))), math.sqrt(8 * 0.1 * (rho - used))
        used += 1 / (2 * sigma**2) + epsilon**2 / 8
        bias = math.sqrt(2 / math.pi) * sigma
        errors = {
            clique: weights[clique] * (np.abs(answers[clique] - expected[clique]).sum() - bias * answers[clique].size)
            for clique in candidates
        }
        chosen = _select(errors, epsilon, max(weights.values()), table.domain, measured, used / rho, generator)
        measured.add(table.measure(chosen, sigma, generator))
        model = estimate(table.domain, list(measured.all.values()), total, ITERATIONS, model.potentials)
        before, expected = expected, _expected(model, singles)
        if np.abs(expected[chosen] - before[chosen]).sum() <= bias * expected[chosen].size:
            sigma, epsilon = sigma / 2, epsilon * 2  # annealing: nothing was learned at this noise
        done += 1
        longest = max(longest, clock.seconds - started)
        if done % 10 == 0:
            jax.clear_caches()  # programs of earlier structures are never used again, and fill the memory
    model = estimate(table.domain, list(measured.all.values()), total, ITERATIONS, model.potentials)
    facts = {
        "status": "done" if in_time else "stopped",
        "rounds": done,
        "planned_rounds": rounds,
        "pairs_measured": sum(len(clique) == 2 for clique in measured.all),
        "model_mb": round(junction_tree.hypothetical_model_size(table.domain, list(measured.all)), 3),
        "settings": f"all pairs up to {MAX_CELLS:,} cells, at most {rounds_a_column} rounds a column, "
        f"{MAX_MEGABYTES:.0f} MB, {ITERATIONS} iterations a round, annealing",
    }
    np.random.seed(int(generator.integers(2**32)))  # noqa: NPY002 - mbi draws rows from the global generator
    return rows_of(model.synthetic_data(rows=n)), facts


def _expected(model: Any, singles: Sequence[Clique]) -> dict[Clique, np.ndarray]:
    beliefs = Beliefs(model)
    return {clique: beliefs.single(clique[0]) * beliefs.total for clique in singles} | dict(beliefs.pairs())


def _select(
    errors: dict[Clique, float],
    epsilon: float,
    sensitivity: float,
    domain: Domain,
    measured: Measured,
    share_used: float,
    generator: np.random.Generator,
) -> Clique:
    """Take a marginal by the exponential mechanism among those that keep the model small.

    Scores with Gumbel noise in descending order are a draw of the mechanism without replacement, so the first that fits
    has the law of the mechanism over all that fit.
    """
    cliques = list(errors)
    scores = np.array([errors[clique] for clique in cliques]) * epsilon / (2 * sensitivity)
    scores += generator.gumbel(size=len(cliques))
    structure = list(measured.all)
    limit = MAX_MEGABYTES * share_used
    for place in np.argsort(-scores):
        clique = cliques[place]
        if clique in measured.all or junction_tree.hypothetical_model_size(domain, [*structure, clique]) <= limit:
            return clique
    raise RuntimeError("no marginal fits, which cannot be: those measured before do")


# ---------------------------------------------------------------------------------------- MST
def mst(
    codes: np.ndarray, sizes: list[int], n: int, rho: float, generator: np.random.Generator, clock: Any
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return n synthetic rows of codes, and what the record tells.

    A third of the budget each for margins, for selecting a spanning tree of pairs, and for measuring those pairs.
    """
    table = Table(codes, sizes)
    sigma = math.sqrt(3 / (2 * rho))
    singles = [(name,) for name in table.domain.attributes]
    raw = [table.measure(clique, sigma * math.sqrt(len(singles)), generator) for clique in singles]
    total = total_of(raw)
    mapping = {one.clique[0]: new for one in raw if (new := _merged(one)) is not None}
    margins = [one.compress(mapping, table.domain) for one in raw]
    small = table.codes.copy()
    for name, new in mapping.items():
        small[:, int(name)] = new[small[:, int(name)]]
    compressed = Table(small, [int(mapping[n].max()) + 1 if n in mapping else table.domain[n] for n in table.domain])
    start = estimate(compressed.domain, margins, total, 2500, None)
    pairs = _spanning_tree(compressed, start, rho / 3, generator)
    measured = [compressed.measure(pair, sigma * math.sqrt(len(pairs)), generator) for pair in pairs]
    model = estimate(compressed.domain, margins + measured, total, MST_ITERATIONS, None)
    np.random.seed(int(generator.integers(2**32)))  # noqa: NPY002 - mbi draws rows from the global generator
    rows = rows_of(model.synthetic_data(rows=n).decompress(mapping))
    settings = f"margins below 3 sigma merged, {MST_ITERATIONS:,} iterations"
    return rows, {"status": "done" if clock.left > 0 else "late", "pairs_measured": len(pairs), "settings": settings}


def _merged(margin: LinearMeasurement) -> np.ndarray | None:
    """Return the new code of each old one: those without visible support share the last; None if nothing is merged."""
    kept = np.asarray(margin.noisy_measurement) >= 3 * margin.stddev
    if (~kept).sum() < 2:
        return None
    return np.where(kept, np.cumsum(kept) - 1, kept.sum())


def _spanning_tree(table: Table, start: Any, rho: float, generator: np.random.Generator) -> list[Clique]:
    names = tuple(table.domain.attributes)
    beliefs = Beliefs(start)
    margin = {name: beliefs.single(name) * beliefs.total for name in names}
    errors = {
        pair: np.abs(table.counts(pair) - np.outer(margin[pair[0]], margin[pair[1]]).ravel() / beliefs.total).sum()
        for pair in itertools.combinations(names, 2)
    }
    epsilon = math.sqrt(8 * rho / (len(names) - 1))
    joined, chosen = DisjointSet(names), []
    while len(chosen) < len(names) - 1:
        open_pairs = [pair for pair in errors if not joined.connected(*pair)]
        scores = epsilon / 2 * np.array([errors[pair] for pair in open_pairs]) + generator.gumbel(size=len(open_pairs))
        chosen.append(open_pairs[int(np.argmax(scores))])
        joined.merge(*chosen[-1])
    return chosen


# With fewer rounds, each with less noise, AIM gets further within a time limit than with those of the paper.
METHODS = {"aim": aim, "aim-short": functools.partial(aim, rounds_a_column=4), "mst": mst}
