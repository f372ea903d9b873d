"""Scans of another size by one rule, and sets of mixed sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phantoms import heads, shapes, write_pictures, write_series

from synthkit.errors import InputError
from synthkit.io.resampling import fit_of, fitted, fitted_mask, resampled, resampled_masks, weights
from synthkit.io.scan_set import ScanSet
from synthkit.io.scans import read_scans

LENGTHS = st.integers(1, 12)


@given(old=LENGTHS, new=LENGTHS)
def test_weights_are_means_of_what_a_sample_covers(old: int, new: int) -> None:
    matrix = weights(old, new)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-6)
    assert (matrix >= 0).all()
    if old == new:
        assert np.allclose(matrix, np.eye(old))
    # the middle stays where it is, and left and right are treated alike
    assert np.allclose(matrix, matrix[::-1, ::-1], atol=1e-6)
    if new <= old:  # every old sample counts as much: the mean is kept
        assert np.allclose(matrix.mean(axis=0), 1 / old, atol=1e-6)


@given(factor=st.integers(1, 4), rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_whole_factor_is_the_mean_of_blocks(factor: int, rows: int, columns: int, seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(1, 1, rows * factor, columns * factor))
    blocks = image.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    assert np.allclose(resampled(image, (rows, columns))[0, 0], blocks, atol=1e-5)


def test_finer_grids_interpolate_linearly() -> None:
    line = np.array([0.0, 10.0, 20.0])[None, None, None].repeat(2, axis=2)
    assert np.allclose(resampled(line, (2, 6))[0, 0, 0], [0, 2.5, 7.5, 12.5, 17.5, 20])


@given(size=st.tuples(LENGTHS, LENGTHS, LENGTHS), seed=st.integers(0, 99))
def test_values_stay_within_their_range_and_dtype(size: tuple[int, int, int], seed: int) -> None:
    image = np.random.default_rng(seed).integers(-1000, 3000, (2, 1, 3, 5, 4)).astype(np.int16)
    found = resampled(image, size)
    assert found.dtype == np.int16
    assert found.shape == (2, 1, *size)
    assert image.min() <= found.min()
    assert found.max() <= image.max()


@given(size=st.tuples(LENGTHS, LENGTHS), seed=st.integers(0, 99))
def test_masks_hold_no_new_value_and_follow_the_majority(size: tuple[int, int], seed: int) -> None:
    mask = np.random.default_rng(seed).choice([0, 2, 7], (1, 6, 8))
    found = resampled_masks(mask, size)
    assert set(np.unique(found)) <= {0, 2, 7}
    shares = np.stack([resampled((mask == region).astype(float)[None], size)[0, 0] for region in (0, 2, 7)])
    chosen = np.searchsorted([0, 2, 7], found[0])
    assert (np.take_along_axis(shares, chosen[None], 0)[0] >= shares.max(axis=0) - 1e-5).all()


def test_images_are_no_masks() -> None:
    with pytest.raises(InputError, match="100 different values"):
        resampled_masks(np.arange(100).reshape(1, 10, 10), (5, 5))


@pytest.mark.parametrize("size", [(4,), (4, 4, 4), (0, 4)])
def test_sizes_that_do_not_fit_are_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="does not fit scans"):
        resampled(np.zeros((1, 1, 6, 6)), size)


# ------------------------------------------------------------ without distortion


def test_a_wide_scan_is_padded_and_not_squeezed() -> None:
    plan = fit_of((10, 20), (8, 8))
    assert plan.inner == (4, 8)
    assert plan.padding == ((2, 2), (0, 0))
    image = np.full((1, 10, 20), 7, np.int16)
    found = fitted(image, plan, -1024)
    assert (found[0, 2:6] == 7).all()
    assert (found[0, [0, 1, 6, 7]] == -1024).all()
    assert (fitted_mask(np.ones((10, 20), np.uint8), plan).sum(axis=1) == [0, 0, 8, 8, 8, 8, 0, 0]).all()


def test_millimetres_count_where_they_are_known() -> None:
    # 10 rows of 2 mm and 20 columns of 1 mm are a square
    plan = fit_of((10, 20), (8, 8), (2.0, 1.0))
    assert plan.inner == (8, 8)
    assert plan.spacing == (2.5, 2.5)


@given(old=st.tuples(LENGTHS, LENGTHS, LENGTHS), size=st.tuples(LENGTHS, LENGTHS, LENGTHS), aspect=st.floats(0.5, 2))
def test_a_plan_fits_and_touches_one_side(old: tuple[int, int, int], size: tuple[int, int, int], aspect: float) -> None:
    plan = fit_of(old, size, (3.0, 1.0, aspect), aspect)
    assert plan.inner[0] == size[0]
    assert all(1 <= part <= whole for part, whole in zip(plan.inner, size, strict=True))
    assert any(part == whole for part, whole in zip(plan.inner[1:], size[1:], strict=True))
    assert fit_of(old, old, (3.0, 1.0, aspect), aspect).inner == old


# ------------------------------------------------------------ mixed sizes in a folder


def test_mixed_sizes_become_the_commonest_one_and_that_is_said(tmp_path: Path) -> None:
    write_pictures(tmp_path, shapes(8, 16))
    write_pictures(tmp_path / "more", ScanSet(shapes(2, 32, seed=1).images, names=("a", "b")))
    reading = read_scans(tmp_path, labels="none")
    assert reading.scans.images.shape == (10, 1, 16, 16)
    assert any("16 x 16 (8), 32 x 32 (2); all are brought to 16 x 16" in text for text in reading.report.warnings)
    assert any(
        "2 scans of 10 were brought to 16 x 16: rows and columns by one factor" in text for text in reading.report.notes
    )
    large = read_scans(tmp_path, labels="none", size=32)
    assert large.scans.size == (32, 32)


def test_volumes_of_different_depth_and_spacing_become_one_size(tmp_path: Path) -> None:
    volume = heads(1).images[0, 0]
    write_series(tmp_path / "a", volume, patient="a")
    write_series(tmp_path / "b", volume[:6], patient="b", spacing=(6.0, 2.0, 2.0))
    reading = read_scans(tmp_path, size=(6, 12, 12))
    assert reading.scans.images.shape == (2, 1, 6, 12, 12)
    assert "spacing differs between scans" in reading.report.describe()
    assert reading.scans.form.spacing == pytest.approx((6.0, 3.0, 3.0))


def test_padding_of_ct_is_air(tmp_path: Path) -> None:
    write_series(tmp_path, np.full((5, 8, 16), 40.0))
    scans = read_scans(tmp_path, size=(5, 8, 8)).scans
    assert scans.images[0, 0, 0, :, 0].tolist() == [-1024] * 2 + [40] * 4 + [-1024] * 2
    assert scans.form.spacing == (3.0, 2.0, 2.0)


def test_a_window_cuts_values_off(tmp_path: Path) -> None:
    write_series(tmp_path, np.linspace(-1000, 1000, 5 * 16).reshape(5, 4, 4))
    scans = read_scans(tmp_path, window=(-100.0, 300.0)).scans
    assert (scans.images.min(), scans.images.max()) == (-100, 300)
    assert scans.form.limits == (-100.0, 300.0)
