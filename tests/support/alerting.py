"""Airflow connections and settings of a test's own, as the tasks and callbacks of a deployment find them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.runtime import connections
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import CONFIG_VARIABLE
from tests.support.rig import Rig

PASSWORD = "password-canary-9f3a"
TOKEN = "token-canary-77c1"


@dataclass
class Deployment:
    """Environment variables and a settings file; what is logged."""

    patch: pytest.MonkeyPatch
    folder: Path
    logs: pytest.LogCaptureFixture
    content: dict[str, Any] = field(default_factory=dict)

    def configure(self, **sections: Any) -> None:
        self.content.update(sections)
        file = self.folder / "settings.yaml"
        file.write_text(yaml.safe_dump(self.content))
        self.patch.setenv(CONFIG_VARIABLE, str(file))
        connections.settings.cache_clear()

    def connection(self, conn_id: str, **fields: Any) -> None:
        self.patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    def bucket(self, server: S3Server, store: Store, **extra: str) -> None:
        """The bucket behind the connection `collabhunts_s3`."""
        admin = server.identity("admin")
        extra = {"region_name": server.region, "endpoint_url": server.endpoint_url, **extra}
        self.connection(
            "collabhunts_s3", conn_type="aws", login=admin.access_key, password=admin.secret_key, extra=extra
        )
        self.configure(s3={"bucket": store.bucket})

    def database(self, rig: Rig) -> None:
        """The source database behind the connection `collabhunts_db`."""
        given = dict(rig.parameters)
        self.connection(
            "collabhunts_db",
            conn_type="postgres",
            host=given["host"],
            port=int(given["port"]),
            login=given["user"],
            password=given["password"],
            schema=given["dbname"],
        )

    @property
    def logged(self) -> str:
        return "\n".join(
            f"{record.levelname} {record.getMessage()}\n{record.exc_text or ''}" for record in self.logs.records
        )


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    caplog.set_level(logging.INFO)
    found = Deployment(monkeypatch, tmp_path, caplog)
    found.configure()
    yield found
    connections.settings.cache_clear()


Deploy = Callable[..., None]
