"""The stages of a fit: codes by likelihood, the adversary where it helps, refinement; or the classical network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthkit.gan.adversary import AdversaryStage
from synthkit.gan.boosting import TreeSettings
from synthkit.gan.codes import CodeSampler, LatentCodes, LikelihoodStage, split_rows
from synthkit.gan.features import FeatureMap
from synthkit.gan.kept_critic import KeptCritic
from synthkit.gan.layout import Layout
from synthkit.gan.network import NetworkGenerator
from synthkit.gan.population import Particles
from synthkit.gan.refine import RefineSettings, RefineStage, two_sample_auc
from synthkit.gan.stage import StageReport
from synthkit.gan.table import CodeTable
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource
from synthkit.tables.encoder import Encoded, TableEncoder
from synthkit.tables.fitted import FittedTable
from synthkit.tables.nearest import nearest_record_share
from synthkit.tables.plan import (
    SMALL,
    FitPlan,
    chain_counts,
    code_counts,
    code_settings,
    fewest_codes,
    tree_leaves,
    tree_rate,
)

_REFINABLE = 200  # rows below which trees find nothing that is not chance
_WIDE = 30  # columns
_CLEARLY = 0.05  # fall of the two-sample AUC for which the adversary is kept


@dataclass(frozen=True, eq=False)
class Rows:
    """Encoded training and held-out rows."""

    training: Encoded
    held_out: Encoded

    @classmethod
    def split(cls, encoded: Encoded, share: float | None, random: RandomSource) -> Rows:
        """Hold out a twentieth, more of a small table (about 1,000 rows, at most a fifth)."""
        n = len(encoded)
        chosen = share if share is not None else min(0.2, max(0.05, 1000 / max(n, 1)))
        training, held = split_rows(n, chosen, random.numpy("validation"))
        if not len(training):
            training = held
        return cls(_take(encoded, training), _take(encoded, held))


def _take(encoded: Encoded, rows: NDArray[np.int64]) -> Encoded:
    return Encoded(encoded.symbols[rows], encoded.positions[rows])


class TableFit:
    """One fit of a table, stage by stage.

    Parameters
    ----------
    plan
        What to do.
    encoder
        Fitted to the table.
    encoded
        The table.
    random
        Source of all random numbers.
    trainer
        Runs the stages.
    """

    def __init__(
        self, plan: FitPlan, encoder: TableEncoder, encoded: Encoded, random: RandomSource, trainer: Trainer
    ) -> None:
        self.plan, self.encoder, self.random, self.trainer = plan, encoder, random, trainer
        self.layout = Layout.from_data(
            encoder.sizes,
            [code.n_atoms for code in encoder.columns],
            encoded.symbols,
            encoded.positions,
            [code.values if code.is_numeric else None for code in encoder.columns],
        )
        self.rows = Rows.split(encoded, plan.validation_share, random)
        self.report: dict[str, Any] = {}
        self.stages: list[StageReport] = []
        self.critic: KeptCritic | None = None

    def run(self) -> FittedTable:
        """Run all stages; the result is the best state reached, also after an interruption."""
        if not len(self.layout.sizes):
            fitted = FittedTable(self.encoder, self.layout)
        elif self.plan.generator == "network":
            fitted = self._network()
        else:
            fitted = self._codes()
        stages = {report.name: report.describe() for report in self.stages}
        fitted.report = {**self.report, "stages": stages, "interrupted": self.trainer.interrupted}
        return fitted

    # -- latent codes -------------------------------------------------------------------------------------------------

    def _codes(self) -> FittedTable:
        codes = self._likelihood()
        self._challenge(codes)
        theta, weights = codes.frozen()
        table = CodeTable(theta.numpy(), weights.double().numpy(), self.layout.sizes.tolist())
        fitted = FittedTable(self.encoder, self.layout, table, critic=self.critic)
        if len(self.rows.held_out):
            held = table.log_likelihood(self.rows.held_out.symbols)
            self.report["held_out_log_likelihood"] = float(held.mean())
        self._refine(fitted, table)
        return fitted

    def _likelihood(self) -> LatentCodes:
        training = torch.from_numpy(self.rows.training.symbols).to(self.plan.device)
        held = torch.from_numpy(self.rows.held_out.symbols).to(self.plan.device)
        tried: list[tuple[LatentCodes, NDArray[np.float64]]] = []
        for count in code_counts(len(training), self.layout.width, self.plan.n_codes):
            settings = code_settings(count, len(training), self.layout.width)
            codes = LatentCodes(self.layout, count, cosines=settings.cosines, device=self.plan.device)
            stage = LikelihoodStage(codes, training, held, settings, self.random.child(f"codes {count}"))
            stage.name = f"likelihood of {count} codes"
            self.stages.append(self.trainer.run(stage, patience=4, seconds=self._share_of_time(0.4)))
            with torch.no_grad():
                tried.append((codes, codes.log_likelihood(held).double().cpu().numpy()))
        best = fewest_codes(tried)
        self.report["codes"] = best.codes
        return best

    def _share_of_time(self, share: float) -> float:
        left = self.trainer.time_left
        return left * share if math.isfinite(left) else math.inf

    # -- adversary ----------------------------------------------------------------------------------------------------

    def _challenge(self, codes: LatentCodes) -> None:
        """Train against a critic; the codes stay as they are unless trees find the result harder to tell apart."""
        n = len(self.rows.training)
        if self.plan.adversary == "off" or (self.plan.adversary == "auto" and n < 2 * _REFINABLE):
            self.report["adversary"] = "off" if self.plan.adversary == "off" else f"not tried with {n} rows"
            return
        steps = 600 if self.plan.adversary == "on" else 120
        symbols = torch.from_numpy(self.rows.training.symbols).to(self.plan.device)
        positions = torch.from_numpy(self.rows.training.positions).to(self.plan.device)
        stage = AdversaryStage(
            CodeSampler(codes),
            FeatureMap(self.layout, device=self.plan.device),
            symbols,
            positions,
            lambda: -abs(self._auc(self._frozen(codes), rows=4_000, folds=2) - 0.5),
            self.random.child("adversary"),
            loss=self.plan.loss,
            total_steps=steps,
            evaluate_every=max(1, steps // 3),
            generator_rate=0.03,
            head_start=min(40, steps // 3),
            anchor=lambda rows: -codes.log_likelihood(symbols[rows]).mean(),
            anchor_weight=0.1,
            device=self.plan.device,
        )
        start = stage.snapshot()
        report = self.trainer.run(stage, patience=2, seconds=self._share_of_time(0.2))
        self.stages.append(report)
        before, after = 0.5 - report.initial_score, 0.5 - report.best_score
        if report.improved and before - after < _CLEARLY:
            # a small gain in detection is paid for in likelihood and in what predicts the target
            stage.restore(start)
            self.report["adversary"] = f"tried and dropped: two-sample AUC {before:.3f} -> {after:.3f} is too little"
        elif report.improved:
            self.critic = stage.kept_critic()
            self.report["adversary"] = f"kept: two-sample AUC {before:.3f} -> {after:.3f}"
        else:
            self.report["adversary"] = f"tried and dropped: it did not lower the two-sample AUC of {before:.3f}"

    def _frozen(self, codes: LatentCodes) -> CodeTable:
        theta, weights = codes.frozen()
        return CodeTable(theta.numpy(), weights.double().numpy(), self.layout.sizes.tolist())

    def _auc(self, table: CodeTable, *, rows: int = 10_000, folds: int = 3) -> float:
        """Two-sample AUC of the codes, always with the same random numbers."""
        rng = self.random.child("two-sample").numpy("rows")
        _, symbols = table.draw(min(rows, max(1_000, len(self.rows.training))), rng)
        fake = symbols, rng.random(symbols.shape, dtype=np.float32)
        real = self.rows.training.symbols, self.rows.training.positions
        return two_sample_auc(self.layout, real, fake, rng, rows=rows, folds=folds)

    # -- refinement ---------------------------------------------------------------------------------------------------

    def _refine(self, fitted: FittedTable, table: CodeTable) -> None:
        training, held = self.rows.training, self.rows.held_out
        n = len(training)
        if n >= _REFINABLE:
            self.report["two_sample_auc_raw"] = self._auc(table)
        if not self.plan.refine or n < _REFINABLE:
            self.report["refinement"] = "off" if not self.plan.refine else f"not tried with {n} rows"
            self._report_nearest(fitted)
            return
        # many columns need many rounds; on large tables they would cost more than they bring
        large = n >= 2 * SMALL
        raw = float(self.report["two_sample_auc_raw"])
        columns = len(self.layout.sizes)
        wide = columns > _WIDE
        first, grown = chain_counts(n + len(held), columns)
        settings = RefineSettings(
            rounds=(40 if wide else 32) if large else (72 if wide else 48),
            chains=first,
            grown=grown,
            trees=TreeSettings(leaves=tree_leaves(n, raw), learning_rate=tree_rate(raw)),
        )
        stage = RefineStage(
            table,
            self.layout,
            training.symbols,
            training.positions,
            held.symbols,
            held.positions,
            settings,
            self.random.child("refinement"),
            self._target(),
        )
        report = self.trainer.run(
            stage, patience=12, seconds=self._share_of_time(0.9), good_enough=lambda: stage.complete
        )
        self.stages.append(report)
        stage.finish()
        chains = stage.chains
        auc = two_sample_auc(
            self.layout,
            (training.symbols, training.positions),
            (chains.symbols[:first], chains.positions[:first]),  # without the copies of them
            self.random.child("two-sample").numpy("rows"),
        )
        self.report["two_sample_auc_refined"] = auc
        if max(auc, 0.5) <= max(raw, 0.5):
            fitted.ratio = stage.ratio
            fitted.particles = Particles(chains.codes, chains.symbols, chains.positions, chains.energy, chains.folds)
            self.report["refinement"] = f"kept: two-sample AUC {raw:.3f} -> {auc:.3f}"
        else:
            self.report["refinement"] = f"tried and dropped: two-sample AUC {raw:.3f} -> {auc:.3f}"
        self._report_nearest(fitted)

    def _target(self) -> int | None:
        """Number of the target among the modelled columns."""
        names = self.encoder.names
        target = self.encoder.schema.target
        return names.index(target) if target in names else None

    def _report_nearest(self, fitted: FittedTable) -> None:
        """How often the nearest real row of a synthetic row is a training row rather than a held-out one."""
        share = nearest_record_share(
            self.layout,
            (self.rows.training.symbols, self.rows.training.positions),
            (self.rows.held_out.symbols, self.rows.held_out.positions),
            next(fitted.batches(2_000, {}, self.random.child("nearest"))),
            self.random.child("nearest").numpy("rows"),
        )
        self.report["nearest_record_share"] = share

    # -- classical network --------------------------------------------------------------------------------------------

    def _network(self) -> FittedTable:
        device = self.plan.device
        network = NetworkGenerator(self.layout, generator=self.random.torch("network", device))
        symbols = torch.from_numpy(self.rows.training.symbols).to(device)
        positions = torch.from_numpy(self.rows.training.positions).to(device)

        def score() -> float:
            rng = self.random.child("two-sample").numpy("rows")
            drawn = network.sample(4_000, self.random.child("two-sample").torch("noise", device))
            fake = drawn[0].cpu().numpy(), drawn[1].cpu().numpy()
            real = self.rows.training.symbols, self.rows.training.positions
            return -abs(two_sample_auc(self.layout, real, fake, rng, rows=4_000, folds=2) - 0.5)

        stage = AdversaryStage(
            network,
            network.features,
            symbols,
            positions,
            score,
            self.random.child("adversary"),
            loss=self.plan.loss,
            total_steps=1_800,
            evaluate_every=200,
            conditional=True,
            device=device,
        )
        report = self.trainer.run(stage, seconds=self._share_of_time(0.9))
        self.stages.append(report)
        network.calibrate(self.random.torch("calibration", device))
        self.report["two_sample_auc_raw"] = 0.5 - score()
        fitted = FittedTable(self.encoder, self.layout, network=network, critic=stage.kept_critic())
        self._report_nearest(fitted)
        return fitted
