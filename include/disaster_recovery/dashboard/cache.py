"""Something that is costly to read, kept: what is stale is answered at once, while one thread reads it anew."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from include.disaster_recovery.dashboard.traces import trace_of

log = logging.getLogger(__name__)

Held = TypeVar("Held")
FRESH_SECONDS, FRESH_AT_MOST, OLDEST_SECONDS = 15.0, 30.0, 60.0
EFFORT = 20  # up to FRESH_AT_MOST, reading takes at most one twentieth of the time


@dataclass(frozen=True, kw_only=True)
class _Reading(Generic[Held]):
    """`number` counts the readings in the order in which they began."""

    value: Held
    number: int
    fresh_until: float
    shown_until: float


class Kept(Generic[Held]):
    """The last reading. It stays fresh for 15 s, up to 30 s where reading is slow; a minute after it, nobody sees it.

    Args:
        read: how it is read; what it raises reaches whoever waits for it.
        clock: seconds that never go back.
    """

    def __init__(self, read: Callable[[], Held], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._state, self._turn = threading.Lock(), threading.Lock()  # of the fields below; of whoever reads
        self._held: _Reading[Held] | None = None
        self._begun = self._generation = 0
        self._is_refreshing = False

    def get(self) -> Held:
        """The last reading; one is waited for where there is none, or none that is young enough."""
        with self._state:
            held, now = self._held, self._clock()
            if held is None or now >= held.shown_until:
                held = None
            is_due = held is not None and now >= held.fresh_until and not self._is_refreshing
            self._is_refreshing |= is_due
        if is_due:
            threading.Thread(target=self._refresh, name="backup-history-refresh", daemon=True).start()
        return held.value if held else self._waited_for()

    def change(self, make: Callable[[Held], Held]) -> Held:
        """Put what was just changed into the last reading, which is read anew behind the next answer.

        Args:
            make: the reading with the change, of the one without; called again if another one comes between.
        """
        while True:
            with self._state:
                held = self._held
                if held is None:
                    self._generation += 1
            if held is None:
                return self.get()
            changed = make(held.value)
            with self._state:
                if self._held is held:
                    self._generation += 1
                    self._held = replace(held, value=changed, fresh_until=self._clock())
                    return changed

    def renew(self) -> None:
        """Wait for a reading that begins after this; whoever does not is answered with the last one meanwhile."""
        with self._state:
            before = self._begun
        with self._turn:
            with self._state:
                is_done = self._held is not None and self._held.number > before
            if not is_done:
                self._anew()

    def _waited_for(self) -> Held:
        with self._turn:  # whoever comes meanwhile waits for the same reading
            with self._state:
                if self._held and self._clock() < self._held.shown_until:
                    return self._held.value
            return self._anew()

    def _refresh(self) -> None:
        try:
            with self._turn:
                self._anew()
        except Exception as error:  # noqa: BLE001 - a thread of its own: nobody is waiting for it
            log.warning("what Backup History shows could not be read anew: %s", trace_of(error))
            self._put_off()
        finally:
            with self._state:
                self._is_refreshing = False

    def _put_off(self) -> None:
        """What fails is not tried at every request either."""
        with self._state:
            if self._held:
                self._held = replace(self._held, fresh_until=self._clock() + FRESH_SECONDS)

    def _anew(self) -> Held:
        with self._state:
            self._begun += 1
            number, generation, begun = self._begun, self._generation, self._clock()
        found = self._read()
        with self._state:
            ended = self._clock()
            fresh = min(FRESH_AT_MOST, max(FRESH_SECONDS, EFFORT * (ended - begun)))
            if generation == self._generation:  # else it may be of before the change
                self._held = _Reading(
                    value=found, number=number, fresh_until=ended + fresh, shown_until=ended + OLDEST_SECONDS
                )
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
