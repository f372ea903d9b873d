"""The audit of scans on releases of known quality: copies have to be found, scans of other patients must not be.

    python evaluation/benchmarks/scans_memorisation.py                       # about 15 minutes on one free core
    python evaluation/benchmarks/scans_memorisation.py --model mednist.synth # and scans that a model draws

Training scans are the 12,000 of MedNIST (64 x 64, six classes). Its 3,000 test scans, of other patients, are split at
random: 1,000 make the releases of real scans, 2,000 are held out for the audit. Test scans are not known by patient, so
that both parts hold scans of the same ones. Each release has 1,000 scans:

- held-out scans as they are, blurred (Gaussian of one and of two samples), with noise: nothing is copied;
- copies of training scans: as they are, with noise (sigma 10 and 20), moved by up to two samples, mirrored, with other
  brightness and contrast, blurred, turned (which pixels are not made for, and features are), and all changes of
  `planted` together;
- mixtures: held-out scans among which 1 % and 5 % are planted copies;
- what a model draws, with --model.

For each release: the copy rate (share of scans nearer to a training scan than the 5 % of held-out scans that lie
nearest) beside that of the held-out scans, the excess at the three thresholds, the area under the curve of membership,
and what the audit says. "Naive" is the copy rate with thresholds from held-out scans as they are, without giving them
the sharpness of the release: what a blurred release does to it is why the audit does otherwise.

How often the audit accuses nobody wrongly: held-out scans are split in two at random 300 times, and one half is audited
against the other by distances that were measured once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scans_section import arguments, data_folder, write_section
from scipy.ndimage import gaussian_filter, rotate

from synthkit.auditing.copy_rates import SHARES, compared, near
from synthkit.auditing.intervals import FAMILY, adjusted
from synthkit.auditing.records import DESCRIPTIVE, Estimate, Risk
from synthkit.auditing.scans.attacks import COMMON, SCAN_ATTACKS
from synthkit.auditing.scans.case import Features, Pixels, ScanCase, ScanLimits, planted
from synthkit.auditing.scans.copy_features import learn_copy_features
from synthkit.auditing.scans.matching import aligned
from synthkit.auditing.scans.reading import read_sets
from synthkit.evaluation.scans.extractors import extractor_named
from synthkit.evaluation.scans.pictures import triples_png
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

RELEASED, HELD_OUT, SPLITS = 1_000, 2_000, 300
TRAINED, EXTRACTOR = 12_000, "copies"
SHOWN = ("moved", "noise 20", "mixture 1 %", "model")
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def blurred(sigma: float) -> Change:
    return lambda images, rng: gaussian_filter(images, (0, 0, sigma, sigma))


def noisy(sigma: float) -> Change:
    return lambda images, rng: images + rng.normal(0, sigma, images.shape).astype(np.float32)


def turned(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angles = rng.uniform(4, 8, len(images))
    turned_ones = [
        rotate(one, by, axes=(1, 2), reshape=False, mode="nearest") for one, by in zip(images, angles, strict=True)
    ]
    return np.stack(turned_ones)


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    steps = rng.integers(-2, 3, (len(images), 2))
    return np.stack([np.roll(image, step, axis=(1, 2)) for image, step in zip(images, steps, strict=True)])


CHANGES: dict[str, tuple[str, bool, Change]] = {
    "held-out scans": ("none", False, lambda images, rng: images),
    "held-out, blurred 1": ("none", False, blurred(1.0)),
    "held-out, blurred 2": ("none", False, blurred(2.0)),
    "held-out, noise 10": ("none", False, noisy(10.0)),
    "copies": ("all", True, lambda images, rng: images),
    "noise 10": ("all", True, noisy(10.0)),
    "noise 20": ("all", True, noisy(20.0)),
    "moved": ("all", True, moved),
    "mirrored": ("all", True, lambda images, rng: images[..., ::-1]),
    "brightness and contrast": ("all", True, lambda images, rng: 0.6 * images + 50),
    "blurred 1": ("all", True, blurred(1.0)),
    "turned 4 to 8 degrees": ("all", True, turned),
}


def mednist(data: str | None) -> tuple[ScanSet, ScanSet]:
    with np.load(data_folder(data) / "mednist64.npz", allow_pickle=False) as file:
        classes = tuple(str(name) for name in file["classes"])
        train, test = (
            ScanSet(file[f"{part}_images"][:, None], file[f"{part}_labels"].astype(np.int64), classes)
            for part in ("train", "test")
        )
    return train, test


def releases(train: ScanSet, real: ScanSet, random: RandomSource) -> dict[str, tuple[str, ScanSet]]:
    """Return what is copied in each release, and the release."""
    copied = train.take(np.sort(random.numpy("copied").permutation(len(train))[: len(real)]))
    found: dict[str, tuple[str, ScanSet]] = {}
    for name, (share, copies, change) in CHANGES.items():
        source = copied if copies else real
        images = change(source.images.astype(np.float32), random.numpy(name))
        found[name] = (share, replace(source, images=np.ascontiguousarray(images)))
    found["all changes"] = ("all", planted(copied, random.numpy("all changes")))
    for share in (0.01, 0.05):
        count = round(share * len(real))
        changed = planted(copied.take(np.arange(count)), random.numpy(f"mixture {share}"))
        rest = real.take(np.arange(count, len(real)))
        assert changed.labels is not None
        assert rest.labels is not None
        mixture = replace(
            rest,
            images=np.concatenate([changed.images, rest.images.astype(np.float32)]),
            labels=np.concatenate([changed.labels, rest.labels]),
        )
        found[f"mixture {share:.0%}".replace("%", " %")] = (f"{share:.0%}".replace("%", " %"), mixture)
    return found


def drawn(path: str, train: ScanSet, count: int, seed: int) -> ScanSet:
    from synthkit.scans.gan import ScanGAN

    scans = ScanGAN.load(path).sample(count, random_state=seed)
    return replace(scans, patients=None, images=scans.images.astype(np.float32))


def judged(case: ScanCase, controls: dict[str, tuple[Risk, Risk]]) -> dict[str, Risk]:
    """Return the risks of a release; the controls are the same for every release and made once."""
    level = level_of(case)
    risks = {}
    for name, attack in SCAN_ATTACKS.items():
        if attack.run is None or attack.space not in case.spaces:
            continue
        own = attack.run(replace(case, confidence=level[attack.family]))
        caught, missed = controls[name]
        risk = own.judged(caught.headline, missed.headline)
        if risk.outcome == "disclosure" and COMMON in risk.note:
            risk = replace(risk, outcome="inconclusive")
        risks[name] = risk
    return risks


def level_of(case: ScanCase) -> dict[str, float]:
    counts: dict[str, int] = {}
    for attack in SCAN_ATTACKS.values():
        if attack.space in case.spaces:
            counts[attack.family] = counts.get(attack.family, 0) + len(set(attack.measures) - DESCRIPTIVE)
    return {family: adjusted(FAMILY, count) for family, count in counts.items()}


def controls_of(case: ScanCase) -> dict[str, tuple[Risk, Risk]]:
    positive, negative, level = case.positive_control(), case.negative_control(), level_of(case)
    return {
        name: (
            attack.run(replace(positive, confidence=level[attack.family])),
            attack.run(replace(negative, confidence=level[attack.family])),
        )
        for name, attack in SCAN_ATTACKS.items()
        if attack.run is not None and attack.space in case.spaces
    }


def false_alarms(distances: np.ndarray, classes: np.ndarray, random: np.random.Generator) -> dict[str, float]:
    """Return how often each measure accuses one half of the held-out scans, audited against the other half."""
    alarms = dict.fromkeys(SHARES, 0)
    for _ in range(SPLITS):
        order = random.permutation(len(distances))
        own, others = order[: len(order) // 2], order[len(order) // 2 :]
        for measure, share in SHARES.items():
            found = near(distances[own], distances[others], share, (classes[own], classes[others]))
            alarms[measure] += compared(found, np.arange(len(others)), random).excess(FAMILY).above
    return {measure: count / SPLITS for measure, count in alarms.items()}


def asked(options: argparse.Namespace) -> list[str]:
    """Return the options that differ from what they are by default."""
    told = {
        "--model": options.model and Path(options.model).name,
        "--extractor": options.extractor,
        "--train": options.train,
    }
    usual = {"--model": None, "--extractor": EXTRACTOR, "--train": TRAINED}
    return [f"{name} {value}" for name, value in told.items() if value != usual[name]]


def cell(estimate: Estimate) -> list[float]:
    return [estimate.value, estimate.low, estimate.high]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", help="a model file of scans: what it draws is audited too")
    parser.add_argument("--extractor", default=EXTRACTOR, help="copies, domain, radiomic, imagenet or none")
    parser.add_argument("--train", type=int, default=TRAINED, help="training scans, fewer for a trial")
    options = parser.parse_args()
    started = time.perf_counter()
    random = RandomSource(options.seed).child("memorisation")
    train, test = mednist(options.data)
    train = train.take(np.sort(random.numpy("train").permutation(len(train))[: options.train]))
    order = random.numpy("test").permutation(len(test))
    real, holdout = test.take(order[:RELEASED]), test.take(order[RELEASED : RELEASED + HELD_OUT])

    sets = read_sets(train, real, holdout, ScanLimits(holdout=HELD_OUT), options.seed)
    assert sets.case is not None
    assert sets.duplicates is not None
    spaces: dict[str, Any] = {"pixels": Pixels()}
    if options.extractor == EXTRACTOR:
        spaces["features"] = Features(learn_copy_features(train, random.child("extractor")).features)
    elif options.extractor != "none":
        spaces["features"] = Features(extractor_named(options.extractor, train, random.child("extractor")).features)
    first = replace(sets.case, spaces=spaces)
    first.share("pixels: holdout to train", lambda: sets.holdout_to_train)
    controls = controls_of(first)
    kept = {
        name: value
        for name, value in first._shared.items()
        if name.split(": ")[1] in ("train", "holdout", "holdout to train")
    }
    naive = sets.holdout_to_train.distances[:, 0]

    todo = releases(train, real, random)
    if options.model is not None:
        todo["model"] = ("not known", drawn(options.model, train, RELEASED, options.seed))
    rows, features, pictures = [], [], {}
    for name, (share, release) in todo.items():
        case = replace(first, synthetic=release, _shared=dict(kept))
        risks = judged(case, controls)
        distances = case.nearest("pixels", "synthetic", "train")
        simple = near(distances.distances[:, 0], naive, SHARES["excess"], case.classes())
        copies, member = risks["scan-copies"], risks["scan-membership"]
        expected = {"none": "no disclosure found", "not known": ""}.get(share, "disclosure")
        rows.append(
            {
                "release": name,
                "copied": share,
                "copy rate": cell(copies.estimates["attack"]),
                "of held-out scans": cell(copies.estimates["control"]),
                "naive": float(simple.synthetic.mean()),
                **{measure: cell(copies.estimates[measure]) for measure in (*SHARES, "exact")},
                "membership AUC": cell(member.headline),
                "found": copies.outcome,
                "as expected": None if not expected else copies.outcome == expected,
            }
        )
        if "scan-copies-features" in risks:
            seen = risks["scan-copies-features"]
            features.append(
                {
                    "release": name,
                    "copy rate": cell(seen.estimates["attack"]),
                    "of held-out scans": cell(seen.estimates["control"]),
                    "excess@nearest": cell(seen.estimates["excess@nearest"]),
                    "membership AUC": cell(risks["scan-membership-features"].headline),
                    "found": seen.outcome,
                }
            )
        if name in SHOWN:
            worst = np.argsort(distances.distances[:, 0], kind="stable")[:6]
            held = case.nearest("pixels", "synthetic", "holdout").rows[worst, 0]
            pairs = release.images[worst], train.images[distances.rows[worst, 0]], case.holdout.images[held]
            onto = np.array([aligned(fake, other) for fake, other in zip(pairs[0], pairs[1], strict=True)])
            pictures[name.replace(" %", "").replace(" ", "-")] = (
                triples_png(*pairs, aligned=onto, window=(0.0, 255.0)),
                f"{name}: synthetic scan, nearest training scan, nearest held-out scan, and the difference of the "
                "first two, once the training scan was moved and scaled onto the synthetic one.",
            )
        print(f"{time.perf_counter() - started:6.0f} s  {name}: {copies.outcome}", flush=True)

    alarms = false_alarms(naive, first.classes()[1], random.numpy("splits"))
    write_section(
        "memorisation",
        title="Memorisation audit: MedNIST releases of known quality",
        command=" ".join(["python evaluation/benchmarks/scans_memorisation.py", *asked(options)]),
        facts={
            "training scans": len(train),
            "released scans": RELEASED,
            "held-out scans": len(first.holdout),
            "training scans that equal an earlier one": sets.duplicates.training,
            "held-out scans left out as duplicates": sets.duplicates.left_out,
            "seed": options.seed,
            "seconds": round(time.perf_counter() - started),
        },
        columns=list(rows[0]),
        rows=rows,
        notes=[
            "Copy rate: share of released scans that are nearer to a training scan than the 5 % of held-out scans that "
            "lie nearest. excess@0.5% and excess@nearest are the same beyond the control at stricter thresholds.",
            "Naive: the copy rate without giving held-out scans the sharpness of the release.",
            "Held-out and released test scans are of the same patients, which MedNIST does not name: real releases lie "
            "nearer to held-out than to training scans, and their membership AUC lies below 0.5.",
        ],
        pictures=pictures,
        more=[
            *(
                [{"title": f"By features ({options.extractor})", "columns": list(features[0]), "rows": features}]
                if features
                else []
            ),
            {
                "title": f"False alarms: one half of the held-out scans audited against the other, {SPLITS} splits",
                "columns": ["measure", "splits with an alarm"],
                "rows": [{"measure": measure, "splits with an alarm": share} for measure, share in alarms.items()],
                "notes": ["An interval of 95 % on both sides allows 2.5 %."],
            },
        ],
    )


if __name__ == "__main__":
    main()
