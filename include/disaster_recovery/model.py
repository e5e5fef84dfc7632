"""Values that travel between tasks (through XCom, as JSON) and into the document."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator

BackupType = Literal["scheduled", "manual"]
ReadMode = Literal["batches", "rows"]
Depth = Literal["quick", "full"]
State = Literal["valid", "invalid", "missing"]


class Value(BaseModel):
    """Base of all values: immutable, no unknown fields, plain JSON in and out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> dict[str, Any]:
        """The value as JSON types only."""
        return self.model_dump(mode="json")


class BackupRun(Value):
    """One opened backup: its history row, its key and who asked for it. Fixed once when the run opens."""

    backup_id: str
    run_id: str
    backup_type: BackupType
    triggered_by: str | None
    created_at: datetime
    key: str
    staging_prefix: str


class TableName(Value):
    """A table of the source database. `name_in_document` is bare for `public`, else `schema.name`."""

    schema_name: str
    table_name: str
    name_in_document: str


class Snapshot(Value):
    """An exported snapshot, importable while its holder lives, and the tables locked with it."""

    snapshot_id: str
    backend_pid: int
    exported_at: datetime
    server_version: str
    tables: list[TableName]


class ExtractUnit(Value):
    """One fragment to extract: a contiguous slice of one table.

    `position` is the table's place in the document. The slice is `first_block`..`last_block` of the heap's `blocks`
    at planning time, the last one exclusive; None means to the end, rows beyond `blocks` included. In mode `rows`
    (partitioned tables, large cells) the slice is read in one stream, else in ranges of `blocks_per_batch`.
    """

    table: TableName
    position: int
    part: int
    parts: int
    mode: ReadMode
    is_partitioned: bool
    first_block: int
    last_block: int | None
    blocks: int
    blocks_per_batch: int
    snapshot_id: str

    @property
    def label(self) -> str:
        """What the Airflow UI shows: `messages`, or `messages [2/4]`."""
        name = self.table.name_in_document
        return name if self.parts == 1 else f"{name} [{self.part}/{self.parts}]"


class Batch(Value):
    """Rows of a fragment that are parsed together: uncompressed bytes and rows. A comma and a newline part batches."""

    size: int
    rows: int


class StagedFragment(Value):
    """What an extract wrote: one staged object `opening + rows + closing`, sizes as stored (compressed).

    `value_at` is where the table's value begins in the first fragment. `table_rows` is the database's own count of the
    whole table, taken by the extract of its last fragment.
    """

    table: str
    position: int
    part: int
    parts: int
    key: str
    value_at: int
    opening_size: int
    rows_size: int
    closing_size: int
    rows: int
    table_rows: int | None
    sha256: str
    digest: str
    batches: list[Batch]
    snapshot_id: str

    @property
    def size(self) -> int:
        """Bytes of the staged object."""
        return self.opening_size + self.rows_size + self.closing_size


class StagedSection(Value):
    """A document section (schema, edge_functions) kept under staging, with what the history row shows of it."""

    name: str
    key: str
    size: int
    sha256: str
    counts: dict[str, int]
    warnings: list[str]
    snapshot_id: str | None = None


class AssembledDocument(Value):
    """A document that stands in the bucket, not verified yet.

    `table_bytes`: those of each table's rows, as stored. `bytes_uploaded`: those that went through the worker.
    """

    key: str
    size: int
    manifest_sha256: str
    row_counts: dict[str, int]
    table_bytes: dict[str, int]
    parts_copied: int
    parts_uploaded: int
    bytes_uploaded: int


class Verdict(Value):
    """What verification found; `valid` only if every check held.

    `depth` is how much was read. `checksum` is the CRC64NVME of the whole object, as `crc64nvme:` and base64.
    `quick_checked_at`: a later quick look found nothing, which says less than the full reading it leaves standing.
    """

    valid: bool
    state: State
    depth: Depth
    checked_at: AwareDatetime
    quick_checked_at: datetime | None = None
    size: int
    tables: int
    rows: int
    fragments: int
    checksum: str | None
    findings: list[str]
    warnings: list[str]

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, values: Any) -> Any:
        """The first release wrote neither state nor depth: every verdict was that of a full reading."""
        if not isinstance(values, dict) or "state" in values:
            return values
        return {**values, "state": "valid" if values.get("valid") else "invalid", "depth": "full"}

    @model_validator(mode="after")
    def _consistent(self) -> "Verdict":
        if self.valid != (self.state == "valid"):
            raise ValueError(f"valid is {self.valid}, state is {self.state!r}")
        return self
