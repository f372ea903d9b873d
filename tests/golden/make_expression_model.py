"""Writes the golden models of expression and what they draw: ``python tests/golden/make_expression_model.py``.

One has the counts of single cells, one those of bulk samples, which follow another law.

Run it once per version of the part about expression. A later version of synthkit must open the model of every version,
and draw cells of the same form; the samples themselves are the same up to rounding. Once a version is released its
files never change.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from synthkit.expression.gan import ExpressionGAN
from synthkit.expression.latent_nets import LatentGenerator
from synthkit.expression.storage import VERSION
from synthkit.io.expression_set import ExpressionSet
from synthkit.random import RandomSource

HERE = Path(__file__).parent
N, GENES = 360, 12
LIBRARIES = {"": 4.0, "bulk-": 9.0}
"""Logarithm of the middle library size of each kind of golden model."""


def made_up(library: float) -> ExpressionSet:
    """Counts of two types on two plates, with two programs that are not normal, an age, and annotations of all kinds.

    Uneven classes and skewed programs give all parts of a model something to do.
    """
    rng = np.random.default_rng(42)
    kind, plate = rng.choice(2, N, p=(0.7, 0.3)), rng.integers(0, 2, N)
    program = rng.exponential(1.0, (N, 2)) * np.where(rng.random((N, 2)) < 0.5, 0.2, 1.5)
    logs = np.tile(np.linspace(-2, 3, GENES), (N, 1))
    logs[:, :3] += 2.0 * kind[:, None]
    logs[:, 3:7] += program[:, :1]
    logs[:, 7:11] -= program[:, 1:]
    logs[:, 11] = np.where((program > 1).all(1) != (program < 0.3).all(1), 5.0, -5.0)
    logs[:, ::4] += 0.3 * plate[:, None]
    rates = np.exp(logs)
    counts = rng.poisson(rates / rates.sum(1, keepdims=True) * rng.lognormal(library, 0.4, (N, 1)))
    cells = pd.DataFrame(
        {
            "cell_type": pd.Categorical(np.array(["B", "T cell"])[kind], ["T cell", "B", "never"]),
            "plate": plate + 1,
            "age": rng.integers(20, 80, N).astype(np.float64),
        },
        index=[f"cell {k}" for k in range(N)],
    )
    genes = pd.DataFrame(
        {
            "symbol": [f"G{k}" if k else None for k in range(GENES)],
            "biotype": pd.Categorical(["coding", "other"] * (GENES // 2)),
            "length": pd.array([None, *range(1, GENES)], dtype="Int64"),
            "mitochondrial": np.arange(GENES) == 3,
        },
        index=[f"ENSG{k:011d}" for k in range(GENES)],
    )
    return ExpressionSet(sparse.csr_matrix(counts.astype(np.int32)), genes, cells)


def make(kind: str) -> None:
    """Write the model of a kind and its draws."""
    gan = ExpressionGAN("cwgan", factors=3, steps=1, random_state=0, time_budget=None, device="cpu", verbose=False)
    gan.fit(made_up(LIBRARIES[kind]), label="cell_type", batch="plate", covariates=["age"])
    # one step of a game is not kept: a generator is put in all the same, so that the file holds every part
    model = gan._fitted.model
    generator = LatentGenerator(model.anchor.means.shape[1], (2, 2, 1), RandomSource(1).torch("generator"))
    torch.nn.init.constant_(generator.move.bias, 0.05)
    gan._fitted.model = replace(model, generator=generator.eval())
    arrays = gan._fitted.model.state()[1]
    for part in ("anchor", "generator", "margins", "refinement"):
        if not any(name.startswith(part) for name in arrays):
            raise SystemExit(f"the model has no {part}: other cells are needed")
    path = HERE / f"expression-{kind}v{VERSION}.synth"
    gan.save(path)
    drawn = gan.sample(40, random_state=1)
    np.savez_compressed(
        path.with_suffix(".npz"),
        values=drawn.values.toarray(),
        types=drawn.cells["cell_type"].astype(str).to_numpy().astype("U"),
        plates=drawn.cells["plate"].to_numpy(),
        ages=drawn.cells["age"].to_numpy(),
    )


if __name__ == "__main__":
    for kind in LIBRARIES:
        make(kind)
