from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from synthkit.auditing.release_metadata import MetadataAudit
from synthkit.auditing.scans.metadata import BURNED_IN, NAME, audit_metadata
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.scan_write import write_scans

MADE = Provenance("r3", 0, "a" * 64)
SCANS = ScanSet(np.random.default_rng(0).integers(0, 200, (3, 1, 16, 16)).astype(np.uint8))
VOLUMES = ScanSet(
    np.random.default_rng(0).integers(-500, 500, (2, 1, 4, 16, 16)).astype(np.int16),
    form=ScanForm("CT", "HU", 12, True, (-1024.0, 3071.0), (2.0, 1.0, 1.0)),
)


def said(found: MetadataAudit, kind: str) -> list[str]:
    return [one.what for one in found.findings if one.kind == kind]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    write_scans(VOLUMES, tmp_path / "out", format="dicom", provenance=MADE)
    return tmp_path / "out"


def change(release: Path, **attributes: object) -> Path:
    path = next(path for path in sorted(release.rglob("*.dcm")))
    data = pydicom.dcmread(path)
    for name, value in attributes.items():
        setattr(data, name, value)
    data.save_as(path)
    return path


@pytest.mark.parametrize(("format", "scans"), [("dicom", VOLUMES), ("nifti", VOLUMES), ("png", SCANS), ("npz", SCANS)])
def test_what_synthkit_writes_names_nobody_and_is_marked(tmp_path: Path, format: str, scans: ScanSet) -> None:
    write_scans(scans, tmp_path / "out", format=format, provenance=MADE)
    found = audit_metadata(tmp_path / "out")
    assert found.files > 0
    assert (found.named, found.unmarked) == (0, 0)
    risk = found.risk(NAME, BURNED_IN)
    assert risk.outcome == "no disclosure found"
    assert BURNED_IN in risk.note


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientName", "Doe^Jane"),
        ("PatientID", "12345"),
        ("PatientBirthDate", "19700101"),
        ("InstitutionName", "General Hospital"),
        ("AccessionNumber", "A77"),
        ("ReferringPhysicianName", "House^Gregory"),
    ],
)
def test_an_attribute_that_names_somebody_is_found(release: Path, name: str, value: str) -> None:
    change(release, **{name: value})
    found = audit_metadata(release)
    assert found.named == 1
    assert said(found, "named") == [f"{name} is filled in"]
    assert found.risk(NAME, BURNED_IN).outcome == "disclosure"
    assert found.risk(NAME, BURNED_IN).estimates["named"].value == pytest.approx(1 / found.files)


def test_private_attributes_are_found(release: Path) -> None:
    path = next(iter(sorted(release.rglob("*.dcm"))))
    data = pydicom.dcmread(path)
    data.private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", "Jane")
    data.save_as(path)
    assert said(audit_metadata(release), "named") == ["private attributes, which may hold anything"]


def test_a_reference_to_a_training_image_is_found(release: Path) -> None:
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    change(release, SourceImageSequence=[item])
    assert said(audit_metadata(release), "named") == ["a reference to an image that is not in the release"]


def test_identifiers_of_training_scans_are_found(release: Path, tmp_path: Path) -> None:
    training = tmp_path / "train"
    write_scans(replace(VOLUMES, images=VOLUMES.images[::-1]), training, format="dicom", provenance=MADE)
    original = pydicom.dcmread(next(iter(sorted(training.rglob("*.dcm")))))
    change(release, StudyInstanceUID=original.StudyInstanceUID)
    assert said(audit_metadata(release, training), "named") == ["StudyInstanceUID of a training scan"]
    assert audit_metadata(release).named == 0


def test_names_of_training_files_are_found(tmp_path: Path) -> None:
    for folder in ("train", "out"):
        (tmp_path / folder).mkdir()
        Image.fromarray(SCANS.images[0, 0]).save(tmp_path / folder / "patient-0042.png")
    found = audit_metadata(tmp_path / "out", tmp_path / "train")
    assert said(found, "named") == ["the name of a file of the training scans"]


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("SyntheticData", "NO", "SyntheticData is not YES"),
        ("ImageType", ["ORIGINAL", "PRIMARY"], "ImageType does not begin with DERIVED"),
        ("ContributingEquipmentSequence", [], "no Contributing Equipment says what synthesized it"),
    ],
)
def test_a_missing_mark_is_found_and_is_no_disclosure(release: Path, name: str, value: object, missing: str) -> None:
    change(release, **{name: value})
    found = audit_metadata(release)
    assert said(found, "unmarked") == [missing]
    assert found.risk(NAME, BURNED_IN).estimates["unmarked"].value > 0
    assert found.risk(NAME, BURNED_IN).outcome == "no disclosure found"


def test_burned_in_text_that_is_not_denied_is_a_note(release: Path) -> None:
    change(release, BurnedInAnnotation="YES")
    assert said(audit_metadata(release), "note") == ["BurnedInAnnotation is not NO"]


def test_pictures_without_texts_are_unmarked_and_exif_is_read(tmp_path: Path) -> None:
    picture = Image.fromarray(SCANS.images[0, 0])
    exif = picture.getexif()
    exif[315] = "Jane Doe"
    picture.save(tmp_path / "a.jpg", exif=exif)
    picture.save(tmp_path / "b.png")
    found = audit_metadata(tmp_path)
    assert said(found, "named") == ["Exif Artist is filled in"]
    assert found.unmarked == 2


def test_nifti_headers_are_read(tmp_path: Path) -> None:
    import nibabel

    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.header["db_name"] = b"Doe, Jane"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(2, b""))
    nibabel.save(image, tmp_path / "a.nii.gz")
    found = audit_metadata(tmp_path)
    assert "db_name is filled in" in said(found, "named")
    assert "an extension with DICOM attributes" in said(found, "named")
    assert found.unmarked == 1


def test_arrays_with_names_of_patients_are_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=SCANS.images, patients=np.array(["Jane", "Joe", "Jim"]))
    found = audit_metadata(tmp_path / "a.npz")
    assert said(found, "named") == ["an array 'patients' that is more than numbers"]
    assert found.unmarked == 1


def test_damaged_files_are_notes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG nothing")
    (tmp_path / "b.npz").write_bytes(b"nothing")
    (tmp_path / "c.nii.gz").write_bytes(b"nothing")
    (tmp_path / "d.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 9)
    found = audit_metadata(tmp_path)
    assert found.files == 4
    assert sum(one.files for one in found.findings if one.kind == "note") >= 3


def test_a_folder_without_known_files_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    assert audit_metadata(tmp_path).risk(NAME, BURNED_IN).outcome == "not applicable"
