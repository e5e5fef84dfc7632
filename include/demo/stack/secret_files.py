"""Files that only their owner may read: passwords and keys of the embedded stack."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_private(path: Path, content: str | bytes, *, owner: tuple[int, int] | None = None) -> Path:
    """Write `content` to a file of mode 0600, replaced atomically; `owner` is (uid, gid), for root to set."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    if owner is not None:
        os.chown(scratch, *owner)
    scratch.replace(path)
    return path


def remembered_secret(path: Path, *, length: int = 24) -> str:
    """The secret in `path`; the first call generates one of `length` random bytes, URL-safe."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(length))
    return path.read_text().strip()
