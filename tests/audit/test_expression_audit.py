from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from donors_cells import bare, cells_of

from synthkit.auditing.expression.attacks import EXPRESSION_ATTACKS
from synthkit.auditing.expression.audit import audit_expression
from synthkit.auditing.expression.case import CellLimits, ExpressionCase, fit_space, joined, planted
from synthkit.auditing.expression.policies import load_expression_policy
from synthkit.auditing.expression.reading import read_cells
from synthkit.auditing.expression.report import render_html, render_markdown, write_report
from synthkit.auditing.expression.result import ExpressionAuditResult
from synthkit.auditing.policy import POLICIES
from synthkit.errors import DataError, InputError
from synthkit.io.expression_set import ExpressionSet

TRAIN, HOLDOUT = cells_of(500, 1), cells_of(800, 2)
REAL = bare(cells_of(500, 3))
LIMITS = CellLimits(genes=80, components=20)
ON_CELLS = ("cell-copies", "cell-gan-leaks", "cell-gan-leaks-calibrated", "cell-monte-carlo", "cell-domias")


def audited(synthetic: ExpressionSet, **options: object) -> ExpressionAuditResult:
    given = {"holdout": HOLDOUT, "label": "kind", "limits": LIMITS, **options}
    return audit_expression(TRAIN, synthetic, **given)  # type: ignore[arg-type]


def with_copies(n: int) -> ExpressionSet:
    copies = planted(TRAIN.take(np.arange(n)), np.random.default_rng(0))
    return bare(joined(copies, REAL.take(np.arange(n, len(REAL)))))


@pytest.fixture(scope="module")
def clean() -> ExpressionAuditResult:
    return audited(REAL, policy="research-sharing")


@pytest.fixture(scope="module")
def leaky() -> ExpressionAuditResult:
    return audited(with_copies(500), policy="internal-test-data")


# ------------------------------------------------------------ what is found


def test_cells_that_nobody_copied_are_not_accused(clean: ExpressionAuditResult) -> None:
    assert not clean.disclosures
    assert {clean[name].outcome for name in ON_CELLS} == {"no disclosure found"}


def test_copies_are_found_by_every_attack(leaky: ExpressionAuditResult) -> None:
    assert {leaky[name].outcome for name in ON_CELLS} == {"disclosure"}
    assert leaky["cell-gan-leaks-calibrated"].headline.value > 0.8
    assert {"copied cells", "membership on average"} <= {verdict.gate for verdict in leaky.failed}


def test_controls_tell_a_leak_from_none(clean: ExpressionAuditResult) -> None:
    for name in ON_CELLS:
        positive, negative = clean[name].positive, clean[name].negative
        assert positive is not None
        assert negative is not None
        assert positive.above
        assert not negative.above


def test_a_few_exact_copies_are_found() -> None:
    released = bare(joined(TRAIN.take(np.arange(30)), REAL.take(np.arange(30, 500))))
    found = audited(released)
    assert found.duplicates is not None
    assert found.duplicates.released == 30
    assert found["cell-copies"].estimates["exact"].value == pytest.approx(30 / 500)
    assert found["cell-copies"].outcome == "disclosure"
    assert {(pair.training, pair.synthetic) for pair in found.worst} <= {(place + 1, place + 1) for place in range(30)}
    assert all(pair.correlation == pytest.approx(1) for pair in found.worst)


def test_smooth_cells_are_not_taken_for_copies() -> None:
    """A generator that draws too little noise is near to every cell, and to training cells no more than to others."""
    means = cells_of(500, 3).dense()
    smooth = np.rint(0.3 * means + 0.7 * means.mean(axis=0))
    assert not audited(replace(REAL, values=smooth)).disclosures


def test_it_says_what_it_would_have_found(clean: ExpressionAuditResult) -> None:
    assert [one.share for one in clean.planted] == [0.01, 0.1]
    assert [one.cells for one in clean.planted] == [5, 50]
    assert "cell-gan-leaks-calibrated" in clean.planted[1].found_by
    assert "would NOT find them" in clean.to_text() or clean.planted[0].found_by


def test_a_type_that_is_learned_by_heart_is_named() -> None:
    kinds = TRAIN.cells["kind"].to_numpy()
    own = planted(TRAIN.take(kinds == "type 2"), np.random.default_rng(0))
    others = REAL.take(cells_of(500, 3).cells["kind"].to_numpy() != "type 2")
    found = audited(bare(joined(own, others)))
    assert [one.label for one in found.types if one.exposed] == ["type 2"]
    assert found.types[0].label == "type 2"  # the one with the fewest training cells
    assert found.types[0].nearest_training > found.types[0].nearest_holdout


def test_intervals_contain_their_values(clean: ExpressionAuditResult, leaky: ExpressionAuditResult) -> None:
    estimates = [one for audit in (clean, leaky) for risk in audit.risks.values() for one in risk.estimates.values()]
    estimates += [one.auc for audit in (clean, leaky) for one in audit.types if one.auc.applies]
    assert len(estimates) > 20
    assert all(one.low <= one.value <= one.high for one in estimates)


def test_each_risk_has_the_measures_that_its_attack_promises(clean: ExpressionAuditResult) -> None:
    for name, attack in EXPRESSION_ATTACKS.items():
        assert all((attack.title, attack.source, attack.threat, attack.reading, attack.lies))
        if clean[name].estimates:
            assert set(clean[name].estimates) == set(attack.measures)
            assert next(iter(clean[name].estimates)) == next(iter(attack.measures))


# ------------------------------------------------------------ what must not matter


def numbers(audit: ExpressionAuditResult) -> dict[str, list[float]]:
    return {name: [one.value for one in risk.estimates.values()] for name, risk in audit.risks.items()}


def test_the_order_of_cells_and_of_genes_does_not_matter(clean: ExpressionAuditResult) -> None:
    rng = np.random.default_rng(0)
    mixed = [cells.take(rng.permutation(len(cells))) for cells in (TRAIN, REAL, HOLDOUT)]
    mixed[1] = mixed[1].of_genes(rng.permutation(len(REAL.genes)))
    again = audit_expression(mixed[0], mixed[1], mixed[2], label="kind", limits=LIMITS)
    assert numbers(again) == numbers(clean)


def test_sparse_cells_give_what_dense_ones_give(clean: ExpressionAuditResult) -> None:
    dense = [replace(cells, values=cells.dense()) for cells in (TRAIN, REAL, HOLDOUT)]
    again = audit_expression(dense[0], dense[1], dense[2], label="kind", limits=LIMITS)
    for name, values in numbers(again).items():
        assert values == pytest.approx(numbers(clean)[name], abs=0.005)


def case_of(train: ExpressionSet) -> ExpressionCase:
    read = read_cells(train, REAL, HOLDOUT, donor=None, label=None, limits=LIMITS, seed=0)
    assert read.case is not None
    return read.case


def test_the_space_knows_nothing_of_the_cells_that_are_accused() -> None:
    one, other = case_of(TRAIN), case_of(cells_of(500, 9))
    assert np.array_equal(one.space().loadings, other.space().loadings)
    fitted = fit_space(one.synthetic, one.reference, LIMITS)
    assert np.array_equal(fitted.genes, one.space().genes)


def test_accused_and_reference_cells_are_parted() -> None:
    case = case_of(TRAIN)
    assert len(case.nonmembers) + len(case.reference) == len(HOLDOUT)
    assert not set(case.nonmembers.cells.index) & set(case.reference.cells.index)


def test_other_values_than_counts_are_audited_too() -> None:
    sets = [replace(cells, values=np.log1p(cells.dense()), measure="log") for cells in (TRAIN, REAL, HOLDOUT)]
    assert not audit_expression(sets[0], sets[1], sets[2], limits=LIMITS).disclosures
    copies = planted(sets[0], np.random.default_rng(0))
    assert ((copies.values == 0) == (sets[0].values == 0)).mean() > 0.99
    assert audit_expression(sets[0], copies, sets[2], limits=LIMITS)["cell-copies"].outcome == "disclosure"


# ------------------------------------------------------------ what cannot be told


def test_without_held_out_cells_nothing_is_attacked() -> None:
    found = audited(REAL, holdout=None, policy="internal-test-data")
    assert {risk.outcome for risk in found.risks.values()} == {"not applicable"}
    assert not found.passed


def test_few_cells_are_not_enough_evidence() -> None:
    found = audited(REAL.take(np.arange(100)))
    assert found["cell-copies"].outcome == "inconclusive"
    assert "Not enough evidence" in found["cell-copies"].note
    none = audited(REAL.take(np.arange(5)))
    assert none["cell-copies"].outcome == "not applicable"
    assert none.types == none.planted == ()


def test_held_out_cells_that_were_trained_on_are_left_out_or_refused() -> None:
    overlap = joined(TRAIN.take(np.arange(60)), HOLDOUT)
    found = audited(REAL, holdout=overlap, label=None)
    assert found.duplicates is not None
    assert (found.duplicates.exact, found.duplicates.left_out) == (60, 60)
    with pytest.raises(DataError, match="500 of 500 held-out cells equal training cells"):
        audited(REAL, holdout=TRAIN)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"synthetic": REAL.take([])}, "there are no synthetic cells"),
        ({"synthetic": replace(REAL, measure="log")}, "the synthetic cells hold log, expected counts"),
        ({"synthetic": replace(REAL, genes=pd.DataFrame(index=map(str, range(80))))}, "the sets share 0 of 80 genes"),
        ({"synthetic": replace(REAL, genes=pd.DataFrame(index=["same"] * 80))}, "the gene 'same' is there twice"),
        ({"synthetic": replace(REAL, values=np.full((500, 80), np.nan))}, "hold values that are no numbers"),
        ({"label": "knd"}, "unknown column 'knd'; did you mean 'kind'"),
        ({"donor": "person"}, "unknown column 'person'"),
        ({"policy": "no-such"}, "no-such"),
    ],
)
def test_bad_input_is_told_in_one_sentence(change: dict[str, object], told: str) -> None:
    options = dict(change)
    synthetic = options.pop("synthetic", REAL)
    with pytest.raises(InputError, match=re.escape(told)):
        audited(synthetic, **options)  # type: ignore[arg-type]


# ------------------------------------------------------------ record, policies and reports


def test_the_record_is_json(clean: ExpressionAuditResult) -> None:
    content = json.loads(clean.to_json())
    assert content["kind"] == "expression"
    assert content["rows"] == {"real": 500, "held-out": 800, "synthetic": 500, "targets": 500}
    assert len(content["types"]) == 3


@pytest.mark.parametrize("name", POLICIES)
def test_every_shipped_policy_refuses_copies(name: str, leaky: ExpressionAuditResult) -> None:
    assert any(verdict.status == "not met" for verdict in load_expression_policy(name).verdicts(leaky))


def test_the_lenient_policy_lets_honest_cells_pass_and_the_strict_one_asks_for_donors(
    clean: ExpressionAuditResult,
) -> None:
    lenient = load_expression_policy("internal-test-data").verdicts(clean)
    assert not [verdict for verdict in lenient if verdict.status == "not met"]
    strict = load_expression_policy("public-release").verdicts(clean)
    assert "donors" in {verdict.gate for verdict in strict if verdict.status == "not met"}


def test_reports_say_the_same_and_promise_nothing(leaky: ExpressionAuditResult, tmp_path: Path) -> None:
    html, markdown = render_html(leaky), render_markdown(leaky)
    for text in (html, markdown, leaky.to_text(), leaky._repr_html_()):
        assert "Copied cells" in text or "copied cells" in text
        assert not re.search("anonymous|anonymised|compliant", text, re.IGNORECASE)
        assert TRAIN.cells.index[0] not in text
    assert "<script" not in html
    for part in ("What this audit would have found", "Types at risk", "Nearest cells", "Annotations of the file"):
        assert part in html
        assert part in markdown
    assert repr(leaky).startswith("ExpressionAuditResult(")
    write_report(leaky, tmp_path / "audit.json")
    assert json.loads((tmp_path / "audit.json").read_text())["passed"] is False
