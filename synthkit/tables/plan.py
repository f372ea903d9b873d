"""What a fit is asked to do, and the settings that follow from the size of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import InputError, unknown_name
from synthkit.gan.codes import CodeSettings, LatentCodes
from synthkit.gan.estimator import is_whole
from synthkit.gan.losses import LOSSES
from synthkit.gan.population import SPARE

GENERATORS = ("codes", "network")
ADVERSARY = ("auto", "on", "off")
SMALL = 10_000  # rows below which the number of codes is chosen by held-out likelihood
_TINY = 2_000  # rows below which no number of codes is preferred to another without evidence
_FEWEST_CHAINS = 1_000
_CHAINS = (20_000, 450_000), (30_000, 1_000_000)  # at most so many, and cells of them, at first and when they end
_FAR = 0.75  # two-sample AUC of the codes from which larger trees and steps pay


@dataclass(frozen=True)
class FitPlan:
    """What to do, as the user asked.

    Attributes
    ----------
    generator, loss, adversary, refine
        As the arguments of `TableGAN`.
    n_codes
        K, or None to choose.
    validation_share
        Share of the rows held out, or None to choose.
    device
        Where to train.
    """

    generator: str = "codes"
    loss: str = "relativistic"
    adversary: str = "auto"
    refine: bool = True
    n_codes: int | None = None
    validation_share: float | None = None
    device: str = "cpu"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The settings of a `TableGAN`, checked.

        Raises
        ------
        InputError
            An unknown name, or a number that is none or outside its range.
        """
        for name, known in (("generator", GENERATORS), ("loss", tuple(LOSSES)), ("adversary", ADVERSARY)):
            if settings[name] not in known:
                raise InputError(unknown_name(name, str(settings[name]), known))
        count, share = settings["n_codes"], settings["validation_share"]
        if count != "auto" and (not is_whole(count) or count < 1):
            raise InputError(f"n_codes is {count!r}, expected a whole number from 1 or 'auto'")
        if share != "auto" and not (isinstance(share, Real) and 0.0 < float(share) < 1.0):
            raise InputError(f"validation_share is {share!r}, expected a number between 0 and 1 or 'auto'")
        return cls(
            generator=settings["generator"],
            loss=settings["loss"],
            adversary=settings["adversary"],
            refine=bool(settings["refine"]),
            n_codes=None if count == "auto" else int(count),
            validation_share=None if share == "auto" else float(share),
            device=settings["device"],
        )

    def _repr_html_(self) -> str:
        from synthkit.tables.showing import plan_html

        return plan_html(self)


def code_counts(rows: int, width: int, asked: int | None) -> list[int]:
    """Numbers of codes to try: the one asked for, or one that grows with the rows; a few for small tables.

    About ``sqrt(rows)`` codes, at most 1,000 and at most what keeps the parameters below about four million.
    """
    if asked is not None:
        return [asked]
    most = max(4, 4_000_000 // max(width, 1))
    usual = int(min(1_000, most, max(8, round(math.sqrt(rows)))))
    if rows >= SMALL:
        return [usual]
    other = max(4, usual // 2) if rows >= _TINY else min(most, 3 * usual)
    return sorted({max(4, usual // 4), usual, other})


def chain_counts(rows: int, columns: int) -> tuple[int, int]:
    """Chains of the refinement, at first and when it ends.

    No two rows of a synthetic table as large as the real one should come from the same chain: where moves are mostly
    refused they would be near-copies of each other. Large tables begin with fewer chains, which are copied in time for
    the copies to part.
    """
    wanted = max(_FEWEST_CHAINS, math.ceil(SPARE * rows))
    first, last = (max(_FEWEST_CHAINS, min(most, cells // columns)) for most, cells in _CHAINS)
    return min(wanted, first), min(wanted, last)


def tree_leaves(rows: int, auc: float) -> int:
    """Leaves of the trees of the refinement: more where there are more rows, and where more is left to find.

    Trees that are larger than they need to be bring rows nearer to the training rows, not to the law behind them.
    """
    return 31 if rows < 2 * SMALL else min(255 if auc > _FAR else 127, rows // 130)


def tree_rate(auc: float) -> float:
    """Learning rate of the trees of the refinement: small steps, unless the codes are far from the data.

    Smaller steps from the start leave rows harder to tell from real ones that were held out and further from the
    training rows, and cost rounds; larger first steps followed by small ones do not do as well.
    """
    return 0.3 if auc > _FAR else 0.15


def fewest_codes(tried: Sequence[tuple[LatentCodes, NDArray[np.float64]]]) -> LatentCodes:
    """The fewest codes whose held-out log-likelihood is within a standard error of the best (Breiman 1984).

    Of few held-out rows the standard error is so wide that relations would be lost: the best codes are taken then.

    Parameters
    ----------
    tried
        Codes and the log-likelihood of each held-out row under them ``[M]``, from few codes to many.
    """
    chosen, best = max(tried, key=lambda one: one[1].mean() if len(one[1]) else 0.0)
    rows = len(best)
    if rows < _TINY // 5:
        return chosen
    near = (codes for codes, own in tried if (best - own).mean() <= (best - own).std(ddof=1) / math.sqrt(rows))
    return next(near, chosen)


def code_settings(codes: int, rows: int, width: int) -> CodeSettings:
    """Settings for a table: fewer steps, smaller batches, smoother codes for few rows; smaller batches for wide ones.

    With about ``sqrt(rows)`` codes each is learned from about ``sqrt(rows)`` rows, five for each cosine.
    """
    batch = int(max(64, min(1_000, rows // 4, 6_000_000 // max(width, 1))))
    steps = 400 if rows >= SMALL else 240
    cosines = min(10, max(3, round(math.sqrt(rows) / 5)))
    return CodeSettings(codes=codes, steps=steps, batch=batch, cosines=cosines)


def settings_fingerprint(plan: FitPlan, seed: int, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint must agree with: plan, seed and data."""
    return {**{name: getattr(plan, name) for name in plan.__dataclass_fields__}, "seed": seed, **columns}


def budget_settings(settings: Mapping[str, Any]) -> list[str]:
    """Names of the settings of a `TableGAN` that mean something under a privacy budget only, and are given."""
    usual = {"privacy": None, "privacy_engine": "auto", "buy": (), "ledger": None, "reproducible_noise": None}
    return [name for name, value in usual.items() if settings[name] not in (value, [])]
