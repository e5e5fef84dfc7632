"""Calendars of backups, and what retention makes of them, as text that people read: tests/golden/retention-*.txt.

    PYTHONPATH=. .venv/bin/python tests/support/retention_calendars.py        # writes them again; then read the diff

A line a backup, newest first: what becomes of it, its moment (UTC), what is known of it, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from include.disaster_recovery.backup_key import backup_key, opened_at
from include.disaster_recovery.backup_record import BackupRecord, Proof, Verification
from include.disaster_recovery.retention import ExpiryPlan, Policy, plan_expiry

FOLDER = Path(__file__).parents[1] / "golden"
PREFIX = "backups/"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
USUAL = Policy(keep_daily=7, keep_weekly=4, keep_monthly=12)


def utc(text: str) -> datetime:
    """`2026-03-01` or `2026-03-01 06:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def record(moment: datetime, state: str = "valid", *, proven: bool = False, **more: Any) -> BackupRecord:
    """A backup; `state` is valid, invalid or none."""
    at = moment + timedelta(minutes=5)
    verdict = None if state == "none" else Verification.model_validate({"state": state, "depth": "full", "at": at})
    proof = Proof(state="proven", at=at, seconds=42.5) if proven else None
    key = backup_key(PREFIX, moment, "none")
    return BackupRecord(key=key, created_at=moment, size=1000, verification=verdict, proof=proof, **more)


def every(step: timedelta, first: datetime, last: datetime) -> list[datetime]:
    """Moments from the first to the last."""
    return [first + number * step for number in range((last - first) // step + 1)]


def run_daily(moments: Iterable[datetime], policy: Policy) -> Iterator[tuple[list[BackupRecord], ExpiryPlan]]:
    """Retention at 06:00 of each day that has a backup, over what the days before have left: records and plan."""
    left: list[BackupRecord] = []
    for moment in moments:
        left.append(record(moment))
        plan = plan_expiry(left, policy, moment.replace(hour=6, minute=0))
        yield left, plan
        kept = {each.key for each in plan.kept}
        left = [each for each in left if each.key in kept]


@dataclass(frozen=True)
class Calendar:
    title: str
    policy: Policy
    now: datetime
    records: Sequence[BackupRecord]


def _three_years() -> Calendar:
    for left, plan in run_daily(every(DAY, utc("2023-01-01"), utc("2025-12-31")), USUAL):
        last, now = list(left), plan.now
    return Calendar("one backup a day for three years, retention every day; the last day", USUAL, now, last)


def _first_weeks() -> Calendar:
    moments = every(DAY, utc("2026-03-05"), utc("2026-03-21"))
    return Calendar("the first 17 days", USUAL, utc("2026-03-21 06:00"), [record(each) for each in moments])


def _gaps() -> Calendar:
    spans = (("2025-06-01", "2025-06-10"), ("2025-07-20", "2025-07-22"), ("2025-11-01", "2025-11-05"))
    moments = [moment for first, last in spans for moment in every(DAY, utc(first), utc(last))]
    return Calendar("gaps of weeks: empty periods consume nothing", USUAL, utc("2025-12-20"), [*map(record, moments)])


def _burst() -> Calendar:
    moments = [
        *every(DAY, utc("2026-03-01"), utc("2026-03-10")),
        *every(HOUR / 2, utc("2026-03-08 09:00"), utc("2026-03-08 18:30")),
    ]
    return Calendar("20 manual backups on one day", USUAL, utc("2026-03-10 06:00"), [*map(record, moments)])


def _skew() -> Calendar:
    now = utc("2026-03-10 06:00")
    moments = [*every(DAY, utc("2026-03-01"), utc("2026-03-10")), now + HOUR, now + 2 * HOUR, utc("2031-01-01")]
    return Calendar("clocks that are wrong", USUAL, now, [*map(record, moments)])


def _unverified() -> Calendar:
    good = [record(each, proven=each.day == 3) for each in every(DAY, utc("2026-02-20"), utc("2026-03-04"))]
    unknown = [record(each, "none") for each in every(DAY, utc("2026-03-05"), utc("2026-03-14"))]
    policy = USUAL.model_copy(update={"keep_daily": 3})
    return Calendar("nobody has verified the newest ten", policy, utc("2026-03-14 06:00"), [*good, *unknown])


def _all_invalid() -> Calendar:
    records = [record(each, "invalid") for each in every(DAY, utc("2026-02-20"), utc("2026-03-01"))]
    return Calendar("all are invalid: nothing expires", USUAL, utc("2026-03-14"), records)


def _some_invalid() -> Calendar:
    damaged = {utc("2026-03-13"), utc("2026-03-09"), utc("2026-03-04"), utc("2026-03-01")}
    moments = every(DAY, utc("2026-02-20"), utc("2026-03-14"))
    records = [record(each, "invalid" if each in damaged else "valid") for each in moments]
    policy = Policy(keep_daily=3)
    return Calendar("invalid ones consume nothing, and wait for inspection", policy, utc("2026-03-14 06:00"), records)


def _iso_weeks() -> Calendar:
    moments = every(DAY, utc("2020-12-20"), utc("2021-01-12"))
    return Calendar(
        "ISO weeks: 2020 has 53; the first days of 2021 are in the last of 2020",
        Policy(keep_weekly=5),
        utc("2021-01-12 06:00"),
        [*map(record, moments)],
    )


def _leap_days() -> Calendar:
    moments = [*every(DAY, utc("2023-12-28"), utc("2024-01-02")), *every(DAY, utc("2024-02-26"), utc("2024-03-02"))]
    policy = Policy(keep_daily=4, keep_monthly=5)
    return Calendar("a leap day, and the change of a year", policy, utc("2024-03-02 06:00"), [*map(record, moments)])


def _monthly() -> Calendar:
    moments = every(timedelta(days=5), utc("2024-01-03"), utc("2026-03-14"))
    return Calendar("only monthly", Policy(keep_monthly=6), utc("2026-03-14 06:00"), [*map(record, moments)])


def _last() -> Calendar:
    moments = every(HOUR * 7, utc("2026-03-01"), utc("2026-03-04"))
    return Calendar("keep_last", Policy(keep_last=3), utc("2026-03-04 06:00"), [*map(record, moments)])


def _within() -> Calendar:
    moments = every(DAY * 3, utc("2026-01-01"), utc("2026-02-24"))
    policy = Policy(keep_within_days=14)
    return Calendar(
        "keep_within_days, counted from the newest: no backup for weeks",
        policy,
        utc("2026-04-01"),
        [*map(record, moments)],
    )


def _protected() -> Calendar:
    moments = every(DAY, utc("2026-03-01"), utc("2026-03-14"))
    more: dict[datetime, dict[str, Any]] = {
        utc("2026-03-02"): {"pinned": "before migration 20260302"},
        utc("2026-03-03"): {"pinned": "a damaged one", "state": "invalid"},
        utc("2026-03-05"): {"in_use": True},
        utc("2026-03-06"): {"proven": True},
        utc("2026-03-07"): {"proven": True},
        utc("2026-03-08"): {"proven": True, "pinned": "expiring when it was pinned", "is_expiring": True},
        utc("2026-03-09"): {"is_expiring": True},
    }
    records = [record(each, **more.get(each, {})) for each in moments]
    return Calendar("what the policy may not touch", Policy(keep_last=2), utc("2026-03-14 06:00"), records)


def _redundancy() -> Calendar:
    moments = every(DAY, utc("2026-03-01"), utc("2026-03-14"))
    policy = Policy(keep_monthly=1, minimum_redundancy=4)
    return Calendar("minimum redundancy beyond the policy", policy, utc("2026-03-14 06:00"), [*map(record, moments)])


def _too_few() -> Calendar:
    unknown = [record(each, "none") for each in every(DAY, utc("2026-02-20"), utc("2026-03-04"))]
    policy = Policy(keep_last=1, minimum_redundancy=3)
    return Calendar(
        "fewer verified than minimum redundancy: nothing expires",
        policy,
        utc("2026-03-14"),
        [*unknown, record(utc("2026-03-05")), record(utc("2026-03-06"))],
    )


CALENDARS: dict[str, Callable[[], Calendar]] = {
    "three-years": _three_years,
    "first-weeks": _first_weeks,
    "gaps": _gaps,
    "burst": _burst,
    "clock-skew": _skew,
    "unverified-newest": _unverified,
    "all-invalid": _all_invalid,
    "some-invalid": _some_invalid,
    "iso-weeks": _iso_weeks,
    "leap-days": _leap_days,
    "only-monthly": _monthly,
    "keep-last": _last,
    "keep-within": _within,
    "protected": _protected,
    "minimum-redundancy": _redundancy,
    "too-few-verified": _too_few,
}


def text(calendar: Calendar) -> str:
    """A calendar with its plan, for people."""
    plan = plan_expiry(calendar.records, calendar.policy, calendar.now)
    known = {each.key: each for each in calendar.records}
    lines = [
        f"# {calendar.title}",
        f"# policy: {', '.join(f'{name} {value}' for name, value in calendar.policy if value)}",
        f"# now: {calendar.now:%a %Y-%m-%d %H:%M}",
        f"# {plan.summary()}",
        *(
            f"{each.action:<6}  {opened_at(PREFIX, each.key):%a %Y-%m-%d %H:%M}  {_known(known[each.key]):<20}  {', '.join(each.reasons)}"
            for each in plan.decisions
        ),
    ]
    return "\n".join(lines) + "\n"


def _known(found: BackupRecord) -> str:
    state = found.verification.state if found.verification else "not verified"
    return f"{state}{', proven' if found.is_proven else ''}{', marked' if found.is_expiring else ''}"


if __name__ == "__main__":
    for name, make in CALENDARS.items():
        (FOLDER / f"retention-{name}.txt").write_text(text(make()), encoding="utf-8")
