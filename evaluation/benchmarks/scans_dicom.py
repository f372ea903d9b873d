"""DICOM out: what the validator says of every kind of file that is written, and what a PACS makes of it.

    python evaluation/benchmarks/scans_dicom.py

Scans (real pixels in new clothes, so that nothing depends on a generator) are written as every kind of object and in
every transfer syntax. `dciodvfy` and `dcentvfy` of dicom3tools judge each file, pydicom reads it back, `synthkit push`
sends it to an Orthanc that is started on the loopback for this, and its REST interface gives it back. The control is
what the validator says of files that scanners wrote. The result is `evaluation/baselines/scans/dicom.json`; about two
minutes. Without Orthanc or dicom3tools their columns are empty.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from scans_section import ROOT, arguments, data_folder, write_section

from synthkit.io.dicom_check import DicomCheck, check_dicom, program
from synthkit.io.dicom_write import TRANSFER_SYNTAXES
from synthkit.io.kinds import is_dicom
from synthkit.io.pacs import push
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.scan_write import write_scans

sys.path.insert(0, str(ROOT / "tests" / "shared"))
from orthanc_server import TITLE, Orthanc, orthanc_server
from orthanc_server import program as orthanc_program

PICTURES, VOLUMES = 30, 2
MADE_BY = Provenance("r3", 0, "0" * 64, epsilon=8.0, delta=1e-5)


@dataclass(frozen=True)
class Sent:
    """What Orthanc made of a folder."""

    stored: int
    refused: int
    equal: int


def sets(data: str | None) -> dict[str, ScanSet]:
    """Return scans for every kind of object, with labels, and with masks where the data has them."""
    folder = data_folder(data)
    with np.load(folder / "mednist64.npz", allow_pickle=False) as file:
        classes = tuple(map(str, file["classes"]))
        pictures = ScanSet(file["test_images"][:PICTURES, None], file["test_labels"][:PICTURES].astype(int), classes)
    with np.load(folder / "hippocampus_40x56x40.npz", allow_pickle=False) as file:
        volumes = ScanSet(file["images"][:VOLUMES, None], masks=file["masks"][:VOLUMES])
    hu = pictures.images.astype(np.int16) * 12 - 1024
    mm = (1.0, 1.0, 1.0)
    ct = ScanForm("CT", "HU", 12, False, (-1024, 3071), (0.7, 0.7), body_part="HEAD")
    mr = ScanForm("MR", "", 8, False, (0, 255), mm, (0, 1, 0, 0, 0, -1), "BRAIN")
    grey16 = ScanForm("OT", "", 16, False, (0, 65535))
    floats = ScanForm("MR", "", 16, False, (0.0, 1.0), mm, body_part="BRAIN")
    as_hu = volumes.images.astype(np.int16) * 12 - 1024
    return {
        "CT pictures": replace(pictures, images=hu, form=ct),
        "CT volumes, masks": replace(volumes, images=as_hu, form=replace(ct, spacing=mm)),
        "MR pictures": replace(pictures, form=ScanForm("MR", spacing=(1.0, 1.0), body_part="BREAST")),
        "MR volumes, masks": replace(volumes, form=mr),
        "MR volumes, not whole numbers": ScanSet(volumes.images / 255 * 0.999, form=floats),
        "CR": replace(pictures, form=ScanForm("CR", body_part="CHEST")),
        "SC, 8 bits": pictures,
        "SC, 16 bits": replace(pictures, images=pictures.images.astype(np.uint16) * 257, form=grey16),
        "SC, colours": replace(pictures, images=np.repeat(pictures.images, 3, axis=1)),
        "SC, frames of 8 bits": volumes,
        "SC, frames of 16 bits": replace(volumes, images=volumes.images.astype(np.uint16) * 257, form=grey16),
        "SC, frames of colours": replace(volumes, images=np.repeat(volumes.images, 3, axis=1)),
    }


def pixels(folder: Path) -> dict[str, np.ndarray]:
    """Return the stored pixels of every file by its UID."""
    found = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    return {str(ds.SOPInstanceUID): ds.pixel_array for ds in found}


def send(folder: Path, orthanc: Orthanc | None) -> Sent | None:
    """Push a folder and compare what REST gives back with what was written."""
    if orthanc is None:
        return None
    before = set(orthanc.get("/instances"))
    report = push(folder, "127.0.0.1", orthanc.dicom, TITLE)
    wanted, equal = pixels(folder), 0
    for instance in set(orthanc.get("/instances")) - before:
        ds = pydicom.dcmread(io.BytesIO(orthanc.get_bytes(f"/instances/{instance}/file")))
        equal += np.array_equal(ds.pixel_array, wanted[str(ds.SOPInstanceUID)])
    return Sent(len(report.stored), len(report.refused), equal)


def same_values(folder: Path, scans: ScanSet, files: tuple[Path, ...]) -> float:
    """Return the largest difference of any value after reading back with pydicom alone, in real units."""
    worst = 0.0
    for i, name in enumerate(files):
        slices = [pydicom.dcmread(path) for path in ([name] if name.is_file() else sorted(name.iterdir()))]
        read = np.stack([pydicom.pixels.apply_modality_lut(ds.pixel_array, ds) for ds in slices]).astype(np.float64)
        read = np.moveaxis(read, -1, 0) if scans.channels == 3 else read
        worst = max(worst, float(np.abs(read.reshape(scans.images[i].shape) - scans.images[i]).max()))
    return worst


def row(kind: str, scans: ScanSet, syntax: str, seed: int, folder: Path, orthanc: Orthanc | None) -> dict[str, Any]:
    """Write, check, read back and send one kind in one transfer syntax."""
    started = time.process_time()
    made_by = replace(MADE_BY, seed=seed)
    written = write_scans(scans, folder, format="dicom", provenance=made_by, transfer_syntax=syntax)
    seconds = time.process_time() - started
    check, sent = check_dicom(folder), send(folder, orthanc)
    print(f"{kind}, {syntax}: {check.describe()}; {sent}", flush=True)
    return {
        "kind": kind,
        "transfer syntax": syntax,
        "files": check.files,
        "errors": len(check.errors) if check.validator else None,
        "problems": len(check.problems),
        "warnings": len(check.warnings) if check.validator else None,
        "off by": same_values(folder, scans, written),
        "stored": None if sent is None else sent.stored,
        "equal": None if sent is None else sent.equal,
        "ms per file": round(1000 * seconds / check.files, 1),
        "kB per file": round(sum(path.stat().st_size for path in folder.rglob("*.dcm")) / check.files / 1000, 1),
        "said": texts(check),
    }


def texts(check: DicomCheck) -> dict[str, int]:
    """Return every different thing that the validator said, and of how many files."""
    content = check.to_dict()
    said: dict[str, int] = {**content["errors"], **content["warnings"]}
    return said


def control(data: str | None) -> list[dict[str, Any]]:
    """Return what the validator says of the files that scanners wrote."""
    rows = []
    folders = data_folder(data) / "dicom"
    for folder in sorted(folders.iterdir()) if folders.is_dir() else ():
        found = check_dicom(folder)
        if not found.validator:
            continue
        rows.append(
            {
                "series": folder.name,
                "files": sum(is_dicom(path) for path in folder.rglob("*") if path.is_file()),
                "errors": len(found.errors),
                "warnings": len(found.warnings),
            }
        )
    return rows


def measure(data: str | None, seed: int, orthanc: Orthanc | None) -> list[dict[str, Any]]:
    """Return a row for every kind and transfer syntax; the seed moves on, so that no two folders share a UID."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for kind, scans in sets(data).items():
            for syntax in TRANSFER_SYNTAXES:
                folder = Path(place) / f"{len(rows)}"
                rows.append(row(kind, scans, syntax, seed + len(rows), folder, orthanc))
    return rows


def main() -> None:
    options = arguments(__doc__).parse_args()
    started = time.perf_counter()
    orthanc_version = None
    with tempfile.TemporaryDirectory(prefix="orthanc-") as place:
        if orthanc_program() is None:
            rows = measure(options.data, options.seed, None)
        else:
            with orthanc_server(Path(place)) as orthanc:
                orthanc_version = orthanc.get("/system")["Version"]
                rows = measure(options.data, options.seed, orthanc)
    said: Counter[str] = Counter()
    for one in rows:
        said.update(one.pop("said"))
    files = sum(one["files"] for one in rows)
    validated = program("dciodvfy") is not None
    facts = {
        "files": files,
        "errors of dciodvfy and dcentvfy": sum(one["errors"] for one in rows) if validated else None,
        "stored by Orthanc": sum(one["stored"] for one in rows) if orthanc_version else None,
        "equal through REST": sum(one["equal"] for one in rows) if orthanc_version else None,
        "Orthanc": orthanc_version,
        "seed": options.seed,
        "seconds": round(time.perf_counter() - started),
    }
    path = write_section(
        "dicom",
        title="DICOM out: the validator and a PACS",
        command="python evaluation/benchmarks/scans_dicom.py",
        facts=facts,
        rows=rows,
        columns={
            "kind": "kind",
            "transfer syntax": "transfer syntax",
            "files": "files",
            "errors": "errors",
            "warnings": "warnings",
            "off by": "largest difference read back",
            "stored": "stored by Orthanc",
            "equal": "equal through REST",
            "ms per file": "ms of CPU per file",
            "kB per file": "kB per file",
        },
        notes=[
            "Errors and warnings are those of dciodvfy, and of dcentvfy over all files of a row; our own check of "
            f"attributes, marks and positions found {sum(one['problems'] for one in rows)} problems.",
            "Two warnings per file are about an empty Study Date and Time, which a DICOMDIR would need: a draw has no "
            "date, and the same draw gives the same bytes. The other warnings are named below.",
            "Only values that are not whole numbers differ when read back, by at most half a step of 16 bits.",
        ],
        more=[
            {
                "title": "What the validator warned of",
                "columns": ["text", "files"],
                "rows": [{"text": text, "files": number} for text, number in said.most_common()],
            },
            {
                "title": "Control: files that scanners wrote",
                "columns": ["series", "files", "errors", "warnings"],
                "rows": control(options.data),
            },
        ],
    )
    print(f"{path}: {files} files, {facts['seconds']} s")


if __name__ == "__main__":
    main()
