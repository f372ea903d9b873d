from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthkit import Schema, TableGAN, load
from synthkit.archive import read_archive
from synthkit.cli import run
from synthkit.errors import ConditionError, DataError, InputError, SchemaError, SynthkitError
from synthkit.tables.balancing import balance_counts

QUICK = {"n_codes": 8, "adversary": "off", "random_state": 0, "verbose": False}


def relations(rows=700, seed=0):
    """Numbers and labels that follow each other, some missing."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], rows, p=[0.6, 0.39, 0.01])
    x = np.round(rng.normal(0, 1, rows) + 5 * (group == "b"), 2)
    y = np.where(rng.random(rows) < 0.15, np.nan, np.round(2 * x + rng.normal(0, 0.5, rows), 2))
    town = pd.Series(np.where(group == "b", "Bern", rng.choice(["Basel", "Thun"], rows))).mask(rng.random(rows) < 0.2)
    return pd.DataFrame({"group": group, "x": x, "y": y, "town": town, "n": rng.poisson(3, rows)})


@pytest.fixture(scope="module")
def real():
    return relations()


@pytest.fixture(scope="module")
def fitted(real):
    return TableGAN(**QUICK).fit(real, target="group")


# ---------- what a fit says


def test_the_report_says_what_was_done(fitted, real):
    report = fitted.report_
    assert report["rows"] == len(real)
    assert report["columns"] == 5
    assert report["codes"] == 8
    assert report["adversary"] == "off"
    assert report["refinement"].startswith(("kept", "tried and dropped"))
    assert 0.5 < report["two_sample_auc_raw"] <= 1
    assert 0.3 < report["two_sample_auc_refined"] <= 1
    assert -30 < report["held_out_log_likelihood"] < 0
    assert 0 <= report["nearest_record_share"] <= 1
    assert report["interrupted"] is False
    assert set(report["stages"]) == {"likelihood of 8 codes", "refinement"}
    json.dumps(report)


def test_synthetic_rows_keep_the_relations(fitted, real):
    drawn = fitted.sample(2_000, random_state=0)
    assert abs(drawn["x"].mean() - real["x"].mean()) < 0.3
    assert drawn["x"].corr(drawn["y"]) > 0.9
    for name in ("group", "town"):
        share = drawn[name].value_counts(normalize=True).reindex(real[name].value_counts().index, fill_value=0)
        assert (share - real[name].value_counts(normalize=True)).abs().max() < 0.06
    assert (drawn.loc[drawn["group"] == "b", "town"].dropna() == "Bern").mean() > 0.9
    assert abs(drawn["y"].isna().mean() - real["y"].isna().mean()) < 0.06


def test_small_tables_try_several_numbers_of_codes(real):
    report = TableGAN(adversary="off", refine=False, random_state=0, verbose=False).fit(real.head(150)).report_
    tried = [name for name in report["stages"] if name.startswith("likelihood")]
    assert len(tried) > 1
    assert f"likelihood of {report['codes']} codes" in tried


def test_small_tables_are_not_learned_by_heart():
    real = relations(120, seed=3)
    drawn = TableGAN(random_state=0, verbose=False).fit(real).sample(1_000, random_state=1)
    copies = drawn.merge(real.drop_duplicates(), how="inner")
    assert len(copies) < 50


# ---------- likelihood


def test_log_likelihood_is_high_for_rows_of_the_table_and_low_for_others(fitted, real):
    usual = fitted.log_likelihood(relations(200, seed=9))
    shuffled = relations(200, seed=9).assign(y=lambda frame: -frame["y"].sample(frac=1, random_state=0).to_numpy())
    assert usual.shape == (200,)
    assert np.isfinite(usual).all()
    assert usual.mean() > fitted.log_likelihood(shuffled).mean() + 1


def test_labels_never_seen_are_integrated_out(fitted, real):
    row = real.head(1).copy()
    row["town"] = "Atlantis"
    towns = [*real["town"].dropna().unique(), None]
    every = pd.concat([row.assign(town=town) for town in towns], ignore_index=True)
    whole = np.logaddexp.reduce(fitted.log_likelihood(every))
    assert fitted.log_likelihood(row)[0] == pytest.approx(whole, abs=1e-3)


def test_log_likelihood_wants_the_columns_of_the_table(fitted, real):
    with pytest.raises(SchemaError, match="'town'"):
        fitted.log_likelihood(real.drop(columns="town"))


# ---------- imputation


def test_imputation_fills_every_gap_and_touches_nothing_else(fitted, real):
    before = real.copy(deep=True)
    filled = fitted.impute(real, random_state=0)
    pd.testing.assert_frame_equal(real, before)
    assert not filled.isna().any().any()
    assert (filled.dtypes == real.dtypes).all()
    for name in real:
        known = real[name].notna()
        pd.testing.assert_series_equal(filled.loc[known, name], real.loc[known, name])
    assert set(filled["town"]) <= set(real["town"].dropna())
    pd.testing.assert_frame_equal(filled, fitted.impute(real, random_state=0))
    assert not filled.equals(fitted.impute(real, random_state=1))


def test_imputed_cells_follow_the_cells_that_are_known(fitted, real):
    filled = fitted.impute(real, random_state=0)
    gaps = real["y"].isna()
    assert np.corrcoef(filled.loc[gaps, "x"], filled.loc[gaps, "y"])[0, 1] > 0.85
    assert (filled.loc[real["town"].isna() & (real["group"] == "b"), "town"] == "Bern").mean() > 0.85


def test_columns_that_never_lacked_a_value_are_filled_as_well(fitted, real):
    holes = real.head(40).astype({"n": "float64"})
    holes.loc[::2, "n"] = np.nan
    holes.loc[::3, "group"] = None
    filled = fitted.impute(holes, random_state=0)
    assert not filled.isna().any().any()
    assert filled["n"].between(real["n"].min(), real["n"].max()).all()
    assert set(filled["group"]) <= set(real["group"])


def test_being_missing_says_nothing_about_the_value():
    """Rows of one kind mostly lack the value: the gaps of rows of unknown kind are filled as the values are."""
    rng = np.random.default_rng(0)
    kind = rng.random(2_000) < 0.5
    value = np.where(kind, "left", "right").astype(object)
    value[kind & (rng.random(2_000) < 0.9)] = None
    frame = pd.DataFrame({"value": value, "kind": np.where(kind, "L", "R")})
    gan = TableGAN(**QUICK, refine=False).fit(frame)
    unknown = pd.DataFrame({"value": [None] * 3_000, "kind": [None] * 3_000}, dtype=object)
    with pytest.warns(UserWarning, match="3,000 rows have no observed cell"):
        filled = gan.impute(unknown, random_state=0)
    share = (filled["value"] == "left").mean()
    assert share == pytest.approx((frame["value"].dropna() == "left").mean(), abs=0.03)


def test_times_dates_and_dtypes_survive_imputation():
    rng = np.random.default_rng(1)
    rows = 200
    start = pd.Timestamp("2022-03-01", tz="Europe/Paris")
    frame = pd.DataFrame(
        {
            "zone": start + pd.to_timedelta(rng.integers(0, 900, rows), unit="h"),
            "day": (start.tz_localize(None) + pd.to_timedelta(rng.integers(0, 90, rows), unit="D")).date,
            "level": pd.Categorical(rng.choice(["lo", "hi"], rows), categories=["lo", "hi"], ordered=True),
            "many": pd.array(rng.integers(0, 9, rows), dtype="Int64"),
            "flag": pd.array(rng.random(rows) < 0.5, dtype="boolean"),
            "text": pd.array(rng.choice(["p", "q"], rows), dtype="string"),
        }
    )
    for column, name in enumerate(frame):
        frame.loc[frame.index[column::7], name] = None
    filled = TableGAN(**QUICK).fit(frame).impute(frame, random_state=0)
    assert (filled.dtypes == frame.dtypes).all()
    assert not filled.isna().any().any()


def test_a_network_has_no_likelihood_and_says_so(real):
    gan = TableGAN(generator="network", time_budget="0.5s", random_state=0, verbose=False).fit(real)
    for call in (gan.log_likelihood, gan.impute):
        with pytest.raises(InputError, match='generator="network"'):
            call(real)


# ---------- conditions


def test_a_value_of_one_row_in_a_hundred(fitted):
    for options in ({}, {"refined": False}):
        drawn = fitted.sample(300, where={"group": "c", "n": (2, 4)}, random_state=0, **options)
        assert (drawn["group"] == "c").all()
        assert drawn["n"].between(2, 4).all()


def test_conditions_carry_over_to_other_columns(fitted, real):
    drawn = fitted.sample(500, where={"group": "b"}, random_state=0)
    own = real[real["group"] == "b"]
    assert abs(drawn["x"].mean() - own["x"].mean()) < 0.4
    assert abs(drawn["y"].std() - own["y"].std()) < 0.8


def test_a_condition_names_the_nearest(fitted):
    with pytest.raises(ConditionError, match=r"'grup'.*did you mean 'group'"):
        fitted.sample(1, where={"grup": "a"})
    with pytest.raises(ConditionError, match=r"'Berne'.*did you mean 'Bern'"):
        fitted.sample(1, where={"town": "Berne"})
    with pytest.raises(ConditionError, match="'x'"):
        fitted.sample(1, where={"x": (100, None)})


# ---------- balance


def test_balance_reaches_a_ratio(fitted, real):
    balanced = fitted.balance(real, "group", ratio=0.5, random_state=0)
    counts, had = balanced["group"].value_counts(), real["group"].value_counts()
    most = had.max()
    for label in had.index:
        assert counts[label] == max(had[label], math.ceil(most / 2))
    pd.testing.assert_frame_equal(balanced.head(len(real)), real)


def test_balance_to_counts_leaves_other_classes(fitted, real):
    had = real["group"].value_counts()
    balanced = fitted.balance(real, counts={"c": int(had["c"]) + 11}, random_state=0)
    assert balanced["group"].value_counts().to_dict() == {**had.to_dict(), "c": had["c"] + 11}


def test_balance_of_balanced_rows_adds_nothing(fitted, real):
    even = real.groupby("group").head(int(real["group"].value_counts().min()))
    pd.testing.assert_frame_equal(fitted.balance(even, "group"), even.reset_index(drop=True))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"target": "grup"}, SchemaError, "did you mean 'group'"),
        ({"ratio": 0.0}, InputError, "ratio"),
        ({"ratio": 1.5}, InputError, "ratio"),
        ({"ratio": math.nan}, InputError, "ratio"),
        ({"counts": {"d": 10}}, InputError, "class 'd'"),
        ({"counts": {"a": 1}}, InputError, "more than the 1 asked for"),
    ],
)
def test_what_balance_refuses(fitted, real, options, error, text):
    with pytest.raises(error, match=text):
        fitted.balance(real, **{"target": "group", **options})


def test_balance_refuses_columns_that_the_model_never_saw(fitted, real):
    with pytest.raises(SchemaError, match="never saw the columns 'added'"):
        fitted.balance(real.assign(added=1), "group")


def test_a_stream_checks_its_conditions_before_the_first_batch(fitted):
    with pytest.raises(ConditionError, match="did you mean 'group'"):
        fitted.iter_sample(1, where={"grup": "a"})


def test_more_time_than_the_plan_needs_changes_nothing(real):
    one, two = (
        TableGAN(random_state=3, time_budget=budget, verbose=False).fit(real.head(300)) for budget in ("2m", "8m")
    )
    pd.testing.assert_frame_equal(one.sample(50, random_state=1), two.sample(50, random_state=1))


def test_one_class_cannot_be_balanced():
    with pytest.raises(DataError, match="a single class"):
        balance_counts(pd.Series(["a", "a", None]), "label")
    unused = pd.Series(pd.Categorical(["a", "a"], categories=["a", "b"]))
    with pytest.raises(DataError, match="a single class"):
        balance_counts(unused, "label")


# ---------- bad input


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"generator": "code"}, "did you mean 'codes'"),
        ({"loss": "wgan_gp"}, "did you mean 'wgan-gp'"),
        ({"adversary": "yes"}, "adversary"),
        ({"n_codes": 0}, "n_codes"),
        ({"n_codes": True}, "n_codes"),
        ({"n_codes": "many"}, "n_codes"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"validation_share": math.nan}, "validation_share"),
        ({"validation_share": "some"}, "validation_share"),
        ({"time_budget": "soon"}, "time budget"),
        ({"time_budget": -1}, "time budget"),
    ],
)
def test_wrong_settings_are_one_sentence(real, settings, text):
    with pytest.raises(InputError, match=text):
        TableGAN(**{**QUICK, **settings}).fit(real)


def test_numbers_of_numpy_are_numbers(real):
    gan = TableGAN(**{**QUICK, "n_codes": np.int64(4), "validation_share": np.float64(0.1), "refine": False})
    assert len(gan.fit(real.head(60)).sample(np.int32(5))) == 5


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pd.DataFrame({"x": [1.0, np.inf, 2.0, 3.0]}), "'x'"),
        (pd.DataFrame({"x": [1, "two", 3.0, "four"]}, dtype=object), "'x'"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["x", "x"]), "'x'"),
        (pd.DataFrame({"x": [1]}), "row"),
        (pd.DataFrame({"x": []}), "row"),
        (pd.DataFrame(index=range(5)), "column"),
    ],
    ids=["infinite", "mixed", "duplicate", "one row", "no rows", "no columns"],
)
def test_tables_that_cannot_be_learned_are_one_sentence(frame, text):
    with pytest.raises(SynthkitError, match=text) as caught:
        TableGAN(**QUICK).fit(frame)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_missing_numbers_are_learned_as_missing():
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 2.5] * 20, "y": ["a", "b", "a", "b"] * 20})
    drawn = TableGAN(**QUICK).fit(frame).sample(400, random_state=0)
    assert drawn["x"].isna().mean() == pytest.approx(0.25, abs=0.12)


def test_an_unknown_target_names_the_nearest(real):
    with pytest.raises(InputError, match="did you mean 'group'"):
        TableGAN(**QUICK).fit(real, target="grop")


def test_the_target_of_the_call_takes_the_place_of_the_schemas(real):
    schema = Schema.infer(real.head(60), target="group")
    assert TableGAN(**QUICK).fit(real.head(60), schema=schema, target="town").schema_.target == "town"


# ---------- time and kill


def test_a_tiny_budget_still_gives_a_model(real):
    gan = TableGAN(random_state=0, verbose=False, time_budget=0.01).fit(real)
    assert len(gan.sample(20)) == 20
    assert all("time budget" in told for told in gan.report_["stages"].values())


def test_the_log_has_one_json_object_per_evaluation(real, tmp_path):
    TableGAN(**QUICK, refine=False, log=tmp_path / "log.jsonl").fit(real)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scored = [record for record in records if "stage" in record]
    assert len(scored) > 3
    assert {record["stage"] for record in scored} == {"likelihood of 8 codes"}
    assert all(math.isfinite(record["held_out"]) for record in scored)
    assert all("time" in record for record in records)


@pytest.mark.parametrize("seed", [0, None], ids=["seed", "no seed"])
def test_a_finished_checkpoint_gives_the_same_model_again(real, tmp_path, seed):
    """With and without a seed, a resumed fit holds out the same rows and ends where the first one did."""
    path = tmp_path / "fit.checkpoint"
    one = TableGAN(**{**QUICK, "random_state": seed}).fit(real, checkpoint=path)
    two = TableGAN(**{**QUICK, "random_state": seed}).fit(real, checkpoint=path, resume=True)
    pd.testing.assert_frame_equal(one.sample(100, random_state=1), two.sample(100, random_state=1))
    assert one.report_["held_out_log_likelihood"] == two.report_["held_out_log_likelihood"]


def test_a_checkpoint_of_another_table_is_refused(real, tmp_path):
    path = tmp_path / "fit.checkpoint"
    TableGAN(**QUICK, refine=False).fit(real.head(60), checkpoint=path)
    for frame, settings in ((real.head(61), {}), (real.head(60), {"random_state": 1}), (real.head(60), {"n_codes": 3})):
        with pytest.raises(InputError, match="belongs to another fit"):
            TableGAN(**{**QUICK, "refine": False, **settings}).fit(frame, checkpoint=path, resume=True)


def test_resume_without_a_checkpoint_starts_from_the_beginning(real, tmp_path):
    gan = TableGAN(**QUICK, refine=False).fit(real.head(60), checkpoint=tmp_path / "none", resume=True)
    assert len(gan.sample(3)) == 3


@pytest.fixture
def data(tmp_path):
    relations(3_000, seed=1).to_csv(tmp_path / "data.csv", index=False)
    return tmp_path


def start_fit(folder: Path, *options: str) -> subprocess.Popen[str]:
    words = ["fit", "data.csv", "-o", "model.synth", "--seed", "0", "--time-budget", "60s", "--log", "log.jsonl"]
    code = "import sys; from synthkit.cli import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    """Until something is true of a running fit; the patience is for slow machines, not a measurement."""
    for _ in range(20_000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("nothing happened")


def is_training(folder: Path) -> bool:
    log = folder / "log.jsonl"
    return log.exists() and '"stage"' in log.read_text()


@pytest.mark.timeout(400)
def test_ctrl_c_keeps_the_best_and_exits_130(data):
    process = start_fit(data)
    wait_for(lambda: is_training(data), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    gan = load(data / "model.synth")
    assert gan.report_["interrupted"] is True
    assert len(gan.sample(50, where={"group": "b"})) == 50
    assert not (data / "model.synth.checkpoint").exists()


@pytest.mark.timeout(400)
def test_a_killed_fit_is_finished_by_resume(data):
    process = start_fit(data)
    checkpoint = data / "model.synth.checkpoint"
    wait_for(lambda: is_training(data), process)
    # the first checkpoint comes with the first finished stage, at the latest
    wait_for(checkpoint.exists, process)
    process.kill()
    process.communicate()
    assert not (data / "model.synth").exists()
    assert read_archive(checkpoint).manifest["stages"] or read_archive(checkpoint).manifest["running"]
    words = ["fit", str(data / "data.csv"), "-o", str(data / "model.synth"), "--seed", "0", "--time-budget", "60s"]
    assert run([*words, "--quiet", "--resume"]) == 0
    assert len(load(data / "model.synth").sample(30)) == 30
    assert not checkpoint.exists()
