"""Rules that the bucket applies by itself: a net below retention. Pure: which ones, what differs, what is dangerous.

None of ours removes a current backup by its age: a bucket cannot know whether it is the last good one. Rules are
dictionaries as boto3 takes and gives them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from include.disaster_recovery.backup_record import EXPIRED_TAG, EXPIRED_VALUE
from include.disaster_recovery.errors import SettingsError
from include.disaster_recovery.settings import LifecycleSettings, S3Settings

Rule = dict[str, Any]

OURS = "collabhunts-"  # how our rules' ids begin
LONGEST_ID, MOST_RULES = 255, 1000  # Amazon S3 API reference, PutBucketLifecycleConfiguration
BACKUP_NAME = "collabhunts-backup-"
# Tags that a backup carries as a matter of course: a rule that asks for one of them goes by age alone all the same.
USUAL_TAGS = ("verification", "verified-at", "verification-depth", "drill", "drilled-at")
ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}  # objects there cannot be read before they are thawed by hand


def wanted_rules(s3: S3Settings, days: LifecycleSettings) -> list[Rule]:
    """Our rules for a bucket.

    A rule that asks for a tag may not abort uploads or clear delete markers, and one that clears delete markers may not
    give days (Amazon S3 user guide, "lifecycle configuration elements"): hence several.
    """
    uploads = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days.incomplete_upload_days}}
    return [
        _rule("uploads", s3.prefix, uploads),
        _rule(
            "staging",
            s3.staging_prefix,
            {
                **uploads,
                "Expiration": {"Days": days.staging_days},
                "NoncurrentVersionExpiration": {"NoncurrentDays": days.staging_days},
            },
        ),
        _rule("noncurrent", s3.prefix, {"NoncurrentVersionExpiration": {"NoncurrentDays": days.noncurrent_days}}),
        _rule("delete-markers", s3.prefix, {"Expiration": {"ExpiredObjectDeleteMarker": True}}),
        _rule(
            "expired",
            s3.prefix,
            {"Expiration": {"Days": days.expired_days}},
            filters={"And": {"Prefix": s3.prefix, "Tags": [{"Key": EXPIRED_TAG, "Value": EXPIRED_VALUE}]}},
        ),
    ]


def _rule(name: str, prefix: str, actions: Rule, filters: Rule | None = None) -> Rule:
    identity = f"{OURS}{name}-{prefix}"[:LONGEST_ID]
    return {"ID": identity, "Status": "Enabled", "Filter": filters or {"Prefix": prefix}, **actions}


def merge(current: Sequence[Rule], wanted: Sequence[Rule]) -> list[Rule]:
    """The bucket's rules with ours in place of what we set before; all others stay as they are, and first.

    Raises:
        SettingsError: a bucket does not take so many.
    """
    merged = [*(rule for rule in current if not _is_ours(rule, wanted)), *wanted]
    if len(merged) > MOST_RULES:
        raise SettingsError(
            f"the bucket would have {len(merged)} lifecycle rules, S3 takes {MOST_RULES}",
            hint="remove some of the bucket's own rules",
        )
    return merged


def difference(current: Sequence[Rule], wanted: Sequence[Rule]) -> list[str]:
    """What applying ours would change, a line each; empty where nothing would."""
    before = {str(rule.get("ID")): rule for rule in current if _is_ours(rule, wanted)}
    after = {str(rule["ID"]): rule for rule in wanted}
    lines = []
    for identity in [*after, *(each for each in before if each not in after)]:
        old, new = before.get(identity), after.get(identity)
        if old is None and new is not None:
            lines.append(f"add {identity}: {describe(new)}")
        elif old is not None and new is None:
            lines.append(f"remove {identity}: {describe(old)}")
        elif old is not None and new is not None and _canonical(old) != _canonical(new):
            lines.append(f"change {identity}: from {describe(old)} to {describe(new)}")
    return lines


def dangerous(current: Sequence[Rule], prefix: str) -> list[str]:
    """Rules of the bucket that would remove or freeze a backup for its age alone, a line each."""
    found = []
    for rule in current:
        if rule.get("Status") == "Enabled" and _touches_backups(rule, prefix):
            found += [f"rule {rule.get('ID', '(no id)')!r} {what}" for what in _dangers(rule)]
    return found


def _dangers(rule: Rule) -> list[str]:
    when = _expires(rule)
    return [
        *([f"deletes backups {when}, the last good one too"] if when else []),
        *(
            f"moves backups to {each['StorageClass']} {_when(each)}, where they can be neither verified nor restored"
            " before they are thawed"
            for each in rule.get("Transitions", [])
            if each.get("StorageClass") in ARCHIVES
        ),
    ]


def describe(rule: Rule) -> str:
    """A rule for people: what it covers and what it does."""
    tags = "".join(f" with tag {tag['Key']}={tag['Value']}" for tag in _tags(rule))
    size = " of some sizes" if _sizes(rule) else ""
    switched = "" if rule.get("Status") == "Enabled" else " (disabled)"
    return f"{_prefix(rule) or 'everything'}{tags}{size}: {'; '.join(_actions(rule)) or 'nothing'}{switched}"


def _actions(rule: Rule) -> list[str]:
    found = []
    if (when := _expires(rule)) is not None:
        found.append(f"deleted {when}")
    if rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker"):
        found.append("delete markers without versions are removed")
    if noncurrent := rule.get("NoncurrentVersionExpiration"):
        found.append(f"old versions are deleted after {noncurrent.get('NoncurrentDays')} days")
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        found.append(f"unfinished uploads are aborted after {abort.get('DaysAfterInitiation')} days")
    return [*found, *(f"moved to {each.get('StorageClass')} {_when(each)}" for each in rule.get("Transitions", []))]


def _expires(rule: Rule) -> str | None:
    """When the rule deletes current objects; None where it does not."""
    expiration = rule.get("Expiration", {})
    return _when(expiration) if "Days" in expiration or "Date" in expiration else None


def _when(action: Mapping[str, Any]) -> str:
    return f"after {action['Days']} days" if "Days" in action else f"from {action.get('Date')} on"


def _is_ours(rule: Rule, wanted: Sequence[Rule]) -> bool:
    """By its id and its prefix: two installations may share a bucket."""
    prefixes = {_prefix(each) for each in wanted}
    return str(rule.get("ID", "")).startswith(OURS) and _prefix(rule) in prefixes


def _touches_backups(rule: Rule, prefix: str) -> bool:
    """Whether the rule covers current backups that retention has not expired."""
    covered, names = _prefix(rule), f"{prefix}{BACKUP_NAME}"
    if not (names.startswith(covered) or covered.startswith(names)):
        return False
    return all(tag["Key"] in USUAL_TAGS for tag in _tags(rule))


def _filter(rule: Rule) -> Rule:
    """The conditions of a rule in one dictionary; before 2016 a rule had its prefix beside its other fields."""
    found = rule.get("Filter") or {}
    flat = {**found, **found.get("And", {})}
    return {"Prefix": rule.get("Prefix", ""), **{name: value for name, value in flat.items() if name != "And"}}


def _prefix(rule: Rule) -> str:
    return str(_filter(rule).get("Prefix") or "")


def _tags(rule: Rule) -> list[dict[str, str]]:
    found = _filter(rule)
    return [*found.get("Tags", []), *([found["Tag"]] if found.get("Tag") else [])]


def _sizes(rule: Rule) -> dict[str, int]:
    return {name: value for name, value in _filter(rule).items() if name.startswith("ObjectSize")}


def _canonical(rule: Rule) -> str:
    """One text for all ways of writing the same rule."""
    actions = {name: value for name, value in rule.items() if name not in ("ID", "Filter", "Prefix")}
    tags = sorted((tag["Key"], tag["Value"]) for tag in _tags(rule))
    return json.dumps([_prefix(rule), tags, _sizes(rule), actions], sort_keys=True, default=str)
