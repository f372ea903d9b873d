"""What canaries find in the private anchor and the private critic, as they are and with bugs put back in.

    python evaluation/benchmarks/audit.py --repetitions 20

As they are, the lower bound on epsilon must stay below the claim in all repetitions, and should come to a good part of
it, or the attack has no teeth. Every bug (`BUGS`) must be refuted in all repetitions. The canaries and the noise come
from the operating system. The result is `evaluation/baselines/audit.json`; about 15 minutes on one core.

An audit can only refute. That nothing is found is no proof that nothing leaks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from synthkit.archive import atomic_path
from synthkit.privacy import anchor, critic_step, histograms
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.canaries import (
    CanaryAudit,
    audit_anchor,
    audit_anchor_once,
    audit_critic,
    audit_critic_once,
)
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.sampling import PoissonSampler

OUT = Path(__file__).resolve().parent.parent / "baselines" / "audit.json"
ENOUGH = 0.4  # of the claim, for the median of repetitions

Bug = Callable[[], AbstractContextManager[Any]]


def half_the_noise_of_counts() -> AbstractContextManager[Any]:
    """Noise in counts has half the planned standard deviation."""
    original = anchor.event_sigma
    return patch.object(anchor, "event_sigma", lambda *given, **more: original(*given, **more) / 2)


def no_noise_in_pairs() -> AbstractContextManager[Any]:
    """Tables of pairs are published exactly; the margins have their noise."""
    return patch.object(
        anchor, "noisy_pair_counts", lambda codes, sizes, pairs, *_: histograms.pair_counts(codes, sizes, pairs)
    )


@contextmanager
def rows_in_two_cells() -> Iterator[None]:
    """Every row counts in its cell and in the next one, as smoothing does, at the price of one cell."""
    margins, pairs = histograms.counts_of, histograms.pair_counts

    def both(table: np.ndarray) -> np.ndarray:
        return table + np.roll(table, 1, axis=-1)

    with (
        patch.object(histograms, "counts_of", lambda *given: both(margins(*given))),
        patch.object(histograms, "pair_counts", lambda *given: [both(table) for table in pairs(*given)]),
    ):
        yield


def half_the_noise_of_gradients() -> AbstractContextManager[Any]:
    """Noise in gradients has half the planned standard deviation."""
    original = NoiseSource.gaussian
    return patch.object(NoiseSource, "gaussian", lambda self, sigma, shape: original(self, sigma / 2, shape))


def no_noise_in_gradients() -> AbstractContextManager[Any]:
    """Clipped gradients are published exactly."""
    return patch.object(NoiseSource, "gaussian", lambda self, sigma, shape: np.zeros(shape))


def terms_clipped_one_by_one() -> AbstractContextManager[Any]:
    """Real term, fake term and penalty of a record are clipped each by itself: together they are longer than C."""
    original = critic_step.clipped_sum

    def one_by_one(critic: Any, loss: Any, real: torch.Tensor, fake: torch.Tensor, *rest: Any) -> Any:
        plain, nothing = replace(loss, penalty="none"), torch.zeros_like(real)
        # a linear critic has the same gradient everywhere, and scores of zeros cancel
        terms = [(plain, real, nothing), (plain, nothing, fake), (loss, nothing, nothing)]
        found = [original(critic, *term, *rest) for term in terms]
        return replace(found[0], sums=[sum(tensors) for tensors in zip(*(one.sums for one in found), strict=True)])

    return patch.object(critic_step, "clipped_sum", one_by_one)


def penalty_unclipped() -> AbstractContextManager[Any]:
    """Real and fake term are clipped together, and the gradient of the penalty is added as it is."""
    original = critic_step.clipped_sum

    def beside(critic: Any, loss: Any, real: torch.Tensor, fake: torch.Tensor, share: torch.Tensor, clip: float) -> Any:
        plain = replace(loss, penalty="none")
        clipped = original(critic, plain, real, fake, share, clip)
        whole, scores = (original(critic, own, real, fake, share, 1e9) for own in (loss, plain))
        sums = [a + b - c for a, b, c in zip(clipped.sums, whole.sums, scores.sums, strict=True)]
        return replace(clipped, sums=sums)

    return patch.object(critic_step, "clipped_sum", beside)


def everybody_in_every_step() -> AbstractContextManager[Any]:
    """No sampling: all rows take part in all steps, and the accountant is told of Poisson samples."""
    original = PoissonSampler.draw
    return patch.object(PoissonSampler, "draw", lambda self, probability, noise: original(self, 1.0, noise))


# what is attacked -> bug -> what puts it back in
BUGS: dict[str, dict[str, Bug]] = {
    "anchor": {
        "half the noise": half_the_noise_of_counts,
        "no noise in pairs": no_noise_in_pairs,
        "rows counted in two cells": rows_in_two_cells,
    },
    "critic": {
        "half the noise": half_the_noise_of_gradients,
        "no noise": no_noise_in_gradients,
        "terms clipped one by one (2 C)": terms_clipped_one_by_one,
        "penalty not clipped": penalty_unclipped,
        "everybody in every step": everybody_in_every_step,
    },
}
AUDITS: dict[str, Callable[..., CanaryAudit]] = {"anchor": audit_anchor, "critic": audit_critic}
ONE_RUN: dict[str, Callable[..., CanaryAudit]] = {"anchor": audit_anchor_once, "critic": audit_critic_once}


def repeated(
    audit: Callable[..., CanaryAudit], repetitions: int, bug: Bug = nullcontext, **options: Any
) -> dict[str, Any]:
    """Return what an audit finds in several repetitions, and how long they took."""
    started = time.perf_counter()
    found = []
    for _ in range(repetitions):
        with bug():
            found.append(audit(**options))
    bounds = [audit.lower_bound for audit in found]
    first = found[0].to_json()
    return {
        **{name: first[name] for name in ("method", "adjacency", "claimed", "delta", "confidence", "runs")},
        "detectable": first["detectable"],
        "expected": first["expected"],
        "repetitions": repetitions,
        "lower_bounds": bounds,
        "smallest": min(bounds),
        "median": float(np.median(bounds)),
        "largest": max(bounds),
        "share": float(np.median(bounds)) / found[0].claimed,
        "any_mechanism": [audit.any_mechanism for audit in found],
        "refuted": sum(audit.verdict == "refuted" for audit in found),
        "seconds": round(time.perf_counter() - started, 1),
    }


def told(what: str, record: dict[str, Any]) -> None:
    """Print one line."""
    bounds = f"bound {record['median']:6.2f} ({record['smallest']:.2f} to {record['largest']:.2f})"
    refuted = f"refuted {record['refuted']}/{record['repetitions']}"
    print(
        f"{what:40} claimed {record['claimed']:5.2f}  {bounds:30}  expected {record['expected']:5.2f}  {refuted}  "
        f"{record['seconds']:.0f} s",
        flush=True,
    )


def write(out: Path, content: dict[str, Any]) -> None:
    """Write what is known so far."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Run everything and write the result; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Canary audit of the private anchor and the private critic.")
    parser.add_argument("--repetitions", type=int, default=20, help="of what is audited as it is")
    parser.add_argument("--few", type=int, default=5, help="repetitions with each bug, and under replace-one")
    parser.add_argument("--runs", type=int, default=3_000, help="of each audit, half of them with the canary")
    parser.add_argument("--epsilon", type=float, default=4.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--confidence", type=float, default=0.99)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    budget = PrivacyBudget(options.epsilon, options.delta)
    replaced = PrivacyBudget(options.epsilon, options.delta, adjacency="replace-one")
    content: dict[str, Any] = {"format_version": 1, "as_it_is": {}, "one_run": {}, "bugs": {}, "missed": []}

    def record(part: str, what: str, repetitions: int, audit: Callable[..., CanaryAudit], **more: Any) -> None:
        found = repeated(audit, repetitions, confidence=options.confidence, **more)
        told(what, found)
        content[part][what] = found
        missed: list[str] = content["missed"]
        if part == "bugs" and found["refuted"] < repetitions:
            missed.append(f"{what}: not refuted in {repetitions - found['refuted']} repetitions")
        if part != "bugs" and found["refuted"]:
            missed.append(f"{what}: refuted in {found['refuted']} repetitions")
        if part == "as_it_is" and found["share"] < ENOUGH:
            missed.append(f"{what}: the bound comes to {found['share']:.0%} of the claim")
        write(options.out, content)

    for name, audit in AUDITS.items():
        record("as_it_is", name, options.repetitions, audit, budget=budget, runs=options.runs)
    for name, audit in ONE_RUN.items():
        record("one_run", f"{name} in one run", options.repetitions, audit, budget=budget, canaries=1_000)
    for name, bugs in BUGS.items():
        for bug, put_back in bugs.items():
            more = {"bug": put_back, "budget": budget, "runs": options.runs}
            record("bugs", f"{name}: {bug}", options.few, AUDITS[name], **more)
    for name, audit in AUDITS.items():
        record("as_it_is", f"{name}, replace-one", options.few, audit, budget=replaced, runs=options.runs)
    missed = content["missed"]
    print("\n".join(["missed:", *missed]) if missed else "all bars met")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
