"""`public.backup_history`: what was tried, what came of it, and why it failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from psycopg.rows import dict_row

from include.disaster_recovery.errors import DatabaseUnavailable, StoreUnavailable, TableUnreadable
from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import BackupRun
from include.disaster_recovery.steps.backup.opening import open_backup
from tests.support.rig import Rig

CONTRACT = {
    "id": "uuid",
    "backup_type": "text",
    "status": "text",
    "file_name": "text",
    "s3_url": "text",
    "file_size": "bigint",
    "execution_time_ms": "integer",
    "tables_backed_up": "text[]",
    "components_backed_up": "jsonb",
    "migration_count": "integer",
    "function_count": "integer",
    "error_message": "text",
    "backup_version": "text",
    "triggered_by": "uuid",
    "created_at": "timestamp with time zone",
}
NOON = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=timezone.utc)


def rows(rig: Rig) -> list[dict[str, Any]]:
    with rig.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from public.backup_history order by created_at, id").fetchall()


def columns(rig: Rig) -> dict[str, str]:
    query = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'public.backup_history'::regclass and attnum > 0 order by attnum"
    )
    with rig.connect() as connection:
        return dict(connection.execute(query).fetchall())


def fail(rig: Rig, run: BackupRun | None, error: str) -> list[str]:
    with rig.connect() as connection:
        return catalog.close_failed(connection, run.run_id if run else None, error)


def open_as(rig: Rig, triggered_by: str | None, run_id: str = "scheduled__1") -> BackupRun:
    with rig.connect() as connection:
        return open_backup(
            connection,
            rig.store,
            rig.settings,
            run_id=run_id,
            backup_type="scheduled",
            triggered_by=triggered_by,
            now=datetime.now(timezone.utc),
        )


def test_missing_table_is_created_with_the_deployed_columns(bare_rig: Rig):
    bare_rig.open()
    assert columns(bare_rig) == CONTRACT


def test_existing_table_with_other_columns_is_never_altered(bare_rig: Rig):
    listed = ", ".join(f"{name} {kind}" for name, kind in CONTRACT.items() if name != "id")
    with bare_rig.connect() as connection:
        connection.execute(f"create table public.backup_history (notes text default 'kept', id uuid, {listed})")
        connection.execute("insert into public.backup_history (notes, status) values ('mine', 'success')")
    before = columns(bare_rig)
    run = bare_rig.open()
    assert columns(bare_rig) == before
    assert {(row["notes"], row["status"]) for row in rows(bare_rig)} == {("mine", "success"), ("kept", "in_progress")}
    assert run.backup_id in {str(row["id"]) for row in rows(bare_rig)}


def test_table_created_by_two_runs_at_once_is_no_error(bare_rig: Rig):
    def ensure(_: int) -> None:
        with bare_rig.connect() as connection:
            catalog.ensure_table(connection)

    for _ in range(3):
        with bare_rig.connect() as connection:
            connection.execute("drop table if exists public.backup_history")
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(ensure, range(6)))
    assert columns(bare_rig) == CONTRACT


def test_opened_backup_is_in_progress_under_its_own_name(bare_rig: Rig):
    run = bare_rig.open(NOON)
    assert run.key == "backups/collabhunts-backup-2026-03-01T12-00-00-123Z.json"
    (row,) = rows(bare_rig)
    assert row["status"] == "in_progress"
    assert row["file_name"] == "collabhunts-backup-2026-03-01T12-00-00-123Z.json"
    assert row["s3_url"] == f"s3://{bare_rig.store.bucket}/{run.key}"
    assert (str(row["id"]), row["backup_type"], row["created_at"]) == (run.backup_id, "manual", NOON)
    assert row["error_message"] is None


def test_successful_backup_closes_its_row_with_what_was_backed_up(rig: Rig):
    outcome = rig.backup()
    row = next(row for row in rows(rig) if str(row["id"]) == outcome.run.backup_id)
    assert row["status"] == "success"
    assert row["file_size"] == outcome.document.size
    assert row["tables_backed_up"] == list(outcome.document.row_counts)
    assert 0 < row["execution_time_ms"] < 60_000
    assert row["components_backed_up"]["row_counts"] == outcome.document.row_counts
    assert row["components_backed_up"]["run"] == {"run_id": outcome.run.run_id, "triggered_by": "tester"}
    assert row["components_backed_up"]["verification"]["valid"] is True
    assert row["function_count"] == len(outcome.backup["schema"]["functions"])
    assert row["migration_count"] == len(outcome.backup["schema"]["migrations"])


def test_first_error_of_a_run_wins(bare_rig: Rig):
    run = bare_rig.open()
    assert fail(bare_rig, run, "the cause") == [run.key.rpartition("/")[2]]
    assert fail(bare_rig, run, "a consequence") == []
    (row,) = rows(bare_rig)
    assert (row["status"], row["error_message"]) == ("failed", "the cause")
    assert row["execution_time_ms"] >= 0


def test_failure_closes_the_rows_of_its_own_run_only(bare_rig: Rig):
    run = bare_rig.open()
    with bare_rig.connect() as connection:
        other = run.model_copy(update={"backup_id": str(uuid4()), "run_id": "another run"})
        catalog.open_row(connection, other, "s3://b/k")
    fail(bare_rig, run, "mine")
    assert {str(row["id"]): row["status"] for row in rows(bare_rig)} == {
        run.backup_id: "failed",
        other.backup_id: "in_progress",
    }


def test_row_of_a_killed_run_is_closed_by_the_next(bare_rig: Rig):
    killed = bare_rig.open()
    following = bare_rig.open()
    found = {str(row["id"]): row for row in rows(bare_rig)}
    assert found[killed.backup_id]["status"] == "failed"
    assert found[killed.backup_id]["error_message"] == (
        f"the run was killed before it could say why; closed by run {following.run_id}"
    )
    assert found[following.backup_id]["status"] == "in_progress"


def test_two_opens_in_the_same_millisecond_have_different_keys(bare_rig: Rig):
    with bare_rig.connect() as connection:
        catalog.ensure_table(connection)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: bare_rig.open(NOON), range(6)))
    wanted = {NOON + timedelta(milliseconds=number) for number in range(6)}
    assert {run.created_at for run in opened} == wanted
    assert len({run.key for run in opened}) == len({run.staging_prefix for run in opened}) == 6
    assert len(rows(bare_rig)) == 6


def test_key_of_an_existing_backup_is_never_given_again(bare_rig: Rig):
    bare_rig.store.put("backups/collabhunts-backup-2026-03-01T12-00-00-123Z.json", b"{}")
    assert bare_rig.open(NOON).key == "backups/collabhunts-backup-2026-03-01T12-00-00-124Z.json"


@pytest.mark.parametrize("who", [None, "admin", "", "Robert'); drop table x;--"])
def test_who_triggered_is_kept_as_text_where_it_is_no_uuid(bare_rig: Rig, who: str | None):
    open_as(bare_rig, who)
    (row,) = rows(bare_rig)
    assert row["triggered_by"] is None
    assert row["components_backed_up"]["run"]["triggered_by"] == who


def test_who_triggered_is_a_uuid_where_it_is_one(bare_rig: Rig):
    who = uuid4()
    open_as(bare_rig, str(who))
    assert rows(bare_rig)[0]["triggered_by"] == who


def test_error_message_is_one_line_with_its_hint(bare_rig: Rig):
    run = bare_rig.open()
    fail(bare_rig, run, str(StoreUnavailable("PUT failed:\n  500", hint="free\tspace")))
    assert rows(bare_rig)[0]["error_message"] == "PUT failed: 500 hint: free space"


def test_error_message_that_postgres_cannot_store_is_stored_nearly(bare_rig: Rig):
    run = bare_rig.open()
    fail(bare_rig, run, "a\x00b \udc80 c" + "x" * 5000)
    message = rows(bare_rig)[0]["error_message"]
    assert message.startswith("a b ? cxxx")
    assert len(message) == catalog.MESSAGE_LIMIT


def test_cleared_run_that_succeeds_after_a_failure_is_a_success(rig: Rig):
    done = rig.backup_until_assembled()
    fail(rig, done.run, "verify was killed")
    rig.record(done, rig.verify(done.document))
    row = next(row for row in rows(rig) if str(row["id"]) == done.run.backup_id)
    assert (row["status"], row["error_message"]) == ("success", None)


def test_failure_after_the_success_does_not_take_it_back(rig: Rig):
    outcome = rig.backup()
    assert fail(rig, outcome.run, "remove_staging failed") == []
    assert "success" in {row["status"] for row in rows(rig) if str(row["id"]) == outcome.run.backup_id}


def test_row_that_was_deleted_during_the_backup_is_named(rig: Rig):
    done = rig.backup_until_assembled()
    with rig.connect() as connection:
        connection.execute("delete from public.backup_history where id = %s", (done.run.backup_id,))
    with pytest.raises(DatabaseUnavailable, match=f"row {done.run.backup_id} is gone"):
        rig.record(done, rig.verify(done.document))


def test_history_that_may_not_be_created_says_what_to_grant(bare_rig: Rig, reader_role: dict[str, str]):
    with (
        bare_rig.connect(**reader_role) as connection,
        pytest.raises(TableUnreadable, match="backup_history cannot be created: permission denied") as caught,
    ):
        catalog.ensure_table(connection)
    assert "CREATE on schema public" in caught.value.hint


def test_the_reason_of_a_whole_run_stands_before_what_its_tasks_said(rig: Rig) -> None:
    run = rig.open()
    with rig.connect() as connection:
        catalog.close_failed(connection, run.run_id, "describe_schema: snapshot is gone")
        for _ in range(2):  # a callback may be called twice
            catalog.explain_failed(connection, run.run_id, "the run exceeded its dagrun_timeout")
        (message,) = connection.execute(
            "select error_message from public.backup_history where id = %s", (run.backup_id,)
        ).fetchone()
    assert message == "the run exceeded its dagrun_timeout; before that: describe_schema: snapshot is gone"
