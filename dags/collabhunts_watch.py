"""### CollabHunts watch

Looks every hour whether there is a recent backup, and a recent drill that has proven one. It asks the bucket, so that
it also notices backups that never ran, ran elsewhere, or were deleted; the history helps out where the bucket has no
verdicts.

| task | what it does | when it fails |
|---|---|---|
| `watch_age` | age of the newest verified and of the newest proven backup: alerts, all-clears, metrics | see below |

**Red means: the newest verified backup is older than `watch.late_hours`, or nobody knows**, because neither bucket nor
history can be read. The last lines of the task's log say which. It is green again by itself once there is a backup.
What to do: `docs/runbooks/backup-late.md`. A drill that is late only raises the alarm; red is kept for the backup.

A bucket that was empty when it was first looked at is late only after `watch.late_hours`. Pause this DAG where the
backup DAG is paused on purpose. It cannot tell that Airflow itself stands still: an alarm on the missing metric
`BackupAgeSeconds` can, see `docs/alerts.md`. Connections: `collabhunts_s3`, `collabhunts_db`.
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable, task

from include.disaster_recovery.runtime.wiring import TAGS, default_args, run_failed

Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import watch_tasks

    return watch_tasks


with DAG(
    dag_id="collabhunts_watch",
    schedule=CronTriggerTimetable("20 * * * *", timezone="UTC"),
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=50),
    default_args=default_args(run_failed),
    on_failure_callback=run_failed,
    tags=[*TAGS, "watch"],
    doc_md=__doc__,
):

    @task(multiple_outputs=False, execution_timeout=timedelta(minutes=10))
    def watch_age() -> Json:
        return tasks().watch_age()

    watch_age()
