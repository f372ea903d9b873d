"""Volumes with masks: a U-Net that learns to segment real hippocampi from synthetic pairs alone.

    python evaluation/benchmarks/scans_hippocampus.py --time-budget 15m

A `ScanGAN` learns 200 MR volumes of 40 x 56 x 40 with their masks (anterior and posterior hippocampus) and draws pairs.
A small 3-D U-Net is trained on these pairs, another one on the real pairs, with the same number of steps; both segment
60 real volumes that nobody has seen (the last ids; neighbouring ids may be the two sides of one person, so the split is
by blocks of ids). The bar: at least 0.85 of the Dice of the real U-Net. The floor is the mean mask of the training
volumes, given to every test volume as it stands.

``--shrink 2`` works at 20 x 28 x 20, for trials; nothing is written then.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scans_section import arguments, data_folder, write_section
from torch import Tensor, nn
from torch.nn import functional

from synthkit.io.png import png_bytes
from synthkit.io.resampling import resampled, resampled_masks
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.random import RandomSource
from synthkit.scans.gan import ScanGAN

TRAIN = 200
REGIONS = {1: "anterior", 2: "posterior"}
BAR = 0.85
UNET_STEPS, UNET_BATCH = 500, 4
DRAWN = 600


def hippocampi(data: str | None, shrink: int) -> tuple[ScanSet, ScanSet]:
    """Training and test volumes with masks, by blocks of ids."""
    with np.load(data_folder(data) / "hippocampus_40x56x40.npz", allow_pickle=False) as file:
        images, masks, ids = file["images"][:, None], file["masks"], file["ids"]
    order = np.argsort(ids)
    images, masks, ids = images[order], masks[order], ids[order]
    if shrink > 1:
        size = tuple(length // shrink for length in images.shape[2:])
        images, masks = resampled(images, size), resampled_masks(masks, size)
    form = ScanForm("MR", bits=8, limits=(0.0, 255.0), spacing=(float(shrink),) * 3, body_part="BRAIN")
    scans = ScanSet(images, masks=masks, patients=ids, names=tuple(ids), form=form)
    return scans.take(slice(0, TRAIN)), scans.take(slice(TRAIN, None))


# ---------------------------------------------------------------------------------------------------------------- U-Net


class UNet(nn.Module):
    """Two levels down and up again (Ronneberger 2015; Cicek 2016), with group norm."""

    def __init__(self, classes: int, width: int = 8) -> None:
        super().__init__()
        self.one, self.two, self.three = _pair(1, width), _pair(width, 2 * width), _pair(2 * width, 4 * width)
        self.four, self.five = _pair(6 * width, 2 * width), _pair(3 * width, width)
        self.out = nn.Conv3d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.one(images)
        middle = self.two(functional.max_pool3d(fine, 2))
        coarse = self.three(functional.max_pool3d(middle, 2))
        middle = self.four(torch.cat([middle, _up(coarse, middle)], 1))
        made: Tensor = self.out(self.five(torch.cat([fine, _up(middle, fine)], 1)))
        return made


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for count in (inputs, outputs):
        layers += [nn.Conv3d(count, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers)


def _up(values: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(values, size=like.shape[2:], mode="trilinear", align_corners=False)


def trained_unet(images: np.ndarray, masks: np.ndarray, random: RandomSource, steps: int = UNET_STEPS) -> UNet:
    """Train a U-Net on pairs: cross-entropy and soft Dice, random shifts and changes of contrast."""
    classes = 1 + len(REGIONS)
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(random.integer("weights"))
        net = UNet(classes)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = random.numpy("batches")
    for _ in range(steps):
        rows = rng.integers(len(images), size=UNET_BATCH)
        shift = tuple(int(one) for one in rng.integers(-3, 4, 3))
        axes = (-3, -2, -1)
        seen = torch.from_numpy(np.roll(images[rows], shift, axes).astype(np.float32) / 127.5 - 1)
        change = torch.from_numpy(rng.normal(0, 0.1, (2, len(rows), 1, 1, 1, 1)).astype(np.float32))
        truth = torch.from_numpy(np.roll(masks[rows], shift, axes).astype(np.int64))
        made = net(seen * change[0].exp() + change[1])
        wanted = functional.one_hot(truth, classes).movedim(-1, 1).float()
        shares = made.softmax(1)
        both = (shares * wanted).sum((0, 2, 3, 4))
        dice = (2 * both + 1) / ((shares + wanted).sum((0, 2, 3, 4)) + 1)
        loss = functional.cross_entropy(made, truth) + 1 - dice[1:].mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def segmented(net: UNet, images: np.ndarray) -> np.ndarray:
    """Return the mask of each volume."""
    parts = [net(torch.from_numpy(one[None].astype(np.float32) / 127.5 - 1)).argmax(1) for one in images]
    return torch.cat(parts).numpy()


def dices(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice of each volume and region ``[n, regions]``; volumes without a region count as 1 where none is found."""
    scores = np.empty((len(truth), len(REGIONS)))
    for column, region in enumerate(REGIONS):
        one, other = found == region, truth == region
        both = (one & other).sum((1, 2, 3))
        total = one.sum((1, 2, 3)) + other.sum((1, 2, 3))
        scores[:, column] = np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)
    return scores


def interval(
    scores: np.ndarray, rng: np.random.Generator, of: Callable[[np.ndarray], float], times: int = 2_000
) -> list[float]:
    """Value and 95 % bootstrap interval over the volumes (the first axis)."""
    drawn = [of(scores[rng.integers(len(scores), size=len(scores))]) for _ in range(times)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [of(scores), float(low), float(high)]


# -------------------------------------------------------------------------------------------------------- the section


def picture(real: ScanSet, fake: ScanSet, n: int = 8) -> bytes:
    """Middle slices, real above and synthetic below, each with the border of its mask."""
    rows = []
    for scans in (real, fake):
        for axis in (0, 2):
            middle = scans.size[axis] // 2
            tiles = []
            for i in range(n):
                grey = np.take(scans.images[i, 0], middle, axis=axis).astype(np.uint8)
                mask = np.take(scans.masks[i], middle, axis=axis)
                colour = np.repeat(grey[..., None], 3, 2)
                for region, paint in ((1, (255, 90, 60)), (2, (60, 160, 255))):
                    inside = mask == region
                    edge = inside & ~_eroded(inside)
                    colour[edge] = paint
                tiles.append(np.pad(colour, ((1, 1), (1, 1), (0, 0))))
            rows.append(np.concatenate(tiles, 1))
    width = max(row.shape[1] for row in rows)
    whole = np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])
    return png_bytes(np.ascontiguousarray(whole.repeat(3, 0).repeat(3, 1)))


def _eroded(inside: np.ndarray) -> np.ndarray:
    kept = inside.copy()
    for axis in (0, 1):
        for step in (1, -1):
            kept &= np.roll(inside, step, axis)
    return kept


def main() -> None:
    parser = arguments(__doc__, time_budget="15m")
    parser.add_argument("--recipe", default="r3")
    parser.add_argument("--shrink", type=int, default=1, help="resolution divided by this, for trials")
    parser.add_argument("--unet-steps", type=int, default=UNET_STEPS)
    parser.add_argument("--unets", type=int, default=1, help="U-Nets of each kind, with seeds of their own")
    parser.add_argument("--drawn", type=int, default=DRAWN)
    parser.add_argument("--settings", default="{}", help="further settings of ScanGAN as JSON")
    parser.add_argument("--picture", help="where a trial puts its picture")
    parser.add_argument("--model", help="keep the model here, or use the one that is there")
    options = parser.parse_args()
    random = RandomSource(options.seed)
    training, test = hippocampi(options.data, options.shrink)
    began = time.monotonic()
    gan = fitted(options, training)
    fitting = time.monotonic() - began
    fake = gan.sample(options.drawn, random_state=options.seed)
    sources = {
        "real": (training.images, training.masks),
        "synthetic": (fake.images, fake.masks),
    }
    found: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for name, (images, masks) in sources.items():
        began = time.monotonic()
        nets = [
            trained_unet(images, masks, random.child(f"{name} {i}"), options.unet_steps) for i in range(options.unets)
        ]
        found[name] = [dices(segmented(net, test.images), test.masks) for net in nets]
        seconds[name] = time.monotonic() - began
        print(name, np.mean(found[name]).round(4), [one.mean(0).round(3).tolist() for one in found[name]], flush=True)
    mean_mask = _mean_mask(training.masks)
    found["mean mask"] = [dices(np.repeat(mean_mask[None], len(test), 0), test.masks)]
    rng = random.numpy("bootstrap")
    rows = []
    stacked = {name: np.mean(scores, 0) for name, scores in found.items()}  # mean over the seeds, by volume
    for name, scores in stacked.items():
        both = np.stack([scores.mean(1), stacked["real"].mean(1)], 1)
        ratio = interval(both, rng, lambda drawn: float(drawn[:, 0].mean() / drawn[:, 1].mean()))
        rows.append(
            {
                "trained on": name,
                "dice": interval(scores.mean(1), rng, lambda drawn: float(drawn.mean())),
                **{region: float(scores[:, column].mean()) for column, region in enumerate(REGIONS.values())},
                "share": None if name == "real" else ratio,
                "met": ratio[0] >= BAR if name == "synthetic" else None,
            }
        )
    print(json.dumps(rows, indent=1))
    print(json.dumps({name: gan.report_[name] for name in ("held_out_before", "held_out_after", "held_out_real")}))
    shown = picture(test, fake)
    if options.picture:
        with open(options.picture, "wb") as file:
            file.write(shown)
    if options.shrink > 1:
        return
    report = gan.report_
    write_section(
        "hippocampus",
        title="Hippocampus: volumes with masks, and a U-Net that sees synthetic pairs only",
        command=f"python evaluation/benchmarks/scans_hippocampus.py --time-budget {options.time_budget}",
        facts={
            "training volumes": len(training),
            "test volumes": len(test),
            "size": " x ".join(map(str, training.size)),
            "recipe": options.recipe,
            "settings": options.settings,
            "steps": report["steps"],
            "planned steps": report["planned_steps"],
            "seconds of the fit": round(report["seconds"] or fitting, 1),
            "peak memory in MB": report["peak_memory_mb"],
            "synthetic pairs": options.drawn,
            "U-Net steps": options.unet_steps,
            "U-Nets of each kind": options.unets,
            "seconds of the U-Nets": {name: round(one, 1) for name, one in seconds.items()},
            "held-out score before, after, of real": [
                report["held_out_before"],
                report["held_out_after"],
                report["held_out_real"],
            ],
            "seed": options.seed,
        },
        columns={
            "trained on": "U-Net trained on",
            "dice": "Dice of both regions on real test volumes",
            **{region: f"Dice {region}" for region in REGIONS.values()},
            "share": "share of the real U-Net",
            "met": f"at least {BAR}",
        },
        rows=rows,
        notes=[
            "Intervals are over the test volumes (bootstrap, 95 %), of the mean over the U-Nets of each kind.",
            "The mean mask is no U-Net: every test volume gets the mean of the training masks, whatever is in it.",
            "Both kinds of U-Net have the same steps, batches, changes and no selection on any data.",
        ],
        pictures={
            "pairs": (
                shown,
                "Middle slices across two axes with the borders of the regions: two rows of real test volumes above, "
                "two rows of synthetic pairs below.",
            )
        },
    )


def fitted(options: argparse.Namespace, training: ScanSet) -> ScanGAN:
    """Return the model: fitted now, or the one that was kept."""
    if options.model and Path(options.model).exists():
        return ScanGAN.load(options.model)
    settings = json.loads(options.settings)
    budget, seed = options.time_budget, options.seed
    gan = ScanGAN(options.recipe, time_budget=budget, random_state=seed, verbose=True, **settings).fit(training)
    if options.model:
        gan.save(options.model)
    return gan


def _mean_mask(masks: np.ndarray) -> np.ndarray:
    """Return the most frequent region of each sample."""
    counts = np.stack([(masks == region).sum(0) for region in (0, *REGIONS)])
    return counts.argmax(0).astype(np.uint8)


if __name__ == "__main__":
    main()
