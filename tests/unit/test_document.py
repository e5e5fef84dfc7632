import json
import subprocess
from functools import partial
from hashlib import sha256
from shutil import which

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.disaster_recovery.document import LOCATOR_SIZE, VERSION, Locator, parse_locator, parse_manifest, text
from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.codec import expand, frame
from tests.support.documents import (
    MIXED,
    Fragments,
    build_document,
    findings,
    loaded,
    read_from_end,
)

COMPRESSIONS: list[Compression] = ["none", "gzip", "zstd"]
WEIRD_NAMES = [
    'say "hi"',
    "it's",
    "naïve 🐘",
    "back\\slash",
    "line\nbreak",
    "tab\t",
    "\x01\x1f\x7f",
    "a.b",
    "rows",
    " ",
    "x" * 127,
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
batches = st.lists(st.dictionaries(st.text(), values, max_size=3), min_size=1, max_size=3)
fragments = st.lists(st.lists(batches, max_size=3), min_size=1, max_size=4)
anything = st.dictionaries(st.text(min_size=1, max_size=20), fragments, max_size=4)


def rows_of(tables: dict[str, Fragments]) -> dict[str, list[object]]:
    return {name: [row for part in parts for batch in part for row in batch] for name, parts in tables.items()}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@given(tables=anything)
@settings(max_examples=50, deadline=None)
def test_any_rows_come_back_through_a_standard_reader(tables: dict[str, Fragments], compression: Compression):
    built = build_document(tables, compression)
    document = loaded(built.data, compression)
    assert list(document) == ["metadata", "tables", "schema", "edge_functions", "manifest"]
    assert {name: table["rows"] for name, table in document["tables"].items()} == rows_of(tables)
    assert {name: table["row_count"] for name, table in document["tables"].items()} == built.row_counts
    assert findings(built.data, built) == []
    assert read_from_end(built.data, compression)[0] == built.manifest


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_fragment_range_cut_alone_is_its_rows(compression: Compression):
    built = build_document(MIXED, compression)
    for name, table in built.manifest.tables.items():
        for entry, part in zip(table.fragments, MIXED[name], strict=True):
            stored = built.data[entry.offset : entry.offset + entry.length]
            assert sha256(stored).hexdigest() == entry.sha256
            cut = json.loads(b"[" + built.cut(entry.offset, entry.length) + b"]")
            assert cut == [row for batch in part for row in batch]
            assert len(cut) == entry.rows


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_batch_of_a_fragment_parses_alone(compression: Compression):
    built = build_document(MIXED, compression)
    for name, table in built.manifest.tables.items():
        for entry, part in zip(table.fragments, MIXED[name], strict=True):
            plain, at = built.cut(entry.offset, entry.length), 0
            for size, batch in zip((b.size for b in entry.batches), part, strict=True):
                assert json.loads(b"[" + plain[at : at + size] + b"]") == batch
                at += size + len(b",\n")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_table_range_cut_alone_is_its_value(compression: Compression):
    built = build_document(MIXED, compression)
    document = loaded(built.data, compression)
    for name, table in built.manifest.tables.items():
        assert json.loads(built.cut(table.offset, table.length)) == document["tables"][name]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_section_range_cut_alone_is_its_value(compression: Compression):
    built = build_document(MIXED, compression)
    document = loaded(built.data, compression)
    assert list(built.manifest.sections) == ["metadata", "schema", "edge_functions"]
    for name, entry in built.manifest.sections.items():
        assert json.loads(built.cut(entry.offset, entry.length)) == document[name]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_locator_leads_from_the_end_to_the_manifest(compression: Compression):
    built = build_document(MIXED, compression)
    manifest, locator = read_from_end(built.data, compression)
    assert manifest == built.manifest
    assert locator.manifest_sha256 == built.layout.manifest_sha256
    inside = loaded(built.data, compression)["manifest"]
    assert inside.pop("locator") == locator.to_json()
    assert inside == manifest.to_json()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_document_cut_short_anywhere_is_refused(compression: Compression):
    built = build_document({"t": [[[{"id": 1}]]]}, compression)
    for end in range(len(built.data)):
        with pytest.raises((DocumentError, ValueError)):
            read_from_end(built.data[:end], compression)


def test_plain_text_without_a_locator_is_refused_in_words():
    with pytest.raises(DocumentError, match="does not end with a locator: it is truncated, or no CollabHunts backup"):
        parse_locator(b" " * LOCATOR_SIZE)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", WEIRD_NAMES, ids=ascii)
def test_any_table_name_is_kept(name: str, compression: Compression):
    tables = {"first": [[]], name: [[[{name: name}]], [[{"id": 2}]]]}
    built = build_document(tables, compression)
    assert loaded(built.data, compression)["tables"][name] == {"rows": [{name: name}, {"id": 2}], "row_count": 2}
    entry = built.manifest.tables[name]
    assert json.loads(built.cut(entry.offset, entry.length))["row_count"] == 2
    assert findings(built.data, built) == []


def test_a_document_without_rows_is_whole():
    built = build_document({"a": [[], [], []], "b": [[]]})
    assert loaded(built.data, "none")["tables"] == {name: {"rows": [], "row_count": 0} for name in "ab"}
    assert findings(built.data, built) == []


def test_a_document_reads_like_this():
    built = build_document({"profiles": [[[{"id": 1}, {"id": 2}]], [[{"id": 3}]]], "empty": [[]]})
    head, manifest = built.data.decode().split('"manifest":')
    assert head.splitlines() == [
        '{"metadata":{"version":"2.0","table_count":2,"row_counts":{"profiles":3,"empty":0}},',
        '"tables":{"profiles":{"rows":[',
        '{"id":1},',
        '{"id":2},',
        '{"id":3}',
        '],"row_count":3},',
        '"empty":{"rows":[',
        "",
        '],"row_count":0}},',
        '"schema":{"enums":{"app_role":["admin"]}},',
        '"edge_functions":{"hello":{"verify_jwt":true}},',
    ]
    assert manifest.startswith('{"format":"collabhunts-backup","version":1,"writer":"test","compression":"none"')
    assert manifest[-LOCATOR_SIZE:].startswith(',"locator":{"manifest_offset":      ')
    assert manifest.endswith('"}}}\n')


@pytest.mark.parametrize("tool", [tool for tool in ("gzip", "zstd") if which(tool)])
def test_the_command_line_tool_reads_a_document(tool: Compression):
    built = build_document(MIXED, tool)
    plain = subprocess.run([tool, "-dc"], input=built.data, capture_output=True, check=True).stdout
    assert json.loads(plain) == loaded(built.data, tool)


def manifest_with(packed: Compression = "none", **changes: object) -> tuple[bytes, Locator]:
    content = {**build_document(compression=packed).manifest.to_json(), **changes}
    stored = frame(text({k: v for k, v in content.items() if v is not ...})[:-1], packed)
    return stored, Locator(manifest_offset=0, manifest_length=len(stored), manifest_sha256=sha256(stored).hexdigest())


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_manifest_that_was_changed_is_refused_wherever_it_was(compression: Compression):
    stored, locator = manifest_with(compression)
    unpack = partial(expand, compression=compression)
    assert parse_manifest(stored, locator, unpack).version == VERSION
    for at in range(len(stored)):
        with pytest.raises(DocumentError, match="the manifest is damaged"):
            parse_manifest(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :], locator, unpack)


@pytest.mark.parametrize("version", [VERSION + 1, 99])
def test_a_newer_document_asks_for_newer_software(version: int):
    with pytest.raises(DocumentError, match=f"version {version}, this software reads .* up to version 1") as refused:
        parse_manifest(*manifest_with(version=version, layout="unheard of"), bytes)
    assert "newer" in refused.value.hint


@pytest.mark.parametrize(
    "changes",
    [{"format": "other"}, {"format": ...}, {"version": ...}, {"version": 0}, {"version": "1"}, {"version": None}],
)
def test_a_foreign_document_is_refused(changes: dict[str, object]):
    with pytest.raises(DocumentError, match="this software reads 'collabhunts-backup'"):
        parse_manifest(*manifest_with(**changes), bytes)


@pytest.mark.parametrize(
    "changes",
    [
        {"tables": ...},
        {"surprise": 1},
        {"compression": "rar"},
        {"sections": {}},
        {"sections": {"metadata": {"offset": -1, "length": 1, "sha256": ""}}},
        {"tables": {"t": {"offset": 0, "length": 0, "row_count": 0, "fragments": []}}},
    ],
)
def test_a_malformed_manifest_is_refused(changes: dict[str, object]):
    with pytest.raises(DocumentError, match="the manifest is malformed: 1 wrong value"):
        parse_manifest(*manifest_with(**changes), bytes)


def test_a_manifest_that_is_no_json_is_refused():
    stored = b'{"format":'
    locator = Locator(manifest_offset=0, manifest_length=len(stored), manifest_sha256=sha256(stored).hexdigest())
    with pytest.raises(DocumentError, match="the manifest is malformed"):
        parse_manifest(stored, locator, bytes)


def test_values_that_are_no_json_are_never_written():
    with pytest.raises(ValueError, match="Out of range float"):
        text({"n": float("nan")})
