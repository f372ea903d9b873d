"""What can be done about a rare class before a model is trained: a registry, from the simplest to the least simple.

Every treatment gets the real training rows of a repeat and nothing else. It returns rows to learn from, real ones first
and unchanged.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.balance.features import Codes, FeatureMap, TrainingRows
from synthkit.errors import SynthkitError
from synthkit.random import RandomSource

NEIGHBOURS = 5
_NEW_CELLS = 40_000_000  # indicator cells that SMOTE-NC holds at a time: 320 MB
# Distances that ADASYN computes at most: half a minute on one core.
_MOST_DISTANCES = 500_000_000


class NotApplicable(SynthkitError):
    """A treatment that cannot be given to these rows; the message says why."""


@dataclass(frozen=True)
class Material:
    """What a treatment is given.

    Attributes
    ----------
    frame
        Real training rows with the target, missing cells and all.
    target
        Name of the target.
    classes
        The classes, as they are in the table, in the order of their codes; empty for a numeric target.
    rows
        The same rows, completed and coded.
    features
        How tables become features.
    random
        Source of every draw.
    time_budget
        The most time for fitting a generator.
    generator
        An unfitted `TableGAN` to use in place of one with its defaults.
    shared
        What treatments of the same repeat share: the fitted generator.
    """

    frame: pd.DataFrame
    target: str
    classes: tuple[Any, ...]
    rows: TrainingRows
    features: FeatureMap
    random: RandomSource
    time_budget: str | float | None = "1m"
    generator: Any = None
    shared: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def counts(self) -> Codes:
        """Rows of each class, shape [classes]."""
        return np.bincount(self.rows.target, minlength=len(self.classes))


@dataclass(frozen=True)
class Treatment:
    """One treatment.

    Attributes
    ----------
    name
        Its name on the command line.
    title
        Its name for readers.
    make
        Takes the material and returns the rows to learn from.
    classes, numbers
        Whether it applies to a target of classes, to a numeric one.
    fits
        Whether it fits a generator, which may use every thread.
    """

    name: str
    title: str
    make: Callable[[Material], TrainingRows]
    classes: bool = True
    numbers: bool = False
    fits: bool = False


# ------------------------------------------------------------ without new rows


def _nothing(material: Material) -> TrainingRows:
    return material.rows


def _weighted(material: Material) -> TrainingRows:
    """Let every class weigh the same in total."""
    weights = len(material.rows) / (len(material.classes) * material.counts)
    return replace(material.rows, weights=weights[material.rows.target])


def _repeated(material: Material) -> TrainingRows:
    """Repeat rows of the rarer classes, drawn at random, until every class has as many as the largest."""
    rng = material.random.numpy("over-sampling")
    target, counts = material.rows.target, material.counts
    drawn = [
        rng.choice(np.flatnonzero(target == code), counts.max() - count) for code, count in enumerate(counts) if count
    ]
    rows = np.concatenate(drawn)
    table = material.rows.table.take(rows)
    return material.rows.above(table.numbers, table.codes, target[rows])


# ------------------------------------------------------------ interpolation (imbalanced-learn)


def _neighbours(material: Material) -> int:
    """Return how many neighbours a row is interpolated with: fewer where a class is small."""
    smallest = int(material.counts.min())
    if smallest < 2:
        raise NotApplicable("a class has a single training row, which has no neighbour of its class")
    return min(NEIGHBOURS, smallest - 1)


def _interpolated(material: Material) -> TrainingRows:
    """SMOTE-NC on standardised numbers; SMOTE without categories, SMOTEN without numbers."""
    from imblearn.over_sampling import SMOTE, SMOTEN

    from synthkit.balance.smote_chunks import ChunkedSMOTENC

    rows, features = material.rows, material.features
    numbers, codes = features.standardised(rows.table), rows.table.codes
    seed, neighbours = material.random.integer("smote-nc"), _neighbours(material)
    width = numbers.shape[1]
    if width == 0:
        made, target = SMOTEN(random_state=seed, k_neighbors=neighbours).fit_resample(codes, rows.target)
    elif codes.shape[1] == 0:
        made, target = SMOTE(random_state=seed, k_neighbors=neighbours).fit_resample(numbers, rows.target)
    else:
        columns = list(range(width, width + codes.shape[1]))
        chunk = max(1, _NEW_CELLS // (neighbours * (width + sum(features.view.n_labels))))
        sampler = ChunkedSMOTENC(columns, chunk_rows=chunk, random_state=seed, k_neighbors=neighbours)
        made, target = sampler.fit_resample(np.hstack([numbers, codes]), rows.target)
    new = np.asarray(made[len(rows) :], dtype=np.float64)
    return rows.above(features.restored(new[:, :width]), _whole(new[:, width:]), target[len(rows) :])


def _adaptive(material: Material) -> TrainingRows:
    """ADASYN on standardised numbers and indicators; a new row takes the label with the larger indicator."""
    from imblearn.over_sampling import ADASYN

    rows, features = material.rows, material.features
    minority = int(material.counts.sum() - material.counts.max())
    if minority * len(rows) > _MOST_DISTANCES:
        raise NotApplicable(f"{minority:,} rare rows x {len(rows):,} rows are more distances than it is given time for")
    sampler = ADASYN(random_state=material.random.integer("adasyn"), n_neighbors=_neighbours(material))
    try:
        made, target = sampler.fit_resample(features.linear(rows.table), rows.target)
    except RuntimeError as error:  # no row of a class has a neighbour of another one
        raise NotApplicable("ADASYN needs rows of a class with neighbours of another, and there are none") from error
    except ValueError as error:  # imbalanced-learn rounds the rows that each row is due
        if "No samples will be generated" not in str(error):
            raise
        raise NotApplicable("a class lacks so few rows that ADASYN makes none") from error
    new, width = made[len(rows) :].tocsc(), rows.table.numbers.shape[1]
    starts = width + np.concatenate([[0], np.cumsum(features.view.n_labels)]).astype(np.int64)
    blocks = [new[:, low:high].tocsr().argmax(axis=1) for low, high in itertools.pairwise(starts)]
    codes = np.hstack([np.asarray(block).reshape(-1, 1) for block in blocks] or [np.empty((new.shape[0], 0))])
    return rows.above(features.restored(new[:, :width].toarray()), _whole(codes), target[len(rows) :])


def _whole(values: npt.NDArray[Any]) -> Codes:
    return np.round(values).astype(np.int64)


# ------------------------------------------------------------ TableGAN


def _fitted(material: Material) -> Any:
    """Return a `TableGAN` that learned the training rows, fitted once for all treatments of the repeat.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, at which a fit stops early and keeps its best state.
    """
    if "model" not in material.shared:
        from sklearn.base import clone

        from synthkit.balance.table import stop_if_interrupted
        from synthkit.tables.gan import TableGAN

        seed = material.random.integer("tablegan")
        unfitted = TableGAN(verbose=False, time_budget=material.time_budget)
        if material.generator is not None:
            unfitted = clone(material.generator)
        model = unfitted.set_params(random_state=seed).fit(material.frame, target=material.target)
        stop_if_interrupted(model)
        material.shared["model"] = model
    return material.shared["model"]


def _generated(material: Material, made: pd.DataFrame) -> TrainingRows:
    """Return the real rows, then rows of a table with the same columns."""
    table = material.features.code(made)
    return material.rows.above(table.numbers, table.codes, target_values(made[material.target], material.classes))


def balanced_by_gan(material: Material, *, smallest: int | None = None) -> TrainingRows:
    """Add synthetic rows of the rarer classes until every class has as many as the largest: `balance_table`.

    Parameters
    ----------
    material
        The training rows.
    smallest
        Classes with fewer rows are interpolated; as `balance_table` has it when absent.
    """
    from synthkit.balance.table import SMALLEST, balance_table

    seed = material.random.integer("tablegan-balance rows")
    with warnings.catch_warnings():
        # the result of the experiment says so, once
        warnings.filterwarnings("ignore", message="too few real rows for a model")
        balanced = balance_table(
            material.frame,
            material.target,
            model=_fitted(material),
            smallest=SMALLEST if smallest is None else smallest,
            random_state=seed,
        )
    return _generated(material, balanced.frame[balanced.synthetic])


def _augmented_by_gan(material: Material) -> TrainingRows:
    """As many synthetic rows of all classes, in their natural shares, as there are real ones."""
    model = _fitted(material)
    made = model.sample(len(material.frame), random_state=material.random.integer("tablegan-augment rows"))
    return _generated(material, made)


def target_values(target: pd.Series[Any], classes: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Return the code of each row's class, -1 for no class; without classes the numbers themselves; shape [rows]."""
    if not classes:
        return target.to_numpy(dtype=np.float64)
    return np.asarray(pd.Index(classes, dtype=object).get_indexer(pd.Index(target, dtype=object)), dtype=np.int64)


TREATMENTS: dict[str, Treatment] = {
    treatment.name: treatment
    for treatment in (
        Treatment("none", "as it is", _nothing, numbers=True),
        Treatment("weights", "class weights", _weighted),
        Treatment("oversampling", "over-sampling", _repeated),
        Treatment("smote-nc", "SMOTE-NC", _interpolated),
        Treatment("adasyn", "ADASYN", _adaptive),
        Treatment("tablegan-balance", "TableGAN, balance", balanced_by_gan, fits=True),
        Treatment("tablegan-augment", "TableGAN, augment", _augmented_by_gan, numbers=True, fits=True),
    )
}
"""Every treatment by name, from the simplest to the least simple: of equally good ones the first is recommended."""

CONTROL = "none"
