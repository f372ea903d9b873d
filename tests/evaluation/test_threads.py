from __future__ import annotations

from threadpoolctl import threadpool_info

from synthkit.evaluation.threads import few_threads


def test_small_tables_get_one_thread_and_the_others_their_own_back() -> None:
    with few_threads(2_000_000):
        before = [pool["num_threads"] for pool in threadpool_info()]
        with few_threads(1000):
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}
        assert [pool["num_threads"] for pool in threadpool_info()] == before
