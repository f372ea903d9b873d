"""Where classes come from: folders, tables, DICOM tags; splits; and scans without a class."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from phantoms import heads, shapes, uid, write_heads, write_pictures, write_series

from synthkit.errors import InputError
from synthkit.io.scans import Reading, read_scans, survey_scans

SHAPES = shapes(12, 8)


def reasons(reading: Reading) -> dict[str, str]:
    return {one.file: one.reason for one in reading.report.left_out}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(tmp_path, SHAPES)
    return tmp_path


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """All pictures in one folder, without classes."""
    write_pictures(tmp_path / "scans", SHAPES)
    for path in list((tmp_path / "scans").glob("*/*.png")):
        path.rename(tmp_path / "scans" / path.name)
    return tmp_path


def table(folder: Path, lines: list[str], name: str = "labels.csv") -> str:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


# ------------------------------------------------------------ folders


def test_folders_are_classes(pictures: Path) -> None:
    scans = read_scans(pictures).scans
    assert scans.classes == ("cross", "disc", "square")
    assert scans.labels is not None
    for name, label in zip(scans.names, scans.labels, strict=True):
        assert name.startswith(scans.classes[label])


def test_a_picture_in_no_class_folder_is_left_out_and_named(pictures: Path) -> None:
    (pictures / "disc" / "disc-0000.png").rename(pictures / "stray.png")
    reading = read_scans(pictures)
    assert reasons(reading) == {"stray.png": "lies in no folder of a class"}
    assert len(reading.scans) == 11


def test_folders_of_patients_are_no_classes_unless_that_is_said(tmp_path: Path) -> None:
    for patient in "abcd":
        write_series(tmp_path / patient / "series", heads(1).images[0, 0], patient=patient)
    reading = read_scans(tmp_path)
    assert reading.scans.labels is None
    assert "were not taken for classes" in reading.report.describe()
    assert read_scans(tmp_path, labels="folders").scans.classes == ("a", "b", "c", "d")


def test_no_labels_when_none_are_wanted(pictures: Path) -> None:
    assert read_scans(pictures, labels="none").scans.labels is None


def test_a_class_of_one_scan_is_warned_of(pictures: Path) -> None:
    for path in sorted((pictures / "disc").glob("*.png"))[1:]:
        path.unlink()
    assert "the class 'disc' has a single scan" in survey_scans(pictures).report.warnings


def test_a_class_whose_scans_all_are_damaged_is_warned_of(pictures: Path) -> None:
    for path in (pictures / "disc").glob("*.png"):
        path.write_bytes(path.read_bytes()[:60])  # the header is whole
    reading = read_scans(pictures)
    assert reading.scans.classes == ("cross", "square")
    assert len(reading.report.left_out) == 4
    assert any("'disc' has no scan" in text for text in reading.report.warnings)


def test_outer_folders_that_are_splits_are_read_one_at_a_time(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", SHAPES)
    write_pictures(tmp_path / "test", shapes(6, 8, seed=1))
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 12
    assert reading.scans.classes == ("cross", "disc", "square")
    assert "not read: 'test' (6 scans)" in reading.report.describe()
    assert len(read_scans(tmp_path, split="test").scans) == 6
    with pytest.raises(InputError, match=r"has no split 'val', it holds test, train"):
        read_scans(tmp_path, split="val")


# ------------------------------------------------------------ tables


@pytest.mark.parametrize("spelling", ["{stem}.png", "{stem}", "./{stem}.png", "{stem}.dcm.png"])
def test_a_table_gives_labels_by_name(flat: Path, spelling: str) -> None:
    names = [f"{name}" for name in SHAPES.names]
    rows = [f"{spelling.format(stem=name)},{name.split('-')[0]}" for name in names]
    if spelling.endswith(".dcm.png"):
        with pytest.raises(InputError, match="names a scan"):
            read_scans(flat / "scans", labels=table(flat, ["file,label", *rows]))
        return
    scans = read_scans(flat / "scans", labels=table(flat, ["file,label", *rows])).scans
    assert scans.counts() == {"cross": 4, "disc": 4, "square": 4}
    assert scans.labels is not None
    assert all(name.startswith(scans.classes[label]) for name, label in zip(scans.names, scans.labels, strict=True))


def test_a_table_may_lie_in_the_folder_and_name_its_columns(flat: Path) -> None:
    rows = [f"{i},{name}.png,{name.split('-')[0]},{0.5 * i}" for i, name in enumerate(SHAPES.names)]
    source = table(flat / "scans", ["row,picture,what is seen,score", *rows])
    scans = read_scans(flat / "scans", labels=f"{source}?label=what%20is%20seen").scans
    assert scans.classes == ("cross", "disc", "square")
    with pytest.raises(InputError, match="none of them is called 'label'"):
        read_scans(flat / "scans", labels=source)
    with pytest.raises(InputError, match="unknown column 'wat'"):
        read_scans(flat / "scans", labels=f"{source}?label=wat")
    with pytest.raises(InputError, match="different labels"):
        read_scans(
            flat / "scans",
            labels=table(flat, ["file,label", *[f"{n}.png,{i}" for i, n in enumerate(many(flat))]], "m.csv"),
        )


def test_a_table_beside_the_scans_is_pointed_at(flat: Path) -> None:
    table(flat / "scans", ["file,label", "a,b"])
    (note,) = (text for text in read_scans(flat / "scans").report.notes if "labels.csv" in text)
    assert note.startswith("'labels.csv' was not read; --labels")


def many(flat: Path) -> list[str]:
    """Thirty pictures, so that a class for each is plainly none."""
    write_pictures(flat / "scans", shapes(30, 8, seed=4))
    for path in list((flat / "scans").glob("*/*.png")):
        path.rename(flat / "scans" / path.name)
    return sorted(path.stem for path in (flat / "scans").glob("*.png"))


def test_numbers_with_leading_zeros_stay_names(flat: Path) -> None:
    for i, path in enumerate(sorted((flat / "scans").glob("*.png"))):
        path.rename(flat / "scans" / f"{i:05}.png")
    rows = [f"{i:05},{i % 2}" for i in range(12)]
    assert read_scans(flat / "scans", labels=table(flat, ["image_id,label", *rows])).scans.counts() == {"0": 6, "1": 6}


def test_scans_without_a_row_or_with_two_labels_are_left_out_and_named(flat: Path) -> None:
    names = list(SHAPES.names)
    rows = [f"{name}.png,{name.split('-')[0]}" for name in names[2:]]
    rows += [f"{names[1]}.png,", f"{names[2]}.png,other", "unseen.png,disc"]
    reading = read_scans(flat / "scans", labels=table(flat, ["file,label", *rows]))
    found = reasons(reading)
    assert found[f"{names[0]}.png"].startswith("has no row in")
    assert found[f"{names[1]}.png"].startswith("has no label in")
    assert (
        found[f"{names[2]}.png"].startswith("has 2 labels ('cross', 'other')") or "2 labels" in found[f"{names[2]}.png"]
    )
    assert len(reading.scans) == 9
    assert any("name no scan that is used" in text for text in reading.report.notes)


def test_a_short_name_that_two_files_have_does_not_label_both(tmp_path: Path) -> None:
    for folder in "ab":
        write_pictures(tmp_path / "scans" / folder, shapes(1, 8))
        shutil.move(tmp_path / "scans" / folder / "disc" / "disc-0000.png", tmp_path / "scans" / folder / "1.png")
    with pytest.raises(InputError, match="names a scan"):
        read_scans(tmp_path / "scans", labels=table(tmp_path, ["file,label", "1.png,x"]))
    scans = read_scans(tmp_path / "scans", labels=table(tmp_path, ["file,label", "a/1.png,x", "b\\1.png,y"])).scans
    assert scans.classes == ("x", "y")


def test_a_table_names_series_by_folder_patient_or_identifier(tmp_path: Path) -> None:
    scans = write_heads(tmp_path / "s", heads(4))
    patients = [str(one) for one in np.asarray(scans.patients)]
    for cells in (
        [f"{scans.classes[int(np.asarray(scans.labels)[i])]}/{scans.names[i]}" for i in range(4)],
        list(scans.names),
        patients,
        [uid("series", patient, i) for i, patient in enumerate(patients)],
    ):
        rows = [f"{cell},{'ab'[i % 2]}" for i, cell in enumerate(cells)]
        found = read_scans(tmp_path / "s", labels=table(tmp_path, ["what,label", *rows])).scans
        assert found.counts() == {"a": 2, "b": 2}
        assert found.images.shape == (4, 1, 12, 24, 24)


def test_labels_of_single_slices_by_instance(tmp_path: Path) -> None:
    write_series(tmp_path / "s", heads(1).images[0, 0])
    rows = [f"{uid('instance', 'patient-1', '1', i)},{i < 4}" for i in range(12)]
    scans = read_scans(tmp_path / "s", labels=table(tmp_path, ["SOPInstanceUID,label", *rows]), slices=True).scans
    assert scans.counts() == {"False": 8, "True": 4}


def test_a_table_may_give_patients_and_splits(flat: Path) -> None:
    rows = [
        f"{name}.png,{name.split('-')[0]},{'P1' if i < 6 else 'P2'},{'train' if i % 2 else 'test'}"
        for i, name in enumerate(SHAPES.names)
    ]
    source = table(flat, ["file,label,patient,split", *rows])
    scans = read_scans(flat / "scans", labels=source).scans
    assert scans.patients is not None
    assert sorted(np.bincount(scans.groups).tolist()) == [6, 6]
    assert "P1" not in set(scans.patients.tolist())
    assert len(read_scans(flat / "scans", labels=source, split="test").scans) == 6


# ------------------------------------------------------------ tags


@pytest.mark.parametrize("tag", ["BodyPartExamined", "0018,0015", "(0018,0015)", "00180015"])
def test_a_tag_is_a_class(tmp_path: Path, tag: str) -> None:
    volume = heads(1).images[0, 0]
    for i, part in enumerate(["HEAD", "HEAD", "CHEST", ""]):
        write_series(tmp_path / str(i), volume, patient=str(i), BodyPartExamined=part)
    reading = read_scans(tmp_path, labels=f"tag:{tag}")
    assert reading.scans.counts() == {"CHEST": 1, "HEAD": 2}
    assert reasons(reading) == {"3": f"no label: the tag {tag} is missing or empty"}


def test_a_tag_of_pictures_is_refused(pictures: Path) -> None:
    with pytest.raises(InputError, match="are for DICOM"):
        read_scans(pictures, labels="tag:BodyPartExamined")


def test_subjects_of_the_brain_imaging_data_structure_are_patients(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        write_pictures(tmp_path / f"sub-{subject}" / "anat", shapes(2, 8, classes=1))
    scans = read_scans(tmp_path, labels="none").scans
    assert sorted(np.bincount(scans.groups).tolist()) == [2, 2]
