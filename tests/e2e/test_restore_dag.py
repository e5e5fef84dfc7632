"""`collabhunts_restore` under a real scheduler: what it brings back, who it asks, and what it survives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import (
    CANARY,
    DAG,
    DATABASE,
    RESTORE_DAG,
    RESTORED,
    SHORT_RESTORE_DAG,
    Platform,
    wait_for,
)

pytestmark = pytest.mark.timeout(420)

SMALL = ["messages", "profiles"]
STAGING = "select nspname from pg_namespace where nspname like 'collabhunts\\_restore\\_%'"


@pytest.fixture(scope="module")
def full_run(platform: Platform, key: str, target: str) -> str:
    """A restore of everything into an empty database, of which one load was killed."""
    run_id = platform.api.trigger(RESTORE_DAG, {"backup_key": key, "restore_schema": True})
    wait_for("a load", lambda: busy(platform, "ballast"), seconds=120)
    platform.kill_task(RESTORE_DAG, run_id, "load", "ballast")
    platform.succeed(RESTORE_DAG, run_id)
    return run_id


def restored(platform: Platform, **conf: Any) -> str:
    """A restore that has succeeded; returns its run id."""
    run_id = platform.api.trigger(RESTORE_DAG, conf)
    platform.succeed(RESTORE_DAG, run_id)
    return run_id


def diverge(platform: Platform, database: str) -> None:
    """What somebody does to messages and profiles, without the side effects that triggers would have."""
    platform.sql(
        "set session_replication_role = 'replica';"
        "delete from public.messages where sequence_number % 10 = 0;"
        "update public.profiles set bio = 'somebody was here', updated_at = now()",
        database=database,
    )


@pytest.fixture
def diverged(platform: Platform, full_run: str) -> dict[str, tuple[int, int]]:
    """The restored database after somebody has worked in it; returns what it holds now."""
    diverge(platform, RESTORED)
    return contents(platform, RESTORED)


def contents(platform: Platform, database: str, *tables: str) -> dict[str, tuple[int, int]]:
    """Rows of every table of the application, and a sum over their text, by plain SQL."""
    query = (
        "select n.nspname || '.' || c.relname from pg_class as c join pg_namespace as n on n.oid = relnamespace"
        " where relkind = 'r' and relname <> 'backup_history' and (nspname = 'public'"
        " or (nspname = 'auth' and relname in ('users', 'identities')))"
    )
    names = sorted(tables or (name for (name,) in platform.sql(query, database=database)))
    found = {}
    for name in names:
        counted = f"select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) from {name} as t"
        (found[name],) = platform.sql(counted, database=database)
    return found


def busy(platform: Platform, text: str, database: str = RESTORED) -> bool:
    """Whether a session of the restore is at work on something."""
    query = (
        "select 1 from pg_stat_activity where application_name = 'collabhunts_restore' and datname = %s"
        " and state = 'active' and query ilike %s"
    )
    return bool(platform.sql(query, database, f"%{text}%"))


def asked(platform: Platform, run_id: str, dag_id: str = RESTORE_DAG) -> dict[str, Any]:
    """Wait until somebody is asked; returns the request."""
    wait_for(
        "a request for approval",
        lambda: platform.states(dag_id, run_id).get("approve") == "awaiting_input",
        seconds=120,
        every=0.2,
    )
    return platform.api.api("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails")


def answer(platform: Platform, run_id: str, option: str) -> None:
    wait_for("the end of the asking process", lambda: has_let_go(platform, run_id), every=0.2)
    path = f"/api/v2/dags/{RESTORE_DAG}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    platform.api.api("PATCH", path, {"chosen_options": [option], "params_input": {}})


def has_let_go(platform: Platform, run_id: str) -> bool:
    """Whether the scheduler has taken note that the task which asks has ended: an earlier answer can fail it."""
    seen = (
        f"state success for task instance TaskInstanceKey(dag_id='{RESTORE_DAG}', task_id='approve', run_id='{run_id}'"
    )
    return seen in (platform.airflow.logs / "scheduler.log").read_text(errors="replace")


def assert_untouched(platform: Platform, before: dict[str, tuple[int, int]], database: str = RESTORED) -> None:
    assert contents(platform, database) == before
    assert platform.sql(STAGING, database=database) == []


def test_everything_comes_back_into_an_empty_database(platform: Platform, full_run: str) -> None:
    states = platform.states(RESTORE_DAG, full_run)
    assert (states["rebuild_schema"], states["apply"], states["compare"], states["cleanup"]) == ("success",) * 4
    assert (states["approve"], states["back_up_target"]) == ("skipped", "skipped")  # empty, and not the source
    assert contents(platform, RESTORED) == contents(platform, DATABASE)
    assert platform.sql(STAGING, database=RESTORED) == []


def test_a_killed_load_is_retried_and_loads_nothing_twice(platform: Platform, full_run: str) -> None:
    tries = {task.label: task.try_number for task in platform.api.task_instances(RESTORE_DAG, full_run)}
    assert {"load[messages]", "load[auth.users]", "load[ballast [1/2]]", "load[ballast [2/2]]"} <= set(tries)
    assert max(number for label, number in tries.items() if "ballast" in label) == 2


def test_the_proof_is_kept_in_the_bucket_and_as_xcom(platform: Platform, full_run: str) -> None:
    report = platform.xcom(RESTORE_DAG, full_run, "compare", "report")
    outcomes = [check["outcome"] for check in report["checks"]]
    assert outcomes.count("failed") == 0
    assert outcomes.count("passed") > 10
    assert report["approved_by"] is None
    kept = [json.loads(platform.store.read(key, 0, platform.store.head(key).size)) for key in reports(platform)]
    assert [each["run"]["run_id"] for each in kept] == [full_run]


def reports(platform: Platform) -> list[str]:
    return platform.store.keys("backups/restores/")


def test_a_second_restore_changes_nothing(platform: Platform, full_run: str, key: str) -> None:
    before = contents(platform, RESTORED)
    run_id = restored(platform, backup_key=key, tables=SMALL, require_approval=False)
    diffs = platform.xcom(RESTORE_DAG, run_id, "diff", "return_value")
    assert {(each["insert"], each["update"], each["delete"]) for each in diffs} == {(0, 0, 0)}
    assert_untouched(platform, before)


def test_a_dry_run_shows_the_differences_and_changes_nothing(
    platform: Platform, diverged: dict[str, tuple[int, int]], key: str
) -> None:
    run_id = restored(platform, backup_key=Path(key).name, tables=SMALL, dry_run=True)
    states = platform.states(RESTORE_DAG, run_id)
    assert {states[task] for task in ("approve", "back_up_target", "apply", "compare")} == {"skipped"}
    assert states["cleanup"] == "success"
    (messages,) = [
        each for each in platform.xcom(RESTORE_DAG, run_id, "diff", "return_value") if each["table"] == "messages"
    ]
    assert messages["insert"] > 0
    assert f"messages: {messages['insert']} to insert" in platform.api.task_log(RESTORE_DAG, run_id, "diff")
    assert_untouched(platform, diverged)


def test_a_rejected_restore_changes_nothing(platform: Platform, diverged: dict[str, tuple[int, int]], key: str) -> None:
    run_id = platform.api.trigger(RESTORE_DAG, {"backup_key": key, "tables": SMALL})
    request = asked(platform, run_id)
    assert key in request["subject"]
    assert f"/{RESTORED}, mode upsert" in request["subject"]
    assert "| table | insert | update | delete | unchanged |" in request["body"]
    answer(platform, run_id, "Reject")
    platform.succeed(RESTORE_DAG, run_id)
    states = platform.states(RESTORE_DAG, run_id)
    assert (states["back_up_target"], states["apply"], states["compare"]) == ("skipped",) * 3
    assert states["cleanup"] == "success"
    assert_untouched(platform, diverged)


def test_an_unanswered_request_fails_the_run_and_changes_nothing(
    platform: Platform, diverged: dict[str, tuple[int, int]], key: str
) -> None:
    platform.api.unpause(SHORT_RESTORE_DAG)
    run_id, state = platform.run(SHORT_RESTORE_DAG, backup_key=key, tables=SMALL)
    assert state == "failed"
    states = platform.states(SHORT_RESTORE_DAG, run_id)
    assert (states["approve"], states["apply"], states["cleanup"]) == ("failed", "upstream_failed", "success")
    (approve,) = [each for each in platform.api.task_instances(SHORT_RESTORE_DAG, run_id) if each.task_id == "approve"]
    assert approve.try_number == 1  # nobody is asked a second time
    assert_untouched(platform, diverged)


@pytest.mark.usefixtures("few_tables")
def test_an_approved_restore_of_the_source_backs_it_up_first(platform: Platform, key: str) -> None:
    before, documents = contents(platform, DATABASE), platform.documents()
    diverge(platform, DATABASE)
    run_id = platform.api.trigger(
        RESTORE_DAG, {"backup_key": key, "target_conn_id": "collabhunts_db", "tables": SMALL, "mode": "replace"}
    )
    assert "The target is the source database" in asked(platform, run_id)["body"]
    answer(platform, run_id, "Approve")
    platform.succeed(RESTORE_DAG, run_id)
    assert platform.states(RESTORE_DAG, run_id)["back_up_target"] == "success"
    (taken,) = set(platform.documents()) - set(documents)
    (row,) = platform.sql("select backup_type, status from backup_history where file_name = %s", Path(taken).name)
    assert row == ("manual", "success")
    assert contents(platform, DATABASE) == before
    assert platform.xcom(RESTORE_DAG, run_id, "compare", "report")["approved_by"] == "admin"
    assert platform.sql(STAGING) == []


def test_a_source_that_cannot_be_backed_up_is_restored_when_the_operator_says_so(platform: Platform, key: str) -> None:
    before = contents(platform, DATABASE)
    diverge(platform, DATABASE)
    platform.api.api("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": True})
    try:
        conf = {"backup_key": key, "target_conn_id": "collabhunts_db", "tables": SMALL, "require_approval": False}
        run_id = platform.api.trigger(RESTORE_DAG, conf)
        wait_for(
            "a failed backup",
            lambda: platform.states(RESTORE_DAG, run_id).get("back_up_target") == "up_for_retry",
            seconds=120,
            every=0.2,
        )
        path = f"/api/v2/dags/{RESTORE_DAG}/dagRuns/{run_id}/taskInstances/back_up_target"
        platform.api.api("PATCH", path, {"new_state": "success"})
        platform.succeed(RESTORE_DAG, run_id)
    finally:
        platform.api.unpause(DAG)
    assert contents(platform, DATABASE) == before


def test_a_killed_apply_is_rolled_back_and_tried_again(platform: Platform, full_run: str, key: str) -> None:
    platform.sql("update public.ballast set body = 'somebody was here' where id % 2 = 0", database=RESTORED)
    before = contents(platform, RESTORED, "public.ballast")
    conf = {"backup_key": key, "tables": ["ballast"], "mode": "replace", "require_approval": False}
    run_id = platform.api.trigger(RESTORE_DAG, conf)
    wait_for(
        "apply at work",
        lambda: (
            platform.states(RESTORE_DAG, run_id).get("apply") == "running" and busy(platform, "insert into%ballast")
        ),
        seconds=180,
    )
    platform.kill_task(RESTORE_DAG, run_id, "apply")
    assert contents(platform, RESTORED, "public.ballast") == before
    platform.succeed(RESTORE_DAG, run_id)
    (apply,) = [each for each in platform.api.task_instances(RESTORE_DAG, run_id) if each.task_id == "apply"]
    assert apply.try_number > 1
    assert contents(platform, RESTORED, "public.ballast") == contents(platform, DATABASE, "public.ballast")
    assert platform.sql(STAGING, database=RESTORED) == []


def test_it_runs_under_sequential_dags_test(
    platform: Platform, diverged: dict[str, tuple[int, int]], key: str, lone_airflow: dict[str, str]
) -> None:
    conf = json.dumps({"backup_key": key, "tables": SMALL, "require_approval": False})
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", RESTORE_DAG, "-c", conf],
        env=lone_airflow,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert contents(platform, RESTORED, *(f"public.{name}" for name in SMALL)) == contents(
        platform, DATABASE, *(f"public.{name}" for name in SMALL)
    )
    assert platform.sql(STAGING, database=RESTORED) == []


def test_xcoms_and_logs_of_restores_hold_no_secret_and_no_row(platform: Platform, full_run: str) -> None:
    runs = platform.api.api("GET", f"/api/v2/dags/{RESTORE_DAG}/dagRuns", limit=100)["dag_runs"]
    values = [value for run in runs for value in platform.xcoms(RESTORE_DAG, run["dag_run_id"])]
    logs = platform.logs()
    assert any("staging_schema" in value for value in values)
    assert any("to insert" in log for log in logs)
    for text in [*values, *logs]:
        for secret in [*platform.secrets(), CANARY, "somebody was here"]:
            assert secret not in text
