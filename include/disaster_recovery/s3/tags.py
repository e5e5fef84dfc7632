"""Tags of objects. S3 replaces all of an object's tags at once: here they are merged, and read back."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from include.disaster_recovery.errors import StoreUnavailable
from include.disaster_recovery.s3.errors import is_missing, translated
from include.disaster_recovery.s3.store import Store

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import TagTypeDef

log = logging.getLogger(__name__)

TRIES = 3
MOST_TAGS = 10  # of an object, Amazon S3 user guide, "object tagging"


def read_tags(store: Store, key: str) -> dict[str, str] | None:
    """The tags of an object; None where there is no such object.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    with translated("GET tags of", store.bucket, key):
        try:
            answer = store.client.get_object_tagging(Bucket=store.bucket, Key=key)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def merge_tags(store: Store, key: str, changes: Mapping[str, str | None]) -> bool:
    """Set some tags of an object and leave the others; None removes one. Whether the object is there.

    Two writers at once may undo each other: what was written is read back, and written again if it is not there.

    Raises:
        StoreRefused: the key may not tag, or there would be more tags than an object takes.
        StoreUnavailable: the request failed, or somebody else's tags replaced these each time.
    """
    for _ in range(TRIES):
        found = read_tags(store, key)
        if found is None:
            return False
        wanted = {name: value for name, value in {**found, **changes}.items() if value is not None}
        if wanted == found:
            return True
        entries: list[TagTypeDef] = [{"Key": name, "Value": value} for name, value in wanted.items()]
        with translated("PUT tags of", store.bucket, key):
            store.client.put_object_tagging(Bucket=store.bucket, Key=key, Tagging={"TagSet": entries})
        if read_tags(store, key) == wanted:
            return True
        log.warning("%s: the tags were replaced by somebody else, they are set again", key)
    raise StoreUnavailable(
        f"tags of s3://{store.bucket}/{key} were replaced by somebody else {TRIES} times", hint="try again"
    )
