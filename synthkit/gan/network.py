"""The classical generator: a network from noise, conditional on any subset of columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from synthkit.gan.features import FeatureMap
from synthkit.gan.layers import GrowingBlock, linear, reduced_precision
from synthkit.gan.layout import Layout
from synthkit.gan.relaxed import RelaxedBatch, Segments
from synthkit.random import RandomSource

_QUANTILES = 513
_CHUNK = 8192


class NetworkGenerator(nn.Module):
    """Maps noise and given cells to rows.

    Categories, point masses and short ordered columns are drawn from a softmax. A long ordered column is one softmax
    entry ("somewhere in the bins") and one coordinate u in (0, 1), the rank among the bins, which is a smooth function
    of the noise: its gradient is exact and needs no straight-through estimate, and relations between numbers are
    relations between smooth functions. Given cells are copied into the output, so conditions hold exactly.

    Parameters
    ----------
    layout
        The columns.
    generator
        Source of the initial weights.
    noise, width, depth
        Length of the noise, units per block, number of residual blocks.
    short
        Ordered columns with at most this many bins are drawn from a softmax.
    temperature
        Of the straight-through Gumbel softmax.
    """

    quantiles: Tensor

    def __init__(
        self,
        layout: Layout,
        *,
        generator: torch.Generator,
        noise: int = 64,
        width: int = 256,
        depth: int = 2,
        short: int = 30,
        temperature: float = 0.5,
    ) -> None:
        super().__init__()
        device = generator.device
        self.layout = layout
        self.settings = {
            "noise": noise, "width": width, "depth": depth, "short": short, "temperature": temperature,
        }  # fmt: skip
        self.noise, self.temperature = noise, temperature
        self.features = FeatureMap(layout, short=short, device=device)
        self._symbols = Segments(layout.sizes.tolist(), device)
        self._owner = torch.tensor(layout.owner, device=device)
        self._inside = torch.tensor(layout.inside, device=device)
        self._place_gates(short, device)
        conditions = self.features.width + len(layout.sizes)
        inputs = noise + conditions
        self.blocks = nn.ModuleList(GrowingBlock(inputs + k * width, width, generator) for k in range(depth))
        self.head = linear(inputs + depth * width, self._gates.width + len(self._long), generator)
        self.register_buffer("quantiles", torch.linspace(0, 1, _QUANTILES, device=device).repeat(len(self._long), 1))
        self._start_at_the_margins(conditions, generator)

    def _place_gates(self, short: int, device: torch.device) -> None:
        """Lay out the softmax entries: all symbols of a column, or its atoms and one entry for all of its bins."""
        layout = self.layout
        is_long = layout.n_bins > short
        offsets = layout.offsets
        self._gates = Segments(np.where(is_long, layout.n_atoms + 1, layout.sizes).tolist(), device)
        self._long = torch.tensor(np.flatnonzero(is_long), dtype=torch.long, device=device)
        # symbol of each gate, columns side by side; for "somewhere in the bins" the first bin, moved on by the bin
        places, ends, marginals = [], [], []
        for c, size in enumerate(layout.sizes.tolist()):
            start, atoms = int(offsets[c]), int(layout.n_atoms[c])
            shown = atoms + 1 if is_long[c] else size
            places.append(np.arange(start, start + shown))
            share = layout.share[start : start + size].copy()
            if is_long[c]:
                share[atoms] = share[atoms:].sum()
                ends.append(layout.right[start + atoms : start + size])
            marginals.append(share[:shown])
        self._place = torch.tensor(np.concatenate(places), dtype=torch.long, device=device)
        self._marginals = torch.tensor(np.concatenate(marginals), dtype=torch.float32, device=device)
        self._bin_gate = (self._gates.starts + torch.tensor(layout.n_atoms, device=device))[self._long]
        longest = max((len(end) for end in ends), default=0)
        # right ends of the bins of each long column, [L, longest]; columns with fewer bins are filled up with 2
        self._right = torch.full((len(ends), longest), 2.0, device=device)
        for j, end in enumerate(ends):
            self._right[j, : len(end) - 1] = torch.tensor(end[:-1], dtype=torch.float32, device=device)
            self._right[j, len(end) - 1] = 1.0
        self._last = torch.tensor([len(end) - 1 for end in ends], dtype=torch.long, device=device)

    @torch.no_grad()
    def _start_at_the_margins(self, conditions: int, generator: torch.Generator) -> None:
        """Start with every column at its own distribution: logits at the log-shares, u uniform."""
        gates = self._gates.width
        self.head.bias[:gates] = (self._marginals + 1e-6).log()
        self.head.bias[gates:] = 0.0
        self.head.weight.mul_(0.3)
        # the noise is the part of the last layer's input just before the conditions, at its end
        directions = torch.randn(len(self._long), self.noise, generator=generator, device=generator.device)
        first = self.head.in_features - conditions - self.noise
        self.head.weight[gates:, first : first + self.noise] = directions / directions.norm(dim=1, keepdim=True)

    # -- rows with gradient -------------------------------------------------------------------------------------------

    def draw(self, n: int, rng: torch.Generator) -> RelaxedBatch:
        """Draw ``n`` rows with gradient, nothing given."""
        device, columns = self.head.weight.device, len(self.layout.sizes)
        symbols = torch.zeros(n, columns, dtype=torch.long, device=device)
        mask = torch.zeros(n, columns, dtype=torch.bool, device=device)
        return self.draw_given(symbols, torch.full((n, columns), 0.5, device=device), mask, rng)

    def draw_given(self, symbols: Tensor, positions: Tensor, mask: Tensor, rng: torch.Generator) -> RelaxedBatch:
        """Draw one row with gradient for each given row; cells ``[B, C]`` under ``mask`` are returned as given."""
        logits, u = self._forward(symbols, positions, mask, rng)
        gates = self._gates.straight_through(logits, rng, self.temperature)
        bins, inside = self._locate(u)
        places = self._place.expand(len(u), -1)
        if len(self._long):
            places = places.index_add(1, self._bin_gate, bins)
        drawn = torch.zeros(len(u), self.layout.width, device=u.device).scatter(1, places, gates)
        # an atom has no inside: the position that belongs to the coordinate must not pull at it
        in_bins = gates.detach()[:, self._bin_gate] > 0.5
        middle = torch.full(symbols.shape, 0.5, device=u.device)
        where = middle.index_copy(1, self._long, torch.where(in_bins, inside, 0.5))
        given = self._symbols.one_hot(symbols)
        return RelaxedBatch(torch.where(mask[:, self._owner], given, drawn), torch.where(mask, positions, where))

    def _forward(self, symbols: Tensor, positions: Tensor, mask: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits of the gates ``[B, G]`` and rank coordinates ``[B, L]`` from noise and given cells."""
        device = self.head.weight.device
        noise = torch.randn(len(symbols), self.noise, generator=rng, device=device)
        if bool(mask.any()):
            seen = self.features.real(symbols, positions) * mask[:, self.features.columns]
        else:
            seen = torch.zeros(len(symbols), self.features.width, device=device)
        values = torch.cat([noise, seen, mask.to(noise.dtype)], 1)
        with reduced_precision(device, self.training):
            for block in self.blocks:
                values = block(values)
        output = self.head(values.float())
        gates = self._gates.width
        u = 0.5 * (1 + torch.erf(output[:, gates:] / math.sqrt(2)))
        return output[:, :gates], u

    def _locate(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Bin ``[B, L]`` of rank coordinates and position inside it, differentiable in u."""
        bins = torch.searchsorted(self._right, u.detach().T.contiguous(), right=True).T
        bins = torch.minimum(bins, self._last)
        right = self._right.T.gather(0, bins)
        left = torch.where(bins > 0, self._right.T.gather(0, (bins - 1).clamp(min=0)), 0.0)
        return bins, ((u - left) / (right - left)).clamp(1e-4, 1 - 1e-4)

    # -- rows to keep -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def calibrate(self, rng: torch.Generator, n: int = 20_000) -> None:
        """Measure the quantiles of every rank coordinate, so that sampling can make them uniform again.

        A smooth network cannot keep 20 coordinates exactly uniform; a monotone map per column repairs the margins and
        keeps the relations. Call after training and after loading other weights.
        """
        if not len(self._long):
            return
        kept: list[list[Tensor]] = [[] for _ in range(len(self._long))]
        was_training = self.training
        self.eval()
        for start in range(0, n, _CHUNK):
            logits, u = self._forward(*self._nothing_given(min(_CHUNK, n - start)), rng)
            chosen = self._gates.choose(logits, rng)[:, self._long] + self._gates.starts[self._long]
            for j in range(len(self._long)):
                kept[j].append(u[chosen[:, j] == self._bin_gate[j], j])
        self.train(was_training)
        grid = torch.linspace(0, 1, _QUANTILES, device=self.quantiles.device)
        for j, parts in enumerate(kept):
            values = torch.cat(parts)
            # too few rows say nothing about quantiles: leave the coordinate as it is
            self.quantiles[j] = torch.quantile(values, grid) if len(values) >= 100 else grid

    @torch.no_grad()
    def sample(
        self,
        n: int,
        rng: torch.Generator,
        *,
        symbols: Tensor | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw rows to keep.

        Parameters
        ----------
        n
            Number of rows.
        rng
            Source of the noise.
        symbols, positions, mask
            Given cells as in `draw_given`, all ``[n, C]``; nothing is given when ``mask`` is None.

        Returns
        -------
        tuple of Tensor
            Symbols ``[n, C]`` int32 and positions ``[n, C]`` float32, as an encoder returns them.
        """
        was_training = self.training
        self.eval()
        chunks = []
        for start in range(0, n, _CHUNK):
            part = slice(start, min(start + _CHUNK, n))
            rows = self._nothing_given(part.stop - start)
            if symbols is not None and positions is not None and mask is not None:
                rows = symbols[part].long(), positions[part].float(), mask[part]
            chunks.append(self._rows(*rows, rng))
        self.train(was_training)
        if not chunks:
            columns = len(self.layout.sizes)
            return torch.zeros(0, columns, dtype=torch.int32), torch.zeros(0, columns)
        return torch.cat([chunk[0] for chunk in chunks]), torch.cat([chunk[1] for chunk in chunks])

    def _rows(self, symbols: Tensor, positions: Tensor, mask: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """One chunk of `sample`."""
        logits, u = self._forward(symbols, positions, mask, rng)
        chosen = self._gates.choose(logits, rng)
        where = torch.full(positions.shape, 0.5, device=u.device)
        if len(self._long):
            bins, inside = self._locate(self._uniform(u))
            in_bins = chosen[:, self._long] + self._gates.starts[self._long] == self._bin_gate
            chosen[:, self._long] += torch.where(in_bins, bins, 0)
            has_inside = self._inside[chosen + self._symbols.starts][:, self._long]
            where[:, self._long] = torch.where(in_bins & has_inside, inside, 0.5)
        return torch.where(mask, symbols, chosen).int(), torch.where(mask, positions, where)

    def _uniform(self, u: Tensor) -> Tensor:
        """Map rank coordinates through the measured quantiles, by straight lines between them."""
        table = self.quantiles.contiguous()
        upper = torch.searchsorted(table, u.T.contiguous(), right=True).clamp(1, _QUANTILES - 1)
        low, high = table.gather(1, upper - 1), table.gather(1, upper)
        step = ((u.T - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
        return ((upper - 1 + step) / (_QUANTILES - 1)).T

    def _nothing_given(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        shape, device = (n, len(self.layout.sizes)), self.head.weight.device
        return (
            torch.zeros(shape, dtype=torch.long, device=device),
            torch.full(shape, 0.5, device=device),
            torch.zeros(shape, dtype=torch.bool, device=device),
        )

    # -- the model file -----------------------------------------------------------------------------------------------

    def save_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings (JSON-safe) and arrays that rebuild this generator."""
        arrays = {f"layout/{name}": array for name, array in self.layout.state().items()}
        arrays |= {f"network/{name}": value.detach().cpu().numpy() for name, value in self.state_dict().items()}
        return dict(self.settings), arrays

    @classmethod
    def from_saved(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], device: str = "cpu") -> Self:
        """Rebuild a generator from what `save_state` returned."""
        layout = Layout.from_state(
            {name.removeprefix("layout/"): array for name, array in arrays.items() if name.startswith("layout/")}
        )
        # the starting weights are replaced at once, so any stream will do
        made = cls(layout, generator=RandomSource(0).torch("replaced", device), **settings)
        weights = {
            name.removeprefix("network/"): torch.from_numpy(np.array(array))
            for name, array in arrays.items()
            if name.startswith("network/")
        }
        made.load_state_dict(weights)
        return made.eval()
