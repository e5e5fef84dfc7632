"""Fixtures of the chaos suite: its seed and rounds, wires, tables to lose."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings
from tests.support.faulty_wire import FaultyWire
from tests.support.rig import Rig


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The random moments of a test: always the same for a seed, others for another test."""
    return random.Random(f"{request.config.getoption('--chaos-seed')} {request.node.nodeid}")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a fault at a random moment is repeated."""
    return int(request.config.getoption("--chaos-rounds"))


@contextmanager
def own_rig(server: PostgresServer, s3_server: S3Server, **settings: Any) -> Iterator[Rig]:
    """A backup of every table of a database of one file's own, into a bucket of its own."""
    name = f"chaos_{secrets.token_hex(6)}"
    bucket = name.replace("_", "-")
    server.create_database(name)
    s3_server.create_bucket(bucket)
    parameters = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    wanted = {"tables": {"include": "all", "exclude": ["backup_history"]}, **settings}
    yield Rig(
        {**parameters, "dbname": name, "sslmode": "disable"},
        Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256")),
        Settings.model_validate(wanted),
    )
    server.drop_database(name)


@pytest.fixture
def wire(s3_server: S3Server) -> Iterator[FaultyWire]:
    with FaultyWire(s3_server) as wire:
        yield wire


@pytest.fixture
def big(bare_rig: Rig) -> Rig:
    """One table of several upload parts, and a small one."""
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.big as select i, repeat(md5(i::text), 40) as t from generate_series(1, 8000) i"
        )
        connection.execute("create table public.small as select i, 'row ' || i as t from generate_series(1, 50) i")
    return bare_rig
