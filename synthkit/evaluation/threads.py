"""How many threads the models of the scores may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Below this many rows a second thread gains little.
_WORTH_THREADS = 200_000


@contextmanager
def few_threads(n_rows: int) -> Iterator[None]:
    """Keep scikit-learn's boosted trees and neighbour searches on one thread while tables are small.

    Their threads wait for each other by spinning, thousands of times in a fit. Where another process wants one of the
    cores, two threads were measured to take ten times as long as one; on idle cores they save a third. The numbers do
    not depend on it.

    Parameters
    ----------
    n_rows
        Number of rows of the larger table.
    """
    # Only libraries that are loaded already can be told.
    import sklearn.ensemble
    import sklearn.neighbors  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1 if n_rows < _WORTH_THREADS else None):
        yield
