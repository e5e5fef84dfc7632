"""What a restore will do with each table: decided from the document's description and what the target has. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.model import TableName, Value
from include.disaster_recovery.restore_model import KeyColumn, PlannedColumn, Quiet, TablePlan
from include.disaster_recovery.table_selection import table_name

HISTORY = "backup_history"  # never restored: history is not rewritten
QUIETED: dict[Quiet, str] = {"replica": "AR", "tables": "OA"}  # pg_trigger.tgenabled of those that would still fire


class TargetColumn(Value):
    """A column of the target; `full_type` has its length or precision, `needs_value`: NOT NULL without a default."""

    name: str
    type: str
    full_type: str
    is_generated: bool
    is_identity_always: bool
    needs_value: bool


class Key(Value):
    """A unique index over columns that are never NULL."""

    name: str
    columns: list[KeyColumn]


class Trigger(Value):
    """A user's trigger that is not disabled; `state` is pg_trigger.tgenabled. Partitions have triggers of their own."""

    table_schema: str
    table_name: str
    name: str
    state: str


class TargetTable(Value):
    """A table as the target has it; `kind` is pg_class.relkind."""

    table: TableName
    kind: str
    is_owned: bool
    missing_rights: list[str]
    columns: list[TargetColumn]
    unique_indexes: int
    keys: list[Key]
    triggers: list[Trigger]


class ForeignKeyColumn(Value):
    """One pair of columns of a foreign key, with the operator `referenced = referencing`."""

    name: str
    referenced: str
    is_not_null: bool
    operator_schema: str
    operator: str
    collation_schema: str | None
    collation: str | None


class ForeignKey(Value):
    """A foreign key of the target."""

    name: str
    table_schema: str
    table_name: str
    is_partitioned: bool
    references_schema: str
    references_name: str
    references_partitioned: bool
    columns: list[ForeignKeyColumn]
    is_full: bool
    is_validated: bool
    is_enforced: bool
    is_temporal: bool
    is_owned: bool
    can_lock: bool
    can_lock_referenced: bool
    definition: str
    comment: str | None

    @property
    def table(self) -> TableName:
        """The referencing table."""
        return table_name(self.table_schema, self.table_name)

    @property
    def references(self) -> TableName:
        """The referenced table."""
        return table_name(self.references_schema, self.references_name)


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True)  # other keys of the description do not matter here


class DescribedColumn(_Described):
    """A column as the document describes it."""

    name: str
    type: str
    generated: str | None = None


class DescribedConstraint(_Described):
    """A constraint as the document describes it."""

    kind: str
    references: str | None = None


class DescribedTable(_Described):
    """A table as the document describes it."""

    kind: str
    columns: list[DescribedColumn] | None = None
    constraints: list[DescribedConstraint] = []


def described_table(schema: Mapping[str, Any], name: str) -> DescribedTable:
    """The document's own description of a table.

    Raises:
        DocumentError: there is none, or it is malformed.
    """
    try:
        return DescribedTable.model_validate(schema["tables"][name])
    except (KeyError, TypeError, ValidationError):
        raise DocumentError(
            f"the document does not describe table {name}", hint="choose another backup, or restore other tables"
        ) from None


def table_in_document(name: str, schemas: Sequence[str]) -> TableName:
    """The table a name in a document means: `schema.name` for the schemas it covers, else one of `public`."""
    for at, character in enumerate(name):
        if character == "." and name[:at] in schemas:
            return table_name(name[:at], name[at + 1 :])
    return TableName(schema_name="public", table_name=name, name_in_document=name)


def described_references(name: str, described: DescribedTable) -> list[tuple[str, str]]:
    """Pairs of this table and those it references, by their names in the document."""
    return [
        (name, constraint.references.removeprefix("public."))
        for constraint in described.constraints
        if constraint.kind == "foreign key" and constraint.references
    ]


def order_tables(names: Sequence[str], references: Sequence[tuple[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Tables with those they reference before them, and the cycles in which that is not possible.

    Args:
        names: the tables; where nothing else decides they keep this order, which is the guide's.
        references: pairs of referencing and referenced table.
    """
    waiting = {name: {to for at, to in references if at == name and to != name and to in names} for name in names}
    ordered: list[str] = []
    cycles: list[list[str]] = []
    while waiting:
        free = next((name for name, needs in waiting.items() if not needs), None)
        if free is None:
            cycle = _cycle(waiting)
            cycles.append(cycle)
            free = min(cycle, key=names.index)
        ordered.append(free)
        del waiting[free]
        for needs in waiting.values():
            needs.discard(free)
    return ordered, cycles


def _cycle(waiting: Mapping[str, set[str]]) -> list[str]:
    """One cycle among tables that all wait for another."""
    path = [next(iter(waiting))]
    while True:
        step = min(waiting[path[-1]])
        if step in path:
            return path[path.index(step) :]
        path.append(step)


def reference_notes(cycles: Sequence[Sequence[str]], references: Sequence[tuple[str, str]]) -> list[str]:
    """How cycles and self-references are handled, for the operator."""
    own = sorted({at for at, to in references if at == to})
    notes = [
        f"tables {' -> '.join([*cycle, cycle[0]])} reference each other:"
        " their keys are unchecked while rows are written, and validated before the commit"
        for cycle in cycles
    ]
    if own:
        notes.append(f"tables that reference themselves, validated before the commit: {', '.join(own)}")
    return notes


def plan_table(
    described: DescribedTable,
    found: TargetTable,
    types: Mapping[str, str],
    *,
    staged_as: str,
    was_empty: bool,
    row_count: int,
    digest: str,
    quiet: Quiet,
) -> TablePlan:
    """How a table that the target has is restored; see `problems` for what must not be."""
    have = {column.name: column for column in found.columns}
    columns = [_planned(column, have.get(column.name), types) for column in described.columns or []]
    restored = {column.name for column in columns if column.is_restored}
    key = next((key for key in found.keys if {column.name for column in key.columns} <= restored), None)
    keyed = {column.name for column in key.columns} if key else set()
    moves = found.unique_indexes > 1 or any(
        column.is_identity_always and column.name in restored - keyed for column in found.columns
    )
    known = {column.name for column in columns}
    return TablePlan(
        table=found.table,
        columns=columns,
        key=key.columns if key else [],
        key_name=key.name if key else None,
        rewrites=moves and (quiet == "replica" or found.is_owned),
        extra_columns=[c.name for c in found.columns if c.name not in known and not c.is_generated],
        is_partitioned=found.kind == "p",
        staged_as=staged_as,
        direct=False,
        was_empty=was_empty,
        row_count=row_count,
        digest=digest,
    )


def plan_new_table(
    described: DescribedTable, table: TableName, *, staged_as: str, row_count: int, digest: str
) -> TablePlan:
    """How a table that this restore creates itself is loaded."""
    columns = [
        PlannedColumn(name=c.name, type=c.type, target_type=c.type, generated=c.generated is not None)
        for c in described.columns or []
    ]
    return TablePlan(
        table=table,
        columns=columns,
        key=[],
        key_name=None,
        rewrites=False,
        extra_columns=[],
        is_partitioned=described.kind == "partitioned table",
        staged_as=staged_as,
        direct=True,
        was_empty=True,
        row_count=row_count,
        digest=digest,
    )


def _planned(column: DescribedColumn, have: TargetColumn | None, types: Mapping[str, str]) -> PlannedColumn:
    """A type that the target does not know is staged as text; its column is a problem, or not restored at all."""
    return PlannedColumn(
        name=column.name,
        type=types.get(column.type, "text"),
        target_type=have.type if have else None,
        generated=have is not None and have.is_generated,
        converted=have is not None and (have.full_type != column.type or column.type not in types),
        identity_always=have is not None and have.is_identity_always,
    )


def problems(described: DescribedTable, found: TargetTable, types: Mapping[str, str], quiet: Quiet) -> list[str]:
    """Why a table cannot be restored into the target; each a line for the operator."""
    name, known = found.table.name_in_document, {column.name for column in described.columns or []}
    lines = [
        f"table {name}: column {c.name} is NOT NULL without a default and not in the backup"
        for c in found.columns
        if c.needs_value and not c.is_generated and c.name not in known
    ]
    lines += [
        f"table {name}: column {c.name} is of type {c.type}, which the target does not have"
        for c in described.columns or []
        if c.type not in types
    ]
    if found.missing_rights:
        lines.append(f"table {name}: the role lacks {', '.join(found.missing_rights)}")
    loud = [t.name for t in found.triggers if t.state in QUIETED[quiet]]
    if loud and not found.is_owned:
        lines.append(f"table {name}: the role cannot keep the triggers {', '.join(loud)} from firing")
    return lines


def differences(described: DescribedTable, found: TargetTable) -> list[str]:
    """What differs between backup and target without being in the way; each a line for the operator."""
    name = found.table.name_in_document
    have, known = {c.name: c for c in found.columns}, {c.name for c in described.columns or []}
    lines = [
        f"table {name}: column {c.name} is gone from the target, its values are not restored"
        for c in described.columns or []
        if c.name not in have
    ]
    lines += [
        f"table {name}: column {c.name} was {c.type}, is {have[c.name].full_type} now: values are converted"
        for c in described.columns or []
        if c.name in have and have[c.name].full_type != c.type
    ]
    lines += [
        f"table {name}: column {c.name} is unknown to the backup: kept in rows that stay, default in new ones"
        for c in found.columns
        if c.name not in known and not c.is_generated
    ]
    return lines
