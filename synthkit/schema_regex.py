r"""New texts that match a regular expression, for the part of the syntax that identifiers are written in.

Literals, ``.``, classes such as ``[A-F0-9]`` and ``\d``, groups, alternatives and repetitions are understood; text is
made of printable ASCII. Whatever else an expression has (look-around, back-references, flags) is left to those who can
only check: `writer` then says None.
"""

from __future__ import annotations

import string
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " "
_ESCAPES = {
    "d": string.digits,
    "w": string.digits + string.ascii_letters + "_",
    "s": " ",
    "D": "".join(letter for letter in _PRINTABLE if not letter.isdigit()),
    "W": "".join(letter for letter in _PRINTABLE if not (letter.isalnum() or letter == "_")),
    "S": _PRINTABLE.replace(" ", ""),
}
_MORE = 8  # repetitions beyond the fewest of an open number of them
_MOST = 200
_ROUNDS = 20


class _NotUnderstoodError(Exception):
    """The expression has something that is not understood here."""


@dataclass(frozen=True)
class _Letters:
    letters: str

    @property
    def size(self) -> float:
        return float(len(self.letters))

    def write(self, rng: np.random.Generator) -> str:
        return self.letters[int(rng.integers(len(self.letters)))]


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Node, ...]

    @property
    def size(self) -> float:
        return float(np.prod([part.size for part in self.parts]))

    def write(self, rng: np.random.Generator) -> str:
        return "".join(part.write(rng) for part in self.parts)


@dataclass(frozen=True)
class _Choice:
    options: tuple[_Node, ...]

    @property
    def size(self) -> float:
        return float(sum(option.size for option in self.options))

    def write(self, rng: np.random.Generator) -> str:
        return self.options[_pick([option.size for option in self.options], rng)].write(rng)


@dataclass(frozen=True)
class _Repeat:
    part: _Node
    fewest: int
    most: int

    @property
    def sizes(self) -> list[float]:
        return [min(self.part.size, 1e6) ** min(times, 40) for times in range(self.fewest, self.most + 1)]

    @property
    def size(self) -> float:
        return float(sum(self.sizes))

    def write(self, rng: np.random.Generator) -> str:
        times = self.fewest + (_pick(self.sizes, rng) if self.most > self.fewest else 0)
        return "".join(self.part.write(rng) for _ in range(times))


_Node = _Letters | _Sequence | _Choice | _Repeat


def _pick(sizes: list[float], rng: np.random.Generator) -> int:
    running = np.cumsum(sizes)
    return int(np.searchsorted(running, rng.random() * running[-1], side="right"))


class Writer:
    """Writes texts that match an expression; the more texts an alternative has, the more often it is taken."""

    def __init__(self, root: _Node) -> None:
        self._root = root

    def write(self, n: int, rng: np.random.Generator, taken: Collection[str] = ()) -> npt.NDArray[np.object_]:
        """``n`` texts, distinct and not taken as long as there is room for them."""
        found: list[str] = []
        used: set[str] = set()
        for _ in range(_ROUNDS):
            for _ in range(n - len(found)):
                text = self._root.write(rng)
                if text not in used and text not in taken:
                    used.add(text)
                    found.append(text)
            if len(found) == n:
                break
        found += [self._root.write(rng) for _ in range(n - len(found))]
        return np.array(found, dtype=object)


def writer(pattern: str) -> Writer | None:
    """Who writes texts that match a regular expression as a whole; None where it has what is not understood here."""
    try:
        parser = _Parser(pattern)
        root = parser.choice()
        if parser.place < len(pattern):
            raise _NotUnderstoodError
    except (_NotUnderstoodError, IndexError):
        return None
    return Writer(root) if root.size > 0 else None


class _Parser:
    """Recursive descent over the expression."""

    def __init__(self, pattern: str) -> None:
        self.text, self.place = pattern, 0

    def _next(self) -> str:
        self.place += 1
        return self.text[self.place - 1]

    def _is(self, letter: str) -> bool:
        return self.text.startswith(letter, self.place)

    def choice(self) -> _Node:
        options = [self._sequence()]
        while self._is("|"):
            self.place += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self.place < len(self.text) and self.text[self.place] not in "|)":
            if (self.place == 0 and self._is("^")) or (self.place == len(self.text) - 1 and self._is("$")):
                self.place += 1
            else:
                parts.append(self._repeated(self._atom()))
        return _Sequence(tuple(parts))

    def _atom(self) -> _Node:
        letter = self._next()
        if letter == "(":
            if self._is("?"):
                if not self._is("?:"):
                    raise _NotUnderstoodError
                self.place += 2
            inner = self.choice()
            if self._next() != ")":
                raise _NotUnderstoodError
            return inner
        if letter == "[":
            return _Letters(self._class())
        if letter == ".":
            return _Letters(_PRINTABLE)
        if letter == "\\":
            return _Letters(self._escape())
        if letter in "^$*+?{":
            raise _NotUnderstoodError
        return _Letters(letter)

    def _escape(self) -> str:
        letter = self._next()
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter.isalnum():
            raise _NotUnderstoodError
        return letter

    def _class(self) -> str:
        negated = self._is("^")
        self.place += negated
        letters = ""
        first = True
        while first or not self._is("]"):
            first = False
            letter = self._next()
            found = self._escape() if letter == "\\" else letter
            if len(found) == 1 and self._is("-") and not self._is("-]"):
                self.place += 1
                end = self._next()
                end = self._escape() if end == "\\" else end
                if len(end) != 1 or ord(end) < ord(found):
                    raise _NotUnderstoodError
                found = "".join(map(chr, range(ord(found), ord(end) + 1)))
            letters += found
        self.place += 1
        kept = [one for one in _PRINTABLE if one not in letters] if negated else list(dict.fromkeys(letters))
        if not kept:
            raise _NotUnderstoodError
        return "".join(kept)

    def _repeated(self, part: _Node) -> _Node:
        fewest, most = 1, 1
        if self._is("?"):
            fewest, most = 0, 1
        elif self._is("*"):
            fewest, most = 0, _MORE
        elif self._is("+"):
            fewest, most = 1, 1 + _MORE
        elif self._is("{"):
            end = self.text.index("}", self.place) if "}" in self.text[self.place :] else -1
            low, comma, high = self.text[self.place + 1 : end].partition(",")
            if end < 0 or not low.isdigit() or (high and not high.isdigit()):
                raise _NotUnderstoodError
            fewest = int(low)
            most = int(high) if high else fewest + (_MORE if comma else 0)
            self.place = end
        else:
            return part
        self.place += 1
        if most > _MOST or most < fewest or (self.place < len(self.text) and self.text[self.place] in "?+*{"):
            raise _NotUnderstoodError
        return _Repeat(part, fewest, most)
