"""### CollabHunts backup

Takes one consistent, complete and verified backup of the CollabHunts database every day at 00:00 UTC:
one JSON document `s3://collabhunts-backups/backups/collabhunts-backup-{timestamp}.json` with all rows of all tables,
the schema and the edge functions. Triggering it by hand is fine at any time; only one run is active at once.

| task | what it does | when it fails |
|---|---|---|
| `preflight` | checks database, role, `pg_dump`, bucket, slots | every failed check is listed with its hint |
| `open_backup` | fixes the key, writes the `in_progress` row, closes rows of killed runs | |
| `hold_snapshot` | keeps one transaction open: one moment for all | the run fails; trigger it again |
| `plan_extracts` | cuts large tables into fragments | |
| `extract` | one per fragment, in parallel, into `staging/` | retried in the same snapshot |
| `describe_schema`, `describe_edge_functions` | schema from the catalogs and `pg_dump`; `supabase/` folder | |
| `assemble` | composes the document on the S3 server's side, never over an existing one | |
| `verify_backup` | reads every stored byte back: hashes, row counts, JSON | the document stays, unverified |
| `record_backup` | `success` in `public.backup_history`; asset event | |
| `remove_staging` | empties `staging/` of this run, whatever happened | the next run does it after a day |

Nothing is a backup until `record_backup` is green. Connections: `collabhunts_db`, `collabhunts_s3`.
Settings: `include/config/collabhunts.yaml`. A failed run leaves a `failed` row with the reason and the next action.
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import (
    DAG,
    Asset,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    get_current_context,
    task,
)

from include.disaster_recovery.errors import PermanentError
from include.disaster_recovery.model import (
    AssembledDocument,
    BackupRun,
    ExtractUnit,
    Snapshot,
    StagedFragment,
    StagedSection,
    Verdict,
)

BACKUPS = Asset(name="collabhunts_backups", uri="s3://collabhunts-backups/backups/", group="disaster-recovery")
READERS = ["extract", "describe_schema"]


def record_failure(context: Any) -> None:
    """Close the history row of a failed task or run (imported late: parsing a DAG file should stay light)."""
    from include.disaster_recovery.runtime import record_failure as close_row

    close_row(context)


with DAG(
    dag_id="collabhunts_backup",
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    default_args={
        "owner": "disaster-recovery",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=5),
        "retry_policy": ExceptionRetryPolicy(
            rules=[RetryRule(exception=PermanentError, action=RetryAction.FAIL, reason="trying again cannot help")]
        ),
        "execution_timeout": timedelta(minutes=15),
        "on_failure_callback": record_failure,
    },
    on_failure_callback=record_failure,
    tags=["collabhunts", "disaster-recovery", "backup"],
    doc_md=__doc__,
):

    @task(retries=1)
    def preflight() -> list[str]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.preflight import preflight as check

        return check(
            runtime.settings(), connect=runtime.source, connect_store=runtime.store, slots=runtime.require_two_slots
        )

    @task(multiple_outputs=False)
    def open_backup() -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.opening import open_backup as open_new

        dag_run = get_current_context()["dag_run"]
        with runtime.source() as connection:
            run = open_new(
                connection,
                runtime.store(),
                runtime.settings(),
                run_id=dag_run.run_id,
                backup_type=runtime.backup_type(dag_run),
                triggered_by=getattr(dag_run, "triggering_user_name", None),
                now=runtime.now(),
            )
        return run.to_json()

    # Started before plan_extracts, which waits for it. No retry: a second snapshot would be another moment.
    @task(multiple_outputs=False, retries=0, priority_weight=100, execution_timeout=timedelta(hours=18))
    def hold_snapshot() -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.holding import hold_snapshot as hold

        ti = get_current_context()["ti"]
        with runtime.source() as connection:
            held = hold(
                connection,
                runtime.settings(),
                publish=lambda snapshot: ti.xcom_push(key="snapshot", value=snapshot.to_json()),
                task_states=runtime.task_states(ti, READERS),
            )
        return held.to_json()

    @task(priority_weight=50)
    def plan_extracts() -> list[dict[str, Any]]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup import planning

        ti, settings = get_current_context()["ti"], runtime.settings()
        snapshot = planning.await_snapshot(
            runtime.published_snapshot(ti, "hold_snapshot"),
            lambda: runtime.task_states(ti, ["hold_snapshot"])().get("hold_snapshot"),
            wait_seconds=settings.extract.snapshot_start_seconds,
        )
        with runtime.source() as connection:
            units = planning.plan_extracts(connection, settings, snapshot)
        ti.xcom_push(key="snapshot", value=snapshot.to_json())
        return [unit.to_json() for unit in units]

    @task(
        multiple_outputs=False,
        max_active_tis_per_dagrun=4,
        map_index_template="{{ unit_label }}",
        execution_timeout=timedelta(hours=12),
    )
    def extract(backup: dict[str, Any], unit: dict[str, Any]) -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.extracting import extract as extract_unit

        context, planned = get_current_context(), ExtractUnit.model_validate(unit)
        context["unit_label"] = planned.label  # type: ignore[typeddict-unknown-key]
        run, compression = BackupRun.model_validate(backup), runtime.settings().compression
        with runtime.source() as connection:
            return extract_unit(
                connection, runtime.store(), run, planned, compression, try_number=context["ti"].try_number
            ).to_json()

    @task(multiple_outputs=False)
    def describe_schema(backup: dict[str, Any], snapshot: dict[str, Any]) -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.describing import describe_schema as describe

        with runtime.source() as connection:
            return describe(
                connection,
                runtime.source_parameters(),
                runtime.store(),
                runtime.settings(),
                BackupRun.model_validate(backup),
                Snapshot.model_validate(snapshot),
            ).to_json()

    @task(multiple_outputs=False)
    def describe_edge_functions(backup: dict[str, Any]) -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.describing import describe_edge_functions as describe

        return describe(runtime.store(), runtime.settings(), BackupRun.model_validate(backup)).to_json()

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def assemble(backup: dict[str, Any], snapshot: dict[str, Any], sections: list[dict[str, Any]]) -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.assembling import assemble as compose

        fragments = get_current_context()["ti"].xcom_pull(task_ids="extract")  # in one call, not one by one
        return compose(
            runtime.store(),
            runtime.settings(),
            BackupRun.model_validate(backup),
            Snapshot.model_validate(snapshot),
            [StagedFragment.model_validate(each) for each in fragments],
            [StagedSection.model_validate(each) for each in sections],
        ).to_json()

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def verify_backup(document: dict[str, Any], uncovered: list[str]) -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.verifying import verify_backup as verify

        return verify(
            runtime.store(),
            AssembledDocument.model_validate(document),
            wanted_sse=runtime.settings().s3.sse,
            uncovered=uncovered,
            now=runtime.now(),
        ).to_json()

    @task(multiple_outputs=False, outlets=[BACKUPS])
    def record_backup(
        backup: dict[str, Any],
        snapshot: dict[str, Any],
        document: dict[str, Any],
        sections: list[dict[str, Any]],
        verdict: dict[str, Any],
    ) -> dict[str, Any]:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.recording import record_backup as record

        with runtime.source() as connection:
            event = record(
                connection,
                BackupRun.model_validate(backup),
                Snapshot.model_validate(snapshot),
                AssembledDocument.model_validate(document),
                [StagedSection.model_validate(each) for each in sections],
                Verdict.model_validate(verdict),
                now=runtime.now(),
            )
        get_current_context()["outlet_events"][BACKUPS].extra = event
        return event

    @task
    def remove_staging(backup: dict[str, Any]) -> int:
        from include.disaster_recovery import runtime
        from include.disaster_recovery.steps.backup.cleaning import remove_staging as remove

        return remove(runtime.store(), BackupRun.model_validate(backup))

    uncovered = preflight()
    backup = open_backup()
    held, plan = hold_snapshot(), plan_extracts()
    extracted = extract.partial(backup=backup).expand(unit=plan)
    sections = [describe_schema(backup, plan["snapshot"]), describe_edge_functions(backup)]
    document = assemble(backup, plan["snapshot"], sections)
    verdict = verify_backup(document, uncovered)
    recorded = record_backup(backup, plan["snapshot"], document, sections, verdict)

    uncovered >> backup >> [held, plan]
    [held, extracted] >> document
    recorded >> remove_staging(backup).as_teardown(setups=backup)
