"""The schema section says everything, and its DDL rebuilds it in a database that has only what Supabase brings."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.schema import SECTIONS, describe_catalogs
from include.disaster_recovery.postgres.session import connect
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import load_settings
from tests.conftest import source_parameters
from tests.support.rebuilding import platform, rebuild
from tests.support.rig import Outcome, Rig

Schema = dict[str, Any]
AUTH_TABLES = [
    TableName(schema_name="auth", table_name=name, name_in_document=f"auth.{name}") for name in ("identities", "users")
]


@dataclass
class Described:
    """One backup of CollabHunts."""

    rig: Rig
    outcome: Outcome
    schema: Schema


@pytest.fixture(scope="module")
def described(postgres_server: PostgresServer, s3_server: S3Server, collabhunts_template: str) -> Iterator[Described]:
    name, bucket = f"described_{secrets.token_hex(4)}", f"described-{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{collabhunts_template}"')  # type: ignore[arg-type]
    s3_server.create_bucket(bucket)
    store = Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))
    rig = Rig(source_parameters(postgres_server, name), store, load_settings())
    outcome = rig.backup()
    yield Described(rig, outcome, outcome.backup["schema"])
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def schema(described: Described) -> Schema:
    return described.schema


@pytest.fixture(scope="module")
def rebuilt(postgres_server: PostgresServer, schema: Schema) -> Iterator[Schema]:
    name = f"rebuilt_{secrets.token_hex(4)}"
    with platform(postgres_server, name) as connection:
        rebuild(connection, schema["ddl"])
    with connect(source_parameters(postgres_server, name), name="test", application="test") as connection:
        yield json.loads(json.dumps(describe_catalogs(connection, ["public"], AUTH_TABLES)))
    postgres_server.drop_database(name)


def without(items: dict[str, Schema], *fields: str) -> dict[str, Schema]:
    return {name: {key: value for key, value in item.items() if key not in fields} for name, item in items.items()}


@pytest.mark.parametrize("section", [each for each in SECTIONS if each != "sequences"])
def test_the_ddl_rebuilds_every_section(schema: Schema, rebuilt: Schema, section: str) -> None:
    assert rebuilt[section] == schema[section]
    assert len(schema[section]) > 0


def test_the_ddl_rebuilds_sequences_but_not_where_they_stand(schema: Schema, rebuilt: Schema) -> None:
    assert without(rebuilt["sequences"], "last_value") == without(schema["sequences"], "last_value")


def test_migrations_are_data_of_another_schema(schema: Schema, rebuilt: Schema) -> None:
    assert rebuilt["migrations"] == []
    assert len(schema["migrations"]) == 12
    assert schema["migrations"][0]["name"] == "roles"
    assert schema["migrations"][7]["statements"] == ["create table public.payments ()", None, ""]


def test_the_section_has_all_its_parts(schema: Schema) -> None:
    assert set(schema) == {*SECTIONS, "migrations", "rls_probes", "ddl"}
    assert set(schema["ddl"]) == {"pre_data", "post_data", "attached"}


def test_enums_keep_the_order_of_their_labels(schema: Schema) -> None:
    assert schema["enums"]["app_role"] == ["admin", "brand", "creator"]
    assert schema["enums"]["application_status"][2:4] == ["on waiting list", "accepted"]
    assert list(schema["enums"]) == ["app_role", "application_status", "booking_status", "payment_status"]


def test_domains_and_composite_types(schema: Schema) -> None:
    types = {item["name"]: item for item in schema["types"]}
    assert types["cents"]["checks"] == ["CHECK ((VALUE >= 0))"]
    assert (types["cents"]["base"], types["cents"]["default"]) == ("bigint", "0")
    assert [each["type"] for each in types["postal_address"]["attributes"]] == ["text", "text", "text", "character(2)"]


def test_functions(schema: Schema) -> None:
    functions = {(item["name"], item["arguments"]): item for item in schema["functions"]}
    has_role = functions["has_role", "_user_id uuid, _role public.app_role"]
    assert has_role["security_definer"] is True
    assert has_role["settings"] == ["search_path=public"]
    assert {"anon=X/postgres", "supabase_storage_admin=X/postgres"} <= set(has_role["grants"])
    assert all(not grant.startswith("=") for grant in has_role["grants"])
    assert has_role["comment"].startswith("Security definer: ")
    assert sum(name == "booked_cents" for name, _ in functions) == 2
    assert functions["cancel_stale_bookings", "IN older_than timestamp with time zone"]["kind"] == "procedure"
    assert (
        "BEGIN ATOMIC"
        in functions["creator_rating", "_user_id uuid, OUT average numeric, OUT reviews bigint"]["definition"]
    )


def test_triggers_with_those_on_tables_of_the_platform(schema: Schema) -> None:
    (on_users,) = schema["triggers"]["auth.users"]
    assert (on_users["name"], on_users["function"], on_users["attached"]) == (
        "on_auth_user_created",
        "public.handle_new_user",
        True,
    )
    messages = {item["name"]: item for item in schema["triggers"]["messages"]}
    assert set(messages) == {"on_message_created", "on_message_notify"}
    assert messages["on_message_notify"]["comment"] == "One notification for the other participant."
    profiles = {item["name"]: item["enabled"] for item in schema["triggers"]["profiles"]}
    assert profiles == {"legacy_touch": "disabled", "update_profiles_updated_at": "origin"}
    assert not any(
        item["attached"] for name, items in schema["triggers"].items() for item in items if name != "auth.users"
    )


def test_policies_with_those_on_tables_of_the_platform(schema: Schema) -> None:
    policies = {(table, item["name"]): item for table, items in schema["rls_policies"].items() for item in items}
    silent = policies["messages", "Suspended users are silent"]
    assert (silent["permissive"], silent["command"], silent["roles"]) == (False, "INSERT", ["authenticated"])
    assert silent["comment"] == "Restrictive: no other policy can allow it."
    assert policies["profiles", "Anyone can view profiles"]["roles"] == ["anon", "authenticated"]
    on_storage = [item for (table, _), item in policies.items() if table == "storage.objects"]
    assert len(on_storage) == 3
    assert all(item["attached"] for item in on_storage)
    assert len(policies) == 18 * 2 + 26 + 3


def test_tables(schema: Schema) -> None:
    tables = schema["tables"]
    assert len(tables) == 18 + 2
    assert [name for name, table in tables.items() if table["rls"]["forced"]] == ["backup_history", "payments"]
    assert all(table["rls"]["enabled"] for table in tables.values())
    assert "authenticated=arwd/postgres" in tables["messages"]["grants"]
    assert tables["messages"]["replica_identity"] == "f"
    fee = column(tables["bookings"], "platform_fee_cents")
    assert fee["generated"] == "((((price_cents)::bigint * fee_basis_points) + 5000) / 10000)"
    assert fee["default"] is None
    assert column(tables["payments"], "receipt_number")["identity"] == "always"
    assert column(tables["messages"], "sequence_number")["identity"] == "by default"
    assert "anon=r/postgres" in column(tables["profiles"], "username")["grants"]
    assert column(tables["profiles"], "email")["grants"] is None
    assert column(tables["creator_profiles"], "accept_%")["comment"].startswith("Share of requests")
    assert "legacy_html" not in [each["name"] for each in tables["messages"]["columns"]]


def test_tables_backed_up_beyond_the_schemas_are_described_too(schema: Schema) -> None:
    assert [name for name in schema["tables"] if "." in name] == ["auth.identities", "auth.users"]
    confirmed = column(schema["tables"]["auth.users"], "confirmed_at")
    assert confirmed["generated"] == "LEAST(email_confirmed_at, phone_confirmed_at)"
    kinds = [each["kind"] for each in schema["tables"]["auth.identities"]["constraints"]]
    assert kinds == ["foreign key", "primary key", "unique"]
    assert set(schema["schemas"]) == {"public"}


def column(table: Schema, name: str) -> Schema:
    return next(each for each in table["columns"] if each["name"] == name)


def test_constraints_and_indexes(schema: Schema) -> None:
    constraints = {each["name"]: each for table in schema["tables"].values() for each in table["constraints"]}
    assert constraints["conversations_last_message_id_fkey"]["definition"].endswith("DEFERRABLE INITIALLY DEFERRED")
    assert constraints["profiles_id_fkey"]["references"] == "auth.users"
    assert constraints["campaigns_one_featured_at_a_time"]["kind"] == "exclusion"
    assert constraints["disputes_deliverable_fkey"]["columns"] == ["booking_id", "deliverable_position"]
    indexes = {each["name"]: each for table in schema["tables"].values() for each in table["indexes"]}
    assert "WHERE" in indexes["bookings_unpaid_idx"]["definition"]
    assert indexes["profiles_username_lower_key"]["unique"] is True


def test_sequences_and_who_owns_them(schema: Schema) -> None:
    sequences = schema["sequences"]
    assert sequences["invoice_number_seq"]["last_value"] == 1063
    assert sequences["invoice_number_seq"]["owned_by"] is None
    assert sequences["disputes_case_number_seq"]["owned_by"]["kind"] == "serial"
    assert sequences["payments_receipt_number_seq"]["owned_by"] == {
        "table": "public.payments",
        "column": "receipt_number",
        "kind": "identity",
    }


def test_publications_default_privileges_views_and_extensions(schema: Schema) -> None:
    published = {each["table"]: each["definition"] for each in schema["publications"]["supabase_realtime"]["tables"]}
    assert set(published) == {"conversations", "messages", "notifications"}
    assert published["messages"].endswith("WHERE ((deleted_at IS NULL))")
    assert "(id, user_id, kind, title, is_read, created_at)" in published["notifications"]
    assert {(each["schema"], each["objects"]) for each in schema["default_privileges"]} == {
        ("public", "tables"),
        ("public", "sequences"),
        (None, "functions"),
    }
    assert schema["views"]["creator_directory"]["options"] == ["security_invoker=true"]
    assert "pgcrypto" in [each["name"] for each in schema["extensions"]]
    assert schema["roles"]["postgres"]["bypass_rls"] is True


def test_no_password_and_no_psql_command_is_in_the_document(described: Described) -> None:
    plain, ddl = described.outcome.plain.decode(), described.schema["ddl"]
    assert described.rig.parameters["password"] not in plain
    assert "SCRAM-SHA-256" not in plain
    assert described.rig.parameters["host"] not in json.dumps(described.schema)
    commands = [line for part in ddl.values() for line in part.split("\n") if line.startswith("\\")]
    assert commands == ["\\restrict is no command of psql here", "\\."]  # both in the body of contract_text()
