"""A fitted generator of expression: a model and the space that it draws in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from synthkit.expression.model import ExpressionModel, Wanted
from synthkit.expression.space import ExpressionSpace
from synthkit.io.expression_set import ExpressionSet
from synthkit.random import RandomSource

BATCH = 2_000
"""Cells that are drawn at a time."""


@dataclass(eq=False)
class FittedExpression:
    """What a fit leaves.

    Attributes
    ----------
    space
        Genes and conditions.
    model
        Draws values for conditions.
    report
        What the fit did.
    privacy
        JSON-safe record of what the fit spent; None without a budget.
    """

    space: ExpressionSpace
    model: ExpressionModel
    report: dict[str, Any] = field(default_factory=dict)
    privacy: dict[str, Any] | None = None

    def drawn(self, wanted: Wanted, random: RandomSource, first: int = 0) -> ExpressionSet:
        """Draw cells for conditions; `first` is the number of the first one, for its name."""
        values = self.model.draw(wanted, random)
        return ExpressionSet(values, self.space.genes, self.space.cells(wanted, first), self.space.measure)


def drawn_cells(
    fitted: FittedExpression,
    n: int,
    where: Mapping[str, Any] | None,
    random: RandomSource,
    *,
    batch: int | None = None,
    first: int = 0,
) -> Iterator[ExpressionSet]:
    """Draw cells in batches, with flat memory; conditions are checked before anything is drawn.

    Raises
    ------
    ConditionError
        An unknown condition or value.
    """
    fitted.space.allowed(where)
    return _batches(fitted, n, where, random, batch or BATCH, first)


def _batches(
    fitted: FittedExpression,
    n: int,
    where: Mapping[str, Any] | None,
    random: RandomSource,
    batch: int,
    first: int,
) -> Iterator[ExpressionSet]:
    rng = random.numpy("conditions")
    for start in range(0, n, batch):
        wanted = fitted.space.drawn(min(batch, n - start), where, rng)
        yield fitted.drawn(wanted, random.child(f"batch {start}"), first + start)
