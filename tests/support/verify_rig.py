"""Verification at engine level: the real steps over a real S3 server and the history in a real Postgres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from include.disaster_recovery.backup_record import Verification, verification_of
from include.disaster_recovery.history.rows import HistoryRow, read_rows
from include.disaster_recovery.history.verdicts import best_row
from include.disaster_recovery.model import Depth, Verdict
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.steps.verify.keeping import file_name
from include.disaster_recovery.steps.verify.planning import plan_verify
from include.disaster_recovery.steps.verify.verifying import verify
from tests.support.rig import Outcome, Rig

UNREACHABLE = {"host": "127.0.0.1", "port": "1", "user": "nobody", "dbname": "none", "connect_timeout": "2"}


@dataclass
class VerifyRig:
    """A bucket and a history; each verification happens a minute after the one before."""

    rig: Rig
    history: dict[str, str]
    clock: datetime

    @classmethod
    def of(cls, rig: Rig) -> VerifyRig:
        return cls(rig, dict(rig.parameters), datetime.now(timezone.utc).replace(microsecond=0))

    def with_store(self, store: Store) -> VerifyRig:
        return replace(self, rig=replace(self.rig, store=store))

    def without_history(self) -> VerifyRig:
        return replace(self, history=UNREACHABLE)

    @property
    def store(self) -> Store:
        return self.rig.store

    def connect(self) -> Connection:
        return connect(self.history, name="collabhunts_db", application="test")

    def plan(self, wanted: str, *, most: int = 1024) -> list[str]:
        return plan_verify(self.store, self.rig.settings, wanted, connect=self.connect, most=most)

    def verify(self, key: str, depth: Depth = "full") -> Verdict:
        self.clock += timedelta(minutes=1)
        verdict = verify(self.store, self.rig.settings, key, depth, connect=self.connect, now=lambda: self.clock)
        assert verdict is not None
        return verdict

    def row(self, key: str) -> HistoryRow:
        with self.rig.connect() as connection:
            found = best_row(read_rows(connection, file_name=file_name(key)))
        assert found is not None
        return found

    def recorded(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.row(key).components["verification"]
        return found

    def tagged(self, key: str) -> Verification | None:
        return verification_of(read_tags(self.store, key) or {})


def replaced(store: Store, done: Outcome, data: bytes, **metadata: str | None) -> None:
    """Write other bytes under a backup's key, its tags and its metadata kept, but for what is given."""
    client, key = store.client, done.run.key
    head = store.head(key)
    kept = {**(head.metadata if head else {}), **metadata}
    tags = "&".join(f"{name}={value}" for name, value in (read_tags(store, key) or {}).items() if value)
    client.put_object(
        Bucket=store.bucket,
        Key=key,
        Body=data,
        Metadata={name: value for name, value in kept.items() if value is not None},
        Tagging=tags.replace("+", "%2B"),
        ServerSideEncryption="AES256",
        ChecksumAlgorithm="CRC64NVME",
    )


def flipped(data: bytes, at: int, mask: int = 0x01) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
