"""One pass over the stored bytes of a document: hashes, row counts and JSON validity, in bounded memory.

No byte goes unchecked. Each fragment and section is held against its SHA-256, the manifest's own body against the
locator, and everything between them, frame headers included, against the exact bytes that `verification.places`
gives. The batches of a fragment are parsed one by one; everything around the rows is kept as the skeleton, the same
document with one `null` in place of each non-empty fragment: the document is valid JSON exactly if the skeleton and
all batches are. What the skeleton says is compared with the manifest in `verification`.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec
from awscrt.checksums import crc64nvme

from include.disaster_recovery.document import (
    LOCATOR_SIZE,
    ROW_SEPARATOR,
    VALUE_OPENING,
    Fragment,
    Manifest,
    closing_text,
    locator_text,
)
from include.disaster_recovery.stream.codec import expand_stream, stored_frame
from include.disaster_recovery.stream.feed import Feed, StreamEnded
from include.disaster_recovery.verification import Place, places

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
DEEPEST = 20_000  # levels; Postgres itself gives up at about a third of that (max_stack_depth, 2 MB)


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


class _Unreadable(Exception):
    """There is no use in reading on: the object has ended, or the manifest's ranges are not where they must be."""


def observe(chunks: Iterator[bytes], manifest: Manifest, size: int) -> Observation:
    """Read a document of `size` bytes from its first byte to its last.

    Args:
        chunks: the stored bytes in order, in portions of any size.
        manifest: what the document says of itself.
        size: bytes the object has.
    """
    seen = Observation(rows=dict.fromkeys(manifest.tables, 0), findings=_table_ranges(manifest))
    counted = _counted(chunks, seen)
    try:
        _Pass(Feed(counted), manifest, size, seen).run()
    except _Unreadable as reason:
        seen.findings.append(str(reason))
    for _ in counted:
        pass  # size and checksum are those of the whole object
    if seen.size != size:
        seen.findings.append(f"the object has {seen.size} bytes, {size} were expected")
    return seen


def _counted(chunks: Iterator[bytes], seen: Observation) -> Iterator[bytes]:
    for chunk in chunks:
        seen.size += len(chunk)
        seen.crc64nvme = crc64nvme(chunk, seen.crc64nvme)
        yield chunk


def _table_ranges(manifest: Manifest) -> list[str]:
    """Tables whose range is not exactly their value; the pass itself goes by the ranges of the fragments."""
    opening = len(stored_frame(VALUE_OPENING, manifest.compression))
    findings = []
    for name, table in manifest.tables.items():
        first, last = table.fragments[0], table.fragments[-1]
        closing = len(stored_frame(closing_text(table.row_count), manifest.compression))
        if (table.offset, table.offset + table.length) != (first.offset - opening, last.offset + last.length + closing):
            findings.append(f"table {name}: the manifest's range is not the table's value")
    return findings


class _Pass:
    """The reading position in a document, and what is learnt on the way."""

    def __init__(self, feed: Feed, manifest: Manifest, size: int, seen: Observation) -> None:
        self.feed, self.manifest, self.size, self.seen = feed, manifest, size, seen
        self.at = 0

    def run(self) -> None:
        behind = ""
        for place in places(self.manifest):
            self._punctuation(place.punctuation, f"before {place.label}{behind}")
            behind = f" (behind {place.label})"
            if place.entry is None:
                self._manifest(place)
            else:
                self._value(place)

    def _punctuation(self, texts: tuple[bytes, ...], where: str) -> None:
        wanted = b"".join(stored_frame(text, self.manifest.compression) for text in texts)
        if self._exactly(len(wanted), where) != wanted:
            self.seen.findings.append(f"the bytes {where} are damaged")
        self.seen.skeleton += b"".join(texts)

    def _exactly(self, length: int, where: str) -> bytearray:
        try:
            data = self.feed.take_all(length)
        except StreamEnded as end:
            raise _Unreadable(f"the object ends {end.missing} bytes early {where}") from None
        self.at += length
        return data

    def _value(self, place: Place) -> None:
        entry = place.entry
        assert entry is not None  # noqa: S101 # nosec B101
        if entry.offset != self.at:
            raise _Unreadable(f"{place.label}: the manifest says byte {entry.offset}, it must begin at {self.at}")
        if self._range(place, entry.length) != entry.sha256:
            self.seen.findings.append(f"{place.label}: SHA-256 differs from the manifest's")

    def _manifest(self, place: Place) -> None:
        """The manifest has no entry for itself: it ends where the locator begins, which says the rest."""
        start = self.at
        length = self.size - start - len(stored_frame(b" " * LOCATOR_SIZE, self.manifest.compression))
        if length < 0:
            raise _Unreadable(f"the object of {self.size} bytes has no room for {place.label}")
        digest = self._range(place, length)
        self._punctuation((locator_text(start, length, digest),), f"behind {place.label}")

    def _range(self, place: Place, length: int) -> str:
        """Read a range to its end, whatever is in it; its SHA-256."""
        digest = sha256()
        pieces = self.feed.take(length)
        plain = expand_stream(_hashed(pieces, digest.update, place), self.manifest.compression)
        try:
            if isinstance(place.entry, Fragment):
                self._rows(Feed(plain), place, place.entry)
            else:
                for data in plain:
                    self.seen.skeleton += data
        except ValueError as error:
            self.seen.findings.append(f"{place.label}: {error}")
        for _ in _hashed(pieces, digest.update, place):
            pass  # what an early error left unread still counts for the hash
        self.at += length
        return digest.hexdigest()

    def _rows(self, feed: Feed, place: Place, fragment: Fragment) -> None:
        if fragment.rows:
            self.seen.skeleton += b"null"
        rows = 0
        for number, batch in enumerate(fragment.batches, start=1):
            found = _parsed(_batch(feed, batch.size, number), number)
            if found != batch.rows:
                self.seen.findings.append(
                    f"{place.label}: batch {number} has {found} rows, the manifest says {batch.rows}"
                )
            rows += found
        self.seen.rows[place.table] += rows
        if rows != fragment.rows:
            self.seen.findings.append(f"{place.label}: {rows} rows were read, the manifest says {fragment.rows}")
        if not feed.at_end():
            raise ValueError("there are bytes after the last batch")


def _hashed(pieces: Iterator[memoryview], update: Callable[[memoryview], None], place: Place) -> Iterator[bytes]:
    try:
        for piece in pieces:
            update(piece)
            yield bytes(piece)
    except StreamEnded as end:
        raise _Unreadable(f"{place.label}: the object ends {end.missing} bytes early") from None


def _batch(feed: Feed, size: int, number: int) -> bytearray:
    try:
        if number > 1 and feed.take_all(len(ROW_SEPARATOR)) != ROW_SEPARATOR:
            raise ValueError(f"batch {number} is not where the manifest says")
        return feed.take_all(size)
    except StreamEnded as end:
        raise ValueError(f"rows end {end.missing} bytes early, in batch {number}") from None


def _parsed(batch: bytearray, number: int) -> int:
    """Rows of a batch; msgspec checks the JSON grammar, `decode` that it is UTF-8."""
    try:
        batch.decode("utf-8")
        return len(_decoded(b"".join((b"[", batch, b"]"))))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"batch {number} is not valid JSON ({error})") from None


def _decoded(rows: bytes) -> list[msgspec.Raw]:
    """The rows, one by one; values nested deeper than Python's usual limit get a higher one."""
    try:
        return _ROWS.decode(rows)
    except RecursionError:
        usual = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST)
    try:
        return _ROWS.decode(rows)
    except RecursionError:
        raise ValueError(f"a value is nested deeper than {DEEPEST} levels") from None
    finally:
        sys.setrecursionlimit(usual)
