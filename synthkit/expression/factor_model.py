"""The default model: factors of the values, a game in their coordinates, noise of counting, and restored margins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy import sparse

from synthkit.expression.anchor import Anchor
from synthkit.expression.latent_nets import EXTRA_NOISE, LatentGenerator
from synthkit.expression.model import Arrays, Wanted
from synthkit.expression.raking import (
    FEWEST_SYSTEMATIC,
    CountRaking,
    DepthRaking,
    ValueRaking,
    chunks,
    chunks_by_class,
    raking_from,
)
from synthkit.expression.refinement import CANDIDATES, Refinement
from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

Likelihood = Literal["poisson", "normal"]
_MOST_DISPERSION = 5.0
_SQUARES = 5.0  # by which dispersions are drawn to zero
RATE_TARGET = 1e6
"""Bulk counts are modelled as rates per million."""


@dataclass(frozen=True, eq=False)
class FactorModel:
    """A fitted generator in latent coordinates.

    Attributes
    ----------
    measure
        What the values are.
    likelihood
        "poisson" for counts of single cells; "normal" in logarithms for everything else.
    base
        Effects of class, batch and covariates on every gene, ``[effects, genes]``.
    loadings
        ``[genes, factors]``.
    spreads
        Poisson: squared coefficient of variation that factors leave (a negative binomial's dispersion), ``[genes]``.
        Normal: standard deviation that they leave, in units of the values, ``[genes]``.
    anchor
        Moments of the coordinates of each class; the last coordinate is the log library size where there are counts.
    generator
        What the game made of them; None where the anchor is kept.
    depths
        Smallest and largest log library size of training cells.
    margins
        Margins of each class; None before they are estimated.
    refinement
        What is told apart is drawn less often; None where nothing is.
    """

    name = "cwgan"

    measure: Measure
    likelihood: Likelihood
    base: np.ndarray
    loadings: np.ndarray
    spreads: np.ndarray
    anchor: Anchor
    generator: LatentGenerator | None = None
    depths: tuple[float, float] = (0.0, 0.0)
    margins: DepthRaking | CountRaking | ValueRaking | None = None
    refinement: Refinement | None = None

    # -- drawing ------------------------------------------------------------------------------------------------------

    def draw(self, wanted: Wanted, random: RandomSource) -> Values:
        """Draw values for conditions; see `ExpressionModel.draw`.

        The margins of the cells of a class that are drawn together are those of a systematic sample, where conditions
        do not ask for some batches alone.
        """
        n, genes = len(wanted), self.base.shape[1]
        if not n:
            empty = np.empty((0, genes), np.float32)
            return empty if self.measure != "counts" else sparse.csr_matrix(empty, dtype=np.int32)
        width = genes * (1 if self.refinement is None else CANDIDATES)
        places = list(chunks_by_class(wanted.classes, width))
        parts = [self._part(wanted.take(rows), random.child(f"chunk {at}")) for at, rows in enumerate(places)]
        order = np.argsort(np.concatenate(places))
        drawn: Values = (
            sparse.vstack(parts, format="csr")[order] if self.measure == "counts" else np.concatenate(parts)[order]
        )
        return drawn

    def _part(self, wanted: Wanted, random: RandomSource) -> Values:
        if self.refinement is None:
            values, depths = self.raw(wanted, random)
        else:
            several = wanted.take(np.tile(np.arange(len(wanted)), CANDIDATES))
            values, depths = self.raw(several, random)
            candidates = self._finished(values, depths, replace(several, representative=False), random.child("tried"))
            best = self.refinement.chosen(candidates, several.classes, random.numpy("choice"))
            values, depths = values[best], depths[best]
        return self._finished(values, depths, wanted, random)

    def _finished(self, values: np.ndarray, depths: np.ndarray, wanted: Wanted, random: RandomSource) -> Values:
        """Return raw values with their margins, in the units of the data, and with the library sizes asked for."""
        values = self._restored(values, depths, wanted, random.numpy("ties"))
        if self.measure != "counts":
            values = np.expm1(np.maximum(values, 0).astype(np.float64)) if self.measure == "rates" else values
            return np.asarray(np.maximum(values, 0) if self.measure == "log" else values, np.float32)
        if wanted.depths is not None:
            values = _of_depth(values, wanted.depths, random.numpy("depths"))
        return sparse.csr_matrix(values.astype(np.int32))

    def _restored(self, values: np.ndarray, depths: np.ndarray, wanted: Wanted, rng: np.random.Generator) -> np.ndarray:
        """Return values with the margins of their classes."""
        if self.margins is None:
            return values
        if self._margins_of_logarithms:
            sizes = np.exp(depths)[:, None] / RATE_TARGET
            values = np.log1p(values / sizes)
        restored = np.empty(values.shape, np.float32 if isinstance(self.margins, ValueRaking) else np.int64)
        for label in np.unique(wanted.classes):
            own = np.flatnonzero(wanted.classes == label)
            uniform = rng.random((len(own), values.shape[1]), dtype=np.float32)
            offset: np.ndarray | None = None
            if wanted.representative and len(own) >= FEWEST_SYSTEMATIC:
                offset = np.asarray(rng.random(values.shape[1]))
            restored[own] = self.margins.restored(values[own], int(label), uniform, offset)
        if self._margins_of_logarithms:
            restored = np.asarray(np.round(np.expm1(restored.astype(np.float64)) * sizes), np.int64)
        return restored

    @property
    def _margins_of_logarithms(self) -> bool:
        """Whether the margins are those of logarithms of rates, as those of bulk counts were before version 3."""
        return self.measure == "counts" and isinstance(self.margins, ValueRaking)

    def raw(self, wanted: Wanted, random: RandomSource) -> tuple[np.ndarray, np.ndarray]:
        """Draw values before their margins are restored, ``[n, genes]``, and log library sizes ``[n]``.

        Values are counts where counts were learned; logarithms of rates; or the values themselves.
        """
        latent, depths = self.coordinates(wanted, random)
        return self._decoded(latent, depths, wanted, random), depths

    def coordinates(self, wanted: Wanted, random: RandomSource) -> tuple[np.ndarray, np.ndarray]:
        """Draw latent coordinates ``[n, factors]`` and log library sizes ``[n]`` (zeros where there are no counts)."""
        whitened = self.anchor.drawn(wanted.classes, random.numpy("coordinates"))
        if self.generator is not None:
            extra = random.numpy("noise").standard_normal((len(wanted), EXTRA_NOISE))
            noise = torch.from_numpy(np.column_stack([whitened, extra]).astype(np.float32))
            given = [torch.from_numpy(np.ascontiguousarray(one)) for one in wanted.given()]
            with torch.no_grad():
                whitened = self.generator(noise, *given).numpy()
        latent = self.anchor.coloured(whitened.astype(np.float64), wanted.classes)
        if self.measure != "counts":
            return latent, np.zeros(len(wanted))
        return latent[:, :-1], np.clip(latent[:, -1], *self.depths)

    def _decoded(self, latent: np.ndarray, depths: np.ndarray, wanted: Wanted, random: RandomSource) -> np.ndarray:
        if self.likelihood == "poisson":
            rates = self.rates(latent, depths, wanted)
            shape = 1 / np.maximum(self.spreads, 1e-3)
            noisy = random.numpy("dispersion").gamma(shape, 1 / shape, rates.shape)
            return random.numpy("counts").poisson(np.where(self.spreads > 1e-3, rates * noisy, rates))
        mean = self.effects(wanted) + latent @ self.loadings.T.astype(np.float64)
        own = random.numpy("own").standard_normal(mean.shape)
        values: np.ndarray = mean + own * self.spreads
        if self.measure != "counts":
            return values
        rates = np.expm1(np.maximum(values, 0))
        sums = np.full(len(rates), RATE_TARGET) if self._margins_of_logarithms else np.maximum(rates.sum(1), 1e-9)
        rates *= (np.exp(depths) / sums)[:, None]
        return np.asarray(np.floor(rates + random.numpy("rounding").random(rates.shape)), np.int64)

    def effects(self, wanted: Wanted) -> np.ndarray:
        """Return the effects of conditions on every gene, ``[n, genes]``."""
        n_classes = len(self.anchor.means)
        result = self.base[wanted.classes].astype(np.float64)
        n_batches = len(self.base) - n_classes - wanted.covariates.shape[1]
        if n_batches:
            result += self.base[n_classes + wanted.batches]
        if wanted.covariates.shape[1]:
            result += wanted.covariates @ self.base[n_classes + n_batches :]
        return np.asarray(result)

    def rates(self, latent: np.ndarray, depths: np.ndarray, wanted: Wanted) -> np.ndarray:
        """Return expected counts ``[n, genes]``; they sum to the library size of each cell."""
        logits = self.effects(wanted) + latent @ self.loadings.T.astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        rates = np.exp(logits)
        rates *= (np.exp(depths) / rates.sum(1))[:, None]
        result: np.ndarray = rates
        return result

    # -- after the game -----------------------------------------------------------------------------------------------

    def with_margins(
        self, real: Values, labels: np.ndarray, drawn: Mapping[int, Values], rng: np.random.Generator
    ) -> FactorModel:
        """Return the model with margins restored: `real` in the units in which the model draws without them."""
        if self.measure == "counts":
            pooled = self.likelihood == "normal"
            found = DepthRaking.of(sparse.csr_matrix(real), labels, drawn, rng, pooled=pooled)
            return replace(self, margins=found)
        return replace(self, margins=ValueRaking.of(np.asarray(real), labels, dict(drawn)))

    # -- model file ---------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model."""
        values: dict[str, Any] = {
            "measure": self.measure,
            "likelihood": self.likelihood,
            "depths": list(self.depths),
            "conditions": None,
            "refinement": None,
        }
        arrays: Arrays = {
            "base": self.base,
            "loadings": self.loadings,
            "spreads": self.spreads,
            **{f"anchor/{name}": one for name, one in vars(self.anchor).items()},
        }
        if self.generator is not None:
            given = self.generator.conditions
            covariates = 0 if given.covariates is None else given.covariates.in_features
            values["conditions"] = [len(given.classes), len(given.batches), covariates]
            arrays |= {f"generator/{name}": one.cpu().numpy() for name, one in self.generator.state_dict().items()}
        if self.margins is not None:
            arrays |= {f"margins/{name}": one for name, one in self.margins.arrays().items()}
        if self.refinement is not None:
            values["refinement"], own = self.refinement.state()
            arrays |= {f"refinement/{name}": one for name, one in own.items()}
        return values, arrays

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
        parts: dict[str, Arrays] = {"anchor": {}, "generator": {}, "margins": {}, "refinement": {}}
        for name, array in arrays.items():
            group, _, rest = name.partition("/")
            if rest:
                parts[group][rest] = np.array(array)
        anchor = Anchor(**parts["anchor"])
        generator = None
        if values["conditions"] is not None:
            size = anchor.means.shape[1]
            # the starting weights are replaced at once, so any stream will do
            generator = LatentGenerator(size, tuple(values["conditions"]), RandomSource(0).torch("replaced"))
            generator.load_state_dict({name: torch.from_numpy(one) for name, one in parts["generator"].items()})
        return cls(
            values["measure"],
            values["likelihood"],
            np.array(arrays["base"]),
            np.array(arrays["loadings"]),
            np.array(arrays["spreads"]),
            anchor,
            generator,
            (float(values["depths"][0]), float(values["depths"][1])),
            raking_from(parts["margins"]) if parts["margins"] else None,
            Refinement.from_state(values["refinement"], parts["refinement"]) if parts["refinement"] else None,
        )


def dispersions(counts: Values, model: FactorModel, conditions: Wanted, random: RandomSource) -> np.ndarray:
    """Return how much more counts vary inside classes than the model's, as a squared coefficient of variation.

    Moments: ``variance = mean + variance of rates + dispersion * mean square of rates``, summed over the classes.

    Parameters
    ----------
    counts
        CSR, ``[cells, genes]``.
    model
        Model without dispersion.
    conditions
        Of the cells; rates are drawn for them.
    random
        Source of the coordinates.
    """
    genes = counts.shape[1]
    real, drawn, squares = np.zeros(genes), np.zeros(genes), np.zeros(genes)
    for label in np.unique(conditions.classes):
        rows = np.flatnonzero(conditions.classes == label)
        own = sparse.csr_matrix(counts[rows], dtype=np.float64)
        mean = np.asarray(own.mean(0)).ravel()
        real += np.asarray(own.multiply(own).sum(0)).ravel() - len(rows) * mean**2
        first, second = np.zeros(genes), np.zeros(genes)
        for part in chunks(len(rows), genes):
            wanted = conditions.take(rows[part])
            latent, depths = model.coordinates(wanted, random.child(f"{label} {part.start}"))
            rates = model.rates(latent, depths, wanted)
            first += rates.sum(0)
            second += np.square(rates).sum(0)
        drawn += second - first**2 / len(rows) + first
        squares += second
    # genes with a few counts in all cells have no dispersion to speak of: their moments are noise
    found: np.ndarray = np.clip((real - drawn) / (squares + _SQUARES), 0, _MOST_DISPERSION)
    return found.astype(np.float32)


def _of_depth(counts: np.ndarray, depths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring cells to other library sizes: counts are thinned, or more are drawn in the same proportions."""
    totals = np.maximum(counts.sum(1), 1)
    share = depths / totals
    thinned = rng.binomial(counts, np.minimum(share, 1)[:, None])
    more = rng.poisson(counts * np.maximum(share - 1, 0)[:, None])
    return np.where(share[:, None] <= 1, thinned, counts + more)
