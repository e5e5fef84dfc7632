"""Values of a restore that travel between its tasks (through XCom, as JSON)."""

from datetime import datetime
from typing import Literal

from include.disaster_recovery.document import Fragment
from include.disaster_recovery.model import TableName, Value

RestoreMode = Literal["upsert", "replace"]
Quiet = Literal["replica", "tables"]
Outcome = Literal["passed", "failed", "skipped"]


class RestoreRequest(Value):
    """What the operator asked for. `tables` None means all but `backup_history`, by their names in the document."""

    backup_key: str
    target_conn_id: str
    tables: list[str] | None
    mode: RestoreMode
    restore_schema: bool
    dry_run: bool
    require_approval: bool


class RestoreRun(Value):
    """One opened restore: its backup, fixed to the byte, and its own schema in the target database.

    `run_id` is Airflow's; `target` is host:port/database; `size` and `manifest_sha256` are of the document. `database`
    is the scratch database of a drill on the target's server, None where the connection's own is restored.
    """

    run_id: str
    key: str
    size: int
    manifest_sha256: str
    request: RestoreRequest
    staging_schema: str
    opened_at: datetime
    triggered_by: str | None
    target: str
    target_is_source: bool
    database: str | None = None

    @property
    def is_drill(self) -> bool:
        """Whether this is a rehearsal, whose target nobody keeps."""
        return self.database is not None


class PlannedColumn(Value):
    """A column of the document. `type` is what the target calls its type in the document.

    `target_type` is the type of the target's column of that name, None where there is none; a `generated` column is
    left to Postgres. Values are `converted` where the column was altered since. Neither type has length or precision.
    """

    name: str
    type: str
    target_type: str | None
    generated: bool
    converted: bool = False
    identity_always: bool = False

    @property
    def is_restored(self) -> bool:
        """Whether its values go into the target."""
        return self.target_type is not None and not self.generated


class KeyColumn(Value):
    """A column that tells rows apart, with the equality (and collation) of the target's unique index.

    `base_type` is that of a domain: no operator takes a domain over an enum.
    """

    name: str
    base_type: str | None = None
    operator_schema: str
    operator: str
    collation_schema: str | None
    collation: str | None


class TablePlan(Value):
    """How one table is restored.

    Attributes:
        columns: those of the document, in its order.
        key: the primary key, else a unique key without NULLs; empty: the table is replaced as a whole.
        key_name: the name of the key's index, for messages.
        rewrites: changed rows are deleted and inserted again, as their unique values may have been swapped.
        extra_columns: of the target, unknown to the backup: kept in changed rows, default in new ones.
        staged_as: the table's name in the staging schema.
        direct: this restore creates the table itself and loads straight into it.
        was_empty: the target's table had no row when the plan was made.
        row_count, digest: what the manifest says; the digest is of whole rows as 16 hex digits.
    """

    table: TableName
    columns: list[PlannedColumn]
    key: list[KeyColumn]
    key_name: str | None
    rewrites: bool
    extra_columns: list[str]
    is_partitioned: bool
    staged_as: str
    direct: bool
    was_empty: bool
    row_count: int
    digest: str

    @property
    def name(self) -> str:
        """The table's name in the document."""
        return self.table.name_in_document

    @property
    def restored(self) -> list[PlannedColumn]:
        """The columns whose values go into the target."""
        return [column for column in self.columns if column.is_restored]

    @property
    def is_converted(self) -> bool:
        """Whether some values must become another type first."""
        return any(column.converted for column in self.restored)


class RestorePlan(Value):
    """Everything the later tasks need to know; `tables` stand in foreign-key order, referenced ones first.

    `quiet` is how triggers are kept from firing: `session_replication_role`, or table by table. `notes` are for the
    operator: cycles, self-references, columns that differ.
    """

    run: RestoreRun
    tables: list[TablePlan]
    quiet: Quiet
    notes: list[str]


class LoadUnit(Value):
    """One fragment to load."""

    table: str
    part: int
    parts: int
    fragment: Fragment


class LoadedFragment(Value):
    """What was parsed of a fragment: rows, the digest of whole rows, and that of the restored columns alone."""

    table: str
    part: int
    rows: int
    digest: str
    content_digest: str


class StagedTable(Value):
    """A staged table that equals the manifest; `content_digest` covers the restored columns alone."""

    table: str
    rows: int
    content_digest: str


class TableDiff(Value):
    """What a restore would do to a table, or has done, in rows."""

    table: str
    insert: int
    update: int
    delete: int
    unchanged: int


class Check(Value):
    """One line of the recovery proof. `skipped` always says why, as for objects that Supabase manages."""

    subject: str
    outcome: Outcome
    detail: str


class RestoreReport(Value):
    """The recovery proof, kept beside the backup and in XCom."""

    run: RestoreRun
    started_at: datetime
    finished_at: datetime
    approved_by: str | None
    applied: list[TableDiff]
    checks: list[Check]

    def subjects(self, outcome: Outcome) -> list[str]:
        """What passed, failed or was skipped."""
        return [check.subject for check in self.checks if check.outcome == outcome]
