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
from functools import partial
from pathlib import Path
from typing import Any

import section_files
from section_files import ROOT

BASELINES = ROOT / "evaluation" / "baselines" / "scans"
PICTURES = ROOT / "docs" / "images" / "scans"


def write_section(name: str, **content: Any) -> Path:
    """Write one section and its pictures; see `section_files.write_section`."""
    place = section_files.Place("synthkit-scan-benchmark", ROOT / "docs", BASELINES, PICTURES, ("pydicom",))
    return section_files.write_section(place, name, **content)


def arguments(description: str | None, *, time_budget: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that every section has: --data, --seed and, where it trains, --time-budget."""
    return section_files.arguments(description, "the scans", time_budget=time_budget)


data_folder = partial(section_files.data_folder, "scans")
