"""What one pass over a column tells: its distinct values, how often they come, and of what kind they are."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit import schema_dates
from synthkit.errors import DataError
from synthkit.schema import MAX_LISTED_CATEGORIES, Label
from synthkit.schema_values import iso, parse_numbers

Kind = Literal["number", "boolean", "date", "text", "category"]

_GRIDS = (("D", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000),
          ("ms", 1_000_000), ("us", 1_000), ("ns", 1))  # fmt: skip
_SAMPLE = 1000
_LEAVE_OUT = "Set its type to text to leave it out, or convert it"


@dataclass(frozen=True)
class Facts:
    """A column seen once; `uniques` and `counts` are aligned, without missing cells, in order of appearance."""

    name: str
    series: pd.Series[Any]
    dtype: str
    kind: Kind
    n_rows: int
    n_values: int
    uniques: npt.NDArray[Any]
    counts: npt.NDArray[np.int64]
    timezone: str | None = None
    text_format: str | None = None
    note: str = ""
    ordered: bool = False
    categories: tuple[Label, ...] = field(default=())

    @property
    def nullable(self) -> bool:
        """Whether cells are missing."""
        return self.n_values < self.n_rows

    @property
    def n_distinct(self) -> int:
        """Number of distinct values."""
        return len(self.uniques)

    def labels(self) -> tuple[Label, ...]:
        """Distinct values as plain Python values: the most frequent first, ties as they appear."""
        return tuple(plain(value) for value in self.uniques[np.argsort(-self.counts, kind="stable")])

    def listed(self, labels: tuple[Label, ...]) -> tuple[Label, ...] | None:
        """The labels, or None where they are too many to list."""
        return labels if len(labels) <= MAX_LISTED_CATEGORIES else None

    def as_text_numbers(self) -> Facts:
        """The same column with its text read as numbers."""
        numbers = parse_numbers(pd.Series(self.uniques, dtype="object"))
        return replace(self, kind="number", uniques=numbers)


def plain(value: Any) -> Label:
    """A plain Python value of a cell: numpy scalars are unwrapped, everything else that is no label becomes text."""
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def gather(series: pd.Series[Any], *, as_labels: bool = False) -> Facts:
    """Look at a column once.

    Parameters
    ----------
    series : pandas.Series of shape (n_rows,)
    as_labels : bool
        Take the values as labels: text is not read as dates, and mixed types are read as text.

    Raises
    ------
    DataError
        Infinite numbers, mixed types, or values that are neither numbers, dates, truth values nor text.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return replace(gather(_without_arrow(series), as_labels=as_labels), dtype=str(dtype), series=series)
    if isinstance(dtype, pd.CategoricalDtype):
        return _category(series, dtype)
    if pd.api.types.is_object_dtype(dtype):
        return _objects(series, as_labels)
    if isinstance(dtype, pd.StringDtype):
        return _text(_facts(series.astype(object), "text", dtype=str(dtype)), as_labels)
    if pd.api.types.is_bool_dtype(dtype):
        return _facts(series, "boolean")
    if pd.api.types.is_datetime64_any_dtype(dtype):
        zone = str(dtype.tz) if isinstance(dtype, pd.DatetimeTZDtype) else None
        clock = series.dt.tz_localize(None) if zone else series
        if not as_labels:
            _refuse_far_dates(series, ((clock < pd.Timestamp.min) | (clock > pd.Timestamp.max)).to_numpy())
        return _facts(clock, "date", dtype=str(dtype), timezone=zone)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        facts = _facts(series, "number")
        _refuse_infinite(facts)
        return facts
    raise DataError(f"column {series.name!r} has the dtype {dtype}, which cannot be modelled", remedy=_LEAVE_OUT)


def _facts(cells: pd.Series[Any], kind: Kind, /, **fields: Any) -> Facts:
    """Count distinct values; `fields` replace what the cells would tell, where these were converted."""
    codes, found = pd.factorize(cells)
    uniques: npt.NDArray[Any] = np.asarray(pd.Series(found).to_numpy())
    counts = np.bincount(codes[codes >= 0], minlength=len(uniques)).astype(np.int64)
    base: dict[str, Any] = {
        "name": str(cells.name),
        "series": cells,
        "dtype": str(cells.dtype),
        "kind": kind,
        "n_rows": len(cells),
        "n_values": int(counts.sum()),
        "uniques": uniques,
        "counts": counts,
    }
    return Facts(**{**base, **fields})


def _without_arrow(series: pd.Series[Any]) -> pd.Series[Any]:
    """The column in pandas' own dtypes."""
    dtype: Any = series.dtype
    if dtype.kind in "iufb":
        out = series.convert_dtypes(dtype_backend="numpy_nullable")
    else:
        cells: Any = series.array
        out = pd.Series(cells.__arrow_array__().to_pandas().to_numpy(), index=series.index)
    out.name = series.name
    return out


def _refuse_infinite(facts: Facts) -> None:
    values = facts.uniques
    if values.dtype.kind == "f" and np.isinf(values).any():
        bad = np.isinf(facts.series.to_numpy(dtype=np.float64, na_value=np.nan))
        raise DataError(
            f"column {facts.name!r} holds infinite values ({describe_rows(facts.series[bad], bad)})",
            remedy="Replace them by missing cells or by a number",
        )


def _refuse_far_dates(series: pd.Series[Any], far: npt.NDArray[np.bool_]) -> None:
    if far.any():
        shown = describe_rows(series[far].map(str), far)
        raise DataError(
            f"column {series.name!r} holds dates before 1677 or after 2262 ({shown})",
            remedy="Leave those cells empty, or set the column's type to categorical.",
        )


def _category(series: pd.Series[Any], dtype: pd.CategoricalDtype) -> Facts:
    categories = dtype.categories
    if not all(isinstance(value, (str, int, float, bool, np.generic)) for value in categories):
        raise DataError(
            f"column {series.name!r} has categories of type {type(categories[0]).__name__}, expected text or numbers",
            remedy="Convert them with .cat.rename_categories(str)",
        )
    codes = series.cat.codes.to_numpy()
    counts = np.bincount(codes[codes >= 0], minlength=len(categories)).astype(np.int64)
    labels = tuple(plain(value) for value in categories)
    used = counts > 0
    return Facts(
        name=str(series.name),
        series=series,
        dtype="category",
        kind="category",
        n_rows=len(series),
        n_values=int(counts.sum()),
        uniques=np.asarray(categories.to_numpy())[used],
        counts=counts[used],
        ordered=bool(dtype.ordered),
        categories=labels,
    )


def _objects(series: pd.Series[Any], as_labels: bool) -> Facts:
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "string":
        return _text(_facts(series, "text"), as_labels)
    if as_labels and kind not in ("empty", "boolean", "integer", "floating"):
        return _facts(series.map(str, na_action="ignore"), "text", series=series)
    if kind == "empty":
        return _facts(series, "text")
    if kind == "boolean":
        return _facts(series, "boolean")
    if kind in ("integer", "floating", "mixed-integer-float"):
        numbers = pd.to_numeric(series)
        if kind == "integer" and (numbers.astype(float).abs() >= 2.0**63).any():
            raise DataError(
                f"column {series.name!r} holds whole numbers of more than 64 bits",
                remedy="Set its type to categorical, or convert it to text.",
            )
        facts = _facts(numbers, "number", dtype="number", series=series)
        _refuse_infinite(facts)
        return facts
    if kind == "decimal":
        facts = _facts(series.map(float, na_action="ignore").astype(float), "number", dtype="decimal", series=series)
        _refuse_infinite(facts)
        return facts
    if kind == "date":
        parsed = pd.to_datetime(series, errors="coerce")
        _refuse_far_dates(series, (parsed.isna() & series.notna()).to_numpy())
        return _facts(parsed, "date", dtype="date", series=series)
    if kind in ("datetime", "datetime64"):
        return _datetimes(series)
    raise _mixed_or_foreign(series)


def _datetimes(series: pd.Series[Any]) -> Facts:
    zones = {str(value.tzinfo) for value in series.dropna() if getattr(value, "tzinfo", None) is not None}
    zone = zones.pop() if len(zones) == 1 else ("UTC" if zones else None)
    parsed = pd.to_datetime(series, errors="coerce", utc=zone is not None)
    _refuse_far_dates(series, (parsed.isna() & series.notna()).to_numpy())
    if zone is not None:
        parsed = parsed.dt.tz_convert(zone).dt.tz_localize(None)
    return _facts(parsed, "date", dtype="object", timezone=zone, series=series)


def _mixed_or_foreign(series: pd.Series[Any]) -> DataError:
    kinds = series.dropna().map(_kind_name)
    counts = kinds.value_counts()
    if set(counts.index) <= {"number", "text", "date", "truth value"}:
        bad = (kinds != counts.index[0]).reindex(series.index, fill_value=False).to_numpy()
        return mixed_error(series, str(counts.index[0]), bad)
    foreign = next(kind for kind in counts.index if kind not in {"number", "text", "date", "truth value"})
    return DataError(
        f"column {series.name!r} holds values of type {foreign}, expected numbers, dates, true/false or text",
        remedy=_LEAVE_OUT,
    )


def mixed_error(series: pd.Series[Any], main: str, bad: npt.NDArray[np.bool_]) -> DataError:
    """The error for a column of mixed types: `bad` marks the rows that are not like most."""
    return DataError(
        f"column {series.name!r} mixes types: most values are {main}s, but not {describe_rows(series[bad], bad)}",
        remedy="Correct those cells, leave them empty, or set the column's type to categorical",
    )


def _kind_name(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "truth value"
    if isinstance(value, (int, float, np.number, decimal.Decimal)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "date" if isinstance(value, (datetime.date, np.datetime64)) else type(value).__name__


def describe_rows(cells: pd.Series[Any], marks: npt.NDArray[np.bool_] | None = None, most: int = 3) -> str:
    """The first cells and their rows: "'abc' in row 7 and 'x' in row 12"; the first row of data is row 1."""
    rows = np.flatnonzero(marks) + 1 if marks is not None else np.arange(1, len(cells) + 1)
    shown = [f"{value!r} in row {row:,}" for value, row in zip(cells.tolist()[:most], rows[:most], strict=True)]
    if len(cells) > most:
        return f"{', '.join(shown)} and {len(cells) - most:,} more"
    return " and ".join(shown)


# ---------------------------------------------------------------------- text
def _text(facts: Facts, as_labels: bool) -> Facts:
    if as_labels or facts.n_values == 0:
        return facts
    found = schema_dates.detect([str(value) for value in facts.uniques])
    if found is not None:
        return replace(
            facts,
            kind="date",
            uniques=found.values,
            timezone=found.timezone,
            text_format=found.text_format,
            note=found.note,
        )
    return _numbers_in_text(facts)


def _numbers_in_text(facts: Facts) -> Facts:
    """Text that is all numbers is numbers; text that is mostly numbers is a mistake, unless it looks like codes."""
    texts = facts.uniques
    # Words are told from a few: where these hold no number, the column is not mostly numbers.
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    if not np.isfinite(parse_numbers(pd.Series(sample, dtype="object"))).any():
        return facts
    numbers = parse_numbers(pd.Series(texts, dtype="object"))
    is_number = np.isfinite(numbers)
    if not is_number.any():
        return facts
    if is_number.all():
        if _writes_back(texts, numbers):
            return facts.as_text_numbers()
        return replace(facts, note=", kept as text because as numbers they would lose leading zeros or the like")
    share = facts.counts[is_number].sum() / facts.n_values
    n_numbers = int(facts.counts[is_number].sum())
    others = texts[~is_number]
    # V57 among 250.83 and 428 is a code of its own; one 12x among a hundred numbers is a slip.
    repeated = share < 0.95 or facts.counts[~is_number].sum() >= 1.5 * len(others)
    has_codes = repeated and any(any(character.isdigit() for character in text) for text in others[:1000])
    # Ranks or grades of which some are words are categories; a word among hundreds of numbers is a slip.
    few = is_number.sum() <= min(20, n_numbers / 2)
    like_categories = few and (share < 0.99 or is_number.sum() < 10)
    if share <= 0.5 or has_codes or like_categories:
        return facts
    bad = facts.series.isin(others).to_numpy()
    raise mixed_error(facts.series[:], "number", bad)


def has_text_numbers(facts: Facts) -> bool:
    """Whether every value of a text column reads as a finite number."""
    if facts.kind != "text" or facts.n_values == 0:
        return False
    numbers = parse_numbers(pd.Series(facts.uniques, dtype="object"))
    return bool(np.isfinite(numbers).all())


def _writes_back(texts: Sequence[str] | npt.NDArray[Any], numbers: npt.NDArray[np.float64]) -> bool:
    """Whether the numbers written plainly, or all with the same decimals, give the texts back."""
    if (np.abs(numbers) < 2**53).all() and (numbers == np.rint(numbers)).all():
        return all(str(int(number)) == text for number, text in zip(numbers, texts, strict=True))
    decimals = {len(str(text).rpartition(".")[2]) if "." in str(text) else 0 for text in texts}
    if len(decimals) == 1:
        digits = decimals.pop()
        return all(f"{number:.{digits}f}" == text for number, text in zip(numbers, texts, strict=True))
    return all(repr(number) == text for number, text in zip(numbers.tolist(), texts, strict=True))


# ---------------------------------------------------------------------- dates
def date_facts(facts: Facts) -> dict[str, Any]:
    """Range, grid, zone and format of a column of dates, as fields of `Column`."""
    values = facts.uniques.astype("datetime64[ns]")
    ticks = values.astype(np.int64)
    granularity = next(name for name, step in _GRIDS if (ticks % step == 0).all())
    return {
        "minimum": iso(values.min()),
        "maximum": iso(values.max()),
        "granularity": granularity,
        "timezone": facts.timezone,
        "text_format": facts.text_format,
    }
