"""Reading a document's own description from its end, as with ZIP and Parquet."""

from functools import partial

from include.disaster_recovery.backup_key import compression_of
from include.disaster_recovery.document import LOCATOR_SIZE, Manifest, parse_locator, parse_manifest
from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.stream.codec import expand, stored_frame


def read_manifest(store: Store, key: str, size: int) -> tuple[Manifest, str]:
    """The manifest of a stored document, and the SHA-256 its locator gives for it.

    Args:
        key: the backup key; its suffix tells the compression.
        size: bytes of the object.

    Raises:
        DocumentError: the document is truncated, foreign, damaged or of a newer version.
        StoreRefused, StoreUnavailable: a request failed.
    """
    compression = compression_of(key)
    tail = min(size, len(stored_frame(b" " * LOCATOR_SIZE, compression)))
    try:
        locator = parse_locator(expand(store.read(key, size - tail, tail), compression))
        if locator.manifest_offset + locator.manifest_length > size:
            raise ValueError("the manifest would lie beyond the end")  # noqa: TRY301
        stored = store.read(key, locator.manifest_offset, locator.manifest_length)
        return parse_manifest(stored, locator, partial(expand, compression=compression)), locator.manifest_sha256
    except ValueError as error:
        raise DocumentError(f"{key} cannot be read from its end: {error}", hint="choose another backup key") from None
