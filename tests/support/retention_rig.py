"""Retention at engine level: the real steps over a planted bucket and a real history, without a scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from include.disaster_recovery.backup_key import opened_at
from include.disaster_recovery.history import catalog
from include.disaster_recovery.retention import ExpiryPlan
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.retention.expiring import ExpiryReport, expire
from include.disaster_recovery.steps.retention.planning import plan_retention
from tests.support.rig import Rig

PREFIX = "backups/"
NOW = datetime(2026, 3, 14, 6, tzinfo=timezone.utc)
_INSERT = (
    "insert into public.backup_history (id, backup_type, status, file_name, s3_url, components_backed_up, created_at)"
    " values (%s, 'scheduled', %s, %s, 's3://b/k', %s, %s)"
)


@dataclass
class RetentionRig:
    """A source database with its history, a bucket, settings, and the moment at which retention runs."""

    rig: Rig
    now: datetime = NOW

    @property
    def store(self) -> Store:
        return self.rig.store

    @property
    def settings(self) -> Settings:
        return self.rig.settings

    def keeping(self, **policy: int | None) -> RetentionRig:
        """The same with a policy that keeps only this."""
        nothing = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}
        return replace(self, rig=self.rig.with_settings(retention={**nothing, **policy}))

    def through(self, store: Store) -> RetentionRig:
        """The same with another way to the bucket."""
        return replace(self, rig=replace(self.rig, store=store))

    def plan(self) -> ExpiryPlan:
        with self.rig.connect() as connection:
            return plan_retention(connection, self.store, self.settings, self.now)

    def expire(self, plan: ExpiryPlan) -> ExpiryReport:
        with self.rig.connect() as connection:
            return expire(connection, self.store, self.settings, plan, now=self.now)

    def run(self, now: datetime | None = None) -> ExpiryReport:
        """Plan and expire, as the DAG does."""
        here = replace(self, now=now or self.now)
        return here.expire(here.plan())

    def keys(self, prefix: str = f"{PREFIX}collabhunts-backup-") -> list[str]:
        return self.store.keys(prefix)

    def add_rows(
        self, keys: Iterable[str], *, status: str = "success", components: Mapping[str, Any] | None = None
    ) -> None:
        """A history row for each key, at the key's moment."""
        with self.rig.connect() as connection:
            catalog.ensure_table(connection)
            for key in keys:
                name, at = key.rpartition("/")[2], opened_at(PREFIX, key)
                values = {"run": {"run_id": f"scheduled__{at.isoformat()}"}, **(components or {})}
                connection.execute(_INSERT, (uuid4(), status, name, Jsonb(values), at))

    def rows(self) -> list[dict[str, Any]]:
        with self.rig.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("select * from public.backup_history order by created_at").fetchall()

    def marked(self) -> set[str]:
        """The keys whose rows say that they are expired."""
        return {PREFIX + row["file_name"] for row in self.rows() if row["components_backed_up"].get("expired")}
