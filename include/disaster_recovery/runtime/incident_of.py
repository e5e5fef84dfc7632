"""Which incident a failed task or run belongs to: its kind, what it is about, and the page in Airflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow.sdk.configuration import conf

from include.disaster_recovery.errors import RestoreRefused

KIND_OF_DAG = {
    "collabhunts_backup": "backup-failed",
    "collabhunts_verify": "verification-failed",
    "collabhunts_drill": "drill-failed",
    "collabhunts_restore": "restore-failed",
    "collabhunts_retention": "retention-failed",
    "collabhunts_watch": "watch-failed",
}
# Tasks that come after the backup is recorded: what they leave undone, a later run does.
HARMLESS = {"remove_staging", "watch_backup"}
# What their tasks have told already is about something else than the whole run.
TOLD_BY_TASKS = {"verification-failed", "watch-failed"}


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One incident for each kind and subject."""

    kind: str
    subject: str
    link: str | None


def incident_of(context: Mapping[str, Any], dag_id: str, run_id: str, *, timed_out: bool) -> Incident | None:
    """The incident of a failure callback's context; None where nobody need hear of it, or has heard already."""
    ours = next((name for name in KIND_OF_DAG if dag_id.startswith(name)), None)
    if ours is None:
        return None
    kind = KIND_OF_DAG[ours]
    if "reason" in context:  # of the run; its task instance is only the last one
        task_id, index = None, None
        if kind in TOLD_BY_TASKS and not timed_out:
            return None
    else:
        task_id, index = _task(context)
        if task_id in HARMLESS or (kind == "verification-failed" and _is_refused(context)):
            return None
    return Incident(
        kind=kind, subject=_subject(kind, ours, run_id, context), link=page_of(dag_id, run_id, task_id, index)
    )


def page_of(dag_id: str, run_id: str, task_id: str | None, map_index: int | None = None) -> str | None:
    """The page of a run, or of its task, in Airflow's UI; None where `[api] base_url` is not set."""
    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if not base:
        return None
    page = f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    if task_id is None:
        return page
    mapped = f"/mapped/{map_index}" if map_index is not None and map_index >= 0 else ""
    return f"{page}/tasks/{quote(task_id, safe='')}{mapped}"


def _task(context: Mapping[str, Any]) -> tuple[str | None, int | None]:
    ti = context.get("task_instance") or context.get("ti")
    return getattr(ti, "task_id", None), getattr(ti, "map_index", None)


def _is_refused(context: Mapping[str, Any]) -> bool:
    """Whether somebody has asked for what is not there: they read it on the spot, and no backup is in doubt."""
    return isinstance(context.get("exception"), RestoreRefused)


def _subject(kind: str, dag_id: str, run_id: str, context: Mapping[str, Any]) -> str:
    if kind == "restore-failed":
        params = context.get("params") or getattr(context.get("dag_run"), "conf", None) or {}
        return str(params.get("target_conn_id") or "collabhunts_restore_db")
    if kind == "verification-failed":
        arguments = getattr(context.get("task"), "op_kwargs", None) if "reason" not in context else None
        key = arguments.get("key") if isinstance(arguments, Mapping) else None
        return str(key or run_id)  # a run that failed as a whole is nobody's to clear: each is told
    return dag_id
