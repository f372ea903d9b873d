from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tables import related_rows

from synthkit.errors import ModelFileError
from synthkit.gan.boosting import BoostedRatio, TreeSettings, TreeView, available_threads
from synthkit.gan.layout import Layout
from synthkit.gan.margins import rake
from synthkit.gan.refine import RefineSettings, RefineStage, two_sample_auc
from synthkit.gan.table import CodeTable
from synthkit.random import RandomSource

SETTINGS = RefineSettings(rounds=6, trees=TreeSettings(trees=8, leaves=15, threads=1))


def independent_codes(layout):
    """One code with the margins of the data: all that is left to refinement is how columns belong together."""
    return CodeTable(np.log(layout.share + 1e-6)[None].astype(np.float32), np.zeros(1), layout.sizes.tolist())


def make(rows=1_600, target=None, seed=1, settings=SETTINGS):
    layout, symbols, positions = related_rows(rows)
    held = rows // 4
    own = symbols[held:], positions[held:], symbols[:held], positions[:held]
    return layout, RefineStage(independent_codes(layout), layout, *own, settings, RandomSource(seed), target)


def auc(layout, fake, seed=9):
    _, symbols, positions = related_rows(1_600, seed=5)  # rows that no stage has seen
    return two_sample_auc(layout, (symbols, positions), fake, np.random.default_rng(seed), threads=1)


# chains start with the label drawn from its prediction, which alone brings them nearer
@pytest.mark.parametrize(("target", "far"), [(None, 0.8), (1, 0.62), (0, 0.8)], ids=["no target", "label", "number"])
def test_refinement_lowers_the_two_sample_auc(target, far):
    after = []
    for seed in (1, 2, 3):
        layout, stage = make(target=target, seed=seed)
        assert auc(layout, (stage.chains.symbols, stage.chains.positions)) > far
        for index in range(SETTINGS.rounds):
            figures = stage.step(index)
            assert 0 < figures["accepted"] <= 1
        stage.finish()
        after.append(auc(layout, (stage.chains.symbols, stage.chains.positions)))
    assert np.mean(after) < min(0.65, far - 0.05)


def test_the_score_comes_near_zero():
    _, stage = make()
    first = stage.evaluate()
    for index in range(SETTINGS.rounds):
        stage.step(index)
        last = stage.evaluate()
    assert first < -0.2
    assert last > first + 0.1
    assert last <= 0


@pytest.mark.parametrize("target", [None, 1], ids=["no target", "target"])
@pytest.mark.parametrize("evaluated", [False, True], ids=["before evaluation", "after evaluation"])
def test_a_stage_goes_on_exactly_where_its_state_was_taken(target, evaluated):
    _, one = make(800, target)
    for index in range(2):
        one.evaluate()
        one.step(index)
    if evaluated:
        one.evaluate()
    values, tensors = one.state()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    _, other = make(800, target)
    other.step(0)
    other.load_state(values, tensors)
    for index in (2, 3):
        assert one.evaluate() == other.evaluate()
        assert one.step(index) == other.step(index)
    one.finish()
    other.finish()
    for name, tensor in one.snapshot().items():
        assert torch.equal(tensor, other.snapshot()[name]), name


def test_the_state_is_json_and_tensors():
    import json

    _, stage = make(400)
    stage.step(0)
    stage.evaluate()
    values, tensors = stage.state()
    assert json.loads(json.dumps(values)) == values
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


def test_restore_goes_back_and_forgets_later_rounds():
    _, stage = make(800)
    stage.step(0)
    kept = stage.snapshot()
    stage.step(1)
    stage.step(2)
    stage.restore(kept)
    assert len(stage.ratio.rounds) == 1
    for name, tensor in stage.snapshot().items():
        assert torch.equal(tensor, kept[name]), name
    chains = stage.chains
    np.testing.assert_allclose(chains.energy, stage.ratio(chains.view, chains.symbols, chains.predicted), atol=1e-4)


def test_energies_are_those_of_the_ratio_after_every_round():
    _, stage = make(800)
    for index in range(3):
        stage.step(index)
        chains = stage.chains
        np.testing.assert_allclose(chains.energy, stage.ratio(chains.view, chains.symbols, chains.predicted), atol=1e-4)


def test_the_same_seed_gives_the_same_chains():
    one, two = make(400)[1], make(400)[1]
    for stage in (one, two):
        stage.step(0)
        stage.finish()
    np.testing.assert_array_equal(one.chains.symbols, two.chains.symbols)
    np.testing.assert_array_equal(one.chains.positions, two.chains.positions)


def margins(symbols, layout, weights=None):
    return np.concatenate(
        [np.bincount(symbols[:, c], weights, minlength=int(size)) for c, size in enumerate(layout.sizes)]
    ) / (len(symbols) if weights is None else weights.sum())


def test_raking_meets_every_margin():
    layout, symbols, _ = related_rows(4_000)
    rng = np.random.default_rng(0)
    lean = 1.0 + symbols[:, 1] + symbols[:, 2]
    skewed = symbols[rng.choice(len(symbols), 3_000, p=lean / lean.sum())]
    assert np.abs(margins(skewed, layout) - layout.share).max() > 0.05
    weights = rake(skewed, layout, 200)
    np.testing.assert_allclose(margins(skewed, layout, weights), layout.share, atol=1e-4)


def test_raking_rows_that_fit_changes_nothing():
    layout, symbols, _ = related_rows(1_000)
    np.testing.assert_allclose(rake(symbols, layout, 3), 1, atol=1e-9)


def test_raking_survives_symbols_that_are_not_there():
    layout, symbols, _ = related_rows(1_000)
    some = symbols[symbols[:, 1] != 2]
    weights = rake(some, layout, 3)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


def test_tilts_lead_the_margins_to_the_data():
    layout, stage = make(settings=replace(SETTINGS, chains=6_000))
    for index in range(SETTINGS.rounds):
        stage.step(index)
    assert np.abs(margins(stage.chains.symbols, layout) - layout.share).max() < 0.02
    stage.finish()
    assert np.abs(margins(stage.chains.symbols, layout) - layout.share).max() < 0.04


@pytest.mark.parametrize("rounds", [1, 4, 6], ids=["before", "when", "after"])
def test_chains_are_as_many_as_asked_for_in_the_end(rounds):
    layout, stage = make(settings=replace(SETTINGS, grown=2_300))
    for index in range(rounds):
        stage.step(index)
    assert len(stage.chains) == (1_000 if rounds < 4 else 2_300)
    stage.finish()
    chains = stage.chains
    assert len(chains) == 2_300
    np.testing.assert_allclose(chains.energy, stage.ratio(chains.view, chains.symbols, chains.predicted), atol=1e-4)
    assert auc(layout, (chains.symbols, chains.positions)) < 0.9


def test_copies_do_not_give_away_chains_that_trees_have_not_seen():
    """Copies of chains that do not move at all are told from real rows no better than their originals."""
    settings = replace(SETTINGS, grown=4_000, trees=replace(SETTINGS.trees, trees=40, leaves=63, min_rows=2))
    _, one = make(settings=settings)
    _, other = make(settings=settings)
    other._grow()
    assert len(other.chains) == 4_000
    assert other.auc == pytest.approx(one.auc, abs=0.03)


def test_chains_are_resampled_in_the_first_third_of_the_rounds_only():
    _, stage = make(800)
    stage.chains.folds = np.arange(len(stage.chains))  # stays with a chain, whatever happens to its row
    different = []
    for index in range(SETTINGS.rounds):
        stage.step(index)
        different.append(len(np.unique(stage.chains.folds)))
    assert different[0] < 1_000
    assert different[1] < different[0]
    assert len(set(different[1:])) == 1


# ------------------------------------------------------------------------------------------------- the two-sample test


def test_two_samples_of_one_source_cannot_be_told_apart():
    layout, symbols, positions = related_rows(1_600)
    assert auc(layout, (symbols, positions)) == pytest.approx(0.5, abs=0.04)


def test_a_column_of_other_values_is_found():
    layout, symbols, positions = related_rows(1_600)
    shuffled = symbols.copy()
    shuffled[:, 1] = np.random.default_rng(0).permutation(shuffled[:, 1])
    assert auc(layout, (shuffled, positions)) > 0.7


# ------------------------------------------------------------------------------------------------- trees and their view


def test_trees_survive_as_text():
    layout, stage = make(800)
    stage.step(0)
    stage.step(1)
    again = BoostedRatio(layout, threads=1)
    again.load(stage.ratio.texts(), stage.ratio.tilts)
    chains = stage.chains
    np.testing.assert_array_equal(
        again(chains.view, chains.symbols, chains.predicted), stage.ratio(chains.view, chains.symbols, chains.predicted)
    )
    assert again.texts() == stage.ratio.texts()


def test_names_of_many_rounds_keep_their_order():
    """File names sort as text."""
    _, stage = make(400)
    stage.step(0)
    stage.ratio.rounds = stage.ratio.rounds * 120
    names = list(stage.ratio.texts())
    assert names == sorted(names)


@pytest.mark.parametrize("text", ["", "tree\nnonsense", "tree\nversion=v4\nnum_class=1\n"])
def test_damaged_trees_are_refused(text):
    layout, _, _ = related_rows(100)
    with pytest.raises(ModelFileError, match="damaged"):
        BoostedRatio(layout).load({"trees-000.txt": text}, np.zeros(layout.width, np.float32))


def test_tilts_of_another_table_are_refused():
    layout, _, _ = related_rows(100)
    with pytest.raises(ModelFileError, match="tilts"):
        BoostedRatio(layout).load({}, np.zeros(3, np.float32))


def test_trees_see_ranks_labels_and_gaps():
    symbols = np.array([[0, 0], [1, 1], [2, 2], [3, 0]], np.int32)
    positions = np.array([[0.5, 0.5], [0.2, 0.5], [0.4, 0.5], [0.9, 0.5]], np.float32)
    layout = Layout.from_data([4, 3], [1, 3], symbols, positions)
    view = TreeView(layout)
    seen = view.rows(symbols, positions)
    np.testing.assert_allclose(seen[:, 0], [np.nan, (0 + 0.2) / 3, (1 + 0.4) / 3, (2 + 0.9) / 3], rtol=1e-6)
    np.testing.assert_array_equal(seen[:, 1], [0, 1, 2, 0])
    for column in (0, 1):
        np.testing.assert_array_equal(view.column(column, symbols[:, column], positions[:, column]), seen[:, column])


@pytest.mark.parametrize(("asked", "most"), [("1", 1), ("nonsense", 10**6), ("", 10**6), ("0", 10**6)])
def test_threads_follow_the_environment(monkeypatch, asked, most):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert 1 <= available_threads() <= most


# ---------- when it ends, and when the trees see the target


def test_it_does_not_end_before_half_of_its_rounds_and_then_only_very_close():
    _, stage = make(800)
    stage._distance = 0.0
    assert not stage.complete
    stage.ratio.rounds = [None] * (SETTINGS.rounds // 2)
    assert stage.complete
    stage._distance = 0.025
    assert not stage.complete
    stage.ratio.rounds = [None] * SETTINGS.rounds
    assert stage.complete
    stage._distance = 0.1
    assert not stage.complete


def splits(trees, column):
    return trees.feature_importance("split")[column]


def test_trees_split_on_a_predicted_label_in_every_third_round_only():
    _, stage = make(1_600, target=1)
    for index in range(6):
        stage.step(index)
    found = {number for number, trees in enumerate(stage.ratio.rounds) if splits(trees, 1) > 0}
    assert found
    assert found <= {2, 5}


def test_a_number_as_target_is_always_seen():
    _, stage = make(1_600, target=0)
    for index in range(3):
        stage.step(index)
    assert all(splits(trees, 0) > 0 for trees in stage.ratio.rounds)


def test_large_tables_show_the_trees_a_part_of_their_rows(monkeypatch):
    import synthkit.gan.refine as module

    shown = []
    fit = module.fit_trees
    monkeypatch.setattr(module, "fit_trees", lambda real, *rest: shown.append(len(real)) or fit(real, *rest))
    layout, symbols, positions = related_rows(1_600)
    own = symbols[400:], positions[400:], symbols[:400], positions[:400]
    settings = RefineSettings(rounds=2, real_rows=500, trees=TreeSettings(trees=4, leaves=7, threads=1))
    stage = RefineStage(independent_codes(layout), layout, *own, settings, RandomSource(1))
    stage.step(0)
    assert shown == [500]
