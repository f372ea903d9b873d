from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from synthkit.tables.plan import code_counts, code_settings, fewest_codes, tree_leaves, tree_rate


def tried(*means, spread=1.0, rows=400):
    """Candidates whose held-out rows differ from each other by the same noise."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 5, rows)
    own = [rng.normal(0, spread, rows) for _ in means]
    return [
        (SimpleNamespace(codes=place), shared + mean + noise - (noise.mean() if rows else 0.0))
        for place, (mean, noise) in enumerate(zip(means, own, strict=True))
    ]


def test_a_clear_gain_takes_more_codes():
    assert fewest_codes(tried(-10.0, -9.0, -8.0)).codes == 2


def test_a_gain_within_noise_does_not():
    assert fewest_codes(tried(-10.0, -9.99, -9.98)).codes == 0


def test_the_noise_is_that_of_the_differences_between_candidates():
    """Rows differ much more from each other than candidates do; that says nothing about which candidate is better."""
    assert fewest_codes(tried(-10.0, -9.9, spread=0.05)).codes == 1


def test_of_few_held_out_rows_the_best_codes_are_taken():
    assert fewest_codes(tried(-10.0, -9.99, -9.98, rows=70)).codes == 2


def test_without_held_out_rows_the_fewest_codes_are_taken():
    assert fewest_codes(tried(-10.0, -9.0, rows=0)).codes == 0


def test_codes_grow_with_the_square_root_of_the_rows():
    assert code_counts(40_000, 500, None) == [200]
    assert code_counts(2_500, 500, None) == [12, 25, 50]
    assert code_counts(400, 500, None) == [5, 20, 60]
    assert code_counts(20, 500, None) == [4, 8, 24]
    assert code_counts(10**9, 500, None) == [1_000]


def test_very_wide_tables_have_fewer_codes():
    assert code_counts(40_000, 400_000, None) == [10]


def test_the_number_asked_for_is_the_only_one():
    assert code_counts(2_500, 500, 7) == [7]


def test_trees_are_small_on_small_tables_and_large_where_much_is_left():
    assert tree_leaves(5_000, 0.9) == 31
    assert tree_leaves(40_000, 0.6) == 127
    assert tree_leaves(40_000, 0.9) == 255
    assert tree_leaves(20_000, 0.9) == 153


def test_steps_are_small_unless_much_is_left() -> None:
    assert tree_rate(0.55) < tree_rate(0.9) <= 0.3


def test_codes_are_smoother_where_each_is_learned_from_few_rows() -> None:
    cosines = [code_settings(20, rows, 300).cosines for rows in (50, 300, 800, 2_400, 40_000)]
    assert cosines == [3, 3, 6, 10, 10]
