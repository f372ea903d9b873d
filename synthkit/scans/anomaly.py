"""Anomaly scores of scans, and where they are anomalous: f-AnoGAN.

A generator learns scans without findings, an encoder finds the noise that makes the nearest of them, and what is left
over is the anomaly. It is taken in edges (`synthkit.scans.anomaly_features.appearance`): a generator misses contrast
and fine texture of usual scans too, and squared differences see little else. To this comes how far the nearest training
scan is, because what a small generator cannot draw is not all unusual. The difference in the critic's features, which
the paper adds, is reported and not counted: it was little better than chance where it was measured.

References
----------
Schlegl et al. (2019), f-AnoGAN: fast unsupervised anomaly detection with generative adversarial networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.images.batches import Batch
from synthkit.gan.images.nets import Critic, Encoder, Generator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.regression import RegressionStage
from synthkit.gan.images.spec import ImageSpec
from synthkit.io.scan_set import ScanSet
from synthkit.scans.anomaly_features import Neighbours, appearance, of_one_contrast, one_contrast
from synthkit.scans.batches import readable
from synthkit.scans.context import FitContext, Learned
from synthkit.scans.fitted import FittedScans
from synthkit.scans.from_noise import fit_from_noise
from synthkit.scans.from_scans import (
    batches_of,
    cut,
    image_spec,
    paced,
    parts_of,
    require_family,
    require_likeness,
    some,
    unit_tensor,
    with_widths,
)
from synthkit.scans.pace import evaluations, operations_of, steps_of_work

Floats = NDArray[np.float64]
READINGS = ("reconstruction", "neighbours", "features")
"""What is left over in the scan, how far the nearest training scan is, what is left over in the critic's features."""
COUNTED = READINGS[:2]
"""The score is their mean."""
NORMAL, CRITIC, ENCODER = "normal", "critic", "encoder"
_GAME_SHARE = 0.6  # of the time, for generator and critic; the rest is for the encoder
_DIRECTIONS = 64
_MOST_KNOWN = 5_000
_SMOOTHING, _LEAST_SMOOTHING = 0.04, 0.7  # width of the window of a heat-map: share of a length, and samples
_PASSES = 5.0
_NARROWEST = 0.05  # nats: the spread of a reading that a few held-out scans may show


@dataclass(frozen=True, eq=False)
class ScanAnomalies:
    """How unlike the training scans some scans are, and where.

    Attributes
    ----------
    total
        Score of each scan ``[n]``: the mean of the readings in `COUNTED`. 0 is usual for held-out training scans, 1 is
        one of their standard deviations more.
    parts
        The readings by name (`READINGS`), ``[n]`` each, on the same scale.
    share
        Share of the held-out training scans that are as unusual, ``[n]``; never 0, because there are finitely many.
    heat
        How many times the usual difference there is at each sample, ``[n, *size]``.
    names
        What each scan was read from.
    """

    total: Floats
    parts: dict[str, Floats]
    share: Floats
    heat: NDArray[np.float32]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.total)

    def order(self) -> NDArray[np.int64]:
        """Return positions by falling score."""
        order: NDArray[np.int64] = np.argsort(-self.total, kind="stable")
        return order

    def name(self, position: int) -> str:
        """Return the name of a scan, or its number."""
        return self.names[position] if self.names else f"scan {position + 1}"

    def rows(self) -> list[dict[str, float | str]]:
        """Return a record for each scan, in their order."""
        return [
            {
                "scan": self.name(i),
                "score": round(float(self.total[i]), 6),
                "share": round(float(self.share[i]), 6),
                **{name: round(float(values[i]), 6) for name, values in self.parts.items()},
            }
            for i in range(len(self))
        ]


def networks(spec: ImageSpec, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return networks of the form that a fit left."""
    form, own = image_spec(spec), with_widths(recipe, spec)
    return {NORMAL: Generator(form, own), CRITIC: Critic(form, own), ENCODER: Encoder(form, own)}


def fit_anomaly(context: FitContext) -> Learned:
    """Learn what scans without findings look like."""
    # values with units mean the same in every scan; others do not
    contrast = not context.settings.get("units")
    prepare = of_one_contrast if contrast else (lambda units: cut(units, units.size))
    own = replace(
        context,
        spec=image_spec(context.spec),
        recipe=with_widths(context.recipe, context.spec),
        training=prepare(context.training),
        held_out=prepare(context.held_out),
        pictures=None,  # they would show scans of one contrast in the units of the given ones
    )
    spec, recipe, device = own.spec, own.recipe, own.device
    learned = fit_from_noise(own, share=_GAME_SHARE, keep_critic=True)
    generator, critic = learned.networks["generator"].to(device), learned.networks["critic"].to(device)
    generator.requires_grad_(False).eval()
    critic.requires_grad_(False).eval()
    encoder = Encoder(spec, recipe, context.random.torch("encoder", device))
    judged = unit_tensor(some(own.held_out, context.random.numpy("scored")))
    noise = context.random.torch("encoder noise", device)
    kappa = recipe.weight_of("features")

    def left_over(images: Tensor) -> Tensor:
        made: Tensor = generator(encoder(images))
        wanted: Tensor = critic.features(images)  # type: ignore[operator]
        apart = functional.mse_loss(critic.features(made), wanted)  # type: ignore[operator]
        total: Tensor = functional.mse_loss(made, images) + kappa * apart / wanted.square().mean().clamp(min=1e-6)
        return total

    def loss(batch: Batch) -> Tensor:
        with torch.no_grad():
            drawn = generator(generator.draw(len(batch), noise))  # type: ignore[operator]
        # generated scans too: there are as many as one likes, and real ones are few
        return left_over(batch.images) + left_over(drawn)

    example = torch.zeros(1, spec.channels, *spec.size, device=device)
    per_image = operations_of(encoder, example) + 2 * operations_of(critic, example)
    steps = steps_of_work(own, 2 * _PASSES * recipe.batch_of(spec.nd) * per_image, 1 - _GAME_SHARE)
    stage = RegressionStage(
        encoder,
        recipe,
        batches_of(own.training, device=device),
        loss,
        lambda: -float(np.mean([float(left_over(judged[part].to(device))) for part in parts_of(tuple(judged.shape))])),
        context.random.child("encoder"),
        total_steps=steps,
        evaluate_every=evaluations(steps),
        n=recipe.batch_of(spec.nd),
        device=device,
        name="encoder",
        pace=paced(context),
    )
    context.run(stage)
    reader = _Reader(generator, critic, encoder, device, contrast_counts=not contrast)
    known = unit_tensor(some(own.training, context.random.numpy("neighbours"), _MOST_KNOWN))
    neighbours = Neighbours.of(reader.appearances(known), _DIRECTIONS)
    usual = reader.read(unit_tensor(own.held_out), neighbours)
    scale = {
        name: (float(np.mean(values)), max(float(np.std(values)), _NARROWEST)) for name, values in usual.parts.items()
    }
    held_out = _total(usual.parts, scale)
    floor = float(usual.apart.mean())
    arrays = {
        **neighbours.arrays(),
        "held-out": np.sort(held_out).astype(np.float32),
        "usual": ((usual.apart.mean(axis=0) + floor) / 2).astype(np.float32),
    }
    return Learned(
        {NORMAL: generator.cpu(), CRITIC: critic.cpu(), ENCODER: encoder.cpu()},
        {"one_contrast": contrast, "scale": {name: list(pair) for name, pair in scale.items()}},
        arrays,
    )


def anomaly_scores(fitted: FittedScans, scans: ScanSet) -> ScanAnomalies:
    """Score how unlike the training scans some scans are, and where.

    Parameters
    ----------
    fitted
        A model of the recipe fanogan.
    scans
        Of the size of the model.

    Raises
    ------
    InputError
        A model of another recipe.
    DataError
        Scans of another kind or size.
    """
    require_family(fitted, "anomaly", "score", "fanogan")
    require_likeness(scans, fitted.space, size=True)
    values, arrays = fitted.learned.values, fitted.learned.arrays
    unit = fitted.space.intensity.to_unit(readable(scans.images))
    used = (fitted.network(NORMAL), fitted.network(CRITIC), fitted.network(ENCODER))
    reader = _Reader(*used, fitted.device, contrast_counts=not values["one_contrast"])
    found = reader.read(one_contrast(unit) if values["one_contrast"] else unit, Neighbours.from_arrays(arrays))
    scale = {name: (float(pair[0]), float(pair[1])) for name, pair in values["scale"].items()}
    parts = {name: (reading - scale[name][0]) / scale[name][1] for name, reading in found.parts.items()}
    total, held_out = _total(found.parts, scale), np.asarray(arrays["held-out"], np.float64)
    beyond = len(held_out) - np.searchsorted(held_out, total, side="left")
    heat = (found.apart / np.maximum(arrays["usual"], 1e-9)).astype(np.float32)
    return ScanAnomalies(total, parts, (1 + beyond) / (1 + len(held_out)), heat, scans.names)


def _total(readings: Mapping[str, Floats], scale: Mapping[str, tuple[float, float]]) -> Floats:
    total: Floats = np.mean([(readings[name] - scale[name][0]) / scale[name][1] for name in COUNTED], axis=0)
    return total


@dataclass(frozen=True, eq=False)
class _Found:
    """Readings of some scans, in nats, and the smoothed squared difference at each sample."""

    parts: dict[str, Floats]
    apart: Floats


class _Reader:
    """Reads scans with the three networks."""

    def __init__(
        self, generator: nn.Module, critic: nn.Module, encoder: nn.Module, device: str, *, contrast_counts: bool
    ) -> None:
        self._generator, self._critic, self._encoder, self._device = generator, critic, encoder, device
        self._contrast_counts = contrast_counts

    def appearances(self, images: Tensor) -> Floats:
        """Return what scans ``[n, channels, *size]`` are compared by, ``[n, f]``."""
        parts = [self._appearance(images[part]) for part in parts_of(tuple(images.shape))]
        return np.concatenate([part.reshape(len(part), -1) for part in parts])

    def _appearance(self, images: Tensor) -> Floats:
        return appearance(images, contrast_counts=self._contrast_counts)

    @torch.no_grad()
    def read(self, images: Tensor, neighbours: Neighbours) -> _Found:
        """Return the readings of scans ``[n, channels, *size]``; logarithms, which are closer to normal."""
        n, size = len(images), tuple(images.shape[2:])
        apart, readings = np.empty((n, *size)), {name: np.empty(n) for name in READINGS}
        width = [0.0, *(max(_LEAST_SMOOTHING, _SMOOTHING * length) for length in size)]
        for part in parts_of(tuple(images.shape)):
            scans = images[part].to(self._device)
            made = self._generator(self._encoder(scans))
            own = self._appearance(scans)
            square = np.square(own - self._appearance(made)).sum(axis=1)
            wanted, got = self._critic.features(scans), self._critic.features(made)  # type: ignore[operator]
            readings["reconstruction"][part] = square.reshape(len(square), -1).sum(axis=1)
            readings["neighbours"][part] = neighbours.distances(own.reshape(len(own), -1))
            readings["features"][part] = (wanted - got).square().mean(1).cpu().numpy()
            apart[part] = gaussian_filter(square, width, mode="nearest")
        return _Found({name: np.log(np.maximum(values, 1e-12)) for name, values in readings.items()}, apart)
