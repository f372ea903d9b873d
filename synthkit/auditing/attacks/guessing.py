"""Guesses of a sensitive value: what counts as right, what boosted trees guess, and what anybody would."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.models import MOST_CLASSES, may_stop_early
from synthkit.evaluation.view import CodedTable, TableView

Floats = npt.NDArray[np.float64]
TOLERANCE = 0.05
"""A number is guessed when it is within this share of the guess, as in Anonymeter; a date of the range of dates."""
_MOST_NUMBERS = 20  # a number with more distinct values is predicted as a number
_MOST_ROWS = 20_000
_ITERATIONS = 100
_MOST_TREES = 300
_FEWEST_ITERATIONS = 20
_LARGE = 1e30


@dataclass(frozen=True)
class Secret:
    """A sensitive column: its values as numbers, or as codes of its labels.

    Attributes
    ----------
    name
        The column.
    truth, base, reference
        Values of the targets, the synthetic rows and the reference rows; missing numbers are NaN.
    labels
        Text of each code; empty for numbers.
    width
        For a date the tolerance in its own units; 0 where the tolerance is a share of the guess.
    """

    name: str
    truth: Floats
    base: Floats
    reference: Floats
    labels: tuple[str, ...]
    width: float = 0.0

    @classmethod
    def of(
        cls,
        view: TableView,
        name: str,
        frame: pd.DataFrame,
        targets: CodedTable,
        base: CodedTable,
        reference: CodedTable,
    ) -> Secret:
        """Return a column of tables that are coded jointly.

        Parameters
        ----------
        view
            How columns are read.
        name
            The column.
        frame
            Rows that tell whether it is a date.
        targets, base, reference
            As the attributes.
        """
        if name in view.numeric:
            place = view.numeric.index(name)
            truth, guessed, known = (table.numbers[:, place] for table in (targets, base, reference))
            width = 0.0
            if pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
                present = known[~np.isnan(known)]
                width = TOLERANCE * float(np.ptp(present)) if len(present) else 0.0
            return cls(name, truth, guessed, known, (), width)
        place = view.categorical.index(name)
        parts = [table.codes[:, place].astype(np.float64) for table in (targets, base, reference)]
        most = int(max(part.max(initial=0) for part in parts)) + 1
        known_labels = [*view.labels[name]]
        labels = (*known_labels, *("another value" for _ in range(most - len(known_labels))))
        return cls(name, parts[0], parts[1], parts[2], labels)

    @property
    def is_number(self) -> bool:
        """Whether it is a number or a date rather than a category."""
        return not self.labels

    @property
    def tolerance_text(self) -> str:
        """What counts as a right guess of a number, in words."""
        return f"{TOLERANCE:.0%} of the range of dates" if self.width else f"{TOLERANCE:.0%} of the guess"

    def hits(self, guesses: Floats) -> npt.NDArray[np.bool_]:
        """Return which targets are guessed right, shape [targets].

        Parameters
        ----------
        guesses
            One for each target; NaN where a missing value is guessed.
        """
        if not self.is_number:
            return np.asarray(guesses == self.truth)
        allowed = np.full(len(guesses), self.width) if self.width else TOLERANCE * np.abs(guesses)
        # a missing value on one side makes the comparison false; on both sides it is guessed right
        right = np.abs(guesses - self.truth) <= allowed
        return np.asarray(right | (np.isnan(guesses) & np.isnan(self.truth)))

    def groups(self, most: int) -> list[tuple[str, float, npt.NDArray[np.bool_]]]:
        """Return groups of targets by their true value: label, share of the reference rows, and which targets.

        Parameters
        ----------
        most
            At most so many values, the rarest ones among the reference rows; a number has a group for each quarter.
        """
        n = max(1, len(self.reference))
        if self.is_number:
            present = self.reference[~np.isnan(self.reference)]
            if not len(present):
                return []
            ends = np.unique(np.quantile(present, (0.25, 0.5, 0.75)))
            where, known = np.searchsorted(ends, self.truth), np.searchsorted(ends, present)
            missing = np.isnan(self.truth)
            names = [str(pd.Timestamp(int(end)).date()) if self.width else f"{end:g}" for end in ends]
            texts = [f"at most {names[0]}", *(f"above {a}, at most {b}" for a, b in pairwise(names))]
            texts.append(f"above {names[-1]}")
            found = [
                (text, float((known == place).sum() / n), (where == place) & ~missing)
                for place, text in enumerate(texts)
            ]
            return [*found, ("missing", 1 - len(present) / n, missing)] if missing.any() else found
        codes, counts = np.unique(self.reference.astype(np.int64), return_counts=True)
        shares = dict(zip(codes.tolist(), (counts / n).tolist(), strict=True))
        values = sorted(np.unique(self.truth.astype(np.int64)).tolist(), key=lambda code: (shares.get(code, 0.0), code))
        return [(self.labels[code], shares.get(code, 0.0), self.truth == code) for code in values[:most]]


def constant_guess(secret: Secret) -> float:
    """Return the guess that is right for most synthetic rows: what an attacker says who knows nothing of a person."""
    values, counts = np.unique(secret.base, return_counts=True)
    missing = np.isnan(values)
    if not secret.is_number or missing.all():
        return float(values[counts.argmax()])
    present = np.sort(secret.base[~np.isnan(secret.base)])
    guesses = values[~missing]
    allowed = np.full(len(guesses), secret.width) if secret.width else TOLERANCE * np.abs(guesses)
    right = np.searchsorted(present, guesses + allowed, "right") - np.searchsorted(present, guesses - allowed, "left")
    if counts[missing].sum() > right.max():
        return float("nan")
    return float(guesses[right.argmax()])


def boosted_guesses(
    view: TableView, secret: Secret, known: tuple[str, ...], targets: CodedTable, base: CodedTable
) -> Floats:
    """Return what boosted trees guess that learned from synthetic rows, shape [targets].

    A number with many values is predicted as a number, and the nearest synthetic value is guessed; otherwise it is a
    class. Of more than 30 classes the rarest are never guessed.

    Parameters
    ----------
    view
        How columns are read.
    secret
        The column to guess.
    known
        The columns that are known.
    targets, base
        The targets, and the synthetic rows in an order without meaning, of which the first 20,000 are learned.
    """
    rows = np.flatnonzero(~np.isnan(secret.base))[:_MOST_ROWS]
    if not len(rows):
        return np.full(len(secret.truth), np.nan)
    values, codes, counts = np.unique(secret.base[rows], return_inverse=True, return_counts=True)
    if len(values) == 1:
        return np.full(len(secret.truth), values[0])
    features, asked = (_features(view, known, table) for table in (base.take(rows), targets))
    if secret.is_number and len(values) > _MOST_NUMBERS:
        # ranks of the values, so that a few huge ones do not govern the squared error
        predicted = _regressor().fit(features, codes.astype(np.float64)).predict(asked)
        return np.asarray(values[np.clip(np.rint(predicted), 0, len(values) - 1).astype(np.int64)], dtype=np.float64)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    learned = np.isin(codes, frequent)
    if len(frequent) == 1 or len(np.unique(codes[learned])) == 1:
        return np.full(len(secret.truth), values[frequent[0]])
    model = _classifier(codes[learned]).fit(features[learned], codes[learned])
    return np.asarray(values[model.predict(asked).astype(np.int64)], dtype=np.float64)


def _features(view: TableView, known: tuple[str, ...], table: CodedTable) -> Floats:
    """Return numbers and codes of the known columns, as trees see them."""
    kept = [place for place, name in enumerate(view.columns) if name in known]
    return np.clip(view.tree(table)[:, kept], -_LARGE, _LARGE)


def _classifier(codes: npt.NDArray[np.int64]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    classes = len(np.unique(codes))
    return HistGradientBoostingClassifier(
        max_iter=min(_ITERATIONS, max(_FEWEST_ITERATIONS, _MOST_TREES // classes)),
        # without it, more than two classes with a rare one among them can diverge
        l2_regularization=1.0 if classes > 2 else 0.0,
        early_stopping=may_stop_early(codes),
        random_state=0,
    )


def _regressor() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(loss="absolute_error", max_iter=_ITERATIONS, random_state=0)
