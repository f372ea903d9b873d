from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from private_scans import CLASSES, DECLARED, a_private_gan, changed_model, scan_model, scans_of_patients

import synthkit
from synthkit import PrivacyBudget, ScanGAN
from synthkit.errors import InputError, PrivacyError
from synthkit.privacy.certificate import certify
from synthkit.privacy.ledger import LedgerFile
from synthkit.privacy.private_model import PrivateModel
from synthkit.scans.domain import ScanDomain
from synthkit.scans.intensity import Intensity
from synthkit.scans.outlook import scan_outlook
from synthkit.scans.plan import ScanPlan
from synthkit.scans.private import private_settings, unit_of
from synthkit.scans.private_fit import check_private, seen_through
from synthkit.scans.private_lint import SCAN_CHECKS, lint

ENGINES = ("embedding", "critic", "hybrid")


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def model(engine, tmp_path):
    path = tmp_path / f"{engine}.synth"
    path.write_bytes(scan_model(engine))
    return path


def test_a_private_model_draws_scans_of_the_declared_domain(model):
    scans = synthkit.load(model).sample(7, where={"label": "right"}, random_state=0)
    assert scans.images.shape == (7, 1, 12, 12)
    assert scans.images.dtype == np.uint8
    assert scans.classes == CLASSES
    assert set(scans.labels.tolist()) == {1}
    assert scans.form.modality == "MR"
    # nothing of the headers of real scans
    assert scans.form.spacing is None
    assert scans.form.body_part == ""


def test_a_private_model_passes_the_linter_and_is_certified(model, engine):
    opened = PrivateModel.open(model)
    report = lint(opened)
    assert [finding.reason for finding in report.failed] == []
    certificate = certify(opened, lint=report)
    assert certificate.holds
    assert certificate.epsilon <= 10.0
    text = re.sub(r"\s+", " ", certificate.to_text())
    assert "unit one patient" in text
    assert "scans per unit 2" in text
    assert "neighbouring sets of scans add-remove" in text
    assert "number of patients 40 (declared)" in text
    assert "range of intensities 0 to 255" in text
    assert "classes left, right" in text
    assert ("gradients of the image critic" in text) == (engine != "embedding")
    assert ("random features of the scans of each class" in text) == (engine != "critic")
    assert not re.search(r"\brows\b|\bschema\b", text)
    assert "one patient" in certificate.to_html()
    json.dumps(certificate.to_json())


def test_nothing_exact_is_in_the_report(model):
    report = synthkit.load(model).report_
    assert 120 not in report.values()  # scans
    assert 40 not in report.values()  # patients
    assert "seconds" not in report
    assert not any("held_out" in name for name in report)


def test_the_seed_does_not_seed_the_noise():
    scans = scans_of_patients()
    drawn = [
        a_private_gan(privacy_engine="critic", steps=2).fit(scans).sample(2, random_state=0).images for _ in range(2)
    ]
    assert not np.array_equal(*drawn)


def test_noise_from_a_seed_is_told(tmp_path):
    path = tmp_path / "seeded.synth"
    a_private_gan(privacy_engine="embedding", reproducible_noise=1).fit(scans_of_patients()).save(path)
    assert [finding.check for finding in lint(path).failed] == ["noise"]
    assert not certify(PrivateModel.open(path)).holds


@pytest.mark.parametrize("odd", [np.nan, np.inf, -1e9, 1e9])
def test_a_value_outside_the_window_is_clipped_and_tells_nothing(odd):
    see = seen_through(Intensity(0.0, 255.0))
    images = np.full((1, 1, 3, 3), 100.0, np.float32)
    images[0, 0, 1, 1] = odd
    found = see(images)
    assert bool(found.isfinite().all())
    assert float(found.abs().max()) <= 1.0


# -- what is refused before anything is read --------------------------------------------------------------------------


class Untouchable(np.ndarray):
    """Values that nobody may look at."""

    def __array_function__(self, *_, **__):
        raise AssertionError("scans were looked at")

    def __getitem__(self, _):
        raise AssertionError("scans were looked at")


def untouchable():
    scans = scans_of_patients()
    object.__setattr__(scans, "images", scans.images.view(Untouchable))
    return scans


REFUSED = {
    "percentile window": ({"window": None}, r"range of intensities is not declared.*percentiles.*--intensity"),
    "size from the scans": ({"size": "auto"}, r"size='auto' takes the size from the scans.*--size"),
    "native size": ({"size": "native"}, "takes the size from the scans"),
    "number of patients": ({"records": None}, "number of patients is not declared.*--records"),
    "balanced classes": ({"class_balance": True}, "draw rare scans more often"),
    "held-out choice": ({"validation_share": 0.2}, "one more release"),
    "an image as input": ({"recipe": "srgan"}, "'srgan' starts from scans"),
    "unknown engine": ({"privacy_engine": "embeding"}, "'embeding'.*'embedding'"),
    "unit of a table": ({"privacy": PrivacyBudget(1.0, 1e-5, unit="patients")}, "'patients'.*'patient'"),
    "delta": ({"privacy": PrivacyBudget(1.0, 0.05, unit="patient")}, "whole record"),
    "repeated class": ({"classes": ("a", "a")}, "different names"),
    "counts": ({"classes": {"left": 0, "right": 0}, "records": 40}, "one above"),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_declared_is_refused_unread(changes, said):
    with pytest.raises((PrivacyError, InputError)) as caught:
        a_private_gan(**changes).fit(untouchable())
    assert re.search(said, str(caught.value), re.DOTALL)
    assert "\n" not in str(caught.value)


def test_held_out_scans_and_a_second_run_are_refused(tmp_path):
    with pytest.raises(InputError, match="held-out"):
        a_private_gan().fit(untouchable(), holdout=scans_of_patients())
    with pytest.raises(PrivacyError, match="taken up again"):
        a_private_gan().fit(untouchable(), checkpoint=tmp_path / "c", resume=True)


def test_masks_and_missing_labels_are_refused():
    scans = scans_of_patients()
    with pytest.raises(PrivacyError, match="masks"):
        a_private_gan().fit(replace(scans, masks=np.zeros((len(scans), 12, 12), np.uint8)))
    with pytest.raises(PrivacyError, match="2 classes are declared"):
        a_private_gan().fit(replace(scans, labels=None, classes=()))


def test_patients_are_protected_wherever_they_are_known():
    table = PrivacyBudget(1.0, 1e-5)
    assert unit_of(table, patients=True).unit == "patient"
    assert unit_of(table, patients=False).unit == "scan"
    assert unit_of(replace(table, unit="scan"), patients=True).unit == "scan"
    with pytest.raises(PrivacyError, match="whose each scan is"):
        unit_of(replace(table, unit="patient"), patients=False)
    with pytest.raises(PrivacyError, match="2 scans per unit"):
        unit_of(replace(table, unit="scan", rows_per_unit=2), patients=False)


def test_a_ledger_refuses_to_overspend_and_nothing_is_read(tmp_path):
    path = tmp_path / "scans.ledger.json"
    budget = PrivacyBudget(3.0, 1e-4, unit="patient", rows_per_unit=2)
    a_private_gan(privacy=budget, privacy_engine="embedding", ledger=path).fit(scans_of_patients())
    file = LedgerFile(path)
    assert [release.status for release in file.releases] == ["finished"]
    assert [event.name for event in file.releases[0].events] == ["embedding"]
    with pytest.raises(PrivacyError, match="asks for epsilon 3"):
        a_private_gan(privacy=budget, privacy_engine="embedding", ledger=path).fit(untouchable())
    assert len(LedgerFile(path).releases) == 1


def test_a_plan_needs_no_scans():
    settings = a_private_gan(privacy_engine="embedding").get_params(deep=False)
    assert set(check_private(settings).events) == {"embedding"}


def test_the_outlook_says_what_the_noise_amounts_to():
    settings = a_private_gan(privacy_engine="hybrid", records=4_000).get_params(deep=False)
    private = private_settings(settings, ScanPlan.of(settings), patients=True)
    found = scan_outlook(private.domain, private.plan())
    text = found.to_text()
    assert "no scan was read" in text
    assert "protected is one patient with up to 2 scans of 4,000" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert found.critic_noise > 0
    assert 0 < found.feature_error < 0.2
    assert json.loads(json.dumps(found.to_json()))["epsilon"] <= 10.0
    assert "no scan was read" in found._repr_html_()


# -- what is declared -------------------------------------------------------------------------------------------------


def test_the_dtype_of_drawn_scans_follows_from_the_window():
    def dtype(window, whole=True):
        return ScanDomain((8, 8), window, 10, whole=whole).dtype

    assert dtype((0, 255)) == "uint8"
    assert dtype((-1024, 3071)) == "int16"
    assert dtype((0, 60_000)) == "uint16"
    assert dtype((0.0, 1.0), whole=False) == "float32"


def test_labels_outside_the_declared_classes_count_nowhere():
    domain = ScanDomain((8, 8), (0, 255), 10, classes=("b", "a"))
    assert domain.labels_of(np.array([0, 1, 2, 1]), ("a", "x", "b")).tolist() == [1, -1, 0, -1]


def test_a_domain_survives_json():
    domain = ScanDomain((8, 8, 8), (-1024, 3071), 10, ("a", "b"), (4, 6), modality="CT", units="HU")
    again = ScanDomain.from_dict(json.loads(json.dumps(domain.to_dict())))
    assert again == domain
    assert again.sha256 == domain.sha256
    with pytest.raises(PrivacyError, match="other parts"):
        ScanDomain.from_dict({**domain.to_dict(), "spacing": 1.0})


def test_public_counts_are_the_shares_of_drawn_classes():
    gan = a_private_gan(classes={"left": 30, "right": 10}, records=None, privacy_engine="critic", steps=2)
    gan.fit(scans_of_patients())
    assert gan.space_.counts == (30, 10)


def test_volumes_and_scans_without_classes_or_patients():
    rng = np.random.default_rng(0)
    scans = synthkit.ScanSet(rng.uniform(0, 1, (24, 1, 8, 8, 8)).astype(np.float32))
    gan = ScanGAN(
        "cgan", size=8, window=(0, 1), records=24, privacy=PrivacyBudget(10.0, 1e-3), privacy_engine="hybrid",
        steps=2, batch=4, time_budget="2s", random_state=0, verbose=False,
    )  # fmt: skip
    drawn = gan.fit(scans).sample(2, random_state=0)
    assert drawn.images.shape == (2, 1, 8, 8, 8)
    assert drawn.images.dtype == np.float32
    assert gan._fitted.privacy["unit"] == "scan"


# -- the linter -------------------------------------------------------------------------------------------------------


def batch_norm(parts):
    parts.tensors["network-generator"]["body.norm.running_mean"] = np.zeros(4, np.float32)


def percentiles(parts):
    parts.manifest["space"]["intensity"] = {"low": 3.0, "high": 201.0, "rule": "a robust range of the values"}


def another_window(parts):
    parts.manifest["space"]["intensity"]["high"] = 209.0


def adaptive(parts):
    parts.manifest["recipe"]["augment"]["probability"] = None


def spread(parts):
    parts.manifest["recipe"]["spread"] = True


def per_scan(parts):
    parts.manifest["privacy"]["declared"]["critic"]["clipped"] = "scan"


def batch_normed_critic(parts):
    parts.manifest["privacy"]["declared"]["critic"]["norm"] = "batch"


def packed(parts):
    parts.manifest["privacy"]["declared"]["critic"]["pac"] = 2


def with_critic(parts):
    parts.tensors["network-critic"] = {"weight": np.zeros(3, np.float32)}


def anchored(parts):
    parts.manifest["recipe"]["anchor"] = 0.2


def toned(parts):
    parts.manifest["recipe"]["tones"] = True


def exact_counts(parts):
    parts.manifest["space"]["counts"] = [63, 57]


def spacing(parts):
    parts.manifest["space"]["form"]["spacing"] = [0.7, 0.7]


def fewer_classes(parts):
    parts.manifest["space"]["classes"] = ["left"]


def held_out(parts):
    parts.manifest["report"]["held_out_after"] = -0.1


def balanced(parts):
    parts.manifest["settings"]["class_balance"] = True


def digest(parts):
    parts.manifest["settings"]["data_digest"] = "0" * 64


def other_domain(parts):
    parts.manifest["privacy"]["declared"]["domain"]["window"] = [0, 200]


def more_steps(parts):
    parts.manifest["privacy"]["critic"]["steps"] += 1


def no_features(parts):
    parts.manifest["privacy"]["declared"]["embedding"] = None


def half_sensitivity(parts):
    for kept in ("events", "planned"):
        for event in parts.manifest["privacy"]["ledger"][kept]:
            if event["name"] == "embedding":
                event["sensitivity"] /= 2


BROKEN = [
    (anchored, "weights"),
    (toned, "weights"),
    (batch_norm, "weights"), (percentiles, "window"), (another_window, "window"), (adaptive, "critic"),
    (spread, "critic"), (per_scan, "critic"), (batch_normed_critic, "critic"), (packed, "critic"),
    (with_critic, "parts"), (spacing, "form"), (fewer_classes, "classes"), (held_out, "report"),
    (balanced, "settings"), (digest, "settings"), (other_domain, "declared"), (more_steps, "engine"),
    (no_features, "released"), (half_sensitivity, "sensitivity"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "check"), BROKEN, ids=[change.__name__ for change, _ in BROKEN])
def test_the_linter_finds_it(change, check, tmp_path):
    found = lint(changed_model("hybrid", change, tmp_path))
    assert check in [finding.check for finding in found.failed]


def test_exact_counts_of_classes_need_an_event(tmp_path):
    found = lint(changed_model("critic", exact_counts, tmp_path))
    assert [finding.check for finding in found.failed] == ["classes"]


def test_every_check_can_fail():
    assert {check for _, check in BROKEN} >= set(SCAN_CHECKS)


def test_the_declared_unit_and_the_settings_agree(tmp_path):
    path = tmp_path / "table-unit.synth"
    budget = PrivacyBudget(10.0, 1e-4)  # the usual unit of a table stands for patients, where these are known
    a_private_gan(privacy=budget, privacy_engine="embedding").fit(scans_of_patients()).save(path)
    opened = PrivateModel.open(path)
    assert opened.budget().unit == "patient"
    assert lint(opened).failed == ()
    assert DECLARED["records"] == opened.privacy["records"]
