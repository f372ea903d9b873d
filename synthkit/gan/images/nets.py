"""Generators and critics of every recipe, in two and three dimensions.

`Generator` and `Critic` hold what all have in common (noise, classes, context, the form of the output); the nets
inside are looked up by name in `GENERATORS` and `CRITICS`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from synthkit.errors import InputError, unknown_name
from synthkit.gan.images.blocks import Linear, Table, initialise
from synthkit.gan.images.critics import CRITICS
from synthkit.gan.images.generators import GENERATORS
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.images.translators import Encoder, Translator

__all__ = ["TONES", "Critic", "Encoder", "Generator", "Translator"]

_REACH = 1.05
_LEAK = 0.05
TONES = 1025  # knots of a map of values, evenly from -1 to 1
_LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}


class Generator(nn.Module):
    """Makes images from noise, a class and a context image.

    Parameters
    ----------
    spec, recipe
        What to make, and how.
    random
        Where the initial weights come from; without one they are zero, to be loaded.

    Raises
    ------
    InputError
        There is no such net.
    """

    centres: Tensor
    roots: Tensor
    tones: Tensor

    def __init__(self, spec: ImageSpec, recipe: Recipe, random: torch.Generator | None = None) -> None:
        super().__init__()
        if recipe.generator not in GENERATORS:
            raise InputError(unknown_name("generator", recipe.generator, GENERATORS))
        self.spec = spec
        classes = spec.n_classes if recipe.conditional else 0
        self.table = Table(classes, spec.latent) if classes else None
        given = spec.latent * (2 if classes else 1)
        self.body = GENERATORS[recipe.generator](spec, recipe, given)
        # where the noise of each class is, once an anchor has found out: its mean and a root of its covariance
        kinds = max(1, classes) if recipe.anchor else 0
        # what is added to values after training, by class, channel and value (`synthkit.scans.tones`)
        self.register_buffer("tones", torch.zeros(max(1, classes) if recipe.tones else 0, spec.channels, TONES))
        self.register_buffer("centres", torch.zeros(kinds, spec.latent))
        self.register_buffer("roots", torch.eye(spec.latent).repeat(kinds, 1, 1))
        # parts of the noise after the vector are maps, one per level that takes noise
        self.maps: tuple[tuple[int, ...], ...] = tuple(self.body.noise_maps)
        self.noise_size = spec.latent + sum(math.prod(size) for size in self.maps)
        _finish(self, spec, random)

    def draw(self, n: int, random: torch.Generator) -> Tensor:
        """Draw noise ``[n, noise_size]`` from a generator on its device."""
        return torch.randn(n, self.noise_size, generator=random, device=random.device)

    def place(self, centres: Tensor, roots: Tensor) -> None:
        """Say where the noise of each class is: means ``[K, latent]`` and lower roots of covariances."""
        self.centres.copy_(centres)
        self.roots.copy_(roots)

    def placed(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        """From standard normal vectors ``[B, latent]`` to where their classes are."""
        if not len(self.centres):
            return noise
        kinds = self._kinds(noise, labels)
        moved: Tensor = self.centres[kinds] + torch.einsum("bij,bj->bi", self.roots[kinds], noise)
        return moved

    def unplaced(self, places: Tensor, labels: Tensor | None) -> Tensor:
        """Undo `placed`."""
        if not len(self.centres):
            return places
        kinds = self._kinds(places, labels)
        apart = (places - self.centres[kinds])[..., None]
        noise: Tensor = torch.linalg.solve_triangular(self.roots[kinds], apart, upper=False)[..., 0]
        return noise

    def _kinds(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None or self.table is None:
            return torch.zeros(len(noise), dtype=torch.int64, device=noise.device)
        return labels

    def forward(self, noise: Tensor, labels: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        """Make images.

        Parameters
        ----------
        noise
            ``[B, noise_size]``; what is missing after the first ``latent`` numbers counts as zero.
        labels
            Classes ``[B]``, where there are any.
        context
            ``[B, context_channels, ...]``, of any size.

        Returns
        -------
        Tensor
            ``[B, outputs, *size]`` in [-1, 1], float32.
        """
        spec = self.spec
        if self.table is not None and labels is None:
            raise InputError("the generator makes classes and got none", remedy="Give the class of every image.")
        given = self.placed(noise[:, : spec.latent], labels)
        if self.table is not None and labels is not None:
            given = torch.cat([given, self.table(labels)], 1)
        maps: list[Tensor | None] = []
        at = spec.latent
        for size in self.maps:
            part = noise[:, at : at + math.prod(size)]
            maps.append(part.reshape(-1, 1, *size) if part.shape[1] == math.prod(size) else None)
            at += math.prod(size)
        values: Tensor = self.body(given, maps, context)
        made = finished(values.float(), spec)
        return made if self.training or not len(self.tones) else self.toned(made, labels)

    def toned(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Move values ``[B, outputs, ...]`` in [-1, 1] by what `tones` says between its two nearest knots."""
        n = self.spec.channels
        places = (images[:, :n] + 1) * ((TONES - 1) / 2)
        below = places.detach().floor().clamp(0, TONES - 2)
        tables = self.tones[self._kinds(images, labels)].reshape(len(images), n, -1)
        at = below.long().flatten(2)
        low, high = tables.gather(2, at), tables.gather(2, at + 1)
        moved = images[:, :n] + torch.lerp(low, high, (places - below).flatten(2)).reshape(images[:, :n].shape)
        return torch.cat([moved.clamp(-1, 1), images[:, n:]], 1)


class Critic(nn.Module):
    """Scores images: how real they look, and how well they fit their class and context.

    The class enters by projection (Miyato 2018): the score is that of the features plus their product with a vector
    of the class.

    Parameters
    ----------
    spec, recipe, random
        As for `Generator`.
    """

    def __init__(self, spec: ImageSpec, recipe: Recipe, random: torch.Generator | None = None) -> None:
        super().__init__()
        if recipe.critic not in CRITICS:
            raise InputError(unknown_name("critic", recipe.critic, CRITICS))
        self.spec = spec
        self.body = CRITICS[recipe.critic](spec, recipe)
        width = self.body.width
        self.score = Linear(width, 1, gain=1.0, spectral=recipe.spectral)
        self.table = Table(spec.n_classes, width, gain=0.1) if recipe.conditional and spec.n_classes else None
        _finish(self, spec, random)

    def features(self, images: Tensor, context: Tensor | None = None) -> Tensor:
        """Features ``[B, F]`` of images ``[B, outputs, ...]`` (of their patches, ``[B, P, F]``, in a patch critic)."""
        found: Tensor = self.body(images, context)
        return found

    def forward(self, images: Tensor, labels: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        """Score images ``[B, outputs, ...]``: ``[B]``, or ``[B, P]`` for each patch; float32."""
        found = self.features(images, context)
        scores = self.score(found).squeeze(-1)
        if self.table is not None:
            if labels is None:
                raise InputError("the critic knows classes and got none", remedy="Give the class of every image.")
            vectors = self.table(labels)
            vectors = vectors if found.dim() == 2 else vectors[:, None]
            scores = scores + (found * vectors).sum(-1) / math.sqrt(found.shape[-1])
        given: Tensor = scores.float()
        return given


def finished(values: Tensor, spec: ImageSpec) -> Tensor:
    """Bring what a net puts out into [-1, 1]: tanh of the image, probabilities of the regions.

    The tangent reaches a little beyond the range and is cut, because background is exactly at its end in most scans;
    what is cut still passes on its gradient. In volumes, where background is most of all, a little of the value itself
    is added: without it all samples went to the end of the range in the first steps, and none came back.
    """
    plain = spec.channels + spec.distance_channels
    image = _REACH * torch.tanh(values[:, :plain])
    if spec.nd == 3:
        image = image + _LEAK * values[:, :plain]
    image = image + (image.clamp(-1, 1) - image).detach()
    if not spec.mask_classes:
        return image
    return torch.cat([image, 2 * torch.softmax(values[:, plain:], 1) - 1], 1)


def _finish(module: nn.Module, spec: ImageSpec, random: torch.Generator | None) -> None:
    if random is not None:
        module.to(random.device)
        initialise(module, random)
    for parameter in module.parameters():
        if parameter.dim() == spec.nd + 2:
            parameter.data = parameter.data.contiguous(memory_format=_LAYOUT[spec.nd])
