"""Threads return results in order, and start no more work than needed."""

import time

import pytest

from avsv.jobs import threads
from avsv.jobs.threads import ReadOnce, map_ahead, n_allowed


def test_results_are_in_the_order_of_the_items():
    def work(n):
        time.sleep(0.001 * (n % 3))
        return n

    assert list(map_ahead(work, range(50))) == list(range(50))


def test_few_items_are_taken_ahead(monkeypatch):
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    taken = []
    results = map_ahead(lambda n: n, (taken.append(n) or n for n in range(100)))
    next(results)
    assert len(taken) == 3


def test_an_error_is_raised_in_place_of_its_result():
    def work(n):
        return 1 // (2 - n)

    results = map_ahead(work, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_that_request_one_path_share_one_read():
    asked = []

    def read(path):
        asked.append(path)
        time.sleep(0.05)
        return path.upper()

    assert list(map_ahead(ReadOnce(read), ["a"] * 6 + ["b"] * 3, 4)) == ["A"] * 6 + ["B"] * 3
    assert asked == ["a", "b"]


def test_an_error_is_shared_too_and_only_the_latest_answers_are_kept():
    asked = []

    def read(path):
        asked.append(path)
        raise ValueError(path)

    once = ReadOnce(read, keep=2)
    for path in "aabbca":
        with pytest.raises(ValueError, match=path):
            once(path)
    assert asked == ["a", "b", "c", "a"]


def test_omp_num_threads_limits_the_cores_of_a_job(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert n_allowed() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert n_allowed() == threads.n_cores()
