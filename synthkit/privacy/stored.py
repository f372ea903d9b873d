"""What a stored ledger is checked with when it is read, and the time that is written into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from synthkit.errors import PrivacyError

Clock = Callable[[], datetime]

FORMAT_VERSION = 1
AS_WRITTEN = "Use the file as synthkit wrote it."


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def stamp(clock: Clock) -> str:
    """Return the time in UTC by ISO 8601, to the second."""
    return clock().astimezone(UTC).isoformat(timespec="seconds")


def checked_fields(value: Any, what: str, types: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stored object, if it has exactly these, of these types.

    Raises
    ------
    PrivacyError
        If not.
    """
    if not isinstance(value, Mapping) or set(value) != set(types):
        got = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        raise PrivacyError(f"a stored {what} has {', '.join(types)}, got {got or 'nothing'}", remedy=AS_WRITTEN)
    for name, kind in types.items():
        if not isinstance(value[name], kind):
            raise PrivacyError(
                f"'{name}' of a stored {what} is of type {type(value[name]).__name__}", remedy=AS_WRITTEN
            )
    return dict(value)


def check_format_version(value: Any, what: str) -> None:
    """Refuse what a newer synthkit wrote, before anything else about it is judged.

    Raises
    ------
    PrivacyError
        If so, or if there is no version.
    """
    found = value.get("format_version") if isinstance(value, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise PrivacyError(f"the format version of the {what} is {found!r}, expected a whole number", remedy=AS_WRITTEN)
    if found > FORMAT_VERSION:
        raise PrivacyError(
            f"the {what} has format version {found}, but this synthkit reads versions up to {FORMAT_VERSION}",
            remedy="Upgrade synthkit.",
        )
