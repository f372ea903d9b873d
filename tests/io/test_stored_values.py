import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synthkit.errors import InputError
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.stored_values import stored_values

WIDE = ScanForm("CT", "HU", 16, True, (-1024, 3071))


@settings(max_examples=40)
@given(arrays(np.int32, (2, 1, 3, 4), elements=st.integers(-30_000, 30_000)), st.booleans(), st.sampled_from([8, 12]))
def test_whole_numbers_come_back_exactly(images: np.ndarray, signed: bool, fewest: int) -> None:
    for form in (ScanForm(), WIDE, ScanForm("MR", "", 12, False, (0, 4095))):
        rule = stored_values(ScanSet(images, form=form), signed=signed, fewest_bits=fewest)
        stored = rule.stored(images)
        assert np.array_equal(rule.real(stored), images)
        assert stored.dtype == rule.dtype
        low = -(2 ** (rule.bits - 1)) if rule.signed else 0
        assert low <= stored.min() <= stored.max() < low + 2**rule.bits
        assert max(8, fewest) <= rule.bits <= 16


@settings(max_examples=60)
@given(
    arrays(np.float64, (2, 1, 3, 4), elements=st.floats(-1e6, 1e6)),
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).filter(lambda pair: pair[1] - pair[0] > 1e-3),
    st.integers(8, 16),
)
def test_no_value_is_off_by_more_than_half_a_step(images: np.ndarray, limits: tuple[float, float], bits: int) -> None:
    rule = stored_values(ScanSet(images, form=ScanForm("MR", "", bits, True, limits)))
    error = np.abs(rule.real(rule.stored(images)) - images).max()
    assert error <= rule.slope * 0.51 + 1e-6 * np.abs(images).max()
    # the step is that of the form, unless the values reach further than 16 bits of such steps or are whole numbers
    whole = (images == np.rint(images)).all() or limits[1] - limits[0] > 255
    low, high = min(limits[0], images.min()), max(limits[1], images.max())
    coarsest = max((limits[1] - limits[0]) / (2**bits - 1), (high - low) / 65535, 1.0 if whole else 0)
    assert rule.slope <= coarsest * 1.001


@settings(max_examples=40)
@given(arrays(np.float32, (1, 1, 4, 4), elements=st.floats(-1024, 3071, width=32)))
def test_hounsfield_units_are_rounded_to_whole_ones(images: np.ndarray) -> None:
    rule = stored_values(ScanSet(images, form=ScanForm("CT", "HU", 12, False, (-1024, 3071))), fewest_bits=12)
    assert (rule.slope, rule.intercept, rule.bits) == (1.0, -1024.0, 12)
    assert np.array_equal(rule.real(rule.stored(images)), np.rint(images))


def test_a_hand_computed_rule() -> None:
    images = np.array([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3)
    rule = stored_values(ScanSet(images, form=ScanForm("OT", "", 8, False, (0.0, 1.0))))
    assert rule.bits == 8
    assert rule.slope == pytest.approx(1 / 255, rel=1e-8)
    assert rule.stored(images).ravel().tolist() == [0, 64, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        stored_values(ScanSet(np.full((1, 1, 2, 2), value)))
