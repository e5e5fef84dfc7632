"""What the bucket cannot or will not do: every failure has a name and a hint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config

from include.demo.stack.ports import lease_port
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.assembly import inline, plan_parts
from include.disaster_recovery.errors import StoreRefused, StoreUnavailable
from include.disaster_recovery.history import catalog
from include.disaster_recovery.s3.store import Store
from tests.support.faulty_wire import FaultyWire, lose_answer, once, slow_down
from tests.support.multipart import compose_plainly
from tests.support.rig import Rig

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)


# --- refused


@pytest.mark.parametrize(
    "action, request_of",
    [
        ("PUT", lambda store: store.put("k", b"x")),
        ("PUT", lambda store: store.create("k", b"x")),
        ("DELETE", lambda store: store.delete(["some/key"])),
        ("POST", lambda store: store.probe_upload("k")),
        ("POST", lambda store: compose_plainly(store, "k", plan_parts([inline(b"x")]))),
    ],
    ids=["put", "create", "delete", "probe", "compose"],
)
def test_reader_is_refused_with_the_action_and_what_to_grant(
    s3_server: S3Server, action: str, request_of: Callable[[Store], object]
):
    store = Store(client=s3_server.client("reader"), bucket=s3_server.bucket)
    with pytest.raises(StoreRefused, match=f"^{action} s3://{s3_server.bucket}/.* failed: AccessDenied") as caught:
        request_of(store)
    assert caught.value.hint.startswith("grant the connection's key")


def test_probe_whose_answer_is_lost_leaves_no_upload(store: Store, wire: FaultyWire):
    wire.after = once("Create", lose_answer)
    replace(store, client=wire.client()).probe_upload("backups/preflight-0")
    assert wire.count("Create") == 2
    assert store.uploads("") == []


def test_missing_bucket_is_refused_with_a_hint(s3_server: S3Server):
    store = Store(client=s3_server.client("admin"), bucket="no-such-bucket-here")
    with pytest.raises(StoreRefused, match="NoSuchBucket") as caught:
        store.keys("")
    assert "create the bucket" in caught.value.hint


def client_with(s3_server: S3Server, **keys: str) -> Any:
    known = s3_server.identity("admin")
    wanted = {"aws_access_key_id": known.access_key, "aws_secret_access_key": known.secret_key, **keys}
    return boto3.client("s3", endpoint_url=s3_server.endpoint_url, region_name="eu-central-1", config=ONE_TRY, **wanted)


@pytest.mark.parametrize("keys", [{"aws_secret_access_key": "wrong" * 8}, {"aws_access_key_id": "AKIAUNKNOWN"}])
def test_wrong_key_is_refused_naming_the_connection(s3_server: S3Server, store: Store, keys: dict[str, str]):
    with pytest.raises(StoreRefused) as caught:
        replace(store, client=client_with(s3_server, **keys)).keys("")
    assert "collabhunts_s3" in caught.value.hint
    assert "wrongwrong" not in str(caught.value)


def test_wrong_key_is_named_even_where_the_answer_has_no_body(s3_server: S3Server, store: Store):
    client = client_with(s3_server, aws_secret_access_key="wrong" * 8)
    with pytest.raises(StoreRefused, match=r"HEAD .* 403"):
        replace(store, client=client).head("k")


def test_absent_credentials_are_refused_for_good(s3_server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    client = boto3.Session().client("s3", endpoint_url=s3_server.endpoint_url, region_name="eu-central-1")
    with pytest.raises(StoreRefused, match="NoCredentials") as caught:
        replace(store, client=client).keys("")
    assert "collabhunts_s3" in caught.value.hint


# --- unavailable


def test_server_that_keeps_failing_is_unavailable(store: Store, wire: FaultyWire):
    wire.before = slow_down
    with pytest.raises(StoreUnavailable, match=r"PUT s3://.*/k failed: SlowDown"):
        replace(store, client=wire.client(ONE_TRY)).put("k", b"value")


def test_server_that_is_down_is_unavailable_and_named(store: Store):
    lease = lease_port()
    try:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{lease.port}",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            region_name="eu-central-1",
            config=ONE_TRY,
        )
        with pytest.raises(StoreUnavailable, match="EndpointConnectionError") as caught:
            replace(store, client=client).keys("")
    finally:
        lease.release()
    assert "endpoint_url" in caught.value.hint


# --- a full disk


def test_full_disk_fails_the_backup_and_the_next_one_succeeds_once_there_is_space(bare_rig: Rig, tmp_path: Path):
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.big as select i, repeat(md5(i::text), 40) as t from generate_series(1, 20000) i"
        )
    with S3Server(folder=tmp_path / "s3", capacity_mb=16) as server:
        server.create_bucket()
        rig = replace(bare_rig, store=Store(client=server.client("admin", ONE_TRY), bucket=server.bucket))
        rig = rig.with_settings(s3={"sse": None})
        with pytest.raises(StoreUnavailable, match=r"PUT part .* failed: InternalError") as caught:
            rig.backup()
        assert "space" in caught.value.hint
        assert rig.store.keys("backups/") == []
        with rig.connect() as connection:
            closed = catalog.close_failed(connection, rig._runs[-1], str(caught.value))
        assert len(closed) == 1
        server.stop()
        server.capacity_mb = None
        server.start()
        rig = replace(rig, store=Store(client=server.client("admin"), bucket=server.bucket))
        outcome = rig.backup()
    assert outcome.verdict.rows == 20000
    with psycopg.connect(**bare_rig.parameters) as connection:
        rows = connection.execute("select status from public.backup_history order by created_at").fetchall()
    assert rows == [("failed",), ("success",)]
