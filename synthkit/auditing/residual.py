"""What an attack on members gains over the same attack on non-members, with an interval that covers both rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.auditing.intervals import share_estimate
from synthkit.auditing.records import Estimate


@dataclass(frozen=True)
class Comparison:
    """How often an attack succeeded on members, and how often on non-members.

    Attributes
    ----------
    hits, tried
        Successes and attempts on members.
    control_hits, control_tried
        The same on non-members. With dependent attempts, effective numbers on either side.
    """

    hits: float
    tried: float
    control_hits: float
    control_tried: float

    @classmethod
    def of(cls, members: npt.NDArray[np.bool_], nonmembers: npt.NDArray[np.bool_]) -> Comparison:
        """Return the comparison of two arrays of independent successes, shapes [members] and [non-members]."""
        return cls(float(members.sum()), float(len(members)), float(nonmembers.sum()), float(len(nonmembers)))

    @property
    def possible(self) -> bool:
        """Whether there were attempts on either side."""
        return self.tried > 0 and self.control_tried > 0

    def attack(self, confidence: float) -> Estimate:
        """Return the success rate on members; the baseline is that on non-members."""
        return share_estimate(self.hits, self.tried, confidence, self._rates()[1])

    def control(self, confidence: float) -> Estimate:
        """Return the success rate on non-members, which is its own baseline."""
        return share_estimate(self.control_hits, self.control_tried, confidence, self._rates()[1])

    def excess(self, confidence: float) -> Estimate:
        """Return the success rate on members less that on non-members, with Newcombe's interval; the baseline is 0.

        References
        ----------
        Newcombe (1998), Statistics in Medicine 17, 873: method 10.
        """
        if not self.possible:
            return Estimate(np.nan, baseline=0.0)
        mine, other = self.attack(confidence), self.control(confidence)
        value = mine.value - other.value
        low = value - float(np.hypot(mine.value - mine.low, other.high - other.value))
        high = value + float(np.hypot(mine.high - mine.value, other.value - other.low))
        return self._tested(value, max(-1.0, low), min(1.0, high), confidence)

    def risk(self, confidence: float) -> Estimate:
        """Return the share of what non-members leave to be gained that the attack gains on members.

        This is (attack - control) / (1 - control) as in Anonymeter, that is one less the ratio of the failure rates.
        Its interval follows from Wilson's intervals of both rates (MOVER). It is not cut at 0: without a leak it lies
        on either side. The baseline is 0. Where no attack on non-members fails, nothing can be gained and it is NaN.

        References
        ----------
        Giomi, Boenisch, Wehmeyer and Tasnadi (2023), PoPETs 2: Anonymeter.
        Donner and Zou (2012), Statistical Methods in Medical Research 21, 347: intervals for ratios.
        """
        if not self.possible or self.control_hits >= self.control_tried:
            return Estimate(np.nan, baseline=0.0)
        mine, other = self.attack(confidence), self.control(confidence)
        top, top_low, top_high = 1 - mine.value, 1 - mine.high, 1 - mine.low
        under, under_low, under_high = 1 - other.value, 1 - other.high, 1 - other.low
        least, most = (
            _ratio_end(top, top_low, under, under_high, -1.0),
            _ratio_end(top, top_high, under, under_low, 1.0),
        )
        value = 1 - top / under
        return self._tested(max(-1.0, value), max(-1.0, 1 - most), min(1.0, 1 - least), confidence)

    def estimates(self, confidence: float) -> dict[str, Estimate]:
        """Return the measures "risk", "attack" and "control"."""
        return {
            "risk": self.risk(confidence),
            "attack": self.attack(confidence),
            "control": self.control(confidence),
        }

    def plain(self) -> dict[str, float]:
        """Return both rates as plain values for details."""
        attack, control = self._rates()
        return {"attack": attack, "control": control, "members": self.tried, "nonmembers": self.control_tried}

    def _rates(self) -> tuple[float, float]:
        return (
            self.hits / self.tried if self.tried else float("nan"),
            self.control_hits / self.control_tried if self.control_tried else float("nan"),
        )

    def _tested(self, value: float, low: float, high: float, confidence: float) -> Estimate:
        """Return an estimate whose interval leaves out 0 only where Fisher's exact test rejects it, for few successes.

        The ends were found by approximations that are a little too sure where successes are rare.
        """
        ours, tried = round(self.hits), round(self.tried)
        both, all_tried = round(self.hits + self.control_hits), round(self.tried + self.control_tried)
        most = (1 - confidence) / 2
        if low > 0 and float(stats.hypergeom.sf(ours - 1, all_tried, both, tried)) > most:
            low = 0.0
        if high < 0 and float(stats.hypergeom.cdf(ours, all_tried, both, tried)) > most:
            high = 0.0
        return Estimate(value, min(low, value), max(high, value), 0.0)


def _ratio_end(top: float, top_end: float, under: float, under_end: float, side: float) -> float:
    """Return one end of the interval of a ratio, from the ends of the intervals of its two parts."""
    product = top * under
    root = product**2 - top_end * under_end * (2 * top - top_end) * (2 * under - under_end)
    divisor = under_end * (2 * under - under_end)
    if divisor <= 0:
        return 0.0 if side < 0 else float("inf")
    return max(0.0, (product + side * float(np.sqrt(max(0.0, root)))) / divisor)
