"""A fit under a privacy budget: what is read, in the order of the plan, and what is made of it.

The only lines that see private data are those inside ``reading``, in this module and in `synthkit.privacy.anchor`. What
they return is noisy; everything after is post-processing and may look at it as often as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthkit.errors import PrivacyError, SchemaError, unknown_name
from synthkit.gan.anchor import AnchorStage, FreeCodes, NetworkCodes
from synthkit.gan.codes import CodeSampler, LatentCodes
from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.gan.relaxed import RelaxedGenerator
from synthkit.gan.stage import Stage
from synthkit.gan.table import CodeTable
from synthkit.gan.trainer import Trainer
from synthkit.privacy.adversary import PrivateAdversaryStage
from synthkit.privacy.anchor import (
    NoisyMargins,
    all_pairs,
    anchor_settings,
    measure_margins,
    measure_pairs,
    select_pairs,
    signal,
    worth_splitting,
)
from synthkit.privacy.categories import bound_contributions, private_categories
from synthkit.privacy.edges import private_edges
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.histograms import noisy_total
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.plan import ReleasePlan
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables.columns import ColumnCodec
from synthkit.tables.declared import (
    bought_levels,
    bounds_of,
    constant_codec,
    is_modelled,
    label_codec,
    number_codec,
    own_edges,
    plain_column,
    special_numbers,
)
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import FittedTable
from synthkit.tables.identifiers import TextIdentifier
from synthkit.tables.private_columns import Measured, identifier_codec, plain_of, with_unmeasured
from synthkit.tables.scale import NumberScale
from synthkit.tables.statistics import is_generated

_CODES = 1_000
_APART = 0.3  # standard deviation of the coefficients of codes that start near the margins
_MOST_LABELS = 256
_SEEN = 3.0  # standard deviations of noise above which a label gets a symbol of its own


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
    loss
        Game of the critic, where the plan has one.
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
        loss: str = "wgan-gp",
        device: str = "cpu",
    ) -> None:
        self.plan, self.schema, self.unit = plan, schema, unit
        self.ledger, self.noise, self.random, self.trainer = ledger, noise, random, trainer
        self.codes, self.loss, self.device = codes, loss, device
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
        table = self._codes(merged, margins, layout)
        encoder = self._encoder()
        fitted = with_unmeasured(encoder, self.columns, layout, table)
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
                    total=self.plan.records,
                    missing=data[f"{name}/missing"],
                    spikes=special_numbers(one.column).tolist(),
                )
                one.edges = found.edges

    def _encode(self, data: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Symbols of all measured columns, row by row."""
        encoded = [one.encode(plain_of(data, one)) for one in self.columns]
        codes, positions = zip(*encoded, strict=True)
        return {"codes": np.stack(codes, axis=1), "positions": np.stack(positions, axis=1)}

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

    def _codes(self, rows: PrivateRows, margins: NoisyMargins, layout: Layout) -> CodeTable:
        """Fit the codes as the engine says: to noisy pairs, against a critic under DP-SGD, or one after the other."""
        sizes = [len(own) for own in margins.counts]
        if "pairs" not in self.plan.events:
            theta, weights = self._game_alone(rows, layout)
        else:
            theta, weights = self._anchor(rows, margins, sizes)
            if "critic" in self.plan.events:
                codes = FreeCodes(sizes, theta.to(self.device))
                self._challenge(codes, rows, layout)
                theta, weights = codes.frozen()
        self.report["codes"] = len(theta)
        return CodeTable(theta.numpy(), weights.double().numpy(), sizes)

    def _anchor(self, rows: PrivateRows, margins: NoisyMargins, sizes: list[int]) -> tuple[Tensor, Tensor]:
        """Measure pairs and fit the codes to everything measured."""
        budget, events = self.plan.budget, self.plan.events
        pairs = all_pairs(sizes)
        if "scores" in events:
            pairs = select_pairs(rows, sizes, events["scores"], events["pairs"], budget, self.noise)
        strength = signal(margins.total, events["pairs"], max(len(pairs), 1), budget)
        names = [one.column.name for one in self.columns]
        by = names.index(self.schema.target) if self.schema.target in names else None
        if by is not None and "scores" not in events and worth_splitting(sizes[by], len(sizes), strength):
            pairs = [pair for pair in pairs if by not in pair]
            self.report["split_by"] = names[by]
        else:
            by = None
        marginals = measure_pairs(rows, sizes, pairs, margins, events["pairs"], budget, self.noise, split_by=by)
        settings = anchor_settings(strength, sum(sizes))
        if self.codes is not None:
            settings = replace(settings, codes=self.codes)
        codes = NetworkCodes(sizes, marginals.singles, settings, generator=self.random.torch("anchor", self.device))
        self._run(AnchorStage(codes, marginals, settings))
        self.report |= {"pairs": len(pairs), "symbols": sum(sizes)}
        return codes.frozen()

    def _game_alone(self, rows: PrivateRows, layout: Layout) -> tuple[Tensor, Tensor]:
        """Codes that start near the noisy margins, a little apart, and learn from the critic alone."""
        codes = LatentCodes(layout, self.codes if self.codes is not None else _CODES, device=self.device)
        with torch.no_grad():
            codes.coefficients.normal_(generator=self.random.torch("codes", self.device)).mul_(_APART)
        self._challenge(CodeSampler(codes), rows, layout)
        return codes.frozen()

    def _challenge(self, generator: RelaxedGenerator, rows: PrivateRows, layout: Layout) -> None:
        """Let a critic that sees the rows through noise only move the codes."""
        if self.plan.records is None:
            raise PrivacyError("a critic needs the public number of records", remedy="declare it with --records")
        stage = PrivateAdversaryStage(
            generator,
            FeatureMap(layout, device=self.device),
            rows,
            self.plan.events["critic"],
            self.noise,
            self.random.child("critic"),
            records=self.plan.records,
            loss=self.loss,
            rows_per_unit=self.plan.budget.rows_per_unit,
            device=self.device,
        )
        self._run(stage)

    def _run(self, stage: Stage) -> None:
        report = self.trainer.run(stage)
        # without seconds: how long something takes depends on the table
        self.report.setdefault("stages", {})[report.name] = f"{report.steps} steps, {report.stopped_because}"

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
                codecs[column.name] = identifier_codec(column, self.plan.records)
        return TableEncoder.from_codecs(schema, codecs, generated)
