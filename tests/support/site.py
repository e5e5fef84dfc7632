"""Backup History under a real Airflow, over a database and a bucket with a past."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg

from include.demo.database.builder import build_database
from include.demo.stack.airflow_server import AirflowServer
from include.demo.stack.stack import OWNER, Stack
from include.disaster_recovery.dashboard.dags import OURS
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings, load_settings
from tests.support import planted
from tests.support.rig import Outcome, Rig

PAGE = "/backup-history"
MARKED = {"X-Requested-With": "backup-history", "Content-Type": "application/json"}
TARGET = "collabhunts_restored"
# Few tables: each is a task of its own, and the tests are about the page.
SETTINGS = """
tables: {include: [profiles, user_roles, bookings, messages, backup_history]}
extract: {snapshot_start_seconds: 15}
"""
DAYS = 12  # of daily backups before today's
CHANGE = """
alter table public.bookings add column tip numeric;
delete from public.messages where id in (select id from public.messages limit 20);
"""


@dataclass
class Site:
    """The page as clients see it, and what lies behind it.

    Attributes:
        stack: its servers; stop and start them to take a source away.
        rig: the same database, bucket and settings, without Airflow.
        backups: the two that were really taken, oldest first; between them `CHANGE` happened.
        planted: keys of the older, copied ones, oldest first: some are proven, one is damaged.
        root: path that Airflow is served under, as its base URL has it.
    """

    stack: Stack
    rig: Rig
    backups: list[Outcome]
    planted: list[str]
    root: str = ""
    opened: list[httpx.Client] = field(default_factory=list)

    @property
    def airflow(self) -> AirflowServer:
        return self.stack.airflow

    @property
    def store(self) -> Store:
        return self.rig.store

    @property
    def origin(self) -> str:
        return self.airflow.base_url.removesuffix(self.root)

    def token(self, user: str) -> str:
        login = {"username": user, "password": self.airflow.password(user)}
        answer = httpx.post(f"{self.origin}{self.root}/auth/token", json=login, trust_env=False, timeout=30)
        return str(answer.json()["access_token"])

    def client(self, *, bearer: str | None = None, cookie: str | None = None) -> httpx.Client:
        client = httpx.Client(
            base_url=f"{self.origin}{self.root}{PAGE}/",
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
            cookies={"_token": cookie} if cookie else {},
            trust_env=False,
            timeout=60,
        )
        self.opened.append(client)
        return client

    def sql(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Run as the superuser of the source."""
        with psycopg.connect(self.stack.postgres.superuser_dsn(self.stack.database), autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def renew(self) -> None:
        """Have the page read bucket and history anew, as it does for whoever follows a run to its end."""
        runs = "/api/v2/dags/collabhunts_retention/dagRuns"
        self.airflow.admin.wait_for_dag("collabhunts_retention")
        run_id = quote(self.airflow.admin.trigger("collabhunts_retention"), safe="")
        self.airflow.admin.api("PATCH", f"{runs}/{run_id}", json={"state": "success"})
        answer = self.client(bearer=self.token("admin")).get(f"api/runs/collabhunts_retention/{run_id}")
        assert answer.json()["state"] == "success", answer.text
        self.airflow.admin.request("DELETE", f"{runs}/{run_id}")

    def drop_waiting_runs(self) -> None:
        """Delete the runs that nobody has let start."""
        for dag_id in OURS:
            path = f"/api/v2/dags/{dag_id}/dagRuns"
            for run in self.airflow.admin.api("GET", path, state="queued", limit=100)["dag_runs"]:
                self.airflow.admin.api("DELETE", f"{path}/{quote(run['dag_run_id'], safe='')}")

    def logs(self) -> str:
        """All that Airflow's components wrote."""
        return "\n".join(file.read_text(errors="replace") for file in self.airflow.logs.glob("*.log"))


def _nothing(airflow: AirflowServer) -> None:
    """The default `users` of `running_site`."""


@contextmanager
def running_site(
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    root: str = "",
    past: bool = True,
    users: Callable[[AirflowServer], None] = _nothing,
) -> Iterator[Site]:
    """Postgres, S3 and Airflow with a past, below `folder`; `environment` is Airflow's, beside its connections.

    Without a `past` the database is empty, and so is the bucket. `users` makes users where the auth manager is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS)
    made: list[Site] = []

    def prepare(stack: Stack) -> dict[str, str]:
        made.append(_site(stack, settings, root, past=past))
        return {
            "AIRFLOW_CONN_COLLABHUNTS_RESTORE_DB": stack.connection_to(TARGET),
            "DISASTER_RECOVERY_CONFIG": str(settings),
        }

    with Stack(
        folder=folder / "stack",
        prepare=prepare,
        keep=False,
        durable=False,
        airflow_root=root,
        environment=environment or {},
    ) as stack:
        users(stack.airflow)
        stack.airflow.admin.wait_for_dag("collabhunts_backup")
        try:
            yield made[0]
        finally:
            for client in made[0].opened:
                client.close()


def rig_of(stack: Stack, settings: Settings) -> Rig:
    """The stack's database and bucket, without its Airflow."""
    parameters = {
        "host": stack.postgres.host,
        "port": str(stack.postgres.port),
        "user": OWNER,
        "password": stack.owner_password,
        "dbname": stack.database,
    }
    store = Store(client=stack.s3.client("admin"), bucket=stack.s3.bucket, encryption=Encryption(algorithm="AES256"))
    return Rig(parameters, store, settings)


def _site(stack: Stack, settings: Path, root: str, *, past: bool) -> Site:
    if past:
        build_database(stack.postgres.superuser_dsn(stack.database), owner_password=stack.owner_password, size=0.1)
    stack.postgres.create_database(TARGET, owner=OWNER)
    rig = rig_of(stack, load_settings(settings))
    site = Site(stack, rig, [], _plant(rig.store) if past else [], root)
    if past:
        _back_up_twice(site)
    return site


def _back_up_twice(site: Site) -> None:
    site.backups.append(site.rig.backup())
    site.sql(CHANGE)
    site.backups.append(site.rig.backup())


def _plant(store: Store) -> list[str]:
    """A backup of each of the last nights; every third was proven, one is damaged."""
    now = datetime.now(timezone.utc)
    nights = planted.daily(DAYS + 1, now - timedelta(days=1))[:DAYS]

    def tags(night: datetime) -> Mapping[str, str]:
        at = nights.index(night)
        return planted.invalid(night) if at == 4 else (planted.proven if at % 3 == 0 else planted.valid)(night)

    return planted.plant(store, "backups/", nights, now=now, tags=tags)
