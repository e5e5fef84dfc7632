"""`collabhunts_verify` under a real scheduler: every backup of the bucket, one of them damaged."""

from __future__ import annotations

import pytest

from include.disaster_recovery.s3.tags import read_tags
from tests.e2e.conftest import DRILL_DAG, VERIFY_DAG, Platform
from tests.support.golden import stored

pytestmark = pytest.mark.timeout(420)

SOUND = "backups/collabhunts-backup-2001-01-01T00-00-00-000Z.json"
DAMAGED = "backups/collabhunts-backup-2001-01-02T00-00-00-000Z.json"


@pytest.fixture(scope="module")
def planted(platform: Platform) -> None:
    """Two small documents, one of them with a byte of a row flipped."""
    document = stored("backup-v1.json")
    at = document.index(b'"rows"') + len(b'"rows": [{"')
    platform.store.put(SOUND, document)
    platform.store.put(DAMAGED, document[:at] + bytes([document[at] ^ 1]) + document[at + 1 :])
    platform.api.wait_for_dag(VERIFY_DAG)
    platform.api.unpause(VERIFY_DAG)


def labels(platform: Platform, run_id: str, state: str) -> str:
    return " ".join(label for label, found in platform.states(VERIFY_DAG, run_id).items() if found == state)


def test_a_flipped_byte_makes_its_task_red_and_no_other(platform: Platform, key: str, planted: None) -> None:
    run_id, state = platform.run(VERIFY_DAG, backup_key="all", depth="full")
    assert state == "failed"
    assert labels(platform, run_id, "failed") == f"verify[{DAMAGED.removeprefix('backups/')}]"
    sound = labels(platform, run_id, "success")
    assert SOUND.removeprefix("backups/") in sound
    assert key.removeprefix("backups/") in sound
    assert (read_tags(platform.store, DAMAGED) or {})["verification"] == "invalid"
    assert (read_tags(platform.store, SOUND) or {})["verification"] == "valid"


def test_the_history_says_that_a_backup_was_verified_again(platform: Platform, key: str, planted: None) -> None:
    before = platform.sql("select now()")[0][0]
    _, state = platform.run(VERIFY_DAG, backup_key=key, depth="full")
    assert state == "success"
    query = "select components_backed_up -> 'verification' from backup_history where file_name = %s"
    ((verdict,),) = platform.sql(query, key.removeprefix("backups/"))
    assert (verdict["state"], verdict["depth"], verdict["valid"]) == ("valid", "full", True)
    assert platform.sql("select %s::timestamptz > %s", verdict["checked_at"], before) == [(True,)]


def test_a_key_that_is_none_is_refused_with_the_nearest(platform: Platform, planted: None) -> None:
    run_id, state = platform.run(VERIFY_DAG, backup_key="collabhunts-backup-2001.json", depth="quick")
    assert state == "failed"
    log = platform.api.task_log(VERIFY_DAG, run_id, "plan_verify")
    assert "hint:" in log
    assert "collabhunts-backup-2001-01-0" in log


def test_a_verdict_of_restore_is_the_drills(platform: Platform, planted: None) -> None:

    platform.api.wait_for_dag(DRILL_DAG)
    platform.api.unpause(DRILL_DAG)
    try:
        run_id, state = platform.run(VERIFY_DAG, backup_key=SOUND, depth="restore")
        assert state == "success", platform.states(VERIFY_DAG, run_id)
    finally:
        platform.api.api("PATCH", f"/api/v2/dags/{DRILL_DAG}", {"is_paused": True})
    assert (read_tags(platform.store, SOUND) or {})["drill"] == "proven"
