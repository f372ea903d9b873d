"""What a generator of expression knows of its training data besides the values: genes, conditions, and their shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synthkit.errors import ConditionError, DataError, InputError, unknown_name
from synthkit.expression.frames import frame_from_json, frame_to_json
from synthkit.expression.model import Wanted
from synthkit.io.expression_set import ExpressionSet, Measure
from synthkit.phrases import some_named

LIBRARY_SIZE = "library_size"
_LEVELS = np.linspace(0, 1, 33)


@dataclass(frozen=True, eq=False)
class ExpressionSpace:
    """Genes, classes, batches and covariates.

    Attributes
    ----------
    genes
        One row per gene, as in the training data.
    measure
        What the values are.
    labels
        Columns whose combinations of values are the classes; may be empty.
    classes
        One row per class that occurs, with the dtypes of the columns; one row without columns where there are none.
    batch
        Column of batches, or None.
    batches
        Values of it, one row each.
    covariates
        Columns of continuous covariates.
    joint
        Number of training cells of each class and batch, ``[classes, batches]``.
    quantiles
        Quantiles of each covariate in each class at 33 even levels, ``[covariates, classes, 33]``.
    scales
        Mean and standard deviation of each covariate, ``[covariates, 2]``.
    whole
        Whether each covariate holds whole numbers alone: ages in years, plates.
    """

    genes: pd.DataFrame
    measure: Measure
    labels: tuple[str, ...] = ()
    classes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(index=[0]))
    batch: str | None = None
    batches: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(index=[0]))
    covariates: tuple[str, ...] = ()
    joint: np.ndarray = field(default_factory=lambda: np.ones((1, 1), np.int64))
    quantiles: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, len(_LEVELS))))
    scales: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    whole: tuple[bool, ...] = ()

    @classmethod
    def of(
        cls, data: ExpressionSet, labels: Sequence[str], batch: str | None, covariates: Sequence[str]
    ) -> tuple[ExpressionSpace, Wanted]:
        """Learn the conditions of training data; return the space and the conditions of each cell.

        Raises
        ------
        InputError
            A column that is not there.
        DataError
            A missing value in one of the columns, or a covariate that is no number.
        """
        columns = [*labels, *([batch] if batch is not None else []), *covariates]
        for name in columns:
            if name not in data.cells.columns:
                raise InputError(
                    unknown_name("column of cells", name, map(str, data.cells.columns)),
                    remedy="Name a column of obs.",
                )
            missing = int(data.cells[name].isna().sum())
            if missing:
                raise DataError(
                    f"{missing} of {len(data)} cells have no {name!r}", remedy="Leave them out, or give them a value."
                )
        classes, class_of = _combinations(data.cells, labels)
        batches, batch_of = _combinations(data.cells, [batch] if batch is not None else [])
        values = _numbers(data.cells, covariates)
        joint = np.zeros((len(classes), len(batches)), np.int64)
        np.add.at(joint, (class_of, batch_of), 1)
        quantiles = np.zeros((len(covariates), len(classes), len(_LEVELS)))
        for at in range(len(classes)):
            quantiles[:, at] = np.quantile(values[class_of == at], _LEVELS, axis=0).T
        scales = np.stack([values.mean(0), values.std(0).clip(min=1e-6)], 1) if len(covariates) else np.zeros((0, 2))
        space = cls(
            data.genes,
            data.measure,
            tuple(labels),
            classes,
            batch,
            batches,
            tuple(covariates),
            joint,
            quantiles,
            scales,
            tuple(pd.api.types.is_integer_dtype(data.cells[name].dtype) for name in covariates),
        )
        return space, Wanted(class_of, batch_of, space.scaled(values))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return covariates ``[n, covariates]`` with mean 0 and standard deviation 1, float32."""
        return np.asarray((values - self.scales[:, 0]) / self.scales[:, 1], np.float32)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class: its value, or its values with a stroke between."""
        if not self.labels:
            return ("all",)
        return tuple(" / ".join(map(str, row)) for row in self.classes.itertuples(index=False))

    @property
    def class_counts(self) -> np.ndarray:
        """Number of training cells of each class."""
        counts: np.ndarray = self.joint.sum(1)
        return counts

    # -- conditions ---------------------------------------------------------------------------------------------------

    def allowed(self, where: Mapping[str, Any] | None) -> tuple[np.ndarray, float | None]:
        """Return the classes and batches that conditions leave, as weights ``[classes, batches]``, and a library size.

        Raises
        ------
        ConditionError
            An unknown column or value, or values that never occur together.
        """
        classes, batches = np.ones(len(self.classes), bool), np.ones(len(self.batches), bool)
        size: float | None = None
        for name, wanted in (where or {}).items():
            if name == LIBRARY_SIZE:
                size = _library_size(wanted, self.measure)
            elif name in self.labels:
                classes &= self._chosen(self.classes, name, wanted)
            elif name == self.batch:
                batches &= self._chosen(self.batches, name, wanted)
            else:
                known = [*self.labels, *([self.batch] if self.batch is not None else []), LIBRARY_SIZE]
                raise ConditionError(
                    f"the condition names an {unknown_name('column', name, known)}",
                    remedy="Condition on what the model was fitted with (--label, --batch).",
                )
        left = np.outer(classes, batches)
        if not left.any():
            said = ", ".join(f"{name}={value}" for name, value in (where or {}).items())
            raise ConditionError(f"no training cell has {said} together", remedy="Ask for labels that occur together.")
        weights = self.joint * left
        # a class that no training cell has in a batch: the model can draw it all the same
        return (weights if weights.any() else left).astype(np.float64), size

    @staticmethod
    def _chosen(rows: pd.DataFrame, name: str, wanted: Any) -> np.ndarray:
        values = [str(value) for value in rows[name]]
        asked = [str(one) for one in wanted] if isinstance(wanted, list | tuple | set) else [str(wanted)]
        for one in asked:
            if one not in values:
                raise ConditionError(
                    f"{name!r} has an {unknown_name('value', one, sorted(set(values)))}",
                    remedy="Ask for a value that the training cells have.",
                )
        return np.isin(values, asked)

    def drawn(self, n: int, where: Mapping[str, Any] | None, rng: np.random.Generator) -> Wanted:
        """Draw the conditions of new cells: classes and batches in their real proportions, covariates of the class.

        Raises
        ------
        ConditionError
            As for `allowed`.
        """
        weights, size = self.allowed(where)
        places = rng.choice(weights.size, n, p=(weights / weights.sum()).ravel())
        class_of, batch_of = np.divmod(places, weights.shape[1])
        values = np.empty((n, len(self.covariates)))
        for at in range(len(self.covariates)):
            level = rng.random(n)
            for c in np.unique(class_of):
                own = class_of == c
                values[own, at] = np.interp(level[own], _LEVELS, self.quantiles[at, c])
            if self.whole[at]:
                values[:, at] = np.round(values[:, at])
        depths = None if size is None else np.full(n, size)
        classes, batches = class_of.astype(np.int64), batch_of.astype(np.int64)
        representative = self.batch not in (where or {})
        return Wanted(classes, batches, self.scaled(values), depths, representative)

    def cells(self, wanted: Wanted, first: int = 0) -> pd.DataFrame:
        """Return the annotations of drawn cells: the columns of the conditions with their dtypes, numbered names."""
        parts = {name: self.classes[name].iloc[wanted.classes] for name in self.labels}
        if self.batch is not None:
            parts[self.batch] = self.batches[self.batch].iloc[wanted.batches]
        for at, name in enumerate(self.covariates):
            own = wanted.covariates[:, at].astype(np.float64) * self.scales[at, 1] + self.scales[at, 0]
            parts[name] = pd.Series(np.round(own).astype(np.int64) if self.whole[at] else own)
        names = [f"synthetic-{first + i + 1:06d}" for i in range(len(wanted))]
        return pd.DataFrame({name: part.array for name, part in parts.items()}, index=pd.Index(names))

    # -- model file ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for model files."""
        return {
            "genes": frame_to_json(self.genes),
            "measure": self.measure,
            "labels": list(self.labels),
            "classes": frame_to_json(self.classes),
            "batch": self.batch,
            "batches": frame_to_json(self.batches),
            "covariates": list(self.covariates),
            "joint": self.joint.tolist(),
            "quantiles": self.quantiles.tolist(),
            "scales": self.scales.tolist(),
            "whole": list(self.whole),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ExpressionSpace:
        """Read what `to_dict` returned."""
        n_classes = len(content["joint"])
        return cls(
            frame_from_json(content["genes"]),
            content["measure"],
            tuple(content["labels"]),
            frame_from_json(content["classes"]),
            content["batch"],
            frame_from_json(content["batches"]),
            tuple(content["covariates"]),
            np.array(content["joint"], np.int64),
            np.array(content["quantiles"], np.float64).reshape(-1, n_classes, len(_LEVELS)),
            np.array(content["scales"], np.float64).reshape(-1, 2),
            # files of version 1 do not say: their covariates come back as decimals
            tuple(content.get("whole", [False] * len(content["covariates"]))),
        )


def _combinations(cells: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the combinations of values that occur, with dtypes, and which one each cell has."""
    if not columns:
        return pd.DataFrame(index=[0]), np.zeros(len(cells), np.int64)
    own = cells[list(columns)]
    number = own.groupby(list(columns), observed=True, sort=True).ngroup().to_numpy(np.int64)
    first = np.unique(number, return_index=True)[1]
    return own.iloc[first].reset_index(drop=True), number


def _numbers(cells: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    wrong = [name for name in columns if not pd.api.types.is_numeric_dtype(cells[name].dtype)]
    if wrong:
        raise DataError(
            f"{some_named(wrong)} cannot be covariates: expected numbers, got {cells[wrong[0]].dtype}",
            remedy="Name columns of numbers, or use them as labels.",
        )
    return cells[list(columns)].to_numpy(np.float64).reshape(len(cells), len(columns))


def _library_size(wanted: Any, measure: Measure) -> float:
    if measure != "counts":
        raise ConditionError(f"{LIBRARY_SIZE} means nothing for {measure}", remedy="Leave the condition out.")
    try:
        size = float(wanted)
    except (TypeError, ValueError):
        size = float("nan")
    if not (np.isfinite(size) and size > 0):
        raise ConditionError(
            f"{LIBRARY_SIZE} is {wanted!r}, expected a number above 0",
            remedy="Give the counts of a cell, such as 5000.",
        )
    return size
