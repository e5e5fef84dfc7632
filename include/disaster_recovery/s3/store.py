"""The bucket: small objects, ranged reads, listings. Takes a boto3 client, knows no Airflow."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from include.disaster_recovery.errors import DisasterRecoveryError, StoreRefused, StoreUnavailable
from include.disaster_recovery.s3.errors import is_missing, is_precondition, translated
from include.disaster_recovery.signing import Keyring, no_keys

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

log = logging.getLogger(__name__)

READ_SIZE = 8 * 1024**2
READ_AHEAD = 2  # portions: one connection to S3 gives about 80 MB/s, less than a reader takes
READ_TRIES = 3
DELETE_LIMIT = 1000  # keys of one DeleteObjects request, Amazon S3 API reference


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What the bucket says of an object. `checksum` is its full-object CRC64NVME in base64, where there is one.

    `locked_until` and `has_legal_hold` are of Object Lock, as far as the key may see them.
    """

    key: str
    size: int
    modified: datetime
    metadata: dict[str, str]
    sse: str | None
    checksum: str | None
    locked_until: datetime | None = None
    has_legal_hold: bool = False


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """Server-side encryption of every object written."""

    algorithm: str | None = None
    kms_key_id: str | None = None

    def arguments(self) -> dict[str, Any]:
        """As arguments of PutObject and CreateMultipartUpload."""
        wanted = {"ServerSideEncryption": self.algorithm, "SSEKMSKeyId": self.kms_key_id}
        return {name: value for name, value in wanted.items() if value}


@dataclass(frozen=True, kw_only=True)
class Store:
    """One bucket behind one client: how its objects are encrypted, and by whom its documents must be signed.

    The keys are asked for by those only who read or write a document.
    """

    client: "S3Client"
    bucket: str
    encryption: Encryption = Encryption()
    keyring: Callable[[], Keyring] = no_keys

    def head(self, key: str) -> StoredObject | None:
        """What the bucket says of an object; None if there is none.

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        with translated("HEAD", self.bucket, key):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return StoredObject(
            key=key,
            size=answer["ContentLength"],
            modified=answer["LastModified"],
            metadata=answer.get("Metadata", {}),
            sse=answer.get("ServerSideEncryption"),
            checksum=answer.get("ChecksumCRC64NVME"),
            locked_until=answer.get("ObjectLockRetainUntilDate"),
            has_legal_hold=answer.get("ObjectLockLegalHoldStatus") == "ON",
        )

    def put(self, key: str, data: bytes, *, content_type: str = "application/json") -> None:
        """Write a small object.

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        with translated("PUT", self.bucket, key):
            self._put(key, data, ContentType=content_type)

    def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless one with this key exists; whether it was written.

        Raises:
            StoreRefused, StoreUnavailable: the request failed otherwise.
        """
        with translated("PUT", self.bucket, key):
            try:
                self._put(key, data, IfNoneMatch="*")
            except ClientError as error:
                if is_precondition(error):
                    return False
                raise
        return True

    def _put(self, key: str, data: bytes, **more: Any) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data, **more, **self.encryption.arguments())

    def read(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. A short answer is tried again: boto3 lets some pass in silence.

        Raises:
            StoreRefused, StoreUnavailable: the request failed, or stayed short.
        """
        if length == 0:
            return b""
        problem = ""
        for _ in range(READ_TRIES):
            try:
                data = self._read_once(key, start, length)
            except (HTTPClientError, BotoCoreError, StoreUnavailable) as error:
                problem = str(error)
                continue
            if len(data) == length:
                return data
            problem = f"{len(data)} bytes arrived"
        raise StoreUnavailable(
            f"GET s3://{self.bucket}/{key} bytes {start}+{length} failed {READ_TRIES} times: {problem}",
            hint="check the S3 server and the network between",
        )

    def _read_once(self, key: str, start: int, length: int) -> bytes:
        with translated("GET", self.bucket, key):
            wanted = f"bytes={start}-{start + length - 1}"
            return self.client.get_object(Bucket=self.bucket, Key=key, Range=wanted)["Body"].read()

    def stream(self, key: str, start: int, length: int, *, portion: int = READ_SIZE) -> Iterator[bytes]:
        """The bytes of a range in order, read by ranged GETs, `READ_AHEAD` of them ahead of the one in hand.

        Raises:
            StoreRefused, StoreUnavailable: a request failed.
        """
        bounds = [(at, min(portion, start + length - at)) for at in range(start, start + length, portion)]
        with ThreadPoolExecutor(max_workers=READ_AHEAD) as ahead:
            waiting = deque(ahead.submit(self.read, key, *bound) for bound in bounds[:READ_AHEAD])
            for bound in [*bounds[READ_AHEAD:], *[None] * READ_AHEAD]:
                data = waiting.popleft().result() if waiting else b""
                if bound:
                    waiting.append(ahead.submit(self.read, key, *bound))
                if data:
                    yield data

    def keys(self, prefix: str) -> list[str]:
        """All keys below a prefix, sorted (some servers list in another order).

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        return list(self.sizes(prefix))

    def sizes(self, prefix: str) -> dict[str, int]:
        """All keys below a prefix with their bytes, in the order of the keys.

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        return {entry["Key"]: entry["Size"] for entry in self._listed(prefix)}

    def moments(self, prefix: str) -> dict[str, datetime]:
        """All keys below a prefix with when they were written last, by the server's clock, in the order of the keys.

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        return {entry["Key"]: entry["LastModified"] for entry in self._listed(prefix)}

    def _listed(self, prefix: str) -> list["ObjectTypeDef"]:
        with translated("LIST", self.bucket, prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return sorted(
                (entry for page in pages for entry in page.get("Contents", [])), key=lambda entry: entry["Key"]
            )

    def delete(self, keys: Iterable[str]) -> int:
        """Delete objects; returns how many.

        Raises:
            StoreRefused: the server kept some of them.
            StoreUnavailable: the request failed.
        """
        wanted = list(keys)
        for at in range(0, len(wanted), DELETE_LIMIT):
            objects = [{"Key": key} for key in wanted[at : at + DELETE_LIMIT]]
            with translated("DELETE", self.bucket):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})  # type: ignore[typeddict-item]
            for error in answer.get("Errors", []):
                raise StoreRefused(
                    f"DELETE s3://{self.bucket}/{error.get('Key')} failed: {error.get('Code')}",
                    hint="grant the connection's key s3:DeleteObject on this prefix",
                )
        return len(wanted)

    def abort_uploads(self, prefix: str) -> int:
        """Abort the unfinished multipart uploads below a prefix; returns how many.

        Raises:
            StoreRefused, StoreUnavailable: a request failed.
        """
        uploads = self.uploads(prefix)
        for key, upload_id in uploads:
            self.abort_upload(key, upload_id)
        return len(uploads)

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        """Key and id of every unfinished multipart upload below a prefix.

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        with translated("LIST uploads of", self.bucket, prefix):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            return [(each["Key"], each["UploadId"]) for page in pages for each in page.get("Uploads", [])]

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort one multipart upload; one that is gone already is no error.

        Raises:
            StoreRefused, StoreUnavailable: the request failed.
        """
        with translated("ABORT upload of", self.bucket, key):
            try:
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if not is_missing(error):
                    raise

    def abandon_upload(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload after an error, which a failing abort must not hide."""
        try:
            self.abort_upload(key, upload_id)
        except DisasterRecoveryError as error:
            log.warning("the unfinished upload of %s stays until it is removed as an orphan: %s", key, error.fact)

    def probe_upload(self, key: str) -> None:
        """Open a multipart upload and abort it: tells whether the key may be written without ever writing it.

        Raises:
            StoreRefused, StoreUnavailable: it may not, or the request failed.
        """
        with translated("POST", self.bucket, key):
            answer = self.client.create_multipart_upload(Bucket=self.bucket, Key=key, **self.encryption.arguments())
        self.abort_upload(key, answer["UploadId"])
        for opened in self.uploads(key):  # by a first request whose answer was lost: boto3 asks again
            self.abort_upload(*opened)
