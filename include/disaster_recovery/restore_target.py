"""What the target of a restore looks like, as far as a plan depends on it."""

from typing import Literal

from include.disaster_recovery.model import TableName, Value
from include.disaster_recovery.restore_model import KeyColumn
from include.disaster_recovery.table_selection import table_name


class TargetColumn(Value):
    """A column of the target; `needs_value`: NOT NULL without a default.

    `type` has no length or precision, `full_type` has it; `base_type` is that of a domain, else the type.
    """

    name: str
    type: str
    full_type: str
    base_type: str
    is_generated: bool
    is_identity_always: bool
    needs_value: bool


class Key(Value):
    """A unique index over columns that are never NULL."""

    name: str
    columns: list[KeyColumn]


class Trigger(Value):
    """A user's trigger or rule that is not disabled; `state` is tgenabled or ev_enabled of its catalog.

    Partitions have triggers of their own.
    """

    kind: Literal["trigger", "rule"]
    table_schema: str
    table_name: str
    name: str
    state: str
    is_owned: bool


class TargetTable(Value):
    """A table as the target has it; `kind` is pg_class.relkind.

    Attributes:
        hides_rows: row-level security holds for this role.
        unique_indexes: by which one row keeps another out, those of partitions too. One that keeps out rows of other
            keys, as WITHOUT OVERLAPS does, counts twice.
    """

    table: TableName
    kind: str
    is_owned: bool
    hides_rows: bool
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
    """A foreign key of the target; it `acts` where it changes or deletes referencing rows (CASCADE, SET NULL, …).

    `can_read`: nothing of either table is hidden from the role; `can_add`: it may add a key like this one.
    """

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
    acts_on_delete: bool
    acts_on_update: bool
    is_owned: bool
    can_read: bool
    can_add: bool
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
