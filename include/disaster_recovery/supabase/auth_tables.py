"""A table of a platform's schema, made from the document's own description of it.

Every name out of the document is composed as an identifier, and a type is written only as the server itself writes
it. Expressions (defaults, generated columns, checks, parts of indexes) cannot be composed: see `_expression`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import errors as pg
from psycopg import sql
from pydantic import BaseModel, ConfigDict, ValidationError

from include.disaster_recovery.errors import RebuildFailed
from include.disaster_recovery.supabase.attempts import Attempts

_MODIFIER = re.compile(r"\(\d+(?:,-?\d+)?\)")
_ACL = re.compile(r'(?:"((?:[^"]|"")*)"|([^"=]*))=((?:[a-zA-Z]\*?)*)/.*', re.DOTALL)
_NAME = r'(?:[a-z_][a-z0-9_]*|"[^"]+")'
_ACTION = "CASCADE|SET NULL|SET DEFAULT|RESTRICT"
_FOREIGN_KEY = re.compile(
    rf"FOREIGN KEY \({_NAME}(?:, {_NAME})*\) REFERENCES {_NAME}\.(?P<table>{_NAME})"
    rf"\((?P<columns>{_NAME}(?:, {_NAME})*)\)(?P<actions>(?: ON (?:UPDATE|DELETE) (?:{_ACTION}))*)"
)
_INDEX = re.compile(r"CREATE (?P<unique>UNIQUE )?INDEX .*? USING (?P<method>[a-z]+) (?P<rest>\(.*)", re.DOTALL)
_PRIVILEGES = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
}
MAINTAIN_SINCE = 170000
_TYPE = Path(__file__).resolve().parent / "bootstrap_type.sql"
_TRIED = (psycopg.ProgrammingError,)  # what the stand-in lacks, a function for example


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True)  # what the description has besides does not matter here


class _Column(_Described):
    name: str
    type: str
    not_null: bool
    default: str | None
    generated: str | None
    identity: Literal["always", "by default"] | None
    comment: str | None


class _Constraint(_Described):
    name: str
    kind: str
    columns: list[str] | None
    definition: str


class _Index(_Described):
    name: str
    definition: str


class _Rls(_Described):
    enabled: bool
    forced: bool


class _Table(_Described):
    owner: str
    comment: str | None
    rls: _Rls
    grants: list[str] | None
    columns: list[_Column]
    constraints: list[_Constraint]
    indexes: list[_Index]


class AuthTable:
    """One described table, made in steps: tables, their keys, foreign keys and the rest, owner and grants.

    Raises:
        RebuildFailed: the description is malformed; also from the steps, where the target refuses.
    """

    def __init__(self, name: str, described: Mapping[str, Any]) -> None:
        self.name = name
        try:
            self.described = _Table.model_validate(described)
        except ValidationError as error:
            raise RebuildFailed(
                f"the document's description of table {name} has {error.error_count()} wrong value(s)",
                hint="choose another backup; verify tells which are whole",
            ) from None
        self.schema, _, self.bare = name.partition(".")
        self.table = sql.Identifier(self.schema, self.bare)

    def create(self, attempts: Attempts) -> None:
        """The table with its columns, and their defaults."""
        columns = sql.SQL(", ").join([self._column(attempts, column) for column in self.described.columns])
        attempts.execute(sql.SQL("CREATE TABLE {} ({})").format(self.table, columns), f"table {self.name}")
        for column in self.described.columns:
            if column.default is not None:
                change = sql.SQL("ALTER COLUMN {} SET DEFAULT ").format(sql.Identifier(column.name))
                self._with_expression(attempts, f"default of {self.name}.{column.name}", change, column.default)

    def add_keys(self, attempts: Attempts) -> None:
        """Primary and unique keys."""
        for key in self.described.constraints:
            if key.kind in {"primary key", "unique"} and key.columns:
                kind = sql.SQL("PRIMARY KEY" if key.kind == "primary key" else "UNIQUE")
                columns = sql.SQL(", ").join(map(sql.Identifier, key.columns))
                self._alter(
                    attempts, sql.SQL("ADD CONSTRAINT {} {} ({})").format(sql.Identifier(key.name), kind, columns)
                )

    def add_foreign_keys(self, attempts: Attempts) -> None:
        """Foreign keys, which hold only when the rows of both tables are there."""
        for each in self.described.constraints:
            if each.kind == "foreign key":
                self._foreign_key(attempts, each)

    def add_details(self, attempts: Attempts) -> None:
        """Checks, further indexes, comments, row-level security."""
        for each in self.described.constraints:
            if each.kind == "check":
                inner = each.definition.removeprefix("CHECK (").removesuffix(")")
                change = sql.SQL("ADD CONSTRAINT {} CHECK ").format(sql.Identifier(each.name))
                self._with_expression(attempts, f"check {each.name} of {self.name}", change, inner)
        keys = {each.name for each in self.described.constraints}
        for index in self.described.indexes:
            if index.name not in keys:
                self._index(attempts, index)
        for comment in self._comments():
            attempts.execute(comment)
        if self.described.rls.enabled:
            self._alter(attempts, sql.SQL("ENABLE ROW LEVEL SECURITY"))
        if self.described.rls.forced:
            self._alter(attempts, sql.SQL("FORCE ROW LEVEL SECURITY"))

    def give_away(self, attempts: Attempts) -> None:
        """Owner and grants."""
        owner = sql.SQL("ALTER TABLE {} OWNER TO {}").format(self.table, sql.Identifier(self.described.owner))
        attempts.attempt(owner, besides=(pg.UndefinedObject,))
        modern = attempts.connection.info.server_version >= MAINTAIN_SINCE
        for grantee, privileges, option in parsed_grants(self.described.grants or ()):
            known = [privilege for privilege in privileges if modern or privilege != "MAINTAIN"]
            if known and grantee != self.described.owner:
                role = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
                grant = sql.SQL("GRANT {} ON TABLE {} TO {}{}").format(
                    sql.SQL(", ").join([sql.SQL(each) for each in known]),
                    self.table,
                    role,
                    sql.SQL(" WITH GRANT OPTION" if option else ""),
                )
                attempts.attempt(grant, besides=(pg.UndefinedObject,))

    def _column(self, attempts: Attempts, column: _Column) -> sql.Composed:
        parts: list[sql.Composable] = [sql.Identifier(column.name), self._type(attempts, column)]
        if column.generated is not None:
            generated = _expression(column.generated)
            if generated is None:
                raise RebuildFailed(
                    f"generated column {self.name}.{column.name}: its text is more than one plain expression",
                    hint="the document is hostile or damaged; verify it, or choose another backup",
                )
            parts.append(sql.SQL("GENERATED ALWAYS AS {} STORED").format(generated))
        if column.identity is not None:
            parts.append(
                sql.SQL(
                    "GENERATED ALWAYS AS IDENTITY"
                    if column.identity == "always"
                    else "GENERATED BY DEFAULT AS IDENTITY"
                )
            )
        if column.not_null:
            parts.append(sql.SQL("NOT NULL"))
        return sql.SQL(" ").join(parts)

    def _type(self, attempts: Attempts, column: _Column) -> sql.SQL:
        """The type, where it is written exactly as the server writes it, but for digits of length or precision."""
        bare = _MODIFIER.sub("", column.type, count=1)
        try:
            spellings = attempts.connection.execute(_TYPE.read_bytes(), {"type": column.type}).fetchone()
        except psycopg.errors.SyntaxError:  # before Postgres 16 a malformed name is an error
            spellings = None
        if spellings is None or bare not in spellings:
            raise RebuildFailed(
                f"column {self.name}.{column.name} is of type {column.type!r}, which the target does not have",
                hint="restore into a Supabase project, or create the type's extension in the target",
            )
        return sql.SQL(column.type)

    def _foreign_key(self, attempts: Attempts, key: _Constraint) -> None:
        match = _FOREIGN_KEY.fullmatch(key.definition)
        if match is None or not key.columns:
            attempts.skip(f"foreign key {key.name} of {self.name}", "of a form the stand-in does not know")
            return
        constraint = sql.SQL("ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){}").format(
            sql.Identifier(key.name),
            sql.SQL(", ").join(map(sql.Identifier, key.columns)),
            sql.Identifier(self.schema, match["table"].strip('"')),
            sql.SQL(", ").join([sql.Identifier(name.strip('"')) for name in match["columns"].split(", ")]),
            sql.SQL(match["actions"]),
        )
        self._alter(attempts, constraint, f"foreign key {key.name} of {self.name}")

    def _index(self, attempts: Attempts, index: _Index) -> None:
        """An index that is no key. Behind its method stand expressions, held to what `_expression` says."""
        match, what = _INDEX.fullmatch(index.definition), f"index {index.name} of {self.name}"
        if match is None or _expression(match["rest"]) is None:
            attempts.skip(what, "of a form the stand-in does not know")
            return
        create = sql.SQL("CREATE {}INDEX {} ON {} USING {} {}").format(
            sql.SQL(match["unique"] or ""),
            sql.Identifier(index.name),
            self.table,
            sql.SQL(match["method"]),
            sql.SQL(match["rest"]),
        )
        attempts.attempt(create, what, besides=_TRIED)

    def _comments(self) -> Iterator[sql.Composed]:
        if self.described.comment is not None:
            yield sql.SQL("COMMENT ON TABLE {} IS {}").format(self.table, sql.Literal(self.described.comment))
        for column in self.described.columns:
            if column.comment is not None:
                yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                    sql.Identifier(self.schema, self.bare, column.name), sql.Literal(column.comment)
                )

    def _with_expression(self, attempts: Attempts, what: str, change: sql.Composable, text: str) -> None:
        expression = _expression(text)
        if expression is None:
            attempts.skip(what, "its text is more than one plain expression")
        else:
            self._alter(attempts, change + expression, what)

    def _alter(self, attempts: Attempts, change: sql.Composable, what: str | None = None) -> None:
        attempts.attempt(sql.SQL("ALTER TABLE {} {}").format(self.table, change), what, besides=_TRIED if what else ())


def parsed_grants(grants: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Grantee ("" is PUBLIC), privileges and whether with grant option, of ACL texts `grantee=privileges/grantor`."""
    for each in grants:
        if match := _ACL.fullmatch(each):
            quoted, bare, letters = match.groups()
            grantee = quoted.replace('""', '"') if quoted is not None else bare
            for option in (False, True):
                found = re.findall(r"([a-zA-Z])(\*?)", letters)
                chosen = [
                    _PRIVILEGES[letter] for letter, star in found if letter in _PRIVILEGES and bool(star) is option
                ]
                if chosen:
                    yield grantee, chosen, option


def _expression(text: str) -> sql.Composed | None:
    """A text of the document as one expression in parentheses; None where it might be anything more.

    What could be read in two ways (comments, dollar quotes, backslashes, semicolons) is refused, even inside quotes.
    What remains has plain quotes, each closed, and parentheses, each opened before it is closed: so nothing in the
    text can end the parentheses put around it, and what the server finds between them is an expression or an error.
    What that expression calls is a matter of the document's DDL, which is run anyway.
    """
    if re.search(r"--|/\*|[$\\;\0]", text):
        return None
    depth = 0
    for character in re.sub(r"'[^']*'|\"[^\"]*\"", "", text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0 or character in "'\"":
            return None
    return sql.SQL("({})").format(sql.SQL(text)) if depth == 0 and text.strip() else None
