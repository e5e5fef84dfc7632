"""The Terraform module in include/aws: it makes the bucket that the code asks for, from variables that are all declared."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from include.disaster_recovery.lifecycle import dangerous, difference, wanted_rules
from include.disaster_recovery.settings import LifecycleSettings, S3Settings
from tests.support.policies import AWS, POLICIES

FILES = sorted(AWS.glob("*.tf"))
TEXT = "".join(file.read_text() for file in FILES)
S3, DAYS = S3Settings(), LifecycleSettings()
VARIABLES = {
    "${var.prefix}": S3.prefix,
    "${var.staging_prefix}": S3.staging_prefix,
    "${var.lifecycle_days.incomplete_upload}": DAYS.incomplete_upload_days,
    "${var.lifecycle_days.staging}": DAYS.staging_days,
    "${var.lifecycle_days.noncurrent}": DAYS.noncurrent_days,
    "${var.lifecycle_days.expired}": DAYS.expired_days,
}


def plain(value: Any) -> Any:
    """Without the parser's own marks and quotes; a block that is there once is a value."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        value = value.removeprefix('"').removesuffix('"')
        for name, given in VARIABLES.items():
            value = given if value == name else value.replace(name, str(given))
            if not isinstance(value, str):
                break
    return value


@cache
def parsed(file: Path) -> dict[str, Any]:
    import hcl2  # takes a second, which not every process that collects this file should pay

    return dict(hcl2.loads(file.read_text()))


@cache
def blocks(kind: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Every block of a kind, by its labels."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for file in FILES:
        for each in parsed(file).get(kind, []):
            labels: tuple[str, ...] = ()
            body = plain(each)
            while len(labels) < (2 if kind in ("resource", "data") else 1):
                ((label, body),) = body.items()
                labels += (label,)
            found[labels] = body
    return found


def of(resource: str, name: str = "backups") -> dict[str, Any]:
    return blocks("resource")[resource, name]


def as_boto3(rule: dict[str, Any]) -> dict[str, Any]:
    """A lifecycle rule of Terraform as S3 gives it."""
    (filters,) = rule["filter"]
    found: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"]}
    if "and" in filters:
        (both,) = filters["and"]
        tags = [{"Key": key, "Value": value} for key, value in both["tags"].items()]
        found["Filter"] = {"And": {"Prefix": both["prefix"], "Tags": tags}}
    else:
        found["Filter"] = {"Prefix": filters["prefix"]}
    names = {
        "expiration": ("Expiration", {"days": "Days", "expired_object_delete_marker": "ExpiredObjectDeleteMarker"}),
        "noncurrent_version_expiration": ("NoncurrentVersionExpiration", {"noncurrent_days": "NoncurrentDays"}),
        "abort_incomplete_multipart_upload": (
            "AbortIncompleteMultipartUpload",
            {"days_after_initiation": "DaysAfterInitiation"},
        ),
    }
    for block, (action, fields) in names.items():
        for body in rule.get(block, []):
            found[action] = {fields[name]: value for name, value in body.items()}
    assert set(rule) <= {"id", "status", "filter", *names}
    return found


def test_lifecycle_rules_are_those_of_the_code():
    rules = [as_boto3(each) for each in of("aws_s3_bucket_lifecycle_configuration")["rule"]]
    assert difference(rules, wanted_rules(S3, DAYS)) == []
    assert len(rules) == len(wanted_rules(S3, DAYS))
    assert dangerous(rules, S3.prefix) == []


def test_days_default_to_those_of_the_settings():
    defaults = dict(re.findall(r"(\w+) += optional\(number, (\d+)\)", TEXT))
    assert {f"{name}_days": int(days) for name, days in defaults.items()} == DAYS.model_dump()


def test_buckets_keep_versions_belong_to_their_owner_and_are_closed_to_the_public():
    assert of("aws_s3_bucket")["object_lock_enabled"] is True
    assert of("aws_s3_bucket")["lifecycle"] == [{"prevent_destroy": True}]
    assert of("aws_s3_bucket_versioning")["versioning_configuration"] == [{"status": "Enabled"}]
    for bucket in ("backups", "logs"):
        assert of("aws_s3_bucket_ownership_controls", bucket)["rule"] == [{"object_ownership": "BucketOwnerEnforced"}]
        block = of("aws_s3_bucket_public_access_block", bucket)
        closed = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        assert [block[name] for name in closed] == [True] * 4
        assert ("aws_s3_bucket_policy", bucket) in blocks("resource")
        assert ("aws_s3_bucket_server_side_encryption_configuration", bucket) in blocks("resource")


def test_a_lock_is_governance_and_only_where_asked_for():
    lock = of("aws_s3_bucket_object_lock_configuration")
    assert lock["rule"][0]["default_retention"][0]["mode"] == "GOVERNANCE"
    assert "var.object_lock_days > 0" in lock["count"]
    assert blocks("variable")["object_lock_days",]["default"] == 0


def test_access_log_goes_into_another_bucket():
    log = of("aws_s3_bucket_logging")
    assert (log["bucket"], log["target_bucket"]) == ("${aws_s3_bucket.backups.id}", "${aws_s3_bucket.logs.id}")


def test_every_variable_and_local_is_declared_described_and_used():
    variables = blocks("variable")
    assert {name for (name,) in variables} == set(re.findall(r"\bvar\.(\w+)", TEXT))
    assert all(body.get("description") for body in variables.values())
    assert all("default" in body for body in variables.values())  # `terraform apply` asks nothing
    assert all(body.get("description") for body in blocks("output").values())
    declared = {name for file in FILES for each in parsed(file).get("locals", []) for name in plain(each)}
    assert declared == set(re.findall(r"\blocal\.(\w+)", TEXT))


def test_references_are_to_resources_that_exist():
    named = set(re.findall(r"(?<![\w.])(aws_\w+)\.(\w+)", re.sub(r"#.*", "", TEXT)))
    assert named <= set(blocks("resource"))
    read = set(re.findall(r"\bdata\.(\w+)\.(\w+)", TEXT))
    assert read == set(blocks("data"))


@pytest.mark.parametrize("name", ["bucket", "bucket-kms", "log-bucket"])
def test_policies_of_buckets_are_filled_in_from_their_templates(name: str):
    assert f"policies/{name}.json" in TEXT
    assert (POLICIES / f"{name}.json").is_file()
