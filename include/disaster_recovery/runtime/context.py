"""What a task may know of the run around it, as plain values and functions."""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from airflow.sdk.configuration import conf

from include.disaster_recovery.errors import PreflightFailed, RestoreRefused
from include.disaster_recovery.model import BackupType, Snapshot
from include.disaster_recovery.steps.backup.holding import TaskStates


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(timezone.utc)


ATTEMPT_OF, ATTEMPT_TYPE = "fresh_attempt_of", "backup_type"  # in the conf of a run that another one has started


def backup_type(dag_run: Any) -> BackupType:
    """`manual` for a run that somebody, or a restore, triggered; else `scheduled`. A fresh attempt is as the first."""
    conf = dag_run.conf or {}
    if conf.get(ATTEMPT_OF):
        return "scheduled" if conf.get(ATTEMPT_TYPE) == "scheduled" else "manual"
    return "manual" if is_by_hand(dag_run) else "scheduled"


def is_by_hand(dag_run: Any) -> bool:
    """Whether somebody, or another DAG, has triggered the run."""
    kind = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    return kind in {"manual", "operator_triggered"}


def triggered_by(dag_run: Any) -> str | None:
    """Who triggered the run, where Airflow knows."""
    name = getattr(dag_run, "triggering_user_name", None)
    return str(name) if name else None


def is_running(ti: Any) -> Callable[[str], bool]:
    """Tells whether another run of this DAG is at work, by its run id; False for one that Airflow does not know."""

    def ask(run_id: str) -> bool:
        if run_id == ti.run_id:
            return False  # an earlier try of this run; the lock on the target tells whether it is still alive
        return bool(ti.get_dr_count(dag_id=ti.dag_id, run_ids=[run_id], states=["running"]))

    return ask


def approver(ti: Any, task_id: str) -> str | None:
    """Who approved, as Airflow knows them; None where nobody was asked, or the task was marked as success by hand.

    Raises:
        RestoreRefused: the answer was a rejection.
    """
    answer = ti.xcom_pull(task_ids=task_id)
    if answer is None:
        return None
    if "Approve" not in answer["chosen_options"]:
        raise RestoreRefused("the restore was rejected", hint="trigger it again to be asked again")
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown")


def published_snapshot(ti: Any, task_id: str) -> Callable[[], Snapshot | None]:
    """Looks up what the holder has published; None until it has."""

    def look() -> Snapshot | None:
        value = ti.xcom_pull(task_ids=task_id, key="snapshot")
        return None if value is None else Snapshot.model_validate(value)

    return look


def task_states(ti: Any, task_ids: list[str]) -> Callable[[], TaskStates]:
    """Looks up the states of tasks of this run, mapped ones one by one."""

    def look() -> TaskStates:
        found: TaskStates = ti.get_task_states(dag_id=ti.dag_id, task_ids=task_ids, run_ids=[ti.run_id]).get(
            ti.run_id, {}
        )
        return found

    return look


def most_mapped() -> int:
    """How many tasks Airflow makes of one mapped task."""
    return int(conf.getint("core", "max_map_length"))


def require_two_slots() -> None:
    """Refuse where tasks run one after the other: the snapshot's holder would wait for readers that never start.

    Raises:
        PreflightFailed: under the sequential `airflow dags test`, or with `[core] parallelism` 1.
    """
    from airflow.sdk.execution_time import task_runner

    if "InProcess" in type(task_runner.SUPERVISOR_COMMS).__name__:
        raise PreflightFailed(
            "`airflow dags test` runs tasks one after the other, the held snapshot needs two at once",
            hint="trigger the DAG under a scheduler, or add --use-executor",
        )
    parallelism = conf.getint("core", "parallelism")
    if parallelism == 1:
        raise PreflightFailed(
            "[core] parallelism is 1, the held snapshot needs two tasks at once", hint="set it to 2 or more"
        )
