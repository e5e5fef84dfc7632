"""An unforeseen error as a log may have it: types and places. Its text is another library's, and may quote secrets."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ROOT = f"{Path(__file__).resolve().parents[3]}/"
MOST_CAUSES, MOST_PLACES = 4, 12


def trace_of(error: BaseException) -> str:
    """`RuntimeError at include/…/reading.py:49 (_rows) > psycopg/connection.py:117 (connect); caused by …`."""
    return "; caused by ".join(_told(each) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from; not for ever, as causes may go in a circle."""
    each: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if each is None:
            return
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _told(error: BaseException) -> str:
    """Our own frames, and the innermost one whose ever it is."""
    frames = list(traceback.walk_tb(error.__traceback__))
    ours = [_place(*each) for each in frames if each[0].f_code.co_filename.startswith(ROOT + "include/")]
    last = [_place(*each) for each in frames[-1:]]
    places = [*ours[-MOST_PLACES:], *(each for each in last if each not in ours)]
    return f"{type(error).__name__} at {' > '.join(places)}" if places else type(error).__name__


def _place(frame: FrameType, line: int) -> str:
    file = frame.f_code.co_filename
    short = file.removeprefix(ROOT) if file.startswith(ROOT + "include/") else "/".join(Path(file).parts[-2:])
    return f"{short}:{line} ({frame.f_code.co_name})"
