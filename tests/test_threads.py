"""Work of threads comes back in order, and no more is begun than is needed."""

import time

import pytest

from avsv import threads
from avsv.threads import map_ahead


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


def test_an_error_comes_where_its_result_would():
    def work(n):
        return 1 // (2 - n)

    results = map_ahead(work, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
