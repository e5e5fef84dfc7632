"""A document is hostile until it is vetted: shapes and names that a restore relies on, before anything uses them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr, ValidationError

from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.restore.staging import SCHEMA_PREFIX
from include.disaster_recovery.restore_plan import DescribedTable

LONGEST_NAME = 63  # bytes: NAMEDATALEN - 1, Postgres cuts longer ones off in silence
LONGEST_TYPE = 1000  # characters: three names at most, every character of them quoted, and modifiers
_SYSTEM = ("pg_", "information_schema", SCHEMA_PREFIX)  # `pg_` is reserved (manual, CREATE SCHEMA)


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)  # what else is in the section does not matter here


class _Sequence(_Shape):
    last_value: StrictInt | None = None


class _Schema(_Shape):
    """As much of the schema section as a restore of rows goes by."""

    schemas: dict[str, Any]
    tables: dict[str, Any]
    sequences: dict[str, _Sequence] = {}
    ddl: dict[str, StrictStr] = {}


def vet_schema(schema: Mapping[str, Any]) -> None:
    """Check the shape of the schema section.

    Raises:
        DocumentError: it has another one; the first wrong place is named.
    """
    try:
        found = _Schema.model_validate(schema)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step)[:LONGEST_NAME] for step in first["loc"])
        raise _hostile(f"its schema section has a wrong value at {place!r}: {first['msg']}") from None
    for name in found.schemas:
        _vet_name("schema", name)


def vet_tables(tables: Mapping[str, TableName]) -> None:
    """Check what the tables of a document are called.

    Raises:
        DocumentError: a name is none, or means a table of Postgres itself or of a restore.
    """
    for name, table in tables.items():
        _vet_name("schema", table.schema_name)
        _vet_name("table", table.table_name)
        if table.schema_name.startswith(_SYSTEM):
            raise _hostile(f"table {name!r} belongs to the system, no backup has it")


def vet_columns(name: str, described: DescribedTable) -> None:
    """Check the columns of a table.

    Raises:
        DocumentError: there are none given, a name is none or is there twice, or a type is no text that could name one.
    """
    if "columns" not in described.model_fields_set:  # null: a table without columns
        raise _hostile(f"it does not describe the columns of table {name!r}")
    columns = described.columns or []
    names = [column.name for column in columns]
    for each in names:
        _vet_name(f"column of table {name!r}:", each)
    if len(set(names)) != len(names):
        raise _hostile(f"table {name!r} has a column twice")
    for column in columns:
        if reason := _unspeakable(column.type, LONGEST_TYPE):
            raise _hostile(f"table {name!r}, column {column.name!r}: its type {reason}")


def _vet_name(kind: str, name: str) -> None:
    if reason := _unspeakable(name, LONGEST_NAME):
        raise _hostile(f"{kind} {name[:LONGEST_NAME]!r} {reason}")


def _unspeakable(name: str, most: int) -> str | None:
    """Why Postgres knows nothing of this name."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is no Unicode text"
    if not size:
        return "is empty"
    if "\0" in name:
        return "holds a NUL character"
    return f"is {size} bytes long, Postgres takes {most}" if size > most else None


def _hostile(fact: str) -> DocumentError:
    return DocumentError(
        f"the document is malformed: {fact}",
        hint="nothing was touched; choose another backup, and ask who wrote this one",
    )
