from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.random import RandomSource, scoring_generator

SEEDS = st.integers(0, 2**80)
NAMES = st.text(max_size=6)
GOLDEN_INTEGER = 1919376521
GOLDEN_NUMPY = [3743422284, 547341251, 31563275]
GOLDEN_TORCH = 8943300185341619765
PATHS = st.lists(NAMES, min_size=1, max_size=3)


def at(source: RandomSource, path: list[str]) -> RandomSource:
    for name in path:
        source = source.child(name)
    return source


def first(source: RandomSource, name: str) -> tuple[float, float, int]:
    """Return the first draw of each kind of stream."""
    torch_draw = torch.rand(1, generator=source.torch(name), dtype=torch.float64).item()
    return source.numpy(name).random(), torch_draw, source.integer(name)


@given(seed=SEEDS, path=PATHS, name=NAMES)
def test_a_stream_depends_only_on_seed_and_path(seed: int, path: list[str], name: str) -> None:
    source = at(RandomSource(seed), path)
    busy = RandomSource(seed)
    busy.numpy(name).random(5)
    busy.child("other").torch("stream")
    assert first(at(busy, path), name) == first(source, name) == first(source, name)


@given(seed=SEEDS, one=PATHS, two=PATHS)
def test_different_paths_have_different_streams(seed: int, one: list[str], two: list[str]) -> None:
    streams = [first(at(RandomSource(seed), path[:-1]), path[-1])[0] for path in (one, two)]
    assert (streams[0] == streams[1]) == (one == two)


@given(one=SEEDS, two=SEEDS)
def test_different_seeds_have_different_streams(one: int, two: int) -> None:
    assert (RandomSource(one).numpy("a").random() == RandomSource(two).numpy("a").random()) == (one == two)


@given(seed=SEEDS, name=NAMES)
def test_integers_suit_libraries(seed: int, name: str) -> None:
    assert 0 <= RandomSource(seed).integer(name) < 2**31


def test_kinds_of_stream_do_not_share_a_seed() -> None:
    source = RandomSource(0)
    assert source.torch("a").initial_seed() & 0x7FFFFFFF != source.integer("a")


def test_a_stream_looks_uniform_across_names() -> None:
    """One draw from each of many streams must be as good as many draws from one (a chi-square with 9 degrees)."""
    draws = [RandomSource(3).numpy(str(index)).random() for index in range(2_000)]
    counts = np.histogram(draws, bins=10, range=(0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # 0.999 quantile; the seed is fixed, so this never varies


def test_streams_are_the_same_in_another_process() -> None:
    code = (
        "from synthkit.random import RandomSource; source = RandomSource(5).child('x')\n"
        "print(source.integer('a'), source.numpy('a').random())"
    )
    source = RandomSource(5).child("x")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == [str(source.integer("a")), str(source.numpy("a").random())]


def test_streams_never_change_between_versions() -> None:
    """The bytes of a release must be repeatable with the next one."""
    source = RandomSource(0)
    assert source.integer("golden") == GOLDEN_INTEGER
    assert source.child("a").numpy("golden").integers(0, 2**32, 3).tolist() == GOLDEN_NUMPY
    assert source.torch("golden").initial_seed() == GOLDEN_TORCH


def test_no_seed_is_drawn_and_can_be_repeated() -> None:
    one, two = RandomSource(None), RandomSource(None)
    assert one.seed != two.seed
    assert first(RandomSource(one.seed), "a") == first(one, "a")


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True, np.float64(3)])
def test_other_seeds_are_refused(seed: object) -> None:
    with pytest.raises(InputError, match="a seed must be a whole number >= 0"):
        RandomSource(seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, np.int64(7), np.uint32(7), 2**200])
def test_whole_numbers_are_seeds(seed: int) -> None:
    assert RandomSource(seed).seed == int(seed)
    assert repr(RandomSource(int(seed)).child("a").child("b")) == f"RandomSource(seed={int(seed)}, path='a/b')"


def test_scores_draw_what_numpy_draws() -> None:
    assert scoring_generator(3).random() == np.random.default_rng(3).random()
    with pytest.raises(InputError, match="a seed must be a whole number"):
        scoring_generator(-3)
