"""Reading a document's own description from its end, as with ZIP and Parquet; what contradicts itself is refused."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import Any

from include.disaster_recovery.backup_key import compression_of
from include.disaster_recovery.document import (
    LOCATOR_SIZE,
    ROW_SEPARATOR,
    Fragment,
    Locator,
    Manifest,
    Table,
    parse_locator,
    parse_manifest,
)
from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.codec import expand, expand_stream, stored_frame

IN_METADATA = "manifest-sha256"  # under which an object of ours names its manifest, in the metadata of S3
LARGEST_DESCRIPTION = 256 * 1024**2  # bytes of a manifest or section: that of 8 TB of rows, and what fits into memory
LARGEST_BATCH = 1024**3 - 1  # MaxAllocSize: no value that Postgres takes is larger
_SHA256, _DIGEST = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{16}")


def read_manifest(store: Store, key: str, size: int) -> tuple[Manifest, str]:
    """The manifest of a stored document, and the SHA-256 its locator gives for it.

    Args:
        key: the backup key; its suffix tells the compression.
        size: bytes of the object.

    Raises:
        DocumentError: the document is truncated, foreign, damaged or contradicts itself.
        NewerDocument: it is of a newer version.
        SignatureRefused: it is not signed as the store's keyring asks.
        StoreRefused, StoreUnavailable: a request failed.
    """
    compression = compression_of(key)
    tail = min(size, len(stored_frame(b" " * LOCATOR_SIZE, compression)))
    with _reading(f"{key} cannot be read from its end"):
        locator = _locator(store.read(key, size - tail, tail), compression)
        if (end := locator.manifest_offset + locator.manifest_length) != size - tail:
            wrong = (
                f"{end - size + tail} bytes are missing" if end > size - tail else f"{size - tail - end} are too many"
            )
            raise ValueError(f"the manifest should end at {size - tail}, where the locator is, not at {end}: {wrong}")
        stored = _read(store, key, locator.manifest_offset, locator.manifest_length)
        manifest = parse_manifest(stored, locator, partial(_expanded, compression=compression))
        _check_places(manifest, locator)
        for name, table in manifest.tables.items():
            _check_table(name, table, manifest.compression)
    store.keyring().require_signed(
        key, manifest.signature, locator.manifest_offset, lambda: _expanded(stored, compression)
    )
    return manifest, locator.manifest_sha256


def read_displaced(store: Store, key: str, size: int) -> Manifest | None:
    """The manifest of a document in which bytes are missing or too many before it; None where there is none.

    It still stands before the locator, and hashes to what that says; its ranges are those that were written.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    compression = compression_of(key)
    tail = min(size, len(stored_frame(b" " * LOCATOR_SIZE, compression)))
    with suppress(DocumentError, ValueError, RecursionError):
        locator = _locator(store.read(key, size - tail, tail), compression)
        start = size - tail - locator.manifest_length
        if start >= 0 and start != locator.manifest_offset:
            stored = _read(store, key, start, locator.manifest_length)
            return parse_manifest(stored, locator, partial(_expanded, compression=compression))
    return None


def read_section(store: Store, key: str, manifest: Manifest, name: str) -> dict[str, Any]:
    """A section of a stored document (`metadata`, `schema`, `edge_functions`), held against its SHA-256.

    Raises:
        DocumentError: the document has no such section, or its bytes are damaged.
        StoreRefused, StoreUnavailable: a request failed.
    """
    section = manifest.sections.get(name)
    if section is None:
        raise DocumentError(f"{key} has no section {name}", hint="choose another backup key")
    with _reading(f"{key}: section {name} cannot be read"):
        stored = _read(store, key, section.offset, section.length)
        if sha256(stored).hexdigest() != section.sha256:
            raise ValueError("it is damaged: its SHA-256 differs from the manifest's")
        found = json.loads(_expanded(stored, manifest.compression))
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - about the document, not an argument
    return found


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Say which document, whatever is wrong with it; one nested too deeply for a parser is malformed too."""
    try:
        yield
    except DocumentError as error:
        raise type(error)(f"{what}: {error.fact}", hint=error.hint) from None
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{what}: {error}", hint="choose another backup key") from None


def _locator(stored: bytes, compression: Compression) -> Locator:
    """The locator in the last bytes; a document that was cut inside a frame has none either."""
    try:
        plain = expand(stored, compression)
    except ValueError:
        plain = b""
    return parse_locator(plain)


def _read(store: Store, key: str, offset: int, length: int) -> bytes:
    if length > LARGEST_DESCRIPTION:
        raise ValueError(f"it would be {length} bytes long, at most {LARGEST_DESCRIPTION} are read")
    return store.read(key, offset, length)


def _expanded(stored: bytes, compression: Compression) -> bytes:
    """All frames of a range; not more than fits into memory, however well it is compressed."""
    found = bytearray()
    for piece in expand_stream(iter((stored,)), compression):
        found += piece
        if len(found) > LARGEST_DESCRIPTION:
            raise ValueError(f"it expands to more than {LARGEST_DESCRIPTION} bytes")
    return bytes(found)


def _check_places(manifest: Manifest, locator: Locator) -> None:
    """No range lies beyond the manifest or inside another, fragments lie inside their table and in their order."""
    ranges = [(each.offset, each.length, f"section {name}") for name, each in manifest.sections.items()]
    for name, table in manifest.tables.items():
        own = [(each.offset, each.length, f"table {name}, fragment {n}") for n, each in enumerate(table.fragments, 1)]
        _apart([(table.offset, 0, f"table {name}"), *own, (table.offset + table.length, 0, f"the end of table {name}")])
        ranges.append((table.offset, table.length, f"table {name}"))
    _apart([*sorted(ranges), (locator.manifest_offset, locator.manifest_length, "the manifest")])


def _apart(ranges: list[tuple[int, int, str]]) -> None:
    for (offset, length, before), (start, _, after) in pairwise(ranges):
        if offset + length > start:
            raise ValueError(f"the manifest says that {before} ends at {offset + length} and {after} begins at {start}")


def _check_table(name: str, table: Table, compression: Compression) -> None:
    """Fragments, batches and rows add up."""
    for number, fragment in enumerate(table.fragments, 1):
        if wrong := _contradiction(fragment, compression):
            raise ValueError(f"the manifest contradicts itself about table {name}, fragment {number}: {wrong}")
    rows = sum(fragment.rows for fragment in table.fragments)
    if rows != table.row_count:
        raise ValueError(f"the manifest gives table {name} {table.row_count} rows, its fragments have {rows}")


def _contradiction(fragment: Fragment, compression: Compression) -> str | None:
    sizes, rows = [batch.size for batch in fragment.batches], [batch.rows for batch in fragment.batches]
    if not (_SHA256.fullmatch(fragment.sha256) and _DIGEST.fullmatch(fragment.digest)):
        return "its hashes are none"
    if _impossible(sizes, rows):
        return "its batches have impossible sizes"
    if sum(rows) != fragment.rows:
        return f"its batches have {sum(rows)} rows, not {fragment.rows}"
    length = sum(sizes) + len(ROW_SEPARATOR) * max(0, len(sizes) - 1)
    if compression == "none" and length != fragment.length:
        return f"its batches are {length} bytes, not {fragment.length}"
    return None


def _impossible(sizes: list[int], rows: list[int]) -> bool:
    """A row is at least `{}`; a batch has rows and fits into Postgres."""
    return any(
        not 1 <= count <= size // len("{}") or size > LARGEST_BATCH for size, count in zip(sizes, rows, strict=True)
    )
