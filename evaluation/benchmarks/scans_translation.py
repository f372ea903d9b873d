"""Scans from scans: super-resolution, translation and in-painting, against plain methods on held-out scans.

    python evaluation/benchmarks/scans_translation.py --time-budget 4m [--only superresolution,translation,inpainting]

All on MedNIST, 64 x 64; test scans that are also in the training part, byte by byte, are left out.

- Super-resolution: 16 -> 64 and 32 -> 64, all six classes, against bicubic and nearest interpolation.
- Translation: head CT into a simulated other modality (a curve of intensities that goes up and down again, a smooth
  bias field of each scan, blur). The two kinds are of different scans in training; on the test scans the true target is
  known. Against the source itself (identity) and the best single curve of intensities (histogram matching); the same
  networks trained on pairs are the ceiling.
- In-painting: boxes or ellipses of each scan are missing (scans where these are in plain background are left out);
  against the mean of the rest, the nearest known sample, and a biharmonic surface. Errors are those inside the holes.

Peak signal-to-noise ratio and structural similarity are means over test scans; intervals are from a bootstrap over
them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scans_section import arguments, data_folder, write_section
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch.nn import functional

from synthkit.evaluation.scans.pictures import grid_png
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.random import RandomSource
from synthkit.scans.gan import ScanGAN
from synthkit.scans.inpainting import drawn_holes
from synthkit.scans.similarity import psnr, ssim

Floats = NDArray[np.float64]
Images = NDArray[Any]
SPAN = 255.0
DRAWS = 2_000
TESTED = 500
SHOWN = 8
AIR = 0.1  # of the range: what surrounds a head in these CTs


def mednist(data: str | None, part: str) -> ScanSet:
    """One part of MedNIST; the test part without scans that are in the training part."""
    with np.load(data_folder(data) / "mednist64.npz", allow_pickle=False) as file:
        images, labels, classes = file[f"{part}_images"], file[f"{part}_labels"].ravel(), file["classes"]
        if part == "test":
            known = {one.tobytes() for one in file["train_images"]}
            new = np.array([one.tobytes() not in known for one in images])
            images, labels = images[new], labels[new]
    names = tuple(str(name) for name in classes)
    return ScanSet(images[:, None], labels.astype(np.int64), names, form=ScanForm())


def some(scans: ScanSet, n: int, rng: np.random.Generator) -> ScanSet:
    return scans.take(np.sort(rng.permutation(len(scans))[:n]))


def mean_interval(values: Floats, rng: np.random.Generator) -> list[float]:
    """Mean and 95 % bootstrap interval over scans."""
    drawn = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [float(values.mean()), float(low), float(high)]


def detail(images: Images) -> Floats:
    """Mean steepness of each scan: what smoothing takes away."""
    rows, columns = (np.abs(np.diff(images.astype(np.float64), axis=axis)) for axis in (2, 3))
    steepness: Floats = rows.reshape(len(images), -1).mean(1) + columns.reshape(len(images), -1).mean(1)
    return steepness


def compared(
    results: Mapping[str, Images], true: Images, plain: str, rng: np.random.Generator, inside: Images | None = None
) -> list[dict[str, Any]]:
    """Rows of a table: each result against the truth, and against the plain method scan by scan."""
    where = np.ones(true.shape, bool) if inside is None else np.broadcast_to(inside, true.shape)

    def ratio(images: Images) -> Floats:
        if inside is None:
            return psnr(images, true, SPAN)
        errors = [
            float(np.square((a - b)[w]).mean()) for a, b, w in zip(images.astype(float), true, where, strict=True)
        ]
        ratios: Floats = -10 * np.log10(np.maximum(np.array(errors) / SPAN**2, 1e-12))
        return ratios

    rows = []
    base = ratio(results[plain]), ssim(results[plain], true, SPAN)
    for name, images in results.items():
        found = ratio(images), ssim(images, true, SPAN)
        rows.append(
            {
                "method": name,
                "psnr": mean_interval(found[0], rng),
                "ssim": mean_interval(found[1], rng),
                "gain": None if name == plain else mean_interval(found[0] - base[0], rng),
                "detail": float(detail(images).mean() / detail(true).mean()),
                "better": None
                if name == plain
                else bool((found[0] - base[0]).mean() > 0 and (found[1] - base[1]).mean() > 0),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


COLUMNS = {
    "method": "method",
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "gain": "PSNR gained, scan by scan",
    "detail": "detail, share of the true scan's",
    "better": "better in both",
}


def fitted(options: Any, recipe: str, scans: ScanSet, *, target: ScanSet | None = None, **settings: Any) -> ScanGAN:
    """A model with the settings of the command line."""
    more = json.loads(options.settings)
    gan = ScanGAN(
        recipe, time_budget=options.time_budget, random_state=options.seed, device="cpu", verbose=True,
        **{**settings, **more},
    )  # fmt: skip
    return gan.fit(scans, target=target)


def strips(*rows: Images) -> bytes:
    """A picture with one row for each of some sets of scans."""
    return grid_png(np.concatenate([row[:SHOWN].astype(np.float64) for row in rows]), window=(0, 255), columns=SHOWN)


# ----------------------------------------------------------------------------------------------------- super-resolution


def lower(images: Images, factor: int) -> Images:
    """Means of neighbouring samples, as 8-bit values."""
    means = functional.avg_pool2d(torch.from_numpy(images.astype(np.float32)), factor)
    return np.rint(means.numpy()).astype(np.uint8)


def interpolated(images: Images, factor: int, mode: str) -> Images:
    wide = functional.interpolate(
        torch.from_numpy(images.astype(np.float32)), scale_factor=factor, mode=mode,
        **({"align_corners": False} if mode == "bicubic" else {}),
    )  # fmt: skip
    return np.clip(np.rint(wide.numpy()), 0, 255)


def superresolution(options: Any, random: RandomSource) -> dict[str, Any]:
    train = mednist(options.data, "train")
    test = some(mednist(options.data, "test"), TESTED, random.numpy("test"))
    tables, pictures, facts = [], {}, {}
    for factor in (4, 2):
        began = time.monotonic()
        gan = fitted(options, "srgan", train, factor=factor)
        facts[f"seconds of x{factor}"] = round(time.monotonic() - began, 1)
        facts[f"stages of x{factor}"] = gan.report_["stages"]
        coarse = replace(test, images=lower(test.images, factor))
        results = {
            "bicubic": interpolated(coarse.images, factor, "bicubic"),
            "nearest": interpolated(coarse.images, factor, "nearest"),
            "SRGAN, faithful (distance alone)": gan.superresolve(coarse, sharp=False).images,
            "SRGAN, sharp (with the critic)": gan.superresolve(coarse).images,
        }
        size = 64 // factor
        tables.append(
            {
                "title": f"Super-resolution, {size} x {size} to 64 x 64 ({len(test)} test scans)",
                "columns": COLUMNS,
                "rows": compared(results, test.images, "bicubic", random.numpy(f"bootstrap {factor}")),
            }
        )
        order = np.linspace(0, len(test) - 1, SHOWN).astype(int)
        rows = [results[name][order] for name in results if name != "nearest"]
        pictures[f"superresolution-x{factor}"] = (
            strips(results["nearest"][order], *rows, test.images[order]),
            f"Super-resolution by {factor}: given, bicubic, faithful, sharp, true.",
        )
    return {"tables": tables, "pictures": pictures, "facts": facts}


# ---------------------------------------------------------------------------------------------------------- translation


def other_modality(images: Images, rng: np.random.Generator) -> Images:
    """Another kind of scan of the same: soft tissue brightest, bone dark, uneven lighting, a little blur."""
    unit = np.clip(images[:, 0] / 255.0 - AIR, 0, None) / (1 - AIR)
    curve = np.sin(np.pi * unit**0.6) ** 0.8  # up, and down again
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, length) for length in images.shape[2:]), indexing="ij")
    for i in range(len(curve)):
        slope = rng.uniform(-0.2, 0.2, 2)
        curve[i] *= 1 + slope[0] * rows + slope[1] * columns
        curve[i] = gaussian_filter(curve[i], 0.7)
    return np.rint(np.clip(curve * 220, 0, 255)).astype(np.uint8)[:, None]


def matched(images: Images, source: Images, target: Images) -> Images:
    """The rising curve of intensities that gives the source the histogram of the target."""
    shares = np.linspace(0, 1, 1001)
    curve = np.interp(images, np.quantile(source, shares), np.quantile(target, shares))
    return np.rint(curve)


def translation(options: Any, random: RandomSource) -> dict[str, Any]:
    train, test = mednist(options.data, "train"), mednist(options.data, "test")
    head = train.classes.index("HeadCT")
    train, test = (replace(one.take(one.labels == head), labels=None, classes=()) for one in (train, test))
    rng = random.numpy("modality")
    order = random.numpy("halves").permutation(len(train))
    half = len(train) // 2
    source, other = train.take(np.sort(order[:half])), train.take(np.sort(order[half:]))
    target = replace(other, images=other_modality(other.images, rng))
    true = other_modality(test.images, rng)
    began = time.monotonic()
    gan = fitted(options, "cyclegan", source, target=target)
    seconds = time.monotonic() - began
    paired_target = replace(source, images=other_modality(source.images, rng))
    began = time.monotonic()
    paired = fitted(options, "cyclegan", source, target=paired_target, paired=True)
    results = {
        "identity": test.images.astype(np.float64),
        "histogram matching": matched(test.images, source.images, target.images),
        "CycleGAN": gan.translate(test).images,
        "the same on pairs (ceiling)": paired.translate(test).images,
    }
    true_set = replace(test, images=true)
    back = {
        "identity": true.astype(np.float64),
        "histogram matching": matched(true, target.images, source.images),
        "CycleGAN": gan.translate(true_set, reverse=True).images,
        "the same on pairs (ceiling)": paired.translate(true_set, reverse=True).images,
    }
    tables = [
        {
            "title": f"Translation of head CT into a simulated modality ({len(test)} test scans)",
            "columns": COLUMNS,
            "rows": compared(results, true, "identity", random.numpy("bootstrap forth")),
        },
        {
            "title": "And back",
            "columns": COLUMNS,
            "rows": compared(back, test.images, "identity", random.numpy("bootstrap back")),
        },
    ]
    picture = strips(
        test.images, results["histogram matching"], results["CycleGAN"], results["the same on pairs (ceiling)"], true
    )
    return {
        "tables": tables,
        "pictures": {
            "translation": (picture, "Translation: given, histogram matching, CycleGAN, trained on pairs, true.")
        },
        "facts": {
            "seconds of CycleGAN": round(seconds, 1),
            "seconds of pairs": round(time.monotonic() - began, 1),
            "scans of each kind": half,
            "stages of CycleGAN": gan.report_["stages"],
            "stages of pairs": paired.report_["stages"],
        },
    }


# ---------------------------------------------------------------------------------------------------------- in-painting


def mean_of_the_rest(image: Floats, hole: NDArray[np.bool_]) -> Floats:
    return np.where(hole, image[~hole].mean(), image)


def nearest_known(image: Floats, hole: NDArray[np.bool_]) -> Floats:
    rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
    return image[rows, columns]


def biharmonic(image: Floats, hole: NDArray[np.bool_]) -> Floats:
    """The smoothest surface: its bilaplacian is zero inside the hole (neighbours beyond the edge are mirrored)."""
    height, width = image.shape
    number = np.full(image.shape, -1)
    number[hole] = np.arange(hole.sum())
    kernel = [(0, 0, 20), *[(dy, dx, -8) for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]]
    kernel += [(dy, dx, 2) for dy in (-1, 1) for dx in (-1, 1)]
    kernel += [(dy, dx, 1) for dy, dx in ((0, 2), (0, -2), (2, 0), (-2, 0))]
    system, right = lil_matrix((hole.sum(), hole.sum())), np.zeros(hole.sum())
    for y, x in zip(*np.nonzero(hole), strict=True):
        for dy, dx, weight in kernel:
            v, u = abs(y + dy), abs(x + dx)
            v, u = min(v, 2 * (height - 1) - v), min(u, 2 * (width - 1) - u)
            if hole[v, u]:
                system[number[y, x], number[v, u]] += weight
            else:
                right[number[y, x]] -= weight * image[v, u]
    filled = image.copy()
    filled[hole] = np.clip(spsolve(system.tocsr(), right), 0, 255)
    return filled


def inpainting(options: Any, random: RandomSource) -> dict[str, Any]:
    train = mednist(options.data, "train")
    test = some(mednist(options.data, "test"), TESTED, random.numpy("test"))
    holes = drawn_holes(len(test), test.size, random.torch("holes")).numpy()[:, 0] > 0
    # a hole in plain background says nothing
    kept = np.array([hole.sum() >= 16 and one[0][hole].std() > 5 for one, hole in zip(test.images, holes, strict=True)])
    test, holes = test.take(kept), holes[kept]
    began = time.monotonic()
    gan = fitted(options, "inpaint", train)
    seconds = time.monotonic() - began
    damaged = replace(test, images=np.where(holes[:, None], 0, test.images).astype(np.uint8))

    def each(fill: Callable[[Floats, NDArray[np.bool_]], Floats]) -> Images:
        return np.stack(
            [fill(one[0].astype(np.float64), hole) for one, hole in zip(damaged.images, holes, strict=True)]
        )[:, None]

    results = {
        "biharmonic": each(biharmonic),
        "mean of the rest": each(mean_of_the_rest),
        "nearest known sample": each(nearest_known),
        "in-painting, faithful (distance alone)": gan.impute(damaged, holes, sharp=False).images,
        "in-painting, sharp (with the critic)": gan.impute(damaged, holes).images,
    }
    rows = compared(results, test.images, "biharmonic", random.numpy("bootstrap"), inside=holes[:, None])
    order = np.linspace(0, len(test) - 1, SHOWN).astype(int)
    faithful, sharp = list(results)[-2:]
    picture = strips(
        *(one[order] for one in (damaged.images, results["biharmonic"], results[faithful], results[sharp], test.images))
    )
    return {
        "tables": [
            {"title": f"In-painting ({len(test)} test scans, inside the holes)", "columns": COLUMNS, "rows": rows}
        ],
        "pictures": {"inpainting": (picture, "In-painting: given, biharmonic, faithful, sharp, true.")},
        "facts": {"seconds of in-painting": round(seconds, 1), "stages of in-painting": gan.report_["stages"]},
    }


PARTS = {"superresolution": superresolution, "translation": translation, "inpainting": inpainting}


def main() -> None:
    parser = arguments(__doc__, time_budget="4m")
    parser.add_argument(
        "--only", default=",".join(PARTS), help="parts, separated by commas; no section for fewer than all"
    )
    parser.add_argument("--settings", default="{}", help="further settings of ScanGAN as JSON")
    parser.add_argument("--trial", help="folder for the pictures; no section is written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = options.only.split(",")
    random = RandomSource(options.seed)
    found = {name: PARTS[name](options, random.child(name)) for name in chosen}
    if options.trial:
        from pathlib import Path

        Path(options.trial).mkdir(parents=True, exist_ok=True)
        for part in found.values():
            for name, (png, _) in part["pictures"].items():
                (Path(options.trial) / f"{name}.png").write_bytes(png)
    if options.trial or set(chosen) != set(PARTS):
        return
    tables = [table for part in found.values() for table in part["tables"]]
    write_section(
        "translation",
        title="Scans from scans: super-resolution, translation, in-painting",
        command=f"python evaluation/benchmarks/scans_translation.py --time-budget {options.time_budget}",
        facts={
            "size": "64 x 64",
            "bootstrap draws": DRAWS,
            "seed": options.seed,
            **{name: value for part in found.values() for name, value in part["facts"].items()},
        },
        columns={"table": "table", "method": "our method", "gain": "PSNR gained, in dB", "better": "better in both"},
        rows=[
            {"table": table["title"], "method": row["method"], "gain": row["gain"], "better": row["better"]}
            for table in tables
            for row in table["rows"]
            if "GAN" in row["method"] or "in-painting" in row["method"]
        ],
        notes=[
            "The faithful networks are trained by the distance to the true scan alone. The critic of the sharp ones "
            "costs signal-to-noise ratio: what it adds looks right and need not be right. Detail is the mean steepness "
            "of the result as a share of that of the true scan: 1 is as sharp as the truth, noise would be above.",
            "The simulated modality has a bias field that no method can know from the source.",
        ],
        more=tables,
        pictures={name: picture for part in found.values() for name, picture in part["pictures"].items()},
    )


if __name__ == "__main__":
    main()
