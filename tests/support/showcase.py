"""A platform with half a year of nightly backups behind it: for screenshots, not for tests.

The newest backup and its drill are real, taken by the DAGs, and so is that of the night before. What lies further back
is planted: rows of history, and objects of the right size where retention has kept one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from include.demo.database.builder import build_database
from include.demo.stack.stack import OWNER, Stack
from include.disaster_recovery.backup_key import backup_key
from include.disaster_recovery.backup_record import BackupRecord, Proof, Verification, proof_tags, verification_tags
from include.disaster_recovery.model import Verdict
from include.disaster_recovery.retention import Policy, by_key, plan_expiry
from include.disaster_recovery.s3 import pins
from include.disaster_recovery.s3.records import list_records
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import load_settings
from tests.support.planted import daily
from tests.support.site import CHANGE, TARGET, Site, rig_of

NIGHTS, SIZE = 200, 0.3
FAILED, UNUSUAL = {23, 61, 62, 131}, {94: "rows of messages: 41% fewer than usual"}
PREFIX = "backups/"
DAGS = tuple(f"collabhunts_{name}" for name in ("backup", "drill", "verify", "restore", "retention"))
PATIENCE_SECONDS = 1800.0
INSERT = """
insert into public.backup_history (id, backup_type, status, file_name, s3_url, file_size, execution_time_ms,
  tables_backed_up, components_backed_up, error_message, created_at)
values (%(id)s, 'scheduled', %(status)s, %(file_name)s, %(s3_url)s, %(size)s, %(milliseconds)s, %(tables)s,
  %(components)s, %(error)s, %(at)s)
"""


@contextmanager
def showcase(folder: Path) -> Iterator[Site]:
    """Start it, and wait until the newest backup is proven."""
    made: list[Site] = []

    def prepare(stack: Stack) -> dict[str, str]:
        made.append(_built(stack))
        return {"AIRFLOW_CONN_COLLABHUNTS_RESTORE_DB": stack.connection_to(TARGET)}

    with Stack(folder=folder, prepare=prepare, keep=False, durable=False, triggerer=True) as stack:
        for dag in DAGS:
            stack.airflow.admin.wait_for_dag(dag)
            stack.airflow.admin.unpause(dag)  # that of last midnight is taken, and a drill follows
        (site,) = made
        seconds, drill_seconds = _proven(site)
        _plant_past(site, seconds, drill_seconds)
        site.renew()
        yield site


def _proven(site: Site) -> tuple[float, float]:
    """Wait until the backup of tonight is proven and nothing runs; how long that backup took, and its drill."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with site.client(bearer=site.token("admin")) as client:
        while True:
            found = client.get("api/overview").json()
            newest = client.get("api/backups").json()["entries"][0]
            if newest["drill"] == "proven" and newest["backup_type"] == "scheduled" and not found["running"]:
                return newest["seconds"], newest["drill_seconds"]
            if time.monotonic() > deadline:
                raise TimeoutError(f"not proven: {found['answer']}, {found['running']}")
            time.sleep(2)


def _built(stack: Stack) -> Site:
    """The platform, and a backup of yesterday; since then somebody has changed it."""
    build_database(stack.postgres.superuser_dsn(stack.database), owner_password=stack.owner_password, size=SIZE)
    stack.postgres.create_database(TARGET, owner=OWNER)
    site = Site(stack, rig_of(stack, load_settings()), [], [])
    site.sql("delete from public.backup_history")
    site.backups.append(site.rig.backup())
    _move_to_yesterday(site)
    site.sql(CHANGE)
    return site


def _move_to_yesterday(site: Site) -> None:
    key, yesterday = site.backups[0].run.key, daily(2, datetime.now(timezone.utc))[0]
    moved = backup_key(PREFIX, yesterday, "none")
    source = {"Bucket": site.store.bucket, "Key": key}
    site.store.client.copy_object(Bucket=site.store.bucket, Key=moved, CopySource=source)
    site.store.delete([key])
    site.sql(
        "update public.backup_history set backup_type = 'scheduled', file_name = %s, s3_url = %s, created_at = %s",
        moved.rpartition("/")[2],
        f"s3://{site.store.bucket}/{moved}",
        yesterday,
    )


def _plant_past(site: Site, seconds: float, drill_seconds: float) -> None:
    """What came before yesterday, in the measure of what is real."""
    now, newest = datetime.now(timezone.utc), site.backups[0].verdict
    nights = daily(NIGHTS + 2, now)[:-2]
    records = [_record(at, number, newest.size, drill_seconds) for number, at in enumerate(nights)]
    alive = [record for number, record in enumerate(records) if number not in FAILED]
    real = list_records(site.store, PREFIX, now)
    plan = by_key(plan_expiry([*alive, *real], Policy.of(site.rig.settings.retention), now))
    kept = [record for record in alive if plan[record.key].action == "keep"]
    with psycopg.connect(site.stack.postgres.superuser_dsn(site.stack.database), autocommit=True) as connection:
        for number, record in enumerate(records):
            connection.execute(INSERT, _row(number, record, newest, seconds, kept=record in kept))
    for record in kept:
        _put(site.store, record)
    site.sql(
        "update public.backup_history set execution_time_ms = %s where file_name = %s",
        int(1000 * _varied(NIGHTS, seconds)),  # Airflow had no part in it
        real[0].key.rpartition("/")[2],
    )
    pins.pin(site.store, PREFIX, kept[0].key, reason="before the move to new payments", by="admin", now=now)


def _grown(number: int) -> float:
    """A platform that grows, with busy and quiet weeks."""
    return (0.45 + 0.55 * number / NIGHTS) * (1 + 0.02 * math.sin(number / 4))


def _record(at: datetime, number: int, size: int, drill_seconds: float) -> BackupRecord:
    drilled = at.weekday() == 6
    return BackupRecord(
        key=backup_key(PREFIX, at, "none"),
        created_at=at,
        size=int(size * _grown(number) * (0.6 if number in UNUSUAL else 1)),
        verification=Verification(state="valid", depth="full", at=at + timedelta(minutes=2)),
        proof=Proof(state="proven", at=at + timedelta(hours=1), seconds=_varied(number, drill_seconds))
        if drilled
        else None,
    )


def _varied(number: int, seconds: float) -> float:
    """Durations grow as the platform does, and no two nights are the same."""
    return round(seconds * _grown(number) * (0.94 + number * 37 % 11 * 0.012), 1)


def _put(store: Store, record: BackupRecord) -> None:
    """Of its size, and with its tags; nobody opens it."""
    assert record.verification is not None
    tags = {**verification_tags(record.verification), **(proof_tags(record.proof) if record.proof else {})}
    store.client.put_object(
        Bucket=store.bucket,
        Key=record.key,
        Body=b" " * record.size,
        Tagging=urlencode({name: value for name, value in tags.items() if value is not None}),
    )


def _row(number: int, record: BackupRecord, newest: Verdict, seconds: float, *, kept: bool) -> dict[str, Any]:
    is_good, name = number not in FAILED, record.key.rpartition("/")[2]
    return {
        "id": uuid4(),
        "status": "success" if is_good else "failed",
        "file_name": name,
        "s3_url": f"s3://collabhunts-backups/{record.key}" if is_good else None,
        "size": record.size if is_good else None,
        "milliseconds": int(1000 * _varied(number, seconds)) if is_good else None,
        "tables": [f"table_{each}" for each in range(newest.tables)],
        "components": Jsonb(_components(number, record, newest, kept=kept)),
        "error": None if is_good else "DatabaseUnavailable: connection collabhunts_db failed: server closed it",
        "at": record.created_at,
    }


def _components(number: int, record: BackupRecord, newest: Verdict, *, kept: bool) -> dict[str, Any]:
    run = {"run": {"run_id": f"scheduled__{record.created_at.isoformat()}"}}
    if number in FAILED:
        return run
    rows = int(newest.rows * _grown(number))
    changes = {"checked_at": record.created_at, "size": record.size, "rows": rows, "warnings": []}
    verdict = newest.model_copy(update=changes)
    found: dict[str, Any] = {**run, "total_rows": rows, "verification": verdict.to_json()}
    if record.proof:
        found["drill"] = {**record.proof.to_json(), "phases": _phases(record.proof.seconds)}
    if number in UNUSUAL:
        found["watch"] = {"findings": [{"reason": UNUSUAL[number]}]}
    if not kept:
        found["expired"] = {"at": (record.created_at + timedelta(days=8)).isoformat(), "reason": "no rule keeps it"}
    return found


def _phases(seconds: float) -> dict[str, float]:
    parts = {"plan": 0.1, "rebuild": 0.2, "load": 0.25, "check": 0.1, "apply": 0.2, "compare": 0.15}
    return {name: round(seconds * part, 2) for name, part in parts.items()}
