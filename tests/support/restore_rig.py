"""A restore at engine level: the real steps over a real target and a real S3 server, without a scheduler."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.restore_model import (
    LoadedFragment,
    LoadUnit,
    RestorePlan,
    RestoreRequest,
    StagedTable,
    TableDiff,
)
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.restore.applying import apply
from include.disaster_recovery.steps.restore.checking import check_staging
from include.disaster_recovery.steps.restore.cleaning import clean_up
from include.disaster_recovery.steps.restore.diffing import diff
from include.disaster_recovery.steps.restore.loading import load
from include.disaster_recovery.steps.restore.planning import plan_restore
from include.disaster_recovery.steps.restore.rebuilding import rebuild_schema
from tests.support.rig import Rig


@dataclass
class Restored:
    """What one whole restore did."""

    plan: RestorePlan
    loaded: list[LoadedFragment]
    staged: list[StagedTable]
    diff: list[TableDiff]
    applied: list[TableDiff]
    rebuilt: Any = None

    def of(self, table: str) -> tuple[int, int, int, int]:
        """Inserted, updated, deleted, unchanged rows of a table."""
        (found,) = [each for each in self.applied if each.table == table]
        return found.insert, found.update, found.delete, found.unchanged


@dataclass
class RestoreRig:
    """A target database, a bucket and settings."""

    parameters: Mapping[str, str]
    store: Store
    settings: Settings
    active: set[str] = field(default_factory=set)
    run_id: str = ""

    @classmethod
    def into(cls, rig: Rig, **parameters: str) -> RestoreRig:
        """Into a database of the server that the backup's rig reads from; by default into the source itself."""
        return cls({**rig.parameters, **parameters}, rig.store, rig.settings)

    def connect(self, **parameters: str) -> Connection:
        return connect({**self.parameters, **parameters}, name="collabhunts_restore_db", application="test")

    def request(self, **wanted: Any) -> RestoreRequest:
        defaults = {
            "backup_key": "latest",
            "target_conn_id": "collabhunts_restore_db",
            "tables": None,
            "mode": "replace",
            "restore_schema": False,
            "dry_run": False,
            "require_approval": False,
        }
        return RestoreRequest.model_validate({**defaults, **wanted})

    def plan(self, **wanted: Any) -> tuple[RestorePlan, list[LoadUnit]]:
        with self.connect() as connection:
            return plan_restore(
                connection,
                self.store,
                self.settings,
                self.request(**wanted),
                run_id=self.run_id or f"manual__{secrets.token_hex(4)}",
                triggered_by="tester",
                target_name="the test's target",
                target_is_source=False,
                is_active=lambda run_id: run_id in self.active,
                most_units=1024,
                now=datetime.now(timezone.utc),
            )

    def rebuild(self, plan: RestorePlan) -> Any:
        with self.connect() as connection:
            return rebuild_schema(connection, self.store, plan)

    def load(self, plan: RestorePlan, unit: LoadUnit) -> LoadedFragment:
        with self.connect() as connection:
            return load(connection, self.store, plan, unit)

    def load_all(self, plan: RestorePlan, units: list[LoadUnit]) -> list[LoadedFragment]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda unit: self.load(plan, unit), units))

    def check(self, plan: RestorePlan) -> list[StagedTable]:
        with self.connect() as connection:
            return check_staging(connection, plan)

    def diff(self, plan: RestorePlan) -> list[TableDiff]:
        with self.connect() as connection:
            return diff(connection, plan)

    def apply(self, plan: RestorePlan, approved: list[TableDiff] | None = None) -> list[TableDiff]:
        with self.connect() as connection:
            return apply(connection, self.store, plan, approved)

    def clean_up(self, plan: RestorePlan) -> None:
        with self.connect() as connection:
            clean_up(connection, self.store, self.settings, plan.run)

    def restore(self, **wanted: Any) -> Restored:
        """All steps in the order of the DAG up to apply; what is staged goes whatever happens."""
        plan, units = self.plan(**wanted)
        try:
            rebuilt = self.rebuild(plan) if plan.run.request.restore_schema else None
            loaded = self.load_all(plan, units)
            staged = self.check(plan)
            found = self.diff(plan)
            applied = self.apply(plan, found)
        finally:
            self.clean_up(plan)
        return Restored(plan, loaded, staged, found, applied, rebuilt)

    def with_parameters(self, **parameters: str) -> RestoreRig:
        return replace(self, parameters={**self.parameters, **parameters})


def everything(connection: Connection) -> dict[str, str]:
    """An md5 over the ordered text of all rows of every table outside the system schemas: the database, byte for byte."""
    tables = connection.execute(
        "select format('%I.%I', n.nspname, c.relname) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1"
    ).fetchall()
    found = {}
    for (name,) in tables:
        row = connection.execute(
            f"select md5(coalesce(string_agg(r, E'\\n' order by r collate \"C\"), '')) from (select a::text as r from {name} as a) as q".encode()
        ).fetchone()
        found[str(name)] = str(row[0]) if row else ""
    return found
