"""A managed child process takes its whole tree along, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from include.demo.stack.errors import ProcessFailed
from include.demo.stack.processes import ManagedProcess

# A shell starts background jobs with SIGINT ignored, and children inherit that.
HEED_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
PROJECT = Path(__file__).resolve().parents[2]
# A child, a grandchild in a session of its own, an orphan by double fork, and nobody who listens to SIGTERM.
STUBBORN_TREE = (
    "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 300 & sleep 300' & (sleep 300 &); echo up; sleep 300; sleep 300"
)


def shell(script: str, log: Path, **options: object) -> ManagedProcess:
    return ManagedProcess(name="child", command=["sh", "-c", script], log_file=log, **options)  # type: ignore[arg-type]


def tree_of(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def assert_gone(processes: list[psutil.Process], timeout: float = 10) -> None:
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    assert not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_ready_when_the_check_says_so(tmp_path: Path) -> None:
    process = shell("sleep 0.2; echo ready; sleep 300", tmp_path / "log").start()
    waited = process.wait_until_ready(lambda: "ready" in process.log_tail(), timeout_s=10)
    assert 0.1 < waited < 5
    assert process.running
    process.stop()
    process.stop()
    assert (process.running, process.returncode) == (False, 128 + signal.SIGTERM)


def test_an_early_end_shows_status_and_log(tmp_path: Path) -> None:
    process = shell("echo the disk is full; exit 3", tmp_path / "log").start()
    with pytest.raises(ProcessFailed, match=r"child ended with status 3; its log ends with:\nthe disk is full\nhint: "):
        process.wait_until_ready(lambda: False, timeout_s=10)


def test_the_tail_is_of_this_start_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier start\n")
    process = shell("exit 3", tmp_path / "log").start()
    with pytest.raises(ProcessFailed, match="the log is empty"):
        process.wait(timeout_s=10)


def test_a_timeout_stops_it_and_shows_the_log(tmp_path: Path) -> None:
    process = shell("echo still thinking; sleep 300", tmp_path / "log").start()
    with pytest.raises(ProcessFailed, match=r"child was not ready after 1 s; its log ends with:\nstill thinking"):
        process.wait_until_ready(lambda: False, timeout_s=1)
    assert not process.running


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    process = ManagedProcess(name="child", command=["/no/such/program"], log_file=tmp_path / "log")
    with pytest.raises(ProcessFailed, match="cannot execute /no/such/program: No such file or directory"):
        process.start()


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    process = shell(STUBBORN_TREE, tmp_path / "log", grace_s=0.3).start()
    wait_for(tmp_path / "log", "up")
    time.sleep(0.2)
    tree = tree_of(process.pid)
    assert len(tree) >= 4
    process.stop()
    assert process.returncode == 128 + signal.SIGKILL
    assert_gone(tree, timeout=0.5)


def test_what_the_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    process = shell("setsid sleep 300 & echo $!; exit 0", tmp_path / "log").start()
    process.wait(timeout_s=10)
    left_behind = int(process.log_tail())
    assert not psutil.pid_exists(left_behind)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux only")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_parent_leaves_nothing_running(tmp_path: Path, number: int) -> None:
    log = tmp_path / "log"
    code = f"""
import threading, time
from pathlib import Path
from include.demo.stack.processes import ManagedProcess
def start():  # from a thread that ends: PR_SET_PDEATHSIG alone would end the child with it
    ManagedProcess(name="child", command=["sh", "-c", {STUBBORN_TREE!r}], log_file=Path({str(log)!r}), grace_s=0.5).start()
thread = threading.Thread(target=start)
thread.start()
thread.join()
print("started", flush=True)
time.sleep(300)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", HEED_INTERRUPTS + code],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    wait_for(log, "up")
    time.sleep(0.2)
    below = tree_of(parent.pid)[1:]
    assert len(below) >= 5
    parent.send_signal(number)
    parent.wait(10)
    parent.stdout.close()
    assert_gone(below)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of another user")
def test_another_user(tmp_path: Path) -> None:
    process = shell("id -un; id -Gn; grep -c . /etc/shadow", tmp_path / "log", user="nobody", cwd=Path("/")).start()
    with pytest.raises(ProcessFailed, match=r"nobody\nnogroup\n.*Permission denied"):
        process.wait(timeout_s=10)
