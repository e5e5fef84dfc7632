"""Which tables a backup covers: the settings held against what the database has. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.disaster_recovery.errors import TableUnreadable
from include.disaster_recovery.model import TableName, Value
from include.disaster_recovery.settings import TableSettings

AUTH_TABLES = (("auth", "users"), ("auth", "identities"))
KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}


class Relation(Value):
    """A relation of the database; `kind` is pg_class.relkind, sizes are bytes on disk."""

    schema_name: str
    name: str
    kind: str
    is_partition: bool
    persistence: str
    of_extension: bool
    heap_bytes: int
    toast_bytes: int
    block_bytes: int

    @property
    def is_table(self) -> bool:
        """Whether it holds rows of its own that a backup can read."""
        return self.kind in ("r", "p")

    @property
    def table(self) -> TableName:
        """Its name."""
        return table_name(self.schema_name, self.name)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The tables a backup covers, in document order, and those of the schemas that it does not."""

    covered: Sequence[Relation]
    uncovered: Sequence[Relation]


def table_name(schema: str, name: str) -> TableName:
    """A table's name with its name in the document: bare for `public`, else `schema.name`."""
    return TableName(schema_name=schema, table_name=name, name_in_document=name_in_document(schema, name))


def name_in_document(schema: str, name: str) -> str:
    """How tables, enums and functions are called in the document."""
    return name if schema == "public" else f"{schema}.{name}"


def select_tables(settings: TableSettings, relations: Sequence[Relation]) -> Selection:
    """Resolve the settings.

    Raises:
        TableUnreadable: a name in the settings means no table (every such name is listed), two tables would have
            the same name in the document, or nothing would be backed up at all.
    """
    known = {(r.schema_name, r.name): r for r in relations}
    wanted = (
        _everything(settings, relations) if settings.include == "all" else _named(settings.include, settings, known)
    )
    excluded = {(r.schema_name, r.name) for r in _named(settings.exclude, settings, known, missing_ok=True)}
    chosen = {(r.schema_name, r.name): r for r in [*wanted, *_auth(settings, known)]}
    covered = [r for name, r in chosen.items() if name not in excluded]
    settled = {*chosen, *excluded}  # what the settings exclude by name is left out knowingly
    uncovered = [r for r in _everything(settings, relations) if (r.schema_name, r.name) not in settled]
    _check_names(covered, settings)
    return Selection(covered=covered, uncovered=uncovered)


def described_schemas(schemas: Sequence[str], tables: Sequence[TableName]) -> list[str]:
    """The schemas a backup describes: those of the settings, and those of tables beyond them; never Supabase's own."""
    named = {table.schema_name for table in tables}
    return [*schemas, *sorted(named - {*schemas, "auth", "storage"})]


def _check_names(covered: Sequence[Relation], settings: TableSettings) -> None:
    names = Counter(relation.table.name_in_document for relation in covered)
    if not names:
        raise TableUnreadable(
            f"there is no table to back up in the schemas {', '.join(settings.schemas)}",
            hint="check that the connection names the right database, and tables.schemas and tables.exclude",
        )
    if twice := [name for name, count in names.items() if count > 1]:
        raise TableUnreadable(
            f"two tables would have the same name in the document: {', '.join(twice)}",
            hint="rename the table of schema public whose name has a dot, or put it into tables.exclude",
        )


def _everything(settings: TableSettings, relations: Sequence[Relation]) -> list[Relation]:
    """All tables of the schemas. A partition is read through its parent; an extension brings its own tables."""
    return [
        r
        for r in relations
        if r.schema_name in settings.schemas
        and r.is_table
        and not r.is_partition
        and not r.of_extension
        and r.persistence != "t"
    ]


def _auth(settings: TableSettings, known: dict[tuple[str, str], Relation]) -> Iterator[Relation]:
    for name in AUTH_TABLES if settings.auth else ():
        if name in known and known[name].is_table:
            yield known[name]


def _named(
    names: Sequence[str], settings: TableSettings, known: dict[tuple[str, str], Relation], *, missing_ok: bool = False
) -> list[Relation]:
    found, problems = [], []
    for name in names:
        relation = _find(name, settings.schemas, known)
        if relation is None:
            problems.append(f"{name} (no such table)")
        elif not relation.is_table:
            problems.append(f"{name} (a {KINDS[relation.kind]})")
        else:
            found.append(relation)
    if problems and not missing_ok:
        raise TableUnreadable(
            f"{len(problems)} of {len(names)} tables to back up are not there: {', '.join(problems)}",
            hint="create them, or take them out of tables.include; nothing is left out in silence",
        )
    return found


def _find(name: str, schemas: Sequence[str], known: dict[tuple[str, str], Relation]) -> Relation | None:
    """A bare name in the schemas in their order; else the name read as `schema.name`, either of which may have dots."""
    qualified = [(name[:at], name[at + 1 :]) for at, character in enumerate(name) if character == "."]
    candidates = [*((schema, name) for schema in schemas), *qualified]
    return next((known[each] for each in candidates if each in known), None)
