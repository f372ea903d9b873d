"""Laws of numeric columns: positions are ranks, decoding rises, nothing leaves the range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.schema import Column, Schema
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.number_codec import NumberCodec
from synthkit.tables.support_fit import MAX_CELLS

FLOAT = Column(name="x", type="continuous", dtype="float64", nullable=True)
CENTS = Column(name="x", type="continuous", dtype="float64", decimals=2, minimum=-1e7, maximum=1e7, nullable=True)
WHOLE = Column(name="x", type="integer", dtype="int64")


def fitted(values: Any, column: Column, **settings: Any) -> TableEncoder:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=column.dtype)})
    return TableEncoder(**settings).fit(frame, Schema((column,)))


def codec_of(encoder: TableEncoder) -> NumberCodec:
    codec = encoder._modelled["x"]
    assert isinstance(codec, NumberCodec)
    return codec


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[float], Column]:
    """Smooth, heaped, spiky and tiny columns."""
    column = draw(st.sampled_from([FLOAT, CENTS, WHOLE]))
    seed = draw(st.integers(0, 2**32 - 1))
    n = draw(st.sampled_from([2, 30, 400, 3000]))
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["smooth", "heavy", "heaped", "spiky"]))
    values = rng.normal(0, 100, n) if kind == "smooth" else np.clip(rng.standard_cauchy(n) * 50, -1e6, 1e6)
    if kind == "heaped":
        values = np.round(values, -1)
    if kind == "spiky":
        values = np.where(rng.random(n) < 0.3, 0.0, values)
    values = np.round(values) if column is WHOLE else np.round(values, 2) if column is CENTS else values
    if not column.nullable:
        return list(values), column
    return list(np.where(rng.random(n) < 0.1, np.nan, values)), column


@given(columns())
@settings(max_examples=60, deadline=None)
def test_decoding_rises_and_encodes_back(case: tuple[list[float], Column]) -> None:
    encoder = fitted(*case)
    if not encoder.columns:
        return  # all equal: a constant
    codec, code = codec_of(encoder), encoder.columns[0]
    bins = np.repeat(np.arange(code.n_bins), 41)
    positions = np.tile(np.linspace(0, 1, 41, dtype=np.float32), code.n_bins)
    numbers = codec.support.decode(bins, positions.astype(np.float64))
    assert (np.diff(numbers) >= 0).all()
    present = pd.Series(case[0]).dropna()
    cells = encoder.decode((code.n_atoms + bins)[:, None], positions[:, None], rng=np.random.default_rng(0))["x"]
    if len(cells):
        assert present.min() <= cells.min()
        assert cells.max() <= present.max()
        inner = (positions > 0) & (positions < 1)
        again = encoder.encode(pd.DataFrame({"x": cells}))
        np.testing.assert_array_equal(again.symbols[inner, 0], (code.n_atoms + bins)[inner])
        edges = code.edges[bins]
        assert (numbers >= edges[:, 0]).all()
        assert (numbers <= edges[:, 1]).all()


@given(columns())
@settings(max_examples=40, deadline=None)
def test_positions_are_uniform_ranks_inside_a_bin(case: tuple[list[float], Column]) -> None:
    encoder = fitted(*case)
    if not encoder.columns:
        return
    frame = pd.DataFrame({"x": pd.Series(case[0], dtype=case[1].dtype)})
    encoded = encoder.encode(frame, rng=np.random.default_rng(0))
    code = encoder.columns[0]
    shares = np.bincount(encoded.symbols[:, 0], minlength=code.size) / len(frame)
    np.testing.assert_allclose(shares, code.shares, atol=1e-12)
    inside = encoded.positions[code.has_inside[encoded.symbols[:, 0]], 0]
    if len(inside) > 200:
        steps = np.abs(np.sort(inside) - (np.arange(len(inside)) + 0.5) / len(inside)).max()
        assert steps < 2.0 / np.sqrt(len(inside))


@given(columns())
@settings(max_examples=60, deadline=None)
def test_the_numeric_view_rises_strictly_with_the_value(case: tuple[list[float], Column]) -> None:
    encoder = fitted(*case)
    if not encoder.columns:
        return
    code = encoder.columns[0]
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, code.size, (500, 1))
    positions = rng.random((500, 1)).astype(np.float32)
    cells = encoder.decode(symbols, positions, rng=rng)["x"]
    view = encoder.numeric_view(symbols, positions)[:, 0]
    assert view.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(view), cells.isna())
    order = np.argsort(cells.dropna().to_numpy(), kind="stable")
    ranked, values = view[cells.notna()][order], cells.dropna().to_numpy()[order]
    assert (np.diff(ranked) >= 0).all()
    assert (ranked[~np.isnan(ranked)] >= 0).all()
    assert (ranked <= 1).all()
    if case[1] is not FLOAT:
        assert (np.diff(ranked)[np.diff(values) == 0] == 0).all()


def test_spikes_sentinels_and_missing_are_atoms_in_this_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, 4000)
    values[:800] = 0.0
    values[800:1000] = 50.0
    values[1000:1100] = -999.0
    values[1100:1200] = np.nan
    column = Column(name="x", type="continuous", dtype="float64", nullable=True, sentinels=(-999.0,))
    encoder = fitted(values, column)
    code = encoder.columns[0]
    assert code.n_atoms == 4
    np.testing.assert_allclose(code.values[1:4], [-999.0, 0.0, 50.0])
    np.testing.assert_allclose(code.shares[:4], [0.025, 0.025, 0.2, 0.05])
    assert code.n_bins == 50
    np.testing.assert_allclose(code.shares[4:], 0.7 / 50, atol=0.0006)
    symbols = encoder.encode(pd.DataFrame({"x": [np.nan, -999.0, 0.0, 50.0]})).symbols[:, 0]
    np.testing.assert_array_equal(symbols, [0, 1, 2, 3])
    view = encoder.numeric_view(np.arange(code.size)[:, None], np.full((code.size, 1), 0.5))[:, 0]
    assert np.isnan(view[0])
    assert (np.diff(view[1:]) > 0).all()


def test_a_smooth_narrow_column_has_no_spikes() -> None:
    values = np.random.default_rng(0).binomial(1000, 0.5, 20_000)
    code = fitted(values, WHOLE).columns[0]
    assert len(np.unique(values)) > 100
    assert code.n_atoms == 0
    assert code.n_bins > 30


def test_few_values_are_a_grid_in_order() -> None:
    values = np.random.default_rng(0).choice([3, 7, 100], 500)
    code = fitted(values, WHOLE).columns[0]
    assert (code.n_atoms, code.n_bins) == (0, 3)
    np.testing.assert_array_equal(code.values, [3, 7, 100])
    assert not code.has_inside.any()


@pytest.mark.parametrize("heaped", [False, True])
def test_support_is_bounded_and_keeps_the_shape(heaped: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(8, 2, 60_000)
    if heaped:
        values = np.where(rng.random(60_000) < 0.5, np.round(values, -2), np.round(values))
    column = WHOLE if heaped else FLOAT
    encoder = fitted(values, column)
    support = codec_of(encoder).support
    assert len(support.lowest) <= MAX_CELLS + 120
    code = encoder.columns[0]
    symbols = np.random.default_rng(1).choice(code.size, 60_000, p=code.shares)[:, None]
    drawn = np.sort(encoder.decode(symbols, rng=np.random.default_rng(2))["x"].to_numpy(float))
    real = np.sort(values)
    places = np.concatenate([real, drawn])
    steps = np.searchsorted(real, places, "right") - np.searchsorted(drawn, places, "right")
    assert np.abs(steps).max() / 60_000 < 0.01
    if heaped:
        assert abs(np.mean(drawn % 100 == 0) - np.mean(real % 100 == 0)) < 0.05


@pytest.mark.parametrize(("step", "column"), [(100, WHOLE), (0.25, CENTS)])
def test_numbers_on_a_coarse_grid_stay_on_it(step: float, column: Column) -> None:
    values = np.random.default_rng(0).integers(0, 3000, 900) * step + 3 * step / 25
    encoder = fitted(np.append(values, np.full(300, values[0])), column)
    code = encoder.columns[0]
    assert code.has_inside.sum() > 40
    symbols = np.random.default_rng(1).integers(0, code.size, (5000, 1))
    drawn = encoder.decode(symbols, rng=np.random.default_rng(2))["x"].dropna()
    remainder = np.mod(drawn - 3 * step / 25, step)
    assert np.isclose(np.minimum(remainder, step - remainder), 0, atol=1e-9).all()
    assert (~drawn.isin(values)).mean() > 0.2


def test_a_gap_between_two_groups_stays_empty() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 30_000), rng.normal(1000, 1, 30_000)])
    encoder = fitted(values, FLOAT)
    code = encoder.columns[0]
    symbols = np.random.default_rng(1).choice(code.size, 50_000, p=code.shares)[:, None]
    drawn = encoder.decode(symbols, rng=np.random.default_rng(2))["x"]
    assert drawn.between(10, 990).mean() < 0.001


def test_large_whole_numbers_are_exact() -> None:
    values = 2**60 + np.arange(80, dtype=np.int64).repeat(5) * 7 + 1
    encoder = fitted(values, WHOLE)
    encoded = encoder.encode(pd.DataFrame({"x": values}))
    back = encoder.decode(encoded.symbols, encoded.positions, rng=np.random.default_rng(0))["x"]
    np.testing.assert_array_equal(back, values)


def test_the_whole_range_of_64_bits_is_usable() -> None:
    values = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 500, dtype=np.int64)
    encoder = fitted(values, WHOLE)
    code = encoder.columns[0]
    symbols = np.arange(2000)[:, None] % code.size
    drawn = encoder.decode(symbols, rng=np.random.default_rng(0))["x"]
    assert values.min() <= drawn.min()
    assert drawn.max() <= values.max()
    assert abs((drawn < 0).mean() - 0.5) < 0.1


def test_unseen_numbers_go_to_the_nearest_symbol() -> None:
    encoder = fitted(np.repeat([0, 10, 100], 40), WHOLE)
    symbols = encoder.encode(pd.DataFrame({"x": [-50, 4, 6, 40, 80, 999]})).symbols[:, 0]
    np.testing.assert_array_equal(symbols, [0, 0, 1, 1, 2, 2])
