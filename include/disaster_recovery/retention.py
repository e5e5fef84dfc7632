"""Which backups are kept and which expire, each with its reasons. Pure: records, policy and moment in, plan out.

The rules are those of restic's `forget`: newest first, natural UTC days, ISO weeks and months; each rule counts for
itself, one is enough. Only verified backups are counted: a damaged one must not push out one that can be restored.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal

from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.errors import SettingsError
from include.disaster_recovery.model import Value
from include.disaster_recovery.settings import RetentionSettings

CLOCK_SKEW = timedelta(hours=1)  # two machines may differ by so much; beyond it, one of the clocks is wrong


class Policy(Value):
    """What is kept. Of a rule whose number is 0, or None, there is none; days."""

    keep_last: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_within_days: int | None = None
    minimum_redundancy: int = 1
    unverified_grace_days: int = 7

    @classmethod
    def of(cls, settings: RetentionSettings) -> "Policy":
        """The policy of the settings."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields})

    @property
    def is_empty(self) -> bool:
        """Whether no rule would keep anything."""
        return not (self.keep_last or self.keep_daily or self.keep_weekly or self.keep_monthly or self.keep_within_days)

    @property
    def grace(self) -> timedelta:
        """How long a backup is kept that is not verified, or found invalid."""
        return timedelta(days=self.unverified_grace_days)


class Reason(Value):
    """Why a backup is kept or expires: the rule, and what is said of it."""

    rule: str
    text: str


class Decision(Value):
    """What becomes of one backup. `is_expiring`: an earlier run has marked it already."""

    key: str
    action: Literal["keep", "expire"]
    reasons: list[str]
    rule: str  # of the first reason
    is_expiring: bool = False

    def line(self) -> str:
        """The decision as the log says it."""
        return f"{self.action:<6}  {self.key.rpartition('/')[2]}: {', '.join(self.reasons)}"


class ExpiryPlan(Value):
    """A decision for each backup, newest first."""

    now: datetime
    decisions: list[Decision]

    @property
    def kept(self) -> list[Decision]:
        """What stays."""
        return [each for each in self.decisions if each.action == "keep"]

    @property
    def expired(self) -> list[Decision]:
        """What goes."""
        return [each for each in self.decisions if each.action == "expire"]

    def summary(self, expired: int | None = None) -> str:
        """`expired 3 of 17 backups, kept 14 (7 daily, 4 weekly, 3 monthly)`; each kept one under its first rule.

        Args:
            expired: how many are really gone; the others that were to go are counted as kept.
        """
        gone = len(self.expired) if expired is None else expired
        rest = len(self.decisions) - gone
        return f"expired {gone} of {len(self.decisions)} backups, kept {rest}{self._rules(len(self.expired) - gone)}"

    def forecast(self) -> str:
        """The same, before it is done."""
        counts = f"would expire {len(self.expired)} of {len(self.decisions)} backups, keep {len(self.kept)}"
        return f"{counts}{self._rules(0)}"

    def _rules(self, others: int) -> str:
        rules = Counter(each.rule for each in self.kept)
        if others:
            rules["that cannot be deleted"] = others
        return f" ({', '.join(f'{count} {rule}' for rule, count in rules.items())})" if rules else ""


def plan_expiry(records: Iterable[BackupRecord], policy: Policy, now: datetime) -> ExpiryPlan:
    """Decide what becomes of each backup; the order in which they are given does not matter.

    Raises:
        SettingsError: the policy is empty. It would keep nothing, which nobody means.
    """
    if policy.is_empty:
        raise SettingsError(
            "the retention policy is empty: it would keep nothing", hint="set one of retention.keep_* to more than 0"
        )
    newest_first = _newest_first(records)
    fed = _fed(newest_first, now)
    by_rule = _kept_by_rules(fed, policy)
    protected = _protected(fed, policy)
    nothing = _nothing_expires(fed, policy)
    return ExpiryPlan(
        now=now,
        decisions=[
            _decision(record, [*by_rule.get(record.key, []), *protected.get(record.key, [])], nothing, policy, now)
            for record in newest_first
        ],
    )


def filled(records: Iterable[BackupRecord], policy: Policy, now: datetime) -> dict[str, tuple[int, int]]:
    """How many backups each rule keeps, and how many it would: `daily` 7 of 7. Rules that are not used are left out."""
    fed = _fed(_newest_first(records), now)
    kept = Counter(reason.rule for reasons in _kept_by_rules(fed, policy).values() for reason in reasons)
    wanted = {name: getattr(policy, f"keep_{name}") for name in ("last", "daily", "weekly", "monthly")}
    return {name: (kept[name], count) for name, count in wanted.items() if count}


def _newest_first(records: Iterable[BackupRecord]) -> list[BackupRecord]:
    return sorted(records, key=lambda record: (record.created_at, record.key), reverse=True)


def _fed(newest_first: Iterable[BackupRecord], now: datetime) -> list[BackupRecord]:
    """What the rules are asked about."""
    return [record for record in newest_first if record.is_verified and not is_future(record.created_at, now)]


def is_future(created_at: datetime, now: datetime) -> bool:
    """Whether a wrong clock dated a backup: its age tells nothing, and it would count as the newest until then."""
    return created_at > now + CLOCK_SKEW


def _decision(
    record: BackupRecord, reasons: list[Reason], nothing_expires: Reason | None, policy: Policy, now: datetime
) -> Decision:
    keep = [*reasons, *_own_reasons(record, policy, now)]
    if not keep and nothing_expires:
        keep = [nothing_expires]
    found = keep or [_why_it_expires(record, policy)]
    return Decision(
        key=record.key,
        action="keep" if keep else "expire",
        reasons=[each.text for each in found],
        rule=found[0].rule,
        is_expiring=record.is_expiring,
    )


Kept = dict[str, list[Reason]]  # by key
Period = Callable[[int, datetime], Hashable]  # of a backup, by its place among all and its moment in UTC


def _kept_by_rules(fed: Sequence[BackupRecord], policy: Policy) -> Kept:
    rules: list[tuple[str, int, Period]] = [
        ("last", policy.keep_last, lambda place, _: place),
        ("daily", policy.keep_daily, lambda _, moment: moment.date()),
        ("weekly", policy.keep_weekly, lambda _, moment: moment.isocalendar()[:2]),
        ("monthly", policy.keep_monthly, lambda _, moment: (moment.year, moment.month)),
    ]
    kept: Kept = {}
    for name, count, period in rules:
        for key, text in _newest_of_periods(fed, name, count, period).items():
            kept.setdefault(key, []).append(Reason(rule=name, text=text))
    for key in _within(fed, policy.keep_within_days):
        kept.setdefault(key, []).append(Reason(rule="within", text=f"within {policy.keep_within_days} days"))
    return kept


def _newest_of_periods(fed: Sequence[BackupRecord], name: str, count: int, period: Period) -> dict[str, str]:
    """The newest of each of the last `count` periods that have a backup; empty periods consume nothing.

    While the rule has count left, it keeps the oldest backup too, so that the past reaches back as far as it can.
    """
    kept: dict[str, str] = {}
    last: Hashable = None
    for place, record in enumerate(fed):
        if len(kept) == count:
            break
        found = period(place, record.created_at.astimezone(timezone.utc))
        if found != last or place == len(fed) - 1:
            oldest = " (oldest)" if found == last else ""
            kept[record.key] = f"{name} {len(kept) + 1} of {count}{oldest}"
            last = found
    return kept


def _within(fed: Sequence[BackupRecord], days: int | None) -> list[str]:
    """Counted back from the newest backup, not from now: when backups stop, nothing of it runs out."""
    if not days or not fed:
        return []
    since = fed[0].created_at - timedelta(days=days)
    return [record.key for record in fed if record.created_at > since]


def _protected(fed: Sequence[BackupRecord], policy: Policy) -> Kept:
    """What no policy may touch: the newest verified ones, and the newest that a drill has restored."""
    kept: Kept = {}
    for name, found in (("newest verified", fed[:1]), ("newest proven", [each for each in fed if each.is_proven][:1])):
        for record in found:
            kept.setdefault(record.key, []).append(Reason(rule=name, text=name))
    for number, record in enumerate(fed[: policy.minimum_redundancy], start=1):
        text = f"minimum redundancy {number} of {policy.minimum_redundancy}"
        kept.setdefault(record.key, []).append(Reason(rule="minimum redundancy", text=text))
    return kept


def _nothing_expires(fed: Sequence[BackupRecord], policy: Policy) -> Reason | None:
    if len(fed) >= policy.minimum_redundancy:
        return None
    text = f"nothing expires: {len(fed)} verified, minimum redundancy is {policy.minimum_redundancy}"
    return Reason(rule="while too few are verified", text=text)


def _own_reasons(record: BackupRecord, policy: Policy, now: datetime) -> list[Reason]:
    """Why a backup is kept whatever the others are."""
    until = _grace_ends(record, policy)
    return [
        Reason(rule=rule, text=text)
        for rule, applies, text in (
            ("pinned", record.pinned is not None, f"pinned: {record.pinned}"),
            ("in use", record.in_use, "in use by a restore"),
            ("from the future", is_future(record.created_at, now), "created in the future: check the clock"),
            ("invalid", record.is_invalid and now < until, f"invalid, kept for inspection until {_text(until)}"),
            ("unverified", record.verification is None and now < until, f"not verified yet, kept until {_text(until)}"),
        )
        if applies
    ]


def _grace_ends(record: BackupRecord, policy: Policy) -> datetime:
    """Of an invalid one, counted from when it was found to be."""
    begin = record.verification.at if record.verification and record.is_invalid else record.created_at
    return begin + policy.grace


def _why_it_expires(record: BackupRecord, policy: Policy) -> Reason:
    days = f"{policy.unverified_grace_days} day{'' if policy.unverified_grace_days == 1 else 's'}"
    over = "is" if policy.unverified_grace_days == 1 else "are"
    if record.is_invalid:
        return Reason(rule="invalid", text=f"invalid, its {days} for inspection {over} over")
    if not record.is_verified:
        return Reason(rule="unverified", text=f"never verified, its {days} {over} over")
    return Reason(rule="no rule", text="no rule keeps it")


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def by_key(plan: ExpiryPlan) -> Mapping[str, Decision]:
    """The decisions by backup key."""
    return {each.key: each for each in plan.decisions}
