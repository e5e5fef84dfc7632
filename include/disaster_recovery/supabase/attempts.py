"""What the bootstrap needs of whoever runs its statements."""

from collections.abc import Sequence
from typing import Protocol

import psycopg
from psycopg import sql


class Attempts(Protocol):
    """Runs statements; see `postgres.rebuild.statements.Attempts`."""

    connection: psycopg.Connection[tuple[object, ...]]

    def execute(self, query: str | sql.SQL | sql.Composed, what: str | None = None) -> None:
        """Run one that must not fail."""

    def attempt(
        self,
        query: str | sql.SQL | sql.Composed,
        what: str | None = None,
        *,
        besides: Sequence[type[psycopg.Error]] = (),
    ) -> bool:
        """Run one that may be skipped."""

    def skip(self, what: str, reason: str) -> None:
        """Say what is left out."""
