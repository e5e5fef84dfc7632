"""Something that is costly to read, kept: what is stale is answered at once, while one thread reads it anew."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Held = TypeVar("Held")
LEAST_SECONDS = 15.0
EFFORT = 20  # reading takes at most one twentieth of the time


class Kept(Generic[Held]):
    """The last reading. It stays fresh for 15 s, or for longer where reading it is slow.

    Args:
        read: how it is read; what it raises reaches whoever waits for the first reading.
        clock: seconds that never go back.
    """

    def __init__(self, read: Callable[[], Held], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._state, self._reading = threading.Lock(), threading.Lock()
        self._held: tuple[Held, float] | None = None  # and until when it is fresh
        self._generation = 0
        self._is_refreshing = False

    def get(self) -> Held:
        """The last reading; the first one is waited for."""
        with self._state:
            held = self._held
            is_due = held is not None and self._clock() >= held[1] and not self._is_refreshing
            self._is_refreshing |= is_due
        if is_due:
            threading.Thread(target=self._refresh, name="backup-history-refresh", daemon=True).start()
        return held[0] if held else self._first()

    def forget(self) -> None:
        """Read anew before anything is answered: something was changed."""
        with self._state:
            self._held = None
            self._generation += 1

    def _first(self) -> Held:
        with self._reading:  # whoever comes meanwhile waits for the same reading
            with self._state:
                if self._held:
                    return self._held[0]
            return self._anew()

    def _refresh(self) -> None:
        try:
            self._anew()
        except Exception as error:  # noqa: BLE001 - a thread of its own: nobody is waiting for it
            log.warning("what Backup History shows could not be read anew: %s", type(error).__name__)
            self._put_off()
        finally:
            with self._state:
                self._is_refreshing = False

    def _put_off(self) -> None:
        """What fails is not tried at every request either."""
        with self._state:
            if self._held:
                self._held = (self._held[0], self._clock() + LEAST_SECONDS)

    def _anew(self) -> Held:
        with self._state:
            generation = self._generation
        begun = self._clock()
        found = self._read()
        ended = self._clock()
        with self._state:
            if generation == self._generation:  # else it may be of before the change
                self._held = (found, ended + max(LEAST_SECONDS, EFFORT * (ended - begun)))
        return found


class Recent(Generic[Held]):
    """The results that were asked for last, of things that never change. Failures are not kept."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._held: OrderedDict[Hashable, Held] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Held]) -> Held:
        """What is kept under a key, else made now; two at once may both make it."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = make()
        with self._lock:
            self._held[key] = found
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return found
