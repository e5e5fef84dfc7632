"""Whether what was read back from the bucket is the backup that was written. Pure decisions, each with its reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from include.disaster_recovery.document import Manifest

TOP_LEVEL = ["metadata", "tables", "schema", "edge_functions", "manifest"]


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
