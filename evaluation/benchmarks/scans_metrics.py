"""Which score of scans catches what: real MedNIST scans that are damaged on purpose, scored by each extractor.

    python evaluation/benchmarks/scans_metrics.py

One half of the held-in scans plays the real ones, the other half, damaged in one way, the synthetic ones: untouched,
with noise, blurred, one class dropped, a few scans repeated, copies of the real ones. The extractors learn from a third
part. Writes evaluation/baselines/scans/metrics.json.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from scans_section import arguments, data_folder, write_section
from scipy import ndimage

from synthkit.evaluation.scans import appearance
from synthkit.evaluation.scans.distances import fid, kid, prdc
from synthkit.evaluation.scans.extractors import EXTRACTORS, extractor_named, window_of
from synthkit.evaluation.scans.pictures import grid_png
from synthkit.io.scan_set import ScanSet
from synthkit.io.scans import read_scans
from synthkit.random import RandomSource

COLLAPSED = 60
DROPPED = 4


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--scans", type=int, default=2000, help="of each half")
    parser.add_argument("--learned", type=int, default=6000, help="that the extractors learn from")
    parser.add_argument("--extractors", nargs="*", default=list(EXTRACTORS), choices=list(EXTRACTORS))
    options = parser.parse_args()
    started = time.monotonic()
    scans = read_scans(data_folder(options.data) / "mednist64.npz", split="train").scans
    random = RandomSource(options.seed)
    order = random.numpy("parts").permutation(len(scans))
    n = options.scans
    real, other, third = (
        scans.take(part) for part in (order[:n], order[n : 2 * n], order[2 * n : 2 * n + options.learned])
    )
    cases = dict(damaged(real, other, random))
    tables = []
    for name in options.extractors:
        began = time.process_time()
        extractor = extractor_named(name, third, random)
        first = extractor.features(real.images)
        rows = []
        for title, (images, _) in cases.items():
            features = extractor.features(images)
            distance, four = kid(first, features, seed=options.seed), prdc(first, features, seed=options.seed)
            row: dict[str, Any] = {
                "compared": title,
                "KID": [1e3 * distance.value, 1e3 * distance.low, 1e3 * distance.high],
                "FID": fid(first, features).value,
            }
            rows.append(row | {which: four[which].value for which in ("precision", "recall", "density", "coverage")})
            print(name, rows[-1], flush=True)
        told = extractor.describe()
        said = f"{told['features']} features, {time.process_time() - began:.0f} CPU seconds for all"
        tables.append({"title": f"{name}: {told['what']} ({said})", "columns": COLUMNS, "rows": rows})
    plain = list(without_extractor(real, cases, random))
    for row in plain:
        print(row)
    write_section(
        "metrics",
        title="Which score catches what",
        command="python evaluation/benchmarks/scans_metrics.py",
        facts={
            "scans of each half": n,
            "scans that extractors learn from": len(third),
            "seed": options.seed,
            "seconds": round(time.monotonic() - started),
        },
        columns=COLUMNS,
        rows=tables[0]["rows"],
        notes=[
            f"Extractor {tables[0]['title']}.",
            "KID is given in thousandths. Rows are compared with the other half of real scans, which no score can tell "
            "from the first but by chance: that is the control.",
            "Copies of the real scans score perfectly in every column: no distance replaces the memorisation audit.",
            f"A collapse ({COLLAPSED} scans repeated) is seen by recall and coverage, hardly by precision.",
            "FID of two halves of the same scans is not 0, and depends on n and on the number of features.",
        ],
        more=[
            *tables[1:],
            {
                "title": "Without an extractor",
                "columns": {
                    "compared": "compared with one half of the real scans",
                    "largest gap": "intensities, largest gap",
                    "shift": "intensities, mean shift",
                    "spectrum": "power spectrum gap, dB",
                    "likeness": "likeness within a class, gap",
                },
                "rows": plain,
            },
        ],
        pictures={
            "damages": (
                grid_png(
                    np.concatenate([images[:12] for images, _ in cases.values()]).astype(np.float32),
                    window=(0.0, 255.0),
                    columns=12,
                    zoom=1,
                ),
                "One row for each line of the table, in its order.",
            )
        },
    )


COLUMNS = {
    "compared": "compared with one half of the real scans",
    "KID": "KID × 1000",
    "FID": "FID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
Damaged = tuple[np.ndarray, np.ndarray]


def damaged(real: ScanSet, other: ScanSet, random: RandomSource) -> Iterator[tuple[str, Damaged]]:
    """Yield each way to damage the other half of the scans: images and labels."""
    images, labels = other.images.astype(np.float32), other.labels
    rng = random.numpy("noise")
    yield "the other half, untouched", (images, labels)
    for sigma in (5, 20):
        noisy = np.clip(images + sigma * rng.standard_normal(images.shape), 0, 255)
        yield f"noise, σ = {sigma} of 255", (noisy.astype(np.float32), labels)
    for width in (0.5, 1.0, 2.0):
        along = (0, 0, width, width)
        yield f"blur, σ = {width:g} samples", (ndimage.gaussian_filter(images, along, mode="nearest"), labels)
    kept = labels != DROPPED
    yield f"without the class {other.classes[DROPPED]}", (images[kept], labels[kept])
    rows = np.resize(rng.permutation(len(images))[:COLLAPSED], len(images))
    yield f"collapse: {COLLAPSED} scans repeated", (images[rows], labels[rows])
    yield "moved by 4 samples", (np.roll(images, 4, axis=3), labels)
    yield "copies of the real scans", (real.images.astype(np.float32), real.labels)


def without_extractor(real: ScanSet, cases: dict[str, Damaged], random: RandomSource) -> Iterator[dict[str, Any]]:
    """Yield the scores that need no extractor."""
    window = window_of(real)
    span = window.high - window.low
    own = real.images.astype(np.float32)
    edges = np.arange(-0.5, 256.0)
    reference = appearance.histogram(np.clip(own, 0, 255), edges), appearance.radial_power(own)[1]
    pairs = likeness(own, real.labels, real.classes, span, random)
    for title, (images, labels) in cases.items():
        values = appearance.intensity_scores(reference[0], appearance.histogram(images, edges))
        spectrum = appearance.spectrum_score(reference[1], appearance.radial_power(images)[1])
        alike = appearance.diversity_score(pairs, likeness(images, labels, real.classes, span, random))
        yield {
            "compared": title,
            "largest gap": with_ends(values["intensity_ks"]),
            "shift": with_ends(values["intensity_shift"]),
            "spectrum": with_ends(spectrum),
            "likeness": with_ends(alike),
        }


def likeness(
    images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], span: float, random: RandomSource
) -> dict[str, np.ndarray]:
    return {
        name: appearance.likeness(images[labels == place], span, random.numpy(f"pairs {name}"))
        for place, name in enumerate(classes)
        if (labels == place).sum() > 3
    }


def with_ends(score: Any) -> list[float]:
    return [score.value, score.low, score.high]


if __name__ == "__main__":
    main()
