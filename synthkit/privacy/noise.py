"""Where private noise comes from: the bits of the operating system, turned into exact discrete noise.

Noise that a seed can repeat protects nothing, so a user cannot seed it. A `NoiseSource` reads `os.urandom`; only tests
may ask for a repeatable stream, and such a source says that it is not private.

Floating point. `discrete_gaussian`, `discrete_laplace`, `bernoulli` and `permutation` are exact: they take decisions
with whole numbers only, so what a proof says about the distribution holds for the program. `gaussian` returns floats;
see there for what it does and does not protect against. How long a draw takes depends on what is drawn: who can time a
fit to the microsecond is not protected against.
"""

from __future__ import annotations

import math
import os
import threading
from fractions import Fraction
from typing import NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy import discrete
from synthkit.random import RandomSource

Shape = int | tuple[int, ...]

# Small requests share one read from the operating system.
_BLOCK = 8192
# Draws are made in pieces that stay in the processor's cache.
_PIECE = 1 << 16
_LARGEST_BOUND = 2**62


class NoiseSource:
    """Random bits for privacy, and the distributions made of them.

    Parameters
    ----------
    reproducible_seed
        For tests only: a whole number >= 0 from which the stream is derived. Anybody who knows it can subtract the
        noise. None, the default, reads the operating system's generator.

    Notes
    -----
    A source cannot be copied or pickled, and a forked process starts with fresh bits: two releases with the same noise
    would reveal their difference. It can be used from several threads.
    """

    def __init__(self, *, reproducible_seed: int | None = None) -> None:
        self._stream = None
        if reproducible_seed is not None:
            self._stream = RandomSource(reproducible_seed).child("privacy").numpy("noise").bit_generator
        self._spare: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._process = os.getpid()
        self._lock = threading.Lock()

    @property
    def is_private(self) -> bool:
        """Whether the bits are the operating system's; False for a reproducible source, whose noise hides nothing."""
        return self._stream is None

    def __repr__(self) -> str:
        """Say where the bits come from, and nothing about them."""
        return "NoiseSource()" if self.is_private else "NoiseSource(NOT PRIVATE: reproducible)"

    def __reduce__(self) -> NoReturn:
        """Refuse copies and pickles: they would repeat noise."""
        raise PrivacyError(
            "a source of private noise cannot be copied or pickled: the copy would repeat its noise",
            remedy="Make a new NoiseSource where it is needed.",
        )

    def uint64(self, n: int) -> NDArray[np.uint64]:
        """Return n independent uniform 64-bit words; none is ever returned twice. Shape [n]."""
        with self._lock:
            if self._process != os.getpid():
                # A fork inherits the words that its parent is about to use.
                self._spare, self._process = np.zeros(0, np.uint64), os.getpid()
            if n > _BLOCK:
                return self._fresh(n)
            if n > self._spare.size:
                self._spare = self._fresh(_BLOCK)
            words, self._spare = self._spare[:n].copy(), self._spare[n:]
            return words

    def below(self, bound: int, n: int) -> NDArray[np.int64]:
        """Return n independent uniform whole numbers in [0, bound), by rejection from 64 bits; bound at most 2**62.

        The largest multiple of the bound that fits 64 bits is kept, everything above is drawn again, so that every
        number is exactly as likely as every other. Shape [n].
        """
        if not 1 <= bound <= _LARGEST_BOUND:
            raise PrivacyError(f"the bound of uniform whole numbers must be 1 to 2**62, got {bound}")
        if bound == 1:
            return np.zeros(n, np.int64)
        if bound & (bound - 1) == 0:
            return (self.uint64(n) & np.uint64(bound - 1)).view(np.int64)
        words = self.uint64(n)
        largest = np.uint64(2**64 - 2**64 % bound - 1)
        while (bad := np.flatnonzero(words > largest)).size:
            words[bad] = self.uint64(bad.size)
        return (words % np.uint64(bound)).view(np.int64)

    def uniform(self, n: int) -> NDArray[np.float64]:
        """Return n uniform multiples of 2**-53 in (0, 1]; zero is left out so that the logarithm exists. Shape [n]."""
        return cast("NDArray[np.float64]", ((self.uint64(n) >> np.uint64(11)) + np.uint64(1)) * 2.0**-53)

    def bernoulli(self, p: float | Fraction, n: int) -> NDArray[np.bool_]:
        """Return n independent trials that succeed with probability p exactly. Shape [n].

        A uniform number is compared with p 64 binary digits at a time; only a tie of all 64 needs more digits.

        Parameters
        ----------
        p
            Probability, 0 to 1. A float stands for the binary fraction that it is.
        n
            Number of trials.
        """
        exact = Fraction(p) if isinstance(p, Fraction) or math.isfinite(p) else Fraction(-1)
        if not 0 <= exact <= 1:
            raise PrivacyError(f"a probability must be 0 to 1, got {p}")
        if exact in (0, 1):
            return np.full(n, exact == 1)
        digits = math.floor(exact * 2**64)
        words = self.uint64(n)
        success = words < np.uint64(digits)
        ties = np.flatnonzero(words == np.uint64(digits))
        if ties.size:
            success[ties] = self.bernoulli(exact * 2**64 - digits, ties.size)
        return success

    def discrete_laplace(self, scale: float | Fraction, shape: Shape) -> NDArray[np.int64]:
        """Draw whole numbers y with probability proportional to exp(-|y| / scale), exactly.

        Parameters
        ----------
        scale
            In counts: sensitivity / epsilon. Rounded up to a binary fraction (`discrete.rational_above`).
        shape
            Of the result.

        Returns
        -------
        NDArray[int64]
            Noise in counts, of the given shape.

        Raises
        ------
        PrivacyError
            If the scale is not > 0 and at most 2**30.

        Privacy
        -------
        Added to a whole number of L1 sensitivity s it is s / scale differentially private, without a delta.
        Canonne, Kamath and Steinke (NeurIPS 2020), algorithm 2; Ghosh, Roughgarden and Sundararajan (STOC 2009).
        """
        numerator, halvings = discrete.rational_above(scale, "the scale")
        return self._pieces(shape, lambda n: discrete.discrete_laplace(numerator, halvings, n, self.below))

    def discrete_gaussian(self, sigma: float | Fraction, shape: Shape) -> NDArray[np.int64]:
        """Draw whole numbers y with probability proportional to exp(-y**2 / (2 sigma**2)), exactly.

        Parameters
        ----------
        sigma
            In counts, > 0 and at most 2**30. Rounded up to a binary fraction (`discrete.rational_above`). The standard
            deviation is sigma up to a relative error below 1e-8 for sigma >= 1, and smaller than sigma below that.
        shape
            Of the result.

        Returns
        -------
        NDArray[int64]
            Noise in counts, of the given shape.

        Raises
        ------
        PrivacyError
            If sigma is out of range.

        Privacy
        -------
        Added to whole numbers of L2 sensitivity s it is (s / sigma)**2 / 2 concentrated differentially private, as the
        continuous Gaussian is. Canonne, Kamath and Steinke (NeurIPS 2020), theorem 4 and algorithm 3.
        """
        numerator, halvings = discrete.rational_above(sigma)
        return self._pieces(shape, lambda n: discrete.discrete_gaussian(numerator, halvings, n, self.below))

    def gaussian(self, sigma: float, shape: Shape) -> NDArray[np.float64]:
        """Draw floating-point Gaussian noise: the half sum of four independent Box-Muller numbers, times sigma.

        Parameters
        ----------
        sigma
            Standard deviation, >= 0 and finite, in the units of the statistic.
        shape
            Of the result.

        Returns
        -------
        NDArray[float64]
            Noise, of the given shape.

        Raises
        ------
        PrivacyError
            If sigma is negative or no number.

        Notes
        -----
        A float Gaussian has holes: not every float can come out, and which ones can is a function of 106 random bits
        that an attacker may try to invert (Mironov 2012; Jin et al. 2022). Here each number rests on eight uniforms of
        53 bits from four separate Box-Muller pairs, of which the second numbers are thrown away, so that inverting it
        is a search of the order of 2**300 rather than a calculation (Holohan and Braghin, ESORICS 2021). What remains:
        the tails end at 17 sigma instead of going on (a probability below 1e-60), and adding the noise to a float
        rounds the sum to a grid that depends on its size. That is not covered by a proof. Counts therefore get
        `discrete_gaussian`; this one is for gradients, whose sums are floats anyway.
        """
        if not (math.isfinite(sigma) and sigma >= 0):
            raise PrivacyError(f"sigma of private noise must be >= 0 and finite, got {sigma}")
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        out = np.empty(math.prod(sizes))
        for begin in range(0, out.size, _PIECE):
            piece = out[begin : begin + _PIECE]
            uniforms = self.uniform(8 * piece.size).reshape(2, 4, piece.size)
            radius = np.sqrt(-2 * np.log(uniforms[0]))
            np.sum(radius * np.cos(2 * math.pi * uniforms[1]), axis=0, out=piece)
        out *= sigma / 2
        return out.reshape(sizes)

    def permutation(self, n: int) -> NDArray[np.int64]:
        """Return the numbers 0 to n - 1 in an order of which each is equally likely. Shape [n].

        The order of n random 64-bit words; should two be equal, all are drawn again.
        """
        while True:
            words = self.uint64(n)
            order = np.argsort(words, kind="stable")
            if n < 2 or np.all(words[order[1:]] != words[order[:-1]]):
                return order.astype(np.int64, copy=False)

    def _fresh(self, n: int) -> NDArray[np.uint64]:
        """Return n words that nothing else has seen; writable, shape [n]."""
        if self._stream is not None:
            return np.asarray(self._stream.random_raw(n), dtype=np.uint64)
        return np.frombuffer(bytearray(os.urandom(8 * n)), dtype=np.uint64)

    def _pieces(self, shape: Shape, draw: discrete.Draw) -> NDArray[np.int64]:
        """Draw an array of the given shape in pieces."""
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        out = np.empty(math.prod(sizes), np.int64)
        for begin in range(0, out.size, _PIECE):
            piece = out[begin : begin + _PIECE]
            piece[:] = draw(piece.size)
        return out.reshape(sizes)
