"""How the bucket of the backups has to be set up, and what a live one lacks. Pure: judges what was read of it.

The settings are those that the Terraform module in `include/aws` makes; each hint names the resource that mends it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from include.disaster_recovery.bucket_policy import is_denied
from include.disaster_recovery.lifecycle import BACKUP_NAME, dangerous, difference, wanted_rules
from include.disaster_recovery.model import Value
from include.disaster_recovery.settings import LifecycleSettings, S3Settings

Severity = Literal["required", "recommended"]
State = Literal["met", "missing", "unreadable", "unsupported"]
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
READ_BY = "include/aws/policies/bucket-reader.json"
SSE, CUSTOMER = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-customer-algorithm"


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A setting that could not be read: the key may not (`denied`), or the server has no such thing.

    `action` is what the key would have to be allowed, as `s3:GetBucketPolicy`.
    """

    reason: Literal["denied", "unsupported"]
    code: str
    action: str


@dataclass(frozen=True, kw_only=True)
class ObjectLock:
    """Object Lock of a bucket that has it; mode and days are the default retention of new objects, if there is one."""

    mode: str | None = None
    days: int | None = None


@dataclass(frozen=True, kw_only=True)
class BucketState:
    """What a bucket says of itself. None: not set. `policy` is the document, `logs_to` the bucket of the access log."""

    bucket: str
    endpoint: str
    encryption: str | Unread | None = None
    policy: dict[str, Any] | Unread | None = None
    is_public: bool | Unread | None = None
    blocks: dict[str, bool] | Unread | None = None
    ownership: str | Unread | None = None
    versioning: str | Unread | None = None
    object_lock: ObjectLock | Unread | None = None
    logs_to: str | Unread | None = None
    rules: list[dict[str, Any]] | Unread = field(default_factory=list)


class Finding(Value):
    """One setting: whether it is as it has to be; where it is not, the fact and what to do."""

    setting: str
    severity: Severity
    state: State
    fact: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bucket as it is, and the settings it is to serve."""

    state: BucketState
    s3: S3Settings
    days: LifecycleSettings

    def is_denied(self, action: str, key: str = "", **context: str) -> bool:
        """Whether the bucket's policy denies a request to everybody; False where there is no policy to be read."""
        policy = self.state.policy
        resource = f"{self.state.bucket}/{key}" if key else self.state.bucket
        return isinstance(policy, dict) and is_denied(policy, action, resource, context)

    @property
    def backup(self) -> str:
        """The key of some backup."""
        return f"{self.s3.prefix}{BACKUP_NAME}2026-01-01T00-00-00-000Z.json"


# What a check says: the fact of what is missing, that it could not be read, or nothing where all is well.
Check = Callable[[Case], str | Unread | None]


def judge(state: BucketState, s3: S3Settings, days: LifecycleSettings) -> list[Finding]:
    """Hold a bucket against every requirement, in the order of the report."""
    case = Case(state=state, s3=s3, days=days)
    return [_finding(*each, case) for each in REQUIREMENTS]


def unmet(findings: Sequence[Finding]) -> list[Finding]:
    """What makes the bucket unfit: required and missing, or required and hidden from this key.

    A server that has no such thing cannot be mended: `unsupported` is told, and does not count.
    """
    return [each for each in findings if each.severity == "required" and each.state in ("missing", "unreadable")]


def table(findings: Sequence[Finding]) -> list[str]:
    """The findings for people, a line each, with the hint below."""
    lines = []
    for each in findings:
        state = each.state if each.state == "met" else each.state.upper()
        lines.append(f"{state:<11} {each.severity:<11} {each.setting}{': ' if each.fact else ''}{each.fact}")
        if each.hint:
            lines.append(f"{'':<24}hint: {each.hint}")
    return lines


def _finding(setting: str, severity: Severity, mended_by: str, check: Check, case: Case) -> Finding:
    found = check(case)
    if found is None:
        return Finding(setting=setting, severity=severity, state="met")
    if isinstance(found, str):
        return Finding(setting=setting, severity=severity, state="missing", fact=found, hint=mended_by)
    if found.reason == "unsupported":
        fact, hint = f"this server does not know it ({found.code})", "see to it by other means, docs/security.md"
        return Finding(setting=setting, severity=severity, state="unsupported", fact=fact, hint=hint)
    fact, hint = f"cannot be read ({found.code})", f"grant the connection's key {found.action}, as {READ_BY} does"
    return Finding(setting=setting, severity=severity, state="unreadable", fact=fact, hint=hint)


def _tls(case: Case) -> str | None:
    endpoint = case.state.endpoint
    if not endpoint.startswith("http://"):
        return None
    return f"the connection's endpoint is {endpoint}: a bucket that demands TLS refuses all it asks, settings too"


def _plain_http(case: Case) -> str | Unread | None:
    if isinstance(case.state.policy, Unread):
        return case.state.policy
    plain = {"aws:securetransport": "false"}
    passed = [
        action
        for action, key in (("s3:ListBucket", ""), ("s3:GetObject", case.backup), ("s3:PutObject", case.backup))
        if not case.is_denied(action, key, **plain)
    ]
    return f"the bucket's policy lets {', '.join(passed)} pass by plain http" if passed else None


def _encryption(case: Case) -> str | Unread | None:
    found, wanted = case.state.encryption, case.s3.sse
    if isinstance(found, Unread):
        return found
    if found is None or (wanted and found != wanted):
        return f"what is written without asking is stored with {found or 'nothing'}, s3.sse is {wanted or 'not set'}"
    return None


def _other_encryption(case: Case) -> str | Unread | None:
    if isinstance(case.state.policy, Unread):
        return case.state.policy
    own = case.s3.sse or (case.state.encryption if isinstance(case.state.encryption, str) else "AES256")
    other = "AES256" if own != "AES256" else "aws:kms"
    passed = []
    if not case.is_denied("s3:PutObject", case.backup, **{SSE: other}):
        passed.append(f"with {other}")
    if not case.is_denied("s3:PutObject", case.backup, **{CUSTOMER: "AES256"}):
        passed.append("with a key of the client's (SSE-C)")
    if case.is_denied("s3:PutObject", case.backup, **{SSE: own}):
        return f"the bucket's policy denies what this package writes, with {own}"
    return f"the bucket's policy lets objects be written {' and '.join(passed)}" if passed else None


def _overwriting(case: Case) -> str | Unread | None:
    if isinstance(case.state.policy, Unread):
        return case.state.policy
    creating = {"s3:objectcreationoperation": "true"}
    if case.is_denied("s3:PutObject", case.backup, **creating, **{"s3:if-none-match": "*"}):
        return "the bucket's policy denies what this package writes: conditional writes"
    if not case.is_denied("s3:PutObject", case.backup, **creating):
        return "the bucket's policy lets a backup be written over"
    return None


def _blocks(case: Case) -> str | Unread | None:
    found = case.state.blocks
    if isinstance(found, Unread):
        return found
    open_ = [name for name in BLOCKS if not (found or {}).get(name)]
    return f"{', '.join(open_)} not set" if open_ else None


def _public(case: Case) -> str | Unread | None:
    found = case.state.is_public
    if isinstance(found, Unread):
        return found
    return "the bucket's policy makes it public" if found else None


def _ownership(case: Case) -> str | Unread | None:
    return _unless("object ownership", case.state.ownership, "BucketOwnerEnforced")


def _versioning(case: Case) -> str | Unread | None:
    return _unless("versioning", case.state.versioning, "Enabled")


def _object_lock(case: Case) -> str | Unread | None:
    found = case.state.object_lock
    if isinstance(found, Unread):
        return found
    if found is None:
        return "Object Lock is off"
    if found.mode == "COMPLIANCE":
        return f"every object is locked in mode COMPLIANCE for {found.days} days: nobody can delete what was staged"
    return None


def _logging(case: Case) -> str | Unread | None:
    found = case.state.logs_to
    if isinstance(found, Unread):
        return found
    if found == case.state.bucket:
        return "the access log is written into the bucket itself, which logs its own writing"
    return None if found else "there is no access log"


def _dangerous_rules(case: Case) -> str | Unread | None:
    found = case.state.rules
    return found if isinstance(found, Unread) else "; ".join(dangerous(found, case.s3.prefix)) or None


def _our_rules(case: Case) -> str | Unread | None:
    found = case.state.rules
    if isinstance(found, Unread):
        return found
    return "; ".join(difference(found, wanted_rules(case.s3, case.days))) or None


def _unless(what: str, found: str | Unread | None, wanted: str) -> str | Unread | None:
    if isinstance(found, Unread):
        return found
    return None if found == wanted else f"{what} is {found or 'not set'}, not {wanted}"


def _apply(resource: str) -> str:
    return f"apply {resource} of include/aws"


POLICY, LIFECYCLE = _apply("aws_s3_bucket_policy.backups"), _apply("aws_s3_bucket_lifecycle_configuration.backups")
# Setting, severity, what mends it, check. Required: without it a backup may be read, lost or kept from us.
REQUIREMENTS: tuple[tuple[str, Severity, str, Check], ...] = (
    ("requests go by TLS", "required", "give the connection an endpoint_url with https://", _tls),
    ("plain http is denied", "required", POLICY, _plain_http),
    (
        "objects are encrypted by default",
        "required",
        _apply("aws_s3_bucket_server_side_encryption_configuration.backups"),
        _encryption,
    ),
    ("other encryption is denied", "recommended", POLICY, _other_encryption),
    ("public access is blocked", "required", _apply("aws_s3_bucket_public_access_block.backups"), _blocks),
    ("the policy is not public", "required", POLICY, _public),
    (
        "the owner of the bucket owns objects",
        "required",
        _apply("aws_s3_bucket_ownership_controls.backups"),
        _ownership,
    ),
    ("old versions are kept", "required", _apply("aws_s3_bucket_versioning.backups"), _versioning),
    ("backups are not written over", "recommended", POLICY, _overwriting),
    ("objects can be locked", "recommended", _apply("aws_s3_bucket.backups (object_lock_enabled)"), _object_lock),
    ("access is logged", "recommended", _apply("aws_s3_bucket_logging.backups"), _logging),
    ("no rule deletes backups by age", "required", "remove the rule: retention decides, not age", _dangerous_rules),
    ("our lifecycle rules are set", "recommended", LIFECYCLE, _our_rules),
)
