"""Reading a document's own description from its end, as with ZIP and Parquet."""

import json
from functools import partial
from hashlib import sha256
from typing import Any

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


def read_section(store: Store, key: str, manifest: Manifest, name: str) -> dict[str, Any]:
    """A section of a stored document (`metadata`, `schema`, `edge_functions`), held against its SHA-256.

    Raises:
        DocumentError: the document has no such section, or its bytes are damaged.
        StoreRefused, StoreUnavailable: a request failed.
    """
    section = manifest.sections.get(name)
    if section is None:
        raise DocumentError(f"{key} has no section {name}", hint="choose another backup key")
    stored = store.read(key, section.offset, section.length)
    if sha256(stored).hexdigest() != section.sha256:
        raise DocumentError(f"{key}: section {name} is damaged: its SHA-256 differs", hint="choose another backup key")
    try:
        found: dict[str, Any] = json.loads(expand(stored, manifest.compression))
    except ValueError as error:
        raise DocumentError(f"{key}: section {name} is malformed: {error}", hint="choose another backup key") from None
    return found
