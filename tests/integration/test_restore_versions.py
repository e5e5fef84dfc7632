"""What was loaded, and what was found to differ, is recognised by the versions of rows: whoever writes there is noticed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import RestoreFailed, StagingDiffers
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

TABLES = """
    create type public.mood as enum ('low', 'high');
    create table public.notes (id int primary key, body text, mood public.mood default 'low', "hash 0" int, "hash 1" text);
    create table public.keyless (a int, b jsonb);
    create table public.halves (id int primary key, v text) partition by range (id);
    create table public.lower_half partition of public.halves for values from (0) to (50);
    create table public.upper_half partition of public.halves for values from (50) to (100);
    insert into public.notes select i, repeat('note ', 1000 * (i % 3)) || i, 'high', i, 'h' || i from generate_series(1, 60) as i;
    insert into public.keyless select i % 5, '{"n": 1.0}' from generate_series(1, 20) as i;
    insert into public.halves select i, 'v' || i from generate_series(1, 80) as i;"""
DIVERGED = """
    update public.notes set body = 'changed' where id < 9; delete from public.notes where id > 55;
    insert into public.notes values (99, 'new'); delete from public.keyless where a = 1;
    update public.halves set v = 'changed' where id in (7, 70);"""
WRITES = {
    "changed": ("update {notes} set body = 'forged' where id = 5", "60 rows are staged, 1 of them written by others"),
    "changed and changed back": (
        "update {notes} set body = body where id = 5",
        "60 rows are staged, 1 of them written by others",
    ),
    "deleted": ("delete from {notes} where id = 5", "59 rows are staged, 0 of them written by others"),
    "added": ("insert into {notes} (id) values (61)", "61 rows are staged, 1 of them written by others"),
}
MEANWHILE = {
    "another row is changed": "update public.notes set body = 'changed' where id = 20",
    "a row that differs anyway is changed": "update public.notes set body = 'changed again' where id = 5",
    "a row without a key is added": "insert into public.keyless values (7, '{}')",
    "a row moves to another partition": "update public.halves set id = 99 where id = 7",
    "a column is made anew, which changes no row": "alter table public.notes drop column body, add column body text",
    "the table is written anew": "vacuum full public.notes",
}


@pytest.fixture
def target(bare_rig: Rig) -> RestoreRig:
    with bare_rig.connect() as connection:
        connection.execute(TABLES.encode())
    backed_up = bare_rig.with_settings(tables={"include": "all", "exclude": ["backup_history"]})
    backed_up.backup()
    return RestoreRig.into(backed_up)


@pytest.fixture
def empty(target: RestoreRig, postgres_server: PostgresServer) -> Iterator[RestoreRig]:
    postgres_server.create_database("versions_new")
    yield target.with_parameters(dbname="versions_new")
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute("drop database versions_new with (force)")


def execute(rig: RestoreRig, statements: str) -> None:
    with rig.connect() as connection:
        connection.execute(statements.encode())


def contents(rig: RestoreRig) -> dict[str, str]:
    with rig.connect() as connection:
        return {name: found for name, found in everything(connection).items() if name.startswith("public.")}


@pytest.mark.parametrize("write", WRITES)
def test_staged_row_that_another_session_has_written_is_noticed(target: RestoreRig, write: str):
    plan, units = target.plan()
    target.load_all(plan, units)
    statement, said = WRITES[write]
    staged_as = next(table.staged_as for table in plan.tables if table.name == "notes")
    execute(target, statement.format(notes=f"{plan.run.staging_schema}.{staged_as}"))
    before = contents(target)
    with pytest.raises(StagingDiffers, match=said):
        target.check(plan)
    target.clean_up(plan)
    assert contents(target) == before


@pytest.mark.parametrize("write", WRITES)
def test_row_of_a_new_table_that_another_session_has_written_is_noticed(empty: RestoreRig, write: str):
    plan, units = empty.plan(restore_schema=True)
    empty.rebuild(plan)
    empty.load_all(plan, units)
    statement, said = WRITES[write]
    execute(empty, statement.format(notes="public.notes"))
    with pytest.raises(StagingDiffers, match=said):
        empty.check(plan)
    empty.clean_up(plan)
    assert contents(empty) == {}


def test_fragment_whose_load_is_missing_is_noticed(target: RestoreRig):
    plan, units = target.plan()
    target.load_all(plan, [unit for unit in units if unit.table != "halves"])
    with pytest.raises(StagingDiffers, match="table halves: 0 rows with digest 0000000000000000 were loaded"):
        target.check(plan)
    target.clean_up(plan)


@pytest.mark.parametrize(
    "meanwhile, mode", [*((each, "replace") for each in MEANWHILE), ("another row is changed", "upsert")]
)
def test_target_changed_after_the_differences_were_counted_becomes_the_backup_all_the_same(
    target: RestoreRig, meanwhile: str, mode: str
):
    before = contents(target)
    execute(target, DIVERGED)
    plan, units = target.plan(mode=mode)
    target.load_all(plan, units)
    target.check(plan)
    target.diff(plan)
    for statement in MEANWHILE[meanwhile].split("; "):
        execute(target, statement)
    target.apply(plan)
    target.clean_up(plan)
    if mode == "upsert":
        execute(target, "delete from public.notes where id = 99; delete from public.halves where id = 99")
    if "made anew" in meanwhile:  # it is the last column now
        order = 'id, body, mood, "hash 0", "hash 1"'
        execute(target, f"create table public.again as select {order} from public.notes; drop table public.notes")
        execute(target, "alter table public.again rename to notes")
    assert contents(target) == before


def test_differences_that_still_hold_are_not_looked_for_again(target: RestoreRig):
    execute(target, DIVERGED)
    plan, units = target.plan()
    target.load_all(plan, units)
    target.check(plan)
    found = target.diff(plan)
    table = next(table for table in plan.tables if table.name == "notes")
    # What has been noted is believed: without a note of id 3, that row is left as it is, and the count tells.
    execute(target, f"delete from {plan.run.staging_schema}.{table.staged_as}_changes where k1 = 3")
    before = contents(target)
    with pytest.raises(RestoreFailed, match="7 rows were written instead of 8"):
        target.apply(plan, found)
    assert contents(target) == before
    execute(target, "update public.notes set body = body where id = 4")
    assert target.apply(plan, found) == found
    target.clean_up(plan)


@pytest.mark.parametrize("columns", [1598, 1599])
def test_table_as_wide_as_postgres_allows_comes_back(bare_rig: Rig, columns: int):
    target = RestoreRig.into(bare_rig.with_settings(tables={"include": "all", "exclude": ["backup_history"]}))
    names = ", ".join(f"c{number} int2" for number in range(1, columns))
    execute(target, f"create table public.wide (id int2 primary key, {names})")
    execute(target, "insert into public.wide (id, c1, c1597) select i, i, i from generate_series(1, 9) as i")
    Rig(target.parameters, target.store, target.settings).backup()
    before = contents(target)
    execute(target, "update public.wide set c1597 = 0 where id < 4; delete from public.wide where id = 9")
    assert target.restore().of("wide") == (1, 3, 0, 5)
    assert contents(target) == before
