"""One call from sets of scans to all scores, each with its interval, its ceiling and its floor."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.errors import InputError
from synthkit.evaluation.intervals import NORMAL, Floats, mean_interval
from synthkit.evaluation.records import Score
from synthkit.evaluation.scans import appearance, utility
from synthkit.evaluation.scans.case import ScanCase, read_case
from synthkit.evaluation.scans.classifiers import STEPS as BATCHES
from synthkit.evaluation.scans.classifiers import labelled
from synthkit.evaluation.scans.distances import MOST_SCANS, Features, fid, kid, prdc
from synthkit.evaluation.scans.drawing import draw_pictures
from synthkit.evaluation.scans.extractors import Extractor, extractor_named, window_of
from synthkit.evaluation.scans.metrics import METRICS
from synthkit.evaluation.scans.records import Curve, ScanEvaluation
from synthkit.evaluation.scans.suite import ScanSuite, load_scan_suite
from synthkit.evaluation.threads import few_threads
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

FEWEST_OF_A_CLASS = 10
"""A class with fewer scans in any set has no scores of its own."""
_MOST_LEARNED = 6000
_KINDS = ("synthetic", "held-out", "blurred")

Scores = dict[str, Score]


def evaluate_scans(
    real: ScanSet,
    synthetic: ScanSet,
    holdout: ScanSet | None = None,
    *,
    extractor: str | Extractor = "domain",
    suite: str | Path | ScanSuite = "standard",
    seed: int = 0,
    seeds: int = utility.SEEDS,
    batches: int = BATCHES,
    most: int = MOST_SCANS,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> ScanEvaluation:
    """Score synthetic scans against real ones, whoever made them.

    Parameters
    ----------
    real
        The scans that the generator learned from.
    synthetic
        The scans to judge, of the same size, in the same units.
    holdout
        Real scans of other patients, which the generator never saw. Without them a fifth of the patients of `real` is
        split off, and the result says so.
    extractor
        What scans are compared by: "domain", "radiomic", "imagenet", or an extractor that is fitted already.
    suite
        Which scores are computed and which gates they have to pass: "standard", "quick", "scores-only", a YAML file or
        a `ScanSuite`.
    seed
        Seed of every draw; the same scans and seed give the same scores.
    seeds
        Number of classifiers that each utility score is the mean of.
    batches
        Number of batches that each of them learns from.
    most
        At most this many scans of each kind are compared by features.
    device
        Where networks compute, for example "cpu" or "cuda".
    progress
        Is told what is done next.

    Returns
    -------
    ScanEvaluation
        Scores with interval, ceiling (held-out real scans in place of synthetic ones) and floor (the same scans
        blurred), the classes one by one, and the verdict of the suite.

    Raises
    ------
    InputError
        Sizes or classes differ, or an option names something unknown.
    DataError
        Too few scans, or values that are no numbers.
    """
    tell = progress or (lambda title: None)
    asked = suite if isinstance(suite, ScanSuite) else load_scan_suite(suite)
    for name, count in (("seeds", seeds), ("batches", batches)):
        if count < 1:
            raise InputError(f"{name} is {count}, expected at least 1", remedy=f"Give a number of {name}.")
    random = RandomSource(seed)
    case, notes = read_case(real, synthetic, holdout, random)
    wanted = set(asked.metrics or METRICS)
    left_out = {} if case.classes else {n: "classes" for n in METRICS if n in wanted and "classes" in METRICS[n].needs}
    wanted -= set(left_out)
    tell("fitting the extractor")
    fitted = extractor_named(extractor, case.train, random, device=device) if isinstance(extractor, str) else extractor
    with few_threads(len(case.train)):
        judge = _Judge(case, fitted, seed, most, tell)
        scores = {**judge.by_features(wanted), **judge.by_appearance(wanted), **judge.by_copies(wanted)}
        if wanted & {"tstr", "tstr_auc", "augmentation_gain"}:
            scores |= judge.by_utility(wanted, seeds=seeds, batches=batches, device=device)
        ordered = {name: scores[name] for name in METRICS if name in scores and name in wanted}
        tell("drawing")
        pictures = draw_pictures(case, judge.features, judge.rows, judge.histogram_curve(), judge.spectrum_curve())
    return ScanEvaluation(
        scores=ordered,
        classes=judge.class_rows(),
        scans={name: len(scans) for name, scans in case.sets.items()},
        form=_form(case),
        extractor=fitted.describe(),
        seed=seed,
        notes=notes,
        suite=asked.name,
        verdicts=asked.verdicts(ordered, left_out),
        left_out=left_out,
        pictures=pictures,
    )


class _Judge:
    """Computes scores of a case; what several scores need is computed once.

    Parameters
    ----------
    case
        The scans.
    extractor
        What they are compared by.
    seed
        Seed of draws that scores make.
    most
        At most this many scans of each kind.
    tell
        Is told what is done next.
    """

    def __init__(self, case: ScanCase, extractor: Extractor, seed: int, most: int, tell: Callable[[str], None]) -> None:
        self.case, self.seed, self.tell = case, seed, tell
        self.rows = case.drawn(most)
        tell("features")
        self.features: dict[str, Features] = {
            name: extractor.features(scans.images[self.rows[name]]) for name, scans in case.sets.items()
        }
        self.blurred = appearance.blurred(case.held_out.images[self.rows["held-out"]])
        self.features["blurred"] = extractor.features(self.blurred)
        self._edges = appearance.edges_of(*(scans.images for scans in case.sets.values()))
        self._histograms: dict[str, appearance.Histogram] = {}
        self._power: dict[str, Floats] = {}
        self._frequencies: Floats = np.zeros(0)
        self._by_class: dict[str, dict[str, float]] = {}

    def images(self, kind: str) -> npt.NDArray[Any]:
        """Return the scans of a kind that are compared."""
        return self.blurred if kind == "blurred" else self.case.sets[kind].images[self.rows[kind]]

    def labels(self, kind: str) -> npt.NDArray[np.int64]:
        """Return the class of each of these scans; that of the sharp one for a blurred one."""
        own = "held-out" if kind == "blurred" else kind
        labels = self.case.sets[own].labels
        return np.zeros(len(self.rows[own]), dtype=np.int64) if labels is None else np.asarray(labels)[self.rows[own]]

    def groups(self, kind: str) -> npt.NDArray[np.int64]:
        """Return the patient of each of these scans."""
        own = "held-out" if kind == "blurred" else kind
        return self.case.sets[own].groups[self.rows[own]]

    def by_features(self, wanted: set[str]) -> Scores:
        """Return the distances and coverage scores."""
        found: dict[str, Scores] = {}
        for kind in _KINDS:
            self.tell(f"distances, {kind}")
            real, other = self.features["real"], self.features[kind]
            groups = (self.groups("real"), None if kind == "synthetic" else self.groups(kind))
            own: Scores = {}
            if "kid" in wanted:
                own["kid"] = kid(real, other, groups=groups, seed=self.seed)
            if "fid" in wanted:
                own["fid"] = fid(real, other)
            if "kid_by_class" in wanted:
                own["kid_by_class"] = self._kid_by_class(kind)
            if wanted & {"precision", "recall", "density", "coverage"}:
                own |= prdc(real, other, seed=self.seed)
            found[kind] = own
        if "nearest_training" in wanted:
            found["synthetic"]["nearest_training"] = self._nearest_training()
        return _controlled(found)

    def by_appearance(self, wanted: set[str]) -> Scores:
        """Return the scores that need no extractor."""
        self.tell("appearance")
        found: dict[str, Scores] = {}
        for kind in ("real", *_KINDS):
            self._histograms[kind] = appearance.histogram(self.images(kind), self._edges)
            self._frequencies, self._power[kind] = appearance.radial_power(self.images(kind))
        likeness = {kind: self._likeness(kind) for kind in ("real", *_KINDS)} if "likeness_gap" in wanted else {}
        units = self.case.train.form.units
        for kind in _KINDS:
            real, own = self._histograms["real"], self._histograms[kind]
            found[kind] = appearance.intensity_scores(real, own, units=units, seed=self.seed)
            found[kind]["spectrum_gap"] = appearance.spectrum_score(
                self._power["real"], self._power[kind], seed=self.seed
            )
            if likeness:
                found[kind]["likeness_gap"] = appearance.diversity_score(likeness["real"], likeness[kind])
        if likeness:
            for name, row in found["synthetic"]["likeness_gap"].details.get("classes", {}).items():
                self._row(name)["MS-SSIM of real pairs"] = row["real"]
                self._row(name)["MS-SSIM of synthetic pairs"] = row["synthetic"]
        self._intensity_by_class()
        return _controlled(found)

    def by_copies(self, wanted: set[str]) -> Scores:
        """Return the share of scans that equal a training scan."""
        if "equal_scans" not in wanted:
            return {}
        known = {image.tobytes() for image in _as_values(self.case.train)}
        found: dict[str, Scores] = {}
        for kind in ("synthetic", "held-out"):
            equal = np.array([image.tobytes() in known for image in _as_values(self.case.sets[kind])])
            value, low, high = mean_interval(equal)
            found[kind] = {"equal_scans": Score(value, low, high, n=len(equal), details={"scans": int(equal.sum())})}
        return _controlled(found)

    def by_utility(self, wanted: set[str], *, seeds: int, batches: int, device: str) -> Scores:
        """Return what classifiers make of the scans."""
        case = self.case
        window = window_of(case.train)
        kept = {
            name: np.sort(case.random.numpy(f"learn {name}").permutation(len(scans))[:_MOST_LEARNED])
            for name, scans in case.sets.items()
        }
        seen = {name: labelled(scans.take(kept[name]), window) for name, scans in case.sets.items()}
        held_out, groups = seen["held-out"], case.held_out.groups[kept["held-out"]]
        random = case.random.child("utility")
        trials: dict[str, utility.Trial] = {}
        for name in ("real", "synthetic"):
            self.tell(f"classifiers trained on {name} scans")
            trials[name] = utility.trial(
                seen[name], held_out, groups, random, seeds=seeds, steps=batches, device=device
            )
        found: Scores = {}
        measures: tuple[tuple[str, utility.Measure], ...] = (("tstr", "balanced accuracy"), ("tstr_auc", "AUC"))
        for name, measure in measures:
            control = utility.trial_score(trials["real"], measure, seed=self.seed)
            own = utility.trial_score(trials["synthetic"], measure, seed=self.seed)
            share = utility.kept_share(trials["synthetic"], trials["real"], measure, seed=self.seed)
            details = {
                **own.details,
                "real scans": len(kept["real"]),
                "synthetic scans": len(kept["synthetic"]),
                "trained on real": control.to_dict(),
                "share of that trained on real": [share.value, share.low, share.high],
            }
            found[name] = dataclasses.replace(own, ceiling=control.value, details=details)
        if "augmentation_gain" in wanted:
            self.tell("classifiers trained on both")
            both = seen["real"].joined(seen["synthetic"])
            shares = half_and_half(seen["real"].labels, seen["synthetic"].labels, len(case.classes))
            trials["both"] = utility.trial(
                both, held_out, groups, random, seeds=seeds, steps=batches, shares=shares, device=device
            )
            gain = utility.trial_score(trials["both"], "balanced accuracy", against=trials["real"], seed=self.seed)
            found["augmentation_gain"] = gain
        for trained, outcome in trials.items():
            for name, share_right in outcome.sensitivities(case.classes).items():
                self._row(name)[f"named rightly, trained on {trained}"] = share_right
        return found

    def class_rows(self) -> dict[str, dict[str, float]]:
        """Return the numbers of each class, how many scans there are first."""
        rows = {}
        for name in self.case.classes:
            counts = {f"{kind} scans": float(scans.counts()[name]) for kind, scans in self.case.sets.items()}
            rows[name] = counts | self._by_class.get(name, {})
        return rows

    def histogram_curve(self) -> Curve:
        """Return the share of values by intensity."""
        edges = self._edges
        curves = (self._histograms[kind].mean() for kind in ("real", "held-out", "synthetic"))
        return Curve((edges[:-1] + edges[1:]) / 2, *curves)

    def spectrum_curve(self) -> Curve:
        """Return radial power by frequency."""
        curves = (appearance.decibels(self._power[kind]) for kind in ("real", "held-out", "synthetic"))
        return Curve(self._frequencies, *curves)

    def _row(self, name: str) -> dict[str, float]:
        return self._by_class.setdefault(name, {})

    def _kid_by_class(self, kind: str) -> Score:
        values, errors, n = [], [], 0
        for place, name in enumerate(self.case.classes):
            real, own = (self.features[which][self.labels(which) == place] for which in ("real", kind))
            if min(len(real), len(own)) < FEWEST_OF_A_CLASS:
                continue
            groups = tuple(self.groups(which)[self.labels(which) == place] for which in ("real", kind))
            found = kid(real, own, groups=(groups[0], None if kind == "synthetic" else groups[1]), seed=self.seed)
            values.append(found.value)
            errors.append(found.details["standard error"])
            n += len(own)
            column = {"synthetic": "KID", "held-out": "KID of held-out real scans"}.get(kind)
            if column:
                self._row(name)[column] = found.value
        if not values:
            return Score(math.nan, note=f"needs {FEWEST_OF_A_CLASS} scans of a class in every set")
        value, half = float(np.mean(values)), NORMAL * math.hypot(*errors) / len(errors)
        return Score(value, value - half, value + half, n=n, details={"classes scored": len(values)})

    def _nearest_training(self) -> Score:
        """Return the share of synthetic scans whose nearest real one is a training scan, with a control."""
        held = self.features["held-out"]
        rng = self.case.random.numpy("halves")
        order = rng.permutation(len(held))
        half = len(held) // 2
        control = _share_nearer(
            held[order[:half]],
            self.features["real"][rng.permutation(len(held))[: len(held) - half]],
            held[order[half:]],
        )
        share = _share_nearer(self.features["synthetic"], self.features["real"], held)
        value, low, high = mean_interval(share)
        return Score(value, low, high, ceiling=float(control.mean()), n=len(share), direction="half")

    def _likeness(self, kind: str) -> dict[str, Floats]:
        """Return MS-SSIM of pairs of each class, or of all scans under one name."""
        low, high = float(self._edges[0]), float(self._edges[-1])
        random, images, labels = self.case.random, self.images(kind), self.labels(kind)
        # Synthetic scans may reach far beyond what real ones do; the constants of the index are those of real scans.
        window = window_of(self.case.train)
        span = min(high - low, window.high - window.low)
        return {
            name: appearance.likeness(images[labels == place], span, random.numpy(f"pairs {kind} {place}"))
            for place, name in enumerate(self.case.classes or ("all",))
        }

    def _intensity_by_class(self) -> None:
        for place, name in enumerate(self.case.classes):
            real, own = (self._histograms[kind].shares[self.labels(kind) == place] for kind in ("real", "synthetic"))
            if min(len(real), len(own)) >= FEWEST_OF_A_CLASS:
                gap = np.cumsum(real.mean(axis=0, dtype=np.float64) - own.mean(axis=0, dtype=np.float64))
                self._row(name)["intensities, largest gap"] = float(np.abs(gap).max())


def half_and_half(real: npt.NDArray[np.int64], synthetic: npt.NDArray[np.int64], n_classes: int) -> Floats:
    """Return weights of real scans followed by synthetic ones: within a class either kind counts as much.

    Parameters
    ----------
    real, synthetic
        Class of each scan, ``[n]`` and ``[m]``.
    n_classes
        Number of classes.
    """
    weights = [1 / np.bincount(labels, minlength=n_classes)[labels] for labels in (real, synthetic)]
    return np.concatenate(weights)


def _share_nearer(points: Features, first: Features, second: Features) -> Floats:
    """Return, for each point, 1 if its nearest one is among the first, 0 if among the second, one half for a tie."""
    from sklearn.metrics import pairwise_distances_argmin_min

    distances = [pairwise_distances_argmin_min(points, others)[1] for others in (first, second)]
    nearer: Floats = np.where(distances[0] == distances[1], 0.5, distances[0] < distances[1]).astype(np.float64)
    return nearer


def _controlled(found: Mapping[str, Scores]) -> Scores:
    """Return the synthetic scores with the values of held-out and blurred real scans as controls."""
    return {
        name: score
        if not math.isnan(score.ceiling)
        else dataclasses.replace(
            appearance.with_controls(
                score,
                found.get("held-out", {}).get(name),
                found.get("blurred", {}).get(name) if METRICS[name].floor else None,
            ),
            direction=METRICS[name].direction,
        )
        for name, score in found["synthetic"].items()
    }


def _as_values(scans: ScanSet) -> npt.NDArray[np.float32]:
    """Return scans in one type, so that equal values are equal bytes; -0 counts as 0."""
    return np.ascontiguousarray(scans.images, dtype=np.float32) + np.float32(0)


def _form(case: ScanCase) -> dict[str, Any]:
    form = case.train.form
    return {
        "size": list(case.train.size),
        "channels": case.train.channels,
        "modality": form.modality,
        "units": form.units,
        "spacing": None if form.spacing is None else list(form.spacing),
        "classes": list(case.classes),
    }
