"""Sessions of Postgres that are cut, or that somebody's settings would end: under every step of a backup and a restore."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from include.disaster_recovery.errors import RetryableError, SnapshotLost
from include.disaster_recovery.postgres.restore import staging
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.postgres_wire import Cutter
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Assembled, Rig
from tests.support.run_outcomes import statuses

# A row that takes its time whenever it is written.
SOURCE = """
create function public.slow(i int) returns bool language plpgsql as
    $$ begin perform pg_sleep(case when i = 1 then {seconds} else 0 end); return true; end $$;
create table public.medium (i int primary key, t text not null);
create table public.small (i int primary key, t text not null);
insert into public.medium select i, repeat(md5(i::text), 40) from generate_series(1, 9000) i;
alter table public.medium add check (public.slow(i)) not valid;
insert into public.small select i, 'row ' || i from generate_series(1, 50) i;
"""
LOSE = "delete from public.medium where i < 4500; delete from public.small where i > 40"
HOSTILE = {
    "statement_timeout": "role",
    "lock_timeout": "role",
    "idle_in_transaction_session_timeout": "database",
    "idle_session_timeout": "role",
    "transaction_timeout": "database",
}
LONGER = 1.3  # seconds: than any of them


def rows(rig: Rig | RestoreRig) -> dict[str, str]:
    with rig.connect() as connection:
        found = everything(connection)
    return {name: found[name] for name in ("public.medium", "public.small")}


def make(rig: Rig, seconds: float) -> None:
    with rig.connect() as connection:
        connection.execute(SOURCE.format(seconds=seconds).encode())


def lose(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.execute(LOSE.encode())


# --- settings that somebody has made for the role or the database


def test_hostile_timeouts_end_neither_backup_nor_restore(bare_rig: Rig, wire: FaultyWire):
    """Some of the database, some of the role in it: what the role has goes before."""
    make(bare_rig, LONGER)
    whole, name, user = rows(bare_rig), bare_rig.parameters["dbname"], bare_rig.parameters["user"]
    with bare_rig.connect() as connection:
        for setting, whom in HOSTILE.items():
            whose = f'database "{name}"' if whom == "database" else f'role "{user}" in database "{name}"'
            connection.execute(f"alter {whose} set {setting} = '1s'".encode())
    wire.before = stand_still("Complete", "UploadPart")
    wired = replace(bare_rig, store=replace(bare_rig.store, client=wire.client()))
    wired = replace(wired, before_extract=lambda: time.sleep(LONGER))
    outcome = wired.backup()
    lose(bare_rig)
    wire.before = stand_still("Get")
    target = RestoreRig.into(wired)
    assert target.restore(backup_key=outcome.run.key).of("medium") == (4499, 0, 0, 4501)
    assert rows(bare_rig) == whole


def stand_still(*operations: str) -> Callable[[Exchange], None]:
    """The first request of each of these takes its time, in the middle of a transaction of whoever sends it."""
    left = set(operations)

    def act(exchange: Exchange) -> None:
        is_of_rows = exchange.operation != "Get" or "range" in exchange.request_headers
        if exchange.operation in left and is_of_rows and "/backups/in-use" not in exchange.path:
            left.discard(exchange.operation)
            time.sleep(LONGER)

    return act


# --- connections that are reset


@pytest.fixture
def cutter(bare_rig: Rig) -> Iterator[Cutter]:
    with Cutter(bare_rig.parameters) as cutter:
        yield cutter


class Cut:
    """Does each step over a wire that is cut at a random byte of the answers, then again over a sound one."""

    def __init__(self, cutter: Cutter, chance: random.Random) -> None:
        self.cutter, self.chance = cutter, chance
        self.sizes: dict[str, int] = {}
        self.errors: list[tuple[str, RetryableError | SnapshotLost]] = []

    def __call__(self, name: str, act: Callable[[], Any]) -> Any:
        if name in self.sizes:
            self.cutter.mend(self.chance.randrange(self.sizes[name]))
            try:
                act()
            except (RetryableError, SnapshotLost) as error:  # what Airflow tries again, at once or as a fresh run
                self.errors.append((name, error))
        self.cutter.mend()
        done = act()
        self.sizes[name] = self.cutter.answered
        return done


def test_a_backup_of_which_every_step_is_cut_off_is_whole(
    bare_rig: Rig, cutter: Cutter, chance: random.Random, rounds: int
):
    make(bare_rig, 0)
    step, over = Cut(cutter, chance), replace(bare_rig, parameters={**bare_rig.parameters, **cutter.address})
    for number in range(1 + rounds):  # the first one tells how much is answered
        done = stepwise(step, bare_rig, over)
        verdict = bare_rig.verify(done.document)
        step("record", lambda done=done, verdict=verdict: over.record(done, verdict))
        assert verdict.rows == 9050
        assert len(bare_rig.store.keys("backups/")) == number + 1
    assert "in_progress" not in statuses(bare_rig)
    assert statuses(bare_rig).count("success") == rounds + 1
    assert step.errors
    assert all(error.hint for _, error in step.errors)


def stepwise(step: Cut, rig: Rig, over: Rig) -> Assembled:
    """The steps of a backup that talk to Postgres, over the wire; the snapshot is held without it."""
    step("preflight", over.preflight)
    run = step("open", over.open)
    with rig.held() as snapshot:
        units = step("plan", lambda: over.plan(snapshot))
        fragments = [step(f"extract {unit.label}", lambda unit=unit: over.extract(run, unit)) for unit in units]
        sections = step("describe", lambda: over.describe(run, snapshot))
    document = rig.assemble(run, snapshot, fragments, sections)
    return Assembled([], run, snapshot, units, fragments, sections, document)


def test_a_snapshot_whose_connection_is_reset_is_lost_and_the_next_run_is_clean(bare_rig: Rig, cutter: Cutter):
    make(bare_rig, 0)
    over = replace(bare_rig, parameters={**bare_rig.parameters, **cutter.address})
    over.open()
    with pytest.raises(SnapshotLost, match="is lost"):
        hold_over_a_cut(over, cutter)
    cutter.mend()
    assert over.backup().verdict.valid
    assert statuses(bare_rig) == ["failed", "success"]


def hold_over_a_cut(over: Rig, cutter: Cutter) -> None:
    with over.held():
        cutter.mend(0)
        time.sleep(0.5)  # ten polls of the holder


def test_a_restore_of_which_every_step_is_cut_off_brings_everything_back(
    bare_rig: Rig, cutter: Cutter, chance: random.Random, rounds: int
):
    make(bare_rig, 0)
    bare_rig.backup()
    whole, step = rows(bare_rig), Cut(cutter, chance)
    over = RestoreRig.into(bare_rig, **cutter.address)
    for number in range(1 + rounds):
        lose(bare_rig)
        over.run_id = f"manual__{number}"
        plan, units = step("plan", over.plan)
        for unit in units:
            step(f"load {unit.table}", lambda unit=unit, plan=plan: over.load(plan, unit))
        step("check", lambda plan=plan: over.check(plan))
        found = step("diff", lambda plan=plan: over.diff(plan))
        assert step("apply", lambda plan=plan, found=found: over.apply(plan, found)) == found
        step("clean_up", lambda plan=plan: over.clean_up(plan))
        assert rows(bare_rig) == whole
        with bare_rig.connect() as connection:
            assert staging.marked(connection) == []
        assert bare_rig.store.keys("backups/in-use/") == []
    assert step.errors
    assert all(error.hint for _, error in step.errors)
