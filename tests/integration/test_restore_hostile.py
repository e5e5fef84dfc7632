"""Hostile documents, all of whose hashes agree: refused as documents, with nothing executed and nothing left."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from typing import Any

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.document import locator_text
from include.disaster_recovery.errors import DocumentError, RestoreRefused
from include.disaster_recovery.stream.codec import frame, stored_frame
from tests.integration.test_restore_damaged import refused, untouched
from tests.support.documents import read_from_end
from tests.support.forging import ending, forged
from tests.support.interrupted import ROOT, given_to
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Outcome, Rig

INJECTION = '"; drop table public.first; --'
NAMES = {
    "is empty": "",
    "holds a NUL character": "first\0",
    "is 64 bytes long": "x" * 64,
    "is 66 bytes long": "\u20ac" * 22,
    "is no Unicode text": "\ud800",
    "belongs to the system": "pg_catalog.pg_authid",
}


def put(path: str, value: Any):
    """An edit that sets what stands at a path of keys and numbers; `…` for the value deletes it."""
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split("/")]

    def edit(content: Any) -> None:
        for step in steps:
            content = content[step]
        if value is ...:
            del content[last]
        else:
            content[last] = value

    return edit


def renamed(new: str):
    """An edit that gives the first table another name, wherever it is mentioned."""

    def edit(content: dict[str, Any]) -> Any:
        tables = content["tables"]
        content["tables"] = {new if name == "first" else name: value for name, value in tables.items()}
        if "schemas" in content:
            content["schemas"] |= {"pg_catalog": {}, "information_schema": {}}
        return content

    return edit


@pytest.fixture
def done(tables: Rig) -> Outcome:
    return tables.backup()


def test_names_that_no_table_or_column_can_have(tables: Rig, done: Outcome):
    target, key, stored = RestoreRig.into(tables), done.run.key, done.stored
    for fact, name in NAMES.items():
        refused(target, key, forged(stored, manifest=renamed(name), schema=renamed(name)), fact)
        if fact != "belongs to the system":
            refused(target, key, forged(stored, schema=put("tables/first/columns/0/name", name)), f"column .*{fact}")
    for name in ("information_schema.sql_features", "pg_catalog.pg_class", "pg_catalog.pg_proc"):
        refused(target, key, forged(stored, manifest=renamed(name), schema=renamed(name)), "belongs to the system")
    refused(target, key, forged(stored, schema=put("tables/first/columns/0/name", "t")), "has a column twice")


def test_sql_in_names_and_types_is_only_ever_a_name(tables: Rig, done: Outcome):
    target, key, stored = RestoreRig.into(tables), done.run.key, done.stored
    names = [
        INJECTION,
        "../first",
        "/first",
        "first;drop table first",
        "%s%(x)s{}{0}",
        "a\nb",
        "auth.users",
        "public.first",
    ]
    for name in names:
        target.store.put(key, forged(stored, manifest=renamed(name), schema=renamed(name)))
        with untouched(target), pytest.raises(RestoreRefused, match="the target does not have it"):
            target.restore(backup_key=key)
    hostile = [
        "int); drop table public.first; --",
        "int) as select 1; --",
        "a.b.c.d",
        "other.public.first",
        "varchar(0)",
    ]
    hostile += [
        "numeric(99999999999)",
        "setof int",
        "-",
        "23",
        "int4, x int4",
        "",
        "\0",
        "\ud800",
        "x" * 2000,
        "%s",
        "{}",
    ]
    for each in hostile:
        target.store.put(key, forged(stored, schema=put("tables/first/columns/0/type", each)))
        with untouched(target), pytest.raises((RestoreRefused, DocumentError)) as caught:
            target.restore(backup_key=key)
        assert "which the target does not have" in caught.value.fact or "its type" in caught.value.fact
    for section in ("sequences", "enums", "schemas"):
        value = {INJECTION: {"last_value": 7}, "pg_catalog.x": {}, "%s{}": {}}
        target.store.put(key, forged(stored, schema=put(section, value if section != "enums" else {INJECTION: ["a"]})))
        with untouched(target):
            target.restore(backup_key=key)


def test_schema_section_of_another_shape(tables: Rig, done: Outcome):
    target, key, stored = RestoreRig.into(tables), done.run.key, done.stored
    deep = b"[" * 100_000 + b"]" * 100_000
    for value in (b"[]", b"1", b'"x"', b"null", b"{", b"", b"\xff", b"NaN", b'{"a":' + deep + b"}", deep):
        refused(target, key, forged(stored, schema=lambda _, value=value: value), "section schema cannot be read")
    shapes = [
        ("schemas", ["public"]), ("schemas", None), ("schemas", ...), ("tables", []), ("tables", ...),
        ("sequences", []), ("sequences", {"s": []}), ("sequences", {"s": {"last_value": "7"}}),
        ("sequences", {"s": {"last_value": 1.5}}), ("ddl", []), ("ddl", {"pre_data": ["select 1"]}),
    ]  # fmt: skip
    for path, value in shapes:
        refused(target, key, forged(stored, schema=put(path, value)), f"schema section has a wrong value at '{path}")
    for path, value in (
        ("tables/first", ...), ("tables/first", []), ("tables/first/columns", {}), ("tables/first/columns/0", "i"),
        ("tables/first/columns/0/name", 7), ("tables/first/columns/0/type", ...), ("tables/first/constraints", "none"),
    ):  # fmt: skip
        refused(target, key, forged(stored, schema=put(path, value)), "does not describe table first")
    refused(target, key, forged(stored, schema=put("tables/first/columns", ...)), "does not describe the columns")
    refused(target, key, forged(stored, schema=put("tables/first/columns", None)), "its content digest is")


def test_manifest_that_contradicts_itself(tables: Rig, done: Outcome):
    target, key, stored = RestoreRig.into(tables), done.run.key, done.stored
    fragment, size = "tables/second/fragments/0", len(stored)
    cases = [
        (f"{fragment}/offset", -1, "malformed"), (f"{fragment}/length", -5, "malformed"),
        (f"{fragment}/offset", size - 5, "ends at"), (f"{fragment}/offset", 10**30, "ends at"),
        (f"{fragment}/length", 10**18, "ends at"), (f"{fragment}/offset", 0, "begins at 0"),
        (f"{fragment}/rows", 10**9, "have 50 rows, not 1000000000"), (f"{fragment}/rows", 49, "not 49"),
        ("tables/second/row_count", 51, "gives table second 51 rows, its fragments have 50"),
        (f"{fragment}/batches", [], "0 rows, not 50"), (f"{fragment}/batches/0/size", 7, "impossible sizes"),
        (f"{fragment}/batches/0/size", 10**12, "impossible sizes"), (f"{fragment}/batches/0/rows", -50, "impossible"),
        (f"{fragment}/batches/0/size", 1000, "its batches are 1000 bytes"),
        (f"{fragment}/sha256", "x", "its hashes are none"), (f"{fragment}/digest", "not hexadecimal!", "hashes are none"),
        (f"{fragment}/digest", "-000000000000001", "hashes are none"), ("tables/second/fragments", [], "malformed"),
        ("tables/second/offset", 10**9, "ends at|begins at"), ("tables/second/length", 10**9, "ends at"),
        ("sections/schema/offset", 10**9, "ends at"), ("sections/schema/length", 10**9, "ends at"),
        ("sections/schema", ..., "no section schema"), ("sections/metadata", ..., "malformed"),
        ("tables", [], "malformed"), ("tables", {}, "has no table"), ("tables/second", [], "malformed"),
        ("version", "2", "version 2"), ("version", 0, "version 0"), ("version", None, "version None"),
        ("format", "somebody-elses", "'somebody-elses'"), ("compression", "lzma", "malformed"),
        ("compression", "gzip", "damaged|cannot be read"), ("more", 1, "malformed"),
    ]  # fmt: skip
    for path, value, fact in cases:
        target.store.put(key, forged(stored, manifest=put(path, value)))
        with untouched(target), pytest.raises((DocumentError, RestoreRefused), match=fact):
            target.restore(backup_key=key)

    def overlapping(content):
        content["tables"]["second"] |= {k: content["tables"]["first"][k] for k in ("offset", "length", "fragments")}

    refused(target, key, forged(stored, manifest=overlapping), "ends at")
    for body in (b"{}", b"[]", b"{", b"\xff\xff", b'{"format":' + b"[" * 10**5 + b"]" * 10**5 + b"}"):
        refused(target, key, forged(stored, manifest=lambda _, body=body: body), "cannot be read from its end")


def test_rows_that_are_not_what_the_digest_says(tables: Rig, done: Outcome):
    """All hashes agree but that of the content, which Postgres computes."""
    target, key = RestoreRig.into(tables), done.run.key
    manifest, _ = read_from_end(done.stored, "none")
    place = manifest.tables["second"].fragments[0]
    rows = done.stored[place.offset : place.offset + place.length]
    for old, new, fact in (
        (b"row 17", b"ROW 17", "its content digest is"),
        (b'{"i":17,', b'{"I":17,', "its content digest is"),
        (b'{"i":17,', b'["i",17,', "does not take a value"),
        (b'{"i":17,"t":"row 17"}', b"null                 ", "."),
        (b'{"i":17,"t":"row 17"},', b"                      ", "it has 49 rows"),
        (b'{"i":17,"t"', b'{"i":xx,"t"', "does not take a value"),
        (b'"row 17"', b'"\\u0000"', "does not take a value|damaged"),
        (b'"row 17"', b'"ro\x00\x01\x02\x03"', "does not take a value|damaged"),
        (b'"row 17"', b'"ro\xff\xfe17"', "is damaged: 'utf-8' codec"),
        (b'},\n{"i":17', b'}] {"i":17', "does not take a value"),
    ):  # fmt: skip
        changed = rows.replace(old, new)
        assert (len(changed), changed != rows) == (len(rows), True), (old, new)
        data = done.stored[: place.offset] + changed + done.stored[place.offset + place.length :]
        hashed = put("tables/second/fragments/0/sha256", sha256(changed).hexdigest())
        target.store.put(key, forged(data, manifest=hashed))
        with untouched(target), pytest.raises(Exception, match=fact) as caught:
            target.restore(backup_key=key)
        assert type(caught.value).__name__ in ("DocumentError", "StagingDiffers"), caught.value
        assert "second" in caught.value.fact


BOMBED = """
import json, resource, sys
import boto3
from botocore.config import Config
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.support.restore_rig import RestoreRig
given = json.load(sys.stdin)
client = boto3.client("s3", **given["client"], config=Config(s3={"addressing_style": "path"}))
rig = RestoreRig(given["parameters"], Store(client=client, bucket=given["bucket"]),
                 Settings.model_validate(given["settings"]))
plain = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    plan, units = rig.plan(backup_key=given["key"])
    try:
        rig.load_all(plan, units)
    finally:
        rig.clean_up(plan)
except Exception as error:
    print(json.dumps({"kind": type(error).__name__, "fact": error.args[0],
                      "grown": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - plain) // 1024}))
"""


def test_decompression_bombs_stay_bounded(tables: Rig, s3_server: S3Server):
    """Four GiB in each of them, in a few kilobytes."""
    rig = tables.with_settings(compression="zstd")
    done = rig.backup()
    target, key, stored = RestoreRig.into(rig), done.run.key, done.stored
    bomb = frame(b" " * 64 * 1024**2, "zstd") * 64
    manifest, locator = read_from_end(stored, "zstd")
    place = {"offset": locator.manifest_offset, "length": len(bomb), "sha256": sha256(bomb).hexdigest()}
    kept = stored[: locator.manifest_offset] + bomb
    content = manifest.to_json()

    def bombed(name: str, part: dict[str, Any]) -> bytes:
        return kept + ending({**content, name: {**content[name], **part}}, len(kept), "zstd")

    second = content["tables"]["second"]
    fragment = {**second["fragments"][0], **place, "batches": [{"size": 1024**2, "rows": 50}]}
    cases = {
        "it expands to more than": bombed("sections", {"schema": place}),
        "table second, fragment 1 of 1 is damaged": bombed(
            "tables",
            {"second": {**second, "offset": place["offset"], "length": place["length"], "fragments": [fragment]}},
        ),
        "cannot be read from its end": stored[: locator.manifest_offset]
        + bomb
        + stored_frame(locator_text(place["offset"], place["length"], place["sha256"]), "zstd"),
    }
    with untouched(target):
        for fact, data in cases.items():
            target.store.put(key, data)
            told = in_a_process(target, s3_server, key)
            assert (told["kind"], fact in told["fact"]) == ("DocumentError", True), told
            assert told["grown"] < 900, told


def in_a_process(rig: RestoreRig, server: S3Server, key: str) -> dict[str, Any]:
    """What a restore of the key says in a process of its own, and by how many MiB that has grown."""
    given = {**given_to(rig, server), "key": key}
    command = [sys.executable, "-c", BOMBED]
    told = subprocess.run(command, cwd=ROOT, input=json.dumps(given), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found
