from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synthkit.errors import InputError
from synthkit.evaluation.scans.pictures import (
    as_pixels,
    class_grids,
    coloured,
    data_address,
    grid,
    grid_png,
    heat_map,
    heat_map_png,
    planes,
    png_bytes,
    tiles,
    triples,
    triples_png,
    window_of,
)
from synthkit.io.scan_set import ScanSet


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        return np.asarray(picture)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_pillow_reads_back_what_was_written(rows: int, columns: int, colours: bool, seed: int) -> None:
    shape = (rows, columns, 3) if colours else (rows, columns)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(opened(png_bytes(pixels)), pixels)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)])
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected"):
        png_bytes(pixels)


def test_an_address_holds_the_file() -> None:
    head, _, body = data_address(b"abc").partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == b"abc"


def test_the_ends_of_the_window_are_black_and_white() -> None:
    assert as_pixels(np.array([-2000, -1000, 0, 1000, 5000, np.nan]), (-1000, 1000)).tolist() == [
        0,
        0,
        128,
        255,
        255,
        0,
    ]


def test_one_window_holds_for_several_sets() -> None:
    low, high = window_of(np.arange(100.0), np.arange(900, 1000.0), quantiles=(0, 1))
    assert (low, high) == (0, 999)
    assert window_of(np.full((2, 2), 7.0)) == (7.0, 8.0)
    assert window_of(np.array([np.nan])) == (0.0, 1.0)


def test_colours_get_brighter_with_the_value() -> None:
    brightness = coloured(np.linspace(0, 1, 50), (0, 1)).astype(float) @ [0.3, 0.59, 0.11]
    assert np.all(np.diff(brightness) > 0)


def test_planes_go_through_the_middle_with_the_last_slice_on_top() -> None:
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    axial, coronal, sagittal, projection = planes(volume)
    assert np.array_equal(axial, volume[2])
    assert np.array_equal(coronal, volume[::-1, 2])
    assert np.array_equal(sagittal, volume[::-1, :, 3])
    assert np.array_equal(projection[0], volume[3].max(axis=0))


def test_thick_slices_are_stretched_to_their_proportions() -> None:
    shapes = [plane.shape for plane in planes(np.zeros((4, 5, 6)), (3.0, 1.0, 1.0))]
    assert shapes == [(5, 6), (12, 6), (12, 5), (12, 6)]


def test_a_grid_puts_pictures_in_rows_between_white_lines() -> None:
    pictures = [np.full((2, 3), value, dtype=np.uint8) for value in (10, 20, 30)]
    sheet = grid(pictures, columns=2, zoom=1, gap=1)
    assert sheet.shape == (5, 7)
    assert (sheet[0, 0], sheet[0, 4], sheet[3, 0], sheet[3, 4]) == (10, 20, 30, 255)
    assert np.all(sheet[2] == 255)


def test_small_pictures_are_enlarged_and_mixed_ones_coloured() -> None:
    assert grid([np.zeros((28, 28), np.uint8)]).shape == (112, 112)
    assert grid([np.zeros((8, 8), np.uint8), np.ones((8, 8, 3), np.uint8)], zoom=1).shape[2] == 3


def test_bad_grids_are_refused() -> None:
    with pytest.raises(InputError, match="no picture"):
        grid([])
    with pytest.raises(InputError, match="one size"):
        grid([np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)])
    with pytest.raises(InputError, match="channels"):
        tiles(np.zeros((3, 4, 4)), (0, 1))


@pytest.mark.parametrize("shape", [(5, 1, 16, 16), (5, 3, 16, 16), (3, 1, 6, 10, 12)])
def test_scans_of_every_kind_become_a_png(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).normal(size=shape)
    picture = opened(grid_png(images))
    assert picture.ndim == (3 if shape[1] == 3 else 2)
    assert min(picture.shape[:2]) > 10


def test_every_class_has_its_grid_at_one_window() -> None:
    images = np.concatenate([np.full((3, 1, 8, 8), 50.0), np.full((2, 1, 8, 8), 100.0)])
    scans = ScanSet(images, labels=np.array([0, 0, 0, 1, 1]), classes=("low", "high", "none"))
    grids = class_grids(scans, window=(0, 100))
    assert list(grids) == ["low", "high"]
    assert opened(grids["low"])[0, 0] == 128
    assert opened(grids["high"])[0, 0] == 255


def test_the_difference_of_a_copy_is_black() -> None:
    rng = np.random.default_rng(0)
    fake, held = rng.normal(size=(2, 1, 16, 16)), rng.normal(size=(2, 1, 16, 16))
    rows = triples(fake, fake, held, zoom=1)
    assert rows.shape == (34, 70, 3)
    assert np.array_equal(rows[:16, :16], rows[:16, 18:34])
    assert np.all(rows[:16, 54:] == coloured(np.zeros((16, 16)), (0, 1)))
    moved = triples(fake, held, held, aligned=fake, zoom=1)
    assert np.all(moved[:16, 54:] == rows[:16, 54:])


def test_neighbours_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        triples_png(np.zeros((2, 1, 8, 8)), np.zeros((2, 1, 8, 9)), np.zeros((2, 1, 8, 8)))


def test_volumes_have_planes_below_each_other() -> None:
    volumes = np.random.default_rng(0).normal(size=(2, 1, 6, 10, 12))
    assert opened(triples_png(volumes, volumes, volumes, spacing=(2.0, 1.0, 1.0))).ndim == 3


def test_no_heat_leaves_the_scan_as_it_is() -> None:
    image, heat = np.random.default_rng(0).uniform(size=(1, 8, 8)), np.zeros((8, 8))
    heat[3, 3] = 1.0
    shown = heat_map(image, heat, window=(0, 1), heat_window=(0, 1))
    plain = as_pixels(image[0], (0, 1))
    assert np.array_equal(shown[0, :, 0], plain[0])
    assert shown[3, 3].tolist() != [plain[3, 3]] * 3
    with pytest.raises(InputError, match="score for each sample"):
        heat_map(image, np.zeros((8, 9)))


def test_scans_stand_above_their_heat_maps() -> None:
    images = np.random.default_rng(0).uniform(size=(3, 1, 8, 8))
    assert opened(heat_map_png(images, images[:, 0], zoom=1)).shape == (18, 28, 3)
