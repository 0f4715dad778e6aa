"""A thread makes items in advance, as many as are wanted and no more, and its errors reach whoever takes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ecs_core.ahead import Ahead
from tests.waiting import HANG


def test_items_come_in_order() -> None:
    assert list(Ahead(iter(range(1000)), limit=3)) == list(range(1000))


def test_no_more_than_the_limit_is_made() -> None:
    made: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 4:  # three are held, the fourth waits for room; a fifth must not be begun
                raise AssertionError
            if number == 3:
                enough.set()
            yield number

    ahead = Ahead(items(), limit=3)
    assert enough.wait(HANG)
    ahead.stop()
    assert made == [0, 1, 2, 3]


def test_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("that was it")

    ahead = Ahead(items(), limit=10)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="that was it"):
        next(ahead)


def test_stopping_waits_for_the_item_that_is_being_made() -> None:
    begun, go_on = threading.Event(), threading.Event()
    ended = []

    def items() -> Iterator[int]:
        begun.set()
        go_on.wait(HANG)
        ended.append(True)
        yield 1

    ahead = Ahead(items(), limit=10)
    assert begun.wait(HANG)
    threading.Timer(0.05, go_on.set).start()
    ahead.stop()
    assert ended == [True]
