import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from include.disaster_recovery.model import Verdict
from include.disaster_recovery.stream.codec import stored_frame
from include.disaster_recovery.verification import (
    Known,
    check_counts,
    check_manifest,
    check_record,
    check_rows,
    check_skeleton,
    is_of_key,
    places,
    standing,
)
from tests.support.documents import MIXED, build_document

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
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


def test_nothing_on_record_is_no_finding():
    nothing = Known(where="nowhere")
    assert check_record(nothing, size=1, checksum="a", sse=None) == []
    assert check_manifest(nothing, MANIFEST, "0" * 64) == []


def test_what_is_on_record_is_compared():
    known = Known(where="the history", size=5, checksum="crc64nvme:a", sse="AES256")
    assert check_record(known, size=5, checksum="crc64nvme:a", sse="AES256") == []
    assert check_record(known, size=5, checksum=None, sse="AES256") == []  # the server keeps none
    assert check_record(known, size=4, checksum="crc64nvme:b", sse=None) == [
        "the object has 4 bytes, the history says 5",
        "the checksum is crc64nvme:b, the history says crc64nvme:a",
        "the object is encrypted with None, it was to be written with AES256",
    ]


def test_another_manifest_is_one_finding_and_not_one_for_each_table():
    known = Known(where="the history", manifest_sha256="0" * 64, row_counts={"profiles": 7})
    (finding,) = check_manifest(known, MANIFEST, "1" * 64)
    assert "the history has another SHA-256" in finding
    assert len(check_manifest(known, MANIFEST, "0" * 64)) == len(MANIFEST.tables)


@pytest.mark.parametrize(
    "created_at, same",
    [
        ("2025-12-07T18:33:07.123456+00:00", True),
        ("2025-12-07T19:33:07.123+01:00", True),
        ("2025-12-07T18:33:07.124+00:00", False),
        ("yesterday", False),
        (None, False),
        (7, False),
    ],
)
def test_a_document_is_of_the_key_it_was_opened_under(created_at: object, same: bool):
    for suffix in ("", ".gz", ".zst"):
        key = f"backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json{suffix}"
        assert is_of_key(key, {"created_at": created_at}) is same
    assert not is_of_key("backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json", {})


def verdict(state: str, depth: str, minutes: int = 0) -> Verdict:
    return Verdict.model_validate(
        {
            "valid": state == "valid",
            "state": state,
            "depth": depth,
            "checked_at": NOON + timedelta(minutes=minutes),
            "size": 1,
            "tables": 1,
            "rows": 1,
            "fragments": 1,
            "checksum": None,
            "findings": [],
            "warnings": [],
        }
    )


@pytest.mark.parametrize(
    "earlier, later, is_replaced",
    [
        (("valid", "full"), ("valid", "quick"), False),
        (("invalid", "full"), ("valid", "quick"), False),
        (("valid", "full"), ("invalid", "quick"), True),
        (("valid", "full"), ("valid", "full"), True),
        (("invalid", "full"), ("valid", "full"), True),
        (("valid", "quick"), ("valid", "quick"), True),
        (("invalid", "quick"), ("valid", "quick"), True),
        (("valid", "full"), ("missing", "quick"), True),
        (("missing", "quick"), ("valid", "quick"), True),
    ],
)
def test_which_verdict_stands(earlier: tuple[str, str], later: tuple[str, str], is_replaced: bool):
    first, second = verdict(*earlier), verdict(*later, minutes=5)
    found = standing(first, second)
    assert found == (second if is_replaced else first.model_copy(update={"quick_checked_at": second.checked_at}))
    assert standing(None, second) == second


def test_a_verdict_of_the_first_release_is_that_of_a_full_reading():
    new = verdict("valid", "full").to_json()
    old = {name: value for name, value in new.items() if name not in ("state", "depth", "quick_checked_at")}
    assert Verdict.model_validate(old) == verdict("valid", "full")
    assert Verdict.model_validate({**old, "valid": False}).state == "invalid"


def test_a_verdict_that_contradicts_itself_is_none():
    with pytest.raises(ValueError, match="valid is True, state is 'missing'"):
        Verdict.model_validate({**verdict("missing", "quick").to_json(), "valid": True})
