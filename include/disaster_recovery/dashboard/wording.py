"""Moments and durations as the page's sentences have them, in UTC. Pure."""

from datetime import datetime, timezone

from include.disaster_recovery.plain_text import cut, one_line
from include.disaster_recovery.retention import CLOCK_SKEW

MINUTE, HOUR, DAY = 60, 3600, 86400
SKEW = CLOCK_SKEW.total_seconds()


def moment_text(moment: datetime, now: datetime) -> str:
    """`22 Nov 00:00 UTC`; with the year where it is another one than now."""
    utc = moment.astimezone(timezone.utc)
    year = "" if utc.year == now.astimezone(timezone.utc).year else f" {utc.year}"
    return f"{utc.day} {utc:%b}{year} {utc:%H:%M} UTC"


def ago(moment: datetime, now: datetime) -> str:
    """`7 h ago`, in the unit that is worth reading."""
    seconds = (now - moment).total_seconds()
    if seconds < -SKEW:
        return "in the future: check the clock"
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min ago"
    if seconds < 2 * DAY:
        return f"{int(seconds // HOUR)} h ago"
    return f"{int(seconds // DAY)} days ago"


def duration(seconds: float) -> str:
    """`41 s`, `12 min`, `3 h 20 min`."""
    if seconds < 1:
        return "1 s"
    if round(seconds) < 2 * MINUTE:
        return f"{round(seconds)} s"
    minutes = round(seconds / MINUTE)
    if minutes < 2 * MINUTE:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def first_line(text: str, longest: int = 200) -> str:
    """The first line of an error that has text, cut, without control characters."""
    lines = map(one_line, text.splitlines())
    return cut(next(filter(None, lines), "it left no message"), longest)
