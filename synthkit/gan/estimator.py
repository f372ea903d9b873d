"""What estimators of tables and of scans share: what was learned, whether it is there, and how settings are kept."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Generic, Protocol, Self, TypeVar

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from synthkit.errors import InputError
from synthkit.html_table import Showing


class Learned(Protocol):
    """What a fit leaves: at least its report."""

    report: dict[str, Any]


Fitted = TypeVar("Fitted", bound=Learned)


class Synthesizer(Showing, BaseEstimator, Generic[Fitted]):  # type: ignore[misc]
    """An estimator that keeps what it learned in one record, and its settings as it was given them.

    A subclass names what it learns from in `_LEARNS` and settings that are paths in `_PATHS`.
    """

    _LEARNS = "data"
    _PATHS: tuple[str, ...] = ("log", "ledger")

    def _learned(self) -> Fitted:
        fitted: Fitted | None = getattr(self, "_fitted", None)
        if fitted is None:
            raise NotFittedError(
                f"this {type(self).__name__} has not learned {self._LEARNS} yet: call fit or load first"
            )
        return fitted

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` or `load` was called."""
        return getattr(self, "_fitted", None) is not None

    @property
    def report_(self) -> dict[str, Any]:
        """What the fit did."""
        return self._learned().report

    def _stored_settings(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them, for a model file."""
        settings: dict[str, Any] = self.get_params(deep=False)
        for name in self._PATHS:
            settings[name] = None if settings[name] is None else str(settings[name])
        settings["privacy"] = None if settings["privacy"] is None else settings["privacy"].to_json()
        return settings

    @classmethod
    def _with_settings(cls, fitted: Fitted, settings: Mapping[str, Any], features: int) -> Self:
        """Return a fitted estimator; settings of a model file that this version does not know are passed over."""
        known = set(cls._get_param_names())
        model = cls(**{name: value for name, value in settings.items() if name in known})
        model._fitted = fitted
        model.n_features_in_ = features
        return model


def is_whole(value: object) -> bool:
    """Whether a value is a whole number: numpy's are, truth values are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole_count(n: int, of: str) -> int:
    """Return how many are asked for.

    Raises
    ------
    InputError
        It is no whole number from 0.
    """
    if not is_whole(n) or n < 0:
        raise InputError(f"the number of {of} is {n!r}, expected a whole number from 0")
    return int(n)
