"""Retention that is killed anywhere: what the history promises is there, and the next run comes to the same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.demo.stack.s3_server import S3Server
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.planted import plant
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig

ROOT = Path(__file__).parents[2]
WORKER = """
import json, sys
import boto3
from botocore.config import Config
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.support.retention_rig import RetentionRig
from tests.support.rig import Rig
given = json.load(sys.stdin)
client = boto3.client("s3", **given["client"], config=Config(s3={"addressing_style": "path"}))
rig = Rig(given["parameters"], Store(client=client, bucket=given["bucket"]), Settings.model_validate(given["settings"]))
RetentionRig(rig).run()
"""
MOST = 60  # requests of one run over four backups


class Killed(BaseException):
    """Nothing handles it, as nothing handles a SIGKILL."""


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    rig = RetentionRig(bare_rig).keeping(keep_last=1)
    rig.add_rows([])
    return rig


@contextmanager
def killed_at(rig: RetentionRig, event: str, number: int) -> Iterator[list[str]]:
    """Kill at the n-th request: `before-send`, the server never hears of it; `after-call`, nobody hears its answer."""
    seen: list[str] = []
    lock = threading.Lock()

    def count(**given: Any) -> None:
        with lock:
            seen.append(given.get("event_name", ""))
            if len(seen) == number:
                raise Killed

    events = rig.store.client.meta.events
    events.register(f"{event}.s3", count)
    try:
        yield seen
    finally:
        events.unregister(f"{event}.s3", count)


def planted_again(rig: RetentionRig) -> list[str]:
    with rig.rig.connect() as connection:
        connection.execute("delete from public.backup_history")
    rig.store.delete(rig.keys(""))
    keys = plant(rig.store, PREFIX, 4, now=NOW, compression="zstd")
    rig.add_rows(keys)
    return keys


def check_promises(rig: RetentionRig, keys: list[str]) -> None:
    """A row that is not marked is a promise; the newest is there whatever happened."""
    left = set(rig.keys())
    assert set(keys) - left <= rig.marked()
    assert keys[-1] in left


@pytest.mark.parametrize("event", ["before-send", "after-call"])
def test_run_killed_at_any_request_is_finished_by_the_next(retention: RetentionRig, event: str):
    deleted_before_the_end = set()
    for number in range(1, MOST):
        keys = planted_again(retention)
        plan = retention.plan()
        with killed_at(retention, event, number) as seen:
            try:
                retention.expire(plan)
            except Killed:
                pass
            else:
                break
        assert len(seen) >= number
        check_promises(retention, keys)
        deleted_before_the_end.add(4 - len(retention.keys()))
        retention.run()
        assert retention.keys() == keys[3:]
        assert retention.marked() == set(keys[:3])
    else:
        pytest.fail(f"a run has more than {MOST} requests")
    assert number > 20
    assert deleted_before_the_end == {0, 1, 2, 3}


@pytest.mark.parametrize("at", ["tagging", "Delete"])
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_process_that_is_killed_is_survived(
    retention: RetentionRig, s3_server: S3Server, wire: FaultyWire, at: str, is_done: bool
):
    keys = planted_again(retention)
    reached, go_on = threading.Event(), threading.Event()

    def wait(exchange: Exchange) -> None:
        """The second backup's tag or deletion."""
        if exchange.method in ("PUT", "POST") and (at in exchange.path or exchange.operation == at):
            found = sum(
                each.method in ("PUT", "POST") and (at in each.path or each.operation == at) for each in wire.seen
            )
            if found == 2:
                reached.set()
                go_on.wait(60)
                if not is_done:
                    exchange.answer(503)

    wire.before, wire.after = (None, wait) if is_done else (wait, None)
    identity = s3_server.identity("admin")
    given = {
        "client": {
            "endpoint_url": wire.url,
            "region_name": s3_server.region,
            "aws_access_key_id": identity.access_key,
            "aws_secret_access_key": identity.secret_key,
        },
        "bucket": retention.store.bucket,
        "parameters": dict(retention.rig.parameters),
        "settings": retention.settings.model_dump(mode="json"),
    }
    process = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    try:
        assert reached.wait(60), "the worker never came so far"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        go_on.set()
    check_promises(retention, keys)
    gone = 2 if at == "Delete" and is_done else 1
    assert retention.keys() == keys[gone:]
    assert retention.marked() == set(keys[:2])
    retention.run()
    assert retention.keys() == keys[3:]
    assert retention.marked() == set(keys[:3])


def test_run_that_is_killed_and_never_comes_again_leaves_only_marked_objects(retention: RetentionRig):
    """What is tagged is what the bucket's own rule deletes: it is expired in the history too."""
    keys = planted_again(retention)
    plan = retention.plan()
    for number in range(1, MOST):
        with killed_at(retention, "after-call", number):
            try:
                retention.expire(plan)
            except Killed:
                tagged = {each.key for each in replace(retention).plan().decisions if each.is_expiring}
                assert tagged <= retention.marked()
                continue
        break
    assert retention.keys() == keys[3:]
