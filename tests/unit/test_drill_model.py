from datetime import datetime, timedelta, timezone

import pytest

from include.disaster_recovery import errors
from include.disaster_recovery.document import Manifest
from include.disaster_recovery.drill_model import (
    DrillServer,
    Failure,
    OpenedDrill,
    Phase,
    compare_document,
    excuse,
    merged,
    report,
)
from include.disaster_recovery.errors import DisasterRecoveryError
from include.disaster_recovery.recovery_proof import failed, next_of, passed, skipped
from include.disaster_recovery.verification import Known

T0 = datetime(2026, 11, 23, 6, 0, tzinfo=timezone.utc)
OPENED = OpenedDrill(
    run_id="r", key="backups/b.json", size=5000, database="collabhunts_drill_x", target="h:1/x", started_at=T0
)
LIKE_THE_SOURCE = DrillServer()


def phase(name: str, start: float, end: float, size: int | None = None) -> Phase:
    at = [T0 + timedelta(seconds=seconds) for seconds in (start, end)]
    return Phase(name=name, started_at=at[0], ended_at=at[1], bytes=size)


def failure(kind: str, fact: str = "it failed") -> Failure:
    return Failure(phase="load", kind=kind, fact=fact, hint="look")


def test_a_phase_lasts_from_its_first_start_to_its_last_end():
    found = merged([phase("load", 3, 5, 10), phase("plan", 0, 2), phase("load", 2, 4, 30), phase("load", 2.5, 7, 2)])
    assert [(each.name, each.seconds, each.bytes) for each in found] == [("plan", 2.0, None), ("load", 5.0, 42)]


def test_the_time_to_recover_is_from_the_first_to_the_last_moment_pauses_included():
    verdict = report(OPENED, [phase("plan", 1, 2), phase("compare", 30, 42.5, 99)], [passed("rows", "all")], None)
    assert (verdict.state, verdict.seconds, verdict.bytes) == ("proven", 42.5, 5000)
    assert verdict.in_history("backups/drills/x.json") == {
        "state": "proven",
        "at": "2026-11-23T06:00:42.500000+00:00",
        "seconds": 42.5,
        "phases": {"plan": 1.0, "compare": 12.5},
        "bytes": {"compare": 99},
        "report": "backups/drills/x.json",
        "failed": [],
    }


def test_one_failed_check_is_enough_and_a_skipped_one_is_none():
    checks = [passed("rows", "all"), skipped("extensions", "managed by Supabase")]
    assert report(OPENED, [], checks, None).state == "proven"
    verdict = report(OPENED, [], [*checks, failed("policies", "missing: readers")], None)
    assert (verdict.state, verdict.in_history(None)["failed"]) == ("failed", ["policies"])


def test_a_drill_that_ended_early_has_its_failure_among_the_checks():
    verdict = report(OPENED, [phase("load", 0, 3)], [], failure("DocumentError", "table t is damaged"))
    assert verdict.state == "failed"
    assert [(each.subject, each.detail) for each in verdict.failures] == [("load of the backup", "table t is damaged")]
    assert verdict.seconds == 3.0


BLAMED = {"DocumentError", "StagingDiffers", "RebuildFailed", "RestoreFailed"}
KINDS = [
    each.__name__
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, DisasterRecoveryError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_whom_each_kind_of_error_blames(kind):
    """Every class of the tree is decided; a new one says nothing of the backup until somebody adds it."""
    assert (excuse(failure(kind), LIKE_THE_SOURCE) is None) == (kind in BLAMED)


@pytest.mark.parametrize(
    "kind, server, says",
    [
        ("RebuildFailed", DrillServer(missing_extensions=("vector",)), "lacks extensions of the backup: vector"),
        ("RestoreFailed", DrillServer(is_older=True), "older than the backup's"),
        ("RebuildFailed", None, "could not be asked"),
    ],
)
def test_a_server_that_lacks_something_may_be_to_blame_for_what_it_refuses(kind, server, says):
    assert says in str(excuse(failure(kind), server))


@pytest.mark.parametrize("kind", ["DocumentError", "StagingDiffers"])
@pytest.mark.parametrize("server", [None, DrillServer(missing_extensions=("vector",), is_older=True)])
def test_damaged_bytes_are_damaged_on_any_server(kind, server):
    assert excuse(failure(kind), server) is None


@pytest.mark.parametrize(
    "fact",
    [
        "CREATE TABLE x: permission denied for schema public",
        "ALTER TABLE x: must be owner of table x",
        "the load: cannot execute INSERT in a read-only transaction",
    ],
)
def test_a_missing_right_is_the_roles(fact):
    assert excuse(failure("RestoreFailed", fact), LIKE_THE_SOURCE) == "the drill's role lacks a right"


def manifest(**rows: int) -> Manifest:
    tables = {name: {"row_count": count, "fragments": []} for name, count in rows.items()}
    return Manifest.model_construct(tables={name: _Table(**each) for name, each in tables.items()})


class _Table:
    def __init__(self, row_count: int, fragments: list[object]) -> None:
        self.row_count, self.fragments = row_count, fragments


def test_a_document_as_on_record():
    records = [
        Known(where="the document's metadata", row_counts={"a": 1, "b": 2}),
        Known(where="the object's metadata", manifest_sha256="ff"),
        Known(where="backup_history", manifest_sha256="ff", row_counts={"a": 1, "b": 2}),
        Known(where="nowhere"),
    ]
    checks = compare_document(manifest(a=1, b=2), "ff", records)
    assert {check.outcome for check in checks} == {"passed"}
    assert [check.subject for check in checks] == [
        "tables in the document's metadata",
        "tables in backup_history",
        "origin of the document",
    ]


def test_a_document_that_is_another_one_than_on_record():
    records = [
        Known(where="the document's metadata", row_counts={"a": 1, "gone": 2}),
        Known(where="backup_history", manifest_sha256="ff", row_counts={"a": 5}),
    ]
    checks = {check.subject: check.detail for check in compare_document(manifest(a=1, new=3), "ee", records)}
    assert checks["table gone"] == "the document's metadata has it with 2 rows, the manifest does not"
    assert "has None rows, the manifest 3" in checks["rows of new in the document"]
    assert "backup_history has another SHA-256" in checks["origin of the document"]
    assert compare_document(manifest(a=1), "ee", []) == []


@pytest.mark.parametrize("last, increment, expected", [(None, 1, 100), (7, 1, 8), (7, -1, 6), (7, 10, 17)])
def test_what_a_remembered_sequence_gives_next(last, increment, expected):
    assert next_of({"last_value": last, "start": 100, "increment": increment}) == expected
