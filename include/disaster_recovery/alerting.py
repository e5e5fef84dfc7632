"""What a human is told when something is wrong: the kinds of trouble, and an alert as mail, text and JSON. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from typing import Any, Literal

from include.disaster_recovery.model import Value
from include.disaster_recovery.plain_text import one_line

Severity = Literal["critical", "warning"]
State = Literal["firing", "resolved"]

PRODUCT = "CollabHunts backup"
LONGEST_SUBJECT, LONGEST_FACT = 200, 4000  # characters; a mail's subject, and what a phone still shows as one message
RUNBOOKS = "docs/runbooks/"
ALERTS_PAGE = "docs/alerts.md"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of every alert of a kind.

    `is_lasting`: it describes a state that ends, and its end is told; else it is news, told once.
    """

    title: str
    meaning: str
    action: str
    runbook: str
    severity: Severity = "critical"
    is_lasting: bool = True


KINDS: Mapping[str, Kind] = {
    "backup-failed": Kind(
        title="a backup failed",
        meaning="there is no backup of this run; earlier ones are untouched",
        action="open the red task's log, do what its hint says, trigger collabhunts_backup again",
        runbook=f"{RUNBOOKS}backup-failed.md",
    ),
    "backup-late": Kind(
        title="the backup is late",
        meaning="what has changed since the newest verified backup would be lost",
        action="see whether collabhunts_backup is paused, waiting or running; trigger it if it is not",
        runbook=f"{RUNBOOKS}backup-late.md",
    ),
    "backup-unusual": Kind(
        title="a backup is unusual",
        meaning="the backup is complete and verified, but unlike those before it: data may be gone, or much has come",
        action="ask whoever changed the data; if nobody did, pin an older backup before retention takes it",
        runbook=ALERTS_PAGE,
        severity="warning",
    ),
    "table-emptied": Kind(
        title="a table is empty that was not",
        meaning="the backup is complete, but the platform's table has lost all its rows",
        action="if nobody emptied it on purpose, pin the backup before this one and restore the table from it",
        runbook=ALERTS_PAGE,
    ),
    "tables-uncovered": Kind(
        title="a table is in no backup",
        meaning="its rows would be lost with the database",
        action="add it to tables.include in the settings, or to tables.exclude knowingly",
        runbook=ALERTS_PAGE,
        severity="warning",
    ),
    "schema-drift": Kind(
        title="the schema has changed",
        meaning="the newest backup has another schema than the one before it; both restore their own",
        action="nothing, if it was a planned migration; else find out who changed it",
        runbook=ALERTS_PAGE,
        severity="warning",
        is_lasting=False,
    ),
    "verification-failed": Kind(
        title="a backup is damaged, or could not be verified",
        meaning="do not count on this backup: its bytes may not be what was written",
        action="see what was found; trigger a new backup now, and verify it",
        runbook=f"{RUNBOOKS}verification-failed.md",
    ),
    "drill-failed": Kind(
        title="a rehearsed restore failed",
        meaning="the newest backup is not proven to give the platform back",
        action="read the drill's verdict: it names the phase and the difference",
        runbook=f"{RUNBOOKS}drill-failed.md",
    ),
    "drill-late": Kind(
        title="no recent backup is proven",
        meaning="it is long since a backup was last restored by way of trial",
        action="see whether collabhunts_drill is paused or failing; trigger it",
        runbook=f"{RUNBOOKS}drill-failed.md",
        severity="warning",
    ),
    "restore-failed": Kind(
        title="a restore failed",
        meaning="unless the log says that the commit went through, the target is as it was",
        action="open the red task's log and do what its hint says; the same restore may be triggered again",
        runbook=f"{RUNBOOKS}restore.md",
    ),
    "retention-failed": Kind(
        title="expired backups could not be removed",
        meaning="nothing is lost; the bucket grows",
        action="open the red task's log and do what its hint says; the next run finishes what was begun",
        runbook="docs/retention.md",
        severity="warning",
    ),
    "watch-failed": Kind(
        title="nobody is watching the backups",
        meaning="whether backups are late could not be found out",
        action="open the red task's log: the bucket or the database cannot be reached",
        runbook=f"{RUNBOOKS}backup-late.md",
    ),
}
_UNKNOWN = Kind(
    title="something is wrong",
    meaning="this kind of alert is not described",
    action="see the log of the task in Airflow",
    runbook=ALERTS_PAGE,
)


class Alert(Value):
    """One message: an incident has begun, or (`resolved`) is over."""

    kind: str
    subject: str
    state: State
    severity: Severity
    title: str
    fact: str
    meaning: str
    action: str
    runbook: str
    link: str | None
    at: datetime

    @property
    def headline(self) -> str:
        """One line: the subject of a mail, the first line of a message."""
        what = f"{self.title}: {self.subject}"
        if self.state == "resolved":
            return one_line(f"[{PRODUCT}] all clear: no longer: {what}")[:LONGEST_SUBJECT]
        return one_line(f"[{PRODUCT}] {self.severity}: {what}")[:LONGEST_SUBJECT]


def kind_of(name: str) -> Kind:
    """What is known of a kind; of an unknown one as much as can be said."""
    return KINDS.get(name, _UNKNOWN)


def firing(kind: str, subject: str, fact: str, *, link: str | None, at: datetime) -> Alert:
    """The alert that an incident has begun."""
    known = kind_of(kind)
    return _alert(kind, subject, fact, "firing", known.meaning, known.action, link, at)


def resolved(kind: str, subject: str, fact: str, *, link: str | None, at: datetime) -> Alert:
    """The all-clear."""
    return _alert(kind, subject, fact, "resolved", "the incident is over", "nothing needs to be done", link, at)


def _alert(
    kind: str, subject: str, fact: str, state: State, meaning: str, action: str, link: str | None, at: datetime
) -> Alert:
    known = kind_of(kind)
    return Alert(
        kind=kind,
        subject=one_line(subject),
        state=state,
        severity=known.severity,
        title=known.title,
        fact=one_line(fact)[:LONGEST_FACT],
        meaning=meaning,
        action=action,
        runbook=known.runbook,
        link=link,
        at=at.astimezone(timezone.utc),
    )


def _fields(alert: Alert) -> list[tuple[str, str]]:
    return [
        ("What happened", alert.fact),
        ("What it means", alert.meaning),
        ("What to do", alert.action),
        ("Where", alert.link or "Airflow"),
        ("Runbook", alert.runbook),
        ("When", alert.at.strftime("%Y-%m-%d %H:%M:%S UTC")),
    ]


def plain_text(alert: Alert) -> str:
    """As text: for SNS, Slack and the log."""
    return "\n".join([alert.headline, "", *(f"{name}: {value}" for name, value in _fields(alert))])


def html(alert: Alert) -> str:
    """As HTML: for mail. Everything is escaped; only a link to http(s) becomes one."""
    lines = "".join(f"<tr><th align='left'>{name}</th><td>{_html(value)}</td></tr>" for name, value in _fields(alert))
    return f"<h3>{escape(alert.headline)}</h3><table cellpadding='4'>{lines}</table>"


def _html(value: str) -> str:
    text = escape(value)
    return f'<a href="{text}">{text}</a>' if value.startswith(("https://", "http://")) else text


def payload(alert: Alert) -> dict[str, Any]:
    """As a JSON object: for webhooks. `text` is what chat programs show."""
    return {**alert.to_json(), "headline": alert.headline, "text": plain_text(alert)}
