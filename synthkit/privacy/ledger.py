"""The ledger file: every release from one data set, so that they keep one budget together.

A release is reserved in the file before it reads anything: its whole plan counts from then on. When it ends well, what
it really spent takes the place of the plan. A run that crashes stays "started" and keeps counting as planned, because
nobody knows how far it got; a run that fails before it has read anything is taken out again.

The file is JSON, replaced in one step, and changed only under a lock: ``flock`` on a file beside it with the suffix
``.lock``. The lock goes free with its process; its file stays as long as there is a ledger. A checksum tells damage
from a ledger; it does not keep anybody from forging one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path, check_output
from synthkit.errors import OutputError, PrivacyError
from synthkit.privacy.accounting import epsilon_left, epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import Event
from synthkit.privacy.release import Ledger, check_same_kind
from synthkit.privacy.release_record import Release
from synthkit.privacy.stored import FORMAT_VERSION, Clock, check_format_version, checked_fields, stamp, utc_now

__all__ = ["Ledger", "LedgerFile", "Release"]

FORMAT = "synthkit-ledger"
_LOCK_SECONDS = 60.0


class LedgerFile:
    """All releases from one data set, in a file.

    Parameters
    ----------
    path
        An existing ledger file; :meth:`create` makes one.
    clock
        Gives the time; for tests.

    Attributes
    ----------
    total : PrivacyBudget
        What all releases together may spend. They are composed at its delta.
    data : str
        Name of the data set.
    releases : tuple of Release
        As the file had them when it was last read.

    Raises
    ------
    PrivacyError
        If there is no such file, it is damaged, or from a newer synthkit.

    Privacy
    -------
    All releases of the file together keep `total`, if all data is read through them.
    """

    def __init__(self, path: str | Path, *, clock: Clock = utc_now) -> None:
        self.path = Path(path)
        self._clock = clock
        self.total: PrivacyBudget
        self.data: str
        self.releases: tuple[Release, ...]
        self._read()

    @classmethod
    def create(cls, path: str | Path, total: PrivacyBudget, data: str = "", *, clock: Clock = utc_now) -> LedgerFile:
        """Make a ledger file without releases.

        Parameters
        ----------
        path
            Where; nothing may be there.
        total
            What all releases together may spend.
        data
            Name of the data set.
        clock
            Gives the time; for tests.

        Raises
        ------
        PrivacyError
            If something is there already.
        OutputError
            If the place cannot be written to.
        """
        _check_absent(path)  # before the lock, so that a refusal leaves nothing behind
        check_output(path)
        with _locked(path):
            _check_absent(path)  # another process may have been faster
            _write(path, total, data, ())
        return cls(path, clock=clock)

    @classmethod
    def open_or_create(
        cls, path: str | Path, total: PrivacyBudget, data: str = "", *, clock: Clock = utc_now
    ) -> LedgerFile:
        """Open a ledger file, or make one with this total if there is none; an existing one keeps its own total."""
        if not os.path.lexists(path):
            try:
                return cls.create(path, total, data, clock=clock)
            except PrivacyError:
                if not os.path.lexists(path):
                    raise
                # another process was faster: then there is one to open
        return cls(path, clock=clock)

    def epsilon(self) -> float:
        """Return the epsilon of all releases together, at the delta of the file."""
        return epsilon_spent(self._events, self.total.delta, self.total.adjacency)

    def epsilon_left(self) -> float:
        """Return the largest epsilon of a further release of Gaussian noise that still fits."""
        return epsilon_left(self.total, self._events) if self.releases else self.total.epsilon

    @contextmanager
    def release(self, budget: PrivacyBudget, events: Sequence[Event], *, name: str = "") -> Iterator[Ledger]:
        """Reserve a release, let it run, and record what it spent.

        Parameters
        ----------
        budget
            What this release may spend, of the unit and adjacency of the file.
        events
            Its whole plan.
        name
            Name of the release; by default its number.

        Yields
        ------
        Ledger
            Planned, and closed afterwards.

        Raises
        ------
        PrivacyError
            If the plan exceeds the budget, or what is left of the total; nothing is recorded then.
        """
        with self._changing():
            name = name or f"release {len(self.releases) + 1}"
            check_same_kind(budget, self.total)
            ledger = Ledger(
                budget, data=self.data, release=name, before=self.releases, total=self.total, clock=self._clock
            )
            ledger.plan(events)
            key = secrets.token_hex(8)
            reserved = Release(name, budget, ledger.planned, created=stamp(self._clock), key=key)
            self.releases = (*self.releases, reserved)
        try:
            yield ledger
        except BaseException:
            ledger.close()
            if not ledger.events:  # nothing was read
                with suppress(PrivacyError, OutputError):  # the error that is on its way matters more
                    self._settle(key, None)
            raise
        ledger.close()
        self._settle(key, replace(reserved, spent=ledger.events, status="finished", finished=stamp(self._clock)))

    @property
    def _events(self) -> tuple[Event, ...]:
        return tuple(event for release in self.releases for event in release.events)

    def _settle(self, key: str, settled: Release | None) -> None:
        """Replace a reserved release by what became of it, or take it out."""
        with self._changing():
            if not any(release.key == key for release in self.releases):
                raise PrivacyError(
                    f"the ledger '{self.path}' has lost the release that is running",
                    remedy="Restore it; count the release as spent.",
                )
            kept = [settled if release.key == key else release for release in self.releases]
            self.releases = tuple(release for release in kept if release is not None)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read the file under the lock, let its releases be changed, and write it; an error leaves it as it was."""
        with _locked(self.path):
            self._read()
            before = self.releases
            try:
                yield
                _write(self.path, self.total, self.data, self.releases)
            except BaseException:
                self.releases = before
                raise

    def _read(self) -> None:
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError as error:
            raise PrivacyError(
                f"there is no ledger '{self.path}'", remedy="Make one with the budget of all releases together."
            ) from error
        except OSError as error:
            raise PrivacyError(
                f"the ledger '{self.path}' cannot be read: {_reason(error)}", remedy="Check the path."
            ) from error
        except (ValueError, RecursionError) as error:
            raise self._damaged("it is not JSON") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._damaged("it is no ledger of synthkit")
        check_format_version(content, f"ledger '{self.path}'")
        try:
            self.total, self.data, self.releases = _parsed(content)
        except PrivacyError as error:
            raise self._damaged(error.what) from error

    def _damaged(self, why: str) -> PrivacyError:
        return PrivacyError(
            f"the ledger '{self.path}' is damaged or was changed: {why}",
            remedy="Restore it from a copy; without it nothing more can be released from this data.",
        )


_FIELDS: dict[str, Any] = {
    "format": str,
    "format_version": int,
    "created_with": str,
    "data": str,
    "total": dict,
    "releases": list,
    "checksum": str,
}


def _parsed(content: dict[str, Any]) -> tuple[PrivacyBudget, str, tuple[Release, ...]]:
    """Return total, data and releases of a file's content."""
    fields = checked_fields(content, "ledger file", _FIELDS)
    if fields["checksum"] != _checksum(fields):
        raise PrivacyError("its content is not what was written (its SHA-256 differs)")
    releases = tuple(map(Release.from_json, fields["releases"]))
    return PrivacyBudget.from_json(fields["total"]), fields["data"], releases


def _check_absent(path: str | Path) -> None:
    """Refuse to make a ledger where something is, be it a link to nothing."""
    if os.path.lexists(path):
        raise PrivacyError(
            f"the ledger '{path}' exists already", remedy="Use it, or choose another name for another data set."
        )


def _write(path: str | Path, total: PrivacyBudget, data: str, releases: Sequence[Release]) -> None:
    """Replace the file in one step."""
    from synthkit import __version__

    content: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created_with": __version__,
        "data": data,
        "total": total.to_json(),
        "releases": [release.to_json() for release in releases],
    }
    content["checksum"] = _checksum(content)
    try:
        text = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError as error:  # bytes of the command line that are no UTF-8
        raise PrivacyError(
            f"a name for the ledger '{path}' is not valid Unicode, and cannot be stored", remedy="Choose another name."
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(text)


def _checksum(content: dict[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


@contextmanager
def _locked(path: str | Path) -> Iterator[None]:
    """Hold the lock of a ledger file; it goes free with the process, whatever becomes of it.

    Where there is no ledger in the end, because it could not be made or was deleted, its lock is taken away too.
    """
    place = os.path.realpath(path)
    beside = place + ".lock"
    descriptor = _lock(path, beside, time.monotonic() + _LOCK_SECONDS)
    try:
        yield
    finally:
        if not os.path.lexists(place):
            with suppress(OSError):  # while it is held: whoever waits for this very file looks for the next one
                os.unlink(beside)
        os.close(descriptor)


def _lock(path: str | Path, beside: str, deadline: float) -> int:
    """Return the descriptor of the lock file, once it is locked and is still the file of this name."""
    while True:
        try:
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(
                f"the ledger '{path}' cannot be locked: {_reason(error)}",
                remedy="Choose a place that you may write to.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, beside):
                return descriptor
            os.close(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise OutputError(
                    f"the ledger '{path}' cannot be locked: {_reason(error)}",
                    remedy="Keep it on a file system with locks.",
                ) from error
            if time.monotonic() > deadline:
                raise PrivacyError(
                    f"the ledger '{path}' has been locked by another process for {_LOCK_SECONDS:g} seconds",
                    remedy="Wait until it is done.",
                ) from error
            time.sleep(0.02)
        except BaseException:  # such as Ctrl-C
            os.close(descriptor)
            raise


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file is the one of this name, and was not unlinked or replaced meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
