"""What the page keeps: stale is answered at once, one thread reads anew, and a change is seen by the next answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.disaster_recovery.dashboard.cache import Kept, Recent


class Source:
    """Counts how often it is read; takes so long, by a clock that the test turns."""

    def __init__(self) -> None:
        self.reads, self.time, self.takes = 0, 0.0, 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def read(self) -> int:
        self.gate.wait(10)
        self.time += self.takes
        self.reads += 1
        if self.error:
            raise self.error
        return self.reads

    def clock(self) -> float:
        return self.time


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def kept(source: Source) -> Kept[int]:
    return Kept(source.read, clock=source.clock)


def soon(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not is_so() and time.monotonic() < end:
        time.sleep(0.005)
    return is_so()


def test_fresh_is_not_read_again(source: Source, kept: Kept[int]):
    assert [kept.get() for _ in range(5)] == [1] * 5
    source.time = 14.9
    assert kept.get() == 1
    assert source.reads == 1


def test_stale_is_answered_at_once_while_one_thread_reads(source: Source, kept: Kept[int]):
    kept.get()
    source.time = 15
    source.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: kept.get(), range(50))) == {1}
    source.gate.set()
    assert soon(lambda: kept.get() == 2)
    assert source.reads == 2


def test_what_is_slow_to_read_is_kept_for_longer(source: Source, kept: Kept[int]):
    source.takes = 3
    kept.get()
    source.time += 59
    assert kept.get() == 1
    source.takes = 0
    source.time += 1
    assert soon(lambda: kept.get() == 2)


def test_those_who_come_first_share_one_reading(source: Source, kept: Kept[int]):
    source.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(kept.get) for _ in range(8)]
        source.gate.set()
        assert {each.result() for each in asked} == {1}


def test_a_change_is_seen_by_the_next_answer(source: Source, kept: Kept[int]):
    kept.get()
    kept.forget()
    assert kept.get() == 2


def test_a_reading_begun_before_a_change_is_not_kept(source: Source, kept: Kept[int]):
    kept.get()
    source.time = 15
    source.gate.clear()
    kept.get()  # a thread reads now
    kept.forget()
    source.gate.set()
    assert soon(lambda: source.reads == 2)
    assert kept.get() == 3


def test_a_failing_refresh_leaves_what_was_there_and_is_put_off(source: Source, kept: Kept[int]):
    kept.get()
    source.time, source.error = 15, RuntimeError("secret")
    assert kept.get() == 1
    assert soon(lambda: source.reads == 2)
    assert [kept.get() for _ in range(20)] == [1] * 20
    assert source.reads == 2


def test_a_failing_first_reading_reaches_whoever_waits(source: Source, kept: Kept[int]):
    source.error = RuntimeError("x")
    with pytest.raises(RuntimeError):
        kept.get()
    source.error = None
    assert kept.get() == 2


def test_recent_keeps_the_last_and_no_failure():
    made: list[str] = []
    recent: Recent[str] = Recent(2)

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in "abacab":
        recent.get(name, lambda name=name: make(name))  # type: ignore[misc]
    assert "".join(made) == "abcb"
    with pytest.raises(ZeroDivisionError):
        recent.get("z", lambda: str(1 / 0))
    assert recent.get("z", lambda: "now") == "now"
