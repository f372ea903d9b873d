"""A guard around private rows: they can be read inside a recorded event, and not otherwise.

`with rows.reading(event) as data:` records the event in the ledger, which refuses what was not planned or exceeds the
budget, and only then hands out the arrays. Everything else that one does to an object by accident (print it, ask for
its length, iterate, pass it to numpy, pickle it into a model file) raises a `PrivacyError`.

This is a guard against mistakes, in this toolkit and in what is built on it. It is none against somebody who writes
code that runs in the same process: Python has no secrets from that, and the arrays can be reached by who looks for
them, for example through the garbage collector or the name-mangled attributes. It does not know either what is done
with the arrays inside the block: that this keeps the guarantee of the event is for the mechanisms to prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy.events import Event

Array = NDArray[Any]
Arrays = Mapping[str, Array]
RowWise = Callable[[Arrays], Arrays]

_ROWS = "rows"


class Spends(Protocol):
    """What the guard needs of a ledger."""

    def spend(self, event: Event) -> None:
        """Record an event, or raise PrivacyError if it was not planned, is spent already, or exceeds the budget."""


class UnreadableError(PrivacyError, AttributeError):
    """Private data was asked for outside a recorded event; also an AttributeError, so that `hasattr` says no."""


class _Sealed:
    """An object of which every protocol that could show its content raises instead."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Say what it is, and nothing about its content."""
        return f"{type(self).__name__}(hidden)"

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse attributes that do not exist: whoever asks takes this for a table."""
        _refuse(f"attribute {name!r}")

    def _refused(self, *_: object, **__: object) -> NoReturn:
        _refuse("a look at them")

    __len__ = __iter__ = __bool__ = __contains__ = __getitem__ = __reversed__ = _refused
    __array__ = __dataframe__ = __int__ = __float__ = __index__ = _refused
    __copy__ = __deepcopy__ = __getstate__ = __reduce__ = __reduce_ex__ = _refused


class PrivateRows(_Sealed):
    """Private rows behind a guard.

    Parameters
    ----------
    data
        Columns by name, each of shape [n, ...], or one array of shape [n, C], which is then called "rows". They are not
        copied; who holds the originals can still read them.
    ledger
        Where events are recorded.
    units
        To whom each row belongs, shape [n]; None when every row is a unit of its own.

    Raises
    ------
    PrivacyError
        If the arrays differ in their number of rows. The message gives no numbers.

    Privacy
    -------
    The number of rows is private too. No method returns it or anything else outside `reading` and `session`.
    """

    __slots__ = ("__data", "__ledger", "__units")

    def __init__(self, data: Arrays | Array, ledger: Spends, units: Array | None = None) -> None:
        columns = dict(data) if isinstance(data, Mapping) else {_ROWS: data}
        _same_rows([*columns.values(), *([] if units is None else [units])])
        self.__data: Callable[[], Arrays] = lambda: columns
        self.__units = units
        self.__ledger = ledger

    def map(self, function: RowWise) -> PrivateRows:
        """Return the rows after a public, row-wise transformation.

        Parameters
        ----------
        function
            From columns to columns: row i of the result depends on row i alone, and on nothing else that is private
            (`synthkit.testing.mechanisms.check_row_wise` tests it). It runs when the result is first read, inside that
            event, and once.

        Returns
        -------
        PrivateRows
            With the same ledger and units.

        Privacy
        -------
        Neighbours stay neighbours under a row-wise function, so that it costs nothing.
        """
        mapped = PrivateRows({}, self.__ledger, self.__units)
        source, found = self.__data, dict[str, Array]()

        def transformed() -> Arrays:
            if not found:
                before = source()
                try:
                    found.update(function({name: _read_only(column) for name, column in before.items()}))
                except Exception as error:
                    # Whatever a library raises about a bad cell may quote it; the cause is kept for --debug.
                    raise PrivacyError(
                        f"transforming private rows failed with {type(error).__name__}",
                        remedy="Run with --debug to see where; what it prints may quote private cells.",
                    ) from error
                _same_rows([*before.values(), *found.values()])
            return found

        mapped.__data = transformed
        return mapped

    @contextmanager
    def reading(self, event: Event) -> Iterator[Arrays]:
        """Record an event, then hand out the rows.

        Parameters
        ----------
        event
            Planned and not yet spent; it is recorded before anything is read, and stays recorded if reading fails.

        Yields
        ------
        Mapping[str, ndarray]
            Read-only views of the columns. The mapping is empty after the block.

        Raises
        ------
        PrivacyError
            If the ledger refuses the event; nothing has been read then.
        """
        self.__ledger.spend(event)
        with _handed_out(self.__data()) as data:
            yield data

    def session(self, event: Event) -> ReadingSession:
        """Record an event of many steps, and return what takes them one at a time.

        Parameters
        ----------
        event
            Planned and not yet spent; all its steps are recorded now, whether they will be taken or not.

        Returns
        -------
        ReadingSession
            With as many steps as the event has.
        """
        self.__ledger.spend(event)
        return ReadingSession(lambda: self.__data(), event.count, self.__units)


class ReadingSession(_Sealed):
    """The steps of one recorded event; made by `PrivateRows.session`.

    Parameters
    ----------
    data
        Returns the columns.
    steps
        How often they may be read.
    units
        To whom each row belongs, or None.
    """

    __slots__ = ("__data", "__left", "__open", "__units")

    def __init__(self, data: Callable[[], Arrays], steps: int, units: Array | None) -> None:
        self.__data, self.__left, self.__units, self.__open = data, steps, units, False

    @property
    def steps_left(self) -> int:
        """How many steps the event still allows."""
        return self.__left

    @property
    def units(self) -> Array | None:
        """To whom each row belongs, read-only, shape [n]; None when rows are units. Inside a step only."""
        if not self.__open:
            # Not the error that is an AttributeError too: Python would look for the attribute elsewhere.
            raise PrivacyError("units of private rows were read outside a step", remedy=_REMEDY)
        return None if self.__units is None else _read_only(self.__units)

    def skip(self, steps: int) -> None:
        """Count steps as taken, such as those of an earlier process that was interrupted.

        Raises
        ------
        PrivacyError
            If the number is negative or there are fewer steps left.
        """
        if not 0 <= steps <= self.__left:
            raise PrivacyError(f"cannot skip {steps} steps, {self.__left} are left of what was planned")
        self.__left -= steps

    @contextmanager
    def step(self) -> Iterator[Arrays]:
        """Take one step: hand out the rows until the end of the block.

        Yields
        ------
        Mapping[str, ndarray]
            Read-only views of the columns. The mapping is empty after the block.

        Raises
        ------
        PrivacyError
            If all steps that were planned are taken, or one is being taken.
        """
        if self.__left < 1:
            raise PrivacyError(
                "all planned steps of this event are taken",
                remedy="Plan as many steps as training takes, before it begins.",
            )
        if self.__open:
            raise PrivacyError("a step began before the last one ended", remedy="Take one step at a time.")
        self.__left -= 1
        self.__open = True
        try:
            with _handed_out(self.__data()) as data:
                yield data
        finally:
            self.__open = False


_REMEDY = "Read them in a block 'with rows.reading(event)', with an event that was planned."


def _refuse(what: str) -> NoReturn:
    raise UnreadableError(f"private rows were read outside a recorded event: {what}", remedy=_REMEDY)


@contextmanager
def _handed_out(columns: Arrays) -> Iterator[Arrays]:
    """Yield read-only views, and take the mapping away afterwards."""
    views = {name: _read_only(column) for name, column in columns.items()}
    try:
        yield MappingProxyType(views)
    finally:
        views.clear()


def _read_only(column: Array) -> Array:
    view = np.asarray(column).view()
    view.flags.writeable = False
    return view


def _same_rows(columns: list[Array]) -> None:
    """Refuse columns of different lengths, without telling the lengths."""
    if any(np.ndim(column) < 1 for column in columns) or len({len(column) for column in columns}) > 1:
        raise PrivacyError(
            "private columns must all have the same number of rows, and they do not",
            remedy="Give one entry of each column, and of the units, for each row.",
        )
