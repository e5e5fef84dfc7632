"""Free ports that parallel test processes do not take from each other."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from include.demo.stack import ports
from include.demo.stack.errors import PortsExhausted

PROJECT = Path(__file__).resolve().parents[2]


def test_a_leased_port_can_be_listened_on() -> None:
    lease = ports.lease_port()
    with socket.create_server((ports.HOST, lease.port)):
        assert not ports.is_free(lease.port)
    lease.release()
    lease.release()


def test_a_lease_is_seen_by_another_process() -> None:
    lease = ports.lease_port(offset=ports.GRPC_OFFSET)
    code = (
        "from include.demo.stack.ports import lease_port\n"
        f"print(lease_port(preferred={lease.port}).port, lease_port(preferred={lease.port + ports.GRPC_OFFSET}).port)"
    )
    chosen = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert str(lease.port) not in chosen.split()
    assert str(lease.port + ports.GRPC_OFFSET) not in chosen.split()
    lease.release()


def test_the_preferred_port_is_taken_when_free() -> None:
    first = ports.lease_port()
    first.release()
    again = ports.lease_port(preferred=first.port)
    assert again.port == first.port
    other = ports.lease_port(preferred=first.port)
    assert other.port != first.port
    again.release()
    other.release()


def test_a_port_is_skipped_when_only_its_grpc_port_is_taken() -> None:
    first = ports.lease_port()
    first.release()
    with socket.create_server((ports.HOST, first.port + ports.GRPC_OFFSET)):
        lease = ports.lease_port(offset=ports.GRPC_OFFSET, preferred=first.port)
        assert lease.port != first.port
        lease.release()


def test_no_port_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((ports.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST_PORT", port)
        monkeypatch.setattr(ports, "LAST_PORT", port)
        with pytest.raises(PortsExhausted, match=f"no free port .* {port}[^\\n]*\\nhint: "):
            ports.lease_port()
