"""A page in a real browser, without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def browser() -> str:
    """Return the path of Chromium; skip the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("there is no Chromium on the PATH; install the package 'chromium'")


def run(page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page, with options of Chromium that say what is wanted of it."""
    return subprocess.run(
        [
            browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--v=0",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def look(page: Path, profile: Path, *options: str) -> tuple[dict[str, Any], list[str]]:
    """Return what a script of the page left in the attribute data-seen, and what the page wrote to the console."""
    ended = run(page, profile, "--dump-dom", *options)
    written = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    seen = re.search(r'data-seen="([^"]*)"', ended.stdout)
    assert seen is not None, f"the script of the page did not end; console: {written}"
    return json.loads(html.unescape(seen[1])), written
