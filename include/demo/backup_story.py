"""The demo's story: a scheduled backup of a CollabHunts marketplace, watched to its end and looked at from outside."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from include.demo.console import Console
from include.demo.database.builder import build_database
from include.demo.stack.stack import Stack

DAG = "collabhunts_backup"
RUN_TIMEOUT_S = 600.0
POLL_S = 0.3
LOG_TAIL = 3000  # characters


class DemoFailed(Exception):
    """The demo did not end as it should; the message says what differed."""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup as the history row tells it, and the copy of its document on this machine."""

    history: Mapping[str, Any]
    document: Path
    airflow_seconds: float


def build(stack: Stack, console: Console, size: float) -> None:
    """Build the marketplace in the stack's source database."""
    began = time.monotonic()
    dsn = stack.postgres.superuser_dsn(stack.database)
    build_database(dsn, owner_password=stack.owner_password, size=size)
    rows = sum(_counts(stack).values())
    console.line(f"CollabHunts built: {rows:,} rows ({time.monotonic() - began:.1f} s)")


def back_up(stack: Stack, console: Console, copies: Path) -> Backup:
    """Unpause the DAG and follow the run that Airflow's scheduler starts.

    Raises:
        DemoFailed: the run failed, with the reason the history row gives.
    """
    api = stack.airflow.admin
    api.wait_for_dag(DAG)
    began = time.monotonic()
    api.unpause(DAG)
    run_id = _first_run(stack)
    console.line(f"Airflow's scheduler has started {DAG}, run {run_id}")
    state = api.wait_for_run(DAG, run_id, RUN_TIMEOUT_S, on_change=console.task)
    seconds = time.monotonic() - began
    history = _history(stack, run_id)
    if state != "success" or history.get("status") != "success":
        raise DemoFailed(f"the run is {state}: {history.get('error_message')}\n\n{failed_log(stack, DAG, run_id)}")
    return Backup(history=history, document=_download(stack, history, copies), airflow_seconds=seconds)


def unpause(stack: Stack, dag_ids: Sequence[str]) -> None:
    """Let DAGs run; that of the backup starts with the run of the last midnight, as it would after an outage."""
    for dag_id in dag_ids:
        stack.airflow.admin.wait_for_dag(dag_id)
        stack.airflow.admin.unpause(dag_id)


def look_at(stack: Stack, backup: Backup) -> dict[str, int]:
    """Open the document with nothing but a JSON parser and count its rows against the database's own count.

    Raises:
        DemoFailed: a table has another number of rows.
    """
    tables = json.loads(backup.document.read_bytes())["tables"]
    found = {name: len(table["rows"]) for name, table in tables.items()}
    wanted = {name: count for name, count in _counts(stack).items() if name in found and name != "backup_history"}
    if wrong := {name: (found[name], count) for name, count in wanted.items() if found[name] != count}:
        raise DemoFailed(f"rows in the document and in the database differ: {wrong}")
    return found


def summarise(backup: Backup, rows: Mapping[str, int], console: Console) -> None:
    """The last screen."""
    history, components = backup.history, backup.history["components_backed_up"]
    verdict = components["verification"]
    largest = sorted(rows.items(), key=lambda each: -each[1])[:4]
    over = sum(count > 1000 for count in rows.values())
    console.table(
        "Backed up and verified" if verdict["valid"] else "NOT VERIFIED",
        [
            ("key", history["s3_url"]),
            ("size", f"{history['file_size']:,} bytes"),
            ("tables, rows", f"{len(rows)} tables, {sum(rows.values()):,} rows"),
            ("largest", ", ".join(f"{name} {count:,}" for name, count in largest)),
            ("past row 1000", f"{over} tables; the edge function this replaces would have lost their other rows"),
            ("schema", ", ".join(f"{count} {name}" for name, count in components["schema"].items() if count)),
            ("edge functions", str(components["edge_functions"])),
            ("verified", f"{'yes' if verdict['valid'] else 'NO'}: every stored byte read back, {verdict['checksum']}"),
            (
                "seconds",
                f"{backup.airflow_seconds:.1f} in Airflow, {history['execution_time_ms'] / 1000:.1f} by the history",
            ),
            ("warnings", "; ".join(components["warnings"]) or "none"),
            ("look at", str(backup.document)),
        ],
    )


def failed_log(stack: Stack, dag_id: str, run_id: str) -> str:
    """The end of the log of each task that failed by itself."""
    api = stack.airflow.admin
    failed = [task for task in api.task_instances(dag_id, run_id) if task.state == "failed"]
    logs = {
        task.label: api.task_log(dag_id, run_id, task.task_id, try_number=task.try_number, map_index=task.map_index)
        for task in failed
    }
    return "\n\n".join(f"log of {label}:\n{log[-LOG_TAIL:]}" for label, log in logs.items())


def _first_run(stack: Stack) -> str:
    until = time.monotonic() + RUN_TIMEOUT_S
    while not (runs := stack.airflow.admin.api("GET", f"/api/v2/dags/{DAG}/dagRuns")["dag_runs"]):
        if time.monotonic() > until:
            raise DemoFailed(f"the scheduler started no run of {DAG}; see {stack.airflow.logs}")
        time.sleep(POLL_S)
    return str(runs[0]["dag_run_id"])


def _history(stack: Stack, run_id: str) -> dict[str, Any]:
    query = "select to_jsonb(h.*) from backup_history as h where components_backed_up -> 'run' ->> 'run_id' = %s"
    with psycopg.connect(stack.postgres.superuser_dsn(stack.database)) as connection:
        row = connection.execute(query, (run_id,)).fetchone()
    return dict(row[0]) if row else {}


def _counts(stack: Stack) -> dict[str, int]:
    """The database's own count of each table the backup covers."""
    query = (
        "select case n.nspname when 'public' then relname else n.nspname || '.' || relname end,"
        " (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', n.nspname, relname),"
        " false, true, '')))[1]::text::bigint"
        " from pg_class as c join pg_namespace as n on n.oid = relnamespace"
        " where relkind = 'r' and (n.nspname = 'public' or (n.nspname = 'auth' and relname in ('users', 'identities')))"
    )
    with psycopg.connect(stack.postgres.superuser_dsn(stack.database)) as connection:
        return dict(connection.execute(query).fetchall())


def _download(stack: Stack, history: Mapping[str, Any], copies: Path) -> Path:
    copies.mkdir(parents=True, exist_ok=True)
    target = copies / str(history["file_name"])
    key = str(history["s3_url"]).removeprefix(f"s3://{stack.bucket}/")
    stack.s3.client("writer").download_file(stack.bucket, key, str(target))
    return target
