"""Which backups `collabhunts_verify` looks at, and what it refuses before anything is touched."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from include.disaster_recovery.backup_record import Verification, verification_tags
from include.disaster_recovery.errors import RestoreRefused
from include.disaster_recovery.history.rows import annotate
from include.disaster_recovery.s3.tags import merge_tags
from tests.support.rig import Outcome, Rig
from tests.support.verify_rig import VerifyRig

NAMES = [f"collabhunts-backup-2025-12-{day:02d}T00-00-00-000Z.json" for day in range(1, 9)]
KEYS = [f"backups/{name}" for name in NAMES]
OURS = '{"run": {"run_id": "manual__1"}}'
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def done(tables: Rig) -> Outcome:
    return tables.backup()


@pytest.fixture
def verifier(tables: Rig, done: Outcome) -> VerifyRig:
    """Eight objects with the names of backups before a real one, and what else may stand there."""
    for name in (*NAMES, "collabhunts-backup-notes.json", "pinned/x", f"drills/{NAMES[0]}"):
        tables.store.put(f"backups/{name}", b"{}")
    return VerifyRig.of(tables)


def test_a_key_and_a_file_name_mean_one_backup(verifier: VerifyRig):
    assert verifier.plan(NAMES[3]) == verifier.plan(f" {KEYS[3]}\n") == [KEYS[3]]


def test_latest_is_the_newest_whatever_was_found_of_it(verifier: VerifyRig, done: Outcome):
    damaged = Verification(state="invalid", depth="full", at=NOW, finding="damaged")
    merge_tags(verifier.store, done.run.key, verification_tags(damaged))
    assert verifier.plan("latest") == [done.run.key]


def test_all_is_the_bucket_and_every_promise_of_the_history(
    verifier: VerifyRig, done: Outcome, caplog: pytest.LogCaptureFixture
):
    insert = "insert into public.backup_history (backup_type, status, file_name, components_backed_up) values ('manual', %s, %s, %s)"
    name = "collabhunts-backup-2025-11-{}T00-00-00-000Z.json.gz"
    with verifier.connect() as connection:
        for status, file_name, components in (
            ("success", name.format("01"), OURS),  # gone from the bucket
            ("success", name.format("05"), '{"database": true}'),  # of the edge function that this package replaces
            ("success", name.format("02"), '{"expired": {"at": "x", "reason": "policy"}}'),
            ("failed", name.format("03"), OURS),
            ("in_progress", name.format("04"), OURS),
            ("success", "backup-of-the-old-function.json", "{}"),
            ("success", "../../etc/passwd", None),
            ("success", None, None),
        ):
            connection.execute(insert, (status, file_name, components))
    assert verifier.plan("all") == [f"backups/{name.format('01')}", *KEYS, done.run.key]
    assert "backup_history names 3 file(s) that another program wrote and that are not in the bucket" in caplog.text


def test_all_without_a_history_is_the_bucket(verifier: VerifyRig, done: Outcome, caplog: pytest.LogCaptureFixture):
    assert verifier.without_history().plan("all") == [*KEYS, done.run.key]
    assert "a backup that is gone from the bucket is not noticed" in caplog.text


def test_a_backup_that_is_gone_is_planned_if_the_history_promises_it(verifier: VerifyRig, done: Outcome):
    verifier.store.delete([done.run.key])
    assert verifier.plan(done.run.key) == [done.run.key]
    with pytest.raises(RestoreRefused, match="does not exist"):
        verifier.without_history().plan(done.run.key)
    with verifier.connect() as connection:
        annotate(connection, done.run.key.rpartition("/")[2], {"expired": {"at": "x", "reason": "policy"}})
    with pytest.raises(RestoreRefused, match="does not exist"):
        verifier.plan(done.run.key)


@pytest.mark.parametrize(
    "wanted, fact",
    [
        ("collabhunts-backup-2025-12-03T00-00-01-000Z.json", "does not exist"),
        ("collabhunts-backup-2025.json", "is no backup below backups/"),
        ("ALL", "is no backup below backups/"),
        ("", "is no backup below backups/"),
        (f"backups/../backups/{NAMES[0]}", "is no backup below backups/"),
        (f"elsewhere/{NAMES[0]}", "is no backup below backups/"),
        (f"backups/drills/{NAMES[0]}", "is no backup below backups/"),
    ],
)
def test_what_is_no_backup_is_refused_with_the_nearest(verifier: VerifyRig, wanted: str, fact: str):
    before = verifier.store.keys("")
    with pytest.raises(RestoreRefused, match=fact) as caught:
        verifier.plan(wanted)
    assert "the nearest are: backups/collabhunts-backup-20" in caught.value.hint
    assert caught.value.hint.count("backups/collabhunts-backup-") == 5
    if wanted.startswith("collabhunts-backup-2025"):
        assert "the nearest are: backups/collabhunts-backup-2025-12-" in caught.value.hint
    assert verifier.store.keys("") == before


def test_more_backups_than_airflow_maps_are_refused(verifier: VerifyRig):
    with pytest.raises(RestoreRefused, match="there are 9 backups, this Airflow maps a task at most 8 times") as caught:
        verifier.plan("all", most=8)
    assert "max_map_length" in caught.value.hint


def test_an_empty_bucket_says_so(bare_rig: Rig):
    for wanted in ("all", "latest"):
        with pytest.raises(RestoreRefused, match="there is no backup below s3://"):
            VerifyRig.of(bare_rig).plan(wanted)
