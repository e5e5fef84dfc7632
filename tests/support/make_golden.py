"""Makes the golden documents: run once for each version of the format, and never again for the same one.

    PYTHONPATH=. .venv/bin/python tests/support/make_golden.py FOLDER      # tests/golden, where they are kept for ever

The backup's own steps (tests/support/rig.py) write the database of `tests/golden/source.sql`, plain, gzip and zstd. Only
the limits are smaller than in real life, so that a small document has many fragments and batches. Beside the documents
`backup-v1.expected.json` says what they hold, told by Postgres itself: each cell's text, without any JSON in between.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.demo.database.builder import ROLES_FILE, SQL_DIRECTORY
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.model import Snapshot
from include.disaster_recovery.postgres import extract
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import ExtractSettings, Settings, TableSettings
from include.disaster_recovery.steps.backup import extracting
from tests.support.rebuilding import platform
from tests.support.rig import Rig
from tests.support.type_values import VALUES

FOLDER = Path(__file__).parents[1] / "golden"
SCHEMAS = ["public", "ledger"]
OPENED_AT = datetime(2025, 12, 7, 18, 33, 7, 123000, tzinfo=timezone.utc)
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
BATCH_BYTES, ROW_BATCH_BYTES = 2048, 8192  # instead of some MiB
SPLIT_BYTES = 16384
LONGEST = 1100  # characters of a literal
# Types whose values name objects of one server, or that not every build of Postgres has; and the one whose values are
# numbers beyond a double's range in spite of a declared precision, of which the specification says too little.
UNPORTABLE = {"aclitem", "xml", "numeric(1000,500)", *(name for name in VALUES if name.startswith("reg"))}


def main(folder: Path) -> None:
    """Make all files; those that are there already stay what they are, for ever."""
    if there := sorted(file.name for file in folder.glob("backup-v1.*")):
        sys.exit(f"{folder} has {', '.join(there)}\nhint: a new version of the format gets documents of its own")
    password = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="golden-") as scratch,
        PostgresServer(folder=Path(scratch) / "postgres", durable=False) as server,
        S3Server(folder=Path(scratch) / "s3") as s3,
    ):
        build(server, password)
        store = Store(client=s3.client("admin"), bucket=s3.create_bucket(), encryption=Encryption(algorithm="AES256"))
        for compression, suffix in SUFFIXES.items():
            stored, snapshot = back_up(rig(server, password, store, compression))
            (folder / f"backup-v1.json{suffix}").write_bytes(stored)
        expected = json.dumps(contents(server, snapshot), ensure_ascii=True, indent=1, sort_keys=True)
        (folder / "backup-v1.expected.json").write_text(expected + "\n", encoding="utf-8")
    sums = (f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.glob("backup-v1.*")))
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def build(server: PostgresServer, password: str) -> None:
    """The source: the platform, the application of source.sql, and a table with all types."""
    with psycopg.connect(server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute((SQL_DIRECTORY / ROLES_FILE).read_bytes())
    server.ensure_role("postgres", password)
    with platform(server, "golden") as connection:
        connection.execute((FOLDER / "source.sql").read_bytes())
        connection.execute("reset all; set role postgres; set timezone = 'UTC'; set lc_monetary = 'C'")
        _every_type(connection)
        connection.execute("reset role; analyze")


def _every_type(connection: psycopg.Connection) -> None:
    """A column for each type; its rows are the types' nasty values, then one of NULLs."""
    types = {
        name: [v for v in values if len(v) <= LONGEST] for name, values in VALUES.items() if name not in UNPORTABLE
    }
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(name)) for name in types]  # type: ignore[arg-type]
    columns.insert(0, sql.SQL("row_number integer primary key"))
    connection.execute(sql.SQL("create table public.every_type ({})").format(sql.SQL(", ").join(columns)))
    for number in range(max(map(len, types.values())) + 1):
        cells = [values[number] if number < len(values) else None for values in types.values()]
        row = sql.SQL(", ").join(map(sql.Literal, [number, *cells]))
        connection.execute(sql.SQL("insert into public.every_type values ({})").format(row).as_bytes())


def rig(server: PostgresServer, password: str, store: Store, compression: Any) -> Rig:
    """A backup of everything, cut into small fragments."""
    tables = TableSettings(include="all", exclude=["backup_history"], schemas=SCHEMAS)
    small = ExtractSettings().model_copy(update={"split_bytes": SPLIT_BYTES})  # the settings file may not say that
    settings = Settings(tables=tables, compression=compression).model_copy(update={"extract": small})
    dsn = server.dsn("golden", user="postgres", password=password, sslmode="require")
    parameters = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(dsn).items()}
    return Rig(parameters, store, settings)


def back_up(source: Rig) -> tuple[bytes, Snapshot]:
    """All steps of a backup; the stored bytes, and what was in the snapshot."""
    with smaller_limits():
        uncovered = source.preflight()
        run = source.open(OPENED_AT)
        with source.held() as snapshot:
            units = source.plan(snapshot)
            fragments = [source.extract(run, unit) for unit in units]
            sections = source.describe(run, snapshot)
        document = source.assemble(run, snapshot, fragments, sections)
        source.verify(document, uncovered)
    with source.connect() as connection:
        connection.execute("drop table public.backup_history")  # the next one is opened at the same moment
    return source.store.read(run.key, 0, document.size), snapshot


@contextmanager
def smaller_limits() -> Iterator[None]:
    """What follows from real sizes only, at the size of an example."""
    real = extracting.BATCH_BYTES, extract.ROW_BATCH_BYTES
    extracting.BATCH_BYTES, extract.ROW_BATCH_BYTES = BATCH_BYTES, ROW_BATCH_BYTES
    try:
        yield
    finally:
        extracting.BATCH_BYTES, extract.ROW_BATCH_BYTES = real


def contents(server: PostgresServer, snapshot: Snapshot) -> dict[str, Any]:
    """Each table's columns with their types, and its rows as Postgres' text of each cell, sorted."""
    with psycopg.connect(server.superuser_dsn("golden"), autocommit=True) as connection:
        return {
            table.name_in_document: table_contents(connection, table.schema_name, table.table_name)
            for table in snapshot.tables
        }


def table_contents(connection: psycopg.Connection, schema: str, name: str) -> dict[str, Any]:
    """The columns and rows of one table, children of inheritance apart."""
    connection.execute(
        "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; set search_path = ''"
    )
    connection.execute("set lc_monetary = 'C'; set bytea_output = 'hex'; set extra_float_digits = 3")
    table = sql.Identifier(schema, name)
    types = connection.execute(
        "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a"
        " where a.attrelid = pg_catalog.to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum",
        (table.as_string(connection),),
    ).fetchall()
    partitioned = connection.execute(
        "select relkind = 'p' from pg_catalog.pg_class where oid = pg_catalog.to_regclass(%s)",
        (table.as_string(connection),),
    ).fetchone()
    cells = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column, _ in types)
    only = sql.SQL("" if partitioned == (True,) else "only ")
    rows = connection.execute(sql.SQL("select {} from {}{}").format(cells, only, table).as_bytes()).fetchall()
    ordered = sorted((list(row) for row in rows), key=json.dumps)
    return {"columns": [list(each) for each in types], "rows": ordered}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
