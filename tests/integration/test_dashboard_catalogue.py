"""The data behind Backup History, from a real bucket and a real history: whole, with one of them gone, with neither."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.request import Request, urlopen

import pytest

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.model import DagFacts
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.errors import BackupUnknown, DatabaseUnavailable, StoreUnavailable
from include.disaster_recovery.history import catalog
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3.store import Store
from tests.support import planted
from tests.support.planted import plant
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig

DAY = timedelta(days=1)
HOSTILE = "<script>alert(1)</script> \u202eRTL " + "x" * 5000


def catalogue(
    rig: Rig,
    *,
    store: Callable[[], Store] | None = None,
    source: Callable[[], Connection] | None = None,
    now: datetime = NOW,
) -> Catalogue:
    return Catalogue(
        Sources(
            settings=rig.settings,
            source=source or rig.connect,
            store=store or (lambda: rig.store),
            now=lambda: now,
        )
    )


def present(rig: Rig, **more: Any) -> Catalogue:
    return catalogue(rig, now=datetime.now(timezone.utc), **more)


def no_database() -> Connection:
    raise DatabaseUnavailable("connection collabhunts_db failed: refused", hint="check host and port")


def no_bucket() -> Store:
    raise StoreUnavailable("LIST s3://b/ failed", hint="check the S3 server")


def secretive() -> Store:
    raise RuntimeError("password=hunter2")


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    return RetentionRig(bare_rig)


def test_two_real_backups_side_by_side(tables: Rig):
    first = tables.backup()
    with tables.connect() as connection:
        connection.execute("alter table public.first add column tip numeric")
        connection.execute("delete from public.second where i > 40")
        connection.execute("create table public.fourth as select 1 as one")
    second = tables.backup()
    found = present(tables)
    page = found.page()
    assert [entry.id for entry in page.entries] == [second.run.backup_id, first.run.backup_id]
    newest = page.entries[0]
    assert (newest.status, newest.verification, newest.in_bucket) == ("success", "valid", True)
    assert (newest.tables, newest.rows, newest.size) == (4, 141, second.document.size)
    assert newest.retention[0].startswith("daily 1 of 7")
    detail = found.detail(second.run.backup_id)
    assert detail.before == first.run.backup_id
    lines = {line.name: (line.rows, line.rows_before) for line in detail.tables}
    assert lines == {"first": (50, 50), "second": (40, 50), "third": (50, 50), "fourth": (1, None)}
    assert all(line.bytes for line in detail.tables)
    assert detail.schema_diff is not None
    assert detail.schema_diff.added[0] == "tables fourth"
    assert "columns tip of first" in " ".join(detail.schema_diff.added)
    assert (detail.checksum or "").startswith("crc64nvme:")
    assert detail.manifest_sha256 == second.document.manifest_sha256
    assert (detail.compression, detail.fragments, detail.triggered_by) == ("none", 4, "tester")
    assert detail.server_version
    assert detail.schema_counts["tables"] == 5
    assert {each.name for each in detail.edge_functions}
    assert detail.notes == []
    from_the_bucket = present(tables, source=no_database).detail(second.run.key.rpartition("/")[2])
    assert from_the_bucket.schema_counts == detail.schema_counts
    assert from_the_bucket.tables == detail.tables
    backwards = found.compare(second.run.backup_id, first.run.backup_id)
    assert backwards.schema_diff
    assert "tables fourth" in backwards.schema_diff.removed
    answer = found.overview(DagFacts()).answer
    assert (answer.level, answer.recoverable_to) == ("warning", newest.created_at)
    assert "no backup is proven by a drill yet" in answer.sentence


def test_a_link_gives_the_documents_bytes_and_ranges_of_them(tables: Rig):
    done = tables.backup()
    link = present(tables).download(done.run.backup_id)
    assert (link.file_name, link.size) == (done.run.key.rpartition("/")[2], done.document.size)
    with urlopen(link.url) as answer:
        assert answer.read() == done.stored
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{link.file_name}"'
    with urlopen(Request(link.url, headers={"Range": "bytes=10-19"})) as answer:
        assert (answer.status, answer.read()) == (206, done.stored[10:20])


def test_without_the_history_the_bucket_lists(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW, tags=planted.proven)
    found = catalogue(retention.rig, source=no_database)
    page = found.page()
    assert [f"{PREFIX}{entry.id}" for entry in page.entries] == keys[::-1]
    assert [(each.source, each.hint) for each in page.problems] == [("history", "check host and port")]
    assert {(entry.status, entry.verification, entry.drill) for entry in page.entries} == {
        ("success", "valid", "proven")
    }
    answer = found.overview(DagFacts()).answer
    assert answer.level == "warning"
    assert "Recoverable to 14 Mar 00:00 UTC (6 h ago) · the history cannot be read · proven" in answer.sentence
    detail = found.detail(page.entries[0].id)
    assert detail.before == page.entries[1].id
    assert detail.tables
    assert detail.schema_diff
    assert detail.notes == []


def test_without_the_bucket_the_history_lists(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 2, now=NOW)
    drill = {"state": "proven", "at": NOW.isoformat(), "seconds": 41.0, "phases": {"load": 3.5}}
    drill |= {"report": f"{PREFIX}drills/x.json", "failed": ["rows of a", 7]}
    verdict = {"valid": True, "checked_at": NOW.isoformat(), "size": 1, "tables": 1, "rows": 1, "fragments": 1}
    verdict |= {"checksum": None, "findings": [], "warnings": []}
    counts = {"row_counts": {"a": 3, "b": 4}, "table_bytes": {"a": 30}}
    retention.add_rows(keys, components={"verification": verdict, "drill": drill, **counts})
    found = catalogue(retention.rig, store=secretive)
    page = found.page()
    assert {(entry.in_bucket, entry.verification, entry.rows) for entry in page.entries} == {(None, "valid", 7)}
    assert [each.fact for each in page.problems] == ["the bucket cannot be read: RuntimeError"]
    overview = found.overview(DagFacts())
    assert overview.answer.level == "bad"
    assert overview.answer.sentence.startswith("Cannot tell whether the platform is recoverable: the bucket cannot")
    assert "14 Mar 00:00 UTC" in overview.answer.sentence
    assert [point.phases for point in overview.drills] == [{"load": 3.5}] * 2
    assert overview.tiles.storage is None
    detail = found.detail(page.entries[0].id)
    assert [(line.name, line.rows, line.bytes) for line in detail.tables] == [("a", 3, 30), ("b", 4, None)]
    assert (detail.drill_report, detail.drill_failures) == ("x.json", ["rows of a"])
    assert detail.schema_diff is None
    assert "the bucket cannot be read: this is what the history says" in detail.notes
    with pytest.raises(StoreUnavailable, match="the bucket cannot be read"):
        found.key_of(page.entries[0].id)
    with pytest.raises(RuntimeError):
        found.reports("drill")


def test_without_either_it_says_so_and_asks_once(retention: RetentionRig):
    asked: list[int] = []

    def counted() -> Store:
        asked.append(1)
        return no_bucket()

    found = catalogue(retention.rig, store=counted, source=no_database)
    for _ in range(3):
        page = found.page()
    assert (page.total, [each.source for each in page.problems], len(asked)) == (0, ["bucket", "history"], 1)
    assert found.summary(DagFacts()).level == "bad"
    assert "nor can the history" in found.summary(DagFacts()).sentence


def test_an_empty_deployment_is_not_recoverable(retention: RetentionRig):
    overview = catalogue(retention.rig).overview(DagFacts(is_paused=True))
    assert overview.answer.sentence == "Not recoverable: there is no backup in the bucket"
    assert overview.answer.next_action == "unpause collabhunts_backup and trigger collabhunts_backup now"
    assert len(overview.calendar) >= 29


def test_pin_is_written_and_listed(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 2, now=NOW)
    retention.add_rows(keys)
    found = catalogue(retention.rig)
    oldest = found.page().entries[-1]
    assert found.pin(oldest.id, "before the migration", by="admin").pinned == "before the migration"
    assert found.page(search="MIGRATION").total == 1
    assert "pinned: before the migration" in found.page().entries[-1].retention
    assert found.overview(DagFacts()).tiles.pinned == 1
    assert found.unpin(oldest.id).pinned is None


@pytest.mark.parametrize("name", ["", "../secret", "backups/x", "nothing", "x" * 9000, "\0"])
def test_a_name_that_nobody_knows_is_refused(retention: RetentionRig, name: str):
    found = catalogue(retention.rig)
    for ask in (found.detail, found.key_of, found.unpin, lambda each: found.report("drill", each)):
        with pytest.raises(BackupUnknown):
            ask(name)


def test_rows_of_other_programs_and_hostile_texts_do_no_harm(retention: RetentionRig):
    (key,) = plant(retention.store, PREFIX, [NOW - DAY], now=NOW, tags=planted.invalid)
    rows = [
        ("success", "old-backup.json", '{"tables": ["a"], "warnings": "x", "total_rows": 1e300}'),
        ("success", "old-backup.json", "[1, 2]"),
        ("failed", None, '{"run": 7, "verification": [], "drill": {"phases": {"a": "b"}, "state": 1}, "watch": {"findings": 3}}'),
        ("success", key.rpartition("/")[2], '{"run": {"run_id": "r"}, "expired": {"at": 5}, "watch": {"findings": [{"reason": 1}, {"reason": "odd"}]}}'),
        ("success", key.rpartition("/")[2], "null"),
        ("in_progress", None, '{"row_counts": {"a": -5, "b": "x"}}'),
    ]  # fmt: skip
    with retention.rig.connect() as connection:
        catalog.ensure_table(connection)
        connection.execute("alter table public.backup_history alter created_at drop not null")
        for status, name, components in rows:
            connection.execute(
                "insert into public.backup_history (backup_type, status, file_name, components_backed_up,"
                " error_message, created_at) values ('manual', %s, %s, %s, %s, %s)",
                (status, name, components, HOSTILE if status == "failed" else None, NOW - DAY),
            )
        connection.execute("update public.backup_history set created_at = 'infinity' where status = 'in_progress'")
    found = catalogue(retention.rig)
    page = found.page(limit=100)
    assert (page.total, page.problems) == (5, [])
    failed = next(entry for entry in page.entries if entry.status == "failed")
    assert failed.error
    assert len(failed.error) == 1000
    assert failed.error.startswith("<script>")
    owner = next(entry for entry in page.entries if entry.in_bucket)
    assert (owner.verification, owner.unusual) == ("invalid", ["odd"])
    overview = found.overview(DagFacts())
    assert overview.answer.sentence == "Not recoverable: the only backup in the bucket is damaged"
    for entry in page.entries:
        assert found.detail(entry.id).entry == entry
    assert found.page(search="<SCRIPT>").total == 1


def test_what_is_gone_is_missing_and_what_expired_is_expired(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    retention.add_rows(keys[1:])
    retention.add_rows(keys[:1], components={"expired": {"at": NOW.isoformat(), "reason": "no rule keeps it"}})
    retention.store.delete(keys[:2])
    found = catalogue(retention.rig)
    newest, gone, expired = found.page().entries
    assert (newest.status, newest.verification) == ("success", "valid")
    assert (gone.status, gone.verification, gone.in_bucket) == ("success", "missing", False)
    assert (expired.status, expired.retention) == ("expired", ["no rule keeps it"])
    assert found.page(status="expired").total == 1
    assert "there is no earlier successful backup" in " ".join(found.detail(newest.id).notes)


def test_five_thousand_rows_are_read_quickly_and_paged_at_once(retention: RetentionRig):
    with retention.rig.connect() as connection:
        catalog.ensure_table(connection)
        connection.execute(
            "insert into public.backup_history (backup_type, status, file_name, components_backed_up, created_at,"
            " file_size, execution_time_ms, tables_backed_up) select 'scheduled', 'success', 'n' || i, jsonb_build_object("
            "'run', jsonb_build_object('run_id', 'scheduled__' || i), 'total_rows', i, 'row_counts', c, 'table_bytes', c),"
            " now() - i * interval '1 day', i * 1000, i, array['a'] from generate_series(1, 5000) i,"
            " (select jsonb_object_agg('table_number_' || t, t) as c from generate_series(1, 100) t) s"
        )
    found = present(retention.rig)
    begun = time.process_time()  # not the clock's: other tests run beside this one
    assert found.page(search="n4999").total == 1
    assert time.process_time() - begun < 5
    for arguments in (
        {"sort": "size"},
        {"search": "scheduled__4"},
        {"offset": 4980},
        {"sort": "rows", "descending": False},
    ):
        begun = time.process_time()
        assert found.page(**arguments).entries
        assert time.process_time() - begun < 0.25  # 50 ms on an idle machine
    assert len(found.overview(DagFacts()).points) == 400
