"""The bucket's own rules, on a server that has them: shown, applied beside other people's, refused softly."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import StoreUnavailable
from include.disaster_recovery.lifecycle import wanted_rules
from include.disaster_recovery.s3.lifecycle import read_configuration
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.retention.bucket_rules import check_rules
from tests.support.faulty_wire import FaultyWire, slow_down

SETTINGS = Settings()
FOREIGN = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
BY_AGE = {"ID": "cleanup", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}


def put(store: Store, *rules: dict[str, Any]) -> None:
    wanted: Any = {"Rules": list(rules)}
    store.client.put_bucket_lifecycle_configuration(Bucket=store.bucket, LifecycleConfiguration=wanted)


def names(store: Store) -> list[str]:
    return [rule["ID"] for rule in read_configuration(store).rules]


def test_rules_are_shown_and_nothing_is_changed_unless_asked_for(store: Store, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    report = check_rules(store, SETTINGS, apply=False)
    assert len(report.differences) == 5
    assert (report.applied, report.refused, report.dangers) == (False, None, [])
    assert names(store) == []
    assert "add collabhunts-expired-backups/: backups/ with tag expired=true: deleted after 30 days" in caplog.text
    assert "5 lifecycle rules of the bucket differ; hint: trigger collabhunts_retention" in caplog.text


def test_applied_rules_are_taken_by_the_server_and_found_to_be_the_same(store: Store):
    put(store, FOREIGN)
    assert check_rules(store, SETTINGS, apply=True).applied
    assert names(store) == ["logs", *(rule["ID"] for rule in wanted_rules(SETTINGS.s3, SETTINGS.lifecycle))]
    again = check_rules(store, SETTINGS, apply=True)
    assert (again.differences, again.applied) == ([], False)


def test_changed_setting_changes_our_rule_alone(store: Store):
    put(store, FOREIGN)
    check_rules(store, SETTINGS, apply=True)
    other = Settings.model_validate({"lifecycle": {"noncurrent_days": 5}})
    (line,) = check_rules(store, other, apply=True).differences
    assert line.startswith("change collabhunts-noncurrent-backups/:")
    found = {rule["ID"]: rule for rule in read_configuration(store).rules}
    assert found["collabhunts-noncurrent-backups/"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 5}
    assert found["logs"]["Expiration"] == {"Days": 30}


def test_rule_that_deletes_by_age_alone_is_said_loudly(store: Store, caplog: pytest.LogCaptureFixture):
    put(store, FOREIGN, BY_AGE)
    report = check_rules(store, SETTINGS, apply=True)
    assert report.dangers == ["rule 'cleanup' deletes backups after 90 days, the last good one too"]
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "DANGER: rule 'cleanup'" in record.getMessage()
    assert names(store)[:2] == ["logs", "cleanup"]  # it is the operator's to remove


def test_what_the_configuration_says_besides_its_rules_stays(store: Store):
    wanted: Any = {"Rules": [FOREIGN]}
    store.client.put_bucket_lifecycle_configuration(
        Bucket=store.bucket,
        LifecycleConfiguration=wanted,
        TransitionDefaultMinimumObjectSize="varies_by_storage_class",
    )
    sent: list[dict[str, Any]] = []
    store.client.meta.events.register(
        "before-call.s3.PutBucketLifecycleConfiguration", lambda params, **_: sent.append(dict(params["headers"]))
    )
    found = read_configuration(store).minimum_size
    check_rules(store, SETTINGS, apply=True)
    assert sent[0]["x-amz-transition-default-minimum-object-size"] == found


def test_key_that_may_not_is_a_warning_with_what_to_grant(
    store: Store, s3_server: S3Server, caplog: pytest.LogCaptureFixture
):
    stranger = replace(store, client=s3_server.client("writer"))  # whose bucket is another one
    report = check_rules(stranger, SETTINGS, apply=True)
    assert report.refused is not None
    assert "AccessDenied" in report.refused
    assert "grant the connection's key s3:GetLifecycleConfiguration" in caplog.text


def test_key_that_may_read_but_not_write_is_a_warning(store: Store, wire: FaultyWire, caplog: pytest.LogCaptureFixture):
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    wire.before = lambda exchange: exchange.answer(403, denied) if exchange.method == "PUT" else None
    report = check_rules(replace(store, client=wire.client()), SETTINGS, apply=True)
    assert report.refused == f"PUT lifecycle of s3://{store.bucket} failed: AccessDenied"
    assert names(store) == []


def test_server_without_lifecycle_rules_is_a_warning(store: Store, wire: FaultyWire):
    unknown = b"<?xml version='1.0'?><Error><Code>NotImplemented</Code><Message>no</Message></Error>"
    wire.before = lambda exchange: exchange.answer(501, unknown)
    report = check_rules(replace(store, client=wire.client()), SETTINGS, apply=False)
    assert report.refused == "the S3 server has no lifecycle rules: NotImplemented"


def test_server_that_fails_is_tried_again(store: Store, wire: FaultyWire):
    wire.before = slow_down
    with pytest.raises(StoreUnavailable):
        check_rules(replace(store, client=wire.client()), SETTINGS, apply=False)
