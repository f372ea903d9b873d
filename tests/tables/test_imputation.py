from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synthkit import Schema, TableGAN, load
from synthkit.errors import InputError, SchemaError
from synthkit.gan.table import CodeTable
from synthkit.schema_constraints import Inequality, NotApplicable, Total
from synthkit.tables.cell_laws import cell_laws, symbol_means
from synthkit.tables.chained import bootstrap, match
from synthkit.tables.expected import mixed, ridge, stacked

QUICK = {"n_codes": 8, "adversary": "off", "refine": False, "time_budget": None, "random_state": 0, "verbose": False}


def related(rows=600, seed=0):
    """Numbers that follow each other and a label, in several dtypes."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["low", "high"], rows, p=[0.7, 0.3])
    x = np.round(rng.normal(0, 1, rows) + 4 * (kind == "high"), 2)
    return pd.DataFrame(
        {
            "kind": kind,
            "x": x,
            "y": np.round(2 * x + rng.normal(0, 0.3, rows), 2),
            "count": pd.array(rng.poisson(3, rows) + 2 * (kind == "high"), dtype="Int64"),
            "flag": pd.array(rng.random(rows) < np.where(kind == "high", 0.9, 0.1), dtype="boolean"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D"),
        }
    )


def holes(frame, share=0.2, seed=1):
    rng = np.random.default_rng(seed)
    out = frame.copy()
    for name in out:
        rows = rng.random(len(out)) < share
        out.loc[rows, name] = None if out[name].dtype == object else pd.NaT if name == "day" else pd.NA
    return out.astype({"x": float, "y": float})


@pytest.fixture(scope="module")
def gaps():
    return holes(related())


@pytest.fixture(scope="module")
def fitted(gaps):
    return TableGAN(**QUICK).fit(gaps)


# ---------- the law of a cell, against brute force


@given(
    arrays(np.float64, (3, 5), elements=st.floats(-3, 3)),
    arrays(np.float64, 3, elements=st.floats(-3, 3)),
    st.integers(-1, 1),
    st.integers(-1, 2),
    st.booleans(),
    st.booleans(),
)
def test_the_law_of_a_cell_is_that_of_brute_force(logits, weights, first, second, hide_first, hide_second):
    """Two columns of two and three symbols, the second nullable: every joint cell is summed by hand."""
    theta = np.concatenate(
        [np.exp(part) / np.exp(part).sum(axis=1, keepdims=True) for part in (logits[:, :2], logits[:, 2:])], axis=1
    )
    table = CodeTable(np.log(theta).astype(np.float32), weights - np.logaddexp.reduce(weights), [2, 3])
    prior = np.exp(weights) / np.exp(weights).sum()
    joint = np.einsum("k,ka,kb->ab", prior, theta[:, :2], theta[:, 2:])
    symbols = np.array([[first, second]], dtype=np.int32)
    hidden = np.array([[hide_first, hide_second]])
    know_first, know_second = first >= 0 and not hide_first, second >= 0 and not hide_second
    for present in (False, True):
        allowed = joint.copy()
        if present and not know_second:
            allowed[:, 0] = allowed[:, 0] if not hide_second else 0.0
        wanted = {
            0: allowed[:, second] if know_second else allowed.sum(axis=1),
            1: joint[first] if know_first else joint.sum(axis=0),
        }
        if present:
            wanted[1] = wanted[1] * np.array([0.0, 1.0, 1.0])
        for _, column, law in cell_laws(table, [False, True], symbols, hidden, [0, 1], present=present):
            assert law[0] == pytest.approx(wanted[column] / wanted[column].sum(), abs=1e-4)


def test_draws_have_the_law_of_the_codes(fitted):
    rows = 6_000
    frame = pd.DataFrame({name: [None] * rows for name in related()}).assign(
        kind="high", x=np.nan, y=np.nan, day=pd.NaT
    )
    frame["flag"] = frame["flag"].astype("boolean")
    frame["count"] = frame["count"].astype("Int64")
    drawn = fitted.impute(frame, refined=False, random_state=0)
    table = fitted._fitted.codes()
    names = fitted._fitted.encoder.names
    symbols = np.full((1, len(names)), -1, dtype=np.int32)
    symbols[0, names.index("kind")] = fitted._fitted.encoder.encode(frame.head(1)).symbols[0, names.index("kind")]
    nullable = [code.missing for code in fitted._fitted.encoder.columns]
    hidden = symbols < 0
    column = names.index("flag")
    _, _, law = next(cell_laws(table, nullable, symbols, hidden, [column], present=True))
    codec = fitted._fitted.encoder.codec("flag")
    labels = codec.decode(np.arange(law.shape[1]), np.full(law.shape[1], 0.5), np.random.default_rng(0), None)
    for label, chance in zip(labels, law[0], strict=True):
        if pd.notna(label):
            assert (drawn["flag"] == label).mean() == pytest.approx(chance, abs=4 * 0.5 / np.sqrt(rows))


def test_missing_at_random_cells_are_filled_as_the_known_law_says():
    """P(b = yes | a) is known; a fifth of all cells is missing completely at random in training too.

    With two columns the codes alone lean strongly towards the margins; the trees take that back.
    """
    rng = np.random.default_rng(0)
    a = rng.choice(["p", "q", "r"], 6_000, p=[0.5, 0.3, 0.2])
    chance = {"p": 0.1, "q": 0.5, "r": 0.9}
    b = np.where(rng.random(6_000) < np.vectorize(chance.get)(a), "yes", "no")
    frame = pd.DataFrame({"a": a, "b": b})
    lost = frame.mask(rng.random(frame.shape) < 0.2).dropna(how="all").reset_index(drop=True)
    model = TableGAN(**QUICK).fit(lost)
    for refined in (False, True):
        filled = model.impute(lost, random_state=0, refined=refined)
        for label, share in chance.items():
            rows = lost["b"].isna() & (lost["a"] == label)
            found = (filled.loc[rows, "b"] == "yes").mean()
            chance_error = 3 * np.sqrt(share * (1 - share) / rows.sum())
            assert found == pytest.approx(share, abs=chance_error + (0.02 if refined else 0.2))


# ---------- observed cells


@pytest.mark.parametrize("options", [{}, {"refined": False}, {"strategy": "mean"}])
def test_only_missing_cells_change_and_all_are_filled(fitted, gaps, options):
    before = gaps.copy(deep=True)
    filled = fitted.impute(gaps, random_state=0, **options)
    pd.testing.assert_frame_equal(gaps, before)
    assert not filled.isna().any().any()
    assert (filled.dtypes == gaps.dtypes).all()
    for name in gaps:
        known = gaps[name].notna()
        pd.testing.assert_series_equal(filled.loc[known, name], gaps.loc[known, name])
        if gaps[name].dtype == object:
            assert set(filled[name]) <= {"low", "high"}
        else:
            assert filled.loc[~known, name].between(gaps[name].min(), gaps[name].max()).all()


@settings(max_examples=25)
@given(arrays(np.bool_, (12, 6)), st.sampled_from(["draw", "mean"]), st.permutations(range(6)))
def test_any_pattern_in_any_order_of_columns(fitted, mask, strategy, order):
    frame = related(12, seed=5).astype({"x": float})
    frame = frame.mask(pd.DataFrame(mask, columns=frame.columns))[[frame.columns[place] for place in order]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows without any cell
        filled = fitted.impute(frame, strategy=strategy, random_state=0)
    assert list(filled.columns) == list(frame.columns)
    assert not filled.isna().any().any()
    known = frame.notna()
    for name in frame:
        assert (filled.loc[known[name], name] == frame.loc[known[name], name]).all()


def test_the_index_and_other_columns_stay(fitted, gaps):
    frame = gaps.head(50).assign(extra=range(50))
    frame.index = [f"r{place}" for place in range(50)]
    filled = fitted.impute(frame, random_state=0)
    assert list(filled.index) == list(frame.index)
    pd.testing.assert_series_equal(filled["extra"], frame["extra"])


def test_a_table_without_gaps_comes_back_as_it_is(fitted):
    frame = related(30, seed=8)
    pd.testing.assert_frame_equal(fitted.impute(frame), frame)
    assert all(one.equals(frame) for one in fitted.impute(frame, multiple=2))


def test_labels_that_the_model_never_saw_stay(fitted, gaps):
    frame = gaps.head(40).copy()
    frame["kind"] = frame["kind"].where(frame.index != 3, "odd")
    filled = fitted.impute(frame, random_state=0)
    assert filled.loc[3, "kind"] == "odd"
    assert set(filled["kind"]) <= {"low", "high", "odd"}


def test_a_category_that_lacks_a_label_gets_it(fitted, gaps):
    frame = gaps[gaps["kind"] != "high"].copy()
    frame["kind"] = frame["kind"].astype("category")
    filled = fitted.impute(frame, random_state=0)
    assert "high" in set(filled["kind"])
    assert isinstance(filled["kind"].dtype, pd.CategoricalDtype)


# ---------- draws


def test_the_same_seed_gives_the_same_tables_and_another_one_others(fitted, gaps):
    one = fitted.impute(gaps, random_state=3)
    pd.testing.assert_frame_equal(one, fitted.impute(gaps, random_state=3))
    assert not one.equals(fitted.impute(gaps, random_state=4))


def test_multiple_imputations_differ_and_begin_with_the_single_one(fitted, gaps):
    several = fitted.impute(gaps, multiple=3, random_state=0)
    assert len(several) == 3
    pd.testing.assert_frame_equal(several[0], fitted.impute(gaps, random_state=0))
    assert not several[0].equals(several[1])
    assert not several[1].equals(several[2])


def test_draws_keep_relations_and_trees_sharpen_them(fitted, gaps):
    truth = related()
    error = {}
    for refined in (False, True):
        filled = fitted.impute(gaps, random_state=0, refined=refined)
        rows = gaps["y"].isna() & gaps["x"].notna()
        error[refined] = (filled.loc[rows, "y"] - truth.loc[rows, "y"]).std()
        assert filled.loc[rows, "y"].std() == pytest.approx(truth.loc[rows, "y"].std(), rel=0.2)
    assert error[True] < 0.8 * error[False]


def test_cells_of_one_row_go_together(fitted):
    """With x and y both missing, their draws follow each other as x and y do."""
    frame = related(900, seed=2)
    frame.loc[::3, ["x", "y"]] = np.nan
    filled = fitted.impute(frame, random_state=0)[::3]
    assert filled["x"].corr(filled["y"]) > 0.95


@given(
    arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0])),
    arrays(np.float64, st.integers(1, 10), elements=st.floats(-3, 9)),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_donors_are_among_the_nearest(donors, wanted, count, seed):
    chosen = match(donors, wanted, count, np.random.default_rng(seed))
    distance = np.abs(donors[None] - wanted[:, None])
    farthest = np.sort(distance, axis=1)[:, min(count, len(donors)) - 1]
    assert (distance[np.arange(len(wanted)), chosen] <= farthest + 1e-12).all()


def test_equal_donors_are_taken_equally_often():
    chosen = match(np.zeros(20), np.zeros(20_000), 5, np.random.default_rng(0))
    counts = np.bincount(chosen, minlength=20)
    assert counts.min() > 0
    assert set(match(np.arange(3.0), np.full(3_000, 1.0), 3, np.random.default_rng(0))) == {0, 1, 2}


@given(st.integers(1, 300), st.integers(0, 99))
def test_a_bootstrap_sample_and_the_rest_are_all_rows(rows, seed):
    inside, outside = bootstrap(np.arange(rows) * 3, np.random.default_rng(seed))
    assert len(inside) == rows
    assert set(inside) | set(outside) == set(range(0, 3 * rows, 3))
    assert not set(inside) & set(outside)


# ---------- best guesses


def test_best_guesses_of_the_codes_are_posterior_means_and_modes(fitted, gaps):
    inner = fitted._fitted
    encoder, table = inner.encoder, inner.codes()
    frame = gaps[gaps["x"].isna() | gaps["kind"].isna()].head(40)
    guess = fitted.impute(frame, strategy="mean", refined=False)
    encoded = encoder.encode(frame, unknown=True)
    missing = frame[encoder.names].isna().to_numpy()
    theta = np.exp(table.log_theta.astype(np.float64))
    for row in range(len(frame)):
        weights = np.exp(table.log_weights)
        for column, code in enumerate(encoder.columns):
            own = theta[:, table.offsets[column] : table.offsets[column + 1]]
            if not missing[row, column]:
                weights = weights * own[:, encoded.symbols[row, column]]
            elif code.missing:
                weights = weights * (1 - own[:, 0])
        weights /= weights.sum()
        for name in ("x", "kind"):
            column = encoder.names.index(name)
            if not missing[row, column]:
                continue
            own = theta[:, table.offsets[column] : table.offsets[column + 1]].copy()
            own[:, 0] = 0
            law = weights @ (own / own.sum(axis=1, keepdims=True))
            codec = encoder.codec(name)
            if name == "x":
                mean = law @ np.nan_to_num(symbol_means(codec)) / 100  # two decimals: the scale is in hundredths
                assert guess["x"].iloc[row] == pytest.approx(mean, abs=0.006)
            else:
                label = codec.decode(np.array([law.argmax()]), np.array([0.5]), np.random.default_rng(0), None)[0]
                assert guess["kind"].iloc[row] == label


def test_the_mean_of_a_symbol_is_that_of_the_numbers_it_decodes_to(fitted):
    codec = fitted._fitted.encoder.codec("y")
    marks = (np.arange(20_000) + 0.5) / 20_000
    means = symbol_means(codec)
    for symbol in range(codec.code.n_atoms, codec.code.size):
        numbers = codec.decode(np.full(20_000, symbol), marks, np.random.default_rng(0), None)
        assert means[symbol] / 100 == pytest.approx(numbers.mean(), abs=0.01)


def test_best_guesses_are_nearer_to_the_truth_than_draws_and_than_the_codes(fitted, gaps):
    truth = related()
    rows = gaps["y"].isna() & gaps["x"].notna()

    def error(**options):
        filled = fitted.impute(gaps, random_state=0, **options)
        return np.sqrt(((filled.loc[rows, "y"] - truth.loc[rows, "y"]) ** 2).mean())

    best = error(strategy="mean")
    assert best < 0.5  # the noise of y given x is 0.3
    assert best < error()
    assert best < error(strategy="mean", refined=False)


def test_sentinels_are_no_part_of_a_mean():
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 800)
    value = np.where(group == "a", np.where(rng.random(800) < 0.9, -999, 5), rng.integers(40, 61, 800)).astype(float)
    frame = pd.DataFrame({"group": group, "value": value})
    frame.loc[::4, "value"] = np.nan
    schema = Schema.infer(frame)
    assert -999 in schema["value"].sentinels
    guess = TableGAN(**QUICK).fit(frame, schema=schema).impute(frame, strategy="mean", random_state=0)
    filled = guess[frame["value"].isna()]
    assert (filled.loc[filled["group"] == "a", "value"] == -999).mean() > 0.9
    assert filled.loc[filled["group"] == "b", "value"].between(40, 60).all()


def test_stacking_finds_the_best_combination():
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=5_000), rng.normal(size=5_000)
    weights = stacked(np.stack([signal, noise], axis=1), 0.7 * signal)
    assert weights == pytest.approx([0.7, 0.0], abs=0.01)
    # a prediction that points the wrong way has no weight
    assert stacked(-signal[:, None], signal) == pytest.approx([0.0])


def test_ridge_is_least_squares_when_nothing_is_shrunk():
    rng = np.random.default_rng(0)
    design = np.concatenate([np.ones((50, 1)), rng.normal(size=(50, 3))], axis=1)
    response = rng.normal(size=50)
    exact = np.linalg.lstsq(design, response, rcond=None)[0]
    assert ridge(design, response, penalty=1e-9) == pytest.approx(exact, abs=1e-6)
    shrunk = ridge(design, response, penalty=1e9)
    assert shrunk[1:] == pytest.approx(0, abs=1e-6)
    assert shrunk[0] == pytest.approx(response.mean())


def test_a_mixture_of_laws_leans_to_the_likelier():
    response = np.array([0, 1] * 50, dtype=np.int32)
    good = np.where(np.arange(2) == response[:, None], 0.9, 0.1)
    even = np.full((100, 2), 0.5)
    assert mixed(even, good, response) == 1.0
    assert mixed(good, even, response) == 0.0


# ---------- what is left missing, and what is said


def test_identifiers_text_and_strange_columns_stay_missing_and_it_is_said():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"C-{number:05d}" for number in range(300)],
            "x": np.round(rng.normal(size=300), 2),
            "label": rng.choice(["a", "b"], 300),
        }
    )
    model = TableGAN(**QUICK).fit(frame)
    lost = frame.assign(new=1.0)
    lost.loc[3, ["id", "x", "new"]] = [None, np.nan, np.nan]
    with pytest.warns(UserWarning, match=r"1 in 'id' \(an identifier\); 1 in 'new' \(the model never saw the column\)"):
        filled = model.impute(lost, random_state=0)
    assert filled["id"].isna().sum() == 1
    assert filled["new"].isna().sum() == 1
    assert not filled[["x", "label"]].isna().any().any()


def test_a_row_without_any_cell_is_filled_like_a_row_of_the_table(fitted, gaps):
    frame = gaps.head(20).copy()
    frame.loc[4] = [None, np.nan, np.nan, pd.NA, pd.NA, pd.NaT]
    with pytest.warns(UserWarning, match="1 rows have no observed cell"):
        filled = fitted.impute(frame.astype(gaps.dtypes), random_state=0)
    assert not filled.isna().any().any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multiple": 0}, "expected a whole number from 1"),
        ({"multiple": 2.5}, "expected a whole number from 1"),
        ({"multiple": True}, "expected a whole number from 1"),
        ({"strategy": "means"}, "did you mean 'mean'"),
        ({"strategy": "mean", "multiple": 2}, "the same table every time"),
    ],
)
def test_wrong_settings_are_told(fitted, gaps, options, message):
    with pytest.raises(InputError, match=message):
        fitted.impute(gaps, **options)


def test_a_table_of_other_columns_is_told(fitted, gaps):
    with pytest.raises(SchemaError, match="'y'"):
        fitted.impute(gaps.drop(columns="y"))
    twice = pd.concat([gaps, gaps[["x"]]], axis=1)
    with pytest.raises(InputError, match="two columns 'x'"):
        fitted.impute(twice)


# ---------- constraints


def test_constraints_hold_where_observed_cells_leave_room():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 50, 600)
    parts = rng.integers(1, 20, (600, 2))
    kind = rng.choice(["house", "flat"], 600)
    frame = pd.DataFrame(
        {
            "low": low.astype(float),
            "high": (low + rng.integers(0, 50, 600)).astype(float),
            "a": parts[:, 0].astype(float),
            "b": parts[:, 1].astype(float),
            "sum": parts.sum(axis=1).astype(float),
            "kind": kind,
            "floor": np.where(kind == "flat", rng.integers(0, 9, 600), np.nan),
        }
    )
    lost = frame.mask(rng.random(frame.shape) < 0.15)
    schema = Schema.infer(lost).with_constraints(
        Inequality(low="low", high="high"),
        Total(column="sum", parts=("a", "b")),
        NotApplicable(column="floor", when={"kind": "house"}),
    )
    model = TableGAN(**QUICK).fit(lost, schema=schema)
    for strategy in ("draw", "mean"):
        filled = model.impute(lost, strategy=strategy, random_state=0)
        for one in model.schema_.constraints:
            assert one.holds(filled).all()
        single = lost["sum"].isna() & lost["a"].notna() & lost["b"].notna()
        assert (filled.loc[single, "sum"] == frame.loc[single, "sum"]).all()
        assert filled.loc[filled["kind"] == "house", "floor"].isna().all()
        assert filled.loc[filled["kind"] == "flat", "floor"].notna().all()


# ---------- small tables


def test_a_small_table_learns_from_the_rows_of_a_refined_model(tmp_path):
    """One row: what trees would learn comes from synthetic rows, and a file gives the same."""
    truth = related(700, seed=4)[["kind", "x", "y"]]
    model = TableGAN(**{**QUICK, "refine": True}).fit(truth)
    assert model._fitted.is_refined
    row = pd.DataFrame({"kind": ["high"], "x": [5.0], "y": [np.nan]})
    guess = model.impute(row, strategy="mean", random_state=0)
    assert guess["y"][0] == pytest.approx(10, abs=1.5)
    model.save(tmp_path / "m.synth")
    again = load(tmp_path / "m.synth").impute(row, strategy="mean", random_state=0)
    pd.testing.assert_frame_equal(guess, again)
