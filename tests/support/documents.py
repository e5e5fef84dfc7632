"""Documents in memory, laid out and verified by the package itself: no bucket, no database."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from hashlib import sha256
from typing import Any

import zstandard

from include.disaster_recovery.document import (
    LOCATOR_SIZE,
    ROW_SEPARATOR,
    VALUE_OPENING,
    Layout,
    Locator,
    Manifest,
    Sign,
    closing_text,
    key_text,
    lay_out,
    parse_locator,
    parse_manifest,
    text,
)
from include.disaster_recovery.model import Batch, Snapshot, StagedFragment, StagedSection
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.checker import observe
from include.disaster_recovery.stream.codec import expand, frame, stored_frame
from include.disaster_recovery.table_selection import table_name
from include.disaster_recovery.verification import check_counts, check_rows, check_skeleton

SNAPSHOT = "00000003-0000001B-1"
Rows = Sequence[Mapping[str, Any]]
# A table's rows, fragment by fragment, and in them batch by batch.
Fragments = Sequence[Sequence[Rows]]

MIXED: dict[str, Fragments] = {
    "profiles": [[[{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grüße 🐘"}], [{"id": 3, "name": None}]]],
    "empty": [[]],
    "messages": [[[{"id": 1, "body": "a\nb"}]], [], [[{"id": 2, "body": 'say "hi"'}], [{"id": 3, "body": "\\"}]]],
    "auth.users": [[], [[{"id": "u", "meta": {"n": [1.5, True]}}]]],
}


@dataclass(frozen=True, kw_only=True)
class Built:
    """A document, and everything it was made of."""

    data: bytes
    layout: Layout
    objects: dict[str, bytes]
    fragments: list[StagedFragment]
    compression: Compression
    row_counts: dict[str, int] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        return self.layout.manifest

    def cut(self, offset: int, length: int) -> bytes:
        """A range of the document, decompressed."""
        return standard_tool(self.data[offset : offset + length], self.compression)


def build_document(
    tables: Mapping[str, Fragments] = MIXED,
    compression: Compression = "none",
    *,
    schema: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    sign: Sign = lambda _offset, _body: None,
) -> Built:
    """The document that holds these rows."""
    objects: dict[str, bytes] = {}
    staged = {
        name: _stage_table(objects, name, position, parts, compression)
        for position, (name, parts) in enumerate(tables.items())
    }
    counts = {name: sum(f.rows for f in fragments) for name, fragments in staged.items()}
    sections = [
        _stage_section(objects, "schema", schema or {"enums": {"app_role": ["admin"]}}, compression),
        _stage_section(objects, "edge_functions", {"hello": {"verify_jwt": True}}, compression),
    ]
    layout = lay_out(
        metadata={"version": "2.0", "table_count": len(counts), "row_counts": counts, **(metadata or {})},
        tables=staged,
        sections=sections,
        snapshot=SNAPSHOT,
        writer="test",
        compression=compression,
        frame=partial(frame, compression=compression),
        stored_frame=partial(stored_frame, compression=compression),
        sign=sign,
    )
    data = b"".join(objects[piece.key] if piece.key else piece.data or b"" for piece in layout.pieces)
    fragments = [fragment for parts in staged.values() for fragment in parts]
    return Built(
        data=data,
        layout=layout,
        objects=objects,
        fragments=fragments,
        compression=compression,
        row_counts=counts,
    )


def snapshot_of(*names: str, snapshot_id: str = SNAPSHOT) -> Snapshot:
    """A snapshot of tables of schema public."""
    return Snapshot(
        snapshot_id=snapshot_id,
        backend_pid=1,
        exported_at=datetime(2025, 12, 7, tzinfo=timezone.utc),
        server_version="17.5",
        tables=[table_name("public", name) for name in names],
    )


def standard_tool(data: bytes, compression: Compression) -> bytes:
    """Decompressed by what anybody has, not by this package."""
    if compression == "gzip":
        return gzip.decompress(data) if data else b""
    if compression == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    return data


def read_from_end(data: bytes, compression: Compression) -> tuple[Manifest, Locator]:
    """Manifest and locator, found from the end as a reader of the bucket finds them."""
    tail = len(stored_frame(b" " * LOCATOR_SIZE, compression))
    locator = parse_locator(expand(data[-tail:], compression))
    stored = data[locator.manifest_offset : locator.manifest_offset + locator.manifest_length]
    return parse_manifest(stored, locator, partial(expand, compression=compression)), locator


def findings(data: bytes, built: Built, *, portion: int = 1 << 20) -> list[str]:
    """All that verification finds in these bytes, given the manifest of the document that was built."""
    chunks = (data[at : at + portion] for at in range(0, len(data), portion))
    seen = observe(chunks, built.manifest, len(built.data))
    return [
        *seen.findings,
        *check_skeleton(bytes(seen.skeleton), built.manifest),
        *check_rows(seen.rows, built.manifest),
        *check_counts(built.row_counts, built.manifest),
    ]


def _stage_table(
    objects: dict[str, bytes], name: str, position: int, parts: Fragments, compression: Compression
) -> list[StagedFragment]:
    """What the extracts of a table write, punctuation included."""
    staged, before = [], 0
    total = sum(len(batch) for batches in parts for batch in batches)
    for part, batches in enumerate(parts, start=1):
        key = stored_frame(key_text(name, first=position == 0), compression) if part == 1 else b""
        opening = key + (stored_frame(VALUE_OPENING, compression) if part == 1 else b"")
        texts = [ROW_SEPARATOR.join(map(text, batch)) for batch in batches]
        rows = sum(map(len, batches))
        if rows and before:
            opening += stored_frame(ROW_SEPARATOR, compression)
        stored = frame(ROW_SEPARATOR.join(texts), compression)
        closing = stored_frame(closing_text(total), compression) if part == len(parts) else b""
        before += rows
        staged.append(
            StagedFragment(
                table=name,
                position=position,
                part=part,
                parts=len(parts),
                key=f"staging/{position}-{part}",
                value_at=len(key),
                opening_size=len(opening),
                rows_size=len(stored),
                closing_size=len(closing),
                rows=rows,
                table_rows=total if part == len(parts) else None,
                sha256=sha256(stored).hexdigest(),
                digest=f"{part:016x}",
                batches=[Batch(size=len(t), rows=len(b)) for t, b in zip(texts, batches, strict=True)],
                snapshot_id=SNAPSHOT,
            )
        )
        objects[staged[-1].key] = opening + stored + closing
    return staged


def _stage_section(
    objects: dict[str, bytes], name: str, value: Mapping[str, Any], compression: Compression
) -> StagedSection:
    key, stored = f"staging/{name}", frame(text(value), compression)
    objects[key] = stored
    return StagedSection(
        name=name, key=key, size=len(stored), sha256=sha256(stored).hexdigest(), counts={}, warnings=[]
    )


def loaded(data: bytes, compression: Compression) -> dict[str, Any]:
    """The document as the guide's reader sees it."""
    return json.loads(standard_tool(data, compression))
