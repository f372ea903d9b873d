"""Stored pixels of DICOM as values in real units."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phantoms import CR, CT, MR, SC, dataset, uid, write
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from synthkit.io.dicom_headers import read_headers
from synthkit.io.dicom_pixels import PixelReader, form_of
from synthkit.io.scan_stack import UnreadableScan
from synthkit.io.scans import Reading, read_scans

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
STORED = np.arange(48, dtype=np.uint16).reshape(6, 8) * 17
LARGE = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)


def shipped(tmp_path: Path, *names: str) -> Reading:
    """Read files that pydicom ships, from a folder of their own."""
    for name in names:
        shutil.copy(SHIPPED / name, tmp_path / name)
    return read_scans(tmp_path, slices=True)


def values(path: Path) -> np.ndarray:
    """Real values of a file of one frame, ``[channels, rows, columns]``."""
    (header,), _ = read_headers(path, path.name)
    return PixelReader().read(header)


# ------------------------------------------------------------ transfer syntaxes


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless]
)
def test_lossless_syntaxes_give_the_same_values(tmp_path: Path, syntax: str) -> None:
    path = write(tmp_path / "a.dcm", dataset(LARGE, MR, modality="MR"), transfer_syntax=syntax)
    assert np.array_equal(values(path)[0], LARGE)


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm",
             "MR_small_implicit.dcm", "MR_small_padded.dcm"],
)  # fmt: skip
def test_files_of_others_in_every_lossless_syntax_are_equal(name: str) -> None:
    assert np.array_equal(values(SHIPPED / name), values(SHIPPED / "MR_small.dcm"))


def test_lossy_syntaxes_are_read() -> None:
    for name in ("JPEGLSNearLossless_16.dcm", "JPEG2000.dcm", "SC_rgb_small_odd_jpeg.dcm"):
        found = values(SHIPPED / name)
        assert found.max() > found.min(), name


def test_a_form_of_a_syntax_that_no_installed_decoder_takes_is_named() -> None:
    # 12 bits of JPEG Extended: gdcm and pillow refuse it
    with pytest.raises(UnreadableScan, match=r"JPEG Extended .* of 12 bits: install pylibjpeg-libjpeg"):
        values(SHIPPED / "JPEG-lossy.dcm")


def test_a_missing_decoder_is_named_with_the_package_and_the_rest_goes_on(tmp_path: Path) -> None:
    # In a process of its own, in which the packages are not there: nothing of it is made up.
    for name in ("MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    data = pydicom.dcmread(tmp_path / "MR_small_RLE.dcm")
    data.SOPInstanceUID = uid("other")
    data.save_as(tmp_path / "MR_small_RLE.dcm")
    script = (
        "import sys\n"
        "for name in ('gdcm', 'pylibjpeg', 'openjpeg', 'PIL', 'jpeg_ls'): sys.modules[name] = None\n"
        "from synthkit.io.scans import read_scans\n"
        f"reading = read_scans({str(tmp_path)!r}, slices=True)\n"
        "print(len(reading.scans), *[f'{one.file}: {one.reason}' for one in reading.report.left_out])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    said = "1 MR_small_jpeg_ls_lossless.dcm: no decoder for JPEG-LS Lossless Image Compression: install synthkit[scans]"
    assert done.stdout.startswith(said), done.stderr
    assert "gdcm" in done.stdout


def test_a_video_is_left_out_with_its_syntax(tmp_path: Path) -> None:
    data = dataset(STORED, MR, modality="MR")
    data.PixelData = pydicom.encaps.encapsulate([data.PixelData])
    data["PixelData"].is_undefined_length = True
    write(tmp_path / "a.dcm", data, transfer_syntax="1.2.840.10008.1.2.4.102", compress=False)
    write(tmp_path / "b.dcm", dataset(STORED, MR, modality="MR", SOPInstanceUID=uid("b")))
    (left,) = read_scans(tmp_path).report.left_out
    assert left.file == "a.dcm"
    assert "is none of still images" in left.reason


# ------------------------------------------------------------ real units


@given(
    slope=st.sampled_from([1.0, 2.0, 0.5, -1.0, 1e-3]), intercept=st.sampled_from([0.0, -1024.0, 7.25]),
    signed=st.booleans(), bits=st.sampled_from([8, 12, 16]), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_real_values_are_rescaled_stored_ones_and_lie_within_the_limits(
    tmp_path_factory: pytest.TempPathFactory, slope: float, intercept: float, signed: bool, bits: int, seed: int
) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    stored = np.random.default_rng(seed).integers(low, high, (4, 5)).astype(np.int16 if signed else np.uint16)
    path = tmp_path_factory.mktemp("real") / "a.dcm"
    write(path, dataset(stored, CT, RescaleSlope=slope, RescaleIntercept=intercept, BitsStored=bits, HighBit=bits - 1))
    (header,), _ = read_headers(path, "a.dcm")
    real = PixelReader().read(header)
    assert np.allclose(real[0], stored.astype(float) * slope + intercept, rtol=1e-6)
    lowest, highest = form_of(header).limits
    assert lowest <= real.min() + 1e-3
    assert real.max() - 1e-3 <= highest
    if float(slope).is_integer() and float(intercept).is_integer():
        assert real.dtype.kind in "iu"


def test_without_rescale_values_are_as_stored(tmp_path: Path) -> None:
    assert np.array_equal(values(write(tmp_path / "a.dcm", dataset(STORED, MR, modality="MR")))[0], STORED)


def test_slopes_of_their_own_per_slice_are_applied(tmp_path: Path) -> None:
    from phantoms import write_series

    slopes = [1.0, 2.0, 3.0, 4.0]
    write_series(tmp_path, np.ones((4, 3, 3)), modality="MR", RescaleSlope=slopes, RescaleIntercept=0)
    scans = read_scans(tmp_path).scans
    assert scans.images[0, 0, :, 0, 0].tolist() == slopes
    assert scans.form.limits == (0.0, 4095.0 * 4)


def test_a_modality_table_is_applied(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [48, 0, 16], "US"
    table.LUTData = [1000 - i for i in range(48)]
    table["LUTData"].VR = "US"
    table["LUTDescriptor"].VR = "US"
    stored = np.arange(48, dtype=np.uint16).reshape(6, 8)
    data = dataset(stored, CR, modality="CR", ModalityLUTSequence=[table])
    assert np.array_equal(values(write(tmp_path / "a.dcm", data))[0], 1000 - stored)


def test_monochrome1_is_inverted_but_hounsfield_units_are_not(tmp_path: Path) -> None:
    more = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 10, "HighBit": 9}
    stored = STORED % 1024
    dark = values(write(tmp_path / "a.dcm", dataset(stored, CR, modality="CR", **more)))
    assert np.array_equal(dark[0], 1023 - stored)
    hu = values(
        write(tmp_path / "b.dcm", dataset(stored, CT, RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU", **more))
    )
    assert np.array_equal(hu[0], stored.astype(int) - 1024)


@pytest.mark.parametrize(
    ("sop", "modality", "padding", "last", "more", "expected"),
    [
        (CT, "CT", 2000, None, {"RescaleIntercept": -1024, "RescaleSlope": 1, "RescaleType": "HU"}, -1024),
        (MR, "MR", 2000, None, {}, 0),
        (MR, "MR", 1990, 2010, {}, 0),
        (CR, "CR", 2000, None, {"PhotometricInterpretation": "MONOCHROME1"}, 0),
    ],
)
def test_padding_becomes_background(
    tmp_path: Path, sop: str, modality: str, padding: int, last: int | None, more: dict[str, object], expected: float
) -> None:
    stored = np.full((4, 4), 500, np.uint16)
    stored[:, 0] = 2000
    data = dataset(stored, sop, modality=modality, PixelPaddingValue=padding, BitsStored=12, HighBit=11, **more)
    if last is not None:
        data.PixelPaddingRangeLimit = last
    real = values(write(tmp_path / "a.dcm", data))[0]
    assert (real[:, 0] == expected).all()
    assert (real[:, 1:] == real[0, 1]).all()
    assert real[0, 1] != expected


def test_padding_that_is_below_what_12_bits_hold_becomes_air(tmp_path: Path) -> None:
    stored = np.full((4, 4), 1000, np.int16)
    stored[:, 0] = -2000  # outside of the scanner's circle
    data = dataset(
        stored, CT, PixelPaddingValue=-2000, RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU", BitsStored=16
    )
    real = values(write(tmp_path / "a.dcm", data))[0]
    assert real[0].tolist() == [-1024, -24, -24, -24]


def test_overlays_in_the_upper_bits_are_cut_off(tmp_path: Path) -> None:
    stored = (np.arange(16, dtype=np.uint16) * 100).reshape(4, 4)
    data = dataset(stored | (1 << 12), MR, modality="MR", BitsStored=12, HighBit=11)
    assert np.array_equal(values(write(tmp_path / "a.dcm", data))[0], stored)


def test_colours_come_as_red_green_and_blue(tmp_path: Path) -> None:
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[:, :2, 0], rgb[:, 2:4, 1], rgb[:, 4:, 2] = 250, 240, 230
    plain = values(write(tmp_path / "a.dcm", dataset(rgb, SC, modality="OT")))
    assert np.array_equal(plain, np.moveaxis(rgb, -1, 0))


def test_ybr_and_palettes_become_colours(tmp_path: Path) -> None:
    plain = values(SHIPPED / "SC_rgb_dcmtk_+eb+cr.dcm")
    for name in ("SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_ybr_full_422_uncompressed.dcm"):
        found = values(SHIPPED / name)
        assert found.shape[0] == 3
        assert found.dtype == np.uint8
        if found.shape == plain.shape:
            assert np.abs(found.astype(int) - plain).mean() < 20
    palette = values(SHIPPED / "examples_palette.dcm")
    assert palette.shape[0] == 3
    assert len(np.unique(palette)) > 20


def test_colours_beside_grey_are_left_out(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / f"{i}.dcm", dataset(STORED.astype(np.uint8), CR, modality="OT", SOPInstanceUID=uid(i)))
    write(tmp_path / "c.dcm", dataset(np.zeros((6, 8, 3), np.uint8), CR, modality="OT"))
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 3
    assert [(one.file, one.reason) for one in reading.report.left_out] == [("c.dcm", "colours, and most are grey")]


def test_files_of_many_frames_are_pictures(tmp_path: Path) -> None:
    reading = shipped(tmp_path, "examples_ybr_color.dcm")
    assert reading.scans.images.shape[:2] == (30, 3)
    assert "do not say whether any is burned in" in reading.report.describe()


def test_computed_radiographs_that_pydicom_ships_are_read(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "dicomdirtests" / "77654033", tmp_path / "77654033")
    reading = read_scans(tmp_path)
    assert len(reading.scans) >= 3
    assert reading.scans.form.modality in ("CR", "CT")
    assert any(one.reason.startswith("modality") for one in reading.report.left_out)
