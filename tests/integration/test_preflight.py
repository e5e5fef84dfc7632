"""Preflight: what passes, and every failure at once with its cause and the next action."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.disaster_recovery.errors import PreflightFailed
from include.disaster_recovery.steps.backup.preflight import preflight
from tests.support.refused_preflight import history_rows
from tests.support.rig import Rig

# --- what passes


def test_preflight_of_collabhunts_passes_and_leaves_nothing(rig: Rig):
    before = history_rows(rig)
    assert rig.preflight() == []
    assert rig.store.keys("") == []
    assert rig.store.uploads("") == []
    assert history_rows(rig) == before


def test_tables_that_no_backup_covers_are_returned(rig: Rig):
    with rig.connect() as connection:
        connection.execute('create table public."left behind" (id int)')
    assert rig.preflight() == ["left behind"]


def test_missing_backup_history_is_created_by_the_backup_not_refused_by_preflight(rig: Rig):
    with rig.connect() as connection:
        connection.execute("drop table public.backup_history")
    rig.preflight()
    assert history_rows(rig) is None
    assert rig.backup().verdict.valid
    assert len(history_rows(rig) or []) == 1


# --- several at once


def test_all_failures_are_listed_with_all_hints(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create table public.one (id int); create table public.two (id int)")
    rig = replace(bare_rig, store=replace(bare_rig.store, bucket="no-such-bucket-here"))

    def no_slots() -> None:
        raise PreflightFailed("only one slot", hint="raise parallelism")

    with pytest.raises(PreflightFailed, match=r"5 of .* checks failed") as caught:
        preflight(
            rig.settings,
            connect=lambda: rig.connect(**reader_role),
            connect_store=lambda: rig.store,
            slots=no_slots,
        )
    for text in (
        "only one slot",
        "table one cannot be read",
        "table two cannot be read",
        "lacks CREATE on schema public",
        "NoSuchBucket",
    ):
        assert text in caught.value.fact
    for text in ("raise parallelism", "grant the backup role SELECT", "create the bucket"):
        assert text in caught.value.hint


def test_one_lasting_failure_beside_a_passing_one_is_lasting(rig: Rig):
    rig = replace(rig, store=replace(rig.store, bucket="no-such-bucket-here"))
    with pytest.raises(PreflightFailed, match=r"2 of .* checks failed"):
        rig.preflight(host="no-such-host.invalid")
