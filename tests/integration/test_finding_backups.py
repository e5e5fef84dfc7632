"""What an operator may give as backup_key and tables, and what is refused before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Literal

import pytest

from include.disaster_recovery.backup_record import Verification, verification_tags
from include.disaster_recovery.errors import RestoreRefused
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.s3.tags import merge_tags
from include.disaster_recovery.steps.finding import find_backup
from tests.support.faulty_wire import FaultyWire, refuse
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Rig

NAMES = [f"collabhunts-backup-2025-12-{day:02d}T00-00-00-000Z.json" for day in range(1, 9)]
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@contextmanager
def no_side_effect(rig: RestoreRig) -> Iterator[None]:
    before = rig.store.keys("")
    yield
    assert rig.store.keys("") == before
    with rig.connect() as connection:
        assert staging.marked(connection, anybodys=True) == []


@pytest.fixture
def bucket(tables: Rig) -> RestoreRig:
    """Eight objects with the names of backups, and what else may stand there."""
    for name in (*NAMES, "collabhunts-backup-notes.json", "in-use/x", "staging.json"):
        tables.store.put(f"backups/{name}", b"{}")
    tables.store.put("elsewhere/collabhunts-backup-2026-01-01T00-00-00-000Z.json", b"{}")
    return RestoreRig.into(tables)


def test_key_file_name_and_latest_mean_an_object(bucket: RestoreRig):
    for wanted in (NAMES[7], f"backups/{NAMES[7]}", "latest", f"  {NAMES[7]}\n", " latest "):
        assert find_backup(bucket.store, bucket.settings, wanted, now=NOW).key == f"backups/{NAMES[7]}"


def test_latest_is_the_newest_by_the_moment_in_its_name(bucket: RestoreRig):
    bucket.store.put("backups/collabhunts-backup-2026-02-01T00-00-00-000Z.json.zst", b"newest by name")
    bucket.store.put(f"backups/{NAMES[0]}", b"newest by its time in the bucket")
    assert find_backup(bucket.store, bucket.settings, "latest", now=NOW).key.endswith(
        "2026-02-01T00-00-00-000Z.json.zst"
    )


def tag(rig: RestoreRig, at: int, state: Literal["valid", "invalid"], finding: str = "") -> None:
    verdict = Verification(state=state, depth="full", at=datetime(2026, 1, 1, tzinfo=timezone.utc), finding=finding)
    merge_tags(rig.store, f"backups/{NAMES[at]}", verification_tags(verdict))


def latest(rig: RestoreRig) -> str:
    return find_backup(rig.store, rig.settings, "latest", now=NOW).key.removeprefix("backups/")


def test_latest_is_the_newest_that_was_found_valid(bucket: RestoreRig, caplog: pytest.LogCaptureFixture):
    tag(bucket, 7, "invalid", "table messages, fragment 1 of 2: SHA-256 differs")
    tag(bucket, 5, "valid")
    tag(bucket, 4, "valid")
    assert latest(bucket) == NAMES[5]
    assert f"the newer backups/{NAMES[7]} is passed over, it is invalid: table messages_ fragment 1 of 2" in caplog.text
    assert f"the newer backups/{NAMES[6]} is passed over, it was never verified" in caplog.text
    assert NAMES[4] not in caplog.text


def test_latest_is_not_a_backup_that_a_wrong_clock_dated_in_the_future(
    bucket: RestoreRig, caplog: pytest.LogCaptureFixture
):
    future = "collabhunts-backup-2031-01-01T00-00-00-000Z.json"
    bucket.store.put(f"backups/{future}", b"{}")
    assert latest(bucket) == NAMES[7]
    assert f"backups/{future} is dated in the future, it counts as the oldest backup" in caplog.text
    bucket.store.delete([f"backups/{name}" for name in NAMES])
    assert latest(bucket) == future


def test_latest_is_the_newest_not_invalid_where_none_was_found_valid(
    bucket: RestoreRig, caplog: pytest.LogCaptureFixture
):
    tag(bucket, 7, "invalid", "cut short")
    assert latest(bucket) == NAMES[6]
    assert f"latest is backups/{NAMES[6]}: nobody has verified it" in caplog.text
    assert f"the newer backups/{NAMES[7]} is passed over, it is invalid: cut short" in caplog.text


def test_latest_of_nothing_but_invalid_backups_is_refused_and_a_key_is_not(bucket: RestoreRig):
    for at in range(len(NAMES)):
        tag(bucket, at, "invalid", "cut short")
    with no_side_effect(bucket), pytest.raises(RestoreRefused, match="none of the 8 backups below s3://") as caught:
        bucket.plan(backup_key="latest")
    assert "run collabhunts_verify with depth full" in caught.value.hint
    assert find_backup(bucket.store, bucket.settings, NAMES[7], now=NOW).key == f"backups/{NAMES[7]}"


def test_latest_without_the_right_to_read_tags_is_the_newest(
    bucket: RestoreRig, wire: FaultyWire, caplog: pytest.LogCaptureFixture
):
    tag(bucket, 5, "valid")
    wire.before = lambda exchange: refuse(exchange) if "tagging" in exchange.path else None
    denied = replace(bucket, store=replace(bucket.store, client=wire.client()))
    assert latest(denied) == NAMES[7]
    assert caplog.text.count("nothing is known of the backups' verdicts: GET tags of") == 1


def test_many_that_are_passed_over_are_counted(bucket: RestoreRig, caplog: pytest.LogCaptureFixture):
    tag(bucket, 0, "valid")
    assert latest(bucket) == NAMES[0]
    assert "7 newer ones are passed over" in caplog.text


def test_unknown_backup_names_the_five_nearest(bucket: RestoreRig):
    with no_side_effect(bucket), pytest.raises(RestoreRefused, match="does not exist") as caught:
        bucket.plan(backup_key="collabhunts-backup-2025-12-03T00-00-01-000Z.json")
    assert caught.value.hint.count("backups/collabhunts-backup-") == 5
    assert caught.value.hint.startswith(f"the nearest are: backups/{NAMES[2]}, ")


WRONG = [
    "",
    "/",
    "backups/",
    "backups",
    "LATEST",
    "../latest",
    f"/backups/{NAMES[0]}",
    f"backups/../backups/{NAMES[0]}",
    f"backups//{NAMES[0]}",
    f"backups/./{NAMES[0]}",
    f"backups/in-use/{NAMES[0]}",
    "elsewhere/collabhunts-backup-2026-01-01T00-00-00-000Z.json",
    f"s3://collabhunts-backups/backups/{NAMES[0]}",
    f"..\\{NAMES[0]}",
    f"{NAMES[0]}\0",
    f"{NAMES[0]}%00",
    NAMES[0].replace("-", "%2D"),
    NAMES[0].replace("12", "13", 1),
    NAMES[0].replace("2025", "\u0662\u0660\u0662\u0665"),
    f"{NAMES[0]}.bz2",
    "collabhunts-backup-notes.json",
    "'; drop table profiles; --",
    "\ud800",
    "x" * 100_000,
]


def test_key_that_is_none_of_ours_is_refused(bucket: RestoreRig):
    for wanted in WRONG:
        with no_side_effect(bucket), pytest.raises(RestoreRefused, match="is no backup below backups/") as caught:
            bucket.plan(backup_key=wanted)
        assert "give `latest`, a file name or a key; the nearest are: backups/" in caught.value.hint
        assert len(str(caught.value)) < 1500


def test_bucket_without_backups_says_so(bare_rig: Rig):
    target = RestoreRig.into(bare_rig)
    for wanted, fact in (("latest", "there is no backup below s3://"), (NAMES[0], "does not exist")):
        with no_side_effect(target), pytest.raises(RestoreRefused, match=fact):
            target.plan(backup_key=wanted)


def test_tables_may_be_qualified_and_named_twice_but_must_be_in_the_backup(tables: Rig):
    with tables.connect() as connection:
        connection.execute('create table public."public.first" (i int)')
    tables.with_settings(tables={"exclude": []}).backup()
    target = RestoreRig.into(tables)
    for wrong, fact, hint in (
        (["first", "frist", "auth.users"], "tables frist, auth.users are not in the backup", "it has: .*first, second"),
        (["backup_history"], "table backup_history is never restored", "leave it out"),
        (["public.backup_history"], "table backup_history is never restored", "leave it out"),
        ([], "tables is empty", "unset"),
        (["first; drop table first"], "are not in the backup", "it has"),
        ([""], "are not in the backup", "it has"),
    ):
        with no_side_effect(target), pytest.raises(RestoreRefused, match=fact) as caught:
            target.plan(tables=wrong)
        assert re.search(hint, caught.value.hint)
    plan, _ = target.plan(tables=["second", "public.second", "second"])
    assert [table.name for table in plan.tables] == ["second"]
    target.clean_up(plan)
    plan, _ = target.plan(tables=["public.first"])  # the exact name goes first
    assert [(table.name, table.table.table_name) for table in plan.tables] == [("public.first", "public.first")]
    target.clean_up(plan)
    plan, _ = target.plan()
    assert sorted(table.name for table in plan.tables) == ["first", "public.first", "second", "third"]
    target.clean_up(plan)
