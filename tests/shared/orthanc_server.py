"""An Orthanc of its own for the tests: on free ports of the loopback, with its storage in a temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TITLE = "SYNTHPACS"
_LONGEST_START = 60.0


@dataclass(frozen=True)
class Orthanc:
    """A running server.

    Attributes
    ----------
    dicom, http
        The ports that it listens on.
    """

    dicom: int
    http: int

    def get(self, path: str) -> Any:
        """Return what its REST interface answers, read as JSON."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str, accept: str = "*/*") -> bytes:
        """Return what its REST interface answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body


def program() -> Path | None:
    """Return the server; Debian keeps it off the PATH of users."""
    found = shutil.which("Orthanc", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    return Path(found) if found else None


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def orthanc_server(folder: Path) -> Iterator[Orthanc]:
    """Run a server in an empty folder, and stop it at the end. It minds the AE title that it is called by."""
    server = program()
    if server is None:
        raise FileNotFoundError("Orthanc")
    running = Orthanc(free_port(), free_port())
    settings = {
        "Name": "tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomAet": TITLE,
        "DicomCheckCalledAet": True,
        "DicomPort": running.dicom,
        "HttpPort": running.http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "UnknownSopClassAccepted": False,
        "Plugins": [],
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings), encoding="utf-8")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([str(server), str(configuration)], cwd=folder, stdout=log, stderr=log)
        try:
            _wait(running, process, folder / "log")
            yield running
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(running: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until both ports answer."""
    end = time.monotonic() + _LONGEST_START
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            running.get("/system")
            with socket.create_connection(("127.0.0.1", running.dicom), timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise RuntimeError(f"Orthanc did not start: {log.read_text(errors='replace')[-2000:]}")
