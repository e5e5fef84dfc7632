"""Extracts that are refused, killed or run twice: the next try does it again in the same snapshot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.model import BackupRun, ExtractUnit
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from tests.support.faulty_wire import Exchange, FaultyWire, refuse
from tests.support.rig import Rig

ROOT = Path(__file__).parents[2]
EXTRACT = """
import json, os, sys
import boto3
from botocore.config import Config
from include.disaster_recovery.model import BackupRun, ExtractUnit
from include.disaster_recovery.postgres.session import connect
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.backup.extracting import extract
given = json.load(sys.stdin)
client = boto3.client("s3", **given["client"], config=Config(s3={"addressing_style": "path"}))
with connect(given["parameters"], name="collabhunts_db", application="first try") as connection:
    extract(connection, Store(client=client, bucket=given["bucket"]), BackupRun.model_validate(given["run"]),
            ExtractUnit.model_validate(given["unit"]), "none", try_number=1)
"""


def test_refused_part_is_what_the_extract_reports(big: Rig, s3_server: S3Server):
    """Not the database's complaint about the COPY that was left in the middle."""
    with FaultyWire(s3_server) as wire:
        wire.before = lambda exchange: refuse(exchange) if exchange.part == 1 else None
        wired = replace(big, store=replace(big.store, client=wire.client()))
        run = big.open()
        with big.held() as snapshot:
            (unit,) = big.plan(snapshot)
            for mode in ("rows", "batches"):
                with pytest.raises(StoreRefused, match="PUT part 1 of s3://"):
                    wired.extract(run, unit.model_copy(update={"mode": mode}))
    assert big.store.uploads("") == []


def test_extract_killed_in_the_middle_is_done_again_in_the_same_snapshot(big: Rig, s3_server: S3Server):
    run = big.open()
    with FaultyWire(s3_server) as wire, big.held() as snapshot:
        (unit,) = big.plan(snapshot)
        kill_in_the_middle(big, wire, run, unit)
        abandoned = big.store.uploads(run.staging_prefix)
        second = big.extract(run, unit, try_number=2)
        sections = big.describe(run, snapshot)
    assert len(abandoned) == 1
    assert "try1" in abandoned[0][0]
    assert "try2" in second.key
    document = big.assemble(run, snapshot, [second], sections)
    assert big.verify(document).rows == 20000
    assert big.store.head(abandoned[0][0]) is None
    remove_staging(big.store, run)
    assert (big.store.keys(""), big.store.uploads("")) == ([run.key], [])


def kill_in_the_middle(rig: Rig, wire: FaultyWire, run: BackupRun, unit: ExtractUnit) -> None:
    """Run the first try in a process of its own and SIGKILL it while its second part is on the wire."""
    reached, release = threading.Event(), threading.Event()

    def stand_still(exchange: Exchange) -> None:
        if exchange.part == 2:
            reached.set()
            release.wait(30)

    wire.before = stand_still
    keys = rig_identity(wire)
    given = {"parameters": dict(rig.parameters), "bucket": rig.store.bucket, "client": keys}
    given |= {"run": run.to_json(), "unit": unit.to_json()}
    process = subprocess.Popen([sys.executable, "-c", EXTRACT], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    try:
        assert reached.wait(30)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        release.set()


def rig_identity(wire: FaultyWire) -> dict[str, str]:
    keys = wire.server.identity("admin")
    return {
        "endpoint_url": wire.url,
        "region_name": wire.server.region,
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
    }


def test_two_tries_side_by_side_do_not_touch_each_other(big: Rig):
    run = big.open()
    with big.held() as snapshot:
        (unit,) = big.plan(snapshot)
        with ThreadPoolExecutor(2) as pool:
            first, second, third = pool.map(lambda number: big.extract(run, unit, number), (1, 2, 2))
        sections = big.describe(run, snapshot)
    assert len({first.key, second.key, third.key}) == 3
    assert (first.sha256, first.digest, first.size) == (second.sha256, second.digest, second.size)
    big.store.delete([first.key, third.key])
    assert big.verify(big.assemble(run, snapshot, [second], sections)).rows == 20000
