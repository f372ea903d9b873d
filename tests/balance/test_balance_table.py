from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthkit.balance import Balanced, balance_table
from synthkit.errors import InputError, SchemaError
from synthkit.schema import Schema
from synthkit.schema_constraints import Inequality, Total
from synthkit.tables.gan import TableGAN

ROWS = 500


def people() -> pd.DataFrame:
    random = np.random.default_rng(3)
    rare = random.random(ROWS) < 0.2
    tiny = ~rare & (np.arange(ROWS) % 40 == 0)
    frame = pd.DataFrame(
        {
            "id": np.arange(1000, 1000 + ROWS),
            "code": [f"AB-{row:05d}" for row in range(ROWS)],
            "age": random.integers(18, 90, ROWS) // (1 + rare),
            "hours": np.round(random.normal(40, 5, ROWS) + 8 * rare, 2),
            "score": pd.array(np.where(random.random(ROWS) < 0.1, pd.NA, random.integers(0, 9, ROWS)), dtype="Int64"),
            "gap": np.where(random.random(ROWS) < 0.2, np.nan, np.round(random.normal(size=ROWS), 1)),
            "town": pd.Categorical(random.choice(["Bern", "Basel"], ROWS), categories=["Bern", "Basel", "Genf"]),
            "member": random.random(ROWS) < 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 400, ROWS), unit="D"),
            "note": [" ".join(random.choice(list("abcdefgh"), 9)) + f" in sentence {row}" for row in range(ROWS)],
            "weight": random.normal(70, 9, ROWS).astype(np.float32),
            "class": np.where(rare, "rare", np.where(tiny, "tiny", "common")),
        }
    )
    frame.loc[[3, 7], "class"] = None
    return frame


def small_gan(**options: object) -> TableGAN:
    return TableGAN(
        time_budget=None, refine=False, adversary="off", n_codes=8, random_state=0, verbose=False, **options
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return people()


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> TableGAN:
    with pytest.warns(UserWarning, match="free text"):
        return small_gan().fit(frame, target="class")


def balance(frame: pd.DataFrame, *arguments: object, **options: object) -> Balanced:
    """Balance, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return balance_table(frame, *arguments, **{"random_state": 0, "verbose": False, **options})


WAYS = {"varied": {}, "from scratch": {"moves": 0}, "interpolated": {"smallest": 10_000}}


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_real_rows_first_counts_exact_types_kept(frame: pd.DataFrame, model: TableGAN, options: dict) -> None:
    found = balance(frame, "class", model=model, **options)
    pd.testing.assert_frame_equal(found.frame.head(ROWS), frame)
    assert found.frame.dtypes.to_dict() == frame.dtypes.to_dict()
    counts = frame["class"].value_counts()
    assert found.frame["class"].value_counts().to_dict() == dict.fromkeys(counts.index, counts.max())
    assert found.frame["class"].isna().sum() == 2
    assert found.frame["id"].is_unique
    assert found.frame["code"].is_unique
    np.testing.assert_array_equal(found.synthetic, np.arange(len(found.frame)) >= ROWS)
    new = found.frame[found.synthetic]
    assert new["note"].isna().all()
    assert (new["hours"].round(2) == new["hours"]).all()
    assert set(new["town"].dropna()) <= {"Bern", "Basel"}
    assert (new["code"].str.fullmatch(r"AB-\d{5}")).all()


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_no_new_row_equals_a_real_one(frame: pd.DataFrame, model: TableGAN, options: dict) -> None:
    found = balance(frame, "class", model=model, **options)
    columns = [name for name in frame if name not in ("id", "code", "note", "class")]
    keys = pd.util.hash_pandas_object(found.frame[columns].astype(str), index=False)
    assert not set(keys[found.synthetic]) & set(keys[~found.synthetic])


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_the_same_seed_gives_the_same_rows(frame: pd.DataFrame, model: TableGAN, options: dict) -> None:
    first, again, other = (
        balance(frame, "class", model=model, random_state=seed, **options).frame for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_small_classes_are_interpolated_and_it_is_said(frame: pd.DataFrame, model: TableGAN) -> None:
    with pytest.warns(UserWarning, match=r"fewer than 50: 'tiny' \(\d+ rows\); new rows are interpolated"):
        found = balance_table(frame, "class", model=model, random_state=0)
    by_name = {one["name"]: one for one in found.report["groups"]}
    assert by_name["tiny"]["source"] == "interpolation"
    assert by_name["rare"]["source"] == "model, from real rows"
    assert by_name["common"]["added"] == 0
    new = found.frame[found.synthetic & (found.frame["class"] == "tiny")]
    real = frame[frame["class"] == "tiny"]
    for name in ("age", "hours", "day", "weight"):
        assert new[name].between(real[name].min(), real[name].max()).all()
    assert (new["day"].dt.normalize() == new["day"]).all()


def test_the_report_counts_and_is_plain(frame: pd.DataFrame, model: TableGAN) -> None:
    report = balance(frame, "class", model=model).report
    assert json.loads(json.dumps(report)) == report
    assert report["rows"] == ROWS
    assert report["without_target"] == 2
    assert report["synthetic"] == sum(one["added"] for one in report["groups"])
    for one in report["groups"]:
        kept = one["kept_unlike"] + one["kept_copies"]
        left = one["drawn"] - one["unlike"] - one["copies"] - one["violations"] + kept
        assert left >= one["added"]
    rare = next(one for one in report["groups"] if one["name"] == "rare")
    assert 0 < rare["unlike"] < 0.5 * rare["drawn"]


def test_without_rejection_only_copies_are_rejected(frame: pd.DataFrame, model: TableGAN) -> None:
    groups = balance(frame, "class", model=model, rejection=0.0).report["groups"]
    assert sum(one["unlike"] for one in groups) == 0


def test_a_model_may_be_a_path(frame: pd.DataFrame, model: TableGAN, tmp_path: Path) -> None:
    model.save(tmp_path / "people.synth")
    first = balance(frame, "class", model=tmp_path / "people.synth").frame
    pd.testing.assert_frame_equal(first, balance(frame, "class", model=model).frame)


def test_without_a_model_one_is_fitted() -> None:
    frame = people()[["age", "hours", "member", "class"]].dropna()
    found = balance(frame, "class", counts={"rare": 150}, time_budget="2s")
    assert found.report["fitted"]
    assert found.frame["class"].value_counts()["rare"] == 150


def test_a_classical_network_draws_from_scratch() -> None:
    frame = people()[["age", "hours", "member", "class"]].dropna()
    network = TableGAN(generator="network", time_budget="2s", random_state=0, verbose=False).fit(frame, target="class")
    found = balance(frame, "class", model=network, counts={"rare": 130})
    assert next(one["source"] for one in found.report["groups"] if one["added"]) == "model, from scratch"
    assert found.frame["class"].value_counts()["rare"] == 130


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.integers(0, 150), ratio=st.floats(0.03, 1))
def test_classes_reach_what_is_asked_and_never_shrink(wanted: int, ratio: float) -> None:
    frame = people()[["hours", "gap", "class"]].dropna(subset="class").reset_index(drop=True)
    counts = frame["class"].value_counts()
    for options in ({"counts": {"tiny": int(counts["tiny"]) + wanted}}, {"ratio": ratio}):
        found = balance(frame, "class", smallest=10_000, rejection=0.0, **options)
        after = found.frame["class"].value_counts()[counts.index]
        assert (after >= counts).all()
        if "counts" in options:
            assert after["tiny"] == counts["tiny"] + wanted
        else:
            assert after.min() >= min(int(np.ceil(ratio * counts.max())), counts.max())
        pd.testing.assert_frame_equal(found.frame.head(len(frame)), frame)


def test_a_balanced_table_comes_back_as_it_is() -> None:
    frame = pd.DataFrame({"x": np.arange(40.0), "class": ["a", "b"] * 20})
    found = balance_table(frame, "class", random_state=0)
    pd.testing.assert_frame_equal(found.frame, frame)
    assert not found.synthetic.any()


# ---------- constraints


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_constraints_of_the_schema_hold_in_every_new_row(options: dict) -> None:
    random = np.random.default_rng(0)
    start = random.integers(0, 50, 400)
    frame = pd.DataFrame({"start": start, "end": start + random.integers(0, 20, 400)})
    frame["sum"] = frame["start"] + frame["end"]
    frame["class"] = np.where(random.random(400) < 0.2, "rare", "common")
    rules = Inequality(low="start", high="end"), Total(column="sum", parts=("start", "end"))
    schema = Schema.infer(frame, target="class").with_constraints(*rules)
    model = small_gan().fit(frame, schema=schema)
    found = balance(frame, "class", model=model, **options)
    assert (found.frame["start"] <= found.frame["end"]).all()
    assert (found.frame["start"] + found.frame["end"] == found.frame["sum"]).all()


# ---------- numbers


@pytest.fixture(scope="module")
def sizes() -> pd.DataFrame:
    random = np.random.default_rng(1)
    x = random.normal(size=400)
    return pd.DataFrame(
        {"x": x, "kind": random.choice(["p", "q"], 400), "y": np.round(3 * x + random.normal(size=400), 2)}
    )


@pytest.fixture(scope="module")
def size_model(sizes: pd.DataFrame) -> TableGAN:
    return small_gan().fit(sizes, target="y")


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_both_ends_of_a_number_are_filled_up(sizes: pd.DataFrame, size_model: TableGAN, options: dict) -> None:
    found = balance(sizes, "y", quantiles=(0.15, 0.85), model=size_model, **options)
    low, high = np.sort(sizes["y"])[[59, 339]]
    middle = sizes["y"].between(low, high, inclusive="right").sum()
    for part in (found.frame["y"] <= low, found.frame["y"] > high):
        assert part.sum() == middle
    pd.testing.assert_frame_equal(found.frame.head(400), sizes)
    new = found.frame[found.synthetic]
    assert new["y"].between(sizes["y"].min(), sizes["y"].max()).all()
    # the relation that the number has to the other column holds in the new rows too
    assert np.corrcoef(new["x"], new["y"])[0, 1] > 0.9


# ---------- what cannot be


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "clas"}, SchemaError, "did you mean 'class'"),
        ({"target": "hours"}, InputError, "distinct numbers.*quantiles"),
        ({"ratio": 0.01}, InputError, "never removed"),
        ({"ratio": 1.01}, InputError, "ratio"),
        ({"counts": {"rare": 2}}, InputError, "more than the 2 asked for"),
        ({"counts": {"rara": 200}}, InputError, "did you mean 'rare'"),
        ({"ratio": 1.0, "counts": {"rare": 200}}, InputError, "give one of them"),
        ({"counts": {"rare": 200}, "quantiles": (0.5,)}, InputError, "give one of them"),
        ({"quantiles": (0.5,)}, InputError, "expected numbers"),
        ({"smallest": 1}, InputError, "smallest is 1"),
        ({"rejection": 1.0}, InputError, "rejection is 1.0"),
        ({"moves": -1}, InputError, "moves is -1"),
    ],
)
def test_bad_wishes_are_told_before_anything_is_fitted(
    frame: pd.DataFrame, model: TableGAN, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"(?i){message}"):
        balance_table(frame, **{"target": "class", "model": model, **options})


def test_columns_that_the_model_never_saw_are_refused(frame: pd.DataFrame, model: TableGAN) -> None:
    with pytest.raises(SchemaError, match="never saw the columns 'added'"):
        balance_table(frame.assign(added=1), "class", model=model)


def test_a_schema_beside_a_model_is_refused(frame: pd.DataFrame, model: TableGAN) -> None:
    with pytest.raises(InputError, match="Give one of the two"):
        balance_table(frame, "class", model=model, schema=model.schema_)


def test_names_that_are_no_text_are_refused() -> None:
    with pytest.raises(SchemaError, match="is not text"):
        balance_table(pd.DataFrame({0: [1, 2, 3], "class": ["a", "a", "b"]}), "class")


def test_a_target_is_needed() -> None:
    with pytest.raises(InputError, match="needs a column of classes"):
        balance_table(pd.DataFrame({"x": [1, 2, 3]}))
