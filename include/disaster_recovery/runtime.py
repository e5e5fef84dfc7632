"""Where Airflow ends: Connections become clients, task context plain values. No other module here imports it."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cache
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook
from airflow.sdk import Connection as AirflowConnection
from airflow.sdk.configuration import conf
from botocore.config import Config

from include.disaster_recovery.errors import DisasterRecoveryError, PreflightFailed, SettingsError
from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import BackupType, Snapshot
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings, load_settings
from include.disaster_recovery.steps.backup.holding import TaskStates

log = logging.getLogger(__name__)

SOURCE, STORE = "collabhunts_db", "collabhunts_s3"
LIBPQ_EXTRA = {
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "connect_timeout",
    "hostaddr",
    "options",
    "target_session_attrs",
}
AWS_EXTRA = {"region_name", "endpoint_url", "role_arn"}
# `standard` retries with back-off; v4 signatures are what every server takes, also for presigned URLs.
AWS_CONFIG = Config(
    signature_version="s3v4",
    retries={"mode": "standard", "max_attempts": 6},
    connect_timeout=20,
    read_timeout=120,
    max_pool_connections=16,
)


@cache
def settings() -> Settings:
    """The settings, read once per process.

    Raises:
        SettingsError: they are wrong.
    """
    return load_settings()


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(timezone.utc)


def source_parameters() -> dict[str, str]:
    """Libpq parameters of the source database.

    Raises:
        SettingsError: the Airflow connection is missing.
    """
    return libpq_parameters(_connection(SOURCE))


def libpq_parameters(connection: AirflowConnection) -> dict[str, str]:
    """An Airflow connection as libpq parameters; of its extra only what is listed above."""
    named = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
    }
    extra = {name: value for name, value in connection.extra_dejson.items() if name in LIBPQ_EXTRA}
    return {name: str(value) for name, value in {**extra, **named}.items() if value not in (None, "")}


def source() -> Connection:
    """A session on the source database.

    Raises:
        SettingsError, DatabaseUnavailable: the connection is missing, or refused.
    """
    return connect(source_parameters(), name=SOURCE, application="collabhunts_backup")


class _AllowedExtraHook(S3Hook):
    """The provider's hook over a connection of which only the allow-list of extras is passed on."""

    @classmethod
    def get_connection(cls, conn_id: str) -> AirflowConnection:
        connection = _connection(conn_id)
        extra = connection.extra_dejson
        if ignored := sorted(set(extra) - AWS_EXTRA):
            log.warning("connection %s: extra %s is not used", conn_id, ", ".join(ignored))
        kept = {name: value for name, value in extra.items() if name in AWS_EXTRA}
        return AirflowConnection(
            conn_id=conn_id,
            conn_type="aws",
            login=connection.login,
            password=connection.password,
            extra=json.dumps(kept),
        )


def store() -> Store:
    """The bucket of the settings.

    Raises:
        SettingsError: the Airflow connection is missing.
    """
    wanted = settings().s3
    region = wanted.region or _connection(STORE).extra_dejson.get("region_name") or os.environ.get("AWS_REGION")
    hook = _AllowedExtraHook(aws_conn_id=STORE, region_name=region, config=AWS_CONFIG)
    return Store(
        client=hook.get_conn(),
        bucket=wanted.bucket,
        encryption=Encryption(algorithm=wanted.sse, kms_key_id=wanted.kms_key_id),
    )


def _connection(conn_id: str) -> AirflowConnection:
    try:
        return BaseHook.get_connection(conn_id)
    except Exception as error:
        if "NotFound" not in type(error).__name__ and "isn't defined" not in str(error):
            raise
        raise SettingsError(
            f"Airflow connection {conn_id} is missing",
            hint=f"create it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()}",
        ) from None


def backup_type(dag_run: Any) -> BackupType:
    """`manual` for a run somebody triggered, else `scheduled`."""
    return "manual" if str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "manual" else "scheduled"


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


def record_failure(context: Mapping[str, Any]) -> None:
    """Callback of failed tasks and failed runs: closes the run's history row. The first error of a run is kept.

    Runs in the task's process, or in the dag-processor for killed tasks and timed-out runs. The database may be what
    failed; then the log says so, and the next run closes the row.
    """
    error = context.get("exception") or _run_reason(context)
    run_id = str(context["dag_run"].run_id)
    try:
        with source() as connection:
            closed = catalog.close_failed(connection, run_id, _one_line(error, context))
    except Exception:
        log.exception("the failure of run %s could not be written to backup_history", run_id)
    else:
        for file_name in closed:
            log.error("backup %s failed: %s", file_name, error)


def _one_line(error: object, context: Mapping[str, Any]) -> str:
    """`task: fact; hint: …`. Errors that are not ours are named by type only: their text may quote rows."""
    ti = context.get("task_instance") or context.get("ti")
    where = f"{ti.task_id}: " if ti is not None and context.get("exception") else ""
    if isinstance(error, DisasterRecoveryError):
        return f"{where}{error.fact}; hint: {error.hint}"
    if isinstance(error, BaseException):
        return f"{where}{type(error).__name__}; hint: see the task's log in Airflow"
    return f"{where}{error}; hint: see the run's tasks in Airflow, then trigger the backup again"


def _run_reason(context: Mapping[str, Any]) -> str:
    reason = str(context.get("reason") or "failed")
    return {"timed_out": "the run exceeded its dagrun_timeout", "task_failure": "a task failed or was killed"}.get(
        reason, reason
    )
