from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate

import synthkit
from synthkit.balance.balancer import Balancer
from synthkit.tables.gan import TableGAN

ROWS = 400


def quick(**options: object) -> Balancer:
    gan = TableGAN(time_budget=None, refine=False, adversary="off", n_codes=8, verbose=False)
    return Balancer(gan, **{"random_state": 0, **options})


def interpolating(**options: object) -> Balancer:
    return Balancer(**{"smallest": 10_000, "random_state": 0, **options})


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(
        ROWS, 6, n_informative=4, n_classes=3, weights=[0.2, 0.3, 0.5], n_clusters_per_class=1, random_state=0
    )
    return X, y


def table(arrays: tuple[np.ndarray, np.ndarray]) -> tuple[pd.DataFrame, pd.Series]:
    X, y = arrays
    random = np.random.default_rng(0)
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"]).assign(
        town=pd.Categorical(random.choice(["Bern", "Basel"], ROWS), categories=["Basel", "Bern", "Genf"]),
        count=pd.array(np.where(X[:, 4] > 1, pd.NA, np.round(X[:, 4] * 10)), dtype="Int64"),
        day=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(X[:, 5] * 100), unit="D"),
        sure=X[:, 3] > 0,
    )
    frame.loc[frame["a"] > 2, "a"] = np.nan
    frame.index = pd.Index(range(10_000, 10_000 + ROWS))
    return frame, pd.Series(np.array(["no", "maybe", "yes"])[y], index=frame.index, name="answer", dtype="category")


@pytest.fixture
def silent() -> object:
    """Interpolation warns; here it is asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "too few real rows", UserWarning)
        yield None


@pytest.mark.parametrize("make", [quick, interpolating])
@pytest.mark.usefixtures("silent")
def test_a_table_keeps_its_rows_and_types(arrays: tuple, make: type[Balancer]) -> None:
    X, y = table(arrays)
    X_res, y_res = make().fit_resample(X, y)
    assert X_res.dtypes.to_dict() == X.dtypes.to_dict()
    assert y_res.dtype == y.dtype
    assert y_res.name == "answer"
    pd.testing.assert_frame_equal(X_res.head(ROWS), X.reset_index(drop=True))
    pd.testing.assert_series_equal(y_res.head(ROWS), y.reset_index(drop=True))
    assert set(y_res.value_counts()) == {y.value_counts().max()}
    assert X_res.index.equals(y_res.index)


@pytest.mark.parametrize("make", [quick, interpolating])
@pytest.mark.usefixtures("silent")
def test_an_array_keeps_its_rows_and_type(arrays: tuple, make: type[Balancer]) -> None:
    X, y = arrays[0].astype(np.float32), arrays[1].astype(np.int8)
    X_res, y_res = make().fit_resample(X, y)
    assert (X_res.dtype, y_res.dtype) == (X.dtype, y.dtype)
    np.testing.assert_array_equal(X_res[:ROWS], X)
    np.testing.assert_array_equal(y_res[:ROWS], y)
    real = {row.tobytes() for row in X}
    assert not any(row.tobytes() in real for row in X_res[ROWS:])


def test_seeds_repeat(arrays: tuple) -> None:
    first, again, other = (quick(random_state=seed).fit_resample(*arrays)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.usefixtures("silent")
def test_a_random_state_of_numpy_repeats_too_and_goes_on(arrays: tuple) -> None:
    state = np.random.RandomState(0)
    first, second = (interpolating(random_state=state).fit_resample(*arrays)[0] for _ in range(2))
    again = interpolating(random_state=np.random.RandomState(0)).fit_resample(*arrays)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


COUNTS = Counter(make_classification(ROWS, 6, n_informative=4, n_classes=3, weights=[0.2, 0.3, 0.5],
                                     n_clusters_per_class=1, random_state=0)[1].tolist())  # fmt: skip
MOST = max(COUNTS.values())


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", dict.fromkeys(COUNTS, MOST)),
        ("not majority", dict.fromkeys(COUNTS, MOST)),
        ("all", dict.fromkeys(COUNTS, MOST)),
        ("minority", {**COUNTS, 0: MOST}),
        ("not minority", {**COUNTS, 1: MOST}),
        ({0: 300, 2: 301}, {**COUNTS, 0: 300, 2: 301}),
        (lambda y: {1: int((y == 1).sum()) + 7}, {**COUNTS, 1: COUNTS[1] + 7}),
    ],
)
@pytest.mark.usefixtures("silent")
def test_strategies_are_those_of_imbalanced_learn(arrays: tuple, strategy: object, expected: dict[int, int]) -> None:
    y_res = interpolating(sampling_strategy=strategy).fit_resample(*arrays)[1]
    assert Counter(y_res.tolist()) == expected


@pytest.mark.usefixtures("silent")
def test_a_number_is_the_ratio_of_two_classes(arrays: tuple) -> None:
    X, y = arrays[0], arrays[1] == 0
    counts = Counter(interpolating(sampling_strategy=0.5).fit_resample(X, y)[1].tolist())
    assert counts[True] == int(0.5 * counts[False])
    with pytest.raises(ValueError, match="remove samples"):
        interpolating(sampling_strategy=0.05).fit_resample(X, y)


def test_what_was_done_is_reported(arrays: tuple) -> None:
    balancer = quick()
    X_res, _ = balancer.fit_resample(*arrays)
    assert balancer.report_["synthetic"] == len(X_res) - ROWS
    assert balancer.report_["fitted"]
    assert {one["name"]: one["added"] for one in balancer.report_["groups"]} == {
        str(label): MOST - count for label, count in COUNTS.items()
    }
    assert balancer.generator_.schema_.target == "target"
    assert not hasattr(balancer.generator, "_fitted")


def test_small_classes_are_interpolated_and_it_is_said() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(110, 3)), np.array([0] * 100 + [1] * 10)
    balancer = Balancer(random_state=0)
    with pytest.warns(UserWarning, match=r"'1' \(10 rows\); new rows are interpolated"):
        X_res, y_res = balancer.fit_resample(X, y)
    assert Counter(y_res.tolist()) == {0: 100, 1: 100}
    assert balancer.generator_ is None
    assert balancer.report_["groups"][1]["source"] == "interpolation"
    low, high = X[100:].min(axis=0), X[100:].max(axis=0)
    assert ((X_res[110:] >= low) & (X_res[110:] <= high)).all()


def test_numbers_are_balanced_by_quantile(arrays: tuple) -> None:
    X = table(arrays)[0][["a", "b", "town"]]
    y = pd.Series(np.round(2 * X["b"].to_numpy() + X["a"].fillna(0).to_numpy(), 3), name="size")
    balancer = quick(quantiles=(0.15, 0.85))
    X_res, y_res = balancer.fit_resample(X, y)
    assert y_res.name == "size"
    assert X_res.dtypes.to_dict() == X.dtypes.to_dict()
    np.testing.assert_array_equal(y_res.head(ROWS), y)
    low, high = np.sort(y)[[59, 339]]
    assert (y_res <= low).sum() == (y_res > high).sum() == 280
    assert list(balancer.sampling_strategy_) == [0, 2]
    only_low = quick(quantiles=(0.15, 0.85), sampling_strategy={0: 100}).fit_resample(X, y)[1]
    assert len(only_low) == ROWS + 40
    assert quick(quantiles=(0.5,)).fit(X, y).sampling_strategy_ is not None


def test_it_works_in_a_pipeline_and_balances_training_rows_only(arrays: tuple) -> None:
    X, y = arrays[0], arrays[1] == 0
    model = make_pipeline(quick(smallest=20), LogisticRegression())
    scores = cross_validate(model, X, y, cv=2, scoring="average_precision", error_score="raise")
    assert (scores["test_score"] > 0.3).all()
    model.fit(X, y)
    assert len(model.predict(X)) == ROWS
    assert model[0].report_["rows"] == ROWS


def test_clone_and_parameters() -> None:
    balancer = quick(rejection=0.1, moves=2, quantiles=(0.5,))
    copy = clone(balancer)
    assert copy.get_params(deep=False).keys() == {
        "generator", "moves", "quantiles", "random_state", "rejection", "sampling_strategy", "smallest",
    }  # fmt: skip
    assert copy.get_params()["generator__n_codes"] == 8
    assert copy.set_params(generator__n_codes=4).generator.n_codes == 4
    assert balancer.generator.n_codes == 8


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X, y: (sparse.csr_matrix(X), y), TypeError, "Sparse data was passed.*toarray"),
        (lambda X, y: (np.where(X > 2, np.inf, X), y), ValueError, "infinity"),
        (lambda X, y: (X, np.zeros(len(y))), ValueError, "1 class"),
        (lambda X, y: (X, np.where(np.arange(len(y)) == 0, 9, y)), ValueError, "class '9' has one row"),
        (lambda X, y: (X, y[:-1]), ValueError, "inconsistent numbers of samples"),
        (lambda X, y: (X, X[:, 0]), ValueError, "Unknown label type"),
        (lambda X, y: (pd.DataFrame(X[:, :2], columns=["a", "a"]), y), ValueError, "two columns 'a'"),
    ],
)
def test_bad_input_is_told(arrays: tuple, change: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Balancer().fit_resample(*change(*arrays))  # type: ignore[operator]


@pytest.mark.parametrize(
    "options",
    [{"rejection": 1.0}, {"smallest": 1}, {"moves": -1}, {"generator": 3}, {"sampling_strategy": 1.5}],
    ids=str,
)
def test_bad_parameters_are_told(arrays: tuple, options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Balancer(**options).fit_resample(*arrays)


def test_numbers_that_are_missing_are_told(arrays: tuple) -> None:
    X, y = arrays[0], arrays[0][:, 0].copy()
    y[0] = np.nan
    with pytest.raises(ValueError, match=r"NaN|no finite numbers"):
        quick(quantiles=(0.5,)).fit_resample(X, y)


def test_names_that_are_no_text_come_back(arrays: tuple) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "too few real rows", UserWarning)
        X_res, _ = interpolating().fit_resample(pd.DataFrame(arrays[0]), arrays[1])
    assert list(X_res.columns) == list(range(6))


@pytest.mark.usefixtures("silent")
def test_numbers_of_rows_do_not_tell_which_rows_are_new() -> None:
    """The classifier sees them: were they unique, all new ones would lie beyond the real ones."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({"number": np.arange(300), "x": random.normal(size=300)})
    y = np.arange(300) % 5 == 0
    for balancer in (quick(), interpolating()):
        X_res, _ = balancer.fit_resample(X, y)
        assert X_res["number"].between(0, 299).all()
        assert X_res["number"].dtype == X["number"].dtype


def test_it_is_public() -> None:
    assert synthkit.Balancer is Balancer
