from __future__ import annotations

from collections.abc import Iterator

import pytest

from synthkit.evaluation.threads import few_threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Spare small fits the waiting of threads for each other, which is long on a busy machine."""
    with few_threads(0):
        yield
