"""The encoder restores a table as it was: columns, order, dtypes, categories, decimals, missing cells."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthkit.errors import DataError, ModelFileError, SchemaError
from synthkit.schema import Column, Schema
from synthkit.tables.encoder import TableEncoder

N = 600


def every_kind(n: int = N, seed: int = 0) -> tuple[pd.DataFrame, Schema]:
    rng = np.random.default_rng(seed)
    gaps = rng.random(n) < 0.1
    hours = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9000, n), unit="h")
    days = pd.Timestamp("2020-02-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    levels = ["low", "mid", "high"]
    frame = pd.DataFrame(
        {
            "plain": rng.normal(size=n),
            "price": np.round(rng.lognormal(3, 1, n), 2),
            "single": rng.normal(size=n).astype(np.float32),
            "gapped": np.where(gaps, np.nan, rng.normal(50, 10, n)),
            "age": rng.integers(17, 91, n),
            "byte": rng.integers(0, 5, n).astype(np.uint8),
            "whole": np.where(gaps, np.nan, rng.integers(0, 400, n).astype(float)),
            "nullable": pd.array(np.where(gaps, None, rng.integers(0, 9, n)), dtype="Int64"),
            "code": np.where(rng.random(n) < 0.2, -999.0, rng.normal(size=n)),
            "word": rng.choice(["a", "b", "c"], n, p=[0.7, 0.2, 0.1]).astype(object),
            "holed": pd.Series(rng.choice(["x", "y"], n), dtype=object).where(~gaps, None),
            "string": pd.array(rng.choice(["u", "v"], n), dtype="string"),
            "flag": rng.random(n) < 0.3,
            "tristate": pd.array(np.where(gaps, None, rng.random(n) < 0.3), dtype="boolean"),
            "bucket": pd.Categorical(rng.choice(["r", "s"], n), categories=["t", "s", "r"]),
            "level": pd.Categorical(rng.choice(levels, n), categories=levels, ordered=True),
            "number_code": rng.choice([1, 2, 7], n),
            "hour": pd.Series(hours),
            "local": pd.Series(days).dt.tz_localize("Europe/Paris"),
            "seconds": pd.Series(days.as_unit("s")),
            "date": pd.Series([None if gap else day.date() for gap, day in zip(gaps, days, strict=True)], dtype=object),
            "text_date": pd.Series(days.strftime("%d/%m/%Y"), dtype=object),
            "id": rng.permutation(n) + 1000,
            "name": [f"P-{value:05d}" for value in range(n)],
            "remark": ["free text"] * n,
            "same": 3.5,
            "void": np.full(n, np.nan),
        }
    )
    kinds: dict[str, dict[str, Any]] = {
        "plain": {"type": "continuous"},
        "price": {"type": "continuous", "decimals": 2, "minimum": 0, "maximum": 1e4},
        "single": {"type": "continuous"},
        "gapped": {"type": "continuous", "nullable": True},
        "age": {"type": "integer"},
        "byte": {"type": "integer"},
        "whole": {"type": "integer", "nullable": True},
        "nullable": {"type": "integer", "nullable": True},
        "code": {"type": "continuous", "sentinels": (-999.0,)},
        "word": {"type": "categorical"},
        "holed": {"type": "categorical", "nullable": True},
        "string": {"type": "categorical"},
        "flag": {"type": "boolean", "categories": (False, True)},
        "tristate": {"type": "boolean", "nullable": True},
        "bucket": {"type": "categorical", "categories": ("t", "s", "r")},
        "level": {"type": "ordinal", "categories": tuple(levels), "ordered": True},
        "number_code": {"type": "categorical"},
        "hour": {"type": "datetime", "granularity": "h"},
        "local": {"type": "datetime", "granularity": "D", "timezone": "Europe/Paris"},
        "seconds": {"type": "datetime", "granularity": "D"},
        "date": {"type": "datetime", "granularity": "D", "nullable": True, "dtype": "date"},
        "text_date": {"type": "datetime", "granularity": "D", "text_format": "%d/%m/%Y"},
        "id": {"type": "identifier"},
        "name": {"type": "identifier", "pattern": r"\P\-99999"},
        "remark": {"type": "text"},
        "same": {"type": "constant"},
        "void": {"type": "constant", "nullable": True},
    }
    columns = [
        Column(**{"name": name, "dtype": str(frame[name].dtype), **kinds[name]})  # type: ignore[arg-type]
        for name in frame.columns
    ]
    return frame, Schema(tuple(columns))


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, Schema]:
    return every_kind()


@pytest.fixture(scope="module")
def encoder(table: tuple[pd.DataFrame, Schema]) -> TableEncoder:
    return TableEncoder().fit(*table)


def drawn(encoder: TableEncoder, n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    symbols = np.stack([rng.choice(code.size, n, p=code.shares) for code in encoder.columns], axis=1)
    return encoder.decode(symbols, rng=rng)


def test_columns_order_and_dtypes_are_those_of_the_training_table(
    table: tuple[pd.DataFrame, Schema], encoder: TableEncoder
) -> None:
    frame = table[0].drop(columns="remark")
    for synthetic in (drawn(encoder, 500), drawn(encoder, 1), drawn(encoder, 0)):
        assert list(synthetic.columns) == list(frame.columns)
        for name in frame:
            assert synthetic[name].dtype == frame[name].dtype, name


def test_real_rows_come_back(table: tuple[pd.DataFrame, Schema], encoder: TableEncoder) -> None:
    frame = table[0]
    encoded = encoder.encode(frame)
    back = encoder.decode(encoded.symbols, encoded.positions, rng=np.random.default_rng(0))
    exact = ["age", "byte", "nullable", "word", "string", "flag", "tristate", "bucket", "level", "number_code", "same"]
    exact += ["id", "void"]
    for name in exact:
        pd.testing.assert_series_equal(back[name], frame[name])
    assert (back["holed"].isna() == frame["holed"].isna()).all()
    assert (back["holed"].dropna() == frame["holed"].dropna()).all()
    assert back["holed"].isna().map(bool).sum() == sum(value is None for value in back["holed"])
    for name in ("plain", "gapped", "code", "price", "single"):
        assert (back[name].isna() == frame[name].isna()).all()
        assert np.nanmax(np.abs(back[name].rank() - frame[name].rank())) <= 5
    for name in ("hour", "local", "seconds"):
        assert (back[name] - frame[name]).abs().max() < pd.Timedelta(days=5)
    assert {type(value) for value in back["date"]} == {datetime.date, type(None)}
    pd.to_datetime(back["text_date"], format="%d/%m/%Y")


def test_decoded_values_stay_in_the_range_and_on_the_grid(
    table: tuple[pd.DataFrame, Schema], encoder: TableEncoder
) -> None:
    frame, synthetic = table[0], drawn(encoder, 5000)
    for name in ("plain", "price", "single", "gapped", "whole", "age", "hour", "local", "seconds"):
        assert frame[name].min() <= synthetic[name].min(), name
        assert synthetic[name].max() <= frame[name].max(), name
    assert (synthetic["price"] == synthetic["price"].round(2)).all()
    assert (synthetic["hour"] == synthetic["hour"].dt.floor("h")).all()
    assert (synthetic["local"] == synthetic["local"].dt.normalize()).all()
    assert (
        synthetic["word"].value_counts(normalize=True).sub(frame["word"].value_counts(normalize=True)).abs().max()
        < 0.05
    )


def test_an_independent_draw_has_the_marginals(table: tuple[pd.DataFrame, Schema], encoder: TableEncoder) -> None:
    frame, synthetic = table[0], drawn(encoder, 20_000)
    for name in ("plain", "price", "gapped", "age", "whole", "code"):
        real, fake = np.sort(frame[name].dropna()), np.sort(synthetic[name].dropna())
        places = np.concatenate([real, fake])
        steps = np.searchsorted(real, places, "right") / len(real) - np.searchsorted(fake, places, "right") / len(fake)
        assert np.abs(steps).max() < 0.02, name
    assert abs(synthetic["gapped"].isna().mean() - frame["gapped"].isna().mean()) < 0.02
    assert abs((synthetic["code"] == -999).mean() - (frame["code"] == -999).mean()) < 0.02


def test_identifiers_are_unique_again(encoder: TableEncoder, table: tuple[pd.DataFrame, Schema]) -> None:
    synthetic = drawn(encoder, N)
    assert synthetic["id"].is_unique
    assert synthetic["id"].between(table[0]["id"].min(), table[0]["id"].max()).all()
    assert synthetic["name"].is_unique
    assert synthetic["name"].str.fullmatch(r"P-\d{5}").all()


def test_what_is_not_modelled_has_no_symbols(encoder: TableEncoder) -> None:
    assert not {"same", "void", "name", "remark"} & set(encoder.names)
    assert encoder.offsets[-1] == encoder.sizes.sum()
    for code in encoder.columns:
        assert code.size == code.n_atoms + code.n_bins == len(code.shares) == len(code.values)
        assert code.shares.sum() == pytest.approx(1)
        assert code.missing == encoder.schema[code.name].nullable


def test_symbols_and_positions_are_in_their_ranges(table: tuple[pd.DataFrame, Schema], encoder: TableEncoder) -> None:
    for rng in (None, np.random.default_rng(0)):
        encoded = encoder.encode(table[0], rng=rng)
        assert encoded.symbols.dtype == np.int32
        assert encoded.positions.dtype == np.float32
        assert (encoded.symbols >= 0).all()
        assert (encoded.symbols < encoder.sizes).all()
        assert (encoded.positions > 0).all()
        assert (encoded.positions < 1).all()
        for place, code in enumerate(encoder.columns):
            np.testing.assert_allclose(
                np.bincount(encoded.symbols[:, place], minlength=code.size) / len(encoded), code.shares
            )
            outside = ~code.has_inside[encoded.symbols[:, place]]
            assert (encoded.positions[outside, place] == 0.5).all()


def test_state_survives_json_and_arrays(table: tuple[pd.DataFrame, Schema], encoder: TableEncoder) -> None:
    fields, arrays = encoder.state()
    assert all(array.dtype.kind in "if" for array in arrays.values())
    again = TableEncoder.from_state(json.loads(json.dumps(fields)), {key: a.copy() for key, a in arrays.items()})
    pd.testing.assert_frame_equal(drawn(again, 300), drawn(encoder, 300))
    mine, theirs = encoder.encode(table[0]), again.encode(table[0])
    np.testing.assert_array_equal(mine.symbols, theirs.symbols)
    np.testing.assert_array_equal(mine.positions, theirs.positions)
    np.testing.assert_array_equal(
        encoder.numeric_view(mine.symbols, mine.positions), again.numeric_view(mine.symbols, mine.positions)
    )


@pytest.mark.parametrize("damage", ["columns", "settings", "schema"])
def test_a_damaged_state_is_refused(encoder: TableEncoder, damage: str) -> None:
    fields, arrays = encoder.state()
    broken = {key: value for key, value in fields.items() if key != damage}
    with pytest.raises(ModelFileError, match="damaged"):
        TableEncoder.from_state(broken, arrays)
    with pytest.raises(ModelFileError, match="damaged"):
        TableEncoder.from_state(fields, dict(list(arrays.items())[:-1]))


def test_merged_statistics_give_the_same_encoder(table: tuple[pd.DataFrame, Schema], encoder: TableEncoder) -> None:
    frame, schema = table
    parts = [TableEncoder.statistics(frame.iloc[start : start + 173], schema) for start in range(0, N, 173)]
    merged = TableEncoder.from_statistics(parts, schema)
    left, right = merged.state(), encoder.state()
    assert left[0] == right[0]
    assert left[1].keys() == right[1].keys()
    for key in left[1]:
        np.testing.assert_array_equal(left[1][key], right[1][key])


def test_unexpected_cells_are_refused_or_unknown(table: tuple[pd.DataFrame, Schema], encoder: TableEncoder) -> None:
    frame = table[0].head(5).copy()
    frame.loc[2, "word"] = "never seen"
    with pytest.raises(DataError, match=r"'word', row 2.*never seen"):
        encoder.encode(frame)
    frame.loc[2, "word"] = None
    with pytest.raises(DataError, match="'word' has 1 missing"):
        encoder.encode(frame)
    symbols = encoder.encode(frame, unknown=True).symbols
    assert symbols[2, encoder.names.index("word")] == -1
    assert (np.delete(symbols, 2, axis=0) >= 0).all()
    with pytest.raises(SchemaError, match="word"):
        encoder.encode(frame.drop(columns="word"))
    with pytest.raises(DataError, match="no rows"):
        TableEncoder().fit(table[0].head(0), table[1])


def test_symbols_outside_are_refused(encoder: TableEncoder) -> None:
    wrong = np.zeros((2, len(encoder.names)), dtype=np.int32)
    wrong[1, 0] = encoder.sizes[0]
    with pytest.raises(DataError, match="symbols outside"):
        encoder.decode(wrong, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="shape"):
        encoder.decode(wrong[:, :1], rng=np.random.default_rng(0))


def test_same_generator_same_table(encoder: TableEncoder) -> None:
    pd.testing.assert_frame_equal(drawn(encoder, 200, seed=5), drawn(encoder, 200, seed=5))


@pytest.mark.parametrize("n", [2, 10, 50])
def test_small_tables_get_few_bins_and_do_not_return_their_values(n: int) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n)})
    encoder = TableEncoder().fit(frame, Schema((Column(name="x", type="continuous", dtype="float64"),)))
    code = encoder.columns[0]
    assert code.n_atoms == 0
    assert code.n_bins == (n if n <= 10 else max(2, n // 8))
    if n == 50:
        assert not drawn(encoder, 500)["x"].isin(frame["x"]).any()


def test_dates_keep_their_zone_over_clock_changes() -> None:
    stamps = pd.Series(pd.date_range("2024-03-01", "2024-11-30", freq="h", tz="Europe/Paris"))
    column = Column(name="t", type="datetime", dtype=str(stamps.dtype), granularity="h", timezone="Europe/Paris")
    encoder = TableEncoder().fit(pd.DataFrame({"t": stamps}), Schema((column,)))
    synthetic = drawn(encoder, 3000)["t"]
    assert synthetic.dtype == stamps.dtype
    assert synthetic.notna().all()
    assert synthetic.isin(stamps).all()
