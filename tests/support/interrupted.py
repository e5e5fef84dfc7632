"""Steps of a restore that are interrupted where they stand: by the end of their session, or of their worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.postgres.session import Connection
from tests.support.restore_rig import RestoreRig

ROOT = Path(__file__).parents[2]
_STEP = """
import json, sys
import boto3
from botocore.config import Config
from include.disaster_recovery.restore_model import LoadUnit, RestorePlan
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.support.restore_rig import RestoreRig
given = json.load(sys.stdin)
client = boto3.client("s3", **given["client"], config=Config(s3={"addressing_style": "path"}))
rig = RestoreRig(given["parameters"], Store(client=client, bucket=given["bucket"]),
                 Settings.model_validate(given["settings"]), run_id="killed")
kinds = {"plan": RestorePlan, "unit": LoadUnit}
arguments = {name: kinds[name].model_validate(value) for name, value in given["arguments"].items()}
getattr(rig, given["step"])(**arguments)
"""


def waiting_session(connection: Connection) -> int:
    """The session of this database that waits for a lock, as soon as there is one."""
    for _ in range(600):
        row = connection.execute(
            "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ).fetchone()
        if row:
            return int(str(row[0]))
        time.sleep(0.05)
    raise AssertionError("nobody waits for a lock")


def terminated(rig: RestoreRig, step: Callable[[], Any]) -> BaseException:
    """What a step raises whose session is terminated while it waits for a lock that the test holds."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            step()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    with rig.connect() as connection:
        connection.execute("select pg_terminate_backend(%s, 10000)", (waiting_session(connection),))
    thread.join(30)
    assert failures, "the step has not noticed"
    return failures[0]


def killed(rig: RestoreRig, server: S3Server, step: str, **arguments: Any) -> None:
    """SIGKILL a worker, a process of its own, while its step waits for a lock that the test holds."""
    with worker(rig, server, step, **arguments), rig.connect() as connection:
        waiting_session(connection)


def given_to(rig: RestoreRig, server: S3Server, url: str = "") -> dict[str, Any]:
    """What another process needs to make the same rig."""
    keys = server.identity("admin")
    return {
        "client": {
            "endpoint_url": url or server.endpoint_url,
            "region_name": server.region,
            "aws_access_key_id": keys.access_key,
            "aws_secret_access_key": keys.secret_key,
        },
        "bucket": rig.store.bucket,
        "parameters": dict(rig.parameters),
        "settings": rig.settings.model_dump(mode="json"),
    }


@contextmanager
def worker(rig: RestoreRig, server: S3Server, step: str, *, url: str = "", **arguments: Any) -> Iterator[None]:
    """A worker at its step; it is killed on leaving."""
    given = {
        **given_to(rig, server, url),
        "step": step,
        "arguments": {name: value.to_json() for name, value in arguments.items()},
    }
    process = subprocess.Popen([sys.executable, "-c", _STEP], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    try:
        yield
        assert process.poll() is None, "the worker has ended by itself"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL


@contextmanager
def holding(rig: RestoreRig, statement: str) -> Iterator[None]:
    """Another session's open transaction that has executed a statement."""
    with rig.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
        yield
