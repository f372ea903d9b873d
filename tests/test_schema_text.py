from __future__ import annotations

import re
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.schema_text import (
    boolean_pair,
    fallback_pattern,
    generate_identifiers,
    identifier_pattern,
    is_identifier_name,
    is_prose,
    is_time_name,
    ordered_scale,
    words_of,
)

RANDOM = np.random.default_rng(5)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "id",
            "ID",
            "patient_id",
            "patientId",
            "PatientID",
            "uuid",
            "No",
            "record no",
            "customerid",
            "row.number",
            "index",
            "patient_nbr",
            "Unnamed: 0",
            "order-key",
            "zip_code",
            "sno",
            "encounter_id",
        ],
    )
    def test_of_identifiers(self, name: str) -> None:
        assert is_identifier_name(name)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "age",
            "paid",
            "fluid",
            "acid",
            "fnlwgt",
            "number_outpatient",
            "num_medications",
            "price_index",
            "steroid",
            "d.time",
        ],
    )
    def test_of_other_things(self, name: str) -> None:
        assert not is_identifier_name(name)

    @pytest.mark.parametrize(("name", "words"), [("patientID", ["patient", "id"]), ("HTTPCode2", ["http", "code2"])])
    def test_are_split_into_words(self, name: str, words: list[str]) -> None:
        assert words_of(name) == words

    def test_of_times(self) -> None:
        assert is_time_name("birth_year")
        assert not is_time_name("yearly_income")


class TestPairs:
    @pytest.mark.parametrize(
        ("values", "pair"),
        [(["yes", "no"], ("no", "yes")), (["T", "F"], ("F", "T")), (["TRUE", "FALSE"], ("FALSE", "TRUE"))],
    )
    def test_false_comes_first(self, values: list[str], pair: tuple[str, str]) -> None:
        assert boolean_pair(values) == pair

    @pytest.mark.parametrize("values", [["yes"], ["yes", "maybe"], ["yes", "f"], ["yes", "no", "maybe"], ["M", "F"]])
    def test_others_are_none(self, values: list[str]) -> None:
        assert boolean_pair(values) is None


class TestScales:
    @pytest.mark.parametrize(
        "scale",
        [
            ["low", "medium", "high"],
            ["S", "M", "L", "XL"],
            ["Never", "Rarely", "Sometimes", "Often", "Always"],
            ["[0-10)", "[10-20)", "[100-110)"],
            ["<18", "18-30", "31-45", "46+"],
            ["under $1,000", "$1,000 - $1,999", "$2,000 and over"],
            ["up to 5", "5 to 10", "more than 10"],
            ["(0.5, 1.5]", "(1.5, 2.5]", "(2.5, 10.0]"],
        ],
    )
    def test_are_put_in_order(self, scale: list[str]) -> None:
        for _ in range(5):
            assert ordered_scale(list(RANDOM.permutation(scale))) == scale

    @pytest.mark.parametrize(
        "values",
        [
            ["<=50K", ">50K"],
            ["red", "green", "blue"],
            ["0-10", "5-15", "20-30"],
            ["Norm", ">7", ">8"],
            ["250.83", "428", "V57"],
            ["10-9", "8-7", "6-5"],
            ["low", "Low", "high"],
            ["2020-01", "2020-02", "2020-03"],
        ],
    )
    def test_what_is_none(self, values: list[str]) -> None:
        assert ordered_scale(values) is None


class TestPatterns:
    @pytest.mark.parametrize(
        ("values", "pattern"),
        [
            (["A12", "B07", "C93"], "A99"),
            (["P-001", "P-734"], r"\P\-999"),
            (["a1b", "a2c"], r"\a9a"),
            (["user1", "user23"], r"\u\s\e\r9{1,2}"),
            (["NW-1/2020", "SO-12/1999"], r"AA\-9{1,2}\/9999"),
            ([r"x\1", r"x\2"], r"\x\\9"),
        ],
    )
    def test_are_found(self, values: list[str], pattern: str) -> None:
        assert identifier_pattern(values) == pattern

    @pytest.mark.parametrize("values", [["one"], ["Anna", "Bert"], ["Anna", "Bertram"], ["a b 1", "ab1"], ["ä1", "ö2"]])
    def test_words_have_none(self, values: list[str]) -> None:
        assert identifier_pattern(values) is None

    def test_uuids_are_hexadecimal_throughout(self) -> None:
        values = [str(uuid.UUID(int=int.from_bytes(RANDOM.bytes(16), "big"), version=4)) for _ in range(200)]
        pattern = identifier_pattern(values)
        assert pattern is not None
        # The version is a literal, and of the variant's four digits none is lost.
        assert re.sub(r"\\(.)", r"\1", pattern) == "hhhhhhhh-hhhh-4hhh-hhhh-hhhhhhhhhhhh"

    @given(st.lists(st.from_regex(r"[A-Z]{2}[0-9]{1,4}-[a-z]", fullmatch=True), min_size=2, max_size=30, unique=True))
    def test_new_values_follow_the_pattern(self, values: list[str]) -> None:
        pattern = identifier_pattern(values)
        assert pattern is not None
        made = generate_identifiers(pattern, 50, np.random.default_rng(0))
        assert all(re.fullmatch(r"[A-Z]{2}[0-9]{1,4}-[a-z]", value) for value in made)
        assert identifier_pattern([*values, *made]) is not None

    @pytest.mark.parametrize("pattern", ["hhhhhhhh", r"\u9{1,9}", "x{3,8}", "AA9999", "Hh9Xw"])
    def test_new_values_are_distinct(self, pattern: str) -> None:
        made = generate_identifiers(pattern, 2000, np.random.default_rng(1))
        assert len(set(made)) == 2000

    def test_a_full_pattern_repeats_values(self) -> None:
        assert set(generate_identifiers("9", 200, np.random.default_rng(1))) == set("0123456789")

    def test_a_seed_repeats_values(self) -> None:
        first, again = (generate_identifiers("A9{1,5}", 100, np.random.default_rng(4)) for _ in range(2))
        assert (first == again).all()

    @given(st.lists(st.text(max_size=30), min_size=1, max_size=50, unique=True))
    def test_the_fallback_has_room(self, values: list[str]) -> None:
        made = generate_identifiers(fallback_pattern(values), len(values), np.random.default_rng(2))
        assert len(set(made)) == len(values)
        assert all(made)


class TestProse:
    def test_long_and_distinct(self) -> None:
        assert is_prose([f"on the {i}th day it rained and rained" for i in range(50)], 60)

    def test_many_short_words(self) -> None:
        assert is_prose([f"a b c d{i}" for i in range(50)], 60)

    def test_long_but_few(self) -> None:
        assert not is_prose([f"acute respiratory failure, kind {i}" for i in range(50)], 1000)

    def test_names_of_things(self) -> None:
        assert not is_prose([f"street {i}" for i in range(50)], 50)
