"""Writes the golden model and rows that it gives: ``python tests/golden/make_model.py``, once per format version.

A later version of synthkit must open the model of every format version and give a table of the same columns and law;
the rows themselves are only the same under the versions of numpy and LightGBM that wrote them.
"""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

from synthkit import TableGAN
from synthkit.archive import FORMAT_VERSION
from synthkit.gan.population import Particles

HERE = Path(__file__).parent


def people(rows: int = 900) -> pd.DataFrame:
    """Made-up rows with a column of most kinds."""
    rng = np.random.default_rng(42)
    age = rng.integers(18, 80, rows)
    rich = rng.random(rows) < np.where(age > 40, 0.4, 0.1)
    return pd.DataFrame(
        {
            "id": np.arange(1, rows + 1),
            "age": age,
            "wage": np.where(
                rng.random(rows) < 0.1, np.nan, np.round(50 * age + rng.gamma(3, 50, rows) + 900 * rich, 2)
            ),
            "town": pd.Series(rng.choice(["Bern", "Basel", "Thun"], rows)).mask(rng.random(rows) < 0.1),
            "member": rng.random(rows) < 0.4,
            "joined": pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
            "level": pd.Categorical(rng.choice(["low", "mid", "top"], rows), ["low", "mid", "top"], ordered=True),
            "country": "CH",
            "income": np.where(rich, ">50K", "<=50K"),
        }
    )


if __name__ == "__main__":
    gan = TableGAN(n_codes=1, adversary="off", random_state=0, verbose=False).fit(people(), target="income")
    # a part of the trees and chains is enough to see that they are read
    fitted = gan._fitted
    fitted.ratio.rounds = fitted.ratio.rounds[:2]
    predictor = fitted.ratio.predictor
    predictor.models = [
        lightgbm.Booster(model_str=model.model_to_string(num_iteration=3)) for model in predictor.models
    ]
    fitted.particles = Particles(*(array[:400] for array in astuple(fitted.particles)))
    gan.save(HERE / f"table-v{FORMAT_VERSION}.synth")
    gan.sample(20, random_state=1).to_csv(HERE / f"table-v{FORMAT_VERSION}-refined.csv", index=False)
    gan.sample(20, random_state=1, refined=False).to_csv(HERE / f"table-v{FORMAT_VERSION}-raw.csv", index=False)
