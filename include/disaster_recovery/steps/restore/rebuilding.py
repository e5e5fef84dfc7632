"""Rebuild the schema of a backup in an empty target: what the rows need before the load, the rest behind it."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from include.disaster_recovery.model import Value
from include.disaster_recovery.postgres import scratch
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.rebuild.prerequisites import create_extensions, create_roles
from include.disaster_recovery.postgres.rebuild.statements import Attempts, kept_session, rebuilding, require_empty
from include.disaster_recovery.postgres.rebuild.undo import Created, neutral_default_privileges, schema_states
from include.disaster_recovery.postgres.restore import ledger, staging
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestorePlan
from include.disaster_recovery.s3.documents import read_section
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.restore.loading import same_document
from include.disaster_recovery.supabase.bootstrap import create_schemas, fill_schemas, open_database, tie_schemas

log = logging.getLogger(__name__)


class Rebuilt(Value):
    """What was created, by kind, and what was left out, each with its reason."""

    created: dict[str, int]
    skipped: list[str]


def rebuild_schema(connection: Connection, store: Store, plan: RestorePlan) -> Rebuilt:
    """Create everything the rows need: roles, extensions, stand-ins on a bare Postgres, types, functions, tables.

    One transaction, whose undo log stands in the staging schema. What an earlier try has committed is undone first.

    Raises:
        RestoreRefused: the target is not empty; nothing was touched.
        RebuildFailed: a statement failed; everything is rolled back.
        RestoreInProgress: another restore, or an earlier try of this one, is at work.
        DocumentError: the document's section is missing or damaged.
        DatabaseUnavailable, TableLocked, RestoreFailed, StoreRefused, StoreUnavailable: a request failed.
    """
    section, run = _section(store, plan), plan.run
    with staging.locked(connection):
        staging.require(connection, run)
        if ledger.applied(connection, run.staging_schema):
            log.warning("the restore is applied already, nothing is rebuilt")
            return Rebuilt(created={}, skipped=[])
        ledger.undo(connection, run.staging_schema)
        require_empty(connection, _covered(section))
        attempts = Attempts(connection)
        with rebuilding("the rebuild of the schema"), connection.transaction():
            created, counts = _build(attempts, section)
            if run.is_drill:
                scratch.mark_roles(connection, created.roles, run)
            # recorded in the order of creation: the log is run from its end
            undo = created.undo(connection, _covered(section))
            ledger.record_undo(connection, run.staging_schema, undo[::-1])
            ledger.record_stand_ins(connection, run.staging_schema, created.stand_ins)
            known = ledger.skipped(connection, run.staging_schema)  # of an earlier try
            ledger.record_skipped(
                connection, run.staging_schema, [each for each in attempts.skipped if each not in known]
            )
    return _told(Rebuilt(created=counts, skipped=attempts.skipped))


def finish_schema(connection: Connection, store: Store, plan: RestorePlan) -> list[str]:
    """Create what comes behind the rows, inside the caller's transaction.

    Keys, indexes, triggers, policies, and what the application has hung on the platform's tables. Postgres checks each
    foreign key against the rows as it is added.

    Returns: what was left out, each with its reason.

    Raises:
        RebuildFailed: a statement failed; the caller rolls back.
        DocumentError: the document's section is missing or damaged.
        DatabaseUnavailable, TableLocked, StoreRefused, StoreUnavailable: a request failed.
    """
    attempts = Attempts(connection)
    _finish(attempts, _section(store, plan), ledger.stand_ins(connection, plan.run.staging_schema))
    with rebuilding("the end of the schema"):
        ledger.record_skipped(connection, plan.run.staging_schema, attempts.skipped)
    return _told(Rebuilt(created={}, skipped=attempts.skipped)).skipped


def rehearse_schema(connection: Connection, store: Store, plan: RestorePlan) -> Rebuilt:
    """Do all of it without rows in one transaction, and roll it back: what a dry run can say of the schema.

    Raises:
        RestoreRefused: the target is not empty.
        RebuildFailed: a statement failed.
        RestoreInProgress: another restore is at work.
        DocumentError: the document's section is missing or damaged.
        DatabaseUnavailable, TableLocked, RestoreFailed, StoreRefused, StoreUnavailable: a request failed.
    """
    section = _section(store, plan)
    with staging.locked(connection):
        require_empty(connection, _covered(section))
        attempts = Attempts(connection)
        with rebuilding("the rehearsal of the schema"), connection.transaction(force_rollback=True):
            created, counts = _build(attempts, section)
            _finish(attempts, section, created.stand_ins)
    return _told(Rebuilt(created=counts, skipped=attempts.skipped), "rehearsed schema, nothing is kept of it")


def _build(attempts: Attempts, section: Mapping[str, Any]) -> tuple[Created, dict[str, int]]:
    """Everything up to `pre_data`; returns what it made, for the undo log, and how much of each kind."""
    connection, covered = attempts.connection, _covered(section)
    neutral, privileges = neutral_default_privileges(connection, covered)
    created = Created(before=schema_states(connection), privileges=privileges)
    with kept_session(connection):
        for each in neutral:
            attempts.execute(each)
        created.roles = create_roles(attempts, section["roles"])
        open_database(attempts, created.roles)
        created.stand_ins = create_schemas(attempts, section)
        created.extensions, more = create_extensions(attempts, section["extensions"])
        created.schemas = [*created.stand_ins, *more]
        fill_schemas(attempts, section, created.stand_ins)
        described = section["schemas"]
        same = [
            state.quoted for name, state in created.before.items() if name in described and state.is_as(described[name])
        ]
        attempts.run(section["ddl"]["pre_data"], settled=same)
    return created, _counts(connection, created, covered)


def _finish(attempts: Attempts, section: Mapping[str, Any], stand_ins: Sequence[str]) -> None:
    with rebuilding("the end of the schema"), kept_session(attempts.connection):
        tie_schemas(attempts, section, stand_ins)
        attempts.run(section["ddl"]["post_data"])
        attempts.run(section["ddl"]["attached"], hung=True)


def _counts(connection: Connection, created: Created, covered: list[str]) -> dict[str, int]:
    objects = connection.execute(statement("rebuild_objects"), {"schemas": covered}).fetchall()
    new_schemas = {*created.schemas, *covered} - set(created.before)
    counts = Counter(str(kind) for kind, _, _ in objects)
    counts.update(role=len(created.roles), schema=len(new_schemas), extension=len(created.extensions))
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _section(store: Store, plan: RestorePlan) -> dict[str, Any]:
    """What is about to be run must be what was planned, and not another document put in its place since."""
    return read_section(store, plan.run.key, same_document(store, plan), "schema")


def _covered(section: Mapping[str, Any]) -> list[str]:
    """The schemas a document covers."""
    return list(section["schemas"])


def _told(rebuilt: Rebuilt, what: str = "rebuilt schema") -> Rebuilt:
    if rebuilt.created:
        log.info("%s: %s", what, ", ".join(f"{count} {kind}" for kind, count in rebuilt.created.items()))
    for each in rebuilt.skipped:
        log.warning("skipped %s", each)
    return rebuilt
