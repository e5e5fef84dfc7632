"""A restored target without a restore: a copy of the source, made after the backup, that tests then damage."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg
from psycopg import sql

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.postgres import staging
from include.disaster_recovery.postgres.digests import summed
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.target import resolved_types, target_tables
from include.disaster_recovery.restore_model import (
    Check,
    LoadUnit,
    Outcome as Verdict,
    RestoreMode,
    RestorePlan,
    RestoreReport,
    RestoreRequest,
    RestoreRun,
    StagedTable,
)
from include.disaster_recovery.restore_plan import described_table, plan_table, table_in_document
from include.disaster_recovery.steps.restore.comparing import compare
from include.disaster_recovery.steps.restore.loading import load
from tests.support.read_back import manifest_of
from tests.support.rig import Outcome, Rig

NOW = datetime(2025, 12, 7, 18, 33, 7, 123000, tzinfo=timezone.utc)


@contextmanager
def copied(server: PostgresServer, database: str) -> Iterator[str]:
    """A copy of a database of its own."""
    name = f"copy_{secrets.token_hex(6)}"
    with psycopg.connect(server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template {}").format(*map(sql.Identifier, (name, database))))
        connection.execute(sql.SQL("grant create on database {} to postgres").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        server.drop_database(name)


@dataclass
class Restored:
    """A target, the plan that was carried out in it, and what was staged for that."""

    rig: Rig
    target: Connection
    plan: RestorePlan
    staged: list[StagedTable]

    def report(self, skipped: Sequence[str] = ()) -> RestoreReport:
        return compare(
            self.target,
            self.rig.store,
            self.plan,
            self.staged,
            [],
            approved_by="tester",
            skipped_objects=skipped,
            started_at=NOW,
            now=lambda: NOW,
        )


def restored(
    rig: Rig,
    outcome: Outcome,
    target: Connection,
    *,
    mode: RestoreMode = "replace",
    restore_schema: bool = False,
    tables: Sequence[str] | None = None,
) -> Restored:
    """Plan, stage and load as a restore does, up to what would write to the target.

    With `restore_schema` the target's tables count as made by the restore itself.
    """
    manifest, schema = manifest_of(outcome), outcome.backup["schema"]
    request = RestoreRequest(
        backup_key=outcome.run.key,
        target_conn_id="collabhunts_restore_db",
        tables=list(tables) if tables else None,
        mode=mode,
        restore_schema=restore_schema,
        dry_run=False,
        require_approval=False,
    )
    run = RestoreRun(
        run_id="manual__restore",
        key=outcome.run.key,
        size=outcome.document.size,
        manifest_sha256=outcome.document.manifest_sha256,
        request=request,
        staging_schema=f"collabhunts_restore_{secrets.token_hex(4)}",
        opened_at=NOW,
        triggered_by="tester",
        target="here",
        target_is_source=False,
    )
    chosen = tables or [name for name in manifest.tables if name != "backup_history"]
    names = {name: table_in_document(name, [*schema["schemas"], "auth"]) for name in chosen}
    found = target_tables(target, list(names.values()))
    planned = []
    for position, name in enumerate(names):
        described = described_table({"tables": {**_auth(target), **schema["tables"]}}, name)
        types = resolved_types(target, [column.type for column in described.columns or []])
        table = plan_table(
            described,
            found[name],
            types,
            staged_as=f"t{position}",
            was_empty=False,
            row_count=manifest.tables[name].row_count,
            digest=summed([fragment.digest for fragment in manifest.tables[name].fragments]),
            quiet="replica",
        )
        planned.append(table.model_copy(update={"direct": True}) if restore_schema else table)
    plan = RestorePlan(run=run, tables=planned, quiet="replica", notes=[])
    staged_plan = plan.model_copy(update={"tables": [t.model_copy(update={"direct": False}) for t in planned]})
    staging.create(target, run)
    staged = []
    for table in staged_plan.tables:
        staging.create_table(target, run, table)
        fragments = manifest.tables[table.name].fragments
        loaded = [
            load(target, rig.store, staged_plan, LoadUnit(table=table.name, part=n, parts=len(fragments), fragment=f))
            for n, f in enumerate(fragments, 1)
        ]
        rows = sum(each.rows for each in loaded)
        digest = summed([each.content_digest for each in loaded])
        staged.append(StagedTable(table=table.name, rows=rows, content_digest=digest))
    return Restored(rig, target, plan, staged)


def _auth(connection: Connection) -> dict[str, Any]:
    """The description of the tables that older documents do not describe."""
    from include.disaster_recovery.postgres.schema import describe_catalogs

    described: dict[str, Any] = describe_catalogs(connection, ["auth"])["tables"]
    return described


def subjects(report: RestoreReport, verdict: Verdict = "failed") -> list[str]:
    return report.subjects(verdict)


def check(report: RestoreReport, subject: str, verdict: Verdict = "failed") -> Check:
    return next(each for each in report.checks if each.subject == subject and each.outcome == verdict)
