"""### CollabHunts verify

Are the bytes of a backup still what was written? Only triggered by hand, at any time: nothing is written but the
backup's tags and its history row. The guide's *Verify* button.

| task | what it does | when it is red |
|---|---|---|
| `plan_verify` | which backups: a key, a file name, `latest`, `all` | no such key: the hint has the nearest |
| `verify` | one per backup: reads it, keeps the verdict | **that backup is damaged or gone** (see below) |
| `drill` | depth `restore`: runs `collabhunts_drill` on it and waits | the drill failed, see its own page |
| `summarize` | one line a backup in its log, whatever happened | |

| depth | what is read | what it finds |
|---|---|---|
| `full` | every byte | any changed bit: table and fragment are named |
| `quick` | size, manifest, metadata, the server's checksum | gone, cut short, longer, another document's bytes |
| `restore` | as `quick`, then a restore into a scratch database | besides, whatever keeps it from being restored |

Red with `VerificationFailed`: the backup is invalid or missing. Restore from another one, and follow
`docs/runbooks/verification-failed.md`. Red with any other error says nothing about the backup, which keeps the verdict
it had: the bucket was out of reach, or a newer version of this package has written the document. One damaged backup
does not stop the others. A skipped `verify`: the backup has expired meanwhile.

The verdict is in the log, in `components_backed_up.verification` of the backup's history row, and on the object in the
tags `verification`, `verified-at`, `verification-depth`, `verification-finding`. A quick look that finds nothing leaves
an earlier full verdict standing. `latest` is the newest backup whatever was found of it (for a restore: the newest
valid one); `all` is every backup of the bucket, and every success that this package has written into the history.
Connections: `collabhunts_s3`; `collabhunts_db` for the history, without which it works too.
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task, task_group

from include.disaster_recovery.runtime.wiring import TAGS, backup_key_param, default_args, run_failed

DEPTHS = {
    "full": "full: every byte",
    "quick": "quick: size, manifest, checksum",
    "restore": "restore: a drill into a scratch database",
}
HELP = {
    "backup_key": "A backup key, a bare file name, `latest` for the newest backup, or `all`.",
    "depth": "Full reads every byte; quick takes a second; restore runs a drill.",
}
PARAMS = {
    "backup_key": backup_key_param(HELP["backup_key"], examples=("latest", "all")),
    "depth": Param("full", HELP["depth"], type="string", title="Depth", enum=list(DEPTHS), values_display=DEPTHS),
}
# The file name; from the arguments, so that it shows while the task runs.
VERIFY_LABEL = "{{ task.op_kwargs['key'].rpartition('/')[2] }}"
DRILL_LABEL = "{{ task.conf['backup_key'].rpartition('/')[2] }}"
Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import verify_tasks

    return verify_tasks


with DAG(
    dag_id="collabhunts_verify",
    schedule=None,
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    params=PARAMS,
    default_args=default_args(run_failed),
    on_failure_callback=run_failed,
    tags=[*TAGS, "verify"],
    doc_md=__doc__,
):

    @task(retries=1)
    def plan_verify() -> list[str]:
        return tasks().plan_verify()

    @task(
        multiple_outputs=False,
        max_active_tis_per_dagrun=2,
        map_index_template=VERIFY_LABEL,
        execution_timeout=timedelta(hours=6),
    )
    def verify(key: str) -> Json:
        return tasks().verify(key)

    # A group, so that each drill waits for the verdict of its own backup only.
    @task_group(prefix_group_id=False)
    def each(key: str) -> None:
        drill = TriggerDagRunOperator(
            task_id="drill",
            trigger_dag_id="collabhunts_drill",
            conf={"backup_key": key},
            wait_for_completion=True,
            fail_when_dag_is_paused=True,
            poke_interval=5,
            deferrable=False,
            retries=0,  # a second drill would find the same
            max_active_tis_per_dagrun=1,
            map_index_template=DRILL_LABEL,
            execution_timeout=timedelta(hours=21),
            pre_execute=lambda context: tasks().skip_unless_restore(context),
        )
        verify(key=key) >> drill  # by name: the label and the alerts take it from op_kwargs

    @task(multiple_outputs=False)
    def summarize() -> Json:
        return tasks().summarize()

    # A teardown: what it says of the verdicts does not decide whether the run has failed.
    each.expand(key=plan_verify()) >> summarize().as_teardown()
