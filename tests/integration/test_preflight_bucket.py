"""Preflight of the bucket: every failure names its cause and the next action, and nothing is written by it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.config import Config

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import PreflightFailed, StoreUnavailable
from include.disaster_recovery.s3.store import Encryption, Store
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.refused_preflight import failure
from tests.support.rig import Rig

ONE_TRY = Config(retries={"total_max_attempts": 1})


def test_missing_bucket_is_named(rig: Rig):
    with pytest.raises(PreflightFailed, match="NoSuchBucket") as caught:
        replace(rig, store=replace(rig.store, bucket="no-such-bucket-here")).preflight()
    assert "create the bucket" in caught.value.hint


def test_bucket_that_may_only_be_read_is_refused_for_staging_and_for_backups(rig: Rig, s3_server: S3Server):
    store = Store(client=s3_server.client("reader"), bucket=s3_server.bucket)
    before = store.keys("")
    with pytest.raises(PreflightFailed, match=r"2 of .* checks failed") as caught:
        replace(rig, store=store).preflight()
    assert "PUT s3://collabhunts-backups/staging/preflight/" in caught.value.fact
    assert "POST s3://collabhunts-backups/backups/preflight-" in caught.value.fact
    assert "grant the connection's key this action" in caught.value.hint
    assert store.keys("") == before


def test_encryption_the_server_cannot_do_is_refused(rig: Rig, s3_server: S3Server):
    store = replace(
        rig.store, client=s3_server.client("admin", ONE_TRY), encryption=Encryption(algorithm="aws:kms", kms_key_id="k")
    )
    error = failure(replace(rig, store=store), StoreUnavailable)
    assert "PUT s3://" in error.fact
    assert store.keys("") == []


def test_server_that_ignores_the_wanted_encryption_is_refused(rig: Rig, s3_server: S3Server):
    def forget_encryption(exchange: Exchange) -> None:
        exchange.headers = [each for each in exchange.headers if each[0].lower() != "x-amz-server-side-encryption"]

    with FaultyWire(s3_server, after=forget_encryption) as wire:
        error = failure(replace(rig, store=replace(rig.store, client=wire.client())))
    assert "written with encryption AES256 is stored with None" in error.fact
    assert "s3.sse" in error.hint
