"""What a row of the history says of a document: as it was written, and as it was last verified."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from include.disaster_recovery.history.rows import HistoryRow
from include.disaster_recovery.model import Verdict
from include.disaster_recovery.verification import Known

WHERE = "backup_history"


def best_row(rows: Sequence[HistoryRow]) -> HistoryRow | None:
    """The row that says most of a backup, where a file name has several: its success, else the newest."""
    return next((row for row in rows if row.status == "success"), rows[0] if rows else None)


def verdict_of(row: HistoryRow) -> Verdict | None:
    """The last verdict in a row; None where there is none that can be read."""
    try:
        return Verdict.model_validate(row.components["verification"])
    except (KeyError, ValidationError):
        return None


def known_of(row: HistoryRow | None) -> Known:
    """What is on record of a document. Only a success says what was written; older ones say less of it."""
    if row is None or row.status != "success":
        return Known(where=WHERE)
    components = row.components
    verdict = verdict_of(row)
    return Known(
        where=WHERE,
        size=row.file_size,
        checksum=_text(components.get("checksum")) or (verdict.checksum if verdict and verdict.valid else None),
        manifest_sha256=_text(components.get("manifest_sha256")),
        row_counts=_counts(components.get("row_counts")),
    )


def is_expired(row: HistoryRow) -> bool:
    """Whether retention has let go of the backup: nobody expects its object any more."""
    return bool(row.components.get("expired"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _counts(value: Any) -> dict[str, int] | None:
    """Row counts, if they are some: the column is JSON that anybody may have written."""
    if not isinstance(value, dict) or not all(type(count) is int for count in value.values()):
        return None
    return value
