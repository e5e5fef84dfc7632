"""What a drill measures and finds, and whom a failure blames: the backup or the drill server. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from include.disaster_recovery.backup_record import Proof
from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import SignatureRefused
from include.disaster_recovery.model import Value
from include.disaster_recovery.recovery_proof import failed, passed
from include.disaster_recovery.restore_model import Check
from include.disaster_recovery.verification import Known

PHASES = ("plan", "rebuild", "load", "check", "apply", "compare")
# What trying again with the same bytes on a healthy server would give again. See `blame`.
_ABOUT_THE_DOCUMENT = {"DocumentError", "StagingDiffers", "RebuildFailed", "RestoreFailed"}
_HANGS_ON_THE_SERVER = {"RebuildFailed", "RestoreFailed"}
_RIGHTS = re.compile(r"permission denied|must be (a )?(superuser|owner|member)|must have|read-only transaction")
_ORIGIN = "origin of the document"


class Phase(Value):
    """A part of the time to recover. `bytes`: what it read or loaded, where that is known."""

    name: str
    started_at: datetime
    ended_at: datetime
    bytes: int | None = None

    @property
    def seconds(self) -> float:
        """From its beginning to its end; none where the clock was set back meanwhile."""
        return max(0.0, round((self.ended_at - self.started_at).total_seconds(), 3))


class Failure(Value):
    """How a step failed: the phase, the class of its error, and what that said."""

    phase: str
    kind: str
    fact: str
    hint: str


class OpenedDrill(Value):
    """A drill that has found its backup. `target` is host:port/database, `database` the scratch database."""

    run_id: str
    key: str
    size: int
    database: str
    target: str
    started_at: datetime


class DrillServer(Value):
    """What the drill server lacks that the backup may need: another one might carry the backup."""

    missing_extensions: tuple[str, ...] = ()
    is_older: bool = False


class DrillReport(Value):
    """The verdict of a drill, kept beside the backup and in XCom; `checks` are those of the restore, and the drill's.

    `seconds` from the beginning of `plan_drill` to the end of `compare`, or to where it failed: the time to recover.
    `bytes` are the document's; `failure` is set where the drill ended before its comparison.
    """

    state: Literal["proven", "failed"]
    run_id: str
    key: str
    bytes: int
    target: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    phases: list[Phase]
    failure: Failure | None
    checks: list[Check]

    @property
    def proof(self) -> Proof:
        """The verdict as the backup bears it."""
        return Proof(state=self.state, at=self.finished_at, seconds=self.seconds)

    @property
    def failures(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.outcome == "failed"]

    def in_history(self, report_key: str | None) -> dict[str, Any]:
        """The verdict as the backup's history row bears it."""
        return {
            "state": self.state,
            "at": self.finished_at.isoformat(),
            "seconds": self.seconds,
            "phases": {phase.name: phase.seconds for phase in self.phases},
            "bytes": {phase.name: phase.bytes for phase in self.phases if phase.bytes is not None},
            "report": report_key,
            "failed": [check.subject for check in self.failures],
        }


def merged(phases: Iterable[Phase]) -> list[Phase]:
    """One phase a name, from the first start to the last end, in the order of a restore; bytes are added up."""
    found: dict[str, list[Phase]] = {}
    for each in phases:
        found.setdefault(each.name, []).append(each)
    return [_joined(found[name]) for name in PHASES if name in found]


def _joined(parts: Sequence[Phase]) -> Phase:
    sizes = [part.bytes for part in parts if part.bytes is not None]
    return Phase(
        name=parts[0].name,
        started_at=min(part.started_at for part in parts),
        ended_at=max(part.ended_at for part in parts),
        bytes=sum(sizes) if sizes else None,
    )


def report(
    opened: OpenedDrill, phases: Sequence[Phase], checks: Sequence[Check], failure: Failure | None
) -> DrillReport:
    """The verdict: proven, if everything came to its end and no check failed."""
    joined = merged(phases)
    end = max((phase.ended_at for phase in joined), default=opened.started_at)
    found = [*checks, *([failed(f"{failure.phase} of the backup", failure.fact)] if failure else [])]
    return DrillReport(
        state="failed" if any(check.outcome == "failed" for check in found) else "proven",
        run_id=opened.run_id,
        key=opened.key,
        bytes=opened.size,
        target=opened.target,
        started_at=opened.started_at,
        finished_at=end,
        seconds=max(0.0, round((end - opened.started_at).total_seconds(), 3)),
        phases=joined,
        failure=failure,
        checks=found,
    )


def excuse(failure: Failure, server: DrillServer | None) -> str | None:
    """Why a failure says nothing about the backup; None if it does: then the backup is marked as failed.

    Only what the same bytes would give again on any healthy server blames the backup. An outage, a full disk, a lock, a
    missing right or connection does not. A refused statement or value does, unless the server lacks something that the
    backup needs; without a word from the server nobody can tell.

    Args:
        server: what the drill server lacks; None where it could not be asked.
    """
    if failure.kind == SignatureRefused.__name__:
        return "whose backup it is cannot be told, so it was not tried"
    if failure.kind not in _ABOUT_THE_DOCUMENT:
        return "the drill server, the bucket or the settings stood in the way, not the backup"
    if failure.kind not in _HANGS_ON_THE_SERVER:
        return None
    if _RIGHTS.search(failure.fact):
        return "the drill's role lacks a right"
    if server is None:
        return "the drill server could not be asked whether it has what the backup needs"
    if server.missing_extensions:
        return f"the drill server lacks extensions of the backup: {', '.join(server.missing_extensions)}"
    return "the drill server is older than the backup's" if server.is_older else None


def compare_document(manifest: Manifest, manifest_sha256: str, records: Sequence[Known]) -> list[Check]:
    """Hold a document against what else was written when it was made: a forged one is of one piece in itself."""
    counts = {name: table.row_count for name, table in manifest.tables.items()}
    checks = [
        check
        for record in records
        if record.row_counts is not None
        for check in _compare_counts(record.where, record.row_counts, counts)
    ]
    known = [record for record in records if record.manifest_sha256 is not None]
    others = [
        failed(_ORIGIN, f"it is not the one that was written: {record.where} has another SHA-256 of its manifest")
        for record in known
        if record.manifest_sha256 != manifest_sha256
    ]
    if known and not others:
        others = [passed(_ORIGIN, f"its manifest is as in {' and '.join(record.where for record in known)}")]
    return [*checks, *others]


def _compare_counts(where: str, counts: Mapping[str, int], found: Mapping[str, int]) -> list[Check]:
    wrong = []
    for name in sorted({*counts, *found}):
        if name not in found:
            wrong.append(failed(f"table {name}", f"{where} has it with {counts[name]} rows, the manifest does not"))
        elif counts.get(name) != found[name]:
            said = f"{where} has {counts.get(name)} rows, the manifest {found[name]}"
            wrong.append(failed(f"rows of {name} in the document", said))
    return wrong or [passed(f"tables in {where}", f"{len(found)} with as many rows as in the manifest")]
