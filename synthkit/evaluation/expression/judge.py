"""Computes the scores of a case, and their controls; what several scores need is computed once."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from synthkit.evaluation.expression import biology, detection, distribution, joint, margins, utility
from synthkit.evaluation.expression.case import ExpressionCase, Kind, Side, in_one_group
from synthkit.evaluation.expression.distribution import Pooled
from synthkit.evaluation.expression.leave_out import Interval, Sums
from synthkit.evaluation.expression.metrics import METRICS
from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.records import Score
from synthkit.expression.normalise import Dense

SCORED: tuple[Kind, ...] = ("synthetic", "real", "permuted")
"""What is compared with held-out cells: synthetic cells, training cells (the ceiling), permuted ones (the floor)."""
_SPACES: Mapping[str, tuple[detection.Model, str]] = {
    "auc_forest_components": ("forest", "components"),
    "auc_forest_genes": ("forest", "genes"),
    "auc_forest_quality": ("forest", "quality"),
    "auc_boosted_components": ("boosted", "components"),
}
_SEEN: Mapping[str, Callable[[Side], Dense]] = {"genes": lambda side: side.logs, "quality": margins.quality}
_NEIGHBOURS = ("precision", "recall", "density", "coverage")
_DEFINED = "no two values of a set differ, so that there is nothing to compare"

Scores = dict[str, Score]
Found = dict[Kind, dict[str, Interval]]


class Judge:
    """Computes scores of a case.

    Parameters
    ----------
    case
        The cells.
    seed
        Seed of draws that scores make.
    tell
        Is told what is done next.
    """

    def __init__(self, case: ExpressionCase, seed: int, tell: Callable[[str], None]) -> None:
        self.case, self.seed, self.tell = case, seed, tell
        self.n = len(case.sides["real"])
        self._pooled: dict[Kind, Pooled] = {}
        self._alone: dict[Kind, Side] = {}
        self._by_type: dict[str, dict[str, float]] = {}

    def scores(self, wanted: set[str]) -> Scores:
        """Return the scores with these names."""
        found: Scores = {}
        for theme, compute in (
            ("margins", self._margins),
            ("joint", self._joint),
            ("distribution", self._distribution),
            ("biology", self._biology),
            ("utility", self._utility),
            ("copies", self._copies),
        ):
            asked = {name for name in wanted if METRICS[name].theme == theme}
            if asked:
                self.tell(theme)
                found |= compute(asked)
        return found

    def pooled(self, kind: Kind) -> Pooled:
        """Return held-out cells and those of a kind in the components of both."""
        if kind not in self._pooled:
            sides = self.case.sides
            random = self.case.random.child("components")
            self._pooled[kind] = distribution.pooled(sides["held-out"], sides[kind], random=random)
        return self._pooled[kind]

    def type_rows(self) -> dict[str, dict[str, float]]:
        """Return the numbers of each type, how many cells there are first."""
        column = self.case.columns.label
        if column is None or not self.case.classes:
            return {}
        counts = {kind: Counter(data.cells[column].astype(str).tolist()) for kind, data in self.case.sets.items()}
        return {
            name: {f"{kind} cells": float(counts[kind][name]) for kind in ("real", "held-out", "synthetic")}
            | self._by_type.get(name, {})
            for name in self.case.classes
        }

    # ------------------------------------------------------------ themes

    def _margins(self, wanted: set[str]) -> Scores:
        n_classes, n_batches = len(self.case.classes), len(self.case.batches)
        found: Found = {kind: {} for kind in SCORED}
        for kind in SCORED:
            reference, own = self._sides("held-out", kind)
            if wanted & set(margins.GENE_NAMES):
                found[kind] |= margins.gene_scores(reference, own)
            if wanted & {"library_size_ks", "detected_genes_ks"}:
                found[kind] |= margins.total_scores(reference, own)
            if wanted & {"type_share_error", "batch_share_error"}:
                found[kind] |= margins.share_scores(reference, own, n_classes, n_batches)
        return self._as_scores(found, wanted)

    def _joint(self, wanted: set[str]) -> Scores:
        n_classes = len(self.case.classes)
        genes = self._correlated()
        sums: dict[tuple[Kind, bool], Sums] = {}

        def of(kind: Kind, *, groups: bool) -> Sums:
            if (kind, groups) not in sums:
                side = self.case.sides[kind] if groups else self._in_one_group(kind)
                sums[kind, groups] = joint.product_sums(side, genes, n_classes)
            return sums[kind, groups]

        found: Found = {kind: {} for kind in SCORED}
        for kind in SCORED:
            grouped = kind == "synthetic"
            if wanted - {"edge_recall", "edge_precision"}:
                pair = of("held-out", groups=grouped), of(kind, groups=grouped)
                found[kind] |= joint.correlation_scores(*pair, by_class=n_classes > 0)
            if wanted & {"edge_recall", "edge_precision"}:
                # The truth is what training cells have; their place as the ceiling is taken by held-out cells.
                other: Kind = "held-out" if kind == "real" else kind
                found[kind] |= joint.edge_scores(of("real", groups=grouped), of(other, groups=grouped))
        scores = self._as_scores(found, wanted)
        for name in ("correlation_slope_error", "correlation_slope_error_within"):
            if name in scores:
                ending = name.removeprefix("correlation_slope_error")
                scores[name] = _with_slopes(scores[name], found, f"slope{ending}")
        for name in ("edge_recall", "edge_precision"):
            if name in scores and not scores[name].applies:
                scores[name] = dataclasses.replace(scores[name], note="no correlation is beyond 0.3")
        return scores

    def _distribution(self, wanted: set[str]) -> Scores:
        found: dict[Kind, Scores] = {kind: {} for kind in SCORED}
        kept = np.sort(self.case.random.numpy("detected").permutation(self.n)[: detection.MOST_DETECTED])
        for kind in SCORED:
            self.tell(f"distribution, {kind}")
            reference, own = self._sides("held-out", kind)
            real, other = self.pooled(kind).points
            if wanted & set(_NEIGHBOURS):
                found[kind] |= distribution.neighbour_scores(real, other, seed=self.seed)
            groups = reference.groups, own.groups
            if "mmd" in wanted:
                found[kind]["mmd"] = self._score("mmd", distribution.discrepancy(real, other, *groups))
            if "ilisi" in wanted:
                found[kind]["ilisi"] = self._score("ilisi", distribution.mixing(real, other, *groups))
            for name in wanted & set(_SPACES):
                model, space = _SPACES[name]
                seen = (real, other) if space == "components" else (_SEEN[space](reference), _SEEN[space](own))
                random = self.case.random.child(name)
                found[kind][name] = detection.detection_score(seen[0][kept], seen[1][kept], model, random)
        return {
            name: dataclasses.replace(
                score,
                ceiling=found["real"][name].value,
                floor=found["permuted"][name].value,
                direction=METRICS[name].direction,
            )
            for name, score in found["synthetic"].items()
            if name in wanted
        }

    def _biology(self, wanted: set[str]) -> Scores:
        n_classes, n_batches = len(self.case.classes), len(self.case.batches)
        found: Found = {kind: {} for kind in SCORED}
        for kind in SCORED:
            reference, own = self._sides("held-out", kind)
            if wanted - {"batch_change_r"}:
                pair = (biology.type_sums(side, side.classes, n_classes) for side in (reference, own))
                found[kind], by_type = biology.biology_scores(*pair)
                if kind != "permuted":
                    ending = "" if kind == "synthetic" else ", real cells"
                    for place, row in by_type.items():
                        for title, value in row.items():
                            self._row(place)[f"{title}{ending}"] = value
            if "batch_change_r" in wanted:
                pair = (biology.type_sums(side, side.batches, n_batches, ranked=False) for side in (reference, own))
                found[kind] |= biology.batch_scores(*pair)
        scores = self._as_scores(found, wanted)
        for name in wanted - set(found["synthetic"]):
            what = "batch" if name == "batch_change_r" else "type"
            scores[name] = Score(
                math.nan,
                direction=METRICS[name].direction,
                note=f"no {what} has {biology.FEWEST_OF_A_TYPE} cells, and as many others, in both sets",
            )
        if "fold_change_slope_error" in scores and "slope" in found["synthetic"]:
            scores["fold_change_slope_error"] = _with_slopes(scores["fold_change_slope_error"], found, "slope")
        if "marker_overlap" in scores and scores["marker_overlap"].applies:
            share = scores["marker_overlap"].value
            # Of two sets of the same size; of means over types, nearly.
            details = {"Jaccard index": share / (2 - share)}
            scores["marker_overlap"] = dataclasses.replace(scores["marker_overlap"], details=details)
        return scores

    def _utility(self, wanted: set[str]) -> Scores:
        sides, n_types = self.case.sides, len(self.case.classes)
        rare = utility.rare_types(np.concatenate([sides["real"].classes, sides["held-out"].classes]), n_types)
        found: Scores = {}
        for model in utility.MODELS:
            prefix = "tstr_" if model == "forest" else "tstr_linear_"
            names = {f"{prefix}{measure}": measure for measure in utility.MEASURES}
            if not wanted & set(names):
                continue
            said: dict[Kind, utility.Answers] = {}
            for kind in SCORED:
                self.tell(f"{model} model of types, {kind}")
                random = self.case.random.child(f"utility {model}")
                said[kind] = utility.answers(sides[kind], sides["held-out"], model, n_types, rare, random)
            for name, measure in names.items():
                score = utility.utility_score(said["synthetic"], measure, said["real"], self.seed)
                details = dict(score.details)
                if measure == "rare_f1":
                    details["rare types"] = [self.case.classes[place] for place in rare]
                floor = said["permuted"].measures()[measure]
                found[name] = dataclasses.replace(score, floor=floor, details=details)
            if model == "forest":
                for kind in ("synthetic", "real"):
                    for place, f1 in said[kind].f1_by_type().items():
                        self._row(place)[f"F1, trained on {kind}"] = f1
        return {name: score for name, score in found.items() if name in wanted}

    def _copies(self, wanted: set[str]) -> Scores:
        found: Scores = {}
        if "equal_cells" in wanted:
            known = set(self.case.digests["real"])
            equal = {
                kind: np.array([digest in known for digest in self.case.digests[kind]])
                for kind in ("synthetic", "held-out")
            }
            value, low, high = mean_interval(equal["synthetic"])
            found["equal_cells"] = Score(
                value,
                low,
                high,
                ceiling=float(equal["held-out"].mean()),
                n=len(equal["synthetic"]),
                details={"cells": int(equal["synthetic"].sum())},
            )
        if "nearest_training" in wanted:
            found["nearest_training"] = self._nearest_training()
        return found

    def _nearest_training(self) -> Score:
        sides = self.case.sides
        random = self.case.random.child("nearest")
        training, held_out, own = distribution.pooled(
            sides["real"], sides["held-out"], sides["synthetic"], random=random
        ).points
        found, share = distribution.nearest_ratio(own, training, held_out)
        # The control puts one half of the held-out cells in place of the synthetic ones.
        order = random.numpy("halves").permutation(self.n)
        half = self.n // 2
        rest = held_out[order[half:]]
        control, _ = distribution.nearest_ratio(
            held_out[order[:half]], training[random.numpy("as many").permutation(self.n)[: len(rest)]], rest
        )
        score = self._score("nearest_training", found)
        return dataclasses.replace(score, ceiling=control.value, details={"share of cells nearer to training": share})

    # ------------------------------------------------------------ helpers

    def _sides(self, reference: Kind, kind: Kind) -> tuple[Side, Side]:
        """Return two sides: with their groups where an interval is asked for, as one group where a value is."""
        if kind == "synthetic":
            return self.case.sides[reference], self.case.sides[kind]
        return self._in_one_group(reference), self._in_one_group(kind)

    def _in_one_group(self, kind: Kind) -> Side:
        if kind not in self._alone:
            self._alone[kind] = in_one_group(self.case.sides[kind])
        return self._alone[kind]

    def _correlated(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return positions, in the variable genes, of those that are correlated."""
        spread = self.case.sides["real"].logs.var(axis=0, dtype=np.float64)
        return np.sort(np.argsort(-spread, kind="stable")[: joint.MOST_CORRELATED]).astype(np.int64)

    def _row(self, place: int) -> dict[str, float]:
        return self._by_type.setdefault(self.case.classes[place], {})

    def _as_scores(self, found: Found, wanted: set[str]) -> Scores:
        return {
            name: dataclasses.replace(
                self._score(name, interval),
                ceiling=found["real"][name].value if name in found["real"] else math.nan,
                floor=found["permuted"][name].value if name in found["permuted"] else math.nan,
            )
            for name, interval in found["synthetic"].items()
            if name in wanted
        }

    def _score(self, name: str, interval: Interval) -> Score:
        """Return an interval as a score, within the bounds of its metric."""
        metric = METRICS[name]
        if not math.isfinite(interval.value):
            return Score(math.nan, n=self.n, direction=metric.direction, note=_DEFINED)
        low, high = max(metric.bounds[0], interval.low), min(metric.bounds[1], interval.high)
        return Score(
            interval.value,
            min(low, interval.value),
            max(high, interval.value),
            n=self.n,
            direction=metric.direction,
        )


def _with_slopes(score: Score, found: Mapping[Kind, Mapping[str, Interval]], name: str) -> Score:
    """Return a score of a slope with the slope itself, and with what it is by that of real cells, in its details.

    Real values of both axes are noisy, which lowers the slope of real cells by as much as that of synthetic ones: their
    ratio is the slope without that noise.
    """
    own = found["synthetic"][name]
    real = found["real"][name].value if name in found["real"] else math.nan
    corrected = own.value / real if real else math.nan
    details = {"slope": own.value, "ends": [own.low, own.high], "slope of real cells": real, "corrected": corrected}
    return dataclasses.replace(score, details=details)
