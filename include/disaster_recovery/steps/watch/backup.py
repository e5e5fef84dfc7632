"""A look at a backup that has just been recorded: is it like those before it, and the schema as it was?"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.disaster_recovery.anomalies import Finding, Measures, find_unusual, measures_of, weighed
from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.errors import DisasterRecoveryError
from include.disaster_recovery.history.rows import HistoryRow, annotate, read_rows
from include.disaster_recovery.model import Value
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3.documents import read_manifest, read_section
from include.disaster_recovery.s3.records import backup_sizes
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.schema_drift import Drift, find_drift
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)

Connect = Callable[[], Connection]
# Of n days of one kind, weekends being two of seven; manual backups come on top.
ROWS_FOR_EACH = 6


class BackupLook(Value):
    """What was found. `since` is the backup that the schema was held against; `drift` is None where there was none.

    `measures` and `weighed` are what open incidents are judged by.
    """

    key: str
    findings: list[Finding]
    judged: bool
    uncovered: list[str]
    drift: Drift | None
    since: str | None
    numbers: dict[str, float]
    measures: Measures | None
    weighed: list[str]

    def to_keep(self) -> dict[str, Any]:
        """As JSON, without what the history says elsewhere."""
        content = self.model_dump(mode="json", exclude={"measures", "weighed", "numbers"})
        return {**content, "drift": str(self.drift) if self.drift else None}


def look_at_backup(
    connect: Connect, store: Store, settings: Settings, key: str, uncovered: Sequence[str]
) -> BackupLook:
    """Hold the newest backup against those before it. What cannot be found out is left out, with a warning."""
    newest, earlier = _history(connect, settings, key)
    findings = find_unusual(newest, earlier, settings.anomalies) if newest else []
    for finding in findings:
        log.warning("unusual: %s", finding.reason)
    since, drift = _drift(store, settings, key)
    return BackupLook(
        key=key,
        findings=findings,
        judged=newest is not None,
        uncovered=list(uncovered),
        drift=drift,
        since=since,
        numbers=_numbers(newest),
        measures=newest,
        weighed=weighed(newest, earlier, settings.anomalies) if newest else [],
    )


def keep_look(connect: Connect, look: BackupLook) -> None:
    """Write what was found into the backup's history row.

    Raises:
        DatabaseUnavailable, TableUnreadable: it cannot be written.
    """
    with connect() as connection:
        annotate(connection, file_name(look.key), {"watch": look.to_keep()})


def _history(connect: Connect, settings: Settings, key: str) -> tuple[Measures | None, list[Measures]]:
    """The backup in numbers, and those before it, newest first."""
    name, most = file_name(key), settings.anomalies.backups * ROWS_FOR_EACH
    try:
        with connect() as connection:
            own = read_rows(connection, status="success", file_name=name, most=1)
            rows = read_rows(connection, status="success", most=most)
    except DisasterRecoveryError as error:
        log.warning("the backup is held against no history: %s", error.fact)
        return None, []
    newest = _measures(own[0]) if own else None
    if newest is None:
        log.warning("the backup is held against no history: it has no row of this package there")
        return None, []
    before = [_measures(row) for row in rows if row.file_name != name]
    return newest, [each for each in before if each is not None and each.at < newest.at]


def _measures(row: HistoryRow) -> Measures | None:
    return measures_of(row.components, size=row.file_size, milliseconds=row.execution_time_ms, at=row.created_at)


def _numbers(newest: Measures | None) -> dict[str, float]:
    if newest is None:
        return {}
    numbers = {"BackupBytes": newest.size, "BackupRows": newest.rows, "BackupSeconds": newest.seconds}
    return {name: float(number) for name, number in numbers.items() if number is not None}


def _drift(store: Store, settings: Settings, key: str) -> tuple[str | None, Drift | None]:
    """The backup before this one, and what has changed in the schema since."""
    before = None
    try:
        sizes = backup_sizes(store, settings.s3.prefix)
        before = max((each for each in sizes if each < key), default=None)
        if before is None or key not in sizes:
            return before, None
        old, new = (_schema(store, each, sizes[each]) for each in (before, key))
        drift = find_drift(old, new, list(new.get("schemas", {})))
    except DisasterRecoveryError as error:
        log.warning("the schema is not held against that of %s: %s", before, error.fact)
        return before, None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("the schema is not held against that of %s: it is malformed, %s", before, type(error).__name__)
        return before, None
    if not drift:
        log.info("the schema is that of %s", before)
        return before, None
    log.warning("the schema has changed since %s: %s", before, drift)
    return before, drift


def _schema(store: Store, key: str, size: int) -> Mapping[str, Any]:
    manifest, _ = read_manifest(store, key, size)
    return read_section(store, key, manifest, "schema")
