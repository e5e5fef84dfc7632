"""### CollabHunts restore

Gives the platform back from a backup: into an empty database, a new Supabase project, or over diverged data.
Only triggered by hand. Until `apply` commits, the target is exactly as it was; after it, `compare` proves the result.

| task | what it does | when it fails |
|---|---|---|
| `plan_restore` | reads the manifest, inspects the target, orders tables | names the parameter or what does not fit |
| `rebuild_schema` | with `restore_schema`: the schema, if the target is empty (dry run: rehearsed) | it is undone |
| `load` | one per fragment, in parallel, into a staging schema | retried, nothing is loaded twice |
| `check_staging` | counts and digests equal the manifest | the backup is damaged: choose another |
| `diff` | rows to insert, update, delete: in its log and in the request | |
| `choose` | a dry run ends here; else to `approve`, where that is needed | |
| `approve` | waits 24 hours under **Required Actions**; *Reject* ends the run | nobody answered in time |
| `back_up_target` | runs `collabhunts_backup`, if the target is the source and has rows | see below |
| `apply` | one transaction, triggers off, foreign keys checked at its end | rolled back, the target is as it was |
| `compare` | the recovery proof, kept beside the backup and as XCom `report` | applied; the log lists what differs |
| `cleanup` | removes the staging schema, whatever happened | the next restore into this target does it |

A failed run is not resumed: mend what its log says and trigger it again, with the backup key that `plan_restore` logs
(after `back_up_target`, `latest` is the backup just taken). Where the source cannot be backed up any more, mark
`back_up_target` as success: while `approve` waits, or in the five minutes before its second try.
Approval is needed unless `require_approval` is off or every table to restore is empty.
Connections: `collabhunts_restore_db` (or another, by `target_conn_id`), `collabhunts_s3`. The source is not needed.
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, RetryAction, RetryRule, task

from include.disaster_recovery.runtime.wiring import LOAD_LABEL, TAGS, backup_key_param, default_args, run_failed

CONN_ID = r"^[A-Za-z0-9_.:-]{1,250}$(?!\n)"
MODES = {"upsert": "upsert: insert and update, delete nothing", "replace": "replace: these rows and no others"}
HELP = {
    "backup_key": "A backup key, a bare file name, or `latest` for the newest backup.",
    "target_conn_id": "Airflow connection (type postgres) of the database to restore into.",
    "tables": "One name a line, as `messages` or `auth.users`. Empty: all but `backup_history`, with auth's users.",
    "mode": "Upsert keeps rows that the backup does not know, replace deletes them.",
    "restore_schema": "Create types, tables, functions, policies first: for an empty database or a new project.",
    "dry_run": "Load into staging, check it, show the differences, clean up: the target is not changed.",
    "require_approval": "Show the differences and wait for an answer, unless every table to restore is empty.",
}
TABLE = {"type": "string", "minLength": 1, "maxLength": 200}
PARAMS = {
    "backup_key": backup_key_param(HELP["backup_key"]),
    "target_conn_id": Param(
        "collabhunts_restore_db", HELP["target_conn_id"], type="string", title="Target connection", pattern=CONN_ID
    ),
    "tables": Param(
        None, HELP["tables"], type=["null", "array"], title="Tables", items=TABLE, minItems=1, uniqueItems=True
    ),
    "mode": Param("upsert", HELP["mode"], type="string", title="Mode", enum=list(MODES), values_display=MODES),
    "restore_schema": Param(False, HELP["restore_schema"], type="boolean", title="Rebuild the schema"),
    "dry_run": Param(False, HELP["dry_run"], type="boolean", title="Dry run"),
    "require_approval": Param(True, HELP["require_approval"], type="boolean", title="Ask for approval"),
}
Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import restore_tasks

    return restore_tasks


with DAG(
    dag_id="collabhunts_restore",
    schedule=None,
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    allowed_run_types=["manual"],  # type: ignore[list-item]  # converted; the enum has no public home
    max_active_runs=1,
    params=PARAMS,
    default_args=default_args(
        run_failed,
        never_retried=[
            RetryRule(exception=HITLTimeoutError, action=RetryAction.FAIL, reason="nobody has answered in time")
        ],
    ),
    on_failure_callback=run_failed,
    tags=[*TAGS, "restore"],
    doc_md=__doc__,
):

    @task(retries=1)
    def plan_restore() -> list[Json]:
        return tasks().plan_restore()

    @task.run_if(lambda context: context["params"]["restore_schema"], skip_message="restore_schema is off")
    @task(multiple_outputs=False, execution_timeout=timedelta(hours=1))
    def rebuild_schema(plan: Json) -> Json:
        return tasks().rebuild_schema(plan)

    @task(
        multiple_outputs=False,
        max_active_tis_per_dagrun=4,
        map_index_template=LOAD_LABEL,
        execution_timeout=timedelta(hours=12),
        trigger_rule="none_failed",  # rebuild_schema may be skipped
    )
    def load(plan: Json, unit: Json) -> Json:
        return tasks().load(plan, unit)

    @task(execution_timeout=timedelta(hours=6), trigger_rule="none_failed")
    def check_staging(plan: Json) -> list[Json]:
        return tasks().check_staging(plan)

    @task(execution_timeout=timedelta(hours=6))
    def diff(plan: Json) -> list[Json]:
        return tasks().diff(plan)

    @task.branch
    def choose(plan: Json) -> str | None:
        return tasks().choose(plan)

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=12), trigger_rule="none_failed")
    def apply(plan: Json, diffed: list[Json]) -> list[Json]:
        return tasks().apply(plan, diffed)

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def compare(plan: Json, staged: list[Json], applied: list[Json]) -> Json:
        return tasks().compare(plan, staged, applied)

    @task
    def cleanup() -> None:
        tasks().cleanup()

    units = plan_restore()
    plan = units["plan"]
    rebuilt = rebuild_schema(plan)
    loaded = load.partial(plan=plan).expand(unit=units)
    staged = check_staging(plan)
    diffed = diff(plan)
    chosen = choose(plan)
    # An answer within a second of the request can fail the task (Airflow's race): then it asks once more.
    approve = ApprovalOperator(
        task_id="approve",
        subject=diffed["subject"],
        body=diffed["body"],
        response_timeout=timedelta(hours=24),
        retries=1,
    )
    back_up_target = TriggerDagRunOperator(
        task_id="back_up_target",
        trigger_dag_id="collabhunts_backup",
        wait_for_completion=True,
        fail_when_dag_is_paused=True,
        poke_interval=5,
        deferrable=False,
        retries=1,
        retry_delay=timedelta(minutes=5),  # time to mark it as success by hand
        execution_timeout=timedelta(hours=21),
        trigger_rule="none_failed",  # approve may be skipped
        pre_execute=lambda context: tasks().skip_unless_backup_needed(context),
    )
    applied = apply(plan, diffed)
    compared = compare(plan, staged, applied)

    rebuilt >> loaded >> staged >> diffed >> chosen
    # choose and approve skip what stands directly below them, whatever its trigger rule.
    chosen >> [approve, back_up_target, applied]
    approve >> [back_up_target, applied]
    back_up_target >> applied
    # Not before the last load has ended: a failed one fails the tasks below while others still run.
    # Without a setup: Airflow has every task below one wait for all_success, and skipped tasks are ordinary here.
    [units, rebuilt, loaded, compared] >> cleanup().as_teardown()
