"""Where synthetic scans come from: what every written file says of the generator that made it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthkit.errors import InputError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _version() -> str:
    from synthkit import __version__

    return __version__


@dataclass(frozen=True)
class Provenance:
    """The generator, and what was asked of it.

    Attributes
    ----------
    recipe
        Name of the recipe, such as ``r3``.
    seed
        Seed of the draw. Together with the weights it repeats the scans.
    weights_sha256
        SHA-256 of the weights, as 64 hexadecimal digits.
    epsilon
        Privacy budget that the weights have spent; None without one.
    delta
        Its delta.
    from_scans
        Whether the scans were made from given ones (translation, super-resolution, inpainting), so that their pixels
        are of a patient; false where they come from noise alone.
    version
        Version of synthkit.

    Raises
    ------
    InputError
        The hash is no SHA-256, or epsilon or delta is impossible.
    """

    recipe: str
    seed: int
    weights_sha256: str
    epsilon: float | None = None
    delta: float | None = None
    from_scans: bool = False
    version: str = field(default_factory=_version)

    def __post_init__(self) -> None:
        """Refuse what cannot be true."""
        if not _SHA256.fullmatch(self.weights_sha256):
            raise InputError(
                f"the SHA-256 of weights must be 64 hexadecimal digits in lower case, got {self.weights_sha256!r}",
                remedy="Pass the hash of the model file.",
            )
        if self.epsilon is not None and not self.epsilon > 0:
            raise InputError(f"epsilon must be above 0, got {self.epsilon!r}", remedy="Leave it out without a budget.")
        if self.delta is not None and not 0 <= self.delta < 1:
            raise InputError(f"delta must lie in [0, 1), got {self.delta!r}", remedy="Leave it out without a budget.")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Provenance:
        """Read what `to_dict` returned; keys of later versions are ignored."""
        return cls(**{name: value for name, value in content.items() if name in cls.__dataclass_fields__})

    def to_json(self, **more: object) -> str:
        """Return it as one line of JSON that says ``synthetic``, for the metadata of a file.

        Parameters
        ----------
        more
            What else the file says of itself, JSON-safe, such as the index of the scan.
        """
        return json.dumps({"synthetic": True, "software": "synthkit", **self.to_dict(), **more}, ensure_ascii=True)

    def describe(self, index: int | None = None) -> str:
        """Return it as a sentence that fits into 1,024 characters, the longest that DICOM takes.

        Parameters
        ----------
        index
            Position of the scan in the draw.
        """
        drawn = "made from a given scan" if self.from_scans else "drawn from noise"
        parts = [f"Synthetic image {drawn} by synthkit {self.version}", f"recipe {self.recipe}", f"seed {self.seed}"]
        if index is not None:
            parts.append(f"index {index}")
        parts.append(f"SHA-256 of the weights {self.weights_sha256}")
        if self.epsilon is None:
            parts.append("no differential privacy")
        else:
            parts.append(f"differential privacy epsilon {self.epsilon:g}" + f" delta {self.delta:g}" * bool(self.delta))
        return "; ".join(parts)
