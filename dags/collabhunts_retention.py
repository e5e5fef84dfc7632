"""### CollabHunts retention

Keeps the backups that the policy in `retention` of the settings names, and deletes the others: every day at 06:00 UTC,
and by hand. It says of each backup why it stays or goes. It never deletes the newest proven backup, the newest
verified one, a pinned one, one that is being restored, or anything that this package has not written.

The first run after unpausing is the next one at 06:00: time for a dry run by hand.

| task | what it does | what red means |
|---|---|---|
| `plan_expiry` | lists, decides, says why of each in its log; a dry run ends here | history or bucket out of reach |
| `expire` | marks the history row, tags the object, deletes it, checks that it is gone | the next run goes on |
| `lifecycle` | compares the bucket's own rules; applies ours with `apply_lifecycle` | bucket out of reach |
| `tidy` | removes rows of failed backups, old reports, leases and pins of nothing | history or bucket out of reach |

**Red means that backups pile up, not that one is lost**: nothing is deleted that cannot be marked in the history first.
A few days of it cost storage only. Do what the hint in the red task's log says, then clear the task or wait a day.

Look at the log of `lifecycle` for lines with DANGER, though it is green: a rule of the bucket that deletes backups by
age alone deletes the last good one too. In the log of `expire`, "is kept after all" names backups that are locked, or
that cannot be told to be ours: those need a human.

Connections: `collabhunts_db` (the history), `collabhunts_s3`. All rules and reasons: `docs/retention.md`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from include.disaster_recovery.runtime.wiring import TAGS, default_args, run_failed

HELP = {
    "dry_run": "Show what would become of each backup, and change nothing.",
    "apply_lifecycle": "Set our rules in the bucket's lifecycle configuration; its other rules stay as they are.",
}
PARAMS = {
    "dry_run": Param(False, HELP["dry_run"], type="boolean", title="Dry run"),
    "apply_lifecycle": Param(False, HELP["apply_lifecycle"], type="boolean", title="Apply the bucket's rules"),
}
Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import retention_tasks

    return retention_tasks


with DAG(
    dag_id="collabhunts_retention",
    # No start date and no delay: unpausing must not run it at once, somebody may want a dry run first. Not False, which
    # Airflow takes for "if the last 06:00 is less than a tenth of a day ago".
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC", run_immediately=timedelta(seconds=1)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    params=PARAMS,
    default_args=default_args(run_failed),
    on_failure_callback=run_failed,
    tags=[*TAGS, "retention"],
    doc_md=__doc__,
):

    @task(multiple_outputs=False)
    def plan_expiry() -> Json:
        return tasks().plan_expiry()

    # Also skips tidy below it: a dry run changes nothing.
    @task.run_if(lambda context: not context["params"]["dry_run"], skip_message="this is a dry run")
    @task(multiple_outputs=False, execution_timeout=timedelta(hours=6))
    def expire(plan: Json) -> Json:
        return tasks().expire(plan)

    @task(multiple_outputs=False)
    def lifecycle() -> Json:
        return tasks().lifecycle()

    @task(multiple_outputs=False)
    def tidy() -> dict[str, int]:
        return tasks().tidy()

    # Beside the others, as a rule that endangers backups is said each day; before tidy, which gives the all-clear.
    [expire(plan_expiry()), lifecycle()] >> tidy()
