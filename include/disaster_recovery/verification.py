"""Whether what was read back from the bucket is the backup that was written. Pure decisions, each with its reason."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from include.disaster_recovery.backup_key import timestamp
from include.disaster_recovery.backup_record import Verification
from include.disaster_recovery.document import (
    HEAD,
    ROW_SEPARATOR,
    TABLES_CLOSING,
    TABLES_OPENING,
    VALUE_OPENING,
    Fragment,
    Manifest,
    Section,
    closing_text,
    key_text,
    section_key,
)
from include.disaster_recovery.model import Value, Verdict

TOP_LEVEL = ["metadata", "tables", "schema", "edge_functions", "manifest"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A range of a document, and the punctuation before it: texts, each a stored frame of its own.

    `entry` is None for the manifest, which comes last. `table` is set for fragments.
    """

    punctuation: tuple[bytes, ...]
    label: str
    entry: Fragment | Section | None
    table: str = ""


def places(manifest: Manifest) -> Iterator[Place]:
    """Everything a document with this manifest consists of, in order, up to the locator."""
    yield Place(punctuation=(HEAD,), label="section metadata", entry=manifest.sections["metadata"])
    before: tuple[bytes, ...] = (TABLES_OPENING,)
    for name, table in manifest.tables.items():
        before += (key_text(name, first=before == (TABLES_OPENING,)), VALUE_OPENING)
        some = False
        for number, entry in enumerate(table.fragments, start=1):
            before += (ROW_SEPARATOR,) if some and entry.rows else ()
            label = f"table {name}, fragment {number} of {len(table.fragments)}"
            yield Place(punctuation=before, label=label, entry=entry, table=name)
            before, some = (), some or entry.rows > 0
        before = (closing_text(table.row_count),)
    before += (TABLES_CLOSING,)
    for name, section in manifest.sections.items():
        if name != "metadata":
            yield Place(punctuation=(*before, section_key(name)), label=f"section {name}", entry=section)
            before = ()
    yield Place(punctuation=(*before, section_key("manifest")), label="the manifest", entry=None)


def check_skeleton(skeleton: bytes, manifest: Manifest) -> list[str]:
    """Findings about everything around the rows: the document with one `null` for each non-empty fragment."""
    try:
        document = json.loads(skeleton)
    except ValueError as error:
        return [f"the document is not valid JSON around its rows: {error}"]
    if list(document) != TOP_LEVEL:
        return [f"the document's sections are {list(document)}, not {TOP_LEVEL}"]
    return [
        *_manifest(document["manifest"], manifest),
        *_tables(document, manifest),
        *_metadata(document["metadata"], manifest),
    ]


def check_rows(seen: Mapping[str, int], manifest: Manifest) -> list[str]:
    """Findings about the rows parsed per table."""
    return [
        f"table {name}: {seen.get(name, 0)} rows were read back, the manifest says {table.row_count}"
        for name, table in manifest.tables.items()
        if seen.get(name, 0) != table.row_count or sum(f.rows for f in table.fragments) != table.row_count
    ]


def check_counts(expected: Mapping[str, int], manifest: Manifest) -> list[str]:
    """Findings about the manifest against the database's own counts in the snapshot."""
    names = sorted({*expected, *manifest.tables})
    counted = {name: table.row_count for name, table in manifest.tables.items()}
    return [
        f"table {name}: the manifest says {counted.get(name)} rows, the snapshot has {expected.get(name)}"
        for name in names
        if counted.get(name) != expected.get(name)
    ]


class Known(Value):
    """What is on record of a document elsewhere than in its own bytes; None where nothing is.

    `where` is the record, for people. `checksum` as in `Verdict`, `sse` the encryption it was written with.
    """

    where: str
    size: int | None = None
    checksum: str | None = None
    manifest_sha256: str | None = None
    row_counts: dict[str, int] | None = None
    sse: str | None = None


def check_record(known: Known, *, size: int, checksum: str | None, sse: str | None) -> list[str]:
    """Findings about an object against what is on record of it."""
    findings = []
    if known.size not in (None, size):
        findings.append(f"the object has {size} bytes, {known.where} says {known.size}")
    if known.checksum and checksum and known.checksum != checksum:
        findings.append(f"the checksum is {checksum}, {known.where} says {known.checksum}")
    if known.sse not in (None, sse):
        findings.append(f"the object is encrypted with {sse}, it was to be written with {known.sse}")
    return findings


def check_manifest(known: Known, manifest: Manifest, manifest_sha256: str) -> list[str]:
    """Findings about a manifest against what is on record of it: a sound document may still be another one."""
    if known.manifest_sha256 not in (None, manifest_sha256):
        return [f"the manifest is sound, but not the one that was written: {known.where} has another SHA-256 of it"]
    return check_counts(known.row_counts, manifest) if known.row_counts is not None else []


def is_of_key(key: str, metadata: Mapping[str, Any]) -> bool:
    """Whether a document was written under this key, by the moment that its own metadata gives."""
    try:
        opened = timestamp(datetime.fromisoformat(metadata["created_at"]))
    except (KeyError, TypeError, ValueError):
        return False
    return f"collabhunts-backup-{opened}." in key


def as_verification(verdict: Verdict) -> Verification:
    """A verdict on an object that is there, as the bucket takes it: its first finding only."""
    return Verification(
        state="valid" if verdict.valid else "invalid",
        depth=verdict.depth,
        at=verdict.checked_at,
        finding=next(iter(verdict.findings), ""),
    )


def standing(earlier: Verdict | None, later: Verdict) -> Verdict:
    """What the history says after another verification: a quick look leaves what a full reading has found."""
    if earlier is None or "missing" in (earlier.state, later.state):
        return later
    if as_verification(earlier).is_superseded_by(as_verification(later)):
        return later
    return earlier.model_copy(update={"quick_checked_at": later.checked_at})


def _manifest(found: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    found.pop("locator", None)
    try:
        same = Manifest.model_validate(found) == manifest
    except ValidationError:
        same = False
    if not same:
        yield "the manifest inside the document is not the one found from its end"


def _tables(document: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    tables = document["tables"]
    if list(tables) != list(manifest.tables):
        yield f"the document has the tables {list(tables)}, the manifest {list(manifest.tables)}"
        return
    for name, table in manifest.tables.items():
        places = [None for fragment in table.fragments if fragment.rows]
        if tables[name] != {"rows": places, "row_count": table.row_count}:
            yield f"table {name}: its value does not hold the fragments and the row count of the manifest"


def _metadata(metadata: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    counted = {name: table.row_count for name, table in manifest.tables.items()}
    if metadata.get("row_counts") != counted or metadata.get("table_count") != len(counted):
        yield "the metadata's row counts are not the manifest's"
