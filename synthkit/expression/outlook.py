"""What a fit of gene expression will take, told before it is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_START_SECONDS = 60.0  # training in the latent space, whose length does not depend on the matrix
_SECONDS_PER_VALUE = 1.5e-6  # passes over stored values: normalising, directions, moments
_BASE_BYTES = 400 * 2**20  # Python, torch, and the networks
_LATENT = 64  # directions that are kept
_COPIES = 3  # of what is as long as cells or genes in these directions: codes, their errors, work space
_VALUE_BYTES = 8  # a value and the column it lies in


@dataclass(frozen=True)
class ExpressionOutlook:
    """What a fit will take.

    Attributes
    ----------
    n_cells, n_genes, n_stored
        Cells, genes, and values other than zero.
    seconds
        Time of a fit on two cores.
    memory_bytes
        Largest memory that it holds at a time.
    """

    n_cells: int
    n_genes: int
    n_stored: int
    seconds: float
    memory_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return dict(vars(self))

    def describe(self) -> str:
        """Return a sentence."""
        minutes = self.seconds / 60
        said = f"{minutes:,.0f} minutes" if minutes >= 1.5 else "about a minute"
        return f"a fit takes {said} and {self.memory_bytes / 2**30:,.1f} GiB of memory, roughly"


def expression_outlook(n_cells: int, n_genes: int, n_stored: int) -> ExpressionOutlook:
    """Estimate time and memory of a fit.

    Parameters
    ----------
    n_cells, n_genes
        Of the matrix.
    n_stored
        Values other than zero; all of them where it is dense.
    """
    seconds = _START_SECONDS + _SECONDS_PER_VALUE * n_stored
    matrix = 2 * _VALUE_BYTES * n_stored  # as it is read, and normalised
    latent = _COPIES * _LATENT * 8 * (n_cells + 2 * n_genes)
    return ExpressionOutlook(n_cells, n_genes, n_stored, seconds, _BASE_BYTES + matrix + latent)
