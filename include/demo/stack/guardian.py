"""Runs one command and takes its whole process tree down: when told to, when the command ends, when the parent dies.

Started by `processes.ManagedProcess` as `python -I -S guardian.py SPEC`; standard library only, single-threaded. Why a
process of its own: PR_SET_PDEATHSIG fires when the *thread* that forked ends and reaches one generation only, and a
killed parent cannot clean up. This process adopts every orphan below it (Linux: PR_SET_CHILD_SUBREAPER), so nothing
escapes by `setsid` or a double fork.

SPEC (JSON): command, user (name or null), stop_signal, grace_s. Standard input: a line `stop N SECONDS`; its end
means that the parent is gone. Standard output: the command's pid. Standard error: the log file.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ORPHANED_GRACE_S = 5.0
LINUX = sys.platform.startswith("linux")
LIBC = ctypes.CDLL(None) if LINUX else None


class Guardian:
    """State of one guarded command; times are seconds of the monotonic clock."""

    def __init__(self, spec: dict[str, Any]) -> None:
        """Read the spec; nothing is started yet."""
        self.command: list[str] = spec["command"]
        self.user: str | None = spec["user"]
        self.stop_signal = int(spec["stop_signal"])
        self.grace_s = float(spec["grace_s"])
        self.parent = os.getppid()
        self.child = 0
        self.deadline: float | None = None
        self.commands = b""
        self.stdin_open = True

    def run(self) -> int:
        """Guard the command until it and everything below it has ended; return its exit status, shell style."""
        wake = prepare_signals()
        if LIBC is not None:
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            self.child = self.spawn()
        except OSError as error:
            print(f"cannot execute {self.command[0]}: {error.strerror}", file=sys.stderr)
            return 127
        os.write(1, b"%d\n" % self.child)
        os.close(1)
        while (status := reap(self.child)) is None:
            self.listen(wake)
            if self.deadline is None and os.getppid() != self.parent:
                self.begin_stop(self.stop_signal, min(self.grace_s, ORPHANED_GRACE_S))
            if self.deadline is not None and time.monotonic() > self.deadline:
                kill_tree(self.child)
        kill_tree(self.child)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def spawn(self) -> int:
        """Start the command in a session of its own, as `user` when given; return its pid."""
        identity: dict[str, Any] = {}
        if self.user is not None:
            import pwd

            entry = pwd.getpwnam(self.user)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=2,
            stderr=2,
            start_new_session=True,
            preexec_fn=die_with_guardian,  # noqa: PLW1509  # single-threaded; after setuid, which would clear it
            **identity,
        )
        child.returncode = 0  # reaped by hand below; silences Popen's destructor
        return child.pid

    def listen(self, wake: int) -> None:
        """Wait up to a second for a command, the end of the parent or the end of a child."""
        sources = [wake, *([0] if self.stdin_open else [])]
        wait = 1.0 if self.deadline is None else min(1.0, max(0.02, self.deadline - time.monotonic()))
        ready, _, _ = select.select(sources, [], [], wait)
        if wake in ready and signal.SIGTERM in os.read(wake, 512):
            self.begin_stop(self.stop_signal, self.grace_s)
        if 0 in ready:
            self.read_commands()

    def read_commands(self) -> None:
        """Obey what the parent wrote; no more to read means that it has died."""
        data = os.read(0, 4096)
        if not data:
            self.stdin_open = False
            self.begin_stop(self.stop_signal, min(self.grace_s, ORPHANED_GRACE_S))
        *lines, self.commands = (self.commands + data).split(b"\n")
        for line in lines:
            verb, *values = line.decode().split()
            if verb == "stop":
                self.begin_stop(int(values[0]), float(values[1]))

    def begin_stop(self, signal_number: int, grace_s: float) -> None:
        """Ask the command to end; the first call sets the moment at which the tree is killed."""
        if self.deadline is None:
            self.deadline = time.monotonic() + grace_s
            send(self.child, signal_number)


def prepare_signals() -> int:
    """Outlive the terminal's signals; return a descriptor that turns readable on SIGCHLD and SIGTERM."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return read_end


def die_with_guardian() -> None:
    """In the new child: default signals again, and SIGKILL when the guardian itself is killed."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def send(pid: int, number: int) -> None:
    """Deliver a signal; a process that has just gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def reap(child: int) -> int | None:
    """Collect every ended child and adopted orphan; return the wait status of `child` once it has ended."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def descendants() -> list[int]:
    """Pids of all processes below this one (Linux; empty elsewhere)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat") if LINUX else ():
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has just ended
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def kill_tree(child: int) -> None:
    """SIGKILL everything below this process, except that the status of a still running `child` is left to `reap`."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    for _ in range(200):
        pids = descendants()
        for pid in pids:
            send(pid, signal.SIGKILL)
        if not [pid for pid in pids if pid != child]:
            return
        time.sleep(0.01)
        for pid in pids:
            if pid != child:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(Guardian(json.loads(sys.argv[1])).run())
