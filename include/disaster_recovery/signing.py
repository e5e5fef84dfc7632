"""Signatures of manifests: who holds no signing key can neither forge a document nor give one another name. Pure.

A manifest hashes everything a document holds, so that whoever can change the bytes can hash them again: such a document
is of one piece. A signature is an HMAC-SHA-256 (RFC 2104) over the manifest's own bytes, where they stand and the file
name of the backup; specified in `docs/format.md`, what it is good for in `docs/security.md`.
"""

import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from include.disaster_recovery.backup_key import file_name, opened_in
from include.disaster_recovery.errors import SettingsError, SignatureRefused
from include.disaster_recovery.model import Value

ALGORITHM = "HMAC-SHA-256"
CONTEXT = "collabhunts-backup manifest 1"  # what else may ever be signed with a key begins with another line
LEAST_SECRET = 32  # bytes: as long as the hash, RFC 2104 section 3
LONGEST_ID = 64
MAKE_ONE = "make one with `openssl rand -base64 32`"

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$", max_length=LONGEST_ID)]


class Signature(Value):
    """What a manifest says last of itself. `value` is in lower-case hex."""

    algorithm: Word
    key_id: Word
    value: Annotated[str, Field(pattern=r"^[0-9a-f]+$", max_length=1024)]

    def in_manifest(self) -> bytes:
        """What stands behind the signed bytes of the manifest."""
        return b',"signature":' + json.dumps(self.to_json(), separators=(",", ":")).encode()


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A secret of at least `LEAST_SECRET` bytes, and the name that signatures call it by."""

    key_id: str
    secret: bytes = field(repr=False)

    def sign(self, key: str, offset: int, body: bytes) -> Signature:
        """Sign a manifest.

        Args:
            key: the backup key; of it the file name counts, so that a copied bucket or another prefix changes nothing.
            offset: where the manifest stands in the object, bytes.
            body: the manifest as text, without its closing brace, signature and locator.
        """
        said = "\n".join((CONTEXT, file_name(key), str(offset), "")).encode() + body
        return Signature(algorithm=ALGORITHM, key_id=self.key_id, value=hmac.new(self.secret, said, sha256).hexdigest())


def signing_key(conn_id: str, login: str | None, password: str | None) -> SigningKey:
    """The key that an Airflow connection holds: its login is the id, its password the secret, as UTF-8 text.

    Raises:
        SettingsError: one of both is missing, or is no good; the secret is not shown.
    """
    key_id, secret = (login or "").strip(), (password or "").strip().encode()
    if not key_id or len(key_id) > LONGEST_ID or not all(c.isascii() and (c.isalnum() or c in "_.:-") for c in key_id):
        raise SettingsError(
            f"the login of Airflow connection {conn_id} is no id of a signing key",
            hint=f"give it 1 to {LONGEST_ID} letters, digits or _ . : -, such as 2026-11; documents show it",
        )
    if len(secret) < LEAST_SECRET:
        raise SettingsError(
            f"the password of Airflow connection {conn_id} has {len(secret)} bytes, a signing key needs {LEAST_SECRET}",
            hint=MAKE_ONE,
        )
    return SigningKey(key_id=key_id, secret=secret)


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """The key that signs, and all that are accepted; without a key nothing is signed and nothing is asked for.

    Documents opened before `unsigned_before` may be unsigned.
    """

    signer: SigningKey | None = None
    accepted: tuple[SigningKey, ...] = ()
    unsigned_before: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse two secrets of one name.

        Raises:
            SettingsError: there are.
        """
        ids = [key.key_id for key in self.keys]
        if twice := sorted({each for each in ids if ids.count(each) > 1}):
            raise SettingsError(
                f"two signing keys have the id {twice[0]}",
                hint="give each key an id of its own, as the login of its Airflow connection",
            )

    @property
    def keys(self) -> Sequence[SigningKey]:
        """Every key whose signature is accepted."""
        return (*((self.signer,) if self.signer else ()), *self.accepted)

    def sign(self, key: str, offset: int, body: bytes) -> Signature | None:
        """As `SigningKey.sign`; None without a key."""
        return self.signer.sign(key, offset, body) if self.signer else None

    def require_signed(self, key: str, signature: Signature | None, offset: int, body: Callable[[], bytes]) -> None:
        """Refuse a manifest that nobody with an accepted key has signed for this backup key.

        Args:
            key: the backup key.
            signature: what the manifest says.
            offset: where the manifest stands in the object, bytes.
            body: gives the manifest as text, without its closing brace and its locator.

        Raises:
            SignatureRefused: it is unsigned, signed with another key, or was changed since.
        """
        if not self.keys:
            return
        if signature is None:
            self._require_older(key)
            return
        signer = next((each for each in self.keys if each.key_id == signature.key_id), None)
        if signer is None or signature.algorithm != ALGORITHM:
            raise self._unknown(key, signature)
        said, written = body(), signature.in_manifest()
        wanted = signer.sign(key, offset, said.removesuffix(written))
        if not said.endswith(written) or not hmac.compare_digest(wanted.value, signature.value):
            raise SignatureRefused(
                f"{key} does not bear out its signature with key {signature.key_id}: somebody without that key has"
                " changed it or given it its name, or the secret is another one now",
                hint="choose another backup, and find out who can write to the bucket: docs/security.md says how",
            )

    def standing(self, signature: Signature | None) -> str:
        """What is known of a document that was let in, for people."""
        if signature is None:
            return (
                f"not signed, which is allowed as it is older than {self.unsigned_before}"
                if self.keys
                else "not signed"
            )
        checked = "its signature holds" if self.keys else "its signature was not checked, as signing is not configured"
        return f"signed with key {signature.key_id}, {checked}"

    def _require_older(self, key: str) -> None:
        opened = opened_in(key)
        if self.unsigned_before is not None and opened is not None and opened < self.unsigned_before:
            return
        raise SignatureRefused(
            f"{key} is not signed, and not older than signing.unsigned_before ({self.unsigned_before})",
            hint="choose a signed backup; if it was written before signing was set up, and nobody else can have written"
            " it, set signing.unsigned_before to a later moment: docs/security.md, Signed manifests",
        )

    def _unknown(self, key: str, signature: Signature) -> SignatureRefused:
        known = ", ".join(each.key_id for each in self.keys)
        return SignatureRefused(
            f"{key} is signed with key {signature.key_id} ({signature.algorithm}), the accepted keys are {known}"
            f" ({ALGORITHM})",
            hint=f"if key {signature.key_id} was one of yours, name an Airflow connection with it in"
            " signing.accepted_conn_ids; if it is lost: docs/security.md, Signed manifests",
        )


def no_keys() -> Keyring:
    """Nothing is signed, and no signature is asked for."""
    return Keyring()
