"""Factors of counts: a Poisson log-normal model with few latent dimensions, fitted by its evidence.

The counts of a cell are Poisson with rates ``depth * exp(base + loadings @ z)``, where the base is a sum of effects of
its class, batch and covariates on every gene, and ``z`` is normal. The noise of counting is therefore not taken for
biology: principal components of log-normalised counts would carry it, and drawing counts would add it a second time.

References
----------
Chiquet, Mariadassou and Robin 2018, Variational inference for probabilistic Poisson PCA; Townes et al. 2019, Feature
selection and dimension reduction for single-cell RNA-Seq based on a multinomial model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from synthkit.gan.state import Tensors, Values
from synthkit.io.expression_set import Values as Matrix
from synthkit.random import RandomSource

BATCH = 512
_MOST_VALUES = 5_000_000  # of a batch: larger arrays are given back to the system and cleared anew at every operation
_PROBE = 256  # cells that the evidence is told for
_RATE = 0.05  # of Adam, for what belongs to a cell; effects and loadings of genes move more slowly
_GENE_RATE = 0.02
_BETAS, _TINY = (0.9, 0.999), 1e-8
_LOADING_PRECISION = 50.0  # prior of a loading: a standard deviation of 0.14 in logarithms for each latent dimension
_CLASS_PRECISION, _OTHER_PRECISION = 1.0, 10.0  # prior of effects: classes differ by a factor e, batches by much less
_MOST_LOG_RATE = 12.0
_START_SCALE = 0.1


@dataclass(frozen=True, eq=False)
class Factors:
    """Latent coordinates of cells and how genes follow them.

    Attributes
    ----------
    base
        Effects on the log rate of every gene, ``[effects, genes]``.
    loadings
        ``[genes, factors]``.
    means, deviations
        Posterior mean and standard deviation of each cell's coordinates, ``[cells, factors]``.
    """

    base: np.ndarray
    loadings: np.ndarray
    means: np.ndarray
    deviations: np.ndarray


def evidence(
    counts: Tensor, offset: Tensor, base: Tensor, loadings: Tensor, means: Tensor, log_deviations: Tensor
) -> Tensor:
    """Return the evidence lower bound of each cell ``[cells]``, up to a constant of the data.

    Parameters
    ----------
    counts
        ``[cells, genes]``.
    offset
        Log library size, ``[cells, 1]``.
    base
        Effects of the conditions of each cell, ``[cells, genes]``.
    loadings
        ``[genes, factors]``.
    means, log_deviations
        Of the coordinates of each cell, ``[cells, factors]``.
    """
    variances = (2 * log_deviations).exp()
    log_rates = offset + base + means @ loadings.T
    # the mean of a log-normal rate is exact: no draw is needed
    rates = (log_rates + 0.5 * variances @ loadings.square().T).clamp(max=_MOST_LOG_RATE).exp()
    divergence = 0.5 * (means.square() + variances - 1 - 2 * log_deviations).sum(1)
    return (counts * log_rates - rates).sum(1) - divergence


class PoissonFactorsStage:
    """Fits the factors in batches of cells, as a stage for the trainer. Scores itself by the evidence.

    Parameters
    ----------
    counts
        CSR, ``[cells, genes]``; only a batch of it is ever dense.
    design
        Indicators of class and batch, and covariates, ``[cells, effects]``.
    n_classes
        The first effects, which are those of classes.
    factors
        Number of latent dimensions.
    epochs
        Times that every cell is seen.
    random
        Source of the order of cells and of the starting loadings.
    device
        Where batches are computed.
    """

    name = "factors of counts"
    scored_by = "evidence per cell"

    def __init__(
        self,
        counts: Matrix,
        design: np.ndarray,
        n_classes: int,
        factors: int,
        random: RandomSource,
        *,
        epochs: int = 60,
        device: str = "cpu",
    ) -> None:
        self._counts, self._device = sparse.csr_matrix(counts), device
        n, genes = self._counts.shape
        self._batch = min(BATCH, n, max(1, _MOST_VALUES // genes))
        self._per_epoch = -(-n // self._batch)
        self.total_steps = epochs * self._per_epoch
        self.evaluate_every = max(1, self.total_steps // 20)
        totals = np.asarray(self._counts.sum(1), np.float64).ravel()
        self._offset = torch.from_numpy(np.log(np.maximum(totals, 1)).astype(np.float32))[:, None].to(device)
        self._design = torch.from_numpy(design.astype(np.float32)).to(device)
        profile = _profiles(self._counts, design[:, :n_classes], totals)
        self._prior = torch.zeros(design.shape[1], genes)
        self._prior[:n_classes] = torch.from_numpy(profile.mean)
        start = self._prior.clone()
        start[:n_classes] = torch.from_numpy(profile.classes)
        self._precision = torch.full((design.shape[1], 1), _OTHER_PRECISION)
        self._precision[:n_classes] = _CLASS_PRECISION
        self._prior, self._precision = self._prior.to(device), self._precision.to(device)
        generator = random.torch("loadings")
        self._order = random.torch("order")
        self._base = start.to(device).requires_grad_()
        self._loadings = (torch.randn(genes, factors, generator=generator) * _START_SCALE).to(device).requires_grad_()
        self._own = {name: torch.zeros(n, factors, device=device) for name in ("means", "deviations")}
        self._own["means"] += (torch.randn(n, factors, generator=generator) * _START_SCALE).to(device)
        self._own["deviations"] -= 1.0
        self._moments = {
            f"{name} {which}": torch.zeros(n, factors, device=device)
            for name in self._own
            for which in ("first", "second")
        }
        self._rows: Tensor = torch.empty(0, dtype=torch.long)
        self._scale = 1.0
        self._start_optimizer()

    def _start_optimizer(self) -> None:
        self._optimizer = torch.optim.Adam([self._base, self._loadings], lr=_GENE_RATE)

    def factors(self) -> Factors:
        """Return what was fitted."""
        return Factors(
            self._base.detach().cpu().numpy(),
            self._loadings.detach().cpu().numpy(),
            self._own["means"].cpu().numpy(),
            self._own["deviations"].exp().cpu().numpy(),
        )

    # -- the Stage protocol -------------------------------------------------------------------------------------------

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one step with a batch of cells; every epoch sees each cell once."""
        place = index % self._per_epoch
        if place == 0 or not len(self._rows):
            self._rows = torch.randperm(self._counts.shape[0], generator=self._order)
        rows = self._rows[place * self._batch : (place + 1) * self._batch]
        rate = self._scale * min(1.0, 2 * (1 - index / self.total_steps) + 0.02)
        means = self._own["means"][rows].requires_grad_()
        deviations = self._own["deviations"][rows].requires_grad_()
        bound = evidence(
            self._dense(rows), self._offset[rows], self._design[rows] @ self._base, self._loadings, means, deviations
        )
        share = len(rows) / self._counts.shape[0]
        prior = 0.5 * (self._precision * (self._base - self._prior).square()).sum()
        prior = prior + 0.5 * _LOADING_PRECISION * self._loadings.square().sum()
        loss = -bound.sum() + share * prior
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        for group in self._optimizer.param_groups:
            group["lr"] = _GENE_RATE * rate
        self._optimizer.step()
        self._move("means", rows, means.grad, index // self._per_epoch + 1, _RATE * rate)
        self._move("deviations", rows, deviations.grad, index // self._per_epoch + 1, _RATE * rate)
        return {"evidence": bound.detach().mean()}

    def _dense(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self._counts[rows.numpy()].toarray().astype(np.float32)).to(self._device)

    @torch.no_grad()
    def _move(self, name: str, rows: Tensor, gradient: Tensor | None, times: int, rate: float) -> None:
        """Take a step of Adam for some rows: each of them has been moved once per epoch."""
        if gradient is None:
            return
        first, second = self._moments[f"{name} first"], self._moments[f"{name} second"]
        own_first = first[rows].lerp_(gradient, 1 - _BETAS[0])
        own_second = second[rows].lerp_(gradient.square(), 1 - _BETAS[1])
        first[rows], second[rows] = own_first, own_second
        spread = (own_second / (1 - _BETAS[1] ** times)).sqrt_().add_(_TINY)
        self._own[name][rows] -= rate * own_first / (1 - _BETAS[0] ** times) / spread

    @torch.no_grad()
    def evaluate(self) -> float:
        """Return the mean evidence of some cells, evenly spread over the data."""
        n = self._counts.shape[0]
        rows = torch.linspace(0, n - 1, min(_PROBE, n)).long()
        own = self._own["means"][rows], self._own["deviations"][rows]
        bound = evidence(self._dense(rows), self._offset[rows], self._design[rows] @ self._base, self._loadings, *own)
        return float(bound.mean())

    def snapshot(self) -> Tensors:
        """Copy effects, loadings and coordinates."""
        named = {"base": self._base, "loadings": self._loadings, **self._own}
        return {name: tensor.detach().clone() for name, tensor in named.items()}

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot the current state."""
        self._base.copy_(weights["base"])
        self._loadings.copy_(weights["loadings"])
        for name, tensor in self._own.items():
            tensor.copy_(weights[name])

    def state(self) -> tuple[Values, Tensors]:
        """Return parameters, moments, and the order of cells."""
        tensors = self.snapshot() | {f"moment {name}": tensor.clone() for name, tensor in self._moments.items()}
        for at, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer {at} {name}": torch.as_tensor(value).clone() for name, value in moments.items()}
        return {"scale": self._scale}, tensors | {"rows": self._rows.clone(), "order": self._order.get_state()}

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        self.restore(tensors)
        for name, tensor in self._moments.items():
            tensor.copy_(tensors[f"moment {name}"])
        self._rows = tensors["rows"].clone()
        self._order.set_state(tensors["order"])
        kept = self._optimizer.state_dict()
        for key, tensor in tensors.items():
            if key.startswith("optimizer "):
                _, at, name = key.split(" ")
                kept["state"].setdefault(int(at), {})[name] = tensor.clone()
        self._optimizer.load_state_dict(kept)

    def recover(self) -> None:
        """Halve the learning rate; the moments may hold the broken numbers."""
        self._scale /= 2
        self._start_optimizer()
        for tensor in self._moments.values():
            tensor.zero_()


@dataclass(frozen=True, eq=False)
class _Profile:
    """Log shares of the genes: of all cells ``[genes]``, and of each class ``[classes, genes]``."""

    mean: np.ndarray
    classes: np.ndarray


def _profiles(counts: sparse.csr_matrix, classes: np.ndarray, totals: np.ndarray) -> _Profile:
    """Return log shares; that of a class is drawn towards that of all by the counts of one cell."""
    sums = np.asarray((sparse.csr_matrix(classes.T).astype(np.float64) @ counts).todense())
    depth = totals.mean()
    pooled = (sums.sum(0) + 0.5) / (totals.sum() + 0.5 * len(sums.T))
    own = (sums + depth * pooled) / (classes.T @ totals + depth)[:, None]
    return _Profile(np.log(pooled).astype(np.float32), np.log(own).astype(np.float32))
