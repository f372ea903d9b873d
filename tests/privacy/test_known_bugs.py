"""Bugs that were found in published libraries, put back in one at a time: each must be noticed by a check.

The list is that of `research/privacy.md`. Where each is noticed:

- sensitivity 2C, penalty left unclipped, noise dropped or halved, everybody in every step: the canary audit
  (`test_canaries.py`) and the neighbour laws of clipping (`test_clipping.py`, `test_critic_step.py`);
- noise dropped, sensitivity halved in a mechanism: its contract (`tests/contract/test_mechanisms.py`);
- exact category counts or row numbers in a model file: the linter (`test_linter.py`);
- a fixed batch accounted as a Poisson sample, a batch used again, a domain from the data, a score on real rows: here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from private_tables import FreeTable, private, public_features, steps_of, two_columns

from synthkit import PrivacyBudget, Schema, TableGAN
from synthkit.errors import PrivacyError
from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.privacy.adversary import PrivateAdversaryStage
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.sampling import PoissonSampler
from synthkit.random import RandomSource
from synthkit.schema import Column
from synthkit.tables import private_fit

ROWS, SHARE, DRAWS = 400, 0.1, 400


class FixedBatches(PoissonSampler):
    """As loaders do it: the rows in random order, cut into batches of one size."""

    _waiting = np.zeros(0, np.int64)

    def draw(self, probability: float, noise: NoiseSource) -> Any:
        size = round(probability * ROWS)
        if len(self._waiting) < size:
            self._waiting = noise.permutation(ROWS)
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        return batch


class UsedAgain(PoissonSampler):
    """The same batch for five critic steps."""

    _left = 0

    def draw(self, probability: float, noise: NoiseSource) -> Any:
        if not self._left:
            self._batch, self._left = super().draw(probability, noise), 5
        self._left -= 1
        return self._batch


def looks_like_poisson_sampling(sampler: PoissonSampler) -> None:
    """Sizes vary like a binomial, and one step says nothing about the next."""
    noise = NoiseSource(reproducible_seed=3)
    taken = np.zeros((DRAWS, ROWS), bool)
    for step in range(DRAWS):
        taken[step, sampler.draw(SHARE, noise)] = True
    sizes = taken.sum(1)
    expected = ROWS * SHARE * (1 - SHARE)
    if abs(sizes.var() / expected - 1) > 5 * np.sqrt(2 / DRAWS):
        raise AssertionError(f"sizes vary by {sizes.var():.1f}, expected {expected:.1f}")
    both = (taken[1:] & taken[:-1]).mean()
    if abs(both - SHARE**2) > 5 * SHARE / np.sqrt(DRAWS * ROWS):
        raise AssertionError(f"{both:.4f} of the rows are in two steps in a row, expected {SHARE**2:.4f}")


def test_the_sampler_is_a_poisson_sampler() -> None:
    looks_like_poisson_sampling(PoissonSampler(ROWS))


@pytest.mark.parametrize(("wrong", "said"), [(FixedBatches, "sizes vary"), (UsedAgain, "two steps in a row")])
def test_other_samplers_are_noticed(wrong: type[PoissonSampler], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        looks_like_poisson_sampling(wrong(ROWS))


# -- a domain from the data -------------------------------------------------------------------------------------------

SCHEMA = Schema(
    (
        Column(name="age", type="integer", dtype="int64", minimum=18, maximum=90),
        Column(name="town", type="categorical", dtype="object", categories=("Bern", "Basel"), nullable=True),
    ),
    domain="declared",
    records=300,
)


def people(poison: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(18, 91, 300), "town": rng.choice(["Bern", "Basel"], 300)}).astype(object)
    frame.loc[0, "age"], frame.loc[1, "town"] = 90 if poison is None else poison, poison
    return frame


def fits_do_not_depend_on_a_cell_outside_the_domain() -> None:
    drawn = []
    for poison in (None, 10_000):
        gan = TableGAN(
            privacy=PrivacyBudget(5.0, 1e-6), n_codes=20, random_state=0, verbose=False, reproducible_noise=0
        )
        drawn.append(gan.fit(people(poison), schema=SCHEMA).sample(200, random_state=0))
    if not drawn[0].equals(drawn[1]):
        raise AssertionError("a cell outside the domain changed the model")


def test_a_cell_outside_the_domain_changes_nothing() -> None:
    fits_do_not_depend_on_a_cell_outside_the_domain()


def bounds_from_the_data(plain: Callable[..., Any]) -> Callable[..., Any]:
    def fitted(fit: private_fit.PrivateTableFit, frame: pd.DataFrame) -> Any:
        highest = int(pd.to_numeric(frame["age"]).max())
        fit.columns[0].column = replace(fit.columns[0].column, maximum=highest)
        return plain(fit, frame)

    return fitted


def labels_from_the_data(plain: Callable[..., Any]) -> Callable[..., Any]:
    def fitted(fit: private_fit.PrivateTableFit, frame: pd.DataFrame) -> Any:
        found = tuple(dict.fromkeys(str(cell) for cell in frame["town"].dropna()))
        fit.columns[1].column = replace(fit.columns[1].column, categories=found)
        return plain(fit, frame)

    return fitted


@pytest.mark.parametrize("bug", [bounds_from_the_data, labels_from_the_data])
def test_a_domain_from_the_data_is_noticed(
    bug: Callable[[Callable[..., Any]], Callable[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_fit.PrivateTableFit, "run", bug(private_fit.PrivateTableFit.run))
    with pytest.raises(AssertionError, match="outside the domain"):
        fits_do_not_depend_on_a_cell_outside_the_domain()


# -- a score on real rows ---------------------------------------------------------------------------------------------


def test_early_stopping_on_real_rows_is_refused_by_the_guard() -> None:
    rows, _ = private(two_columns(500))
    event = steps_of(steps=5)

    class Peeking(PrivateAdversaryStage):
        def evaluate(self) -> float:
            return -float(np.abs(np.mean(rows["codes"]) - 0.5))  # type: ignore[index]

    stage = Peeking(
        FreeTable(), public_features(), rows, event, NoiseSource(reproducible_seed=0), RandomSource(0), records=500
    )
    with pytest.raises(PrivacyError, match="outside a recorded event"):
        Trainer(Budget()).run(stage)
