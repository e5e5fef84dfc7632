"""Clocks that jump: keys stay apart, nothing becomes negative, and no backup passes for the newest by its date alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from include.disaster_recovery.backup_key import opened_at
from include.disaster_recovery.drill_model import Phase
from include.disaster_recovery.errors import BackupInProgress
from include.disaster_recovery.postgres.session import Connection
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Assembled, Rig
from tests.support.run_outcomes import statuses

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


@pytest.fixture
def small(bare_rig: Rig) -> Rig:
    with bare_rig.connect() as connection:
        connection.execute("create table public.small as select i, 'row ' || i as t from generate_series(1, 50) i")
        connection.execute("alter table public.small add primary key (i)")
    return bare_rig


def now() -> datetime:
    return datetime.now(timezone.utc)


def backed_up(rig: Rig, at: datetime) -> Assembled:
    """A backup that was opened at that moment by the clock of then; all that follows goes by the right one."""
    run = rig.open(at)
    with rig.held() as snapshot:
        units = rig.plan(snapshot)
        fragments = [rig.extract(run, unit) for unit in units]
        sections = rig.describe(run, snapshot)
    done = Assembled([], run, snapshot, units, fragments, sections, rig.assemble(run, snapshot, fragments, sections))
    rig.record(done, rig.verify(done.document))
    return done


def milliseconds(connection: Connection) -> list[int]:
    rows = connection.execute("select execution_time_ms from public.backup_history order by created_at").fetchall()
    return [int(str(found)) for (found,) in rows]


def test_a_clock_set_back_during_a_backup_gives_it_no_negative_duration(small: Rig):
    backed_up(small, now() + HOUR)
    with small.connect() as connection:
        assert milliseconds(connection) == [0]
    assert statuses(small) == ["success"]


def test_a_clock_set_back_between_two_backups_gives_each_a_key_of_its_own(small: Rig):
    at = now()
    runs = [backed_up(small, at + jump).run for jump in (timedelta(0), -HOUR, timedelta(0))]
    assert len({run.key for run in runs}) == 3
    assert len(small.store.keys("backups/")) == 3
    assert [opened_at("backups/", run.key) == run.created_at for run in runs] == [True] * 3


def test_latest_brings_back_the_newest_rows_though_another_backup_is_dated_in_the_future(small: Rig):
    backed_up(small, now() + YEAR)
    with small.connect() as connection:
        connection.execute("insert into public.small values (51, 'since then')")
    newest = backed_up(small, now())
    with small.connect() as connection:
        connection.execute("delete from public.small where i > 10")
    done = RestoreRig.into(small).restore(backup_key="latest")
    assert done.plan.run.key == newest.run.key
    assert done.of("small") == (41, 0, 0, 10)


def test_a_clock_that_jumps_ahead_takes_nothing_from_a_backup_at_work(small: Rig):
    """Two days ahead, what it has staged would be an orphan."""
    run = small.open()
    with small.held() as snapshot:
        units = small.plan(snapshot)
        fragments = [small.extract(run, unit) for unit in units]
        with pytest.raises(BackupInProgress):
            small.open(now() + timedelta(days=2))
        sections = small.describe(run, snapshot)
    assert small.verify(small.assemble(run, snapshot, fragments, sections)).rows == 50


def test_a_clock_set_back_during_a_drill_gives_its_phases_no_negative_duration():
    assert Phase(name="load", started_at=now(), ended_at=now() - HOUR).seconds == 0.0
