"""What the contract checks of every estimator share, whatever it learns: arguments, refusals, numbers, model files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from synthkit.errors import InputError
from synthkit.testing.checks import require


def refused(error: type[Exception], call: Callable[[], object], what: str) -> str:
    """The message of the error that ``call`` has to raise."""
    try:
        call()
    except error as raised:
        return str(raised)
    raise AssertionError(f"{what} went through, expected {error.__name__}")


def keeps_its_arguments(made: Any) -> None:
    """Require that the constructor of an estimator stores its arguments and does nothing else."""
    settings = made.get_params(deep=False)
    again = type(made)(**settings)
    for name, value in settings.items():
        require(getattr(again, name) is value, f"the constructor changes {name}={value!r}")
    copy = clone(made)
    require(copy is not made and copy.get_params() == made.get_params(), "clone has other settings")
    require(repr(made).startswith(type(made).__name__ + "("), f"repr is {made!r}")
    require(not vars(made).keys() - settings.keys(), f"the constructor sets {vars(made).keys() - settings.keys()}")


def nothing_before_fit(made: Any, *data: Any) -> None:
    """Require that an estimator that is not fitted neither saves, draws nor balances `data`, and reports nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.synth"
        refused(NotFittedError, lambda: made.save(path), "save before fit")
        require(not path.exists(), "save before fit leaves a file")
    refused(NotFittedError, lambda: made.sample(1), "sample before fit")
    refused(NotFittedError, lambda: list(made.iter_sample(1)), "iter_sample before fit")
    refused(NotFittedError, lambda: made.balance(*data), "balance before fit")
    require(not hasattr(made, "report_"), "there is a report before fit")


def odd_numbers_are_refused(fitted: Any) -> None:
    """Require that only a whole number from 0 can be asked for."""
    wrong: tuple[Any, ...] = (-1, 1.5, "3", None, True)
    for asked in wrong:
        refused(InputError, partial(fitted.sample, asked), f"sample({asked!r})")


def saved_and_loaded(fitted: Any) -> Any:
    """Return an estimator that went through a file; the file, the settings and the report have to stay the same."""
    with tempfile.TemporaryDirectory() as folder:
        path, second = Path(folder) / "one.synth", Path(folder) / "two.synth"
        fitted.save(path)
        loaded = type(fitted).load(path)
        loaded.save(second)
        require(path.read_bytes() == second.read_bytes(), "saving a loaded model gives another file")
    require(loaded.get_params() == fitted.get_params(), "a loaded model has other settings")
    require(json.dumps(loaded.report_) == json.dumps(fitted.report_), "a loaded model has another report")
    return loaded
