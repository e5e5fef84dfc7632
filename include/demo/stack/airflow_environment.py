"""The environment variables that make the installed Airflow a private one: own home, ports, users, secrets."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from include.demo.stack.ports import HOST
from include.demo.stack.secret_files import remembered_secret, write_private

JWT_SECRET_BYTES = 72  # Airflow warns below 64 (HS512)
ADMIN, VIEWER = "admin", "viewer"
# What only costs start-up time, CPU or log lines on a small machine.
LEAN: Mapping[str, str] = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API__HOST": HOST,
    "AIRFLOW__API__EXPOSE_CONFIG": "False",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
    # A task's supervisor may miss its end and hold the executor's slot until the next heartbeat: 1 s, not 5 s.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "PYTHONWARNINGS": "ignore",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, kw_only=True)
class AirflowSecrets:
    """Secrets of one AIRFLOW_HOME, kept in files of mode 0600 so that it can be started again."""

    admin_password: str = field(repr=False)
    viewer_password: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    api_secret: str = field(repr=False)
    fernet_key: str = field(repr=False)


def load_secrets(home: Path) -> AirflowSecrets:
    """The secrets below `home`/secrets; the first call generates them, and SimpleAuthManager's password file."""
    folder = home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fernet = folder / "fernet.key"
    if not fernet.exists():
        write_private(fernet, base64.urlsafe_b64encode(secrets.token_bytes(32)))
    loaded = AirflowSecrets(
        admin_password=remembered_secret(folder / "admin.password", length=12),
        viewer_password=remembered_secret(folder / "viewer.password", length=12),
        jwt_secret=remembered_secret(folder / "jwt.secret", length=JWT_SECRET_BYTES),
        api_secret=remembered_secret(folder / "api.secret", length=32),
        fernet_key=fernet.read_text(),
    )
    write_private(_passwords_file(home), json.dumps({ADMIN: loaded.admin_password, VIEWER: loaded.viewer_password}))
    return loaded


def airflow_environment(
    *,
    home: Path,
    project: Path,
    dags: Path,
    plugins: Path,
    port: int,
    parallelism: int,
    root_path: str,
    secrets_of: AirflowSecrets,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """All variables for Airflow's processes; `extra` wins. The caller's own Airflow settings are not inherited."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    base_url = f"http://{HOST}:{port}{root_path}"
    programs = str(Path(sys.executable).parent)
    return {
        **inherited,
        **LEAN,
        "PATH": os.pathsep.join([programs, *filter(None, [os.environ.get("PATH")])]),
        "PYTHONPATH": str(project),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__CORE__FERNET_KEY": secrets_of.fernet_key,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin,{VIEWER}:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords_file(home)),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": base_url,
        "AIRFLOW__API__SECRET_KEY": secrets_of.api_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets_of.jwt_secret,
        # Wait for a writer rather than fail: several processes share the file.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{quote(str(database_file(home)))}?timeout=60",
        **extra,
    }


def database_file(home: Path) -> Path:
    """Airflow's own SQLite database."""
    return home / "airflow.db"


def _passwords_file(home: Path) -> Path:
    return home / "secrets" / "passwords.json"
