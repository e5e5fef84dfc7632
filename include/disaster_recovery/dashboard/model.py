"""What the JSON endpoints of Backup History answer with. Moments are UTC, sizes bytes, durations seconds."""

from datetime import date, datetime
from typing import Literal

from include.disaster_recovery.model import BackupType, Value

Level = Literal["good", "warning", "bad"]
Status = Literal["in_progress", "success", "failed", "expired"]
Verified = Literal["valid", "invalid", "missing", "unverified"]
Drilled = Literal["proven", "failed", "none"]
DayState = Literal["proven", "verified", "unverified", "failed", "none"]
Action = Literal["backup", "verify", "drill", "restore", "download", "pin"]
SortKey = Literal["created_at", "size", "rows", "seconds", "status"]


class BackupEntry(Value):
    """One line of the table. `id` is the history row's, or the file name of a backup that only the bucket knows.

    `in_bucket` None: the bucket could not be asked. `retention` are the reasons for which it is kept, or expires.
    """

    id: str
    file_name: str | None
    status: Status
    backup_type: BackupType | None
    created_at: datetime
    tables: int | None
    rows: int | None
    size: int | None
    seconds: float | None
    verification: Verified
    verified_at: datetime | None
    verification_depth: Literal["quick", "full"] | None
    finding: str | None
    drill: Drilled
    drilled_at: datetime | None
    drill_seconds: float | None
    retention: list[str]
    is_expiring: bool
    pinned: str | None
    in_use: bool
    in_bucket: bool | None
    error: str | None
    unusual: list[str]
    warnings: int
    run_id: str | None


class Problem(Value):
    """A source of the page that could not be read: a fact and what to do."""

    source: Literal["bucket", "history", "airflow"]
    fact: str
    hint: str


class BackupPage(Value):
    """A page of the table; `total` counts what the filter and the search leave."""

    total: int
    offset: int
    entries: list[BackupEntry]
    problems: list[Problem]
    read_at: datetime


class Answer(Value):
    """The top line: can the platform be brought back, to when, and how long would it take.

    `sentence` and `next_action` are plain text in UTC; the moments beside it are for a page that shows local time.
    """

    level: Level
    sentence: str
    next_action: str | None
    recoverable_to: datetime | None
    proven_at: datetime | None
    restore_seconds: float | None


class SuccessRate(Value):
    """Backups that ended in the last days, and how many of them were successful, expired ones included.

    Those of this package only. None have ended where the history cannot be read.
    """

    days: int
    succeeded: int
    ended: int


class RuleFill(Value):
    """How full a retention rule is: daily 7 of 7."""

    rule: Literal["last", "daily", "weekly", "monthly"]
    kept: int
    wanted: int


class Tiles(Value):
    """The numbers below the top line; None where they are not known. `size_change`: of the storage over 30 days."""

    backups: int
    success_rates: list[SuccessRate]
    storage: int | None
    storage_30_days_ago: int | None
    last_seconds: float | None
    next_run: datetime | None
    is_paused: bool | None
    drill: Drilled
    drilled_at: datetime | None
    drill_seconds: float | None
    retention: list[RuleFill]
    pinned: int


class Point(Value):
    """A successful backup in the charts."""

    id: str
    at: datetime
    size: int | None
    rows: int | None
    seconds: float | None
    unusual: list[str]


class DrillPoint(Value):
    """A drill in the chart of durations; seconds by phase."""

    id: str
    at: datetime
    phases: dict[str, float]


class Day(Value):
    """A day of the calendar, UTC. The best that is true of any backup of the day; `ids` newest first."""

    day: date
    state: DayState
    ids: list[str]


class RunningRun(Value):
    """A run of one of our DAGs that is queued, at work or waiting for an answer."""

    dag_id: str
    run_id: str
    state: str
    started_at: datetime | None


class Overview(Value):
    """Everything above the table."""

    answer: Answer
    tiles: Tiles
    points: list[Point]
    drills: list[DrillPoint]
    calendar: list[Day]
    running: list[RunningRun]
    problems: list[Problem]
    read_at: datetime


class DagFacts(Value):
    """What Airflow knows of the backup's DAG, and of the runs that are not over."""

    is_paused: bool | None = None
    next_run: datetime | None = None
    running: tuple[RunningRun, ...] = ()
    problem: Problem | None = None


class TableLine(Value):
    """A table of a backup, beside the same of an earlier one; None where one of them has no such table."""

    name: str
    rows: int | None
    bytes: int | None
    rows_before: int | None
    bytes_before: int | None


class SchemaDiff(Value):
    """What the schema section of a backup says otherwise than that of an earlier one: `columns tip of bookings`."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class EdgeFunction(Value):
    """An edge function as the document describes it."""

    name: str
    description: str | None
    verify_jwt: bool | None


class BackupDetail(Value):
    """One backup. `before` is the id of the backup that it is compared with; `notes` say what could not be read.

    `error` is the whole one, which the entry may have the beginning of.
    """

    entry: BackupEntry
    error: str | None
    key: str | None
    s3_url: str | None
    version: str | None
    server_version: str | None
    snapshot: str | None
    checksum: str | None
    manifest_sha256: str | None
    fragments: int | None
    compression: str | None
    before: str | None
    tables: list[TableLine]
    schema_counts: dict[str, int]
    schema_diff: SchemaDiff | None
    edge_functions: list[EdgeFunction]
    warnings: list[str]
    findings: list[str]
    drill_phases: dict[str, float]
    drill_failures: list[str]
    drill_report: str | None
    triggered_by: str | None
    notes: list[str]


class Comparison(Value):
    """Two backups side by side."""

    before: BackupEntry
    after: BackupEntry
    tables: list[TableLine]
    schema_diff: SchemaDiff | None
    notes: list[str]


class Me(Value):
    """Who is looking, and what they may do."""

    name: str
    may: dict[Action, bool]


class StartedRun(Value):
    """A run that was triggered. `is_paused`: its DAG is paused, so it waits until somebody unpauses that."""

    dag_id: str
    run_id: str
    is_paused: bool


class TaskState(Value):
    """A task of a run that is followed."""

    task_id: str
    label: str
    state: str | None


class RunStatus(Value):
    """How far a run is."""

    dag_id: str
    run_id: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    tasks: list[TaskState]


class Download(Value):
    """A presigned URL of the document: a credential, for whoever asked only."""

    url: str
    file_name: str
    size: int
    expires_at: datetime


class Summary(Value):
    """For outside monitors. Ages are of the moment a backup was opened, in seconds; None where there is none."""

    level: Level
    sentence: str
    newest_verified_at: datetime | None
    newest_verified_age_seconds: float | None
    newest_proven_at: datetime | None
    newest_proven_age_seconds: float | None
    restore_seconds: float | None
    backups: int
    storage_bytes: int | None
    problems: list[Problem]
