from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthkit.errors import ConditionError
from synthkit.random import RandomSource
from synthkit.tables.gan import TableGAN
from synthkit.tables.variation import Variation, can_vary

ROWS = 400


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rare = np.arange(ROWS) < 80
    x = random.normal(size=ROWS) + 3 * rare
    return pd.DataFrame(
        {
            "x": np.round(x, 2),
            "twice": np.round(2 * x + 0.1 * random.normal(size=ROWS), 2),
            "count": random.integers(0, 30, ROWS) + 10 * rare,
            "town": random.choice(["Bern", "Basel", "Thun"], ROWS),
            "gap": np.where(random.random(ROWS) < 0.3, np.nan, np.round(random.normal(size=ROWS), 1)),
            "class": np.where(rare, "rare", "common"),
        }
    )


@pytest.fixture(scope="module", params=[False, True], ids=["codes", "refined"])
def model(frame: pd.DataFrame, request: pytest.FixtureRequest) -> TableGAN:
    options = {"refine": request.param, "adversary": "off", "n_codes": 12, "time_budget": None, "verbose": False}
    return TableGAN(random_state=0, **options).fit(frame, target="class")


def varied(model: TableGAN, rows: pd.DataFrame, where: dict, seed: int = 0, **options: int) -> pd.DataFrame:
    return Variation(model._learned(), where, RandomSource(seed), **options).rows(rows)


def test_conditions_hold_and_types_are_kept(frame: pd.DataFrame, model: TableGAN) -> None:
    rare = frame[frame["class"] == "rare"]
    found = varied(model, pd.concat([rare] * 5), {"class": "rare"})
    assert len(found) == 400
    assert (found["class"] == "rare").all()
    assert found.dtypes.to_dict() == frame.dtypes.to_dict()
    assert (found["x"].round(2) == found["x"]).all()
    inside = varied(model, frame[frame["x"].between(0, 1)], {"x": (0, 1)})
    assert inside["x"].between(0, 1).all()


def test_most_rows_change_but_few_cells_do(frame: pd.DataFrame, model: TableGAN) -> None:
    rare = frame[frame["class"] == "rare"].reset_index(drop=True)
    found = varied(model, rare, {"class": "rare"}, moves=1)
    same = (found.fillna(-99) == rare.fillna(-99)).drop(columns="class")
    assert same.all(axis=1).mean() < 0.4
    assert same.to_numpy().mean() > 0.3


def test_more_steps_lead_further_away(frame: pd.DataFrame, model: TableGAN) -> None:
    rare = frame[frame["class"] == "rare"].reset_index(drop=True)
    kept = []
    for moves in (1, 4, 20):
        found = varied(model, rare, {"class": "rare"}, moves=moves)
        kept.append((found["x"] == rare["x"]).mean())
    assert kept[0] > kept[1] > kept[2]


def test_chains_go_towards_the_law_of_the_class(frame: pd.DataFrame, model: TableGAN) -> None:
    """Wherever they start: here at one and the same row."""
    rare = frame[frame["class"] == "rare"]
    start = rare.iloc[[rare["x"].argmax()]]
    found = varied(model, pd.concat([start] * 300), {"class": "rare"}, moves=40)
    drawn = model.sample(2_000, where={"class": "rare"}, random_state=1)
    assert found["x"].mean() == pytest.approx(drawn["x"].mean(), abs=0.5)
    assert found["count"].std() == pytest.approx(drawn["count"].std(), rel=0.3)


def test_the_same_seed_gives_the_same_rows(frame: pd.DataFrame, model: TableGAN) -> None:
    rare = frame[frame["class"] == "rare"]
    first, again, other = (varied(model, rare, {"class": "rare"}, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_rows_that_the_model_cannot_read_are_left_out(frame: pd.DataFrame, model: TableGAN) -> None:
    rare = frame[frame["class"] == "rare"].reset_index(drop=True)
    odd = rare.astype({"town": object})
    odd.loc[0, "town"] = "Genf"
    odd.loc[1, "class"] = "common"
    assert len(varied(model, odd, {"class": "rare"})) == len(rare) - 2
    assert len(varied(model, rare.head(0), {"class": "rare"})) == 0


def test_unknown_conditions_are_told(frame: pd.DataFrame, model: TableGAN) -> None:
    with pytest.raises(ConditionError, match="'rara'"):
        varied(model, frame, {"class": "rara"})


def test_who_can_vary(frame: pd.DataFrame, model: TableGAN) -> None:
    assert can_vary(model._learned())
    network = TableGAN(generator="network", time_budget="1s", random_state=0, verbose=False).fit(frame)
    assert not can_vary(network._learned())
