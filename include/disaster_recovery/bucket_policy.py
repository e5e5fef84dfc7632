"""What a bucket's policy does to a request: enough of IAM to tell whether it is denied to everybody. Pure.

Judged by its effect, not by its text: the same rule can be written in many ways. Only statements that hold for every
principal count, and conditions that are not known here count as not met: when in doubt, nothing is denied.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Policy = Mapping[str, Any]
Context = Mapping[str, str]

# IAM user guide, "condition operators": whether a key's value in the request meets the values of the condition.
_OPERATORS: dict[str, Callable[[str, list[str]], bool]] = {
    "Bool": lambda found, values: found.lower() in {value.lower() for value in values},
    "StringEquals": lambda found, values: found in values,
    "StringNotEquals": lambda found, values: found not in values,
    "StringLike": lambda found, values: any(fnmatchcase(found, value) for value in values),
    "StringNotLike": lambda found, values: not any(fnmatchcase(found, value) for value in values),
}
_NEGATED = {"StringNotEquals", "StringNotLike"}  # met by a request without the key
IF_EXISTS = "IfExists"


def is_denied(policy: Policy | None, action: str, resource: str, context: Context) -> bool:
    """Whether a policy denies a request to everybody.

    Args:
        policy: the document; None where the bucket has none.
        action: as `s3:PutObject`.
        resource: the path of bucket or object, as `bucket/key`: an ARN without `arn:…:s3:::`.
        context: condition keys of the request, as `aws:SecureTransport`, in lower case; absent ones are not sent.
    """
    found = (policy or {}).get("Statement", [])
    return any(_denies(each, action, resource, context) for each in _listed(found) if isinstance(each, Mapping))


def _denies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        statement.get("Effect") == "Deny"
        and _is_everybody(statement.get("Principal"))
        and any(fnmatchcase(action.lower(), str(each).lower()) for each in _listed(statement.get("Action")))
        and any(fnmatchcase(resource, _path(str(each))) for each in _listed(statement.get("Resource")))
        and _is_met(statement.get("Condition") or {}, context)
    )


def _is_everybody(principal: object) -> bool:
    if isinstance(principal, Mapping):
        return "*" in _listed(principal.get("AWS"))
    return principal == "*"


def _path(arn: str) -> str:
    return "*" if arn == "*" else arn.partition(":::")[2]


def _is_met(condition: object, context: Context) -> bool:
    if not isinstance(condition, Mapping):
        return False
    return all(
        isinstance(keys, Mapping) and all(_holds(str(name), str(key), values, context) for key, values in keys.items())
        for name, keys in condition.items()
    )


def _holds(name: str, key: str, values: object, context: Context) -> bool:
    """Whether one key of a condition holds; keys do not depend on case."""
    wanted = [str(value) for value in _listed(values)]
    found = context.get(key.lower())
    if name == "Null":
        return (found is None) == (wanted in (["true"], ["True"]))
    operator = _OPERATORS.get(name.removesuffix(IF_EXISTS))
    if operator is None:
        return False
    if found is None:
        return name.endswith(IF_EXISTS) or name in _NEGATED
    return operator(found, wanted)


def _listed(value: object) -> list[Any]:
    """IAM takes one value for a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
