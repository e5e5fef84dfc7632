"""One side of a comparison: a backup as its document says it, else as its history row does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from include.disaster_recovery.dashboard.attempts import attempt
from include.disaster_recovery.dashboard.documents import Described, Documents, Object
from include.disaster_recovery.dashboard.model import BackupEntry, SchemaDiff, TableLine
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.view import Line
from include.disaster_recovery.history.listing import FullRow, full_row

Found = TypeVar("Found")
Counts = Mapping[str, tuple[int | None, int | None]]  # rows and bytes by table


@dataclass(frozen=True, kw_only=True)
class Side:
    """What could be read of a backup; `notes` say what could not."""

    line: Line
    row: FullRow | None
    described: Described | None
    notes: Sequence[str]

    @property
    def entry(self) -> BackupEntry:
        """Its line in the table."""
        return self.line.entry

    @property
    def components(self) -> Mapping[str, Any]:
        """The JSON of its history row."""
        return self.row.components if self.row else {}

    @property
    def document(self) -> Object | None:
        """Its object, if the document could be read."""
        key, size = self.line.key, self.line.entry.size
        return (key, size) if self.described and key and size is not None else None

    @property
    def tables(self) -> Counts:
        """From the manifest, else from the history."""
        if self.described:
            return self.described.tables
        rows, sizes = (_numbers(self.components.get(name)) for name in ("row_counts", "table_bytes"))
        return {name: (rows.get(name), sizes.get(name)) for name in {**rows, **sizes}}


def read_side(sources: Sources, documents: Documents, line: Line) -> Side:
    """Read what is known of a backup; what cannot be read becomes a note."""
    notes: list[str] = []
    row = _noted(notes, "history", lambda: _row(sources, line)) if line.has_row else None
    described = None
    key, size = line.key, line.entry.size
    if key and size is not None:
        described = _noted(notes, "document", lambda: documents.describe(sources.store(), (key, size)))
    else:
        notes.append(_why_no_document(line.entry))
    return Side(line=line, row=row, described=described, notes=notes)


def schema_diff(
    sources: Sources, documents: Documents, before: Side, after: Side, notes: list[str]
) -> SchemaDiff | None:
    """What has changed in the schema; None, with a note, where one of the documents cannot be read."""
    old, new = before.document, after.document
    if not (old and new):
        notes.append("the schemas are not compared: it takes both documents")
        return None
    return _noted(notes, "schema", lambda: documents.diff(sources.store(), old, new))


def schema_counts(sources: Sources, documents: Documents, side: Side, notes: list[str]) -> dict[str, int]:
    """How much of each kind the schema has: from the history, else from the document."""
    recorded, document = side.components.get("schema"), side.document
    if isinstance(recorded, dict) and recorded:
        return {name: count for name, count in recorded.items() if type(count) is int}
    if document is None:
        return {}
    return _noted(notes, "schema", lambda: documents.schema_counts(sources.store(), document)) or {}


def table_lines(after: Counts, before: Counts) -> list[TableLine]:
    """Tables of both sides by name, in the order of the later one."""
    nothing = (None, None)
    return [
        TableLine(
            name=name,
            rows=after.get(name, nothing)[0],
            bytes=after.get(name, nothing)[1],
            rows_before=before.get(name, nothing)[0],
            bytes_before=before.get(name, nothing)[1],
        )
        for name in {**after, **before}
    ]


def _row(sources: Sources, line: Line) -> FullRow | None:
    with sources.source() as connection:
        return full_row(connection, line.entry.id)


def _noted(notes: list[str], what: str, read: Callable[[], Found]) -> Found | None:
    found, problem = attempt(what, read)
    if problem:
        notes.append(f"{problem.fact}; {problem.hint}")
    return found


def _why_no_document(entry: BackupEntry) -> str:
    if entry.in_bucket is None:
        return "the bucket cannot be read: this is what the history says"
    if entry.status == "expired":
        return "retention has removed the document: this is what the history says"
    return "the bucket has no document of it: this is what the history says"


def _numbers(value: object) -> dict[str, int]:
    """Counts by table, if they are some: anybody may have written the column."""
    if not isinstance(value, dict):
        return {}
    return {name: count for name, count in value.items() if type(count) is int and count >= 0}
