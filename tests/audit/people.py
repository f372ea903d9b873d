"""Small tables that the tests of the audit share: real rows, held-out rows, and releases of known quality."""

from __future__ import annotations

import numpy as np
import pandas as pd


def people(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    return pd.DataFrame(
        {
            "age": age,
            "wage": np.round(40 * age + rng.gamma(2, 400, rows), 1),
            "town": rng.choice(["Bern", "Basel", "Thun"], rows, p=[0.6, 0.3, 0.1]),
            "ill": np.where(rng.random(rows) < age / 160, "yes", "no"),
        }
    )
