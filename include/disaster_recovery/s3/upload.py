"""Streaming one object of unknown size into the bucket: parts are sent while the next one fills."""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from botocore.exceptions import ClientError
from typing_extensions import Self

from include.disaster_recovery.s3.errors import is_missing, translated
from include.disaster_recovery.s3.store import Store

FIRST_PART = 8 * 1024**2
PARTS_PER_SIZE = 1000  # after each thousand parts the part size doubles: 10,000 parts reach 8 TiB
IN_FLIGHT = 2


class StreamUpload:
    """A writable object. Nothing is visible before `finish`; leaving the block without it aborts.

    Memory: `IN_FLIGHT` parts on their way and one filling, 8 MiB each for the first 8 GiB.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._chunks: list[bytes] = []
        self._filled = 0
        self._upload_id: str | None = None
        self._sent: list[Future[dict[str, Any]]] = []
        self._pool = ThreadPoolExecutor(max_workers=IN_FLIGHT, thread_name_prefix="upload")
        self._done = False
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            StoreRefused, StoreUnavailable: a part could not be written.
        """
        if not data:
            return
        self._chunks.append(data)
        self._filled += len(data)
        self.size += len(data)
        if self._filled >= self._part_size():
            self._send()

    def finish(self) -> None:
        """Make the object visible.

        Raises:
            StoreRefused, StoreUnavailable: it could not be written.
        """
        if self._upload_id is None:
            self._store.put(self._key, self._taken())
        else:
            if self._filled:
                self._send()
            self._complete([sent.result() for sent in self._sent])
        self._done = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if not self._done and self._upload_id is not None:
            self._store.abandon_upload(self._key, self._upload_id)

    def _part_size(self) -> int:
        return FIRST_PART << (len(self._sent) // PARTS_PER_SIZE)

    def _taken(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._filled = [], 0
        return data

    def _send(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._create()
        if len(self._sent) >= IN_FLIGHT:
            self._sent[-IN_FLIGHT].result()  # bounds memory, and brings up a failed part early
        self._sent.append(self._pool.submit(self._send_part, len(self._sent) + 1, self._taken()))

    def _create(self) -> str:
        store = self._store
        with translated("POST", store.bucket, self._key):
            answer = store.client.create_multipart_upload(
                Bucket=store.bucket, Key=self._key, ContentType="application/json", **store.encryption.arguments()
            )
        return answer["UploadId"]

    def _send_part(self, number: int, data: bytes) -> dict[str, Any]:
        store = self._store
        with translated(f"PUT part {number} of", store.bucket, self._key):
            answer = store.client.upload_part(
                Bucket=store.bucket, Key=self._key, UploadId=str(self._upload_id), PartNumber=number, Body=data
            )
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        return part | {
            name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"
        }

    def _complete(self, parts: list[dict[str, Any]]) -> None:
        store = self._store
        with translated("COMPLETE upload of", store.bucket, self._key):
            try:
                store.client.complete_multipart_upload(
                    Bucket=store.bucket,
                    Key=self._key,
                    UploadId=str(self._upload_id),
                    MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
                )
            except ClientError as error:
                if not (is_missing(error) and self._is_there()):
                    raise

    def _is_there(self) -> bool:
        """Whether the upload was completed by a request whose answer was lost; nobody else writes this key."""
        there = self._store.head(self._key)
        return there is not None and there.size == self.size
