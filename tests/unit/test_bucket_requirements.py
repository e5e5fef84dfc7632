"""The bucket held against its requirements: each that is missing is named with what mends it, and nothing else is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from include.disaster_recovery.bucket_policy import is_denied
from include.disaster_recovery.bucket_requirements import (
    BLOCKS,
    REQUIREMENTS,
    BucketState,
    Finding,
    ObjectLock,
    Unread,
    judge,
    table,
    unmet,
)
from include.disaster_recovery.errors import PreflightFailed
from include.disaster_recovery.lifecycle import wanted_rules
from include.disaster_recovery.settings import LifecycleSettings, S3Settings
from include.disaster_recovery.steps.bucket.examining import BucketReport, require_fit
from tests.support import policies

S3, DAYS = S3Settings(), LifecycleSettings()
POLICY: dict[str, Any] = json.loads(policies.rendered("bucket"))
FIT = BucketState(
    bucket="collabhunts-backups",
    endpoint="https://s3.eu-central-1.amazonaws.com",
    encryption="AES256",
    policy=POLICY,
    is_public=False,
    blocks=dict.fromkeys(BLOCKS, True),
    ownership="BucketOwnerEnforced",
    versioning="Enabled",
    object_lock=ObjectLock(),
    logs_to="collabhunts-backups-logs",
    rules=wanted_rules(S3, DAYS),
)
BY_AGE = {"ID": "cleanup", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}
DENIED = Unread(reason="denied", code="AccessDenied", action="s3:GetSomething")
UNKNOWN = Unread(reason="unsupported", code="NotImplemented", action="s3:GetSomething")


def findings(state: BucketState, s3: S3Settings = S3) -> dict[str, Finding]:
    return {each.setting: each for each in judge(state, s3, DAYS)}


def not_met(state: BucketState, s3: S3Settings = S3) -> dict[str, str]:
    return {name: each.fact for name, each in findings(state, s3).items() if each.state != "met"}


def without(*statements: str) -> dict[str, Any]:
    return {**POLICY, "Statement": [each for each in POLICY["Statement"] if each["Sid"] not in statements]}


def also(statement: dict[str, Any]) -> dict[str, Any]:
    return {**POLICY, "Statement": [*POLICY["Statement"], statement]}


def test_a_bucket_that_terraform_has_made_lacks_nothing():
    assert not_met(FIT) == {}
    require_fit(BucketReport(bucket="b", findings=judge(FIT, S3, DAYS)))


@pytest.mark.parametrize(
    "changes, setting, fact",
    [
        ({"endpoint": "http://10.0.0.1:8333"}, "requests go by TLS", "the connection's endpoint is http://10.0.0.1:8333"),
        ({"policy": without("DenyPlainHttp")}, "plain http is denied", "lets s3:ListBucket, s3:GetObject, s3:PutObject pass"),
        ({"encryption": None}, "objects are encrypted by default", "stored with nothing, s3.sse is AES256"),
        ({"encryption": "aws:kms"}, "objects are encrypted by default", "stored with aws:kms, s3.sse is AES256"),
        ({"policy": without("DenyOtherEncryption")}, "other encryption is denied", "lets objects be written with aws:kms"),
        ({"policy": without("DenyKeysOfTheClient")}, "other encryption is denied", "with a key of the client's (SSE-C)"),
        ({"blocks": None}, "public access is blocked", ", ".join(BLOCKS)),
        ({"blocks": {**dict.fromkeys(BLOCKS, True), "BlockPublicPolicy": False}}, "public access is blocked", "BlockPublicPolicy not set"),
        ({"is_public": True}, "the policy is not public", "makes it public"),
        ({"ownership": None}, "the owner of the bucket owns objects", "object ownership is not set"),
        ({"ownership": "ObjectWriter"}, "the owner of the bucket owns objects", "object ownership is ObjectWriter"),
        ({"versioning": None}, "old versions are kept", "versioning is not set, not Enabled"),
        ({"versioning": "Suspended"}, "old versions are kept", "versioning is Suspended, not Enabled"),
        ({"policy": without("DenyOverwritingBackups")}, "backups are not written over", "lets a backup be written over"),
        ({"object_lock": None}, "objects can be locked", "Object Lock is off"),
        ({"object_lock": ObjectLock(mode="COMPLIANCE", days=30)}, "objects can be locked", "in mode COMPLIANCE for 30 days"),
        ({"logs_to": None}, "access is logged", "there is no access log"),
        ({"logs_to": "collabhunts-backups"}, "access is logged", "written into the bucket itself"),
        ({"rules": [*FIT.rules, BY_AGE]}, "no rule deletes backups by age", "rule 'cleanup' deletes backups after 90 days"),  # type: ignore[misc]
        ({"rules": FIT.rules[1:]}, "our lifecycle rules are set", "add collabhunts-uploads-backups/"),  # type: ignore[index]
    ],
)  # fmt: skip
def test_what_is_missing_is_named_alone_with_what_mends_it(changes: dict[str, Any], setting: str, fact: str):
    state = replace(FIT, **changes)
    assert list(not_met(state)) == [setting]
    found = findings(state)[setting]
    assert (found.state, fact in found.fact) == ("missing", True), found.fact
    assert found.hint
    is_required = found.severity == "required"
    assert [each.setting for each in unmet(judge(state, S3, DAYS))] == ([setting] if is_required else [])


def test_no_policy_lets_everything_pass():
    assert set(not_met(replace(FIT, policy=None, is_public=None))) == {
        "plain http is denied",
        "other encryption is denied",
        "backups are not written over",
    }


@pytest.mark.parametrize(
    "field, settings",
    [
        ("policy", {"plain http is denied", "other encryption is denied", "backups are not written over"}),
        ("encryption", {"objects are encrypted by default"}),
        ("blocks", {"public access is blocked"}),
        ("is_public", {"the policy is not public"}),
        ("ownership", {"the owner of the bucket owns objects"}),
        ("versioning", {"old versions are kept"}),
        ("object_lock", {"objects can be locked"}),
        ("logs_to", {"access is logged"}),
        ("rules", {"no rule deletes backups by age", "our lifecycle rules are set"}),
    ],
)
def test_what_cannot_be_read_is_told_apart_from_what_is_missing(field: str, settings: set[str]):
    for unread, state in ((DENIED, "unreadable"), (UNKNOWN, "unsupported")):
        found = findings(replace(FIT, **{field: unread}))  # type: ignore[arg-type]
        assert {name for name, each in found.items() if each.state == state} == settings
        assert {name for name, each in found.items() if each.state != "met"} == settings
    required = {name for name, severity, *_ in REQUIREMENTS if severity == "required"}
    denied, unknown = (judge(replace(FIT, **{field: unread}), S3, DAYS) for unread in (DENIED, UNKNOWN))  # type: ignore[arg-type]
    assert {each.setting for each in unmet(denied)} == settings & required
    assert unmet(unknown) == []


def test_denied_reading_names_the_action_to_grant():
    found = findings(replace(FIT, versioning=DENIED))["old versions are kept"]
    assert found.hint == "grant the connection's key s3:GetSomething, as include/aws/policies/bucket-reader.json does"


def test_a_kms_bucket_is_held_against_kms():
    s3 = S3Settings(sse="aws:kms")
    kms = {**POLICY, "Statement": json.loads(json.dumps(POLICY["Statement"]).replace('"AES256"', '"aws:kms"'))}
    assert not_met(replace(FIT, encryption="aws:kms", policy=kms), s3) == {}
    assert not_met(replace(FIT, encryption="aws:kms"), s3) == {
        "other encryption is denied": "the bucket's policy denies what this package writes, with aws:kms"
    }


def test_a_policy_that_denies_our_own_writing_is_named():
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:Put*", "Resource": "*"}
    assert not_met(replace(FIT, policy=also(everything))) == {
        "other encryption is denied": "the bucket's policy denies what this package writes, with AES256",
        "backups are not written over": "the bucket's policy denies what this package writes: conditional writes",
    }


def test_refusal_names_every_required_setting_and_no_recommended_one():
    state = replace(FIT, versioning=None, blocks=DENIED, logs_to=None)
    with pytest.raises(PreflightFailed) as caught:
        require_fit(BucketReport(bucket="b", findings=judge(state, S3, DAYS)))
    assert caught.value.fact == (
        "s3://b lacks 2 of 8 required settings: public access is blocked: cannot be read (AccessDenied);"
        " old versions are kept: versioning is not set, not Enabled"
    )
    assert "apply aws_s3_bucket_versioning.backups of include/aws" in caught.value.hint


def test_table_has_a_line_for_each_setting_and_a_hint_for_each_that_is_not_met():
    lines = table(judge(replace(FIT, versioning=None, is_public=UNKNOWN), S3, DAYS))
    assert len(lines) == len(REQUIREMENTS) + 2
    assert "MISSING     required    old versions are kept: versioning is not set, not Enabled" in lines
    assert "UNSUPPORTED required    the policy is not public: this server does not know it (NotImplemented)" in lines
    assert "met         recommended access is logged" in lines


def test_hints_name_resources_that_the_terraform_module_has():
    made = set(
        re.findall(
            r'^resource "(\w+)" "(\w+)"', "".join(f.read_text() for f in policies.AWS.glob("*.tf")), re.MULTILINE
        )
    )
    named = {found for _, _, hint, _ in REQUIREMENTS for found in re.findall(r"(aws_\w+)\.(\w+)", hint)}
    assert len(named) >= 7
    assert named <= made


DENY = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}


@pytest.mark.parametrize(
    "changes, denied",
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, False),
        ({"Effect": "Allow"}, False),
        ({"Action": ["s3:DeleteObject", "S3:GETOBJECT"]}, True),
        ({"Action": "s3:DeleteObject"}, False),
        ({"Resource": ["arn:aws-cn:s3:::b/backups/*"]}, True),
        ({"Resource": "arn:aws:s3:::b"}, False),
        ({"Resource": "*"}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": False}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({"Condition": {"BoolIfExists": {"aws:secureTransport": ["false"]}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "true"}}}, False),
        ({"Condition": {"StringLike": {"s3:x": "a*"}}}, True),
        ({"Condition": {"StringEquals": {"s3:x": ["b", "ab"]}}}, True),
        ({"Condition": {"StringNotEquals": {"s3:x": "ab"}}}, False),
        ({"Condition": {"StringNotEquals": {"s3:absent": "ab"}}}, True),
        ({"Condition": {"StringEquals": {"s3:absent": "ab"}}}, False),
        ({"Condition": {"StringEqualsIfExists": {"s3:absent": "ab"}}}, True),
        ({"Condition": {"Null": {"s3:absent": "true"}}}, True),
        ({"Condition": {"Null": {"s3:x": "true"}}}, False),
        ({"Condition": {"Null": {"s3:x": False}}}, True),
        ({"Condition": {"NumericLessThan": {"s3:x": "5"}}}, False),
        ({"Condition": "nonsense"}, False),
        ({"Action": None, "NotAction": "s3:DeleteObject"}, False),
    ],
)
def test_policy_is_judged_by_what_it_does_to_a_request(changes: dict[str, Any], denied: bool):
    request = {"aws:securetransport": "false", "s3:x": "ab"}
    policy = {"Statement": {**DENY, **changes}}
    assert is_denied(policy, "s3:GetObject", "b/backups/x", request) is denied
