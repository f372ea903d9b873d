"""Which cells are given when a conditional generator is trained: any subset of columns, rare values often enough."""

from __future__ import annotations

import torch
from torch import Tensor


class ConditionSampler:
    """Draws training rows together with a mask of the cells that are given.

    Half of the rows are unconditional. The others keep each column with a rate of their own, drawn per row, so that
    few and many given columns both occur. Half of those rows are chosen by a value instead of uniformly: a column, then
    one of its symbols with probability proportional to log(1 + count), then a row that has it ("training by sampling",
    Xu 2019), so that a condition on one row in a thousand is seen as well. The real row of such a draw serves as the
    real example under the same condition, so real and generated rows follow the same law.

    Parameters
    ----------
    symbols
        Encoded training rows, ``[N, C]`` int.
    sizes
        Symbols per column.
    """

    def __init__(self, symbols: Tensor, sizes: list[int]) -> None:
        self._rows, self._columns = symbols.shape
        device = symbols.device
        # rows sorted by symbol, column by column: the rows that have a symbol are one slice
        self._sorted = torch.stack([symbols[:, c].argsort(stable=True) for c in range(self._columns)], 1).int()
        longest = max(sizes)
        self._count = torch.zeros(self._columns, longest, device=device)
        for c in range(self._columns):
            self._count[c] = torch.bincount(symbols[:, c].long(), minlength=longest).float()
        self._start = self._count.cumsum(1) - self._count
        self._weight = torch.log1p(self._count)

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw row numbers ``[n]`` int64 and the mask of given cells ``[n, C]`` boolean."""
        device = self._count.device
        rows = torch.randint(self._rows, (n,), generator=rng, device=device)
        rate = torch.rand(n, 1, generator=rng, device=device).square()
        mask = torch.rand(n, self._columns, generator=rng, device=device) < rate
        half, quarter = n // 2, n // 4
        mask[:half] = False
        column = torch.randint(self._columns, (quarter,), generator=rng, device=device)
        symbol = torch.multinomial(self._weight[column], 1, generator=rng).squeeze(1)
        count = self._count[column, symbol]
        place = (torch.rand(quarter, generator=rng, device=device) * count).floor().clamp(max=count - 1)
        chosen = self._sorted[(self._start[column, symbol] + place).long(), column].long()
        rows[half : half + quarter] = chosen
        mask[torch.arange(half, half + quarter, device=device), column] = True
        return rows, mask
