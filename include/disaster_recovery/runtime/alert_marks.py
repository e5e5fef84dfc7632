"""Which alerts this machine has sent while the bucket could not be reached: a small file each, so that one tells."""

import logging
import os
import tempfile
import time
from hashlib import sha256
from pathlib import Path

log = logging.getLogger(__name__)

LASTING_SECONDS = 6 * 3600  # then it is told again: nobody knows whether the incident is still open


def folder() -> Path:
    """Where the files are: of this user alone, in the machine's folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"collabhunts-alerts-{os.getuid()}"


def is_first(kind: str, subject: str) -> bool:
    """Whether nobody on this machine has reported the incident; True as well where no file can be written."""
    path = _path(kind, subject)
    try:
        _make_folder(path.parent)
        if path.exists() and time.time() - path.stat().st_mtime > LASTING_SECONDS:
            path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        log.warning("no mark of the alert could be kept: %s; it may be sent more than once", type(error).__name__)
    return True


def forget(kind: str, subject: str) -> bool:
    """Remove the mark of an incident; whether there was one."""
    try:
        _path(kind, subject).unlink()
    except OSError:
        return False
    return True


def _path(kind: str, subject: str) -> Path:
    return folder() / f"{kind}-{sha256(subject.encode()).hexdigest()[:16]}"


def _make_folder(path: Path) -> None:
    """Everybody may write to the folder above: one of this name that is not ours is not used."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else")
