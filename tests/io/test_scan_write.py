import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from written_scans import KINDS, PROVENANCE, real_patients, scans_of

from synthkit.errors import InputError, OutputError
from synthkit.io.provenance import Provenance
from synthkit.io.scan_folder import read_manifest
from synthkit.io.scan_set import ScanForm
from synthkit.io.scan_write import FORMATS, scan_format, write_scans

PICTURES = [kind for kind in KINDS if "volume" not in kind]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------ what is in the files


@pytest.mark.parametrize("kind", PICTURES)
def test_png_holds_the_values_and_says_that_it_is_synthetic(kind: str, tmp_path: Path) -> None:
    scans = scans_of(kind, masks=True)
    written = write_scans(scans, tmp_path / "out", format="png", provenance=PROVENANCE)
    for i, path in enumerate(written):
        with Image.open(path) as picture:
            stored = np.asarray(picture)
            about = json.loads(picture.text["Provenance"])
        values = stored * about.get("slope", 1.0) + about.get("intercept", 0.0)
        assert np.array_equal(values if stored.ndim == 2 else np.moveaxis(values, -1, 0), scans.images[i].squeeze())
        assert about["synthetic"] is True
        assert (about["recipe"], about["seed"], about["weights_sha256"]) == ("r3", 7, "ab" * 32)
        assert (about["epsilon"], about["index"]) == (8.0, i)
        with Image.open(tmp_path / "out" / "masks" / path.name) as mask:
            assert np.array_equal(np.asarray(mask), scans.masks[i])


@pytest.mark.parametrize("kind", KINDS)
def test_nifti_holds_the_values_the_spacing_and_where_they_come_from(kind: str, tmp_path: Path) -> None:
    scans = scans_of(kind, masks=True)
    written = write_scans(scans, tmp_path / "out", format="nifti", provenance=PROVENANCE)
    for i, path in enumerate(written):
        image = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
        if values.dtype.names:
            values = np.stack([values[name] for name in values.dtype.names], axis=-1)
            values = np.moveaxis(values, -1, 0).transpose(0, 3, 2, 1)
        else:
            values = values.transpose(2, 1, 0)[None]
        assert np.array_equal(values.reshape(scans.images[i].shape), scans.images[i])
        spacing = (1.0,) * (3 - len(scans.form.spacing or ())) + tuple(scans.form.spacing or ())
        assert nibabel.affines.voxel_sizes(image.affine) == pytest.approx(spacing[::-1], abs=1e-5)
        assert image.header["descrip"].item().startswith(b"SYNTHETIC synthkit")
        about = json.loads(image.header.extensions[0].get_content())
        assert (about["synthetic"], about["weights_sha256"], about["index"]) == (True, "ab" * 32, i)
        mask = np.asanyarray(nibabel.load(tmp_path / "out" / "masks" / path.name).dataobj)
        assert np.array_equal(mask.transpose(2, 1, 0).reshape(scans.size), scans.masks[i])


def test_the_affine_of_an_axial_volume_goes_right_front_and_up(tmp_path: Path) -> None:
    # DICOM's axes go left, back and up; so column 0 lies on the right and row 0 in front.
    (path,) = write_scans(scans_of("ct volume", 1), tmp_path / "out", format="nifti", provenance=PROVENANCE)
    affine = nibabel.load(path).affine
    assert affine[:3, :3] == pytest.approx(np.diag([-0.8, -0.7, 2.5]), abs=1e-6)
    assert affine @ [39 / 2, 31 / 2, 3 / 2, 1] == pytest.approx([0, 0, 0, 1], abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_npz_holds_everything(kind: str, tmp_path: Path) -> None:
    scans = real_patients(scans_of(kind, 4, masks=True))
    (path,) = write_scans(scans, tmp_path / "out", format="npz", provenance=PROVENANCE)
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], scans.images)
        assert np.array_equal(arrays["labels"], scans.labels)
        assert np.array_equal(arrays["masks"], scans.masks)
        assert tuple(arrays["classes"]) == scans.classes
        assert arrays["patients"].tolist() == ["0", "0", "1", "1"]
        assert ScanForm.from_dict(json.loads(str(arrays["form"]))) == scans.form
        about = json.loads(str(arrays["provenance"]))
    assert Provenance.from_dict(about) == PROVENANCE


@pytest.mark.parametrize("format", FORMATS)
def test_labels_and_manifest_lie_beside(format: str, tmp_path: Path) -> None:
    scans = scans_of("mr picture", 3, masks=True)
    written = write_scans(scans, tmp_path / "out", format=format, provenance=PROVENANCE)
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert Provenance.from_dict(manifest["provenance"]) == PROVENANCE
    assert manifest["classes"] == {"normal": 2, "pneumonia": 1}
    assert sorted([*manifest["files"], "provenance.json"]) == sorted(content(tmp_path / "out"))
    if format == "npz":
        return
    with open(tmp_path / "out" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["normal", "pneumonia", "normal"]
    assert [tmp_path / "out" / row["file"] for row in rows] == list(written)
    assert all((tmp_path / "out" / row["mask"]).is_file() for row in rows)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_scans_give_the_same_bytes_and_no_patient_is_in_them(format: str, tmp_path: Path) -> None:
    scans = real_patients(scans_of("ct picture", 4, masks=True))
    for name in ("one", "two"):
        write_scans(scans, tmp_path / name, format=format, provenance=PROVENANCE)
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert one == two
    assert not [name for name, data in one.items() if b"Doe" in data or b"clinic" in data]


def test_auto_goes_by_what_the_scans_are() -> None:
    assert scan_format(scans_of("ct volume")) == "dicom"
    assert scan_format(scans_of("ultrasound")) == "dicom"
    assert scan_format(scans_of("sc colours")) == "png"
    assert scan_format(scans_of("sc volume 8 bits")) == "nifti"
    two = scans_of("sc 8 bits")
    assert scan_format(replace(two, images=np.repeat(two.images, 2, axis=1))) == "npz"


# ------------------------------------------------------------ all of it or nothing


def test_a_folder_of_someone_else_is_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "real scans"
    out.mkdir()
    (out / "patient.dcm").write_bytes(b"precious")
    for force in (False, True):
        with pytest.raises(OutputError, match="synthkit did not write it"):
            write_scans(scans_of("cr"), out, provenance=PROVENANCE, replace=force)
    assert content(tmp_path) == {"real scans/patient.dcm": b"precious"}


def test_our_own_folder_is_replaced_when_asked_and_only_when_nothing_else_is_in_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_scans(scans_of("cr", 3), out, provenance=PROVENANCE)
    before = content(tmp_path)
    with pytest.raises(OutputError, match="--replace"):
        write_scans(scans_of("cr", 1), out, provenance=PROVENANCE)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"'notes\.txt'"):
        write_scans(scans_of("cr", 1), out, provenance=PROVENANCE, replace=True)
    (out / "notes.txt").unlink()
    assert content(tmp_path) == before
    write_scans(scans_of("cr", 1), out, format="npz", provenance=PROVENANCE, replace=True)
    assert sorted(content(tmp_path)) == ["out/provenance.json", "out/scans.npz"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    written = write_scans(scans_of("cr"), tmp_path / "out", provenance=PROVENANCE)
    assert all(path.is_file() for path in written)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("scans", "options", "said"),
    [
        (scans_of("cr"), {"format": "dicm"}, "did you mean 'dicom'"),
        (scans_of("cr"), {"format": "dicom", "transfer_syntax": "rel"}, "did you mean 'rle'"),
        (scans_of("cr"), {"format": "png", "transfer_syntax": "rle"}, "is for DICOM"),
        (scans_of("ct volume"), {"format": "png"}, "these scans are volumes"),
        (scans_of("sc 8 bits"), {"format": "dicom", "transfer_syntax": "jpeg2000"}, "too small"),
        (scans_of("cr", 1).take([]), {}, "no scan to write"),
    ],
)
def test_what_cannot_be_written_is_told_in_one_sentence_and_leaves_nothing(
    scans: object, options: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as told:
        write_scans(scans, tmp_path / "out", provenance=PROVENANCE, **options)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing() -> None:
    full = Path("/dev/shm")
    if not full.is_dir():
        pytest.skip("needs a small file system in memory")
    # A limit on the size of a file is the disk that is full for one process alone.
    code = f"""
import resource, signal, sys, tempfile
from pathlib import Path
sys.path[:0] = {sys.path!r}
from written_scans import PROVENANCE, scans_of
from synthkit.errors import OutputError
from synthkit.io.scan_write import write_scans
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
scans = scans_of("ct volume", 3)
with tempfile.TemporaryDirectory() as folder:
    for format in ("npz", "dicom", "nifti"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        try:
            write_scans(scans, Path(folder) / "out", format=format, provenance=PROVENANCE)
        except OutputError as error:
            print(format, "told" if "disk is full" in str(error) else error, len(list(Path(folder).iterdir())))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["npz told 0", "dicom told 0", "nifti told 0"]


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    # Ctrl-C is heard even where the tests run in the background (tests/conftest.py)
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
sys.path[:0] = {sys.path!r}
from written_scans import PROVENANCE, scans_of
from synthkit.io.scan_write import write_scans
scans = scans_of("ct volume", 4000)
print("go", flush=True)
write_scans(scans, sys.argv[1], provenance=PROVENANCE)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout is not None
    child.stdout.readline()
    while not any("0001.dcm" in names for _, _, names in os.walk(tmp_path)):  # it writes
        assert child.poll() is None
    for _ in range(3):  # Python loses an interruption that falls into a finalizer; a person presses again
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=15)
            break
    child.stdout.close()
    assert child.wait() not in (0, None)
    assert os.listdir(tmp_path) == []


def test_provenance_refuses_what_cannot_be_true() -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        Provenance("r3", 0, "abc")
    with pytest.raises(InputError, match="epsilon"):
        Provenance("r3", 0, "0" * 64, epsilon=-1.0)
    with pytest.raises(InputError, match="delta"):
        Provenance("r3", 0, "0" * 64, epsilon=1.0, delta=1.0)
    assert len(Provenance("r" * 200, 2**63, "0" * 64, 0.1, 1e-9).describe(10**9)) < 1024
