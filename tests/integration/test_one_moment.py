"""A document is one moment, whatever other sessions write while it is taken."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from include.disaster_recovery.errors import TableLocked
from include.disaster_recovery.model import Snapshot
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import lock_now, reading
from include.disaster_recovery.table_selection import table_name
from tests.support.rig import Outcome, Rig

ACCOUNTS = 3000
OPENING_BALANCE = 1000


@contextmanager
def writing(rig: Rig, write: Callable[[Connection, random.Random], None]) -> Iterator[list[int]]:
    """Another session that writes without a pause; the list counts its transactions."""
    done, failures, stop, begun = [0], [], threading.Event(), threading.Event()

    def work() -> None:
        chance = random.Random(7)
        try:
            with rig.connect() as connection:
                while not stop.is_set():
                    with connection.transaction():
                        write(connection, chance)
                    done[0] += 1
                    begun.set()
        except psycopg.Error as error:
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    begun.wait(30)
    try:
        yield done
    finally:
        stop.set()
        thread.join(30)
    assert failures == []


def create_bank(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.execute("""
            create table public.checking (id int primary key, balance int not null, note text not null);
            create table public.savings (like public.checking including all);
            create table public.transfers (id bigint generated always as identity, amount int not null, note text);
            create table public.receipts (like public.transfers including identity)""")
        for table in (b"checking", b"savings"):
            connection.execute(
                b"insert into public."
                + table
                + b" select i, %s, repeat(md5(i::text), 12) from generate_series(1, %s) as i",
                (OPENING_BALANCE, ACCOUNTS),
            )


def transfer(connection: Connection, chance: random.Random) -> None:
    """Sums over both tables, and over transfers and receipts, are equal at every moment."""
    one, other, amount = chance.randint(1, ACCOUNTS), chance.randint(1, ACCOUNTS), chance.randint(-500, 500)
    connection.execute("insert into public.transfers (amount, note) values (%s, repeat('x', 200))", (amount,))
    connection.execute(
        "update public.checking set balance = balance - %s, note = note || '' where id = %s", (amount, one)
    )
    connection.execute("update public.savings set balance = balance + %s where id = %s", (amount, other))
    connection.execute("insert into public.receipts (amount) values (%s)", (amount,))
    if chance.random() < 0.2:
        connection.execute(
            "with gone as (delete from public.transfers where id = (select min(id) from public.transfers) returning amount)"
            " update public.receipts as r set amount = r.amount - gone.amount from gone where id = (select max(id) from public.receipts)"
        )


def total(outcome: Outcome, table: str, column: str) -> int:
    return sum(row[column] for row in outcome.backup["tables"][table]["rows"])


def test_sums_that_a_writer_keeps_equal_are_equal_in_the_document(bare_rig: Rig) -> None:
    create_bank(bare_rig)
    small = bare_rig.with_settings(extract={"split_bytes": 1024**2})
    with writing(bare_rig, transfer) as transactions:
        before = transactions[0]
        outcome = small.backup()
        during = transactions[0] - before
    assert during > 50
    assert (
        total(outcome, "checking", "balance") + total(outcome, "savings", "balance") == 2 * ACCOUNTS * OPENING_BALANCE
    )
    assert total(outcome, "transfers", "amount") == total(outcome, "receipts", "amount")
    assert {unit.parts > 1 for unit in outcome.units if unit.table.table_name in ("checking", "savings")} == {True}
    for table in ("checking", "savings"):
        assert sorted(row["id"] for row in outcome.backup["tables"][table]["rows"]) == list(range(1, ACCOUNTS + 1))


def test_row_counts_are_those_of_the_same_snapshot(bare_rig: Rig) -> None:
    create_bank(bare_rig)
    counted: dict[str, int] = {}

    def count(snapshot: Snapshot) -> None:
        with bare_rig.connect() as connection, reading(connection, snapshot.snapshot_id):
            for table in snapshot.tables:
                query = sql.SQL("select count(*) from public.{}").format(sql.Identifier(table.table_name))
                counted[table.name_in_document] = int(str(connection.execute(query).fetchone()[0]))  # type: ignore[index]

    with writing(bare_rig, transfer):
        run = bare_rig.open()
        with bare_rig.held() as snapshot:
            count(snapshot)
            fragments = [bare_rig.extract(run, unit) for unit in bare_rig.plan(snapshot)]
            sections = bare_rig.describe(run, snapshot)
        document = bare_rig.assemble(run, snapshot, fragments, sections)
    assert bare_rig.verify(document).valid
    assert document.row_counts == counted
    assert counted["checking"] == ACCOUNTS


def test_more_than_a_thousand_rows_come_whole(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute("create table public.t as select i from generate_series(1, 12345) as i")
    rows = bare_rig.backup().backup["tables"]["t"]["rows"]
    assert [row["i"] for row in rows] == list(range(1, 12346))


def test_rows_moved_by_updates_are_read_once_across_the_fragments(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute("create table public.t (id int primary key, version int not null, pad text not null)")
        connection.execute("insert into public.t select i, 0, repeat('p', 900) from generate_series(1, 5000) as i")

    def update(connection: Connection, chance: random.Random) -> None:
        connection.execute("update public.t set version = version + 1 where id %% 50 = %s", (chance.randint(0, 49),))

    rig = bare_rig.with_settings(extract={"split_bytes": 1024**2})
    with writing(bare_rig, update) as updates:
        outcome = replace(rig, before_extract=lambda: wait_for(updates, updates[0] + 20)).backup()
    assert len(outcome.units) >= 4
    assert sorted(row["id"] for row in outcome.backup["tables"]["t"]["rows"]) == list(range(1, 5001))


def wait_for(counter: list[int], goal: int) -> None:
    until = threading.Event()
    for _ in range(600):
        if counter[0] >= goal:
            return
        until.wait(0.02)
    raise AssertionError(f"the writer did not reach {goal} transactions")


@pytest.mark.parametrize("rows_at_first", [0, 1, 4000])
def test_a_table_that_grows_between_snapshot_plan_and_extract_loses_no_row(bare_rig: Rig, rows_at_first: int) -> None:
    rig = bare_rig.with_settings(extract={"split_bytes": 1024**2})
    with rig.connect() as connection:
        connection.execute("create table public.t (id int, pad text not null)")
        connection.execute(
            "insert into public.t select i, repeat('p', 900) from generate_series(1, %s) as i", (rows_at_first,)
        )
        run = rig.open()
        with rig.held() as snapshot:
            connection.execute("insert into public.t select -i, repeat('q', 900) from generate_series(1, 3000) as i")
            connection.execute("update public.t set pad = repeat('r', 900) where id % 2 = 0")
            units = rig.plan(snapshot)
            connection.execute("insert into public.t select -i, repeat('q', 900) from generate_series(3001, 6000) as i")
            connection.execute("delete from public.t where id % 3 = 0")
            fragments = [rig.extract(run, unit) for unit in units]
            sections = rig.describe(run, snapshot)
    document = rig.assemble(run, snapshot, fragments, sections)
    rig.verify(document)
    assert document.row_counts == {"t": rows_at_first}
    assert len(units) >= 3


def test_rows_after_the_planned_end_belong_to_the_last_fragment(bare_rig: Rig) -> None:
    """As if the table had grown before the snapshot and after its size was taken."""
    rig = bare_rig.with_settings(extract={"split_bytes": 1024**2})
    with rig.connect() as connection:
        connection.execute(
            "create table public.t as select i, repeat('p', 900) as pad from generate_series(1, 4000) as i"
        )
    run = rig.open()
    with rig.held() as snapshot:
        units = [unit.model_copy(update={"blocks": unit.blocks // 2}) for unit in rig.plan(snapshot)]
        units = [u for u in units if u.first_block < u.blocks]
        units = [
            u.model_copy(update={"parts": len(units), "last_block": None if u.part == len(units) else u.last_block})
            for u in units
        ]
        fragments = [rig.extract(run, unit) for unit in units]
        sections = rig.describe(run, snapshot)
    document = rig.assemble(run, snapshot, fragments, sections)
    assert document.row_counts == {"t": 4000}


def test_a_partition_cannot_be_truncated_between_snapshot_and_extract(bare_rig: Rig) -> None:
    """TRUNCATE ignores snapshots: a reader that had not locked the partition would find it empty."""
    with bare_rig.connect() as connection:
        connection.execute("""create table public.t (id int) partition by range (id);
            create table public.t1 partition of public.t for values from (0) to (100);
            insert into public.t select i from generate_series(1, 50) as i""")
        run = bare_rig.open()
        with bare_rig.held() as snapshot:
            connection.execute("set lock_timeout = '300ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("truncate public.t1")
            fragments = [bare_rig.extract(run, unit) for unit in bare_rig.plan(snapshot)]
    assert [fragment.rows for fragment in fragments] == [50]


def test_a_lock_queued_on_a_partition_is_reported_not_waited_for(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection, bare_rig.connect() as other:
        connection.execute("""create table public.t (id int) partition by range (id);
            create table public.t1 partition of public.t for values from (0) to (100)""")
        with other.transaction(), connection.transaction():
            other.execute("lock table public.t1 in access exclusive mode")
            with pytest.raises(TableLocked, match="table t cannot be locked"):
                lock_now(connection, table_name("public", "t"))
