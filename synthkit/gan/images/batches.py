"""Where the stage gets its real images from: a compact array, brought into [-1, 1] batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synthkit.errors import InputError

ToUnit = Callable[[Tensor], Tensor]
MakeContext = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Batch:
    """Some real images and what belongs to them.

    Attributes
    ----------
    images
        ``[B, outputs, *size]`` in [-1, 1], with the region map in the last channels if there is one.
    labels
        Classes ``[B]``, int64; None without classes.
    context
        ``[B, context_channels, ...]``; None without one.
    rows
        Which training images these are, ``[B]``.
    """

    images: Tensor
    labels: Tensor | None = None
    context: Tensor | None = None
    rows: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)


class ImageBatches:
    """Training images that are drawn at random, with replacement.

    Parameters
    ----------
    images
        ``[n, channels, *size]``, of any dtype torch has; kept as it is.
    labels
        Classes ``[n]``.
    to_unit
        Maps some of the images (a tensor of their dtype) to float32 in [-1, 1]; None where they are that already.
    masks, mask_classes
        Regions ``[n, *size]`` as whole numbers below ``mask_classes``; they become further channels of 1 and -1.
    context
        An array ``[n, context_channels, ...]`` in [-1, 1], or a function of the images of a batch and a generator of
        random numbers (lower resolution, a hole).
    weights
        Relative weight of each image ``[n]``; images are drawn in proportion.
    device
        Where everything is kept.

    Raises
    ------
    InputError
        There is no image, or parts have different lengths.
    """

    def __init__(
        self,
        images: np.ndarray | Tensor,
        labels: np.ndarray | Tensor | None = None,
        *,
        to_unit: ToUnit | None = None,
        masks: np.ndarray | Tensor | None = None,
        mask_classes: int = 0,
        context: np.ndarray | Tensor | MakeContext | None = None,
        weights: np.ndarray | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self._images = self._kept(images)
        self._labels = None if labels is None else self._kept(labels).long()
        self._masks = None if masks is None else self._kept(masks)
        self._mask_classes = mask_classes
        self._to_unit = to_unit
        self._make_context = context if callable(context) else None
        self._context = None if context is None or callable(context) else self._kept(context)
        self._cumulative = None
        if weights is not None:
            self._cumulative = torch.as_tensor(np.asarray(weights, float), device=self.device).cumsum(0)
        parts = (self._labels, self._masks, self._context, self._cumulative)
        lengths = {len(part) for part in parts if part is not None} | {len(self._images)}
        if lengths == {0} or len(lengths) > 1:
            raise InputError(
                f"training images and what belongs to them have the lengths {sorted(lengths)}, expected one length > 0",
                remedy="Give one label, mask, context and weight per image.",
            )

    def _kept(self, values: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(values).to(self.device)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    @property
    def labels(self) -> Tensor | None:
        """Classes of all images, ``[n]``."""
        return self._labels

    def draw(self, n: int, random: torch.Generator) -> Batch:
        """Draw a batch of ``n`` images."""
        if self._cumulative is None:
            rows = torch.randint(len(self), (n,), generator=random, device=self.device)
        else:
            marks = torch.rand(n, generator=random, device=self.device, dtype=torch.float64) * self._cumulative[-1]
            rows = torch.searchsorted(self._cumulative, marks, right=True).clamp(max=len(self) - 1)
        return self.at(rows, random)

    def at(self, rows: Tensor, random: torch.Generator) -> Batch:
        """Return the images of some row numbers ``[B]``; the generator is for a context that needs random numbers."""
        images = self._images[rows]
        images = images.float() if self._to_unit is None else self._to_unit(images)
        if self._masks is not None:
            regions = functional.one_hot(self._masks[rows].long(), self._mask_classes).movedim(-1, 1)
            images = torch.cat([images, 2.0 * regions - 1.0], 1)
        labels = None if self._labels is None else self._labels[rows]
        context = None if self._context is None else self._context[rows]
        if self._make_context is not None:
            context = self._make_context(images, random)
        return Batch(images, labels, context, rows)
