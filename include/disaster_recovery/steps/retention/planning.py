"""List the backups, decide what becomes of each, and say why."""

import logging
from datetime import datetime

from include.disaster_recovery.history.recalling import recall
from include.disaster_recovery.history.rows import read_rows
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.retention import ExpiryPlan, Policy, plan_expiry
from include.disaster_recovery.s3.records import list_records
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)


def plan_retention(connection: Connection, store: Store, settings: Settings, now: datetime) -> ExpiryPlan:
    """Decide by bucket and history; nothing is changed.

    Raises:
        SettingsError: the policy is empty.
        StoreRefused, StoreUnavailable, TableUnreadable, DatabaseUnavailable: a request failed.
    """
    rows = read_rows(connection)
    records = recall(list_records(store, settings.s3.prefix, now), rows)
    return plan_expiry(records, Policy.of(settings.retention), now)


def log_plan(plan: ExpiryPlan, *, dry_run: bool) -> None:
    """Every decision on a line of its own, then the counts."""
    for decision in plan.decisions:
        log.info("%s", decision.line())
    log.info("%s%s", plan.forecast(), "; this is a dry run, nothing is changed" if dry_run else "")
