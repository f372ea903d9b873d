"""What the commands of the benchmarks share: where the data is, where results go, and how they are written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path

ROOT = Path(__file__).resolve().parent.parent.parent


def add_results(parser: argparse.ArgumentParser, record: str, page: str) -> None:
    """Add ``--render``, ``--out`` and ``--docs`` for a record in evaluation/baselines/ and a page in docs/."""
    parser.add_argument("--render", action="store_true", help="run nothing, write the page from the record")
    parser.add_argument("--out", type=Path, default=ROOT / "evaluation" / "baselines" / record)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / page)


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; the folder with the data may be left out only where nothing is run."""
    options = parser.parse_args()
    if options.data is None and not options.render:
        parser.error("--data FOLDER is needed (or the variable SYNTHKIT_DATA)")
    return options


def write_runs(path: Path, machine: dict[str, Any], runs: Sequence[dict[str, Any]]) -> None:
    """Write the record of a benchmark, all of it or nothing."""
    content = {"format_version": 1, "machine": machine, "runs": list(runs)}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
