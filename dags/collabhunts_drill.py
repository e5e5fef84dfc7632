"""### CollabHunts drill

Restores the newest verified backup into a scratch database, compares it with what the backup says, drops it again.
It runs after each backup, as often as `drill.every` says and for documents up to `drill.max_bytes`; triggered by hand
it always runs. The same steps as `collabhunts_restore`: what holds here holds in an emergency.

| task | what it does | when it fails |
|---|---|---|
| `plan_drill` | is it due (else all is skipped); makes the scratch database | its log names what is missing |
| `rebuild_schema` | roles, types, functions, tables of the backup | it is undone |
| `load` | one per fragment, in parallel | retried; damaged bytes are named |
| `check_staging` | counts and digests equal the manifest | the backup is damaged |
| `apply` | indexes, keys, triggers, policies; every foreign key is validated | rows and schema contradict each other |
| `compare` | rows, schema, rights, sequences, row-level security against the backup | the drill server failed |
| `prove` | the verdict: report beside the backup, tag of the object, history row, XCom `report` | **see below** |
| `drop_scratch` | drops the scratch database, whatever happened | the next drill does it |

**Red means** that the newest backup is not proven, not that production is in danger. Read the log of `prove`:
- *is not what it says* or *cannot be restored*: the backup itself is at fault, and is marked `drill: failed`. Every
  check that failed is named. Restore from an older backup until this is understood, and keep that one.
- *says nothing of the backup*: the drill server or the bucket stood in the way. Mend that, trigger the drill again.

What to do, step by step: `docs/runbooks/drill-failed.md`. Green: `prove` has logged *is proven: recovered in … s*.
Skipped: no drill was due; the log of `plan_drill` says why.
Connections: `collabhunts_drill_db` (its role has CREATEDB, or is superuser), `collabhunts_s3`,
and `collabhunts_db` for the history (may be out of reach).
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from include.disaster_recovery.runtime.wiring import (
    BACKUPS,
    LOAD_LABEL,
    TAGS,
    backup_key_param,
    default_args,
    run_failed,
)

HELP = "A backup key, a bare file name, or `latest` for the newest verified backup."
Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import drill_tasks

    return drill_tasks


with DAG(
    dag_id="collabhunts_drill",
    schedule=[BACKUPS],
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    params={"backup_key": backup_key_param(HELP)},
    default_args=default_args(run_failed),
    on_failure_callback=run_failed,
    tags=[*TAGS, "drill"],
    doc_md=__doc__,
):

    @task(retries=1)
    def plan_drill() -> list[Json]:
        return tasks().plan_drill()

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=1))
    def rebuild_schema(plan: Json) -> Json:
        return tasks().rebuild_schema(plan)

    @task(
        multiple_outputs=False,
        max_active_tis_per_dagrun=4,
        map_index_template=LOAD_LABEL,
        execution_timeout=timedelta(hours=12),
    )
    def load(plan: Json, unit: Json) -> Json:
        return tasks().load(plan, unit)

    # A backup without a fragment has nothing to load; where no drill is due, plan_drill is skipped too.
    @task(execution_timeout=timedelta(hours=6), trigger_rule="none_failed_min_one_success")
    def check_staging(plan: Json) -> list[Json]:
        return tasks().check_staging(plan)

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=12))
    def apply(plan: Json) -> list[Json]:
        return tasks().apply(plan)

    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def compare(plan: Json, staged: list[Json], applied: list[Json]) -> Json:
        return tasks().compare(plan, staged, applied)

    # Whatever became of the steps: a backup that could not be restored must say so, and the run must be red.
    @task(multiple_outputs=False, trigger_rule="all_done")
    def prove() -> Json:
        return tasks().prove()

    @task(execution_timeout=timedelta(hours=1))
    def drop_scratch() -> None:
        tasks().drop_scratch()

    units = plan_drill()
    plan = units["plan"]
    rebuilt = rebuild_schema(plan)
    loaded = load.partial(plan=plan).expand(unit=units)
    staged, applied = check_staging(plan), apply(plan)
    compared, proven = compare(plan, staged, applied), prove()

    rebuilt >> loaded >> staged >> applied >> compared
    [units, rebuilt, loaded, staged, applied, compared] >> proven
    # Without a setup: Airflow has every task below one wait for all_success, and skipped tasks are ordinary here.
    [units, rebuilt, loaded, compared, proven] >> drop_scratch().as_teardown()
