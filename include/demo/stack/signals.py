"""Turns SIGTERM into an exception, so that `with` blocks unwind and take their servers down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None
WATCHED = (signal.SIGTERM, signal.SIGHUP)
BLOCKED = (signal.SIGINT, *WATCHED)


@contextmanager
def exit_on_sigterm() -> Generator[None, None, None]:
    """Raise SystemExit(128 + n) in the main thread on SIGTERM and SIGHUP; no effect in another thread."""
    with _handlers(WATCHED, _leave):
        yield


@contextmanager
def uninterrupted() -> Generator[None, None, None]:
    """Ignore SIGINT, SIGTERM and SIGHUP while servers are taken down; a second Ctrl-C would leave one behind."""
    with _handlers(BLOCKED, signal.SIG_IGN):
        yield


@contextmanager
def _handlers(numbers: tuple[signal.Signals, ...], handler: Handler) -> Generator[None, None, None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
