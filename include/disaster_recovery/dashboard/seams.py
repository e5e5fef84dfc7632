"""What the page needs from outside: connections, Airflow's permissions and runs. The runtime provides them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from include.disaster_recovery.dashboard.model import Action, DagFacts, RunStatus, StartedRun
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Sources:
    """How the page reads: each call opens a connection of short patience, and raises our own errors.

    `read_only` sessions of the source database; `store` is the bucket of the settings.
    """

    settings: Settings
    source: Callable[[], Connection]
    store: Callable[[], Store]
    now: Callable[[], datetime]


class Runs(Protocol):
    """Airflow's runs, asked for with the credentials of whoever is looking."""

    async def facts(self) -> DagFacts:
        """Of the backup's DAG; a failure is a problem in the answer, not an exception."""
        ...

    async def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> StartedRun:
        """Start a run.

        Raises:
            RunRefused: Airflow refused it.
        """
        ...

    async def status(self, dag_id: str, run_id: str) -> RunStatus:
        """How far a run is.

        Raises:
            RunRefused: there is no such run, or Airflow could not be asked.
        """
        ...


class Gate(Protocol):
    """Airflow's login and permissions, as FastAPI dependencies (callables that raise HTTPException 401 or 403)."""

    may_read: Callable[..., Any]

    def may(self, action: Action) -> Callable[..., Any]:
        """The dependency of an action; its value is the user's name."""
        ...

    def permissions(self) -> Callable[..., Any]:
        """The dependency whose value is `Me`."""
        ...

    def wants_login(self, status: int, detail: object) -> bool:
        """Whether a refusal means that a new login would help: there is none, or its token is no longer valid."""
        ...

    def login_url(self, next_path: str) -> str:
        """Where somebody without a login is sent."""
        ...


RunsOf = Callable[..., Runs]  # a FastAPI dependency: the runs with the credentials of the request
