"""PneumoniaMNIST, 28 x 28: whether synthetic chest X-rays are as good to learn from as real ones, and add to them.

    python evaluation/benchmarks/scans_pneumonia.py --time-budget 4m --small-budget 1m

1. A ScanGAN learns the training part. Classifiers learn from real scans (TRTR) or from as many synthetic ones (TSTR),
   in the same way, and name the test part, which nothing has learned from.
2. Of 50, 200 and 1,000 real scans, drawn anew for each repetition: a ScanGAN learns these alone; classifiers learn from
   them, or from them and 2,000 synthetic scans, half of every batch each. The gain is paired by repetition and by
   classifier. Beside it the gain from the generator of part 1, which has seen all training scans: what an institution
   gains that has few scans and is given a generator of one that has many.

Writes evaluation/baselines/scans/pneumonia.json. `--quick` tries it in minutes with tiny settings and writes nothing.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from scans_section import arguments, data_folder, write_section
from scipy import stats

from synthkit.evaluation.intervals import LEVEL
from synthkit.evaluation.scans.classifiers import LabelledScans, labelled
from synthkit.evaluation.scans.evaluate import evaluate_scans, half_and_half
from synthkit.evaluation.scans.extractors import window_of
from synthkit.evaluation.scans.pictures import grid_png
from synthkit.evaluation.scans.pictures import window_of as shown_window
from synthkit.evaluation.scans.utility import Measure, Trial, kept_share, trial, trial_score
from synthkit.io.scan_set import ScanSet
from synthkit.io.scans import read_scans
from synthkit.random import RandomSource
from synthkit.scans.gan import ScanGAN

SIZES = (50, 200, 1000)
SYNTHETIC = 2000
MEASURES: tuple[Measure, ...] = ("balanced accuracy", "AUC")
LEAST_SHARE = 0.9


def main() -> None:
    options = parsed()
    path = data_folder(options.data) / "pneumoniamnist28.npz"
    train, validation, test = (read_scans(path, split=split).scans for split in ("train", "val", "test"))
    random = RandomSource(options.seed)
    if options.quick:
        train = train.take(random.numpy("quick").permutation(len(train))[:600])
    started = time.monotonic()
    model = fitted(train, options.time_budget, options.seed, validation)
    seconds = time.monotonic() - started
    synthetic = model.sample(len(train), random_state=options.seed)
    window = window_of(train)
    seen = {"real": labelled(train, window), "synthetic": labelled(synthetic, window)}
    held_out = labelled(test, window)
    trials = {name: learned(scans, held_out, options, random) for name, scans in seen.items()}
    rows = [utility_row(name, one, trials["real"]) for name, one in trials.items()]
    for row in rows:
        print(row, flush=True)

    gains = []
    for size in options.sizes:
        gains += augmentation(size, train, held_out, seen["synthetic"], options, random)
    scores = evaluate_scans(train, synthetic, test, suite="quick", seed=options.seed)
    distances = [
        {
            "score": name,
            "synthetic": [scores[name].value, scores[name].low, scores[name].high],
            "real": scores[name].ceiling,
            "blurred": scores[name].floor,
            "n": scores[name].n,
        }
        for name in ("kid", "fid", "precision", "recall", "coverage", "intensity_ks", "spectrum_gap", "equal_scans")
    ]
    for row in distances:
        print(row)
    if options.quick:
        return
    write_section(
        "pneumonia",
        title="PneumoniaMNIST, 28 × 28: training on synthetic scans",
        command=f"python evaluation/benchmarks/scans_pneumonia.py --time-budget {options.time_budget} "
        f"--small-budget {options.small_budget}",
        facts={
            "training scans": len(train),
            "test scans": len(test),
            "synthetic scans": len(synthetic),
            "recipe": model.recipe,
            "time budget": options.time_budget,
            "time budget of the generators of few scans": options.small_budget,
            "seconds of the fit": round(seconds),
            "seconds in all": round(time.monotonic() - started),
            "classifiers": options.classifiers,
            "batches per classifier": options.steps,
            "repetitions with few scans": options.repetitions,
            "seed": options.seed,
        },
        columns={
            "trained on": "trained on",
            "balanced accuracy": "balanced accuracy",
            "AUC": "AUC",
            "share of balanced accuracy": "share of TRTR, balanced accuracy",
            "share of AUC": "share of TRTR, AUC",
            "met": f"at least {LEAST_SHARE:.0%} in both",
        },
        rows=rows,
        notes=[
            "Intervals are for other starts of the classifier and other test patients together. The share divides by "
            "the mean of the classifiers that learned from real scans; balanced accuracy is 0.5 for guessing.",
            "The test part of PneumoniaMNIST comes from other examinations than the training part and has another "
            "share of pneumonia: real scans do not reach there what they reach on the validation part.",
        ],
        more=[
            {
                "title": "Gain of adding synthetic scans to few real ones",
                "columns": {
                    "real scans": "real scans",
                    "generator learned from": "generator learned from",
                    "real alone": "real alone, balanced accuracy",
                    "gain": "gain in balanced accuracy",
                    "real alone, AUC": "real alone, AUC",
                    "gain in AUC": "gain in AUC",
                },
                "rows": gains,
                "notes": [
                    f"Mean over {options.repetitions} draws of the real scans with {options.few_classifiers} "
                    "classifiers each, and the interval over the draws (Student's t)."
                ],
            },
            {
                "title": "Scores of the synthetic scans",
                "columns": {
                    "score": "score",
                    "synthetic": "synthetic",
                    "real": "held-out real",
                    "blurred": "blurred real",
                    "n": "n",
                },
                "rows": distances,
            },
        ],
        pictures=pictures(train, synthetic),
    )


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__, time_budget="4m")
    parser.add_argument("--small-budget", default="1m", help="of each fit to few scans, default 1m")
    parser.add_argument("--recipe", default="r3")
    parser.add_argument("--steps", type=int, default=500, help="batches that each classifier learns from")
    parser.add_argument("--classifiers", type=int, default=5)
    parser.add_argument("--few-classifiers", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.time_budget, options.small_budget, options.repetitions = "30s", "10s", 2
        options.steps, options.classifiers, options.few_classifiers, options.sizes = 60, 2, 1, [50]
    fitted.recipe = options.recipe  # type: ignore[attr-defined]
    return options


def fitted(scans: ScanSet, budget: str, seed: int, validation: ScanSet | None = None) -> ScanGAN:
    """Return a generator of both classes; each is seen equally often, because one has three times as many scans."""
    model = ScanGAN(
        fitted.recipe,  # type: ignore[attr-defined]
        time_budget=budget,
        class_balance=True,
        random_state=seed,
        verbose=False,
    )
    return model.fit(scans, holdout=validation)


def learned(scans: LabelledScans, held_out: LabelledScans, options: argparse.Namespace, random: RandomSource) -> Trial:
    groups = np.arange(len(held_out))
    return trial(scans, held_out, groups, random, seeds=options.classifiers, steps=options.steps)


def utility_row(name: str, own: Trial, real: Trial) -> dict[str, Any]:
    row: dict[str, Any] = {"trained on": name}
    shares = []
    for measure in MEASURES:
        score = trial_score(own, measure)
        row[measure] = [score.value, score.low, score.high]
        if name != "real":
            share = kept_share(own, real, measure)
            row[f"share of {measure}"] = [share.value, share.low, share.high]
            shares.append(share.value)
    if shares:
        row["met"] = min(shares) >= LEAST_SHARE
    return row


def augmentation(
    size: int,
    train: ScanSet,
    held_out: LabelledScans,
    shared: LabelledScans,
    options: argparse.Namespace,
    random: RandomSource,
) -> list[dict[str, Any]]:
    """Return the gain from a generator of these few scans, and from one of all training scans."""
    found: dict[str, list[dict[str, float]]] = {"these scans": [], "all training scans": []}
    alone: list[dict[str, float]] = []
    window = window_of(train)
    for repetition in range(options.repetitions):
        own_random = random.child(f"{size} scans {repetition}")
        few = train.take(drawn(train, size, own_random))
        real = labelled(few, window)
        model = fitted(few, options.small_budget, options.seed + repetition)
        made = labelled(model.sample(SYNTHETIC, random_state=repetition), window)
        base = mean_of(real, None, held_out, options, own_random)
        alone.append(base)
        for name, other in (("these scans", made), ("all training scans", shared)):
            with_other = mean_of(real, other, held_out, options, own_random)
            found[name].append({measure: with_other[measure] - base[measure] for measure in MEASURES})
        print(size, repetition, base, {name: rows[-1] for name, rows in found.items()}, flush=True)
    return [
        {
            "real scans": size,
            "generator learned from": name,
            "real alone": float(np.mean([one["balanced accuracy"] for one in alone])),
            "gain": over_draws([one["balanced accuracy"] for one in gains]),
            "real alone, AUC": float(np.mean([one["AUC"] for one in alone])),
            "gain in AUC": over_draws([one["AUC"] for one in gains]),
        }
        for name, gains in found.items()
    ]


def mean_of(
    real: LabelledScans,
    other: LabelledScans | None,
    held_out: LabelledScans,
    options: argparse.Namespace,
    random: RandomSource,
) -> dict[str, float]:
    """Return the mean of each measure over classifiers that learn from real scans, or from both kinds in halves."""
    scans = real if other is None else real.joined(other)
    shares = None if other is None else half_and_half(real.labels, other.labels, real.n_classes)
    own = trial(
        scans,
        held_out,
        np.arange(len(held_out)),
        random,
        seeds=options.few_classifiers,
        steps=options.steps,
        shares=shares,
    )
    return {measure: float(own.values(measure).mean()) for measure in MEASURES}


def drawn(scans: ScanSet, size: int, random: RandomSource) -> np.ndarray:
    """Return positions of `size` scans with the classes in their proportions."""
    rng = random.numpy("few")
    counts = np.bincount(scans.labels)
    wanted = np.maximum(2, np.round(size * counts / counts.sum())).astype(int)
    wanted[counts.argmax()] += size - wanted.sum()
    return np.concatenate(
        [rng.permutation(np.flatnonzero(scans.labels == label))[:n] for label, n in enumerate(wanted)]
    )


def over_draws(values: list[float]) -> list[float]:
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return [mean, mean - half, mean + half]


def pictures(train: ScanSet, synthetic: ScanSet) -> dict[str, tuple[bytes, str]]:
    window = shown_window(train.images)
    found = {}
    for label, name in enumerate(train.classes):
        rows = [scans.images[np.flatnonzero(scans.labels == label)[:12]] for scans in (train, synthetic)]
        png = grid_png(np.concatenate(rows), window=window, columns=12, zoom=3)
        found[name] = (png, f"{name}: the upper row is real, the lower synthetic, at one window; the first of each.")
    return found


if __name__ == "__main__":
    main()
