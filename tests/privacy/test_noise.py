from __future__ import annotations

import copy
import math
import os
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, kstest

from synthkit.errors import PrivacyError
from synthkit.privacy import discrete
from synthkit.privacy.discrete import rational_above, whole_and_rest
from synthkit.privacy.noise import NoiseSource

# A p-value below this is no accident; seeds are fixed, so a test that passes once passes always.
ACCIDENT = 1e-4
SCALES = st.floats(1e-3, 2.0**30) | st.fractions(Fraction(1, 1000), 2**30)


def a_source(seed=0):
    return NoiseSource(reproducible_seed=seed)


def probabilities(weights):
    """Exact probabilities of -K to K, from weights of 0 to K."""
    both = np.r_[weights[:0:-1], weights]
    return both / both.sum()


def gaussian_weights(sigma, largest):
    return np.exp(-(np.arange(largest + 1) ** 2) / (2 * sigma**2))


def laplace_weights(scale, largest):
    return np.exp(-np.arange(largest + 1) / scale)


def p_value(drawn, expected):
    """Chi-square test of whole numbers against probabilities of -K to K; rare numbers share cells."""
    largest = expected.size // 2
    observed = np.bincount(np.clip(drawn, -largest, largest) + largest, minlength=expected.size)
    wanted = expected * drawn.size
    common = wanted >= 10
    observed = np.r_[observed[common], observed[~common].sum()]
    wanted = np.r_[wanted[common], max(wanted[~common].sum(), 1e-9)]
    if wanted[-1] < 10:
        observed, wanted = observed[:-1], wanted[:-1]
    if wanted.size == 1:
        return 1.0  # nothing but zeros is to be expected
    return chi2.sf(((observed - wanted) ** 2 / wanted).sum(), wanted.size - 1)


# -- the obvious way: Canonne, Kamath and Steinke, one number at a time, in fractions --


def slow_bernoulli_exp(x, below):
    if x > 1:
        return all(slow_bernoulli_exp(Fraction(1), below) for _ in range(math.floor(x))) and slow_bernoulli_exp(
            x - math.floor(x), below
        )
    turn = 1
    while below((x / turn).denominator) < (x / turn).numerator:
        turn += 1
    return turn % 2 == 1


def slow_laplace(scale, below):
    t, s = scale.numerator, scale.denominator
    while True:
        rest = below(t)
        if not slow_bernoulli_exp(Fraction(rest, t), below):
            continue
        whole = 0
        while slow_bernoulli_exp(Fraction(1), below):
            whole += 1
        size = (rest + t * whole) // s
        negative = below(2)
        if negative and size == 0:
            continue
        return -size if negative else size


def slow_gaussian(sigma, below):
    t = math.floor(sigma) + 1
    while True:
        drawn = slow_laplace(Fraction(t), below)
        if slow_bernoulli_exp((abs(drawn) - sigma**2 / t) ** 2 / (2 * sigma**2), below):
            return drawn


def slow_draws(draw, scale, n):
    random = np.random.default_rng(0)
    return np.array([draw(scale, lambda bound: int(random.integers(bound))) for _ in range(n)])


@pytest.mark.parametrize(
    ("slow", "fast", "scale"),
    [
        (slow_gaussian, "discrete_gaussian", Fraction(5, 8)),
        (slow_gaussian, "discrete_gaussian", Fraction(9, 4)),
        (slow_laplace, "discrete_laplace", Fraction(3, 4)),
        (slow_laplace, "discrete_laplace", Fraction(5, 2)),
    ],
)
def test_draws_are_distributed_as_those_of_a_slow_implementation(slow, fast, scale) -> None:
    few = slow_draws(slow, scale, 2000)
    many = getattr(a_source(), fast)(scale, 200_000)
    expected = np.bincount(many + 60, minlength=121) / many.size
    assert p_value(few, expected) > ACCIDENT


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.3, 17.0, 100.25])
def test_discrete_gaussians_have_the_exact_probabilities(sigma) -> None:
    expected = probabilities(gaussian_weights(sigma, math.ceil(8 * sigma) + 3))
    assert p_value(a_source(1).discrete_gaussian(sigma, 300_000), expected) > ACCIDENT


@pytest.mark.parametrize("scale", [0.1, 0.4, 1.0, 2.5, 7.0, 31.0])
def test_discrete_laplaces_have_the_exact_probabilities(scale) -> None:
    expected = probabilities(laplace_weights(scale, math.ceil(30 * scale) + 3))
    assert p_value(a_source(2).discrete_laplace(scale, 300_000), expected) > ACCIDENT


@pytest.mark.parametrize("sigma", [1e3, 12_345.678, 1e5, 1e7, 2.0**27, 2.0**30])
def test_wide_noise_has_the_shape_and_scale_of_a_gaussian(sigma) -> None:
    drawn = a_source(3).discrete_gaussian(sigma, 100_000)
    assert kstest(drawn / sigma, "norm").pvalue > ACCIDENT
    for digits in (2, 3, 5):
        counts = np.bincount(drawn % digits, minlength=digits)
        wanted = drawn.size / digits
        assert chi2.sf(((counts - wanted) ** 2 / wanted).sum(), digits - 1) > ACCIDENT


def test_noise_from_the_operating_system_has_the_exact_probabilities() -> None:
    # Not repeatable: this fails once in 10**9 runs.
    expected = probabilities(gaussian_weights(2.5, 24))
    assert p_value(NoiseSource().discrete_gaussian(2.5, 200_000), expected) > 1e-9


@given(SCALES)
def test_a_scale_is_rounded_up_by_a_trace(scale) -> None:
    numerator, halvings = rational_above(scale)
    ratio, exact = Fraction(numerator, 2**halvings), Fraction(scale)
    assert exact <= ratio
    assert ratio - exact <= Fraction(1, 2**26) * max(exact, 1)
    assert 1 <= numerator <= 2**30
    assert 0 <= halvings <= 26


@given(SCALES)
def test_denominators_fit(scale) -> None:
    numerator, halvings = rational_above(scale)
    t = (numerator >> halvings) + 1
    assert t * numerator << halvings < 2**61


@given(SCALES, st.lists(st.integers(0, 100) | st.integers(0, 2**62), min_size=1, max_size=5))
def test_the_exponent_is_split_exactly_however_large(sigma, sizes) -> None:
    numerator, halvings = rational_above(sigma)
    ratio = Fraction(numerator, 2**halvings)
    t = math.floor(ratio) + 1
    sizes = [min(size, int(2**31 * ratio) + 2) for size in sizes]
    whole, rest = whole_and_rest(np.array(sizes, np.int64), numerator, halvings)
    denominator = t * numerator * 2**halvings
    for size, found_whole, found_rest in zip(sizes, whole.tolist(), rest.tolist(), strict=True):
        assert 0 <= found_rest < denominator
        assert found_whole + Fraction(found_rest, denominator) == abs(Fraction(size) / ratio - ratio / t)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 5), (1, 7), (3, 4), (5, 5)])
def test_a_trial_succeeds_with_the_probability_of_an_exponential(numerator, denominator) -> None:
    n = 200_000
    ratio = np.full(n, numerator)
    found = discrete._bernoulli_exp(((ratio, denominator), (1, 1)), n, a_source().below).mean()
    wanted = math.exp(-numerator / denominator)
    assert abs(found - wanted) <= 5 * math.sqrt(wanted * (1 - wanted) / n)


@pytest.mark.parametrize("sigma", [0, -1.0, math.nan, math.inf, 2.0**30 + 1, -math.inf, Fraction(-1, 2)])
@pytest.mark.parametrize("draw", ["discrete_gaussian", "discrete_laplace"])
def test_an_impossible_scale_is_refused(draw, sigma) -> None:
    with pytest.raises(PrivacyError, match="must be > 0 and at most"):
        getattr(a_source(), draw)(sigma, 3)


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_an_impossible_deviation_is_refused(sigma) -> None:
    with pytest.raises(PrivacyError, match="must be >= 0 and finite"):
        a_source().gaussian(sigma, 3)


@pytest.mark.parametrize("shape", [0, 1, 5, (), (0,), (2, 3), (70_000,)])
@pytest.mark.parametrize(
    ("draw", "dtype"), [("discrete_gaussian", np.int64), ("discrete_laplace", np.int64), ("gaussian", np.float64)]
)
def test_draws_have_the_shape_that_was_asked_for(draw, dtype, shape) -> None:
    drawn = getattr(a_source(), draw)(2.0, shape)
    assert drawn.shape == ((shape,) if isinstance(shape, int) else shape)
    assert drawn.dtype == dtype


# -- floats --


def test_gaussians_are_gaussian_and_independent() -> None:
    drawn = a_source().gaussian(3.0, (4, 50_000))
    for row in drawn:
        assert kstest(row / 3, "norm").pvalue > ACCIDENT
    off = np.corrcoef(drawn) - np.eye(4)
    assert np.abs(off).max() < 5 / math.sqrt(50_000)
    assert np.unique(drawn).size == drawn.size


def test_a_gaussian_is_half_the_sum_of_four_separate_box_muller_numbers() -> None:
    words = a_source().uniform(8 * 10).reshape(2, 4, 10)
    expected = [
        5.0
        * sum(math.sqrt(-2 * math.log(words[0, k, i])) * math.cos(2 * math.pi * words[1, k, i]) for k in range(4))
        / 2
        for i in range(10)
    ]
    np.testing.assert_allclose(a_source().gaussian(5.0, 10), expected, rtol=1e-12)


def test_no_deviation_is_no_noise() -> None:
    assert not a_source().gaussian(0.0, 10).any()


# -- bits --


class Words(NoiseSource):
    """A source of given words."""

    def __init__(self, words) -> None:
        super().__init__()
        self.words = list(words)

    def uint64(self, n):
        taken, self.words = self.words[:n], self.words[n:]
        return np.array(taken, np.uint64)


def test_words_that_would_favour_small_numbers_are_drawn_again() -> None:
    # 2**64 - 1 is a multiple of 3: one word is too many, and one only.
    assert Words([2**64 - 1, 2**64 - 2, 2**64 - 1, 4, 5]).below(3, 3).tolist() == [1, 2, 2]


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 64, 1000, 2**40 + 1, 2**62])
def test_whole_numbers_below_a_bound_are_uniform(bound) -> None:
    drawn = a_source().below(bound, 50_000)
    assert drawn.dtype == np.int64
    assert drawn.min() >= 0
    assert drawn.max() < bound
    cells = min(bound, 50)
    counts = np.bincount([int(value) * cells // bound for value in drawn], minlength=cells)
    wanted = np.diff([-(-place * bound // cells) for place in range(cells + 1)]) / bound * drawn.size
    assert cells == 1 or chi2.sf(((counts - wanted) ** 2 / wanted).sum(), cells - 1) > ACCIDENT


@pytest.mark.parametrize("bound", [0, -1, 2**62 + 1])
def test_an_impossible_bound_is_refused(bound) -> None:
    with pytest.raises(PrivacyError, match="bound"):
        a_source().below(bound, 1)


@pytest.mark.parametrize("p", [0.0, 1.0, 0.25, 1 / 3, Fraction(1, 3), 0.999, 1e-9, 2.0**-70])
def test_trials_succeed_with_their_probability(p) -> None:
    n = 100_000
    found = a_source().bernoulli(p, n).mean()
    assert abs(found - float(p)) <= 5 * math.sqrt(float(p) * (1 - float(p)) / n)


def test_a_tie_is_settled_by_further_bits() -> None:
    third = 2**64 // 3
    # 1/3 = 0.010101... in binary: after a tie of 64 digits the rest is 1/3 again.
    assert Words([third - 1, third, third + 1, third, third + 1]).bernoulli(Fraction(1, 3), 4).tolist() == [
        True,
        False,
        False,
        False,
    ]
    assert Words([third, third, third - 1]).bernoulli(Fraction(1, 3), 1).tolist() == [True]
    assert Words([2**63, 0]).bernoulli(0.5, 1).tolist() == [False]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf, Fraction(4, 3)])
def test_an_impossible_probability_is_refused(p) -> None:
    with pytest.raises(PrivacyError, match="probability"):
        a_source().bernoulli(p, 1)


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_a_permutation_has_every_number_once(n) -> None:
    assert sorted(a_source().permutation(n).tolist()) == list(range(n))


def test_every_order_is_equally_likely() -> None:
    source = a_source()
    orders = [tuple(source.permutation(3)) for _ in range(6000)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert counts.size == 6
    assert chi2.sf(((counts - 1000) ** 2 / 1000).sum(), 5) > ACCIDENT


def test_equal_words_do_not_decide_an_order() -> None:
    assert Words([5, 5, 1, 9, 8, 7]).permutation(3).tolist() == [2, 1, 0]


# -- where the bits come from --


def test_a_source_is_private_unless_it_can_be_repeated() -> None:
    assert NoiseSource().is_private
    assert not a_source().is_private
    assert "NOT PRIVATE" in repr(a_source())
    assert repr(NoiseSource()) == "NoiseSource()"


def test_a_reproducible_source_repeats_and_a_private_one_does_not() -> None:
    assert np.array_equal(a_source(5).discrete_gaussian(50, 100), a_source(5).discrete_gaussian(50, 100))
    assert not np.array_equal(a_source(5).discrete_gaussian(50, 100), a_source(6).discrete_gaussian(50, 100))
    assert not np.array_equal(NoiseSource().discrete_gaussian(50, 100), NoiseSource().discrete_gaussian(50, 100))


@pytest.mark.parametrize("seed", [-1, 0.5, "0"])
def test_a_seed_that_is_none_is_refused(seed) -> None:
    with pytest.raises(Exception, match="a seed must be"):
        NoiseSource(reproducible_seed=seed)


def test_private_bits_are_those_of_the_operating_system(monkeypatch) -> None:
    source = NoiseSource()
    monkeypatch.setattr(os, "urandom", lambda size: (bytes(range(256)) * (size // 256 + 1))[:size])
    words = source.uint64(4)
    assert words.tolist() == [int.from_bytes(bytes(range(8 * k, 8 * k + 8)), "little") for k in range(4)]


@pytest.mark.parametrize("sizes", [(3, 5, 8192, 1), (8000, 8000, 8000), (20_000, 1, 20_000)])
def test_no_word_is_handed_out_twice(sizes) -> None:
    source = NoiseSource()
    words = np.concatenate([source.uint64(size) for size in sizes])
    assert words.size == sum(sizes)
    assert np.unique(words).size == words.size


def test_what_is_done_with_words_does_not_change_later_ones() -> None:
    source = NoiseSource()
    source.uint64(10)[:] = 0
    assert source.uint64(10).all()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_source_cannot_be_copied(duplicate) -> None:
    with pytest.raises(PrivacyError, match="cannot be copied"):
        duplicate(NoiseSource())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_process_has_other_noise() -> None:
    source = NoiseSource()
    source.uint64(1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, source.uint64(4).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = np.frombuffer(os.read(reading, 32), np.uint64)
    os.close(reading)
    os.close(writing)
    assert not set(theirs.tolist()) & set(source.uint64(64).tolist())
