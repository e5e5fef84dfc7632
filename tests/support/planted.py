"""A bucket with a past: real documents under back-dated keys, copied on the server's side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from include.disaster_recovery.backup_key import SUFFIX, backup_key
from include.disaster_recovery.backup_record import Proof, Verification, proof_tags, verification_tags
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Compression
from tests.support.golden import stored

THREADS = 8
Tags = Mapping[str, str]


def valid(moment: datetime) -> dict[str, str]:
    """The tags of a backup that was found valid right after it was taken."""
    return _tags(Verification(state="valid", depth="full", at=moment + timedelta(minutes=5)))


def invalid(moment: datetime) -> dict[str, str]:
    """The tags of a backup that was found damaged an hour after it was taken."""
    at = moment + timedelta(hours=1)
    return _tags(Verification(state="invalid", depth="full", at=at, finding="table messages, fragment 1"))


def _tags(verdict: Verification) -> dict[str, str]:
    return {name: value for name, value in verification_tags(verdict).items() if value is not None}


def proven(moment: datetime) -> dict[str, str]:
    """The tags of a backup that a drill has restored."""
    return {**valid(moment), **proof_tags(Proof(state="proven", at=moment + timedelta(hours=1), seconds=42.5))}


def unverified(moment: datetime) -> dict[str, str]:
    """No tag at all."""
    return {}


def daily(days: int, now: datetime) -> list[datetime]:
    """The last midnights up to `now`, oldest first."""
    midnight = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return [midnight - timedelta(days=back) for back in reversed(range(days))]


def plant(
    store: Store,
    prefix: str,
    days: int | Iterable[datetime],
    *,
    now: datetime,
    tags: Tags | Callable[[datetime], Tags] = valid,
    compression: Compression = "none",
) -> list[str]:
    """Put backups into a bucket as if they had been taken then; returns their keys, oldest first.

    Args:
        days: one at each of so many midnights up to `now`, or the moments themselves.
        tags: of each, or by its moment.
    """
    moments = daily(days, now) if isinstance(days, int) else sorted(days)
    template = f"template/backup-v1.json{SUFFIX[compression]}"
    store.put(template, stored(template.removeprefix("template/")))

    def copy(moment: datetime) -> str:
        key, wanted = backup_key(prefix, moment, compression), tags(moment) if callable(tags) else tags
        store.client.copy_object(
            Bucket=store.bucket,
            Key=key,
            CopySource={"Bucket": store.bucket, "Key": template},
            TaggingDirective="REPLACE",
            Tagging=urlencode(wanted),
        )
        return key

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(copy, moments))
    finally:
        store.delete([template])
