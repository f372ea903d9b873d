import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from orthanc_server import TITLE, Orthanc, free_port, orthanc_server, program
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut
from pynetdicom import AE, evt
from written_scans import KINDS, PROVENANCE, scans_of

from synthkit.cli import group, run
from synthkit.errors import InputError
from synthkit.io.pacs import PushError, parse_address, push
from synthkit.io.scan_write import write_scans

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture(scope="module")
def orthanc() -> Iterator[Orthanc]:
    if program() is None:
        pytest.skip("there is no Orthanc here; install the package 'orthanc'")
    folder = Path(tempfile.mkdtemp(prefix="orthanc-"))
    try:
        with orthanc_server(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three CT pictures, with labels and provenance beside."""
    folder = tmp_path_factory.mktemp("pacs") / "out"
    write_scans(scans_of("ct picture", 3), folder, format="dicom", provenance=PROVENANCE)
    return folder


@contextmanager
def pacs(answer: Callable[[Any], int], *classes: str) -> Iterator[int]:
    """Run a PACS that answers as it is told, and give its port."""
    entity = AE(ae_title="OTHER")
    entity.require_called_aet = True
    for sop_class in classes or (CT,):
        entity.add_supported_context(sop_class)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


# ------------------------------------------------------------ a real one


def test_orthanc_stores_every_file_of_every_kind_and_gives_back_the_same_pixels(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    wanted: dict[str, np.ndarray] = {}
    for kind in KINDS:
        for syntax in ("explicit", "rle"):
            scans = scans_of(kind, 1, masks=syntax == "rle", seed=len(syntax))
            write_scans(
                scans, tmp_path / f"{kind} {syntax}", format="dicom", provenance=PROVENANCE, transfer_syntax=syntax
            )
    files = sorted(tmp_path.rglob("*.dcm"))
    for file in files:
        ds = pydicom.dcmread(file)
        wanted[str(ds.SOPInstanceUID)] = ds.pixel_array
    report = push(tmp_path, "127.0.0.1", orthanc.dicom, TITLE)
    assert (len(report.stored), report.refused, report.warned) == (len(files), (), ())
    assert report.skipped == 4 * len(KINDS)  # labels and provenance

    stored = {}
    for instance in orthanc.get("/instances"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(orthanc.get_bytes(f"/instances/{instance}/file"))
            file.flush()
            ds = pydicom.dcmread(file.name)
            stored[str(ds.SOPInstanceUID)] = ds.pixel_array
        if ds.Modality != "SEG":
            assert orthanc.get_bytes(f"/instances/{instance}/preview", "image/png").startswith(b"\x89PNG")
    assert stored.keys() == wanted.keys()
    assert all(np.array_equal(stored[uid], wanted[uid]) for uid in wanted)
    # the same again is not stored twice
    assert len(push(tmp_path, "127.0.0.1", orthanc.dicom, TITLE).stored) == len(files)
    assert len(orthanc.get("/instances")) == len(files)


def test_hounsfield_units_survive_the_way_through_orthanc(orthanc: Orthanc, tmp_path: Path) -> None:
    scans = scans_of("ct volume", 1, seed=99)
    write_scans(scans, tmp_path / "out", format="dicom", provenance=PROVENANCE)
    push(tmp_path / "out", "127.0.0.1", orthanc.dicom, TITLE)
    series = str(pydicom.dcmread(tmp_path / "out" / "000001" / "0001.dcm").SeriesInstanceUID)
    (found,) = [one for one in orthanc.get("/series?expand") if one["MainDicomTags"]["SeriesInstanceUID"] == series]
    slices = []
    for instance in found["Instances"]:
        path = tmp_path / f"{instance}.dcm"
        path.write_bytes(orthanc.get_bytes(f"/instances/{instance}/file"))
        slices.append(pydicom.dcmread(path))
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    assert np.array_equal(np.stack([apply_modality_lut(ds.pixel_array, ds) for ds in slices]), scans.images[0, 0])


def test_the_command_sends_and_tells(orthanc: Orthanc, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = ["--to", f"127.0.0.1:{orthanc.dicom}", "--aet", TITLE]
    assert run(["push", str(out), *to]) == 0
    assert "stored 3 of 3 files" in capsys.readouterr().out
    assert run(["push", str(out), *to, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["stored"], told["refused"], told["skipped"]) == (3, [], 2)
    assert run(["push", str(out / "000001.dcm"), *to, "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_wrong_title_is_told_with_both_titles(
    orthanc: Orthanc, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["push", str(out), "--to", f"127.0.0.1:{orthanc.dicom}", "--aet", "WRONG"]) == 1
    told = capsys.readouterr().err
    assert "WRONG at 127.0.0.1" in told
    assert "refused the association of SYNTHKIT: called AE title not recognised" in told
    assert told.count("\n") == 1


# ------------------------------------------------------------ real scans stay


def test_real_scans_are_not_sent_and_nothing_else_of_their_folder_is(out: Path, tmp_path: Path) -> None:
    real = get_testdata_file("CT_small.dcm", download=False)
    assert real is not None
    shutil.copytree(out, tmp_path / "mixed")
    shutil.copy(real, tmp_path / "mixed" / "zz.dcm")
    stored = []

    def store(event: Any) -> int:
        stored.append(str(event.dataset.PatientName))
        return 0

    with pacs(store) as port:
        with pytest.raises(InputError, match=r"1 of 4 files do not say SyntheticData=YES, the first is .*zz\.dcm"):
            push(tmp_path / "mixed", "127.0.0.1", port, "OTHER")
        assert stored == []
        assert len(push(tmp_path / "mixed", "127.0.0.1", port, "OTHER", any_file=True).stored) == 4
    assert "CompressedSamples^CT1" in stored


# ------------------------------------------------------------ a PACS that does not want


def test_a_rejected_instance_is_named_and_the_rest_goes_on(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = str(pydicom.dcmread(out / "000002.dcm").SOPInstanceUID)
    with pacs(lambda event: 0xA700 if event.dataset.SOPInstanceUID == second else 0) as port:
        report = push(out, "127.0.0.1", port, "OTHER")
        assert report.stored == ("000001.dcm", "000003.dcm")
        assert [(one.file, one.reason) for one in report.refused] == [("000002.dcm", "status 0xA700, out of resources")]
        assert run(["push", str(out), "--to", f"127.0.0.1:{port}", "--aet", "OTHER", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["refused"][0]["file"] == "000002.dcm"
    assert "refused 1 of 3 files: '000002.dcm' (status 0xA700, out of resources)" in told.err
    assert told.err.count("\n") == 1


def test_a_file_that_was_stored_with_a_warning_counts_and_is_named(out: Path) -> None:
    with pacs(lambda event: 0xB000) as port:
        report = push(out, "127.0.0.1", port, "OTHER")
    assert (len(report.stored), len(report.warned), report.refused) == (3, 3, ())


def test_kinds_that_the_pacs_does_not_take(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "both")
    write_scans(scans_of("mr picture", 1), tmp_path / "both" / "mr", format="dicom", provenance=PROVENANCE)
    with pacs(lambda event: 0, CT) as port:
        report = push(tmp_path / "both", "127.0.0.1", port, "OTHER")
    assert len(report.stored) == 3
    assert [one.reason for one in report.refused] == [
        "the PACS does not take MR Image Storage as Explicit VR Little Endian"
    ]
    with pacs(lambda event: 0, MR) as port, pytest.raises(PushError, match="takes none of the kinds of file"):
        push(out, "127.0.0.1", port, "OTHER")


def test_a_pacs_that_does_not_answer_a_file_is_given_up(out: Path) -> None:
    woken = threading.Event()

    def sleep(event: Any) -> int:
        woken.wait(20)
        return 0

    with pacs(sleep) as port:
        with pytest.raises(PushError, match=r"broke off after 0 of 3 files, at '000001\.dcm'"):
            push(out, "127.0.0.1", port, "OTHER", timeout=1.0)
        woken.set()


def test_a_pacs_that_breaks_off_is_told_with_how_far_it_came(out: Path) -> None:
    seen = []

    def store(event: Any) -> int:
        seen.append(event)
        if len(seen) == 2:
            event.assoc.abort()
        return 0

    with pacs(store) as port, pytest.raises(PushError, match=r"broke off after 1 of 3 files, at '000002\.dcm'"):
        push(out, "127.0.0.1", port, "OTHER", timeout=5.0)


def test_ctrl_c_aborts_the_association(out: Path) -> None:
    def pressed(files: int) -> None:
        raise KeyboardInterrupt

    with pacs(lambda event: 0) as port:
        with pytest.raises(KeyboardInterrupt):
            push(out, "127.0.0.1", port, "OTHER", progress=pressed)
        assert len(push(out, "127.0.0.1", port, "OTHER").stored) == 3


def test_a_port_where_nobody_listens_or_nobody_speaks_dicom(out: Path) -> None:
    with pytest.raises(PushError, match=r"127.0.0.1:\d+ cannot be reached: connection refused"):
        push(out, "127.0.0.1", free_port(), "OTHER", timeout=2.0)
    with pytest.raises(PushError, match=r"nowhere\.invalid:104 cannot be reached"):
        push(out, "nowhere.invalid", 104, "OTHER", timeout=2.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(PushError, match="did not answer as a PACS does"):
            push(out, "127.0.0.1", silent.getsockname()[1], "OTHER", timeout=1.0)


# ------------------------------------------------------------ wrong words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "localhost"], "host:port"),
        (["--to", "localhost:0"], "between 1 and 65535"),
        (["--to", "localhost:99999"], "between 1 and 65535"),
        (["--to", "::1:104"], "host:port"),
        (["--to", ":104"], "host:port"),
        (["--to", "localhost:104", "--aet", "A" * 17], "1 to 16 ASCII"),
        (["--to", "localhost:104", "--calling", "a\\b"], "1 to 16 ASCII"),
        (["--to", "localhost:104", "--aet", " "], "1 to 16 ASCII"),
        (["--to", "localhost:104", "--timeout", "0"], "above 0 seconds"),
        (["--to", "localhost:104", "--timeout", "nan"], "above 0 seconds"),
    ],
)
def test_an_impossible_address_is_told_before_anything_is_read(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["push", str(tmp_path / "missing"), *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_addresses() -> None:
    assert parse_address("pacs.example.org:104") == ("pacs.example.org", 104)
    assert parse_address("[::1]:11112") == ("::1", 11112)


def test_nothing_to_send(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = ["--to", "localhost:104"]
    assert run(["push", str(tmp_path / "missing"), *to]) == 2
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    assert run(["push", str(tmp_path), *to]) == 2
    (tmp_path / "bad.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL")
    assert run(["push", str(tmp_path), *to]) == 2
    missing, none, bad = capsys.readouterr().err.splitlines()
    assert "does not exist" in missing
    assert "no DICOM file" in none
    assert "bad.dcm' is a damaged DICOM file" in bad


def test_the_verb_is_listed_and_explains_itself() -> None:
    listed = CliRunner().invoke(group, ["--help"]).output
    assert "push" in listed
    assert "SyntheticData=YES" in CliRunner().invoke(group, ["push", "--help"]).output
