from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from small_tables import related_rows

from synthkit.errors import ModelFileError
from synthkit.gan.boosting import FOLDS, TreeView
from synthkit.gan.layout import Layout
from synthkit.gan.prediction import TargetPredictor


def fitted(column, rows=3_000):
    layout, symbols, positions = related_rows(rows)
    view = TreeView(layout).rows(symbols, positions)
    folds = np.random.default_rng(1).integers(0, FOLDS, rows, dtype=np.int8)
    return TargetPredictor.fit(view, symbols, folds, layout, column, 0, 1), layout, symbols, positions, view, folds


def test_classes_are_predicted_as_chances_that_hold_on_new_rows():
    predictor, layout, *_ = fitted(1)
    assert predictor.classes == 3
    _, symbols, positions = related_rows(4_000, seed=7)
    view = TreeView(layout).rows(symbols, positions)
    law = np.exp(predictor.log_probabilities(predictor.predict(view, np.zeros(4_000, np.int8))))
    np.testing.assert_allclose(law.sum(axis=1), 1)
    for label in range(3):
        assert abs(law[:, label].mean() - (symbols[:, 1] == label).mean()) < 0.03
        assert roc_auc_score(symbols[:, 1] == label, law[:, label]) > 0.9


def test_two_classes_have_the_chances_of_their_odds():
    predictor = TargetPredictor(0, 2, [])
    law = np.exp(predictor.log_probabilities(np.array([[0.0], [2.0], [-800.0]], np.float32)))
    np.testing.assert_allclose(law, [[0.5, 0.5], [1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))], [1, 0]], atol=1e-9)


def test_a_number_is_told_by_its_expected_rank_and_the_distance_from_it():
    predictor, _, _, _, view, folds = fitted(0)
    assert predictor.classes == 0
    predicted = predictor.predict(view, folds)
    columns = predictor.columns(view, predicted)
    assert columns.shape == (len(view), predictor.width) == (len(view), 2)
    known = np.isfinite(view[:, 0])
    np.testing.assert_allclose(columns[known, 0] + columns[known, 1], view[known, 0], atol=1e-6)
    assert np.corrcoef(columns[known, 0], view[known, 0])[0, 1] > 0.8


@pytest.mark.parametrize("column", [0, 1], ids=["number", "label"])
def test_the_prediction_does_not_depend_on_the_rows_own_target(column):
    predictor, _, _, _, view, folds = fitted(column)
    changed = view.copy()
    changed[:, column] = 0.0
    np.testing.assert_array_equal(predictor.predict(view, folds), predictor.predict(changed, folds))


def test_a_row_is_predicted_by_the_model_that_did_not_see_it():
    """Labels by chance: nothing can be predicted of them unless it was learned by heart."""
    rng = np.random.default_rng(3)
    rows = 2_000
    symbols = np.stack([rng.integers(0, 40, rows), rng.integers(0, 2, rows)], 1).astype(np.int32)
    positions = rng.random(symbols.shape, dtype=np.float32)
    positions[:, 1] = 0.5
    layout = Layout.from_data([40, 2], [0, 2], symbols, positions)
    view = TreeView(layout).rows(symbols, positions)
    folds = rng.integers(0, FOLDS, rows, dtype=np.int8)
    predictor = TargetPredictor.fit(view, symbols, folds, layout, 1, 0, 1)
    own = roc_auc_score(symbols[:, 1], predictor.predict(view, folds)[:, 0])
    other = roc_auc_score(symbols[:, 1], predictor.predict(view, (folds + 1) % FOLDS)[:, 0])
    assert abs(own - 0.5) < 0.05
    assert other > 0.6


def test_too_few_rows_or_a_class_of_a_few_rows_are_not_predicted():
    assert fitted(1, rows=300)[0] is None
    layout, symbols, positions = related_rows(3_000)
    symbols[:, 1] = 0
    symbols[:5, 1] = 2
    layout = Layout.from_data([31, 3, 6], [1, 3, 0], symbols, positions)
    view = TreeView(layout).rows(symbols, positions)
    assert TargetPredictor.fit(view, symbols, np.zeros(3_000, np.int8), layout, 1, 0, 1) is None


def test_a_label_of_many_values_is_not_predicted():
    rng = np.random.default_rng(4)
    symbols = rng.integers(0, 12, (2_000, 2)).astype(np.int32)
    positions = np.full(symbols.shape, 0.5, np.float32)
    layout = Layout.from_data([12, 12], [12, 12], symbols, positions)
    view = TreeView(layout).rows(symbols, positions)
    assert TargetPredictor.fit(view, symbols, np.zeros(2_000, np.int8), layout, 0, 0, 1) is None


@pytest.mark.parametrize("column", [0, 1], ids=["number", "label"])
def test_saved_and_loaded_it_predicts_the_same(column):
    predictor, _, _, _, view, folds = fitted(column)
    again = TargetPredictor.load(predictor.fields(), predictor.texts())
    np.testing.assert_array_equal(predictor.predict(view, folds), again.predict(view, folds))
    lost = dict(list(predictor.texts().items())[1:])
    with pytest.raises(ModelFileError, match="predictors of the target"):
        TargetPredictor.load(predictor.fields(), lost)
