"""Filling a group up: draw, reject, draw again, within a bound."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.balance.groups import Group
from synthkit.balance.rejection import FEWEST, ClassModel, RealRows, split_by
from synthkit.balance.sources import RowSource
from synthkit.errors import DataError
from synthkit.evaluation.view import TableView
from synthkit.random import RandomSource

Floats = npt.NDArray[np.float64]

_ROUNDS = 12
_MOST_TIMES = 10  # rows drawn for each wanted one
_LEAST = 32  # rows drawn at a time
_MOST = 50_000
_SPARE = 1.1


@dataclass(frozen=True)
class GroupReport:
    """What became of one class or range.

    Attributes
    ----------
    name
        The class, or the range.
    rows, added
        Real rows, and synthetic ones.
    source
        How they were made.
    drawn
        Rows that were made for it, rejected ones among them.
    unlike
        Rows rejected because an out-of-fold classifier finds them too unlike their class.
    copies
        Rows rejected because they agree with a real row.
    violations
        Rows that could not be made, or that violated constraints of the schema.
    kept_unlike, kept_copies
        Rejected rows that were taken all the same, because the bound on drawing was reached.
    """

    name: str
    rows: int
    added: int
    source: str = "nothing to add"
    drawn: int = 0
    unlike: int = 0
    copies: int = 0
    violations: int = 0
    kept_unlike: int = 0
    kept_copies: int = 0

    def to_json(self) -> dict[str, Any]:
        """JSON-safe dictionary."""
        return asdict(self)


class Filler:
    """Fills groups of one table.

    Parameters
    ----------
    frame
        All real rows.
    compared
        Columns that say what a row is like: neither the target nor names of rows nor free text.
    rejection
        Share of the real rows of a group that the limit for generated ones lies above; 0 keeps rows however unlike.
    random
        Source of everything random.
    """

    def __init__(self, frame: pd.DataFrame, compared: Sequence[str], rejection: float, random: RandomSource) -> None:
        self._compared, self._rejection, self._random = list(compared), rejection, random
        self._view = TableView(frame[self._compared])
        self._features = self._view.tree(self._view.code(frame[self._compared]))
        self._real = RealRows(self._view, frame[self._compared])

    def fill(self, group: Group, source: RowSource) -> tuple[pd.DataFrame, GroupReport]:
        """Make the wanted rows of a group.

        Raises
        ------
        DataError
            Constraints of the schema leave too few rows.
        """
        random = self._random.child(f"group {group.name}")
        rng = random.numpy("order")
        model = None
        if self._rejection > 0 and self._compared and FEWEST <= len(group.rows) < len(self._features):
            model = ClassModel(self._features, group.rows, self._rejection, random)
        bin_ = _Bin(group.wanted)
        waiting = np.zeros(0, dtype=np.int64)
        for _ in range(_ROUNDS):
            n = bin_.next_draw()
            if not n:
                break
            while len(waiting) < n:
                # every real row of the group is a start as often as every other, up to one
                waiting = np.concatenate([waiting, rng.permutation(len(group.rows))])
            places, waiting = waiting[:n], waiting[n:]
            bin_.drawn += n
            folds = model.fold[places] if model is not None else np.zeros(n, dtype=np.int64)
            for fold, own in split_by(folds):
                made = source.draw(places[own])
                bin_.violations += len(own) - len(made)
                coded = self._view.code(made[self._compared])
                copied = self._real.copied(coded)
                scores = np.zeros(len(made)) if model is None else model.score(self._view.tree(coded), fold)
                bin_.add(made, scores, scores >= (-np.inf if model is None else model.limit), copied)
        made = bin_.result(rng, group.name)
        return made, GroupReport(
            group.name,
            len(group.rows),
            group.wanted,
            source.title,
            bin_.drawn,
            bin_.unlike,
            bin_.copies,
            bin_.violations,
            bin_.kept_unlike,
            bin_.kept_copies,
        )


class _Bin:
    """Rows drawn so far, good and rejected."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.drawn = self.unlike = self.copies = self.violations = self.kept_unlike = self.kept_copies = 0
        self._good: list[pd.DataFrame] = []
        self._unlike: list[tuple[Floats, pd.DataFrame]] = []
        self._copies: list[pd.DataFrame] = []
        self._have = 0

    def next_draw(self) -> int:
        """How many rows to draw next; none when there are enough, or when the bound is reached."""
        missing = self._wanted - self._have
        left = _MOST_TIMES * self._wanted + _LEAST * _ROUNDS - self.drawn
        if missing <= 0 or left <= 0:
            return 0
        share = (self._have + 1) / (self.drawn + 1)
        return int(min(left, _MOST, max(_LEAST, math.ceil(_SPARE * missing / share))))

    def add(
        self, made: pd.DataFrame, scores: Floats, likely: npt.NDArray[np.bool_], copied: npt.NDArray[np.bool_]
    ) -> None:
        good, unlike = likely & ~copied, ~likely & ~copied
        self._good.append(made[good])
        self._have += int(good.sum())
        self.copies += int(copied.sum())
        self.unlike += int(unlike.sum())
        # of the rejected ones no more are kept than could be needed
        if self._have < self._wanted:
            self._unlike.append((scores[unlike], made[unlike]))
            self._copies.append(made[copied].head(self._wanted))

    def result(self, rng: np.random.Generator, name: str) -> pd.DataFrame:
        parts = [part for part in self._good if len(part)]
        if self._have < self._wanted:
            parts += self._rest()
        found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        if len(found) < self._wanted:
            raise DataError(
                f"only {len(found):,} of the {self._wanted:,} rows wanted of {name!r} satisfy the constraints",
                remedy="loosen the constraints, or ask for fewer rows",
            )
        if self.kept_unlike or self.kept_copies:
            warnings.warn(
                f"{self.kept_unlike + self.kept_copies:,} of the {self._wanted:,} rows added to {name!r} are "
                f"{'copies of real rows' if self.kept_copies else 'unlike their class'}: "
                f"{self.drawn:,} were drawn and too few were better",
                UserWarning,
                stacklevel=4,
            )
        order = rng.permutation(len(found))[: self._wanted]
        return found.take(order).reset_index(drop=True)

    def _rest(self) -> list[pd.DataFrame]:
        """Rejected rows that make up for what is missing: the likeliest first, copies last."""
        missing = self._wanted - self._have
        parts = []
        if self._unlike:
            scores = np.concatenate([one for one, _ in self._unlike])
            rows = pd.concat([rows for _, rows in self._unlike], ignore_index=True)
            best = np.argsort(-scores, kind="stable")[:missing]
            parts.append(rows.take(best))
            self.kept_unlike = len(best)
        copies = pd.concat(self._copies, ignore_index=True).head(missing - self.kept_unlike) if self._copies else None
        if copies is not None and len(copies):
            parts.append(copies)
            self.kept_copies = len(copies)
        return [part for part in parts if len(part)]
