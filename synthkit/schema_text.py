"""What text columns are: two-valued, ordered ranges, identifiers with a shape, prose, or plain categories.

Every function looks at the distinct values only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FALSE_TRUE = (
    ("false", "true"),
    ("no", "yes"),
    ("f", "t"),
    ("n", "y"),
    ("off", "on"),
)
_SCALES = (
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high"),
    ("extra small", "small", "medium", "large", "extra large"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("very poor", "poor", "fair", "good", "very good", "excellent"),
    ("very bad", "bad", "average", "good", "very good"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("none", "mild", "moderate", "severe"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_BELOW = re.compile(r"^(?:under|below|less than|up to|<=?|≤)", re.IGNORECASE)
_ABOVE = re.compile(
    r"^(?:over|above|more than|at least|>=?|≥)|(?:\+|and (?:over|above|more|older)|or more)$", re.IGNORECASE
)
_RANGE = re.compile(
    r"^[\[(]?[^\d]{0,2}\d[\d,]*(?:\.\d+)?[a-z%]?\s*(?:-|–|to|,|\.\.)\s*[^\d]{0,2}\d[\d,]*(?:\.\d+)?[a-z%]?[^\d]{0,8}$",
    re.IGNORECASE,
)

_ID_WORDS = {"id", "ids", "uuid", "guid", "identifier", "key", "pk", "sno", "ssn", "mrn", "nbr", "rowid", "unnamed"}
_ID_LAST_WORDS = {"nr", "no", "num", "number", "code", "serial", "ref", "reference", "idx"}
_ID_WHOLE_NAMES = {"index", "row", "row index", "row number", "record", "level 0", "#"}
_ID_OWNERS = (
    "patient|customer|cust|user|client|account|acct|record|row|case|order|transaction|trans|encounter|subject|person|member|employee|"
    "emp|student|product|session|device|sample|visit|loan|policy|claim|invoice|ticket|event|item|household|company|store|booking|"
    "passenger|cell|gene|donor|study|participant|respondent|image|admission|stay|hadm|unit|serial"
)
_ID_JOINED = re.compile(rf"^(?:{_ID_OWNERS})(?:id|no|nr|num|number|key|code|nbr|idx)$")
_TIME_WORDS = {
    "year",
    "month",
    "day",
    "date",
    "hour",
    "time",
    "timestamp",
    "week",
    "quarter",
    "age",
    "minute",
    "second",
    "epoch",
}


def words_of(name: str) -> list[str]:
    """The words of a column name in lower case: "patientNbr" and "patient_nbr" are the same two."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word for word in re.split(r"[^0-9A-Za-z#]+", spaced.lower()) if word]


def is_identifier_name(name: str) -> bool:
    """Whether a column's name says that it numbers or names the records."""
    words = words_of(name)
    if not words:
        return False
    return bool(
        _ID_WORDS.intersection(words)
        or words[-1] in _ID_LAST_WORDS
        or " ".join(words) in _ID_WHOLE_NAMES
        or any(_ID_JOINED.match(word) for word in words)
    )


def is_time_name(name: str) -> bool:
    """Whether a column's name says that it holds a date, a time or an age."""
    return bool(_TIME_WORDS.intersection(words_of(name)))


def boolean_pair(values: Sequence[str]) -> tuple[str, str] | None:
    """The two values as (false, true) where they are a pair such as no and yes; None otherwise."""
    if len(values) != 2:
        return None
    by_meaning = {value.strip().lower(): value for value in values}
    for false, true in FALSE_TRUE:
        if false in by_meaning and true in by_meaning:
            return by_meaning[false], by_meaning[true]
    return None


def ordered_scale(values: Sequence[str]) -> list[str] | None:
    """The values in order where all are steps of one well-known scale or ranges of numbers that do not overlap."""
    if not 3 <= len(values) <= 100:
        return None
    plain = {value.strip().lower(): value for value in values}
    for scale in _SCALES:
        if len(plain) == len(values) and plain.keys() <= set(scale):
            return [plain[step] for step in scale if step in plain]
    limits = [_limits(value.strip()) for value in values]
    if any(limit is None for limit in limits):
        return None
    pairs = sorted(
        (limit[0], limit[1], value) for limit, value in zip(limits, values, strict=True) if limit is not None
    )
    if any(high > low for (_, high, _), (low, _, _) in pairwise(pairs)):
        return None
    return [value for _, _, value in pairs]


def _limits(text: str) -> tuple[float, float] | None:
    numbers = [float(number.replace(",", "")) for number in _NUMBER.findall(text)]
    if len(numbers) == 1 and _BELOW.search(text):
        return -np.inf, numbers[0]
    if len(numbers) == 1 and _ABOVE.search(text):
        return numbers[0], np.inf
    if len(numbers) == 2 and numbers[0] < numbers[1] and _RANGE.match(text):
        return numbers[0], numbers[1]
    return None


def is_prose(values: Sequence[str], n_rows: int) -> bool:
    """Whether values are mostly distinct and long or many-worded: text to be read, not a category."""
    if len(values) < 20 or len(values) <= 0.5 * n_rows:
        return False
    sample = values[:: max(1, len(values) // 2000)]
    length = sum(map(len, sample)) / len(sample)
    words = sum(value.count(" ") + 1 for value in sample) / len(sample)
    return length > 25 or words >= 4


# ---------------------------------------------------------------------- identifiers with a shape
_CLASSES: dict[str, str] = {
    "9": "0123456789",
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "a": "abcdefghijklmnopqrstuvwxyz",
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "x": "0123456789abcdefghijklmnopqrstuvwxyz",
    "X": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "w": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}
_ORDER = ("9", "A", "a", "h", "H", "x", "X", "w")
_PIECE = re.compile(r"\\(.)|([9AahHxXw])(?:\{(\d+),(\d+)\})?", re.DOTALL)
_RUN = re.compile(r"[0-9]+|[A-Za-z]+|[^0-9A-Za-z]", re.DOTALL)


def identifier_pattern(values: Sequence[str]) -> str | None:
    r"""The template that all values follow, or None when they share no shape.

    Letters stand for one character each: ``9`` digit, ``A`` upper-case letter, ``a`` lower-case letter, ``h`` / ``H``
    hexadecimal digit, ``x`` / ``X`` digit or lower / upper-case letter, ``w`` any of these; ``{2,5}`` behind one of
    them repeats it between two and five times; a backslash makes the next character stand for itself.
    ``\P\-99999`` is "P-" and five digits.

    Parameters
    ----------
    values : sequence of str
        Distinct values.
    """
    if len(values) < 2:
        return None
    find = _fixed_pattern if len({len(value) for value in values}) == 1 else _varying_pattern
    # What a few do not share, all do not.
    return None if len(values) > 1000 and find(values[:200]) is None else find(values)


def fallback_pattern(values: Sequence[str]) -> str:
    """A template for values without a common shape: letters and digits, as long as the values, with room for all."""
    lengths = [len(value) for value in values]
    longest = max(max(lengths), int(np.ceil(np.log(max(len(values), 2) * 100) / np.log(36))))
    return f"x{{{max(min(longest, min(lengths)), 1)},{longest}}}"


def _class_of(characters: set[str]) -> str | None:
    return next((name for name in _ORDER if characters <= set(_CLASSES[name])), None)


def _fixed_pattern(values: Sequence[str]) -> str | None:
    """One class per position; a shape needs a digit somewhere and fixed punctuation, or words would have one too."""
    positions = [set(column) for column in zip(*values, strict=True)]
    pieces = []
    for characters in positions:
        if len(characters) == 1:
            pieces.append("\\" + next(iter(characters)))
            continue
        name = _class_of(characters)
        if name is None:
            return None
        pieces.append(name)
    varying = [piece for piece in pieces if not piece.startswith("\\")]
    if not any(piece in "9hHxXw" for piece in varying):
        return None
    if any(piece in "hH" for piece in varying):
        hexadecimal = {"h", "9", "a"} if "h" in varying else {"H", "9", "A"}
        letters = "h" if "h" in varying else "H"
        if set(varying) <= hexadecimal:
            # A position of a hash may by chance show digits only.
            pieces = [p if p.startswith("\\") else letters for p in pieces]
    # zeros that fill up a running number are digits that larger numbers use: new values need the room
    for place in range(len(pieces) - 1, 0, -1):
        if pieces[place] == "9" and pieces[place - 1] == r"\0":
            pieces[place - 1] = "9"
    return "".join(pieces)


def _varying_pattern(values: Sequence[str]) -> str | None:
    """Runs of digits and letters between fixed punctuation, each with its shortest and longest length."""
    rows = [_RUN.findall(value) for value in values]
    if len({len(row) for row in rows}) != 1:
        return None
    pieces = []
    has_digits = False
    for runs in zip(*rows, strict=True):
        if len(set(runs)) == 1:
            pieces.append("".join("\\" + character for character in runs[0]))
            continue
        name = _class_of(set("".join(runs)))
        if name is None or name not in ("9", "A", "a"):
            return None
        has_digits |= name == "9"
        low, high = min(map(len, runs)), max(map(len, runs))
        if name != "9" and low != high:
            return None
        pieces.append(name * low if low == high else f"{name}{{{low},{high}}}")
    return "".join(pieces) if has_digits else None


def generate_identifiers(
    pattern: str, n: int, rng: np.random.Generator, taken: Collection[str] = ()
) -> npt.NDArray[np.object_]:
    """New values that follow a template, distinct as long as the template has room for n of them.

    Parameters
    ----------
    pattern : str
        As in `Column.pattern`.
    n : int
        Number of values.
    rng : numpy.random.Generator
    taken : collection of str
        Values that must not come back.

    Returns
    -------
    ndarray of str objects, shape (n,)
    """
    out = _draw(pattern, n, rng)
    for _ in range(20):
        repeated = np.ones(n, dtype=bool)
        repeated[np.unique(out.astype(str), return_index=True)[1]] = False
        if taken:
            repeated |= np.fromiter((text in taken for text in out), dtype=bool, count=n)
        if not repeated.any():
            break
        out[repeated] = _draw(pattern, int(repeated.sum()), rng)
    return out


def _draw(pattern: str, n: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    out = np.full(n, "", dtype=object)
    for match in _PIECE.finditer(pattern):
        literal, name, low, high = match.groups()
        if literal is not None:
            out = out + literal
            continue
        alphabet = np.array(list(_CLASSES[name]), dtype=object)
        shortest, longest = (int(low), int(high)) if low is not None else (1, 1)
        # A uniform choice among all values up to the longest: short ones are as rare as they are among running numbers.
        shares = len(alphabet) ** np.arange(shortest - longest, 1, dtype=np.float64)
        lengths = rng.choice(np.arange(shortest, longest + 1), size=n, p=shares / shares.sum())
        for position in range(longest):
            drawn = alphabet[rng.integers(0, len(alphabet), size=n)]
            if name == "9" and position == 0 and longest > shortest:
                drawn = alphabet[rng.integers(1, 10, size=n)]
            out = np.where(position < lengths, out + drawn, out)
    return out
