"""A fit under a privacy budget: what is read, in the order of the plan, and what is made of it.

The only lines that see private data are those inside ``reading``, in this module and in `synthkit.privacy.anchor`. What
they return is noisy; everything after is post-processing and may look at it as often as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import SchemaError, unknown_name
from synthkit.gan.anchor import AnchorStage, NetworkCodes
from synthkit.gan.layout import Layout
from synthkit.gan.table import CodeTable
from synthkit.gan.trainer import Trainer
from synthkit.privacy.anchor import (
    NoisyMargins,
    all_pairs,
    anchor_settings,
    measure_margins,
    measure_pairs,
    select_pairs,
    signal,
)
from synthkit.privacy.categories import bound_contributions, private_categories
from synthkit.privacy.edges import private_edges
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.histograms import noisy_total
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.plan import ReleasePlan
from synthkit.random import RandomSource
from synthkit.schema import Column, Schema
from synthkit.tables.columns import ColumnCodec
from synthkit.tables.declared import (
    PlainColumn,
    bought_levels,
    bounds_of,
    constant_codec,
    is_modelled,
    label_codec,
    number_codec,
    own_edges,
    plain_column,
    special_numbers,
    symbols_of_labels,
)
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import FittedTable
from synthkit.tables.identifiers import TextIdentifier
from synthkit.tables.label_codec import LabelCodec
from synthkit.tables.number_codec import NumberCodec
from synthkit.tables.scale import NumberScale
from synthkit.tables.statistics import is_generated, is_number

_MOST_LABELS = 256
_SEEN = 3.0  # standard deviations of noise above which a label gets a symbol of its own


@dataclass(eq=False)
class Measured:
    """A modelled column on its way from declared cells to symbols.

    Attributes
    ----------
    column
        Its description; bought categories are filled in.
    edges
        Bins of a numeric column.
    places, own
        Order of the labels of another column, and how many have a symbol of their own.
    codec
        Made of noisy counts at the end.
    """

    column: Column
    edges: NDArray[Any] | None = None
    places: NDArray[np.int64] | None = None
    own: int = 0
    codec: ColumnCodec | None = None

    @property
    def is_number(self) -> bool:
        """Whether the column lies on a line."""
        return is_number(self.column)

    @property
    def size(self) -> int:
        """Number of symbols."""
        return self.working().code.size

    def working(self) -> NumberCodec | LabelCodec:
        """Codec without shares, for encoding."""
        if self.is_number:
            edges = self.edges if self.edges is not None else own_edges(self.column)
            return number_codec(self.column, edges)
        labels = list(self.column.categories or ())
        places = self.places if self.places is not None else np.arange(len(labels))
        own = self.own if self.places is not None else len(labels)
        return label_codec(self.column, labels, own, np.ones(len(labels), np.int64), 0, places)

    def symbols(self, plain: PlainColumn) -> NDArray[np.int32]:
        """Symbols of cells ``[n]``; -1 where the cell counts nowhere."""
        codec = self.working()
        if isinstance(codec, NumberCodec):
            found, _ = codec.encode_numbers(plain.values, plain.missing, None, int(self.column.nullable) - 1)
            return found.astype(np.int32)
        places = self.places if self.places is not None else np.arange(len(self.column.categories or ()))
        return symbols_of_labels(codec, self.column, plain, places).astype(np.int32)


class PrivateTableFit:
    """One fit of a table under a privacy budget.

    Parameters
    ----------
    plan
        What is read, with which noise.
    schema
        Declared.
    unit
        "row" or the column that names the unit of privacy.
    ledger
        Has the events of the plan planned.
    noise
        Of the mechanisms.
    random
        Of the training, which is post-processing; never of the noise.
    trainer
        Runs the stages.
    codes
        Number of latent codes, or None to choose.
    device
        Where networks are trained.

    Privacy
    -------
    The guarantee of the plan's events under the budget's adjacency, for the returned object and everything made of it.
    """

    def __init__(
        self,
        plan: ReleasePlan,
        schema: Schema,
        *,
        unit: str,
        ledger: Ledger,
        noise: NoiseSource,
        random: RandomSource,
        trainer: Trainer,
        codes: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.plan, self.schema, self.unit = plan, schema, unit
        self.ledger, self.noise, self.random, self.trainer = ledger, noise, random, trainer
        self.codes, self.device = codes, device
        self.columns = [Measured(column) for column in schema if is_modelled(column, unit)]
        self.report: dict[str, Any] = {}

    def run(self, frame: pd.DataFrame) -> FittedTable:
        """Fit to a private table ``[n_rows, n_columns]``."""
        rows = self._rows(frame)
        records = self._records(rows)
        self._buy_categories(rows)
        self._buy_bins(rows, self.plan.bins_for(records))
        codes = rows.map(self._encode)
        margins = measure_margins(
            codes, [one.size for one in self.columns], self.plan.events["margins"], self.plan.budget, self.noise
        )
        margins = self._merge_rare(margins)
        merged = rows.map(self._encode)
        layout = self._describe(margins)
        table = self._anchor(merged, margins)
        encoder = self._encoder()
        fitted = _with_unmeasured(encoder, self.columns, layout, table)
        fitted.report = {**self.report, "rows": round(margins.total), "interrupted": self.trainer.interrupted}
        return fitted

    # -- what is read -------------------------------------------------------------------------------------------------

    def _rows(self, frame: pd.DataFrame) -> PrivateRows:
        """Put the table under guard, at most so many rows of each unit."""
        names = [one.column.name for one in self.columns]
        for name in [*names, *([self.unit] if self.unit != "row" else [])]:
            if name not in frame:
                raise SchemaError(unknown_name("column", name, [str(known) for known in frame.columns]))
        arrays: dict[str, NDArray[Any]] = {}
        for one in self.columns:
            plain = plain_column(frame[one.column.name], one.column)
            arrays[f"{one.column.name}/values"], arrays[f"{one.column.name}/missing"] = plain.values, plain.missing
        units = None
        if self.unit != "row":
            units = pd.factorize(frame[self.unit].astype(object))[0]
            kept = bound_contributions(units, self.plan.budget.rows_per_unit, self.noise)
            arrays = {name: own[kept] for name, own in arrays.items()}
            units = units[kept]
        return PrivateRows(arrays, self.ledger, units)

    def _records(self, rows: PrivateRows) -> float:
        """The number of records: declared, or bought."""
        if self.plan.records is not None:
            return float(self.plan.records)
        event = self.plan.events["records"]
        with rows.reading(event) as data:
            first = next(iter(data.values()))
            records = max(1, noisy_total(first, self.plan.sigma("records"), self.noise))
        self.plan.budget.check_records(records)
        return float(records)

    def _buy_categories(self, rows: PrivateRows) -> None:
        """Find the labels of columns that declare none."""
        for one in self.columns:
            event = self.plan.events.get(f"categories of {one.column.name}")
            if event is None or event.epsilon is None:
                continue
            name = one.column.name
            with rows.reading(event) as data:
                found = private_categories(
                    data[f"{name}/values"],
                    event.epsilon,
                    event.delta,
                    self.noise,
                    missing=data[f"{name}/missing"],
                    rows_per_unit=self.plan.budget.rows_per_unit,
                )
            one.column = replace(one.column, categories=found.labels)

    def _buy_bins(self, rows: PrivateRows, most: int) -> None:
        """Find where the values of numeric columns lie; short whole-number columns have a bin for each value."""
        event = self.plan.events.get("bins")
        if event is None:
            return
        sigma = self.plan.sigma("bins")
        with rows.reading(event) as data:
            for one in self.columns:
                levels = bought_levels(one.column) if one.is_number else ()
                if not levels:
                    continue
                low, high = bounds_of(one.column)
                name = one.column.name
                found = private_edges(
                    data[f"{name}/values"],
                    low,
                    high,
                    NumberScale(one.column).integral,
                    sigma,
                    self.noise,
                    most,
                    levels=levels,
                    missing=data[f"{name}/missing"],
                    spikes=special_numbers(one.column).tolist(),
                )
                one.edges = found.edges

    def _encode(self, data: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Symbols of all measured columns, row by row."""
        symbols = [one.symbols(_plain(data, one)) for one in self.columns]
        return {"codes": np.stack(symbols, axis=1)}

    # -- what is made of it -------------------------------------------------------------------------------------------

    def _merge_rare(self, margins: NoisyMargins) -> NoisyMargins:
        """Let labels that are hardly above the noise share a symbol; counts of shared symbols are added up."""
        merged = []
        for one, counts in zip(self.columns, margins.counts, strict=True):
            if one.is_number:
                merged.append(counts)
                continue
            offset = int(one.column.nullable)
            own = counts[offset:]
            places = np.argsort(-own, kind="stable")
            kept = int(np.clip((own >= _SEEN * margins.sigma).sum(), 1, _MOST_LABELS))
            kept = len(own) if kept >= len(own) - 1 else kept
            one.places, one.own = places.astype(np.int64), kept
            shared = own[places[kept:]]
            merged.append(np.concatenate([counts[:offset], own[places[:kept]], [shared.sum()] if len(shared) else []]))
            one.codec = label_codec(
                one.column,
                list(one.column.categories or ()),
                kept,
                np.maximum(own[places], 1),
                max(0, int(counts[:offset].sum())),
                places.astype(np.int64),
            )
        return replace(margins, counts=[own.astype(np.int64) for own in merged])

    def _describe(self, margins: NoisyMargins) -> Layout:
        """Layout of the measured columns from noisy counts; codecs of numeric columns get their shares."""
        counts, inside, keys = [], [], []
        for one, share in zip(self.columns, margins.shares(), strict=True):
            if one.is_number:
                edges = one.edges if one.edges is not None else own_edges(one.column)
                one.codec = number_codec(one.column, edges, share)
            code = (one.codec or one.working()).code
            counts.append(share * margins.total)
            inside.append(code.has_inside)
            keys.append(code.values if code.is_numeric else None)
        sizes = [len(own) for own in counts]
        atoms = [(one.codec or one.working()).code.n_atoms for one in self.columns]
        return Layout.from_counts(sizes, atoms, counts, inside, keys, rows=margins.total)

    def _anchor(self, rows: PrivateRows, margins: NoisyMargins) -> CodeTable:
        """Measure pairs and fit the codes to everything measured."""
        sizes = [len(own) for own in margins.counts]
        budget, events = self.plan.budget, self.plan.events
        pairs = all_pairs(sizes)
        if "scores" in events:
            pairs = select_pairs(rows, sizes, events["scores"], events["pairs"], budget, self.noise)
        marginals = measure_pairs(rows, sizes, pairs, margins, events["pairs"], budget, self.noise)
        settings = anchor_settings(signal(margins.total, events["pairs"], max(len(pairs), 1), budget), sum(sizes))
        if self.codes is not None:
            settings = replace(settings, codes=self.codes)
        codes = NetworkCodes(sizes, marginals.singles, settings, generator=self.random.torch("anchor", self.device))
        report = self.trainer.run(AnchorStage(codes, marginals, settings))
        self.report |= {
            "codes": settings.codes,
            "pairs": len(pairs),
            "symbols": int(sum(sizes)),
            "stages": {report.name: report.describe()},
        }
        theta, weights = codes.frozen()
        return CodeTable(theta.numpy(), weights.double().numpy(), sizes)

    def _encoder(self) -> TableEncoder:
        """Encoder of the whole table; nothing in it comes from a record."""
        codecs: dict[str, ColumnCodec] = {}
        generated: dict[str, TextIdentifier] = {}
        schema = self.schema
        measured = {one.column.name: one for one in self.columns}
        for column in schema:
            if column.type == "text":
                continue
            if column.name in measured:
                one = measured[column.name]
                if one.column.categories != column.categories:
                    schema = schema.replace(column.name, categories=one.column.categories)
                codecs[column.name] = one.codec or one.working()
            elif column.type == "constant":
                codecs[column.name] = constant_codec(column)
            elif is_generated(column):
                generated[column.name] = TextIdentifier(column, 0.0)
            else:
                codecs[column.name] = _identifier_codec(column, self.plan.records)
        return TableEncoder.from_codecs(schema, codecs, generated)


def _plain(data: Mapping[str, NDArray[Any]], one: Measured) -> PlainColumn:
    """A column out of the arrays that private rows hold; bought labels get their place in the list."""
    values, missing = data[f"{one.column.name}/values"], data[f"{one.column.name}/missing"]
    if not one.is_number and values.dtype == object:
        place = {label: position for position, label in enumerate(one.column.categories or ())}
        found = np.array([place.get(label, -1) for label in values.tolist()], dtype=np.int64)
        return PlainColumn(np.maximum(found, 0), found < 0)
    return PlainColumn(values, missing)


def _identifier_codec(column: Column, records: int | None) -> NumberCodec:
    """Codec that makes up whole-number identifiers within declared bounds."""
    bounded = column
    if column.minimum is None or column.maximum is None:
        bounded = replace(column, minimum=1, maximum=100 * (records or 1_000_000))
    low, high = bounds_of(bounded)
    middle = int(low) + (int(high) - int(low)) // 2 + 1
    edges = np.array([int(low), middle, int(high) + 1], dtype=np.int64)
    return number_codec(replace(bounded, nullable=False), edges, distinct=True)


def _with_unmeasured(
    encoder: TableEncoder, measured: Sequence[Measured], layout: Layout, table: CodeTable
) -> FittedTable:
    """Put the columns that were not measured, such as numbers of persons, beside those that were: uniform, unrelated."""
    own = {one.column.name: place for place, one in enumerate(measured)}
    if list(own) == encoder.names:
        return FittedTable(encoder, layout, table)
    thetas, counts, inside, keys, sizes, atoms = [], [], [], [], [], []
    starts = table.offsets
    for code in encoder.columns:
        place = own.get(code.name)
        if place is None:
            uniform = np.full(code.size, 1.0 / code.size)
            thetas.append(np.broadcast_to(np.log(uniform), (len(table.log_theta), code.size)))
            counts.append(uniform)
        else:
            part = slice(starts[place], starts[place + 1])
            thetas.append(table.log_theta[:, part])
            counts.append(layout.share[part])
        inside.append(code.has_inside)
        keys.append(code.values if code.is_numeric else None)
        sizes.append(code.size)
        atoms.append(code.n_atoms)
    whole = CodeTable(np.concatenate(thetas, axis=1).astype(np.float32), table.log_weights, sizes)
    return FittedTable(encoder, Layout.from_counts(sizes, atoms, counts, inside, keys, rows=1.0), whole)
