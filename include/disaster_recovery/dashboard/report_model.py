"""Reports of restores and drills, as the JSON endpoints of Backup History answer with them."""

from typing import Literal

from pydantic import AwareDatetime

from include.disaster_recovery.drill_model import DrillReport
from include.disaster_recovery.model import Value
from include.disaster_recovery.restore_model import RestoreReport

ReportKind = Literal["restore", "drill"]


class ReportEntry(Value):
    """A restore or a drill that has left a report; `name` is that of the report below its folder."""

    kind: ReportKind
    name: str
    at: AwareDatetime
    backup: str
    state: Literal["passed", "failed", "unreadable"]
    seconds: float | None
    target: str | None
    passed: int
    failed: int
    skipped: int
    run_id: str | None


class Report(Value):
    """A report in full."""

    entry: ReportEntry
    restore: RestoreReport | None = None
    drill: DrillReport | None = None
