"""What the page keeps: stale is answered at once but not for long, one thread reads anew, a change is seen at once."""

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
        self.begun, self.reads, self.time, self.takes = 0, 0, 0.0, 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def read(self) -> int:
        self.begun += 1
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
    source.takes = 1
    kept.get()
    source.time += 19.9
    assert kept.get() == 1
    assert source.reads == 1
    source.takes = 0
    source.time += 0.2
    assert soon(lambda: kept.get() == 2)


def test_what_nobody_asked_for_since_a_minute_is_not_shown_as_if_it_were_new(source: Source, kept: Kept[int]):
    """An administrator opens the page in the morning: yesterday's answer may be green where it is red by now."""
    kept.get()
    source.time = 59.9
    assert kept.get() == 1
    assert soon(lambda: source.reads == 2)
    source.time += 60
    assert kept.get() == 3


@pytest.mark.parametrize("takes", [0.0, 5.0, 100.0])
def test_no_answer_is_older_than_a_minute_however_slow_reading_is(source: Source, kept: Kept[int], takes: float):
    source.takes = takes
    kept.get()
    source.time += 60
    assert kept.get() == 2


def test_those_who_wait_join_the_reading_that_is_under_way(source: Source, kept: Kept[int]):
    kept.get()
    source.time = 15
    source.gate.clear()
    kept.get()  # a thread reads now
    assert soon(lambda: source.begun == 2)
    source.time = 60
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(kept.get) for _ in range(8)]
        time.sleep(0.05)
        source.gate.set()
        assert {each.result() for each in asked} == {2}


def test_those_who_come_first_share_one_reading(source: Source, kept: Kept[int]):
    source.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(kept.get) for _ in range(8)]
        source.gate.set()
        assert {each.result() for each in asked} == {1}


def test_a_change_is_seen_at_once_and_read_anew_behind_it(source: Source, kept: Kept[int]):
    kept.get()
    source.gate.clear()
    assert kept.change(lambda found: found + 100) == 101
    assert kept.get() == 101  # nobody waits for the reading that begins now
    source.gate.set()
    assert soon(lambda: kept.get() == 2)


def test_a_change_before_the_first_reading_is_in_it(source: Source, kept: Kept[int]):
    assert kept.change(lambda found: found + 100) == 1


def test_a_reading_begun_before_a_change_is_not_kept(source: Source, kept: Kept[int]):
    kept.get()
    source.time = 15
    source.gate.clear()
    kept.get()  # a thread reads now
    assert soon(lambda: source.begun == 2)
    kept.change(lambda found: found + 100)
    source.gate.set()
    assert soon(lambda: source.reads == 2)
    assert soon(lambda: kept.get() == 3)
    assert 2 not in {kept.get() for _ in range(5)}


def test_of_changes_at_once_none_is_lost(source: Source, kept: Kept[int]):
    kept.get()
    source.gate.clear()

    def add(found: int) -> int:
        time.sleep(0.001)
        return found + 100

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: kept.change(add), range(20)))
    assert kept.get() == 2001
    source.gate.set()


def test_renewing_waits_for_a_reading_begun_after_it_while_others_are_answered(source: Source, kept: Kept[int]):
    kept.get()
    source.time = 15
    source.gate.clear()
    kept.get()  # a thread reads now: too early for whoever renews
    assert soon(lambda: source.begun == 2)
    with ThreadPoolExecutor(1) as pool:
        renewed = pool.submit(kept.renew)
        time.sleep(0.05)
        assert kept.get() == 1
        source.gate.set()
        renewed.result()
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
