"""A live bucket held against its requirements: every setting read for real, missing ones named, unreadable ones told apart."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.bucket_requirements import BLOCKS, judge
from include.disaster_recovery.errors import PreflightFailed, StoreRefused, StoreUnavailable
from include.disaster_recovery.lifecycle import wanted_rules
from include.disaster_recovery.runtime import preflight_tasks
from include.disaster_recovery.s3.bucket_state import read_bucket
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.bucket.examining import BucketReport, examine_bucket
from tests.support import policies
from tests.support.alerting import Deployment, deployment
from tests.support.faulty_wire import FaultyWire, slow_down

__all__ = ["deployment"]

SETTINGS = Settings()
OVER_HTTP = "requests go by TLS"  # the test servers speak plain HTTP


def states(report: BucketReport) -> dict[str, str]:
    return {each.setting: each.state for each in report.findings}


def of_policy(bucket: str, *left_out: str) -> str:
    document = json.loads(policies.rendered("bucket").replace(policies.BUCKET, bucket))
    document["Statement"] = [each for each in document["Statement"] if each["Sid"] not in left_out]
    return json.dumps(document)


@pytest.fixture(scope="module")
def every_setting() -> Iterator[str]:
    """A server that knows every setting of a bucket, and enforces none."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def fit(every_setting: str) -> Store:
    """A bucket as the Terraform module makes it."""
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client: Any = boto3.client("s3", endpoint_url=every_setting, **keys)
    bucket = f"test-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket=f"{bucket}-logs")
    default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=default)
    client.put_bucket_policy(Bucket=bucket, Policy=of_policy(bucket))
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True))
    client.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    logging_to = {"LoggingEnabled": {"TargetBucket": f"{bucket}-logs", "TargetPrefix": f"{bucket}/"}}
    may_write = next(each for each in policies.statements("log-bucket") if each["Sid"] == "TakeAccessLogs")
    one = {**may_write, "Resource": may_write["Resource"][0]}  # moto knows no list here
    log_policy = json.dumps({"Version": "2012-10-17", "Statement": [one]}).replace(policies.BUCKET, bucket)
    client.put_bucket_policy(Bucket=f"{bucket}-logs", Policy=log_policy)
    client.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=logging_to)
    rules: Any = {"Rules": wanted_rules(SETTINGS.s3, SETTINGS.lifecycle)}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    return Store(client=client, bucket=bucket)


def test_a_bucket_set_up_as_terraform_does_lacks_nothing(fit: Store):
    state = read_bucket(fit)
    assert state.endpoint.startswith("http://")
    by_tls = replace(state, endpoint="https://s3.amazonaws.com")
    assert {each.fact for each in judge(by_tls, SETTINGS.s3, SETTINGS.lifecycle)} == {""}


@pytest.mark.parametrize(
    "undo, missing",
    [
        (
            "delete_bucket_policy",
            {"plain http is denied", "other encryption is denied", "backups are not written over"},
        ),
        ("delete_public_access_block", {"public access is blocked"}),
        ("delete_bucket_ownership_controls", {"the owner of the bucket owns objects"}),
        ("delete_bucket_encryption", {"objects are encrypted by default"}),
        ("delete_bucket_lifecycle", {"our lifecycle rules are set"}),
    ],
)
def test_what_somebody_has_taken_away_is_missing(fit: Store, undo: str, missing: set[str]):
    getattr(fit.client, undo)(Bucket=fit.bucket)
    found = states(examine_bucket(fit, SETTINGS))
    assert {name for name, state in found.items() if state == "missing"} == {OVER_HTTP, *missing}


def test_suspended_versions_and_a_log_switched_off_are_missing(fit: Store):
    client: Any = fit.client
    client.put_bucket_logging(Bucket=fit.bucket, BucketLoggingStatus={})
    client.put_bucket_versioning(Bucket=fit.bucket, VersioningConfiguration={"Status": "Suspended"})
    found = states(examine_bucket(fit, SETTINGS))
    assert {found["access is logged"], found["old versions are kept"]} == {"missing"}


def test_a_policy_that_lets_the_world_read_is_public(fit: Store):
    open_ = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    everything = {**open_, "Resource": f"arn:aws:s3:::{fit.bucket}/*"}
    client: Any = fit.client
    client.delete_public_access_block(Bucket=fit.bucket)
    client.put_bucket_policy(Bucket=fit.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything]}))
    assert states(examine_bucket(fit, SETTINGS))["the policy is not public"] == "missing"


def test_settings_that_seaweedfs_has_are_read_and_those_it_lacks_are_no_fault_of_the_bucket(store: Store):
    client: Any = store.client
    before = states(examine_bucket(store, SETTINGS))
    assert before["public access is blocked"] == "unsupported"
    default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    client.put_bucket_encryption(Bucket=store.bucket, ServerSideEncryptionConfiguration=default)
    client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object_lock_configuration(Bucket=store.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    rules: Any = {"Rules": wanted_rules(SETTINGS.s3, SETTINGS.lifecycle)}
    client.put_bucket_lifecycle_configuration(Bucket=store.bucket, LifecycleConfiguration=rules)
    client.put_bucket_policy(Bucket=store.bucket, Policy=of_policy(store.bucket, "DenyPlainHttp"))
    after = states(examine_bucket(store, SETTINGS))
    assert {name for name in after if before[name] == "missing" and after[name] == "met"} == {
        "objects are encrypted by default",
        "other encryption is denied",
        "old versions are kept",
        "backups are not written over",
        "objects can be locked",
        "our lifecycle rules are set",
    }
    assert {name for name, state in after.items() if state == "missing"} == {
        OVER_HTTP,
        "plain http is denied",
        "access is logged",
    }


def test_a_key_without_rights_says_nothing_of_the_bucket(s3_server: S3Server, store: Store):
    stranger = replace(store, client=s3_server.client("reader"))
    report = examine_bucket(stranger, SETTINGS)
    found = states(report)
    assert {state for name, state in found.items() if name != OVER_HTTP} == {"unreadable"}
    hints = {each.setting: each.hint for each in report.findings}
    assert hints["old versions are kept"].startswith("grant the connection's key s3:GetBucketVersioning,")
    assert hints["objects are encrypted by default"].startswith(
        "grant the connection's key s3:GetEncryptionConfiguration,"
    )


def test_the_whole_report_is_logged_line_by_line(store: Store, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "include.disaster_recovery")
    report = examine_bucket(store, SETTINGS)
    assert f"13 settings of s3://{store.bucket}: " in caplog.messages[0]
    assert "MISSING     required    old versions are kept: versioning is not set, not Enabled" in caplog.messages
    assert BucketReport.model_validate(report.to_json()) == report


def test_an_answer_that_makes_no_sense_is_no_fault_of_the_bucket(wired: Store, wire: FaultyWire):
    wire.before = lambda exchange: exchange.answer(200, b"<Nonsense/>") if "policy" in exchange.path else None
    found = states(examine_bucket(wired, SETTINGS))
    assert found["plain http is denied"] == found["the policy is not public"] == "unsupported"
    assert found["old versions are kept"] == "missing"


def test_no_such_bucket_is_said_and_not_taken_for_missing_settings(store: Store):
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        examine_bucket(replace(store, bucket="nobody-has-made-this"), SETTINGS)


def test_the_tasks_look_through_the_airflow_connection_and_refuse_what_lacks_something(
    deployment: Deployment, s3_server: S3Server, store: Store
):
    deployment.bucket(s3_server, store)
    report = preflight_tasks.examine_bucket()
    assert (report["bucket"], len(report["findings"])) == (store.bucket, 13)
    with pytest.raises(PreflightFailed, match="old versions are kept: versioning is not set, not Enabled"):
        preflight_tasks.require_fit(report)


def test_a_failing_server_is_worth_another_try(wired: Store, wire: FaultyWire):
    wire.before = slow_down
    with pytest.raises(StoreUnavailable):
        examine_bucket(wired, SETTINGS)
