"""The map between real units and [-1, 1]: there and back, what is clipped, and which window is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.io.scan_set import ScanForm
from synthkit.scans.intensity import Intensity

CT = ScanForm("CT", "HU", 12, False, (-1024.0, 3071.0))
MR = ScanForm("MR", "", 12, False, (0.0, 4095.0))


@given(
    low=st.integers(-5000, 5000),
    extent=st.integers(1, 60_000),
    places=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_whole_numbers_in_the_window_come_back(low: int, extent: int, places: list[float]) -> None:
    intensity = Intensity(low, low + extent)
    values = np.array([low + round(place * extent) for place in places], np.int32)
    unit = intensity.to_unit(values)
    assert unit.dtype == torch.float32
    assert float(unit.min()) >= -1
    assert float(unit.max()) <= 1
    np.testing.assert_array_equal(intensity.to_real(unit, np.int32), values)


@given(low=st.floats(-1e4, 1e4), extent=st.floats(0.01, 1e4), value=st.floats(-1e5, 1e5))
def test_values_outside_are_clipped_to_the_window(low: float, extent: float, value: float) -> None:
    intensity = Intensity(low, low + extent)
    back = float(intensity.to_real(intensity.to_unit(np.array([value])), np.float64)[0])
    assert back == pytest.approx(min(max(value, low), low + extent), abs=1e-6 * (abs(low) + extent + 1))


def test_the_ends_are_exact() -> None:
    intensity = Intensity(-1000, 1000)
    assert intensity.to_unit(np.array([-1000, 0, 1000], np.int16)).tolist() == [-1, 0, 1]
    assert intensity.to_unit(np.array([-3000, 3000], np.int16)).tolist() == [-1, 1]


def test_rounding_never_leaves_the_window_or_the_dtype() -> None:
    intensity = Intensity(0.4, 255.9)
    assert intensity.to_real(np.array([-1.0, 1.0]), np.uint8).tolist() == [1, 255]


def test_it_takes_read_only_and_unsigned_arrays() -> None:
    values = np.array([0, 40_000, 65_535], np.uint16)
    values.flags.writeable = False
    np.testing.assert_array_equal(Intensity(0, 65_535).to_real(Intensity(0, 65_535).to_unit(values), np.uint16), values)


class TestTheChoice:
    def test_ct_has_its_window_narrowed_to_what_occurs(self) -> None:
        images = np.array([[-2000, -900, 500]])
        assert (Intensity.of(images, CT).low, Intensity.of(images, CT).high) == (-1024, 500)

    def test_eight_bits_are_kept_whole(self) -> None:
        found = Intensity.of(np.full((3, 3), 7, np.uint8), ScanForm())
        assert (found.low, found.high) == (0, 255)

    def test_other_values_get_a_robust_range(self) -> None:
        images = np.arange(100_000) % 1000
        images[:20] = 100_000
        found = Intensity.of(images, MR)
        assert found.low < 5
        assert 990 <= found.high <= 1000
        assert found.outside(images) == pytest.approx(0.0005, abs=0.0008)

    def test_a_declared_one_wins(self) -> None:
        assert Intensity.of(np.array([5]), CT, (-100, 100)).low == -100

    def test_a_fixed_one_reads_nothing_from_the_images(self) -> None:
        unreadable = np.array([np.nan])
        assert (Intensity.of(unreadable, CT, fixed=True).low, Intensity.of(unreadable, CT, fixed=True).high) == (
            -1024,
            3071,
        )
        assert Intensity.of(unreadable, MR, fixed=True).high == 4095

    def test_constant_scans_have_a_window_too(self) -> None:
        assert Intensity.of(np.full(10, 3.0), MR).high == 4

    @pytest.mark.parametrize("window", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
    def test_an_empty_window_is_refused(self, window: tuple[float, float]) -> None:
        with pytest.raises(InputError, match="window"):
            Intensity(*window)


def test_it_survives_a_model_file() -> None:
    one = Intensity(-1.5, 2.25, "declared")
    assert Intensity.from_dict(one.to_dict()) == one
