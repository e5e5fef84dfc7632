"""Calls to servers that may hang: side by side, each given up after a time."""

import time
from collections.abc import Callable, Mapping
from threading import Thread


class NoAnswer(Exception):
    """The other side did not answer in time."""


def within(seconds: float, calls: Mapping[str, Callable[[], object]]) -> dict[str, BaseException | None]:
    """Make all calls at once and wait so long; what each has raised, by its name.

    A call that is given up goes on in its thread, which ends with the process: nobody waits for it.
    """
    raised: dict[str, BaseException | None] = {}

    def run(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is handed on
            raised[name] = error
        else:
            raised[name] = None

    threads = {name: Thread(target=run, args=(name, call), name=name, daemon=True) for name, call in calls.items()}
    until = time.monotonic() + seconds
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, until - time.monotonic()))
    return {name: raised[name] if name in raised else NoAnswer(f"after {seconds:g} s") for name in calls}
