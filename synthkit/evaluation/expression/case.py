"""Sets of cells that can be compared: the same genes, measure and labels, and equally many cells of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.evaluation.expression.permuted import permuted_within
from synthkit.evaluation.intervals import N_GROUPS
from synthkit.expression.normalise import Dense, Normalisation, most_variable, normalisation_of
from synthkit.io.expression_set import ExpressionSet
from synthkit.phrases import counted
from synthkit.random import RandomSource

Kind = Literal["real", "held-out", "synthetic", "permuted"]
KINDS: tuple[Kind, ...] = ("real", "held-out", "synthetic", "permuted")
Codes = npt.NDArray[np.int64]

FEWEST_CELLS = 20
FEWEST_GENES = 10
MOST_CELLS = 2000
"""At most this many cells of each kind are compared by default: distances are quadratic in them."""
MOST_GENES = 2000
"""At most this many genes, the most variable, enter components, tests between types and classifiers."""
_HELD_OUT_SHARE = 0.2
_CHUNK = 1000


@dataclass(frozen=True)
class Columns:
    """Names of columns of the cells that say something: type, batch and donor; None where there is none."""

    label: str | None = None
    batch: str | None = None
    donor: str | None = None


@dataclass(frozen=True, eq=False)
class Side:
    """Cells of one kind, as many as of every other kind, read in the same way.

    Attributes
    ----------
    data
        The cells, with all common genes.
    classes, batches
        Place of the type and of the batch of each cell, ``[cells]``; all 0 where there is none.
    groups
        Group of each cell that is left out at a time for intervals, ``[cells]``: whole donors where these are known.
    donors
        Place of the donor of each cell ``[cells]``, or None.
    normalisation
        How logarithms are made, the same for all sides.
    variable
        Positions of the most variable genes of the training cells.
    """

    data: ExpressionSet
    classes: Codes
    batches: Codes
    groups: Codes
    donors: Codes | None
    normalisation: Normalisation
    variable: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.data)

    @cached_property
    def logs(self) -> Dense:
        """The most variable genes, normalised, ``[cells, variable genes]``."""
        return self.normalisation.apply(self.data, self.variable)


@dataclass(frozen=True, eq=False)
class ExpressionCase:
    """What is compared.

    Attributes
    ----------
    sets
        All cells by kind: "real" (the training cells), "held-out" and "synthetic", with the same genes.
    sides
        Equally many cells of each of these, and "permuted": training cells of which each gene is permuted by type.
    columns
        Which columns say type, batch and donor.
    classes, batches
        Names of the types and of the batches; empty where there are none to tell apart.
    digests
        Of each cell of `sets`, of its values alone.
    normalisation
        How cells are normalised, from the training cells.
    random
        Where randomness comes from.
    """

    sets: dict[Kind, ExpressionSet]
    sides: dict[Kind, Side]
    columns: Columns
    classes: tuple[str, ...]
    batches: tuple[str, ...]
    digests: dict[Kind, list[bytes]]
    normalisation: Normalisation
    random: RandomSource


def read_case(
    real: ExpressionSet,
    synthetic: ExpressionSet,
    holdout: ExpressionSet | None,
    columns: Columns,
    random: RandomSource,
    *,
    most_cells: int = MOST_CELLS,
    most_genes: int = MOST_GENES,
) -> tuple[ExpressionCase, tuple[str, ...]]:
    """Return the case of an evaluation, and what was done to the cells, in sentences.

    Cells are first brought into an order that depends on their content alone, so that no score depends on the order in
    which they are given.

    Parameters
    ----------
    real, synthetic
        The cells that the generator learned from, and the cells to judge.
    holdout
        Real cells that it never saw; without them a fifth of `real` is split off: of its donors where they are known.
    columns
        Which columns say type, batch and donor.
    random
        Where randomness comes from.
    most_cells, most_genes
        At most this many of each are compared.

    Raises
    ------
    DataError
        Too few cells or common genes, or values that are no finite numbers, or negative counts.
    InputError
        Different measures, a column that is missing, or a type that real cells do not have.
    """
    given: dict[Kind, ExpressionSet] = {"real": real, "synthetic": synthetic}
    if holdout is not None:
        given["held-out"] = holdout
    for name, data in given.items():
        _check(name, data, real, columns)
    notes: list[str] = []
    given = _with_labels(_of_common_genes(given, notes), columns, notes)
    ordered = {name: _in_order(data, columns) for name, data in given.items()}
    sets = {name: data for name, (data, _) in ordered.items()}
    digests = {name: own for name, (_, own) in ordered.items()}
    if holdout is None:
        is_aside = _aside(sets["real"], columns.donor, random)
        notes.append(_split_note(int(is_aside.sum()), columns.donor))
        own = digests["real"]
        sets["real"], sets["held-out"] = sets["real"].take(~is_aside), sets["real"].take(is_aside)
        digests["real"] = [one for one, aside in zip(own, is_aside, strict=True) if not aside]
        digests["held-out"] = [one for one, aside in zip(own, is_aside, strict=True) if aside]
    classes = _names(sets, columns.label, "type", notes)
    batches = _names(sets, columns.batch, "batch", notes)
    normalisation = normalisation_of(sets["real"])
    n = min(most_cells, *(len(data) for data in sets.values()))
    drawn = {
        name: data.take(np.sort(random.numpy(f"draw {name}").permutation(len(data))[:n])) for name, data in sets.items()
    }
    if n < max(len(data) for data in sets.values()):
        notes.append(f"{n:,} cells of each kind are compared: scores depend on their number.")
    variable = most_variable(drawn["real"], normalisation, most_genes)
    codes = {name: _codes(data, columns.label, classes) for name, data in drawn.items()}
    drawn["permuted"] = permuted_within(drawn["real"], codes["real"], random.numpy("permute"))
    codes["permuted"] = codes["real"]
    sides = {
        name: Side(
            data=data,
            classes=codes[name],
            batches=_codes(data, columns.batch, batches),
            donors=(donors := _donors(data, columns.donor)),
            groups=_groups(len(data), donors, random.numpy(f"groups {name}")),
            normalisation=normalisation,
            variable=variable,
        )
        for name, data in drawn.items()
    }
    case = ExpressionCase(sets, sides, columns, classes, batches, digests, normalisation, random)
    return case, tuple(notes)


def digests_of(data: ExpressionSet) -> list[bytes]:
    """Return a digest of the values of each cell: the same for equal values, however they are stored."""
    found = []
    for start in range(0, len(data), _CHUNK):
        rows = data.values[start : start + _CHUNK]
        matrix = sparse.csr_matrix(rows, dtype=np.float32, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        for begin, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
            content = hashlib.blake2b(matrix.indices[begin:end].astype(np.int64).tobytes(), digest_size=16)
            content.update(matrix.data[begin:end].tobytes())
            found.append(content.digest())
    return found


def _check(name: str, data: ExpressionSet, real: ExpressionSet, columns: Columns) -> None:
    if len(data) < FEWEST_CELLS:
        raise DataError(
            f"there {'is' if len(data) == 1 else 'are'} {counted(len(data), f'{name} cell')}, and {FEWEST_CELLS} are"
            " needed",
            remedy="Pass more cells.",
        )
    if data.measure != real.measure:
        raise InputError(
            f"the values of the {name} cells are {data.measure}, those of the real ones {real.measure}",
            remedy="Read both from the same layer (layer=..., or --layer), or say what they are (measure=...).",
        )
    values = data.values.data if data.is_sparse else np.asarray(data.values)
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise DataError(f"{name} cells hold a value that is no finite number", remedy="Leave those cells out.")
    if data.measure in ("counts", "rates") and values.size and values.min() < 0:
        raise DataError(
            f"{name} cells hold {data.measure} below 0, down to {float(values.min()):g}",
            remedy="Pass values that are what they are said to be, or another measure.",
        )
    # Donors of synthetic cells are not asked for: no generator knows any.
    wanted = {"label": columns.label, "batch": columns.batch, "donor": None if name == "synthetic" else columns.donor}
    for option, column in wanted.items():
        if column is not None and column not in data.cells:
            raise InputError(
                f"{name} cells: {unknown_name('column', column, map(str, data.cells.columns))}",
                remedy=f"Name a column of the cells as {option}, or leave it out.",
            )


def _of_common_genes(given: dict[Kind, ExpressionSet], notes: list[str]) -> dict[Kind, ExpressionSet]:
    """Return the sets with the genes that all of them have, in the order of the real ones."""
    ids = given["real"].genes.index
    if all(data.genes.index.equals(ids) for data in given.values()):
        return given
    for name, data in given.items():
        repeated = data.genes.index[data.genes.index.duplicated()]
        if len(repeated):
            raise InputError(
                f"{name} cells name the gene {str(repeated[0])!r} twice, and the sets have different genes",
                remedy="Give every gene an id of its own (make_unique on reading).",
            )
    common = ids
    for data in given.values():
        common = common[common.isin(data.genes.index)]
    if len(common) < FEWEST_GENES:
        raise DataError(
            f"the sets have {counted(len(common), 'gene')} in common, and {FEWEST_GENES} are needed",
            remedy="Name genes alike in all of them: all symbols, or all Ensembl ids.",
        )
    if any(len(data.genes) != len(common) for data in given.values()):
        counts = ", ".join(f"{len(data.genes):,} {name}" for name, data in given.items())
        notes.append(f"only the {len(common):,} genes that all sets have are compared ({counts}).")
    return {name: data.of_genes(data.genes.index.get_indexer(common)) for name, data in given.items()}


def _with_labels(given: dict[Kind, ExpressionSet], columns: Columns, notes: list[str]) -> dict[Kind, ExpressionSet]:
    """Return the cells whose type, batch and donor are known."""
    kept = {}
    for name, data in given.items():
        known = np.ones(len(data), dtype=bool)
        for column in (columns.label, columns.batch, columns.donor if name != "synthetic" else None):
            if column is not None:
                known &= data.cells[column].notna().to_numpy()
        if not known.all():
            notes.append(f"{counted(int((~known).sum()), f'{name} cell')} without type, batch or donor left out.")
            if known.sum() < FEWEST_CELLS:
                raise DataError(
                    f"type, batch or donor is missing in nearly every {name} cell", remedy="Name other columns."
                )
            data = data.take(known)
        kept[name] = data
    return kept


def _in_order(data: ExpressionSet, columns: Columns) -> tuple[ExpressionSet, list[bytes]]:
    """Return the cells in an order that depends on their content alone, and their digests."""
    own = digests_of(data)
    known = [column for column in (columns.label, columns.batch, columns.donor) if column in data.cells]
    texts = [data.cells[column].astype(str).tolist() for column in known if column is not None]
    keys = [(digest, *rest) for digest, *rest in zip(own, *texts, strict=True)]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return data.take(np.array(order)), [own[place] for place in order]


def _aside(real: ExpressionSet, donor: str | None, random: RandomSource) -> npt.NDArray[np.bool_]:
    """Return which real cells are held out: those of a fifth of the donors, or a fifth of the cells."""
    if donor is None:
        units = np.arange(len(real))
    else:
        units = np.unique(real.cells[donor].astype(str).to_numpy(), return_inverse=True)[1]
    distinct = np.unique(units)
    aside = random.numpy("held out").permutation(distinct)[: max(1, round(_HELD_OUT_SHARE * len(distinct)))]
    is_aside: npt.NDArray[np.bool_] = np.isin(units, aside)
    if min(int(is_aside.sum()), int((~is_aside).sum())) < FEWEST_CELLS:
        of = f" of {counted(len(distinct), 'donor')}" if donor else ""
        raise DataError(
            f"there are {len(real)} real cells{of}, too few to hold some out",
            remedy="Pass held-out cells (--test HOLDOUT).",
        )
    return is_aside


def _split_note(n: int, donor: str | None) -> str:
    of = "of donors of their own " if donor else ""
    return (
        f"no held-out cells were given, so {n:,} {of}were split off the real ones; if the generator learned from them,"
        " the controls look too much like the synthetic cells."
    )


def _names(sets: dict[Kind, ExpressionSet], column: str | None, what: str, notes: list[str]) -> tuple[str, ...]:
    """Return the types or batches of the real cells; InputError for one that these do not have."""
    if column is None:
        return ()
    found = {name: set(data.cells[column].astype(str)) for name, data in sets.items()}
    known = sorted(found["real"] | found["held-out"])
    for text in sorted(found["synthetic"]):
        if text not in known:
            raise InputError(f"synthetic cells: {unknown_name(what, text, known)}", remedy="Name them alike.")
    if len(known) < 2:
        notes.append(f"all real cells have the same {what}, so that nothing is scored by {what}.")
        return ()
    for name in ("real", "held-out", "synthetic"):
        missing = [text for text in known if text not in found[name]]
        if missing:
            shown = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            notes.append(f"there is no {name} cell of {shown}.")
    return tuple(known)


def _codes(data: ExpressionSet, column: str | None, names: tuple[str, ...]) -> Codes:
    if column is None or not names:
        return np.zeros(len(data), dtype=np.int64)
    places = {name: code for code, name in enumerate(names)}
    return np.array([places[text] for text in data.cells[column].astype(str)], dtype=np.int64)


def _donors(data: ExpressionSet, donor: str | None) -> Codes | None:
    if donor is None or donor not in data.cells:
        return None
    column: pd.Series[str] = data.cells[donor].astype(str)
    return np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64)


def _groups(n: int, donors: Codes | None, generator: np.random.Generator) -> Codes:
    """Return the group of each cell, at most `N_GROUPS`: whole donors where there are enough of them."""
    units = np.arange(n) if donors is None or donors.max() < 3 else donors
    n_units = int(units.max()) + 1
    groups: Codes = generator.permutation(np.arange(n_units) % min(N_GROUPS, n_units))[units]
    return groups


def in_one_group(side: Side) -> Side:
    """Return a side that has no share in intervals: all of its cells are one group."""
    alone = replace(side, groups=np.zeros(len(side), dtype=np.int64))
    # Logarithms are kept: they are the same, and costly.
    alone.__dict__["logs"] = side.logs
    return alone
