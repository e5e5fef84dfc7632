"""What was read of bucket and history at one moment, joined; everything above the sources works on this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.dashboard.model import BackupEntry, Problem, RuleFill


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry of the table, and what else is known of it.

    Attributes:
        key: of its object; None where the bucket has none, or could not be asked.
        has_row: the history knows it, under the entry's id.
        is_ours: this package took it, not another program.
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
    def is_good(self) -> bool:
        """Whether it could be restored as far as is known: verified, and not gone."""
        entry = self.entry
        return entry.verification == "valid" and entry.in_bucket is not False and entry.status != "expired"


@dataclass(frozen=True, kw_only=True)
class View:
    """The lines, newest first. `records` None: the bucket could not be read."""

    lines: Sequence[Line]
    records: Sequence[BackupRecord] | None
    has_history: bool
    retention: Sequence[RuleFill]
    problems: Sequence[Problem]
    read_at: datetime

    @cached_property
    def entries(self) -> Sequence[BackupEntry]:
        """The entries of all lines."""
        return [line.entry for line in self.lines]

    @property
    def has_bucket(self) -> bool:
        """Whether the bucket could be read."""
        return self.records is not None

    @cached_property
    def by_id(self) -> Mapping[str, Line]:
        """The lines by the ids of their entries."""
        return {line.entry.id: line for line in self.lines}
