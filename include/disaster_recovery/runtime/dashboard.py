"""Backup History, wired to Airflow's connections, permissions and runs."""

import time
from datetime import datetime, timezone
from functools import lru_cache

from botocore.config import Config
from fastapi import FastAPI

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.web.app import create_app
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.runtime.connections import AWS_CONFIG, SOURCE, settings, source_parameters, store
from include.disaster_recovery.runtime.dashboard_access import AirflowGate
from include.disaster_recovery.runtime.dashboard_runs import runs_of
from include.disaster_recovery.s3.store import Store

# Somebody is waiting for the page: better a page that says what is out of reach than one that never comes.
IMPATIENT = AWS_CONFIG.merge(
    Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
)

CLIENT_SECONDS = 300


def build() -> FastAPI:
    """The application; connections are asked for with each request.

    Raises:
        SettingsError: the settings are wrong.
    """
    sources = Sources(settings=settings(), source=_source, store=_store, now=lambda: datetime.now(timezone.utc))
    return create_app(Catalogue(sources), AirflowGate(), runs_of)


def _store() -> Store:
    """A client costs a tenth of a second to make, and may be shared; a changed connection counts after some minutes."""
    return _store_of(int(time.monotonic() // CLIENT_SECONDS))


@lru_cache(maxsize=1)
def _store_of(_period: int) -> Store:
    return store(IMPATIENT, "page")


def _source() -> Connection:
    parameters = {**source_parameters(), "connect_timeout": "5"}
    connection = connect(parameters, name=SOURCE, application="collabhunts_history")
    try:
        with translated("setting up the session"):
            connection.execute("set statement_timeout = '15s'")
            connection.execute("set default_transaction_read_only = on")
    except BaseException:
        connection.close()
        raise
    return connection
