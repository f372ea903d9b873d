"""Balancing a table: real rows first and untouched, then synthetic ones until the groups have the wanted sizes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.balance.filling import Filler, GroupReport
from synthkit.balance.groups import Group, ResampleError, class_groups, range_groups
from synthkit.balance.sources import (
    InterpolatedRows,
    RowSource,
    SampledRows,
    VariedRows,
    identifier_names,
    text_names,
)
from synthkit.errors import DataError, InputError, SchemaError, unknown_name
from synthkit.evaluation.view import TableView
from synthkit.gan.estimator import is_whole
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables.balancing import balance_column
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.identifiers import TakenIdentifiers
from synthkit.tables.variation import MOVES, can_vary

if TYPE_CHECKING:
    from synthkit.tables.gan import TableGAN

SMALLEST = 50
"""Real rows of a class below which it is interpolated: a model learns too little from fewer."""

REJECTION = 0.2
"""Share of the real rows of a class that fall short of the limit for generated ones."""


@dataclass(frozen=True)
class Settings:
    """How groups are filled.

    Attributes
    ----------
    smallest
        Real rows of a group below which its rows are interpolated.
    rejection
        Share of the real rows of a group that fall short of the limit for generated ones, from 0 (no limit) to below 1.
    moves
        Steps from a real row to a new one; 0 draws rows from scratch.
    """

    smallest: int = SMALLEST
    rejection: float = REJECTION
    moves: int = MOVES

    def __post_init__(self) -> None:
        if not is_whole(self.smallest) or self.smallest < 2:
            raise InputError(f"smallest is {self.smallest!r}, expected a whole number from 2")
        if not is_whole(self.moves) or self.moves < 0:
            raise InputError(f"moves is {self.moves!r}, expected a whole number from 0")
        if isinstance(self.rejection, bool) or not 0.0 <= self.rejection < 1.0:
            raise InputError(f"rejection is {self.rejection!r}, expected a number from 0 to below 1")


@dataclass(frozen=True, eq=False)
class Balanced:
    """A balanced table.

    Attributes
    ----------
    frame
        The real rows, first and untouched, then the synthetic ones.
    synthetic
        Which rows are synthetic, shape [rows].
    report
        JSON-safe: rows and added rows of each group, how they were made, how many were rejected and why.
    """

    frame: pd.DataFrame
    synthetic: npt.NDArray[np.bool_]
    report: dict[str, Any]

    def __repr__(self) -> str:
        """Show how many rows there are of each kind."""
        added = int(self.synthetic.sum())
        return f"Balanced({len(self.frame) - added:,} real and {added:,} synthetic rows)"

    def _repr_html_(self) -> str:
        from synthkit.balance.showing import balanced_html

        return balanced_html(self)


def balance_table(
    frame: pd.DataFrame,
    target: str | None = None,
    *,
    model: TableGAN | str | Path | None = None,
    ratio: float | None = None,
    counts: Mapping[Any, int] | None = None,
    quantiles: Sequence[float] | None = None,
    schema: Schema | None = None,
    smallest: int = SMALLEST,
    rejection: float = REJECTION,
    moves: int = MOVES,
    time_budget: str | float | None = "2m",
    random_state: int | None = None,
    verbose: bool | None = None,
) -> Balanced:
    """Add synthetic rows of the rarer classes, or of the rarer ranges of a number.

    Parameters
    ----------
    frame : DataFrame
        Real rows. Those without a value of the target are kept and not counted.
    target : str, optional
        Column of classes, or the number that is cut at ``quantiles``; the target of the schema when absent.
    model : TableGAN or path, optional
        A fitted model of the same table; one is fitted when absent.
    ratio : float, optional
        Rows that every class shall have at least, as a share of the largest; 1 when neither it nor counts are given.
    counts : mapping of class to int, optional
        Rows that these classes shall have instead; the others stay as they are.
    quantiles : sequence of float, optional
        Cuts a numeric target into ranges, which are balanced as classes are: (0.1, 0.9) fills both ends up.
    schema : Schema, optional
        Description of the columns, and constraints that new rows satisfy; that of the model, or inferred, when absent.
    smallest : int
        Classes of fewer real rows are interpolated between neighbours instead; a warning tells.
    rejection : float
        Generated rows are rejected that an out-of-fold classifier finds less like their class than this share of the
        class's own real rows; 0 rejects none for that.
    moves : int
        Steps of a Markov chain under the law of the model that lead from a real row to a new one; 0 draws new rows
        from scratch.
    time_budget : str, float or None
        Ceiling on the time of fitting a model.
    random_state : int, optional
        Seed.
    verbose : bool or None
        Progress of fitting on standard error; None for on a terminal only.

    Returns
    -------
    Balanced
        Real rows in their order and with their dtypes, then the synthetic ones. Free text of synthetic rows is missing,
        and their identifiers are new: leave these columns out of what a model learns from.

    Raises
    ------
    InputError
        No or an unknown target, a target with one class or with a class of one row that is to grow, a ratio or count
        that would need removal, or settings outside their range.

    Privacy
    -------
    None. The result holds the real rows, and each new row starts at one of them, whatever the model: one that was
    fitted under a budget gives new rows no protection here. `TableGAN.sample` of such a model is what is protected.
    """
    begun = time.monotonic()
    settings = Settings(smallest, rejection, moves)
    model = _opened(model)
    _check_names(frame)
    if schema is not None and model is not None:
        raise InputError("a schema was given beside a model that has its own", remedy="give one of the two")
    known = model.schema_ if model is not None else schema
    name = _target(frame, target, known)
    groups = _groups(frame[name], name, ratio=ratio, counts=counts, quantiles=quantiles)
    random = RandomSource(random_state)
    rare = [group for group in groups if group.wanted and len(group.rows) < smallest]
    fitted_here = model is None and any(group.wanted and len(group.rows) >= smallest for group in groups)
    if fitted_here:
        from synthkit.tables.gan import TableGAN

        own = TableGAN(time_budget=time_budget, random_state=random.integer("fit"), verbose=verbose)
        model = own.fit(frame, schema=known, target=name)
        stop_if_interrupted(model)
    if known is None:
        known = model.schema_ if model is not None else Schema.infer(frame, target=name)
    parts, reports = fill_groups(frame, name, groups, known, model, settings, random)
    if rare:
        warn_of_interpolation(rare, smallest)
    balanced = stacked(frame, parts)
    report = {
        "target": name,
        "rows": len(frame),
        "synthetic": len(balanced) - len(frame),
        "without_target": int(frame[name].isna().sum()),
        "groups": [one.to_json() for one in reports],
        "rejection": rejection,
        "smallest": smallest,
        "moves": moves,
        "fitted": fitted_here,
        "seconds": round(time.monotonic() - begun, 1),
    }
    return Balanced(balanced, np.arange(len(balanced)) >= len(frame), report)


def stop_if_interrupted(model: Any) -> None:
    """Raise what a fit keeps to itself: it stops early at Ctrl-C with its best state, and nobody asked to see that."""
    if getattr(model, "report_", {}).get("interrupted"):
        raise KeyboardInterrupt


def fill_groups(
    frame: pd.DataFrame,
    target: str,
    groups: Sequence[Group],
    schema: Schema,
    model: Any,
    settings: Settings,
    random: RandomSource,
) -> tuple[list[pd.DataFrame], list[GroupReport]]:
    """Make the wanted rows of every group.

    Parameters
    ----------
    frame
        All real rows.
    target
        The column that the groups are of.
    groups
        What is wanted.
    schema
        Description of the columns.
    model
        A fitted `TableGAN`, or anything with its `sample`; None where every group is interpolated.
    settings
        How.
    random
        Source of everything random.

    Returns
    -------
    list of DataFrame, list of GroupReport
        New rows of the groups that grow, and what became of every group.
    """
    named, texts = identifier_names(schema, frame), text_names(schema, frame)
    compared = [str(name) for name in frame.columns if name not in {target, *named, *texts}]
    growing = [group for group in groups if group.wanted]
    parts: list[pd.DataFrame] = []
    reports = {group.name: GroupReport(group.name, len(group.rows), 0) for group in groups}
    if not growing:
        return parts, list(reports.values())
    filler = Filler(frame, compared, settings.rejection, random.child("rejection"))
    makers = _Makers(frame, target, [*compared, target], schema, model, settings)
    for group in growing:
        source = makers.source(group, random.child(f"rows of {group.name}"))
        part, reports[group.name] = filler.fill(group, source)
        for name in texts:
            part[name] = pd.Series([None] * len(part), dtype="object").astype(frame[name].dtype)
        parts.append(part)
    return parts, list(reports.values())


class _Makers:
    """Chooses what makes the rows of a group, and shares what all of them need."""

    def __init__(
        self, frame: pd.DataFrame, target: str, columns: list[str], schema: Schema, model: Any, settings: Settings
    ) -> None:
        self._frame, self._target, self._columns = frame, target, columns
        self._schema, self._model, self._settings = schema, model, settings
        learned = getattr(model, "_learned", None)
        self._fitted = None if learned is None else learned()
        self._encoder: TableEncoder | None = None if self._fitted is None else self._fitted.encoder
        self._taken: TakenIdentifiers | None = None
        self._view: TableView | None = None

    def source(self, group: Group, random: RandomSource) -> RowSource:
        where = {self._target: group.condition}
        if self._model is None or len(group.rows) < self._settings.smallest:
            if self._view is None:
                self._view = TableView(self._frame[self._columns])
            encoder, taken = self._identifiers()
            return InterpolatedRows(self._view, self._frame, group, encoder, random, taken=taken)
        if self._fitted is None:
            return SampledRows(
                lambda n, own: self._model.sample(n, where=where, random_state=own.integer("sample")), random
            )
        fitted, (_, taken) = self._fitted, self._identifiers()
        if self._settings.moves and can_vary(fitted):
            real = self._frame.take(group.rows)
            return VariedRows(fitted, real, where, random, moves=self._settings.moves, taken=taken)
        from synthkit.tables.drawing import Draw

        return SampledRows(lambda n, own: Draw(fitted, where, own, taken=taken).frame(n), random)

    def _identifiers(self) -> tuple[TableEncoder, TakenIdentifiers]:
        """What makes identifiers, and those that are in use."""
        if self._encoder is None:
            self._encoder = TableEncoder().fit(self._frame, self._schema)
        if self._taken is None:
            self._taken = self._encoder.take(self._frame)
        return self._encoder, self._taken


def stacked(frame: pd.DataFrame, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Real rows above synthetic ones, with the columns and dtypes of the real ones."""
    made = [part for part in parts if len(part)]
    if not made:
        return frame.reset_index(drop=True)
    columns: dict[str, pd.Series[Any]] = {}
    for place, name in enumerate(frame.columns):
        real = frame.iloc[:, place]
        cells = [_as_dtype(part[name], real) for part in made]
        # through arrays: `concat` would judge columns in which every cell is missing by their cells
        columns[name] = pd.concat([real, *cells], ignore_index=True) if len(real) else cells[0]
    return pd.DataFrame(columns, columns=frame.columns)


def _as_dtype(cells: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    if cells.dtype == like.dtype:
        return cells
    try:
        return cells.astype(like.dtype)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"column {like.name!r} has the dtype {like.dtype}, which new values of the model do not fit into ({error})",
            remedy="fit a model to this table",
        ) from error


def warn_of_interpolation(groups: Sequence[Group], smallest: int) -> None:
    """Tell which groups were interpolated."""
    listed = ", ".join(f"{group.name!r} ({len(group.rows)} rows)" for group in groups[:5])
    more = f" and {len(groups) - 5} more" if len(groups) > 5 else ""
    warnings.warn(
        f"too few real rows for a model, fewer than {smallest}: {listed}{more}; new rows are interpolated between "
        "neighbours instead",
        UserWarning,
        stacklevel=3,
    )


def _opened(model: TableGAN | str | Path | None) -> TableGAN | None:
    if isinstance(model, str | Path):
        from synthkit.tables.gan import TableGAN

        loaded: TableGAN = TableGAN.load(model)
        return loaded
    return model


def _check_names(frame: pd.DataFrame) -> None:
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise SchemaError(f"column name {odd[0]!r} is not text", remedy="rename it: frame.columns.astype(str)")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise SchemaError(f"the table has two columns {twice!r}", remedy="rename one of them")


def _target(frame: pd.DataFrame, target: str | None, schema: Schema | None) -> str:
    if schema is not None:
        return balance_column(frame, schema, target)
    if target is None:
        raise InputError("balance needs a column of classes", remedy="give target=COLUMN")
    if target not in frame:
        raise SchemaError(unknown_name("column", target, [str(column) for column in frame.columns]))
    return target


def _groups(
    values: pd.Series[Any],
    name: str,
    *,
    ratio: float | None,
    counts: Mapping[Any, int] | None,
    quantiles: Sequence[float] | None,
) -> list[Group]:
    if ratio is not None and counts is not None:
        raise InputError("ratio and counts both say how many rows are wanted", remedy="give one of them")
    if quantiles is None:
        return class_groups(values, name, ratio=ratio, counts=counts)
    if counts is not None:
        raise InputError("counts are of classes, and quantiles cut a number into ranges", remedy="give one of them")
    return range_groups(values, name, quantiles, ratio=ratio)


__all__ = ["REJECTION", "SMALLEST", "Balanced", "ResampleError", "Settings", "balance_table", "fill_groups", "stacked"]
