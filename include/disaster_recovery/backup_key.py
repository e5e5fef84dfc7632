"""Names of objects: backup keys and staging prefixes, both confined to their prefixes."""

import re
from datetime import datetime, timezone

from include.disaster_recovery.settings import Compression

SUFFIX: dict[Compression, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
CONTENT_TYPE: dict[Compression, str] = {
    "none": "application/json",
    "gzip": "application/gzip",
    "zstd": "application/zstd",
}
_NAME = re.compile(r"collabhunts-backup-(.{24})\.json(?:\.gz|\.zst)?")
_STAMP = "%Y-%m-%dT%H-%M-%S"


def timestamp(moment: datetime) -> str:
    """The UTC moment as in keys, milliseconds truncated: `2025-12-07T18-33-07-123Z`."""
    utc = moment.astimezone(timezone.utc)
    return f"{utc.strftime(_STAMP)}-{utc.microsecond // 1000:03d}Z"


def moment(stamp: str) -> datetime:
    """The inverse of `timestamp`.

    Raises:
        ValueError: the text is no such timestamp.
    """
    try:
        parsed = datetime.strptime(stamp[:-5], _STAMP).replace(tzinfo=timezone.utc)
        found = parsed.replace(microsecond=int(stamp[-4:-1]) * 1000)
    except ValueError:
        found = None
    if found is None or timestamp(found) != stamp:  # strptime and int are lenient about digits and spaces
        raise ValueError(f"{stamp!r} is no timestamp like 2025-12-07T18-33-07-123Z")
    return found


def backup_key(prefix: str, opened_at: datetime, compression: Compression) -> str:
    """The key of the backup opened at that moment."""
    return f"{prefix}collabhunts-backup-{timestamp(opened_at)}.json{SUFFIX[compression]}"


def is_backup_key(prefix: str, key: str) -> bool:
    """Whether the key is one this package writes below `prefix`."""
    match = _NAME.fullmatch(key.removeprefix(prefix)) if key.startswith(prefix) else None
    try:
        return match is not None and moment(match[1]) is not None
    except ValueError:
        return False


def opened_at(prefix: str, key: str) -> datetime:
    """The UTC moment a backup was opened, from its key.

    Raises:
        ValueError: the key is none of ours.
    """
    match = _NAME.fullmatch(key.removeprefix(prefix))
    return moment(match[1] if match else key)


def opened_in(key: str) -> datetime | None:
    """The same, below whatever prefix; None for a name that is none of ours."""
    try:
        return opened_at(key[: -len(file_name(key))], key)
    except ValueError:
        return None


def file_name(key: str) -> str:
    """The last part of a backup key, by which the history knows the backup."""
    return key.rpartition("/")[2]


def compression_of(key: str) -> Compression:
    """How the object behind a backup key is compressed, by its suffix."""
    for compression, suffix in SUFFIX.items():
        if suffix and key.endswith(suffix):
            return compression
    return "none"
