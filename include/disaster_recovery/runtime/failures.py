"""What Airflow calls when a task or a run has failed."""

import logging
from collections.abc import Mapping
from typing import Any

from include.disaster_recovery.errors import BackupLate, DisasterRecoveryError
from include.disaster_recovery.history import catalog
from include.disaster_recovery.history.rows import read_rows
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.runtime import metrics
from include.disaster_recovery.runtime.alerts import raise_alert
from include.disaster_recovery.runtime.connections import source
from include.disaster_recovery.runtime.context import backup_type, triggered_by
from include.disaster_recovery.runtime.incident_of import incident_of, page_of

log = logging.getLogger(__name__)

BACKUP_DAG, RUN = "collabhunts_backup", "run of collabhunts_backup"
TIMED_OUT = "timed_out"  # the reason Airflow gives where dagrun_timeout has struck
ENDED = {"success", "failed"}
RECENT = 20  # successes that are looked through


def record_failure(context: Mapping[str, Any]) -> None:
    """Callback of failed tasks and failed runs of the backup: the run's history row says `failed`, the alarm is raised.

    The first error of a run is kept, but for a time-out of the run: that is the cause of whatever its tasks said.

    Runs in the task's process, or in the dag-processor for killed tasks and timed-out runs. The database may be what
    failed; then the log says so, and the next run closes the row. No alarm where there is a backup all the same: of
    the run, whose last tasks failed, or of a later one, as the dag-processor may come late.
    """
    dag_run, standing = context["dag_run"], None
    error = _one_line(context.get("exception") or _run_reason(context), context)
    try:
        with source() as connection:
            catalog.ensure_table(connection)  # the very first backup may fail before it has made it
            closed = catalog.close_failed(connection, dag_run.run_id, error)
            if not closed and context.get("reason") == TIMED_OUT:
                catalog.explain_failed(connection, dag_run.run_id, error)
            if not closed:
                catalog.record_unopened(
                    connection,
                    run_id=dag_run.run_id,
                    backup_type=backup_type(dag_run),
                    triggered_by=triggered_by(dag_run),
                    error=error,
                )
            standing = _standing(connection, dag_run)
    except Exception:
        log.exception("the failure of run %s could not be written to backup_history: %s", dag_run.run_id, error)
    else:
        log.error("backup run %s failed: %s", dag_run.run_id, error)
    if standing is not None:
        log.warning("nobody is told of it: the backup %s is recorded", standing)
    elif _alert(context, error):
        metrics.push({"BackupSucceeded": 0})


def _standing(connection: Connection, dag_run: Any) -> str | None:
    """A recorded backup of the run itself, or of one that began after it; None where there is none."""
    began = getattr(dag_run, "start_date", None)
    for row in read_rows(connection, status="success", most=RECENT):
        is_later = row.run_id is not None and began is not None and row.created_at > began
        if row.run_id == dag_run.run_id or is_later:
            return row.file_name
    return None


def log_failure(context: Mapping[str, Any]) -> None:
    """Callback of all other DAGs: one line in the log, and the alarm. The history holds backups, not their runs."""
    error = _one_line(context.get("exception") or _run_reason(context), context)
    log.error("run %s of %s failed: %s", _run_id(context), _dag_id(context), error)
    _alert(context, error)


def deadline_missed(context: Mapping[str, Any]) -> None:
    """Callback of the backup's deadline: its run is still at work, or still waiting.

    Airflow keeps the deadlines of runs that have failed, and calls for them too: those were told when they failed.
    """
    run, run_id = context.get("dag_run"), _run_id(context)
    if isinstance(run, Mapping) and run.get("state") in ENDED:
        log.info("run %s has ended before its deadline", run_id)
        return
    fact = f"the run {run_id} has not ended in the time it should take"
    raise_alert("backup-late", RUN, fact, link=page_of(BACKUP_DAG, run_id, None))


def _alert(context: Mapping[str, Any], error: str) -> bool:
    """Raise the alarm of a failure, if it is one that people should hear of; whether it was."""
    if isinstance(context.get("exception"), BackupLate):  # the watch has told what it has found before it failed of it
        return False
    found = incident_of(context, _dag_id(context), _run_id(context), timed_out=context.get("reason") == TIMED_OUT)
    if found is None:
        return False
    raise_alert(found.kind, found.subject, f"run {_run_id(context)}: {error}", link=found.link)
    return True


def _dag_id(context: Mapping[str, Any]) -> str:
    return str(getattr(context.get("dag_run"), "dag_id", None) or getattr(context.get("dag"), "dag_id", "unknown"))


def _run_id(context: Mapping[str, Any]) -> str:
    """A deadline's context has the run as a mapping, and a run without tasks only its id."""
    run = context.get("dag_run")
    found = run.get("dag_run_id") or run.get("run_id") if isinstance(run, Mapping) else getattr(run, "run_id", None)
    return str(found or context.get("run_id") or "unknown")


def _one_line(error: object, context: Mapping[str, Any]) -> str:
    """`task: fact; hint: …`. Errors that are not ours are named by type only: their text may quote rows."""
    ti = context.get("task_instance") or context.get("ti")
    where = f"{ti.task_id}: " if ti is not None and context.get("exception") else ""
    if isinstance(error, DisasterRecoveryError):
        return f"{where}{error.fact}; hint: {error.hint}"
    if isinstance(error, BaseException):
        return f"{where}{type(error).__name__}; hint: see the task's log in Airflow"
    return f"{where}{error}; hint: see the run's tasks in Airflow, then trigger it again"


def _run_reason(context: Mapping[str, Any]) -> str:
    reason = str(context.get("reason") or "failed")
    return {TIMED_OUT: "the run exceeded its dagrun_timeout", "task_failure": "a task failed or was killed"}.get(
        reason, reason
    )
