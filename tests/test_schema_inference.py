from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthkit.errors import DataError, SchemaError
from synthkit.schema import Column, Schema
from synthkit.schema_inference import infer_column

RANDOM = np.random.default_rng(3)
N = 400


def some(values: Any) -> list[Any]:
    return [values[index] for index in RANDOM.integers(0, len(values), N)]


def with_gaps(values: Any) -> list[Any]:
    return [None if index % 7 == 0 else value for index, value in enumerate(values)]


CASES: list[tuple[str, Any, dict[str, Any]]] = [
    # name, values, expected fields
    ("age", RANDOM.integers(18, 90, N), {"type": "integer", "dtype": "int64", "nullable": False}),
    ("rooms", [1, 2, 3, 4] * 100, {"type": "integer", "minimum": 1, "maximum": 4}),
    ("died", [0, 1] * 200, {"type": "boolean", "dtype": "int64", "categories": (0, 1)}),
    ("died", with_gaps([0.0, 1.0] * 200), {"type": "boolean", "dtype": "float64", "nullable": True}),
    ("side", [1, 2] * 200, {"type": "integer"}),
    ("member", [True, False] * 200, {"type": "boolean", "dtype": "bool", "categories": (False, True)}),
    ("member", pd.Series([True, False, None] * 100, dtype="object"), {"type": "boolean", "dtype": "object"}),
    ("member", pd.array([True, False, None] * 100, dtype="boolean"), {"type": "boolean", "dtype": "boolean"}),
    ("smokes", ["yes", "no"] * 200, {"type": "boolean", "categories": ("no", "yes")}),
    ("smokes", with_gaps(["T", "F"] * 200), {"type": "boolean", "categories": ("F", "T"), "nullable": True}),
    ("flag", ["TRUE", "FALSE"] * 200, {"type": "boolean", "categories": ("FALSE", "TRUE")}),
    ("sex", ["M", "F"] * 200, {"type": "categorical", "categories": ("M", "F")}),
    ("count", with_gaps(RANDOM.integers(0, 50, N)), {"type": "integer", "dtype": "float64", "nullable": True}),
    ("count", pd.array([1, 2, None, 7] * 100, dtype="Int64"), {"type": "integer", "dtype": "Int64", "nullable": True}),
    ("count", np.array([1, 2, 3] * 100, dtype="uint8"), {"type": "integer", "dtype": "uint8"}),
    ("price", np.round(RANDOM.normal(20, 5, N), 2), {"type": "continuous", "decimals": 2}),
    ("price", np.float32(np.round(RANDOM.normal(20, 5, N), 1)), {"type": "continuous", "decimals": 1}),
    ("weight", RANDOM.normal(0, 1, N), {"type": "continuous", "decimals": None}),
    ("weight", np.arange(N) + 1e17, {"type": "continuous"}),
    ("town", some(["Bern", "Basel", "Thun"]), {"type": "categorical", "dtype": "object"}),
    ("town", pd.array(some(["Bern", "Basel"]), dtype="string"), {"type": "categorical", "dtype": "string"}),
    ("town", pd.Categorical(some(["b", "a"]), categories=["z", "b", "a"]), {"categories": ("z", "b", "a")}),
    (
        "size",
        pd.Categorical(some(["S", "L"]), categories=["S", "M", "L"], ordered=True),
        {"type": "ordinal", "dtype": "category", "categories": ("S", "M", "L"), "ordered": True},
    ),
    (
        "ages",
        some(["[0-10)", "[10-20)", "[20-30)"]),
        {"type": "ordinal", "categories": ("[0-10)", "[10-20)", "[20-30)")},
    ),
    (
        "income",
        some([">$50k", "$11-$25k", "under $11k", "$25-$50k"]),
        {"type": "ordinal", "categories": ("under $11k", "$11-$25k", "$25-$50k", ">$50k")},
    ),
    ("pain", some(["high", "low", "medium"]), {"type": "ordinal", "categories": ("low", "medium", "high")}),
    ("only", ["x"] * N, {"type": "constant", "categories": ("x",)}),
    ("only", [3] * N, {"type": "constant", "categories": (3,)}),
    ("only", [datetime.date(2020, 1, 1)] * N, {"type": "constant", "dtype": "date", "minimum": "2020-01-01"}),
    ("none", [np.nan] * N, {"type": "constant", "dtype": "float64", "nullable": True, "categories": None}),
    ("none", pd.Series([None] * N, dtype="object"), {"type": "constant", "dtype": "object", "nullable": True}),
    ("mark", with_gaps(["x"] * N), {"type": "categorical", "categories": ("x",), "nullable": True}),
    ("mark", with_gaps([1.0] * N), {"type": "integer", "minimum": 1, "maximum": 1, "nullable": True}),
    # identifiers, and what is none
    ("patient_id", RANDOM.permutation(10**6)[:N], {"type": "identifier", "dtype": "int64"}),
    ("patientId", RANDOM.permutation(10**6)[:N], {"type": "identifier"}),
    ("Unnamed: 0", range(N), {"type": "identifier", "minimum": 0, "maximum": N - 1}),
    ("anything", RANDOM.permutation(N) + 7, {"type": "identifier"}),
    ("anything", range(1000, 1000 + 5 * N, 5), {"type": "identifier"}),
    ("year", range(1600, 1600 + N), {"type": "integer"}),
    ("fnlwgt", RANDOM.permutation(10**6)[:N], {"type": "integer"}),
    ("paid", RANDOM.permutation(10**6)[:N], {"type": "integer"}),
    ("price", RANDOM.permutation(10**6)[:N] / 100, {"type": "continuous"}),
    ("id", RANDOM.permutation(10**6)[:40], {"type": "integer"}),
    ("id", some([1, 2, 3]), {"type": "integer"}),
    ("key", [str(uuid.UUID(int=int(i) ** 9, version=4)) for i in range(2, N)], {"type": "identifier"}),
    ("ticket", [f"P-{i:05d}" for i in range(N)], {"type": "identifier", "pattern": r"\P\-" + "99999"}),
    ("user", [f"user{i}" for i in range(N)], {"type": "identifier", "pattern": r"\u\s\e\r9{1,3}"}),
    ("email_id", [f"{'abcdefgh'[i % 8]}.{'x' * (i % 5)}{i}@b.ch" for i in range(N)], {"type": "identifier"}),
    ("town", [chr(97 + i % 26) * (1 + i // 26) for i in range(N)], {"type": "categorical"}),
    # text to be read
    ("note", [f"the patient said number {i} hurts a lot today" for i in range(N)], {"type": "text"}),
    (
        "note",
        with_gaps([f"a fairly long sentence, the {i}th one" for i in range(N)]),
        {"type": "text", "nullable": True},
    ),
    ("dzgroup", some(["Acute respiratory failure with sepsis", "Colon cancer and other"]), {"type": "categorical"}),
    # numbers in text
    ("code", some(["250.83", "428", "V57", "E909"]), {"type": "categorical"}),
    ("diagnosis", [f"{100 + i % 90}.5" for i in range(N)] + ["V57"] * 3, {"type": "categorical"}),
    ("zip", some(["01234", "00310", "99999"]), {"type": "categorical"}),
    ("children", some(["0", "1", "2", "3+"]), {"type": "categorical"}),
    ("rank", some(["7", "8", "9", "10", "jack"]), {"type": "categorical"}),
    ("amount", some(["12", "7", "-3", "100"]), {"type": "integer", "dtype": "object"}),
    ("amount", some(["12.50", "7.25", "-3.00"]), {"type": "continuous", "dtype": "object", "decimals": 2}),
    ("amount", some([decimal.Decimal("12.50"), decimal.Decimal("7.25")]), {"type": "continuous", "dtype": "decimal"}),
    # dates
    (
        "day",
        pd.date_range("2020-01-01", periods=N),
        {"type": "datetime", "dtype": "datetime64[ns]", "granularity": "D"},
    ),
    ("at", pd.date_range("2020-01-01", periods=N, freq="90min"), {"type": "datetime", "granularity": "min"}),
    (
        "at",
        pd.date_range("2020-03-01", periods=N, freq="D", tz="Europe/Paris"),
        {"type": "datetime", "dtype": "datetime64[ns, Europe/Paris]", "timezone": "Europe/Paris", "granularity": "D"},
    ),
    (
        "born",
        with_gaps([datetime.date(1950, 1, 1) + datetime.timedelta(days=i) for i in range(N)]),
        {"type": "datetime", "dtype": "date", "nullable": True, "minimum": "1950-01-02", "granularity": "D"},
    ),
    (
        "day",
        [f"2020-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(N)],
        {"type": "datetime", "text_format": "%Y-%m-%d"},
    ),
    # codes
    ("age", [999] * 20 + some(range(18, 90)), {"type": "integer", "sentinels": (999.0,), "minimum": 18, "maximum": 89}),
    ("dose", [-9.0] * 20 + list(np.round(RANDOM.uniform(0, 5, N), 1)), {"type": "continuous", "sentinels": (-9.0,)}),
    ("gain", [0] * N + [99999] * 9 + list(RANDOM.integers(1, 40000, N)), {"type": "integer", "sentinels": ()}),
    ("balance", list(RANDOM.integers(-50, 900, N)) + [-1] * 30, {"sentinels": ()}),
]


@pytest.mark.parametrize(
    ("name", "values", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_proposal(name: str, values: Any, expected: dict[str, Any]) -> None:
    series = pd.Series(list(values) if isinstance(values, range) else values, name=name)
    column = infer_column(series)
    assert {field: getattr(column, field) for field in expected} == expected, column
    assert column.reason
    assert not column.reason.endswith(".")
    if column.pattern is not None:
        assert str(series[0]) not in column.reason, "an identifier names a real record"
    assert Column.from_dict(column.to_dict()) == column


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([3, 5, 9] * 30, "3 distinct whole numbers between 3 and 9"),
        ([0.25, 1000000.5] * 30, "2 distinct numbers with up to 2 decimals between 0.25 and 1000000"),
        ([None] * 4, "all 4 cells are missing"),
        (["a"] * 4, "the only value is a"),
        (range(100), "all 100 values are distinct and fill 100% of the whole numbers between 0 and 99: record numbers"),
        ([999] * 30 + list(range(60)) * 2, "999 (20.0% of the cells) lies far from the others and is taken for a code"),
        (["5/6/2020", "7/8/2020", "1/2/2019"], "could be day or month first and is read month first"),
        (["05.06.2020", "31.08.2020"], "2 distinct dates between 2020-06-05 and 2020-08-31 written as %d.%m.%Y"),
    ],
)
def test_reasons_say_what_was_seen(values: Any, reason: str) -> None:
    assert reason in infer_column(pd.Series(values, name="x")).reason


def test_a_key_that_repeats_is_suggested_as_person_key() -> None:
    column = infer_column(pd.Series(np.repeat(RANDOM.permutation(10**6)[:N], 2), name="patient_nbr"))
    assert column.type == "integer"
    assert "comes 2.0 times on average, so give it the role person-key" in column.reason


def test_many_categories_are_not_listed() -> None:
    values = [f"{chr(97 + i % 26)}{'x' * (i % 9)}{i % 1500}" for i in range(3000)]
    column = infer_column(pd.Series(values, name="product"))
    assert column.type == "categorical"
    assert column.categories is None
    assert "too many to list here" in column.reason


def test_categories_come_by_frequency() -> None:
    assert infer_column(pd.Series(list("abbccc"), name="x")).categories == ("c", "b", "a")


@pytest.mark.parametrize("kind", ["int64", "float64", "string", "bool", "date32", "timestamp"])
def test_arrow_dtypes_are_described_like_others(kind: str) -> None:
    plain: dict[str, tuple[list[Any], pa.DataType]] = {
        "int64": ([1, 2, None, 5], pa.int64()),
        "float64": ([1.5, 2.25, None, 5.0], pa.float64()),
        "string": (["a", "b", None, "a"], pa.string()),
        "bool": ([True, False, None, True], pa.bool_()),
        "date32": ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1), None, None], pa.date32()),
        "timestamp": (
            [datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1, 5), None, None],
            pa.timestamp("us"),
        ),
    }
    values, arrow_type = plain[kind]
    column = infer_column(pd.Series(values, dtype=pd.ArrowDtype(arrow_type), name="x"))
    expected = {"string": "categorical", "bool": "boolean", "int64": "integer", "float64": "continuous"}
    assert column.type == expected.get(kind, "datetime")
    assert column.dtype.endswith("[pyarrow]")
    assert column.nullable


class TestRefusedColumns:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([1, "a", 2, 3], r"column 'x' mixes types: most values are numbers, but not 'a' in row 2"),
            (["a", "b", 3.5, None], r"most values are texts, but not 3.5 in row 3"),
            ([True, "a", "b"], r"not True in row 1"),
            ([datetime.date(2020, 1, 1), "a", "b"], "mixes types"),
            (
                [str(i) for i in range(100)] + ["abc", "?"],
                r"most values are numbers, but not 'abc' in row 101 and '\?' in",
            ),
            (["1", "2", "three", "4"], r"not 'three' in row 3"),
            ([str(i % 16) for i in range(900)] + ["oops"], r"not 'oops' in row 901"),
            ([str(i) for i in range(300)] + ["1O3", "12x"], r"not '1O3' in row 301 and '12x' in row 302"),
            ([1.0, np.inf, 2.0, -np.inf], r"infinite values \(inf in row 2 and -inf in row 4\)"),
            (with_gaps([np.inf] * 20), r"inf in row 2, inf in row 3, inf in row 4 and 14 more"),
            ([[1], [2], [3]], "holds values of type list"),
            ([{"a": 1}, {}, None], "holds values of type dict"),
            ([b"a", b"b"], "holds values of type bytes"),
            (pd.to_timedelta([1, 2], unit="D"), "dtype timedelta64"),
            ([1j, 2j], "dtype complex128"),
            (pd.cut([1, 2, 3, 4], 2), "categories of type Interval"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_by_name_with_the_first_rows(self, values: Any, message: str) -> None:
        frame = pd.DataFrame({"x": values})
        with pytest.raises(DataError, match=message):
            Schema.infer(frame)
        assert Schema.infer(frame, overrides={"x": {"type": "text"}})["x"].type == "text"

    def test_mixed_types_can_be_taken_as_categories(self) -> None:
        schema = Schema.infer(pd.DataFrame({"x": [1, "a", 1, None]}), overrides={"x": {"type": "categorical"}})
        assert schema["x"].categories == ("1", "a")


class TestRefusedTables:
    @pytest.mark.parametrize(
        ("frame", "message"),
        [
            (pd.DataFrame(), "no columns"),
            (pd.DataFrame({"a": [], "b": []}), "no rows and 2 columns"),
            (pd.DataFrame({"a": [1]}), "one row"),
            (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "'a' appears 2 times"),
            (pd.DataFrame([[1, 2], [3, 4]]), "column name 0 is not text"),
        ],
        ids=["no columns", "no rows", "one row", "duplicate", "number"],
    )
    def test_table(self, frame: pd.DataFrame, message: str) -> None:
        with pytest.raises(DataError, match=message):
            Schema.infer(frame)

    def test_unknown_target(self, people: pd.DataFrame) -> None:
        with pytest.raises(SchemaError, match="did you mean 'income'"):
            Schema.infer(people, target="incom")

    def test_constant_target(self) -> None:
        with pytest.raises(DataError, match="target column 'a' has a single value"):
            Schema.infer(pd.DataFrame({"a": [1, 1], "b": [1, 2]}), target="a")


class TestOverrides:
    frame = pd.DataFrame(
        {
            "zip": [8001, 3000, 3012] * 20,
            "score": [1, 2, 3] * 20,
            "word": ["b", "a", "b"] * 20,
            "day": ["2020-01-01", "2020-01-02", "2020-03-01"] * 20,
            "pad": ["007", "042", "100"] * 20,
        }
    )

    @pytest.mark.parametrize(
        ("name", "fields", "expected"),
        [
            (
                "zip",
                {"type": "categorical"},
                {"type": "categorical", "categories": (8001, 3000, 3012), "minimum": None},
            ),
            ("score", {"type": "ordinal"}, {"type": "ordinal", "categories": (1, 2, 3)}),
            ("score", {"type": "continuous"}, {"type": "continuous", "decimals": 0, "minimum": 1}),
            ("word", {"type": "ordinal"}, {"type": "ordinal", "categories": ("a", "b")}),
            ("word", {"type": "ordinal", "categories": ["b", "a"]}, {"categories": ("b", "a")}),
            ("word", {"type": "boolean"}, {"type": "boolean", "categories": ("b", "a")}),
            ("day", {"type": "categorical"}, {"type": "categorical", "text_format": None}),
            ("zip", {"type": "identifier"}, {"type": "identifier", "minimum": 3000, "maximum": 8001}),
            ("word", {"type": "identifier"}, {"type": "identifier"}),
            ("pad", {"type": "integer"}, {"type": "integer", "minimum": 7, "maximum": 100}),
            ("score", {"minimum": 0, "maximum": 10, "roles": ["sensitive"]}, {"maximum": 10, "roles": ("sensitive",)}),
        ],
    )
    def test_a_type_is_applied_to_the_data(self, name: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
        column = Schema.infer(self.frame, overrides={name: fields})[name]
        assert {field: getattr(column, field) for field in expected} == expected

    @pytest.mark.parametrize(
        ("overrides", "error", "message"),
        [
            ({"zipp": {}}, SchemaError, "did you mean 'zip'"),
            ({"zip": {"typ": "text"}}, SchemaError, "did you mean 'type'"),
            ({"zip": {"type": "category"}}, SchemaError, "unknown type 'category'"),
            ({"word": {"type": "integer"}}, DataError, "cannot be integer"),
            ({"word": {"type": "datetime"}}, DataError, "cannot be datetime"),
            ({"score": {"type": "boolean"}}, DataError, "3 distinct values, expected two"),
            ({"score": {"type": "constant"}}, DataError, "3 distinct values, expected one"),
        ],
    )
    def test_refused(self, overrides: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Schema.infer(self.frame, overrides=overrides)


@pytest.mark.parametrize(
    "shuffle",
    [
        lambda frame: frame.set_index(pd.Index(range(len(frame), 0, -1))),
        lambda frame: frame.set_index(pd.Index([0] * len(frame))),
        lambda frame: frame.convert_dtypes().astype(frame.dtypes.to_dict()),
    ],
    ids=["other index", "index that repeats", "copied"],
)
def test_the_index_does_not_matter(people: pd.DataFrame, shuffle: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    assert Schema.infer(shuffle(people)) == Schema.infer(people)


def test_wide_tables_work() -> None:
    frame = pd.DataFrame({f"c{i}": RANDOM.integers(0, 9, 60) for i in range(1000)})
    assert len(Schema.infer(frame)) == 1000


class TestFarAndLarge:
    """What does not fit 64 bits is refused by name, or taken as labels where that is asked for."""

    DATES: ClassVar[list[Any]] = [
        pd.Series([datetime.date(9999, 12, 31), datetime.date(2020, 1, 1)] * 5),
        pd.Series(np.array(["9999-12-31", "2020-01-01"] * 5, dtype="datetime64[us]")),
        pd.Series([datetime.datetime(9999, 12, 31), datetime.datetime(2020, 1, 1)] * 5, dtype="object"),
    ]

    @pytest.mark.parametrize("series", DATES, ids=lambda series: str(series.dtype))
    def test_dates(self, series: pd.Series[Any]) -> None:
        frame = pd.DataFrame({"until": series})
        with pytest.raises(DataError, match=r"'until' holds dates before 1677 or after 2262 \('9999-12-31.*' in row 1"):
            Schema.infer(frame)
        column = Schema.infer(frame, overrides={"until": {"type": "categorical"}})["until"]
        assert column.categories is not None
        assert str(column.categories[0]).startswith("9999-12-31")

    def test_numbers(self) -> None:
        with pytest.raises(DataError, match="more than 64 bits"):
            Schema.infer(pd.DataFrame({"x": [2**70, 2**70 + 1]}))

    def test_numbers_in_text(self) -> None:
        assert infer_column(pd.Series([str(2**70 + i % 3) for i in range(90)], name="x")).type == "categorical"


@pytest.mark.parametrize("cells", [["0", "1", None], ["1", "0"], [0, 1, None], [0.0, 1.0]])
def test_zeros_and_ones_are_known_as_they_stand_in_the_table(cells: list[object]) -> None:
    frame = pd.DataFrame({"a": cells * 30, "b": range(30 * len(cells))})
    schema = Schema.infer(frame)
    assert schema["a"].type == "boolean"
    assert set(schema["a"].categories or ()) == set(frame["a"].dropna())
    schema.check(frame)
