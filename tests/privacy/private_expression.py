"""Small private counts of donors, and models of expression that were fitted under a budget."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit import PrivacyBudget
from synthkit.archive import Archive, read_archive, write_archive
from synthkit.expression.private_fit import fit_privately
from synthkit.io.expression_set import ExpressionSet

CLASSES = ("B", "T")
BUDGET = PrivacyBudget(10.0, 1e-4)
DECLARED: dict[str, Any] = {"label": "cell_type", "donor": "donor", "classes": CLASSES, "records": 120}
GENES = 30


def cells_of_donors(donors: int = 120, each: int = 3, seed: int = 0) -> ExpressionSet:
    """Two types of cells, told apart by the first ten genes; every donor has some of one type or of both."""
    rng = np.random.default_rng(seed)
    n = donors * each
    types = rng.integers(0, 2, n)
    rates = np.exp(np.linspace(0, 4, GENES)) * np.ones((n, 1))
    rates[types == 1, :10] *= 20
    depths = rng.uniform(300, 3000, (n, 1))
    counts = rng.poisson(rates / rates.sum(1, keepdims=True) * depths)
    cells = pd.DataFrame(
        {
            "cell_type": pd.Categorical(np.array(CLASSES)[types]),
            "donor": [f"P{i:03d}" for i in np.repeat(np.arange(donors), each)],
        },
        index=pd.Index([f"cell{i}" for i in range(n)]),
    )
    genes = pd.DataFrame({"mean": counts.mean(0)}, index=pd.Index([f"g{i}" for i in range(GENES)]))
    return ExpressionSet(sparse.csr_matrix(counts), genes, cells)


def fitted(data: ExpressionSet | None = None, **changes: Any) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Fit privately with what is declared; changes go to the call, those of settings by their name."""
    given = {**DECLARED, "loadings": "random:4", "privacy": BUDGET, **changes}
    settings = {name: given.pop(name) for name in list(given) if name not in _CALL}
    return fit_privately(cells_of_donors() if data is None else data, settings, **given)


_CALL = ("label", "donor", "loadings", "classes", "records", "ledger", "reproducible_noise")


def save(path: Path, made: tuple[Any, Any, dict[str, Any], dict[str, Any]], settings: dict[str, Any]) -> Path:
    """Write a model file of what a fit returned."""
    space, model, report, privacy = made
    values, arrays = model.state()
    manifest = {
        "kind": "expression", "expression_version": 1, "settings": settings, "space": space.to_dict(),
        "model": {"name": model.name, "values": values}, "report": report, "privacy": privacy,
    }  # fmt: skip
    write_archive(path, manifest, tensors={"model": arrays}, texts={})
    return path


@cache
def expression_model(**changes: Any) -> bytes:
    """The file of a private model."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = save(Path(folder) / "model.synth", fitted(**changes), {"model": "private-moments"})
        return path.read_bytes()


def changed_model(change: Callable[[Archive], None], folder: Path) -> Path:
    """Write a model file with a part of it changed."""
    path = folder / "model.synth"
    path.write_bytes(expression_model())
    parts = copy.deepcopy(read_archive(path))
    change(parts)
    for name in ("format", "format_version", "created_with", "files", "checksum"):
        parts.manifest.pop(name, None)
    write_archive(path, parts.manifest, tensors=parts.tensors, texts=parts.texts)
    return path
