"""A document of version 1, written once, is read and restored for ever; `tests/support/make_golden.py` tells how it was made."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from decimal import Decimal
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.document import FORMAT, Manifest
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import load_settings
from include.disaster_recovery.stream.checker import observe
from include.disaster_recovery.stream.codec import expand
from include.disaster_recovery.verification import check_rows, check_skeleton
from tests.support import golden
from tests.support.restore_rig import Restored, RestoreRig

# Types whose JSON form is their text; in a document they are strings.
AS_TEXT = re.compile(
    r"text|character varying(\(\d+\))?|uuid|name|interval|bytea|date|cidr|bit.*|tsvector|pg_lsn|.*range"
)
AS_NUMBER = re.compile(r"smallint|integer|bigint|numeric(\(.*\))?|oid|real|double precision|(public\.)?cents")


@pytest.fixture(params=golden.DOCUMENTS)
def document(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def manifest_of(store: Store, document: str) -> Manifest:
    stored = golden.stored(document)
    store.put(golden.key_of(document), stored)
    return read_manifest(store, golden.key_of(document), len(stored))[0]


def parsed(document: str) -> dict[str, Any]:
    """By Python, every number with all its digits."""
    compression: Any = {"json": "none", "gz": "gzip", "zst": "zstd"}[document.rpartition(".")[2]]
    found: dict[str, Any] = json.loads(
        expand(golden.stored(document), compression), parse_float=Decimal, parse_int=Decimal
    )
    return found


def test_golden_files_are_never_changed() -> None:
    lines = (golden.FOLDER / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == {*golden.DOCUMENTS, "backup-v1.expected.json"}
    assert {name: sha256(golden.stored(name)).hexdigest() for name in sums} == sums


def test_manifest_is_read_from_the_end(store: Store, document: str) -> None:
    manifest = manifest_of(store, document)
    assert (manifest.format, manifest.version) == (FORMAT, 1)
    assert {name: table.row_count for name, table in manifest.tables.items()} == {
        name: len(table["rows"]) for name, table in golden.expected().items()
    }
    fragments = {name: [entry.rows for entry in table.fragments] for name, table in manifest.tables.items()}
    assert fragments["nothing"] == [0]
    assert 0 in fragments["many"]
    assert len([rows for rows in fragments["many"] if rows]) > 3
    assert [len(entry.batches) for entry in manifest.tables["large"].fragments] == [3]


def test_nothing_is_found_wrong_with_it(store: Store, document: str) -> None:
    manifest, stored = manifest_of(store, document), golden.stored(document)
    seen = observe(iter([stored]), manifest, len(stored))
    assert [*seen.findings, *check_skeleton(bytes(seen.skeleton), manifest), *check_rows(seen.rows, manifest)] == []


def test_every_form_holds_the_same(document: str) -> None:
    plain, this = parsed("backup-v1.json"), parsed(document)
    assert list(this) == ["metadata", "tables", "schema", "edge_functions", "manifest"]
    assert this["tables"] == plain["tables"]
    assert this["edge_functions"] == plain["edge_functions"]
    assert this["schema"] == plain["schema"]


def test_sections_are_those_of_the_specification() -> None:
    schema = parsed("backup-v1.json")["schema"]
    wanted = {"enums", "types", "functions", "triggers", "rls_policies", "tables", "views", "sequences", "extensions"}
    wanted |= {"publications", "default_privileges", "schemas", "roles", "migrations", "rls_probes", "ddl"}
    assert wanted <= set(schema)
    assert all(schema[name] for name in wanted)
    assert set(golden.expected()) <= set(schema["tables"]), "every table of the document is described"
    for name, table in golden.expected().items():
        assert [[c["name"], c["type"]] for c in schema["tables"][name]["columns"]] == table["columns"]


def test_values_are_those_that_postgres_told_without_any_json() -> None:
    """Cell by cell where JSON and text are easily compared; `test_format_by_hand.py` compares all, through Postgres."""
    compared = 0
    for name, table in golden.expected().items():
        rows = parsed("backup-v1.json")["tables"][name]["rows"]
        assert all(list(row) == [column for column, _ in table["columns"]] for row in rows)
        for at, (column, kind) in enumerate(table["columns"]):
            if comparable(kind):
                told = Counter(repr(as_json(row[at], kind)) for row in table["rows"])
                assert Counter(repr(normal(row[column])) for row in rows) == told, f"{name}.{column}"
                compared += len(rows)
    assert compared > 1000


def comparable(kind: str) -> bool:
    return bool(kind == "boolean" or AS_TEXT.fullmatch(kind) or AS_NUMBER.fullmatch(kind))


def as_json(text: str | None, kind: str) -> Any:
    if text is None:
        return None
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    return normal(Decimal(text)) if AS_NUMBER.fullmatch(kind) else text


def normal(value: Any) -> Any:
    """Numbers by their digits: 1.0 and 1.00 differ. NaN, infinities and what is beyond a double are strings anyway."""
    return str(value) if isinstance(value, Decimal) else value


def restore_golden(store: Store, document: str, dsn: str, **wanted: Any) -> Restored:
    """Restore a golden document with the package's own steps, from nothing but the bucket."""
    store.put(golden.key_of(document), golden.stored(document))
    parameters = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(dsn).items()}
    return RestoreRig(parameters, store, load_settings()).restore(backup_key=golden.key_of(document), **wanted)


def test_it_is_restored_to_a_new_project_and_again_over_what_became_of_it(
    postgres_server: PostgresServer, store: Store, document: str
) -> None:
    with golden.new_project(postgres_server, f"golden_{secrets.token_hex(4)}") as dsn:
        restore_golden(store, document, dsn, restore_schema=True)
        assert golden.contents(dsn) == golden.expected()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                """
                set session_replication_role = replica;
                delete from public.many where id % 2 = 0;
                update public.people set name = name || ' has changed', event = null, updated_at = now();
                update public.numbers set scores = null, texts = null, documents = null;
                insert into public.without_key values ('new', 4);
                delete from auth.identities;
                """
            )
        restored = restore_golden(store, document, dsn, mode="replace")
        assert restored.of("many") == (14, 0, 0, 14)
        assert restored.of("people") == (0, 2, 0, 0)
        assert golden.contents(dsn) == golden.expected()


def test_it_is_restored_to_a_bare_postgres(
    postgres_server: PostgresServer, store: Store, empty_database: str, document: str
) -> None:
    restore_golden(store, document, postgres_server.superuser_dsn(empty_database), restore_schema=True)
    assert golden.contents(postgres_server.superuser_dsn(empty_database)) == golden.expected()
