"""What all contract checks share: each has a name, and fails with an `AssertionError` that says what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Check = tuple[str, Callable[[], None]]


def run_checks(checks: Iterable[Check], of: str = "") -> None:
    """Run checks in turn, until one fails.

    Parameters
    ----------
    checks
        Name and function of each.
    of
        What is checked, for messages.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected. Any other error comes through as it is, with a note
        that names the check.
    """
    for name, check in checks:
        place = f"{of}: {name}" if of else name
        try:
            check()
        except AssertionError as error:
            raise AssertionError(f"{place}: {error}") from error
        except Exception as error:
            error.add_note(f"in the contract check {place!r}")
            raise


def require(holds: object, message: str) -> None:
    """Raise an `AssertionError` with this message unless something holds."""
    if not holds:
        raise AssertionError(message)
