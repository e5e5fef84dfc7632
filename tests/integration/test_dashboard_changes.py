"""After an action: what it changed is shown at once, by a reading that keeps nobody waiting; and nothing is cut away."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.forms import PinForm
from include.disaster_recovery.dashboard.model import BackupEntry, DagFacts, RunStatus
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.history import catalog
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3 import pins
from include.disaster_recovery.s3.tags import merge_tags
from tests.support.planted import invalid, plant, unverified
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig


class Gated:
    """A catalogue whose history can be made to take as long as it likes; counts how often it is read."""

    def __init__(self, retention: RetentionRig) -> None:
        self.gate, self.reads, self.rig = threading.Event(), 0, retention.rig
        self.gate.set()
        self.catalogue = Catalogue(
            Sources(settings=self.rig.settings, source=self.source, store=lambda: self.rig.store, now=lambda: NOW)
        )

    def source(self) -> Connection:
        self.reads += 1
        assert self.gate.wait(30)
        return self.rig.connect()

    def entry(self, key: str) -> BackupEntry:
        (found,) = self.catalogue.page(search=key.rpartition("/")[2]).entries
        return found


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    return RetentionRig(bare_rig)


@pytest.fixture
def gated(retention: RetentionRig) -> Gated:
    return Gated(retention)


def ended(at: datetime = NOW, run_id: str = "manual__1") -> RunStatus:
    return RunStatus(
        dag_id="collabhunts_verify", run_id=run_id, state="success", started_at=None, ended_at=at, tasks=[]
    )


def test_a_pin_is_listed_at_once_though_reading_takes_long(retention: RetentionRig, gated: Gated):
    plant(retention.store, PREFIX, 16, now=NOW)
    oldest = next(each for each in gated.catalogue.page().entries if each.is_expiring)
    gated.gate.clear()
    pinned = gated.catalogue.pin(oldest.id, "before the migration", by="admin")
    assert (pinned.pinned, pinned.is_expiring) == ("before the migration", False)
    assert gated.entry(oldest.id) == pinned
    assert gated.catalogue.overview(DagFacts()).tiles.pinned == 1
    unpinned = gated.catalogue.unpin(oldest.id)
    assert gated.entry(oldest.id) == unpinned == oldest
    gated.gate.set()


def test_what_is_listed_after_a_pin_is_what_is_read_later(retention: RetentionRig, gated: Gated):
    keys = plant(retention.store, PREFIX, 9, now=NOW)
    pins.pin(retention.store, PREFIX, keys[1], reason="x", by=None, now=NOW)
    retention.add_rows(keys)
    reason = PinForm.model_validate({"reason": " two\u202e words\n"}).reason
    assert gated.catalogue.pin(gated.entry(keys[0]).id, reason, by="admin").pinned == "two  words"
    assert Gated(retention).catalogue.page().entries == gated.catalogue.page().entries


def test_the_verdict_is_listed_as_soon_as_the_run_is_said_to_have_ended(retention: RetentionRig, gated: Gated):
    (key,) = plant(retention.store, PREFIX, [NOW - timedelta(days=1)], now=NOW, tags=unverified)
    assert gated.entry(key).verification == "unverified"
    merge_tags(retention.store, key, invalid(NOW - timedelta(days=1)))
    gated.catalogue.catch_up(ended().model_copy(update={"state": "running", "ended_at": None}))
    assert (gated.entry(key).verification, gated.reads) == ("unverified", 1)
    gated.catalogue.catch_up(ended())
    assert gated.entry(key).verification == "invalid"


def test_while_one_catches_up_the_others_are_answered(retention: RetentionRig, gated: Gated):
    (key,) = plant(retention.store, PREFIX, 1, now=NOW)
    gated.entry(key)
    gated.gate.clear()
    waiting = threading.Thread(target=gated.catalogue.catch_up, args=(ended(),))
    waiting.start()
    assert gated.entry(key).verification == "valid"
    assert waiting.is_alive()
    gated.gate.set()
    waiting.join(30)
    assert gated.reads == 2


def test_a_run_that_has_ended_is_caught_up_with_once(retention: RetentionRig, gated: Gated):
    for _ in range(5):
        gated.catalogue.catch_up(ended())
    gated.catalogue.catch_up(ended(NOW - timedelta(hours=1), "of before the last reading"))
    assert gated.reads == 2
    gated.catalogue.catch_up(ended(run_id="another"))
    assert gated.reads == 3


def test_the_whole_error_is_in_the_detail(retention: RetentionRig, gated: Gated):
    error = "first line\n" + "x" * 15_000 + " and the cause at its end"
    with retention.rig.connect() as connection:
        catalog.ensure_table(connection)
        connection.execute(
            "insert into public.backup_history (backup_type, status, error_message, created_at)"
            " values ('manual', 'failed', %s, %s), ('manual', 'failed', %s, %s)",
            (error, NOW, "y" * 30_000, NOW - timedelta(hours=1)),
        )
    newest, older = gated.catalogue.page().entries
    assert len(newest.error or "") == 1000
    assert gated.catalogue.detail(newest.id).error == error
    cut = gated.catalogue.detail(older.id).error or ""
    assert (len(cut), cut[-1]) == (20_000, "…")
    gated.gate.set()


def test_without_the_history_the_detail_has_the_error_of_the_list(retention: RetentionRig, gated: Gated):
    at = NOW - timedelta(days=3)
    with retention.rig.connect() as connection:
        catalog.ensure_table(connection)
        connection.execute(
            "insert into public.backup_history (backup_type, status, created_at) values ('manual', 'in_progress', %s)",
            (at,),
        )
    (entry,) = gated.catalogue.page().entries
    assert gated.catalogue.detail(entry.id).error == entry.error
    with retention.rig.connect() as connection:
        connection.execute("drop table public.backup_history")
    assert "never closed" in (gated.catalogue.detail(entry.id).error or "")


def test_a_signed_link_that_another_program_left_in_the_history_is_shown_without_its_signature(
    retention: RetentionRig, gated: Gated
):
    with retention.rig.connect() as connection:
        catalog.ensure_table(connection)
        connection.execute(
            "insert into public.backup_history (backup_type, status, file_name, s3_url)"
            " values ('manual', 'success', 'old.json', 'https://s3.example.org/b/old.json?X-Amz-Signature=0123')"
        )
    (entry,) = gated.catalogue.page().entries
    assert gated.catalogue.detail(entry.id).s3_url == "https://s3.example.org/b/old.json"
