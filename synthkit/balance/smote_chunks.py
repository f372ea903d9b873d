"""imbalanced-learn's SMOTE-NC in bounded memory."""

from __future__ import annotations

from typing import Any

from imblearn.over_sampling import SMOTENC
from scipy import sparse
from sklearn.utils import check_random_state


class ChunkedSMOTENC(SMOTENC):  # type: ignore[misc]
    """imbalanced-learn's SMOTE-NC, which makes its rows in chunks.

    The original holds one indicator of every label for every neighbour of every new row at once: 5 GB for 80,000 rows
    with 2,400 labels. With a single chunk the rows are those of the original, bit by bit; with more, only ties between
    labels are broken by other draws.

    Parameters
    ----------
    categorical_features
        Places of the categories.
    chunk_rows
        Rows made at a time.
    random_state
        Seed.
    k_neighbors
        Neighbours to interpolate with.
    """

    random_state: Any

    def __init__(
        self, categorical_features: Any, *, chunk_rows: int, random_state: int | None = None, k_neighbors: int = 5
    ) -> None:
        super().__init__(categorical_features, random_state=random_state, k_neighbors=k_neighbors)
        self.chunk_rows = chunk_rows

    def _generate_samples(
        self, X: Any, nn_data: Any, nn_num: Any, rows: Any, cols: Any, steps: Any, y_type: Any, y: Any = None
    ) -> Any:
        seed = self.random_state
        parts = []
        # one stream for all chunks: ties are not broken in the same order in each
        self.random_state = check_random_state(seed)
        try:
            for start in range(0, len(rows), self.chunk_rows):
                part = slice(start, start + self.chunk_rows)
                made = super()._generate_samples(X, nn_data, nn_num, rows[part], cols[part], steps[part], y_type, y)
                parts.append(sparse.csr_matrix(made))
        finally:
            self.random_state = seed
        return sparse.vstack(parts, format="csr")
