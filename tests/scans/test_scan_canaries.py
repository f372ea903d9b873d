from __future__ import annotations

import numpy as np
import pytest

from synthkit.errors import PrivacyError
from synthkit.privacy import image_critic
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.image_clipping import Pairs
from synthkit.privacy.noise import NoiseSource
from synthkit.scans import embedding
from synthkit.scans.canaries import audit_embedding, audit_image_critic

PATIENTS = PrivacyBudget(2.0, 1e-5, unit="patient", rows_per_unit=4)
RUNS = 60


def repeatable():
    return NoiseSource(reproducible_seed=5)


def test_the_critic_is_consistent_with_its_claim():
    found = audit_image_critic(PATIENTS, runs=RUNS, steps=2, noise=repeatable())
    assert found.verdict == "consistent"
    assert found.audited == "image critic"
    assert found.claimed <= 2.0
    assert found.detectable > found.claimed  # so many runs could have shown more


def test_the_embedding_is_consistent_with_its_claim():
    found = audit_embedding(PATIENTS, runs=RUNS, noise=repeatable())
    assert found.verdict == "consistent"
    assert found.detectable > found.claimed


def test_clipping_each_pair_instead_of_each_patient_is_refuted(monkeypatch):
    right = image_critic.clipped_pair_sum

    def each_pair(critic, loss, pairs, clip):
        alone = Pairs(pairs.real, pairs.fake, pairs.share, pairs.labels, pairs.units.new_tensor(range(len(pairs))))
        return right(critic, loss, alone, clip)

    monkeypatch.setattr(image_critic, "clipped_pair_sum", each_pair)
    assert audit_image_critic(PATIENTS, runs=RUNS, steps=2, noise=repeatable()).verdict == "refuted"


def test_counting_each_scan_of_a_patient_in_full_is_refuted(monkeypatch):
    right = embedding.whole_vectors
    monkeypatch.setattr(embedding, "whole_vectors", lambda found, parts: right(found, np.ones_like(parts)))
    assert audit_embedding(PATIENTS, runs=RUNS, noise=repeatable()).verdict == "refuted"


def test_impossible_audits_are_refused():
    with pytest.raises(PrivacyError, match="1 to 10 steps"):
        audit_image_critic(PATIENTS, steps=11)
    with pytest.raises(PrivacyError, match="at least 4 runs"):
        audit_embedding(PATIENTS, runs=2)
