"""A restore with its schema into an empty database, interrupted: the database is empty again, and a rerun works."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import DatabaseUnavailable
from include.disaster_recovery.restore_model import RestorePlan
from tests.integration.test_restore_faults import SCHEMA, leftovers, wait_for_quiet
from tests.support.interrupted import holding, killed, terminated
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

IN_REBUILD = "lock table pg_catalog.pg_proc in share mode"
IN_LOAD = "lock table public.parents in access exclusive mode"
IN_APPLY = "lock table public.children in row exclusive mode"  # when its keys are added


@pytest.fixture
def source(bare_rig: Rig) -> Rig:
    with bare_rig.connect() as connection:
        connection.execute(SCHEMA.encode())
    bare_rig.backup()
    return bare_rig


@pytest.fixture
def target(source: Rig, postgres_server: PostgresServer) -> Iterator[RestoreRig]:
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.create_database(name)
    yield RestoreRig.into(source, dbname=name)
    postgres_server.drop_database(name)


@pytest.fixture
def dumped(target: RestoreRig, postgres_server: PostgresServer) -> Callable[[], str]:
    def dump() -> str:
        url = postgres_server.superuser_dsn(target.parameters["dbname"])
        command = [str(postgres_server.bin_dir / "pg_dump"), url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))

    return dump


def comes_back(target: RestoreRig, source: Rig) -> None:
    target.restore(restore_schema=True)
    assert leftovers(target) == []
    with source.connect() as connection:
        wanted = everything(connection)
    with target.connect() as connection:
        found = everything(connection)
    assert wanted.pop("public.backup_history") != found.pop("public.backup_history")  # which starts anew
    assert found == wanted


def steps(
    rig: RestoreRig, plan: RestorePlan, units: list[Any]
) -> Iterator[tuple[str, Callable[[], Any], str, dict[str, Any]]]:
    """Each step of the plan, once those before it are done."""
    unit = next(unit for unit in units if unit.table == "parents")
    yield "rebuild", lambda: rig.rebuild(plan), IN_REBUILD, {}
    rig.rebuild(plan)
    yield "load", lambda: rig.load(plan, unit), IN_LOAD, {"unit": unit}
    rig.load_all(plan, units)
    rig.check(plan)
    yield "apply", lambda: rig.apply(plan), IN_APPLY, {}


def test_session_lost_in_any_step_leaves_nothing_after_the_cleanup(target: RestoreRig, source: Rig, dumped):
    empty = dumped()
    plan, units = target.plan(restore_schema=True)
    for _, step, statement, _ in steps(target, plan, units):
        with holding(target, statement):
            error = terminated(target, step)
        assert isinstance(error, DatabaseUnavailable), error
    target.clean_up(plan)
    assert dumped() == empty
    comes_back(target, source)


@pytest.mark.parametrize("last", ["rebuild", "load", "apply"])
def test_worker_killed_for_good_is_cleaned_up_by_the_next_run(
    target: RestoreRig, source: Rig, s3_server: S3Server, dumped, last: str, caplog: pytest.LogCaptureFixture
):
    plan, units = replace(target, run_id="dead").plan(restore_schema=True)
    for name, _, statement, arguments in steps(target, plan, units):
        if name == last:
            with holding(target, statement):
                killed(target, s3_server, name, plan=plan, **arguments)
            break
    wait_for_quiet(target)
    comes_back(target, source)
    assert f"removed schema {plan.run.staging_schema}, left by restore run dead" in caplog.text
