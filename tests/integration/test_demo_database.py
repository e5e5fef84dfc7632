"""The demo database is what the other integration tests restore: these tests say what they may rely on."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from include.demo.database.builder import DemoDatabaseError, build_database
from include.demo.database.guide import GUIDE_TABLES
from include.demo.stack.postgres_server import PostgresServer

PASSWORD = "it's a \\ secret"
Connection = psycopg.Connection


def new_database(server: PostgresServer) -> str:
    name = f"demo_{uuid.uuid4().hex[:12]}"
    server.create_database(name)
    return server.superuser_dsn(name)


def drop_database(server: PostgresServer, dsn: str) -> None:
    server.drop_database(str(conninfo_to_dict(dsn)["dbname"]))


@pytest.fixture(scope="module", autouse=True)
def password_of_other_tests(postgres_server: PostgresServer) -> Iterator[None]:
    # The role is the whole server's, and other modules log in with the password they gave it.
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        row = connection.execute("select rolpassword from pg_authid where rolname = 'postgres'").fetchone()
        yield
        connection.execute(sql.SQL("alter role postgres password {}").format(sql.Literal(row[0] if row else None)))


@pytest.fixture(scope="module")
def demo_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    dsn = new_database(postgres_server)
    build_database(dsn, owner_password=PASSWORD)
    yield dsn
    drop_database(postgres_server, dsn)


@pytest.fixture
def demo(demo_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(demo_dsn) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def owner(demo: Connection) -> Connection:
    # SET SESSION AUTHORIZATION, unlike SET ROLE, also takes the superuser's rights away.
    demo.execute("set local session authorization postgres")
    return demo


@pytest.fixture
def empty_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    dsn = new_database(postgres_server)
    yield dsn
    drop_database(postgres_server, dsn)


def one(connection: Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def counts(connection: Connection) -> dict[str, int]:
    return {name: int(str(one(connection, f'select count(*) from public."{name}"'))) for name in GUIDE_TABLES}


def digests(dsn: str) -> dict[str, str]:
    """Every ordinary table's rows, whatever their order on disk."""
    with psycopg.connect(dsn) as connection:
        connection.execute("set timezone = 'UTC'")
        names = connection.execute(
            """select oid::regclass::text from pg_class where relkind = 'r' and relnamespace::regnamespace::text
            in ('public', 'auth', 'storage', 'supabase_migrations') order by 1"""
        ).fetchall()
        digest = "select md5(coalesce(string_agg(md5(r::text), '' order by md5(r::text)), '')) from {} as r"
        return {name: str(one(connection, digest.format(name))) for (name,) in names}


def act_as(connection: Connection, role: str, user_id: object) -> None:
    connection.execute(
        "select set_config('request.jwt.claims', jsonb_build_object('sub', %s::text)::text, true)", [user_id]
    )
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))


def test_public_holds_the_guides_tables_and_nothing_else(demo: Connection) -> None:
    found = demo.execute(
        "select tablename from pg_tables where schemaname = 'public' and tableowner = 'postgres'"
    ).fetchall()
    assert len(GUIDE_TABLES) == 18
    assert sorted(name for (name,) in found) == sorted(GUIDE_TABLES)
    assert one(demo, "select count(*) from pg_tables where schemaname = 'public'") == 18


def test_size_one_is_beyond_every_cap_of_a_thousand_rows(demo: Connection) -> None:
    rows = counts(demo)
    assert 50_000 <= sum(rows.values()) <= 70_000
    assert rows["messages"] >= 25_000
    assert rows["notifications"] >= 15_000
    assert sum(count > 1000 for count in rows.values()) >= 8


def test_same_size_same_rows_whatever_the_session(postgres_server: PostgresServer) -> None:
    dsns = [new_database(postgres_server), new_database(postgres_server)]
    elsewhere = make_conninfo(dsns[1], options="-c timezone=Pacific/Apia -c datestyle=german -c extra_float_digits=0")
    build_database(dsns[0], owner_password=PASSWORD, size=0.05)
    build_database(elsewhere, owner_password=PASSWORD, size=0.05)
    assert digests(dsns[0]) == digests(dsns[1])
    for dsn in dsns:
        drop_database(postgres_server, dsn)


def test_smallest_size_leaves_no_table_empty(empty_dsn: str) -> None:
    build_database(empty_dsn, owner_password=PASSWORD, size=0.01)
    with psycopg.connect(empty_dsn) as connection:
        assert [name for name, rows in counts(connection).items() if rows == 0] == []


def test_two_databases_at_once_share_the_servers_roles(postgres_server: PostgresServer) -> None:
    dsns = [new_database(postgres_server) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda dsn: build_database(dsn, owner_password=PASSWORD, size=0.01), dsns))
    for dsn in dsns:
        drop_database(postgres_server, dsn)


@pytest.mark.parametrize(
    "left, right",
    [
        ("select sum(message_count) from public.conversations", "select count(*) from public.messages"),
        (
            "select sum(amount_cents) from public.payments",
            "select sum(price_cents) from public.bookings where paid_at is not null",
        ),
        ("select count(*) from auth.users", "select count(*) from public.profiles"),
        ("select max(receipt_number) from public.payments", "select 20230000 + count(*) from public.payments"),
        ("select last_value from public.disputes_case_number_seq", "select max(case_number) from public.disputes"),
    ],
    ids=["messages", "money", "accounts", "receipts", "cases"],
)
def test_sums_agree(demo: Connection, left: str, right: str) -> None:
    assert one(demo, left) == one(demo, right)


def test_every_foreign_key_was_checked_against_the_data(demo: Connection) -> None:
    assert one(demo, "select bool_and(convalidated) from pg_constraint where contype = 'f'") is True
    assert one(
        demo, "select count(*) >= 16 from pg_constraint where contype = 'f' and confrelid = 'auth.users'::regclass"
    )


def test_row_level_security_is_on_everywhere(demo: Connection) -> None:
    flags = demo.execute(
        """select relname, relforcerowsecurity from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity"""
    ).fetchall()
    assert len(flags) == 18
    assert {name for name, forced in flags if forced} == {"payments", "backup_history"}
    assert one(demo, "select count(*) from pg_policies where permissive = 'RESTRICTIVE'") == 2


def test_owner_is_supabases_postgres(demo: Connection) -> None:
    rights = demo.execute(
        """select rolsuper, rolcanlogin, rolbypassrls, rolcreaterole, rolreplication,
        pg_has_role('postgres', 'pg_read_all_data', 'usage'), pg_has_role('postgres', 'service_role', 'usage'),
        has_table_privilege('postgres', 'auth.users', 'trigger, references')
        from pg_roles where rolname = 'postgres'"""
    ).fetchone()
    assert rights == (False, True, True, True, True, True, True, True)


def test_password_is_stored_as_a_digest(demo: Connection) -> None:
    assert one(demo, "select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'postgres'") is True


def test_owner_may_not_alter_what_is_supabases(owner: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute("alter table auth.users add column mine text")


def test_owner_may_switch_triggers_off(owner: Connection) -> None:
    if owner.info.server_version < 150000:
        pytest.skip("the right to set a parameter came with Postgres 15")
    owner.execute("set local session_replication_role = replica")


def test_a_new_account_gets_one_profile_and_one_welcome(owner: Connection) -> None:
    user = uuid.uuid4()
    owner.execute("insert into auth.users (id, email) values (%s, 'new@example.test')", [user])
    assert owner.execute("select full_name from profiles where id = %s", [user]).fetchall() == [("new",)]
    assert owner.execute("select kind from notifications where user_id = %s", [user]).fetchall() == [("welcome",)]


def test_a_new_message_moves_its_conversation_and_notifies_the_other(owner: Connection) -> None:
    before = one(owner, "select count(*) from notifications")
    row = owner.execute(
        """insert into messages (conversation_id, sender_id, body)
        select id, brand_user_id, 'hello' from conversations where message_count = 0 limit 1
        returning id, conversation_id"""
    ).fetchone()
    assert row is not None
    moved = owner.execute("select message_count, last_message_id from conversations where id = %s", [row[1]]).fetchone()
    assert moved == (1, row[0])
    assert one(owner, "select count(*) from notifications") == int(str(before)) + 1


def test_broadcast_tables_can_still_be_updated(owner: Connection) -> None:
    # A row filter on a column outside the replica identity makes every UPDATE fail.
    for change in (
        b"messages set read_at = null",
        b"notifications set is_read = true",
        b"conversations set subject = ''",
    ):
        assert owner.execute(b"update " + change).rowcount > 1000


def test_history_is_for_admins(demo: Connection) -> None:
    admin = one(demo, "select user_id from user_roles where role = 'admin' limit 1")
    other = one(demo, "select user_id from user_roles where role = 'brand' limit 1")
    act_as(demo, "authenticated", admin)
    assert int(str(one(demo, "select count(*) from backup_history"))) > 0
    demo.execute("reset role")
    act_as(demo, "authenticated", other)
    assert one(demo, "select count(*) from backup_history") == 0


def test_visitors_see_the_columns_granted_to_them(demo: Connection) -> None:
    demo.execute("set local role anon")
    assert int(str(one(demo, "select count(*) from creator_directory"))) > 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        demo.execute("select email from profiles")


@pytest.mark.parametrize(
    "found",
    [
        "exists (select from messages where body = '')",
        "exists (select from messages where body like E'%\\u0001%')",
        "exists (select from messages where body like E'%\\u2028%')",
        "exists (select from messages where body ~ E'^-- ')",
        "exists (select from messages where body = E'\\\\.')",
        "exists (select from messages where body like E'%\\U0010FFFD%')",
        "exists (select from messages where body like '%السلام%')",
        "exists (select from messages where attachments = 'null')",
        "exists (select from messages where attachments is null)",
        "exists (select from creator_profiles where niches = '{}') and exists (select from creator_profiles where niches is null)",
        "exists (select from creator_profiles where array_ndims(audience_by_age) = 2 and null = any (audience_by_age) is null)",
        "exists (select from campaigns where deadline = 'infinity') and exists (select from campaigns where deadline < 'epoch')",
        "exists (select from campaigns where featured_slot is not null)",
        "exists (select from brand_profiles where scale(monthly_budget) > 20)",
        "exists (select from payments where provider_event::text like E'%\\n%')",
        "exists (select from bookings where platform_fee_cents > 0)",
        "exists (select from pg_attribute where attrelid = 'messages'::regclass and attisdropped)",
    ],
)
def test_values_that_break_dumps_are_there(demo: Connection, found: str) -> None:
    assert one(demo, f"select {found}") is True


def test_scaffolding_is_gone(demo: Connection) -> None:
    assert one(demo, "select to_regnamespace('demo_build')") is None


def test_an_occupied_database_is_refused(demo_dsn: str) -> None:
    with pytest.raises(DemoDatabaseError, match="hint: create another"):
        build_database(demo_dsn, owner_password=PASSWORD)


@pytest.mark.parametrize("size", [0, -1, 0.009, 501, float("nan")])
def test_a_size_out_of_range_is_refused(size: float) -> None:
    with pytest.raises(ValueError, match="size is"):
        build_database("host=unused.invalid", owner_password=PASSWORD, size=size)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(ValueError, match="owner_password is empty"):
        build_database("host=unused.invalid", owner_password="")
