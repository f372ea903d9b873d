"""Render docs/benchmarks-scans.md from the sections in evaluation/baselines/scans.

    python evaluation/benchmarks/scans_page.py

Every script of the scan benchmarks leaves one section (see scans_section.py); those that are not there are named as not
measured. Nothing is measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import section_page
from scans_section import BASELINES, ROOT

PAGE = ROOT / "docs" / "benchmarks-scans.md"
ORDER = (
    "dicom",
    "reading",
    "mednist",
    "mednist-10m",
    "pneumonia",
    "hippocampus",
    "translation",
    "anomaly",
    "memorisation",
    "privacy",
    "metrics",
)
EXPECTED = tuple(name for name in ORDER if name != "mednist-10m")
HEAD = """# Benchmarks of scans

<!-- Written by evaluation/benchmarks/scans_page.py from evaluation/baselines/scans. Do not edit. -->

What was measured on real scans, also where it is bad for us. `make bench-scans` repeats all of it (`SYNTHKIT_DATA`
names the folder with the data); the command of each section repeats that section. Where a number stands with a range in
brackets, that is its 95 % interval. Scores of distance depend on the extractor and on the number of scans: compare them
with their controls, never with numbers of another section or paper.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    section_page.write_page(PAGE, page(sections(BASELINES)))


def sections(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the content of each section by name, in the order of the page; one that is no section is left out."""
    return section_page.sections(folder, ORDER)


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page as Markdown."""
    return section_page.page(found, HEAD, EXPECTED)


if __name__ == "__main__":
    main()
