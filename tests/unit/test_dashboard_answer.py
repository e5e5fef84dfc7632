"""The top line of Backup History: each state of the platform's backups, and the words for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from include.disaster_recovery.dashboard.answer import answer_of
from include.disaster_recovery.dashboard.model import DagFacts, Problem, RunningRun
from include.disaster_recovery.dashboard.wording import ago, duration, first_line, moment_text
from include.disaster_recovery.settings import WatchSettings
from tests.support.dashboard import HOUR, NOW, entry, view

MIDNIGHT = NOW - 7 * HOUR
PROVEN = {"drill": "proven", "drilled_at": NOW - 6 * HOUR, "drill_seconds": 41.2}
DRILL_FAILED = {"drill": "failed", "drilled_at": NOW - 3 * HOUR, "drill_seconds": 9.0}
FAILED = {"status": "failed", "verification": "unverified", "in_bucket": False, "error": "disk full\nhint: free space"}
BUCKET = Problem(source="bucket", fact="LIST failed", hint="check the S3 server")
HISTORY = Problem(source="history", fact="refused", hint="check host and port")
PAUSED = DagFacts(is_paused=True)
BACKUP_RUNS = DagFacts(running=(RunningRun(dag_id="collabhunts_backup", run_id="r", state="running", started_at=None),))
DRILL_RUNS = DagFacts(running=(RunningRun(dag_id="collabhunts_drill", run_id="r", state="queued", started_at=None),))

RECOVERABLE = "Recoverable to 22 Nov 00:00 UTC (7 h ago)"
TAKES = "full restore takes about 41 s"
RUNBOOKS = "docs/runbooks/"
Given = dict[str, Any]


def backup(hours: float = 7, **more: Any) -> Given:
    return {"created_at": NOW - hours * HOUR, **more}


CASES: dict[str, tuple[list[Given], Given, str, str, str | None]] = {
    "good": ([backup(**PROVEN)], {}, "good", f"{RECOVERABLE} · proven by a drill 6 h ago · {TAKES}", None),
    "an older one is proven, lately enough": (
        [backup(), backup(31, **PROVEN)],
        {},
        "good",
        f"{RECOVERABLE} · the backup of 21 Nov 00:00 UTC is proven by a drill · {TAKES}",
        None,
    ),
    "no backup": ([], {}, "bad", "Not recoverable: there is no backup in the bucket", "trigger collabhunts_backup now"),
    "no backup, the first is running": (
        [backup(0, status="in_progress", verification="unverified", in_bucket=False)],
        {"facts": BACKUP_RUNS},
        "bad",
        "Not recoverable: there is no backup in the bucket",
        "wait for the backup that is running",
    ),
    "only failures": (
        [backup(1, **FAILED)],
        {"facts": PAUSED},
        "bad",
        "Not recoverable: there is no backup in the bucket",
        f"unpause collabhunts_backup and trigger collabhunts_backup now; see {RUNBOOKS}backup-failed.md",
    ),
    "one that nobody has verified": (
        [backup(verification="unverified")],
        {},
        "bad",
        "Not recoverable: the only backup in the bucket is not verified",
        f"verify the newest backup, or trigger collabhunts_backup; see {RUNBOOKS}verification-failed.md",
    ),
    "several, none verified": (
        [backup(verification="unverified"), backup(9, verification="invalid")],
        {},
        "bad",
        "Not recoverable: of 2 backups in the bucket none is verified",
        f"verify the newest backup, or trigger collabhunts_backup; see {RUNBOOKS}verification-failed.md",
    ),
    "all damaged": (
        [backup(verification="invalid"), backup(9, verification="invalid")],
        {},
        "bad",
        "Not recoverable: all 2 backups in the bucket are damaged",
        f"trigger collabhunts_backup now, and verify it; see {RUNBOOKS}verification-failed.md",
    ),
    "gone from the bucket": (
        [backup(verification="missing", in_bucket=False)],
        {},
        "bad",
        "Not recoverable: there is no backup in the bucket",
        "trigger collabhunts_backup now",
    ),
    "bucket down": (
        [backup(in_bucket=None, **PROVEN)],
        {"has_bucket": False, "problems": [BUCKET]},
        "bad",
        (
            "Cannot tell whether the platform is recoverable: the bucket cannot be read;"
            " by the history, the newest verified backup is of 22 Nov 00:00 UTC (7 h ago)"
        ),
        "check the S3 server",
    ),
    "bucket down, nothing in the history": (
        [],
        {"has_bucket": False, "problems": [BUCKET]},
        "bad",
        (
            "Cannot tell whether the platform is recoverable: the bucket cannot be read;"
            " the history knows no verified backup"
        ),
        "check the S3 server",
    ),
    "both down": (
        [],
        {"has_bucket": False, "has_history": False, "problems": [BUCKET, HISTORY]},
        "bad",
        "Cannot tell whether the platform is recoverable: the bucket cannot be read, nor can the history",
        "check the S3 server",
    ),
    "late": (
        [backup(31, **PROVEN)],
        {},
        "bad",
        f"Recoverable only to 21 Nov 00:00 UTC (31 h ago) · no newer backup is verified, one is due every 26 h · {TAKES}",
        f"see why collabhunts_backup brought no newer one, and trigger it; see {RUNBOOKS}backup-late.md",
    ),
    "late as it is paused": (
        [backup(31, **PROVEN)],
        {"facts": PAUSED},
        "bad",
        (
            "Recoverable only to 21 Nov 00:00 UTC (31 h ago) · no newer backup is verified, one is due every 26 h"
            f" · collabhunts_backup is paused · {TAKES}"
        ),
        f"unpause collabhunts_backup and trigger it; see {RUNBOOKS}backup-late.md",
    ),
    "late, the next one runs": (
        [backup(31, **PROVEN)],
        {"facts": BACKUP_RUNS},
        "bad",
        f"Recoverable only to 21 Nov 00:00 UTC (31 h ago) · no newer backup is verified, one is due every 26 h · {TAKES}",
        f"see what the running backup is waiting for; see {RUNBOOKS}backup-late.md",
    ),
    "the attempt after it failed": (
        [backup(1, **FAILED), backup(**PROVEN)],
        {},
        "warning",
        f"{RECOVERABLE} · the last attempt failed 60 min ago: disk full · proven by a drill 6 h ago · {TAKES}".replace(
            "60 min", "1 h"
        ),
        f"open the log of the red task, and trigger collabhunts_backup again; see {RUNBOOKS}backup-failed.md",
    ),
    "an attempt before it failed": (
        [backup(**PROVEN), backup(8, **FAILED)],
        {},
        "good",
        f"{RECOVERABLE} · proven by a drill 6 h ago · {TAKES}",
        None,
    ),
    "the newer one is damaged": (
        [backup(1, verification="invalid"), backup(**PROVEN)],
        {},
        "bad",
        f"{RECOVERABLE} · the newer backup of 22 Nov 06:00 UTC is damaged · {TAKES}",
        f"trigger collabhunts_backup now, and verify it; see {RUNBOOKS}verification-failed.md",
    ),
    "the newer one is gone": (
        [backup(1, verification="missing", in_bucket=False), backup(**PROVEN)],
        {},
        "bad",
        f"{RECOVERABLE} · the newer backup of 22 Nov 06:00 UTC is gone from the bucket · {TAKES}",
        f"trigger collabhunts_backup now, and verify it; see {RUNBOOKS}verification-failed.md",
    ),
    "its drill failed": (
        [backup(**DRILL_FAILED), backup(31, **{**PROVEN, "drilled_at": NOW - 30 * HOUR})],
        {},
        "bad",
        f"{RECOVERABLE} · its drill failed 3 h ago · {TAKES}",
        f"read the report of the drill, and drill an older backup; see {RUNBOOKS}drill-failed.md",
    ),
    "no drill yet": (
        [backup()],
        {},
        "warning",
        f"{RECOVERABLE} · no backup is proven by a drill yet",
        f"trigger collabhunts_drill; see {RUNBOOKS}drill-failed.md",
    ),
    "no drill yet, one runs": (
        [backup()],
        {"facts": DRILL_RUNS},
        "warning",
        f"{RECOVERABLE} · no backup is proven by a drill yet",
        "wait for the drill that is running",
    ),
    "nothing is drilled, on purpose": (
        [backup()],
        {"limits": WatchSettings(unproven_hours=None)},
        "good",
        f"{RECOVERABLE} · not proven by a drill",
        None,
    ),
    "the last proof is old": (
        [backup(), backup(79, **PROVEN)],
        {},
        "warning",
        f"{RECOVERABLE} · the newest proven backup is of 19 Nov 00:00 UTC · {TAKES}",
        f"trigger collabhunts_drill; see {RUNBOOKS}drill-failed.md",
    ),
    "paused": (
        [backup(**PROVEN)],
        {"facts": PAUSED},
        "warning",
        f"{RECOVERABLE} · collabhunts_backup is paused · proven by a drill 6 h ago · {TAKES}",
        "unpause collabhunts_backup",
    ),
    "history down": (
        [backup(**PROVEN)],
        {"has_history": False, "problems": [HISTORY]},
        "warning",
        f"{RECOVERABLE} · the history cannot be read · proven by a drill 6 h ago · {TAKES}",
        "check host and port",
    ),
    "tags cannot be read": (
        [backup(**PROVEN)],
        {"problems": [BUCKET]},
        "warning",
        f"{RECOVERABLE} · not everything in the bucket can be read · proven by a drill 6 h ago · {TAKES}",
        "check the S3 server",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answer(name: str):
    given, more, level, sentence, action = CASES[name]
    found = answer_of(
        view([entry(**each) for each in given], **{k: v for k, v in more.items() if k not in ("facts", "limits")}),
        more.get("facts", DagFacts()),
        more.get("limits", WatchSettings()),
        NOW,
    )
    assert (found.level, found.sentence, found.next_action) == (level, sentence, action)


def test_the_moments_beside_the_sentence_are_those_in_it():
    found = answer_of(view([entry(**backup(**PROVEN))]), DagFacts(), WatchSettings(), NOW)
    assert (found.recoverable_to, found.proven_at, found.restore_seconds) == (MIDNIGHT, NOW - 6 * HOUR, 41.2)


def test_the_time_is_that_of_the_newest_drill_that_proved_something():
    drills = [{"drilled_at": NOW - 3 * HOUR, "drill_seconds": 60.0}, {"drilled_at": NOW - HOUR, "drill_seconds": 30.0}]
    entries = [entry(**backup(hours, drill="proven", **drill)) for hours, drill in zip((7, 31), drills, strict=True)]
    assert answer_of(view(entries), DagFacts(), WatchSettings(), NOW).restore_seconds == 30.0


@pytest.mark.parametrize(
    "error", ["<script>alert(1)</script>", "\u202eevil\x00\x1b[31m", "x" * 10_000, "", "\n\n  \nat last"]
)
def test_an_error_is_one_short_printable_line_of_the_sentence(error: str):
    entries = [entry(**backup(1, **{**FAILED, "error": error})), entry(**backup(**PROVEN))]
    sentence = answer_of(view(entries), DagFacts(), WatchSettings(), NOW).sentence
    assert sentence.isprintable()
    assert len(sentence) < 500


@pytest.mark.parametrize(
    "seconds, said",
    [(-3601, "in the future: check the clock"), (-3600, "just now"), (0, "just now"), (59, "just now"), (60, "1 min ago"), (3599, "59 min ago"),
     (3600, "1 h ago"), (172_799, "47 h ago"), (172_800, "2 days ago"), (10**8, "1157 days ago")],
)  # fmt: skip
def test_ago(seconds: int, said: str):
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    "seconds, said",
    [(0, "1 s"), (0.4, "1 s"), (41.2, "41 s"), (119, "119 s"), (119.6, "2 min"), (3600, "60 min"), (7200, "2 h"), (12_000, "3 h 20 min")],
)  # fmt: skip
def test_duration(seconds: float, said: str):
    assert duration(seconds) == said


def test_moment_of_another_year_says_so():
    assert moment_text(datetime(2025, 1, 2, 3, 4, tzinfo=timezone.utc), NOW) == "2 Jan 2025 03:04 UTC"
    assert first_line("") == "it left no message"
