"""A family of image GANs as a short record: architecture, loss, penalties, rates."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

from synthkit.errors import InputError, unknown_name

_AVERAGED = 50  # half-lives of the moving average in a plan, where the recipe does not say

Family = Literal["noise", "superresolution", "translation", "inpainting", "anomaly"]


@dataclass(frozen=True)
class PenaltyTerm:
    """A term that keeps the critic smooth.

    Attributes
    ----------
    name
        ``zero-centred`` (R1 on real and R2 on fakes), ``real`` (R1 only), ``interpolated`` (WGAN-GP) or ``clipping``.
    weight
        Gamma, lambda, or the bound of the weights; 0 takes gamma from size and batch (`automatic_gamma`).
    every
        Computed at every so many critic steps and weighted up by it (lazy regularisation, Karras 2020). Volumes have it
        at every step: their weights are so large that four times as much at once makes the critic swing.
    share
        Share of the batch it is computed on.
    last
        Share of its weight that is left at the end of the plan; it falls evenly on a logarithmic scale (R3GAN lowers
        gamma tenfold).
    """

    name: Literal["zero-centred", "real", "interpolated", "clipping"]
    weight: float = 0.0
    every: int = 1
    share: float = 1.0
    last: float = 1.0

    def interval(self, nd: int) -> int:
        """Critic steps from one time to the next, for images (2) or volumes (3)."""
        return self.every if nd == 2 else 1


@dataclass(frozen=True)
class AugmentSettings:
    """How images are changed before the critic sees them, real and fake alike (Karras 2020; Zhao 2020).

    Attributes
    ----------
    flip
        Mirror left and right. Off by default: laterality is clinical content.
    shift
        Largest shift in whole samples, as a share of each length.
    intensity
        Spread of random brightness and contrast.
    erase
        Share of each length of a square that is erased.
    probability
        Of each change; None adapts it to how sure the critic is of real images.
    """

    flip: bool = False
    shift: float = 0.0
    intensity: float = 0.0
    erase: float = 0.0
    probability: float | None = 1.0
    target: float = 0.6


@dataclass(frozen=True)
class Recipe:
    """How one family of image GANs is built and trained.

    Attributes
    ----------
    name, family
        What it is called, and which of the fits of `synthkit.scans` trains it.
    generator, critic
        Names of the nets (`synthkit.gan.images.nets`).
    conditional
        Whether classes are given to the nets, where the scans have any.
    loss, penalties
        The game (`synthkit.gan.losses.IMAGE_LOSSES`) and what keeps the critic smooth.
    block
        Residual blocks of dense 3x3 convolutions, or of grouped ones between 1x1 ones (R3GAN).
    depth
        Residual blocks per level.
    attention
        Levels (shortest axis) with self-attention.
    norm, spectral, spread
        Group normalisation in the generator; spectral norm in the critic; the spread within a batch as a further
        feature of the critic (Karras 2018).
    patch
        Samples of the image that one sample of the finest level stands for, along each axis: 2 keeps the
        convolutions off the full resolution, where they cost most. Generators go on to the full resolution.
    widths_2d, widths_3d
        Channels from the coarsest level to the finest. More levels repeat the first; fewer leave out the last one and
        the first ones. Finer levels of a generator have half as many as the level before, for volumes a quarter.
    optimizer, learning_rate, critic_rate, betas
        Of the generator and, where it differs, of the critic.
    critic_steps
        Critic steps per generator step.
    batch
        Images per step; a quarter of it for volumes.
    warm_up, flat, last
        Shares of the plan in which the rates rise and until which they stay; then a cosine to ``last`` of their height.
    average
        Half-life of the moving average of the generator, in images; 0 for a fiftieth of the plan.
    augment
        What both see changed.
    pool
        Former fakes that the critic is shown again (Shrivastava 2017); 0 for none.
    anchor, anchored, anchor_rate
        Share of the work that goes into the anchor before the game; share of the fakes that are images given back in
        the game (at the weight ``anchor`` of `auxiliary`); learning rate of the anchor.
    auxiliary
        Weights of further generator losses by name, for recipes that have them.
    tones
        Whether drawn values get the distribution of real ones after training, by class (`synthkit.scans.tones`).
    """

    name: str
    family: Family = "noise"
    generator: str = "residual"
    critic: str = "residual"
    conditional: bool = True
    loss: str = "relativistic"
    penalties: tuple[PenaltyTerm, ...] = ()
    block: Literal["dense", "grouped"] = "dense"
    depth: int = 1
    attention: tuple[int, ...] = ()
    norm: bool = False
    spectral: bool = False
    spread: bool = True
    patch: int = 2
    widths_2d: tuple[int, ...] = (192, 128, 64, 32)
    widths_3d: tuple[int, ...] = (96, 64, 32, 16)
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 5e-4
    critic_rate: float | None = None
    betas: tuple[float, float] = (0.0, 0.99)
    critic_steps: int = 1
    batch: int = 32
    warm_up: float = 0.01
    flat: float = 0.4
    last: float = 0.05
    average: float = 0.0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    pool: int = 0
    anchor: float = 0.0
    anchored: float = 0.5
    anchor_rate: float = 1e-3
    auxiliary: tuple[tuple[str, float], ...] = ()
    tones: bool = False

    def changed(self, **changes: Any) -> Self:
        """Return the recipe with some settings changed.

        Raises
        ------
        InputError
            There is no such setting; names the nearest one.
        """
        names = [entry.name for entry in fields(self)]
        for name in changes:
            if name not in names:
                raise InputError(unknown_name(f"setting of the recipe {self.name!r}", name, names))
        return replace(self, **changes)

    def widths(self, nd: int, levels: int) -> tuple[int, ...]:
        """Channels of each of a number of levels, from the coarsest to the finest."""
        widths = self.widths_2d if nd == 2 else self.widths_3d
        if levels < len(widths):  # small images can afford wider levels
            return widths[len(widths) - levels - 1 : -1]
        return (*[widths[0]] * (levels - len(widths)), *widths)

    def batch_of(self, nd: int) -> int:
        """Images per step."""
        return self.batch if nd == 2 else max(2, self.batch // 4)

    def decay(self, n: int, steps: int) -> float:
        """Weight of the past in the moving average, per step of ``n`` images in a plan of so many steps."""
        return float(0.5 ** (n / (self.average or n * steps / _AVERAGED)))

    def weight_of(self, name: str) -> float:
        """Weight of an auxiliary loss; 0 where the recipe has none of this name."""
        return dict(self.auxiliary).get(name, 0.0)
