"""The tail of `collabhunts_backup`, and the task of `collabhunts_watch`: what they find is told, kept and measured."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.disaster_recovery.anomalies import EMPTIED, UNUSUAL, no_longer
from include.disaster_recovery.errors import BackupLate, fact_of
from include.disaster_recovery.runtime import context, metrics
from include.disaster_recovery.runtime.alerts import all_clear, all_clears, open_subjects, raise_alerts, tell_again
from include.disaster_recovery.runtime.connections import settings, source, store
from include.disaster_recovery.runtime.failures import BACKUP_DAG, RUN
from include.disaster_recovery.runtime.incident_of import page_of
from include.disaster_recovery.s3 import incidents
from include.disaster_recovery.steps.watch.age import Ages, look_at_ages
from include.disaster_recovery.steps.watch.backup import BackupLook, keep_look, look_at_backup

log = logging.getLogger(__name__)

Json = dict[str, Any]
UNCOVERED, DRIFT = "tables-uncovered", "schema-drift"
BUCKET = "the bucket"  # the subject of ages: the newest backup, whichever it is


def watch_backup(recorded: Mapping[str, Any], uncovered: Iterable[str]) -> Json:
    """Compare a recorded backup with those before it; whatever breaks here, the backup is a success."""
    try:
        return _watch(str(recorded["key"]), sorted(uncovered))
    except (Exception, AirflowTaskTimeout) as error:
        log.exception("the backup stands, but it was not compared with earlier ones: %s", type(error).__name__)
        return {}


def _watch(key: str, uncovered: list[str]) -> Json:
    done, link = f"{key} is recorded and verified", _page()
    all_clear("backup-failed", BACKUP_DAG, done, link=link)
    all_clears("backup-late", {BUCKET: done, RUN: done}, link=link)
    metrics.push({"BackupSucceeded": 1})  # first: what follows may fail
    look = look_at_backup(source, store(), settings(), key, uncovered)
    _attempt("told", lambda: _tell(look))
    _attempt("written into the history", lambda: keep_look(source, look))
    metrics.push(look.numbers)
    return {**look.to_keep(), "numbers": look.numbers}


def _attempt(what: str, action: Callable[[], None]) -> None:
    """One thing that cannot be done does not keep the next from being done."""
    try:
        action()
    except Exception as error:  # noqa: BLE001
        log.error("what the watch has found was not %s: %s", what, fact_of(error))  # noqa: TRY400


def _tell(look: BackupLook) -> None:
    link = _page()
    for kind in (EMPTIED, UNUSUAL):
        _tell_findings(look, kind, link)
    facts = {name: f"table {name} of the database is in no backup" for name in look.uncovered}
    _keep_told(UNCOVERED, facts, "is in the backup, excluded, or gone", link)
    if look.since is not None:
        drift = {look.key: f"since {look.since}: {look.drift}"} if look.drift else {}
        _keep_told(DRIFT, drift, "no further change", link)


def _tell_findings(look: BackupLook, kind: str, link: str | None) -> None:
    """Raise what was found, and clear what the backup shows to be over; what could not be judged stays open."""
    if look.measures is None:
        return
    facts = {found.subject: found.reason for found in look.findings if found.kind == kind}
    if facts:
        raise_alerts(kind, facts, link=link)
    others = {subject: since for subject, since in open_subjects(kind).items() if subject not in facts}
    ended = {name: no_longer(kind, name, since, look.measures, look.weighed) for name, since in others.items()}
    if over := {subject: why for subject, why in sorted(ended.items()) if why}:
        all_clears(kind, over, link=link)


def _keep_told(kind: str, facts: Mapping[str, str], over: str, link: str | None) -> None:
    """Raise what was found, and clear what was found earlier and is not any more."""
    if facts:
        raise_alerts(kind, facts, link=link)
    if gone := {subject: f"{subject}: {over}" for subject in sorted(open_subjects(kind)) if subject not in facts}:
        all_clears(kind, gone, link=link)


def watch_age() -> Json:
    """Look how old the newest backups are; the task is red while the newest is late.

    Raises:
        BackupLate: the newest verified backup is older than it should be.
        StoreRefused, StoreUnavailable, DatabaseUnavailable, TableUnreadable: it could not be found out.
    """
    limits = settings().watch
    ages = look_at_ages(source, store(), settings(), context.now())
    all_clear("watch-failed", "collabhunts_watch", "the bucket and the history can be read")
    late, unproven = ages.lateness(limits), ages.proof_lateness(limits)
    _judge("backup-late", late, f"the newest verified backup is {ages.verified}")
    _judge("drill-late", unproven, f"the newest proven backup is {ages.proven}")
    metrics.push(_numbers(ages))
    tell_again()
    _attempt("tidied", lambda: _forget_stale(ages))
    if late:
        raise BackupLate(late, hint="see docs/runbooks/backup-late.md; this task is green again once there is one")
    return ages.to_json()


def _forget_stale(ages: Ages) -> None:
    if removed := incidents.forget_stale(store(), settings().s3.prefix, ages.now):
        log.info("forgot %d incidents that nobody has reported for long", removed)


def _judge(kind: str, fact: str | None, well: str) -> None:
    if fact:
        raise_alerts(kind, {BUCKET: fact}, link=_page())
    else:
        log.info("%s", well)
        all_clear(kind, BUCKET, well)


def _numbers(ages: Ages) -> dict[str, float]:
    """Ages in seconds; before there is a backup, since the first look: a platform without one grows late too."""
    numbers: dict[str, float | None] = {
        "BackupAgeSeconds": (ages.now - (ages.verified_at or ages.since)).total_seconds(),
        "ProvenAgeSeconds": (ages.now - (ages.proven_at or ages.since)).total_seconds(),
        "VerificationFailed": ages.invalid,
        "BackupsKept": ages.kept,
        "DrillSucceeded": ages.drill_succeeded,
        "DrillSeconds": ages.drill_seconds,
    }
    return {name: float(number) for name, number in numbers.items() if number is not None}


def _page() -> str | None:
    ti = get_current_context()["ti"]
    return page_of(ti.dag_id, ti.run_id, ti.task_id)
