"""The shipped IAM policies: valid, as narrow as they say, and the Terraform module that fills them in agrees with the code."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from include.disaster_recovery.backup_record import EXPIRED_TAG, EXPIRED_VALUE
from include.disaster_recovery.settings import Purpose
from tests.support.policies import AWS, BUCKET, IDENTITIES, POLICIES, S3, VALUES, names, rendered, statements

BUCKETS_OWN = {"bucket", "bucket-kms", "log-bucket"}  # policies of buckets, which name a principal
OF_IDENTITIES = [name for name in names() if name not in BUCKETS_OWN]
STATEMENTS = [
    pytest.param(name, statement, id=f"{name}-{statement['Sid']}") for name in names() for statement in statements(name)
]
ARN = "arn:aws:s3:::"
BACKUP = f"{BUCKET}/backups/collabhunts-backup-2026-03-14T00-00-00-000Z.json"
ON_BUCKET = {  # Service authorization reference, "Amazon S3": resource type bucket; all other actions here are of objects
    "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPolicyStatus", "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
}  # fmt: skip
ON_OBJECTS = {
    "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectLegalHold", "s3:GetObjectRetention",
    "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging",
}  # fmt: skip
ON_KEYS = {"kms:Decrypt", "kms:GenerateDataKey"}


def allowed(identity: str, action: str, path: str) -> bool:
    """Whether some policy of an identity allows an action on `bucket/key`, whatever its conditions."""
    return any(
        statement["Effect"] == "Allow"
        and action in statement["Action"]
        and any(fnmatchcase(ARN + path, resource) for resource in statement["Resource"])
        for policy in IDENTITIES[identity]
        for statement in statements(policy)
    )


def granted(identity: str) -> set[str]:
    found = (each for policy in IDENTITIES[identity] for each in statements(policy) if each["Effect"] == "Allow")
    return {action for statement in found for action in statement["Action"]}


@pytest.mark.parametrize("name", names())
def test_policy_is_an_iam_document(name: str):
    document = json.loads(rendered(name))
    assert set(document) == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    sids = [each["Sid"] for each in document["Statement"]]
    assert len(set(sids)) == len(sids) > 0
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
    assert len(re.sub(r"\s", "", rendered(name))) < 6144  # of a managed policy, IAM user guide, "quotas"


@pytest.mark.parametrize("name, statement", STATEMENTS)
def test_statement_has_the_grammar_of_iam(name: str, statement: dict[str, Any]):
    must = {"Sid", "Effect", "Action", "Resource"} | ({"Principal"} if name in BUCKETS_OWN else set())
    assert must <= set(statement) <= must | {"Condition"}
    assert statement["Effect"] in ("Allow", "Deny")
    for field in ("Action", "Resource"):
        assert statement[field]
        assert isinstance(statement[field], list)
        assert all(isinstance(each, str) for each in statement[field])
    assert all(re.fullmatch(r"arn:aws:(s3:::|kms:)[^${}]+", each) for each in statement["Resource"])
    for operator, keys in statement.get("Condition", {}).items():
        assert operator in {"StringLike", "StringEquals", "StringNotEquals", "Bool", "Null", "ArnLike"}
        assert all(re.fullmatch(r"(s3|aws):[A-Za-z0-9-]+(/\w+)?", key) for key in keys)


@pytest.mark.parametrize("name, statement", [each for each in STATEMENTS if each.values[1]["Effect"] == "Allow"])  # type: ignore[index, call-overload]
def test_what_is_allowed_is_named_action_by_action_on_resources_that_take_it(name: str, statement: dict[str, Any]):
    for action in statement["Action"]:
        assert action in ON_BUCKET | ON_OBJECTS | ON_KEYS
        for resource in statement["Resource"]:
            kind = "key" if ":kms:" in resource else "object" if "/" in resource else "bucket"
            assert kind == ("bucket" if action in ON_BUCKET else "key" if action in ON_KEYS else "object")
    objects = [each.removeprefix(ARN) for each in statement["Resource"] if "/" in each and ":kms:" not in each]
    inside = (f"{BUCKET}/{S3.prefix}", f"{BUCKET}/{S3.staging_prefix}", f"{VALUES['log_bucket']}/")
    assert all(each.startswith(inside) for each in objects)
    assert all(each != f"{BUCKET}/{S3.prefix}*" for each in objects)  # always a folder, or the names of backups


@pytest.mark.parametrize("name, statement", STATEMENTS)
def test_listing_is_confined_to_our_prefixes(name: str, statement: dict[str, Any]):
    if "s3:ListBucket" in statement["Action"]:
        prefixes = statement["Condition"]["StringLike"]["s3:prefix"]
        assert set(prefixes) <= {f"{S3.prefix}*", f"{S3.staging_prefix}*"}


def test_backups_are_deleted_by_retention_alone():
    assert [who for who in IDENTITIES if allowed(who, "s3:DeleteObject", BACKUP)] == ["retention"]


def test_backups_are_written_by_the_backup_alone():
    assert [who for who in IDENTITIES if allowed(who, "s3:PutObject", BACKUP)] == ["backup"]


def test_nobody_deletes_versions_lifts_locks_or_changes_the_bucket():
    every = set.union(*(granted(who) for who in IDENTITIES))
    assert {each for each in every if not re.match(r"s3:(Get|List)", each)} == {
        "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:AbortMultipartUpload",
    }  # fmt: skip


def test_the_writer_deletes_below_staging_and_incidents_alone():
    deleting = [
        resource.removeprefix(f"{ARN}{BUCKET}/")
        for policy in IDENTITIES["backup"]
        for statement in statements(policy)
        if "s3:DeleteObject" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert deleting == ["staging/*", "backups/incidents/*"]


def test_whoever_may_tag_but_retention_may_not_mark_as_expired():
    tagging = [who for who in IDENTITIES if allowed(who, "s3:PutObjectTagging", BACKUP)]
    assert tagging == ["backup", "verify", "drill", "retention", "page"]
    for who in set(tagging) - {"retention"}:
        denials = [each for policy in IDENTITIES[who] for each in statements(policy) if each["Effect"] == "Deny"]
        (marking,) = denials
        assert marking["Condition"] == {"StringEquals": {f"s3:RequestObjectTag/{EXPIRED_TAG}": EXPIRED_VALUE}}
        assert set(marking["Action"]) == {"s3:PutObject", "s3:PutObjectTagging"}
        assert marking["Resource"] == [f"{ARN}{BUCKET}/{S3.prefix}*"]


def test_identities_are_those_that_the_settings_name_connections_for():
    assert set(IDENTITIES) == set(Purpose.__args__)  # type: ignore[attr-defined]
    used = {policy for several in IDENTITIES.values() for policy in several}
    assert used | {"kms"} == set(OF_IDENTITIES)


def test_every_variable_of_a_template_is_filled_in_by_terraform():
    used = {each for file in POLICIES.glob("*.json") for each in re.findall(r"\$\{(\w+)\}", file.read_text())}
    assert used == set(VALUES)
    block = re.search(r"values = \{(.*?)\n  \}", (AWS / "bucket.tf").read_text(), re.DOTALL)
    assert block
    assert set(re.findall(r"^\s+(\w+) +=", block[1], re.MULTILINE)) == used


def test_every_policy_and_identity_is_in_the_documentation():
    page = (AWS.parents[1] / "docs" / "security.md").read_text()
    for who, several in IDENTITIES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{who}` |"))
        assert re.findall(r"`([\w-]+)`", row.split("|")[3]) == several
