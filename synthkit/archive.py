"""The model file: one zip with a manifest (JSON), arrays (safetensors) and texts, and the safe way to write any file.

A ``.synth`` file holds ``manifest.json``, one ``<group>.safetensors`` per group of arrays and any number of text files.
Nothing in it is ever executed or unpickled. The bytes depend only on the content: entries are stored uncompressed, in
sorted order, with a fixed time. The manifest lists the SHA-256 of every other entry and of itself, so that damage is
noticed before anything is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from synthkit.errors import ModelFileError, OutputError

if TYPE_CHECKING:
    import numpy as np

FORMAT = "synthkit-model"
FORMAT_VERSION = 1

_MANIFEST = "manifest.json"
_ARRAYS = ".safetensors"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can state
_ENTRY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*")
_MOST_MANIFEST_BYTES = 256 * 2**20
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ZIP_START = b"PK\x03\x04"
_WRITE_AGAIN = "Write the model again, or fetch the file again."


@dataclass(frozen=True)
class Archive:
    """What a model file holds."""

    manifest: dict[str, Any]
    tensors: dict[str, dict[str, np.ndarray]]
    texts: dict[str, str]


# -------------------- model file


def write_archive(
    path: str | Path,
    manifest: Mapping[str, Any],
    *,
    tensors: Mapping[str, Mapping[str, np.ndarray]],
    texts: Mapping[str, str],
) -> None:
    """Write a model file, all of it or nothing.

    Parameters
    ----------
    path
        Where to; an existing file is replaced.
    manifest
        What the file is, JSON-safe (numpy scalars are converted; NaN and infinities are kept as Python's JSON writes
        them). The keys ``format``, ``format_version``, ``created_with``, ``files`` and ``checksum`` are added here.
    tensors
        Groups of numeric or boolean arrays of any shape, by group name and array name. Strings belong into the manifest
        or a text.
    texts
        Text files by name.

    Raises
    ------
    OutputError
        If the place cannot be written to or the disk is full; nothing is left behind.
    ValueError
        If an entry would have a name that `read_archive` refuses.
    """
    import numpy as np
    from safetensors.numpy import save

    entries = {name: text.encode("utf-8") for name, text in texts.items()}
    for group, arrays in tensors.items():
        # safetensors writes the buffer as it lies in memory: a transposed array must be laid out in C order first.
        entries[group + _ARRAYS] = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    clash = len(entries) < len(texts) + len(tensors) or _MANIFEST in entries
    odd = [name for name in entries if not _ENTRY_NAME.fullmatch(name)]
    odd += [name for name in texts if name.endswith(_ARRAYS)]
    if clash or odd:
        raise ValueError(f"entries of a model file need distinct plain names, got {sorted(odd or entries)}")
    entries[_MANIFEST] = _sealed_manifest(manifest, {name: _sha256(data) for name, data in entries.items()})

    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.create_system = 3  # Unix on every system, so that the bytes do not depend on it
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, entries[name])


def read_archive(path: str | Path) -> Archive:
    """Read a model file and check all of it.

    Parameters
    ----------
    path
        A file written by `write_archive`.

    Returns
    -------
    Archive
        The manifest, the arrays by group and name, and the texts by name.

    Raises
    ------
    ModelFileError
        If the file is missing, unreadable, no model file, truncated, tampered with or from a newer version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    tensors: dict[str, dict[str, np.ndarray]] = {}
    texts: dict[str, str] = {}
    with _opened(path) as archive:
        manifest = _checked_manifest(archive, path)
        files = manifest["files"]
        present = set(archive.namelist()) - {_MANIFEST}
        if present != set(files):
            different = ", ".join(sorted(present ^ set(files))[:3])
            raise _damaged(path, f"its content and its list of content differ ({different})")
        for name, checksum in files.items():
            data = archive.read(name)
            if _sha256(data) != checksum:
                raise _damaged(path, f"its part {name!r} is not what was written (its SHA-256 differs)")
            try:
                if name.endswith(_ARRAYS):
                    tensors[name.removesuffix(_ARRAYS)] = load(data)
                else:
                    texts[name] = data.decode("utf-8")
            except (SafetensorError, UnicodeDecodeError, KeyError, ValueError) as error:
                raise _damaged(path, f"its part {name!r} cannot be read ({error})") from error
    return Archive(manifest, tensors, texts)


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read only the manifest of a model file; raises `ModelFileError` as `read_archive` does."""
    with _opened(path) as archive:
        return _checked_manifest(archive, path)


@contextmanager
def _opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Open a model file after a look at its table of contents; every way in which a zip fails becomes a clear error."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
            yield archive
    except FileNotFoundError as error:
        raise ModelFileError(f"the model file '{path}' does not exist", remedy="Check the path.") from error
    except IsADirectoryError as error:
        raise ModelFileError(f"'{path}' is a folder, not a model file", remedy="Name a .synth file in it.") from error
    except PermissionError as error:
        raise ModelFileError(f"the model file '{path}' may not be read", remedy="Check its permissions.") from error
    except zipfile.BadZipFile as error:
        with open(path, "rb") as file:
            if file.read(len(_ZIP_START)) != _ZIP_START:
                raise _no_model(path) from error
        raise _damaged(path, "it is incomplete") from error
    except (EOFError, NotImplementedError, OSError, RuntimeError, UnicodeDecodeError, ValueError) as error:
        # zipfile lets these through for a file whose offsets or flags make no sense
        raise _damaged(path, f"it cannot be read ({error})") from error


def _check_entries(archive: zipfile.ZipFile, path: str | Path) -> None:
    """Refuse contents that `write_archive` never writes: odd or repeated names, compressed entries (zip bombs)."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if _MANIFEST not in names:
        raise _no_model(path)
    odd = [name for name in names if not _ENTRY_NAME.fullmatch(name)]
    if odd or len(set(names)) < len(names):
        raise _damaged(path, f"it has repeated or odd names of parts ({', '.join(map(repr, odd[:3])) or 'repeated'})")
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > os.path.getsize(path):
        raise _damaged(path, "its parts claim to be larger than the file")


def _checked_manifest(archive: zipfile.ZipFile, path: str | Path) -> dict[str, Any]:
    """Return the manifest if it is one, of a known version, and unchanged."""
    if archive.getinfo(_MANIFEST).file_size > _MOST_MANIFEST_BYTES:
        raise _damaged(path, "its manifest is larger than any manifest is")
    try:
        manifest = json.loads(archive.read(_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its manifest is not JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _no_model(path)
    version = manifest.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _damaged(path, f"its format version is {version!r}, expected a whole number")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"the model file '{path}' has format version {version}, written with synthkit "
            f"{manifest.get('created_with')}, but this synthkit reads versions up to {FORMAT_VERSION}",
            remedy="Upgrade synthkit.",
        )
    checksum = manifest.pop("checksum", None)
    files = manifest.get("files")
    if checksum != _sha256(_json_bytes(manifest)) or not isinstance(files, dict):
        raise _damaged(path, "its manifest is not what was written (its SHA-256 differs)")
    return manifest


def _sealed_manifest(manifest: Mapping[str, Any], files: dict[str, str]) -> bytes:
    """Return the manifest as JSON, with the version, the checksums of the other entries and its own."""
    from synthkit import __version__

    complete = {
        "created_with": __version__,
        **manifest,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "files": files,
    }
    # Read back what was written: the checksum is of what a reader sees (keys as strings, tuples as lists).
    complete = json.loads(_json_bytes(complete))
    return _json_bytes({**complete, "checksum": _sha256(_json_bytes(complete))})


def _json_bytes(value: Any) -> bytes:
    """Return JSON without needless space; the order of keys is kept, because it may mean something to the writer."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """Return a numpy scalar or array as plain Python, and refuse everything else."""
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a manifest holds plain values only, got {type(value).__name__}")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _no_model(path: str | Path) -> ModelFileError:
    return ModelFileError(f"'{path}' is not a model file of synthkit", remedy="Name a file that `synthkit fit` wrote.")


def _damaged(path: str | Path, why: str) -> ModelFileError:
    return ModelFileError(f"the model file '{path}' is damaged or was changed: {why}", remedy=_WRITE_AGAIN)


# -------------------- safe writing


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    path
        The file to be written. An existing file is replaced in one step, so that a reader sees the old or the new one.

    Yields
    ------
    Path
        An empty file in the same folder, with the same suffixes, for writers that go by the suffix.

    Raises
    ------
    OutputError
        If the place cannot be written to, or the disk is full.
    """
    target = _checked_target(path)
    temporary = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-200:]}")
    try:
        with _output_errors(path):
            descriptor = os.open(
                temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666
            )  # the umask decides, as for any new file
            os.close(descriptor)
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        try:
            yield temporary
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise _disk_full(path) from error
            raise
        with _output_errors(path):
            with open(temporary, "rb+") as file:
                _flush_to_disk(file)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every file system can flush a folder; the file itself is safe by now
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_output(path: str | Path, *, inputs: Iterable[object] = ()) -> None:
    """Refuse a place that cannot be written to, before any work is done.

    Parameters
    ----------
    path
        The file to be written; it may exist.
    inputs
        Files that are read and must not be replaced; what follows a "?" is for their reader, and what is no path (an
        address of a database) cannot be one of them.

    Raises
    ------
    OutputError
        If the folder is missing or not writable, or the path is a folder, a device or one of the inputs.
    """
    target = _checked_target(path)
    for given in inputs:
        if not isinstance(given, str | os.PathLike):
            continue
        source = os.fspath(given) if os.path.lexists(given) else os.fspath(given).partition("?")[0]
        if Path(os.path.realpath(source)) == target or (
            target.exists() and os.path.exists(source) and os.path.samefile(source, target)
        ):
            raise OutputError(f"the output '{path}' is also the input '{source}'", remedy="Choose another output.")
    probe = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-200:]}")
    # Permissions alone do not tell (read-only file systems, the super-user): try it.
    with _output_errors(path):
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()


def _checked_target(path: str | Path) -> Path:
    """Return the real place behind `path`, through symbolic links, or say why nothing can be written there."""
    if not str(path) or "\0" in str(path):
        raise OutputError(f"the output path {str(path)!r} is not a path", remedy="Name a file.")
    target = Path(os.path.realpath(path))
    with _output_errors(path):
        status = os.stat(target) if os.path.lexists(target) else None
        folder_exists = target.parent.is_dir()
        name_fits = (
            len(os.fsencode(target.name)) <= os.pathconf(target.parent, "PC_NAME_MAX") if folder_exists else True
        )
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise OutputError(f"the output '{path}' is a folder", remedy="Name a file in it.")
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise OutputError(
            f"the output '{path}' is not a regular file", remedy="Name a file; it is written whole and then renamed."
        )
    if status is not None and not os.access(target, os.W_OK):
        raise OutputError(f"the output '{path}' exists and is write-protected", remedy="Choose another output.")
    if not folder_exists:
        raise OutputError(
            f"the folder of the output '{path}' does not exist", remedy=f"Make it first: mkdir -p '{target.parent}'."
        )
    if not name_fits:
        raise OutputError(f"the name of the output '{path}' is too long", remedy="Choose a shorter name.")
    return target


@contextmanager
def _output_errors(path: str | Path) -> Iterator[None]:
    """Turn what the operating system says about writing into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise _disk_full(path) from error
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"the output '{path}' cannot be written: {reason}", remedy="Choose a place that you may write to."
        ) from error


def _disk_full(path: str | Path) -> OutputError:
    return OutputError(f"the disk is full: '{path}' was not written", remedy="Free some space or choose another place.")


def _flush_to_disk(file: IO[bytes]) -> None:
    """Wait until the content is on the disk: a rename must not overtake it."""
    file.flush()
    os.fsync(file.fileno())
