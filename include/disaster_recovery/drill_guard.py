"""Whether a drill that the backup asset has started shall run: often enough, and not of too large a document. Pure."""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Literal

from include.disaster_recovery.model import Value

Every = Literal["backup", "day", "week"]


class EarlierDrill(Value):
    """A drill that came to a verdict: when it began, and the file name of its backup."""

    at: datetime
    backup: str


def held_back(
    *,
    by_hand: bool,
    every: Every,
    max_bytes: int | None,
    backup: str,
    size: int,
    earlier: Sequence[EarlierDrill],
    now: datetime,
) -> str | None:
    """Why a drill does not run; None if it does. One that somebody asks for is never held back.

    Args:
        every, max_bytes: the settings.
        backup: the file name of the backup.
        size: its bytes.
        earlier: drills with a verdict, in any order; those that never got to one do not count.
    """
    if by_hand:
        return None
    if max_bytes is not None and size > max_bytes:
        return f"{backup} has {size} bytes, drill.max_bytes is {max_bytes}; trigger the drill by hand to run it"
    if done := [each for each in earlier if each.backup == backup]:
        return f"{backup} was drilled already, {_moment(_newest(done))}; trigger the drill by hand to run it again"
    if every != "backup" and (same := [each for each in earlier if _period(each.at, every) == _period(now, every)]):
        last = _newest(same)
        return f"drill.every is {every}, and this {every} has had its drill: {last.backup}, {_moment(last)}"
    return None


def _newest(drills: Sequence[EarlierDrill]) -> EarlierDrill:
    return max(drills, key=lambda each: each.at)


def _period(moment: datetime, every: Every) -> tuple[int, ...]:
    """The UTC day or ISO week a moment lies in."""
    day = moment.astimezone(timezone.utc).date()
    return (day.toordinal(),) if every == "day" else tuple(day.isocalendar())[:2]


def _moment(drill: EarlierDrill) -> str:
    return f"{drill.at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
