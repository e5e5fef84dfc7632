"""Retention where history, bucket or rights fail it, and where the bucket keeps versions or locks objects."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from include.disaster_recovery.errors import DatabaseUnavailable, StoreRefused, StoreUnavailable, TableUnreadable
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags, read_tags
from tests.support.faulty_wire import FaultyWire, refuse
from tests.support.planted import plant
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    return RetentionRig(bare_rig)


def test_history_out_of_reach_deletes_nothing(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    small = retention.keeping(keep_last=1)
    plan = small.plan()
    unreachable = replace(small, rig=replace(small.rig, parameters={**small.rig.parameters, "port": "1"}))
    for step in (unreachable.plan, lambda: unreachable.expire(plan)):
        with pytest.raises(DatabaseUnavailable):
            step()
    assert retention.keys() == keys


def test_history_that_goes_away_between_two_backups_stops_before_the_next_is_deleted(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 4, now=NOW)
    retention.add_rows(keys)
    small = retention.keeping(keep_last=1)
    deletions = []

    def cut(**_: object) -> None:
        """The session ends after the first deletion."""
        deletions.append(1)
        with retention.rig.connect() as other:
            other.execute(
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    retention.store.client.meta.events.register("after-call.s3.DeleteObjects", cut)
    with pytest.raises(DatabaseUnavailable):
        small.run()
    assert (len(deletions), retention.keys()) == (1, keys[1:])
    retention.store.client.meta.events.unregister("after-call.s3.DeleteObjects", cut)
    small.run()
    assert retention.keys() == keys[3:]
    assert retention.marked() == set(keys[:3])


def test_role_that_may_only_read_the_history_deletes_nothing(retention: RetentionRig, reader_role: dict[str, str]):
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    retention.add_rows(keys)
    with retention.rig.connect() as connection:
        connection.execute(f"grant select on public.backup_history to {reader_role['user']}".encode())
    reader = replace(retention.rig, parameters={**retention.rig.parameters, **reader_role})
    with pytest.raises(TableUnreadable) as caught:
        replace(retention, rig=reader).keeping(keep_last=1).run()
    assert "UPDATE" in caught.value.hint
    assert retention.keys() == keys


def test_key_that_may_not_tag_only_warns(retention: RetentionRig, wire: FaultyWire, caplog: pytest.LogCaptureFixture):
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    retention.add_rows(keys)
    wire.before = lambda exchange: refuse(exchange) if exchange.method == "PUT" and "tagging" in exchange.path else None
    retention.through(replace(retention.store, client=wire.client())).keeping(keep_last=1).run()
    assert retention.keys() == keys[2:]
    assert "is not tagged before it is deleted" in caplog.text


def test_key_that_may_not_delete_fails_and_the_next_run_with_the_right_finishes(
    retention: RetentionRig, wire: FaultyWire
):
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    retention.add_rows(keys)
    wire.before = lambda exchange: refuse(exchange) if exchange.operation == "Delete" else None
    small = retention.keeping(keep_last=1)
    with pytest.raises(StoreRefused, match="DELETE"):
        small.through(replace(retention.store, client=wire.client())).run()
    assert retention.keys() == keys
    assert retention.marked() == {keys[0]}
    small.run()
    assert retention.keys() == keys[2:]


def test_server_that_only_says_it_has_deleted_is_not_believed(retention: RetentionRig, wire: FaultyWire):
    keys = plant(retention.store, PREFIX, 2, now=NOW)
    answer = b"<?xml version='1.0'?><DeleteResult></DeleteResult>"
    wire.before = lambda exchange: exchange.answer(200, answer) if exchange.operation == "Delete" else None
    with pytest.raises(StoreUnavailable, match="is still there, though the server said it was deleted"):
        retention.through(replace(retention.store, client=wire.client())).keeping(keep_last=1).run()
    assert retention.keys() == keys


# --- versions and locks ---


def _bucket(retention: RetentionRig, **options: Any) -> RetentionRig:
    client, name = retention.store.client, f"{retention.store.bucket}-locked"
    client.create_bucket(Bucket=name, **options)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return retention.through(Store(client=client, bucket=name)).keeping(keep_last=1)


def test_versioned_bucket_keeps_the_version_behind_a_delete_marker(retention: RetentionRig):
    versioned = _bucket(retention)
    keys = plant(versioned.store, PREFIX, 3, now=NOW)
    versioned.run()
    assert versioned.keys() == keys[2:]
    found = versioned.store.client.list_object_versions(Bucket=versioned.store.bucket, Prefix=PREFIX)
    assert [each["Key"] for each in found["DeleteMarkers"]] == keys[:2]
    assert {each["Key"] for each in found["Versions"]} == set(keys)
    assert versioned.run().expired == []


def test_locked_backups_are_skipped_and_named_with_their_date(retention: RetentionRig):
    locked = _bucket(retention, ObjectLockEnabledForBucket=True)
    keys = plant(locked.store, PREFIX, 5, now=NOW)
    locked.add_rows(keys)
    client, bucket = locked.store.client, locked.store.bucket
    until = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2031, 1, 2, 3, 4, tzinfo=NOW.tzinfo)}
    client.put_object_retention(Bucket=bucket, Key=keys[0], Retention=until)
    client.put_object_legal_hold(Bucket=bucket, Key=keys[1], LegalHold={"Status": "ON"})
    merge_tags(locked.store, keys[1], {"expired": "true"})  # tagged before it was locked
    client.put_object_legal_hold(Bucket=bucket, Key=keys[2], LegalHold={"Status": "OFF"})
    report = locked.run()
    assert locked.keys() == [*keys[:2], keys[4]]
    assert report.kept == {
        keys[0]: "locked by Object Lock until 2031-01-02 03:04 UTC",
        keys[1]: "locked by a legal hold of Object Lock",
    }
    assert locked.marked() == {keys[2], keys[3]}
    assert all("expired" not in (read_tags(locked.store, each) or {}) for each in keys[:2])
    later = replace(locked, now=datetime(2031, 1, 2, 3, 5, tzinfo=NOW.tzinfo))
    assert later.run().expired == [keys[0]]
