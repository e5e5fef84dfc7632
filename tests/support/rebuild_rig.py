"""A rebuild at engine level: a document in the bucket, a target, and the plan's part that the rebuild reads."""

from __future__ import annotations

import copy
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any

import psycopg

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.document import lay_out
from include.disaster_recovery.model import StagedSection, TableName
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.postgres.schema import describe_catalogs
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.restore_model import RestorePlan, RestoreRequest, RestoreRun
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import load_settings
from tests.conftest import source_parameters
from tests.support.rig import Rig

AUTH_TABLES = [
    TableName(schema_name="auth", table_name=name, name_in_document=f"auth.{name}") for name in ("identities", "users")
]
KEY = "backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json"
Schema = dict[str, Any]


def put_document(store: Store, schema: Schema, key: str = KEY) -> RestorePlan:
    """A document without tables whose section `schema` is this one; returns the plan to rebuild it."""
    stored = json.dumps(schema).encode()
    section = StagedSection(
        name="schema",
        key="staging/schema",
        size=len(stored),
        sha256=sha256(stored).hexdigest(),
        counts={},
        warnings=[],
    )
    layout = lay_out(
        metadata={},
        tables={},
        sections=[section],
        snapshot="1-1-1",
        writer="test",
        compression="none",
        frame=bytes,
        stored_frame=bytes,
    )
    pieces = [piece.data if piece.data is not None else stored for piece in layout.pieces]
    store.put(key, b"".join(pieces))
    return plan_for(key, layout.size, layout.manifest_sha256)


def plan_for(key: str, size: int, manifest_sha256: str, staging_schema: str = "collabhunts_restore_1") -> RestorePlan:
    request = RestoreRequest(
        backup_key=key,
        target_conn_id="collabhunts_restore_db",
        tables=None,
        mode="upsert",
        restore_schema=True,
        dry_run=False,
        require_approval=False,
    )
    run = RestoreRun(
        run_id="manual__1",
        key=key,
        size=size,
        manifest_sha256=manifest_sha256,
        request=request,
        staging_schema=staging_schema,
        opened_at=datetime.now(timezone.utc),
        triggered_by=None,
        target="test",
        target_is_source=False,
    )
    return RestorePlan(run=run, tables=[], quiet="replica", notes=[])


@dataclass
class Target:
    """A database to rebuild into."""

    server: PostgresServer
    name: str
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def parameters(self) -> dict[str, str]:
        server = self.server
        return {
            "host": server.host,
            "port": str(server.port),
            "user": self.user or server.superuser,
            "password": self.password or server.password,
            "dbname": self.name,
        }

    def connect(self) -> Connection:
        return connect(self.parameters, name="target", application="test")

    def administer(self, *statements: str) -> None:
        """Run statements as the superuser."""
        parameters = {**self.parameters, "user": self.server.superuser, "password": self.server.password}
        with connect(parameters, name="target", application="test") as connection:
            for each in statements:
                connection.execute(each.encode())

    @contextmanager
    def opened(self, plan: RestorePlan) -> Iterator[Connection]:
        """A session, with the schema of the run made."""
        with self.connect() as connection:
            staging.create(connection, plan.run)
            yield connection

    def described(self, schemas: tuple[str, ...] = ("public",), tables: list[TableName] = AUTH_TABLES) -> Schema:
        with self.connect() as connection:
            described: Schema = json.loads(json.dumps(describe_catalogs(connection, schemas, tables)))
        return described

    def dumped(self) -> str:
        """The whole database as pg_dump sees it, and the roles of the server."""
        password = {"PGPASSWORD": self.server.password}
        where = ["-h", self.server.host, "-p", str(self.server.port), "-U", self.server.superuser]
        dump = [str(self.server.bin_dir / "pg_dump"), "--schema-only", *where, self.name]
        roles = [str(self.server.bin_dir / "pg_dumpall"), "--roles-only", "--no-role-passwords", *where]
        said = "".join(
            subprocess.run(command, env=password, capture_output=True, text=True, check=True).stdout
            for command in (dump, roles)
        )
        return "\n".join(line for line in said.split("\n") if not line.startswith(("\\restrict", "\\unrestrict")))


@dataclass
class Backup:
    """A backup of CollabHunts and the plan to rebuild it."""

    store: Store
    plan: RestorePlan
    schema: Schema


@contextmanager
def backed_up(server: PostgresServer, s3_server: S3Server, template: str) -> Iterator[Backup]:
    """One backup of CollabHunts for all tests of a module."""
    name, bucket = f"rebuild_{secrets.token_hex(4)}", f"rebuild-{secrets.token_hex(4)}"
    with psycopg.connect(server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{template}"')  # type: ignore[arg-type]
    s3_server.create_bucket(bucket)
    store = Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))
    outcome = Rig(source_parameters(server, name), store, load_settings()).backup()
    document = outcome.document
    yield Backup(store, plan_for(document.key, document.size, document.manifest_sha256), outcome.backup["schema"])
    server.drop_database(name)


def comparable(schema: Schema) -> Schema:
    """A described schema without what no rebuild brings back."""
    plain = copy.deepcopy(schema)
    for name in ("ddl", "migrations", "extensions", "rls_probes"):
        plain.pop(name, None)
    for sequence in plain["sequences"].values():
        del sequence["last_value"]
    plain["roles"] = {
        name: {key: value for key, value in role.items() if key not in {"login", "superuser"}}
        for name, role in plain["roles"].items()
    }
    for table in plain["tables"].values():  # Postgres 18 keeps NOT NULL as constraints, too
        table["constraints"] = [each for each in table["constraints"] if each["kind"] != "not null"]
    return plain


def with_ddl(schema: Schema, **parts: str) -> Schema:
    changed = copy.deepcopy(schema)
    for name, script in parts.items():
        changed["ddl"][name] += script
    return changed
