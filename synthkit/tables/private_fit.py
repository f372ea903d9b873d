"""A fit under a privacy budget: what is read, in the order of the plan, and what is made of it.

The only lines that see private data are those inside ``reading``, in this module and in `synthkit.privacy.anchor`. What
they return is noisy; everything after is post-processing and may look at it as often as it likes.
"""

from __future__ import annotations

import warnings
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
from synthkit.privacy.budget import ROW
from synthkit.privacy.categories import bound_contributions, private_categories
from synthkit.privacy.edges import private_edges
from synthkit.privacy.events import CATEGORIES_OF
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
    plain_column,
    special_numbers,
    unit_numbers,
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
_FLOOR = 1e-6  # share of symbols that were not seen, in a model of one column
_FIT = 6  # frames from a warning here to the call of `TableGAN.fit`
_SEEN = 3.0  # standard deviations of noise above which a label gets a symbol of its own


class PrivateTableFit:
    """One fit of a table under a privacy budget.

    Parameters
    ----------
    plan
        What is read, with which noise.
    schema
        Declared.
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
        ledger: Ledger,
        noise: NoiseSource,
        random: RandomSource,
        trainer: Trainer,
        codes: int | None = None,
        loss: str = "wgan-gp",
        device: str = "cpu",
    ) -> None:
        self.plan, self.schema, self.unit = plan, schema, plan.budget.unit
        self.ledger, self.noise, self.random, self.trainer = ledger, noise, random, trainer
        self.codes, self.loss, self.device = codes, loss, device
        self.columns = [Measured(column) for column in schema if is_modelled(column, self.unit)]
        self.report: dict[str, Any] = {}

    def run(self, frame: pd.DataFrame) -> FittedTable:
        """Fit to a private table ``[n_rows, n_columns]``."""
        rows = self._rows(frame)
        records = self._records(rows)
        self._buy_categories(rows)
        self._buy_bins(rows, self.plan.bins_for(records))
        margins = measure_margins(
            rows.map(self._encode), [one.codec.code.size for one in self.columns], self.plan.events["margins"],
            self.plan.budget, self.noise,
        )  # fmt: skip
        counts = [
            one.merge_rare(own, _SEEN * margins.sigma, _MOST_LABELS)
            for one, own in zip(self.columns, margins.counts, strict=True)
        ]
        margins = replace(margins, counts=counts)
        layout = self._layout(margins)
        table = self._codes(rows.map(self._encode), margins, layout)
        fitted = with_unmeasured(self._encoder(), self.columns, layout, table)
        fitted.report = {**self.report, "rows": round(margins.total), "interrupted": self.trainer.interrupted}
        return fitted

    # -- what is read -------------------------------------------------------------------------------------------------

    def _rows(self, frame: pd.DataFrame) -> PrivateRows:
        """Put the table under guard, at most so many rows of each unit."""
        for name in [*(one.name for one in self.columns), *([self.unit] if self.unit != ROW else [])]:
            if name not in frame:
                raise SchemaError(unknown_name("column", name, [str(known) for known in frame.columns]))
        arrays: dict[str, NDArray[Any]] = {}
        for one in self.columns:
            plain = plain_column(frame[one.name], one.column)
            arrays[f"{one.name}/values"], arrays[f"{one.name}/missing"] = plain.values, plain.missing
        if self.unit == ROW:
            return PrivateRows(arrays, self.ledger)
        units = unit_numbers(frame[self.unit])
        # a row without a unit might be anybody's: the bound on rows per unit could not be kept for it
        kept = np.flatnonzero(units >= 0)
        kept = kept[bound_contributions(units[kept], self.plan.budget.rows_per_unit, self.noise)]
        return PrivateRows({name: own[kept] for name, own in arrays.items()}, self.ledger, units[kept])

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
            name = one.name
            event = self.plan.events.get(CATEGORIES_OF + name)
            if event is None or event.epsilon is None:
                continue
            with rows.reading(event) as data:
                found = private_categories(
                    data[f"{name}/values"],
                    event.epsilon,
                    event.delta,
                    self.noise,
                    missing=data[f"{name}/missing"],
                    rows_per_unit=self.plan.budget.rows_per_unit,
                )
            one.take_labels(found.labels)
            if not found.labels:
                warnings.warn(
                    f"no category of column {name!r} occurs often enough to be published under this budget: it will be "
                    "missing everywhere",
                    UserWarning,
                    stacklevel=_FIT,
                )

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
                found = private_edges(
                    data[f"{one.name}/values"],
                    low,
                    high,
                    NumberScale(one.column).integral,
                    sigma,
                    self.noise,
                    most,
                    levels=levels,
                    total=self.plan.records,
                    missing=data[f"{one.name}/missing"],
                    spikes=special_numbers(one.column).tolist(),
                )
                one.edges = found.edges

    def _encode(self, data: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Symbols of all measured columns, row by row."""
        encoded = [one.encode(plain_of(data, one)) for one in self.columns]
        codes, positions = zip(*encoded, strict=True)
        return {"codes": np.stack(codes, axis=1), "positions": np.stack(positions, axis=1)}

    # -- what is made of it -------------------------------------------------------------------------------------------

    def _layout(self, margins: NoisyMargins) -> Layout:
        """Layout of the measured columns from noisy counts; their codecs get the shares."""
        shares = margins.shares()
        for one, own in zip(self.columns, shares, strict=True):
            one.take_shares(own)
        codes = [one.codec.code for one in self.columns]
        return Layout.from_counts(
            [code.size for code in codes],
            [code.n_atoms for code in codes],
            [own * margins.total for own in shares],
            [code.has_inside for code in codes],
            [code.values if code.is_numeric else None for code in codes],
            rows=margins.total,
        )

    def _codes(self, rows: PrivateRows, margins: NoisyMargins, layout: Layout) -> CodeTable:
        """Fit the codes as the engine says: to noisy pairs, against a critic under DP-SGD, or one after the other."""
        events, sizes = self.plan.events, [len(own) for own in margins.counts]
        if "pairs" in events:
            theta, weights = self._anchor(rows, margins, sizes)
            if "critic" in events:
                codes = FreeCodes(sizes, theta.to(self.device))
                self._challenge(codes, rows, layout)
                theta, weights = codes.frozen()
        elif "critic" in events:
            theta, weights = self._game_alone(rows, layout)
        else:  # a single column: its margin is all there is to know
            shares = torch.as_tensor(np.concatenate(margins.shares()), dtype=torch.float32)
            theta, weights = (shares + _FLOOR).log()[None], torch.zeros(1)
        self.report["codes"] = len(theta)
        return CodeTable(theta.numpy(), weights.double().numpy(), sizes)

    def _anchor(self, rows: PrivateRows, margins: NoisyMargins, sizes: list[int]) -> tuple[Tensor, Tensor]:
        """Measure pairs and fit the codes to everything measured."""
        budget, events = self.plan.budget, self.plan.events
        pairs = all_pairs(sizes)
        if "scores" in events:
            pairs = select_pairs(rows, sizes, events["scores"], events["pairs"], budget, self.noise)
        strength = signal(margins.total, events["pairs"], max(len(pairs), 1), budget)
        names = [one.name for one in self.columns]
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
        measured = {one.name: one for one in self.columns}
        for column in schema:
            if column.type == "text":
                continue
            if column.name in measured:
                one = measured[column.name]
                if one.column != column:  # bought labels
                    schema = schema.replace(column.name, categories=one.column.categories, nullable=one.column.nullable)
                codecs[column.name] = one.codec
            elif column.type == "constant":
                codecs[column.name] = constant_codec(column)
            elif is_generated(column):
                generated[column.name] = TextIdentifier(column, 0.0)
            else:
                codecs[column.name] = identifier_codec(column, self.plan.records)
        return TableEncoder.from_codecs(schema, codecs, generated)
