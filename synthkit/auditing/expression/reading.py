"""From the sets of an audit to a case: genes in one order, what is there twice left out, donors and halves drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.expression.case import CellLimits, ExpressionCase, Numbers, halved
from synthkit.auditing.expression.duplicates import ExpressionDuplicates, cell_hashes, repeats
from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.expression_set import ExpressionSet
from synthkit.random import RandomSource

Texts = npt.NDArray[np.str_]
Digests = npt.NDArray[np.bytes_]

# Held-out cells of which more are left out than this share were not held out.
_MOST_LEFT_OUT = 0.5
# Genes that all sets share, below which they are not of one kind of data.
_FEWEST_GENES = 2


@dataclass(frozen=True)
class ReadCells:
    """The sets of an audit as they will be attacked.

    Attributes
    ----------
    case
        The case of the attacks; None without held-out cells.
    duplicates
        What is there twice; None without held-out cells.
    members
        Positions of the accused cells in the training cells as they were handed in, shape [members].
    synthetic
        Positions of the synthetic cells of the case in those handed in.
    donors
        Number of donors of the "real" and the "held-out" cells; 0 where they are unknown.
    notes
        What was done to the sets, in sentences.
    """

    case: ExpressionCase | None
    duplicates: ExpressionDuplicates | None
    members: Numbers
    synthetic: Numbers
    donors: dict[str, int]
    notes: tuple[str, ...]


def read_cells(
    train: ExpressionSet,
    synthetic: ExpressionSet,
    holdout: ExpressionSet | None,
    *,
    donor: str | None,
    label: str | None,
    limits: CellLimits,
    seed: int,
) -> ReadCells:
    """Return the sets as the attacks see them; the order of their cells means nothing.

    Parameters
    ----------
    train
        The cells that the generator learned from.
    synthetic
        The released cells.
    holdout
        Cells that it never saw, or None.
    donor, label
        Columns of the real cells that name the donor and the type, or None.
    limits
        At most how many cells are looked at.
    seed
        Seed of every draw.

    Raises
    ------
    InputError
        A set is empty, holds other measures or values that are no numbers, shares no genes with the others, or a column
        is missing.
    DataError
        Most held-out cells are training cells, or of training donors.
    """
    notes: list[str] = []
    sets = {"training": train, "synthetic": synthetic} | ({} if holdout is None else {"held-out": holdout})
    _check(sets, donor, label)
    sets = _same_genes(sets, notes)
    named = {part: _texts(cells, donor) for part, cells in sets.items() if part != "synthetic"}
    donors = {
        "real": _distinct(named["training"]),
        "held-out": _distinct(named.get("held-out")),
    }
    none = np.empty(0, dtype=np.int64)
    if holdout is None:
        return ReadCells(None, None, none, none, donors, tuple(notes))
    digests = {part: cell_hashes(cells.values) for part, cells in sets.items()}
    kept, duplicates = _kept(digests, named)
    if duplicates.left_out > _MOST_LEFT_OUT * len(holdout):
        raise DataError(
            f"{duplicates.left_out:,} of {len(holdout):,} held-out cells equal training cells, or are of training"
            " donors, expected cells that the generator never saw",
            remedy="Hold donors out before fitting; without --donor cells are the unit."
            if donor is not None
            else "Hold cells out before fitting.",
        )
    if duplicates.left_out:
        notes.append(
            f"{duplicates.left_out:,} held-out cells equal a training cell or are of a training donor, and were left"
            " out."
        )
    if donor is None:
        notes.append(
            "Donors are unknown: each cell counts as one of its own. Where many cells are of one person, that is not"
            " enough: intervals are too short, and nothing is said about persons (--donor)."
        )
    random = RandomSource(seed).child("expression audit")
    order = {part: _ordered(cells, digests[part], named.get(part), label) for part, cells in sets.items()}
    held = order["held-out"][np.isin(order["held-out"], kept)]
    numbers = _numbers(named)
    own = None if numbers is None else numbers["held-out"][held]
    if own is not None and len(np.unique(own)) < 2:
        notes.append("The held-out cells are of one donor: the reference is of the same donor as the accused cells.")
    accused = halved(len(held), own, random.numpy("halves"))
    rows = {
        "members": _some(order["training"], limits.targets, random.numpy("members"), "training", notes),
        "nonmembers": _some(held[accused], limits.targets, random.numpy("nonmembers"), "accused held-out", notes),
        "reference": _some(held[~accused], limits.reference, random.numpy("reference"), "reference", notes),
        "synthetic": _some(order["synthetic"], limits.synthetic, random.numpy("synthetic"), "synthetic", notes),
    }
    home = {"members": "training", "nonmembers": "held-out", "reference": "held-out", "synthetic": "synthetic"}
    taken = {part: sets[home[part]].take(rows[part]) for part in rows}
    labels = {part: _texts(taken[part], label) for part in ("members", "nonmembers")}
    case = ExpressionCase(
        members=taken["members"],
        nonmembers=taken["nonmembers"],
        reference=taken["reference"],
        synthetic=taken["synthetic"],
        member_labels=labels["members"],
        nonmember_labels=labels["nonmembers"],
        seed=seed,
        limits=limits,
    )
    if numbers is not None:
        case = replace(
            case,
            member_donors=numbers["training"][rows["members"]],
            nonmember_donors=numbers["held-out"][rows["nonmembers"]],
            reference_donors=numbers["held-out"][rows["reference"]],
        )
    return ReadCells(case, duplicates, rows["members"], rows["synthetic"], donors, tuple(notes))


def _check(sets: dict[str, ExpressionSet], donor: str | None, label: str | None) -> None:
    measure = sets["training"].measure
    for part, cells in sets.items():
        if not len(cells):
            raise InputError(f"there are no {part} cells", remedy="Pass some.")
        if cells.measure != measure:
            raise InputError(
                f"the {part} cells hold {cells.measure}, expected {measure} as the training cells",
                remedy="Bring all sets to one measure, or name it (--measure).",
            )
        if not np.isfinite(cells.totals().sum()):
            raise InputError(f"the {part} cells hold values that are no numbers", remedy="Replace them first.")
        if not cells.genes.index.is_unique:
            twice = cells.genes.index[cells.genes.index.duplicated()][0]
            raise InputError(
                f"the gene {str(twice)!r} is there twice in the {part} cells", remedy="Make the ids of genes unique."
            )
        for column in (donor, label):
            if column is not None and part != "synthetic" and column not in cells.cells:
                raise InputError(
                    f"the {part} cells have an {unknown_name('column', column, map(str, cells.cells.columns))}",
                    remedy="Name a column of the annotations of cells (obs).",
                )
    if donor is not None and sets["training"].cells[donor].isna().any():
        raise InputError(
            f"the column {donor!r} misses the donor of some training cells", remedy="Fill it, or leave these cells out."
        )


def _same_genes(sets: dict[str, ExpressionSet], notes: list[str]) -> dict[str, ExpressionSet]:
    """Return the sets with the genes that all have, in the order of the training cells."""
    first = sets["training"].genes.index
    shared = np.ones(len(first), dtype=bool)
    for cells in sets.values():
        shared &= first.isin(cells.genes.index)
    genes = first[shared]
    if len(genes) < _FEWEST_GENES:
        raise InputError(
            f"the sets share {len(genes)} of {len(first):,} genes, expected the same ids",
            remedy="Name genes by the same ids in all sets.",
        )
    if len(genes) < max(len(cells.genes) for cells in sets.values()):
        notes.append(f"Of {len(first):,} genes of the training cells {len(genes):,} are in all sets and were compared.")
    return {part: cells.of_genes(cells.genes.index.get_indexer(genes)) for part, cells in sets.items()}


def _kept(digests: dict[str, Digests], donors: dict[str, Texts | None]) -> tuple[Numbers, ExpressionDuplicates]:
    """Return the positions of the held-out cells that are no training cells, and what is there twice."""
    exact = np.isin(digests["held-out"], digests["training"])
    known, held = donors["training"], donors["held-out"]
    common = np.zeros(len(exact), dtype=bool)
    shared = 0
    if known is not None and held is not None:
        common = np.isin(held, known)
        shared = len(np.unique(held[common]))
    found = ExpressionDuplicates(
        training=repeats(digests["training"]),
        holdout=repeats(digests["held-out"]),
        synthetic=repeats(digests["synthetic"]),
        exact=int(exact.sum()),
        donors=shared,
        left_out=int((exact | common).sum()),
        released=int(np.isin(digests["synthetic"], digests["training"]).sum()),
    )
    return np.flatnonzero(~exact & ~common), found


def _ordered(cells: ExpressionSet, digests: Digests, donors: Texts | None, label: str | None) -> Numbers:
    """Return positions in an order that follows from what the cells are: draws do not depend on the order given."""
    keys: list[npt.NDArray[np.generic]] = [digests] if donors is None else [donors, digests]
    types = _texts(cells, label) if label is not None and label in cells.cells else None
    return np.asarray(np.lexsort(tuple(keys if types is None else [types, *keys])), dtype=np.int64)


def _texts(cells: ExpressionSet, column: str | None) -> Texts | None:
    """Return a column as text, missing values as empty text; None without the column."""
    if column is None:
        return None
    values = cells.cells[column]
    return np.where(values.isna(), "", values.astype(object).map(str)).astype(str)


def _distinct(names: Texts | None) -> int:
    return 0 if names is None else len(np.unique(names))


def _numbers(named: dict[str, Texts | None]) -> dict[str, Numbers] | None:
    """Return the donor of each real cell as a number that means the same in both sets."""
    train, held = named["training"], named["held-out"]
    if train is None or held is None:
        return None
    numbers, _ = pd.factorize(np.concatenate([train, held]), sort=True)
    return {"training": numbers[: len(train)].astype(np.int64), "held-out": numbers[len(train) :].astype(np.int64)}


def _some(rows: Numbers, most: int, random: np.random.Generator, part: str, notes: list[str]) -> Numbers:
    if len(rows) <= most:
        return rows
    notes.append(f"Of {len(rows):,} {part} cells {most:,} were looked at, drawn at random.")
    return rows[np.sort(random.permutation(len(rows))[:most])]
