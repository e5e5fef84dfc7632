"""Which user a Postgres server runs as, and a folder that this user can work in. Postgres refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from include.demo.stack.errors import StackError
from include.demo.stack.secret_files import write_private

UNPRIVILEGED = "nobody"
HOME_PREFIX = "collabhunts-pg-"
LINK_FILE = "reached-by"


@dataclass(frozen=True, kw_only=True)
class ServerAccount:
    """The user a server runs as: `name` is None and `owner` is None when that is the current one."""

    name: str | None
    owner: tuple[int, int] | None

    def can_enter(self, folder: Path) -> bool:
        """Whether the account may pass through `folder` and every folder above (mode bits, no ACLs)."""
        if self.owner is None:
            return True
        uid, gid = self.owner
        resolved = folder.resolve()
        return all(_may_pass(path.stat(), uid, gid) for path in (resolved, *resolved.parents))

    def give(self, path: Path) -> None:
        """Make the account the owner of `path`."""
        if self.owner is not None:
            os.chown(path, *self.owner)


def server_account() -> ServerAccount:
    """The current user, or `nobody` when that is root. Raises StackError when root finds no such user."""
    if os.geteuid() != 0:
        return ServerAccount(name=None, owner=None)
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise StackError(f"no user {UNPRIVILEGED} to run postgres as", hint="run this as a normal user") from None
    return ServerAccount(name=UNPRIVILEGED, owner=(entry.pw_uid, entry.pw_gid))


def server_home(folder: Path, account: ServerAccount) -> Path:
    """A private folder for the server's files: `folder`/home, or behind that link one in the temporary folder.

    The second when the account cannot enter `folder` (a clone below /root, pytest's 0700 folders). Raises StackError
    when the temporary folder cannot be entered either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    if home.is_dir():  # also through the link, from an earlier start
        return home.resolve()
    home.unlink(missing_ok=True)  # a link whose target the system has cleaned away
    if account.can_enter(folder):
        home.mkdir(mode=0o700)
        account.give(home)
        return home.resolve()
    for base in (Path(tempfile.gettempdir()), Path("/var/tmp")):  # noqa: S108 # nosec B108
        if base.is_dir() and account.can_enter(base):
            _remove_forgotten(base)
            elsewhere = Path(tempfile.mkdtemp(prefix=HOME_PREFIX, dir=base))
            home.symlink_to(elsewhere)
            write_private(elsewhere / LINK_FILE, str(home))  # at once and whole: others read it
            account.give(elsewhere)
            return elsewhere
    raise StackError(
        f"user {account.name} can enter neither {folder} nor a temporary folder",
        hint="run this as a normal user, or set TMPDIR to a folder that every user can enter",
    )


def remove_home(folder: Path) -> None:
    """Delete what `server_home` made, the place behind the link included."""
    home = folder / "home"
    if not home.is_symlink():
        shutil.rmtree(home, ignore_errors=True)
        return
    target = home.resolve()
    if target.name.startswith(HOME_PREFIX):
        shutil.rmtree(target, ignore_errors=True)
    home.unlink()


def _remove_forgotten(base: Path) -> None:
    """Delete what killed runs left behind: homes below `base` whose link no longer leads to them."""
    for candidate in base.glob(f"{HOME_PREFIX}*"):
        note = candidate / LINK_FILE
        if note.is_file() and note.owner() == pwd.getpwuid(os.geteuid()).pw_name:
            link = Path(note.read_text())
            if not link.is_symlink() or link.resolve() != candidate.resolve():
                shutil.rmtree(candidate, ignore_errors=True)


def _may_pass(status: os.stat_result, uid: int, gid: int) -> bool:
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH))
