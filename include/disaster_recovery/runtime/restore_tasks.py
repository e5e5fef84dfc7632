"""The tasks of `collabhunts_restore`: JSON in, one step of the restore, JSON out (XCom carries JSON, never a row)."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import ValidationError

from include.disaster_recovery.errors import RestoreRefused, StoreRefused
from include.disaster_recovery.postgres.restore import ledger
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import (
    LoadUnit,
    Outcome,
    RestorePlan,
    RestoreReport,
    RestoreRequest,
    StagedTable,
    TableDiff,
)
from include.disaster_recovery.runtime import approval, context
from include.disaster_recovery.runtime.alerts import all_clear
from include.disaster_recovery.runtime.connections import is_source, settings, store, target, target_text
from include.disaster_recovery.steps.restore import (
    applying,
    checking,
    cleaning,
    comparing,
    diffing,
    loading,
    planning,
    rebuilding,
)

log = logging.getLogger(__name__)

Json = dict[str, Any]
OUTCOMES: tuple[Outcome, ...] = ("passed", "skipped", "failed")
APPROVE, BACK_UP = "approve", "back_up_target"


def plan_restore() -> list[Json]:
    """Open the restore; returns one unit a fragment, and pushes the plan that all further tasks go by."""
    airflow = get_current_context()
    ti, dag_run, request = airflow["ti"], airflow["dag_run"], _request(airflow["params"])
    with target(request.target_conn_id) as connection:
        plan, units = planning.plan_restore(
            connection,
            store(),
            settings(),
            request,
            run_id=dag_run.run_id,
            triggered_by=context.triggered_by(dag_run),
            target_name=target_text(request.target_conn_id),
            target_is_source=is_source(connection, request.target_conn_id),
            is_active=context.is_running(ti),
            most_units=context.most_mapped(),
            now=context.now(),
        )
    ti.xcom_push(key="plan", value=plan.to_json())
    return [unit.to_json() for unit in units]


def rebuild_schema(plan: Json) -> Json:
    """Create what the tables need, and the tables. A dry run does it as well, and rolls it back."""
    planned = RestorePlan.model_validate(plan)
    rebuild = rebuilding.rehearse_schema if planned.run.request.dry_run else rebuilding.rebuild_schema
    with session(planned) as connection:
        return rebuild(connection, store(), planned).to_json()


def load(plan: Json, unit: Json) -> Json:
    """Load one fragment."""
    planned = RestorePlan.model_validate(plan)
    with session(planned) as connection:
        return loading.load(connection, store(), planned, LoadUnit.model_validate(unit)).to_json()


def check_staging(plan: Json) -> list[Json]:
    """Hold what was loaded against the manifest."""
    planned = RestorePlan.model_validate(plan)
    with session(planned) as connection:
        return [table.to_json() for table in checking.check_staging(connection, planned)]


def diff(plan: Json) -> list[Json]:
    """Count what would change; pushes how an approver is asked."""
    planned, ti = RestorePlan.model_validate(plan), get_current_context()["ti"]
    with session(planned) as connection:
        diffs = diffing.diff(connection, planned)
    ti.xcom_push(key="subject", value=approval.subject(planned))
    ti.xcom_push(key="body", value=approval.body(planned, diffs))
    return [each.to_json() for each in diffs]


def choose(plan: Json) -> str | None:
    """The task to go on with; None ends the run here."""
    planned = RestorePlan.model_validate(plan)
    if planned.run.request.dry_run:
        log.info("dry run: the differences are in the log of diff, the target is not changed")
        return None
    return APPROVE if approval.is_needed(planned) else BACK_UP


def skip_unless_backup_needed(airflow: Mapping[str, Any]) -> None:
    """Skip the backup of a target that is not the source, or has nothing to lose.

    An empty source must not be backed up: that backup would be the `latest`.

    Raises:
        AirflowSkipException: no backup is needed.
    """
    plan = RestorePlan.model_validate(airflow["ti"].xcom_pull(task_ids="plan_restore", key="plan"))
    if not plan.run.target_is_source:
        raise AirflowSkipException("the target is not the source database")
    if approval.is_nothing_to_lose(plan):
        raise AirflowSkipException("every table to restore is empty: there is nothing to back up")
    log.info("backing up the source database first; to repeat this restore later, give the key %s", plan.run.key)


def apply(plan: Json, diffed: Iterable[Json]) -> list[Json]:
    """Apply in one transaction. Where approval was needed, only the differences that were approved."""
    planned = RestorePlan.model_validate(plan)
    approved = [TableDiff.model_validate(each) for each in diffed] if approval.is_needed(planned) else None
    if approved is not None:
        log.info("approved by %s", _approver())
    with session(planned) as connection:
        return [each.to_json() for each in applying.apply(connection, store(), planned, approved)]


def compare(plan: Json, staged: Iterable[Json], applied: Iterable[Json]) -> Json:
    """Prove that the target is what the backup says; the report is kept whatever it says.

    Raises:
        ComparisonFailed: it is not.
    """
    report = compared(plan, staged, applied, approved_by=_approver())
    get_current_context()["ti"].xcom_push(key="report", value=report.to_json())
    _keep(report)
    comparing.require_equal(report)
    all_clear("restore-failed", report.run.request.target_conn_id, f"{report.run.key} is restored and compared")
    return counted(report)


def compared(
    plan: Json, staged: Iterable[Json], applied: Iterable[Json], *, approved_by: str | None = None
) -> RestoreReport:
    """Hold the target against the backup, whatever comes out."""
    planned = RestorePlan.model_validate(plan)
    with session(planned) as connection:
        return comparing.compare(
            connection,
            store(),
            planned,
            [StagedTable.model_validate(each) for each in staged],
            [TableDiff.model_validate(each) for each in applied],
            approved_by=approved_by,
            skipped_objects=ledger.skipped(connection, planned.run.staging_schema),
            started_at=planned.run.opened_at,
            now=context.now,
        )


def counted(report: RestoreReport) -> Json:
    """How many checks have each outcome."""
    return {outcome: len(report.subjects(outcome)) for outcome in OUTCOMES}


def _keep(report: RestoreReport) -> None:
    """Keep the report in the bucket; a key that may only read leaves it to XCom."""
    try:
        log.info("the report is kept as %s", comparing.write_report(store(), settings().s3.prefix, report))
    except StoreRefused as error:
        log.warning("the report is in XCom only: %s", error.fact)


def cleanup() -> None:
    """Remove what this run has left in the target; nothing where it was never opened."""
    plan = get_current_context()["ti"].xcom_pull(task_ids="plan_restore", key="plan")
    if plan is None:
        log.info("the restore was never opened: there is nothing to remove")
        return
    planned = RestorePlan.model_validate(plan)
    with session(planned) as connection:
        cleaning.clean_up(connection, store(), settings(), planned.run)


def _request(params: Mapping[str, Any]) -> RestoreRequest:
    try:
        return RestoreRequest.model_validate({name: params[name] for name in RestoreRequest.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        raise RestoreRefused(
            f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}",
            hint="trigger the restore again with another value",
        ) from None


def session(plan: RestorePlan) -> Connection:
    """A session on the target of a plan: in a drill, its scratch database."""
    return target(plan.run.request.target_conn_id, plan.run.database)


def _approver() -> str | None:
    return context.approver(get_current_context()["ti"], APPROVE)
