"""One root seed, from which every random stream of the toolkit is derived by name.

A stream depends only on the root seed and on the names on the way to it, never on the order in which streams are asked
for. Adding a consumer therefore does not disturb the others. Nothing else in the toolkit makes a generator.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import numpy as np

from synthkit.errors import InputError

if TYPE_CHECKING:
    import torch

_SEED_BITS = 63


class RandomSource:
    """A root seed with named, independent streams for numpy, torch and libraries that want an integer.

    Parameters
    ----------
    seed
        A whole number >= 0, or None to draw one from the operating system. The seed in use is in `seed`, so that a run
        without a chosen seed can be repeated too.

    Raises
    ------
    InputError
        If the seed is not a whole number >= 0.

    Notes
    -----
    The stream of a path of names is seeded with the SHA-256 digest of the seed, the kind of the stream and the names,
    each preceded by its length, so that ("ab", "c") and ("a", "bc") differ. The digest enters
    :class:`numpy.random.SeedSequence`.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = secrets.randbits(_SEED_BITS) if seed is None else _checked_seed(seed)
        self._path: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The root seed, the same in every child."""
        return self._seed

    def __repr__(self) -> str:
        """Show the seed and the path of names."""
        return f"RandomSource(seed={self._seed}, path={'/'.join(self._path)!r})"

    def child(self, name: str) -> RandomSource:
        """Return the source whose streams are those below `name`."""
        child = RandomSource(self._seed)
        child._path = (*self._path, name)
        return child

    def numpy(self, name: str) -> np.random.Generator:
        """Return a fresh numpy generator, at the start of the stream `name`."""
        words = np.frombuffer(self._digest("numpy", name), dtype="<u4")
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(word) for word in words])))

    def torch(self, name: str, device: str | torch.device = "cpu") -> torch.Generator:
        """Return a fresh torch generator on `device`, at the start of the stream `name`."""
        import torch

        generator = torch.Generator(device=device)
        generator.manual_seed(int.from_bytes(self._digest("torch", name)[:8], "little") >> 1)
        return generator

    def integer(self, name: str) -> int:
        """Return a whole number in [0, 2**31) for a library that wants a seed of its own."""
        return int.from_bytes(self._digest("integer", name)[:4], "little") >> 1

    def _digest(self, kind: str, name: str) -> bytes:
        """Return the 32 bytes that seed the stream of this kind and name."""
        digest = hashlib.sha256()
        for part in (str(self._seed), kind, *self._path, name):
            encoded = part.encode("utf-8")
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        return digest.digest()


def scoring_generator(seed: int) -> np.random.Generator:
    """Return numpy's own generator of a seed, the one that published scores draw their rows with.

    Scores compare with those of other tools only if both look at the same rows; everything else uses
    :class:`RandomSource`.
    """
    return np.random.default_rng(_checked_seed(seed))


def _checked_seed(seed: int) -> int:
    """Return the seed as a Python int, or say why it is none."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"a seed must be a whole number >= 0, got {seed!r}", remedy="Pass for example seed 0.")
    return int(seed)
