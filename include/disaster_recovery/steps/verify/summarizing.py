"""What came of a run, one line a backup."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from include.disaster_recovery.model import Verdict

log = logging.getLogger(__name__)

UNKNOWN = "unknown"  # the task was killed, or its reading failed


def summarize(keys: Sequence[str], verdicts: Mapping[str, Verdict], drills: Mapping[str, str | None]) -> dict[str, int]:
    """Log every backup's verdict; returns how many there are of each.

    Args:
        drills: the state of each backup's drill, as Airflow says it.
    """
    for key in keys:
        level = logging.INFO if key in verdicts and verdicts[key].valid else logging.ERROR
        log.log(level, "%s: %s%s", key, _line(verdicts.get(key)), _drill(drills.get(key)))
    counts = Counter(verdicts[key].state if key in verdicts else UNKNOWN for key in keys)
    log.info("verified %d backup(s): %s", len(keys), ", ".join(f"{count} {state}" for state, count in counts.items()))
    return dict(counts)


def _line(verdict: Verdict | None) -> str:
    if verdict is None:
        return f"{UNKNOWN}, it was not read to a verdict: see the log of its task"
    if not verdict.valid:
        return f"{verdict.state} ({verdict.depth}), {verdict.findings[0]}"
    return f"valid ({verdict.depth}), {verdict.size} bytes, {verdict.rows} rows in {verdict.tables} tables"


def _drill(state: str | None) -> str:
    return f"; drill: {state}" if state not in (None, "skipped") else ""
