import json
from typing import Any

import pytest

from include.disaster_recovery.stream.codec import stored_frame
from include.disaster_recovery.verification import check_counts, check_rows, check_skeleton, places
from tests.support.documents import MIXED, build_document

BUILT = build_document(MIXED)
MANIFEST = BUILT.manifest


def skeleton(**changes: Any) -> bytes:
    """The sound skeleton, with sections replaced; a section of None is left out."""
    document = json.loads(BUILT.data)
    for name, table in MANIFEST.tables.items():
        document["tables"][name]["rows"] = [None for fragment in table.fragments if fragment.rows]
    merged = {**document, **changes}
    return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()


def section(name: str) -> Any:
    return json.loads(skeleton())[name]


def test_a_sound_skeleton_gives_no_finding():
    assert check_skeleton(skeleton(), MANIFEST) == []


def test_a_skeleton_that_is_no_json_is_a_finding():
    (finding,) = check_skeleton(skeleton()[:-1], MANIFEST)
    assert finding.startswith("the document is not valid JSON around its rows")


@pytest.mark.parametrize("changes", [{"schema": None}, {"extra": 1}])
def test_missing_and_foreign_sections_are_findings(changes: dict[str, Any]):
    (finding,) = check_skeleton(skeleton(**changes), MANIFEST)
    assert finding.startswith("the document's sections are ")


@pytest.mark.parametrize("changes", [{"writer": "somebody else"}, {"surprise": 1}, {"tables": {}}])
def test_another_manifest_inside_is_a_finding(changes: dict[str, Any]):
    found = check_skeleton(skeleton(manifest={**section("manifest"), **changes}), MANIFEST)
    assert found == ["the manifest inside the document is not the one found from its end"]


def test_tables_in_another_order_are_a_finding():
    tables = dict(reversed(section("tables").items()))
    (finding,) = check_skeleton(skeleton(tables=tables), MANIFEST)
    assert finding.startswith("the document has the tables ['auth.users', ")


@pytest.mark.parametrize("value", [{"rows": [None], "row_count": 3}, {"rows": [None, None], "row_count": 4}])
def test_a_table_without_its_fragments_or_count_is_a_finding(value: dict[str, Any]):
    found = check_skeleton(skeleton(tables={**section("tables"), "messages": value}), MANIFEST)
    assert found == ["table messages: its value does not hold the fragments and the row count of the manifest"]


@pytest.mark.parametrize("changes", [{"table_count": 3}, {"row_counts": {}}])
def test_metadata_that_counts_otherwise_is_a_finding(changes: dict[str, Any]):
    found = check_skeleton(skeleton(metadata={**section("metadata"), **changes}), MANIFEST)
    assert found == ["the metadata's row counts are not the manifest's"]


def test_rows_are_held_against_the_manifest_per_table():
    assert check_rows(BUILT.row_counts, MANIFEST) == []
    assert check_rows({**BUILT.row_counts, "messages": 2}, MANIFEST) == [
        "table messages: 2 rows were read back, the manifest says 3"
    ]


def test_the_manifest_is_held_against_the_databases_counts():
    assert check_counts(BUILT.row_counts, MANIFEST) == []
    expected = {**BUILT.row_counts, "profiles": 4, "reviews": 7}
    del expected["empty"]
    assert check_counts(expected, MANIFEST) == [
        "table empty: the manifest says 0 rows, the snapshot has None",
        "table profiles: the manifest says 3 rows, the snapshot has 4",
        "table reviews: the manifest says None rows, the snapshot has 7",
    ]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_places_account_for_every_byte_up_to_the_manifest(compression):
    built = build_document(MIXED, compression)
    at = 0
    for place in places(built.manifest):
        for text in place.punctuation:
            wanted = stored_frame(text, compression)
            assert built.data[at : at + len(wanted)] == wanted
            at += len(wanted)
        if place.entry:
            assert place.entry.offset == at
            at += place.entry.length
    assert place.label == "the manifest"
    assert built.data.find(b'"format"') in {at + 1, -1}
