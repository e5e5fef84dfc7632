"""A restored target without a restore: a copy of the source, made after the backup, that tests then damage."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import psycopg
from psycopg import sql

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import (
    Check,
    RestoreMode,
    RestorePlan,
    RestoreReport,
    RestoreRequest,
    StagedTable,
)
from include.disaster_recovery.restore_model import (
    Outcome as Verdict,
)
from include.disaster_recovery.steps.restore.checking import check_staging
from include.disaster_recovery.steps.restore.comparing import compare
from include.disaster_recovery.steps.restore.loading import load
from include.disaster_recovery.steps.restore.planning import plan_restore
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
    tables: Sequence[str] | None = None,
) -> Restored:
    """Plan, stage and check as a restore does, up to what would write to the target."""
    request = RestoreRequest(
        backup_key=outcome.run.key,
        target_conn_id="collabhunts_restore_db",
        tables=list(tables) if tables else None,
        mode=mode,
        restore_schema=False,
        dry_run=False,
        require_approval=False,
    )
    plan, units = plan_restore(
        target,
        rig.store,
        rig.settings,
        request,
        run_id="manual__restore",
        triggered_by="tester",
        target_name="here",
        target_is_source=False,
        is_active=lambda _: False,
        most_units=1024,
        now=NOW,
    )
    for unit in units:
        load(target, rig.store, plan, unit)
    return Restored(rig, target, plan, check_staging(target, plan))


def subjects(report: RestoreReport, verdict: Verdict = "failed") -> list[str]:
    return report.subjects(verdict)


def check(report: RestoreReport, subject: str, verdict: Verdict = "failed") -> Check:
    return next(each for each in report.checks if each.subject == subject and each.outcome == verdict)
