"""What a restore will do with each table: decided from the document's description and what the target has. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.model import TableName
from include.disaster_recovery.restore_model import PlannedColumn, Quiet, RestoreMode, TablePlan
from include.disaster_recovery.restore_target import ForeignKey, Key, TargetColumn, TargetTable
from include.disaster_recovery.table_selection import table_name

HISTORY = "backup_history"  # never restored: history is not rewritten
QUIETED: dict[Quiet, str] = {"replica": "AR", "tables": "OA"}  # tgenabled, ev_enabled of those that would still fire


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
    """The table a name in a document means: `schema.name` for the schemas it covers, else one of `public`.

    Tables of `public` are never written with their schema: `public.x` is one whose own name has a dot.
    """
    for at, character in enumerate(name):
        if character == "." and name[:at] in schemas and name[:at] != "public":
            return table_name(name[:at], name[at + 1 :])
    return TableName(schema_name="public", table_name=name, name_in_document=name)


def described_references(name: str, described: DescribedTable) -> list[tuple[str, str]]:
    """Pairs of this table and those it references, by their names in the document."""
    return [
        (name, constraint.references.removeprefix("public."))
        for constraint in described.constraints
        if constraint.kind == "foreign key" and constraint.references
    ]


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
    key = _usable_key(described, found)
    moves = found.unique_indexes > 1 or bool(_always(described, found))
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
    """A column that is gone, and its type with it, is staged as json: that keeps what the document says of it."""
    return PlannedColumn(
        name=column.name,
        type=types.get(column.type, "json"),
        target_type=have.type if have else None,
        generated=have is not None and have.is_generated,
        converted=have is not None and (have.full_type != column.type or column.type not in types),
        identity_always=have is not None and have.is_identity_always,
    )


def problems(described: DescribedTable, found: TargetTable, types: Mapping[str, str], quiet: Quiet) -> list[str]:
    """Why a table cannot be restored into the target; each a line for the operator."""
    lines = [*_column_problems(described, found, types)]
    if found.missing_rights:
        lines.append(f"the role lacks {', '.join(found.missing_rights)}")
    elif found.hides_rows:
        lines.append("row-level security hides rows from the role, which needs BYPASSRLS")
    if loud := [t.name for t in found.triggers if t.state in QUIETED[quiet] and not t.is_owned]:
        lines.append(f"the role cannot keep {', '.join(loud)} from firing, as the table is not its own")
    if quiet == "tables" and not found.is_owned and (always := _always(described, found)):
        lines.append(f"the role cannot write identity columns that are no key: {', '.join(always)}")
    return [f"table {found.table.name_in_document}: {line}" for line in lines]


def _column_problems(described: DescribedTable, found: TargetTable, types: Mapping[str, str]) -> list[str]:
    have, known = {c.name for c in found.columns}, {c.name for c in described.columns or []}
    return [
        f"column {c.name} is NOT NULL without a default and not in the backup"
        for c in found.columns
        if c.needs_value and not c.is_generated and c.name not in known
    ] + [
        f"column {c.name} is of type {c.type}, which the target does not have"
        for c in described.columns or []
        if c.type not in types and c.name in have
    ]


def _usable_key(described: DescribedTable, found: TargetTable) -> Key | None:
    """The first key of the target whose columns are restored."""
    restored = _restored(described, found)
    return next((key for key in found.keys if {column.name for column in key.columns} <= restored), None)


def _always(described: DescribedTable, found: TargetTable) -> list[str]:
    """Restored identity columns outside the key, which no UPDATE can write."""
    key = _usable_key(described, found)
    others = _restored(described, found) - {column.name for column in (key.columns if key else [])}
    return [c.name for c in found.columns if key and c.is_identity_always and c.name in others]


def _restored(described: DescribedTable, found: TargetTable) -> set[str]:
    return {c.name for c in found.columns if not c.is_generated} & {c.name for c in described.columns or []}


def key_problems(
    keys: Sequence[ForeignKey], found: Mapping[str, TargetTable], quiet: Quiet, mode: RestoreMode
) -> list[str]:
    """Why the foreign keys of the tables to restore cannot be kept quiet, or not be checked afterwards.

    A key that belongs to others stays in force where triggers are silenced table by table.

    Args:
        keys: those from and to the tables.
        found: the tables to restore, by their names in the document.
    """
    lines = []
    for key in keys:
        at, to = key.table.name_in_document, key.references.name_in_document
        if quiet == "replica" and key.is_enforced and key.is_validated and not key.can_read:
            lines.append(f"foreign key {key.name} of table {at}: the role cannot read all of {at} and {to} to check it")
        if quiet == "tables" and key.is_owned and not key.can_add:
            lines.append(f"foreign key {key.name} of table {at}: the role lacks REFERENCES on {to} to add it again")
        if quiet == "tables" and not key.is_owned and at not in found and _reaches(key, found.get(to), mode):
            lines.append(f"foreign key {key.name} of table {at}: the role cannot keep it from changing rows there")
    return lines


def _reaches(key: ForeignKey, referenced: TargetTable | None, mode: RestoreMode) -> bool:
    """Whether a key in force may change rows: those of one's own tables may be deleted to be written again."""
    deletes = mode == "replace" or (referenced is not None and (referenced.is_owned or not referenced.keys))
    return key.acts_on_update or (key.acts_on_delete and deletes)


def differences(described: DescribedTable, found: TargetTable) -> list[str]:
    """What differs between backup and target without being in the way; each a line for the operator."""
    have, known = {c.name: c for c in found.columns}, {c.name for c in described.columns or []}
    lines = [
        f"column {c.name} is gone from the target, its values are not restored"
        for c in described.columns or []
        if c.name not in have
    ]
    lines += [
        f"column {c.name} was {c.type}, is {have[c.name].full_type} now: values are converted"
        for c in described.columns or []
        if c.name in have and have[c.name].full_type != c.type
    ]
    lines += [
        f"column {c.name} is unknown to the backup: kept in rows that stay, default in new ones"
        for c in found.columns
        if c.name not in known and not c.is_generated
    ]
    lines = [f": {line}" for line in lines]
    if not _usable_key(described, found):
        lines.append(" has no key: in either mode it is replaced as a whole")
    return [f"table {found.table.name_in_document}{line}" for line in lines]


def label_notes(described: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]) -> list[str]:
    """Enum labels that the target has lost since: rows that use one cannot be loaded."""
    return [
        f"enum {name} has lost {', '.join(map(repr, lost))} since the backup: tables whose rows use it cannot be loaded"
        for name, labels in described.items()
        if name in found and (lost := [label for label in labels if label not in found[name]])
    ]
