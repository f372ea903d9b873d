from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from synthkit.errors import PrivacyError
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.canaries import audit_anchor, audit_anchor_once, audit_critic, audit_critic_once
from synthkit.privacy.canary_attacks import CLIP, AnchorAttack, CriticAttack, SilentNoise, whitening
from synthkit.privacy.noise import NoiseSource

ROOT = Path(__file__).resolve().parents[2]
DELTA = 1e-5
FOUR = PrivacyBudget(4, DELTA)
ENOUGH = 0.4  # of the claim
# small enough for a test: the full audit is evaluation/benchmarks/audit.py
SMALL = {
    "anchor": {"runs": 600, "columns": 4, "confidence": 0.95},
    "critic": {"runs": 600, "steps": 4, "confidence": 0.95},
}


def load_benchmark():
    path = ROOT / "evaluation" / "benchmarks" / "audit.py"
    spec = importlib.util.spec_from_file_location("benchmark_audit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = load_benchmark()


def audit(name, budget=FOUR, seed=0, **options):
    return BENCHMARK.AUDITS[name](budget, noise=NoiseSource(reproducible_seed=seed), **SMALL[name] | options)


@pytest.mark.parametrize("name", SMALL)
def test_what_is_claimed_is_not_refuted_and_mostly_needed(name):
    found = audit(name)
    assert found.verdict == "consistent"
    assert ENOUGH * found.claimed <= found.lower_bound <= found.claimed <= 4.0
    assert found.lower_bound <= found.detectable
    assert ENOUGH * found.claimed <= found.expected <= found.claimed
    assert found.any_mechanism <= found.claimed
    assert found.share == pytest.approx(found.lower_bound / found.claimed)


BUDGETS = {
    "rows": FOUR,
    "replace-one": PrivacyBudget(4, DELTA, adjacency="replace-one"),
    "three rows a person": PrivacyBudget(4, DELTA, unit="person", rows_per_unit=3),
    "small epsilon": PrivacyBudget(0.5, 1e-6),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", list(BUDGETS)[1:])
def test_other_budgets_are_kept_too(name, kind):
    found = audit(name, BUDGETS[kind], runs=60)
    assert found.verdict == "consistent"
    assert found.adjacency == BUDGETS[kind].adjacency


@pytest.mark.parametrize("kind", BUDGETS)
def test_canaries_show_exactly_what_is_planned_for(kind):
    noise = NoiseSource(reproducible_seed=0)
    anchor = AnchorAttack(BUDGETS[kind], 3, noise)
    # in standard deviations of the noise
    assert np.linalg.norm(anchor._change) == pytest.approx(anchor._release.mu)
    critic = CriticAttack(BUDGETS[kind], 2, 0.5, noise)
    shown = [critic._release(codes, SilentNoise()) for codes in critic.tables]
    # a replaced unit turns its contribution around
    longest = CLIP * (2 if kind == "replace-one" else 1)
    norms = np.linalg.norm(shown[1] - shown[0], axis=1)
    assert np.all((norms > 0.995 * longest) & (norms <= longest))


# enough for each bug to be found in nearly all audits, whatever the noise
WITH_BUG = {
    "half the noise": {"runs": 500},
    "rows counted in two cells": {"runs": 1600, "confidence": 0.9},
    "everybody in every step": {"runs": 400},
    "terms clipped one by one (2 C)": {"runs": 250},
}


@pytest.mark.parametrize(("name", "bug"), [(name, bug) for name, bugs in BENCHMARK.BUGS.items() for bug in bugs])
def test_every_bug_that_is_put_back_in_is_refuted(name, bug):
    with BENCHMARK.BUGS[name][bug]():
        found = audit(name, **{"runs": 100} | WITH_BUG.get(bug, {}))
    assert found.verdict == "refuted"
    assert found.lower_bound > found.claimed


@pytest.mark.parametrize("attack", [audit_anchor_once, audit_critic_once])
def test_one_run_with_many_canaries_finds_something_and_refutes_nothing(attack):
    found = attack(FOUR, canaries=400, confidence=0.95, noise=NoiseSource(reproducible_seed=1))
    assert found.verdict == "consistent"
    assert 0.1 * found.claimed < found.lower_bound < found.detectable
    assert found.runs == 400
    assert found.any_mechanism is None


def test_one_run_refutes_gradients_without_noise():
    with BENCHMARK.no_noise_in_gradients():
        found = audit_critic_once(PrivacyBudget(1, DELTA), canaries=400, noise=NoiseSource(reproducible_seed=0))
    assert found.verdict == "refuted"


def test_audits_use_private_noise_unless_a_test_brings_its_own():
    seen = []

    class Watched(NoiseSource):
        def __init__(self, **options):
            super().__init__(**options)
            seen.append(self.is_private)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("synthkit.privacy.canaries.NoiseSource", Watched)
        audit_anchor_once(FOUR, canaries=10)
    assert seen == [True]
    assert not SilentNoise().is_private


def test_same_seed_same_audit_and_json_keeps_it():
    first, second = (audit("anchor", runs=20, seed=5) for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(first.to_json())) == dataclasses.asdict(first)
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.verdict = "refuted"


def test_whitening_leaves_planned_noise_alone_and_amplifies_silence():
    pilots = np.random.default_rng(0).standard_normal((300, 12))
    assert np.allclose(whitening(pilots), np.eye(12))
    quiet = pilots.copy()
    quiet[:, 3] *= 1e-9
    found = whitening(quiet)
    assert found[3, 3] == pytest.approx(1000, rel=0.01)
    assert np.allclose(np.delete(np.delete(found, 3, 0), 3, 1), np.eye(11), atol=0.05)
    # noise that is used twice is silent in the difference
    twice = pilots.copy()
    twice[:, 1] = twice[:, 0]
    difference = np.eye(12)[0] - np.eye(12)[1]
    assert np.linalg.norm(whitening(twice) @ difference) > 500


@pytest.mark.parametrize(
    ("attack", "options", "match"),
    [
        (audit_anchor, {"runs": 3}, "at least 4 runs"),
        (audit_anchor, {"columns": 1}, "at least 2 columns"),
        (audit_critic, {"runs": 0}, "at least 4 runs"),
        (audit_critic, {"steps": 11}, "at most 10 steps"),
        (audit_critic, {"steps": 0}, "at least 1 step"),
        (audit_critic, {"sampling_probability": 0.0}, "above 0"),
        (audit_critic_once, {"steps": 0}, "at least 1 step"),
        (audit_critic_once, {"sampling_probability": 1.1}, "at most 1"),
        # before two thousand runs, not after them
        (audit_anchor, {"confidence": 1.0, "runs": 10**9}, "below 1"),
        (audit_critic, {"confidence": 0.4, "runs": 10**9}, "0.5 or more"),
        (audit_anchor_once, {"confidence": 1.0, "canaries": 10**9}, "below 1"),
        (audit_critic_once, {"canaries": 9}, "at least 10 canaries"),
        (audit_anchor_once, {"budget": PrivacyBudget(1, DELTA, adjacency="replace-one")}, "add-remove"),
        (audit_critic_once, {"budget": PrivacyBudget(1, DELTA, unit="person")}, "single rows"),
    ],
)
def test_audits_that_cannot_work_are_refused(attack, options, match):
    with pytest.raises(PrivacyError, match=match):
        attack(**{"budget": FOUR} | options)


@pytest.mark.parametrize("width", [0, 1, 2])
def test_whitening_of_a_few_numbers(width):
    pilots = np.random.default_rng(0).normal(size=(60, width))
    assert whitening(pilots) == pytest.approx(np.eye(width), abs=1e-9)
