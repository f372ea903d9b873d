"""NIfTI, pictures and arrays; masks; and what synthkit writes comes back as it was."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel
import numpy as np
import pytest
from phantoms import heads, shapes, write_arrays, write_heads, write_nifti, write_pictures
from PIL import Image

from synthkit.errors import InputError
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.scan_write import write_scans
from synthkit.io.scans import read_scans, survey_scans

HEADS = heads(4, (6, 10, 12))
PROVENANCE = Provenance("r3", 1, "0" * 64)


def reasons(reading: object) -> dict[str, str]:
    return {one.file: one.reason for one in reading.report.left_out}  # type: ignore[attr-defined]


# ------------------------------------------------------------ NIfTI


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (-1, -1, 1)])
def test_nifti_in_any_orientation_is_turned_as_axial_dicom_lies(
    tmp_path: Path, axes: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    volume = HEADS.images[0, 0]
    plain = nibabel.load(write_nifti(tmp_path / "plain.nii.gz", volume, spacing=(3.0, 1.0, 2.0)))
    codes = np.array([[axes.index(i), flips[i]] for i in range(3)], float)
    turned = plain.as_reoriented(codes)
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    (tmp_path / "plain.nii.gz").unlink()
    scans = read_scans(tmp_path).scans
    assert np.array_equal(scans.images[0, 0], volume)
    assert scans.form.spacing == (3.0, 1.0, 2.0)


def test_times_of_nifti_are_scans_of_their_own(tmp_path: Path) -> None:
    data = np.arange(5 * 4 * 6 * 3, dtype=np.int16).reshape(5, 4, 6, 3)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-1.0, -1.0, 1.0, 1.0])), tmp_path / "f.nii")
    scans = read_scans(tmp_path).scans
    assert scans.images.shape == (3, 1, 6, 4, 5)
    assert np.array_equal(scans.images[1, 0], data[..., 1].transpose(2, 1, 0))
    assert scans.names == ("f.nii#time 1", "f.nii#time 2", "f.nii#time 3")


def test_nifti_is_scaled_as_it_says_and_limits_of_reals_are_those_of_the_values(tmp_path: Path) -> None:
    stored = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    image = nibabel.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "a.nii")
    scans = read_scans(tmp_path).scans
    assert scans.images.dtype == np.float32
    assert (scans.images.min(), scans.images.max()) == (-3.0, 26.5)
    (tmp_path / "a.nii").unlink()
    nibabel.save(nibabel.Nifti1Image(stored.astype(np.float32) / 7, np.eye(4)), tmp_path / "b.nii")
    assert read_scans(tmp_path).scans.form.limits == pytest.approx((0.0, 59 / 7))


def test_slices_of_nifti_and_pictures_in_it(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", HEADS.images[0, 0])
    scans = read_scans(tmp_path, slices=True).scans
    assert np.array_equal(scans.images[:, 0], HEADS.images[0, 0])
    write_nifti(tmp_path / "flat" / "b.nii.gz", HEADS.images[0, 0][:1])
    assert read_scans(tmp_path / "flat").scans.images.shape == (1, 1, 10, 12)


def test_damaged_and_odd_nifti_is_named(tmp_path: Path) -> None:
    good = write_nifti(tmp_path / "good.nii.gz", HEADS.images[0, 0])
    (tmp_path / "cut.nii.gz").write_bytes(good.read_bytes()[:-200])
    (tmp_path / "text.nii").write_text("hello")
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    nibabel.save(nibabel.Nifti1Image(np.full((3, 3, 3), np.nan, np.float32), np.eye(4)), tmp_path / "nan.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3, 1, 3), np.float32), np.eye(4)), tmp_path / "vectors.nii")
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 1
    found = reasons(reading)
    assert set(found) == {"cut.nii.gz", "text.nii", "complex.nii", "nan.nii", "vectors.nii"}
    assert found["nan.nii"] == "holds values that are not finite"
    assert found["complex.nii"] == "holds complex64, expected real numbers"


# ------------------------------------------------------------ pictures


def png(path: Path, values: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    (picture if mode is None else picture.convert(mode)).save(path)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_pictures_of_8_and_16_bits_come_as_they_are(tmp_path: Path, ending: str) -> None:
    scans = shapes(4, 12)
    write_pictures(tmp_path / "8", scans, ending=ending)
    found = read_scans(tmp_path / "8", labels="folders").scans
    order = np.argsort(
        [f"{scans.classes[label]}/{name}" for label, name in zip(scans.labels, scans.names, strict=True)]
    )
    assert np.array_equal(found.images, scans.images[order])
    deep = np.arange(100, dtype=np.uint16).reshape(10, 10) * 650
    png(tmp_path / "16" / f"a.{ending}", deep)
    found = read_scans(tmp_path / "16").scans
    assert np.array_equal(found.images[0, 0], deep)
    assert found.form.limits == (0.0, 65535.0)


def test_colours_palettes_and_transparency(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    png(tmp_path / "rgb" / "a.png", rgb)
    png(tmp_path / "rgb" / "b.png", rgb, "RGBA")
    assert np.array_equal(read_scans(tmp_path / "rgb").scans.images[1], np.moveaxis(rgb, -1, 0))
    grey = rgb[..., 0]
    png(tmp_path / "grey" / "a.png", grey)
    png(tmp_path / "grey" / "b.png", grey, "LA")
    png(tmp_path / "grey" / "c.png", (grey > 99), None)
    palette = Image.fromarray(grey % 4).convert("P")
    palette.putpalette([0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240])
    palette.putdata((grey % 4).reshape(-1).tolist())
    palette.save(tmp_path / "grey" / "d.png")
    found = read_scans(tmp_path / "grey").scans
    assert np.array_equal(found.images[1, 0], grey)
    assert set(np.unique(found.images[2])) == {0, 255}
    assert np.array_equal(found.images[3, 0], grey % 4 * 80)


def test_pages_are_slices_and_jpeg_is_turned_as_it_was_held(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((5, 6), i, np.uint8)) for i in range(7)]
    (tmp_path / "t").mkdir()
    pages[0].save(tmp_path / "t" / "a.tif", save_all=True, append_images=pages[1:])
    assert read_scans(tmp_path / "t").scans.images[0, 0, :, 0, 0].tolist() == list(range(7))
    assert read_scans(tmp_path / "t", slices=True).scans.images.shape == (7, 1, 5, 6)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "j").mkdir()
    upright = np.zeros((16, 32), np.uint8)
    upright[:, :16] = 250
    Image.fromarray(upright).save(tmp_path / "j" / "a.jpg", exif=exif)
    image = read_scans(tmp_path / "j").scans.images[0, 0]
    assert image.shape == (32, 16)
    assert image[:12].mean() > 200 > 50 > image[20:].mean()


def test_damaged_pictures_and_bombs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path, shapes(3, 20))
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)).save(buffer, "png")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:200])
    (tmp_path / "text.jpg").write_text("hello")
    png(tmp_path / "large.png", np.zeros((200, 300), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    reading = read_scans(tmp_path, labels="none")
    assert len(reading.scans) == 3
    found = reasons(reading)
    assert found["large.png"] == "has more pixels than any scan (a decompression bomb?)"
    assert set(found) == {"cut.png", "text.jpg", "large.png"}


# ------------------------------------------------------------ arrays


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 8, 9), (5, 1, 8, 9)),
        ((5, 8, 9, 3), (5, 3, 8, 9)),
        ((5, 3, 8, 9), (5, 3, 8, 9)),
        ((5, 8, 9, 1), (5, 1, 8, 9)),
        ((5, 7, 8, 9), (5, 1, 7, 8, 9)),
        ((5, 1, 7, 8, 9), (5, 1, 7, 8, 9)),
        ((5, 7, 8, 9, 3), (5, 3, 7, 8, 9)),
    ],
)
def test_arrays_in_the_usual_layouts(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(shape, np.uint8))
    assert read_scans(tmp_path / "a.npz").scans.images.shape == expected
    assert read_scans(tmp_path).scans.images.shape == expected


def test_splits_labels_and_patients_of_arrays(tmp_path: Path) -> None:
    train, test = shapes(12, 8), shapes(6, 8, seed=1)
    path = write_arrays(tmp_path / "a.npz", train, test)
    reading = read_scans(path)
    assert np.array_equal(reading.scans.images, train.images)
    assert np.array_equal(reading.scans.labels, train.labels)
    assert reading.scans.classes == train.classes
    assert "the split 'train' was read; 'test' not" in reading.report.notes
    assert np.array_equal(read_scans(path, split="test").scans.images, test.images)
    with pytest.raises(InputError, match="has no split 'val', it holds train, test"):
        read_scans(path, split="val")
    np.savez(tmp_path / "b.npz", images=train.images, labels=np.array(["b", "a"] * 6), ids=np.arange(12) // 2)
    scans = read_scans(tmp_path / "b.npz").scans
    assert scans.classes == ("a", "b")
    assert scans.patients is not None
    assert len(set(scans.groups)) == 6


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"x": np.zeros(3)}, "expected 'images' or 'train_images'"),
        ({"images": np.zeros((0, 4, 4))}, "holds 0 scans"),
        ({"images": np.zeros((4, 4))}, "have the shape"),
        ({"images": np.zeros((3, 4, 4), complex)}, "expected numbers"),
        ({"images": np.full((3, 4, 4), np.nan)}, "not finite"),
        ({"images": np.zeros((3, 4, 4)), "labels": np.zeros(2)}, "3 scans and 2 'labels'"),
        ({"images": np.zeros((3, 4, 4)), "labels": np.array([0, 1, 5]), "classes": np.array(["a"])}, "1 classes"),
        ({"images": np.zeros((3, 4, 4)), "labels": np.eye(3)}, "expected \\[n\\]"),
        ({"images": np.zeros((3, 4, 4)), "masks": np.zeros((3, 5, 5), int)}, "expected whole numbers"),
    ],
)
def test_arrays_that_are_no_scans_are_one_sentence(tmp_path: Path, parts: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(InputError, match=said):
        read_scans(tmp_path / "a.npz")


def test_arrays_at_another_size_with_masks(tmp_path: Path) -> None:
    scans = shapes(4, 16)
    np.savez(tmp_path / "a.npz", images=scans.images, masks=scans.masks)
    found = read_scans(tmp_path / "a.npz", size=8).scans
    assert found.images.shape == (4, 1, 8, 8)
    assert found.masks is not None
    assert np.array_equal(found.images[:, 0], np.rint(scans.images.reshape(4, 8, 2, 8, 2).mean(axis=(2, 4))))
    assert abs(found.masks.mean() - np.asarray(scans.masks).mean()) < 0.05
    assert survey_scans(tmp_path / "a.npz", size=8).size == (8, 8)


# ------------------------------------------------------------ masks


def test_masks_of_pictures_are_found_by_name_and_numbered(tmp_path: Path) -> None:
    scans = shapes(6, 12)
    write_pictures(tmp_path / "images", scans)
    for i, name in enumerate(scans.names):
        folder = scans.classes[int(np.asarray(scans.labels)[i])]
        png(tmp_path / "masks" / folder / f"{name}_mask.png", np.asarray(scans.masks)[i] * 255)
    found = read_scans(tmp_path / "images", masks=tmp_path / "masks", labels="folders").scans
    order = [scans.names.index(Path(name).stem) for name in found.names]
    assert found.masks is not None
    assert np.array_equal(found.masks, np.asarray(scans.masks)[order])
    half = read_scans(tmp_path / "images", masks=tmp_path / "masks", labels="folders", size=6).scans
    assert half.masks is not None
    assert half.masks.shape == (6, 6, 6)
    assert set(np.unique(half.masks)) == {0, 1}


def test_scans_without_a_fitting_mask_are_left_out_and_named(tmp_path: Path) -> None:
    scans = ScanSet(shapes(4, 12).images, names=("a", "b", "c", "d"))
    write_pictures(tmp_path / "images", scans)
    png(tmp_path / "masks" / "a.png", np.zeros((12, 12), np.uint8))
    png(tmp_path / "masks" / "b.png", np.zeros((9, 12), np.uint8))
    png(tmp_path / "masks" / "c.png", (np.arange(144) % 90).astype(np.uint8).reshape(12, 12))
    reading = read_scans(tmp_path / "images", masks=tmp_path / "masks")
    assert len(reading.scans) == 1
    assert reasons(reading) == {
        "b.png": "its mask is 9 x 12, and the scan 12 x 12",
        "c.png": "its mask holds 90 different values, expected at most 64",
        "d.png": "has no mask",
    }


def test_masks_of_volumes_as_nifti_for_dicom_and_nifti(tmp_path: Path) -> None:
    write_heads(tmp_path / "dicom", HEADS)
    for i, name in enumerate(HEADS.names):
        write_nifti(tmp_path / "masks" / f"{name}.nii.gz", np.asarray(HEADS.masks)[i])
        write_nifti(tmp_path / "nifti" / f"{name}.nii.gz", HEADS.images[i, 0])
    for kind in ("dicom", "nifti"):
        scans = read_scans(tmp_path / kind, masks=tmp_path / "masks").scans
        order = [HEADS.names.index(Path(name).name.partition(".")[0]) for name in scans.names]
        assert scans.masks is not None
        assert np.array_equal(scans.masks, np.asarray(HEADS.masks)[order])
        each = read_scans(tmp_path / kind, masks=tmp_path / "masks", slices=True).scans
        assert np.array_equal(np.asarray(each.masks), np.concatenate([np.asarray(HEADS.masks)[i] for i in order]))


# ------------------------------------------------------------ what synthkit writes


def of_modality(modality: str, *, volumes: bool) -> ScanSet:
    if volumes:
        if modality == "CT":
            return HEADS
        form = ScanForm(modality, "", 12, False, (0.0, 4095.0), (3.0, 1.0, 1.0))
        return ScanSet((HEADS.images + 1024).astype(np.uint16), HEADS.labels, HEADS.classes, HEADS.masks, form=form)
    flat = shapes(6, 16)
    if modality == "CT":
        form = ScanForm("CT", "HU", 12, False, (-1024.0, 3071.0), (1.0, 1.0))
        return ScanSet(flat.images.astype(np.int16) * 4 - 500, flat.labels, flat.classes, flat.masks, form=form)
    form = ScanForm(modality, "", 8, False, (0.0, 255.0), (0.5, 0.5) if modality in ("MR", "CR") else None)
    return ScanSet(flat.images, flat.labels, flat.classes, flat.masks, form=form)


WRITTEN = [
    (format, modality, volumes)
    for format in ("dicom", "nifti", "png", "npz")
    for modality in ("CT", "MR", "OT", "CR")
    for volumes in (True, False)
    if not volumes or (format != "png" and modality != "CR")
]


@pytest.mark.parametrize(("format", "modality", "volumes"), WRITTEN)
def test_what_synthkit_writes_comes_back_with_labels_masks_and_units(
    tmp_path: Path, modality: str, volumes: bool, format: str
) -> None:
    scans = of_modality(modality, volumes=volumes)
    write_scans(scans, tmp_path / "out", format=format, provenance=PROVENANCE)
    reading = read_scans(tmp_path / "out", slices="auto" if volumes else True)
    found = reading.scans
    assert reading.report.left_out == ()
    assert np.array_equal(found.images, scans.images)
    assert [found.classes[label] for label in np.asarray(found.labels)] == [
        scans.classes[label] for label in np.asarray(scans.labels)
    ]
    assert np.array_equal(np.asarray(found.masks), np.asarray(scans.masks))
    assert (found.form.modality, found.form.units) == (scans.form.modality, scans.form.units)
    if scans.form.spacing is not None:
        assert found.form.spacing == pytest.approx(scans.form.spacing)
