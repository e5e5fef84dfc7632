"""Reports of restores and drills as the page lists them, from a real bucket: ours, broken ones, and foreign objects."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.drill_model import DrillReport
from include.disaster_recovery.errors import BackupUnknown
from include.disaster_recovery.restore_model import RestoreReport
from include.disaster_recovery.s3.reports import write_report
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

PREFIX = "backups/"
KEY = f"{PREFIX}collabhunts-backup-2025-12-07T18-33-07-123Z.json"
AT = datetime(2025, 12, 8, 1, 2, 3, 456000, tzinfo=timezone.utc)
CHECKS = [
    {"subject": "rows of a", "outcome": "passed", "detail": "<b>3</b>"},
    {"subject": "auth", "outcome": "skipped", "detail": "Supabase's own"},
]


def nowhere() -> Any:
    raise AssertionError("no report needs the database")


@pytest.fixture
def found(store: Store) -> Catalogue:
    return Catalogue(Sources(settings=Settings(), source=nowhere, store=lambda: store, now=lambda: AT))


def drill(at: datetime, state: str = "proven") -> DrillReport:
    times = {"started_at": at, "finished_at": at + timedelta(seconds=41)}
    values = {"state": state, "run_id": "drill__1", "key": KEY, "bytes": 5, "target": "h:1/d", "seconds": 41.0, **times}
    return DrillReport.model_validate({**values, "phases": [], "failure": None, "checks": CHECKS})


def restore(at: datetime) -> RestoreReport:
    request = {"backup_key": KEY, "target_conn_id": "t", "tables": None, "mode": "upsert", "restore_schema": False}
    run = {
        "run_id": "restore__1",
        "key": KEY,
        "size": 5,
        "manifest_sha256": "0",
        "request": {**request, "dry_run": False, "require_approval": True},
        "staging_schema": "s",
        "opened_at": at,
        "triggered_by": "admin",
        "target": "h:1/platform",
        "target_is_source": False,
    }
    failed = {"subject": "rows of b", "outcome": "failed", "detail": "1 differs"}
    values = {"run": run, "started_at": at, "finished_at": at + timedelta(seconds=9), "approved_by": None}
    return RestoreReport.model_validate({**values, "applied": [], "checks": [*CHECKS, failed]})


def test_drills_are_listed_newest_first_with_their_verdicts(store: Store, found: Catalogue):
    write_report(store, PREFIX, drill(AT))
    write_report(store, PREFIX, drill(AT + timedelta(days=1), "failed"))
    newest, oldest = found.reports("drill")
    assert (newest.state, oldest.state, oldest.seconds) == ("failed", "passed", 41.0)
    assert (oldest.passed, oldest.failed, oldest.skipped) == (1, 0, 1)
    assert (oldest.at, oldest.target, oldest.run_id) == (AT, "h:1/d", "drill__1")
    assert oldest.backup == KEY.rpartition("/")[2]
    assert found.report("drill", oldest.name).drill == drill(AT)
    assert found.reports("restore") == []


def test_a_restore_that_differs_has_failed(store: Store, found: Catalogue):
    write_report(store, PREFIX, restore(AT))
    (only,) = found.reports("restore")
    assert (only.state, only.failed, only.seconds, only.target) == ("failed", 1, 9.0, "h:1/platform")
    assert found.report("restore", only.name).restore == restore(AT)


def test_a_report_that_was_written_again_is_read_again(store: Store, found: Catalogue):
    key = write_report(store, PREFIX, drill(AT))
    assert found.reports("drill")[0].state == "passed"
    store.client.put_object(Bucket=store.bucket, Key=key, Body=b'{"state": "proven"}')
    store.put(f"{PREFIX}drills/other.json", b"{}")
    assert found.report("drill", key.rpartition("/")[2]).entry.state == "unreadable"


def test_what_cannot_be_read_is_listed_as_its_name_tells_and_what_is_foreign_is_not(store: Store, found: Catalogue):
    name = "2025-12-08T01-02-03-456Z-of-collabhunts-backup-2025-12-07T18-33-07-123Z.json"
    store.put(f"{PREFIX}drills/{name}", b"[" * 100_000)
    for foreign in ("notes.json", f"x/{name}", f"{name}.txt", "2025-13-08T01-02-03-456Z-of-b.json"):
        store.put(f"{PREFIX}drills/{foreign}", b"{}")
    (only,) = found.reports("drill")
    assert (only.name, only.state, only.at) == (name, "unreadable", AT)
    assert found.report("drill", name).drill is None


@pytest.mark.parametrize(
    "told, instead",
    [
        (b'"finished_at": "2025-12-09T01:02:12.456000Z"', b'"finished_at": "2025-12-09T01:02:12"'),
        (b'"started_at": "2025-12-09T01:02:03.456000Z"', b'"started_at": "9999-12-31T23:59:59"'),
        (b'"size": 5', b'"size": 1e999'),
    ],
)
def test_a_report_with_impossible_values_is_unreadable_and_hides_no_other(
    store: Store, found: Catalogue, told: bytes, instead: bytes
):
    write_report(store, PREFIX, restore(AT))
    text = json.dumps(restore(AT + timedelta(days=1)).to_json()).encode()
    key = write_report(store, PREFIX, restore(AT + timedelta(days=1)))
    assert told in text
    store.put(key, text.replace(told, instead))
    assert [each.state for each in found.reports("restore")] == ["unreadable", "failed"]


def test_a_drill_that_took_for_ever_is_unreadable(store: Store, found: Catalogue):
    key = write_report(store, PREFIX, drill(AT))
    for seconds in (b"NaN", b"1e999", b"-Infinity"):
        store.put(key, json.dumps(drill(AT).to_json()).encode().replace(b'"seconds": 41.0', b'"seconds": ' + seconds))
        assert found.report("drill", key.rpartition("/")[2]).entry.state == "unreadable"


@pytest.mark.parametrize("name", ["", "..", "../x.json", "/", "a" * 2000])
def test_a_report_of_another_name_is_unknown(found: Catalogue, name: str):
    with pytest.raises(BackupUnknown):
        found.report("drill", name)
