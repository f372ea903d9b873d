"""KID, FID and the four coverage scores against their definitions, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from synthkit.errors import InputError
from synthkit.evaluation.scans.distances import _CHUNK, fid, kid, prdc
from synthkit.random import RandomSource


def points(n: int, width: int = 6, *, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return (RandomSource(seed).numpy(f"points {n}").normal(size=(n, width)) + shift).astype(np.float32)


def slow_kid(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (float(x @ y) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    within_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(kernel(x, y) for x in a for y in b) / (n * m)


@given(seed=st.integers(0, 100), n=st.integers(4, 12), m=st.integers(4, 12))
def test_kid_is_the_unbiased_discrepancy_of_the_cubic_kernel(seed: int, n: int, m: int) -> None:
    a, b = points(n, seed=seed), points(m, seed=seed + 1, shift=0.3)
    assert kid(a, b).value == pytest.approx(slow_kid(a, b), abs=1e-4)


def test_kid_of_many_scans_does_not_depend_on_the_chunks() -> None:
    a, b = points(_CHUNK + 7, 3), points(_CHUNK + 3, 3, seed=1)
    gram = [(x @ y.T / 3 + 1.0) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    within = [(one.sum() - np.trace(one)) / (len(one) * (len(one) - 1)) for one in gram[:2]]
    assert kid(a, b).value == pytest.approx(sum(within) - 2 * gram[2].mean(), abs=1e-3)


def test_the_standard_error_of_kid_is_the_jackknife_over_groups() -> None:
    a, b = points(30), points(26, seed=1, shift=0.5)
    own, others = np.arange(30) // 3, np.arange(26) // 2
    score = kid(a, b, groups=(own, others))
    # Half as many groups as patients: redo them as `_folds` draws them.
    from synthkit.evaluation.scans.distances import _folds

    variance = 0.0
    for name, patients, which in (("real", own, 0), ("synthetic", others, 1)):
        rng = RandomSource(0).numpy(name)
        rng.permutation(len(patients))
        folds = _folds(patients, rng)
        assert all(len(set(folds[patients == one])) == 1 for one in patients)
        left = [
            kid(a[folds != fold] if which == 0 else a, b[folds != fold] if which == 1 else b).value
            for fold in range(folds.max() + 1)
        ]
        variance += (len(left) - 1) / len(left) * ((np.array(left) - np.mean(left)) ** 2).sum()
    assert score.details["standard error"] == pytest.approx(np.sqrt(variance), rel=1e-3)
    assert score.low < score.value < score.high


def test_kid_of_halves_of_one_source_is_about_zero_and_of_a_shift_is_not() -> None:
    a, b, c = points(400, 20), points(400, 20, seed=1), points(400, 20, seed=2, shift=0.4)
    same, other = kid(a, b), kid(a, c)
    assert same.low < 0 < same.high
    assert other.low > same.high


def test_kid_of_copies_is_not_above_that_of_other_scans() -> None:
    a = points(200, 20)
    assert kid(a, a).value < kid(a, points(200, 20, seed=1)).value
    assert fid(a, a).value == pytest.approx(0, abs=1e-6)


@given(seed=st.integers(0, 50), width=st.integers(1, 5))
def test_fid_is_the_frechet_distance_of_normal_distributions(seed: int, width: int) -> None:
    a, b = points(40, width, seed=seed), 2 * points(30, width, seed=seed + 1, shift=0.2)
    moments = [(x.astype(float).mean(axis=0), np.atleast_2d(np.cov(x.astype(float), rowvar=False))) for x in (a, b)]
    (mean_a, cov_a), (mean_b, cov_b) = moments
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * linalg.sqrtm(cov_a @ cov_b).real)
    score = fid(a, b)
    assert score.value == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert "40 real and 30 synthetic scans" in score.note


def test_fid_of_few_scans_is_far_above_zero_for_one_source() -> None:
    few, many = (fid(points(n, 50), points(n, 50, seed=1)).value for n in (60, 2000))
    assert few > 5 * many


def test_coverage_sees_a_collapse_that_precision_does_not() -> None:
    real = points(300, 8)
    repeated = points(10, 8, seed=1)[np.arange(300) % 10]
    good, bad = prdc(real, points(300, 8, seed=2)), prdc(real, repeated)
    assert bad["coverage"].high < good["coverage"].low
    assert bad["recall"].high < good["recall"].low
    assert bad["precision"].value > 0.5 * good["precision"].value


def test_coverage_draws_equally_many_of_either_kind() -> None:
    scores = prdc(points(300), points(100, seed=1))
    assert {score.n for score in scores.values()} == {100}
    assert all(score.low <= score.value <= score.high for score in scores.values())


def test_copies_score_perfectly() -> None:
    real = points(100)
    assert [prdc(real, real)[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]


@pytest.mark.parametrize("score", [kid, fid, prdc])
def test_what_cannot_be_compared_is_refused(score: object) -> None:
    with pytest.raises(InputError, match="expected \\[n, F\\] with the same F"):
        score(points(10, 3), points(10, 4))  # type: ignore[operator]
    with pytest.raises(InputError, match="there are 10 real and 3 synthetic scans"):
        score(points(10), points(3))  # type: ignore[operator]
