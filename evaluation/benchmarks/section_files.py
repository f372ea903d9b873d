"""The small format in which each part of a benchmark of scans or of gene expression leaves what it measured.

A section is one JSON file; `section_page.py` renders all sections of a kind to one page. `scans_section.py` and
`expression_section.py` say where they lie.

Cells are text, numbers, a list of three numbers (value, lower, upper end of the 95 % interval), True/False (met or not)
or None (nothing).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path
from synthkit.plain_json import plain_json

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn")

Columns = Sequence[str] | Mapping[str, str]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Place:
    """Where the sections of a kind lie, and how they are marked.

    Attributes
    ----------
    form
        Name of the format.
    docs, baselines, pictures
        Folders: of the pages, of the sections, of the pictures.
    libraries
        Further libraries whose versions are told.
    """

    form: str
    docs: Path
    baselines: Path
    pictures: Path
    libraries: tuple[str, ...] = ()


def write_section(
    place: Place,
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
    place
        Where it goes.
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
        path = place.pictures / f"{name}-{label}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(png)
        shown.append({"file": path.relative_to(place.docs).as_posix(), "caption": caption})
    content = {
        "format": place.form,
        "format_version": 1,
        "title": title,
        "command": command,
        "facts": {**facts, **environment(place.libraries)},
        "columns": titles_of(columns),
        "rows": [dict(row) for row in rows],
        "notes": list(notes),
        "more": [{**table, "columns": titles_of(table["columns"])} for table in more],
        "pictures": shown,
    }
    place.baselines.mkdir(parents=True, exist_ok=True)
    path = place.baselines / f"{name}.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(plain_json(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def titles_of(columns: Columns) -> dict[str, str]:
    """Return the title of each column by its key."""
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}


def environment(libraries: Sequence[str] = ()) -> dict[str, Any]:
    """Return the machine, the threads and the versions that a number was measured with."""
    import torch

    from synthkit import __version__

    versions = {"synthkit": __version__, "python": platform.python_version()}
    for library in (*LIBRARIES, *libraries):
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


def data_folder(kind: str, given: str | None = None) -> Path:
    """Return the folder with the data: as given, or from SYNTHKIT_DATA (with or without the subfolder of the kind)."""
    root = Path(given or os.environ.get("SYNTHKIT_DATA") or ROOT.parent / "shared" / "data")
    return root / kind if (root / kind).is_dir() else root


def arguments(description: str | None, what: str, *, time_budget: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that every section has: --data, --seed and, where it trains, --time-budget."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", help=f"folder with {what}; default: the environment variable SYNTHKIT_DATA")
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
