"""A description of the catalogs, taken apart into single facts that can be held against those of another database.

A fact has a kind ("policies"), a name that tells it from the others of its kind, and a value. Owners and grantors stand
apart: they may rightly differ where another role has restored.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Description = Mapping[str, Any]

# Roles and schemas of a Supabase project that belong to the platform, and extensions that only the platform has.
PLATFORM_ROLES = {
    "supabase_admin",
    "supabase_auth_admin",
    "supabase_storage_admin",
    "supabase_realtime_admin",
    "supabase_functions_admin",
    "supabase_replication_admin",
    "supabase_read_only_user",
    "supabase_etl_admin",
    "supabase_privileged_role",
    "authenticator",
    "dashboard_user",
    "pgbouncer",
    "pgsodium_keyholder",
    "pgsodium_keyiduser",
    "pgsodium_keymaker",
}
PLATFORM_SCHEMAS = {"auth", "storage", "realtime"}
PLATFORM_EXTENSIONS = {"pg_graphql", "supabase_vault", "pgsodium"}
ALL_PRIVILEGES = "arwdDxtmXUCTcsA"  # manual, table 5.1
PRIVILEGES_OF_17 = (17, "m")  # MAINTAIN came with Postgres 17
KINDS = (
    "schemas",
    "extensions",
    "enums",
    "types",
    "functions",
    "tables",
    "columns",
    "constraints",
    "indexes",
    "views",
    "sequences",
    "RLS flags",
    "policies",
    "triggers",
    "publications",
    "schema grants",
    "table grants",
    "column grants",
    "sequence grants",
    "function grants",
    "default privileges",
    "comments",
    "owners",
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that a catalog says.

    Attributes:
        parts: the plain names in it, such as a policy's and its table's.
        value: what is compared.
        platform: it concerns a role, a table or an extension that Supabase manages.
        role: the role it cannot exist without.
    """

    kind: str
    name: str
    parts: tuple[str, ...]
    value: object
    platform: bool = False
    role: str | None = None


def facts(described: Description, covered: Sequence[str], *, known_privileges: str) -> dict[tuple[str, str], Fact]:
    """All facts by kind and name.

    Args:
        described: what `describe_catalogs` says, or the schema section of a document.
        covered: the schemas it describes; tables of others in it belong to the platform and are left out.
        known_privileges: the letters of privileges that both servers know.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the description is malformed.
    """
    tables = {name: item for name, item in described["tables"].items() if _is_covered(name, covered)}
    found = [
        *_plain(described),
        *_tables(tables),
        *_attachable(described),
        *_publications(described),
        *_default_privileges(described, known_privileges),
        *_grants(described, tables, known_privileges),
        *_comments(described, tables),
        *_owners(described, tables),
    ]
    return {(fact.kind, fact.name): fact for fact in found}


def _is_covered(name: str, covered: Sequence[str]) -> bool:
    schema = name.split(".", 1)[0] if "." in name else "public"
    return schema in covered or schema not in PLATFORM_SCHEMAS


def _of(item: Description, *fields: str) -> dict[str, object]:
    return {field: item[field] for field in fields}


def _fact(kind: str, name: str, value: object, *more: str, platform: bool = False, role: str | None = None) -> Fact:
    return Fact(kind=kind, name=name, parts=(name, *more), value=value, platform=platform, role=role)


def _part_of(kind: str, name: str, table: str, value: object, *, platform: bool = False) -> Fact:
    return Fact(kind=kind, name=f"{name} of {table}", parts=(name, table), value=value, platform=platform)


def function_name(item: Description) -> str:
    """A function's name with its arguments."""
    return f"{item['name']}({item['arguments']})"


_FUNCTION = ("returns", "kind", "language", "security_definer", "volatility", "settings", "definition")
_TYPE = ("kind", "base", "not_null", "default", "checks", "attributes")
_SEQUENCE = ("type", "start", "increment", "min", "max", "cache", "cycle", "owned_by")


def _plain(described: Description) -> Iterator[Fact]:
    for name in described["schemas"]:
        yield _fact("schemas", name, True)
    for name, labels in described["enums"].items():
        yield _fact("enums", name, labels)
    for item in described["types"]:
        yield _fact("types", item["name"], _of(item, *_TYPE))
    for item in described["functions"]:
        name = function_name(item)
        yield Fact(kind="functions", name=name, parts=(item["name"],), value=_of(item, *_FUNCTION))
    for name, item in described["views"].items():
        yield _fact("views", name, _of(item, "kind", "options", "definition"))
    for name, item in described["sequences"].items():
        yield _fact("sequences", name, _of(item, *_SEQUENCE))
    for item in described["extensions"]:
        name = item["name"]
        yield _fact("extensions", name, item["schema"], platform=name in PLATFORM_EXTENSIONS)


_TABLE = ("kind", "persistence", "replica_identity", "partition_key", "partition_bound", "inherits")
_COLUMN = ("type", "not_null", "default", "generated", "identity", "collation")


def _tables(tables: Mapping[str, Description]) -> Iterator[Fact]:
    for name, table in tables.items():
        yield _fact("tables", name, _of(table, *_TABLE))
        yield _fact("RLS flags", name, table["rls"])
        for column in table["columns"] or ():
            yield _part_of("columns", column["name"], name, _of(column, *_COLUMN))
        for constraint in table["constraints"]:
            if constraint["kind"] != "not null":  # the columns say it; as constraints they are new in Postgres 18
                yield _part_of("constraints", constraint["name"], name, _of(constraint, "validated", "definition"))
        for index in table["indexes"]:
            yield _part_of("indexes", index["name"], name, _of(index, "valid", "definition"))


_POLICY = ("command", "permissive", "roles", "using", "check")
_TRIGGER = ("function", "enabled", "definition")


def _attachable(described: Description) -> Iterator[Fact]:
    for section, kind, fields in (("rls_policies", "policies", _POLICY), ("triggers", "triggers", _TRIGGER)):
        for table, items in described[section].items():
            for item in items:
                yield _part_of(kind, item["name"], table, _of(item, *fields), platform=item["attached"])


_PUBLICATION = ("all_tables", "operations", "via_root")


def _publications(described: Description) -> Iterator[Fact]:
    """Publications and their members; members of schemas that the backup does not cover are the platform's."""
    for name, publication in described["publications"].items():
        yield _fact("publications", name, _of(publication, *_PUBLICATION), platform=True)
        for field in ("schema", "table"):
            for member in publication[f"{field}s"]:
                if member["covered"]:
                    yield _part_of("publications", member[field], name, member["definition"])


def _default_privileges(described: Description, known: str) -> Iterator[Fact]:
    for item in described["default_privileges"]:
        where = f"in schema {item['schema']}" if item["schema"] else "in all schemas"
        name = f"{item['objects']} of {item['owner']} {where}"
        value = privileges(item["grants"], known, owner=None)
        managed = item["owner"] in PLATFORM_ROLES
        yield Fact(
            kind="default privileges",
            name=name,
            parts=(item["owner"],),
            value=value,
            platform=managed,
            role=item["owner"],
        )


def _grants(described: Description, tables: Mapping[str, Description], known: str) -> Iterator[Fact]:
    """One fact for each object and grantee."""
    owned = [
        *(("schema grants", name, item) for name, item in described["schemas"].items()),
        *(("table grants", name, item) for name, item in {**tables, **described["views"]}.items()),
        *(("sequence grants", name, item) for name, item in described["sequences"].items()),
        *(("function grants", function_name(item), item) for item in described["functions"]),
        *(
            ("column grants", f"{table}.{column['name']}", {**column, "owner": item["owner"]})
            for table, item in tables.items()
            for column in item["columns"] or ()
        ),
    ]
    for kind, name, item in owned:
        default = ["=X/"] if kind == "function grants" else []
        granted = privileges(item["grants"] if item["grants"] is not None else default, known, owner=item["owner"])
        for grantee, letters in granted.items():
            yield Fact(
                kind=kind,
                name=f"{name} to {grantee or 'public'}",
                parts=(str(item.get("name", name)), grantee or "public"),
                value=letters,
                platform=grantee in PLATFORM_ROLES,
                role=grantee or None,
            )


def privileges(acl: Sequence[str], known: str, *, owner: str | None) -> dict[str, list[str]]:
    """Privileges by grantee ("" is everybody), whoever granted them; an owner's own are left out.

    Each text is Postgres' `grantee=privileges/grantor`; a privilege is a letter, with `*` if it may be passed on.

    Raises:
        ValueError: a text is none of those.
    """
    found: dict[str, set[str]] = {}
    for text in acl:
        grantee, rest = _grantee(text)
        letters = re.findall(r"[A-Za-z]\*?", rest.split("/", 1)[0])
        found.setdefault(grantee, set()).update(letter for letter in letters if letter[0] in known)
    return {grantee: sorted(letters) for grantee, letters in found.items() if letters and grantee != owner}


def _grantee(text: str) -> tuple[str, str]:
    """The grantee and what follows its equals sign. A name with odd characters is quoted, its quotes doubled."""
    if not text.startswith('"'):
        grantee, equals, rest = text.partition("=")
    else:
        at = 1
        while text[at : at + 1] != '"' or text[at : at + 2] == '""':
            at += 2 if text[at : at + 2] == '""' else 1
            if at >= len(text):
                raise ValueError(f"{text!r} is no privilege")
        grantee, equals, rest = text[1:at].replace('""', '"'), text[at + 1 : at + 2], text[at + 2 :]
    if equals != "=":
        raise ValueError(f"{text!r} is no privilege")
    return grantee, rest


def _comments(described: Description, tables: Mapping[str, Description]) -> Iterator[Fact]:
    """A comment's parts are the names in the statement that makes it."""
    said: list[tuple[str, tuple[str, ...], Description]] = [
        *((f"schema {name}", (name,), item) for name, item in described["schemas"].items()),
        *((name, (name,), item) for name, item in {**tables, **described["views"]}.items()),
        *((item["name"], (item["name"],), item) for item in described["types"]),
        *((function_name(item), (item["name"],), item) for item in described["functions"]),
        *((f"{table}.{c['name']}", (table, c["name"]), c) for table in tables for c in tables[table]["columns"] or ()),
        *(
            (f"{item['name']} of {table}", (item["name"], table), item)
            for section in ("rls_policies", "triggers")
            for table, items in described[section].items()
            for item in items
        ),
    ]
    for name, parts, item in said:
        if item["comment"] is not None:
            platform = bool(item.get("attached"))
            yield Fact(kind="comments", name=name, parts=parts, value=item["comment"], platform=platform)


def _owners(described: Description, tables: Mapping[str, Description]) -> Iterator[Fact]:
    for name, item in {**tables, **described["views"], **described["sequences"]}.items():
        yield _fact("owners", name, item["owner"])
    for name, item in described["schemas"].items():
        yield _fact("owners", f"schema {name}", item["owner"])
    for item in [*described["types"], *described["functions"]]:
        name = function_name(item) if "arguments" in item else item["name"]
        yield _fact("owners", name, item["owner"])
