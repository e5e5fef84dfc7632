"""What lies beside the backups: old rows, reports, leases and pins go by their own rules, and only where they are ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from include.disaster_recovery.backup_key import backup_key, timestamp
from include.disaster_recovery.errors import DatabaseUnavailable, StoreUnavailable
from include.disaster_recovery.history.rows import read_rows
from include.disaster_recovery.history.tidying import stale_rows
from include.disaster_recovery.s3 import leases, pins
from include.disaster_recovery.steps.retention.tidying import report_moment, tidy
from tests.support.faulty_wire import Exchange, FaultyWire, refuse, slow_down
from tests.support.planted import plant
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig

DAY = timedelta(days=1)
NOTHING = {"rows closed": 0, "rows deleted": 0, "reports": 0, "leases": 0, "pins": 0}
NAME = "collabhunts-backup-2025-12-07T18-33-07-123Z"


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    return RetentionRig(bare_rig)


def run(rig: RetentionRig, *, active: Callable[[str], bool] = lambda _: False) -> dict[str, int]:
    with rig.rig.connect() as connection:
        return tidy(connection, rig.store, rig.settings, is_active=active, now=rig.now)


def keys(*days: float) -> list[str]:
    return [backup_key(PREFIX, NOW - each * DAY, "none") for each in days]


def test_nothing_to_tidy_is_no_error_without_a_history_too(retention: RetentionRig):
    assert run(retention) == NOTHING


def test_failed_rows_go_after_their_days_and_no_others(retention: RetentionRig):
    old = keys(91)
    retention.add_rows(keys(91.5, 90.01, 89.9), status="failed")
    retention.add_rows(keys(92), status="success")
    retention.add_rows(old, status="failed", components={"run": None})  # the replaced system's
    assert run(retention) == {**NOTHING, "rows deleted": 2}
    left = [(row["file_name"], row["status"]) for row in retention.rows()]
    assert left == [
        (each.rpartition("/")[2], state)
        for each, state in zip(keys(92, 91, 89.9), ("success", "failed", "failed"), strict=True)
    ]


def test_open_rows_of_runs_that_are_gone_are_closed_after_a_day(retention: RetentionRig):
    retention.add_rows(keys(3, 2, 1.01, 0.9), status="in_progress")
    alive = f"scheduled__{(NOW - 2 * DAY).isoformat()}"
    asked: list[str] = []
    assert run(retention, active=lambda run_id: asked.append(run_id) or run_id == alive) == {
        **NOTHING,
        "rows closed": 2,
    }
    assert len(asked) == 3  # the youngest is not asked for
    assert [row["status"] for row in retention.rows()] == ["failed", "in_progress", "failed", "in_progress"]
    closed = retention.rows()[0]
    assert closed["error_message"] == "the run was killed before it could say why; closed by retention"
    assert closed["execution_time_ms"] > 0


def test_row_closed_today_is_seen_for_a_day_however_old_it_is(retention: RetentionRig):
    retention.add_rows(keys(200), status="in_progress")
    assert run(retention) == {**NOTHING, "rows closed": 1}
    assert run(retention) == {**NOTHING, "rows deleted": 1}


def test_open_row_without_a_run_is_nobodys(retention: RetentionRig):
    retention.add_rows(keys(3), status="in_progress", components={"run": "nonsense"})
    with retention.rig.connect() as connection:
        rows = read_rows(connection)
    assert stale_rows(rows, NOW, lambda _: True) == rows
    assert stale_rows(rows, NOW - 2.5 * DAY, lambda _: True) == []


def test_row_that_closes_meanwhile_stays_what_it_is(retention: RetentionRig):
    retention.add_rows(keys(3), status="in_progress")

    def closes(_: str) -> bool:
        with retention.rig.connect() as other:
            other.execute("update public.backup_history set status = 'success'")
        return False

    assert run(retention, active=closes) == NOTHING
    assert retention.rows()[0]["status"] == "success"


def test_role_that_may_not_delete_rows_is_a_warning(
    retention: RetentionRig, reader_role: dict[str, str], caplog: pytest.LogCaptureFixture
):
    retention.add_rows(keys(100), status="failed")
    retention.add_rows(keys(3), status="in_progress")
    with retention.rig.connect() as connection:
        connection.execute(f"grant select, update on public.backup_history to {reader_role['user']}".encode())
    role = replace(retention.rig, parameters={**retention.rig.parameters, **reader_role})
    assert run(replace(retention, rig=role)) == {**NOTHING, "rows closed": 1}
    assert "rows of backup_history cannot be deleted: permission denied" in caplog.text
    assert "grant the backup role DELETE on public.backup_history" in caplog.text
    assert len(retention.rows()) == 2


def test_lost_history_and_bucket_are_tried_again(retention: RetentionRig, wire: FaultyWire):
    with pytest.raises(DatabaseUnavailable):
        run(replace(retention, rig=replace(retention.rig, parameters={**retention.rig.parameters, "port": "1"})))
    wire.before = slow_down
    with pytest.raises(StoreUnavailable):
        run(retention.through(replace(retention.store, client=wire.client())))


def report(days: float, folder: str = "restores/", name: str = NAME, suffix: str = ".json") -> str:
    return f"{PREFIX}{folder}{timestamp(NOW - days * DAY)}-of-{name}{suffix}"


def test_old_reports_of_ours_go(retention: RetentionRig):
    stay = [
        report(399),
        report(399, "drills/"),
        report(500, name="collabhunts-backup-yesterday"),
        report(500, suffix=".txt"),
        report(500, "drills/mine/"),
        report(500, "elsewhere/"),
        f"{PREFIX}restores/notes-of-{NAME}.json",
        f"{PREFIX}restores/{'x' * 24}-of-{NAME}.json",
    ]
    go = [report(401), report(401, "drills/")]
    for key in (*stay, *go):
        retention.store.put(key, b"{}")
    assert run(retention) == {**NOTHING, "reports": 2}
    assert retention.keys("") == sorted(stay)


def test_moment_of_a_report_is_in_its_name():
    assert report_moment(PREFIX, report(3)) == NOW - 3 * DAY
    assert report_moment(PREFIX, f"{PREFIX}{NAME}.json") is None


def test_leases_that_count_no_more_go_and_others_stay(retention: RetentionRig):
    (backup,) = plant(retention.store, PREFIX, 1, now=NOW)
    leases.take(retention.store, PREFIX, backup, "run", NOW)
    lease = leases.lease_key(PREFIX, backup, "run")
    foreign = [f"{PREFIX}in-use/notes.txt", f"{lease}x", f"{PREFIX}in-use/{NAME}.json.{uuid4()}"]
    for key in foreign:
        retention.store.put(key, b"{}")
    modified = retention.store.head(lease)
    assert modified
    before, after = modified.modified + timedelta(days=6.9), modified.modified + timedelta(days=7)
    assert leases.is_in_use(retention.store, PREFIX, backup, before)
    assert not leases.is_in_use(retention.store, PREFIX, backup, after)
    assert run(replace(retention, now=before)) == NOTHING
    assert run(replace(retention, now=after)) == {**NOTHING, "leases": 1}
    assert retention.keys(f"{PREFIX}in-use/") == sorted(foreign)
    assert retention.keys() == [backup]


def test_pins_of_backups_that_are_gone_go_and_a_misspelt_one_is_named(
    retention: RetentionRig, caplog: pytest.LogCaptureFixture
):
    kept, gone = plant(retention.store, PREFIX, 2, now=NOW)
    for key in (kept, gone):
        pins.pin(retention.store, PREFIX, key, reason="why", by=None, now=NOW)
    misspelt = f"{PREFIX}pinned/collabhunts-backup-2026.json"
    retention.store.put(misspelt, b"{}")
    retention.store.delete([gone])
    assert run(retention) == {**NOTHING, "pins": 1}
    assert retention.keys(f"{PREFIX}pinned/") == sorted([pins.pin_key(PREFIX, kept), misspelt])
    assert f"the pin {misspelt} protects nothing" in caplog.text
    assert f"the pin {pins.pin_key(PREFIX, gone)} is removed: there is no such backup" in caplog.text


def test_key_that_may_not_delete_is_a_warning(
    retention: RetentionRig, wire: FaultyWire, caplog: pytest.LogCaptureFixture
):
    retention.store.put(report(500), b"{}")

    def no_deletion(exchange: Exchange) -> None:
        if exchange.operation == "Delete":
            refuse(exchange)

    wire.before = no_deletion
    assert run(retention.through(replace(retention.store, client=wire.client()))) == NOTHING
    assert "objects are left as they are: DELETE" in caplog.text
