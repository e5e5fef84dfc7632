import json
from itertools import pairwise

import pytest
from awscrt.checksums import crc64nvme
from hypothesis import given, settings
from hypothesis import strategies as st

from include.disaster_recovery.document import Manifest
from include.disaster_recovery.model import Batch
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.checker import Observation, observe
from include.disaster_recovery.stream.codec import expand, frame
from tests.support.documents import MIXED, Built, build_document, findings

COMPRESSIONS: list[Compression] = ["none", "gzip", "zstd"]
BUILT = {compression: build_document(MIXED, compression) for compression in COMPRESSIONS}
WHITE_SPACE = b" \t\r\n"


def flipped(data: bytes, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def look(built: Built, *, manifest: Manifest | None = None, data: bytes | None = None) -> Observation:
    return observe(iter([built.data if data is None else data]), manifest or built.manifest, len(built.data))


def owner(built: Built, at: int) -> str | None:
    """The fragment whose rows hold this byte, as findings name it."""
    for name, table in built.manifest.tables.items():
        for number, entry in enumerate(table.fragments, start=1):
            if entry.offset <= at < entry.offset + entry.length:
                return f"table {name}, fragment {number} of {len(table.fragments)}: "
    return None


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_sound_document_gives_no_finding(compression: Compression):
    built = BUILT[compression]
    seen = look(built)
    assert seen.findings == []
    assert seen.size == len(built.data)
    assert seen.crc64nvme == crc64nvme(built.data)
    assert seen.rows == {"profiles": 3, "empty": 0, "messages": 3, "auth.users": 1}
    assert json.loads(seen.skeleton)["tables"]["messages"] == {"rows": [None, None], "row_count": 3}


@pytest.mark.parametrize("mask", [0x01, 0x2A, 0x80])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_no_byte_can_change_unnoticed(compression: Compression, mask: int):
    built = BUILT[compression]
    for at in range(len(built.data)):
        found = findings(flipped(built.data, at, mask), built)
        assert found, f"byte {at}"
        if place := owner(built, at):
            assert all(finding.startswith((place, "table")) for finding in found)
            assert any(finding.startswith(place) for finding in found), f"byte {at}: {found}"


@given(st.sampled_from(COMPRESSIONS), st.data(), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_no_byte_can_become_any_other_unnoticed(compression: Compression, data: st.DataObject, mask: int):
    built = BUILT[compression]
    at = data.draw(st.integers(0, len(built.data) - 1))
    assert findings(flipped(built.data, at, mask), built)


def test_white_space_for_white_space_is_noticed():
    built = BUILT["none"]
    changes = [(at, byte ^ other) for at, byte in enumerate(built.data) if byte in WHITE_SPACE for other in WHITE_SPACE]
    assert len(changes) > 40
    for at, mask in changes:
        assert bool(findings(flipped(built.data, at, mask), built)) == bool(mask), f"byte {at}"


@pytest.mark.parametrize("compression, offset, mask", [("gzip", 4, 1), ("gzip", 9, 0xFC), ("zstd", 4, 0x10)])
def test_a_frame_header_that_decompressors_do_not_look_at_is_noticed(compression: Compression, offset: int, mask: int):
    """The time and system of a gzip header, the unused bit of a zstd one."""
    built = BUILT[compression]
    changed = flipped(built.data, offset, mask)
    assert expand(changed, compression) == expand(built.data, compression), "no decompressor would tell"
    assert findings(changed, built) == ["the bytes before section metadata are damaged"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@given(cuts=st.lists(st.integers(0, 5000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_the_portions_in_which_bytes_arrive_do_not_matter(compression: Compression, cuts: list[int]):
    built = BUILT[compression]
    bounds = sorted([0, *(min(cut, len(built.data)) for cut in cuts), len(built.data)])
    chunks = [built.data[begin:end] for begin, end in pairwise(bounds)]  # empty ones too
    assert observe(iter(chunks), built.manifest, len(built.data)) == look(built)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_document_that_ends_early_is_said_to(compression: Compression):
    built = BUILT[compression]
    for end in range(0, len(built.data), 7):
        seen = look(built, data=built.data[:end])
        assert seen.findings[-1] == f"the object has {end} bytes, {len(built.data)} were expected"
        assert seen.size == end
        assert any("early" in finding for finding in seen.findings)


@pytest.mark.parametrize("extra", [b"\n", b" " * 5000, b"{}"])
def test_a_document_that_goes_on_is_said_to(extra: bytes):
    built = BUILT["none"]
    seen = look(built, data=built.data + extra)
    assert seen.findings == [f"the object has {seen.size} bytes, {len(built.data)} were expected"]
    assert seen.crc64nvme == crc64nvme(built.data + extra)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_two_equally_long_rows_that_changed_places_are_noticed(compression: Compression):
    first, second = ({"a": [[[{"id": n}]]], "b": [[[{"id": 3 - n}]]]} for n in (1, 2))
    built, other = build_document(first, compression), build_document(second, compression)
    assert len(built.data) == len(other.data)
    found = findings(other.data, built)
    assert any(finding.startswith("table a, fragment 1 of 1") for finding in found)
    assert any(finding.startswith("table b, fragment 1 of 1") for finding in found)


def with_fragment(built: Built, **changes: object) -> Manifest:
    """The manifest with the first fragment of profiles changed."""
    table = built.manifest.tables["profiles"]
    fragment = table.fragments[0].model_copy(update=changes)
    changed = table.model_copy(update={"fragments": [fragment]})
    return built.manifest.model_copy(update={"tables": {**built.manifest.tables, "profiles": changed}})


LABEL = "table profiles, fragment 1 of 1"


@pytest.mark.parametrize(
    "batches, finding",
    [
        ([(53, 2), (20, 2)], "batch 2 has 1 rows, the manifest says 2"),
        ([(52, 2), (21, 1)], "batch 1 is not valid JSON"),
        ([(53, 2), (19, 1)], "batch 2 is not valid JSON"),
        ([(53, 2), (21, 1)], "rows end 1 bytes early, in batch 2"),
        ([(53, 2)], "there are bytes after the last batch"),
        ([(0, 0), (75, 3)], "batch 2 is not where the manifest says"),
        ([], "there are bytes after the last batch"),
    ],
)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_wrong_batches_are_noticed(batches: list[tuple[int, int]], finding: str, compression: Compression):
    built = BUILT[compression]
    sizes = [batch.size for batch in built.manifest.tables["profiles"].fragments[0].batches]
    assert sizes == [53, 20], "the cases below count on it"
    changed = with_fragment(built, batches=[Batch(size=size, rows=rows) for size, rows in batches])
    assert any(each.startswith(f"{LABEL}: {finding}") for each in look(built, manifest=changed).findings)


def test_a_fragments_rows_are_counted_not_believed():
    built = BUILT["none"]
    assert (
        f"{LABEL}: 3 rows were read, the manifest says 4" in look(built, manifest=with_fragment(built, rows=4)).findings
    )


def test_a_range_that_is_elsewhere_ends_the_reading():
    built = BUILT["none"]
    offset = built.manifest.tables["profiles"].fragments[0].offset
    seen = look(built, manifest=with_fragment(built, offset=offset + 1))
    assert f"{LABEL}: the manifest says byte {offset + 1}, it must begin at {offset}" in seen.findings
    assert seen.size == len(built.data)


@pytest.mark.parametrize("changes", [{"offset": 1}, {"length": 1}])
def test_a_table_range_that_is_not_its_value_is_noticed(changes: dict[str, int]):
    built = BUILT["none"]
    table = built.manifest.tables["messages"].model_copy(update=changes)
    changed = built.manifest.model_copy(update={"tables": {**built.manifest.tables, "messages": table}})
    assert look(built, manifest=changed).findings[0] == "table messages: the manifest's range is not the table's value"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_rows_that_are_no_utf8_are_noticed_even_with_the_right_checksum(compression: Compression):
    from hashlib import sha256

    built = build_document({"t": [[[{"v": "aa"}]]]}, compression)
    entry = built.manifest.tables["t"].fragments[0]
    rows = frame(b'{"v":"\xff\xfe"}', compression)
    if len(rows) != entry.length:  # compressed sizes may differ: only the plain one can be planted in place
        pytest.fail("choose text that compresses to the same size")
    table = built.manifest.tables["t"]
    changed = table.model_copy(update={"fragments": [entry.model_copy(update={"sha256": sha256(rows).hexdigest()})]})
    data = built.data[: entry.offset] + rows + built.data[entry.offset + entry.length :]
    found = look(built, manifest=built.manifest.model_copy(update={"tables": {"t": changed}}), data=data).findings
    assert [f for f in found if "is not valid JSON ('utf-8' codec can't decode" in f]
