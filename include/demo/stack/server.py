"""What the embedded servers have in common: entered they are started, left they are stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from typing_extensions import Self


class Server(ABC):
    """A server as a context manager; its data stays when it is stopped."""

    @abstractmethod
    def start(self) -> Self:
        """Start and wait until it answers."""

    @abstractmethod
    def close(self) -> None:
        """Stop and let go of the ports; harmless twice."""

    def __enter__(self) -> Self:
        """Start the server; what has begun is stopped when that fails."""
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.close()
