import pytest

from include.disaster_recovery.errors import SnapshotStarved
from include.disaster_recovery.steps.backup.holding import ENDED, WAITING, Progress


def progress() -> Progress:
    return Progress(start_seconds=180, idle_seconds=3600, began=1000, changed=1000)


def test_all_ended_is_done():
    assert progress().see(dict(zip("abcde", sorted(ENDED), strict=True)), 1001)


@pytest.mark.parametrize(
    "state", [None, "scheduled", "queued", "running", "up_for_retry", "up_for_reschedule", "restarting"]
)
def test_one_task_that_has_not_ended_keeps_the_snapshot(state: str | None):
    assert not progress().see({"a": "success", "b": state}, 1001)


def test_no_task_known_yet_is_not_done():
    assert not progress().see({}, 1001)


@pytest.mark.parametrize("states", [{}, *({"a": state} for state in sorted(WAITING, key=str))], ids=str)
def test_tasks_that_never_start_starve_the_snapshot(states: dict[str, str | None]):
    seen = progress()
    assert not seen.see(states, 1180)
    with pytest.raises(SnapshotStarved, match=r"got a slot beside the held snapshot within 180 s") as starved:
        seen.see(states, 1181)
    assert "two slots" in starved.value.hint


def test_once_started_a_retry_that_waits_for_a_slot_is_no_starvation():
    seen = progress()
    for now, state in [
        (1001, "queued"),
        (1002, "running"),
        (1100, "up_for_retry"),
        (1400, "queued"),
        (1500, "running"),
    ]:
        assert not seen.see({"a": state}, now)
    assert seen.see({"a": "success"}, 1600)


def test_nothing_changing_for_too_long_is_starvation():
    seen = progress()
    assert not seen.see({"a": "running"}, 1010)
    assert not seen.see({"a": "running"}, 4610)
    with pytest.raises(SnapshotStarved, match="no task of the run has started or ended for 3600 s"):
        seen.see({"a": "running"}, 4611)


def test_any_change_begins_the_idle_time_anew():
    seen = progress()
    assert not seen.see({"a": "running", "b": None}, 1010)
    assert not seen.see({"a": "running", "b": "running"}, 4600)
    assert not seen.see({"a": "running", "b": "running"}, 8200)
    with pytest.raises(SnapshotStarved):
        seen.see({"a": "running", "b": "running"}, 8201)


def test_the_states_given_are_not_kept_by_reference():
    seen, states = progress(), {"a": "running"}
    seen.see(states, 1010)
    states["a"] = "up_for_retry"
    seen.see(states, 1500)
    assert seen.changed == 1500
