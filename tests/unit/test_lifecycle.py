"""The bucket's own rules: what S3 takes, what stays of other people's, and what endangers backups."""

from __future__ import annotations

from typing import Any

import pytest

from include.disaster_recovery.errors import SettingsError
from include.disaster_recovery.lifecycle import OURS, dangerous, describe, difference, merge, wanted_rules
from include.disaster_recovery.settings import LifecycleSettings, S3Settings

PREFIX = "backups/"
WANTED = wanted_rules(S3Settings(), LifecycleSettings())
FOREIGN: dict[str, Any] = {
    "ID": "logs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "Expiration": {"Days": 30},
}


def rule(actions: dict[str, Any], **filters: Any) -> dict[str, Any]:
    return {"ID": "theirs", "Status": "Enabled", "Filter": filters, **actions}


def test_rules_are_five_and_none_goes_by_the_age_of_a_backup_alone():
    assert [describe(each) for each in WANTED] == [
        "backups/: unfinished uploads are aborted after 2 days",
        "staging/: deleted after 1 days; old versions are deleted after 1 days; unfinished uploads are aborted after 2 days",
        "backups/: old versions are deleted after 30 days",
        "backups/: delete markers without versions are removed",
        "backups/ with tag expired=true: deleted after 30 days",
    ]
    assert dangerous(WANTED, PREFIX) == []


@pytest.mark.parametrize("prefix", ["b/", "x" * 400 + "/"])
def test_rules_keep_to_what_s3_takes(prefix: str):
    rules = wanted_rules(S3Settings(prefix=prefix), LifecycleSettings())
    identities = [each["ID"] for each in rules]
    assert len(set(identities)) == len(rules)
    assert all(len(each) <= 255 and each.startswith(OURS) for each in identities)
    for each in rules:
        has_tag = "Tags" in each["Filter"].get("And", {}) or "Tag" in each["Filter"]
        expiration = each.get("Expiration", {})
        assert len(expiration) <= 1  # days, or delete markers
        assert not (has_tag and ("AbortIncompleteMultipartUpload" in each or "ExpiredObjectDeleteMarker" in expiration))
        assert set(each["Filter"]) in ({"Prefix"}, {"And"})
        assert all(days > 0 for days in (expiration.get("Days", 1),))


def test_other_rules_stay_as_they_are_and_first():
    old = {**WANTED[2], "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}
    obsolete = {**WANTED[0], "ID": f"{OURS}former-backups/"}
    assert merge([old, FOREIGN, obsolete], WANTED) == [FOREIGN, *WANTED]
    assert merge(merge([FOREIGN], WANTED), WANTED) == [FOREIGN, *WANTED]


def test_another_installation_in_the_same_bucket_keeps_its_rules():
    others = wanted_rules(S3Settings(prefix="test/backups/", staging_prefix="test/staging/"), LifecycleSettings())
    assert merge(others, WANTED) == [*others, *WANTED]
    assert difference([*others, *WANTED], WANTED) == []


def test_more_rules_than_s3_takes_are_refused():
    many = [{**FOREIGN, "ID": f"rule {number}"} for number in range(996)]
    with pytest.raises(SettingsError, match="would have 1001 lifecycle rules, S3 takes 1000"):
        merge(many, WANTED)


def test_difference_says_what_would_be_added_changed_and_removed():
    changed = {**WANTED[2], "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}
    obsolete = {**WANTED[0], "ID": f"{OURS}former-backups/"}
    old, new = (f"backups/: old versions are deleted after {days} days" for days in (3, 30))
    assert difference([FOREIGN, *WANTED[:2], changed, WANTED[3], obsolete], WANTED) == [
        f"change collabhunts-noncurrent-backups/: from {old} to {new}",
        "add collabhunts-expired-backups/: backups/ with tag expired=true: deleted after 30 days",
        "remove collabhunts-former-backups/: backups/: unfinished uploads are aborted after 2 days",
    ]
    assert difference([{**WANTED[0], "Status": "Disabled"}, *WANTED[1:]], WANTED)[0].endswith("after 2 days")


def test_the_same_rule_written_in_another_way_is_no_difference():
    ways = [
        {**WANTED[0], "Filter": {"And": {"Prefix": PREFIX}}},
        {**{name: value for name, value in WANTED[0].items() if name != "Filter"}, "Prefix": PREFIX},
    ]
    for way in ways:
        assert difference([way, *WANTED[1:]], WANTED) == []


@pytest.mark.parametrize(
    "found",
    [
        rule({"Expiration": {"Days": 90}}),
        rule({"Expiration": {"Days": 90}}, Prefix=""),
        rule({"Expiration": {"Days": 90}}, Prefix="back"),
        rule({"Expiration": {"Days": 90}}, Prefix="backups/"),
        rule({"Expiration": {"Days": 90}}, Prefix="backups/collab"),
        rule({"Expiration": {"Days": 90}}, Prefix="backups/collabhunts-backup-2025"),
        rule({"Expiration": {"Days": 90}}, ObjectSizeGreaterThan=1),
        rule({"Expiration": {"Days": 90}}, Tag={"Key": "verification", "Value": "valid"}),
        rule({"Expiration": {"Days": 90}}, And={"Prefix": "backups/", "Tags": [{"Key": "drill", "Value": "proven"}]}),
        {"ID": "theirs", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 90}},
    ],
)
def test_rule_that_deletes_backups_by_age_alone_is_named_with_its_days(found: dict[str, Any]):
    assert dangerous([FOREIGN, found], PREFIX) == ["rule 'theirs' deletes backups after 90 days, the last good one too"]


@pytest.mark.parametrize(
    "found",
    [
        FOREIGN,
        {**rule({"Expiration": {"Days": 90}}), "Status": "Disabled"},
        rule({"Expiration": {"Days": 90}}, Prefix="backups/restores/"),
        rule({"Expiration": {"Days": 90}}, Prefix="backups2/"),
        rule({"Expiration": {"Days": 90}}, Tag={"Key": "expired", "Value": "true"}),
        rule({"Expiration": {"Days": 90}}, Tag={"Key": "team", "Value": "x"}),
        rule({"Expiration": {"ExpiredObjectDeleteMarker": True}}),
        rule({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}),
        rule({"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}),
    ],
)
def test_rule_that_leaves_backups_alone_is_no_danger(found: dict[str, Any]):
    assert dangerous([found], PREFIX) == []


def test_date_and_archive_are_dangers_too():
    by_date = rule({"Expiration": {"Date": "2027-01-01"}})
    frozen = rule({"Transitions": [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}]})
    assert dangerous([by_date], PREFIX) == ["rule 'theirs' deletes backups from 2027-01-01 on, the last good one too"]
    (said,) = dangerous([frozen], PREFIX)
    assert "moves backups to DEEP_ARCHIVE after 30 days" in said


def test_our_own_rule_changed_by_hand_can_be_a_danger():
    by_hand = {**WANTED[4], "Filter": {"Prefix": PREFIX}}
    (said,) = dangerous([*WANTED[:4], by_hand], PREFIX)
    assert "collabhunts-expired-backups/" in said
    assert merge([by_hand], WANTED) == WANTED
