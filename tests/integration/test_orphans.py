"""What a killed run leaves in the bucket is removed, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from include.disaster_recovery.backup_key import timestamp
from include.disaster_recovery.s3.upload import FIRST_PART
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from include.disaster_recovery.steps.backup.opening import remove_orphans
from tests.support.rig import Rig


def test_only_our_own_leftovers_older_than_a_day_are_removed(tables: Rig):
    store, now = tables.store, datetime.now(timezone.utc)
    old, fresh = (timestamp(now - timedelta(hours=hours)) for hours in (25, 23))
    ours = [f"staging/{old}/claim", f"staging/{old}/table-0001/fragment-0001-try1-abcd"]
    kept = [
        f"staging/{fresh}/claim",
        f"staging/{old}",
        f"staging/{old}-copy/claim",
        f"staging/x{old}/claim",
        "staging/2020-01-01T00-00-00X000Y/claim",
        "staging/notes/readme",
        f"backups/collabhunts-backup-{old}.json",
        f"other/{old}/claim",
    ]
    for key in [*ours, *kept]:
        store.put(key, b"x")
    uploads = {
        f"staging/{old}/table-0002/unfinished": False,
        "staging/2021-05-05T05-05-05-005Z/only-an-upload": False,
        f"backups/collabhunts-backup-{old}.json.gz": False,
        f"staging/{fresh}/unfinished": True,
        f"backups/collabhunts-backup-{fresh}.json": True,
        f"backups/somebody-elses-{old}.json": True,
        f"elsewhere/{old}/unfinished": True,
    }
    for key in uploads:
        store.client.create_multipart_upload(Bucket=store.bucket, Key=key)
    assert remove_orphans(store, tables.settings, now) == len(ours) + 3
    assert store.keys("") == sorted(kept)
    assert sorted(key for key, _ in store.uploads("")) == sorted(key for key, stays in uploads.items() if stays)


def test_unfinished_document_of_a_killed_assemble_is_removed_with_the_staging(tables: Rig):
    run = tables.open()
    upload = tables.store.client.create_multipart_upload(Bucket=tables.store.bucket, Key=run.key)["UploadId"]
    tables.store.client.upload_part(
        Bucket=tables.store.bucket, Key=run.key, UploadId=upload, PartNumber=1, Body=bytes(FIRST_PART)
    )
    assert remove_staging(tables.store, run) == 1
    assert (tables.store.keys(""), tables.store.uploads("")) == ([], [])
