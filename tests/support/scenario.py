"""A database that is backed up, changed, restored, and held against what it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.disaster_recovery.postgres.pg_dump import environment, find_pg_dump
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
