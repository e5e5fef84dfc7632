"""What Airflow calls when a task or a run has failed."""

import logging
from collections.abc import Mapping
from typing import Any

from include.disaster_recovery.errors import DisasterRecoveryError
from include.disaster_recovery.history import catalog
from include.disaster_recovery.runtime.connections import source
from include.disaster_recovery.runtime.context import backup_type, triggered_by

log = logging.getLogger(__name__)

TIMED_OUT = "timed_out"  # the reason Airflow gives where dagrun_timeout has struck


def record_failure(context: Mapping[str, Any]) -> None:
    """Callback of failed tasks and failed runs: the run's history row says `failed`.

    The first error of a run is kept, but for a time-out of the run: that is the cause of whatever its tasks said.

    Runs in the task's process, or in the dag-processor for killed tasks and timed-out runs. The database may be what
    failed; then the log says so, and the next run closes the row.
    """
    dag_run = context["dag_run"]
    error = _one_line(context.get("exception") or _run_reason(context), context)
    try:
        with source() as connection:
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
    except Exception:
        log.exception("the failure of run %s could not be written to backup_history: %s", dag_run.run_id, error)
    else:
        log.error("backup run %s failed: %s", dag_run.run_id, error)


def log_failure(context: Mapping[str, Any]) -> None:
    """Callback of failed restores: one line in the log. The history holds backups, a restore leaves nothing in it."""
    error = _one_line(context.get("exception") or _run_reason(context), context)
    log.error("restore run %s failed: %s", context["dag_run"].run_id, error)


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
