"""What the watch makes of real backups: unusual ones, emptied tables, other schemas, old ones; and that it fails nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.backup_key import backup_key
from include.disaster_recovery.backup_record import Proof, Verification, proof_tags, verification_tags
from include.disaster_recovery.errors import BackupLate, StoreRefused
from include.disaster_recovery.history.rows import read_rows
from include.disaster_recovery.runtime import watch_tasks
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags
from include.disaster_recovery.steps.watch.age import look_at_ages
from tests.support.alerting import Deployment, deployment
from tests.support.faulty_wire import FaultyWire, refuse
from tests.support.receivers import Endpoint, free_port, http_endpoint
from tests.support.rig import Rig

__all__ = ["deployment"]


def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture
def watching(
    deployment: Deployment, tables: Rig, store: Store, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Endpoint]:
    """A deployment over three small tables, with a webhook."""
    deployment.bucket(s3_server, store)
    deployment.database(tables)
    ti = SimpleNamespace(dag_id="collabhunts_backup", run_id="manual__1", task_id="watch_backup")
    monkeypatch.setattr(watch_tasks, "get_current_context", lambda: {"ti": ti})
    with http_endpoint() as endpoint:
        deployment.connection("collabhunts_webhook", conn_type="http", host=endpoint.url)
        deployment.configure(alerts={"webhook": {}}, anomalies={"least_backups": 1, "least_rows": 10})
        yield endpoint


def told(endpoint: Endpoint) -> list[tuple[str, str, str]]:
    return [(each["state"], each["kind"], each["subject"]) for each in endpoint.received]


def run(rig: Rig, *statements: str) -> dict[str, Any]:
    """Change the platform, back it up, watch."""
    with rig.connect() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
    outcome = rig.backup()
    return watch_tasks.watch_backup(outcome.event, outcome.uncovered)


def kept(rig: Rig) -> dict[str, Any]:
    """What the newest history row says of the watch."""
    with rig.connect() as connection:
        found: dict[str, Any] = read_rows(connection)[0].components["watch"]
    return found


def test_a_usual_backup_raises_nothing(tables: Rig, watching: Endpoint):
    for _ in range(3):
        look = run(tables)
    assert look["findings"] == []
    assert look["drift"] is None
    assert look["since"] is not None
    assert told(watching) == []
    assert kept(tables)["judged"] is True


def test_an_emptied_table_is_told_once_and_cleared(tables: Rig, watching: Endpoint):
    run(tables)
    look = run(tables, "delete from public.second")
    assert look["findings"][0]["reason"] == "second: 0 rows, 50 in the backup before"
    assert ("firing", "table-emptied", "second") in told(watching)
    run(tables)
    assert told(watching).count(("firing", "table-emptied", "second")) == 1
    run(tables, "insert into public.second select i, 'row' from generate_series(1, 50) i")
    assert ("resolved", "table-emptied", "second") in told(watching)
    assert "table-emptied" not in [finding["kind"] for finding in kept(tables)["findings"]]


def test_a_table_that_stays_empty_is_never_called_over(tables: Rig, watching: Endpoint):
    run(tables)
    for change in ("delete from public.second", "select", "select"):
        look = run(tables, change)
    assert look["findings"] == []  # two of the three before it are empty too
    assert [each for each in told(watching) if each[1] == "table-emptied"] == [("firing", "table-emptied", "second")]
    run(tables, "drop table public.second")
    (over,) = [each for each in watching.received if (each["state"], each["kind"]) == ("resolved", "table-emptied")]
    assert "table second is in the backup no more" in over["fact"]


def test_an_unusual_table_that_is_emptied_is_not_called_usual(tables: Rig, watching: Endpoint):
    run(tables)
    run(tables, "insert into public.third select i, 'row' from generate_series(1, 5000) i")
    run(tables, "delete from public.third")
    assert ("firing", "table-emptied", "third") in told(watching)
    assert not any("of third" in subject for state, _, subject in told(watching) if state == "resolved")


def test_many_more_rows_are_unusual_by_table_and_in_total(tables: Rig, watching: Endpoint):
    run(tables)
    run(tables, "insert into public.third select i, 'row' from generate_series(1, 5000) i")
    (received,) = [each for each in watching.received if each["kind"] == "backup-unusual"]
    assert received["subject"] == "rows in total, rows of third"
    assert "third: 5,050 rows, usually 50" in received["fact"]
    reasons = [finding["reason"] for finding in kept(tables)["findings"]]
    assert any(reason.startswith("third: 5,050 rows") for reason in reasons)


def test_a_changed_schema_is_named_once(tables: Rig, watching: Endpoint):
    run(tables)
    look = run(
        tables,
        "alter table public.first add column tip numeric",
        "alter table public.second enable row level security",
        "create policy own on public.second using (true)",
        "create table public.fourth (id int primary key)",
        "drop table public.third",
    )
    drift = look["drift"]
    assert "added: tables fourth, columns tip of first, policies own of second" in drift
    assert "removed: tables third" in drift
    assert "of third" not in drift  # the table alone, not each of its columns
    assert "changed: RLS flags second" in drift
    (received,) = [each for each in watching.received if each["kind"] == "schema-drift"]
    assert drift in received["fact"]
    run(tables)
    assert [each["kind"] for each in watching.received].count("schema-drift") == 1
    assert ("resolved", "schema-drift", received["subject"]) not in told(watching)
    assert tables.store.keys("backups/incidents/schema-drift") == []


def test_tables_that_nobody_backs_up_are_told_until_they_are(tables: Rig, watching: Endpoint):
    event = tables.backup().event
    for uncovered in (["a", "b"], ["a", "b"], ["a", "b", "c"], ["c"], []):
        watch_tasks.watch_backup(event, uncovered)
    assert told(watching) == [
        ("firing", "tables-uncovered", "a, b"),
        ("firing", "tables-uncovered", "c"),
        ("resolved", "tables-uncovered", "a, b"),
        ("resolved", "tables-uncovered", "c"),
    ]


def test_a_recorded_backup_ends_what_was_failed_and_late(tables: Rig, watching: Endpoint):
    watch_tasks.raise_alerts("backup-failed", {"collabhunts_backup": "x"})
    watch_tasks.raise_alerts("backup-late", {watch_tasks.BUCKET: "x", watch_tasks.RUN: "y"})
    run(tables)
    assert [state for state, _, _ in told(watching)] == ["firing", "firing", "resolved", "resolved"]


def test_rows_of_others_in_the_history_do_not_matter(tables: Rig, watching: Endpoint):
    run(tables)
    with tables.connect() as connection:
        for components in ('{"tables": 18}', "[1]", "null", '{"run": {}, "row_counts": {"first": "many", "x": -3}}'):
            connection.execute(
                "insert into public.backup_history (backup_type, status, file_name, file_size, components_backed_up, created_at)"
                " values ('scheduled', 'success', 'backup-old.json', -7, %s, now() - interval '1 day')",
                [components],
            )
    look = run(tables)
    assert look["judged"] is True
    assert look["findings"] == []


def test_whatever_breaks_the_backup_is_a_success(tables: Rig, watching: Endpoint, deployment: Deployment):
    outcome = tables.backup()
    down = f"http://127.0.0.1:{free_port()}"
    admin = json.loads(os.environ["AIRFLOW_CONN_COLLABHUNTS_S3"])
    deployment.connection("collabhunts_s3", **{**admin, "extra": {**admin["extra"], "endpoint_url": down}})
    watch_tasks.watch_backup(outcome.event, [])
    deployment.connection("collabhunts_db", conn_type="postgres", host="127.0.0.1", port=free_port())
    watch_tasks.watch_backup(outcome.event, ["a"])
    assert watch_tasks.watch_backup({}, []) == {}
    assert watch_tasks.watch_backup(None, []) == {}  # type: ignore[arg-type]
    deployment.configure(anomalies={"backups": "many"})
    assert watch_tasks.watch_backup(outcome.event, []) == {}
    assert "the backup stands" in deployment.logged


def test_a_damaged_document_before_it_keeps_the_schema_from_being_compared(tables: Rig, watching: Endpoint):
    first = tables.backup().run.key
    tables.store.put(first, b"not a document")
    look = run(tables)
    assert (look["since"], look["drift"]) == (first, None)
    assert look["judged"] is True


# --- age -------------------------------------------------------------------------------------------------------------


def plant(store: Store, hours: float, *, state: str | None = "valid", drill: str | None = None) -> str:
    """A backup of so many hours ago, as the bucket knows it."""
    at = now() - timedelta(hours=hours)
    key = backup_key("backups/", at, "none")
    store.put(key, b"{}")
    if state:
        merge_tags(
            store, key, verification_tags(Verification.model_validate({"state": state, "depth": "full", "at": at}))
        )
    if drill:
        merge_tags(store, key, proof_tags(Proof.model_validate({"state": drill, "at": at, "seconds": 90})))
    return key


def first_look(store: Store, monkeypatch: pytest.MonkeyPatch, hours_later: float) -> None:
    """The watch has looked before; it is so many hours later now."""
    look_at_ages(no_database, store, watch_tasks.settings(), now())
    monkeypatch.setattr(watch_tasks.context, "now", lambda: datetime.now(timezone.utc) + timedelta(hours=hours_later))


def no_database() -> Any:
    raise StoreRefused("no database in this test", hint="none")


def test_a_new_platform_is_not_late_before_its_first_backup_is_due(
    store: Store, watching: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    assert watch_tasks.watch_age()["verified"] is None
    first_look(store, monkeypatch, 25)
    watch_tasks.watch_age()
    assert told(watching) == []
    first_look(store, monkeypatch, 27)
    with pytest.raises(BackupLate, match="there is no verified backup, more than 26 hours after the watch began"):
        watch_tasks.watch_age()
    assert told(watching) == [("firing", "backup-late", "the bucket")]


def test_an_old_backup_is_late_and_a_new_one_ends_it(store: Store, watching: Endpoint):
    old = plant(store, 27.5, drill="proven")
    plant(store, 1, state=None)  # nobody has verified it
    plant(store, 2, state="invalid")
    for _ in range(2):
        with pytest.raises(BackupLate, match=rf"{old}, 27\.5 hours old; it should never be older than 26"):
            watch_tasks.watch_age()
    assert told(watching) == [("firing", "backup-late", "the bucket")]
    plant(store, 0.5)
    watch_tasks.watch_age()
    assert told(watching)[1:] == [("resolved", "backup-late", "the bucket")]


def test_a_drill_that_is_late_does_not_make_the_watch_red(store: Store, watching: Endpoint, deployment: Deployment):
    plant(store, 60, drill="proven")
    plant(store, 2, drill="failed")
    ages = watch_tasks.watch_age()
    assert told(watching) == [("firing", "drill-late", "the bucket")]
    assert "60.0 hours old; it should never be older than 50" in watching.received[0]["fact"]
    assert (ages["kept"], ages["invalid"], ages["drill_succeeded"]) == (2, 0, False)
    deployment.configure(watch={"unproven_hours": None})
    watch_tasks.watch_age()
    assert told(watching)[-1] == ("resolved", "drill-late", "the bucket")


def test_what_the_history_says_counts_where_the_bucket_has_no_verdict(tables: Rig, store: Store, watching: Endpoint):
    key = tables.backup().run.key
    merge_tags(store, key, dict.fromkeys(("verification", "verified-at", "verification-depth"), None))
    ages = look_at_ages(tables.connect, store, watch_tasks.settings(), datetime.now(timezone.utc))
    assert ages.verified == key
    assert look_at_ages(no_database, store, watch_tasks.settings(), now()).verified is None
    store.delete([key])  # a row alone is no backup
    assert look_at_ages(tables.connect, store, watch_tasks.settings(), now()).verified is None


def test_a_key_that_may_not_read_tags_leaves_the_verdicts_to_the_history(
    tables: Rig, watching: Endpoint, wire: FaultyWire
):
    key = tables.backup().run.key
    wire.before = lambda exchange: refuse(exchange) if "tagging" in exchange.path else None
    denied = replace(tables.store, client=wire.client())
    now = datetime.now(timezone.utc)
    assert look_at_ages(tables.connect, denied, watch_tasks.settings(), now).verified == key
    assert look_at_ages(no_database, denied, watch_tasks.settings(), now).verified is None


def test_a_bucket_that_is_down_leaves_the_history(tables: Rig, watching: Endpoint, deployment: Deployment):
    key = tables.backup().run.key
    admin = json.loads(os.environ["AIRFLOW_CONN_COLLABHUNTS_S3"])
    extra = {**admin["extra"], "endpoint_url": f"http://127.0.0.1:{free_port()}"}
    deployment.connection("collabhunts_s3", **{**admin, "extra": extra})
    assert watch_tasks.watch_age()["verified"] == key
    assert "the bucket cannot be reached, the history is believed" in deployment.logged


def test_a_bucket_that_is_gone_is_no_good_news(tables: Rig, watching: Endpoint, deployment: Deployment):
    tables.backup()
    deployment.configure(s3={"bucket": "no-such-bucket-of-anybody"})
    with pytest.raises(StoreRefused):
        watch_tasks.watch_age()
