"""The tasks of `collabhunts_preflight`: JSON in, one step, JSON out."""

from typing import Any

from include.disaster_recovery.runtime.connections import settings, store
from include.disaster_recovery.steps.bucket import examining

Json = dict[str, Any]


def examine_bucket() -> Json:
    """Hold the live bucket against what backups need, and say all of it."""
    return examining.examine_bucket(store(), settings()).to_json()


def require_fit(report: Json) -> None:
    """Red where something required is missing.

    Raises:
        PreflightFailed: each is named, with what mends it.
    """
    examining.require_fit(examining.BucketReport.model_validate(report))
