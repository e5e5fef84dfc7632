"""Signed backups: one that was tampered with, or given another's name, is refused by everything that reads it."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256

import pytest

from include.disaster_recovery.backup_key import backup_key, opened_at
from include.disaster_recovery.errors import DrillFailed, SettingsError, SignatureRefused
from include.disaster_recovery.runtime import connections
from include.disaster_recovery.s3.documents import IN_METADATA
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.signing import Keyring, Signature, SigningKey
from tests.support.documents import read_from_end
from tests.support.drill_rig import DrillRig
from tests.support.forging import Sign, tampered
from tests.support.restore_rig import RestoreRig, everything
from tests.support.retention_rig import RetentionRig
from tests.support.rig import Outcome, Rig
from tests.support.verify_rig import VerifyRig, replaced

SECRET, OTHER = (secrets.token_urlsafe(32) for _ in range(2))
OURS = SigningKey(key_id="2025", secret=SECRET.encode())
NEXT = SigningKey(key_id="2026", secret=OTHER.encode())
FOREVER = datetime(2100, 1, 1, tzinfo=timezone.utc)


def with_keys(rig: Rig, ring: Keyring) -> Rig:
    return replace(rig, store=replace(rig.store, keyring=lambda: ring))


@pytest.fixture
def signing(tables: Rig) -> Rig:
    return with_keys(tables, Keyring(signer=OURS))


def digest_by(rig: Rig) -> Callable[[list[bytes]], str]:
    """The digest of docs/format.md, asked of Postgres."""

    def digest(rows: list[bytes]) -> str:
        with rig.connect() as connection:
            query = "select sum(hashtextextended(r, 0)::numeric) from unnest(%s::text[]) as r"
            (total,) = connection.execute(query, ([row.decode() for row in rows],)).fetchone() or (0,)
        return f"{int(str(total)) % 2**64:016x}"

    return digest


def forge(rig: Rig, done: Outcome, sign: Sign | None) -> None:
    """Put a tampered document in the place of a backup, as somebody would who can write to the bucket."""
    data = tampered(done.stored, "second", b'"row 7"', b'"row 8"', digest_of=digest_by(rig), sign=sign)
    _, locator = read_from_end(data, "none")
    replaced(rig.store, done, data, **{IN_METADATA: locator.manifest_sha256})


def refused_everywhere(rig: Rig, key: str, fact: str) -> None:
    """Verify, drill and restore refuse it, by its key and as `latest`, before they touch anything."""
    verify, target, tags = VerifyRig.of(rig), RestoreRig.into(rig), read_tags(rig.store, key)
    with rig.connect() as connection:
        before = everything(connection)
    for depth in ("quick", "full"):
        with pytest.raises(SignatureRefused, match=fact):
            verify.verify(key, depth)
    for wanted in (key, "latest"):
        with pytest.raises(SignatureRefused, match=fact) as caught:
            target.plan(backup_key=wanted, mode="upsert")
        assert caught.value.hint
        drill = DrillRig.of(rig)
        with pytest.raises(DrillFailed, match=f"says nothing of the backup: plan: .*{fact}.*cannot be told"):
            drill.drill(wanted)
        assert drill.databases() == []
    with rig.connect() as connection:
        assert everything(connection) == before
    assert read_tags(rig.store, key) == tags
    assert rig.store.keys("backups/in-use/") == []


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_signed_backup_is_verified_and_restored(signing: Rig, compression: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, logger="include")
    rig = signing.with_settings(compression=compression)
    done = rig.backup()
    assert done.verdict.valid
    assert done.backup["manifest"]["signature"]["key_id"] == "2025"
    assert VerifyRig.of(rig).verify(done.run.key).valid
    with rig.connect() as connection:
        connection.execute("delete from public.first where i > 40")
    assert RestoreRig.into(rig).restore(backup_key="latest").of("first") == (10, 0, 0, 40)
    said = [record.getMessage() for record in caplog.records]
    assert said.count(f"{done.run.key} is signed with key 2025, its signature holds") == 3
    let_out = "\n".join([*said, repr(rig.store), repr(done), str(done.event), done.stored.hex()])
    assert SECRET not in let_out
    assert SECRET.encode().hex() not in let_out


def test_a_tampered_document_of_one_piece_is_refused_by_whoever_has_the_key(signing: Rig, tables: Rig):
    done = signing.backup()
    forge(signing, done, sign=None)
    refused_everywhere(signing, done.run.key, "does not bear out its signature with key 2025")
    with tables.connect() as connection:
        connection.execute("delete from public.backup_history")  # it knows the document that was written
    assert VerifyRig.of(tables).verify(done.run.key).valid, "nothing but the signature gives the forgery away"
    RestoreRig.into(tables).restore(backup_key="latest")
    with tables.connect() as connection:
        assert connection.execute("select count(*) from public.second where t = 'row 8'").fetchone() == (2,)


@pytest.mark.parametrize(
    "sign, fact",
    [
        (lambda _offset, _body: None, "is not signed"),
        (
            lambda offset, body: NEXT.sign("backups/x.json", offset, body),
            "is signed with key 2026 .* accepted keys are 2025",
        ),
        (replace(NEXT, key_id="2025").sign, "does not bear out its signature with key 2025"),
    ],
    ids=["the signature taken away", "signed with a key of its own", "signed with another secret under our id"],
)
def test_no_signature_that_a_forger_can_make_is_accepted(signing: Rig, sign: Callable[..., object], fact: str):
    done = signing.backup()
    forger = sign if "lambda" in repr(sign) else (lambda offset, body: sign(done.run.key, offset, body))
    forge(signing, done, sign=forger)  # type: ignore[arg-type]
    refused_everywhere(signing, done.run.key, fact)


def test_an_older_backup_cannot_be_passed_off_as_the_newest(signing: Rig):
    done = signing.backup()
    newer = backup_key("backups/", opened_at("backups/", done.run.key) + timedelta(milliseconds=1), "none")
    signing.store.client.copy_object(
        Bucket=signing.store.bucket, Key=newer, CopySource={"Bucket": signing.store.bucket, "Key": done.run.key}
    )
    refused_everywhere(signing, newer, "does not bear out its signature with key 2025")


def test_keys_are_rotated_without_losing_a_backup(signing: Rig):
    old = signing.backup()
    rotated = with_keys(signing, Keyring(signer=NEXT, accepted=(OURS,)))
    new = rotated.backup()
    assert new.backup["manifest"]["signature"]["key_id"] == "2026"
    for done in (old, new):
        assert VerifyRig.of(rotated).verify(done.run.key).valid
        assert RestoreRig.into(rotated).restore(backup_key=done.run.key).plan.run.key == done.run.key
    retired = with_keys(signing, Keyring(signer=NEXT))
    with pytest.raises(SignatureRefused, match=r"is signed with key 2025 .* the accepted keys are 2026"):
        RestoreRig.into(retired).plan(backup_key=old.run.key)


def test_backups_of_before_are_accepted_by_choice_only(signing: Rig, tables: Rig):
    done = tables.backup()
    opened = opened_at("backups/", done.run.key)
    with pytest.raises(SignatureRefused, match="is not signed") as caught:
        RestoreRig.into(signing).plan()
    assert "signing.unsigned_before" in caught.value.hint
    lenient = with_keys(tables, Keyring(signer=OURS, unsigned_before=opened + timedelta(milliseconds=1)))
    assert VerifyRig.of(lenient).verify(done.run.key).valid
    assert RestoreRig.into(lenient).restore().plan.run.key == done.run.key
    strict = with_keys(tables, Keyring(signer=OURS, unsigned_before=opened))
    with pytest.raises(SignatureRefused, match=r"not older than signing\.unsigned_before"):
        RestoreRig.into(strict).plan()


def test_without_keys_a_signed_backup_is_restored_and_the_log_says_so(
    signing: Rig, tables: Rig, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="include")
    done = signing.backup()
    assert VerifyRig.of(tables).verify(done.run.key).valid
    RestoreRig.into(tables).restore()
    assert f"{done.run.key} is signed with key 2025, its signature was not checked, as signing is not configured" in [
        record.getMessage() for record in caplog.records
    ]


def test_a_document_exchanged_after_the_plan_is_refused_while_it_is_loaded(signing: Rig):
    done, target = signing.backup(), RestoreRig.into(signing)
    plan, units = target.plan()
    forge(signing, done, sign=None)
    try:
        with pytest.raises(SignatureRefused, match="does not bear out"):
            target.load(plan, next(unit for unit in units if unit.table == "second"))
    finally:
        target.clean_up(plan)


def test_retention_does_not_delete_what_may_be_none_of_ours(signing: Rig):
    old, new = signing.backup(), signing.backup()
    forge(signing, old, sign=lambda _offset, _body: None)
    retention = RetentionRig(signing, now=FOREVER).keeping(keep_last=1)
    report = retention.run()
    assert "cannot be told to be ours" in report.kept[old.run.key]
    assert retention.keys() == sorted([old.run.key, new.run.key])


# --- keys from Airflow connections


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Keyring]:
    """The keyring of these settings and Airflow connections, given as login and password."""

    def keyring(signing: dict[str, object], **keys: tuple[str, str]) -> Keyring:
        for conn_id, (login, password) in keys.items():
            content = json.dumps({"conn_type": "generic", "login": login, "password": password})
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", content)
        monkeypatch.setattr(connections, "settings", lambda: Settings.model_validate({"signing": signing}))
        return connections.keyring()

    return keyring


def test_keys_come_from_airflow_connections(configured: Callable[..., Keyring]):
    found = configured(
        {"conn_id": "sign_new", "accepted_conn_ids": ["sign_old"], "unsigned_before": FOREVER},
        sign_new=("2026", OTHER),
        sign_old=("2025", SECRET),
    )
    assert found == Keyring(signer=NEXT, accepted=(OURS,), unsigned_before=FOREVER)
    assert SECRET not in repr(found)


def test_a_key_that_is_missing_is_named_before_anything_happens(configured: Callable[..., Keyring]):
    with pytest.raises(SettingsError, match="Airflow connection sign_gone is missing") as caught:
        configured({"conn_id": "sign_gone"})
    assert "AIRFLOW_CONN_SIGN_GONE" in caught.value.hint


def test_a_weak_key_is_refused_by_its_connection(configured: Callable[..., Keyring]):
    with pytest.raises(SettingsError, match="Airflow connection sign_weak has 8 bytes") as caught:
        configured({"conn_id": "sign_weak"}, sign_weak=("2026", "password"))
    assert "openssl rand" in caught.value.hint


def test_without_the_setting_no_connection_is_asked_for(configured: Callable[..., Keyring]):
    assert configured({}) == Keyring()


def test_a_hash_is_no_signature(signing: Rig):
    """What anybody can compute: the manifest's own hash in the place of the signature."""
    done = signing.backup()

    def hashed(offset: int, body: bytes) -> Signature:
        return OURS.sign(done.run.key, offset, body).model_copy(update={"value": sha256(body).hexdigest()})

    forge(signing, done, sign=hashed)
    refused_everywhere(signing, done.run.key, "does not bear out")
