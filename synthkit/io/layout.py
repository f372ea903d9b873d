"""How a text file is laid out: compression, encoding, separator and decimal mark, from its name, content and options.

What the name says holds as long as the content agrees. Everything that had to be found in the content is reported, with
the way to overrule it: a guess that nobody sees is a wrong table that nobody notices.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import quote

from synthkit.errors import DataError, InputError
from synthkit.io.formats import TableFormat
from synthkit.io.source import ReadOptions
from synthkit.io.streams import found_compression, found_kind, reading, reading_text

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", "^": "carets", "~": "tildes"} | {
    "\x01": "control characters (01)",
    "\x1f": "control characters (1F)",
}
_BY_NAME = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " "}
_DECIMALS = {"point": ".", "comma": ",", ".": ".", ",": ","}
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Those that tables come in. What is read as a rare one is nearly always a common one that was misjudged.
_ENCODINGS = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "shift_jis", "euc_jp",
    "gb18030", "big5", "euc_kr",
)  # fmt: skip
_LATIN = ("cp1250", "cp1252", "cp1254", "cp1257")
_WESTERN = "cp1252"  # Latin-1 is the same, without the quotes, dashes and the euro that it has in place of controls
_SYMBOL_IN_WORD = re.compile(
    r"[^\W\d_ºª][¡-¿ºª](?=[^\W\d_])|[^\W\d_][¢-¬®-´¸¹¼-¾](?!\w)|(?<!\w)[¹³¼-¾ºª£¥](?=[^\W\d_])"
)
_FEW_SYMBOLS = 0.05
_MOSTLY = 0.6
_TIED = 0.005
_SAMPLE = 256 * 1024
_SAMPLE_ROWS = 200
# One byte alone, or two beside a letter: an accent or two in a word of the Latin alphabet.
_ACCENTED = re.compile(
    rb"(?<![\x80-\xff])(?:[\x80-\xff]|(?<=[A-Za-z])[\x80-\xff]{2}|[\x80-\xff]{2}(?=[A-Za-z]))(?![\x80-\xff])"
)
_HIGH = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True)
class TextLayout:
    """How a text file is laid out.

    Parameters
    ----------
    compression : str or None
        "gzip", "bz2", "xz" or "zstd".
    encoding : str
        As Python calls it.
    separator : str
        What stands between two cells.
    decimal : {".", ","}
        What stands before the decimals of a number.
    found : tuple of (str, str)
        What was found in the content and not said by name or options, in words, and the option that says it.
    """

    compression: str | None
    encoding: str = "utf-8"
    separator: str = ","
    decimal: str = "."
    found: tuple[tuple[str, str], ...] = ()

    @contextmanager
    def reading(self, path: Path) -> Iterator[IO[bytes]]:
        """The text of the file as UTF-8, as a binary stream."""
        with reading_text(path, self.compression, self.encoding) as stream:
            yield stream

    def with_found(self, words: str, option: str = "") -> TextLayout:
        """Return this layout with one more finding."""
        return replace(self, found=(*self.found, (words, option)))


def warn_of_layout(path: Path, layout: TextLayout) -> None:
    """Warn with one sentence about what was found in the content, and how to settle it; nothing when nothing was."""
    if not layout.found:
        return
    said = "; ".join(words for words, _ in layout.found)
    options = "&".join(option for _, option in layout.found if option)
    remedy = f"To settle this or to change it, write '{path.name}?{options}'" if options else "Rename it"
    warnings.warn(f"'{path}' was read with {said}, as its content suggests. {remedy}.", stacklevel=5)


def text_layout(path: Path, kind: TableFormat, options: ReadOptions) -> TextLayout:
    """How a text file is laid out, as far as its first 256 KiB tell; UTF-8 is presumed until it turns out wrong.

    Raises
    ------
    InputError
        An option that makes no sense.
    DataError
        The file is no text, or not in the encoding that was named.
    """
    layout = _compression(path, kind)
    with reading(path, layout.compression) as stream:
        start = stream.read(_SAMPLE)
    what = found_kind(start)
    if what is not None:
        raise DataError(f"'{path}' is {what}, expected text", remedy="Rename or convert it.")
    if options.encoding is not None:
        layout = replace(layout, encoding=_known_encoding(options.encoding))
    else:
        encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), _without_mark(start))
        if encoding != "utf-8":
            layout = replace(layout, encoding=encoding).with_found(f"encoding {encoding}", f"encoding={encoding}")
    if kind.separator is None:
        return layout
    if options.delimiter is not None:
        layout = replace(layout, separator=_separator(options.delimiter))
    else:
        with layout.reading(path) as stream:
            data = stream.read(_SAMPLE)
        layout = _with_separator(layout, data, kind.separator)
    return layout if options.decimal is None else replace(layout, decimal=_decimal(options.decimal))


def _compression(path: Path, kind: TableFormat) -> TextLayout:
    found = found_compression(path)
    if found is None or found == kind.compression:
        return TextLayout(kind.compression)
    return TextLayout(found).with_found(f"{found} compression, of which its name says nothing")


# ---------------------------------------------------------------------- encoding
def _known_encoding(name: str) -> str:
    try:
        found = codecs.lookup(name)
        "".encode(name)  # codecs that are no encodings of text refuse this
    except (LookupError, ValueError) as error:
        raise InputError(
            f"there is no encoding {name!r}", remedy="Name one that Python knows: utf-8, utf-16, cp1252, latin-1."
        ) from error
    return found.name


def _without_mark(start: bytes) -> str:
    """UTF-16 without a byte order mark: every second byte of Western text is zero."""
    head = start[: len(start) // 2 * 2]
    if len(head) < 4 or b"\0" not in head:
        return "utf-8"
    even, odd = head[::2].count(0) / len(head) * 2, head[1::2].count(0) / len(head) * 2
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else "utf-8"


def with_guessed_encoding(path: Path, layout: TextLayout) -> TextLayout:
    """Return the layout of a file that is not UTF-8, with the encoding in which its text makes most sense.

    Single letters with accents look alike in a dozen encodings. Text with a Latin alphabet is therefore taken for
    Windows-1252, by far the most frequent one, unless that puts symbols into words (Polish has "³" for "ł" then).

    Raises
    ------
    DataError
        The content makes no sense in any encoding of `_ENCODINGS`.
    """
    from charset_normalizer import from_bytes

    sample, line = _lines_beyond_ascii(path, layout)
    ranked = sorted(
        from_bytes(sample, cp_isolation=list(_ENCODINGS)), key=lambda match: (match.chaos, -match.coherence)
    )
    likely = list(dict.fromkeys(name for match in ranked for name in match.could_be_from_charset))
    tied = [name for match in ranked if match.chaos <= ranked[0].chaos + _TIED for name in match.could_be_from_charset]
    accents = sum(map(len, _ACCENTED.findall(sample))) / len(_HIGH.findall(sample))
    if _makes_words(sample, _WESTERN) and (accents > _MOSTLY or not likely or likely[0] in _LATIN or _WESTERN in tied):
        best = _WESTERN
    elif likely:
        best = next((name for name in likely if name in _LATIN and name != _WESTERN and accents > _MOSTLY), likely[0])
    else:
        raise DataError(
            f"'{path}' is not UTF-8 text: line {line:,} holds bytes that make sense in no usual encoding",
            remedy=f"Name its encoding as in '{path.name}?encoding=cp437', or save it in the encoding UTF-8.",
        )
    others = sorted({name for name in tied if name != best})
    maybe = f", though {' or '.join(others[:3])} would do as well" if others else ""
    found = f"encoding {best} (line {line:,} is not UTF-8{maybe})"
    return replace(layout, encoding=best, found=((found, f"encoding={best}"), *layout.found))


def _makes_words(data: bytes, encoding: str) -> bool:
    """Whether bytes can be decoded, and hardly any symbols stand in words then."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return len(_SYMBOL_IN_WORD.findall(text)) <= _FEW_SYMBOLS * len(_HIGH.findall(data))


def _lines_beyond_ascii(path: Path, layout: TextLayout) -> tuple[bytes, int]:
    """Some lines that are not plain ASCII, up to 64 KiB of them from the whole file, and the number of the first."""
    kept: list[bytes] = []
    size, first = 0, 0
    with reading(path, layout.compression) as stream:
        for number, data in enumerate(stream, start=1):
            if not data.isascii():
                first = first or number
                kept.append(data[: _SAMPLE // 4])
                size += len(kept[-1])
                if size >= _SAMPLE // 4:
                    break
    return b"".join(kept), first


# ---------------------------------------------------------------------- separator and decimals
def _separator(given: str) -> str:
    separator = _BY_NAME.get(given.lower(), given)
    if len(separator) != 1 or not separator.isascii() or separator.isalnum() or separator in "\"\r\n.-+'":
        raise InputError(
            f"the delimiter {given!r} cannot stand between cells",
            remedy="Name one character, or comma, semicolon, tab, bar or space.",
        )
    return separator


def _option(separator: str) -> str:
    """The option that names a separator."""
    return "delimiter=" + next((name for name, one in _BY_NAME.items() if one == separator), quote(separator))


def _decimal(given: str) -> str:
    if given.lower() not in _DECIMALS:
        raise InputError(f"the decimal mark {given!r} is neither a point nor a comma", remedy="Name point or comma.")
    return _DECIMALS[given.lower()]


def _with_separator(layout: TextLayout, data: bytes, expected: str) -> TextLayout:
    """The separator by which most rows have as many cells as the header; the expected one wins every tie."""
    text = data.decode("utf-8-sig", errors="replace")
    cut = len(data) >= _SAMPLE
    fit = {separator: _fit(text, separator, cut) for separator in dict.fromkeys((expected, *_SEPARATORS))}
    best = max(fit, key=lambda separator: fit[separator])
    if fit[best][0] > max(fit[expected][0], 0.5):
        return replace(layout, separator=best).with_found(f"{_SEPARATORS[best]} between cells", _option(best))
    layout = replace(layout, separator=expected)
    if fit[expected][0] == 1 and fit[best][0] == 1 and fit[best][1] > fit[expected][1]:
        would = f"{_SEPARATORS[expected]} between cells, though {_SEPARATORS[best]} would give {fit[best][1]} columns"
        return layout.with_found(would, _option(expected))
    return layout


def _fit(text: str, separator: str, cut: bool) -> tuple[float, int]:
    """The share of rows that are as wide as the header, and its width; nothing for a single column."""
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True):
            if row:
                widths.append(len(row))
            if len(widths) == _SAMPLE_ROWS:
                break
        else:
            if cut:
                widths = widths[:-1]  # the last row is not complete
    except csv.Error:
        return 0.0, 0
    if len(widths) < 2 or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def named(names: Sequence[str], most: int = 4) -> str:
    """Names of columns in words."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
