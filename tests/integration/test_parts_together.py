"""Verify, drill, retention, pins, leases and the watch on one bucket and one history: they must not contradict each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import pytest

from include.disaster_recovery.backup_key import backup_key
from include.disaster_recovery.backup_record import EXPIRED_TAG, Proof, Verification, proof_tags, verification_tags
from include.disaster_recovery.errors import DrillFailed, RestoreRefused, StoreRefused
from include.disaster_recovery.history.rows import annotate, read_rows
from include.disaster_recovery.s3 import leases, pins
from include.disaster_recovery.s3.records import list_records
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags, read_tags
from include.disaster_recovery.steps.finding import find_backup
from include.disaster_recovery.steps.retention.bucket_rules import check_rules
from include.disaster_recovery.steps.retention.planning import log_plan
from include.disaster_recovery.steps.verify.verifying import verify
from include.disaster_recovery.steps.watch.age import look_at_ages
from tests.support import planted
from tests.support.drill_rig import DrillRig, failed
from tests.support.faulty_wire import FaultyWire, refuse
from tests.support.golden import DOCUMENTS, key_of, stored
from tests.support.planted import daily, plant
from tests.support.restore_rig import RestoreRig
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig
from tests.support.verify_rig import VerifyRig

DAY = timedelta(days=1)


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    rig = RetentionRig(bare_rig).keeping(keep_last=1)
    rig.add_rows([])
    return rig


def name(key: str) -> str:
    return key.rpartition("/")[2]


def recorded(state: str, at: datetime) -> dict[str, Any]:
    """A verdict as the history has it."""
    findings = [] if state == "valid" else ["table messages, fragment 1 of 2: its SHA-256 differs"]
    counts = {"size": 1, "tables": 1, "rows": 1, "fragments": 1, "checksum": None, "warnings": []}
    valid = state == "valid"
    return {
        "valid": valid,
        "state": state,
        "depth": "full",
        "checked_at": at.isoformat(),
        "findings": findings,
        **counts,
    }


@contextmanager
def at_request(store: Store, operation: str, act: Any, part: str = "") -> Iterator[None]:
    """Do something once, right before the server hears of a request."""
    done: list[bool] = []

    def hook(request: Any, **_: Any) -> None:
        if not done and part in request.url:
            done.append(True)
            act()

    events = store.client.meta.events
    events.register(f"before-send.s3.{operation}", hook)
    try:
        yield
    finally:
        events.unregister(f"before-send.s3.{operation}", hook)
    assert done


@contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []

    def count(event_name: str = "", **_: Any) -> None:
        seen.append(event_name.rpartition(".")[2])

    store.client.meta.events.register("before-send.s3", count)
    try:
        yield seen
    finally:
        store.client.meta.events.unregister("before-send.s3", count)


# --- tags ------------------------------------------------------------------------------------------------------------


def test_foreign_tags_leave_room_for_all_of_ours_on_a_sound_backup(retention: RetentionRig):
    """S3 takes ten: two of ours from the beginning, three of a verdict, three of a drill, one of retention, one is left."""
    (key,) = plant(retention.store, PREFIX, 1, now=NOW, tags={"written-by": "us", "backup-type": "manual", "team": "x"})
    merge_tags(retention.store, key, verification_tags(Verification(state="valid", depth="full", at=NOW)))
    merge_tags(retention.store, key, proof_tags(Proof(state="proven", at=NOW, seconds=1)))
    assert merge_tags(retention.store, key, {EXPIRED_TAG: "true"})
    assert len(read_tags(retention.store, key) or {}) == 10


def test_a_finding_that_is_over_is_no_tag_any_more(retention: RetentionRig):
    (key,) = plant(retention.store, PREFIX, 1, now=NOW, tags=planted.invalid)
    merge_tags(retention.store, key, verification_tags(Verification(state="valid", depth="full", at=NOW)))
    assert set(read_tags(retention.store, key) or {}) == {"verification", "verified-at", "verification-depth"}


def test_eleven_tags_hinder_nobody_the_history_knows(retention: RetentionRig, caplog: pytest.LogCaptureFixture):
    foreign = {f"foreign-{number}": "x" for number in range(10)}
    old, new = plant(retention.store, PREFIX, 2, now=NOW, tags=foreign)
    retention.add_rows([old, new])
    verifier = VerifyRig.of(retention.rig)
    assert verifier.verify(old).valid
    assert verifier.verify(new).valid
    assert caplog.text.count("the verdict is not kept on the object") == 2
    assert retention.run().expired == [old]
    assert read_tags(retention.store, new) == foreign


# --- one backup, one answer -------------------------------------------------------------------------------------------


def test_a_proof_that_only_the_history_has_counts_for_the_watch_as_for_retention(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW, tags={})
    retention.add_rows(keys, components={"verification": recorded("valid", NOW)})
    with retention.rig.connect() as connection:
        annotate(connection, name(keys[0]), {"drill": {"state": "proven", "at": NOW.isoformat(), "seconds": 9.5}})
    kept = {each.key: each.reasons for each in retention.plan().kept}
    assert "newest proven" in kept[keys[0]]
    ages = look_at_ages(retention.rig.connect, retention.store, retention.settings, NOW)
    assert (ages.verified, ages.proven, ages.drill_seconds) == (keys[2], keys[0], 9.5)


def test_a_backup_dated_in_the_future_does_not_silence_the_watch(retention: RetentionRig):
    late, ahead = NOW - timedelta(days=3), NOW + timedelta(days=30)
    keys = plant(retention.store, PREFIX, [late, ahead], now=NOW, tags=planted.proven)
    ages = look_at_ages(retention.rig.connect, retention.store, retention.settings, NOW)
    assert (ages.verified, ages.proven, ages.kept) == (keys[0], keys[0], 2)
    assert "72.0 hours old" in str(ages.lateness(retention.settings.watch))


def test_damage_that_only_the_history_knows_counts_for_the_watch_as_for_retention(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 2, now=NOW, tags=planted.proven)
    retention.add_rows(keys)
    with retention.rig.connect() as connection:
        annotate(connection, name(keys[1]), {"verification": recorded("invalid", NOW)})
    assert retention.plan().decisions[0].reasons[0].startswith("invalid, kept for inspection")
    ages = look_at_ages(retention.rig.connect, retention.store, retention.settings, NOW)
    assert (ages.verified, ages.proven, ages.invalid) == (keys[0], keys[0], 1)


def test_a_key_that_may_read_no_tags_leaves_the_watch_to_the_history_and_stops_retention(
    retention: RetentionRig, wire: FaultyWire
):
    keys = plant(retention.store, PREFIX, 2, now=NOW)
    retention.add_rows(keys, components={"verification": recorded("valid", NOW)})
    wire.before = lambda exchange: refuse(exchange) if "tagging" in exchange.path else None
    denied = retention.through(replace(retention.store, client=wire.client()))
    assert look_at_ages(denied.rig.connect, denied.store, denied.settings, NOW).verified == keys[1]
    with pytest.raises(StoreRefused, match="GET tags"):
        denied.run()
    assert retention.keys() == keys


def test_a_key_that_may_not_list_verifies_and_drills_a_backup_that_is_named(tables: Rig, wire: FaultyWire):
    key = tables.backup().run.key
    wire.before = lambda exchange: refuse(exchange) if exchange.operation == "List" else None
    rig = replace(tables, store=replace(tables.store, client=wire.client()))
    verifier = VerifyRig.of(rig)
    assert verifier.plan(key) == [key]
    assert verifier.verify(key).valid
    assert DrillRig.of(rig).drill(key).state == "proven"


@pytest.mark.parametrize("tagged", ["none", "valid", "proven", "invalid"])
@pytest.mark.parametrize("said", ["none", "valid", "invalid", "missing"])
@pytest.mark.parametrize("later", ["tag", "row"])
def test_watch_and_retention_agree_whatever_tags_and_rows_say(
    retention: RetentionRig, tagged: str, said: str, later: Literal["tag", "row"]
):
    tags = {"none": planted.unverified, "valid": planted.valid, "proven": planted.proven, "invalid": planted.invalid}
    old, new = daily(2, NOW)
    keys = plant(
        retention.store,
        PREFIX,
        [old, new],
        now=NOW,
        tags=lambda at: tags[tagged](at) if at == new else planted.proven(at),
    )
    retention.add_rows(keys)
    at = new + (DAY / 4 if later == "row" else timedelta(minutes=1))
    with retention.rig.connect() as connection:
        annotate(connection, name(keys[1]), {"verification": recorded(said, at)} if said != "none" else {})
    decisions = {each.key: each.reasons for each in retention.plan().decisions}
    ages = look_at_ages(retention.rig.connect, retention.store, retention.settings, NOW)
    assert "newest verified" in decisions[str(ages.verified)]
    assert "newest proven" in decisions[str(ages.proven)]


def test_a_newer_row_of_the_same_name_that_failed_does_not_hide_its_success(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 2, now=NOW - 30 * DAY, tags={})
    retention.add_rows(keys, components={"verification": recorded("valid", NOW)})
    retention.add_rows(keys, status="failed")
    with retention.rig.connect() as connection:
        connection.execute(
            "update public.backup_history set created_at = created_at + interval '1 hour' where status = 'failed'"
        )
    reasons = {each.key: each.reasons for each in retention.plan().decisions}
    assert "newest verified" in reasons[keys[1]]


def test_rows_of_another_prefix_promise_nothing_here(tables: Rig):
    """The prefix in the settings was changed: the backups stay where they were, and are not gone."""
    old = tables.backup()
    moved = tables.with_settings(s3={"prefix": "team/dr/"})
    new = moved.backup()
    verifier = VerifyRig.of(moved)
    assert verifier.plan("all") == [new.run.key]
    moved.store.delete([new.run.key])
    assert verifier.plan("all") == [new.run.key]
    with pytest.raises(RestoreRefused, match="does not exist"):
        verifier.plan(name(old.run.key))


# --- at the same time -------------------------------------------------------------------------------------------------


def test_a_restore_planned_while_retention_deletes_its_backup_is_refused(tables: Rig):
    key = tables.backup().run.key
    target = RestoreRig.into(tables)
    before = target.store.keys("")
    with (
        at_request(target.store, "PutObject", lambda: target.store.delete([key]), "in-use"),
        pytest.raises(RestoreRefused, match="expired while"),
    ):
        target.plan()
    assert target.store.keys("") == [each for each in before if each != key]


def test_a_restore_of_what_a_killed_retention_has_tagged_keeps_it(tables: Rig):
    old, _ = tables.backup(), tables.backup()
    target, retention = RestoreRig.into(tables), RetentionRig(tables, datetime.now(timezone.utc)).keeping(keep_last=1)
    merge_tags(target.store, old.run.key, {EXPIRED_TAG: "true"})
    plan, _ = target.plan(backup_key=old.run.key)
    assert retention.run().expired == []
    assert EXPIRED_TAG not in (read_tags(target.store, old.run.key) or {})
    target.clean_up(plan)
    assert retention.run().expired == [old.run.key]


@pytest.mark.parametrize("how", ["lease", "pin"])
def test_a_lease_or_pin_that_comes_while_retention_marks_keeps_the_backup(retention: RetentionRig, how: str):
    old, _ = plant(retention.store, PREFIX, 2, now=NOW)
    retention.add_rows([old])
    here = replace(retention, now=datetime.now(timezone.utc))

    def claim() -> None:
        if how == "lease":
            leases.take(retention.store, PREFIX, old, "run", here.now)
        else:
            pins.pin(retention.store, PREFIX, old, reason="why", by=None, now=here.now)

    with at_request(retention.store, "PutObjectTagging", claim):
        report = here.run()
    assert report.expired == []
    assert "in use" in report.kept[old] or "pinned" in report.kept[old]
    assert retention.marked() == set()
    assert EXPIRED_TAG not in (read_tags(retention.store, old) or {})


@pytest.mark.parametrize("operation", ["GetObject", "PutObjectTagging", "GetObjectTagging"])
def test_a_backup_that_expires_while_it_is_verified_is_not_called_damaged(retention: RetentionRig, operation: str):
    (key,) = plant(retention.store, PREFIX, 1, now=NOW)
    retention.add_rows([key])

    def expire() -> None:
        with retention.rig.connect() as connection:
            annotate(connection, name(key), {"expired": {"at": NOW.isoformat(), "reason": "no rule keeps it"}})
        retention.store.delete([key])

    def connect() -> Any:
        return retention.rig.connect()

    with at_request(retention.store, operation, expire):
        found = verify(retention.store, retention.settings, key, "full", connect=connect, now=lambda: NOW)
    assert found is None or found.valid
    with retention.rig.connect() as connection:
        verdict = read_rows(connection, file_name=name(key))[0].components.get("verification", {"valid": True})
    assert verdict["valid"]


def test_a_backup_that_is_deleted_by_hand_while_it_is_verified_is_missing(retention: RetentionRig):
    (key,) = plant(retention.store, PREFIX, 1, now=NOW)
    retention.add_rows([key])
    with at_request(retention.store, "GetObject", lambda: retention.store.delete([key])):
        assert VerifyRig.of(retention.rig).verify(key).state == "missing"


def test_verify_and_retention_beside_a_backup_that_is_not_verified_yet(tables: Rig):
    done = tables.backup_until_assembled()
    now = datetime.now(timezone.utc)
    retention = RetentionRig(tables.with_settings(retention={"keep_last": 1, "unverified_grace_days": 1}), now)
    assert retention.run().expired == []
    verifier = VerifyRig.of(tables)
    assert verifier.plan("all") == [done.run.key]
    assert verifier.verify(done.run.key, "quick").valid
    assert retention.run().expired == []
    tables.record(done, tables.verify(done.document))
    assert verifier.row(done.run.key).status == "success"
    assert verifier.recorded(done.run.key)["depth"] == "full"


def test_a_drill_that_ends_when_its_backup_was_deleted_says_so_and_blames_nobody(tables: Rig):
    key = tables.backup().run.key
    drill = DrillRig.of(tables)
    opened = drill.opened(key)
    try:
        compared = drill.restore(opened)
        tables.store.delete([key])
        with pytest.raises(DrillFailed, match="is gone: it was deleted while it was drilled"):
            drill.prove(opened, compared.checks)
    finally:
        drill.drop()
    assert drill.store.keys(f"{PREFIX}drills/") == []
    assert drill.store.keys(f"{PREFIX}in-use/") == []


# --- what lies beside -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\xfe\x00", b"[" * 60_000, b'{"reason": ' + b"9" * 5000 + b"}", b'["reason"]', b"null"]
)
def test_a_pin_that_holds_garbage_pins(retention: RetentionRig, garbage: bytes):
    old, _ = plant(retention.store, PREFIX, 2, now=NOW)
    retention.store.put(pins.pin_key(PREFIX, old), garbage)
    assert retention.run().expired == []
    assert retention.plan().decisions[1].reasons == ["pinned: a pin whose text cannot be read"]


def test_the_text_of_a_pin_is_one_line_of_the_plan(retention: RetentionRig):
    old, _ = plant(retention.store, PREFIX, 2, now=NOW)
    pins.pin(retention.store, PREFIX, old, reason="a\nexpire  all of it\r\x1b[2J", by=None, now=NOW)
    (line,) = [each.line() for each in retention.plan().decisions if each.key == old]
    assert line.isprintable()


def test_many_leases_and_pins_are_all_seen_without_a_request_for_each_lease(retention: RetentionRig):
    keys = [backup_key(PREFIX, NOW - number * DAY, "none") for number in range(1200)]
    at = datetime.now(timezone.utc)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: leases.take(retention.store, PREFIX, key, "run", at), keys))
    with counted(retention.store) as seen:
        assert leases.in_use(retention.store, PREFIX, at) == set(keys)
        assert len(leases.left_behind(retention.store, PREFIX, at + 8 * DAY)) == len(keys)
        assert leases.left_behind(retention.store, PREFIX, at) == []
    assert len(seen) <= 9


def test_latest_asks_for_the_tags_of_one_backup_and_records_once_for_each(retention: RetentionRig):
    plant(retention.store, PREFIX, 60, now=NOW)
    with counted(retention.store) as seen:
        find_backup(retention.store, retention.settings, "latest", now=NOW)
    assert len(seen) <= 3
    with counted(retention.store) as seen:
        list_records(retention.store, PREFIX, NOW)
    assert len(seen) <= 60 + 4


def test_a_dry_run_changes_no_byte(retention: RetentionRig, caplog: pytest.LogCaptureFixture):
    keys = plant(retention.store, PREFIX, 9, now=NOW)
    retention.add_rows(keys, status="in_progress")
    merge_tags(retention.store, keys[-1], {EXPIRED_TAG: "true"})
    pins.pin(retention.store, PREFIX, keys[0], reason="why", by=None, now=NOW)

    def state() -> Any:
        objects = {
            key: (retention.store.head(key), read_tags(retention.store, key)) for key in retention.store.keys("")
        }
        return objects, retention.rows()

    before = state()
    log_plan(retention.plan(), dry_run=True)
    check_rules(retention.store, retention.settings, apply=False)
    assert state() == before


# --- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_everything_works_below_another_prefix_and_compressed(tables: Rig, compression: str):
    rig = tables.with_settings(s3={"prefix": "team/dr/"}, compression=compression)
    old, new = rig.backup(), rig.backup()
    verifier = VerifyRig.of(rig)
    assert verifier.plan("all") == [old.run.key, new.run.key]
    assert verifier.verify(old.run.key).valid
    assert verifier.verify(new.run.key, "quick").valid
    drill = DrillRig.of(rig)
    report = drill.drill()
    assert (failed(report), report.key) == ({}, new.run.key)
    assert drill.choose() is not None  # drilled already
    now = datetime.now(timezone.utc) + timedelta(minutes=1)
    retention = RetentionRig(rig, now).keeping(keep_last=1)
    pins.pin(rig.store, "team/dr/", old.run.key, reason="why", by=None, now=now)
    assert retention.run().expired == []
    pins.unpin(rig.store, "team/dr/", old.run.key)
    leases.take(rig.store, "team/dr/", old.run.key, "run", now)
    assert retention.run().expired == []
    leases.release(rig.store, "team/dr/", old.run.key, "run")
    assert retention.run().expired == [old.run.key]
    ages = look_at_ages(rig.connect, rig.store, rig.settings, now)
    assert (ages.verified, ages.proven) == (new.run.key, new.run.key)
    assert [key for key in rig.store.keys("") if not key.startswith("team/dr/")] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_of_the_first_release_is_verified_drilled_and_kept(retention: RetentionRig, document: str):
    key = key_of(document)
    retention.store.put(key, stored(document))
    retention.add_rows([key], components={"verification": {**recorded("valid", NOW)}})
    assert VerifyRig.of(retention.rig).verify(key).valid
    report = DrillRig.of(retention.rig).drill()
    assert failed(report) == {}
    assert "newest proven" in retention.plan().decisions[0].reasons


@pytest.mark.parametrize("which", ["no rows at all", "one table", "one empty table"])
def test_small_backups_are_proven(tables: Rig, which: str):
    with tables.connect() as connection:
        if which == "no rows at all":
            connection.execute("truncate public.first, public.second, public.third")
        else:
            connection.execute("drop table public.second, public.third")
        if which == "one empty table":
            connection.execute("truncate public.first")
    tables.backup()
    report = DrillRig.of(tables).drill()
    assert (failed(report), report.state) == ({}, "proven")


def test_a_backup_without_the_accounts_its_keys_point_to_fails_naming_them(rig: Rig):
    rig = rig.with_settings(tables={"auth": False})
    rig.backup()
    report = DrillRig.of(rig).drill()
    assert 'relation "auth.users" does not exist' in failed(report)["apply of the backup"]


def test_a_pin_is_no_longer_needed_only_where_its_backup_is_gone(retention: RetentionRig):
    old, new = plant(retention.store, PREFIX, 2, now=NOW)
    for key in (old, new):
        pins.pin(retention.store, PREFIX, key, reason=json.dumps({"a": 1}), by=None, now=NOW)
    assert retention.run().expired == []
