"""`Balancer`: an over-sampler of imbalanced-learn whose rows come from a generator of tables."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from synthkit.balance.groups import Group, ResampleError, check_quantiles, range_groups
from synthkit.balance.table import (
    REJECTION,
    SMALLEST,
    Settings,
    fill_groups,
    stacked,
    stop_if_interrupted,
    warn_of_interpolation,
)
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables.variation import MOVES

_SEEDS = 2**31 - 1


class Balancer(BaseOverSampler):  # type: ignore[misc]
    """Over-sampling with synthetic rows from a generator of tables.

    A new row starts at a real one of its class and moves a few steps under the law that the generator learned from the
    whole table. Rows that an out-of-fold classifier finds unlike their class, and rows that copy a real one, are
    rejected and drawn again. Classes too small for a generator are interpolated between neighbours, with a warning.

    Parameters
    ----------
    generator : TableGAN, optional
        Unfitted; a clone of it is fitted to ``X`` and ``y`` together. `TableGAN()` when absent.
    sampling_strategy : float, str, dict or callable
        As in imbalanced-learn. A number is the size of the rare class against the other, of two classes. "auto" and
        "not majority" bring all classes to the size of the largest, "minority" the smallest class only; "not minority"
        and "all" speak for themselves. A dict has the wanted number of rows of each class; a callable takes ``y`` and
        returns one.
    quantiles : sequence of float, optional
        For a target that is a number: it is cut into ranges at these quantiles, and the ranges are balanced as classes
        are. (0.1, 0.9) fills up both ends. ``sampling_strategy`` then speaks of the ranges, numbered from 0.
    smallest : int
        Classes with fewer real rows are interpolated.
    rejection : float
        Share of the real rows of a class, from 0 to below 1, that fall short of the limit for generated ones: a row is
        rejected that trees which tell the class from all others, and which did not learn from the row it started at,
        find less like the class. 0 rejects no row for that.
    moves : int
        Steps from a real row to a new one; 0 draws new rows from scratch.
    random_state : int, RandomState or None
        Seed. The generator gets one that follows from it, unless it has its own.

    Attributes
    ----------
    sampling_strategy_ : dict
        Rows that were wanted, by class, or by the number of the range.
    generator_ : TableGAN or None
        The fitted generator; None if no class needed it.
    report_ : dict
        What was made and what was rejected, JSON-safe.
    n_features_in_ : int
        Columns of ``X``.
    feature_names_in_ : ndarray
        Their names, where all are text.

    Notes
    -----
    Like every over-sampler of imbalanced-learn it acts in `fit_resample` only, so that a pipeline of imbalanced-learn
    balances the rows that it is fitted to and no others. Sparse matrices are refused. Missing cells are fine.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> model = make_pipeline(Balancer(random_state=0), HistGradientBoostingClassifier())  # doctest: +SKIP
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 - scikit-learn's convention
        **BaseOverSampler._parameter_constraints,
        "generator": [HasMethods(["fit", "sample"]), None],
        "quantiles": ["array-like", None],
        "smallest": [Interval(Integral, 2, None, closed="left")],
        "rejection": [Interval(Real, 0, 1, closed="left")],
        "moves": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        generator: Any = None,
        *,
        sampling_strategy: float | str | Mapping[Any, int] | Any = "auto",
        quantiles: Sequence[float] | None = None,
        smallest: int = SMALLEST,
        rejection: float = REJECTION,
        moves: int = MOVES,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.generator = generator
        self.quantiles = quantiles
        self.smallest = smallest
        self.rejection = rejection
        self.moves = moves
        self.random_state = random_state

    # ------------------------------------------------------------------ imbalanced-learn's contract
    def fit(self, X: Any, y: Any, **params: Any) -> Balancer:
        """Check the input and how many rows are wanted; `fit_resample` does the work."""
        if self.quantiles is None:
            super().fit(X, y, **params)
            return self
        self._validate_params()
        X, numbers = self._check_numbers(X, y)
        self._range_groups(numbers)
        return self

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """Add synthetic rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Numbers, text, categories and dates; missing cells are fine.
        y : array-like of shape (n_samples,)
            Classes; numbers with ``quantiles``.

        Returns
        -------
        X_resampled, y_resampled
            The given rows, first and unchanged, then the synthetic ones; of the types that were given.

        Raises
        ------
        ValueError
            Wrong parameters, fewer than two classes, a class of one row that is to grow, or a strategy that would need
            removal.
        """
        if self.quantiles is None:
            resampled: tuple[Any, Any] = super().fit_resample(X, y, **params)
            return resampled
        from imblearn.utils._validation import ArraysTransformer

        self._validate_params()
        original = ArraysTransformer(X, y)
        X, numbers = self._check_numbers(X, y)
        groups = self._range_groups(numbers)
        table, names, target = self._table(X)
        table[target] = numbers.to_numpy()
        table = self._filled(table, target, groups)
        X_resampled, y_resampled = original.transform(self._like(table[names], X), table[target].to_numpy())
        return X_resampled, y_resampled

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> tuple[Any, Any, bool]:
        y, binarized = check_target_type(y, indicate_one_vs_all=True)
        X = self._checked(X)
        validate_data(self, X=X, y=y, reset=True, skip_check_array=True)
        check_consistent_length(X, y)
        return X, y, binarized

    def _check_numbers(self, X: Any, y: Any) -> tuple[Any, pd.Series[Any]]:
        """The checked features, and a numeric target."""
        numbers = pd.Series(column_or_1d(y, warn=False))
        X = self._checked(X)
        validate_data(self, X=X, y=numbers, reset=True, skip_check_array=True)
        check_consistent_length(X, numbers)
        if numbers.dtype == object:
            numbers = pd.to_numeric(numbers, errors="coerce")
        if not pd.api.types.is_numeric_dtype(numbers.dtype) or not np.isfinite(numbers.to_numpy(dtype=float)).all():
            raise ResampleError("y has cells that are no finite numbers", remedy="leave their rows out")
        return X, numbers

    def _range_groups(self, numbers: pd.Series[Any]) -> list[Group]:
        """Ranges of the target, with the rows that the sampling strategy wants of each."""
        from imblearn.utils import check_sampling_strategy

        groups = range_groups(numbers, "y", check_quantiles(list(self.quantiles or ())))
        owner = np.empty(len(numbers), dtype=np.int64)
        for code, group in enumerate(groups):
            owner[group.rows] = code
        self.sampling_strategy_ = check_sampling_strategy(self.sampling_strategy, owner, self._sampling_type)
        return [
            Group(group.name, group.condition, group.rows, int(self.sampling_strategy_.get(code, 0)))
            for code, group in enumerate(groups)
        ]

    def _fit_resample(self, X: Any, y: npt.NDArray[Any]) -> tuple[Any, Any]:
        table, names, target = self._table(X)
        classes, codes = np.unique(y, return_inverse=True)
        labels = [f"class {place}" for place in range(len(classes))]
        table[target] = pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(labels))
        groups = []
        for place, label in enumerate(classes):
            rows = np.flatnonzero(codes == place).astype(np.int64)
            wanted = int(self.sampling_strategy_.get(label, 0))
            if wanted and len(rows) < 2:
                raise ResampleError(
                    f"class {str(label)!r} has one row, expected at least two to make others from",
                    remedy="leave it out, merge it with another class, or leave it out of sampling_strategy",
                )
            groups.append(Group(str(label), labels[place], rows, wanted))
        table = self._filled(table, target, groups)
        return self._like(table[names], X), classes[table[target].cat.codes.to_numpy()]

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn and imbalanced-learn which input is fine: text and missing cells, but nothing sparse."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        return tags

    # ------------------------------------------------------------------ tables
    def _filled(self, table: pd.DataFrame, target: str, groups: list[Group]) -> pd.DataFrame:
        """The table with the wanted rows."""
        begun = time.monotonic()
        random = self._random()
        settings = Settings(self.smallest, self.rejection, self.moves)
        rare = [group for group in groups if group.wanted and len(group.rows) < self.smallest]
        schema = _without_row_numbers(Schema.infer(table, target=target))
        self.generator_ = None
        if any(group.wanted and len(group.rows) >= self.smallest for group in groups):
            self.generator_ = self._generator(random).fit(table, schema=schema, target=target)
            stop_if_interrupted(self.generator_)
        parts, reports = fill_groups(table, target, groups, schema, self.generator_, settings, random)
        if rare:
            warn_of_interpolation(rare, self.smallest)
        found = stacked(table, parts)
        self.report_ = {
            "rows": len(table),
            "synthetic": len(found) - len(table),
            "groups": [one.to_json() for one in reports],
            "fitted": self.generator_ is not None,
            "seconds": round(time.monotonic() - begun, 1),
        }
        return found

    def _generator(self, random: RandomSource) -> Any:
        from synthkit.tables.gan import TableGAN

        generator = TableGAN() if self.generator is None else clone(self.generator)
        parameters = generator.get_params() if hasattr(generator, "get_params") else {}
        if "random_state" in parameters and parameters["random_state"] is None:
            generator.set_params(random_state=random.integer("generator"))
        return generator

    def _random(self) -> RandomSource:
        if self.random_state is None or isinstance(self.random_state, Integral):
            return RandomSource(None if self.random_state is None else int(self.random_state))
        return RandomSource(int(check_random_state(self.random_state).randint(_SEEDS)))

    @staticmethod
    def _checked(X: Any) -> Any:
        """The features as a DataFrame or an array of two dimensions."""
        if sparse.issparse(X):
            raise TypeError(
                "Sparse data was passed, but Balancer works on dense tables. Use X.toarray() to make it dense."
            )
        if isinstance(X, pd.DataFrame):
            if not X.columns.is_unique:
                raise ResampleError(
                    f"X has two columns {X.columns[X.columns.duplicated()][0]!r}", remedy="rename one of them"
                )
            checked = X
        else:
            checked = check_array(X, dtype=None, ensure_all_finite="allow-nan")
        return checked

    @staticmethod
    def _table(X: Any) -> tuple[pd.DataFrame, list[str], str]:
        """A table with names of text, these names, and a name that is free for the target."""
        if isinstance(X, pd.DataFrame):
            texts = all(isinstance(name, str) for name in X.columns)
            names = [str(name) if texts else str(place) for place, name in enumerate(X.columns)]
            table = X.set_axis(names, axis=1).reset_index(drop=True)
            for name in names:
                if isinstance(table[name].dtype, pd.SparseDtype):
                    table[name] = pd.Series(table[name].to_numpy(), index=table.index)
        else:
            names = [str(place) for place in range(X.shape[1])]
            table = pd.DataFrame(X, columns=names)
            if X.dtype.kind not in "biuf":
                table = table.astype(object).infer_objects()
        target = "target"
        while target in names:
            target += "'"
        return table.copy(), names, target

    @staticmethod
    def _like(table: pd.DataFrame, X: Any) -> Any:
        """The table as what was given: an array of its dtype, or a DataFrame with its names."""
        if isinstance(X, pd.DataFrame):
            return table.set_axis(X.columns, axis=1)
        return table.to_numpy(dtype=X.dtype)


def _without_row_numbers(schema: Schema) -> Schema:
    """The schema with whole numbers that name rows taken for numbers like any other.

    A classifier sees them. New ones, which lie where real rows have left room, would tell it which rows are synthetic,
    and so which class they have.
    """
    for column in schema:
        if column.type == "identifier" and column.dtype.lower().startswith(("int", "uint", "float")):
            schema = schema.replace(column.name, type="integer")
    return schema
