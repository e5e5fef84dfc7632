"""Assembling one object from staged objects on the server's side."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from include.disaster_recovery.assembly import Part, Slice
from include.disaster_recovery.errors import BackupExists
from include.disaster_recovery.s3.errors import error_code, is_missing, is_precondition, translated
from include.disaster_recovery.s3.store import Store

log = logging.getLogger(__name__)

THREADS = 4
FULL_OBJECT_CHECKSUM: dict[str, Any] = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
_NO_CHECKSUM_SUPPORT = {"NotImplemented", "InvalidRequest", "InvalidArgument", "MethodNotAllowed"}


def compose(
    store: Store,
    key: str,
    parts: Sequence[Part],
    *,
    metadata: Mapping[str, str],
    tags: Mapping[str, str],
    content_type: str,
) -> None:
    """Write one object from planned parts; never over an existing one.

    Raises:
        BackupExists: an object with this key is there already.
        StoreRefused, StoreUnavailable: a request failed; the upload is aborted then.
    """
    upload_id, checksum = _create(store, key, {"Metadata": dict(metadata), "ContentType": content_type}, tags)
    try:
        done = _write_all(store, key, upload_id, parts, checksum)
        _complete(store, key, upload_id, done, checksum)
    except BaseException:
        store.abandon_upload(key, upload_id)
        raise


def _write_all(store: Store, key: str, upload_id: str, parts: Sequence[Part], checksum: bool) -> list[dict[str, Any]]:
    """Write the parts, a few at a time; the first failure cancels those that have not begun."""
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="compose") as pool:
        jobs = [pool.submit(_write, store, key, upload_id, n, part, checksum) for n, part in enumerate(parts, start=1)]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _create(store: Store, key: str, arguments: dict[str, Any], tags: Mapping[str, str]) -> tuple[str, bool]:
    """Open the upload; with a full-object CRC64NVME where the server knows it, with tags where the key may set them."""
    common: dict[str, Any] = {"Bucket": store.bucket, "Key": key, **arguments, **store.encryption.arguments()}
    with translated("POST", store.bucket, key):
        return _open(store, common, {**FULL_OBJECT_CHECKSUM, "Tagging": urlencode(tags)})


def _open(store: Store, common: dict[str, Any], optional: dict[str, Any]) -> tuple[str, bool]:
    try:
        answer = store.client.create_multipart_upload(**common, **optional)
    except ClientError as error:
        if not (refused := _refused(error, optional)):
            raise
        log.warning("%s is written without %s: %s", common["Key"], ", ".join(refused), error_code(error))
        return _open(store, common, {name: value for name, value in optional.items() if name not in refused})
    return answer["UploadId"], "ChecksumType" in optional


def _refused(error: ClientError, optional: Mapping[str, Any]) -> list[str]:
    """Which of the optional arguments the error may be about."""
    code = error_code(error)
    about_tags, about_checksum = code == "AccessDenied", code in _NO_CHECKSUM_SUPPORT
    return [name for name in optional if (about_tags if name == "Tagging" else about_checksum)]


def _write(store: Store, key: str, upload_id: str, number: int, part: Part, checksum: bool) -> dict[str, Any]:
    target: dict[str, Any] = {"Bucket": store.bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
    if part.copied:
        answer = _copy(store, key, target, part.slices[0])
    else:
        body = b"".join(_bytes(store, piece) for piece in part.slices)
        algorithm: dict[str, Any] = {"ChecksumAlgorithm": "CRC64NVME"} if checksum else {}
        with translated(f"PUT part {number} of", store.bucket, key):
            answer = dict(store.client.upload_part(**target, Body=body, **algorithm))
    done = {"PartNumber": number, "ETag": answer["ETag"]}
    if checksum and answer.get("ChecksumCRC64NVME"):
        done["ChecksumCRC64NVME"] = answer["ChecksumCRC64NVME"]
    return done


def _bytes(store: Store, piece: Slice) -> bytes:
    if piece.piece.data is not None:
        return piece.piece.data[piece.start : piece.start + piece.length]
    return store.read(str(piece.piece.key), piece.start, piece.length)


def _copy(store: Store, key: str, target: dict[str, Any], piece: Slice) -> dict[str, Any]:
    source: dict[str, Any] = {"CopySource": {"Bucket": store.bucket, "Key": str(piece.piece.key)}}
    if not piece.is_whole:
        source["CopySourceRange"] = f"bytes={piece.start}-{piece.start + piece.length - 1}"
    with translated(f"COPY {piece.piece.key} into part {target['PartNumber']} of", store.bucket, key):
        return dict(store.client.upload_part_copy(**target, **source)["CopyPartResult"])


def _complete(store: Store, key: str, upload_id: str, parts: list[dict[str, Any]], checksum: bool) -> None:
    kind: dict[str, Any] = {"ChecksumType": "FULL_OBJECT"} if checksum else {}
    with translated("COMPLETE upload of", store.bucket, key):
        try:
            store.client.complete_multipart_upload(
                Bucket=store.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
                IfNoneMatch="*",
                **kind,
            )
        except ClientError as error:
            # A missing upload was completed by a request whose answer was lost, if the object is there.
            if not (is_precondition(error) or (is_missing(error) and store.head(key))):
                raise
            raise BackupExists(
                f"s3://{store.bucket}/{key} exists already", hint="trigger a new backup: it opens under a new key"
            ) from error
