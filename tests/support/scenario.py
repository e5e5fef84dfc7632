"""A database that is backed up, changed, restored, and held against what it was."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.postgres.pg_dump import environment, find_pg_dump
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings
from tests.support.restore_rig import Restored, RestoreRig, everything
from tests.support.rig import Rig

HISTORY = "public.backup_history"  # goes on while the backup runs


@dataclass
class Scenario:
    """Tables made by `setup`, and a backup of them; `before` is every row at that moment."""

    rig: Rig
    setup: str
    target: RestoreRig = field(init=False)
    before: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.run(self.setup)
        self.rig.backup()
        self.before = self.rows()
        self.target = RestoreRig.into(self.rig)

    def run(self, statements: str) -> None:
        with self.rig.connect() as connection:
            connection.execute(statements.encode())

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with self.rig.connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> object:
        ((found,),) = self.ask(query)
        return found

    def rows(self) -> dict[str, str]:
        with self.rig.connect() as connection:
            return {name: rows for name, rows in everything(connection).items() if name != HISTORY}

    def schema(self) -> str:
        """The whole schema as pg_dump sees it."""
        dump = find_pg_dump(None, server_major=17)
        done = subprocess.run(
            [dump.path, "--schema-only"],
            env={**os.environ, **environment(self.rig.parameters)},
            capture_output=True,
            check=True,
            text=True,
        )
        return "\n".join(line for line in done.stdout.splitlines() if "restrict " not in line)

    def restore(self, **wanted: object) -> Restored:
        return self.target.restore(**wanted)

    def refused_as(self, **parameters: str) -> RestoreRig:
        return self.target.with_parameters(**parameters)

    def comes_back(self, change: str, *, mode: str, **wanted: object) -> Restored:
        """Change the tables, restore, and find every row of every table as it was."""
        self.run(change)
        damaged = self.rows()
        done = self.restore(mode=mode, **wanted)
        found = self.rows()
        assert {name for name in self.before if found.get(name) != self.before[name]} == set()
        assert found.keys() == self.before.keys()
        assert damaged != self.before
        return done


def changes(done: Restored) -> Mapping[str, tuple[int, int, int]]:
    """Inserted, updated and deleted rows of the tables that changed."""
    found = {each.table: (each.insert, each.update, each.delete) for each in done.applied}
    return {name: counts for name, counts in found.items() if any(counts)}


@contextmanager
def scenario_of(server: PostgresServer, s3: S3Server, setup: str, **tables: object) -> Iterator[Scenario]:
    """A scenario that tests of a module share: each restores what it has changed."""
    database, bucket = f"scenario_{secrets.token_hex(6)}", f"scenario-{secrets.token_hex(6)}"
    server.create_database(database)
    s3.create_bucket(bucket)
    parameters = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    store = Store(client=s3.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))
    wanted = {"include": "all", "exclude": ["backup_history"], **tables}
    rig = Rig({**parameters, "dbname": database}, store, Settings.model_validate({"tables": wanted}))
    try:
        yield Scenario(rig, setup)
    finally:
        server.drop_database(database)
