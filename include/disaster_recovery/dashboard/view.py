"""What was read of bucket and history at one moment, joined; everything above the sources works on this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice

from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.dashboard.model import BackupEntry, DrillPoint, Point, Problem, RuleFill
from include.disaster_recovery.history.listing import ListedRow

MOST_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry of the table, and what else is known of it.

    Attributes:
        key: of its object; None where the bucket has none, or could not be asked.
        has_row: the history knows it, under the entry's id.
        is_ours: this package took it, as far as is known: its row says so, or its document was found valid.
        expired_at: when retention let go of it.
        phases: of its last drill, in seconds.
        searched: what a search goes through, in lower case.
    """

    entry: BackupEntry
    key: str | None
    has_row: bool
    is_ours: bool
    expired_at: datetime | None
    phases: Mapping[str, float]
    searched: str

    @property
    def is_foreign(self) -> bool:
        """Whether another program took it, as the old edge function: what it lacks is no alarm."""
        return self.has_row and not self.is_ours

    @property
    def is_good(self) -> bool:
        """Whether it could be restored as far as is known: verified, and not gone."""
        entry = self.entry
        return entry.verification == "valid" and entry.in_bucket is not False and entry.status != "expired"


@dataclass(frozen=True, kw_only=True)
class View:
    """The lines, newest first, and what they are made of.

    Attributes:
        records: of the bucket, with what the history knows; None where it could not be read.
        rows: of the history, newest first; None where it could not be read.
        read_at: when reading began.
    """

    lines: Sequence[Line]
    records: Sequence[BackupRecord] | None
    rows: Sequence[ListedRow] | None
    retention: Sequence[RuleFill]
    problems: Sequence[Problem]
    read_at: datetime

    @cached_property
    def entries(self) -> Sequence[BackupEntry]:
        """The entries of all lines."""
        return [line.entry for line in self.lines]

    @cached_property
    def good(self) -> Sequence[BackupEntry]:
        """The backups that could be restored, newest first."""
        return [line.entry for line in self.lines if line.is_good]

    @cached_property
    def drilled(self) -> Sequence[BackupEntry]:
        """The backups that were drilled, by their last drill, the latest first."""
        found = [(at, entry) for entry in self.entries if (at := entry.drilled_at)]
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]

    @property
    def has_bucket(self) -> bool:
        """Whether the bucket could be read."""
        return self.records is not None

    @property
    def has_history(self) -> bool:
        """Whether the history could be read."""
        return self.rows is not None

    @cached_property
    def points(self) -> Sequence[Point]:
        """The newest successful backups of ours in the charts, oldest first."""
        ours = (line.entry for line in self.lines if line.is_ours and line.entry.status in ("success", "expired"))
        return [
            Point(id=e.id, at=e.created_at, size=e.size, rows=e.rows, seconds=e.seconds, unusual=e.unusual)
            for e in reversed(list(islice(ours, MOST_POINTS)))
        ]

    @cached_property
    def drills(self) -> Sequence[DrillPoint]:
        """The newest drills in the charts, oldest first."""
        drilled = [(at, line) for line in self.lines if line.phases and (at := line.entry.drilled_at)]
        newest = sorted(drilled, key=lambda pair: pair[0])[-MOST_POINTS:]
        return [DrillPoint(id=line.entry.id, at=at, phases=dict(line.phases)) for at, line in newest]

    @cached_property
    def by_id(self) -> Mapping[str, Line]:
        """The lines by the ids of their entries."""
        return {line.entry.id: line for line in self.lines}
