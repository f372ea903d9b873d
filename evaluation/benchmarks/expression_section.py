"""Where the sections of the benchmarks of gene expression lie, and what their scripts share.

A script writes its section with `write_section` (see section_files.py); `expression_page.py` renders all of them to
docs/benchmarks-expression.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import section_files
from scipy import stats
from section_files import ROOT

from synthkit.evaluation.expression.suite import ExpressionSuite
from synthkit.evaluation.intervals import LEVEL
from synthkit.io.expression import read_expression
from synthkit.io.expression_set import ExpressionSet

BASELINES = ROOT / "evaluation" / "baselines" / "expression"
PICTURES = ROOT / "docs" / "images" / "expression"


def write_section(name: str, **content: Any) -> Path:
    """Write one section and its pictures; see `section_files.write_section`."""
    libraries = ("anndata", "imbalanced-learn")
    place = section_files.Place("synthkit-expression-benchmark", ROOT / "docs", BASELINES, PICTURES, libraries)
    return section_files.write_section(place, name, **content)


def arguments(description: str | None, *, time_budget: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with --data, --seeds and, where it trains, --time-budget."""
    parser = section_files.arguments(description, "the .h5ad files", time_budget=time_budget)
    parser.add_argument("--seeds", type=int, default=3, help="splits into halves, each with its own fits; default 3")
    return parser


data_folder = partial(section_files.data_folder, "expression")


def cells_of(name: str, given: str | None) -> ExpressionSet:
    """Return the cells of one of the files."""
    return read_expression(data_folder(given) / name).data


def halves(cells: ExpressionSet, label: str, seed: int) -> tuple[ExpressionSet, ExpressionSet]:
    """Return two halves of the cells, of each class alike; an odd cell goes to the first."""
    rng = np.random.default_rng([seed, 8])
    labels = cells.cells[label].astype(str).to_numpy()
    first = np.zeros(len(cells), bool)
    for name in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == name))
        first[own[: (len(own) + 1) // 2]] = True
    return cells.take(first), cells.take(~first)


def suite_of(names: Sequence[str]) -> ExpressionSuite:
    """Return a suite of these scores without gates."""
    return ExpressionSuite(name="benchmark", metrics=tuple(names))


def over_seeds(values: Sequence[float]) -> list[float] | float | None:
    """Return the mean with the smallest and the largest value; the value alone where there is one."""
    found = [value for value in values if np.isfinite(value)]
    if len(found) < 2:
        return found[0] if found else None
    return [float(np.mean(found)), min(found), max(found)]


def with_interval(values: Sequence[float]) -> list[float] | float:
    """Return the mean with its 95 % interval over the seeds (Student's t); the value alone where there is one."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return [mean, mean - half, mean + half]
