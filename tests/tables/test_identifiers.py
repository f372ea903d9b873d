from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit import TableGAN
from synthkit.schema import Column
from synthkit.tables.identifiers import TakenIdentifiers, TextIdentifier, largest_number, make_unique


@given(st.lists(st.integers(-30, 30), max_size=60), st.integers(-40, -30), st.integers(30, 40))
def test_make_unique_keeps_order_range_and_neighbourhood(values: list[int], low: int, high: int) -> None:
    numbers = np.array(values, dtype=np.int64)
    moved = make_unique(numbers, low, high)
    assert len(np.unique(moved)) == len(moved)
    if len(moved):
        assert low <= moved.min()
        assert moved.max() <= high
        assert np.abs(moved - numbers).max() <= len(numbers)
    if len(np.unique(numbers)) == len(numbers):
        np.testing.assert_array_equal(moved, numbers)


@given(
    st.lists(st.integers(-9, 9), max_size=30),
    st.sets(st.integers(-15, 60), max_size=40),
    st.integers(-12, -9),
    st.integers(9, 12),
)
def test_make_unique_leaves_out_what_is_taken(values: list[int], used: set[int], low: int, high: int) -> None:
    numbers, taken = np.array(values, dtype=np.int64), np.array(sorted(used), dtype=np.int64)
    moved = make_unique(numbers, low, high, taken)
    assert len(set(moved.tolist())) == len(values)
    assert not used & set(moved.tolist())
    free = [number for number in range(low, high + 1) if number not in used]
    assert all(low <= number for number in moved)
    if len(free) >= len(values):
        assert all(number <= high for number in moved)
    alone = [number for number in values if number not in used]
    if len(set(alone)) == len(values):
        np.testing.assert_array_equal(moved, numbers)


def test_numbers_come_back_as_they_are_where_the_column_has_no_room() -> None:
    numbers = np.array([3, 3, 3], dtype=np.int64)
    np.testing.assert_array_equal(make_unique(numbers, 0, 3, np.arange(2), limit=3), numbers)


def test_taken_numbers_of_the_whole_range_of_64_bits() -> None:
    smallest, largest = -(2**63), 2**63 - 1
    numbers = np.array([smallest, smallest, 0, largest], dtype=np.int64)
    moved = make_unique(numbers, smallest, largest, np.array([smallest, 0, largest], dtype=np.int64))
    assert len(set(moved.tolist())) == 4
    assert not {smallest, 0, largest} & set(moved.tolist())
    assert smallest < moved.min() < 0 < moved.max() < largest


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        ("int8", 127),
        ("UInt8", 255),
        ("uint64", 2**63 - 1),
        ("float64", 2**53),
        ("float32", 2**24),
        ("object", 2**63 - 1),
        ("int64[pyarrow]", 2**63 - 1),
        ("uint16[pyarrow]", 2**16 - 1),
        ("double[pyarrow]", 2**53),
        ("float[pyarrow]", 2**24),
        ("halffloat[pyarrow]", 2**11),
    ],
)
def test_largest_number(dtype: str, largest: int) -> None:
    assert largest_number(dtype) == largest


def test_what_is_taken_is_remembered_by_column() -> None:
    taken = TakenIdentifiers()
    taken.add_numbers("a", np.array([3, 1]))
    taken.add_numbers("a", np.array([2, 3]))
    taken.texts("b").add("x")
    assert taken.numbers("a").tolist() == [1, 2, 3]
    assert taken.numbers("b").tolist() == []
    assert taken.texts("b") == {"x"}
    assert taken.texts("a") == set()


def test_a_full_template_warns_that_identifiers_repeat() -> None:
    column = Column(name="seat", type="identifier", dtype="object", pattern="A9")
    taken = TakenIdentifiers()
    drawn = TextIdentifier(column, 0.0).cells(200, np.random.default_rng(0), taken)
    assert drawn.nunique() == 200
    with pytest.warns(UserWarning, match=r"column 'seat': \d+ new identifiers repeat others.*wider"):
        TextIdentifier(column, 0.0).cells(100, np.random.default_rng(0), taken)


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 120
    return pd.DataFrame(
        {
            "id": np.arange(1, n + 1),
            "ticket": [f"P-{i:03d}" for i in rng.permutation(n)],
            "age": rng.integers(20, 60, n),
            "class": np.where(np.arange(n) % 6 == 0, "rare", "common"),
        }
    )


@pytest.fixture(scope="module")
def model(people: pd.DataFrame) -> TableGAN:
    return TableGAN(adversary="off", n_codes=4, random_state=0).fit(people, target="class")


def test_identifiers_are_unique_in_a_whole_stream(model: TableGAN) -> None:
    frame = pd.concat([batch.to_pandas() for batch in model.iter_sample(400, random_state=1, batch_rows=90)])
    assert frame["id"].is_unique
    assert frame["ticket"].is_unique


def test_balance_gives_new_rows_identifiers_of_their_own(model: TableGAN, people: pd.DataFrame) -> None:
    balanced = model.balance(people, random_state=1)
    assert balanced["class"].value_counts().tolist() == [100, 100]
    assert balanced["id"].is_unique
    assert balanced["ticket"].is_unique
    pd.testing.assert_frame_equal(balanced.iloc[: len(people)], people)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "int16", "uint64", "float64", "int64[pyarrow]", "double[pyarrow]"])
def test_identifiers_of_every_dtype_go_on_above_a_full_range(dtype: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": pd.array(np.arange(60), dtype=dtype), "x": rng.normal(size=60)})
    fitted = TableGAN(adversary="off", n_codes=2, random_state=0, verbose=False).fit(frame)
    assert fitted.schema_["id"].type == "identifier"
    drawn = fitted.sample(150, random_state=0)["id"]
    assert drawn.dtype == frame["id"].dtype
    assert drawn.is_unique
