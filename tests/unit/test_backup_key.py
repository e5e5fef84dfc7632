from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.disaster_recovery.backup_key import backup_key, compression_of, is_backup_key, moment, timestamp
from include.disaster_recovery.settings import Compression

OPENED = datetime(2025, 12, 7, 18, 33, 7, 123_999, tzinfo=timezone.utc)
STAMP = "2025-12-07T18-33-07-123Z"
NAME = f"collabhunts-backup-{STAMP}.json"

moments = st.integers(0, 250_000_000_000_000).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=1001 * milliseconds)
)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize("compression, suffix", [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")])
def test_the_key_is_the_contracts(compression: Compression, suffix: str):
    key = backup_key("backups/", OPENED, compression)
    assert key == f"backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json{suffix}"
    assert is_backup_key("backups/", key)
    assert compression_of(key) == compression


def test_another_time_zone_is_the_same_moment():
    assert timestamp(OPENED.astimezone(timezone(timedelta(hours=-8)))) == STAMP


@given(moments, offsets)
def test_a_timestamp_is_read_back_to_the_millisecond(opened: datetime, zone: timezone):
    truncated = opened.replace(microsecond=opened.microsecond // 1000 * 1000)
    assert moment(timestamp(opened.astimezone(zone))) == truncated


@given(st.lists(moments, min_size=2, max_size=2))
def test_keys_sort_as_their_moments(pair: list[datetime]):
    first, second = sorted(pair)
    assert timestamp(first) <= timestamp(second)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "2025-12-07",
        "2025-12-07T18-33-07-123",
        "2025-12-07T18-33-07.123Z",
        "2025-12-07T18-33-07-123z",
        "2025-13-07T18-33-07-123Z",
        "2025-02-30T18-33-07-123Z",
        "2025-12-07T25-33-07-123Z",
        "2025-1-07T18-33-07-123Z",
        "2025-12-07T18-33-07- 12Z",
        "2025-12-07T18-33-07-+12Z",
        "2025-12-07T18-33-07-123Z\n",
        "٢٠٢٥-12-07T18-33-07-123Z",
    ],
)
def test_anything_else_is_no_timestamp(stamp: str):
    with pytest.raises(ValueError, match=r"is no timestamp like 2025-12-07T18-33-07-123Z"):
        moment(stamp)


@pytest.mark.parametrize(
    "key",
    [
        NAME,
        f"staging/{NAME}",
        f"backups/../{NAME}",
        f"backups/deeper/{NAME}",
        f"backups//{NAME}",
        f"/backups/{NAME}",
        f"backups/backups/{NAME}",
        f"backups/{NAME}\n",
        f"backups/{NAME}.bak",
        f"backups/{NAME}.gz.gz",
        f"backups/x{NAME}",
        "backups/collabhunts-backup-2025-02-30T18-33-07-123Z.json",
        "backups/collabhunts-backup-latest.json",
        "backups/",
        "",
    ],
)
def test_a_key_this_package_never_writes_is_none_of_ours(key: str):
    assert not is_backup_key("backups/", key)
