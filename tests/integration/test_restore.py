"""A whole restore into a populated, diverged target."""

from __future__ import annotations

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import RestoreRefused
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

DIVERGE = """
    set session_replication_role = replica;
    update profiles set full_name = 'changed', updated_at = now() where id in (select id from profiles order by id limit 5);
    delete from messages where id in (select id from messages order by id limit 7);
    insert into notifications (id, user_id, kind, title)
        select gen_random_uuid(), user_id, kind, 'not in the backup' from notifications limit 3;
    delete from auth.identities where id in (select id from auth.identities order by id limit 2);
    reset session_replication_role
"""


@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_diverged_target_comes_back(rig: Rig, mode: str):
    with rig.connect() as connection:
        before = everything(connection)
    rig.backup()
    with rig.connect() as connection:
        before["public.backup_history"] = everything(connection)["public.backup_history"]
        connection.execute("set search_path = public")
        connection.execute(DIVERGE)
        connection.execute("reset search_path")
    target = RestoreRig.into(rig)
    done = target.restore(mode=mode)
    assert done.applied == done.diff
    changed = {
        each.table: (each.insert, each.update, each.delete)
        for each in done.applied
        if each.insert or each.update or each.delete
    }
    with rig.connect() as connection:
        after = everything(connection)
        leftovers = connection.execute("select nspname from pg_namespace where nspname like 'collabhunts%'").fetchall()
    assert changed == {
        "profiles": (0, 5, 0),
        "messages": (7, 0, 0),
        "auth.identities": (2, 0, 0),
        **({"notifications": (0, 0, 3)} if mode == "replace" else {}),
    }
    if mode == "upsert":
        assert after.pop("public.notifications") != before.pop("public.notifications")
    assert after == before
    assert leftovers == []
    again = target.restore(mode=mode)
    assert sum(each.insert + each.update + each.delete for each in again.applied) == 0


def test_unknown_backup_names_the_nearest(rig: Rig):
    key = rig.backup().run.key
    with pytest.raises(RestoreRefused, match="does not exist") as caught:
        RestoreRig.into(rig).plan(backup_key=key.replace("2026", "2025"))
    assert key in caught.value.hint


def test_empty_database_gets_everything_back_from_the_bucket_alone(
    rig: Rig, postgres_server: PostgresServer, empty_database: str
):
    with rig.connect() as connection:
        wanted = everything(connection)
    rig.backup()
    superuser = {"user": postgres_server.superuser, "password": postgres_server.password}
    target = RestoreRig.into(rig, dbname=empty_database, **superuser)
    done = target.restore(restore_schema=True)
    with target.connect() as connection:
        found = everything(connection)
        staged = connection.execute("select count(*) from pg_namespace where nspname like 'collabhunts%'").fetchone()
    compared = {f"public.{table.name}" if "." not in table.name else table.name for table in done.plan.tables}
    assert {name: found[name] for name in compared} == {name: wanted[name] for name in compared}
    assert staged == (0,)


def test_numeric_beyond_a_double_comes_back_though_its_column_declares_a_precision(bare_rig: Rig):
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.large as select i, 7e400::numeric(1000,500) as n, 12.50::numeric(10,2) as m,"
            " 99e305::numeric(308,0) as j from generate_series(1, 3) as i"
        )
        if connection.info.server_version >= 150000:
            connection.execute("alter table public.large add column r numeric(3,-400)")
            connection.execute("update public.large set r = 123e400")
        before = everything(connection)
    assert [row["n"][0] for row in bare_rig.backup().backup["tables"]["large"]["rows"]] == ["7"] * 3
    with bare_rig.connect() as connection:
        connection.execute("delete from public.large where i = 2; update public.large set n = 1")
    RestoreRig.into(bare_rig).restore()
    with bare_rig.connect() as connection:
        assert everything(connection)["public.large"] == before["public.large"]
