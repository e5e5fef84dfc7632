"""Raising the alarm, and the all-clear. Neither ever fails what has called it.

The bucket knows the open incidents, so that each is told once, whoever reports it. Where it cannot be reached the alert
is sent nevertheless, once for each machine.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from include.disaster_recovery.alerting import Alert, firing, kind_of, resolved
from include.disaster_recovery.errors import DisasterRecoveryError
from include.disaster_recovery.runtime import alert_marks
from include.disaster_recovery.runtime.channels import BRIEF, send
from include.disaster_recovery.runtime.connections import AWS_CONFIG, settings, store
from include.disaster_recovery.runtime.context import now
from include.disaster_recovery.runtime.limits import within
from include.disaster_recovery.s3 import incidents
from include.disaster_recovery.s3.store import Store

log = logging.getLogger(__name__)

LIMIT_SECONDS = 20.0  # for the bucket's part of it
NAMED = 3  # subjects that a headline of several names
T = TypeVar("T")


def raise_alert(kind: str, subject: str, fact: str, *, link: str | None = None) -> None:
    """Say that something is wrong, once per incident.

    Args:
        kind: what has happened, as `verification-failed`; what it means and what to do is known of each kind.
        subject: which backup, run or table; one incident for each kind and subject.
        fact: one line with the values that matter, and no secret.
        link: the page in Airflow.
    """
    raise_alerts(kind, {subject: fact}, link=link)


def raise_alerts(kind: str, facts: Mapping[str, str], *, link: str | None = None) -> None:
    """The same of several subjects, each an incident of its own: what is new among them is told in one message."""
    try:
        for subject, fact in facts.items():
            log.error("alert %s (%s): %s", kind, subject, fact)
        moment = now()
        new = {subject: fact for subject, fact in facts.items() if _is_ours_to_tell(kind, subject, fact, moment)}
        if new and _tell(firing(kind, _names(new), _facts(new), link=link, at=moment)):
            _in_bucket(lambda bucket, prefix: incidents.told(bucket, prefix, kind, new))
    except Exception as error:  # noqa: BLE001 - an alert never fails what it reports
        log.error("alert %s could not be told: %s", kind, type(error).__name__)  # noqa: TRY400 - no trace, no secret


def all_clear(kind: str, subject: str, fact: str, *, link: str | None = None) -> None:
    """Say that an incident is over, if it was one; else nothing."""
    all_clears(kind, {subject: fact}, link=link)


def all_clears(kind: str, facts: Mapping[str, str], *, link: str | None = None) -> None:
    """The same of several subjects, in one message."""
    try:
        over = {subject: f"{fact}{since}" for subject, fact in facts.items() for since in _ended(kind, subject)}
        for subject, fact in over.items():
            log.info("all clear %s (%s): %s", kind, subject, fact)
        if over and kind_of(kind).is_lasting:
            _tell(resolved(kind, _names(over), _facts(over), link=link, at=now()))
    except Exception as error:  # noqa: BLE001 - an all-clear never fails what it reports
        log.error("all clear of %s could not be told: %s", kind, type(error).__name__)  # noqa: TRY400


def open_subjects(kind: str) -> list[str]:
    """What there are open incidents of this kind about; none where the bucket cannot be reached."""
    try:
        found = _in_bucket(lambda bucket, prefix: incidents.open_incidents(bucket, prefix, kind))
    except Exception as error:  # noqa: BLE001
        log.warning("open incidents cannot be listed: %s", _named(error))
        return []
    return [incident.subject for incident in found]


def _is_ours_to_tell(kind: str, subject: str, fact: str, moment: datetime) -> bool:
    try:
        return _in_bucket(lambda bucket, prefix: incidents.report(bucket, prefix, kind, subject, fact, moment))
    except Exception as error:  # noqa: BLE001 - the bucket may be what is broken
        log.warning("the incident cannot be kept in the bucket: %s", _named(error))
        return alert_marks.is_first(kind, subject)


def _ended(kind: str, subject: str) -> list[str]:
    """What can be said of an incident that is over, in a list; an empty one where there was none."""
    was_marked = alert_marks.forget(kind, subject)
    try:
        found = _in_bucket(lambda bucket, prefix: incidents.close(bucket, prefix, kind, subject))
    except Exception as error:  # noqa: BLE001
        log.warning("the incident cannot be ended in the bucket: %s", _named(error))
        found = None
    if found is None:
        return [""] if was_marked else []
    return [f"; it began {found.content.get('first_seen')} and was reported {found.content.get('count')} time(s)"]


def _tell(alert: Alert) -> bool:
    """Whether it need not be told again: somebody was told, or nobody is to be."""
    answers = send(alert, settings().alerts)
    log.info("%s: told by %s", alert.headline, ", ".join(name for name, took in answers.items() if took) or "log only")
    return not answers or any(answers.values())


def _in_bucket(action: Callable[[Store, str], T]) -> T:
    """Do something in the bucket, within the time for it."""
    found: list[T] = []

    def act() -> None:
        found.append(action(store(AWS_CONFIG.merge(BRIEF)), settings().s3.prefix))

    error = within(LIMIT_SECONDS, {"bucket": act})["bucket"]
    if error is not None:
        raise error
    return found[0]


def _named(error: BaseException) -> str:
    return error.fact if isinstance(error, DisasterRecoveryError) else type(error).__name__


def _names(facts: Mapping[str, str]) -> str:
    names = list(facts)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _facts(facts: Mapping[str, str]) -> str:
    return "; ".join(facts.values())
