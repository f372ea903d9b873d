"""Reading scans: four real series against their files, what scanners' headers would have said, and the cost of it.

    python evaluation/benchmarks/scans_reading.py

Each series of `dicom/` is read with `read_scans` and held against what pydicom gives for each file, put in order by a
rule of its own in this script: positions projected on the normal. The columns "by header" are the control: what
spacing and order the header alone claims. Then all files that pydicom ships for its own tests are read, in every
transfer syntax; and a folder of many small files says what headers cost. The result is
`evaluation/baselines/scans/reading.json`; about two minutes on one core.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from scans_section import ROOT, arguments, data_folder, write_section

from synthkit.errors import InputError
from synthkit.evaluation.scans.pictures import grid, png_bytes, tiles
from synthkit.io.kinds import is_dicom
from synthkit.io.scans import read_scans, survey_scans

sys.path.insert(0, str(ROOT / "tests" / "shared"))
from phantoms import dataset, uid, write

SERIES = ("ct_head_ge", "ct_head_philips", "mr_epi_ge", "mr_mosaic_siemens")
WINDOWS = {
    "ct_head_ge": (-100.0, 200.0),
    "ct_head_philips": (-100.0, 200.0),
    "mr_epi_ge": (0.0, 6000.0),
    "mr_mosaic_siemens": (0.0, 900.0),
}
NO_IMAGE = ("is no image", "no pixel data", "no SOP class", "no image", "no DICOM file")
MANY = 5_000


# ------------------------------------------------------------ real series


def files_of(folder: Path) -> list[pydicom.Dataset]:
    """Return the images of a series, without localizers, in the order of their names."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_dicom(path):
            data = pydicom.dcmread(path)
            if "PixelData" in data and "LOCALIZER" not in data.ImageType:
                found.append(data)
    return found


def expected(files: list[pydicom.Dataset]) -> np.ndarray:
    """Return the slices in real units in the order of their places, times one after the other, by a rule of its own."""
    first = files[0]
    if "MOSAIC" in first.ImageType:
        n = int(first[0x0019100A].value)
        side = int(np.ceil(np.sqrt(n)))
        size = first.Rows // side
        return np.stack([
            data.pixel_array[row * size : (row + 1) * size, column * size : (column + 1) * size].astype(float)
            for data in sorted(files, key=lambda one: int(one.AcquisitionNumber))
            for row, column in (divmod(i, side) for i in range(n))
        ])  # fmt: skip
    normal = np.cross(first.ImageOrientationPatient[:3], first.ImageOrientationPatient[3:])
    places = [round(float(np.dot(data.ImagePositionPatient, normal)), 2) for data in files]
    seen: Counter[float] = Counter()
    keys = []
    for data, place in sorted(zip(files, places, strict=True), key=lambda pair: int(pair[0].InstanceNumber)):
        keys.append((seen[place], place, data))
        seen[place] += 1
    ordered = [data for _, _, data in sorted(keys, key=lambda key: key[:2])]
    return np.stack([real(data) for data in ordered])


def real(data: pydicom.Dataset) -> np.ndarray:
    """Return the values of a file in real units, padding as air."""
    stored = data.pixel_array.astype(float)
    values = stored * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
    if "PixelPaddingValue" in data:
        values[stored == int(data.PixelPaddingValue)] = -1024
    return values


def by_header(files: list[pydicom.Dataset]) -> tuple[float | None, bool]:
    """Return the spacing that headers claim, and whether the order of names is the order of places."""
    first = files[0]
    claimed = first.get("SpacingBetweenSlices") or first.get("SliceThickness")
    normal = np.cross(first.ImageOrientationPatient[:3], first.ImageOrientationPatient[3:])
    places = np.array([float(np.dot(data.ImagePositionPatient, normal)) for data in files])
    return None if claimed is None else float(claimed), bool((np.diff(places) > 0).all())


def neighbours(volume: np.ndarray) -> float:
    """Return the mean correlation of neighbouring slices."""
    flat = volume.reshape(len(volume), -1).astype(float)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairwise(flat)]))


def measure(folder: Path) -> dict[str, Any]:
    """Read a series as slices and as volumes, and compare."""
    files = files_of(folder)
    start = time.perf_counter()
    surveyed = survey_scans(folder)
    headers = time.perf_counter() - start
    start = time.perf_counter()
    volumes = read_scans(folder)
    seconds = time.perf_counter() - start
    slices = read_scans(folder, slices=True)
    claimed, in_order = by_header(files)
    wanted = expected(files)
    form = volumes.scans.form
    report = volumes.report
    own = wanted[: len(wanted) // len(volumes.scans)]
    return {
        "series": folder.name,
        "files": report.n_files,
        "left out": "; ".join(f"{one.n_files} {one.reason}" for one in report.left_out) or "none",
        "scans": len(volumes.scans),
        "size": " x ".join(map(str, volumes.scans.size)),
        "spacing": " x ".join(f"{one:.4g}" for one in form.spacing or ()),
        "claimed": claimed,
        "named in order": in_order,
        "equal": bool(np.array_equal(slices.scans.images[:, 0], wanted)),
        "units": form.units or "arbitrary",
        "lowest": float(slices.scans.images.min()),
        "highest": float(slices.scans.images.max()),
        "notes": "; ".join(dict.fromkeys(note for one in report.found for note in one.notes if "of 1" not in note)),
        "neighbours as filed": round(neighbours(own), 4),
        "neighbours as read": round(neighbours(volumes.scans.images[0, 0]), 4),
        "headers seconds": round(headers, 2),
        "seconds": round(seconds, 2),
        "patients": surveyed.n_patients,
    }


def picture(folder: Path) -> bytes:
    """Return the three planes through the middle of the first volume, at one window."""
    scans = read_scans(folder).scans
    return png_bytes(grid(tiles(scans.images[:1], WINDOWS[folder.name], spacing=scans.form.spacing)))


# ------------------------------------------------------------ other files


def shipped() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read the files that pydicom ships, by transfer syntax: how many become scans, and why the others do not."""
    syntaxes: dict[str, Counter[str]] = {}
    named: Counter[str] = Counter()
    for path in shipped_files():
        try:
            syntax = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.name)
        except (pydicom.errors.InvalidDicomError, AttributeError):
            syntax = "none stated"
        outcome = syntaxes.setdefault(syntax, Counter())
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.dcm").write_bytes(path.read_bytes())
            try:
                reading = read_scans(folder, slices=True, force_burned_in=True)
            except InputError as error:
                text = str(error)
                kind = "no image" if any(part in text for part in NO_IMAGE) else "unreadable"
                outcome[kind] += 1
                if kind == "unreadable":
                    named[text.partition("(")[2].partition("). See")[0].partition(": ")[2]] += 1
                continue
        outcome["read"] += 1
        outcome["scans"] += len(reading.scans)
    rows: list[dict[str, Any]] = [
        {
            "syntax": syntax,
            "files": sum(counts[key] for key in ("read", "no image", "unreadable")),
            "read": counts["read"],
            "scans": counts["scans"],
            "no image": counts["no image"],
            "unreadable": counts["unreadable"],
        }
        for syntax, counts in sorted(syntaxes.items())
    ]
    return rows, [{"reason": reason, "files": n} for reason, n in named.most_common()]


def shipped_files() -> list[Path]:
    """Return what pydicom ships and what is DICOM, or says that it is."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(path for path in folder.rglob("*") if path.is_file() and (is_dicom(path) or path.suffix == ".dcm"))


def many_headers() -> dict[str, Any]:
    """Say what a folder of many files costs, in a process of its own whose memory is measured."""
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(np.zeros((64, 64), np.uint16), SOPInstanceUID=uid(0))
        path = write(Path(folder) / "a.dcm", data)
        content, own = path.read_bytes(), data.SOPInstanceUID.encode()
        path.unlink()
        for i in range(MANY):
            (Path(folder) / f"{i}.dcm").write_bytes(content.replace(own, own[:-6] + f"{i:06}".encode()))
        script = (
            "import re, sys, time, tracemalloc\n"
            "from synthkit.io.scans import survey_scans\n"
            "import synthkit.io.dicom\n"
            "start = time.process_time()\n"
            "n = survey_scans(sys.argv[1]).n_scans\n"
            "seconds = time.process_time() - start\n"
            # of this process, not of the one that started it (as ru_maxrss would say)
            "whole = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
            "tracemalloc.start()\n"
            "survey_scans(sys.argv[1])\n"
            "print(n, seconds, tracemalloc.get_traced_memory()[1] / 1024, whole / 1024)\n"
        )
        done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    n, seconds, kib, whole = done.stdout.split()
    return {
        "files": int(n),
        "seconds": round(float(seconds), 2),
        "files per second": round(int(n) / float(seconds)),
        "KiB per file": round(float(kib) / int(n), 1),
        "peak of the process, MiB": round(float(whole)),
    }


def main() -> None:
    parser = arguments(__doc__)
    given = parser.parse_args()
    folder = data_folder(given.data) / "dicom"
    start = time.perf_counter()
    rows = [measure(folder / name) for name in SERIES]
    kinds, reasons = shipped()
    cost = many_headers()
    titles = {
        "series": "series", "files": "files", "left out": "left out", "scans": "volumes", "size": "size",
        "spacing": "spacing, mm", "claimed": "by header: slices, mm", "named in order": "by header: named in order",
        "equal": "slices equal to the files, in order", "units": "units", "lowest": "lowest", "highest": "highest",
    }  # fmt: skip
    path = write_section(
        "reading",
        title="Reading DICOM: four real series",
        command="python evaluation/benchmarks/scans_reading.py",
        facts={
            "files": sum(row["files"] for row in rows),
            "seconds": round(time.perf_counter() - start),
            "peak memory, MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        },
        rows=rows,
        columns=titles,
        notes=[
            "Equal means: every value of every slice as pydicom decodes it, rescaled, padding as air, in the order of "
            "positions that this script works out on its own.",
            "The gantry was tilted by 18.5 degrees in both CT series: the header of the Philips series claims 2.5 mm "
            "between slices, along the table; along the normal it is 2.37 mm.",
            "The GE head was scanned with 4 mm slices below and 7 mm above, 1.1 mm apart where they meet: its volume "
            "is interpolated to 4 mm, and the report says so. Its slices alone are as they were.",
            "Straightening a tilted volume interpolates rows; `slices=True` never does.",
        ],
        pictures={
            name.replace("_", "-"): (picture(folder / name), f"{name}: three planes, and the brightest values")
            for name in SERIES
        },
        more=[
            {
                "title": "What was done to each volume",
                "columns": {
                    "series": "series", "notes": "what", "neighbours as filed": "correlation of neighbours, as filed",
                    "neighbours as read": "as read", "headers seconds": "headers, s", "seconds": "all, s",
                },
                "rows": rows,
            },
            {
                "title": "Files that pydicom ships for its own tests, each alone",
                "columns": {
                    "syntax": "transfer syntax", "files": "files", "read": "read", "scans": "scans",
                    "no image": "no image or no DICOM, named", "unreadable": "left out, named",
                },
                "rows": kinds,
            },
            {"title": "Why those files are left out", "columns": ["reason", "files"], "rows": reasons},
            {"title": "Headers of many files", "columns": list(cost), "rows": [cost]},
        ],
    )  # fmt: skip
    print(f"written: {path}")
    for row in rows:
        print(row)
    for row in (*kinds, *reasons):
        print(row)
    print(cost)


if __name__ == "__main__":
    main()
