"""`collabhunts_restore` as Airflow sees it: its form, its wiring, its limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

PARAMS = ["backup_key", "target_conn_id", "tables", "mode", "restore_schema", "dry_run", "require_approval"]
# What a failed approval, a dry run or a rejection must never reach.
BEHIND_APPROVAL = {"back_up_target", "apply"}


@pytest.fixture(scope="module")
def dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_restore"]


@pytest.fixture(scope="module")
def upstream(dag: Any) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}


def test_it_is_started_by_hand_only_and_one_at_a_time(dag: Any) -> None:
    assert dag.timetable.can_be_scheduled is False
    assert {kind.value for kind in dag.allowed_run_types} == {"manual"}
    assert dag.max_active_runs == 1
    assert {"collabhunts", "restore"} <= set(dag.tags)
    assert dag.doc_md.strip().startswith("### CollabHunts restore")
    assert dag.has_on_failure_callback


def test_the_form_asks_in_the_order_of_the_contract_with_title_and_help(dag: Any) -> None:
    assert list(dag.params) == PARAMS
    for name in PARAMS:
        param = dag.params.get_param(name)
        assert param.schema["title"], name
        assert param.description.endswith("."), name
    assert dag.params.dump() == {
        "backup_key": "latest",
        "target_conn_id": "collabhunts_restore_db",
        "tables": None,
        "mode": "upsert",
        "restore_schema": False,
        "dry_run": False,
        "require_approval": True,
    }


def test_the_form_shows_fitting_fields(dag: Any) -> None:
    schema = {name: dag.params.get_param(name).schema for name in PARAMS}
    assert schema["mode"]["enum"] == ["upsert", "replace"] == list(schema["mode"]["values_display"])
    assert schema["tables"]["items"]["type"] == "string"  # one name a line, not a JSON editor
    assert schema["backup_key"]["examples"] == ["latest"]


@pytest.mark.parametrize(
    "name, value",
    [
        ("backup_key", "backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json"),
        ("backup_key", "collabhunts-backup-2025-12-07T18-33-07-123Z.json.zst"),
        ("target_conn_id", "new-project.db_1"),
        ("tables", None),
        ("tables", ["messages", "auth.users"]),
        ("mode", "replace"),
        ("restore_schema", True),
    ],
)
def test_the_form_takes(dag: Any, name: str, value: object) -> None:
    assert dag.params.get_param(name).resolve(value) == value


@pytest.mark.parametrize(
    "name, value",
    [
        ("backup_key", ""),
        ("backup_key", None),
        ("backup_key", "backups/../secrets/keys.json"),
        ("backup_key", ".."),
        ("backup_key", "/backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json"),
        ("backup_key", "latest\n"),
        ("backup_key", "a\x00b"),
        ("backup_key", "a\tb"),
        ("backup_key", "a\x85b"),
        ("backup_key", "a\u2028b"),
        ("backup_key", "k" * 1025),
        ("backup_key", 7),
        ("target_conn_id", ""),
        ("target_conn_id", None),
        ("target_conn_id", "no such"),
        ("target_conn_id", "postgresql://user:password@host/db"),
        ("target_conn_id", "db\n"),
        ("tables", []),
        ("tables", [""]),
        ("tables", [None]),
        ("tables", ["messages", "messages"]),
        ("tables", "messages"),
        ("mode", "REPLACE"),
        ("mode", None),
        ("restore_schema", "yes"),
        ("dry_run", None),
        ("require_approval", None),
        ("require_approval", 0),
    ],
)
def test_the_form_refuses(dag: Any, name: str, value: object) -> None:
    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


def test_tasks_are_wired_in_the_order_of_the_invariants(upstream: dict[str, set[str]]) -> None:
    assert upstream["plan_restore"] == set()
    assert upstream["rebuild_schema"] == {"plan_restore"}
    assert upstream["load"] == {"plan_restore", "rebuild_schema"}
    assert "load" in upstream["check_staging"]
    assert "check_staging" in upstream["diff"]
    assert "diff" in upstream["choose"]
    assert {"choose", "diff"} <= upstream["approve"]
    assert {"choose", "approve"} <= upstream["back_up_target"]
    assert {"choose", "approve", "back_up_target"} <= upstream["apply"]
    assert "apply" in upstream["compare"]


def test_choose_and_approve_skip_what_changes_anything_directly(dag: Any, upstream: dict[str, set[str]]) -> None:
    for task_id in BEHIND_APPROVAL:
        assert {"choose", "approve"} <= upstream[task_id]
        # a skipped approve must not hold it up, a failed or unanswered one must
        assert dag.get_task(task_id).trigger_rule == "none_failed"
    assert dag.get_task("compare").trigger_rule == "all_success"


def test_a_skipped_rebuild_does_not_hold_up_the_load(dag: Any) -> None:
    assert dag.get_task("load").trigger_rule == "none_failed"
    assert dag.get_task("check_staging").trigger_rule == "none_failed"


def test_cleanup_waits_for_every_task_that_writes_and_runs_whatever_they_did(
    dag: Any, upstream: dict[str, set[str]]
) -> None:
    cleanup = dag.get_task("cleanup")
    assert {"plan_restore", "rebuild_schema", "load", "compare"} <= upstream["cleanup"]
    assert cleanup.is_teardown
    assert cleanup.trigger_rule == "all_done_setup_success"


def test_nobody_is_answered_for(dag: Any) -> None:
    approve = dag.get_task("approve")
    assert approve.response_timeout == timedelta(hours=24)
    assert approve.defaults is None
    assert approve.fail_on_reject is False
    assert approve.retries == 1  # an answer within a second of the request can fail the task


def test_the_backup_of_the_target_has_to_succeed(dag: Any) -> None:
    back_up = dag.get_task("back_up_target")
    assert back_up.trigger_dag_id == "collabhunts_backup"
    assert (back_up.wait_for_completion, back_up.deferrable, back_up.fail_when_dag_is_paused) == (True, False, True)
    assert [str(state.value) for state in back_up.allowed_states] == ["success"]
    assert [str(state.value) for state in back_up.failed_states] == ["failed"]


def test_every_task_is_retried_and_has_a_time_limit(dag: Any) -> None:
    assert dag.get_task("plan_restore").retries == 1
    for task in dag.tasks:
        assert task.retries >= 1, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert task.execution_timeout is not None, task.task_id


def test_loads_are_limited_in_number_and_labelled(dag: Any) -> None:
    load = dag.get_task("load")
    assert load.max_active_tis_per_dagrun == 4
    assert "unit['table']" in load.map_index_template
