from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from synthkit import Schema, TableGAN, load
from synthkit.errors import DataError, SchemaError
from synthkit.gan.layout import Layout
from synthkit.tables.anomaly import surprise_against
from synthkit.tables.columns import ColumnCode
from synthkit.tables.surprise import ColumnTails, beyond

QUICK = {"n_codes": 16, "adversary": "off", "refine": False, "time_budget": None, "random_state": 0, "verbose": False}


def usual(rows=800, seed=0):
    """A label that decides where x lies, y that follows x, a number with a heavy tail, some cells missing."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["a", "b"], rows)
    x = np.where(kind == "a", 0.0, 8.0) + rng.normal(0, 1, rows)
    return pd.DataFrame(
        {
            "kind": kind,
            "x": np.round(x, 2),
            "y": np.round(x + rng.normal(0, 0.5, rows), 2),
            "money": np.round(rng.lognormal(3, 1, rows), 2),
            "age": pd.Series(rng.integers(18, 80, rows)).mask(rng.random(rows) < 0.3).astype("Int64"),
            "country": "CH",
        }
    )


@pytest.fixture(scope="module")
def fitted():
    return TableGAN(**QUICK).fit(usual())


@pytest.fixture(scope="module")
def scores(fitted):
    return fitted.anomaly_scores(usual(300, seed=1))


# ---------- the score


def test_scores_of_usual_rows_are_calibrated(scores):
    """Of rows of the same law a tenth is about as unusual as a tenth of the synthetic rows."""
    assert len(scores) == 300
    assert np.isfinite(scores.total).all()
    assert (scores.one_in >= 10).mean() == pytest.approx(0.1, abs=0.08)
    assert (scores.one_in >= 1).all()
    assert set(scores.parts) == {"density", "reconstruction", "contradiction", "margins"}
    assert scores.total == pytest.approx(np.mean(list(scores.parts.values()), axis=0))


PLANTED = {
    "far out": ("money", 1e6),
    "below": ("x", -60.0),
    "against the others": ("y", 8.0),
    "new label": ("kind", "zebra"),
    "missing where none was": ("kind", None),
    "another constant": ("country", "DE"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_cell_scores_above_usual_rows_and_is_named(fitted, scores, what):
    column, value = PLANTED[what]
    row = pd.DataFrame({"kind": ["a"], "x": [0.1], "y": [0.0], "money": [20.0], "age": [40], "country": ["CH"]}).astype(
        {"age": "Int64"}
    )
    plain = fitted.anomaly_scores(row)
    row[column] = [value]
    found = fitted.anomaly_scores(row)
    # a cell that is usual by itself is seen by two of the four readings only
    assert found.total[0] > np.quantile(scores.total, 0.8 if what == "against the others" else 0.95)
    assert found.total[0] > plain.total[0] + 0.5
    first = found.explain(0)[0]
    assert first.column == (column if what != "against the others" else first.column)
    assert {column} <= {cell.column for cell in found.explain(0, 2)}
    assert first.share > 0.3


def test_a_cell_that_contradicts_the_others_is_told_from_one_that_is_rare(fitted):
    row = pd.DataFrame({"kind": ["a"], "x": [8.0], "y": [8.0], "money": [20.0], "age": [40], "country": ["CH"]}).astype(
        {"age": "Int64"}
    )
    kind = next(cell for cell in fitted.anomaly_scores(row).explain(0, 5) if cell.column == "kind")
    assert kind.given_others
    row = row.assign(x=0.0, y=0.0, money=5e4)
    money = fitted.anomaly_scores(row).explain(0)[0]
    assert money.column == "money"


def test_the_further_out_the_more_unusual(fitted):
    frame = usual(1, seed=2)
    many = pd.concat([frame] * 8, ignore_index=True)
    many["money"] = [400.0, 800.0, 1_000.0, 2_000.0, 1e4, 1e5, 1e7, 1e12]
    total = fitted.anomaly_scores(many).total
    assert (np.diff(total) >= 0).all()
    assert total[-1] > total[3] + 1


def test_planted_rows_are_found(fitted):
    rng = np.random.default_rng(5)
    frame = usual(400, seed=3)
    odd = rng.permutation(400)[:20]
    frame.loc[odd, "y"] += np.where(rng.random(20) < 0.5, 8, -8)
    label = np.isin(np.arange(400), odd)
    assert roc_auc_score(label, fitted.anomaly_scores(frame).total) > 0.9


def test_the_order_of_rows_and_columns_and_other_columns_do_not_matter(fitted, scores):
    frame = usual(300, seed=1)
    order = np.random.default_rng(0).permutation(300)
    turned = frame.iloc[order][list(frame.columns[::-1])].assign(other=1)
    again = fitted.anomaly_scores(turned)
    assert again.total == pytest.approx(scores.total[order], abs=1e-5)
    assert again.one_in == pytest.approx(scores.one_in[order], rel=1e-6)


def test_scores_repeat(fitted, scores):
    assert (fitted.anomaly_scores(usual(300, seed=1)).total == scores.total).all()


def test_missing_cells_are_usual_where_they_are_common_only(fitted):
    frame = usual(200, seed=4)
    frame["age"] = frame["age"].fillna(40)
    plain = fitted.anomaly_scores(frame).total.mean()
    common = fitted.anomaly_scores(frame.assign(age=pd.array([pd.NA] * 200, dtype="Int64"))).total.mean()
    never = fitted.anomaly_scores(frame.assign(x=np.nan)).total.mean()
    assert common < plain + 0.5
    assert never > plain + 1.5


def test_shares_add_up_and_the_frame_names_the_columns(scores):
    cells = scores.explain(0, 99)
    assert sum(cell.share for cell in cells) == pytest.approx(1)
    assert [cell.surprise for cell in cells] == sorted((cell.surprise for cell in cells), reverse=True)
    frame = scores.to_frame(explain=2)
    assert list(frame.columns)[:2] == ["score", "one_in"]
    assert frame["column_1"].iloc[0] == cells[0].column
    assert frame["share_2"].iloc[0] == pytest.approx(cells[1].share)


def test_a_refined_model_uses_its_density_ratio():
    model = TableGAN(**{**QUICK, "refine": True}).fit(usual(600), target="kind")
    assert model._fitted.is_refined
    frame = usual(100, seed=6)
    before = model.anomaly_scores(frame)
    model._fitted.ratio.tilts = model._fitted.ratio.tilts + np.linspace(0, 3, len(model._fitted.ratio.tilts))
    after = model.anomaly_scores(frame)
    assert not np.allclose(before.parts["density"], after.parts["density"])


# ---------- the critic


def test_the_critic_of_a_network_is_kept_in_the_model_file(tmp_path):
    frame = usual(400)
    model = TableGAN(generator="network", time_budget="3s", random_state=0, verbose=False).fit(frame)
    found = model.anomaly_scores(frame.head(50))
    assert set(found.parts) == {"critic", "margins"}
    assert np.ptp(found.parts["critic"]) > 0
    assert (found.given_others == 0).all()
    model.save(tmp_path / "n.synth")
    again = load(tmp_path / "n.synth").anomaly_scores(frame.head(50))
    assert again.total == pytest.approx(found.total)


def test_codes_keep_the_critic_if_they_were_changed_by_it():
    model = TableGAN(**{**QUICK, "adversary": "auto"}).fit(usual(600))
    kept = model.report_["adversary"].startswith("kept")
    assert (model._fitted.critic is not None) == kept
    assert ("critic" in model.anomaly_scores(usual(20)).parts) == kept


# ---------- surprises


def tails(shares, n_bins, rows=10_000):
    """One column: bins only, or atoms only."""
    size = len(shares)
    atoms = size - n_bins
    counts = np.round(np.array(shares) * rows)
    inside = np.arange(size) >= atoms
    layout = Layout.from_counts([size], [atoms], [counts], [inside], rows=rows)
    code = ColumnCode(
        name="c",
        type="continuous",
        n_atoms=atoms,
        n_bins=n_bins,
        is_numeric=n_bins > 0,
        missing=False,
        shares=counts / rows,
        values=np.arange(size, dtype=float),
        edges=np.zeros((n_bins, 2)),
        has_inside=inside,
    )
    return ColumnTails.of(layout, 0, code, rows)


def test_the_surprise_of_a_number_is_that_of_its_tail():
    column = tails([0.25] * 4, 4)
    law = np.array([[0.25] * 4])
    symbols, positions = np.array([0, 0, 1, 2, 3], dtype=np.int32), np.array([0.2, 0.8, 0.99999, 0.2, 0.96], np.float32)
    rank = (symbols + np.clip(positions, 0.0002, 0.9998)) / 4
    wanted = -np.log(2 * np.minimum(rank, 1 - rank))
    assert column.surprise(law, symbols, positions) == pytest.approx(wanted, abs=1e-6)


def test_the_surprise_of_a_label_is_that_of_all_labels_as_rare():
    column = tails([0.6, 0.2, 0.2], 0)
    law = np.array([[0.6, 0.2, 0.2]])
    found = column.surprise(law, np.array([0, 1, 2], dtype=np.int32), np.full(3, 0.5, np.float32))
    assert found == pytest.approx([0.0, -np.log(0.4), -np.log(0.4)], abs=1e-6)


@given(arrays(np.float64, 6, elements=st.floats(0.01, 1)), st.integers(0, 99))
def test_surprises_under_the_law_are_at_most_exponential(weights, seed):
    """The chance of a surprise above t is at most exp(-t), for bins and for labels."""
    law = weights / weights.sum()
    rng = np.random.default_rng(seed)
    symbols = rng.choice(6, 4_000, p=law).astype(np.int32)
    positions = rng.random(4_000, dtype=np.float32)
    for bins in (0, 6):
        found = tails(law, bins, rows=10**9).surprise(law[None], symbols, positions)
        for level in (0.5, 1.0, 2.0, 4.0):
            share = np.exp(-level)
            assert (found > level + 1e-9).mean() <= share + 4 * np.sqrt(share / 4_000)


@given(arrays(np.float64, 30, elements=st.floats(-5, 5)), arrays(np.float64, 10, elements=st.floats(-20, 20)))
def test_surprise_against_a_sample_rises_and_counts(reference, values):
    found = surprise_against(reference, np.sort(values))
    assert (np.diff(found) >= 0).all()
    inside = values[values <= reference.max()]
    wanted = [-np.log(((reference >= value).sum() + 0.5) / 30.5) for value in inside]
    assert surprise_against(reference, inside) == pytest.approx(wanted)


def test_nothing_inside_the_training_values_is_beyond(fitted):
    codec = fitted._fitted.encoder.codec("money")
    frame = usual()
    assert (beyond(codec, frame["money"]) == 0).all()
    out = beyond(codec, pd.Series([-5.0, frame["money"].max() + 0.01, frame["money"].max() * 10, np.nan]))
    assert out[0] > 0
    assert 0 < out[1] < 0.01
    assert out[2] > 1
    assert out[3] == 0


def test_an_identifier_is_not_looked_at():
    frame = usual(300).assign(number=range(1000, 1300))
    schema = Schema.infer(frame)
    assert schema["number"].type == "identifier"
    model = TableGAN(**QUICK).fit(frame, schema=schema)
    found = model.anomaly_scores(frame.head(5).assign(number=10**9))
    place = found.columns.index("number")
    assert (found.alone[:, place] == 0).all()


def test_other_tables_are_told(fitted):
    with pytest.raises(SchemaError, match="'money'"):
        fitted.anomaly_scores(usual(5).drop(columns="money"))
    with pytest.raises(DataError, match="'x'"):
        fitted.anomaly_scores(usual(5).assign(x="many"))
