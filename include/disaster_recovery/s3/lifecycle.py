"""The lifecycle configuration of a bucket: read, and replaced as a whole, as S3 has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.s3.errors import error_code, translated
from include.disaster_recovery.s3.store import Store

MINIMUM_SIZE = "TransitionDefaultMinimumObjectSize"  # of the whole configuration: one that is left out is reset
REFUSED = {"AccessDenied", "403"}
UNSUPPORTED = {"NotImplemented", "501", "MethodNotAllowed", "405"}
DENIED = "grant the connection's key s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration on the bucket"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The rules of a bucket, as boto3 gives them, and what else the configuration says."""

    rules: list[dict[str, Any]]
    minimum_size: str | None = None


def read_configuration(store: Store) -> Configuration:
    """What the bucket does by itself.

    Raises:
        StoreRefused: the key may not read it, or the server has no such thing.
        StoreUnavailable: the request failed.
    """
    with _translated("GET", store.bucket):
        try:
            answer: dict[str, Any] = dict(store.client.get_bucket_lifecycle_configuration(Bucket=store.bucket))
        except ClientError as error:
            if error_code(error) == "NoSuchLifecycleConfiguration":
                return Configuration(rules=[])
            raise
    return Configuration(rules=answer.get("Rules", []), minimum_size=answer.get(MINIMUM_SIZE))


def write_configuration(store: Store, configuration: Configuration) -> None:
    """Replace what the bucket does by itself.

    Raises:
        StoreRefused: the key may not write it, or the server does not take it.
        StoreUnavailable: the request failed.
    """
    more: dict[str, Any] = {MINIMUM_SIZE: configuration.minimum_size} if configuration.minimum_size else {}
    with _translated("PUT", store.bucket):
        wanted: Any = {"Rules": configuration.rules}
        store.client.put_bucket_lifecycle_configuration(Bucket=store.bucket, LifecycleConfiguration=wanted, **more)


@contextmanager
def _translated(action: str, bucket: str) -> Iterator[None]:
    """As elsewhere, but a server that does not know the request has refused it: trying again never helps."""
    with translated(f"{action} lifecycle of", bucket):
        try:
            yield
        except ClientError as error:
            code = error_code(error)
            if code in UNSUPPORTED:
                fact = f"the S3 server has no lifecycle rules: {code}"
                raise StoreRefused(fact, hint="tidy the bucket by other means, see docs/retention.md") from error
            if code in REFUSED:
                raise StoreRefused(f"{action} lifecycle of s3://{bucket} failed: {code}", hint=DENIED) from error
            raise
