"""Bad files are named with the reason, the rest goes on, and nothing usable is one sentence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from phantoms import AXIAL, SC, dataset, heads, shapes, uid, write, write_arrays, write_pictures, write_series
from pydicom.uid import RLELossless

from synthkit.cli import run
from synthkit.errors import InputError
from synthkit.io.scan_set import ScanSet
from synthkit.io.scans import Reading, read_scans, survey_scans

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
HEAD = heads(1).images[0, 0]


def reasons(reading: Reading) -> dict[str, str]:
    return {one.file: one.reason for one in reading.report.left_out}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A good series of 12 slices, to which bad files are added."""
    write_series(tmp_path / "good", HEAD)
    return tmp_path


def still_good(series: Path) -> dict[str, str]:
    """Read the folder, see that the good series is whole, and return why the rest is left out."""
    reading = read_scans(series)
    assert np.array_equal(reading.scans.images[0, 0], HEAD)
    assert len(reading.scans) == 1
    text = reading.report.describe()
    assert f"left out: {reading.report.n_left_out} file" in text
    assert survey_scans(series).n_scans == 1
    return reasons(reading)


# ------------------------------------------------------------ one bad file beside a good series


def test_a_truncated_file_is_named(series: Path) -> None:
    path = write(series / "cut.dcm", dataset(np.zeros((24, 24), np.uint16), SOPInstanceUID=uid("cut")))
    path.write_bytes(path.read_bytes()[:-100])
    assert still_good(series) == {"cut.dcm": "cut off: 1,152 bytes of pixels expected, 1,052 there"}


def test_a_file_that_is_cut_in_its_header_is_named(series: Path) -> None:
    path = write(series / "cut.dcm", dataset(np.zeros((24, 24), np.uint16), SOPInstanceUID=uid("cut")))
    path.write_bytes(path.read_bytes()[:400])
    assert list(still_good(series)) == ["cut.dcm"]


def test_a_compressed_file_that_is_cut_off_is_named_when_it_is_read(tmp_path: Path) -> None:
    for i in range(3):
        data = dataset(np.arange(4096, dtype=np.uint16).reshape(64, 64) + i, SC, modality="OT", SyntheticData="YES")
        data.SOPInstanceUID = uid(i)
        write(tmp_path / f"{i}.dcm", data, transfer_syntax=RLELossless)
    whole = (tmp_path / "1.dcm").read_bytes()
    (tmp_path / "1.dcm").write_bytes(whole[: len(whole) - 3000])
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 2
    assert list(reasons(reading)) == ["1.dcm"]


def test_a_damaged_slice_costs_its_volume_and_is_named(tmp_path: Path) -> None:
    for patient in "ab":
        for path in write_series(tmp_path / patient, HEAD, patient=patient):
            write(path, pydicom.dcmread(path), transfer_syntax=RLELossless)
    victim = sorted((tmp_path / "b").iterdir())[3]
    data = pydicom.dcmread(victim)
    data.PixelData = pydicom.encaps.encapsulate([b"\x01\x00" + b"\xff" * 90])
    data.save_as(victim)
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 1
    assert list(reasons(reading)) == ["b"]
    assert victim.name in reasons(reading)["b"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rtdose.dcm", "RT Dose Storage is no image that scans are made of"),
        ("reportsi.dcm", "Basic Text SR Storage is no image that scans are made of"),
        ("liver_1frame.dcm", "Segmentation Storage is no image that scans are made of"),
        ("waveform_ecg.dcm", "12-lead ECG Waveform Storage is no image that scans are made of"),
        ("dicomdirtests/DICOMDIR", "directory of a medium (DICOMDIR), no image"),
        ("rtplan.dcm", "RT Plan Storage is no image that scans are made of"),
    ],
)
def test_a_wrong_sop_class_is_named(series: Path, name: str, reason: str) -> None:
    shutil.copy(SHIPPED / name, series / Path(name).name)
    assert still_good(series) == {Path(name).name: reason}


def test_an_unknown_sop_class_is_named(series: Path) -> None:
    write(series / "x.dcm", dataset(np.zeros((24, 24), np.uint16), "1.2.3.4.5"))
    assert still_good(series) == {"x.dcm": "an unknown SOP class is no image that scans are made of"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], "localizer"),
        (["DERIVED", "SECONDARY", "AXIAL", "MPR"], "view computed from another series (MPR)"),
        (["DERIVED", "SECONDARY", "PROJECTION IMAGE"], "view computed from another series (projection)"),
        (["DERIVED", "SECONDARY", "OTHER", "PATIENT_INFO"], "page of text about the patient"),
    ],
)
def test_localizers_and_views_are_left_out(series: Path, kind: list[str], reason: str) -> None:
    for i in range(2):
        write(
            series / f"z{i}.dcm",
            dataset(np.zeros((24, 24), np.uint16), ImageType=kind, SOPInstanceUID=uid(i), SeriesInstanceUID=uid("s")),
        )
    reading = read_scans(series)
    assert [(one.file, one.reason, one.n_files) for one in reading.report.left_out] == [("z0.dcm", reason, 2)]


def test_secondary_captures_are_left_out_beside_scans_and_used_alone(series: Path) -> None:
    write(series / "z.dcm", dataset(np.zeros((24, 24), np.uint8), SC, modality="OT"))
    assert still_good(series) == {"z.dcm": "secondary capture"}
    shutil.rmtree(series / "good")
    reading = read_scans(series)
    assert len(reading.scans) == 1
    assert "used because there is nothing else" in reading.report.describe()


def test_synthetic_captures_count_as_scans(tmp_path: Path) -> None:
    for i in range(2):
        data = dataset(np.full((24, 24), i, np.uint8), SC, modality="OT", SyntheticData="YES", SOPInstanceUID=uid(i))
        write(tmp_path / f"{i}.dcm", data)
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 2
    assert "nothing else" not in reading.report.describe()


def test_burned_in_text_is_refused_unless_forced(series: Path) -> None:
    more = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": list(AXIAL), "PixelSpacing": [1, 1]}
    for i in range(5):
        more["ImagePositionPatient"] = [0, 0, 3.0 * i]
        data = dataset(
            np.zeros((24, 24), np.uint16), BurnedInAnnotation="YES", SOPInstanceUID=uid(i), RescaleType="HU", **more
        )
        data.SeriesInstanceUID, data.RescaleIntercept, data.RescaleSlope = uid("burned"), -1024, 1
        write(series / f"z{i}.dcm", data)
    found = still_good(series)
    assert set(found) == {f"z{i}.dcm" for i in range(5)}
    assert set(found.values()) == {"text is burned into it (BurnedInAnnotation is YES); --force-burned-in reads it"}
    forced = read_scans(series, force_burned_in=True, size=(12, 24, 24))
    assert len(forced.scans) == 2
    assert "a generator can repeat names" in forced.report.describe()


def test_other_files_are_named_by_ending(series: Path) -> None:
    (series / "notes.txt").write_text("hello")
    (series / "more.txt").write_text("hello")
    (series / "noending").write_text("hello")
    (series / ".hidden.dcm").write_text("hello")
    assert still_good(series) == {
        "noending": "no scan (no ending, and not DICOM)", "more.txt": "no scan (.txt, and not DICOM)",
    }  # fmt: skip


def test_a_file_that_only_says_it_is_dicom_is_named(series: Path) -> None:
    (series / "text.dcm").write_text("hello")
    (series / "empty.dcm").write_bytes(b"")
    (series / "noise.dcm").write_bytes(np.random.default_rng(0).bytes(5000))
    found = still_good(series)
    assert set(found) == {"text.dcm", "empty.dcm", "noise.dcm"}


def test_damaged_headers_never_stop_the_rest(series: Path) -> None:
    random = np.random.default_rng(3)
    good = (series / "good").glob("*.dcm")
    whole = bytearray(next(good).read_bytes())
    for i in range(40):
        harmed = whole.copy()
        for place in random.integers(132, 900, 6):
            harmed[place] = random.integers(256)
        (series / f"harmed{i}.dcm").write_bytes(bytes(harmed))
    reading = read_scans(series, slices=True)
    assert len(reading.scans) >= 12


def test_another_modality_and_another_kind_of_file_are_left_out(series: Path) -> None:
    write_series(series / "mr", HEAD[:5], modality="MR", patient="p")
    write_pictures(series, shapes(2))
    found = still_good(series)
    assert found["mr"] == "modality MR, and most are CT: read them on their own"
    assert found["disc/disc-0000.png"] == "a picture, and most files are DICOM"


# ------------------------------------------------------------ where files lie


def test_links_are_followed_once_and_loops_end(series: Path) -> None:
    os.symlink(series, series / "good" / "loop")
    os.symlink(series / "good", series / "again")
    (first, *_) = sorted((series / "good").glob("*.dcm"))
    os.symlink(first, series / "link.dcm")
    os.symlink(series / "nowhere", series / "broken.dcm")
    found = still_good(series)
    assert found.pop("broken.dcm").startswith("cannot be opened")
    assert set(found.values()) <= {"a link to a file that was read already"}


def test_a_link_to_a_folder_elsewhere_is_read(tmp_path: Path) -> None:
    write_series(tmp_path / "elsewhere" / "s", HEAD)
    (tmp_path / "scans").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "scans" / "here")
    assert len(read_scans(tmp_path / "scans").scans) == 1


@pytest.mark.parametrize("name", ["Kopf Übung.dcm", "頭部 CT", "a#b?c=d", "x\x1b[31m", "-o"])
def test_odd_names_are_read_and_shown_on_one_visible_line(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / name, HEAD)
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 1
    text = reading.report.describe()
    assert text.replace("\n", "").isprintable()


def test_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    for path in write_series(tmp_path / "s", HEAD):
        os.rename(path, folder + b"/" + path.name.encode())
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 1
    reading.report.describe().encode("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may read everything")
def test_files_that_may_not_be_read_are_named(series: Path) -> None:
    path = write(series / "secret.dcm", dataset(np.zeros((24, 24), np.uint16)))
    path.chmod(0)
    assert still_good(series) == {"secret.dcm": "may not be read (permission denied)"}


# ------------------------------------------------------------ nothing usable: exit 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "holds 0 files"),
        (lambda folder: (folder / "a.txt").write_text("x"), "holds 1 file, none of them a scan"),
        (lambda folder: (folder / "a.dcm").write_text("x"), "no scan of"),
        (lambda folder: shutil.copy(SHIPPED / "rtdose.dcm", folder), "RT Dose Storage is no image"),
    ],
)
def test_nothing_usable_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, said: str
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    make(folder)  # type: ignore[operator]
    with pytest.raises(InputError, match=said):
        read_scans(folder)
    if list(folder.glob("*.dcm")):
        assert run(["inspect", str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("synthkit: error: ")
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "whole numbers of at least 1"),
        ({"size": (8, 8)}, "for 2 axes, and these are volumes"),
        ({"slices": "all"}, "slices must be 'auto', True or False"),
        ({"window": (5.0, 1.0)}, "a lower and a higher value"),
        ({"window": (5000.0, 6000.0)}, "lies beside the values"),
        ({"split": "holdout"}, "unknown split 'holdout'"),
        ({"split": "test"}, "has no split 'test'"),
        ({"labels": "nowhere.csv"}, "there is no file 'nowhere.csv'"),
        ({"labels": "tag:BodyPartExamned"}, "did you mean 'BodyPartExamined'"),
        ({"labels": "tag:PatientID"}, "identifies a patient"),
        ({"labels": "tag:0010,0010"}, "identifies a patient"),
        ({"labels": "tag:PixelData"}, "expected text or a number"),
        ({"masks": "nowhere"}, "there is no file or folder"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(series: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_scans(series, **options)  # type: ignore[arg-type]


def test_scans_that_do_not_fit_into_memory_are_refused_before_they_are_read(series: Path) -> None:
    with pytest.raises(InputError, match=r"this machine has .* GiB"):
        read_scans(series, size=20_000)


def test_nothing_that_identifies_a_patient_leaves_the_reader(tmp_path: Path) -> None:
    study = "1.2.840.99999.1.2.3.4.5"
    write_series(
        tmp_path / "DOE-1234" / study, HEAD, patient="DOE-1234", PatientName="Doe^Jane", StudyInstanceUID=study,
        AccessionNumber="ACC77", InstitutionName="Clinic of Nowhere",
    )  # fmt: skip
    reading = read_scans(tmp_path, slices=True)
    scans: ScanSet = reading.scans
    everything = repr((scans.names, scans.patients, scans.form, reading.report.to_dict()))
    for secret in ("DOE-1234", "Jane", study, "ACC77", "Nowhere"):
        assert secret not in everything.replace(str(tmp_path), "")
    assert "PatientName" in everything  # that it was there is said
    again = read_scans(tmp_path, slices=True).scans
    assert again.patients is not None
    assert np.array_equal(again.patients, scans.patients)


def test_many_headers_take_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    data = dataset(np.zeros((8, 8), np.uint16), SOPInstanceUID=uid(0))
    path = write(tmp_path / "a.dcm", data)
    content, own = path.read_bytes(), data.SOPInstanceUID.encode()
    for i in range(60):
        (tmp_path / f"{i}.dcm").write_bytes(content.replace(own, own[:-3] + f"{i:03}".encode()))
    survey_scans(tmp_path)
    tracemalloc.start()
    found = survey_scans(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n_scans == 61
    assert peak / 61 < 20_000


def test_arrays_of_python_objects_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="without Python objects"):
        read_scans(tmp_path / "objects.npz")
    whole = write_arrays(tmp_path / "whole.npz", shapes(4)).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"is no \.npz file, or it is cut off"):
        read_scans(tmp_path / "cut.npz")
