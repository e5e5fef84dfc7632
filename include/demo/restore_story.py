"""The demo's second half: the marketplace is destroyed, and comes back from the bucket into an empty Postgres."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.demo.backup_story import Backup, DemoFailed, failed_log
from include.demo.console import Console
from include.demo.stack.connections import postgres_connection
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.stack import Stack

DAG = "collabhunts_restore"
TARGET = "collabhunts_restored"
KEPT = "backup_history"  # belongs to its database; no restore brings it
RUN_TIMEOUT_S = 600.0
SHOWN = 3

Fingerprints = Mapping[str, tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What the run says of itself: the recovery proof, where it is kept, and how long all of it took."""

    report: Mapping[str, Any]
    report_key: str
    seconds: float

    def count(self, outcome: str) -> int:
        """How many checks of the proof have this outcome."""
        return sum(check["outcome"] == outcome for check in self.report["checks"])


@contextmanager
def empty_server(folder: Path, console: Console) -> Iterator[PostgresServer]:
    """Another cluster with an empty database and one superuser: none of Supabase's roles, schemas, extensions."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    server = PostgresServer(folder=folder, superuser="postgres", durable=False)
    try:
        server.start().create_database(TARGET)
        console.line(f"an empty postgres {server.version} to restore into ({server.started_in_s:.1f} s)")
        yield server
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def connection_to(server: PostgresServer) -> dict[str, str]:
    """The variable that makes the empty database the default target of restores."""
    login = {"user": server.superuser, "password": server.password}
    return {"AIRFLOW_CONN_COLLABHUNTS_RESTORE_DB": postgres_connection(server, database=TARGET, **login)}


def fingerprints(dsn: str, rows: Mapping[str, int]) -> dict[str, tuple[int, str]]:
    """Rows and MD5 of every table of a backup, by plain SQL: nothing of the package has a hand in it."""
    query = sql.SQL(
        "select count(*), md5(coalesce(string_agg(t::text, E'\\n' order by t::text collate \"C\"), '')) from {} as t"
    )
    found = {}
    with psycopg.connect(dsn) as connection:
        connection.execute("set timezone to 'UTC'")
        for name in sorted(set(rows) - {KEPT}):
            table = sql.Identifier(*(name.split(".") if "." in name else ("public", name)))
            (counted,) = connection.execute(query.format(table)).fetchall()
            found[name] = (int(counted[0]), str(counted[1]))
    return found


def destroy(stack: Stack, console: Console) -> None:
    """Drop the source database, whoever is connected to it.

    Raises:
        DemoFailed: it can still be connected to.
    """
    stack.postgres.drop_database(stack.database)
    try:
        psycopg.connect(stack.postgres.superuser_dsn(stack.database)).close()
    except psycopg.OperationalError as error:
        console.line(
            "DISASTER: drop database … with (force); Postgres now says: "
            + str(error).strip().split("FATAL:")[-1].strip()
        )
    else:
        raise DemoFailed(f"database {stack.database} is still there")


def restore(stack: Stack, console: Console, backup: Backup) -> Restored:
    """Trigger the restore as an operator would, and follow it.

    Raises:
        DemoFailed: the run failed.
    """
    api, began = stack.airflow.admin, time.monotonic()
    api.wait_for_dag(DAG)
    api.unpause(DAG)
    run_id = api.trigger(DAG, {"backup_key": backup.history["file_name"], "restore_schema": True})
    console.line(f"triggered {DAG}; nobody is asked, as the target is empty")
    state = api.wait_for_run(DAG, run_id, RUN_TIMEOUT_S, on_change=console.task)
    seconds = time.monotonic() - began
    if state != "success":
        raise DemoFailed(f"the restore is {state}\n\n{failed_log(stack, DAG, run_id)}")
    key, report = _report(stack, run_id)
    return Restored(report=report, report_key=key, seconds=seconds)


def compare(before: Fingerprints, after: Fingerprints) -> None:
    """Hold the demo's own fingerprints against each other.

    Raises:
        DemoFailed: a table differs.
    """
    if wrong := [name for name in before if before[name] != after.get(name)]:
        named = ", ".join(f"{name} {before[name]} became {after.get(name)}" for name in wrong)
        raise DemoFailed(f"tables differ from what was destroyed: {named}")


def summarise(restored: Restored, after: Fingerprints, server: PostgresServer, stack: Stack, console: Console) -> None:
    """The last screen: what came back, how that is known, how long it took."""
    skipped = Counter(check["detail"] for check in restored.report["checks"] if check["outcome"] == "skipped")
    reasons = [f"{reason} ({count})" for reason, count in skipped.most_common(SHOWN)]
    proof = ", ".join(f"{restored.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped"))
    console.table(
        "Destroyed and restored",
        [
            ("from", f"s3://{stack.bucket}/{restored.report['run']['key']}, and nothing else"),
            ("into", f"{server.host}:{server.port}/{TARGET}, an empty postgres {server.version}"),
            ("tables, rows", f"{len(after)} tables, {sum(count for count, _ in after.values()):,} rows"),
            ("own compare", "rows and MD5 of every table equal those taken before the disaster"),
            ("recovery proof", proof),
            ("skipped", "; ".join(reasons) + ("; …" if len(skipped) > SHOWN else "") or "nothing"),
            ("report", f"s3://{stack.bucket}/{restored.report_key}"),
            ("time to recover", f"{restored.seconds:.1f} s from the trigger to the proof"),
        ],
    )
    console.line(
        f"VERDICT: RECOVERED, {len(after)} of {len(after)} tables equal, {restored.count('failed')} checks failed"
    )


def _report(stack: Stack, run_id: str) -> tuple[str, dict[str, Any]]:
    """The recovery proof of a run, from the bucket."""
    client = stack.s3.client("writer")
    prefix = "backups/restores/"
    listed = client.list_objects_v2(Bucket=stack.bucket, Prefix=prefix).get("Contents", [])
    for key in sorted((str(entry["Key"]) for entry in listed), reverse=True):
        report = json.loads(client.get_object(Bucket=stack.bucket, Key=key)["Body"].read())
        if report["run"]["run_id"] == run_id:
            return key, dict(report)
    raise DemoFailed(f"the restore has left no report below s3://{stack.bucket}/{prefix}")
