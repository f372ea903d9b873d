from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from patients_scans import bare, scans_of
from scipy.ndimage import gaussian_filter

from synthkit.auditing.manifest import check_manifest, write_manifest
from synthkit.auditing.policy import parse_policy
from synthkit.auditing.scans.audit import audit_scans
from synthkit.auditing.scans.case import ScanLimits, planted
from synthkit.auditing.scans.duplicates import repeats, scan_hashes
from synthkit.auditing.scans.policies import SCAN_POLICIES, load_scan_policy
from synthkit.auditing.scans.report import render_html, render_markdown, write_report
from synthkit.auditing.scans.result import ScanAudit
from synthkit.errors import DataError, InputError
from synthkit.io.scan_set import ScanSet

TRAIN, HOLDOUT = scans_of(300, 1), scans_of(260, 2)
REAL = bare(scans_of(220, 3))
LIMITS = ScanLimits(control=60)


class Averages:
    """An extractor that averages samples, standing in for a network."""

    def features(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 1, 5, 4, 5, 4).mean(axis=(3, 5)).reshape(len(images), -1).astype(np.float32)


def audited(synthetic: ScanSet, **options: object) -> ScanAudit:
    given = {"holdout": HOLDOUT, "extractor": Averages(), "limits": LIMITS, **options}
    return audit_scans(TRAIN, synthetic, **given)  # type: ignore[arg-type]


def copies_of(n: int) -> ScanSet:
    return bare(planted(TRAIN.take(np.arange(n)), np.random.default_rng(0)))


def with_copies(n: int) -> ScanSet:
    changed = copies_of(n).images
    return replace(REAL, images=np.concatenate([changed, REAL.images[n:].astype(np.float32)]))


@pytest.fixture(scope="module")
def clean() -> ScanAudit:
    return audited(REAL, policy="research-sharing")


@pytest.fixture(scope="module")
def leaky() -> ScanAudit:
    return audited(copies_of(220), policy="internal-test-data")


# ------------------------------------------------------------ what is found


def test_real_scans_of_other_patients_are_not_taken_for_copies(clean: ScanAudit) -> None:
    assert not clean.disclosures
    assert clean["scan-copies"].outcome == "no disclosure found"
    assert clean["scan-membership"].outcome == "no disclosure found"
    copy_rate, own = clean["scan-copies"].estimates["attack"], clean["scan-copies"].estimates["control"]
    assert copy_rate.value <= own.high
    assert own.value == pytest.approx(0.05, abs=0.005)


def test_controls_tell_a_leak_from_none(clean: ScanAudit) -> None:
    for name in ("scan-copies", "scan-membership"):
        risk = clean[name]
        assert risk.positive is not None
        assert risk.negative is not None
        assert risk.positive.above
        assert not risk.negative.above
    assert clean["scan-copies"].positive.value > 0.8  # type: ignore[union-attr]


def test_changed_copies_are_found_by_every_attack(leaky: ScanAudit) -> None:
    assert leaky["scan-copies"].outcome == "disclosure"
    assert leaky["scan-membership"].outcome == "disclosure"
    assert leaky["scan-copies"].estimates["attack"].value > 0.9
    assert leaky["scan-membership"].headline.value > 0.8
    assert not leaky.passed
    assert {"copied scans", "membership on average"} <= {verdict.gate for verdict in leaky.failed}


def test_the_nearest_pairs_are_the_copies_and_their_originals(leaky: ScanAudit) -> None:
    assert len(leaky.worst) == 8
    assert all(pair.synthetic == pair.training for pair in leaky.worst)
    assert all(pair.to_training < 0.05 < pair.to_holdout for pair in leaky.worst)
    assert all(pair.real_names == () for pair in leaky.worst)


def test_a_few_copies_among_many_are_found() -> None:
    found = audited(with_copies(20), extractor=None)["scan-copies"]
    assert found.estimates["excess@nearest"].above
    assert found.outcome == "disclosure"


def test_exact_copies_are_counted() -> None:
    images = np.concatenate([TRAIN.images[:30], REAL.images[30:]])
    found = audited(replace(REAL, images=images), extractor=None)["scan-copies"]
    assert found.estimates["exact"].value == pytest.approx(30 / 220)
    assert found.outcome == "disclosure"


def test_blurred_scans_of_other_patients_are_not_taken_for_copies() -> None:
    smooth = gaussian_filter(REAL.images.astype(np.float32), (0, 0, 1.5, 1.5))
    assert not audited(replace(REAL, images=smooth), extractor=None).disclosures


def test_blurred_copies_are_found() -> None:
    smooth = gaussian_filter(TRAIN.images[:220].astype(np.float32), (0, 0, 1.5, 1.5))
    assert audited(replace(REAL, images=smooth), extractor=None)["scan-copies"].outcome == "disclosure"


def test_one_common_scan_again_and_again_is_no_copy() -> None:
    # the mean of everything: near to nobody's scan more than to those held out
    mean = TRAIN.images.mean(axis=0, keepdims=True).repeat(220, axis=0)
    noisy = mean + np.random.default_rng(0).normal(0, 1, mean.shape)
    assert audited(replace(REAL, images=noisy), extractor=None)["scan-copies"].outcome != "disclosure"


def test_volumes_are_audited_like_pictures() -> None:
    size = (8, 12, 12)
    train, holdout = scans_of(60, 1, size=size), scans_of(60, 2, size=size)
    copies = bare(planted(train, np.random.default_rng(0)))
    found = audit_scans(train, copies, holdout=holdout, extractor=None, limits=ScanLimits(control=30))
    assert found["scan-copies"].outcome == "disclosure"
    assert found.pictures is not None


# ------------------------------------------------------------ what cannot be told


def test_few_scans_are_not_enough_evidence() -> None:
    found = audited(REAL.take(np.arange(60)), extractor=None, policy="public-release")
    assert found["scan-copies"].outcome == "inconclusive"
    assert "Not enough evidence" in found["scan-copies"].note
    assert not found.passed


def test_few_scans_still_show_copies() -> None:
    assert audited(copies_of(60), extractor=None)["scan-copies"].outcome == "disclosure"


def test_hardly_any_scans_are_not_attacked_at_all() -> None:
    found = audited(REAL.take(np.arange(5)), extractor=None, policy="internal-test-data")
    assert found["scan-copies"].outcome == "not applicable"
    assert "Not enough evidence" in found["scan-copies"].note
    assert not found.passed


def test_few_patients_are_not_enough_evidence() -> None:
    found = audited(REAL, extractor=None, holdout=scans_of(30, 2, per_patient=8))
    assert found["scan-copies"].outcome == "inconclusive"
    assert "30 patients" in found["scan-copies"].note


def test_without_held_out_scans_nothing_is_attacked() -> None:
    found = audited(copies_of(60), holdout=None, policy="internal-test-data")
    assert {risk.outcome for risk in found.risks.values()} == {"not applicable"}
    assert not found.passed
    assert "--holdout" in found["scan-copies"].note


def test_no_features_are_told(clean: ScanAudit) -> None:
    assert audited(REAL, extractor=None)["scan-copies-features"].outcome == "not applicable"
    assert clean["scan-copies-features"].outcome == "no disclosure found"


# ------------------------------------------------------------ duplicates and patients


def test_scans_in_both_sets_are_left_out_and_reported() -> None:
    again = np.clip(TRAIN.images[10:15].astype(int) + 1, 0, 255).astype(np.uint8)
    holdout = replace(HOLDOUT, images=np.concatenate([TRAIN.images[:10], again, HOLDOUT.images[15:]]))
    found = audited(REAL, holdout=holdout, extractor=None)
    assert found.duplicates is not None
    assert (found.duplicates.exact, found.duplicates.near, found.duplicates.left_out) == (10, 5, 15)
    assert found.overlap is not None
    assert found.overlap.share == pytest.approx(15 / 260)
    assert any("left out" in note for note in found.notes)
    assert not found.disclosures


def test_scans_of_training_patients_are_left_out() -> None:
    patients = HOLDOUT.patients.copy()  # type: ignore[union-attr]
    patients[:7] = TRAIN.patients[:7]  # type: ignore[index]
    found = audited(REAL, holdout=replace(HOLDOUT, patients=patients), extractor=None, policy="public-release")
    assert found.duplicates is not None
    assert (found.duplicates.patients, found.duplicates.left_out) == (7, 7)
    assert "patients kept apart" in {verdict.gate for verdict in found.failed}


def test_held_out_scans_that_are_training_scans_are_refused() -> None:
    with pytest.raises(DataError, match="never saw"):
        audited(REAL, holdout=TRAIN)


def test_unknown_patients_are_told_and_their_gate_is_not_tested() -> None:
    found = audit_scans(
        bare(TRAIN), REAL, holdout=bare(HOLDOUT), extractor=None, limits=LIMITS, policy="research-sharing"
    )
    assert any("Patients are unknown" in note for note in found.notes)
    verdict = next(one for one in found.verdicts if one.gate == "patients kept apart")
    assert verdict.status == "not tested"


def test_equal_scans_have_equal_digests_whatever_their_type() -> None:
    images = scans_of(5, 1).images
    assert np.array_equal(scan_hashes(images), scan_hashes(images.astype(np.float64)))
    assert repeats(scan_hashes(np.concatenate([images, images[:2]]))) == 2


# ------------------------------------------------------------ records and reports


def test_the_same_seed_gives_the_same_audit(clean: ScanAudit) -> None:
    again = audited(REAL, policy="research-sharing")
    assert replace(again, created="").to_dict() == replace(clean, created="").to_dict()


def test_the_record_is_json_without_pictures(clean: ScanAudit) -> None:
    content = json.loads(clean.to_json())
    assert content["kind"] == "scans"
    assert "pictures" not in content
    assert content["duplicates"]["training"] == 0
    assert set(content["distances"]) == {
        "nearer (pixels)", "authenticity (pixels)", "nearer (features)", "authenticity (features)",
    }  # fmt: skip
    assert content["risks"]["scan-copies"]["estimates"]["attack"]["low"] is not None


def test_scores_of_distances_have_intervals_and_the_control_of_held_out_scans(clean: ScanAudit) -> None:
    for score in clean.distances.values():
        assert score.low <= score.value <= score.high
        assert 0 <= score.ceiling <= 1


def test_reports_say_the_same_and_show_the_pairs(leaky: ScanAudit, tmp_path: Path) -> None:
    page, text = render_html(leaky), render_markdown(leaky)
    assert page.count("data:image/png;base64,") == 9
    assert "<script" not in page
    for said in ("copied scans, by pixels".capitalize(), "Not met", leaky.to_dict()["policy"]["name"]):
        assert said in page
        assert said in text
    assert "not met" in leaky.to_text()
    assert "scan-0" not in page  # names of real scans were not asked for
    path = tmp_path / "audit.html"
    write_report(leaky, path)
    digest = write_manifest(tmp_path / "audit.manifest.json", (path,), leaky)
    found = check_manifest(tmp_path / "audit.manifest.json")
    assert (found.sha256, found.passed, found.wrong) == (digest, False, ())


def test_names_of_real_scans_are_shown_only_when_asked_for() -> None:
    found = audited(copies_of(40), extractor=None, raw_names=True)
    assert all(pair.real_names[0].startswith("scan-1-") for pair in found.worst)


def test_no_text_promises_what_nobody_can(clean: ScanAudit) -> None:
    words = (render_html(clean) + render_markdown(clean) + clean.to_text() + repr(clean)).lower()
    for word in ("anonymous", "compliant", " safe "):
        assert word not in words


def test_a_notebook_shows_the_audit(clean: ScanAudit) -> None:
    shown = clean._repr_html_()
    assert "synthetic scans made from" in shown
    assert "Copy rate" in shown


# ------------------------------------------------------------ policies and bad input


@pytest.mark.parametrize("name", sorted(SCAN_POLICIES))
def test_shipped_policies_can_be_read_and_have_gates_on_copies(name: str) -> None:
    policy = load_scan_policy(name)
    assert policy.name == name
    assert any(getattr(gate, "risk", "") in ("all", "all duplicates", "scan-copies") for gate in policy.gates)


def test_a_policy_can_ask_for_one_attack_on_scans() -> None:
    policy = parse_policy(
        "name: ours\ngates:\n"
        "  - {name: g, risk: scan-copies, measure: excess@nearest, bound: low, threshold: 0, reason: r}\n"
    )
    assert not audited(copies_of(60), extractor=None, policy=policy).passed
    assert audited(REAL, extractor=None, policy=policy).passed


def test_an_unknown_measure_of_scans_is_named() -> None:
    with pytest.raises(InputError, match="excess@nearest"):
        parse_policy("name: o\ngates: [{name: g, risk: scan-copies, measure: excess@near, threshold: 0, reason: r}]")


def test_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="Resample"):
        audited(bare(scans_of(30, 1, size=(21, 20))))


def test_empty_sets_and_missing_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="no synthetic scans"):
        audited(REAL.take(np.arange(0)))
    holes = REAL.images.astype(np.float32)
    holes[3, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="no numbers"):
        audited(replace(REAL, images=holes))


def test_limits_are_kept_and_told() -> None:
    found = audited(
        REAL, extractor=None, limits=ScanLimits(train=200, synthetic=210, holdout=205, targets=50, control=30)
    )
    assert sum("were looked at" in note for note in found.notes) == 3
    assert found.rows["targets"] == 50
