"""The schema rebuilt in a new Supabase project, as its role `postgres`, which owns nothing of auth and storage."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.demo.database.builder import SQL_DIRECTORY
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.postgres.restore import ledger, staging
from include.disaster_recovery.steps.restore.rebuilding import finish_schema, rebuild_schema, rehearse_schema
from tests.support.rebuild_rig import (
    Backup,
    Schema,
    Target,
    backed_up,
    comparable,
    put_document,
    with_ddl,
)
from tests.support.rebuilding import platform

PASSWORD = "owner-of-the-project"
DEFAULTS = """
    alter default privileges for role postgres in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public grant all on functions to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public grant all on sequences to anon, authenticated, service_role;
    create publication supabase_realtime;
    alter publication supabase_realtime owner to postgres"""


@pytest.fixture(scope="module")
def backup(postgres_server: PostgresServer, s3_server: S3Server, collabhunts_template: str) -> Iterator[Backup]:
    with backed_up(postgres_server, s3_server, collabhunts_template) as backup:
        yield backup


@pytest.fixture(scope="module")
def project_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    folder: Path = tmp_path_factory.mktemp("project")
    server = PostgresServer(folder=folder, durable=False)
    try:
        server.start()
        with psycopg.connect(server.superuser_dsn("postgres"), autocommit=True) as connection:
            connection.execute((SQL_DIRECTORY / "00_roles.sql").read_bytes())
            connection.execute(f"alter role postgres login password '{PASSWORD}'")  # type: ignore[arg-type]
        yield server
    finally:
        server.destroy()


@pytest.fixture
def project(project_server: PostgresServer) -> Iterator[Target]:
    name = f"project_{secrets.token_hex(4)}"
    with platform(project_server, name) as connection:
        connection.execute(f'alter database "{name}" owner to postgres')  # type: ignore[arg-type]
        connection.execute(DEFAULTS.encode())
    yield Target(project_server, name, "postgres", PASSWORD)
    project_server.drop_database(name)


@pytest.fixture
def policies_allowed(project: Target) -> Iterator[None]:
    """Supabase's own extension lets `postgres` hang policies on storage.objects; here membership does."""
    project.administer("grant supabase_storage_admin to postgres")
    yield
    project.administer("revoke supabase_storage_admin from postgres")


SUPABASES = {"anon", "authenticated", "service_role", "authenticator", "postgres", "supabase_admin"} | {
    "supabase_auth_admin",
    "supabase_storage_admin",
}


def managed(target: Target) -> Schema:
    """What the catalogs say of the schemas that are not the application's."""
    described = comparable(target.described(("auth", "storage", "extensions"), []))
    kept = {name: described[name] for name in ("types", "functions", "tables", "views", "sequences", "schemas")}
    # The test server is shared: the backup may hold a role that another test has left there.
    roles = {name: role for name, role in described["roles"].items() if name in SUPABASES}
    members = {name: {**role, "member_of": SUPABASES & {*role["member_of"]}} for name, role in roles.items()}
    return {**kept, "roles": members}


def hung(target: Target) -> tuple[set[str], set[str]]:
    described = target.described(("auth", "storage"), [])
    return (
        {item["name"] for items in described["triggers"].values() for item in items},
        {item["name"] for items in described["rls_policies"].values() for item in items},
    )


def rebuilt_and_finished(target: Target, backup: Backup) -> list[str]:
    with target.opened(backup.plan) as connection:
        rebuilt = rebuild_schema(connection, backup.store, backup.plan)
        with connection.transaction():
            finished = finish_schema(connection, backup.store, backup.plan)
        staging.drop(connection, backup.plan.run.staging_schema)
    return [*rebuilt.skipped, *finished]


def assert_as_backed_up(target: Target, schema: Schema, *sections: str) -> None:
    found, wanted = comparable(target.described()), comparable(schema)
    for section in sections:
        assert found[section] == wanted[section], section


OWN = (
    "enums",
    "types",
    "functions",
    "tables",
    "views",
    "sequences",
    "publications",
    "default_privileges",
    "schemas",
    "triggers",
)


@pytest.mark.usefixtures("policies_allowed")
def test_a_new_project_gets_everything_and_what_is_supabases_stays(project: Target, backup: Backup) -> None:
    before = managed(project)
    assert rebuilt_and_finished(project, backup) == []
    assert managed(project) == before
    assert hung(project) == (
        {"on_auth_user_created"},
        {"Admins see all files", "Avatars are public", "Users write their own folder"},
    )
    assert_as_backed_up(project, backup.schema, *OWN, "rls_policies")


def test_policies_that_are_forbidden_are_listed_and_the_rest_comes(project: Target, backup: Backup) -> None:
    before = managed(project)
    skipped = rebuilt_and_finished(project, backup)
    assert managed(project) == before
    assert hung(project) == ({"on_auth_user_created"}, set())
    assert [each.partition(" ON ")[0] for each in skipped] == [
        'CREATE POLICY "Admins see all files"',
        'CREATE POLICY "Avatars are public"',
        'CREATE POLICY "Users write their own folder"',
    ]
    assert all(each.endswith(": must be owner of table objects") for each in skipped)
    assert_as_backed_up(project, backup.schema, *OWN)


EARTH = 'CREATE EXTENSION IF NOT EXISTS "earthdistance" WITH SCHEMA "extensions": permission denied to create extension "earthdistance"'


def test_a_project_is_as_before_when_the_rebuild_is_undone(project: Target, backup: Backup) -> None:
    schema = with_ddl(backup.schema)
    schema["extensions"] += [
        {"name": "earthdistance", "version": "1", "schema": "extensions"},
        {"name": "cube", "version": "1", "schema": "extensions"},
        {"name": "hstore", "version": "1", "schema": "of_its_own"},
    ]
    plan, before = put_document(backup.store, schema), project.dumped()
    with project.opened(plan) as connection:
        rebuilt = rebuild_schema(connection, backup.store, plan)
        assert (rebuilt.created["extension"], rebuilt.created["schema"], rebuilt.skipped) == (2, 1, [EARTH])
        ledger.undo(connection, plan.run.staging_schema)
        staging.drop(connection, plan.run.staging_schema)
    assert project.dumped() == before


FOREIGN = """
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON TABLES TO anon;
ALTER TABLE public.messages OWNER TO supabase_admin;
COMMENT ON EXTENSION pgcrypto IS 'not ours';
COMMENT ON SCHEMA auth IS 'not ours';
GRANT ALL ON SCHEMA auth TO anon;
SET SESSION AUTHORIZATION service_role;
GRANT SELECT ON TABLE public.messages TO anon;
RESET SESSION AUTHORIZATION;
GRANT SELECT ON TABLE public.messages TO role_of_the_source;
"""
HUNG = """
CREATE POLICY topic ON realtime.messages USING (true);
COMMENT ON POLICY topic ON realtime.messages IS 'x';
CREATE POLICY "no function" ON storage.buckets USING (storage.unknown(id));
CREATE PUBLICATION everything FOR ALL TABLES;
ALTER PUBLICATION everything ADD TABLE ONLY public.messages;
"""


@pytest.mark.usefixtures("policies_allowed")
def test_what_belongs_to_others_is_skipped_and_listed_with_reasons(project: Target, backup: Backup) -> None:
    schema = with_ddl(backup.schema, pre_data=FOREIGN, attached=HUNG)
    schema["roles"]["supabase_reserved"] = {**schema["roles"]["anon"], "bypass_rls": True}
    schema["extensions"].append({"name": "pg_graphql", "version": "1.5", "schema": "graphql"})
    plan = put_document(backup.store, schema)
    skipped = rebuilt_and_finished(project, Backup(backup.store, plan, schema))
    project.administer("drop role supabase_reserved")
    assert skipped == [
        "extension pg_graphql: not available on this server",
        "ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON TABLES TO anon: permission denied to change default privileges",
        'ALTER TABLE public.messages OWNER TO supabase_admin: must be able to SET ROLE "supabase_admin"',
        "COMMENT ON EXTENSION pgcrypto IS 'not ours': must be owner of extension pgcrypto",
        "COMMENT ON SCHEMA auth IS 'not ours': must be owner of schema auth",
        'GRANT ALL ON SCHEMA auth TO anon: no privileges were granted for "auth"',
        'SET SESSION AUTHORIZATION service_role: permission denied to set session authorization "service_role"',
        "GRANT SELECT ON TABLE public.messages TO anon: it needs another role's rights",
        'GRANT SELECT ON TABLE public.messages TO role_of_the_source: role "role_of_the_source" does not exist',
        'CREATE POLICY topic ON realtime.messages USING (true): schema "realtime" does not exist',
        "COMMENT ON POLICY topic ON realtime.messages IS 'x': schema \"realtime\" does not exist",
        'CREATE POLICY "no function" ON storage.buckets USING (storage.unknown(id)): function storage.unknown(text) does not exist',
        "CREATE PUBLICATION everything FOR ALL TABLES: must be superuser to create FOR ALL TABLES publication",
        'ALTER PUBLICATION everything ADD TABLE ONLY public.messages: publication "everything" does not exist',
    ]


def test_a_rehearsal_tells_the_same_and_changes_nothing(project: Target, backup: Backup) -> None:
    before = project.dumped()
    with project.connect() as connection:
        rehearsed = rehearse_schema(connection, backup.store, backup.plan)
    assert project.dumped() == before
    assert rebuilt_and_finished(project, backup) == rehearsed.skipped
