"""What a document says of itself, read by ranges from its end: never the rows. Documents never change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.disaster_recovery.dashboard.cache import Recent
from include.disaster_recovery.dashboard.model import EdgeFunction, SchemaDiff
from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.s3.documents import read_manifest, read_section
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.schema_drift import find_drift, section_counts

MOST_KEPT = 32
MOST_MANIFESTS = 4  # those of one look at two backups: a large backup's may have megabytes
LONGEST_TEXT = 300
Object = tuple[str, int]  # backup key and bytes


@dataclass(frozen=True, kw_only=True)
class Described:
    """What the page shows of a document. `tables`: rows and stored bytes of each."""

    version: str | None
    server_version: str | None
    snapshot: str | None
    manifest_sha256: str
    fragments: int
    compression: str
    tables: Mapping[str, tuple[int, int]]
    edge_functions: list[EdgeFunction]


class Documents:
    """Reads documents, and keeps what it has learnt of the last ones."""

    def __init__(self) -> None:
        self._manifests: Recent[tuple[Manifest, str]] = Recent(MOST_MANIFESTS)
        self._described: Recent[Described] = Recent(MOST_KEPT)
        self._counts: Recent[dict[str, int]] = Recent(MOST_KEPT)
        self._diffs: Recent[SchemaDiff] = Recent(MOST_KEPT)

    def describe(self, store: Store, document: Object) -> Described:
        """What a document says of itself.

        Raises:
            DocumentError: it is truncated, foreign or damaged.
            StoreRefused, StoreUnavailable: a request failed.
        """
        return self._described.get(document, lambda: _describe(store, document[0], *self._manifest(store, document)))

    def schema_counts(self, store: Store, document: Object) -> dict[str, int]:
        """How many tables, functions and so on the schema section describes.

        Raises:
            DocumentError: the document, or its schema, is damaged.
            StoreRefused, StoreUnavailable: a request failed.
        """
        return self._counts.get(document, lambda: section_counts(self._schema(store, document)))

    def diff(self, store: Store, before: Object, after: Object) -> SchemaDiff:
        """What has changed in the schema between two documents.

        Raises:
            DocumentError: one of them, or its schema, is damaged or malformed.
            StoreRefused, StoreUnavailable: a request failed.
        """
        return self._diffs.get((before, after), lambda: self._diff(store, before, after))

    def _diff(self, store: Store, before: Object, after: Object) -> SchemaDiff:
        old, new = (self._schema(store, each) for each in (before, after))
        try:
            drift = find_drift(old, new, list(new.get("schemas", {})))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = f"the schema section of {before[0]} or {after[0]} is malformed: {type(error).__name__}"
            raise DocumentError(said, hint="compare other backups") from None
        return SchemaDiff(added=drift.added, removed=drift.removed, changed=drift.changed)

    def _schema(self, store: Store, document: Object) -> dict[str, Any]:
        manifest, _ = self._manifest(store, document)
        return read_section(store, document[0], manifest, "schema")

    def _manifest(self, store: Store, document: Object) -> tuple[Manifest, str]:
        return self._manifests.get(document, lambda: read_manifest(store, *document))


def _describe(store: Store, key: str, manifest: Manifest, sha256: str) -> Described:
    metadata = read_section(store, key, manifest, "metadata")
    return Described(
        version=_text(metadata.get("version")),
        server_version=_text(metadata.get("server_version")),
        snapshot=_text(manifest.snapshot),
        manifest_sha256=sha256,
        fragments=sum(len(table.fragments) for table in manifest.tables.values()),
        compression=manifest.compression,
        tables={
            name: (table.row_count, sum(fragment.length for fragment in table.fragments))
            for name, table in manifest.tables.items()
        },
        edge_functions=_edge_functions(store, key, manifest),
    )


def _edge_functions(store: Store, key: str, manifest: Manifest) -> list[EdgeFunction]:
    if "edge_functions" not in manifest.sections:
        return []
    found = read_section(store, key, manifest, "edge_functions")
    return [_edge_function(name, each if isinstance(each, dict) else {}) for name, each in sorted(found.items())]


def _edge_function(name: str, described: Mapping[str, Any]) -> EdgeFunction:
    verify = described.get("verify_jwt")
    return EdgeFunction(
        name=name[:LONGEST_TEXT],
        description=_text(described.get("description")),
        verify_jwt=verify if isinstance(verify, bool) else None,
    )


def _text(value: object) -> str | None:
    return str(value)[:LONGEST_TEXT] if isinstance(value, (str, int, float)) else None
