"""Real documents, edited and hashed again: what only the content gives away, no hash does."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from include.disaster_recovery.document import locator_text
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.codec import expand, frame, stored_frame
from tests.support.documents import read_from_end

Edit = Callable[[Any], Any]


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
