"""What an approver is asked, and whether anybody is."""

from datetime import datetime, timezone
from typing import Any

import pytest

from include.disaster_recovery.model import TableName
from include.disaster_recovery.restore_model import RestorePlan, RestoreRequest, RestoreRun, TableDiff, TablePlan
from include.disaster_recovery.runtime import approval

KEY = "backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json"


def table(name: str = "messages", **facts: Any) -> TablePlan:
    fields: dict[str, Any] = {
        "table": TableName(schema_name="public", table_name=name, name_in_document=name),
        "columns": [],
        "key": [],
        "key_name": None,
        "rewrites": False,
        "extra_columns": [],
        "is_partitioned": False,
        "staged_as": "t1",
        "direct": False,
        "was_empty": False,
        "row_count": 1,
        "digest": "0" * 16,
    }
    return TablePlan.model_validate({**fields, **facts})


def plan(*tables: TablePlan, notes: tuple[str, ...] = (), is_source: bool = False, **asked: Any) -> RestorePlan:
    fields = {"backup_key": "latest", "target_conn_id": "collabhunts_restore_db", "tables": None, "mode": "upsert"}
    flags = {"restore_schema": False, "dry_run": False, "require_approval": True}
    run = RestoreRun(
        run_id="manual__1",
        key=KEY,
        size=1,
        manifest_sha256="0" * 64,
        request=RestoreRequest.model_validate({**fields, **flags, **asked}),
        staging_schema="collabhunts_restore_x",
        opened_at=datetime(2025, 12, 8, tzinfo=timezone.utc),
        triggered_by="admin",
        target="db.example:5432/postgres",
        target_is_source=is_source,
    )
    return RestorePlan(run=run, tables=list(tables), quiet="tables", notes=list(notes))


def diff(name: str = "messages", insert: int = 0, update: int = 0, delete: int = 0, unchanged: int = 0) -> TableDiff:
    return TableDiff(table=name, insert=insert, update=update, delete=delete, unchanged=unchanged)


@pytest.mark.parametrize(
    "tables, asked, needed",
    [
        ([table()], {}, True),
        ([table(), table("profiles", was_empty=True)], {}, True),
        ([table(was_empty=True), table("profiles", direct=True)], {}, False),
        ([table()], {"require_approval": False}, False),
        ([], {}, False),
    ],
)
def test_somebody_is_asked_unless_nothing_can_be_lost(tables: list[TablePlan], asked: Any, needed: bool):
    assert approval.is_needed(plan(*tables, **asked)) is needed


def test_the_subject_names_backup_target_and_mode():
    assert approval.subject(plan(mode="replace")) == f"Restore {KEY} into db.example:5432/postgres, mode replace?"


def test_the_body_is_a_table_with_a_total():
    body = approval.body(plan(), [diff("profiles", insert=1200, unchanged=3), diff("messages", update=7)])
    assert body.splitlines()[:5] == [
        "| table | insert | update | delete | unchanged |",
        "|---|---:|---:|---:|---:|",
        "| `profiles` | 1,200 | 0 | 0 | 3 |",
        "| `messages` | 0 | 7 | 0 | 0 |",
        "| **all** | 1,200 | 7 | 0 | 3 |",
    ]
    assert "in one transaction; Reject changes nothing" in body
    assert "source database" not in body
    assert "deleted" not in body


def test_the_body_warns_of_deletes_and_of_the_source():
    body = approval.body(plan(is_source=True, mode="replace"), [diff(delete=1500)])
    assert "**1,500 rows are deleted**" in body
    assert "**The target is the source database:** it is backed up first." in body


def test_the_body_ends_with_the_notes_of_the_plan():
    body = approval.body(plan(notes=("messages refers to itself", "profiles: column bio is missing")), [])
    assert body.endswith("- messages refers to itself\n- profiles: column bio is missing")


def test_names_and_notes_of_a_hostile_document_stay_text():
    name, note = "a` | 1 | **9**\n| x", "![x](https://evil.example/?q) <img src=x> \u202ebackwards"
    body = approval.body(plan(notes=(note,)), [diff(name)])
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert len(rows) == 4  # head, rule, the table, the total
    assert rows[2].count("|") == 6
    assert rows[2].count("`") == 2
    assert "![" not in body
    assert "](" not in body
    assert "\\<img" in body
    assert "\u202e" not in body
