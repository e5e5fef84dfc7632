"""One managed child process: own session, log file, readiness check, and an end that takes its whole tree along."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import Self

from include.demo.stack.errors import ProcessFailed

GUARDIAN = Path(__file__).with_name("guardian.py")
POLL_S = 0.05
TAIL_LINES = 15


@dataclass(kw_only=True)
class ManagedProcess:
    """A command that runs below a guardian (see guardian.py) and ends with this process, however that ends.

    `name` is used in errors; `log_file` gets standard output and error (appended); `user` is the name of the user to
    run as (root only); `stop_signal` asks for an orderly end, after `grace_s` seconds everything left is killed.
    """

    name: str
    command: Sequence[str]
    log_file: Path
    env: Mapping[str, str] | None = field(default=None, repr=False)
    cwd: Path | None = None
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    grace_s: float = 10.0
    pid: int = field(default=0, init=False)
    _guardian: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _log_start: int = field(default=0, init=False, repr=False)

    def start(self) -> Self:
        """Start the command. Raises ProcessFailed when it already runs or cannot be executed."""
        if self.running:
            raise ProcessFailed(f"{self.name} is already running as pid {self.pid}", hint="stop it first")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARDIAN), self._spec()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=None if self.env is None else dict(self.env),
                cwd=self.cwd,
                start_new_session=True,
            )
        self.pid = _read_pid(self._guardian)
        if not self.pid:
            self._settle(self._guardian)
            raise self._failure(f"{self.name} could not be started", hint="read the log lines above")
        return self

    @property
    def running(self) -> bool:
        """Whether the command, or anything below it, still runs."""
        return self._guardian is not None and self._guardian.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status as a shell shows it (128 + n after signal n); None while running or before the start."""
        return None if self._guardian is None else self._guardian.poll()

    def check(self) -> None:
        """Raise ProcessFailed, with the log's tail, when the command has ended."""
        if self._guardian is not None and not self.running:
            self._settle(self._guardian)
            raise self._failure(f"{self.name} ended with status {self.returncode}")

    def wait_until_ready(self, check: Callable[[], bool], *, timeout_s: float) -> float:
        """Call `check` every 50 ms until it is true; return the seconds waited.

        Raises ProcessFailed, with the log's tail, when the command ends before or `timeout_s` passes; in the second
        case the process is stopped.
        """
        begin = time.monotonic()
        while not check():
            self.check()
            if time.monotonic() - begin > timeout_s:
                self.stop()
                raise self._failure(f"{self.name} was not ready after {timeout_s:.0f} s")
            time.sleep(POLL_S)
        return time.monotonic() - begin

    def wait(self, *, timeout_s: float) -> None:
        """Wait for a command that ends by itself.

        Raises ProcessFailed when it was not started, its status is not 0, or `timeout_s` passes.
        """
        if self._guardian is None:
            raise self._failure(f"{self.name} was not started", hint="call start()")
        try:
            status = self._guardian.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise self._failure(f"{self.name} did not end within {timeout_s:.0f} s") from None
        self._settle(self._guardian)
        if status != 0:
            raise self._failure(f"{self.name} ended with status {status}")

    def signal(self, number: int) -> None:
        """Send a signal to the command itself (for fault tests: SIGKILL, SIGSTOP); no error when it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ask_to_stop(self, *, stop_signal: int | None = None, grace_s: float | None = None) -> None:
        """What `stop` does without waiting for the end, to stop several at a time; the first call counts."""
        number = self.stop_signal if stop_signal is None else stop_signal
        self._tell(f"stop {int(number)} {self.grace_s if grace_s is None else grace_s}")

    def stop(self, *, stop_signal: int | None = None, grace_s: float | None = None) -> None:
        """End the command and everything below it, orderly within `grace_s` seconds, killed after; harmless twice."""
        if self._guardian is None:
            return
        grace = self.grace_s if grace_s is None else grace_s
        self.ask_to_stop(stop_signal=stop_signal, grace_s=grace)
        self._settle(self._guardian, grace + 10)

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last `lines` lines written since this start."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(max(self._log_start, os.fstat(log.fileno()).st_size - 64 * 1024))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _settle(self, guardian: subprocess.Popen[bytes], timeout_s: float = 10) -> None:
        """Collect a guardian that has ended or is about to; one that is stuck is killed, and the command with it."""
        try:
            guardian.wait(timeout_s)
        except subprocess.TimeoutExpired:
            guardian.kill()
            guardian.wait()
        if guardian.stdin is not None:
            with contextlib.suppress(OSError):
                guardian.stdin.close()

    def _spec(self) -> str:
        spec: dict[str, Any] = {
            "command": [str(part) for part in self.command],
            "user": self.user,
            "stop_signal": int(self.stop_signal),
            "grace_s": self.grace_s,
        }
        return json.dumps(spec)

    def _tell(self, order: str) -> None:
        if self._guardian is None or self._guardian.stdin is None or self._guardian.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.write(f"{order}\n".encode())
            self._guardian.stdin.flush()

    def _failure(self, fact: str, *, hint: str = "") -> ProcessFailed:
        tail = self.log_tail() or "(the log is empty)"
        return ProcessFailed(f"{fact}; its log ends with:\n{tail}", hint=hint or f"the whole log is {self.log_file}")


def _read_pid(guardian: subprocess.Popen[bytes]) -> int:
    """The command's pid as the guardian tells it; 0 when it could not be executed."""
    if guardian.stdout is None:
        return 0
    with guardian.stdout as pipe:
        return int(pipe.readline() or b"0")
