"""Each step of a backup and of a restore is killed (SIGKILL) at a random moment, then done again, as Airflow does."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.model import AssembledDocument, BackupRun, StagedFragment
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from include.disaster_recovery.steps.backup.opening import remove_orphans
from tests.support.killing import Killer
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Assembled, Rig
from tests.support.run_outcomes import statuses

ROWS = {"big": 8000, "small": 50}
KEYS = """
alter table public.big add primary key (i);
alter table public.small add primary key (i);
"""
LOSE = """
delete from public.big where i % 2 = 0;
update public.small set t = 'somebody was here' where i < 20;
insert into public.small select 1000 + i, 'not in the backup' from generate_series(1, 5) i;
"""


def test_a_backup_of_which_every_step_is_killed_is_whole_and_leaves_nothing(
    big: Rig, s3_server: S3Server, chance: random.Random, rounds: int
):
    killer = Killer(big, s3_server, chance)
    first = undisturbed(killer)
    for _ in range(rounds):
        done, document = killed_at_every_step(killer)
        assert done.document.row_counts == ROWS
        assert big.store.keys("backups/") == [*first, document.key]
        first.append(document.key)
        assert "in_progress" not in statuses(big)
    remove_orphans(big.store, big.settings, datetime.now(timezone.utc) + timedelta(days=2))
    assert (big.store.keys(""), big.store.uploads("")) == (first, [])
    assert statuses(big).count("success") == rounds + 1
    assert any(at_work for _, at_work in killer.reached), killer.reached


def undisturbed(killer: Killer) -> list[str]:
    """A backup without a fault, which tells how long each step takes."""
    rig = killer.rig
    assert isinstance(rig, Rig)
    run: BackupRun = killer.timed("open", rig.open)
    with rig.held() as snapshot:
        units = killer.timed("plan", lambda: rig.plan(snapshot))
        fragments = [killer.timed("extract", lambda unit=unit: rig.extract(run, unit)) for unit in units]
        sections = killer.timed("describe", lambda: rig.describe(run, snapshot))
    document = killer.timed("assemble", lambda: rig.assemble(run, snapshot, fragments, sections))
    verdict = killer.timed("verify", lambda: rig.verify(document))
    killer.timed(
        "record", lambda: rig.record(Assembled([], run, snapshot, units, fragments, sections, document), verdict)
    )
    killer.timed("remove_staging", lambda: remove_staging(rig.store, run))
    return [run.key]


def killed_at_every_step(killer: Killer) -> tuple[Assembled, AssembledDocument]:
    """A backup of which each step is killed, then done again."""
    rig = killer.rig
    assert isinstance(rig, Rig)
    killer.kill("open")
    nothing_is_promised(rig)
    run = rig.open()
    with rig.held() as snapshot:
        killer.kill("plan", snapshot)
        units, fragments = rig.plan(snapshot), list[StagedFragment]()
        for unit in units:
            killer.kill("extract", run, unit, 1)
            fragments.append(rig.extract(run, unit, try_number=2))
        killer.kill("describe", run, snapshot)
        sections = rig.describe(run, snapshot)
    killer.kill("assemble", run, snapshot, fragments, sections)
    nothing_is_promised(rig)
    document = rig.assemble(run, snapshot, fragments, sections)
    done = Assembled([], run, snapshot, units, fragments, sections, document)
    killer.kill("verify", document)
    nothing_is_promised(rig)
    verdict = rig.verify(document)
    killer.kill("record", done, verdict)
    rig.record(done, verdict)
    killer.kill("remove_staging", run)
    remove_staging(rig.store, run)
    return done, document


def nothing_is_promised(rig: Rig) -> None:
    """Each success has its document, and each document in the bucket is whole."""
    whole = []
    for key in rig.store.keys("backups/"):
        stored = rig.store.head(key)
        assert stored is not None
        read_manifest(rig.store, key, stored.size)
        whole.append(key)
    assert statuses(rig).count("success") <= len(whole)


def test_a_restore_of_which_every_step_is_killed_brings_everything_back(
    big: Rig, s3_server: S3Server, chance: random.Random, rounds: int
):
    with big.connect() as connection:
        connection.execute(KEYS.encode())
    big.backup()
    with big.connect() as connection:
        backed_up = rows(connection)
        connection.execute(LOSE.encode())
    target = RestoreRig.into(big)
    killer = Killer(target, s3_server, chance)
    run_through(killer, "timed", is_killed=False)
    for number in range(rounds):
        with big.connect() as connection:
            connection.execute(LOSE.encode())
        run_through(killer, f"killed__{number}", is_killed=True)
        with big.connect() as connection:
            assert rows(connection) == backed_up
            assert staging.marked(connection) == []
        assert target.store.keys("backups/in-use/") == []
    assert any(at_work for _, at_work in killer.reached), killer.reached


def run_through(killer: Killer, run_id: str, *, is_killed: bool) -> None:
    """All steps of a restore; where they are killed, each is first. The target is either as it was or as it should be."""
    rig = killer.rig
    assert isinstance(rig, RestoreRig)
    rig.run_id = run_id
    lost = content(rig)

    def step(name: str, *arguments: object) -> object:
        if is_killed:
            killer.kill(name, *arguments)
            wait_for_quiet(rig)
            now = content(rig)
            assert now == lost or name in {"apply", "clean_up"}
        return killer.timed(name, lambda: getattr(rig, name)(*arguments))

    plan, units = step("plan")  # type: ignore[misc]
    for unit in units:
        step("load", plan, unit)
    step("check", plan)
    found = step("diff", plan)
    assert step("apply", plan, found) == found
    step("clean_up", plan)


def content(rig: RestoreRig) -> dict[str, str]:
    with rig.connect() as connection:
        return rows(connection)


def rows(connection: staging.Connection) -> dict[str, str]:
    found = everything(connection)
    return {name: found[name] for name in ("public.big", "public.small")}


def wait_for_quiet(rig: RestoreRig) -> None:
    """Until the server has noticed that its client was killed: a session's locks go with it."""
    with rig.connect() as connection, connection.transaction():
        connection.execute("set local lock_timeout = '20s'")
        connection.execute(f"select pg_advisory_xact_lock({staging.RESTORE_LOCK})")
