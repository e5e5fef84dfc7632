"""A drill at engine level: the real steps on a real server, in the order of the DAG, without a scheduler."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from include.disaster_recovery.drill_model import DrillReport, Failure, OpenedDrill, Phase
from include.disaster_recovery.errors import DisasterRecoveryError
from include.disaster_recovery.postgres import scratch
from include.disaster_recovery.postgres.restore import ledger
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.restore_model import Check, LoadUnit, RestorePlan, RestoreReport
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.drill.cleaning import drop_scratch
from include.disaster_recovery.steps.drill.opening import choose_backup, open_scratch, plan_drill
from include.disaster_recovery.steps.drill.proving import prove
from include.disaster_recovery.steps.finding import find_backup
from include.disaster_recovery.steps.restore.comparing import compare
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Rig

CONN_ID = "collabhunts_drill_db"


def now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class DrillRig:
    """A drill server (`parameters` name its maintenance database), a bucket, settings, and the source of the history."""

    parameters: Mapping[str, str]
    store: Store
    settings: Settings
    source: Callable[[], Connection]
    run_id: str = field(default_factory=lambda: f"manual__{secrets.token_hex(4)}")
    active: set[str] = field(default_factory=set)
    phases: list[Phase] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    order: Callable[[list[LoadUnit]], list[LoadUnit]] = lambda units: units
    on_loaded: Callable[[RestorePlan], None] = lambda plan: None
    before_drop: Callable[[RestorePlan], None] = lambda plan: None

    @classmethod
    def of(cls, rig: Rig, **parameters: str) -> DrillRig:
        """On the server that the backup's rig reads from, or on another."""
        return cls({**rig.parameters, "dbname": "postgres", **parameters}, rig.store, rig.settings, rig.connect)

    def again(self, **changes: Any) -> DrillRig:
        """Another run on the same server."""
        fresh: dict[str, Any] = {"run_id": f"manual__{secrets.token_hex(4)}", "phases": [], "failures": []}
        return replace(self, **{**fresh, **changes})

    def connect(self, database: str | None = None) -> Connection:
        parameters = {**self.parameters, **({"dbname": database} if database else {})}
        return connect(parameters, name=CONN_ID, application="test")

    def into(self, plan: RestorePlan) -> RestoreRig:
        """The restore's own rig, in the scratch database."""
        assert plan.run.database
        return RestoreRig({**self.parameters, "dbname": plan.run.database}, self.store, self.settings)

    def is_active(self, run_id: str) -> bool:
        return run_id in self.active

    def choose(self, wanted: str = "latest", *, by_hand: bool = False) -> str | None:
        """Why no drill is due; None if one is."""
        return choose_backup(self.store, self.settings, wanted, by_hand=by_hand, now=now()).reason

    def opened(self, wanted: str = "latest") -> OpenedDrill:
        moment = now()
        found = find_backup(self.store, self.settings, wanted, now=moment)
        name = scratch.scratch_name(moment)
        return OpenedDrill(
            run_id=self.run_id,
            key=found.key,
            size=found.size,
            database=name,
            target=f"test/{name}",
            started_at=moment,
        )

    @contextmanager
    def measured(self, phase: str) -> Iterator[None]:
        began = now()
        try:
            yield
        except DisasterRecoveryError as error:
            self.failures.append(Failure(phase=phase, kind=type(error).__name__, fact=error.fact, hint=error.hint))
            raise
        finally:
            self.phases.append(Phase(name=phase, started_at=began, ended_at=now()))

    def open_scratch(self, drill: OpenedDrill) -> None:
        with self.connect() as connection:
            open_scratch(connection, self.store, self.settings, drill, conn_id=CONN_ID, is_active=self.is_active)

    def plan(self, drill: OpenedDrill) -> tuple[RestorePlan, list[LoadUnit]]:
        with self.measured("plan"):
            self.open_scratch(drill)
            with self.connect(drill.database) as connection:
                return plan_drill(
                    connection,
                    self.store,
                    self.settings,
                    drill,
                    conn_id=CONN_ID,
                    triggered_by="tester",
                    is_active=self.is_active,
                    most_units=1024,
                )

    def restore(self, drill: OpenedDrill) -> RestoreReport:
        """The restore's own steps; the first that fails ends it."""
        plan, units = self.plan(drill)
        target = self.into(plan)
        with self.measured("rebuild"):
            target.rebuild(plan)
        with ThreadPoolExecutor(2) as pool, self.measured("load"):
            list(pool.map(lambda unit: target.load(plan, unit), self.order(units)))
        self.on_loaded(plan)
        with self.measured("check"):
            staged = target.check(plan)
        with self.measured("apply"):
            applied = target.apply(plan)
        self.before_drop(plan)
        with self.measured("compare"), target.connect() as connection:
            return compare(
                connection,
                self.store,
                plan,
                staged,
                applied,
                approved_by=None,
                skipped_objects=ledger.skipped(connection, plan.run.staging_schema),
                started_at=plan.run.opened_at,
                now=now,
            )

    def prove(self, drill: OpenedDrill, compared: list[Check] | None) -> DrillReport:
        return prove(
            self.store,
            self.settings.s3.prefix,
            drill,
            phases=self.phases,
            compared=compared,
            failures=self.failures,
            server=self.connect,
            source=self.source,
        )

    def drop(self) -> None:
        with self.connect() as connection:
            drop_scratch(connection, self.store, self.settings.s3.prefix, self.run_id, self.is_active)

    def drill(self, wanted: str = "latest") -> DrillReport:
        """All steps in the order of the DAG; the verdict is not yet required to be a good one."""
        drill, compared = self.opened(wanted), None
        try:
            try:
                compared = self.restore(drill).checks
            except DisasterRecoveryError:
                assert self.failures
            return self.prove(drill, compared)
        finally:
            self.drop()

    def databases(self) -> list[str]:
        """What is called as a scratch database, whoever made it."""
        return self.names("select datname from pg_database where datname like 'collabhunts\\_drill\\_%' order by 1")

    def roles(self) -> list[str]:
        return self.names("select rolname from pg_roles where rolname !~ '^pg_' order by 1")

    def names(self, query: str) -> list[str]:
        with self.connect() as connection:
            return [str(row[0]) for row in connection.execute(query.encode()).fetchall()]


def failed(report: DrillReport) -> dict[str, str]:
    """What failed, and why."""
    return {check.subject: check.detail for check in report.failures}
