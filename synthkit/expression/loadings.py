"""Public loadings: the few directions of expression in which a private fit measures, from sources that are public.

Directions that are found in the private data are themselves private, and at thousands of genes against a thousand
people no useful budget pays for them. So they come from elsewhere: sets of genes that somebody published, a public
cohort, or chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synthkit.errors import DataError, InputError
from synthkit.expression.loadings_files import table_of, text_of
from synthkit.expression.normalise import log_normalised
from synthkit.io.expression_set import ExpressionSet
from synthkit.phrases import counted, some_named
from synthkit.random import RandomSource

Floats = NDArray[np.float64]

TARGET = 10_000.0
"""Counts that a cell is brought to before logarithms are taken: a public number, not the median of private cells."""
DIMENSIONS = 32
"""Directions that are taken of a public cohort unless asked otherwise."""
RANDOM = "random:"

_CELLS_AT_ONCE = 1000
_CELLS_PER_DIRECTION = 4  # of a cohort, at least: fewer make directions of single cells
_LEAST = 1e-6  # of the largest singular value, below which a direction repeats others


@dataclass(frozen=True, eq=False)
class PublicLoadings:
    """Orthonormal directions of log expression, and what is publicly known along them.

    Attributes
    ----------
    basis
        ``[genes, k]``, columns of norm 1 at right angles.
    scales
        Standard deviation along each direction in a public cohort, ``[k]``, in natural logarithms of counts per
        10,000; ones where none is known.
    levels
        Public mean of ``log(1 + counts per 10,000)`` of each gene, ``[genes]``; None where it is not known.
    source
        Where they come from, for the certificate.
    notes
        What was found on the way, a sentence each.
    partial
        Whether the directions leave out most of how classes differ, as random ones and sets of genes do.

    Raises
    ------
    InputError
        Shapes that do not fit together, values that are no numbers, or no direction at all.

    Privacy
    -------
    Nothing here may come from the private data; no method takes any. Who gives a cohort or a file says by that that it
    is public, and the certificate repeats it.
    """

    basis: Floats
    scales: Floats
    levels: Floats | None = None
    source: str = "given"
    notes: tuple[str, ...] = field(default=())
    partial: bool = False

    def __post_init__(self) -> None:
        """Refuse what are no loadings."""
        genes, k = self.basis.shape if self.basis.ndim == 2 else (0, 0)
        if not 1 <= k <= genes or self.scales.shape != (k,):
            raise InputError(
                f"public loadings have the shape {self.basis.shape} and {self.scales.size} scales, expected one column "
                "for each direction and no more of them than genes",
                remedy="Ask for fewer directions.",
            )
        parts = [self.basis, self.scales, *([] if self.levels is None else [self.levels])]
        if not all(np.isfinite(part).all() for part in parts) or self.scales.min() <= 0:
            raise InputError("public loadings hold values that are no numbers", remedy="Give finite numbers.")
        if not np.allclose(self.basis.T @ self.basis, np.eye(k), atol=1e-6):
            raise InputError("the directions of public loadings are not orthonormal", remedy="Use a constructor.")
        if self.levels is not None and (self.levels.shape != (genes,) or self.levels.min() < 0):
            raise InputError("public levels are one number from 0 for each gene", remedy="Give log(1 + CP10k).")

    @property
    def dimensions(self) -> int:
        """Number of directions k."""
        return int(self.basis.shape[1])

    @property
    def sha256(self) -> str:
        """Digest of directions and scales: of public numbers, so that it tells nothing private."""
        digest = hashlib.sha256()
        for part in (self.basis, self.scales):
            digest.update(np.ascontiguousarray(part, dtype="<f8").tobytes())
        return digest.hexdigest()

    # -- sources ------------------------------------------------------------------------------------------------------

    @classmethod
    def random(cls, dimensions: int, genes: Sequence[str], seed: int = 0) -> Self:
        """Draw directions by chance from a public seed.

        They keep `dimensions` parts in `genes` of any difference, so that most of it is lost: what a projection of
        this kind preserves is distances, not genes (Johnson and Lindenstrauss, 1984).

        Parameters
        ----------
        dimensions
            k, at most the number of genes.
        genes
            Ids.
        seed
            Public.

        Raises
        ------
        InputError
            More directions than genes, or none.
        """
        if not 1 <= dimensions <= len(genes):
            raise InputError(
                f"{dimensions} random directions of {counted(len(genes), 'gene')} were asked for",
                remedy="Ask for at least one and at most as many as there are genes, such as random:32.",
            )
        drawn = RandomSource(seed).child("public loadings").numpy("directions").normal(size=(len(genes), dimensions))
        basis = np.linalg.qr(drawn)[0]
        return cls(basis, np.ones(dimensions), None, f"{dimensions} random directions of the seed {seed}", partial=True)

    @classmethod
    def from_gmt(cls, path: str | Path, genes: Sequence[str]) -> Self:
        """Read sets of genes: each set is a direction in which its genes go up together.

        Parameters
        ----------
        path
            A GMT file: in each line a name, a description, and ids of genes, with tabs between (Liberzon et al. 2011,
            MSigDB).
        genes
            Ids of the genes of the private data, as the file writes them.

        Raises
        ------
        InputError
            A line that is no set, or no set with any of the genes.
        """
        place = {gene: at for at, gene in enumerate(genes)}
        rows, names, unknown = [], [], set()
        for number, line in enumerate(text_of(path).splitlines(), start=1):
            if not line.strip():
                continue
            name, *rest = line.rstrip("\n\r").split("\t")
            if len(rest) < 2:
                raise InputError(
                    f"line {number} of '{path}' is no set of genes: expected a name, a description and genes with tabs "
                    "between",
                    remedy="Give a GMT file.",
                )
            members = {gene.strip() for gene in rest[1:] if gene.strip()}
            known = [place[gene] for gene in members if gene in place]
            unknown |= members - set(place)
            if known:
                row = np.zeros(len(genes))
                row[known] = 1 / np.sqrt(len(known))
                rows.append(row)
                names.append(name)
        if not rows:
            raise InputError(
                f"no set of '{path}' has any of the {counted(len(genes), 'gene')}",
                remedy="Use the ids that the data has, such as symbols or Ensembl ids.",
            )
        matrix = np.stack(rows)
        without = int((matrix.sum(0) == 0).sum())
        basis = _orthonormal(matrix.T)
        notes = [
            f"{counted(len(names), 'set')} of genes span {counted(basis.shape[1], 'direction')}",
            f"{without:,} of {counted(len(genes), 'gene')} are in no set: they keep their level in every class and "
            "vary by themselves",
        ]
        if unknown:
            notes.append(
                f"{counted(len(unknown), 'gene')} of the sets are not in the data: {some_named(sorted(unknown))}"
            )
        return cls(basis, np.ones(basis.shape[1]), None, f"gene sets of {Path(path).name}", tuple(notes), True)

    @classmethod
    def from_table(cls, path: str | Path, genes: Sequence[str]) -> Self:
        """Read directions that were found in a public cohort: genes by directions.

        Parameters
        ----------
        path
            A .csv, .tsv or .parquet file, whose first column (or index) holds ids of genes and every other one is a
            direction; or an .npz file with the arrays ``genes`` and ``loadings``. A column or array ``level`` holds
            the public mean of ``log(1 + counts per 10,000)`` of each gene.
        genes
            Ids of the genes of the private data.

        Raises
        ------
        InputError
            The file is of another form, or has none of the genes.
        """
        table = table_of(Path(path))
        if table.index.has_duplicates:
            raise InputError(f"'{path}' has several rows for one gene", remedy="Keep one row for each gene.")
        levels: Floats | None = None
        found = table.index.isin(genes)
        own = table.reindex(list(genes)).fillna(0.0)
        if "level" in own.columns:
            levels = own.pop("level").to_numpy(np.float64)
        if not found.any() or not len(own.columns):
            raise InputError(
                f"'{path}' has loadings for none of the {counted(len(genes), 'gene')}",
                remedy="Give a column for each direction, and the ids that the data has.",
            )
        basis = _orthonormal(own.to_numpy(np.float64))
        missing = len(genes) - int(found.sum())
        return cls(
            basis, np.ones(basis.shape[1]), levels, f"loadings of {Path(path).name}",
            (_missing_note(missing, len(genes)),) if missing else (),
        )  # fmt: skip

    @classmethod
    def from_cohort(
        cls, cohort: ExpressionSet | str | Path, genes: Sequence[str], dimensions: int = DIMENSIONS
    ) -> Self:
        """Take the principal components of a cohort that is public.

        Parameters
        ----------
        cohort
            Counts of cells or samples that are public, or an .h5ad or other file of them. Nobody in it is protected.
        genes
            Ids of the genes of the private data, matched by id.
        dimensions
            Components, at most a quarter of the cells.

        Raises
        ------
        InputError
            It has none of the genes or too few cells, or its values are no counts.
        """
        name = "a public cohort"
        if not isinstance(cohort, ExpressionSet):
            from synthkit.io.expression import read_expression

            name, cohort = f"the public cohort {Path(cohort).name}", read_expression(cohort).data
        if cohort.measure != "counts":
            raise InputError(
                f"{name} holds {cohort.measure}, and loadings are taken of counts", remedy="Give its counts."
            )
        place = {str(gene): at for at, gene in enumerate(cohort.genes.index)}
        here = np.array([at for at, gene in enumerate(genes) if gene in place], np.int64)
        if not here.size:
            raise InputError(f"{name} has none of the genes", remedy="Use the same ids in both.")
        own = cohort.of_genes([place[genes[at]] for at in here])
        k = min(dimensions, len(own) // _CELLS_PER_DIRECTION, len(here))
        if k < 1:
            raise InputError(
                f"{name} has {counted(len(own), 'cell')}, too few for any direction", remedy="Give a larger cohort."
            )
        means, directions, scales = _components(own, k)
        basis, levels = np.zeros((len(genes), k)), np.zeros(len(genes))
        basis[here], levels[here] = directions, means
        missing = len(genes) - len(here)
        notes = [_missing_note(missing, len(genes))] if missing else []
        if k < dimensions:
            notes.append(f"{k} directions instead of {dimensions}: it has {counted(len(own), 'cell')}")
        return cls(basis, scales, levels, f"{k} principal components of {name}", tuple(notes))

    def without_levels(self) -> PublicLoadings:
        """Return the same directions without public levels of genes, which are then bought."""
        return replace(self, levels=None)


def public_loadings(source: PublicLoadings | ExpressionSet | str | Path, genes: Sequence[str]) -> PublicLoadings:
    """Return public loadings by what people write.

    Parameters
    ----------
    source
        ``"random:32"`` or ``"random:32:7"`` (with a public seed), a .gmt file of gene sets, a .csv, .tsv, .parquet or
        .npz file of loadings, an .h5ad file of a public cohort or one in memory, or loadings.
    genes
        Ids of the genes of the private data.

    Raises
    ------
    InputError
        Something else, or what the constructors of `PublicLoadings` refuse.
    """
    if isinstance(source, PublicLoadings):
        if source.basis.shape[0] != len(genes):
            raise InputError(
                f"the loadings are for {counted(source.basis.shape[0], 'gene')}, the data has {len(genes):,}",
                remedy="Make them for the genes of the data.",
            )
        return source
    if isinstance(source, ExpressionSet):
        return PublicLoadings.from_cohort(source, genes)
    text = str(source)
    if text.startswith(RANDOM):
        parts = text.removeprefix(RANDOM).split(":")
        if len(parts) > 2 or not all(part.isdecimal() for part in parts):
            raise InputError(f"the loadings are {text!r}, expected random:32 or random:32:7", remedy="Give numbers.")
        return PublicLoadings.random(int(parts[0]), genes, int(parts[1]) if len(parts) == 2 else 0)
    read = _READERS.get(Path(text).suffix.lower())
    if read is None:
        raise InputError(
            f"the loadings are {text!r}, expected one of {', '.join(_READERS)} or random:32",
            remedy="Give gene sets (.gmt), loadings, or a public cohort (.h5ad).",
        )
    return read(text, genes)


_READERS: dict[str, Callable[[str, Sequence[str]], PublicLoadings]] = {
    ".gmt": PublicLoadings.from_gmt,
    ".csv": PublicLoadings.from_table,
    ".tsv": PublicLoadings.from_table,
    ".parquet": PublicLoadings.from_table,
    ".npz": PublicLoadings.from_table,
    ".h5ad": PublicLoadings.from_cohort,
}


def _components(own: ExpressionSet, k: int) -> tuple[Floats, Floats, Floats]:
    """Return mean ``[genes]``, directions ``[genes, k]`` and standard deviations ``[k]`` of log expression."""
    n, p = own.values.shape
    means = np.zeros(p)
    # cells or genes, whichever are fewer: the products of all of them fit into memory
    rows = [_logs(own, start) for start in range(0, n, _CELLS_AT_ONCE)]
    for block in rows:
        means += block.sum(0) / n
    if n <= p:
        centred = np.concatenate([block - means for block in rows])
        values, vectors = np.linalg.eigh(centred @ centred.T)
        values, vectors = values[::-1][:k].clip(min=1e-12), vectors[:, ::-1][:, :k]
        directions = np.linalg.qr(centred.T @ vectors)[0]
    else:
        gram = np.zeros((p, p))
        for block in rows:
            gram += (block - means).T @ (block - means)
        values, vectors = np.linalg.eigh(gram)
        values, directions = values[::-1][:k].clip(min=1e-12), vectors[:, ::-1][:, :k]
    return means, directions, np.sqrt(values / n).clip(min=1e-3)


def _logs(own: ExpressionSet, start: int) -> Floats:
    block = own.values[start : start + _CELLS_AT_ONCE]
    totals = np.asarray(block.sum(axis=1), np.float64).ravel()
    logs = log_normalised(block, totals, TARGET)
    return np.asarray(logs.toarray() if sparse.issparse(logs) else logs, np.float64)


def _orthonormal(matrix: Floats) -> Floats:
    """Return an orthonormal basis ``[genes, k]`` of the columns; what repeats others is left out."""
    if not np.isfinite(matrix).all():
        raise DataError("the loadings hold values that are no numbers", remedy="Give finite numbers.")
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    kept: Floats = left[:, values > _LEAST * max(float(values[0]), 1e-300)]
    return kept


def _missing_note(missing: int, genes: int) -> str:
    return f"{missing:,} of {counted(genes, 'gene')} have no loadings: they keep their level in every class"
