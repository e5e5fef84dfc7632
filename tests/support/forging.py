"""Real documents, edited and hashed again: what only the content gives away, no hash does."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from include.disaster_recovery.document import ROW_SEPARATOR, locator_text, text
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.signing import Signature
from include.disaster_recovery.stream.codec import expand, frame, stored_frame
from tests.support.documents import read_from_end

Edit = Callable[[Any], Any]
Sign = Callable[[int, bytes], Signature | None]


def forged(data: bytes, compression: Compression = "none", *, manifest: Edit = id, schema: Edit | None = None) -> bytes:
    """The document with an edited manifest or schema section. An edit changes its argument, or returns another value.

    A new section stands behind the old ones: readers go by the manifest's ranges.
    """
    found, locator = read_from_end(data, compression)
    kept, content = data[: locator.manifest_offset], found.to_json()
    if schema:
        old = found.sections["schema"]
        value = json.loads(expand(data[old.offset : old.offset + old.length], compression))
        stored = frame(as_bytes(edited(value, schema)), compression)
        digest = sha256(stored).hexdigest()
        content["sections"]["schema"] = {"offset": len(kept), "length": len(stored), "sha256": digest}
        kept += stored
    return kept + ending(edited(content, manifest), len(kept), compression)


def edited(value: Any, edit: Edit) -> Any:
    other = edit(value)
    return other if isinstance(other, (dict, list, str, bytes)) else value


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def ending(content: Any, offset: int, compression: Compression) -> bytes:
    """Manifest and locator."""
    body = frame(as_bytes(content)[:-1], compression)
    return body + stored_frame(locator_text(offset, len(body), sha256(body).hexdigest()), compression)


def tampered(
    data: bytes,
    table: str,
    old: bytes,
    new: bytes,
    *,
    digest_of: Callable[[list[bytes]], str],
    sign: Sign | None = None,
) -> bytes:
    """The uncompressed document with other rows of the same length, everything hashed again: it is of one piece.

    Args:
        digest_of: the content digest of rows, as Postgres says it.
        sign: signs the new manifest, or leaves it unsigned; None keeps the old signature.
    """
    found, locator = read_from_end(data, "none")
    fragment, content = found.tables[table].fragments[0], found.to_json()
    end, entry = fragment.offset + fragment.length, content["tables"][table]["fragments"][0]
    rows = data[fragment.offset : end].replace(old, new, 1)
    assert len(rows) == fragment.length
    assert rows != data[fragment.offset : end]
    entry.update(sha256=sha256(rows).hexdigest(), digest=digest_of(rows.split(ROW_SEPARATOR)))
    signature = found.signature
    content.pop("signature", None)
    body = text(content)[:-1]
    if sign is not None:
        signature = sign(locator.manifest_offset, body)
    body += signature.in_manifest() if signature else b""
    kept = data[: fragment.offset] + rows + data[end : locator.manifest_offset]
    return kept + body + locator_text(len(kept), len(body), sha256(body).hexdigest())
