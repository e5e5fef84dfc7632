"""Signatures of manifests: what they cover, who may sign, and what is said of those that do not hold."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.disaster_recovery.backup_key import backup_key
from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import PermanentError, SettingsError, SignatureRefused
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.signing import Keyring, Signature, SigningKey, signing_key
from tests.support.documents import build_document, read_from_end

OPENED = datetime(2025, 12, 7, 18, 33, 7, 123000, tzinfo=timezone.utc)
KEY = backup_key("backups/", OPENED, "none")
SECRET = b"a secret of thirty-two bytes, or so it is"
RING = Keyring(signer=SigningKey(key_id="2025", secret=SECRET))
BODY = b'{"format":"collabhunts-backup","tables":{}'


def signed(ring: Keyring = RING, key: str = KEY, offset: int = 10, body: bytes = BODY) -> Signature:
    found = ring.sign(key, offset, body)
    assert found is not None
    return found


def let_in(ring: Keyring, signature: Signature | None, *, key: str = KEY, offset: int = 10, body: bytes = BODY) -> None:
    stored = body + (signature.in_manifest() if signature else b"")
    ring.require_signed(key, signature, offset, lambda: stored)


def refusal(ring: Keyring, signature: Signature | None, **changed: object) -> SignatureRefused:
    with pytest.raises(SignatureRefused) as caught:
        let_in(ring, signature, **changed)  # type: ignore[arg-type]
    assert isinstance(caught.value, PermanentError)
    assert caught.value.hint
    assert SECRET.decode() not in str(caught.value)
    return caught.value


def test_what_is_signed_is_the_manifest_where_it_stands_and_whose_it_is():
    said = b"collabhunts-backup manifest 1\n" + KEY.removeprefix("backups/").encode() + b"\n10\n" + BODY
    assert signed().to_json() == {
        "algorithm": "HMAC-SHA-256",
        "key_id": "2025",
        "value": hmac.new(SECRET, said, sha256).hexdigest(),
    }
    let_in(RING, signed())


@given(at=st.integers(0, len(BODY) - 1), mask=st.integers(1, 255))
def test_no_byte_of_a_signed_manifest_can_change(at: int, mask: int):
    changed = BODY[:at] + bytes([BODY[at] ^ mask]) + BODY[at + 1 :]
    assert "does not bear out its signature" in refusal(RING, signed(), body=changed).fact


@given(other=st.integers(0, 10**20).filter(lambda other: other != 10))
def test_a_signed_manifest_cannot_stand_elsewhere_in_the_object(other: int):
    refusal(RING, signed(), offset=other)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(timezone.utc)))  # noqa: DTZ001
def test_a_signed_document_cannot_be_given_the_name_of_another_moment(moment: datetime):
    key = backup_key("backups/", moment, "none")
    if key != KEY:
        refusal(RING, signed(), key=key)


def test_a_copied_bucket_or_another_prefix_changes_nothing():
    let_in(RING, signed(), key=KEY.replace("backups/", "copy/of/all/"))


def test_a_signature_counts_only_as_the_last_word_of_the_manifest():
    signature = signed()
    elsewhere = BODY + signature.in_manifest() + b',"tables":{"more":{}}'
    with pytest.raises(SignatureRefused, match="does not bear out"):
        RING.require_signed(KEY, signature, 10, lambda: elsewhere)


@given(st.binary(min_size=32, max_size=64).filter(lambda other: other != SECRET))
def test_another_secret_under_the_same_id_is_no_signature_of_ours(other: bytes):
    forger = Keyring(signer=SigningKey(key_id="2025", secret=other))
    assert "the secret is another one now" in refusal(RING, signed(forger)).fact


def test_an_unknown_key_is_named_with_those_that_are_accepted():
    other = Keyring(signer=SigningKey(key_id="2024", secret=SECRET))
    error = refusal(RING, signed(other))
    assert "is signed with key 2024 (HMAC-SHA-256), the accepted keys are 2025" in error.fact
    assert "signing.accepted_conn_ids" in error.hint


def test_an_algorithm_of_another_time_is_refused_by_name():
    later = signed().model_copy(update={"algorithm": "ed25519"})
    assert "with key 2025 (ed25519)" in refusal(RING, later).fact


def test_after_a_rotation_documents_of_both_keys_are_accepted():
    new = SigningKey(key_id="2026", secret=SECRET[::-1])
    rotated = Keyring(signer=new, accepted=(SigningKey(key_id="2025", secret=SECRET),))
    let_in(rotated, signed())
    let_in(rotated, signed(rotated))
    assert signed(rotated).key_id == "2026"
    refusal(RING, signed(rotated))


@pytest.mark.parametrize("before, accepted", [(timedelta(0), False), (timedelta(milliseconds=1), True)])
def test_an_unsigned_document_is_accepted_only_below_a_moment(before: timedelta, accepted: bool):
    ring = Keyring(signer=RING.signer, unsigned_before=OPENED + before)
    if accepted:
        let_in(ring, None)
    else:
        assert "signing.unsigned_before" in refusal(ring, None).hint


def test_without_that_moment_no_unsigned_document_is_accepted():
    assert "is not signed" in refusal(RING, None).fact


def test_an_unsigned_document_of_a_foreign_name_has_no_moment():
    ring = Keyring(signer=RING.signer, unsigned_before=OPENED + timedelta(days=9999))
    refusal(ring, None, key="backups/mine.json")


def test_without_a_key_everything_is_let_in_and_said():
    let_in(Keyring(), None)
    let_in(Keyring(), signed())
    assert Keyring().sign(KEY, 10, BODY) is None
    assert Keyring().standing(None) == "not signed"
    assert "was not checked" in Keyring().standing(signed())
    assert RING.standing(signed()) == "signed with key 2025, its signature holds"
    assert "older than" in RING.standing(None)


# --- keys


@pytest.mark.parametrize("secret", ["x" * 32, "ü" * 16, "  " + "x" * 32 + "\n"])
def test_a_secret_of_32_bytes_will_do_whatever_stands_around_it(secret: str):
    assert signing_key("my_key", " 2026-11 ", secret) == SigningKey(key_id="2026-11", secret=secret.strip().encode())


@pytest.mark.parametrize("secret", [None, "", "x" * 31, " " * 40])
def test_a_weak_secret_is_refused_with_a_way_to_a_better_one(secret: str | None):
    with pytest.raises(
        SettingsError, match=r"Airflow connection my_key has \d+ bytes, a signing key needs 32"
    ) as caught:
        signing_key("my_key", "2026", secret)
    assert "openssl rand -base64 32" in caught.value.hint
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("login", [None, "", "two words", "ключ", "x" * 65, 'a"b', "a\nb"])
def test_a_login_that_cannot_be_an_id_is_refused(login: str | None):
    with pytest.raises(SettingsError, match="the login of Airflow connection my_key is no id"):
        signing_key("my_key", login, SECRET.decode())


def test_two_keys_of_one_id_are_refused():
    with pytest.raises(SettingsError, match="two signing keys have the id 2025"):
        Keyring(signer=RING.signer, accepted=(SigningKey(key_id="2025", secret=SECRET[::-1]),))


@pytest.mark.parametrize("show", [repr, str, lambda key: f"{key}", lambda key: repr(Keyring(signer=key))])
def test_no_text_of_a_key_shows_its_secret(show: Callable[[SigningKey], str]):
    assert SECRET.decode() not in show(SigningKey(key_id="2025", secret=SECRET))


@pytest.mark.parametrize(
    "wrong",
    [
        {"accepted_conn_ids": ["old"]},
        {"unsigned_before": OPENED},
        {"conn_id": "new", "accepted_conn_ids": ["new"]},
        {"conn_id": "new", "accepted_conn_ids": ["old", "old"]},
        {"conn_id": "new", "unsigned_before": datetime(2025, 1, 1)},  # noqa: DTZ001 - of no zone
        {"conn_id": "no spaces"},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match="signing"):
        Settings.model_validate({"signing": wrong})


# --- documents


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_signed_document_has_the_signature_last_in_its_manifest(compression: str):
    plain = build_document(compression=compression)
    built = build_document(compression=compression, sign=lambda offset, body: RING.sign(KEY, offset, body))
    manifest, locator = read_from_end(built.data, compression)
    assert manifest.signature is not None
    assert manifest == built.manifest
    body = built.cut(locator.manifest_offset, locator.manifest_length)
    assert body.endswith(manifest.signature.in_manifest())
    assert list(json.loads(body + b"}"))[-2:] == ["tables", "signature"]
    RING.require_signed(KEY, manifest.signature, locator.manifest_offset, lambda: body)
    same = read_from_end(plain.data, compression)[1].manifest_offset
    assert (same, plain.data[:same]) == (locator.manifest_offset, built.data[:same])


def test_an_unsigned_manifest_says_nothing_of_signatures():
    built = build_document()
    assert b"signature" not in built.data
    assert "signature" not in built.manifest.to_json()
    assert Manifest.model_validate(built.manifest.to_json()) == built.manifest
