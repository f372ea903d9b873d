"""One tree of errors: each says what is wrong and what to do, and carries the exit code of the command line.

Every message is one sentence that names what, where, what was expected and what was found, followed by a remedy.
Nothing in this module imports anything heavy, so that an error can be raised from anywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

from synthkit.visible import one_line

_MOST_LISTED = 10


class SynthkitError(Exception):
    """Base of everything that the toolkit raises on purpose.

    Parameters
    ----------
    what
        What is wrong, where, what was expected and what was found. A final full stop is optional.
    remedy
        What the user can do about it, as a sentence of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        """Return "what. remedy" in one line."""
        if not self.remedy:
            return one_line(self.what)
        return f"{_sentence(self.what)} {_sentence(self.remedy[:1].upper() + self.remedy[1:])}"


class InputError(SynthkitError):
    """Wrong usage or bad input: data, schema, path or option."""

    exit_code = 2


class SchemaError(InputError):
    """A schema that contradicts itself or does not fit the table."""


class DataError(InputError):
    """A table whose content cannot be used as it stands."""


class ModelFileError(InputError):
    """A model file that is missing, damaged, tampered with or from a newer version."""


class ConditionError(InputError):
    """A condition that names something unknown or that no record can satisfy."""


class PrivacyError(InputError):
    """A privacy budget that is missing, impossible or spent, or private data read outside a recorded event."""


class OutputError(InputError):
    """A place that cannot be written to."""


class TrainingError(SynthkitError):
    """Training that cannot go on, such as a loss that is no longer a number."""


class GateError(SynthkitError):
    """A gate or policy that is not met."""

    exit_code = 3


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Describe an unknown name, its nearest match and what is known.

    Parameters
    ----------
    kind
        What the name stands for, such as "column".
    name
        The name that was given.
    known
        The names that would have been understood; at most ten are listed.

    Returns
    -------
    str
        For example ``unknown column 'agee'; did you mean 'age'? known: 'age', 'sex'``.
    """
    names = [str(candidate) for candidate in known]
    message = f"unknown {kind} {name!r}"
    if not names:
        return f"{message}; there are none"
    nearest = nearest_name(name, names)
    if nearest is not None:
        message += f"; did you mean {nearest!r}?"
    else:
        message += ";"
    listed = ", ".join(repr(candidate) for candidate in names[:_MOST_LISTED])
    more = len(names) - _MOST_LISTED
    return f"{message} known: {listed}" + (f" and {more} more" if more > 0 else "")


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like the given one, ignoring case, or None when nothing is near."""
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def _sentence(text: str) -> str:
    """Put a text on one line and end it with a full stop, unless it ends already."""
    line = one_line(text)
    return line if line.endswith((".", "?", "!")) else line + "."
