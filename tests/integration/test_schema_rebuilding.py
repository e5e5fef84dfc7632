"""DDL that is hard to carry over: bodies of functions letter by letter, and what hangs on Supabase's own tables."""

from __future__ import annotations

import json
import secrets

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.postgres.schema import describe_catalogs
from tests.support.rebuilding import platform, rebuild
from tests.support.rig import Rig

BODY = r"""
-- a comment
  -- Name: public; Type: SCHEMA; Schema: -; Owner: postgres
\restrict abc
\unrestrict abc
\.
\connect other
$$ ; %s %(schemas)s {0} 'quote"
-- Name: public; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA public;
"""
NASTY_BODY = (
    BODY + "vertical\x0btab form\x0cfeed file\x1cseparator next\x85line \u2028 \u2029 carriage\r\nreturn \r end\t"
)


def test_function_bodies_survive_letter_by_letter(postgres_server: PostgresServer, bare_rig: Rig) -> None:
    create = (
        "create function public.f() returns text language sql as $body$ select $text$" + NASTY_BODY + "$text$ $body$"
    )
    with bare_rig.connect() as connection:
        connection.execute("create table public.t (i int)")
        connection.execute(create.encode())
        (before,) = connection.execute("select public.f()").fetchone() or ("",)
    ddl, name = bare_rig.backup().backup["schema"]["ddl"], f"rebuilt_{secrets.token_hex(4)}"
    with platform(postgres_server, name) as connection:
        rebuild(connection, ddl)
        assert connection.execute("select public.f(), prosrc from pg_proc where proname = 'f'").fetchone() == (
            before,
            f" select $text${NASTY_BODY}$text$ ",
        )
    postgres_server.drop_database(name)
    assert before == NASTY_BODY


ATTACHED = """
    comment on trigger on_auth_user_created on auth.users is 'it''s ours';
    alter table auth.users disable trigger on_auth_user_created;
    create trigger "always %s" after update on storage.objects for each row execute function public.update_updated_at_column();
    alter table storage.objects enable always trigger "always %s";
    comment on policy "Avatars are public" on storage.objects is '100 %';
    create policy "to all" on storage.buckets as restrictive using (true);
    create schema private;
    create table private.not_covered (i int);
    alter table private.not_covered enable row level security;
    create policy nobody on private.not_covered using (false);
    create trigger elsewhere after insert on private.not_covered for each row execute function public.update_updated_at_column();
    create publication "every thing" for all tables with (publish = 'insert');
    create publication whole_schemas for tables in schema public, private with (publish_via_partition_root);
    create publication nothing with (publish = '');
    create publication mixed for table private.not_covered, public.reviews;
    alter default privileges for role postgres grant select on tables to anon with grant option;
    alter default privileges for role postgres revoke all on types from public, postgres"""


def test_what_hangs_on_the_platform_comes_back_and_nothing_of_schemas_left_out(
    postgres_server: PostgresServer, rig: Rig
) -> None:
    superuser = {"user": postgres_server.superuser, "password": postgres_server.password}
    with rig.connect(**superuser) as connection:
        connection.execute(ATTACHED.encode())
    schema, name = rig.backup().backup["schema"], f"rebuilt_{secrets.token_hex(4)}"
    with platform(postgres_server, name) as connection:
        rebuild(connection, schema["ddl"])
    with rig.connect(**superuser, dbname=name) as connection:
        rebuilt = json.loads(json.dumps(describe_catalogs(connection, ["public"])))
    postgres_server.drop_database(name)
    assert "private" not in schema["ddl"]["attached"]
    assert schema["triggers"].pop("private.not_covered")[0]["attached"] is False
    assert "private.not_covered" not in schema["rls_policies"]
    for publication in schema["publications"].values():
        for kind in ("schemas", "tables"):
            publication[kind] = [each for each in publication[kind] if each["covered"]]
    for section in ("triggers", "rls_policies", "publications", "default_privileges"):
        assert rebuilt[section] == schema[section]
    assert [each["enabled"] for each in schema["triggers"]["auth.users"]] == ["disabled"]
