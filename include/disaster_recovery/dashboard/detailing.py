"""One backup with everything that is known of it, beside the one before it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from include.disaster_recovery.backup_key import compression_of
from include.disaster_recovery.dashboard.components import phases_of
from include.disaster_recovery.dashboard.documents import Documents
from include.disaster_recovery.dashboard.model import BackupDetail, Comparison
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.sides import Side, read_side, schema_counts, schema_diff, table_lines
from include.disaster_recovery.dashboard.view import Line, View
from include.disaster_recovery.history.listing import FullRow
from include.disaster_recovery.history.verdicts import verdict_of
from include.disaster_recovery.plain_text import cut
from include.disaster_recovery.s3.reports import DRILLS

MOST_TEXTS, LONGEST_TEXT, LONGEST_ERROR = 200, 1000, 20_000


def detail_of(sources: Sources, documents: Documents, line: Line, before: Line | None) -> BackupDetail:
    """The detail; what cannot be read becomes a note."""
    side, earlier = _sides(sources, documents, line, before)
    notes = list(side.notes)
    diff = schema_diff(sources, documents, earlier, side, notes) if earlier else None
    if earlier is None:
        notes.append("there is no earlier successful backup in the bucket to compare with")
    described, row, entry = side.described, side.row, side.entry
    return BackupDetail(
        entry=entry,
        error=_error(side),
        key=line.key,
        s3_url=f"s3://{_bucket(sources)}/{line.key}" if line.key else _recorded_url(row),
        version=described.version if described else row.version if row else None,
        server_version=described.server_version if described else None,
        snapshot=described.snapshot if described else _text(side.components.get("snapshot")),
        checksum=_checksum(side),
        manifest_sha256=described.manifest_sha256 if described else _text(side.components.get("manifest_sha256")),
        fragments=described.fragments if described else None,
        compression=described.compression if described else compression_of(entry.file_name or ""),
        before=earlier.entry.id if earlier else None,
        tables=table_lines(side.tables, earlier.tables if earlier else {}),
        schema_counts=schema_counts(sources, documents, side, notes),
        schema_diff=diff,
        edge_functions=described.edge_functions if described else [],
        warnings=_texts(side.components.get("warnings")),
        findings=_findings(side),
        drill_phases=phases_of(side.components),
        drill_failures=_texts(_drill(side).get("failed")),
        drill_report=_report_name(_drill(side).get("report")),
        triggered_by=_triggered_by(side),
        notes=notes,
    )


def comparison_of(sources: Sources, documents: Documents, before: Line, after: Line) -> Comparison:
    """Two backups side by side; what cannot be read becomes a note."""
    new, old = _sides(sources, documents, after, before)
    sides = [old, new] if old else [new]
    notes = [f"{side.entry.file_name or side.entry.id}: {note}" for side in sides for note in side.notes]
    return Comparison(
        before=before.entry,
        after=after.entry,
        tables=table_lines(new.tables, old.tables if old else {}),
        schema_diff=schema_diff(sources, documents, old, new, notes) if old else None,
        notes=notes,
    )


def line_before(view: View, line: Line) -> Line | None:
    """The newest older successful backup that is still in the bucket; without the bucket, any successful one."""
    older = (each for each in view.lines if each.entry.created_at < line.entry.created_at)
    wanted = (each for each in older if each.entry.status == "success" and each.entry.in_bucket is not False)
    return next((each for each in wanted if not each.is_foreign), None)


def _sides(sources: Sources, documents: Documents, line: Line, before: Line | None) -> tuple[Side, Side | None]:
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="backup-history") as pool:
        asked = pool.submit(read_side, sources, documents, before) if before else None
        side = read_side(sources, documents, line)
        return side, asked.result() if asked else None


def _bucket(sources: Sources) -> str:
    return sources.settings.s3.bucket


def _recorded_url(row: FullRow | None) -> str | None:
    """Another program may have kept a signed link, which is a credential as long as it lasts."""
    return row.s3_url.partition("?")[0] if row and row.s3_url else None


def _error(side: Side) -> str | None:
    said = side.row.error_message if side.row else None
    return cut(said, LONGEST_ERROR) if said else side.entry.error


def _checksum(side: Side) -> str | None:
    """Of what was written, else as it was last verified."""
    verdict = verdict_of(side.row) if side.row else None
    return _text(side.components.get("checksum")) or (verdict.checksum if verdict and verdict.valid else None)


def _findings(side: Side) -> list[str]:
    verdict = verdict_of(side.row) if side.row else None
    if verdict and verdict.findings:
        return _texts(verdict.findings)
    return [side.entry.finding] if side.entry.finding else []


def _drill(side: Side) -> Mapping[str, Any]:
    drill = side.components.get("drill")
    return drill if isinstance(drill, dict) else {}


def _report_name(key: object) -> str | None:
    """The name of a report, from its key."""
    name = key.rpartition(f"/{DRILLS}")[2] if isinstance(key, str) and f"/{DRILLS}" in key else None
    return name if name and "/" not in name else None


def _triggered_by(side: Side) -> str | None:
    run = side.components.get("run")
    named = _text(run.get("triggered_by")) if isinstance(run, dict) else None
    return named or (side.row.triggered_by if side.row else None)


def _text(value: object) -> str | None:
    return value[:LONGEST_TEXT] if isinstance(value, str) and value else None


def _texts(value: object) -> list[str]:
    found = value[:MOST_TEXTS] if isinstance(value, list) else []
    return [each[:LONGEST_TEXT] for each in found if isinstance(each, str)]
