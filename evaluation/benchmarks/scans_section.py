"""The small format in which each part of the scan benchmarks leaves what it measured.

A section is one JSON file in evaluation/baselines/scans; `scans_page.py` renders all of them to
docs/benchmarks-scans.md. A script writes its section with one call:

    from scans_section import data_folder, write_section

    write_section(
        "pneumonia",
        title="PneumoniaMNIST: training on synthetic scans",
        command="python evaluation/benchmarks/scans_pneumonia.py --time-budget 10m",
        facts={"n train": 4690, "seeds": [0, 1, 2], "seconds": 612},
        columns={"setting": "trained on", "auc": "AUC"},          # or a list of names
        rows=[{"setting": "real", "auc": [0.95, 0.93, 0.97]}],    # three numbers: value, low, high
        notes=["What a reader must know."],
        pictures={"grid": (png_bytes, "Real above, synthetic below.")},
        more=[{"title": "...", "columns": [...], "rows": [...]}],   # further tables
    )

Cells are text, numbers, a list of three numbers (value, lower, upper end of the 95 % interval), True/False (met or not)
or None (nothing). Pictures are written to docs/images/scans/SECTION-NAME.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path
from synthkit.plain_json import plain_json

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ROOT / "evaluation" / "baselines" / "scans"
PICTURES = ROOT / "docs" / "images" / "scans"
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pydicom")

Columns = Sequence[str] | Mapping[str, str]
Rows = Sequence[Mapping[str, Any]]


def write_section(
    name: str,
    *,
    title: str,
    command: str,
    facts: Mapping[str, Any],
    rows: Rows,
    columns: Columns,
    notes: Sequence[str] = (),
    pictures: Mapping[str, tuple[bytes, str]] | None = None,
    more: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write one section and its pictures; return the path of the JSON file.

    Parameters
    ----------
    name
        Name of the file without its ending, for example "mednist".
    title
        Heading of the section.
    command
        What repeats it.
    facts
        How it was measured: numbers of scans, seeds, seconds, settings. Versions, threads and the machine are added.
    rows, columns
        The main table: one dictionary per row; which of its keys are shown, and under which title.
    notes
        Sentences below the tables, for readers: how to read them, what is bad.
    pictures
        By name: the bytes of a PNG, and its caption.
    more
        Further tables, each with "title", "columns", "rows" and perhaps "notes".
    """
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"a section is named in small letters, digits and -, got {name!r}")
    shown = []
    for label, (png, caption) in (pictures or {}).items():
        path = PICTURES / f"{name}-{label}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(png)
        shown.append({"file": path.relative_to(ROOT / "docs").as_posix(), "caption": caption})
    content = {
        "format": "synthkit-scan-benchmark",
        "format_version": 1,
        "title": title,
        "command": command,
        "facts": {**facts, **environment()},
        "columns": titles_of(columns),
        "rows": [dict(row) for row in rows],
        "notes": list(notes),
        "more": [{**table, "columns": titles_of(table["columns"])} for table in more],
        "pictures": shown,
    }
    BASELINES.mkdir(parents=True, exist_ok=True)
    path = BASELINES / f"{name}.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(plain_json(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def titles_of(columns: Columns) -> dict[str, str]:
    """Return the title of each column by its key."""
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}


def environment() -> dict[str, Any]:
    """Return the machine, the threads and the versions that a number was measured with."""
    import torch

    from synthkit import __version__

    versions = {"synthkit": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        **({"GPU": device} if device else {}),
        "versions": versions,
    }


def data_folder(given: str | None = None) -> Path:
    """Return the folder with the scans: as given, or from SYNTHKIT_DATA (with or without its subfolder scans)."""
    root = Path(given or os.environ.get("SYNTHKIT_DATA") or ROOT.parent / "shared" / "data")
    return root / "scans" if (root / "scans").is_dir() else root


def arguments(description: str | None, *, time_budget: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that every section has: --data, --seed and, where it trains, --time-budget."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", help="folder with the scans; default: the environment variable SYNTHKIT_DATA")
    parser.add_argument("--seed", type=int, default=0)
    if time_budget is not None:
        parser.add_argument("--time-budget", default=time_budget, help=f"of each fit, default {time_budget}")
    return parser


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found.group(1).strip() if found else platform.processor()
