"""Where a verdict is kept, and what happens where it cannot be: faults never make a sound backup invalid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import StoreUnavailable
from include.disaster_recovery.history.rows import annotate
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags, read_tags
from include.disaster_recovery.steps.verify.keeping import file_name
from include.disaster_recovery.steps.verify.verifying import verify
from tests.support.faulty_wire import Exchange, FaultyWire, flip_byte, refuse, slow_down
from tests.support.rig import Outcome, Rig
from tests.support.verify_rig import VerifyRig, flipped, replaced


@pytest.fixture
def done(tables: Rig) -> Outcome:
    return tables.backup()


@pytest.fixture
def verifier(tables: Rig) -> VerifyRig:
    return VerifyRig.of(tables)


def test_the_backup_itself_tags_its_document_and_records_what_was_written(done: Outcome, verifier: VerifyRig):
    tags = read_tags(verifier.store, done.run.key)
    assert tags is not None
    assert {name: tags[name] for name in ("verification", "verification-depth", "written-by", "backup-type")} == {
        "verification": "valid",
        "verification-depth": "full",
        "written-by": "collabhunts-disaster-recovery",
        "backup-type": "manual",
    }
    components = verifier.row(done.run.key).components
    assert components["manifest_sha256"] == done.document.manifest_sha256
    assert components["checksum"] == done.verdict.checksum == components["verification"]["checksum"]
    assert components["table_bytes"] == done.document.table_bytes
    assert {name: size > 500 for name, size in components["table_bytes"].items()} == dict.fromkeys(
        ("first", "second", "third"), True
    )
    assert (components["verification"]["state"], components["verification"]["depth"]) == ("valid", "full")


def test_a_damaged_document_of_a_backup_is_tagged_invalid(tables: Rig):
    done = tables.backup_until_assembled()
    stored = tables.store.read(done.run.key, 0, done.document.size)
    head = tables.store.head(done.run.key)
    assert head is not None
    tables.store.client.put_object(
        Bucket=tables.store.bucket,
        Key=done.run.key,
        Body=flipped(stored, stored.index(b"row 7")),
        Metadata=head.metadata,
        ServerSideEncryption="AES256",
    )
    with pytest.raises(Exception, match="table first, fragment 1 of 1"):
        tables.verify(done.document)
    tags = read_tags(tables.store, done.run.key)
    assert tags is not None
    assert tags["verification"] == "invalid"
    assert tags["verification-finding"].startswith("table first_ fragment 1 of 1: ")


def deny_tagging(exchange: Exchange) -> None:
    if "tagging" in exchange.path:
        refuse(exchange)


def fail_tagging(exchange: Exchange) -> None:
    if "tagging" in exchange.path:
        slow_down(exchange)


@pytest.mark.parametrize("fault", [deny_tagging, fail_tagging])
def test_a_backup_whose_document_cannot_be_tagged_succeeds(
    tables: Rig, wire: FaultyWire, fault: Callable[[Exchange], None], caplog: pytest.LogCaptureFixture
):
    wire.before = fault
    outcome = replace(tables, store=replace(tables.store, client=wire.client())).backup()
    assert outcome.verdict.valid
    assert "the verdict is not kept on the object" in caplog.text
    assert VerifyRig.of(tables).recorded(outcome.run.key)["state"] == "valid"
    assert VerifyRig.of(tables).tagged(outcome.run.key) is None


def test_a_key_that_may_not_tag_only_warns(
    done: Outcome, verifier: VerifyRig, wire: FaultyWire, caplog: pytest.LogCaptureFixture
):
    wire.before = deny_tagging
    denied = verifier.with_store(replace(verifier.store, client=wire.client()))
    assert denied.verify(done.run.key).state == "valid"
    assert "the verdict is not kept on the object: PUT tags" in caplog.text or "AccessDenied" in caplog.text
    assert denied.recorded(done.run.key)["checked_at"] > done.verdict.to_json()["checked_at"]


def test_a_key_that_may_only_read_verifies_too(tables: Rig, s3_server: S3Server, caplog: pytest.LogCaptureFixture):
    """The server's own reader: of the one bucket it was given."""
    rig = replace(
        tables,
        store=Store(client=s3_server.client("admin"), bucket=s3_server.bucket, encryption=tables.store.encryption),
    )
    done = rig.backup()
    try:
        reader = VerifyRig.of(rig).with_store(replace(rig.store, client=s3_server.client("reader")))
        assert reader.verify(done.run.key).state == "valid"
        assert "the verdict is not kept on the object" in caplog.text
    finally:
        rig.store.delete([done.run.key])


def test_without_a_history_the_verdict_stands_in_the_bucket(
    done: Outcome, verifier: VerifyRig, caplog: pytest.LogCaptureFixture
):
    alone = verifier.without_history()
    verdict = alone.verify(done.run.key)
    assert verdict.valid
    assert "backup_history is out of reach, the verdict stands in the bucket only" in caplog.text
    tagged = alone.tagged(done.run.key)
    assert tagged is not None
    assert tagged.at == verdict.checked_at


def test_without_a_row_the_verdict_stands_in_the_bucket(
    done: Outcome, verifier: VerifyRig, caplog: pytest.LogCaptureFixture
):
    with verifier.connect() as connection:
        connection.execute("delete from public.backup_history")
    assert verifier.verify(done.run.key).valid
    assert f"backup_history has no row of {done.run.key}" in caplog.text
    with verifier.connect() as connection:
        connection.execute("drop table public.backup_history")
    assert verifier.verify(done.run.key).valid


def test_a_row_of_the_first_release_still_says_what_was_written(done: Outcome, verifier: VerifyRig):
    """No state and depth in the verdict, no manifest_sha256, no checksum beside it, no tags."""
    with verifier.connect() as connection:
        connection.execute(
            "update public.backup_history set components_backed_up = components_backed_up - 'checksum' - 'manifest_sha256'"
            " #- '{verification,state}' #- '{verification,depth}' #- '{verification,quick_checked_at}'"
        )
    replaced(verifier.store, done, flipped(done.stored, done.stored.index(b"row 7")))
    verdict = verifier.verify(done.run.key, "quick")
    assert any("backup_history says crc64nvme:" in finding for finding in verdict.findings)


@pytest.mark.parametrize(
    "rubbish", ["'[]'", "null", '\'{"verification": 7, "checksum": [], "row_counts": {"a": "b"}}\'']
)
def test_a_row_that_holds_rubbish_is_no_obstacle(done: Outcome, verifier: VerifyRig, rubbish: str):
    with verifier.connect() as connection:
        connection.execute(f"update public.backup_history set components_backed_up = {rubbish}".encode())
    verdict = verifier.verify(done.run.key)
    assert verdict.valid
    assert verifier.recorded(done.run.key) == verdict.to_json()


def test_a_byte_flipped_on_the_way_is_read_again(done: Outcome, verifier: VerifyRig, wire: FaultyWire):
    """Once in every answer with a body: the manifest's end, the manifest, every byte, the metadata."""
    bodies: list[int] = []

    def flip(exchange: Exchange) -> None:
        if exchange.operation == "Get" and exchange.status == 206 and len(exchange.body) not in bodies:
            bodies.append(len(exchange.body))
            flip_byte(exchange)
            wire.after = None

    wired = verifier.with_store(replace(verifier.store, client=wire.client()))
    for _ in range(4):
        wire.after = flip
        assert wired.verify(done.run.key).valid
    assert len(bodies) == 4


def test_a_server_that_fails_is_never_a_verdict(done: Outcome, verifier: VerifyRig, wire: FaultyWire):
    before = verifier.tagged(done.run.key), verifier.recorded(done.run.key)
    wired = verifier.with_store(replace(verifier.store, client=wire.client()))
    wire.before = lambda exchange: slow_down(exchange) if exchange.operation == "Get" else None
    with pytest.raises(StoreUnavailable):
        wired.verify(done.run.key)
    assert (verifier.tagged(done.run.key), verifier.recorded(done.run.key)) == before


def test_a_backup_that_expired_meanwhile_is_not_missing(done: Outcome, verifier: VerifyRig):
    with verifier.connect() as connection:
        annotate(connection, file_name(done.run.key), {"expired": {"at": "2026-01-01T00:00:00Z", "reason": "policy"}})
    verifier.store.delete([done.run.key])
    now = datetime.now(timezone.utc)
    found = verify(
        verifier.store, verifier.rig.settings, done.run.key, "full", connect=verifier.connect, now=lambda: now
    )
    assert found is None
    assert verifier.recorded(done.run.key)["state"] == "valid"


def test_another_encryption_than_the_settings_want_is_a_warning(done: Outcome, verifier: VerifyRig):
    merge_tags(verifier.store, done.run.key, {"kept": "yes"})
    kms = replace(verifier, rig=verifier.rig.with_settings(s3={"sse": "aws:kms"}))
    verdict = kms.verify(done.run.key)
    assert verdict.valid
    assert verdict.warnings == ["the object is encrypted with AES256, the settings want aws:kms"]
    assert (read_tags(verifier.store, done.run.key) or {})["kept"] == "yes"
