"""Codes that look like numbers with an absurd exponent are text; in pandas alone they end the process."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthkit.schema import Schema
from synthkit.schema_values import parse_numbers


@pytest.mark.parametrize("text", ["1e3000000000", "2E2147483648", "7e+4294967295", "5e-3000000000", "1e99999999999"])
def test_an_absurd_exponent_is_no_number(text: str) -> None:
    numbers = parse_numbers(pd.Series([text, "1e3", "2.5", None, "x", 7], dtype=object))
    np.testing.assert_array_equal(numbers, [np.nan, 1000.0, 2.5, np.nan, np.nan, 7.0])


def test_a_column_of_hexadecimal_codes_can_be_described() -> None:
    codes = [f"{value:04x}" for value in range(300)] + ["1e3000000000", "2e2147483648"]
    column = Schema.infer(pd.DataFrame({"code": codes, "x": np.arange(302)}))["code"]
    assert column.type in ("identifier", "categorical", "text")
