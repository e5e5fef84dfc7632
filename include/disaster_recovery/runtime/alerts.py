"""Raising the alarm, and the all-clear. Neither ever fails what has called it."""

import logging

log = logging.getLogger(__name__)


def raise_alert(kind: str, subject: str, fact: str) -> None:
    """Say that something is wrong, once per incident.

    Args:
        kind: what has happened, as `verification-failed`; what it means and what to do is known of each kind.
        subject: which backup, run or table; one incident for each kind and subject.
        fact: one line with the values that matter, and no secret.
    """
    log.error("alert %s (%s): %s", kind, subject, fact)


def all_clear(kind: str, subject: str, fact: str) -> None:
    """Say that an incident is over, if it was one; else nothing."""
    log.info("no alert %s (%s): %s", kind, subject, fact)
