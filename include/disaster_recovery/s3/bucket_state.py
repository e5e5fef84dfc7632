"""How a bucket is set up, read setting by setting; nothing is written.

What cannot be read is told apart: not set, not allowed to this key, and not known to this server.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from include.disaster_recovery.bucket_requirements import BLOCKS, BucketState, ObjectLock, Unread
from include.disaster_recovery.s3.errors import error_code, translated
from include.disaster_recovery.s3.lifecycle import REFUSED, UNSUPPORTED
from include.disaster_recovery.s3.store import Store

NOT_SET = {  # Amazon S3 API reference, "error responses"
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "OwnershipControlsNotFoundError",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration",
}
GRANTED_BY = {  # Service authorization reference, "Amazon S3": where the action is not called as the operation
    "get_bucket_encryption": "s3:GetEncryptionConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
}
T = TypeVar("T")


def read_bucket(store: Store) -> BucketState:
    """What the bucket says of itself.

    Raises:
        StoreRefused: there is no such bucket, or the key is wrong.
        StoreUnavailable: a request failed.
    """
    read = partial(_read, store)
    # Versioning first: of a bucket that is not there, some servers deny knowing any other setting.
    return BucketState(
        bucket=store.bucket,
        endpoint=store.client.meta.endpoint_url,
        versioning=read("get_bucket_versioning", lambda answer: answer.get("Status")),
        encryption=read("get_bucket_encryption", _algorithm),
        policy=read("get_bucket_policy", lambda answer: dict(json.loads(answer["Policy"]))),
        is_public=read("get_bucket_policy_status", lambda answer: bool(answer["PolicyStatus"]["IsPublic"])),
        blocks=read("get_public_access_block", _blocks),
        ownership=read(
            "get_bucket_ownership_controls",
            lambda answer: str(answer["OwnershipControls"]["Rules"][0]["ObjectOwnership"]),
        ),
        object_lock=read("get_object_lock_configuration", _object_lock),
        logs_to=read("get_bucket_logging", lambda answer: answer.get("LoggingEnabled", {}).get("TargetBucket")),
        rules=read("get_bucket_lifecycle_configuration", lambda answer: list(answer.get("Rules", []))) or [],
    )


def _read(store: Store, operation: str, pick: Callable[[dict[str, Any]], T | None]) -> T | Unread | None:
    """One setting; None where it is not set."""
    with translated(f"{operation} of", store.bucket):
        try:
            answer: dict[str, Any] = getattr(store.client, operation)(Bucket=store.bucket)
        except ClientError as error:
            if (code := error_code(error)) in NOT_SET:
                return None
            if (unread := _unread(operation, code)) is None:
                raise
            return unread
    try:
        return pick(answer)
    except (LookupError, TypeError, ValueError):
        return Unread(reason="unsupported", code="an answer that S3 does not give", action=operation)


def _unread(operation: str, code: str) -> Unread | None:
    action = GRANTED_BY.get(operation) or f"s3:{operation.title().replace('_', '')}"
    if code in UNSUPPORTED:
        return Unread(reason="unsupported", code=code, action=action)
    return Unread(reason="denied", code=code, action=action) if code in REFUSED else None


def _algorithm(answer: dict[str, Any]) -> str | None:
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = (rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules)
    return next((str(found) for found in defaults if found), None)


def _blocks(answer: dict[str, Any]) -> dict[str, bool]:
    return {name: bool(answer["PublicAccessBlockConfiguration"].get(name)) for name in BLOCKS}


def _object_lock(answer: dict[str, Any]) -> ObjectLock | None:
    found = answer["ObjectLockConfiguration"]
    if found.get("ObjectLockEnabled") != "Enabled":
        return None
    retention = found.get("Rule", {}).get("DefaultRetention", {})
    days = retention.get("Days") or (365 * retention["Years"] if retention.get("Years") else None)
    return ObjectLock(mode=retention.get("Mode"), days=days)
