"""Text that is what it looks like: no name, note or file can move a cursor, change colours or turn a line around."""

from __future__ import annotations

import unicodedata

# controls, formats that cannot be seen (among them those that change the direction of writing), lone surrogates
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_KEPT = frozenset("\n\u00ad\u200c\u200d")  # scripts need joiners, and a soft hyphen hides nothing


def visible(text: str) -> str:
    r"""Return a text in which characters that nobody sees are written out, as ``\x1b``; line ends stay.

    Parameters
    ----------
    text
        What shall be shown on a terminal or in a report.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_shown(character) for character in text)


def one_line(text: str) -> str:
    """Return a text as `visible` does, on one line.

    Parameters
    ----------
    text
        A name or a sentence.
    """
    return visible(" ".join(text.split()))


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _UNSEEN:
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
