"""What numeric columns are: whole or continuous, two-valued, numbers of records, and codes for something else."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from synthkit.errors import DataError
from synthkit.schema import Column, ColumnType
from synthkit.schema_facts import Facts, plain
from synthkit.schema_text import is_identifier_name, is_time_name

_ENOUGH_FOR_IDENTIFIER = 50
_MOST_DECIMALS = 12
_EXACT_INTEGER = 2**53
# Codes that questionnaires, registries and loggers use for "not known", "not applicable", "refused" and the like.
_NEGATIVE_CODES = frozenset({-1, -2, -3, -7, -8, -9, -77, -88, -99, -777, -888, -999, -8888, -9999, -99999, -999999})
_POSITIVE_CODES = frozenset(
    {77, 88, 97, 98, 99, 777, 888, 997, 998, 999, 7777, 8888, 9997, 9998, 9999, 88888, 99999, 999999, 9999999}
)


class _Base(Protocol):
    def __call__(self, facts: Facts, type_: ColumnType, *, reason: str, **fields: Any) -> Column: ...


def number_column(facts: Facts, base: _Base, *, as_type: str | None = None, reason: str | None = None) -> Column:
    """Describe a column of numbers.

    Parameters
    ----------
    facts : Facts
        With `kind` "number".
    base : callable
        Makes the column from its facts.
    as_type : str, optional
        "integer", "continuous" or "identifier" when asked for by hand.
    reason : str, optional
        Replaces the sentence found here.
    """
    values = facts.uniques
    whole = is_whole(values)
    if as_type is None and whole and facts.n_distinct == 2 and set(values.tolist()) == {0, 1}:
        # where the table holds text, "0" and "1" are the labels, not the numbers that they were read as
        cells = facts.series.dropna().unique() if facts.series.dtype == object else values
        texts = len(cells) == 2 and all(isinstance(cell, str) for cell in cells)
        pair = tuple(sorted((plain(cell) for cell in (cells if texts else values)), key=float))
        return base(facts, "boolean", categories=pair, reason="only zeros and ones")
    if as_type == "identifier" or (as_type is None and whole):
        why = reason or identifier_reason(facts)
        if why is not None:
            return base(facts, "identifier", reason=why, **_range(values))
    if as_type == "integer" and not whole:
        raise DataError(
            f"column {facts.name!r} cannot be integer: it has fractions", remedy="Set its type to continuous"
        )
    codes, code_reason = find_sentinels(values, facts.counts)
    rest = values[~np.isin(values, codes)] if codes else values
    found = _range(rest)
    low, high = found["minimum"], found["maximum"]
    if (whole and as_type is None) or as_type == "integer":
        sentence = f"{len(rest):,} distinct whole numbers between {low} and {high}"
        if len(rest) == 1:
            sentence = f"the one number {low}, or missing"
        sentence += code_reason + _person_key_hint(facts)
        return base(facts, "integer", sentinels=codes, reason=reason or sentence, **found)
    decimals = count_decimals(rest)
    shape = "numbers" if decimals is None else f"numbers with up to {decimals} decimal{'s' * (decimals != 1)}"
    sentence = f"{len(rest):,} distinct {shape} between {show(low)} and {show(high)}{code_reason}"
    return base(facts, "continuous", decimals=decimals, sentinels=codes, reason=reason or sentence, **found)


def show(number: float) -> str:
    """A number with six digits that matter, and without an exponent where one can read it."""
    if number == 0 or 1e-4 <= abs(number) < 1e15:
        text = f"{number:.{max(0, 5 - int(np.floor(np.log10(abs(number))))) if number else 0}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{number:.6g}"


def is_whole(values: npt.NDArray[Any]) -> bool:
    """Whether all numbers are whole and small enough for a float to hold them exactly (integers of any size are)."""
    if values.dtype.kind in "iub":
        return True
    if values.dtype.kind == "O":
        return all(isinstance(value, int) for value in values)
    return bool((values == np.rint(values)).all() and (np.abs(values) < _EXACT_INTEGER).all())


def _range(values: npt.NDArray[Any]) -> dict[str, float | int]:
    low, high = values.min(), values.max()
    if is_whole(values):
        return {"minimum": int(low), "maximum": int(high)}
    return {"minimum": float(low), "maximum": float(high)}


def count_decimals(values: npt.NDArray[Any]) -> int | None:
    """The most decimals that any number has; None when the numbers use the full precision of their type.

    A few numbers settle the lower end quickly, so that all of them are rounded only once or twice.
    """
    single = values.dtype == np.float32
    numbers = np.abs(values.astype(np.float64))
    most = _MOST_DECIMALS if not single else 6
    # A float64 carries 15 digits safely, a float32 six.
    most = min(most, max(0, (6 if single else 15) - int(np.floor(np.log10(max(numbers.max(), 1.0)))) - 1))
    fitting = 0
    for part in (numbers[:1000], numbers):
        compare = part.astype(np.float32) if single else part
        while fitting <= most:
            rounded = np.round(part, fitting)
            if ((rounded.astype(np.float32) if single else rounded) == compare).all():
                break
            fitting += 1
    return fitting if fitting <= most else None


# ---------------------------------------------------------------------- numbers of records
def identifier_reason(facts: Facts) -> str | None:
    """Why a column of whole numbers identifies records, or None.

    All numbers differ, and either the name says so or it cannot be chance: numbers drawn at random from the same range
    would have repeated themselves about n^2 / (2 range) times.
    """
    n = facts.n_values
    if facts.n_distinct < n or n < _ENOUGH_FOR_IDENTIFIER or is_time_name(facts.name):
        return None
    values = facts.uniques
    low, high = int(values.min()), int(values.max())
    span = high - low + 1
    if span <= 2 * n:
        filled = f"fill {n / span:.0%} of the whole numbers between {low} and {high}"
        return f"all {n:,} values are distinct and {filled}: record numbers"
    if is_identifier_name(facts.name):
        return f"all {n:,} whole numbers are distinct and the name says that it identifies records"
    steps = np.diff(values.astype(np.float64))
    if (steps == steps[0]).all():
        return f"all {n:,} values are distinct and rise in steps of {steps[0]:g}: record numbers"
    return None


def _person_key_hint(facts: Facts) -> str:
    repeats = facts.n_values / facts.n_distinct
    if is_identifier_name(facts.name) and facts.n_distinct >= _ENOUGH_FOR_IDENTIFIER and 1 < repeats < 20:
        return f"; each comes {repeats:.1f} times on average, so give it the role person-key if it stands for a person"
    return ""


# ---------------------------------------------------------------------- codes among numbers
def find_sentinels(values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> tuple[tuple[float, ...], str]:
    """Numbers that stand for something else, and the sentence part that says why.

    A number counts as a code only if it comes often (0.1 % of the cells, at least five times), is whole, and lies
    further from all other numbers than these spread: beyond their whole range for usual negative codes such as -999,
    beyond three times their range for usual positive codes such as 999 (less far, they may be the top of a long tail)
    and for any other number but zero; or if it is -1, by far the most frequent low number and the only negative one.

    Parameters
    ----------
    values : ndarray of numbers, shape (n_distinct,)
    counts : ndarray of int, shape (n_distinct,)
    """
    if len(values) < 4:
        return (), ""
    numbers = values.astype(np.float64)
    order = np.argsort(numbers)
    numbers, counts = numbers[order], counts[order]
    enough = max(5, int(np.ceil(0.001 * counts.sum())))
    usual = np.array([value in _NEGATIVE_CODES or value in _POSITIVE_CODES for value in numbers.tolist()])
    often = counts >= enough
    # Usual codes are judged against the numbers that are none: one code must not hide another.
    is_code = _far_usual_codes(numbers, counts, usual & often)
    for end in (0, -1):
        rest = np.flatnonzero(~is_code)
        place, inner = rest[end], numbers[np.delete(rest, end)]
        number = numbers[place]
        if often[place] and number == np.rint(number) and number != 0 and len(inner) >= 10:
            is_code[place] = np.abs(inner - number).min() > 3 * np.ptp(inner)
    codes = np.flatnonzero(is_code)
    if len(codes) == 0:
        return (), ""
    found = tuple(sorted(float(numbers[code]) for code in codes))
    share = counts[codes].sum() / counts.sum()
    listed = ", ".join(f"{code:g}" for code in found)
    what = "lies far from the others and is taken for a code" if len(found) == 1 else "lie far apart: taken for codes"
    return found, f"; {listed} ({share:.1%} of the cells) {what}"


def _far_usual_codes(
    numbers: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], candidates: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which of the candidates lie far outside the other numbers; all are ascending."""
    found = np.zeros(len(numbers), dtype=bool)
    others = numbers[~candidates]
    if len(others) < 3:
        return found
    low, high = others[0], others[-1]
    inside = (numbers >= low) & (numbers <= high)
    below, above = low - numbers, numbers - high
    found |= candidates & (below > (high - low) * (1 if inside.sum() >= 10 else 3))
    found |= candidates & (above > (high - low) * 3)
    # -1 beside numbers that are never negative: a code when it comes far more often than its neighbours.
    if low >= 0 and inside.sum() >= 20:
        found |= candidates & (numbers == -1) & (counts >= 5 * counts[inside][:5].max())
    return found
