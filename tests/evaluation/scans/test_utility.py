"""TSTR, TRTR and the gain: the measures against scikit-learn, and what classifiers learn from good and bad scans."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phantoms import heads, shapes
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from synthkit.evaluation.scans import utility
from synthkit.evaluation.scans.classifiers import LabelledScans, labelled, train_classifier
from synthkit.evaluation.scans.evaluate import half_and_half
from synthkit.evaluation.scans.extractors import window_of
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

STEPS = 30


@given(seed=st.integers(0, 200), n_classes=st.integers(2, 4), ties=st.booleans())
def test_measures_are_those_of_scikit_learn(seed: int, n_classes: int, ties: bool) -> None:
    rng = RandomSource(seed).numpy("answers")
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 30)])
    probability = rng.dirichlet(np.ones(n_classes), len(labels))
    if ties:
        probability = np.round(probability, 1)
    weights = rng.uniform(0.5, 2, len(labels))
    expected = np.mean([roc_auc_score(labels == k, probability[:, k], sample_weight=weights) for k in range(n_classes)])
    assert utility.area_under_curve(probability, labels, weights) == pytest.approx(expected)
    named = balanced_accuracy_score(labels, probability.argmax(axis=1), sample_weight=weights)
    assert utility.balanced_accuracy(probability, labels, weights) == pytest.approx(named)


def made(scans: ScanSet) -> LabelledScans:
    return labelled(scans, window_of(shapes(48, 16)))


@pytest.fixture(scope="module")
def trials() -> dict[str, utility.Trial]:
    real, test = shapes(120, 16, seed=1), shapes(90, 16, seed=2)
    exchanged = dataclasses.replace(real, labels=(real.labels + 1) % 3)
    both = made(real).joined(made(exchanged))
    found = {"real": (made(real), None), "exchanged": (made(exchanged), None)}
    found["both"] = (both, half_and_half(real.labels, exchanged.labels, 3))
    return {
        name: utility.trial(scans, made(test), test.groups, RandomSource(0), seeds=2, steps=STEPS, shares=shares)
        for name, (scans, shares) in found.items()
    }


def test_real_scans_teach_and_exchanged_classes_mislead(trials: dict[str, utility.Trial]) -> None:
    good, bad = (utility.trial_score(trials[name], "balanced accuracy") for name in ("real", "exchanged"))
    assert good.value > 0.9
    assert bad.high < 0.3
    assert good.low <= good.value <= good.high
    assert all(share > 0.8 for share in trials["real"].sensitivities(("a", "b", "c")).values())


def test_the_gain_is_paired_and_negative_for_misleading_scans(trials: dict[str, utility.Trial]) -> None:
    gain = utility.trial_score(trials["both"], "balanced accuracy", against=trials["real"])
    each = trials["both"].values("balanced accuracy") - trials["real"].values("balanced accuracy")
    assert gain.value == pytest.approx(each.mean())
    assert gain.value < 0
    nothing = utility.trial_score(trials["real"], "AUC", against=trials["real"])
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_the_share_kept_of_itself_is_one(trials: dict[str, utility.Trial]) -> None:
    share = utility.kept_share(trials["real"], trials["real"], "balanced accuracy")
    assert share.value == pytest.approx(1)
    assert share.low <= 1 <= share.high
    assert utility.kept_share(trials["exchanged"], trials["real"], "balanced accuracy").value < 0.3


def test_weights_give_either_kind_half_of_each_class() -> None:
    real, synthetic = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1, 1])
    weights = half_and_half(real, synthetic, 2)
    labels = np.concatenate([real, synthetic])
    for label in (0, 1):
        own = weights[:4][real == label].sum()
        assert own == pytest.approx(weights[4:][synthetic == label].sum()) == pytest.approx(1)
    assert len(labels) == len(weights)


def test_the_same_seed_gives_the_same_classifier_and_volumes_work() -> None:
    scans = heads(8)
    scans = dataclasses.replace(scans, labels=np.arange(8) % 2, classes=("a", "b"))
    seen = labelled(scans, window_of(scans))
    nets = [train_classifier(seen, RandomSource(seed), steps=2) for seed in (0, 0, 1)]
    weights = [np.concatenate([p.detach().numpy().ravel() for p in net.parameters()]) for net in nets]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
