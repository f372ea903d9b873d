"""imbalanced-learn's and scikit-learn's own checks, of rows from a model and of interpolated ones."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from imblearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    check_samplers_fit_resample,
    check_samplers_multiclass_ova,
    check_samplers_preserve_dtype,
    check_samplers_sampling_strategy_fit_resample,
)
from imblearn.utils.estimator_checks import estimator_checks_generator as sampler_checks
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator as estimator_checks

from synthkit.balance.balancer import Balancer
from synthkit.tables.gan import TableGAN

pytestmark = pytest.mark.filterwarnings("ignore")

# Without trees that reject, so that the many small checks take seconds.
INTERPOLATING = Balancer(smallest=10_000, rejection=0.0, random_state=0)


def quick() -> Balancer:
    gan = TableGAN(time_budget=None, refine=False, adversary="off", n_codes=4, verbose=False)
    return Balancer(gan, random_state=0)


def every(checks: Any) -> Any:
    """All checks of a library, by name."""
    found = [check for _, check in checks(INTERPOLATING)]
    return pytest.mark.parametrize("check", found, ids=lambda check: check.func.__name__)


@every(sampler_checks)
def test_checks_of_imbalanced_learn(check: Any) -> None:
    assert check(clone(INTERPOLATING)) is None


@every(estimator_checks)
def test_checks_of_scikit_learn(check: Any) -> None:
    assert check(clone(INTERPOLATING)) is None


@pytest.mark.parametrize(
    "check",
    [
        check_samplers_fit_resample,
        check_samplers_sampling_strategy_fit_resample,
        check_samplers_multiclass_ova,
        check_samplers_preserve_dtype,
        check_param_validation,
        check_dataframe_column_names_consistency,
    ],
)
def test_checks_with_a_generator(check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert check("Balancer", quick()) is None
