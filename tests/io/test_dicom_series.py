"""Which DICOM files make up a volume, and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phantoms import AXIAL, CR, MR, dataset, heads, uid, write, write_heads, write_series

from synthkit.errors import InputError
from synthkit.io.scans import read_scans, survey_scans

HEAD = heads(1).images[0, 0]
RAMP = np.broadcast_to(np.arange(8.0)[:, None, None] * 10, (8, 6, 6)).copy()


def reasons(reading: object) -> dict[str, str]:
    return {one.file: one.reason for one in reading.report.left_out}  # type: ignore[attr-defined]


# ------------------------------------------------------------ order and units


def test_volumes_come_back_in_order_units_and_spacing_whatever_the_numbers_say(tmp_path: Path) -> None:
    scans = write_heads(tmp_path)
    reading = read_scans(tmp_path)
    order = np.argsort(np.asarray(scans.labels), kind="stable")
    assert np.array_equal(reading.scans.images, scans.images[order])
    assert reading.scans.images.dtype == np.int16
    form = reading.scans.form
    assert (form.modality, form.units, form.bits, form.limits) == ("CT", "HU", 12, (-1024.0, 3071.0))
    assert form.spacing == (3.0, 1.0, 1.0)
    assert form.orientation == AXIAL
    assert form.body_part == "HEAD"
    assert reading.scans.counts() == {"left": 3, "right": 3}
    assert [one.n_files for one in reading.report.found] == [12] * 6
    assert reading.report.left_out == ()


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31), angles=st.tuples(*[st.floats(0, 6)] * 3))
def test_any_orientation_and_any_order_of_files_gives_the_same_volume(
    tmp_path_factory: pytest.TempPathFactory, seed: int, angles: tuple[float, float, float]
) -> None:
    folder = tmp_path_factory.mktemp("series")
    (a, b, c) = angles
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = turn @ np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    numbers = np.random.default_rng(seed).permutation(5) + 1
    volume = HEAD[:5, :6, :6]
    write_series(
        folder, volume, spacing=(2.5, 0.7, 0.9), orientation=[*turn[:, 0], *turn[:, 1]],
        instance_numbers=numbers.tolist(),
    )  # fmt: skip
    scans = read_scans(folder).scans
    assert np.array_equal(scans.images[0, 0], volume)
    assert np.allclose(scans.form.spacing, (2.5, 0.7, 0.9), rtol=1e-4)


def test_spacing_is_measured_and_not_what_the_header_says(tmp_path: Path) -> None:
    write_series(tmp_path, RAMP, SpacingBetweenSlices=9.0, SliceThickness=5.0, spacing=(2.0, 1.0, 1.0))
    assert read_scans(tmp_path).scans.form.spacing == (2.0, 1.0, 1.0)


def test_slices_of_their_own_are_ordered_named_and_of_one_patient(tmp_path: Path) -> None:
    write_series(tmp_path, HEAD)
    scans = read_scans(tmp_path, slices=True).scans
    assert np.array_equal(scans.images[:, 0], HEAD)
    assert scans.form.spacing == (1.0, 1.0)
    assert len(set(scans.names)) == 12
    assert scans.patients is not None
    assert set(scans.groups) == {0}


# ------------------------------------------------------------ grouping


def test_series_of_two_patients_in_one_folder_are_two_volumes_of_two_patients(tmp_path: Path) -> None:
    for patient in "ab":
        write_series(tmp_path / "all" / patient, HEAD, patient=patient)
    for path in list((tmp_path / "all").rglob("*.dcm")):
        path.rename(tmp_path / "all" / f"{path.parent.name}-{path.name}")
    scans = read_scans(tmp_path).scans
    assert len(scans) == 2
    assert len(set(scans.groups)) == 2


def test_echoes_sizes_and_orientations_of_one_series_are_kept_apart(tmp_path: Path) -> None:
    write_series(tmp_path / "1", HEAD, modality="MR", EchoNumbers=1)
    write_series(
        tmp_path / "2", HEAD, modality="MR", EchoNumbers=2, series="1", SOPInstanceUID=[uid(i) for i in range(12)]
    )
    write_series(
        tmp_path / "3",
        HEAD,
        modality="MR",
        orientation=(0, 1, 0, 0, 0, -1),
        SOPInstanceUID=[uid(i, 3) for i in range(12)],
    )
    reading = read_scans(tmp_path)
    assert [one.size for one in reading.report.found] == [(12, 24, 24)] * 3
    assert any("other directions" in text for text in reading.report.warnings)


def test_parts_that_scanners_mark_differently_are_one_volume_when_they_do_not_overlap(tmp_path: Path) -> None:
    kinds = [["ORIGINAL", "PRIMARY", "AXIAL", "ADD"]] * 6 + [["ORIGINAL", "PRIMARY", "AXIAL"]] * 6
    for i, kind in enumerate(kinds):
        write_series(
            tmp_path / str(i), HEAD[i : i + 1], positions=[(0, 0, 3.0 * i)], ImageType=kind, SOPInstanceUID=uid(i)
        )
    scans = read_scans(tmp_path).scans
    assert np.array_equal(scans.images[0, 0], HEAD)


def test_image_types_that_cover_the_same_region_are_two_volumes(tmp_path: Path) -> None:
    for kind in "MP":
        write_series(
            tmp_path / kind, HEAD, modality="MR", ImageType=["ORIGINAL", "PRIMARY", kind],
            SOPInstanceUID=[uid(kind, i) for i in range(12)],
        )  # fmt: skip
    assert len(read_scans(tmp_path).scans) == 2


# ------------------------------------------------------------ times


@pytest.mark.parametrize("tell", ["TemporalPositionIdentifier", "AcquisitionNumber", None])
def test_four_dimensions_become_one_volume_per_time(tmp_path: Path, tell: str | None) -> None:
    times = 3
    for time in range(times):
        more = {} if tell is None else {tell: time + 1}
        write_series(
            tmp_path / str(time), RAMP + time, modality="MR", SOPInstanceUID=[uid(time, i) for i in range(8)],
            instance_numbers=[time * 8 + i + 1 for i in range(8)], **more,
        )  # fmt: skip
    reading = read_scans(tmp_path)
    assert np.array_equal(reading.scans.images[:, 0], np.stack([RAMP + time for time in range(times)]))
    assert len(set(reading.scans.groups)) == 1
    assert len(set(reading.scans.names)) == times
    assert next(note for one in reading.report.found for note in one.notes).endswith("1 of 3")
    assert any("only their numbers" in text for text in reading.report.warnings) is (tell is None)


def test_a_time_that_lacks_slices_is_left_out_and_named(tmp_path: Path) -> None:
    for time in range(3):
        paths = write_series(
            tmp_path / str(time), RAMP, modality="MR", TemporalPositionIdentifier=time + 1,
            SOPInstanceUID=[uid(time, i) for i in range(8)],
        )  # fmt: skip
    paths[4].unlink()
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 2
    assert list(reasons(reading).values()) == ["time point 3 of 3 lacks 1 of 8 slices"]
    assert reading.report.n_left_out == 7


def test_a_duplicate_position_is_left_out_and_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, HEAD)
    twin = dataset(
        (HEAD[3] + 1024).astype(np.uint16), ImagePositionPatient=[0, 0, 9.0], ImageOrientationPatient=list(AXIAL),
        PixelSpacing=[1.0, 1.0], StudyInstanceUID=uid("study", "patient-1"), SliceThickness=3.0,
        SeriesInstanceUID=uid("series", "patient-1", "1"), InstanceNumber=99, RescaleIntercept=-1024, RescaleSlope=1,
        RescaleType="HU", BitsStored=12, HighBit=11,
    )  # fmt: skip
    write(tmp_path / "twin.dcm", twin)
    reading = read_scans(tmp_path)
    assert np.array_equal(reading.scans.images[0, 0], HEAD)
    assert reasons(reading) == {"twin.dcm": f"lies where '{paths[3].name}' lies (duplicate position)"}


def test_a_copy_of_a_file_is_left_out_and_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, HEAD)
    (tmp_path / "zz.dcm").write_bytes(paths[0].read_bytes())
    reading = read_scans(tmp_path)
    assert len(reading.scans) == 1
    assert reasons(reading) == {"zz.dcm": f"a copy of '{paths[0].name}' (same SOP instance)"}


# ------------------------------------------------------------ spacing and tilt


def test_a_missing_slice_is_interpolated_and_said(tmp_path: Path) -> None:
    paths = write_series(tmp_path, RAMP)
    paths[3].unlink()
    reading = read_scans(tmp_path)
    assert np.array_equal(reading.scans.images[0, 0], RAMP)  # a ramp is linear
    assert "7 slices were interpolated linearly to 8" in reading.report.describe()


def test_irregular_distances_become_the_median_one(tmp_path: Path) -> None:
    heights = np.array([0.0, 4, 8, 12, 13, 20, 27])
    volume = np.broadcast_to(heights[:, None, None] * 5, (7, 6, 6))
    write_series(tmp_path, volume, positions=[(0, 0, height) for height in heights])
    reading = read_scans(tmp_path)
    assert reading.scans.form.spacing == (4.0, 1.0, 1.0)
    assert np.array_equal(reading.scans.images[0, 0, :, 0, 0], np.arange(7) * 20)
    assert "1 to 7 mm" in reading.report.describe()


def test_a_wide_gap_is_not_bridged(tmp_path: Path) -> None:
    heights = [0, 3, 6, 9, 12, 60, 63, 66, 69, 72]
    write_series(tmp_path, np.concatenate([RAMP[:5], RAMP[:5]]), positions=[(0, 0, height) for height in heights])
    reading = read_scans(tmp_path)
    assert reading.scans.images.shape == (2, 1, 5, 6, 6)
    assert "cut where slices are 48 mm apart" in reading.report.describe()


def test_jitter_of_positions_is_no_irregularity(tmp_path: Path) -> None:
    heights = np.arange(8) * 3 + np.tile([0.02, -0.02], 4)
    write_series(tmp_path, RAMP, positions=[(0, 0, height) for height in heights])
    reading = read_scans(tmp_path)
    assert np.array_equal(reading.scans.images[0, 0], RAMP)
    assert "interpolated" not in reading.report.describe()


@pytest.mark.parametrize("degrees", [18.5, -18.5, 45.0])
def test_a_tilted_gantry_is_straightened(tmp_path: Path, degrees: float) -> None:
    # A rod along the normal at the middle row of each slice of the body: in the files it wanders from slice to slice.
    tilt = np.radians(degrees)
    orientation = (1.0, 0.0, 0.0, 0.0, float(np.cos(tilt)), -float(np.sin(tilt)))
    n, rows = 9, 40
    step = 4.0
    volume = np.full((n, rows, 5), -1000.0)
    normal = np.cross(orientation[:3], orientation[3:])
    for i in range(n):
        table = np.array([0.0, 0.0, (i - n // 2) * step])  # the table moves along the patient
        own = round(rows // 2 - float(table @ np.array(orientation[3:])))
        volume[i, max(own, 0) : own + 3] = 200
    write_series(
        tmp_path, volume, orientation=orientation, spacing=(step, 1.0, 1.0), GantryDetectorTilt=degrees,
        positions=[(0, 0, i * step) for i in range(n)],
    )  # fmt: skip
    reading = read_scans(tmp_path)
    seen = reading.scans.images[0, 0, :, :, 2].argmax(axis=1)
    assert np.ptp(seen) <= 1
    assert reading.scans.form.spacing == pytest.approx((step * abs(normal[2]), 1.0, 1.0))
    assert f"tilted by {abs(degrees):.1f} degrees" in reading.report.describe()
    slices = read_scans(tmp_path, slices=True)
    assert np.array_equal(slices.scans.images[:, 0], volume)  # slices of their own are not moved
    assert "slices were moved" not in slices.report.describe()


# ------------------------------------------------------------ what is no volume


def test_a_series_with_one_slice_is_left_out_of_volumes_and_used_as_a_slice(tmp_path: Path) -> None:
    write_series(tmp_path / "a", HEAD, patient="a")
    write_series(tmp_path / "b", HEAD[:1], patient="b")
    volumes = read_scans(tmp_path, slices=False)
    assert volumes.scans.images.shape == (1, 1, 12, 24, 24)
    (reason,) = reasons(volumes).values()
    assert reason == "a series with 1 slice, expected at least 4, and the others are volumes"
    assert len(read_scans(tmp_path, slices=True).scans) == 13


def test_pictures_without_positions_are_scans_of_their_own(tmp_path: Path) -> None:
    for i in range(3):
        picture = dataset(
            np.full((6, 5), i, np.uint16), CR, modality="CR", SOPInstanceUID=uid(i), BitsStored=10, HighBit=9,
            ImagerPixelSpacing=[0.2, 0.2],
        )  # fmt: skip
        write(tmp_path / f"{i}.dcm", picture)
    reading = read_scans(tmp_path)
    assert reading.scans.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert reading.scans.form.spacing == (0.2, 0.2)
    assert reading.scans.form.limits == (0.0, 1023.0)
    with pytest.raises(InputError, match="holds no volume"):
        read_scans(tmp_path, slices=False)


# ------------------------------------------------------------ enhanced multi-frame and mosaics


def enhanced(path: Path, volume: np.ndarray, *, times: int = 1, shuffle: bool = True) -> None:
    """An enhanced MR file: frames in disorder, position and time in functional groups, another slope in each frame."""
    from pydicom.dataset import Dataset

    frames = [(time, i) for time in range(times) for i in range(len(volume))]
    if shuffle:
        frames = frames[::2] + frames[1::2]
    pixels = np.stack([volume[i] + time for time, i in frames]).astype(np.uint16)
    data = dataset(
        pixels, "1.2.840.10008.5.1.4.1.1.4.1", modality="MR", NumberOfFrames=len(frames), SOPInstanceUID=uid(str(path))
    )
    shared, own = Dataset(), []
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 9
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    normal = np.cross([0, 1, 0], [0, 0, -1])
    for time, i in frames:
        frame, place, content, values = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [float(one) for one in normal * 2.0 * i]
        content.TemporalPositionIndex = time + 1
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 2, 10, "US"
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        frame.PixelValueTransformationSequence = [values]
        own.append(frame)
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = own
    write(path, data)


@pytest.mark.parametrize("times", [1, 2])
def test_enhanced_frames_are_ordered_by_their_functional_groups(tmp_path: Path, times: int) -> None:
    enhanced(tmp_path / "mr.dcm", RAMP, times=times)
    scans = read_scans(tmp_path).scans
    assert scans.form.spacing == (2.0, 0.5, 0.5)
    for time in range(times):
        assert np.array_equal(scans.images[time, 0], (RAMP + time) * 2 + 10)
    assert len(read_scans(tmp_path, slices=True).scans) == 8 * times


def test_frames_located_by_a_vector_are_a_volume_and_others_are_pictures(tmp_path: Path) -> None:
    sop = "1.2.840.10008.5.1.4.1.1.7.2"
    frames = RAMP.astype(np.uint8)
    more = {"NumberOfFrames": 8, "SyntheticData": "YES", "modality": "OT"}
    write(tmp_path / "v" / "a.dcm", dataset(frames, sop, SliceLocationVector=[float(i) for i in range(8)], **more))
    write(tmp_path / "p" / "a.dcm", dataset(frames, sop, SOPInstanceUID=uid("p"), **more))
    assert np.array_equal(read_scans(tmp_path / "v").scans.images[0, 0], RAMP)
    assert read_scans(tmp_path / "p").scans.images.shape == (8, 1, 6, 6)


def mosaic(path: Path, volume: np.ndarray, *, n: int | None, down: bool = False) -> None:
    """A Siemens mosaic of 3 x 3 tiles."""
    rows, columns = volume.shape[1:]
    sheet = np.zeros((3 * rows, 3 * columns), np.uint16)
    for i, piece in enumerate(volume[::-1] if down else volume):
        row, column = divmod(i, 3)
        sheet[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns] = piece
    data = dataset(
        sheet, MR, modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], PixelSpacing=[3, 3],
        ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=list(AXIAL), SpacingBetweenSlices=4,
        Manufacturer="SIEMENS", SOPInstanceUID=uid(str(path)),
    )  # fmt: skip
    if n is not None:
        block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, "US", n)
    header = data.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    header.add_new(0x10, "OB", csa("SliceNormalVector", ["0.0", "0.0", "-1.0" if down else "1.0"]))
    write(path, data)


def csa(name: str, values: list[str]) -> bytes:
    """A CSA header with one field."""
    import struct

    found = b"SV10\4\3\2\1" + struct.pack("<2i", 1, 77)
    found += name.encode().ljust(64, b"\0") + struct.pack("<i", len(values)) + b"FD\0\0" + struct.pack("<3i", 4, 6, 77)
    for value in values:
        text = value.encode() + b"\0"
        found += struct.pack("<4i", len(text), len(text), 77, len(text)) + text.ljust((len(text) + 3) // 4 * 4, b"\0")
    return found + b"\0" * (len(found) % 2)


@pytest.mark.parametrize("down", [False, True])
def test_a_mosaic_is_split_into_its_slices(tmp_path: Path, down: bool) -> None:
    mosaic(tmp_path / "m.dcm", RAMP, n=8, down=down)
    scans = read_scans(tmp_path).scans
    assert np.array_equal(scans.images[0, 0], RAMP)
    assert scans.form.spacing == (4.0, 3.0, 3.0)
    assert read_scans(tmp_path, slices=True).scans.images.shape == (8, 1, 6, 6)


def test_a_mosaic_that_does_not_say_how_many_slices_it_holds_is_left_out(tmp_path: Path) -> None:
    mosaic(tmp_path / "m.dcm", RAMP, n=None)
    write_series(tmp_path / "s", HEAD, modality="MR")
    reading = survey_scans(tmp_path)
    assert reasons(reading) == {"m.dcm": "a mosaic that does not say how many slices it holds"}
