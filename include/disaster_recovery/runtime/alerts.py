"""Raising the alarm, and the all-clear. Neither ever fails what has called it.

The bucket knows the open incidents, so that each is told once, whoever reports it. Where it cannot be reached the alert
is sent nevertheless, once for each machine.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from include.disaster_recovery.alerting import Alert, firing, kind_of, resolved
from include.disaster_recovery.errors import fact_of
from include.disaster_recovery.runtime import alert_marks
from include.disaster_recovery.runtime.channels import BRIEF, send
from include.disaster_recovery.runtime.connections import AWS_CONFIG, settings, store
from include.disaster_recovery.runtime.context import now
from include.disaster_recovery.runtime.limits import within
from include.disaster_recovery.s3 import incidents
from include.disaster_recovery.s3.store import Store

log = logging.getLogger(__name__)

LIMIT_SECONDS = 20.0  # for the bucket's part of it
THREADS = 8
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
        ours = _ours_to_tell(kind, facts, moment)
        _tell_new(kind, {subject: fact for subject, fact in facts.items() if ours[subject]}, link, moment)
    except Exception as error:  # noqa: BLE001 - an alert never fails what it reports
        log.error("alert %s could not be told: %s", kind, type(error).__name__)  # noqa: TRY400 - no trace, no secret


def all_clear(kind: str, subject: str, fact: str, *, link: str | None = None) -> None:
    """Say that an incident is over, if it was one; else nothing."""
    all_clears(kind, {subject: fact}, link=link)


def all_clears(kind: str, facts: Mapping[str, str], *, link: str | None = None) -> None:
    """The same of several subjects, in one message."""
    try:
        ended = _ended(kind, facts)
        over = {subject: f"{fact}{ended[subject]}" for subject, fact in facts.items() if subject in ended}
        for subject, fact in over.items():
            log.info("all clear %s (%s): %s", kind, subject, fact)
        if over and kind_of(kind).is_lasting:
            _tell(resolved(kind, _names(over), _facts(over), link=link, at=now()))
    except Exception as error:  # noqa: BLE001 - an all-clear never fails what it reports
        log.error("all clear of %s could not be told: %s", kind, type(error).__name__)  # noqa: TRY400


def tell_again() -> None:
    """Tell of incidents of which no channel took the alert: the next report of one may be a day away, or never come."""
    try:
        moment, by_kind = now(), defaultdict[str, dict[str, str]](dict)
        for each in _in_bucket(lambda bucket, prefix: incidents.claim_untold(bucket, prefix, moment)):
            by_kind[str(each.content["kind"])][each.subject] = str(each.content.get("fact", ""))
        for kind, facts in by_kind.items():
            _tell_new(kind, facts, None, moment)
    except Exception as error:  # noqa: BLE001
        log.error("what nobody was told of could not be told again: %s", fact_of(error))  # noqa: TRY400


def _tell_new(kind: str, facts: Mapping[str, str], link: str | None, moment: datetime) -> None:
    if facts and _tell(firing(kind, _names(facts), _facts(facts), link=link, at=moment)):
        _in_bucket(lambda bucket, prefix: _each(facts, lambda name: incidents.told(bucket, prefix, kind, [name])))


def open_subjects(kind: str) -> dict[str, datetime | None]:
    """What there are open incidents of this kind about, since when; none where the bucket cannot be reached."""
    try:
        found = _in_bucket(lambda bucket, prefix: incidents.open_incidents(bucket, prefix, kind))
    except Exception as error:  # noqa: BLE001
        log.warning("open incidents cannot be listed: %s", fact_of(error))
        return {}
    return {incident.subject: incident.since for incident in found}


def _ours_to_tell(kind: str, facts: Mapping[str, str], moment: datetime) -> dict[str, bool]:
    def report(bucket: Store, prefix: str) -> dict[str, bool]:
        return _each(facts, lambda name: incidents.report(bucket, prefix, kind, name, facts[name], moment))

    try:
        return _in_bucket(report)
    except Exception as error:  # noqa: BLE001 - the bucket may be what is broken
        log.warning("the incident cannot be kept in the bucket: %s", fact_of(error))
        return {name: alert_marks.is_first(kind, name) for name in facts}


def _ended(kind: str, subjects: Iterable[str]) -> dict[str, str]:
    """What can be said of each incident that is over; nothing of those that were none."""
    names = list(subjects)
    marked = dict.fromkeys([name for name in names if alert_marks.forget(kind, name)], "")
    try:
        closed = _in_bucket(
            lambda bucket, prefix: _each(names, lambda name: incidents.close(bucket, prefix, kind, name))
        )
    except Exception as error:  # noqa: BLE001
        log.warning("the incident cannot be ended in the bucket: %s", fact_of(error))
        return marked
    return {**marked, **{name: _since(found) for name, found in closed.items() if found is not None}}


def _since(found: incidents.Incident) -> str:
    return f"; it began {found.content.get('first_seen')} and was reported {found.content.get('count')} time(s)"


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


def _each(names: Iterable[str], action: Callable[[str], T]) -> dict[str, T]:
    """Side by side: a migration may change a hundred tables at once."""
    found = list(names)
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="incidents") as pool:
        return dict(zip(found, pool.map(action, found), strict=True))


def _names(facts: Mapping[str, str]) -> str:
    names = list(facts)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _facts(facts: Mapping[str, str]) -> str:
    return "; ".join(facts.values())
