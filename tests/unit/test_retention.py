"""Which backups are kept, and why: golden calendars, a second implementation of restic's rule, and what always holds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.errors import SettingsError
from include.disaster_recovery.retention import ExpiryPlan, Policy, plan_expiry
from include.disaster_recovery.settings import RetentionSettings, load_settings
from tests.support.naive_forget import forget
from tests.support.retention_calendars import CALENDARS, DAY, FOLDER, HOUR, USUAL, every, record, run_daily, text, utc

NOW = utc("2026-03-14 06:00")
ROOT = Path(__file__).parents[2]


def kept(plan: ExpiryPlan) -> set[str]:
    return {each.key for each in plan.kept}


def reasons(records: list[BackupRecord], policy: Policy = USUAL, now: datetime = NOW) -> list[list[str]]:
    return [each.reasons for each in plan_expiry(records, policy, now).decisions]


@pytest.mark.parametrize("name", CALENDARS)
def test_calendar_is_planned_as_ever(name: str):
    golden = FOLDER / f"retention-{name}.txt"
    assert text(CALENDARS[name]()) == golden.read_text(encoding="utf-8")


def test_every_golden_file_has_its_calendar():
    assert {path.stem.removeprefix("retention-") for path in Path(FOLDER).glob("retention-*.txt")} == set(CALENDARS)


def test_daily_runs_settle_at_as_many_backups_and_as_long_a_past_as_restic_has():
    counts, days = set(), set()
    for number, (left, plan) in enumerate(run_daily(every(DAY, utc("2023-01-01"), utc("2025-12-31")), USUAL)):
        moments = {each.created_at for each in left if each.key in kept(plan)}
        if number >= 365:
            counts.add(len(moments))
            days.add((max(moments) - min(moments)).days)
        again = plan_expiry([each for each in left if each.key in kept(plan)], USUAL, plan.now)
        assert again.expired == []
    assert (min(counts), max(counts)) == (19, 21)
    assert 304 <= min(days) <= max(days) <= 337


@pytest.mark.parametrize(
    "fields, wanted",
    [
        ({"state": "none"}, "not verified yet, kept until 2026-03-20 06:00 UTC"),
        ({"state": "invalid"}, "invalid, kept for inspection until 2026-03-20 06:05 UTC"),
        ({"pinned": ""}, "pinned: "),
        ({"in_use": True, "state": "none"}, "in use by a restore"),
    ],
)
def test_reason_names_what_keeps_it(fields: dict[str, object], wanted: str):
    found = reasons([record(NOW), record(NOW - DAY, **fields)], Policy(keep_last=1))
    assert wanted in found[1]


@pytest.mark.parametrize(
    "state, days, wanted",
    [
        ("none", 7, "never verified, its 7 days are over"),
        ("none", 1, "never verified, its 1 day is over"),
        ("invalid", 3, "invalid, its 3 days for inspection are over"),
        ("valid", 7, "no rule keeps it"),
    ],
)
def test_reason_names_why_it_expires(state: str, days: int, wanted: str):
    policy = Policy(keep_last=1, unverified_grace_days=days)
    assert reasons([record(NOW), record(NOW - 8 * DAY, state)], policy)[1] == [wanted]


def test_grace_ends_to_the_second():
    policy = Policy(keep_last=1, unverified_grace_days=7)
    for age, count in ((7 * DAY - timedelta(seconds=1), 0), (7 * DAY, 1)):
        plan = plan_expiry([record(NOW), record(NOW - age, "none")], policy, NOW)
        assert len(plan.expired) == count


def test_within_is_exclusive_and_counted_from_the_newest():
    second = timedelta(seconds=1)
    records = [record(NOW - DAY - each) for each in (timedelta(0), 14 * DAY - second, 14 * DAY, 14 * DAY + second)]
    plan = plan_expiry(records, Policy(keep_within_days=14), NOW)
    assert [each.action for each in plan.decisions] == ["keep", "keep", "expire", "expire"]


def test_proof_counts_only_while_the_backup_is_valid():
    records = [record(NOW), record(NOW - DAY, "invalid", proven=True), record(NOW - 2 * DAY, proven=True)]
    plan = plan_expiry(records, Policy(keep_last=1, unverified_grace_days=1), NOW + 9 * DAY)
    assert [each.action for each in plan.decisions] == ["keep", "expire", "keep"]
    assert plan.decisions[2].reasons == ["newest proven"]


def test_periods_are_those_of_utc_whatever_zone_the_moments_are_given_in():
    zone = timezone(timedelta(hours=-9))
    moments = every(HOUR * 5, utc("2026-02-20"), utc("2026-03-14"))
    there = [record(each).model_copy(update={"created_at": each.astimezone(zone)}) for each in moments]
    assert kept(plan_expiry(there, USUAL, NOW)) == kept(plan_expiry([*map(record, moments)], USUAL, NOW))


def test_two_backups_of_one_moment_are_told_apart():
    one = record(NOW - HOUR)
    other = one.model_copy(update={"key": f"{one.key}.zst"})
    plan = plan_expiry([one, other], Policy(keep_last=1), NOW)
    assert [each.action for each in plan.decisions] == ["keep", "expire"]
    assert plan == plan_expiry([other, one], Policy(keep_last=1), NOW)


def test_no_backup_is_no_error():
    plan = plan_expiry([], USUAL, NOW)
    assert (plan.decisions, plan.summary()) == ([], "expired 0 of 0 backups, kept 0")


def test_empty_policy_is_refused():
    with pytest.raises(SettingsError, match="would keep nothing"):
        plan_expiry([record(NOW)], Policy(), NOW)


def test_policy_is_that_of_the_settings():
    wanted = RetentionSettings(keep_last=1, keep_within_days=3, minimum_redundancy=2, unverified_grace_days=4)
    assert Policy.of(wanted) == Policy(
        keep_last=1,
        keep_daily=7,
        keep_weekly=4,
        keep_monthly=12,
        keep_within_days=3,
        minimum_redundancy=2,
        unverified_grace_days=4,
    )
    assert Policy.of(load_settings().retention) == USUAL


def test_summary_counts_each_kept_backup_once_and_what_could_not_be_deleted_as_kept():
    plan = plan_expiry([*map(record, every(DAY, utc("2026-02-26"), utc("2026-03-14")))], USUAL, NOW)
    assert plan.summary() == "expired 7 of 17 backups, kept 10 (7 daily, 2 weekly, 1 monthly)"
    assert (
        plan.summary(5) == "expired 5 of 17 backups, kept 12 (7 daily, 2 weekly, 1 monthly, 2 that cannot be deleted)"
    )


def test_plan_survives_its_way_through_xcom():
    plan = plan_expiry([record(NOW, proven=True), record(NOW - DAY)], Policy(keep_last=1), NOW)
    assert ExpiryPlan.model_validate(plan.to_json()) == plan


# --- what always holds ---

MOMENTS = st.lists(
    st.integers(0, 3 * 365 * 24).map(lambda hours: utc("2023-04-01") + hours * HOUR), unique=True, max_size=60
)
NOWS = st.integers(0, 3 * 365 * 24).map(lambda hours: utc("2023-03-15") + hours * HOUR)
POLICIES = st.builds(
    Policy,
    keep_last=st.integers(0, 5),
    keep_daily=st.integers(0, 9),
    keep_weekly=st.integers(0, 6),
    keep_monthly=st.integers(0, 14),
    keep_within_days=st.none() | st.integers(1, 60),
    minimum_redundancy=st.integers(1, 5),
    unverified_grace_days=st.integers(1, 30),
).filter(lambda policy: not policy.is_empty)


@st.composite
def backups(draw: st.DrawFn) -> list[BackupRecord]:
    return [
        record(
            moment,
            draw(st.sampled_from(["valid", "valid", "valid", "invalid", "none"])),
            proven=draw(st.booleans()),
            pinned=draw(st.sampled_from([None, None, None, "a reason"])),
            in_use=draw(st.sampled_from([False, False, True])),
            is_expiring=draw(st.booleans()),
        )
        for moment in draw(MOMENTS)
    ]


@given(MOMENTS, POLICIES)
@settings(max_examples=300, deadline=None)
def test_rules_are_those_of_a_second_implementation(moments: list[datetime], policy: Policy):
    policy = policy.model_copy(update={"minimum_redundancy": 1})
    plan = plan_expiry([*map(record, moments)], policy, utc("2026-04-01"))
    wanted = forget(moments, **{name: value or 0 for name, value in policy if name.startswith("keep_")})
    assert kept(plan) == {record(each).key for each in wanted | set(sorted(moments)[-1:])}


@given(backups(), POLICIES, NOWS, st.randoms())
@settings(max_examples=300, deadline=None)
def test_what_must_stay_stays(records: list[BackupRecord], policy: Policy, now: datetime, random: object):
    plan = plan_expiry(records, policy, now)
    stays = kept(plan)
    verified = sorted((each for each in records if each.is_verified), key=lambda each: each.created_at)
    past = [each for each in verified if each.created_at <= now + HOUR]
    proven = [each for each in past if each.is_proven]
    protected = [each for each in records if each.pinned is not None or each.in_use]
    future = [each for each in records if each.created_at > now + HOUR]
    assert {each.key for each in [*verified[-1:], *past[-1:], *proven[-1:], *protected, *future]} <= stays
    assert len(stays & {each.key for each in past}) >= min(policy.minimum_redundancy, len(past))
    if len(past) < policy.minimum_redundancy:
        assert plan.expired == []
    assert all(each.reasons and all(each.reasons) for each in plan.decisions)
    assert {each.key for each in plan.decisions} == {each.key for each in records}
    shuffled = list(records)
    random.shuffle(shuffled)
    assert plan_expiry(shuffled, policy, now) == plan


@given(backups(), POLICIES, NOWS, st.data())
@settings(max_examples=300, deadline=None)
def test_expiring_again_or_going_on_after_a_crash_comes_to_the_same(
    records: list[BackupRecord], policy: Policy, now: datetime, data: st.DataObject
):
    plan = plan_expiry(records, policy, now)
    deleted = {each.key for each in plan.expired if data.draw(st.booleans())}  # before the crash
    left = [each for each in records if each.key not in deleted]
    assert kept(plan_expiry(left, policy, now)) == kept(plan)
    last = [each for each in records if each.key in kept(plan)]
    assert plan_expiry(last, policy, now).expired == []


def test_every_reason_is_explained_in_the_documentation():
    explained = (ROOT / "docs" / "retention.md").read_text(encoding="utf-8")
    plans = [plan_expiry(each.records, each.policy, each.now) for each in (make() for make in CALENDARS.values())]
    for reason in {reason for plan in plans for decision in plan.decisions for reason in decision.reasons}:
        stem = re.split(r" \d| until| its|: ", reason)[0]
        assert f"`{stem}" in explained, reason
