"""Dates that came as text: which format they are in, and reading and writing them in that format.

A format is a `strptime` format with three additions, so that values are written back exactly as they came: ``%-d``,
``%-m``, ``%-H`` and ``%-I`` are numbers without a leading zero, ``%3f`` is a fraction of a second with that many
digits, and ``%z`` (only for columns that mix offsets) is written in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Dates = npt.NDArray[np.datetime64]

# Day-first and month-first variants stand side by side; `_resolve` decides between them.
_DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%m.%d.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%a, %d %b %Y",
    "%Y-%m",
    "%Y/%m",
    "%m/%Y",
    "%b %Y",
    "%B %Y",
    "%b-%Y",
)
_TIME_FORMATS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H%M%S")
_UNPADDED = {"%d": "%-d", "%m": "%-m", "%H": "%-H", "%I": "%-I"}
_OFFSET = re.compile(r"(?: ?Z|[+-]\d\d:?\d\d| UTC| GMT)$")
_MAY_BE_DATE = re.compile(r"^(?=.*\d)[\w ,:./+-]{6,40}$")
_MONTHS = re.compile(r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", re.IGNORECASE)
_SAMPLE = 200


@dataclass(frozen=True)
class TextDates:
    """What `detect` found: the format, the dates of the given texts, the zone and a note for the reader."""

    text_format: str
    values: Dates
    timezone: str | None
    note: str


def detect(texts: list[str]) -> TextDates | None:
    """Find the one format that all texts are written in.

    Parameters
    ----------
    texts : list of str
        Distinct values in the order of the table, without missing ones.

    Returns
    -------
    TextDates or None
        None unless every text is a date in one format and is written back exactly the same way.
    """
    if not texts or not all(_may_be_date(text) for text in texts[:20]):
        return None
    suffix, timezone, stems = _split_offset(texts)
    if stems is None:
        return None
    sample = stems[:: max(1, len(stems) // _SAMPLE)]
    found: list[tuple[str, Dates]] = []
    for text_format in _candidates(sample[0]):
        if _parse_all(sample, text_format) is None:
            continue
        values = _parse_all(stems, text_format)
        if values is None:
            continue
        exact = _exact_format(stems, values, text_format)
        if exact is not None:
            found.append((exact, values))
    if not found:
        return None
    text_format, values, note = _resolve(found)
    if suffix == "%z":
        parsed = pd.to_datetime(pd.Series(texts), format=text_format + "%z", utc=True, errors="coerce")
        if parsed.isna().any():
            return None
        values = parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        note += ", mixed offsets written back in UTC"
    return TextDates(text_format + suffix, values, timezone, note)


def parse(texts: Any, text_format: str) -> Dates:
    """Read texts in a format; what does not fit, and missing values, become NaT.

    Parameters
    ----------
    texts : array-like of str, shape (n,)
    text_format : str
        As in `Column.text_format`.

    Returns
    -------
    ndarray of datetime64[ns], shape (n,)
        The time on the clock as written; UTC where the format ends in ``%z``.
    """
    codes, uniques = pd.factorize(pd.Series(texts, dtype="object"))
    plain = _strptime_format(text_format)
    parsed = pd.to_datetime(pd.Series(uniques, dtype="object"), format=plain, errors="coerce", utc="%z" in plain)
    values = (parsed.dt.tz_localize(None) if "%z" in plain else parsed).to_numpy(dtype="datetime64[ns]")
    return np.append(values, np.datetime64("NaT", "ns"))[codes]


def write(values: Any, text_format: str) -> npt.NDArray[np.object_]:
    """Write dates in a format; NaT becomes None.

    Parameters
    ----------
    values : array-like of datetime64, shape (n,)
    text_format : str
        As in `Column.text_format`.

    Returns
    -------
    ndarray of object, shape (n,)
    """
    codes, uniques = pd.factorize(np.asarray(values, dtype="datetime64[ns]"))
    texts = np.append(_write_unique(pd.DatetimeIndex(uniques), text_format), [None])
    return texts[codes]


def _write_unique(dates: pd.DatetimeIndex, text_format: str) -> npt.NDArray[np.object_]:
    """Write distinct dates; pieces that strftime does not know portably are filled in by hand."""
    pieces = re.split(r"(%-[dmHI]|%\d?f|%z)", text_format)
    if len(pieces) == 1:
        return np.asarray(dates.strftime(text_format), dtype=object)
    out = np.full(len(dates), "", dtype=object)
    for piece in pieces:
        if not piece:
            continue
        if piece == "%z":
            part: npt.NDArray[np.object_] = np.full(len(dates), "+00:00", dtype=object)
        elif piece.endswith("f"):
            digits = int(piece[1]) if len(piece) == 3 else 6
            fraction = dates.asi8 % 1_000_000_000 // 10 ** (9 - digits)
            part = np.array([f"{value:0{digits}d}" for value in fraction], dtype=object)
        elif piece.startswith("%-"):
            number = {"d": dates.day, "m": dates.month, "H": dates.hour, "I": (dates.hour + 11) % 12 + 1}[piece[2]]
            part = np.asarray(number).astype(str).astype(object)
        else:
            part = np.asarray(dates.strftime(piece), dtype=object)
        out = out + part
    return out


def _strptime_format(text_format: str) -> str:
    return re.sub(r"%-([dmHI])", r"%\1", re.sub(r"%\df", "%f", text_format))


def _may_be_date(text: str) -> bool:
    if _MAY_BE_DATE.match(text) is None:
        return False
    letters = sum(character.isalpha() for character in text)
    return letters <= 3 or _MONTHS.search(text) is not None


def _split_offset(texts: list[str]) -> tuple[str, str | None, list[str] | None]:
    """Split a zone off the end: (what the format ends in, zone name, texts without it); None for texts that differ."""
    if ":" not in texts[0] or _OFFSET.search(texts[0]) is None:
        return "", None, texts
    matches = [_OFFSET.search(text) for text in texts]
    endings = {match.group() if match else None for match in matches}
    if None in endings:
        return "", None, None
    stems = [text[: match.start()] for text, match in zip(texts, matches, strict=True) if match]
    if len(endings) == 1:
        ending = str(endings.pop())
        zone = ending.strip()
        return ending, "UTC" if zone in ("Z", "UTC", "GMT", "+00:00", "+0000") else zone, stems
    return "%z", "UTC", stems


def _candidates(text: str) -> list[str]:
    """Formats whose punctuation is that of the text: the only ones worth trying."""
    shape = _punctuation(text)
    formats = []
    for date in _DATE_FORMATS:
        for time in _TIME_FORMATS:
            for joint in ("",) if not time else ("", " ", "T", ", "):
                text_format = date + joint + time
                marks = "".join(c for c in re.sub(r"%\w", "", text_format) if c != "T")
                if marks == shape and ("T" in joint) == (re.search(r"\dT\d", text) is not None):
                    formats.append(text_format)
    return formats


def _punctuation(text: str) -> str:
    return re.sub(r"\w", "", text)


def _parse_all(texts: list[str], text_format: str) -> Dates | None:
    parsed = pd.to_datetime(pd.Series(texts, dtype="object"), format=text_format, errors="coerce")
    if parsed.isna().any():
        return None
    return parsed.to_numpy(dtype="datetime64[ns]")


def _exact_format(texts: list[str], values: Dates, text_format: str) -> str | None:
    """The variant (leading zeros or not, digits of the fraction) that writes every text back exactly."""
    variants = [text_format]
    if any(code in text_format for code in _UNPADDED):
        bare = text_format
        for code, unpadded in _UNPADDED.items():
            bare = bare.replace(code, unpadded)
        variants.append(bare)
        if "%H" in text_format or "%I" in text_format:
            variants.append(text_format.replace("%d", "%-d").replace("%m", "%-m"))
            variants.append(text_format.replace("%H", "%-H").replace("%I", "%-I"))
    if text_format.endswith("%f"):
        digits = len(texts[0].rpartition(".")[2])
        if digits != 6:
            variants = [f"{variant[:-2]}%{digits}f" for variant in variants if 1 <= digits <= 9]
    dates = pd.DatetimeIndex(values)
    step = max(1, len(texts) // _SAMPLE)
    for variant in variants:
        if (_write_unique(dates[::step], variant) == np.array(texts[::step], dtype=object)).all() and (
            step == 1 or (_write_unique(dates, variant) == np.array(texts, dtype=object)).all()
        ):
            return variant
    return None


def _resolve(found: list[tuple[str, Dates]]) -> tuple[str, Dates, str]:
    """Choose between formats that all fit: dates in order win, then the habit of the punctuation."""
    text_format, values = found[0]
    if len(found) == 1:
        return text_format, values, ""

    def day_first(candidate: str) -> bool:
        return candidate.replace("-", "").find("%d") < candidate.replace("-", "").find("%m")

    rising = [entry for entry in found if (np.diff(entry[1]) >= np.timedelta64(0)).all()]
    if len(rising) == 1:
        text_format, values = rising[0]
        order = "day" if day_first(text_format) else "month"
        return text_format, values, f", read {order} first because the dates are then in order"
    order = "day" if day_first(text_format) else "month"
    return text_format, values, f", could be day or month first and is read {order} first"
