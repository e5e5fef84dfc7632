"""The recovery proof: the restored target held against the backup, after the commit. It writes nothing there."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from include.disaster_recovery.catalog_facts import ALL_PRIVILEGES, PRIVILEGES_OF_17, facts
from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import DisasterRecoveryError, DocumentError, RetryableError
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.probes import AT_RESTORE, ROLES, probe
from include.disaster_recovery.postgres.restore import restored
from include.disaster_recovery.postgres.restore.staging import source
from include.disaster_recovery.postgres.schema import describe_catalogs
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.recovery_proof import (
    Circumstances,
    behind,
    compare_facts,
    compare_rows,
    compare_sign_in,
    failed,
    listed,
    next_of,
    passed,
    readable,
    require_equal,
    skipped,
    summary,
)
from include.disaster_recovery.restore_model import Check, RestorePlan, RestoreReport, StagedTable, TableDiff, TablePlan
from include.disaster_recovery.rls_proof import TIMEOUT, RlsProbes, RoleProbe, compare_probes
from include.disaster_recovery.s3.documents import read_section
from include.disaster_recovery.s3.reports import write_report
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.restore.loading import same_document

__all__ = ["compare", "require_equal", "write_report"]

log = logging.getLogger(__name__)

USERS, IDENTITIES = "auth.users", "auth.identities"
EXTRA_ROWS = "the target has rows beside the backup's"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


def compare(
    connection: Connection,
    store: Store,
    plan: RestorePlan,
    staged: Sequence[StagedTable],
    applied: Sequence[TableDiff],
    *,
    approved_by: str | None,
    skipped_objects: Sequence[str],
    started_at: datetime,
    now: Callable[[], datetime],
) -> RestoreReport:
    """Compare the target with the backup, in one read-only transaction; what differs is reported, never raised.

    Args:
        skipped_objects: statements that the rebuild left out, each with its reason.
        started_at: when the restore began.
        now: tells the time, for the report's end.

    Raises:
        DocumentError: the backup is not the one that was restored, or is damaged.
        DatabaseUnavailable, StoreRefused, StoreUnavailable: target or bucket were not reached.
    """
    manifest = same_document(store, plan)
    schema, version = read_section(store, plan.run.key, manifest, "schema"), _source_version(store, plan, manifest)
    proof = _Proof(connection, plan, schema, version, skipped_objects)
    with restored.one_moment(connection):
        checks = proof.checks({table.table: table for table in staged})
    report = RestoreReport(
        run=plan.run,
        started_at=started_at,
        finished_at=now(),
        approved_by=approved_by,
        applied=list(applied),
        checks=checks,
    )
    _log(report)
    return report


def _source_version(store: Store, plan: RestorePlan, manifest: Manifest) -> str:
    """As the metadata has it. No row hangs on that section: its damage must not keep a restore from being proven."""
    try:
        return str(read_section(store, plan.run.key, manifest, "metadata").get("server_version"))
    except DocumentError as error:
        log.warning("%s: the version of the source's server is not known", error.fact)
        return ""


def _log(report: RestoreReport) -> None:
    for check in report.checks:
        if check.outcome == "failed":
            log.error("failed: %s", readable(f"{check.subject}: {check.detail}"))
        elif check.outcome == "skipped":
            log.warning("skipped: %s", readable(f"{check.subject}: {check.detail}"))
    log.info(summary(report.checks))


class _Proof:
    """The checks of one restore."""

    def __init__(
        self,
        connection: Connection,
        plan: RestorePlan,
        schema: Mapping[str, Any],
        version: str,
        left_out: Sequence[str],
    ) -> None:
        self.connection, self.plan, self.schema = connection, plan, schema
        self.version, self.left_out = version, left_out
        self.covered = list(schema.get("schemas", {}))
        self.tables = {table.name: table for table in plan.tables}
        self.differing: dict[str, str] = {}  # tables whose rows are not the backup's alone, and why

    def checks(self, staged: Mapping[str, StagedTable]) -> list[Check]:
        steps: list[tuple[str, Callable[[], Iterator[Check]]]] = [
            *((f"content of {table.name}", self._rows_of(table, staged.get(table.name))) for table in self.plan.tables),
            ("sign-in", self._sign_in),
            ("catalogs", self._catalogs),
            ("sequence positions", self._positions),
            *([("remembered positions", self._remembered)] if self.plan.run.is_drill else []),
            ("RLS", self._answers),
        ]
        return [check for subject, step in steps for check in self._guarded(subject, step)]

    def _guarded(self, subject: str, step: Callable[[], Iterator[Check]]) -> list[Check]:
        """The checks of a step; what the target refuses is a failed check, and the transaction goes on."""
        try:
            with self.connection.transaction():
                return list(step())
        except RetryableError:
            raise
        except DisasterRecoveryError as error:
            return [failed(subject, error.fact)]
        except _MALFORMED as error:
            return [failed(subject, f"the backup's description is malformed: {type(error).__name__}")]

    def _rows_of(self, table: TablePlan, staged: StagedTable | None) -> Callable[[], Iterator[Check]]:
        return lambda: self._rows(table, staged)

    def _rows(self, table: TablePlan, staged: StagedTable | None) -> Iterator[Check]:
        if staged is None:
            yield failed(f"content of {table.name}", "nothing is known of what was staged")
            return
        run, whole = self.plan.run, self._is_whole(table)
        expected = staged.rows, staged.content_digest
        rows, digest, extra = restored.restored_rows(self.connection, run, table, whole=whole)
        if extra:
            self.differing[table.name] = EXTRA_ROWS
        yield from compare_rows(table.name, expected=expected, found=(rows, digest), extra=extra)
        if gone := [column.name for column in table.columns if column.target_type is None]:
            yield skipped(f"content of {table.name}", f"columns that the target does not have: {listed(gone)}")

    def _is_whole(self, table: TablePlan) -> bool:
        return table.direct or not table.key or self.plan.run.request.mode == "replace"

    def _kept(self, table: TablePlan) -> TableName:
        """Where the backup's rows are: staged, or nowhere but in the target."""
        return table.table if table.direct else source(self.plan.run, table)

    def _sign_in(self) -> Iterator[Check]:
        users, identities = self.tables.get(USERS), self.tables.get(IDENTITIES)
        if users is None or identities is None:
            yield skipped("sign-in", f"{USERS} and {IDENTITIES} were not both part of this restore")
            return
        run, whole = self.plan.run, self._is_whole(users)
        _, expected = restored.accounts(
            self.connection, users=self._kept(users), identities=self._kept(identities), among=None
        )
        count, found = restored.accounts(
            self.connection,
            users=users.table,
            identities=identities.table,
            among=None if whole else source(run, users),
        )
        may_have_more = not self._is_whole(identities)
        yield compare_sign_in(users=count, expected=expected, found=found, may_have_more=may_have_more)

    def _catalogs(self) -> Iterator[Check]:
        described = describe_catalogs(self.connection, self.covered, with_migrations=False)
        source = re.match(r"\d+", self.version)  # as "17.5", "18beta1"
        oldest = min(int(source[0]) if source else 0, self.connection.info.server_version // 10000)
        letters = ALL_PRIVILEGES if oldest >= PRIVILEGES_OF_17[0] else ALL_PRIVILEGES.replace(PRIVILEGES_OF_17[1], "")
        circumstances = Circumstances(
            restored_schema=self.plan.run.request.restore_schema,
            skipped=self.left_out,
            roles=frozenset(described["roles"]),
            restorer=user if (user := self.connection.info.user) not in self.schema.get("roles", {}) else None,
        )
        old, new = (facts(each, self.covered, known_privileges=letters) for each in (self.schema, described))
        yield from compare_facts(old, new, circumstances)

    def _positions(self) -> Iterator[Check]:
        wanted, late = self.schema["sequences"], []
        positions = list(restored.sequence_positions(self.connection, self.covered, list(self.tables)))
        whole = self.plan.run.request.restore_schema
        due = [p for p in positions if p.name in wanted and (whole or p.table is None or p.table in self.tables)]
        for position in due:
            last = wanted[position.name]["last_value"]
            if reason := behind(position.next_value, position.increment, last=last, farthest=position.farthest):
                late.append(f"{position.name} ({reason})")
        yield (
            failed("sequence positions", listed(late))
            if late
            else passed("sequence positions", f"{len(due)} not behind the backup, nor behind their columns")
        )

    def _remembered(self) -> Iterator[Check]:
        """Where the backup's sequences stood in its own rows: a restore moves them past, and would hide it."""
        wanted, late = self.schema["sequences"], []
        positions = list(restored.sequence_positions(self.connection, self.covered, list(self.tables)))
        counting = [p for p in positions if p.name in wanted and p.farthest is not None]
        for position in counting:
            next_value = next_of(wanted[position.name])
            if reason := behind(next_value, position.increment, last=None, farthest=position.farthest):
                late.append(f"{position.name} ({reason})")
        yield (
            failed("remembered positions", f"in the backup: {listed(late)}")
            if late
            else passed("remembered positions", f"{len(counting)} not behind the backup's own rows")
        )

    def _answers(self) -> Iterator[Check]:
        if "rls_probes" not in self.schema:
            yield skipped("RLS", "the backup holds no probes: it was made by an older version")
            return
        try:
            expected = RlsProbes.model_validate(self.schema["rls_probes"])
        except ValidationError as error:
            yield failed("RLS", f"the backup's probes are malformed: {error.error_count()} wrong values")
            return
        found = expected.model_copy(
            update={"roles": {name: self._asked(expected, name) for name in expected.roles if name in ROLES}}
        )
        names = {name for role in expected.roles.values() for name in role.tables}
        outside = {name: "not part of this restore" for name in names if name not in self.tables}
        yield from compare_probes(expected, found, {**self.differing, **outside})

    def _asked(self, expected: RlsProbes, role: str) -> RoleProbe:
        """What the target answers one role, of tables whose answer can be compared: a slow policy stays slow."""
        known = {name for name, answer in expected.roles[role].tables.items() if answer != TIMEOUT}
        tables = [t.table for t in self.plan.tables if t.name in known - set(self.differing)]
        return probe(self.connection, tables, expected.claims, AT_RESTORE, bounds=expected.bounds, roles=[role]).roles[
            role
        ]
