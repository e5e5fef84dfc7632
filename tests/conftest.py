"""Fixtures of all tiers: real servers on free ports in temporary folders, one set per test process."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.demo.database.builder import build_database
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings, load_settings
from tests.support.cluster import Cluster, running_cluster
from tests.support.rig import Rig

TESTS = Path(__file__).parent
OWNER_PASSWORD = "owner-" + secrets.token_hex(8)
TEMPLATE_SIZE = 0.1
# Start of a test's id -> what shares one Airflow with it, and therefore one test process.
SHARED_AIRFLOW = {
    "tests/e2e/": "tests/e2e",
    "tests/plugins/": "tests/plugins",
    "tests/distributed/": "tests/distributed",
    "tests/chaos/test_kill_": "tests/distributed",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of the chaos suite: how often each random fault is repeated, and what the random moments are drawn from."""
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-rounds", type=int, default=1, help="rounds of each fault at a random moment (1)")
    chaos.addoption("--chaos-seed", type=int, default=6, help="seed of the random moments (6)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's tier is its folder. The longest tier starts first, beside all others."""
    for item in items:
        item.add_marker(getattr(pytest.mark, _tier(item)))
    items.sort(key=lambda item: _tier(item) not in {"e2e", "distributed"})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile` as ever, but what shares one Airflow stays with one test process: e2e, plugins, the workers.

    Groups (`--dist loadgroup`) would say that as well, but this xdist does not heed them under this pytest.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = (scope for start, scope in SHARED_AIRFLOW.items() if nodeid.startswith(start))
            return next(shared, None) or super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def _tier(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Postgres 17 (Supabase's major version), superuser supabase_admin."""
    server = PostgresServer(folder=tmp_path_factory.mktemp("postgres"), durable=False)
    try:
        yield server.start()
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with access keys; the writer's bucket exists."""
    server = S3Server(folder=tmp_path_factory.mktemp("s3"))
    try:
        server.start().create_bucket()
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Airflow with two workers and everything that it needs; all DAGs are paused at first."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def collabhunts_template(postgres_server: PostgresServer) -> str:
    """A small CollabHunts to copy from; nobody may connect to it."""
    name = "collabhunts_template"
    postgres_server.create_database(name)
    build_database(postgres_server.superuser_dsn(name), owner_password=OWNER_PASSWORD, size=TEMPLATE_SIZE)
    return name


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of an empty database of this test's own."""
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.create_database(name)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def collabhunts(postgres_server: PostgresServer, collabhunts_template: str) -> Iterator[str]:
    """The name of a CollabHunts database of this test's own."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{collabhunts_template}"')
        connection.execute(
            f'grant connect, create, temporary on database "{name}" to postgres'
        )  # no template's ACL is copied
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def store(s3_server: S3Server) -> Store:
    """An empty bucket of this test's own, written as admin."""
    bucket = f"test-{secrets.token_hex(6)}"
    s3_server.create_bucket(bucket)
    return Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))


def source_parameters(server: PostgresServer, database: str) -> dict[str, str]:
    """How the backup role `postgres` connects."""
    return {
        "host": server.host,
        "port": str(server.port),
        "user": "postgres",
        "password": OWNER_PASSWORD,
        "dbname": database,
        "sslmode": "require",
    }


@pytest.fixture
def rig(postgres_server: PostgresServer, collabhunts: str, store: Store) -> Rig:
    """A backup of a CollabHunts database, with the package's own settings."""
    return Rig(source_parameters(postgres_server, collabhunts), store, load_settings())


@pytest.fixture
def bare_rig(postgres_server: PostgresServer, empty_database: str, store: Store) -> Rig:
    """A backup of every table of an empty database, read by the superuser; tests create what they need."""
    parameters = {
        "host": postgres_server.host,
        "port": str(postgres_server.port),
        "user": postgres_server.superuser,
        "password": postgres_server.password,
        "dbname": empty_database,
    }
    return Rig(
        parameters, store, Settings.model_validate({"tables": {"include": "all", "exclude": ["backup_history"]}})
    )
