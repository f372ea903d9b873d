"""The guarantee of a release is worked out from its ledger, and does not hold when the model does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from people import people

from synthkit import PrivacyBudget, Schema, TableGAN
from synthkit.auditing.guarantee import read_guarantee
from synthkit.errors import ModelFileError, PrivacyError
from synthkit.schema import Column

SCHEMA = Schema(
    (
        Column(name="age", type="integer", dtype="int64", minimum=18, maximum=80),
        Column(name="ill", type="categorical", dtype="object", categories=("no", "yes")),
    ),
    domain="declared",
    records=1_000,
)


def fitted(path: Path, **settings: object) -> Path:
    gan = TableGAN(privacy=PrivacyBudget(2.0, 1e-5), n_codes=10, random_state=0, verbose=False, **settings)
    gan.fit(people(500, 0)[["age", "ill"]], schema=SCHEMA).save(path)
    return path


def test_a_private_model_has_one(tmp_path: Path) -> None:
    found, said = read_guarantee(fitted(tmp_path / "m.synth"), None)
    assert found is not None
    assert found.holds is True
    assert found.reasons == ()
    assert found.epsilon <= 2.0
    assert (found.delta, found.unit, found.adjacency) == (1e-5, "row", "add-remove")
    assert len(found.sha256) == 64
    assert said == ()


def test_seeded_noise_is_none(tmp_path: Path) -> None:
    found, _ = read_guarantee(fitted(tmp_path / "m.synth", reproducible_noise=3), None)
    assert found is not None
    assert found.holds is False
    assert any("seeded" in reason for reason in found.reasons)


def test_a_ledger_counts_all_releases(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.json"
    from synthkit.privacy.ledger import LedgerFile

    LedgerFile.create(ledger, PrivacyBudget(5.0, 1e-5))
    model = fitted(tmp_path / "m.synth", ledger=ledger)
    fitted(tmp_path / "n.synth", ledger=ledger)
    alone, _ = read_guarantee(model, None)
    both, _ = read_guarantee(model, ledger)
    assert alone is not None
    assert both is not None
    assert both.releases == 2
    assert both.epsilon > alone.epsilon
    assert both.holds is True
    only, _ = read_guarantee(None, ledger)
    assert only is not None
    assert only.holds is None


def test_a_model_without_a_budget_has_none_whatever_the_ledger_says(tmp_path: Path) -> None:
    from synthkit.privacy.ledger import LedgerFile

    LedgerFile.create(tmp_path / "ledger.json", PrivacyBudget(5.0, 1e-5))
    plain = TableGAN(n_codes=4, adversary="off", refine=False, random_state=0, verbose=False).fit(people(100, 0))
    plain.save(tmp_path / "m.synth")
    found, said = read_guarantee(tmp_path / "m.synth", tmp_path / "ledger.json")
    assert found is None
    assert any("without a privacy budget" in sentence for sentence in said)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    from synthkit.privacy.ledger import LedgerFile

    model = fitted(tmp_path / "m.synth")
    LedgerFile.create(tmp_path / "ledger.json", PrivacyBudget(5.0, 1e-5, unit="person"))
    with pytest.raises(PrivacyError, match="keeps the unit 'person'"):
        read_guarantee(model, tmp_path / "ledger.json")
    (tmp_path / "broken.synth").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        read_guarantee(tmp_path / "broken.synth", None)
    assert read_guarantee(None, None) == (None, ())
