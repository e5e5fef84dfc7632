"""What the last task of a verification logs."""

import logging
from datetime import datetime, timezone

import pytest

from include.disaster_recovery.model import State, Verdict
from include.disaster_recovery.steps.verify.summarizing import summarize

KEYS = [f"backups/{name}" for name in "abcd"]


def verdict(state: State, *findings: str) -> Verdict:
    return Verdict(
        valid=state == "valid",
        state=state,
        depth="full",
        checked_at=datetime(2026, 3, 1, tzinfo=timezone.utc),
        size=10,
        tables=2,
        rows=3,
        fragments=2,
        checksum=None,
        findings=list(findings),
        warnings=[],
    )


def test_every_backup_has_its_line(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    verdicts = {
        KEYS[0]: verdict("valid"),
        KEYS[1]: verdict("invalid", "table a, fragment 1 of 1: SHA-256 differs", "and more"),
        KEYS[2]: verdict("missing", "the bucket has no such object"),
    }
    drills = {KEYS[0]: "success", KEYS[1]: "upstream_failed", KEYS[2]: None, KEYS[3]: "skipped"}
    assert summarize(KEYS, verdicts, drills) == {"valid": 1, "invalid": 1, "missing": 1, "unknown": 1}
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "backups/a: valid (full), 10 bytes, 3 rows in 2 tables; drill: success"),
        (
            "ERROR",
            "backups/b: invalid (full), table a, fragment 1 of 1: SHA-256 differs; drill: upstream_failed",
        ),
        ("ERROR", "backups/c: missing (full), the bucket has no such object"),
        ("ERROR", "backups/d: unknown, it was not read to a verdict: see the log of its task"),
        ("INFO", "verified 4 backup(s): 1 valid, 1 invalid, 1 missing, 1 unknown"),
    ]
