"""Sending DICOM files to a PACS: C-STORE, one association, one outcome per file.

Only files that say ``SyntheticData = YES`` are sent, unless asked otherwise: a folder of real scans that was named by
mistake does not leave the house.

References
----------
DICOM PS3.4 annex B (Storage Service Class) and PS3.7 9.1.1 (C-STORE).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthkit.errors import InputError, SynthkitError
from synthkit.io.kinds import is_dicom

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.association import Association

CALLING = "SYNTHKIT"
ANY_PACS = "ANY-SCP"
_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_MOST_CONTEXTS = 128
_MOST_NAMED = 3
_SUCCESS = 0x0000
_WARNINGS = (0x0001, 0x0107, 0x0116)
# Ranges of status codes of C-STORE (PS3.4, table B.2-1); 0xB... are warnings, with which the file was stored.
_MEANINGS: tuple[tuple[int, int, str], ...] = (
    (0x0117, 0x0117, "the instance is invalid"),
    (0x0122, 0x0122, "the SOP class is not supported"),
    (0x0124, 0x0124, "not authorized"),
    (0x0210, 0x0210, "a duplicate of this message was received"),
    (0xA700, 0xA7FF, "out of resources"),
    (0xA900, 0xA9FF, "the data set does not match its SOP class"),
    (0xC000, 0xCFFF, "the data set is not understood"),
)


class PushError(SynthkitError):
    """A PACS that cannot be reached or does not take everything."""


@dataclass(frozen=True)
class Refused:
    """A file that the PACS did not store, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class PushReport:
    """What became of the files.

    Attributes
    ----------
    to
        Host, port and AE title of the PACS.
    stored
        Files that it stored, relative to what was pushed.
    refused
        Files that it did not store.
    warned
        Of `stored`, those that it stored with a warning (such as coerced attributes), and its code.
    skipped
        Number of files that are no DICOM (labels, provenance).
    """

    to: str
    stored: tuple[str, ...]
    refused: tuple[Refused, ...]
    warned: tuple[Refused, ...]
    skipped: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return {
            "to": self.to,
            "stored": len(self.stored),
            "refused": [dict(vars(one)) for one in self.refused],
            "warned": [dict(vars(one)) for one in self.warned],
            "skipped": self.skipped,
            "files": list(self.stored),
        }

    def describe(self) -> str:
        """Return it as one sentence."""
        n = len(self.stored)
        said = f"{self.to} stored {n:,} of {n + len(self.refused):,} files"
        if self.warned:
            said += f", {len(self.warned):,} with a warning ({self.warned[0].reason})"
        if self.skipped:
            said += f"; {self.skipped:,} other files are no DICOM and stayed"
        return f"{said}."

    def check(self) -> None:
        """Raise `PushError` when not everything was stored."""
        if not self.refused:
            return
        named = ", ".join(f"'{one.file}' ({one.reason})" for one in self.refused[:_MOST_NAMED])
        more = len(self.refused) - _MOST_NAMED
        raise PushError(
            f"{self.to} refused {len(self.refused):,} of {len(self.stored) + len(self.refused):,} files: {named}"
            + (f" and {more:,} more" if more > 0 else ""),
            remedy="Look into its log; what it stored need not be sent again.",
        )


@dataclass(frozen=True)
class _Instance:
    path: Path
    sop_class: str
    transfer_syntax: str


def push(
    folder: str | Path,
    host: str,
    port: int,
    aet: str = ANY_PACS,
    *,
    calling: str = CALLING,
    timeout: float = 30.0,
    any_file: bool = False,
    progress: Callable[[int], None] = lambda files: None,
) -> PushReport:
    """Send a DICOM file, or all in a folder and the folders in it, to a PACS.

    Nothing is sent before every file has been looked at. A file that the PACS refuses does not keep the rest from being
    sent.

    Parameters
    ----------
    folder
        What to send. Files that are no DICOM are passed over.
    host, port
        Where the PACS listens.
    aet
        Its application entity title.
    calling
        Ours.
    timeout
        Seconds to wait for a connection, and for each answer.
    any_file
        Send files that do not say ``SyntheticData = YES`` too.
    progress
        Told how many more files are done.

    Raises
    ------
    InputError
        There is no DICOM file, one is damaged or does not say that it is synthetic, or a title or port is impossible.
    PushError
        The PACS cannot be reached, refuses the association, or breaks it off; what it had stored stays stored.
    """
    check_address(host, port, aet, calling, timeout)
    root = Path(folder)
    instances, skipped = _instances(root, any_file)
    at = f"{aet} at {_place(host, port)}"
    stored: list[str] = []
    refused: list[Refused] = []
    warned: list[Refused] = []
    # an association has room for 128 kinds of file; more than that need another one
    for chunk in _by_contexts(instances):
        with _association(chunk, host, port, aet, calling, timeout) as association:
            for instance in chunk:
                name = instance.path.name if root.is_file() else instance.path.relative_to(root).as_posix()
                outcome = _store(association, instance)
                if outcome is None:
                    raise PushError(
                        f"{at} broke off after {len(stored):,} of {len(instances):,} files, at '{name}'",
                        remedy=f"See whether it is overloaded, or wait longer than {timeout:g} s with --timeout.",
                    )
                if outcome.stored:
                    stored.append(name)
                if outcome.reason:
                    (warned if outcome.stored else refused).append(Refused(name, outcome.reason))
                progress(1)
    return PushReport(at, tuple(stored), tuple(refused), tuple(warned), skipped)


def check_address(host: str, port: int, aet: str, calling: str = CALLING, timeout: float = 30.0) -> None:
    """Refuse a host, port, title or time that cannot be one; see `push`."""
    if not host.strip():
        raise InputError("the host of the PACS is empty", remedy="Write it as in --to pacs.example.org:104.")
    if not 0 < port < 2**16:
        raise InputError(f"a port lies between 1 and 65535, got {port}", remedy="DICOM's own are 104 and 11112.")
    for title in (aet, calling):
        if not _TITLE.fullmatch(title):
            raise InputError(
                f"an AE title has 1 to 16 ASCII characters without a backslash, got {title!r}",
                remedy="Ask who runs the PACS for it.",
            )
    if not timeout > 0:
        raise InputError(f"a timeout must be above 0 seconds, got {timeout:g}", remedy="Leave it out for 30 seconds.")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[::1]:port``; InputError for anything else."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or (":" in host and host[0] != "["):
        raise InputError(
            f"the address of a PACS is host:port, got {text!r}", remedy="Write for example localhost:4242."
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


# ------------------------------------------------------------ files


def _instances(root: Path, any_file: bool) -> tuple[list[_Instance], int]:
    """Look at every file; return the DICOM ones and how many others there are."""
    if not root.exists():
        raise InputError(f"'{root}' does not exist", remedy="Name a folder that was written with --format dicom.")
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    files = [path for path in paths if is_dicom(path)]
    if not files:
        raise InputError(f"there is no DICOM file in '{root}'", remedy="Write it with --format dicom.")
    instances, real = [], []
    for path in files:
        header = _header(path)
        if str(header.get("SyntheticData", "")).upper() != "YES":
            real.append(path)
        instances.append(_Instance(path, str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID)))
    if real and not any_file:
        raise InputError(
            f"{len(real):,} of {len(files):,} files do not say SyntheticData=YES, the first is '{real[0]}'",
            remedy="Nothing was sent; pass --any to send them too.",
        )
    return instances, len(paths) - len(files)


def _header(path: Path) -> Dataset:
    """Read all but the pixels, or say which file is damaged."""
    from pydicom import dcmread

    try:
        header = dcmread(path, stop_before_pixels=True)
        _ = header.file_meta.TransferSyntaxUID, header.SOPClassUID, header.SOPInstanceUID
    except (OSError, ValueError, AttributeError, EOFError, KeyError, NotImplementedError) as error:
        raise InputError(f"'{path}' is a damaged DICOM file ({error})", remedy="Write it again.") from error
    return header


def _by_contexts(instances: list[_Instance]) -> Iterator[list[_Instance]]:
    """Split files so that no part has more kinds (SOP class and transfer syntax) than an association takes."""
    kinds: dict[tuple[str, str], list[_Instance]] = {}
    for instance in instances:
        kinds.setdefault((instance.sop_class, instance.transfer_syntax), []).append(instance)
    names = list(kinds)
    for start in range(0, len(names), _MOST_CONTEXTS):
        chosen = set(names[start : start + _MOST_CONTEXTS])
        yield [one for one in instances if (one.sop_class, one.transfer_syntax) in chosen]


# ------------------------------------------------------------ network


@contextmanager
def _association(
    instances: list[_Instance], host: str, port: int, aet: str, calling: str, timeout: float
) -> Iterator[Association]:
    """Open an association for the kinds of the files; it is released at the end, and aborted when something fails."""
    try:
        from pynetdicom import AE
    except ImportError as error:
        raise InputError("a push needs the package pynetdicom", remedy="pip install 'synthkit[scans]'.") from error
    entity = AE(ae_title=calling)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout
    for sop_class, syntax in sorted({(one.sop_class, one.transfer_syntax) for one in instances}):
        entity.add_requested_context(sop_class, syntax)
    _knock(host, port, timeout)
    association = entity.associate(host, port, ae_title=aet)
    if not association.is_established:
        raise _why(association, host, port, aet, calling, timeout)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    else:
        association.release()


def _knock(host: str, port: int, timeout: float) -> None:
    """See whether anybody listens: the operating system says why not, pynetdicom only that there was no connection."""
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError as error:
        reason = "it did not answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        raise PushError(
            f"{_place(host, port)} cannot be reached: {_uncapitalised(reason)}",
            remedy="Check host and port, and whether the PACS is running.",
        ) from error


def _why(association: Association, host: str, port: int, aet: str, calling: str, timeout: float) -> PushError:
    """Say why there is no association."""
    at = _place(host, port)
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return PushError(
            f"{aet} at {at} refused the association of {calling}: {_uncapitalised(str(answer.reason_str))}",
            remedy="Check both titles, --aet and --calling, with who runs the PACS.",
        )
    if answer is not None and answer.result == 0:
        return PushError(
            f"{aet} at {at} takes none of the kinds of file that were offered",
            remedy="Write them without --transfer-syntax, or allow Storage in the PACS.",
        )
    return PushError(
        f"what listens at {at} did not answer as a PACS does within {timeout:g} s",
        remedy="Check host and port.",
    )


@dataclass(frozen=True)
class _Outcome:
    stored: bool
    reason: str = ""


def _store(association: Association, instance: _Instance) -> _Outcome | None:
    """Send one file and tell what became of it; None when the connection broke or nothing came back in time."""
    from pydicom import dcmread
    from pydicom.uid import UID

    if not association.is_established:
        return None
    try:
        status = association.send_c_store(dcmread(instance.path))
    except (ValueError, AttributeError) as error:
        if "presentation context" not in str(error).lower():
            return _Outcome(False, f"it cannot be sent ({error})")
        kind = f"{UID(instance.sop_class).name} as {UID(instance.transfer_syntax).name}"
        return _Outcome(False, f"the PACS does not take {kind}")
    if "Status" not in status:
        return None
    number = int(status.Status)
    if number == _SUCCESS:
        return _Outcome(True)
    comment = str(status.get("ErrorComment", "")).strip()
    if number in _WARNINGS or number >> 12 == 0xB:
        return _Outcome(True, f"status 0x{number:04X}" + f": {comment}" * bool(comment))
    said = next((text for low, high, text in _MEANINGS if low <= number <= high), "refused")
    return _Outcome(False, f"status 0x{number:04X}, {said}" + f": {comment}" * bool(comment))


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
