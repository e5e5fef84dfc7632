"""A link by which a browser fetches a document from the bucket itself: a credential, never logged."""

from datetime import datetime, timedelta, timezone

from include.disaster_recovery.backup_key import CONTENT_TYPE, compression_of
from include.disaster_recovery.dashboard.model import Download
from include.disaster_recovery.errors import BackupUnknown
from include.disaster_recovery.s3.errors import translated
from include.disaster_recovery.s3.store import Store

SECONDS = 300


def presign(store: Store, key: str, file_name: str, seconds: int = SECONDS) -> Download:
    """A link that lasts for some seconds, takes ranges, and saves the document under its name.

    Raises:
        BackupUnknown: the document is gone.
        StoreRefused, StoreUnavailable: a request failed.
    """
    found = store.head(key)
    if found is None:
        raise BackupUnknown(f"{key} is gone from the bucket", hint="reload the page")
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in file_name)
    expires_at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    wanted = {
        "Bucket": store.bucket,
        "Key": key,
        "ResponseContentDisposition": f'attachment; filename="{safe}"',
        "ResponseContentType": CONTENT_TYPE[compression_of(key)],
    }
    with translated("sign GET", store.bucket, key):
        url = store.client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds)
    return Download(url=url, file_name=safe, size=found.size, expires_at=expires_at)
