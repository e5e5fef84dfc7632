"""Is the bucket set up as backups need it? Looks, and says what is missing; changes nothing."""

import logging

from include.disaster_recovery.bucket_requirements import Finding, judge, table, unmet
from include.disaster_recovery.errors import PreflightFailed
from include.disaster_recovery.model import Value
from include.disaster_recovery.s3.bucket_state import read_bucket
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)


class BucketReport(Value):
    """Every setting of a bucket that was looked at."""

    bucket: str
    findings: list[Finding]


def examine_bucket(store: Store, settings: Settings) -> BucketReport:
    """Hold the live bucket against the requirements, and log the whole report.

    Raises:
        StoreRefused: there is no such bucket, or the connection's keys are wrong.
        StoreUnavailable: a request failed.
    """
    report = BucketReport(bucket=store.bucket, findings=judge(read_bucket(store), settings.s3, settings.lifecycle))
    states = [each.state for each in report.findings]
    log.info(
        "%d settings of s3://%s: %d met, %d missing, %d could not be read, %d not known to this server",
        len(states),
        store.bucket,
        states.count("met"),
        states.count("missing"),
        states.count("unreadable"),
        states.count("unsupported"),
    )
    for line in table(report.findings):
        log.info("%s", line)
    return report


def require_fit(report: BucketReport) -> None:
    """Refuse a bucket that lacks something required.

    Raises:
        PreflightFailed: each is named, with what mends it.
    """
    lacking = unmet(report.findings)
    if not lacking:
        return
    total = sum(each.severity == "required" for each in report.findings)
    facts = "; ".join(f"{each.setting}: {each.fact}" for each in lacking)
    raise PreflightFailed(
        f"s3://{report.bucket} lacks {len(lacking)} of {total} required settings: {facts}",
        hint="; ".join(dict.fromkeys(each.hint for each in lacking)),
    )
