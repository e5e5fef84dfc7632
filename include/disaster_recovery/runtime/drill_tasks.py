"""The tasks of `collabhunts_drill`: the restore's own tasks in a scratch database, each measured, and a verdict."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.disaster_recovery.drill_model import Failure, OpenedDrill, Phase
from include.disaster_recovery.errors import DisasterRecoveryError, DrillFailed
from include.disaster_recovery.postgres import scratch
from include.disaster_recovery.restore_model import LoadUnit, RestorePlan, RestoreReport
from include.disaster_recovery.runtime import alerts, context, restore_tasks
from include.disaster_recovery.runtime.connections import DRILL, settings, source, store, target, target_text
from include.disaster_recovery.steps.drill import cleaning, opening, proving

log = logging.getLogger(__name__)

Json = dict[str, Any]
PLAN, COMPARE = "plan_drill", "compare"
TASKS = (PLAN, "rebuild_schema", "load", "check_staging", "apply", COMPARE)


class _Meter:
    """What a phase has moved, told while it runs."""

    bytes: int | None = None


@contextmanager
def _measured(phase: str) -> Iterator[_Meter]:
    """Push when a phase began and ended, or how it failed: `prove` has no other way to know."""
    meter, started_at, ti = _Meter(), context.now(), get_current_context()["ti"]
    try:
        yield meter
    except DisasterRecoveryError as error:
        failure = Failure(phase=phase, kind=type(error).__name__, fact=error.fact, hint=error.hint)
        ti.xcom_push(key="failure", value=failure.to_json())
        raise
    finally:
        measured = Phase(name=phase, started_at=started_at, ended_at=context.now(), bytes=meter.bytes)
        ti.xcom_push(key="phase", value=measured.to_json())


def plan_drill() -> list[Json]:
    """Open the drill; returns one unit a fragment, and pushes the plan that all further tasks go by.

    Raises:
        AirflowSkipException: no drill is due.
    """
    airflow, now = get_current_context(), context.now()
    ti, by_hand = airflow["ti"], context.is_by_hand(airflow["dag_run"])
    choice = opening.choose_backup(store(), settings(), airflow["params"]["backup_key"], by_hand=by_hand, now=now)
    if choice.reason:
        log.info("no drill: %s", choice.reason)  # Airflow's own line does not show the reason
        raise AirflowSkipException(choice.reason)
    drill = _opened(choice.backup.key, choice.backup.size, now)
    ti.xcom_push(key="drill", value=drill.to_json())
    with _measured("plan") as meter:
        with target(DRILL) as connection:
            meter.bytes = opening.open_scratch(
                connection, store(), settings(), drill, conn_id=DRILL, is_active=context.is_running(ti)
            )
        with target(DRILL, drill.database) as connection:
            plan, units = opening.plan_drill(
                connection,
                store(),
                settings(),
                drill,
                conn_id=DRILL,
                triggered_by=context.triggered_by(airflow["dag_run"]),
                is_active=context.is_running(ti),
                most_units=context.most_mapped(),
            )
    ti.xcom_push(key="plan", value=plan.to_json())
    return [unit.to_json() for unit in units]


def _opened(key: str, size: int, now: datetime) -> OpenedDrill:
    database = scratch.scratch_name(now)
    return OpenedDrill(
        run_id=get_current_context()["dag_run"].run_id,
        key=key,
        size=size,
        database=database,
        target=target_text(DRILL, database),
        started_at=now,
    )


def rebuild_schema(plan: Json) -> Json:
    """Create what the tables need, and the tables."""
    with _measured("rebuild") as meter:
        planned = get_current_context()["ti"].xcom_pull(task_ids=PLAN, key="phase")
        meter.bytes = Phase.model_validate(planned).bytes  # both read the schema section
        return restore_tasks.rebuild_schema(plan)


def load(plan: Json, unit: Json) -> Json:
    """Load one fragment."""
    with _measured("load") as meter:
        meter.bytes = LoadUnit.model_validate(unit).fragment.length
        return restore_tasks.load(plan, unit)


def check_staging(plan: Json) -> list[Json]:
    """Hold what was loaded against the manifest."""
    with _measured("check"):
        return restore_tasks.check_staging(plan)


def apply(plan: Json) -> list[Json]:
    """Finish the schema: every index is built, every foreign key validated, sequences move."""
    with _measured("apply"):
        return restore_tasks.apply(plan, [])


def compare(plan: Json, staged: Iterable[Json], applied: Iterable[Json]) -> Json:
    """Hold the scratch database against the backup. What differs is for `prove` to say, when it is recorded."""
    with _measured("compare") as meter:
        report = restore_tasks.compared(plan, staged, applied)
        with restore_tasks.session(RestorePlan.model_validate(plan)) as connection:
            meter.bytes = scratch.size(connection)
    get_current_context()["ti"].xcom_push(key="compared", value=report.to_json())
    return restore_tasks.counted(report)


def prove() -> Json:
    """The verdict, whatever became of the steps; recorded before it makes the run red.

    Raises:
        AirflowSkipException: no drill was due.
        ComparisonFailed, DrillFailed: the backup is not proven.
    """
    ti = get_current_context()["ti"]
    if _is_held_back(ti):
        raise AirflowSkipException("no drill was due")
    opened, compared = ti.xcom_pull(task_ids=PLAN, key="drill"), ti.xcom_pull(task_ids=COMPARE, key="compared")
    if opened is None:
        raise DrillFailed("the drill has not begun", hint="see the log of plan_drill")
    verdict = proving.prove(
        store(),
        settings().s3.prefix,
        OpenedDrill.model_validate(opened),
        phases=[Phase.model_validate(each) for each in _pulled(ti, "phase")],
        compared=RestoreReport.model_validate(compared).checks if compared else None,
        failures=[Failure.model_validate(each) for each in _pulled(ti, "failure")],
        server=lambda: target(DRILL),
        source=source,
    )
    ti.xcom_push(key="report", value=verdict.to_json())
    proving.require_proven(verdict)
    alerts.all_clear("drill-failed", "collabhunts_drill", f"{verdict.key} is proven, in {verdict.seconds:.1f} s")
    return {"key": verdict.key, "state": verdict.state, "seconds": verdict.seconds, "bytes": verdict.bytes}


def drop_scratch() -> None:
    """Remove what this run has left on the drill server, whatever became of it."""
    airflow = get_current_context()
    ti = airflow["ti"]
    if _is_held_back(ti):
        log.info("no drill was due: there is nothing to remove")
        return
    with target(DRILL) as connection:
        cleaning.drop_scratch(connection, store(), settings().s3.prefix, ti.run_id, context.is_running(ti))


def _is_held_back(ti: Any) -> bool:
    return context.task_states(ti, [PLAN])().get(PLAN) == "skipped"


def _pulled(ti: Any, key: str) -> list[Json]:
    """What the tasks have pushed, in their order; a mapped one gives a list."""
    values = [ti.xcom_pull(task_ids=task_id, key=key) for task_id in TASKS]
    return [each for value in values for each in (value if isinstance(value, list) else [value]) if each]
