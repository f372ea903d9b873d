"""What a generator of scans has to produce, whatever the recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from synthkit.errors import InputError

# Samples along the shortest axis at which a net stops halving.
_COARSEST = 4


@dataclass(frozen=True)
class ImageSpec:
    """Form of the images and size of the nets.

    Attributes
    ----------
    size
        Samples along each axis, ``(rows, columns)`` or ``(slices, rows, columns)``; any lengths.
    channels
        Channels of the image itself, in [-1, 1].
    n_classes
        Classes that can be asked for; 0 without classes.
    context_channels
        Channels of an image that generator and critic are given (low resolution, a hole to fill); 0 for none.
    distance_channels
        Channels that follow the image's own and hold the signed distance to the border of each region, in [-1, 1]. 0
        without masks.
    mask_classes
        Channels that follow the image's own and hold a region map: probabilities of each class of region (background
        included), mapped to [-1, 1]. 0 without masks.
    latent
        Length of the noise vector.
    widths
        Channels of the nets from the coarsest level to the finest; empty for the recipe's own.

    Raises
    ------
    InputError
        A size that is not 2-D or 3-D, or a length below 4.
    """

    size: tuple[int, ...]
    channels: int = 1
    n_classes: int = 0
    context_channels: int = 0
    distance_channels: int = 0
    mask_classes: int = 0
    latent: int = 64
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse sizes that no net can make."""
        if len(self.size) not in (2, 3) or min(self.size) < 4:
            raise InputError(
                f"scans of the size {self.size}, expected two or three lengths of at least 4",
                remedy="Resample the scans, or read slices instead of volumes.",
            )

    @property
    def nd(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def outputs(self) -> int:
        """Channels of what the generator makes and the critic sees: image and region map."""
        return self.channels + self.distance_channels + self.mask_classes

    def levels(self, finest: int = 0) -> tuple[tuple[int, ...], ...]:
        """Sizes from the coarsest (shortest axis about 4) to the one that is ``finest`` halvings below the full size.

        Halving rounds up, so every size has its levels and none is padded.
        """
        halvings = max(finest, math.floor(math.log2(min(self.size) / _COARSEST) + 1e-9))
        return tuple(halved(self.size, times) for times in range(halvings, finest - 1, -1))


def halved(size: tuple[int, ...], times: int) -> tuple[int, ...]:
    """Lengths after halving a number of times, rounding up."""
    return tuple(-(-length // 2**times) for length in size)
