"""A target without room: files that cannot grow, by a limit on the real server's processes."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import DatabaseUnavailable
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.integration.conftest import BIG
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

LIMIT = 20 * 1024**2  # over a WAL segment, under the table


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of this test's own: the limit is for all that is in it."""
    server = PostgresServer(folder=tmp_path_factory.mktemp("full"), durable=False)
    try:
        yield server.start()
    finally:
        server.destroy()


@contextmanager
def full(server: PostgresServer) -> Iterator[None]:
    """The server started again so that it cannot make any file longer than the limit, which it inherits from us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    server.stop()
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    yield
    server.stop()
    server.start()


def test_full_disk_is_named_changes_nothing_and_the_next_try_works(server: PostgresServer, store: Store):
    parameters = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    rig = Rig({**parameters, "dbname": "postgres"}, store, Settings.model_validate({"tables": {"include": "all"}}))
    with rig.connect() as connection:
        connection.execute(BIG)
    rig.backup()
    target = RestoreRig.into(rig)
    with rig.connect() as connection:
        connection.execute("delete from public.big where i > 10000")
        connection.execute("vacuum full public.big")
        connection.execute("checkpoint")
        before = everything(connection)

    def refused(step) -> None:
        with (
            full(server),
            pytest.raises(DatabaseUnavailable, match=r"could not (extend|write).*File too large") as caught,
        ):
            step()
        assert caught.value.hint == "free space on the disk of the target; nothing was changed"

    plan, units = target.plan()
    (unit,) = units
    refused(lambda: target.load(plan, unit))
    target.load(plan, unit)
    target.check(plan)
    found = target.diff(plan)
    with target.connect() as connection:  # so that reading it writes nothing to its pages beyond the limit
        connection.execute(f"vacuum (freeze) {plan.run.staging_schema}.{plan.tables[0].staged_as}".encode())
    refused(lambda: target.apply(plan, found))
    with rig.connect() as connection:
        assert {name: rows for name, rows in everything(connection).items() if name in before} == before
    target.clean_up(plan)
    with rig.connect() as connection:
        assert staging.marked(connection) == []
    assert target.restore().of("big") == (10000, 0, 0, 10000)
