"""Backup History under a real Airflow: api-server and bucket, once per test process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from include.demo.stack.airflow_server import AirflowServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store

PAGE = "/backup-history"
MARKED = {"X-Requested-With": "backup-history", "Content-Type": "application/json"}


@dataclass
class Site:
    """The page as clients see it."""

    airflow: AirflowServer
    store: Store
    opened: list[httpx.Client] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.airflow.base_url

    def token(self, user: str) -> str:
        login = {"username": user, "password": self.airflow.password(user)}
        answer = httpx.post(f"{self.origin}/auth/token", json=login, trust_env=False, timeout=30)
        return str(answer.json()["access_token"])

    def client(self, *, bearer: str | None = None, cookie: str | None = None) -> httpx.Client:
        client = httpx.Client(
            base_url=f"{self.origin}{PAGE}/",
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
            cookies={"_token": cookie} if cookie else {},
            trust_env=False,
            timeout=60,
        )
        self.opened.append(client)
        return client

    def logs(self) -> str:
        return "\n".join(file.read_text(errors="replace") for file in self.airflow.logs.glob("*.log"))


@pytest.fixture(scope="session")
def site(
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    store = Store(client=s3_server.client("admin"), bucket=s3_server.bucket)
    identity = s3_server.identity("writer")
    extra = {"region_name": s3_server.region, "endpoint_url": s3_server.endpoint_url}
    connection = {"conn_type": "aws", "login": identity.access_key, "password": identity.secret_key, "extra": extra}
    environment = {"AIRFLOW_CONN_COLLABHUNTS_S3": json.dumps(connection)}  # and no database: the page says so
    with AirflowServer(home=tmp_path_factory.mktemp("plugins") / "airflow", environment=environment) as airflow:
        airflow.admin.wait_for_dag("collabhunts_backup")
        found = Site(airflow, store)
        yield found
        for client in found.opened:
            client.close()


@pytest.fixture(scope="session")
def admin(site: Site) -> str:
    return site.token("admin")


@pytest.fixture(scope="session")
def viewer(site: Site) -> str:
    return site.token("viewer")
