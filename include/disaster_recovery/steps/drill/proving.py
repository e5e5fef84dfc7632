"""The verdict of a drill: what its steps have found, kept where a person, the history and retention look for it."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.backup_record import proof_tags
from include.disaster_recovery.drill_model import (
    DrillReport,
    DrillServer,
    Failure,
    OpenedDrill,
    Phase,
    compare_document,
    excuse,
    report,
)
from include.disaster_recovery.errors import (
    ComparisonFailed,
    DisasterRecoveryError,
    DocumentError,
    DrillFailed,
    StoreRefused,
    fact_of,
)
from include.disaster_recovery.history.rows import annotate, read_rows
from include.disaster_recovery.history.verdicts import known_of
from include.disaster_recovery.postgres.rebuild.prerequisites import missing_extensions
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.recovery_proof import readable, summary
from include.disaster_recovery.restore_model import Check
from include.disaster_recovery.s3.documents import IN_METADATA, read_manifest, read_section
from include.disaster_recovery.s3.reports import write_report
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags
from include.disaster_recovery.verification import Known

log = logging.getLogger(__name__)

Session = Callable[[], AbstractContextManager[Connection]]
RUNBOOK = "docs/runbooks/drill-failed.md says what each kind means"


def prove(
    store: Store,
    prefix: str,
    drill: OpenedDrill,
    *,
    phases: Sequence[Phase],
    compared: Sequence[Check] | None,
    failures: Sequence[Failure],
    server: Session,
    source: Session,
) -> DrillReport:
    """Come to a verdict and record it: the report beside the backup, tags of the object, the history row.

    Args:
        compared: the checks of the comparison; None if the drill ended before it.
        failures: of the steps that failed.
        server: a session on the drill server.
        source: a session on the source database, for the history; it may be out of reach.

    Raises:
        DrillFailed: the drill ended early for reasons that say nothing of the backup, or the backup was deleted
            meanwhile; nothing is recorded.
        StoreUnavailable: the bucket was not reached.
    """
    if store.head(drill.key) is None:
        raise DrillFailed(
            f"{drill.key} is gone: it was deleted while it was drilled", hint="trigger a drill of another backup"
        )
    failure = None if compared is not None else _blamed(store, drill, failures, server)
    checks = [*(compared or ()), *_document(store, drill, source)]
    verdict = report(drill, phases, checks, failure)
    key = _keep(store, prefix, verdict)
    _tag(store, verdict)
    _note(source, verdict, key)
    _log(verdict)
    return verdict


def require_proven(verdict: DrillReport) -> None:
    """Make the run red where the backup is not proven; call it when the verdict is recorded.

    Raises:
        DrillFailed: a step failed for which the backup is to blame.
        ComparisonFailed: the drill ran to its end, and at least one check failed; each is named.
    """
    if verdict.state == "proven":
        return
    named = "; ".join(readable(f"{check.subject}: {check.detail}") for check in verdict.failures)
    hint = f"restore from another backup until this is understood; {RUNBOOK}"
    if verdict.failure:
        raise DrillFailed(f"{verdict.key} cannot be restored: {named}", hint=hint)
    count = f"{len(verdict.failures)} of {len(verdict.checks)} checks"
    raise ComparisonFailed(f"{verdict.key} is not what it says, {count} failed: {named}", hint=hint)


def _blamed(store: Store, drill: OpenedDrill, failures: Sequence[Failure], server: Session) -> Failure:
    """The failure that the backup is to blame for.

    Raises:
        DrillFailed: there is none.
    """
    lacking = _lacking(store, drill, server) if failures else None
    excuses = {failure: excuse(failure, lacking) for failure in failures}
    for failure, reason in excuses.items():
        if reason is None:
            return failure
    said = "; ".join(f"{failure.phase}: {failure.fact} ({reason})" for failure, reason in excuses.items())
    raise DrillFailed(
        f"the drill of {drill.key} ended before its comparison and says nothing of the backup:"
        f" {said or 'a step was killed, timed out, or failed unexpectedly'}",
        hint="mend what the red task says, then trigger the drill again; the backup is no better or worse than before",
    )


def _lacking(store: Store, drill: OpenedDrill, server: Session) -> DrillServer | None:
    """What the drill server lacks of what the backup's server had; None where that cannot be told."""
    try:
        manifest, _ = read_manifest(store, drill.key, drill.size)
        schema, metadata = (read_section(store, drill.key, manifest, name) for name in ("schema", "metadata"))
        with server() as connection:
            missing = missing_extensions(connection, [str(each["name"]) for each in schema["extensions"]])
            major = connection.info.server_version // 10000
        was = int(str(metadata["server_version"]).partition(".")[0])
    except (DisasterRecoveryError, KeyError, TypeError, ValueError) as error:
        log.warning("what the drill server lacks is not known: %s", fact_of(error))
        return None
    return DrillServer(missing_extensions=tuple(missing), is_older=major < was)


def _document(store: Store, drill: OpenedDrill, source: Session) -> list[Check]:
    """The document against the records of it elsewhere; nothing where it cannot be read, which says so itself."""
    try:
        manifest, found = read_manifest(store, drill.key, drill.size)
        metadata = read_section(store, drill.key, manifest, "metadata")
    except DocumentError:
        return []
    stored = store.head(drill.key)
    said = metadata.get("row_counts")
    records = [
        Known(where="the document's metadata", row_counts=said if _is_counts(said) else {}),
        Known(where="the object's metadata", manifest_sha256=stored.metadata.get(IN_METADATA) if stored else None),
    ]
    try:
        with source() as connection:
            rows = read_rows(connection, status="success", file_name=file_name(drill.key), most=1)
        records += [known_of(row) for row in rows]
    except DisasterRecoveryError as error:
        log.warning("backup_history could not be asked about the document: %s", error.fact)
    return compare_document(manifest, found, records)


def _is_counts(said: object) -> bool:
    return isinstance(said, dict) and all(type(count) is int for count in said.values())


def _keep(store: Store, prefix: str, verdict: DrillReport) -> str | None:
    try:
        key = write_report(store, prefix, verdict)
    except StoreRefused as error:
        log.warning("the report is in XCom only: %s", error.fact)
        return None
    log.info("the report is kept as %s", key)
    return key


def _tag(store: Store, verdict: DrillReport) -> None:
    """On the object, so that the bucket alone knows; a key that may not tag leaves it to the history."""
    try:
        if not merge_tags(store, verdict.key, proof_tags(verdict.proof)):
            log.warning("%s is gone, it cannot be tagged", verdict.key)
    except StoreRefused as error:
        log.warning("the verdict is not on the object: %s; hint: %s", error.fact, error.hint)


def _note(source: Session, verdict: DrillReport, report_key: str | None) -> None:
    try:
        with source() as connection:
            if not annotate(connection, file_name(verdict.key), {"drill": verdict.in_history(report_key)}):
                log.warning("backup_history has no row of %s: the verdict is on the object", verdict.key)
    except DisasterRecoveryError as error:
        log.warning("the verdict is not in backup_history: %s; hint: %s", error.fact, error.hint)


def _log(verdict: DrillReport) -> None:
    for phase in verdict.phases:
        moved = f", {phase.bytes} bytes" if phase.bytes is not None else ""
        log.info("%s: %.1f s%s", phase.name, phase.seconds, moved)
    for check in verdict.failures:
        log.error("failed: %s", readable(f"{check.subject}: {check.detail}"))
    log.info(summary(verdict.checks))
    if verdict.state == "proven":
        log.info("%s is proven: recovered in %.1f s, %d bytes", verdict.key, verdict.seconds, verdict.bytes)
