"""One pass over the stored bytes of a document: hashes, row counts and JSON validity, in bounded memory.

Each fragment is hashed and its batches are parsed one by one. Everything around the rows is kept as the skeleton,
the same document with one `null` in place of each non-empty fragment: the document is valid JSON exactly if the
skeleton and all batches are. What the skeleton says is compared with the manifest in `verification`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec
from awscrt.checksums import crc64nvme

from include.disaster_recovery.document import ROW_SEPARATOR, Fragment, Manifest, Section
from include.disaster_recovery.stream.codec import expand_stream
from include.disaster_recovery.stream.feed import Feed, StreamEnded

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(kw_only=True)
class Observation:
    """What the pass saw.

    Attributes:
        size: bytes read.
        crc64nvme: checksum of all bytes read, as an integer.
        rows: rows parsed per table.
        skeleton: the document with `null` for each non-empty fragment.
        findings: what is wrong, naming table and fragment; empty if nothing is.
    """

    size: int = 0
    crc64nvme: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    skeleton: bytearray = field(default_factory=bytearray)
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Range:
    label: str
    entry: Fragment | Section
    table: str | None = None


def observe(chunks: Iterator[bytes], manifest: Manifest, size: int) -> Observation:
    """Read a document of `size` bytes from its first byte to its last.

    Args:
        chunks: the stored bytes in order, in portions of any size.
        manifest: what the document says of itself.
        size: bytes the object has.
    """
    seen = Observation(rows=dict.fromkeys(manifest.tables, 0))
    feed = Feed(_counted(chunks, seen))
    at = 0
    try:
        for each in _ranges(manifest):
            _gap(feed, each.entry.offset - at, manifest, seen)
            _range(feed, each, manifest, seen)
            at = each.entry.offset + each.entry.length
        _gap(feed, size - at, manifest, seen)
        if not feed.at_end():
            seen.findings.append(f"the object is longer than the {size} bytes expected")
    except StreamEnded as end:
        seen.findings.append(f"the object ends {end.missing} bytes early, after {seen.size} bytes")
    return seen


def _counted(chunks: Iterator[bytes], seen: Observation) -> Iterator[bytes]:
    for chunk in chunks:
        seen.size += len(chunk)
        seen.crc64nvme = crc64nvme(chunk, seen.crc64nvme)
        yield chunk


def _ranges(manifest: Manifest) -> list[_Range]:
    found = [_Range(label=f"section {name}", entry=entry) for name, entry in manifest.sections.items()]
    for name, table in manifest.tables.items():
        total = len(table.fragments)
        found += [
            _Range(label=f"table {name}, fragment {number} of {total}", entry=entry, table=name)
            for number, entry in enumerate(table.fragments, start=1)
        ]
    return sorted(found, key=lambda each: (each.entry.offset, each.entry.length))


def _gap(feed: Feed, length: int, manifest: Manifest, seen: Observation) -> None:
    if length < 0:
        raise StreamEnded(-length)
    try:
        for data in expand_stream(map(bytes, feed.take(length)), manifest.compression):
            seen.skeleton += data
    except ValueError as error:
        seen.findings.append(f"bytes between the ranges are damaged: {error}")


def _range(feed: Feed, each: _Range, manifest: Manifest, seen: Observation) -> None:
    digest = sha256()
    hashed = _hashed(feed.take(each.entry.length), digest.update)
    try:
        plain = expand_stream(hashed, manifest.compression)
        if isinstance(each.entry, Fragment):
            _rows(plain, each, each.entry, seen)
        else:
            for data in plain:
                seen.skeleton += data
    except ValueError as error:
        seen.findings.append(f"{each.label}: {error}")
    for _ in hashed:
        pass  # what an early error left unread still counts for the hash
    if digest.hexdigest() != each.entry.sha256:
        seen.findings.append(f"{each.label}: SHA-256 differs from the manifest's")


def _hashed(pieces: Iterator[memoryview], update: object) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)  # type: ignore[operator]
        yield piece  # type: ignore[misc]


def _rows(plain: Iterator[bytes], each: _Range, fragment: Fragment, seen: Observation) -> None:
    feed = Feed(plain)
    try:
        for number, batch in enumerate(fragment.batches):
            if number and feed.take_all(len(ROW_SEPARATOR)) != ROW_SEPARATOR:
                raise ValueError(f"batch {number + 1} is not where the manifest says")
            rows = _parsed(feed.take_all(batch.size), number)
            if rows != batch.rows:
                seen.findings.append(
                    f"{each.label}: batch {number + 1} has {rows} rows, the manifest says {batch.rows}"
                )
            seen.rows[each.table or ""] += rows
    except StreamEnded as end:
        if end.missing:
            raise ValueError(f"rows end {end.missing} bytes early") from None
    if not feed.at_end():
        raise ValueError("there are bytes after the last batch")
    if fragment.rows:
        seen.skeleton += b"null"


def _parsed(batch: bytearray, number: int) -> int:
    """Rows of a batch; msgspec checks the JSON grammar, `decode` that it is UTF-8."""
    try:
        batch.decode("utf-8")
        return len(_ROWS.decode(b"".join((b"[", batch, b"]"))))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"batch {number + 1} is not valid JSON ({error})") from None
