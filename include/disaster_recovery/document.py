"""The document format, version 1: its texts, its layout and its manifest. Pure; specified in `docs/format.md`.

{"metadata":{…},                                      head
"tables":{"profiles":{"rows":[                        opening of the first fragment of a table
{…},                                                  rows of the fragment: what its manifest entry ranges over
{…}
],"row_count":2},                                     closing of the last fragment of a table
…},
"schema":{…},"edge_functions":{…},                    sections
"manifest":{…,"locator":{…}}}                         the locator has a fixed size and ends the document
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from include.disaster_recovery.assembly import Piece, inline, staged
from include.disaster_recovery.errors import DocumentError, NewerDocument
from include.disaster_recovery.model import Batch, StagedFragment, StagedSection, Value
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.signing import Signature

FORMAT = "collabhunts-backup"
VERSION = 1
DIGEST_ALGORITHM = "hashtextextended-sum64"
ROW_SEPARATOR = b",\n"

_LOCATOR = ',"locator":{{"manifest_offset":{:>20d},"manifest_length":{:>20d},"manifest_sha256":"{}"}}}}}}\n'
_LOCATOR_PATTERN = re.compile(
    rb',"locator":\{"manifest_offset": *(\d+),"manifest_length": *(\d+),"manifest_sha256":"([0-9a-f]{64})"\}\}\}\n'
)
LOCATOR_SIZE = len(_LOCATOR.format(0, 0, "0" * 64))  # always: 20 digits hold any offset

Frame = Callable[[bytes], bytes]
Sign = Callable[[int, bytes], Signature | None]  # of a manifest: where it stands, its text without the closing brace

Number = Annotated[int, Field(ge=0)]


class Fragment(Value):
    """A manifest entry: where the rows of one fragment stand. Offsets and lengths are bytes of the stored object."""

    offset: Number
    length: Number
    rows: Number
    sha256: str
    digest: str
    batches: list[Batch]


class Table(Value):
    """A manifest entry: where the value of one table stands, and its fragments in order."""

    offset: Number
    length: Number
    row_count: Number
    fragments: list[Fragment] = Field(min_length=1)


class Section(Value):
    """A manifest entry: where the value of `metadata`, `schema` or `edge_functions` stands."""

    offset: Number
    length: Number
    sha256: str


class Locator(Value):
    """The end of a document: where its manifest stands and what it hashes to."""

    manifest_offset: int
    manifest_length: int
    manifest_sha256: str


def _with_metadata(sections: dict[str, Section]) -> dict[str, Section]:
    if "metadata" not in sections:
        raise ValueError("there is no section metadata")
    return sections


class Manifest(Value):
    """A document's description of itself; the signature, where there is one, is the last it says."""

    format: str
    version: int
    writer: str
    compression: Compression
    digest_algorithm: str
    snapshot: str
    sections: Annotated[dict[str, Section], AfterValidator(_with_metadata)]
    tables: dict[str, Table]
    signature: Signature | None = None

    def to_json(self) -> dict[str, Any]:
        """The value as JSON types only; without a signature there is none."""
        return {name: value for name, value in super().to_json().items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A document ready to be assembled: its pieces in order, and what its manifest says."""

    pieces: Sequence[Piece]
    manifest: Manifest
    manifest_sha256: str
    size: int


def text(value: object) -> bytes:
    """A value as compact UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def key_text(name: str, *, first: bool) -> bytes:
    """What stands before the value of a table."""
    return (b"" if first else b",\n") + text(name) + b":"


HEAD = b'{"metadata":'
TABLES_OPENING = b',\n"tables":{'
VALUE_OPENING = b'{"rows":[\n'
TABLES_CLOSING = b"}"


def closing_text(row_count: int) -> bytes:
    """What ends the value of a table."""
    return b'\n],"row_count":%d}' % row_count


def section_key(name: str) -> bytes:
    """What stands before the value of a section behind the tables."""
    return b",\n" + text(name) + b":"


def locator_text(manifest_offset: int, manifest_length: int, manifest_sha256: str) -> bytes:
    """The end of a document."""
    return _LOCATOR.format(manifest_offset, manifest_length, manifest_sha256).encode()


class _Writer:
    """Appends pieces and knows where it stands."""

    def __init__(self, frame: Frame, stored_frame: Frame) -> None:
        self.frame = frame
        self.stored_frame = stored_frame
        self.pieces: list[Piece] = []
        self.at = 0

    def raw(self, data: bytes) -> int:
        offset = self.at
        self.pieces.append(inline(data))
        self.at += len(data)
        return offset

    def punctuation(self, data: bytes) -> None:
        self.raw(self.stored_frame(data))

    def section(self, value: bytes) -> Section:
        stored = self.frame(value)
        return Section(offset=self.raw(stored), length=len(stored), sha256=sha256(stored).hexdigest())

    def staged(self, key: str, size: int) -> int:
        offset = self.at
        if size:
            self.pieces.append(staged(key, size))
        self.at += size
        return offset


def lay_out(
    *,
    metadata: Mapping[str, Any],
    tables: Mapping[str, Sequence[StagedFragment]],
    sections: Sequence[StagedSection],
    snapshot: str,
    writer: str,
    compression: Compression,
    frame: Frame,
    stored_frame: Frame,
    sign: Sign = lambda _offset, _body: None,
) -> Layout:
    """Lay out a document.

    Args:
        metadata: the `metadata` section.
        tables: the fragments of each table, in document order.
        sections: the staged sections, in document order.
        snapshot: id of the snapshot everything was read from.
        writer: version of the software that writes.
        compression: how frames are compressed, for the manifest.
        frame: makes one frame of bytes; used for values.
        stored_frame: the same, uncompressed and the same everywhere; used for punctuation and locator.
        sign: signs the manifest.
    """
    out = _Writer(frame, stored_frame)
    out.punctuation(HEAD)
    placed = {"metadata": out.section(text(metadata))}
    out.punctuation(TABLES_OPENING)
    placed_tables = {name: _place_table(out, fragments) for name, fragments in tables.items()}
    out.punctuation(TABLES_CLOSING)
    for section in sections:
        out.punctuation(section_key(section.name))
        offset = out.staged(section.key, section.size)
        placed[section.name] = Section(offset=offset, length=section.size, sha256=section.sha256)
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        writer=writer,
        compression=compression,
        digest_algorithm=DIGEST_ALGORITHM,
        snapshot=snapshot,
        sections=placed,
        tables=placed_tables,
    )
    return _finish(out, manifest, sign)


def _finish(out: _Writer, manifest: Manifest, sign: Sign) -> Layout:
    out.punctuation(section_key("manifest"))
    said = text(manifest.to_json())[:-1]  # without its closing brace: the locator brings it
    if signature := sign(out.at, said):
        manifest, said = manifest.model_copy(update={"signature": signature}), said + signature.in_manifest()
    body = out.section(said)
    out.punctuation(locator_text(body.offset, body.length, body.sha256))
    return Layout(pieces=out.pieces, manifest=manifest, manifest_sha256=body.sha256, size=out.at)


def _place_table(out: _Writer, fragments: Sequence[StagedFragment]) -> Table:
    value_at, placed = out.at + fragments[0].value_at, []
    for fragment in fragments:
        offset = out.staged(fragment.key, fragment.size) + fragment.opening_size
        placed.append(
            Fragment(
                offset=offset,
                length=fragment.rows_size,
                rows=fragment.rows,
                sha256=fragment.sha256,
                digest=fragment.digest,
                batches=fragment.batches,
            )
        )
    rows = sum(fragment.rows for fragment in fragments)
    return Table(offset=value_at, length=out.at - value_at, row_count=rows, fragments=placed)


def parse_locator(tail: bytes) -> Locator:
    """Read the locator from the decompressed end of a document.

    Raises:
        DocumentError: there is none, as the document is truncated or none of ours.
    """
    match = _LOCATOR_PATTERN.fullmatch(tail)
    if not match:
        raise DocumentError(
            "the object does not end with a locator: it is truncated, or no CollabHunts backup",
            hint="choose another backup key; verify tells which backups are whole",
        )
    offset, length, digest = match.groups()
    return Locator(manifest_offset=int(offset), manifest_length=int(length), manifest_sha256=digest.decode())


def parse_manifest(stored: bytes, locator: Locator, expand: Callable[[bytes], bytes]) -> Manifest:
    """Read the manifest from its stored bytes.

    Raises:
        DocumentError: the bytes do not hash to what the locator says, or are no manifest.
        NewerDocument: this version cannot read them.
    """
    if sha256(stored).hexdigest() != locator.manifest_sha256:
        raise DocumentError(
            "the manifest is damaged: its SHA-256 differs from the locator's", hint="choose another backup"
        )
    try:
        content = json.loads(expand(stored) + b"}")
        _check_version(content)
        return Manifest.model_validate(content)
    except (ValidationError, ValueError) as error:
        wrong = f"{error.error_count()} wrong value(s)" if isinstance(error, ValidationError) else str(error)
        raise DocumentError(f"the manifest is malformed: {wrong}", hint="choose another backup") from None


def _check_version(content: dict[str, Any]) -> None:
    found, version = content.get("format"), content.get("version")
    if found != FORMAT or not isinstance(version, int) or not 1 <= version <= VERSION:
        is_newer = found == FORMAT and isinstance(version, int) and version > VERSION
        raise (NewerDocument if is_newer else DocumentError)(
            f"the document is {found!r} version {version}, this software reads {FORMAT!r} up to version {VERSION}",
            hint="use the version of this package that wrote it, or a newer one",
        )
