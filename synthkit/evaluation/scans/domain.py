"""The default extractor: a small network trained on the real training scans themselves, in 2-D and 3-D.

It learns two things at once: the class of a scan, where there are classes, and what was done to a scan that was
blurred, made noisy, warped, changed in contrast or patched with a piece of another. The second needs no labels and
makes the features sensitive to what generators do wrong; a classifier alone looks through blur and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.random import RandomSource

WIDTHS = (16, 32, 64, 96)
LONGEST = {2: 96, 3: 48}
"""Scans with a longer side are resampled to it before they are looked at."""
DAMAGES = ("noise", "blur", "warp", "contrast", "patch")
_MOST_NOISE, _MOST_BLUR, _MOST_WARP, _MOST_GAIN = 0.35, 1.8, 0.12, 0.5
_DAMAGED_SHARE = 0.4
_BATCH = 64
_RATE = 3e-3
_DAMAGE_WEIGHT = 10.0
_MOST_JUDGED = 500
_HELD_OUT = 0.1
_BLUR_REACH = 4
_HALVED = {2: 32, 3: 24}
_MODES = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Learned:
    """What the network could do after training, on training scans that were set aside.

    Attributes
    ----------
    accuracy
        Share of scans whose class it names; NaN without classes.
    damage_error
        Mean squared error of the strengths of the damages, as a share of their variance: below 1 it sees them.
    scans, steps
        Number of scans that it learned from, and of batches.
    """

    accuracy: float
    damage_error: float
    scans: int
    steps: int


class DomainNet(nn.Module):
    """Convolutions at four resolutions; the features are the mean of each channel at each of them.

    Parameters
    ----------
    size
        Samples along each axis, two or three.
    channels
        Channels of a scan.
    n_classes
        Number of classes; 0 where there is nothing to tell apart.
    generator
        Source of the initial weights.
    halved_above
        Scans with a longer side are halved by the first stage; 32 in two and 24 in three dimensions when None.
    """

    def __init__(
        self,
        size: tuple[int, ...],
        channels: int,
        n_classes: int,
        *,
        generator: torch.Generator,
        halved_above: int | None = None,
    ) -> None:
        super().__init__()
        dimensions = len(size)
        self.n_classes = n_classes
        stages = max(1, min(len(WIDTHS), int(np.log2(max(2, min(size))))))
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dimensions]
        widths = WIDTHS[:stages]
        # The layers are made empty and filled below: their own start would draw from torch's global generator.
        with torch.device("meta"):
            self.stages = nn.ModuleList()
            inputs = channels
            for place, width in enumerate(widths):
                if place == 0:
                    # Large scans are halved at once: at full resolution the first stage took nine tenths of the time.
                    stride = 2 if max(size) > (halved_above or _HALVED[dimensions]) else 1
                    parts: list[nn.Module] = [convolution(inputs, width, 5, stride=stride, padding=2, bias=False)]
                else:
                    parts = [
                        convolution(inputs, width, 3, stride=2, padding=1, bias=False),
                        norm(width),
                        nn.ReLU(),
                    ]
                    parts += [convolution(width, width, 3, padding=1, bias=False)]
                self.stages.append(nn.Sequential(*parts, norm(width), nn.ReLU()))
                inputs = width
            self.head = nn.Linear(sum(widths), len(DAMAGES) + n_classes)
        self.to_empty(device="cpu")
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.reset_running_stats()
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                fan_in = module.weight[0].numel()
                with torch.no_grad():
                    module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, scans: Tensor) -> Tensor:
        """Return features ``[n, F]`` of scans ``[n, channels, *size]`` in [-1, 1]."""
        pooled = []
        for stage in self.stages:
            scans = stage(scans)
            pooled.append(scans.flatten(2).mean(dim=2))
        return torch.cat(pooled, dim=1)


def fitting_size(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the size at which scans are looked at: their own, or smaller with the same shape."""
    share = min(1.0, LONGEST[len(size)] / max(size))
    return tuple(max(1, round(length * share)) for length in size)


def at_size(scans: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return scans ``[n, channels, *any]`` resampled to a size: by area where smaller, else linearly."""
    here = tuple(scans.shape[2:])
    if here == size:
        return scans
    if all(new <= old for new, old in zip(size, here, strict=True)):
        return functional.interpolate(scans, size=size, mode="area")
    return functional.interpolate(scans, size=size, mode=_MODES[len(size)], align_corners=False)


def train_domain_net(
    scans: Tensor,
    labels: npt.NDArray[np.int64] | None,
    groups: npt.NDArray[np.int64],
    n_classes: int,
    *,
    steps: int,
    random: RandomSource,
    device: torch.device,
) -> tuple[DomainNet, Learned]:
    """Train the network on real scans.

    Parameters
    ----------
    scans
        ``[n, channels, *size]`` in [-1, 1].
    labels
        Class of each, ``[n]``; None without classes.
    groups
        Patient of each, ``[n]``: all scans of one are set aside together.
    n_classes
        Number of classes.
    steps
        Number of batches.
    random
        Where randomness comes from.
    device
        Where to compute.

    Returns
    -------
    tuple
        The network, ready for inference, and what it learned.
    """
    generator = random.torch("domain")
    told = labels is not None and n_classes > 1
    size = tuple(scans.shape[2:])
    net = DomainNet(size, scans.shape[1], n_classes if told else 0, generator=generator).to(device)
    learned, aside = _set_aside(groups, random.numpy("set aside"))
    classes = None if labels is None else torch.as_tensor(np.asarray(labels, dtype=np.int64))
    optimiser = torch.optim.Adam(net.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=max(2, steps), pct_start=0.2)
    net.train()
    batch = max(2, min(_BATCH, len(learned)))
    for _ in range(steps):
        rows = learned[torch.randint(len(learned), (batch,), generator=generator)]
        loss = _loss(net, *_damaged(scans[rows], generator), classes[rows] if told and classes is not None else None)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    net.eval().requires_grad_(False)
    judged = aside if len(aside) > 1 else learned[:_MOST_JUDGED]
    return net, _judge(net, scans[judged], classes[judged] if told and classes is not None else None, generator, steps)


def _set_aside(groups: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return the positions of the scans to learn from and of those set aside, by patient."""
    _, places = np.unique(groups, return_inverse=True)
    n_groups = int(places.max()) + 1
    order = rng.permutation(n_groups)
    is_aside = np.isin(places, order[: int(_HELD_OUT * n_groups)])
    aside = np.flatnonzero(is_aside)
    kept = rng.permutation(aside)[:_MOST_JUDGED]
    return torch.as_tensor(np.flatnonzero(~is_aside)), torch.as_tensor(np.sort(kept))


def _loss(net: DomainNet, damaged: Tensor, strengths: Tensor, classes: Tensor | None) -> Tensor:
    device = next(net.parameters()).device
    answers = net.head(net(damaged.to(device)))
    loss = functional.mse_loss(answers[:, : len(DAMAGES)], strengths.to(device)) * _DAMAGE_WEIGHT
    if classes is not None:
        loss = loss + functional.cross_entropy(answers[:, len(DAMAGES) :], classes.to(device))
    return loss


@torch.no_grad()
def _judge(net: DomainNet, scans: Tensor, classes: Tensor | None, generator: torch.Generator, steps: int) -> Learned:
    """Return what the network can do on scans, in bounded memory."""
    device = next(net.parameters()).device
    right, errors, strengths = 0, [], []
    for start in range(0, len(scans), _BATCH):
        part = scans[start : start + _BATCH]
        damaged, truth = _damaged(part, generator)
        errors.append((net.head(net(damaged.to(device))).cpu()[:, : len(DAMAGES)] - truth) ** 2)
        strengths.append(truth)
        if classes is not None:
            named = net.head(net(part.to(device))).cpu()[:, len(DAMAGES) :].argmax(dim=1)
            right += int((named == classes[start : start + _BATCH]).sum())
    spread = float(torch.cat(strengths).var(dim=0, correction=0).mean())
    error = float(torch.cat(errors).mean()) / spread if spread > 0 else float("nan")
    accuracy = right / len(scans) if classes is not None else float("nan")
    return Learned(accuracy, error, len(scans), steps)


def _damaged(scans: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return scans of which most are damaged, and how strongly each, ``[n, damages]`` in [0, 1].

    Each damage is done to a part of the scans, with a strength drawn evenly.
    """
    n, dimensions = len(scans), scans.ndim - 2
    shape = (n, *(1,) * (dimensions + 1))
    hit = torch.rand(n, len(DAMAGES), generator=generator) < _DAMAGED_SHARE
    strengths = torch.where(hit, torch.rand(n, len(DAMAGES), generator=generator), torch.zeros(()))
    # Squares, so that slight damages, such as good generators make, are frequent.
    noise, blur, warp, contrast, patch = (strengths**2).unbind(dim=1)
    made = _warped(scans, warp * _MOST_WARP, generator)
    made = _patched(made, patch, generator)
    made = _blurred(made, blur * _MOST_BLUR)
    sign = torch.randint(2, (n,), generator=generator) * 2.0 - 1
    gain = torch.exp(sign * contrast * _MOST_GAIN).view(shape)
    # Dark stays dark: the lower end of the window is what most of a scan's background is.
    made = ((made + 1) * gain - 1).clamp(-1, 1)
    made = made + torch.randn(made.shape, generator=generator) * (noise * _MOST_NOISE).view(shape)
    return made.clamp(-1, 1), strengths


def _blurred(scans: Tensor, sigmas: Tensor) -> Tensor:
    """Return scans each blurred with its own Gaussian, in samples."""
    n, channels, *size = scans.shape
    dimensions = len(size)
    reach = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, dtype=scans.dtype)
    kernel = torch.exp(-0.5 * (reach[None] / sigmas.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    convolve = {2: functional.conv2d, 3: functional.conv3d}[dimensions]
    made = scans.reshape(1, n * channels, *size)
    for axis in range(dimensions):
        shape = [n * channels, 1, *(1,) * dimensions]
        shape[2 + axis] = len(reach)
        padding = [0, 0] * dimensions
        padding[2 * (dimensions - 1 - axis)] = padding[2 * (dimensions - 1 - axis) + 1] = _BLUR_REACH
        made = convolve(functional.pad(made, padding, mode="replicate"), kernel.view(shape), groups=n * channels)
    return made.reshape(n, channels, *size)


def _warped(scans: Tensor, strengths: Tensor, generator: torch.Generator) -> Tensor:
    """Return scans each bent by smooth random shifts of up to a share of their half side."""
    n, _, *size = scans.shape
    dimensions = len(size)
    coarse = torch.randn(n, dimensions, *(5,) * dimensions, generator=generator)
    shifts = functional.interpolate(coarse, size=size, mode=_MODES[dimensions], align_corners=True)
    still = torch.eye(dimensions, dimensions + 1).expand(n, dimensions, dimensions + 1)
    grid = functional.affine_grid(still, [n, 1, *size], align_corners=False)
    grid = grid + shifts.movedim(1, -1) * strengths.view(n, *(1,) * (dimensions + 1))
    return functional.grid_sample(scans, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _patched(scans: Tensor, strengths: Tensor, generator: torch.Generator) -> Tensor:
    """Return scans each with a box of another scan; the sides are up to half of those of the scan."""
    n, _, *size = scans.shape
    inside = torch.ones(n, 1, *size, dtype=torch.bool)
    for axis, length in enumerate(size):
        side = (strengths * length / 2).round()
        start = torch.rand(n, generator=generator) * (length - side)
        shape = [1, 1, *(1,) * len(size)]
        shape[2 + axis] = length
        place = torch.arange(length, dtype=torch.float32).view(shape)
        lower, upper = (end.view(n, *(1,) * (len(size) + 1)) for end in (start, start + side))
        inside = inside & (place >= lower) & (place < upper)
    return torch.where(inside, scans.roll(1, dims=0), scans)
