"""Free TCP ports on 127.0.0.1 that parallel processes do not take from each other.

A lease holds the UDP port of the same number for as long as the server may run: none of our servers speaks UDP, the
kernel frees it when the process dies, and another process that looks for a port skips it.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field

from include.demo.stack.errors import PortsExhausted

HOST = "127.0.0.1"
# Below 32768, where Linux starts to hand out ports to outgoing connections, also after the offset is added.
FIRST_PORT = 10_240
LAST_PORT = 22_500
GRPC_OFFSET = 10_000
ATTEMPTS = 500


@dataclass(kw_only=True)
class PortLease:
    """One TCP port on 127.0.0.1, and what `offset` adds to it, kept free of other leases until `release`.

    `port` is the number (1-65535); `offset` says which second port is held too (0 = none).
    """

    port: int
    offset: int = 0
    _guards: ExitStack = field(default_factory=ExitStack, repr=False)

    def release(self) -> None:
        """Let others have the port; harmless when done twice."""
        self._guards.close()


def lease_port(*, offset: int = 0, preferred: int = 0) -> PortLease:
    """Find a free port, and `port + offset` free as well when `offset` is not 0 (SeaweedFS puts gRPC there).

    `preferred` is taken when it is free. Raises PortsExhausted after 500 tries.
    """
    for attempt in range(ATTEMPTS):
        chosen = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311  # no secret # nosec B311
        port = preferred if preferred and attempt == 0 else chosen
        guards = _hold(sorted({port, port + offset}))
        if guards is not None:
            return PortLease(port=port, offset=offset, _guards=guards)
    raise PortsExhausted(
        f"no free port on {HOST} between {FIRST_PORT} and {LAST_PORT} after {ATTEMPTS} tries",
        hint="see what listens there with `ss -ltn` and stop what you do not need",
    )


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _hold(ports: list[int]) -> ExitStack | None:
    """Take the UDP guard of every port, or of none."""
    guards = ExitStack()
    for port in ports:
        guard = guards.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            guard.bind((HOST, port))
        except OSError:
            guards.close()
            return None
        if not is_free(port):
            guards.close()
            return None
    return guards
