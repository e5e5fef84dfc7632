"""Fixtures of this tier: a wire to the bucket, tables to back up, a role without rights."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store
from tests.support.faulty_wire import FaultyWire
from tests.support.rig import Rig

BIG = "create table public.big as select i, repeat(md5(i::text), 40) as t from generate_series(1, 20000) i"  # 26 MB as JSON


@pytest.fixture
def wire(s3_server: S3Server) -> Iterator[FaultyWire]:
    with FaultyWire(s3_server) as wire:
        yield wire


@pytest.fixture
def wired(store: Store, wire: FaultyWire) -> Store:
    """The same bucket, through the wire."""
    return replace(store, client=wire.client())


@pytest.fixture
def tables(bare_rig: Rig) -> Rig:
    """Three small tables."""
    with bare_rig.connect() as connection:
        for name in ("first", "second", "third"):
            connection.execute(
                f"create table public.{name} as select i, 'row ' || i as t from generate_series(1, 50) i"
            )
    return bare_rig


@pytest.fixture
def big(bare_rig: Rig) -> Rig:
    """One table of several upload parts."""
    with bare_rig.connect() as connection:
        connection.execute(BIG)
    return bare_rig


@pytest.fixture
def reader_role(bare_rig: Rig, postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """A login role without any right; the parameters to connect as it."""
    name = f"reader_{secrets.token_hex(4)}"
    with bare_rig.connect() as connection:
        connection.execute(f"create role {name} login password 'reader-secret'")
    yield {"user": name, "password": "reader-secret"}
    with bare_rig.connect() as connection:
        connection.execute(f"drop owned by {name}")
        connection.execute(f"drop role {name}")
