"""One stack at a time in a folder: two servers on the same data would damage it."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from include.demo.stack.errors import StackError


@contextmanager
def locked_folder(folder: Path) -> Generator[None, None, None]:
    """Hold the lock file of `folder`; the kernel lets go of it when the process ends, however it ends.

    Raises StackError when another process holds it.
    """
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"another stack is running in {folder}", hint="stop it (Ctrl-C where it runs), or use another folder"
            ) from None
        yield
