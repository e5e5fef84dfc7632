"""The tasks of `collabhunts_retention`: JSON in, one step, JSON out."""

import logging
from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context

from include.disaster_recovery.retention import ExpiryPlan
from include.disaster_recovery.runtime import alerts, context, metrics
from include.disaster_recovery.runtime.connections import settings, source, store
from include.disaster_recovery.steps.retention import bucket_rules, expiring, planning, tidying

log = logging.getLogger(__name__)

Json = dict[str, Any]
BACKUP_DAG, OWN_DAG = "collabhunts_backup", "collabhunts_retention"


def plan_expiry() -> Json:
    """Decide what becomes of each backup, and say why."""
    with source() as connection:
        plan = planning.plan_retention(connection, store(), settings(), context.now())
    planning.log_plan(plan, dry_run=_param("dry_run"))
    return plan.to_json()


def expire(plan: Json) -> Json:
    """Delete what the plan lets go."""
    with source() as connection:
        planned = ExpiryPlan.model_validate(plan)
        report = expiring.expire(connection, store(), settings(), planned, now=context.now())
    metrics.push({"ExpiredBackups": len(report.expired)})
    return report.to_json()


def lifecycle() -> Json:
    """Show how the bucket's own rules differ from the settings; apply ours if the run was asked to."""
    apply = _param("apply_lifecycle") and not _param("dry_run")
    return bucket_rules.check_rules(store(), settings(), apply=apply).to_json()


def tidy() -> dict[str, int]:
    """Remove what lies beside the backups; the last task: everything before it has succeeded."""
    ti = get_current_context()["ti"]
    with source() as connection:
        removed = tidying.tidy(connection, store(), settings(), is_active=_is_active(ti), now=context.now())
    alerts.all_clear("retention-failed", OWN_DAG, "backups expire by the policy again")
    return removed


def _is_active(ti: Any) -> Callable[[str], bool]:
    """Tells whether a run of the backup DAG is queued or at work, by its id."""

    def ask(run_id: str) -> bool:
        return bool(ti.get_dr_count(dag_id=BACKUP_DAG, run_ids=[run_id], states=["queued", "running"]))

    return ask


def _param(name: str) -> bool:
    return bool(get_current_context()["params"][name])
