"""The tasks of `collabhunts_backup`: JSON in, one step of the backup, JSON out (XCom carries JSON)."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.disaster_recovery.errors import SnapshotStarved
from include.disaster_recovery.model import (
    AssembledDocument,
    BackupRun,
    ExtractUnit,
    Snapshot,
    StagedFragment,
    StagedSection,
    Verdict,
)
from include.disaster_recovery.runtime import context
from include.disaster_recovery.runtime.connections import settings, source, source_parameters, store
from include.disaster_recovery.steps.backup import (
    assembling,
    cleaning,
    describing,
    extracting,
    holding,
    opening,
    planning,
    recording,
    verifying,
)
from include.disaster_recovery.steps.backup import preflight as preflight_step

log = logging.getLogger(__name__)

Json = dict[str, Any]
HOLDER, STARVED = "hold_snapshot", "starved"
READERS = ["extract", "describe_schema"]  # tasks that read inside the held snapshot


def preflight() -> list[str]:
    """Check everything a backup needs; returns the tables no backup covers."""
    return preflight_step.preflight(settings(), connect=source, connect_store=store, slots=context.require_two_slots)


def open_backup() -> Json:
    """Open a backup under a key of its own."""
    dag_run = get_current_context()["dag_run"]
    with source() as connection:
        run = opening.open_backup(
            connection,
            store(),
            settings(),
            run_id=dag_run.run_id,
            backup_type=context.backup_type(dag_run),
            triggered_by=context.triggered_by(dag_run),
            now=context.now(),
        )
    return run.to_json()


def hold_snapshot() -> Json:
    """Export a snapshot and hold it until every reader has ended."""
    ti = get_current_context()["ti"]
    try:
        with source() as connection:
            held = holding.hold_snapshot(
                connection,
                settings(),
                publish=lambda snapshot: ti.xcom_push(key="snapshot", value=snapshot.to_json()),
                task_states=context.task_states(ti, READERS),
            )
    except SnapshotStarved:
        ti.xcom_push(key=STARVED, value=True)  # a fresh attempt would starve too
        raise
    return held.to_json()


def skip_unless_snapshot_lost(airflow: Mapping[str, Any]) -> None:
    """Let a run whose snapshot was lost have one fresh attempt; a fresh attempt gets none.

    Raises:
        AirflowSkipException: nothing was lost, or another attempt would not help.
    """
    ti, conf = airflow["ti"], airflow["dag_run"].conf or {}
    if context.task_states(ti, [HOLDER])().get(HOLDER) != "failed":
        raise AirflowSkipException("the snapshot was not lost")
    if ti.xcom_pull(task_ids=HOLDER, key=STARVED):
        raise AirflowSkipException("the snapshot was not lost: the other tasks never got a slot")
    if conf.get(context.ATTEMPT_OF):
        raise AirflowSkipException(f"this is the fresh attempt of {conf[context.ATTEMPT_OF]} already")
    log.warning("the snapshot is lost: one fresh backup is started by itself")


def plan_extracts() -> list[Json]:
    """Wait for the snapshot, hand it on, and cut its tables into units."""
    ti = get_current_context()["ti"]
    snapshot = planning.await_snapshot(
        context.published_snapshot(ti, HOLDER),
        lambda: context.task_states(ti, [HOLDER])().get(HOLDER),
        wait_seconds=settings().extract.snapshot_start_seconds,
    )
    with source() as connection:
        units = planning.plan_extracts(connection, settings(), snapshot)
    ti.xcom_push(key="snapshot", value=snapshot.to_json())
    return [unit.to_json() for unit in units]


def extract(backup: Json, unit: Json) -> Json:
    """Extract one fragment, under a key of this try's own."""
    run, planned = BackupRun.model_validate(backup), ExtractUnit.model_validate(unit)
    try_number = get_current_context()["ti"].try_number
    with source() as connection:
        return extracting.extract(
            connection, store(), run, planned, settings().compression, try_number=try_number
        ).to_json()


def describe_schema(backup: Json, snapshot: Json) -> Json:
    """Describe the schema as of the snapshot."""
    run, held = BackupRun.model_validate(backup), Snapshot.model_validate(snapshot)
    with source() as connection:
        return describing.describe_schema(connection, source_parameters(), store(), settings(), run, held).to_json()


def describe_edge_functions(backup: Json) -> Json:
    """Describe the edge functions of the `supabase/` folder."""
    return describing.describe_edge_functions(store(), settings(), BackupRun.model_validate(backup)).to_json()


def assemble(backup: Json, snapshot: Json, sections: Iterable[Json]) -> Json:
    """Compose the document from what the extracts have staged."""
    fragments = get_current_context()["ti"].xcom_pull(task_ids="extract")  # in one call, not one by one
    return assembling.assemble(
        store(),
        settings(),
        BackupRun.model_validate(backup),
        Snapshot.model_validate(snapshot),
        [StagedFragment.model_validate(each) for each in fragments],
        [StagedSection.model_validate(each) for each in sections],
    ).to_json()


def verify_backup(document: Json, uncovered: list[str]) -> Json:
    """Read the document back from the bucket."""
    written, wanted_sse = AssembledDocument.model_validate(document), settings().s3.sse
    return verifying.verify_backup(
        store(), written, wanted_sse=wanted_sse, uncovered=uncovered, now=context.now()
    ).to_json()


def record_backup(backup: Json, snapshot: Json, document: Json, sections: Iterable[Json], verdict: Json) -> Json:
    """Close the history row as success; returns what the asset event carries."""
    with source() as connection:
        return recording.record_backup(
            connection,
            BackupRun.model_validate(backup),
            Snapshot.model_validate(snapshot),
            AssembledDocument.model_validate(document),
            [StagedSection.model_validate(each) for each in sections],
            Verdict.model_validate(verdict),
            now=context.now(),
        )


def remove_staging(backup: Json) -> int:
    """Remove what this run has staged."""
    return cleaning.remove_staging(store(), BackupRun.model_validate(backup))
