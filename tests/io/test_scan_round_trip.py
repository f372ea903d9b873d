"""What is written is read again by our own reader: values in real units, labels, classes and masks."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from written_scans import KINDS, PROVENANCE, scans_of

from synthkit.io.kinds import kind_of
from synthkit.io.scan_write import FORMATS, write_scans
from synthkit.io.scans import read_scans

CASES = [(kind, format) for kind in KINDS for format in FORMATS if format != "png" or "volume" not in kind]


@pytest.mark.parametrize(("kind", "format"), CASES)
def test_scans_labels_and_masks_come_back(kind: str, format: str, tmp_path: Path) -> None:
    scans = scans_of(kind, masks=True)
    write_scans(scans, tmp_path / "out", format=format, provenance=PROVENANCE)
    assert kind_of(tmp_path / "out") == "scans"
    read = read_scans(tmp_path / "out").scans
    assert np.array_equal(read.images, scans.images)
    assert scans.labels is not None
    assert read.labels is not None
    assert [read.classes[i] for i in read.labels] == [scans.classes[i] for i in scans.labels]
    assert scans.masks is not None
    assert np.array_equal(read.masks, scans.masks)
    assert read.form.units == scans.form.units
    if scans.form.spacing is not None:
        assert read.form.spacing == pytest.approx(scans.form.spacing)


@pytest.mark.parametrize("format", FORMATS)
def test_a_mask_without_a_region_comes_back_as_background(format: str, tmp_path: Path) -> None:
    scans = scans_of("ct picture", 3, masks=True)
    assert scans.masks is not None
    scans.masks[1] = 0
    write_scans(scans, tmp_path / "out", format=format, provenance=PROVENANCE)
    assert np.array_equal(read_scans(tmp_path / "out").scans.masks, scans.masks)


@pytest.mark.parametrize("syntax", ["explicit", "rle"])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm"])
def test_a_scan_of_a_scanner_is_the_same_after_writing_and_reading(name: str, syntax: str, tmp_path: Path) -> None:
    path = get_testdata_file(name, download=False)
    assert path is not None
    scans = read_scans(path).scans
    write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE, transfer_syntax=syntax)
    again = read_scans(tmp_path / "out").scans
    assert np.array_equal(again.images, scans.images)
    assert again.form.units == scans.form.units
    assert again.form.spacing == pytest.approx(scans.form.spacing)
    assert again.form.body_part == scans.form.body_part
