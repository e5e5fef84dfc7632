"""### CollabHunts backup

Takes one consistent, complete and verified backup of the CollabHunts database every day at 00:00 UTC:
one JSON document `s3://collabhunts-backups/backups/collabhunts-backup-{timestamp}.json` with all rows of all tables,
the schema and the edge functions. Triggering it by hand is fine at any time; only one run is active at once.

| task | what it does | when it fails |
|---|---|---|
| `preflight` | checks database, role, `pg_dump`, bucket, slots | every failed check is listed with its hint |
| `open_backup` | fixes the key, writes the `in_progress` row, closes rows of killed runs | |
| `hold_snapshot` | keeps one transaction open: one moment for all | the run fails |
| `start_again` | if the snapshot was lost: one fresh run by itself (else skipped) | trigger it yourself |
| `plan_extracts` | cuts large tables into fragments | |
| `extract` | one per fragment, in parallel, into `staging/` | retried in the same snapshot |
| `describe_schema`, `describe_edge_functions` | schema from the catalogs and `pg_dump`; `supabase/` folder | |
| `assemble` | composes the document on the S3 server's side, never over an existing one | |
| `verify_backup` | reads every stored byte back: hashes, row counts, JSON | the document is kept, marked invalid |
| `record_backup` | `success` in `public.backup_history`; asset event | |
| `watch_backup` | compares size, rows, duration, schema with earlier backups; alerts | never fails the run |
| `remove_staging` | empties `staging/` of this run, whatever happened | the next run does it after a day |

Nothing is a backup until `record_backup` is green. Connections: `collabhunts_db`, `collabhunts_s3`.
Settings: `include/config/collabhunts.yaml`. **Red means that there is no backup of this run**: it leaves a `failed` row
with the reason and the next action, and raises an alert (`docs/alerts.md`); see `docs/runbooks/backup-failed.md`.
A run that has not ended after three hours raises an alert too: `docs/runbooks/backup-late.md`.
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, CronTriggerTimetable, task
from airflow.sdk import get_current_context as context

from include.disaster_recovery.runtime.wiring import BACKUPS, SOURCE_POOL, TAGS, backup_failed, default_args, late_after

# `messages`, or `messages [2/4]`; from the arguments, so that it shows while the task runs.
UNIT_LABEL = (
    "{% set unit = task.op_kwargs['unit'] %}{{ unit['table']['name_in_document'] }}"
    "{% if unit['parts'] > 1 %} [{{ unit['part'] }}/{{ unit['parts'] }}]{% endif %}"
)
# As runtime.context reads it: the fresh attempt is of the type of the first.
FRESH_ATTEMPT = {
    "fresh_attempt_of": "{{ run_id }}",
    "backup_type": "{{ 'scheduled' if dag_run.run_type == 'scheduled' else 'manual' }}",
}
Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import backup_tasks

    return backup_tasks


with DAG(
    dag_id="collabhunts_backup",
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    deadline=late_after(timedelta(hours=3)),
    default_args={**default_args(backup_failed), "pool": SOURCE_POOL},
    on_failure_callback=backup_failed,
    tags=[*TAGS, "backup"],
    doc_md=__doc__,
):

    @task(retries=1)
    def preflight() -> list[str]:
        return tasks().preflight()

    @task(multiple_outputs=False)
    def open_backup() -> Json:
        return tasks().open_backup()

    # Started before plan_extracts, which waits for it. No retry: a second snapshot would be another moment.
    @task(multiple_outputs=False, retries=0, priority_weight=100, execution_timeout=timedelta(hours=18))
    def hold_snapshot() -> Json:
        return tasks().hold_snapshot()

    @task(priority_weight=50)
    def plan_extracts() -> list[Json]:
        return tasks().plan_extracts()

    @task(
        multiple_outputs=False,
        max_active_tis_per_dagrun=4,
        map_index_template=UNIT_LABEL,
        execution_timeout=timedelta(hours=12),
    )
    def extract(backup: Json, unit: Json) -> Json:
        return tasks().extract(backup, unit)

    @task(multiple_outputs=False, pool_slots=2)  # its own session and that of pg_dump
    def describe_schema(backup: Json, snapshot: Json) -> Json:
        return tasks().describe_schema(backup, snapshot)

    @task(multiple_outputs=False)
    def describe_edge_functions(backup: Json) -> Json:
        return tasks().describe_edge_functions(backup)

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def assemble(backup: Json, snapshot: Json, sections: list[Json]) -> Json:
        return tasks().assemble(backup, snapshot, sections)

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def verify_backup(document: Json, uncovered: list[str]) -> Json:
        return tasks().verify_backup(document, uncovered)

    @task(multiple_outputs=False, outlets=[BACKUPS])
    def record_backup(backup: Json, snapshot: Json, document: Json, sections: list[Json], verdict: Json) -> Json:
        recorded = tasks().record_backup(backup, snapshot, document, sections, verdict)
        context()["outlet_events"][BACKUPS].extra = recorded
        return recorded

    @task(multiple_outputs=False, execution_timeout=timedelta(minutes=10))
    def watch_backup(recorded: Json, uncovered: list[str]) -> Json:
        from include.disaster_recovery.runtime import watch_tasks

        return watch_tasks.watch_backup(recorded, uncovered)

    @task
    def remove_staging(backup: Json) -> int:
        return tasks().remove_staging(backup)

    uncovered, backup = preflight(), open_backup()
    held, units = hold_snapshot(), plan_extracts()
    snapshot = units["snapshot"]
    extracted = extract.partial(backup=backup).expand(unit=units)
    sections = [describe_schema(backup, snapshot), describe_edge_functions(backup)]
    document = assemble(backup, snapshot, sections)
    verdict = verify_backup(document, uncovered)
    recorded = record_backup(backup, snapshot, document, sections, verdict)

    start_again = TriggerDagRunOperator(
        task_id="start_again",
        trigger_dag_id="collabhunts_backup",
        conf=FRESH_ATTEMPT,
        trigger_rule="one_failed",
        retries=1,
        pre_execute=lambda context: tasks().skip_unless_snapshot_lost(context),
    )

    uncovered >> backup >> [held, units]
    held >> start_again
    [held, extracted] >> document
    watch_backup(recorded, uncovered)
    recorded >> remove_staging(backup).as_teardown(setups=backup)
