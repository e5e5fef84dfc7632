"""As much of PostgREST as an upsert needs: its protocol, its SQL and its refusals, over a real Postgres.

Follows PostgREST 12: `on_conflict`, `columns`, `Prefer: resolution=merge-duplicates`; one transaction a request, as
role service_role; the body is read by `json_to_recordset` with the table's own column types; every given column is
inserted and, in a conflict, set. There is no way to say OVERRIDING SYSTEM VALUE, nor to leave triggers out.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
from psycopg import sql

ROLE = "service_role"
CONFLICTS = {"23503", "23505"}  # PostgREST's own table of states: these are 409, what else a body can break is 400

_TYPES = """
    select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
    from pg_catalog.pg_attribute as a
    where a.attrelid = (select c.oid from pg_catalog.pg_class as c
        where c.relnamespace = 'public'::pg_catalog.regnamespace and c.relname = %s and c.relkind in ('r', 'p'))
      and a.attnum > 0 and not a.attisdropped
"""
_UPSERT = """
    insert into {table} ({columns})
    select {values}
    from pg_catalog.json_to_recordset(%s::pg_catalog.json) as body ({typed})
    on conflict ({keys}) do update set {assignments}
"""


class Refused(Exception):
    """An answer other than 201."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "details": None, "hint": None}


@dataclass(frozen=True, kw_only=True)
class RestShim:
    """Where the shim listens, and the key it lets in."""

    url: str
    key: str


@contextmanager
def rest_shim(dsn: str, *, key: str, options: str = "") -> Iterator[RestShim]:
    """Serve the schema `public` of a database until the block ends; `options` are libpq's, for each request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                _authenticate(self.headers.get("apikey"), self.headers.get("Authorization"), key)
                _check_headers(self.headers.get("Content-Type"), self.headers.get("Prefer"))
                _upsert(dsn, options, self.path, body)
                self._answer(201, b"")
            except Refused as refusal:
                self._answer(refusal.status, json.dumps(refusal.body).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield RestShim(url=f"http://127.0.0.1:{server.server_port}", key=key)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def _authenticate(apikey: str | None, authorization: str | None, key: str) -> None:
    if apikey != key or authorization != f"Bearer {key}":
        raise Refused(401, "PGRST301", "No suitable key or wrong key type")


def _check_headers(content_type: str | None, prefer: str | None) -> None:
    if content_type != "application/json":
        raise Refused(415, "PGRST102", f"Content-Type not acceptable: {content_type}")
    if prefer != "resolution=merge-duplicates":
        raise Refused(400, "PGRST122", "this shim knows upserts only")


def _upsert(dsn: str, options: str, target: str, body: bytes) -> None:
    split = urlsplit(target)
    query = parse_qs(split.query, keep_blank_values=True)
    found = re.fullmatch(r"/rest/v1/([^/]+)", split.path)
    if not found:
        raise Refused(404, "PGRST125", "Invalid path specified in request URL")
    table, keys = unquote(found[1]), query["on_conflict"][0].split(",")
    wanted = [name.removeprefix('"').removesuffix('"') for name in query["columns"][0].split(",")]
    try:
        # closing: a connection whose commit fails, for a deferred key, would stay open
        with closing(psycopg.connect(dsn, options=options)) as connection, connection.transaction():
            statement = _statement(connection, table, wanted, keys)
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(ROLE)))
            connection.execute(statement, (body.decode(),))
    except psycopg.Error as error:
        state = error.sqlstate or "XX000"
        raise Refused(409 if state in CONFLICTS else 400, state, error.diag.message_primary or "") from None


def _statement(connection: psycopg.Connection, table: str, wanted: list[str], keys: list[str]) -> sql.Composed:
    types = dict(connection.execute(_TYPES, (table,)).fetchall())
    if not types:
        raise Refused(404, "PGRST205", f"Could not find the table 'public.{table}' in the schema cache")
    for name in wanted:
        if name not in types:
            raise Refused(400, "PGRST204", f"Could not find the '{name}' column of '{table}' in the schema cache")

    def each(template: str, names: list[str]) -> sql.Composed:
        parts = (sql.SQL(template).format(c=_name(n), t=sql.SQL(types.get(n, ""))) for n in names)  # type: ignore[arg-type]
        return sql.SQL(", ").join(parts)

    return sql.SQL(_UPSERT).format(
        table=sql.Identifier("public", table),
        columns=each("{c}", wanted),
        values=each("body.{c}", wanted),
        typed=each("{c} {t}", wanted),
        keys=each("{c}", keys),
        assignments=each("{c} = excluded.{c}", wanted),
    )


def _name(name: str) -> sql.SQL:
    """A quoted name in a statement that has parameters."""
    return sql.SQL(sql.Identifier(name).as_string(None).replace("%", "%%"))  # type: ignore[arg-type]
