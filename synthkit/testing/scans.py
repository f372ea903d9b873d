"""Contract checks for generators of scans.

Whoever writes a generator with the interface of `synthkit.scans.gan.ScanGAN` can run all of them on a few small scans:

>>> from synthkit.testing import check_scan_synthesizer
>>> check_scan_synthesizer(lambda: ScanGAN(steps=5, random_state=0), scans)  # doctest: +SKIP
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from synthkit.errors import ConditionError, InputError
from synthkit.io.scan_set import ScanSet
from synthkit.testing.checks import Check, require, run_checks
from synthkit.testing.estimators import (
    keeps_its_arguments,
    nothing_before_fit,
    odd_numbers_are_refused,
    refused,
    saved_and_loaded,
)

Make = Callable[[], Any]
_SCANS = 12


def check_scan_synthesizer(make: Make, scans: ScanSet, **fit: Any) -> None:
    """Run all contract checks.

    Parameters
    ----------
    make
        Returns a new generator, not fitted, with a fixed seed and settings that suit a few small scans.
    scans
        Some 20 to 200 small scans, with or without labels and masks.
    fit
        Further arguments of ``fit``, such as ``target``.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected.
    """
    run_checks(scan_synthesizer_checks(make, scans, **fit))


def scan_synthesizer_checks(make: Make, scans: ScanSet, **fit: Any) -> Iterator[Check]:
    """Name and function of each check; parameters as for `check_scan_synthesizer`. They share one fitted generator.

    Generators that make scans from scans are held to what does not draw.
    """
    case = _Case(make, scans, fit)
    checks = (
        _keeps_its_arguments,
        _refuses_before_fit,
        _leaves_the_scans_alone,
        _drawn_scans_look_like_the_scans,
        _any_number_of_scans,
        _seeds_decide,
        _same_fit_again,
        _stream_of_batches,
        _conditions_hold,
        _unknown_conditions_are_refused,
        _model_file_keeps_everything,
        _balance_keeps_real_scans,
    )
    for check in checks:
        yield check.__name__.strip("_").replace("_", " "), partial(check, case)


def check_drawn(real: ScanSet, drawn: ScanSet, n: int) -> None:
    """Hold drawn scans against the form of real ones: number, size, dtype, limits, classes, masks.

    Raises
    ------
    AssertionError
        Naming what differs.
    """
    require(len(drawn) == n, f"{len(drawn)} scans, expected {n}")
    require(drawn.size == real.size, f"the size is {drawn.size}, expected {real.size}")
    require(drawn.channels == real.channels, f"{drawn.channels} channels, expected {real.channels}")
    require(drawn.images.dtype == real.images.dtype, f"the dtype is {drawn.images.dtype}, not {real.images.dtype}")
    require(drawn.form == real.form, f"the form is {drawn.form}, expected {real.form}")
    low, high = (float(end) for end in (real.images.min(), real.images.max()))
    low, high = min(low, real.form.limits[0]), max(high, real.form.limits[1])
    if n:
        require(np.isfinite(drawn.images).all(), "there are values that are no numbers")
        inside = low <= float(drawn.images.min()) and float(drawn.images.max()) <= high
        require(inside, f"values reach from {drawn.images.min()} to {drawn.images.max()}, expected {low} to {high}")
    require(drawn.patients is None, "synthetic scans name patients")
    require(len(set(drawn.names)) == n, "scans have no names, or the same")
    if drawn.classes:
        require(set(drawn.classes) <= set(real.classes), f"the classes are {drawn.classes}")
        require(drawn.labels is not None, "there are classes and no labels")
    if real.masks is None:
        require(drawn.masks is None, "there are masks, and the real scans have none")
    elif drawn.masks is not None:
        values = set(np.unique(real.masks).tolist()) | {0}
        require(set(np.unique(drawn.masks).tolist()) <= values, f"masks have values beyond {sorted(values)}")


@dataclass
class _Case:
    """What the checks share: how to make a generator, the scans, and one generator fitted to them."""

    make: Make
    scans: ScanSet
    more: dict[str, Any]
    _fitted: list[Any] = field(default_factory=list)

    @property
    def fitted(self) -> Any:
        if not self._fitted:
            self._fitted.append(self.fit())
        return self._fitted[0]

    def fit(self) -> Any:
        return self.make().fit(self.scans, **self.more)

    @property
    def draws(self) -> bool:
        """Whether it draws from noise."""
        return bool(self.fitted._learned().draws)


def _same(one: ScanSet, other: ScanSet) -> bool:
    """Whether two sets are the same to the byte."""
    parts = ((one.images, other.images), (one.labels, other.labels), (one.masks, other.masks))
    alike = all(a is b is None or (a is not None and b is not None and np.array_equal(a, b)) for a, b in parts)
    return alike and one.names == other.names and one.classes == other.classes


# ------------------------------------------------------------------------------------------------------- the checks


def _keeps_its_arguments(case: _Case) -> None:
    keeps_its_arguments(case.make())


def _refuses_before_fit(case: _Case) -> None:
    made = case.make()
    nothing_before_fit(made, case.scans)
    require(not hasattr(made, "classes_"), "there are classes before fit")
    if getattr(made, "privacy", None) is None:  # under a budget, an error would tell how many scans there are
        for few in (0, 3):
            message = refused(InputError, partial(made.fit, case.scans.take(slice(0, few)), **case.more), "few scans")
            require(str(few) in message, f"the error about {few} scans does not say so: {message}")


def _leaves_the_scans_alone(case: _Case) -> None:
    before = case.scans.images.copy()
    made = case.make()
    fitted = made.fit(case.scans, **case.more)
    require(fitted is made, "fit does not return self")
    require(np.array_equal(case.scans.images, before), "fit changes the scans")
    samples = case.scans.channels * int(np.prod(case.scans.size))
    require(fitted.n_features_in_ == samples, f"n_features_in_ is {fitted.n_features_in_}, expected {samples}")
    require(fitted.size_ == case.scans.size, f"size_ is {fitted.size_}, expected {case.scans.size}")
    require(fitted.form_ == case.scans.form, f"form_ is {fitted.form_}")
    json.dumps(fitted.report_)
    for name in ("scans", "held_out", "seconds", "peak_memory_mb", "left_out"):
        require(name in fitted.report_, f"the report has no {name!r}")
    case._fitted[:] = [fitted]


def _drawn_scans_look_like_the_scans(case: _Case) -> None:
    if not case.draws:
        refused(InputError, lambda: case.fitted.sample(1), "drawing from a model that needs scans")
        return
    drawn = case.fitted.sample(_SCANS, random_state=1)
    check_drawn(case.scans, drawn, _SCANS)
    require((drawn.masks is None) == (case.scans.masks is None), "masks are lost")


def _any_number_of_scans(case: _Case) -> None:
    if not case.draws:
        return
    for n in (0, 1, 7):
        check_drawn(case.scans, case.fitted.sample(n, random_state=1), n)
        require(sum(map(len, case.fitted.iter_sample(n))) == n, f"iter_sample({n}) has another number of scans")
    odd_numbers_are_refused(case.fitted)


def _seeds_decide(case: _Case) -> None:
    if not case.draws:
        return
    first, again, other = (case.fitted.sample(_SCANS, random_state=seed) for seed in (3, 3, 4))
    require(_same(first, again), "the same seed gives other scans")
    require(not np.array_equal(first.images, other.images), "another seed gives the same scans")
    fresh = [case.fitted.sample(_SCANS) for _ in range(2)]
    require(not np.array_equal(fresh[0].images, fresh[1].images), "without a seed the scans are always the same")


def _same_fit_again(case: _Case) -> None:
    if case.fitted.get_params().get("random_state") is None:
        return
    again = case.fit()
    for name, weights in case.fitted._learned().learned.weights().items():
        others = again._learned().learned.weights()[name]
        for key, value in weights.items():
            require(np.array_equal(value.numpy(), others[key].numpy()), f"a second fit has other weights: {name} {key}")


def _stream_of_batches(case: _Case) -> None:
    if not case.draws:
        return
    batches = list(case.fitted.iter_sample(_SCANS, random_state=1, batch=5))
    require([len(batch) for batch in batches] == [5, 5, 2], "batches are not of the size asked for")
    names = [name for batch in batches for name in batch.names]
    require(len(set(names)) == _SCANS, "batches repeat names")
    whole = next(iter(case.fitted.iter_sample(_SCANS, random_state=1, batch=_SCANS)))
    require(_same(whole, case.fitted.sample(_SCANS, random_state=1)), "one batch differs from sample of the same seed")


def _conditions_hold(case: _Case) -> None:
    if not case.draws:
        return
    classes = case.fitted.classes_
    for name in classes:
        drawn = case.fitted.sample(5, where={"label": name}, random_state=1)
        require(all(drawn.classes[label] == name for label in drawn.labels), f"where label={name!r} does not hold")
    if len(classes) > 1:
        drawn = case.fitted.sample(20, where={"label": list(classes[:2])}, random_state=2)
        found = {drawn.classes[label] for label in drawn.labels}
        require(found <= set(classes[:2]), f"where label in {classes[:2]} gives {found}")


def _unknown_conditions_are_refused(case: _Case) -> None:
    if not case.draws:
        return
    for n in (0, 1):
        refused(ConditionError, partial(case.fitted.sample, n, where={"no such": 1}), "an unknown condition")
        for name in case.fitted.classes_[:1] or ("anything",):
            wrong = {"label": f"{name}_"}
            message = refused(ConditionError, partial(case.fitted.sample, n, where=wrong), "an unknown class")
            require(name in message or not case.fitted.classes_, f"the error does not name {name!r}: {message}")
            refused(ConditionError, partial(case.fitted.iter_sample, n, where=wrong), "an unknown class in iter_sample")
    refused(ConditionError, partial(case.fitted.sample, 1, where={"label": []}), "a condition that allows no class")


def _model_file_keeps_everything(case: _Case) -> None:
    loaded = saved_and_loaded(case.fitted)
    require(loaded.space_ == case.fitted.space_, "a loaded model has another space")
    if case.draws:
        one, two = (model.sample(_SCANS, random_state=6) for model in (case.fitted, loaded))
        require(_same(one, two), "a loaded model draws other scans")


def _balance_keeps_real_scans(case: _Case) -> None:
    if not case.draws:
        return
    scans = case.scans
    if not case.fitted.classes_ or len(set(np.asarray(scans.labels).tolist())) < 2:
        refused(InputError, lambda: case.fitted.balance(scans), "balance without classes")
        return
    before = scans.images.copy()
    found = case.fitted.balance(scans, random_state=1)
    require(np.array_equal(scans.images, before), "balance changes the scans")
    require(np.array_equal(found.images[: len(scans)], before), "balance changes the real scans")
    require(found.labels[: len(scans)].tolist() == np.asarray(scans.labels).tolist(), "balance changes the labels")
    counts = {name: n for name, n in scans.counts().items() if n}
    reached = {name: n for name, n in found.counts().items() if n}
    require(set(reached.values()) == {max(counts.values())}, f"balanced classes have {reached}, had {counts}")
    require(_same(found, case.fitted.balance(scans, random_state=1)), "the same seed balances otherwise")
    rarest = min(counts, key=lambda name: counts[name])
    more = case.fitted.balance(scans, counts={rarest: counts[rarest] + 3}, random_state=1)
    require(len(more) == len(scans) + 3, f"{len(more)} scans, expected three more than {len(scans)}")
    require(all(more.classes[label] == rarest for label in more.labels[-3:]), "the added scans are of another class")
