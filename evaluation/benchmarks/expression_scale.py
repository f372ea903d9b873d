"""20,000 genes by 20,000 cells, simulated from real moments: seconds and memory of a fit and of 20,000 drawn cells.

    python evaluation/benchmarks/expression_scale.py

Shares and dispersions of genes and library sizes are those of the Kang cells, and fold changes of types are those of
the PBMC; genes are resampled to the number asked for. Cells of a type differ along five directions too. Everything is
counted in a process of its own that reads an .h5ad file, fits, draws, and writes an .h5ad file.

Writes evaluation/baselines/expression/scale.json.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from expression_section import arguments, cells_of, write_section
from scipy import sparse

from synthkit import ExpressionGAN
from synthkit.io.expression import read_expression
from synthkit.io.expression_set import ExpressionSet
from synthkit.io.expression_write import write_expression

MOST_GIB, MOST_MINUTES = 4.0, 15.0
LABEL = "cell_type"
CHUNK = 500
DIRECTIONS, SPREAD = 5, 0.25


def main() -> None:
    options = parsed()
    if options.part == "simulate":
        write_expression(simulated(options), options.real, provenance={"simulated": True}, replace=True)
        return
    if options.part == "run":
        print(json.dumps(measured(options)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        real = Path(folder) / "real.h5ad"
        part(options, "simulate", real)
        print(f"simulated, {real.stat().st_size / 1e6:.0f} MB", flush=True)
        for model in options.models:
            rows.append(json.loads(part(options, "run", real, model).splitlines()[-1]))
            print(rows[-1], flush=True)
    write(rows, options)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__, time_budget="10m")
    parser.add_argument("--models", nargs="*", default=["cwgan"])
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--part", choices=("simulate", "run"), help=argparse.SUPPRESS)
    parser.add_argument("--real", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def part(options: argparse.Namespace, name: str, real: Path, model: str = "cwgan") -> str:
    """Run this script in a process of its own and return what it says."""
    command = [sys.executable, __file__, "--part", name, "--real", str(real), "--models", model]
    command += ["--cells", str(options.cells), "--genes", str(options.genes), "--seed", str(options.seed)]
    command += ["--time-budget", options.time_budget]
    if options.data:
        command += ["--data", options.data]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def simulated(options: argparse.Namespace) -> Iterator[ExpressionSet]:
    """Yield simulated cells."""
    rng = np.random.default_rng([options.seed, 20])
    kang, pbmc = (cells_of(name, options.data) for name in ("kang_pbmc_2000x9015.h5ad", "pbmc10x_4271x2000.h5ad"))
    totals = kang.totals()
    counts = sparse.csr_matrix(kang.values, dtype=np.float64)
    shares = np.asarray(counts.sum(0)).ravel() / totals.sum()
    # sum of (x - T p)^2 - x is, in expectation, the dispersion times the sum of (T p)^2
    squares = np.asarray(counts.multiply(counts).sum(0)).ravel()
    weighted = np.asarray(counts.T @ totals).ravel()
    scale = shares**2 * (totals**2).sum()
    excess = squares - 2 * shares * weighted + scale - shares * totals.sum()
    dispersions = np.clip(excess / (scale + 5), 0.01, 5)
    labels = pbmc.cells[LABEL].astype(str).to_numpy()
    types, sizes = np.unique(labels, return_counts=True)
    sums = np.stack([np.asarray(pbmc.values[labels == one].sum(0), np.float64).ravel() for one in types])
    pooled = (sums.sum(0) + 1) / sums.sum()
    changes = np.log((sums + 20 * pooled) / (sums.sum(1, keepdims=True) + 20) / pooled)
    genes = rng.integers(len(shares), size=options.genes)
    own_shares = shares[genes] * np.exp(0.2 * rng.standard_normal(options.genes))
    own_changes = changes[:, rng.integers(changes.shape[1], size=options.genes)]
    loadings = SPREAD * rng.standard_normal((DIRECTIONS, options.genes))
    frame = pd.DataFrame(index=[f"gene {at:05d}" for at in range(options.genes)])
    for start in range(0, options.cells, CHUNK):
        n = min(CHUNK, options.cells - start)
        codes = rng.choice(len(types), n, p=sizes / sizes.sum())
        rates = own_shares * np.exp(own_changes[codes] + rng.standard_normal((n, DIRECTIONS)) @ loadings)
        rates *= (rng.choice(totals, n) / rates.sum(1))[:, None]
        shape = 1 / dispersions[genes]
        values = rng.poisson(rng.gamma(np.broadcast_to(shape, rates.shape), rates / shape))
        named = pd.Categorical(types[codes], categories=types)
        cells = pd.DataFrame({LABEL: named}, index=[f"cell {start + at}" for at in range(n)])
        yield ExpressionSet(sparse.csr_matrix(values, dtype=np.int32), frame, cells)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, draw and write; return seconds and memory."""
    [model] = options.models
    loaded = peak_memory()
    began = time.monotonic()
    cells = read_expression(options.real).data
    read = time.monotonic()
    filled = cells.values.nnz / np.prod(cells.values.shape)
    gan = ExpressionGAN(model, random_state=options.seed, time_budget=options.time_budget, verbose=True)
    gan.fit(cells, label=LABEL)
    fitted, after_fit = time.monotonic(), peak_memory()
    stages = {name: gan.report_.get(name) or {} for name in ("factors_stage", "game")}
    made = options.real.with_name("synthetic.h5ad")
    n = write_expression(gan.iter_sample(options.cells, random_state=0), made, provenance={"model": model})
    done = time.monotonic()
    return {
        "model": gan.model_,
        "asked for": model,
        "seconds of reading": read - began,
        "seconds of the fit": fitted - read,
        "seconds of drawing and writing": done - fitted,
        "minutes in all": (done - began) / 60,
        "minutes of the processor": time.process_time() / 60,
        "GiB before reading": loaded,
        "GiB after the fit": after_fit,
        "GiB at most": peak_memory(),
        "cells": n,
        "filled, real": float(filled),
        **{f"steps, {name}": one.get("steps") for name, one in stages.items()},
        "game kept": stages["game"].get("best_step", 0) > 0,
        "refined": gan.report_.get("refined"),
        **checked(made),
    }


def checked(path: Path) -> dict[str, Any]:
    """Return what the file holds, a block at a time."""
    import h5py

    with h5py.File(path) as file:
        matrix = file["X"]
        stored, n, genes = matrix["data"], *matrix.attrs["shape"]
        low = min(int(stored[at : at + 10**7].min()) for at in range(0, len(stored), 10**7))
        return {
            "form": f"{matrix.attrs['encoding-type']} of {stored.dtype}",
            "smallest stored value": low,
            "filled, synthetic": float(len(stored) / (int(n) * int(genes))),
        }


def peak_memory() -> float:
    """Return the largest resident memory of this process in GiB."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
    return int(found.group(1)) / 2**20 if found else float("nan")


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    for row in rows:
        row["memory met"] = row["GiB at most"] < MOST_GIB
        row["time met"] = row["minutes in all"] < MOST_MINUTES
        row["sparse whole numbers"] = row["form"] == "csr_matrix of int32" and row["smallest stored value"] >= 1
    write_section(
        "scale",
        title=f"{options.genes:,} genes by {options.cells:,} cells: time and memory",
        command="OMP_NUM_THREADS=1 python evaluation/benchmarks/expression_scale.py "
        f"--models {' '.join(options.models)} --time-budget {options.time_budget}",
        facts={
            "cells": options.cells,
            "genes": options.genes,
            "values above zero": f"{rows[0]['filled, real']:.1%} of the simulated, "
            f"{rows[0]['filled, synthetic']:.1%} of the drawn",
            "time budget of a fit": options.time_budget,
            "seed": options.seed,
            "file": rows[0]["form"],
        },
        columns={
            "model": "model",
            "minutes in all": "minutes in all",
            "time met": f"less than {MOST_MINUTES:.0f} minutes",
            "minutes of the processor": "minutes of the processor",
            "GiB at most": "most memory, GiB",
            "memory met": f"less than {MOST_GIB:.0f} GiB",
            "sparse whole numbers": "sparse whole numbers",
            "seconds of reading": "seconds of reading",
            "seconds of the fit": "of the fit",
            "seconds of drawing and writing": "of drawing and writing",
            "GiB after the fit": "memory after the fit, GiB",
            "steps, factors_stage": "steps of the factors",
            "steps, game": "steps of the game",
            "game kept": "game kept",
            "refined": "refined",
            "GiB before reading": "memory before reading, GiB",
        },
        rows=rows,
        notes=[
            "Where minutes of the processor (one thread, starting and checking included) are much fewer than those in "
            "all, something else ran beside it.",
            "Memory is the largest resident memory of the whole process, libraries included. As a dense matrix of "
            f"float32 the cells alone would take {options.cells * options.genes * 4 / 2**30:.1f} GiB.",
            "The cells are simulated: their likeness is not judged here. The game is kept where it comes nearer to "
            "cells set aside than the moments of the types that it starts from.",
        ],
    )


if __name__ == "__main__":
    main()
